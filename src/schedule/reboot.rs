//! The reboots planned by ScheduleReboot and DelayReboot (R156).

use std::time::Duration;

use super::instant_of;
use crate::clock::Now;

/// The reboots that the ACS has planned by setting parameters.
#[derive(Clone, Debug, Default)]
pub struct PlannedReboots {
    scheduled: ScheduledReboot,
    /// The last executed instant of ScheduleReboot.
    executed: Option<i64>,
    /// The deadline of DelayReboot, counted from the end of the session that set it.
    delayed_until: Option<Duration>,
}

/// The state of ScheduleReboot, an instant of the wall clock.
#[derive(Clone, Copy, Debug, Default)]
enum ScheduledReboot {
    #[default]
    None,
    /// The clock is not set, so that the instant may have passed already.
    AwaitsClock { wall: i64 },
    /// The clock has been seen before the instant.
    Ahead { wall: i64, instant: Duration },
}

impl PlannedReboots {
    /// Returns the planned reboots at a start of the agent, with the last executed instant. A device without a clock of
    /// its own starts before that instant again, and must not reboot for it once more when the clock is set.
    pub fn restore(executed: Option<i64>) -> PlannedReboots {
        PlannedReboots { executed, ..PlannedReboots::default() }
    }

    /// Returns the executed instant for [`PlannedReboots::restore`].
    pub fn executed(&self) -> Option<i64> {
        self.executed
    }

    /// Sets ScheduleReboot at a change or a start: seconds since the Unix epoch, `None` for the Unknown Time. A past
    /// instant is ignored (R156).
    pub fn schedule(&mut self, wall: Option<i64>, now: Now) {
        self.scheduled = match wall.filter(|wall| Some(*wall) != self.executed) {
            None => ScheduledReboot::None,
            Some(wall) => ScheduledReboot::AwaitsClock { wall }.resync_clock(now),
        };
    }

    /// Sets DelayReboot at the end of the session that set it; negative for none.
    pub fn delay(&mut self, seconds: i32, now: Now) {
        let seconds = u64::try_from(seconds).ok().map(Duration::from_secs);
        self.delayed_until = seconds.map(|seconds| now.monotonic.saturating_add(seconds));
    }

    /// Returns the time of the next reboot on the monotonic clock.
    pub fn deadline(&self) -> Option<Duration> {
        let scheduled = match self.scheduled {
            ScheduledReboot::Ahead { instant, .. } => Some(instant),
            // Without a clock there is no deadline, and the schedule checks the clock every minute.
            ScheduledReboot::None | ScheduledReboot::AwaitsClock { .. } => None,
        };
        scheduled.into_iter().chain(self.delayed_until).min()
    }

    /// Returns true once for each planned reboot that is due.
    pub fn poll(&mut self, now: Now) -> bool {
        self.scheduled = self.scheduled.resync_clock(now);
        // The wall clock decides, since the deadline may be from before the clock was set.
        if let ScheduledReboot::Ahead { wall, .. } = self.scheduled
            && wall <= now.wall
        {
            self.scheduled = ScheduledReboot::None;
            self.executed = Some(wall);
            return true;
        }
        let delayed = self.delayed_until.is_some_and(|until| until <= now.monotonic);
        if delayed {
            self.delayed_until = None;
        }
        delayed
    }

    /// Returns true while an instant of the wall clock is planned.
    pub(super) fn watches_clock(&self) -> bool {
        !matches!(self.scheduled, ScheduledReboot::None)
    }
}

impl ScheduledReboot {
    /// Re-evaluates the planned instant against the present wall clock.
    fn resync_clock(self, now: Now) -> ScheduledReboot {
        match self {
            ScheduledReboot::AwaitsClock { wall } if now.clock_is_set() => match wall > now.wall {
                true => ScheduledReboot::Ahead { wall, instant: instant_of(wall, now) },
                // R156: an instant in the past has no effect.
                false => ScheduledReboot::None,
            },
            ScheduledReboot::Ahead { wall, .. } => ScheduledReboot::Ahead { wall, instant: instant_of(wall, now) },
            unchanged => unchanged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: i64 = 1_800_000_000;

    fn at(seconds: u64, wall: i64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), wall }
    }

    /// R156: ScheduleReboot reboots once at its instant.
    #[test]
    fn at_an_instant() {
        let mut reboots = PlannedReboots::default();
        reboots.schedule(Some(SET + 100), at(5, SET));
        assert_eq!(reboots.deadline(), Some(Duration::from_secs(105)));
        assert!(!reboots.poll(at(104, SET + 99)));
        assert!(reboots.poll(at(105, SET + 100)));
        assert!(!reboots.poll(at(106, SET + 101)));
        assert!(reboots.deadline().is_none() && !reboots.watches_clock());
    }

    /// A past instant is ignored, also if the clock shows it only later.
    #[test]
    fn an_instant_that_has_passed() {
        let mut reboots = PlannedReboots::default();
        reboots.schedule(Some(SET), at(5, SET));
        assert!(!reboots.poll(at(6, SET + 1)) && !reboots.watches_clock());
        reboots.schedule(Some(SET), at(5, 0));
        assert!(!reboots.poll(at(6, 1)) && reboots.watches_clock());
        assert!(!reboots.poll(at(20, SET + 9)) && !reboots.watches_clock());
    }

    /// The reboot follows the wall clock when that is set.
    #[test]
    fn a_clock_that_is_set_meanwhile() {
        let mut reboots = PlannedReboots::default();
        reboots.schedule(Some(SET + 100), at(5, 0));
        assert!(!reboots.poll(at(65, SET)));
        assert_eq!(reboots.deadline(), Some(Duration::from_secs(165)));
        assert!(!reboots.poll(at(66, SET - 1000)));
        assert_eq!(reboots.deadline(), Some(Duration::from_secs(1166)));
        assert!(reboots.poll(at(67, SET + 3600)));
        reboots.schedule(Some(SET + 100), at(5, SET));
        reboots.schedule(None, at(6, SET));
        assert!(!reboots.poll(at(500, SET + 495)));
    }

    /// A device without a clock of its own starts before the executed instant again.
    #[test]
    fn an_instant_that_was_obeyed() {
        let mut reboots = PlannedReboots::restore(None);
        reboots.schedule(Some(SET + 100), at(5, SET));
        assert!(reboots.poll(at(105, SET + 100)));
        let mut reboots = PlannedReboots::restore(reboots.executed());
        reboots.schedule(Some(SET + 100), at(5, SET - 7200));
        assert!(!reboots.poll(at(65, SET + 160)));
        reboots.schedule(Some(SET + 200), at(66, SET + 161));
        assert!(reboots.poll(at(105, SET + 200)), "another one");
    }

    /// R156: DelayReboot counts from the end of the session.
    #[test]
    fn after_a_delay() {
        let mut reboots = PlannedReboots::default();
        reboots.delay(30, at(10, 0));
        assert_eq!(reboots.deadline(), Some(Duration::from_secs(40)));
        assert!(!reboots.poll(at(39, SET)) && reboots.poll(at(40, 0)));
        assert!(!reboots.poll(at(41, 0)));
        reboots.delay(0, at(50, 0));
        reboots.delay(-1, at(50, 0));
        assert!(!reboots.poll(at(51, 0)));
        reboots.delay(0, at(52, 0));
        assert!(reboots.poll(at(52, 0)));
    }
}
