//! The HTTP client for sessions with the ACS and for file servers.
//!
//! ```text
//!   HttpClient                challenges, redirects, which connection to use  (client.rs)
//!    ├─ Authentication        credentials that every request repeats          (authentication.rs)
//!    ├─ Cookies               cookies that every request repeats              (cookie.rs)
//!    └─ HttpConnection        one request and one response, over ureq-proto   (connection.rs)
//!        └─ Stream            plain or TLS                                    (stream.rs, tls.rs)
//!            └─ Tcp           limits on every wait                            (tcp.rs, io_limits.rs)
//!                └─ resolve   names into addresses                            (resolver.rs)
//! ```
//!
//! This module does not depend on CWMP, on sessions or on transfers, which use it.

mod authentication;
#[cfg(feature = "tls")]
mod certificate;
#[cfg(feature = "tls")]
mod certificate_reasons;
mod client;
mod client_settings;
mod connection;
mod cookie;
#[cfg(feature = "tls")]
mod der;
mod error;
mod exchange_record;
#[cfg(feature = "tls")]
mod handshake_report;
mod header_lines;
mod io_limits;
mod plain_http;
#[cfg(feature = "tls")]
mod recording_verifier;
mod redirect;
mod request_body;
mod request_head;
mod resolver;
mod response_head;
mod response_record;
mod stream;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_files;
#[cfg(feature = "tls")]
mod tls_provider;
#[cfg(feature = "tls")]
mod tls_reasons;
mod tls_settings;
#[cfg(feature = "tls")]
mod trust;

pub use authentication::Credentials;
#[cfg(feature = "tls")]
pub use certificate::Certificate;
pub use client::HttpClient;
pub use client_settings::{ClientPolicy, ClientSettings};
pub use connection::HttpConnection;
pub use cookie::CookieScope;
pub use error::{HttpError, unsendable};
pub use exchange_record::ExchangeRecord;
#[cfg(feature = "tls")]
pub use handshake_report::HandshakeReport;
pub(crate) use header_lines::{header_length, unfold};
pub use io_limits::IoLimits;
pub use plain_http::{closed_at_once, tls_port};
pub use request_body::{BodyStream, RequestBody};
#[cfg(feature = "diagnostics")]
pub(crate) use resolver::without_errno;
pub use resolver::{literal, look_up, resolve};
pub use response_head::ResponseHead;
pub use response_record::ResponseRecord;
pub use stream::Stream;
pub use tcp::{PreferredAddress, Tcp};
#[cfg(feature = "tls")]
pub use tls_files::certificates;
pub use tls_settings::TlsSettings;

use ureq_proto::http::{HeaderMap, header};

use crate::digest::{Challenge, challenges, header_text};

/// The value of `User-Agent` in every request.
pub(crate) const USER_AGENT: &str = concat!("cpe-agent/", env!("CARGO_PKG_VERSION"));

/// Checks that the configured TLS files can be used. An error names the option with the wrong file, and the reason.
#[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "only TLS uses them"))]
pub fn check_tls_files(settings: &TlsSettings) -> Result<(), (&'static str, HttpError)> {
    #[cfg(feature = "tls")]
    tls_files::check_files(settings)?;
    Ok(())
}

/// Returns all challenges of a 401, whether they stand in one header field or in several.
fn offered_challenges(headers: &HeaderMap) -> Vec<Challenge> {
    headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .flat_map(|value| challenges(&header_text(value.as_bytes())))
        .collect()
}
