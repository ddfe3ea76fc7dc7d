//! The certificates and keys that TLS reads from files, and the checks on them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::certificate::PublicKey;
use super::der::SEQUENCE;
use super::error::HttpError;
use super::resolver::without_errno;
use super::tls_provider::signing_key;
use super::tls_settings::TlsSettings;
use super::trust::Trust;

const CA_FILE: &str = "--ca-file (caFile)";
const CLIENT_CERT: &str = "--client-cert (clientCert)";
const CLIENT_KEY: &str = "--client-key (clientKey)";

const ENCRYPTED: &[u8] = b"ENCRYPTED";
/// The part of a file that is searched for the reason why it has no key, in bytes.
const MAX_LOOK: u64 = 4096;

/// The setting of a file that cannot be used, by its option and its key in the JSON file, and the reason.
pub(super) type FileError = (&'static str, HttpError);

/// Checks that the files can be used.
pub(super) fn check_files(settings: &TlsSettings) -> Result<(), FileError> {
    if let Some(file) = &settings.ca_file {
        Trust::load(Some(file)).map_err(|error| (CA_FILE, error))?;
    }
    identity(settings).map(|_| ())
}

/// Returns the client certificate with the chain above it, and its key, if they are configured (R33).
pub(super) fn identity(settings: &TlsSettings) -> Result<Option<CertifiedKey>, FileError> {
    let (certificate, key_file) = match (&settings.client_cert, &settings.client_key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        // Half a pair is a mistake. A session without client certificate would only fail at the ACS, without a reason.
        (Some(_), None) => {
            let reason = format!("a client certificate needs its key: {CLIENT_KEY}");
            return Err((CLIENT_KEY, HttpError::Tls(reason)));
        }
        (None, Some(_)) => {
            let reason = format!("a client key needs its certificate: {CLIENT_CERT}");
            return Err((CLIENT_CERT, HttpError::Tls(reason)));
        }
    };
    let chain = certificates(certificate).map_err(|error| (CLIENT_CERT, error))?;
    let wrong_key = |reason: String| (CLIENT_KEY, HttpError::Tls(reason));
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| (CLIENT_KEY, unusable(key_file, "key", error)))?;
    let (file, key_file) = (certificate.display(), key_file.display());
    let key = signing_key(&key).map_err(|_| {
        let supported = "RSA of 2048 to 4096 bits, P-256 and P-384 are supported";
        wrong_key(format!("the key in {key_file} is damaged or of an unsupported type: {supported}"))
    })?;
    // Compared without webpki, which reads certificates of version 3 alone: the server decides which one it accepts.
    let public = key.public_key();
    let fits =
        |der: &CertificateDer<'_>| PublicKey::of(der).map(|key| key.info) == public.as_ref().map(|key| key.as_ref());
    match chain.iter().position(fits) {
        Some(0) => Ok(Some(CertifiedKey::new(chain, key))),
        Some(at) => {
            let nth = at + 1;
            let reason = format!(
                "the key belongs to certificate {nth} of {file}, which must be the first: those of its CAs follow"
            );
            Err((CLIENT_CERT, HttpError::Tls(reason)))
        }
        None => Err(wrong_key(format!("{key_file} is not the key of the certificate in {file}"))),
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
    let name = file.display();
    let begin = || {
        let mut begin = Vec::new();
        // The result is ignored: the beginning only adds to the reason.
        let _ = File::open(file).and_then(|file| file.take(MAX_LOOK).read_to_end(&mut begin));
        begin
    };
    // An encrypted key has another label, or header lines that are no base64.
    let is_encrypted = || begin().windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED);
    HttpError::Tls(match error {
        PemError::Io(error) => format!("{name} cannot be read: {}", without_errno(&error)),
        PemError::NoItemsFound | PemError::Base64Decode(_) if kind == "key" && is_encrypted() => {
            format!(
                "the key in {name} is encrypted, and the agent has no passphrase: openssl pkey -in {name} writes it without"
            )
        }
        PemError::NoItemsFound if begin().first() == Some(&SEQUENCE) => {
            format!("{name} holds no PEM {kind}, but DER: openssl converts it")
        }
        PemError::NoItemsFound => format!("{name} holds no PEM {kind}"),
        PemError::MissingSectionEnd { .. } => format!("{name} is not a valid PEM file: an END line is missing"),
        PemError::IllegalSectionStart { .. } => format!("{name} is not a valid PEM file: a BEGIN line is malformed"),
        _ => format!("{name} is not a valid PEM file: its base64 is damaged"),
    })
}
