//! The certificates that decide which servers are trusted: those of the CA file, or those of the system.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};

use super::certificate::Certificate;
use super::certificate_reasons::malformed;
use super::error::HttpError;
use super::tls_files::certificates;

/// The trusted certificates.
#[derive(Debug)]
pub(super) struct Trust {
    /// The certificates that may sign others.
    pub(super) roots: RootCertStore,
    /// The SHA-256 sums of the certificates of the CA file. A server that shows one of them byte for byte is trusted
    /// without an issuer. The sums take a fraction of the memory of the certificates: a CA file may have 150 of them.
    pinned: Vec<[u8; 32]>,
    /// The file of `--ca-file`; `None` if the roots of the system are used.
    pub(super) ca_file: Option<PathBuf>,
}

impl Trust {
    /// Trusts no certificate.
    #[cfg(feature = "xmpp")]
    pub(super) fn none() -> Trust {
        Trust { roots: RootCertStore::empty(), pinned: Vec::new(), ca_file: None }
    }

    /// Reads the CA file, or the roots of the system.
    pub(super) fn load(ca_file: Option<&Path>) -> Result<Trust, HttpError> {
        let (mut roots, mut pinned) = (RootCertStore::empty(), Vec::new());
        match ca_file {
            Some(file) => {
                for (index, certificate) in certificates(file)?.into_iter().enumerate() {
                    pinned.push(Sha256::digest(&certificate).into());
                    // A certificate for one server must not sign those of others. Only version 3 can say so.
                    if Certificate::parse(&certificate).is_some_and(|certificate| certificate.is_ca == Some(false)) {
                        continue;
                    }
                    roots.add(certificate).map_err(|error| {
                        let (nth, file) = (index + 1, file.display());
                        HttpError::Tls(format!("certificate {nth} of {file} cannot be used: it {}", malformed(&error)))
                    })?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                // Certificates that webpki cannot use are left out: some systems ship a few, and the others suffice.
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    let remedy = "name a file with --ca-file, or with caFile in the JSON file";
                    return Err(HttpError::Tls(format!("the system has no trusted roots; {remedy}")));
                }
            }
        }
        Ok(Trust { roots, pinned, ca_file: ca_file.map(Path::to_owned) })
    }

    /// Returns true if the CA file has this very certificate.
    pub(super) fn pins(&self, certificate: &CertificateDer<'_>) -> bool {
        !self.pinned.is_empty() && self.pinned.contains(&Sha256::digest(certificate).into())
    }

    /// Returns the roots whose names are not constrained. A constraint does not apply to a common name, so that one of
    /// the others must vouch for it.
    pub(super) fn unconstrained(&self) -> RootCertStore {
        let roots = self.roots.roots.iter().filter(|root| root.name_constraints.is_none());
        RootCertStore { roots: roots.cloned().collect() }
    }
}
