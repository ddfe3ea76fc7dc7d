//! Why a session failed. It is told in the log and in `status`, then comes the retry wait (R125).

use std::fmt;
use std::time::Duration;

use crate::url::UrlError;

/// Why a session with the ACS failed; `Display` says it in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// The URL is not one that can be contacted (R10).
    Url(UrlError),
    /// The host name could not be resolved.
    Resolve {
        /// The name asked for.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// No TCP connection to any address of the host; tells of the last one tried (R48).
    Connect {
        /// Address and port.
        addr: String,
        /// What the system said.
        reason: String,
    },
    /// TLS could not be set up: a file, the certificate, the handshake (R30).
    Tls(String),
    /// A time limit passed (R48, R119); names what was waited for.
    Timeout(&'static str),
    /// The server closed the connection instead of answering: the answer counts as lost (R49).
    Closed,
    /// Sending or receiving failed midway.
    Io(String),
    /// The server refused the credentials: a second 401 (R60).
    Authentication,
    /// An HTTP status that ends the session (R44, R66).
    Status {
        /// The status code.
        code: u16,
        /// `Retry-After` of the answer, if it gave one in seconds; at most a day.
        retry_after: Option<Duration>,
    },
    /// A redirect that cannot be followed (R54 to R57).
    Redirect(String),
    /// The answer is larger than the limit.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The answer is not proper HTTP.
    Protocol(String),
    /// The answer is not proper SOAP (R88).
    Soap(String),
    /// The ACS answered Inform with a fault (R92).
    InformFault {
        /// The CWMP fault code, 0 where the fault had none.
        code: u16,
        /// Its text.
        text: String,
    },
    /// Inform was answered by something that is no InformResponse (R92).
    NoInformResponse,
    /// Inform was answered by an empty response (R118).
    UnexpectedEmpty,
    /// A response or a fault came that belongs to no request of ours; says what it was.
    Unexpected(String),
    /// The ACS asked for a retry of the same request (fault 8005) too often (R120).
    TooManyRetries,
    /// The ACS chose a CWMP version that was not offered (R82).
    Version(String),
    /// The agent itself was told to stop.
    Stopped,
}

impl SessionError {
    /// A lower bound for the wait before the next attempt, if the server gave one (R66).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            SessionError::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionError::Url(error) => error.fmt(f),
            SessionError::Resolve { host, reason } => {
                write!(f, "the host name {host} does not resolve: {reason}")
            }
            SessionError::Connect { addr, reason } => {
                write!(f, "no connection to {addr}: {reason}")
            }
            SessionError::Tls(reason) => write!(f, "no secure connection: {reason}"),
            SessionError::Timeout(what) => write!(f, "timed out while {what}"),
            SessionError::Closed => f.write_str("the server closed the connection without an answer"),
            SessionError::Io(reason) => write!(f, "the connection broke: {reason}"),
            SessionError::Authentication => f.write_str("the server refused the user name or the password"),
            SessionError::Status { code, retry_after } => {
                write!(f, "the server answered with HTTP status {code}")?;
                match retry_after {
                    Some(wait) => write!(f, " and asks to wait {} s", wait.as_secs()),
                    None => Ok(()),
                }
            }
            SessionError::Redirect(reason) => write!(f, "a redirect was not followed: {reason}"),
            SessionError::TooLarge { limit } => {
                write!(f, "the answer is larger than the limit of {limit} bytes")
            }
            SessionError::Protocol(reason) => write!(f, "the answer is not valid HTTP: {reason}"),
            SessionError::Soap(reason) => write!(f, "the answer is not valid SOAP: {reason}"),
            SessionError::InformFault { code, text } => {
                write!(f, "the ACS refused Inform with fault {code}: {text}")
            }
            SessionError::NoInformResponse => f.write_str("the ACS answered Inform with another message"),
            SessionError::UnexpectedEmpty => f.write_str("the ACS answered Inform with an empty response"),
            SessionError::Unexpected(what) => write!(f, "the ACS answered a request that was never sent: {what}"),
            SessionError::TooManyRetries => f.write_str("the ACS asked again and again to repeat the same request"),
            SessionError::Version(version) => {
                write!(f, "the ACS insists on CWMP version {version}")
            }
            SessionError::Stopped => f.write_str("the agent was told to stop"),
        }
    }
}

impl std::error::Error for SessionError {}

impl From<UrlError> for SessionError {
    fn from(error: UrlError) -> SessionError {
        SessionError::Url(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_happened_and_when_to_come_back() {
        let error = SessionError::Status { code: 503, retry_after: Some(Duration::from_secs(60)) };
        assert_eq!(error.to_string(), "the server answered with HTTP status 503 and asks to wait 60 s");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
        assert_eq!(SessionError::Authentication.retry_after(), None);
    }
}
