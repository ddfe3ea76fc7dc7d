//! The parameters of an HTTP client.

use super::authentication::Credentials;
use super::cookie::CookieScope;
use super::io_limits::IoLimits;
use super::tls_settings::TlsSettings;
use crate::socket_options::SocketOptions;
use crate::url::Url;

/// The points in which a session with the ACS and the transfer of a file differ.
#[derive(Clone, Copy, Debug)]
pub struct ClientPolicy {
    /// The number of consecutive redirects that are followed (R56).
    pub max_redirects: usize,
    /// The largest body of a challenge or a redirect, in bytes, that is read to keep the connection.
    pub discard_limit: usize,
    /// True if such a body that cannot be read fails the request. Otherwise it only costs the connection.
    pub must_discard: bool,
    /// The servers to which a cookie is returned (R52, R57).
    pub cookie_scope: CookieScope,
    /// The size of a body, in bytes, above which the first request waits a moment for a challenge before it sends the
    /// body: otherwise a large file would be sent twice.
    pub hesitate_above: u64,
}

/// The parameters of a client.
#[derive(Debug)]
pub struct ClientSettings {
    /// The URL to which requests go until a redirect.
    pub url: Url,
    /// The answer to a challenge; `None` makes every challenge an error.
    pub credentials: Option<Credentials>,
    /// The files that TLS works with.
    pub tls: TlsSettings,
    /// True if the device knows the absolute time; otherwise the dates of certificates are not checked (R32).
    pub clock_is_set: bool,
    /// The options of the sockets.
    pub socket: SocketOptions,
    /// The time limits of all waits.
    pub limits: IoLimits,
    /// The rules of the caller's protocol.
    pub policy: ClientPolicy,
}
