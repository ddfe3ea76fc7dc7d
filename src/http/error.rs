//! The error of every step between a URL and the last byte of a response.

use std::fmt;
use std::time::Duration;

use crate::foreign_text::with_words;
use crate::url::UrlError;

/// A reason why an HTTP exchange failed. `Display` is a sentence for the operator and holds no secret.
///
/// The type is plain data, so that the protocol layer can carry it in its own error without touching a socket.
#[derive(Clone, PartialEq, Eq)]
pub enum HttpError {
    /// The URL cannot be contacted (R10).
    Url(UrlError),
    /// The host name could not be resolved.
    Resolve {
        /// The name that was looked up.
        host: String,
        /// The reason in the system resolver's words.
        reason: String,
    },
    /// No address of the host accepted a TCP connection; names the last one tried (R48).
    Connect {
        /// Address and port.
        addr: String,
        /// The reason in the system's words.
        reason: String,
        /// True if the host was not reached, and false if it rejected the connection.
        unreached: bool,
    },
    /// TLS could not be set up: an unusable file, a rejected certificate, a failed handshake (R30).
    Tls(String),
    /// A time limit passed (R48, R119); the text completes "timed out while …".
    Timeout(&'static str),
    /// The server closed the connection before the first byte of a response: the response is lost (R49).
    Closed,
    /// Sending or receiving failed midway.
    Io(String),
    /// The server rejected the credentials by a second 401 (R60).
    Authentication {
        /// The words of the last response on one line; empty if there are none.
        text: String,
    },
    /// The server asks for credentials, and the caller gave none.
    NoCredentials,
    /// The user name or the realm of the server holds control characters, which no header field can carry.
    UnusableCredentials,
    /// The target of a redirect asks for Basic authentication without TLS, which would expose the password.
    InsecureBasic,
    /// A redirect has led from `https` to `http`, and a server asks for credentials since.
    LeftTls,
    /// The response has a status that the caller cannot use (R44, R66).
    Status {
        /// The status code.
        code: u16,
        /// `Retry-After` of the response, in seconds or as a date beside `Date`; at most one day.
        retry_after: Option<Duration>,
        /// The words of the body on one line; empty if there are none, or if the caller has not read them.
        text: String,
    },
    /// A redirect that cannot be followed (R54 to R57).
    Redirect(String),
    /// The body of the response is larger than the limit.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body of the response is compressed, although no request accepts that; holds the name in `Content-Encoding`.
    Compressed(&'static str),
    /// The response is not valid HTTP.
    Protocol(String),
    /// The stop flag of the agent was set during the exchange.
    Stopped,
}

/// Returns the error for a request that HTTP cannot carry.
pub fn unsendable() -> HttpError {
    HttpError::Protocol("the URL or a header field of the request holds a character that HTTP cannot carry".into())
}

impl HttpError {
    /// Returns true if the host was not reached for want of an address, a route or a name server: another state of the
    /// network may change that.
    pub fn lacks_network(&self) -> bool {
        matches!(self, HttpError::Resolve { .. } | HttpError::Connect { unreached: true, .. })
    }

    /// Returns the shortest wait before the next attempt that the server asked for (R66).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            HttpError::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Writes the sentence of `Display`. The derived text of each member would take 3 kB of the binary, and nothing prints it.
impl fmt::Debug for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::Url(error) => error.fmt(f),
            HttpError::Resolve { host, reason } => write!(f, "the host name {host} does not resolve: {reason}"),
            HttpError::Connect { addr, reason, .. } => write!(f, "no connection to {addr}: {reason}"),
            HttpError::Tls(reason) => write!(f, "no secure connection: {reason}"),
            HttpError::Timeout(phase) => write!(f, "timed out while {phase}"),
            HttpError::Closed => f.write_str("the server closed the connection without an answer"),
            HttpError::Io(reason) => write!(f, "the connection broke: {reason}"),
            HttpError::Authentication { text } => {
                f.write_str(&with_words("the server refused the user name or the password", text))
            }
            HttpError::NoCredentials => f.write_str("the server asks for a user name, and none was given"),
            HttpError::UnusableCredentials => {
                f.write_str("the user name or the realm holds control characters, which HTTP cannot carry")
            }
            HttpError::InsecureBasic => {
                f.write_str("a redirect was not followed: the new host wants the password in clear text, without TLS")
            }
            HttpError::LeftTls => f.write_str(
                "a redirect was not followed: it leads from https to http, where the server asks for the password",
            ),
            HttpError::Status { code, retry_after, text } => {
                write!(f, "the server answered with HTTP status {code}")?;
                if let Some(wait) = retry_after {
                    write!(f, " and asks to wait {} s", wait.as_secs())?;
                }
                f.write_str(&with_words("", text))
            }
            HttpError::Redirect(reason) => write!(f, "a redirect was not followed: {reason}"),
            HttpError::TooLarge { limit } => write!(f, "the answer is larger than the limit of {limit} bytes"),
            HttpError::Compressed(coding) => {
                write!(f, "the server sent the body with Content-Encoding {coding}, which the request did not accept")
            }
            HttpError::Protocol(reason) => write!(f, "the answer is not valid HTTP: {reason}"),
            HttpError::Stopped => f.write_str("the agent was told to stop"),
        }
    }
}

impl std::error::Error for HttpError {}

impl From<UrlError> for HttpError {
    fn from(error: UrlError) -> HttpError {
        HttpError::Url(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_happened_and_when_to_come_back() {
        let error = HttpError::Status { code: 503, retry_after: Some(Duration::from_secs(60)), text: "busy".into() };
        assert_eq!(error.to_string(), "the server answered with HTTP status 503 and asks to wait 60 s: \"busy\"");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
        let error = HttpError::Status { code: 404, retry_after: None, text: String::new() };
        assert_eq!(error.to_string(), "the server answered with HTTP status 404");
        assert_eq!(HttpError::Authentication { text: String::new() }.retry_after(), None);
    }
}
