//! The error that ends a session. The log and `status` show it, and the session is retried after a wait (R125).

use std::fmt;
use std::time::Duration;

use crate::foreign_text::one_line;
use crate::http::HttpError;

/// The longest text of an error, in characters.
const MAX_TEXT: usize = 512;

/// The reason for which a session with the ACS has failed. `Display` writes it for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// An HTTP exchange with the ACS failed.
    Http(HttpError),
    /// A reply of the ACS is no valid SOAP envelope (R88); holds the reason.
    Soap(String),
    /// The ACS answered Inform with a fault (R92).
    InformFault {
        /// The CWMP fault code, 0 where the fault had none.
        code: u16,
        /// The text of the fault.
        text: String,
    },
    /// The ACS replied to Inform with a request instead of InformResponse (R92).
    NoInformResponse,
    /// The ACS replied to Inform with an empty message (R118).
    UnexpectedEmpty,
    /// The ACS sent a response or a fault without a request of the CPE (R86); holds its name.
    Unexpected(String),
    /// The ACS demanded the same request once more, by fault 8005, after the last permitted time (R120).
    TooManyRetries,
    /// The ACS chose a CWMP version that was not offered (R82); holds the reason.
    Version(String),
}

impl SessionError {
    /// Returns true if the ACS was not reached for want of an address, a route or a name server.
    pub fn lacks_network(&self) -> bool {
        matches!(self, SessionError::Http(error) if error.lacks_network())
    }

    /// Returns the shortest wait before the next attempt that the ACS asked for (R66).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            SessionError::Http(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl SessionError {
    /// Returns the text, in which parts from the ACS stand as they came.
    fn raw_text(&self) -> String {
        match self {
            SessionError::Http(error) => error.to_string(),
            SessionError::Soap(reason) => format!("the reply of the ACS is not valid SOAP: {reason}"),
            SessionError::InformFault { code, text } => {
                format!("the ACS refused Inform with fault {code}: {text}")
            }
            SessionError::NoInformResponse => "the ACS answered Inform with another message".into(),
            SessionError::UnexpectedEmpty => "the ACS answered Inform with an empty response".into(),
            SessionError::Unexpected(name) => format!("the ACS answered a request that was never sent: {name}"),
            SessionError::TooManyRetries => "the ACS demanded the same request too often (fault 8005)".into(),
            SessionError::Version(reason) => reason.clone(),
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A line end of the ACS could forge a line of the log, and a control character move the cursor of a terminal.
        f.write_str(&one_line(&self.raw_text(), MAX_TEXT))
    }
}

impl std::error::Error for SessionError {}

impl From<HttpError> for SessionError {
    fn from(error: HttpError) -> SessionError {
        SessionError::Http(error)
    }
}
