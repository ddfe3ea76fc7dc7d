//! The states of links and hosts: the kernel does not tell when they changed, and so the agent keeps the instant at which it saw
//! each for the first time.

use std::time::Duration;

/// The present states in the order of the names, each with the instant of the monotonic clock at which it was seen first.
#[derive(Default)]
pub(super) struct States(Vec<(String, &'static str, Duration)>);

impl States {
    /// Takes over the present states. Returns the seconds since each was seen first, in the same order. A name that is gone is
    /// forgotten.
    pub(super) fn note<'n>(
        &mut self,
        present: impl Iterator<Item = (&'n str, &'static str)>,
        now: Duration,
    ) -> Vec<u64> {
        let before = std::mem::take(&mut self.0);
        let since = |name: &str, state: &str| {
            let known = before.binary_search_by(|(known, ..)| known.as_str().cmp(name)).ok().map(|at| &before[at]);
            known.filter(|(_, last, _)| *last == state).map_or(now, |(_, _, since)| *since)
        };
        self.0 = present.map(|(name, state)| (name.to_owned(), state, since(name, state))).collect();
        let ages = self.0.iter().map(|(_, _, since)| now.saturating_sub(*since).as_secs()).collect();
        self.0.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
        ages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_as_old_as_its_first_sight() {
        let mut states = States::default();
        let mut note = |present: &[(&'static str, &'static str)], now| {
            states.note(present.iter().copied(), Duration::from_secs(now))
        };
        assert_eq!(note(&[("wan", "Up"), ("lan", "Down")], 100), [0, 0]);
        assert_eq!(note(&[("lan", "Up"), ("wan", "Up")], 107), [0, 7]);
        assert_eq!(note(&[("lan", "Up")], 110), [3]);
        assert_eq!(note(&[("lan", "Up"), ("wan", "Up")], 120), [13, 0], "a link that was gone");
    }
}
