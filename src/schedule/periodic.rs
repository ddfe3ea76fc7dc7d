//! Informs at a fixed interval, in phase with a reference time.

use std::time::Duration;

use super::offset;
use crate::clock::Now;

/// PeriodicInformEnable, -Interval and -Time; of the heartbeat: Enable, ReportingInterval and
/// InitiationTime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodicSettings {
    /// Seconds from one to the next, at least 1.
    pub interval: u32,
    /// An instant they are in phase with, in seconds since the Unix epoch, however far away;
    /// none for the Unknown Time (R150, R151).
    pub reference: Option<i64>,
    /// A random number of this device: its phase where there is no reference, or no clock to
    /// find it with (R152).
    pub local_phase: u64,
}

/// How far the wall clock may drift before the phase is worked out anew, in seconds.
const DRIFT: u64 = 2;

/// Whether something happens periodically, and when it does next.
#[derive(Clone, Debug, Default)]
pub struct Periodic(Option<PeriodicTimer>);

#[derive(Clone, Debug)]
struct PeriodicTimer {
    settings: PeriodicSettings,
    /// The wall clock's offset that the deadline was worked out with; none with a local phase.
    phase: Option<i64>,
    /// No deadline before this: half an interval after the last one.
    not_before: Duration,
    deadline: Duration,
}

impl Periodic {
    /// Applies what the parameters say; none if disabled. Unchanged settings change nothing
    /// (R153). Gives whether they were new.
    pub fn set(&mut self, settings: Option<PeriodicSettings>, now: Now) -> bool {
        if self.0.as_ref().map(|running| running.settings) == settings {
            return false;
        }
        self.0 = settings.map(|settings| PeriodicTimer::start(settings, now));
        true
    }

    /// When it happens next, on the monotonic clock.
    pub fn deadline(&self) -> Option<Duration> {
        self.0.as_ref().map(|running| running.deadline)
    }

    /// Whether it happens now; said once an interval.
    pub fn poll(&mut self, now: Now) -> bool {
        self.0.as_mut().is_some_and(|running| running.poll(now))
    }

    pub(super) fn watches_clock(&self) -> bool {
        let reference = self.0.as_ref().and_then(|running| running.settings.reference);
        reference.is_some()
    }
}

impl PeriodicTimer {
    fn start(settings: PeriodicSettings, now: Now) -> PeriodicTimer {
        let mut running = PeriodicTimer { settings, phase: None, not_before: now.monotonic, deadline: now.monotonic };
        running.set_deadline(now);
        running
    }

    fn poll(&mut self, now: Now) -> bool {
        if self.deadline <= now.monotonic {
            let half = Duration::from_millis(u64::from(self.interval()) * 500);
            self.not_before = now.monotonic.saturating_add(half);
            self.set_deadline(now);
            return true;
        }
        if self.clock_has_shifted(now) {
            self.set_deadline(now);
        }
        false
    }

    /// Whether the wall clock is no longer the one that the deadline was worked out with.
    fn clock_has_shifted(&self, now: Now) -> bool {
        match (self.phase, self.absolute_phase(now)) {
            (Some(then), Some(today)) => then.abs_diff(today) > DRIFT,
            (None, None) => false,
            _ => true,
        }
    }

    /// Aims at the first instant in phase after now, and not before `not_before`: the clock may
    /// jump back over an instant that was served, and must not serve it twice at once. However
    /// often it jumps, two intervals after `not_before` is the latest.
    fn set_deadline(&mut self, now: Now) {
        let interval = u64::from(self.interval());
        self.phase = self.absolute_phase(now);
        // Counted in whole seconds from now on, so as never to come out before the instant.
        let ahead = whole_seconds(self.not_before.saturating_sub(now.monotonic));
        let since_an_instant = match (self.phase, self.settings.reference) {
            (Some(_), Some(reference)) => {
                let wall = i128::from(now.wall) + i128::from(ahead);
                (wall - i128::from(reference)).rem_euclid(i128::from(interval)) as u64
            }
            _ => {
                let phase = self.settings.local_phase % interval;
                let seconds = now.monotonic.as_secs().saturating_add(ahead);
                (seconds % interval + interval - phase) % interval
            }
        };
        let wait = match (ahead, since_an_instant) {
            (1.., 0) => ahead,
            _ => ahead + (interval - since_an_instant),
        };
        let next = now.monotonic.saturating_add(Duration::from_secs(wait));
        let latest = self.not_before.saturating_add(Duration::from_secs(2 * interval));
        self.deadline = next.min(latest.max(now.monotonic));
    }

    fn absolute_phase(&self, now: Now) -> Option<i64> {
        let known = self.settings.reference.is_some() && now.clock_is_set();
        known.then(|| offset(now))
    }

    fn interval(&self) -> u32 {
        self.settings.interval.max(1)
    }
}

/// Rounded up.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
