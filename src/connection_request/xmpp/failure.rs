//! The reasons for which there is no connection.

use std::fmt;

use crate::http::HttpError;
use crate::xmpp::{Status, StreamError};

/// The reason for which an attempt failed or a connection ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// The name, TCP or TLS.
    Network(HttpError),
    /// The stream above them.
    Stream(StreamError),
}

impl Failure {
    /// Returns the value of `Status` for the time until the next attempt.
    pub(super) fn status(&self) -> Status {
        match self {
            Failure::Network(HttpError::Tls(_)) => Status::Error,
            Failure::Network(_) => Status::ServerNotPresent,
            Failure::Stream(StreamError::Authentication(_)) => Status::AuthenticationFailure,
            Failure::Stream(StreamError::NoTls | StreamError::NoMechanism) => Status::Misconfigured,
            Failure::Stream(StreamError::Protocol(_)) => Status::Error,
            Failure::Stream(StreamError::Closed(_) | StreamError::Ended) => Status::ServerNotPresent,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Network(error) => error.fmt(f),
            Failure::Stream(error) => error.fmt(f),
        }
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Failure {
        Failure::Network(error)
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Failure {
        Failure::Stream(error)
    }
}
