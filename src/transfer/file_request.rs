//! The parameters of one attempt to move one file.

use std::time::Duration;

use crate::http::TlsSettings;
use crate::secret::Secret;

/// The parameters of one attempt.
#[derive(Clone, Debug)]
pub struct FileRequest {
    /// The URL of the file to download, or the target of an upload.
    pub url: String,
    /// The user name for the file server; empty if the server needs none.
    pub username: String,
    /// The password for the file server.
    pub password: Secret,
    /// The trusted roots and the client certificate: the same as towards the ACS (R65).
    pub tls: TlsSettings,
    /// True if the device knows the absolute time; otherwise the dates of certificates are not checked (R32).
    pub clock_is_set: bool,
    /// The limits of the attempt.
    pub limits: TransferLimits,
}

/// The limits that end an attempt. The default is meant for production; tests use shorter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferLimits {
    /// The time within which a server must accept a connection, and for which it may send nothing.
    pub silence: Duration,
    /// The longest time of one attempt with all its connections. It ends a transfer from a server that sends byte after
    /// byte, and one of an endless file.
    pub attempt: Duration,
    /// The number of consecutive redirects that are followed.
    pub redirects: usize,
    /// The pause before the connection is made again. It doubles as long as the connections bring no new byte.
    pub pause: Duration,
}

impl Default for TransferLimits {
    fn default() -> TransferLimits {
        TransferLimits {
            silence: Duration::from_secs(60),
            // 20 MB in an hour are 6 kB a second, which even a bad DSL line carries.
            attempt: Duration::from_secs(60 * 60),
            redirects: 5,
            pause: Duration::from_secs(1),
        }
    }
}
