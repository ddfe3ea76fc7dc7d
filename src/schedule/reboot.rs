//! ScheduleReboot and DelayReboot (R156).

use std::time::Duration;

use super::instant_of;
use crate::clock::Now;

/// Reboots that the ACS has planned by setting parameters.
#[derive(Clone, Debug, Default)]
pub struct PlannedReboots {
    scheduled: ScheduledReboot,
    /// The instant of ScheduleReboot that has been obeyed.
    executed: Option<i64>,
    /// DelayReboot: seconds after the end of the session that set it.
    delayed_until: Option<Duration>,
}

/// ScheduleReboot: an instant of the wall clock.
#[derive(Clone, Copy, Debug, Default)]
enum ScheduledReboot {
    #[default]
    None,
    /// The clock is not set: whether the instant has passed cannot be told.
    AwaitsClock { wall: i64 },
    /// The clock has been seen before the instant.
    Ahead { wall: i64, instant: Duration },
}

impl PlannedReboots {
    /// After a start: the instant that was obeyed already. A device without a clock of its own
    /// wakes up before it again, and must not reboot for it once more whenever the clock is set.
    pub fn restore(executed: Option<i64>) -> PlannedReboots {
        PlannedReboots { executed, ..PlannedReboots::default() }
    }

    /// What is to be kept for [`PlannedReboots::restore`].
    pub fn executed(&self) -> Option<i64> {
        self.executed
    }

    /// ScheduleReboot has a new value, or is read at the start: seconds since the Unix epoch,
    /// none for the Unknown Time. An instant that has passed means nothing.
    pub fn schedule(&mut self, wall: Option<i64>, now: Now) {
        self.scheduled = match wall.filter(|wall| Some(*wall) != self.executed) {
            None => ScheduledReboot::None,
            Some(wall) => ScheduledReboot::AwaitsClock { wall }.resync_clock(now),
        };
    }

    /// DelayReboot as it stands when the session that set it has ended; negative for none.
    pub fn delay(&mut self, seconds: i32, now: Now) {
        let seconds = u64::try_from(seconds).ok().map(Duration::from_secs);
        self.delayed_until = seconds.map(|seconds| now.monotonic.saturating_add(seconds));
    }

    /// When the next is due, on the monotonic clock.
    pub fn deadline(&self) -> Option<Duration> {
        let scheduled = match self.scheduled {
            ScheduledReboot::Ahead { instant, .. } => Some(instant),
            ScheduledReboot::None | ScheduledReboot::AwaitsClock { .. } => None,
        };
        scheduled.into_iter().chain(self.delayed_until).min()
    }

    /// Whether to reboot now; said once for each that was planned.
    pub fn poll(&mut self, now: Now) -> bool {
        self.scheduled = self.scheduled.resync_clock(now);
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

    pub(super) fn watches_clock(&self) -> bool {
        !matches!(self.scheduled, ScheduledReboot::None)
    }
}

impl ScheduledReboot {
    /// What is known of the instant now that the clock stands there.
    fn resync_clock(self, now: Now) -> ScheduledReboot {
        match self {
            ScheduledReboot::AwaitsClock { wall } if now.clock_is_set() => match wall > now.wall {
                true => ScheduledReboot::Ahead { wall, instant: instant_of(wall, now) },
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

    /// R156: ScheduleReboot.
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

    /// An instant that has passed, whenever that is found out, means nothing.
    #[test]
    fn an_instant_that_has_passed() {
        let mut reboots = PlannedReboots::default();
        reboots.schedule(Some(SET), at(5, SET));
        assert!(!reboots.poll(at(6, SET + 1)) && !reboots.watches_clock());
        reboots.schedule(Some(SET), at(5, 0));
        assert!(!reboots.poll(at(6, 1)) && reboots.watches_clock());
        assert!(!reboots.poll(at(20, SET + 9)) && !reboots.watches_clock());
    }

    /// The instant is one of the wall clock: it moves with it.
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

    /// A device without a clock of its own: after the reboot it stands before the instant again.
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

    /// R156: DelayReboot.
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
