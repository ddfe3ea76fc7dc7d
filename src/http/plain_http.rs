//! The responses by which a server of TLS shows that it received plain HTTP.

use super::error::HttpError;

/// The types of the TLS records with which a server can begin: alert and handshake.
const TLS_RECORDS: [u8; 2] = [0x15, 0x16];
/// Words in the body of a 400: of nginx and Go, of Apache, and of Tomcat.
const WORDS: [&str; 3] = ["HTTPS", "plain HTTP", "requires TLS"];

/// Returns the error of a response that begins with these bytes, which are not HTTP.
pub(super) fn not_http(input: &[u8]) -> HttpError {
    match input.first() {
        Some(first) if TLS_RECORDS.contains(first) => expects_tls(),
        _ => HttpError::Protocol("the server uses another protocol on this port".into()),
    }
}

/// Returns the error if this is the response by which a server of TLS rejects plain HTTP.
pub fn tls_port(status: u16, is_tls: bool, text: &str) -> Option<HttpError> {
    // Behind TLS, the same words come from a server behind a proxy, and the URL is right.
    (status == 400 && !is_tls && WORDS.iter().any(|word| text.contains(word))).then(expects_tls)
}

/// Returns the error for a server that closes a connection of plain HTTP without a byte, as many servers of TLS do.
pub fn closed_at_once() -> HttpError {
    HttpError::Io(format!("{}; a port for TLS does the same: does the URL need https?", HttpError::Closed))
}

fn expects_tls() -> HttpError {
    HttpError::Tls("the server expects TLS on this port: the URL must begin with https://".into())
}
