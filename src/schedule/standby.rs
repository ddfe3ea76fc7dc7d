//! The end of a standby, and whether the ACS learns of it.

use std::time::Duration;

/// The conditions of StandbyPolicy under which `13 WAKEUP` is raised (R305).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandbyPolicy {
    /// The longest standby in seconds that is not reported; `None` if its length does not matter.
    pub longest: Option<u32>,
    /// The most missed periodic contacts that are not reported; `None` if their number does not matter.
    pub missed_periodic: Option<u32>,
    /// True if a missed contact of ScheduleInform is reported.
    pub missed_scheduled: bool,
}

/// A standby that has ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standby {
    /// The length.
    pub length: Duration,
    /// The time that was left to the next periodic contact when it began, and the interval of these contacts.
    pub periodic: Option<(Duration, u32)>,
    /// The time that was left to the next contact of ScheduleInform when it began.
    pub scheduled: Option<Duration>,
}

impl StandbyPolicy {
    /// Returns true if the ACS is to learn of this standby.
    pub fn reports(&self, standby: &Standby) -> bool {
        let is_long = self.longest.is_some_and(|longest| standby.length > Duration::from_secs(longest.into()));
        let missed = u64::from(self.missed_periodic.unwrap_or(u32::MAX));
        is_long
            || (self.missed_periodic.is_some() && standby.missed_periodic() > missed)
            || (self.missed_scheduled && standby.scheduled.is_some_and(|left| left < standby.length))
    }
}

impl Standby {
    /// Returns the number of periodic contacts that fell into the standby.
    fn missed_periodic(&self) -> u64 {
        let Some((left, interval)) = self.periodic.filter(|(left, _)| *left < self.length) else { return 0 };
        1 + (self.length - left).as_secs() / u64::from(interval.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// R305: each condition by itself.
    #[test]
    fn a_standby_is_reported_by_its_length_or_by_what_it_missed() {
        let standby =
            Standby { length: seconds(1000), periodic: Some((seconds(100), 300)), scheduled: Some(seconds(999)) };
        let nothing = StandbyPolicy::default();
        assert!(!nothing.reports(&standby));
        for (longest, reported) in [(0, true), (999, true), (1000, false)] {
            assert_eq!(StandbyPolicy { longest: Some(longest), ..nothing }.reports(&standby), reported, "{longest}");
        }
        // At 100, 400, 700 and 1000 s: four.
        for (missed, reported) in [(0, true), (3, true), (4, false)] {
            let policy = StandbyPolicy { missed_periodic: Some(missed), ..nothing };
            assert_eq!(policy.reports(&standby), reported, "{missed}");
        }
        let scheduled = StandbyPolicy { missed_scheduled: true, ..nothing };
        assert!(scheduled.reports(&standby));
        assert!(!scheduled.reports(&Standby { scheduled: Some(seconds(1000)), ..standby }));
        let calm = Standby { length: seconds(5), periodic: None, scheduled: None };
        assert!(!StandbyPolicy { missed_periodic: Some(0), missed_scheduled: true, ..nothing }.reports(&calm));
    }
}
