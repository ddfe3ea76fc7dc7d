//! The retry of a failed session.

use std::time::Duration;

use crate::clock::Now;

/// The ManagementServer parameters of the retry policy; the factory values are 5 and 2000 (R128).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// CWMPRetryMinimumWaitInterval in seconds, 1 to 65535.
    pub minimum_wait: u32,
    /// CWMPRetryIntervalMultiplier in thousandths, 1000 to 65535.
    pub multiplier: u32,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { minimum_wait: 5, multiplier: 2000 }
    }
}

/// The limit of the wait in milliseconds, which the formula may exceed by far (R132).
const MAX_WAIT_MS: u64 = u32::MAX as u64 * 1000;

/// Returns the wait before retry number `retry` (from 1): uniformly random between m·(k/1000)^(n-1) and m·(k/1000)^n
/// seconds, with n at most 10 (R126, R127).
pub fn retry_wait(retry: u32, policy: RetryPolicy, random: u64) -> Duration {
    // A multiplier below 1000, from a damaged journal, would shorten the wait with each failure.
    let multiplier = u64::from(policy.multiplier.max(1000));
    // In milliseconds, limited to 2^42 after each step, so that the product cannot overflow (R132).
    let grow = |wait: u64| (wait.saturating_mul(multiplier) / 1000).min(MAX_WAIT_MS);
    let mut least = u64::from(policy.minimum_wait.max(1)) * 1000;
    for _ in 1..retry.clamp(1, 10) {
        least = grow(least);
    }
    let span = grow(least).saturating_sub(least) + 1;
    Duration::from_millis(least + random % span)
}

/// The count of failed sessions and the time of the next attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// RetryCount, kept over restarts and reboots (R98).
    count: u32,
    /// The failures since the boot, which the wait grows with (R129).
    since_boot: u32,
    /// The time of the retry on the monotonic clock; `None` if no retry waits.
    retry_at: Option<Duration>,
    /// The end of the wait that the ACS has asked for by Retry-After, on the monotonic clock; zero if there is none.
    held_until: Duration,
    /// True if the last session failed for want of an address, a route or a name server.
    lacked_network: bool,
    /// The earliest time of an attempt that a change of the network brings forward.
    next_early: Duration,
}

/// The least wait between a change of the network and the attempt that it brings forward: address, route and name server
/// come one after the other.
const SETTLING: Duration = Duration::from_millis(500);

/// The random part of that wait, in milliseconds: devices that get their addresses at the same time do not call at the
/// same time.
const EARLY_JITTER: u64 = 1000;

/// The least time between two attempts that changes of the network bring forward.
const EARLY_INTERVAL: Duration = Duration::from_secs(5);

impl Retry {
    /// Returns the state at a start of the agent, with the count of the journal. The wait begins anew (R129). The
    /// session is repeated at once, since a stopped agent has lost the time of its retry.
    pub fn restore(count: u32, now: Now) -> Retry {
        Retry { count, retry_at: (count > 0).then_some(now.monotonic), ..Retry::default() }
    }

    /// Returns RetryCount for the next Inform: 0 if and only if the last session succeeded (R98, R131).
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Records the start of a session, which replaces the retry (R125).
    pub fn started(&mut self) {
        self.retry_at = None;
    }

    /// Records a successful session (R130).
    pub fn succeeded(&mut self) {
        *self = Retry::default();
    }

    /// Records a failed session and returns the wait before its retry. The wait follows the table, and is at least
    /// `at_least`, the Retry-After of the ACS (R66). Without one, an earlier Retry-After still holds.
    pub fn failed(&mut self, now: Now, policy: RetryPolicy, at_least: Option<Duration>, random: u64) -> Duration {
        if let Some(at_least) = at_least {
            self.held_until = now.monotonic.saturating_add(at_least.min(MAX_RETRY_AFTER));
        }
        self.count = self.count.saturating_add(1);
        // R129: a reboot resets the wait, but not RetryCount, so that the two are counted apart.
        self.since_boot = self.since_boot.saturating_add(1);
        let wait = retry_wait(self.since_boot, policy, random);
        let wait = wait.max(self.held_until.saturating_sub(now.monotonic));
        self.retry_at = Some(now.monotonic.saturating_add(wait));
        wait
    }

    /// Returns the end of the wait that the ACS has asked for by Retry-After, on the monotonic clock; `None` if it is
    /// over.
    pub fn held_until(&self, now: Now) -> Option<Duration> {
        Some(self.held_until).filter(|until| *until > now.monotonic)
    }

    /// Records whether the last session failed for want of an address, a route or a name server.
    pub fn set_lacked_network(&mut self, lacked_network: bool) {
        self.lacked_network = lacked_network;
    }

    /// Makes a waiting retry due now, or at the end of Retry-After. The count goes on. Returns true if a retry waits.
    pub fn bring_forward(&mut self, now: Now) -> bool {
        let earliest = now.monotonic.max(self.held_until);
        self.retry_at = self.retry_at.map(|at| at.min(earliest));
        self.retry_at.is_some()
    }

    /// Brings the retry of a session forward that failed for want of a network, after a change of the network. Returns the
    /// wait if the retry now comes earlier. A storm of changes brings it forward once in [`EARLY_INTERVAL`].
    pub fn network_changed(&mut self, now: Now, random: u64) -> Option<Duration> {
        let wait = SETTLING + Duration::from_millis(random % EARLY_JITTER);
        let earlier = now.monotonic.saturating_add(wait).max(self.next_early).max(self.held_until);
        if !self.lacked_network || self.retry_at.is_none_or(|at| at <= earlier) {
            return None;
        }
        self.retry_at = Some(earlier);
        self.next_early = earlier.saturating_add(EARLY_INTERVAL);
        Some(earlier.saturating_sub(now.monotonic))
    }

    /// Returns the time of the retry on the monotonic clock.
    pub fn deadline(&self) -> Option<Duration> {
        self.retry_at
    }

    /// Returns true once when the retry is due.
    pub fn poll(&mut self, now: Now) -> bool {
        let due = self.deadline().is_some_and(|at| at <= now.monotonic);
        if due {
            self.retry_at = None;
        }
        due
    }
}

/// The limit of Retry-After: an ACS may postpone a session for a day, but not for ever.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    /// R127, R128: the table of default waits.
    #[test]
    fn the_default_table() {
        let table = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560];
        let policy = RetryPolicy::default();
        assert_eq!((policy.minimum_wait, policy.multiplier), (5, 2000));
        for (retry, &least) in (1..).zip(&table) {
            assert_eq!(retry_wait(retry, policy, 0), Duration::from_secs(least));
            let span = least * 1000;
            let most = retry_wait(retry, policy, span);
            assert_eq!(most, Duration::from_secs(2 * least));
            assert_eq!(retry_wait(retry, policy, span + 1), Duration::from_secs(least));
        }
        for retry in [11, 12, 1000, u32::MAX] {
            assert_eq!(retry_wait(retry, policy, 0), Duration::from_secs(2560));
        }
        assert_eq!(retry_wait(0, policy, 0), Duration::from_secs(5));
    }

    /// R132: no setting overflows.
    #[test]
    fn extremes_saturate() {
        let steep = RetryPolicy { minimum_wait: 65535, multiplier: 65535 };
        let mut last = Duration::ZERO;
        for retry in 1..20 {
            let wait = retry_wait(retry, steep, u64::MAX);
            assert!(wait >= last && wait <= Duration::from_millis(MAX_WAIT_MS));
            last = retry_wait(retry, steep, 0);
        }
        assert_eq!(last, Duration::from_millis(MAX_WAIT_MS));
        let wrong = RetryPolicy { minimum_wait: 0, multiplier: 0 };
        assert_eq!(retry_wait(7, wrong, u64::MAX), Duration::from_secs(1));
        let beyond = RetryPolicy { minimum_wait: u32::MAX, multiplier: u32::MAX };
        assert!(retry_wait(10, beyond, 12345) >= Duration::from_millis(MAX_WAIT_MS));
    }

    fn at(seconds: u64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), wall: 0 }
    }

    /// R98, R125, R129, R130, R131: the count and the wait of failures, and their reset by success.
    #[test]
    fn a_session_that_fails_and_then_succeeds() {
        let policy = RetryPolicy::default();
        let mut retry = Retry::default();
        assert_eq!(retry.failed(at(100), policy, None, 0).as_secs(), 5);
        assert_eq!((retry.count(), retry.deadline()), (1, Some(at(105).monotonic)));
        assert!(!retry.poll(at(104)));
        assert!(retry.poll(at(105)) && !retry.poll(at(105)));
        assert_eq!(retry.failed(at(106), policy, None, 0).as_secs(), 10);
        // a new event starts a session sooner, and does not reset the interval
        retry.started();
        assert_eq!(retry.deadline(), None);
        assert_eq!(retry.failed(at(107), policy, None, 0).as_secs(), 20);
        assert_eq!(retry.count(), 3);

        let mut retry = Retry::restore(3, at(0));
        assert!(retry.poll(at(0)));
        assert_eq!(retry.failed(at(1), policy, None, 0).as_secs(), 5);
        assert_eq!(retry.count(), 4);
        retry.succeeded();
        assert_eq!((retry.count(), retry.deadline()), (0, None));
        assert_eq!(Retry::restore(0, at(9)).deadline(), None);
    }

    /// A change of the network shortens the wait of a session that had none, and no other; the count goes on.
    #[test]
    fn a_change_of_the_network_brings_the_retry_forward() {
        let steep = RetryPolicy { minimum_wait: 3600, multiplier: 2000 };
        let mut retry = Retry::default();
        assert_eq!(retry.network_changed(at(0), 0), None, "nothing waits");
        retry.failed(at(0), steep, None, 0);
        assert_eq!(retry.network_changed(at(10), 0), None, "the ACS was reached");
        retry.set_lacked_network(true);
        assert_eq!(retry.network_changed(at(10), 999), Some(Duration::from_millis(1499)));
        assert_eq!(retry.network_changed(at(11), 0), None, "a storm");
        assert!(!retry.poll(at(11)) && retry.poll(at(12)));
        retry.failed(at(12), steep, None, 0);
        assert_eq!(retry.count(), 2);
        assert_eq!(retry.network_changed(at(12), 0), Some(Duration::from_millis(4499)));
        assert!((13..1000).all(|now| retry.network_changed(at(now), 0).is_none()), "it comes once");
        retry.succeeded();
        assert_eq!((retry.network_changed(at(2000), 0), retry.bring_forward(at(2000))), (None, false));
    }

    /// R66: Retry-After holds back what would bring the retry forward, until the ACS gives another one.
    #[test]
    fn retry_after_is_not_cut_short() {
        let policy = RetryPolicy::default();
        let mut retry = Retry::default();
        retry.failed(at(0), policy, Some(Duration::from_secs(60)), 0);
        assert_eq!((retry.held_until(at(59)), retry.held_until(at(60))), (Some(at(60).monotonic), None));
        assert!(retry.bring_forward(at(1)));
        assert_eq!(retry.deadline(), Some(at(60).monotonic));
        retry.started();
        assert_eq!(retry.failed(at(10), policy, None, 0).as_secs(), 50);
        assert_eq!(retry.failed(at(10), policy, Some(Duration::ZERO), 0).as_secs(), 20);
        assert!(retry.bring_forward(at(11)) && retry.poll(at(11)));
    }

    /// R66: Retry-After is a lower bound.
    #[test]
    fn the_acs_asks_for_patience() {
        let policy = RetryPolicy::default();
        let mut retry = Retry::default();
        let minute = Some(Duration::from_secs(60));
        assert_eq!(retry.failed(at(0), policy, minute, 0).as_secs(), 60);
        let second = Some(Duration::from_secs(1));
        assert_eq!(retry.failed(at(0), policy, second, 0).as_secs(), 10);
        let ever = Some(Duration::MAX);
        assert_eq!(retry.failed(at(0), policy, ever, 0).as_secs(), 86400);
    }
}
