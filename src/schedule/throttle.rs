//! The limit of sessions for active notifications.

use std::time::Duration;

use crate::clock::Now;

/// Delays a session whose only cause is an active notification, until DefaultActiveNotificationThrottle has passed
/// since the last session (R210). It delays no other session, and begins anew with each start of the agent.
#[derive(Clone, Debug, Default)]
pub struct Throttle {
    interval: Duration,
    last_session: Option<Duration>,
    /// The time from which a change waits for its report.
    waiting: Option<Duration>,
}

impl Throttle {
    /// Sets DefaultActiveNotificationThrottle, also for changes that wait already.
    pub fn set(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// Asks for a session for a change, not before `at` on the monotonic clock.
    pub fn session_wanted(&mut self, at: Duration) {
        // One session reports all changes, and the earliest of them decides on its time.
        self.waiting = Some(self.waiting.map_or(at, |waiting| waiting.min(at)));
    }

    /// Records the start of a session for any reason, since it reports all changes.
    pub fn session_started(&mut self) {
        self.waiting = None;
    }

    /// Records the end of a session, successful or not.
    pub fn session_ended(&mut self, now: Now) {
        self.last_session = Some(now.monotonic);
    }

    /// Returns the time of the session on the monotonic clock; `None` if no change waits.
    pub fn deadline(&self) -> Option<Duration> {
        // A failed session counts too, because R210 limits the load of the ACS.
        let open = self.last_session.map_or(Duration::ZERO, |end| end.saturating_add(self.interval));
        self.waiting.map(|since| since.max(open))
    }

    /// Returns true once when the session is due.
    pub fn poll(&mut self, now: Now) -> bool {
        let due = self.deadline().is_some_and(|at| at <= now.monotonic);
        if due {
            self.waiting = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), wall: 0 }
    }

    /// R210: the interval counts from the end of the last session.
    #[test]
    fn a_change_waits_out_the_interval_after_the_last_session() {
        let mut throttle = Throttle::default();
        throttle.set(Duration::from_secs(60));
        throttle.session_wanted(at(5).monotonic);
        assert!(throttle.poll(at(5)) && !throttle.poll(at(6)), "no session yet: at once, and once");
        throttle.session_ended(at(10));
        throttle.session_wanted(at(20).monotonic);
        throttle.session_wanted(at(30).monotonic);
        assert_eq!(throttle.deadline(), Some(at(70).monotonic));
        assert!(!throttle.poll(at(69)) && throttle.poll(at(70)));
        throttle.session_wanted(at(100).monotonic);
        assert_eq!(throttle.deadline(), Some(at(100).monotonic), "long ago");
        throttle.session_started();
        throttle.session_wanted(at(200).monotonic);
        assert!(!throttle.poll(at(199)), "not before it may be told");
        throttle.session_wanted(at(150).monotonic);
        assert!(throttle.poll(at(150)), "the earlier of two");
    }

    #[test]
    fn another_session_tells_it_and_a_new_interval_counts() {
        let mut throttle = Throttle::default();
        throttle.set(Duration::from_secs(60));
        throttle.session_ended(at(10));
        throttle.session_wanted(at(20).monotonic);
        throttle.set(Duration::from_secs(15));
        assert_eq!(throttle.deadline(), Some(at(25).monotonic));
        throttle.session_started();
        assert_eq!(throttle.deadline(), None);
        throttle.set(Duration::MAX);
        throttle.session_wanted(at(30).monotonic);
        assert!(!throttle.poll(at(1 << 40)));
    }
}
