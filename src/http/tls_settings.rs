//! The files that TLS works with. They are named in every build, so that a build without TLS accepts the same
//! configuration.

use std::path::PathBuf;

/// The files that TLS works with, all of them PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The trusted root certificates; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
    /// The client certificate with the chain above it (R33).
    pub client_cert: Option<PathBuf>,
    /// The private key of the client certificate.
    pub client_key: Option<PathBuf>,
}
