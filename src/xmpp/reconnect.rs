//! The attempts to connect: which address of which server comes next, and the wait before it (R297).

use std::time::Duration;

/// The parameters of the data model for the wait between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    /// ServerConnectAttempts: the attempts with one address. Zero leaves the number to the device.
    pub(crate) attempts: u32,
    /// ServerRetryInitialInterval in seconds.
    pub(crate) initial: u32,
    /// ServerRetryIntervalMultiplier in thousandths.
    pub(crate) multiplier: u32,
    /// ServerRetryMaxInterval in seconds.
    pub(crate) max: u32,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { attempts: 16, initial: 60, multiplier: 2000, max: 30_720 }
    }
}

impl RetryPolicy {
    /// Returns the wait before the `n`th attempt after the first one: at random between zero and an interval that grows.
    fn wait(&self, n: u32, random: u64) -> Duration {
        let max = u64::from(self.max).saturating_mul(1000);
        let mut interval = u64::from(self.initial).saturating_mul(1000).min(max); // in milliseconds
        for _ in 1..n {
            let next = (interval.saturating_mul(self.multiplier.into()) / 1000).min(max);
            if next <= interval {
                break; // at the limit, or with a factor of 1
            }
            interval = next;
        }
        Duration::from_millis(random % (interval + 1))
    }
}

/// The place of the next attempt among the servers and their addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The index of the server.
    pub(crate) server: usize,
    /// The index of the address of this server.
    pub(crate) address: usize,
    /// The failed attempts with this address.
    failures: u32,
    /// True if all addresses of all servers have failed.
    exhausted: bool,
}

impl Cursor {
    /// Returns true if the next attempt is the first one with the first address of the first server.
    pub(crate) fn is_first(self) -> bool {
        (self.server, self.address, self.failures) == (0, 0, 0)
    }

    /// Counts a failed attempt with one of `servers` servers, this one with `addresses` addresses, and moves on when the
    /// address has had its attempts. Returns the wait before the next attempt.
    pub(crate) fn fail(&mut self, policy: RetryPolicy, servers: usize, addresses: usize, random: u64) -> Duration {
        let policy = if policy.attempts == 0 { RetryPolicy::default() } else { policy };
        self.failures = self.failures.saturating_add(1);
        let failures = self.failures;
        if failures >= policy.attempts {
            (self.failures, self.address) = (0, self.address + 1);
            if self.address >= addresses.max(1) {
                (self.address, self.server) = (0, self.server + 1);
            }
            if self.server >= servers.max(1) {
                (self.server, self.exhausted) = (0, true);
            }
        }
        // After a whole round there is no reason to hurry: the waits stay at their limit.
        let n = if self.exhausted { u32::MAX } else { self.failures.max(1) };
        policy.wait(n, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of TR-181: at most 1, 2, 4 … 512, 512 minutes.
    #[test]
    fn the_waits_of_the_factory_values() {
        let policy = RetryPolicy::default();
        let longest = |n| {
            let interval = (1..=u64::from(policy.max) * 1000)
                .rev()
                .step_by(1000)
                .find(|ms| policy.wait(n, *ms) == Duration::from_millis(*ms));
            interval.map(|ms| ms / 60_000)
        };
        let expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512];
        assert_eq!((1..=11).map(longest).collect::<Vec<_>>(), expected.map(Some));
        assert_eq!((policy.wait(3, 0), policy.wait(u32::MAX, 30_720_001)), (Duration::ZERO, Duration::ZERO));
        let steady = RetryPolicy { multiplier: 1000, ..policy };
        assert_eq!(steady.wait(u32::MAX, 60_000), Duration::from_secs(60));
        let extreme = RetryPolicy { initial: u32::MAX, multiplier: u32::MAX, max: u32::MAX, attempts: 1 };
        assert!(extreme.wait(u32::MAX, u64::MAX) <= Duration::from_secs(u32::MAX.into()));
    }

    #[test]
    fn each_address_has_its_attempts() {
        let policy = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
        let (mut cursor, mut places) = (Cursor::default(), Vec::new());
        for _ in 0..9 {
            places.push((cursor.server, cursor.address));
            // The first server has two addresses, the second one.
            let addresses = if cursor.server == 0 { 2 } else { 1 };
            cursor.fail(policy, 2, addresses, 0);
        }
        assert_eq!(places, [(0, 0), (0, 0), (0, 1), (0, 1), (1, 0), (1, 0), (0, 0), (0, 0), (0, 1)]);
    }

    #[test]
    fn the_wait_starts_anew_with_each_address_but_not_after_a_round() {
        let policy = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
        let mut cursor = Cursor::default();
        // The random number is the longest wait of the step, so that one millisecond less in the interval gives zero.
        for (random, addresses) in [(60_000, 2), (120_000, 2), (60_000, 2), (60_000, 2), (120_000, 2)] {
            assert_eq!(cursor.fail(policy, 1, addresses, random), Duration::from_millis(random));
        }
        assert_eq!(cursor.fail(policy, 1, 2, 30_720_000), Duration::from_secs(30_720));
        assert_eq!((cursor.server, cursor.address), (0, 0));
        let unset = RetryPolicy { attempts: 0, initial: 1, multiplier: 1000, max: 1 };
        assert_eq!(Cursor::default().fail(unset, 1, 1, 60_000), Duration::from_secs(60));
    }
}
