//! The result of the last session, for `status`.

use std::time::Duration;

use crate::cwmp::session_error::SessionError;

/// The result of the last session.
#[derive(Clone, Debug)]
pub(super) struct LastSession {
    /// The start of the session, in seconds since the Unix epoch.
    pub(super) began: i64,
    /// The duration of the session.
    pub(super) took: Duration,
    /// The event codes in its Inform.
    pub(super) events: Vec<String>,
    /// The reason for its failure; `None` after a success.
    pub(super) error: Option<SessionError>,
}
