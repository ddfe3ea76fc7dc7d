//! The HTTP client for sessions with the ACS and for file servers.
//!
//! ```text
//!   Authentication, Cookies   credentials and cookies that a client repeats   (authentication.rs, cookie.rs)
//!   HttpConnection            one request and one response, over ureq-proto   (connection.rs)
//!    └─ Stream                plain or TLS                                    (stream.rs, tls.rs)
//!        └─ Tcp               limits on every wait                            (tcp.rs, io_limits.rs)
//!            └─ resolve       names into addresses                            (resolver.rs)
//! ```
//!
//! The room knows nothing of CWMP, of sessions or of transfers: those build on it.

pub(crate) mod authentication;
mod connection;
pub(crate) mod cookie;
mod error;
#[cfg(feature = "tls")]
pub mod handshake_report;
mod io_limits;
mod resolver;
mod stream;
mod tcp;
#[cfg(feature = "tls")]
pub mod tls;
mod tls_settings;
#[cfg(feature = "tls")]
mod unset_clock;

pub use connection::{HttpConnection, RequestBody, ResponseHead};
pub use error::HttpError;
pub use io_limits::IoLimits;
pub use stream::{Connector, Stream};
pub use tcp::Tcp;
pub use tls_settings::TlsSettings;

use ureq_proto::http::{HeaderMap, header};

use crate::digest::{Challenge, challenges};

/// The value of `User-Agent` in every request.
pub(crate) const USER_AGENT: &str = concat!("cpe-agent/", env!("CARGO_PKG_VERSION"));

/// Checks that the configured TLS files can be used. An error names the option with the wrong file, and the reason.
#[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "only TLS uses them"))]
pub fn check_tls_files(settings: &TlsSettings) -> Result<(), (&'static str, HttpError)> {
    #[cfg(feature = "tls")]
    tls::check_files(settings)?;
    Ok(())
}

/// Returns all challenges of a 401, whether they stand in one header field or in several.
pub(crate) fn offered_challenges(headers: &HeaderMap) -> Vec<Challenge> {
    headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .flat_map(|value| challenges(&String::from_utf8_lossy(value.as_bytes())))
        .collect()
}
