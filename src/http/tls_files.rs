//! The certificates and keys that TLS reads from files, and the checks on them.

use std::path::Path;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, RootCertStore};

use super::error::HttpError;
use super::tls_settings::TlsSettings;

/// The client certificate with the chain above it, and its key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Checks that the files can be used. An error names the option with the wrong file, and the reason.
pub(super) fn check_files(settings: &TlsSettings) -> Result<(), (&'static str, HttpError)> {
    if let Some(file) = &settings.ca_file {
        roots(Some(file)).map_err(|error| ("--ca-file", error))?;
    }
    let Some(certificate) = &settings.client_cert else { return Ok(()) };
    certificates(certificate).map_err(|error| ("--client-cert", error))?;
    let Some((chain, key)) = identity(settings).map_err(|error| ("--client-key", error))? else { return Ok(()) };
    // The pair is checked here as well, so that `check` can name the wrong option before the first session.
    match CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider()) {
        Ok(_) => Ok(()),
        Err(Error::InconsistentKeys(_)) => {
            let file = certificate.display();
            Err(("--client-key", HttpError::Tls(format!("not the key of the certificate in {file}"))))
        }
        Err(error) => Err(("--client-cert", HttpError::Tls(format!("cannot be used with its key: {error}")))),
    }
}

/// Returns the trusted roots: those of the file, or those of the system.
pub(super) fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, HttpError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            for (index, certificate) in certificates(file)?.into_iter().enumerate() {
                roots.add(certificate).map_err(|error| {
                    let nth = index + 1;
                    HttpError::Tls(format!("certificate {nth} of {} is no usable root: {error}", file.display()))
                })?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            // Certificates that webpki cannot use are left out: some systems ship a few, and the others suffice.
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(HttpError::Tls("the system has no trusted roots; name a file with --ca-file".into()));
            }
        }
    }
    Ok(roots)
}

/// Returns the client certificate and its key, if they are configured (R33).
pub(super) fn identity(settings: &TlsSettings) -> Result<Option<Identity>, HttpError> {
    match (&settings.client_cert, &settings.client_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|e| unusable(key, "key", e))?;
            Ok(Some((chain, key)))
        }
        // Half a pair is a mistake. A session without client certificate would only fail at the ACS, without a reason.
        (Some(_), None) => Err(HttpError::Tls("a client certificate needs its key (--client-key)".into())),
        (None, Some(_)) => Err(HttpError::Tls("a client key needs its certificate (--client-cert)".into())),
    }
}

/// Returns the certificates of a PEM file, at least one.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let unusable = |error| unusable(file, "certificate", error);
    let found =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unusable)?;
    match found.is_empty() {
        true => Err(unusable(PemError::NoItemsFound)),
        false => Ok(found),
    }
}

/// Puts a reason into words that name the file.
fn unusable(file: &Path, kind: &str, error: PemError) -> HttpError {
    let file = file.display();
    HttpError::Tls(match error {
        PemError::Io(error) => format!("{file} cannot be read: {error}"),
        PemError::NoItemsFound => format!("{file} holds no PEM {kind}"),
        error => format!("{file} is not a valid PEM file: {error}"),
    })
}
