//! The wait for the identity of the device at its very first start.
//!
//! ```text
//! no identity stored, a source of it fails or is empty ──▶ read again, once in three seconds
//!                                                            ├─ all sources give a value ──▶ 0 BOOTSTRAP, sessions
//!                                                            └─ after 60 s, with the factory values ──▶ the same
//! ```
//!
//! Factory values in place of the identity would make another device of this one: the ACS would register both.

use std::time::Duration;

use super::Agent;
use crate::clock::Now;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::version;
use crate::log;

/// The longest wait.
const LIMIT: Duration = Duration::from_secs(60);
/// The time between two attempts to read the identity.
const INTERVAL: Duration = Duration::from_secs(3);

/// A wait in progress, in instants of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IdentityWait {
    /// The end of the wait.
    pub(super) until: Duration,
    /// The next attempt to read the identity.
    pub(super) retry_at: Duration,
}

impl IdentityWait {
    fn begin(now: Now) -> IdentityWait {
        let until = now.monotonic + LIMIT;
        IdentityWait { until, retry_at: now.monotonic + INTERVAL }
    }

    /// Returns the wait after an attempt without success; `None` if that was the last one.
    fn next(self, now: Now) -> Option<IdentityWait> {
        (now.monotonic < self.until)
            .then(|| IdentityWait { retry_at: self.until.min(now.monotonic + INTERVAL), ..self })
    }
}

impl Agent {
    /// Begins the wait if no identity was ever stored and a source of it gives nothing. No session starts before its end.
    pub(super) fn await_identity(&mut self) {
        if self.device.state().identity.is_some() {
            return;
        }
        let missing = self.device.read_identity(self.clock.now());
        if missing.is_empty() {
            return;
        }
        let seconds = LIMIT.as_secs();
        let names = missing.join(", ");
        log::warn!("{names}: the source gives no value yet; the first session waits for it, at most {seconds} s");
        self.identity_wait = Some(IdentityWait::begin(self.clock.now()));
    }

    /// Reads the identity again, if it is time, and ends the wait once it is complete or the limit has passed.
    pub(super) fn poll_identity(&mut self, now: Now) {
        let Some(wait) = self.identity_wait.filter(|wait| wait.retry_at <= now.monotonic) else { return };
        let missing = self.device.read_identity(now);
        // The sources may have taken seconds.
        let now = self.clock.now();
        if missing.is_empty() {
            log::info!("the sources give the whole identity now: sessions start");
        } else if let Some(next) = wait.next(now) {
            self.identity_wait = Some(next);
            return;
        } else {
            let (names, seconds) = (missing.join(", "), LIMIT.as_secs());
            log::warn!("{names}: the source has given no value for {seconds} s; sessions start with the factory value");
        }
        self.identity_wait = None;
        let has_booted = self.device.state().events.contains(&EventCode::Boot);
        self.check_identity();
        if has_booted {
            // At any other start the boot follows 0 BOOTSTRAP, which discards the events before it (R139).
            self.device.state_mut().events.raise(Event::new(EventCode::Boot));
        }
        self.request_follow_up(version::newest(version::ALL));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), wall: 0 }
    }

    #[test]
    fn the_last_attempt_is_at_the_limit() {
        let mut wait = IdentityWait::begin(at(100));
        let mut attempts = Vec::new();
        loop {
            attempts.push(wait.retry_at.as_secs());
            // Each attempt takes a second.
            match wait.next(at(wait.retry_at.as_secs() + 1)) {
                Some(next) => wait = next,
                None => break,
            }
        }
        assert_eq!(attempts[..3], [103, 107, 111]);
        assert_eq!(attempts.last(), Some(&159));
        assert_eq!(wait.next(at(159)).map(|wait| wait.retry_at), Some(Duration::from_secs(160)));
        assert_eq!(wait.next(at(160)), None);
    }
}
