//! What one attempt at one file is told.

use std::time::Duration;

use crate::http::TlsSettings;
use crate::secret::Secret;

/// One attempt at one file.
#[derive(Clone, Debug)]
pub struct FileRequest {
    /// Where the file is, or is to go.
    pub url: String,
    /// For the file server; empty where it asks for none.
    pub username: String,
    /// Goes with the user name.
    pub password: Secret,
    /// Roots and our own certificate: the same as towards the ACS (R65).
    pub tls: TlsSettings,
    /// Whether the device has the absolute time; without it, the dates of certificates are not checked (R32).
    pub clock_is_set: bool,
    /// How long to wait for what.
    pub limits: TransferLimits,
}

/// What ends an attempt that does not end by itself. The default is for production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferLimits {
    /// How long a server may take to accept a connection, and may be silent on it.
    pub silence: Duration,
    /// How long one attempt may take in all, with all its connections. The end of a server that trickles, and of one
    /// whose file has no end.
    pub attempt: Duration,
    /// Consecutive redirects that are followed.
    pub redirects: usize,
    /// The wait before a broken connection is made again; it doubles while that brings no further byte.
    pub pause: Duration,
}

impl Default for TransferLimits {
    fn default() -> TransferLimits {
        TransferLimits {
            silence: Duration::from_secs(60),
            // 20 MB in an hour are 6 kB a second, which a bad line still has.
            attempt: Duration::from_secs(60 * 60),
            redirects: 5,
            pause: Duration::from_secs(1),
        }
    }
}
