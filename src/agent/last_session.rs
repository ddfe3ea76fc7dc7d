//! The results of sessions, for `status`: the last one, the first failure of a series, and the counts since the start.

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

/// The results of all sessions since the start of the agent.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionLog {
    /// The sessions that succeeded.
    pub(super) succeeded: u32,
    /// The sessions that failed.
    pub(super) failed: u32,
    /// The end of the last session that succeeded, on the monotonic clock.
    pub(super) last_success: Option<Duration>,
    /// The failures since the last success.
    pub(super) failures: Option<FailureSeries>,
}

/// A series of failures without a success in between. Its first cause often explains the last one: an ACS that rejected
/// the device may be reported later as a name that does not resolve.
#[derive(Clone, Debug)]
pub(super) struct FailureSeries {
    /// The number of failures.
    pub(super) count: u32,
    /// The end of the first session of the series, on the monotonic clock.
    pub(super) began: Duration,
    /// The cause of its failure.
    pub(super) first: SessionError,
}

impl SessionLog {
    /// Notes the result of a session that has ended at `now`, on the monotonic clock.
    pub(super) fn add(&mut self, error: Option<&SessionError>, now: Duration) {
        let Some(error) = error else {
            self.succeeded = self.succeeded.saturating_add(1);
            self.last_success = Some(now);
            self.failures = None;
            return;
        };
        self.failed = self.failed.saturating_add(1);
        let series = self.failures.get_or_insert_with(|| FailureSeries { count: 0, began: now, first: error.clone() });
        series.count = series.count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_stays_until_a_success() {
        let mut log = SessionLog::default();
        let at = Duration::from_secs;
        log.add(Some(&SessionError::NoInformResponse), at(1));
        log.add(Some(&SessionError::UnexpectedEmpty), at(2));
        let series = log.failures.clone().expect("failures");
        assert_eq!((series.count, series.began, series.first), (2, at(1), SessionError::NoInformResponse));
        log.add(None, at(3));
        assert!(log.failures.is_none());
        assert_eq!((log.succeeded, log.failed, log.last_success), (1, 2, Some(at(3))));
        log.add(Some(&SessionError::UnexpectedEmpty), at(4));
        assert_eq!(log.failures.expect("a failure").first, SessionError::UnexpectedEmpty);
    }
}
