//! The waits between attempts to begin an event source anew.

use std::time::Duration;

/// The wait after the first failure in a row; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The waits between attempts.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
    until: Duration,
    /// The instant of the last success.
    began: Option<Duration>,
}

impl BackOff {
    /// Returns the instant of the next attempt.
    pub(crate) fn until(&self) -> Duration {
        self.until
    }

    /// Notes a success.
    pub(crate) fn begin(&mut self, now: Duration) {
        self.began = Some(now);
    }

    /// Notes a failure, or an end. Returns the wait, and true if it is the first failure in a row.
    pub(crate) fn fail(&mut self, now: Duration) -> (Duration, bool) {
        // One that has run for long is no failure in a row.
        if self.began.take().is_some_and(|began| now.saturating_sub(began) >= LONGEST_WAIT) {
            self.failures = 0;
        }
        let wait = (FIRST_WAIT * 2u32.pow(self.failures.min(6))).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.until = now + wait;
        (wait, self.failures == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_until_one_has_run_for_long() {
        let second = Duration::from_secs;
        let mut back_off = BackOff::default();
        assert_eq!(back_off.until(), Duration::ZERO);
        let waits: Vec<(Duration, bool)> = (0..8).map(|_| back_off.fail(second(100))).collect();
        let expected = [1, 2, 4, 8, 16, 32, 60, 60].map(second);
        assert_eq!(waits.iter().map(|(wait, _)| *wait).collect::<Vec<_>>(), expected);
        assert_eq!(waits.iter().filter(|(_, is_first)| *is_first).count(), 1);
        assert_eq!(back_off.until(), second(160));
        back_off.begin(second(160));
        assert_eq!(back_off.fail(second(161)), (second(60), false), "it has run for a moment only");
        back_off.begin(second(300));
        assert_eq!(back_off.fail(second(360)), (second(1), true));
        assert_eq!(back_off.fail(second(500)), (second(2), false), "an attempt that fails has not run");
    }
}
