//! The wait for a contact with the ACS after a change that may cut the device off from it.
//!
//! ```text
//! change ──▶ reload ──▶ settled ──▶ armed ──┬─ InformResponse, or a verified TLS connection ──▶ the change stays
//!                                   ▲       └─ the time is over ──▶ taken back ──▶ reload ──▶ session
//!                                   └── a start of the agent, at most three times
//! ```
//!
//! An InformResponse comes from an ACS only. A verified connection does so too, while the ACS itself fails: an outage of the ACS must
//! not undo the settings of all its devices. Over plain HTTP a captive portal may answer, so that its answer counts for nothing.

use std::time::Duration;

use super::Agent;
use crate::clock::Now;
use crate::cwmp::device::TakenBack;
use crate::cwmp::event::{Event, EventCode};
use crate::log;

/// The least time until the next attempt to take a change back, after one that failed.
const RETRY: Duration = Duration::from_secs(60);

/// The longest wait until the next attempt: a file system that stays read-only is not written to in short intervals.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);

/// The state of the wait.
#[derive(Default)]
pub(super) struct ConfirmationWait {
    /// The instant of the monotonic clock at which the change is taken back; `None` before its reload has settled.
    deadline: Option<Duration>,
    /// The number of attempts to take the change back that have failed since the agent started.
    failures: u32,
    /// The last change that was taken back, and its instant.
    last: Option<(TakenBack, Duration)>,
}

/// The wait, for `status`.
#[derive(Clone, Debug, Default)]
pub(super) struct ConfirmationStatus {
    /// The names of the parameters that were set.
    pub(super) names: Vec<String>,
    /// The instant at which they are taken back.
    pub(super) deadline: Option<Duration>,
    /// The last change that was taken back, and its instant.
    pub(super) last: Option<(TakenBack, Duration)>,
}

impl Agent {
    /// Runs the reloads of a change, begins the wait after them, and ends it when its time is over. No session runs.
    pub(super) fn poll_confirmation(&mut self, now: Now) {
        self.poll_reloads(now);
        let Some(open) = self.device.confirmation() else {
            self.confirmation.deadline = None;
            return;
        };
        // The device does not use the new values yet, or restarts with them.
        if self.awaits_reloads() || self.is_restarting() || self.identity_wait.is_some() {
            self.confirmation.deadline = None;
            return;
        }
        if !self.device.is_cwmp_enabled() {
            // R7: the ACS itself has forbidden the contact.
            return self.device.confirm("confirmed, since EnableCWMP is false", now);
        }
        match self.confirmation.deadline {
            None => {
                let time = open.time();
                log::info!(
                    "to be confirmed by a contact with the ACS within {} s: {}",
                    time.as_secs(),
                    open.names().join(", ")
                );
                self.confirmation.deadline = Some(now.monotonic + time);
                // A session needs an event, and this one asks nothing of the ACS.
                if !self.session_wanted {
                    self.raise(Event::new(EventCode::Periodic));
                }
            }
            Some(at) if at <= now.monotonic => self.take_back(now),
            Some(_) => {}
        }
    }

    /// Notes that the ACS was reached: by its answer to an Inform, or by a verified TLS connection.
    pub(super) fn confirm_contact(&mut self, is_answer: bool) {
        if self.confirmation.deadline.is_none() {
            return;
        }
        if self.device.confirmation().is_some_and(|open| is_answer || !open.needs_session()) {
            (self.confirmation.deadline, self.confirmation.failures) = (None, 0);
            self.device.confirm("confirmed by a contact with the ACS", self.clock.now());
        }
    }

    fn take_back(&mut self, now: Now) {
        let time = self.device.confirmation().map(|open| open.time()).unwrap_or_default();
        match self.device.take_back(now) {
            Ok(end) => {
                let Some(end) = end else { return };
                let names = end.names.join(", ");
                log::warn!("the ACS was not reached in time; taken back: {names}");
                end.stays.iter().for_each(|stays| log::warn!("not taken back: {stays}"));
                self.confirmation =
                    ConfirmationWait { last: Some((end, now.monotonic)), ..ConfirmationWait::default() };
                self.session_wanted = true;
                self.values.outdate();
            }
            Err(reason) => {
                let wait = wait_after(time, self.confirmation.failures);
                self.confirmation.failures = self.confirmation.failures.saturating_add(1);
                self.confirmation.deadline = Some(now.monotonic + wait);
                log::warn!(
                    "the ACS was not reached in time, and the change cannot be taken back yet: {reason}; again in {} s",
                    wait.as_secs()
                );
            }
        }
    }

    /// Returns the instant at which [`Agent::poll_confirmation`] has something to do.
    pub(super) fn confirmation_deadline(&self) -> Option<Duration> {
        self.confirmation.deadline
    }

    /// Returns the wait for `status`.
    pub(super) fn confirmation_status(&self) -> ConfirmationStatus {
        let names = self.device.confirmation().map(|open| open.names().to_vec()).unwrap_or_default();
        ConfirmationStatus { names, deadline: self.confirmation.deadline, last: self.confirmation.last.clone() }
    }
}

/// Returns the wait after a failed attempt to take a change back, which doubles with each one. `time` is that for a contact.
fn wait_after(time: Duration, failures: u32) -> Duration {
    time.max(RETRY).saturating_mul(1 << failures.min(6)).min(LONGEST_RETRY.max(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_attempts_become_rare() {
        let waits =
            |seconds: u64| [0, 1, 2, 3, 9, u32::MAX].map(|n| wait_after(Duration::from_secs(seconds), n).as_secs());
        assert_eq!(waits(0), [60, 120, 240, 480, 3600, 3600]);
        assert_eq!(waits(300), [300, 600, 1200, 2400, 3600, 3600]);
        assert_eq!(waits(3600), [3600; 6]);
    }
}
