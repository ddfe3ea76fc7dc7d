//! Why a session failed. It is told in the log and in `status`, then comes the retry wait (R125).

use std::fmt;
use std::time::Duration;

use crate::http::HttpError;

/// Why a session with the ACS failed; `Display` says it in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// An HTTP exchange with the ACS failed.
    Http(HttpError),
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
}

impl SessionError {
    /// Returns the shortest wait before the next attempt that the ACS asked for (R66).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            SessionError::Http(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionError::Http(error) => error.fmt(f),
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
        }
    }
}

impl std::error::Error for SessionError {}

impl From<HttpError> for SessionError {
    fn from(error: HttpError) -> SessionError {
        SessionError::Http(error)
    }
}
