//! Informs at a fixed interval, in phase with a reference time.

use std::time::Duration;

use super::offset;
use crate::clock::Now;

/// The parameters PeriodicInformEnable, -Interval and -Time, or those of the heartbeat: Enable, ReportingInterval and
/// InitiationTime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodicSettings {
    /// The seconds from one Inform to the next, at least 1.
    pub interval: u32,
    /// The instant that sets the phase, in seconds since the Unix epoch, in the past or the future; `None` for the
    /// Unknown Time (R150, R151).
    pub reference: Option<i64>,
    /// A random number of the device: the phase without a reference or without a clock (R152).
    pub local_phase: u64,
}

/// The drift of the wall clock, in seconds, after which the phase is computed anew.
const DRIFT: u64 = 2;

/// A periodic Inform, if it is enabled.
#[derive(Clone, Debug, Default)]
pub struct Periodic(Option<PeriodicTimer>);

/// An enabled periodic Inform with its next deadline.
#[derive(Clone, Debug)]
struct PeriodicTimer {
    settings: PeriodicSettings,
    /// The offset of the wall clock for which the deadline was computed; `None` with a local phase.
    clock_offset: Option<i64>,
    /// The lower bound of the deadline: half an interval after the last one.
    not_before: Duration,
    deadline: Duration,
}

impl Periodic {
    /// Applies the parameters; `None` if disabled. Returns true if they have changed, since unchanged ones must not
    /// move the phase (R153).
    pub fn set(&mut self, settings: Option<PeriodicSettings>, now: Now) -> bool {
        if self.0.as_ref().map(|timer| timer.settings) == settings {
            return false;
        }
        self.0 = settings.map(|settings| PeriodicTimer::start(settings, now));
        true
    }

    /// Returns the time of the next Inform on the monotonic clock.
    pub fn deadline(&self) -> Option<Duration> {
        self.0.as_ref().map(|timer| timer.deadline)
    }

    /// Returns true once per interval, when the Inform is due.
    pub fn poll(&mut self, now: Now) -> bool {
        self.0.as_mut().is_some_and(|timer| timer.poll(now))
    }

    /// Returns true if the wall clock sets the phase.
    pub(super) fn watches_clock(&self) -> bool {
        let reference = self.0.as_ref().and_then(|timer| timer.settings.reference);
        reference.is_some()
    }
}

impl PeriodicTimer {
    fn start(settings: PeriodicSettings, now: Now) -> PeriodicTimer {
        let mut timer =
            PeriodicTimer { settings, clock_offset: None, not_before: now.monotonic, deadline: now.monotonic };
        timer.set_deadline(now);
        timer
    }

    fn poll(&mut self, now: Now) -> bool {
        if self.deadline <= now.monotonic {
            // Half an interval excludes a second Inform for the same instant after a small step of the clock.
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

    /// Returns true if the wall clock differs from the one that the deadline was computed with.
    fn clock_has_shifted(&self, now: Now) -> bool {
        match (self.clock_offset, self.usable_offset(now)) {
            (Some(then), Some(today)) => then.abs_diff(today) > DRIFT,
            (None, None) => false,
            _ => true,
        }
    }

    /// Sets the deadline to the first instant in phase, not before `not_before`: a clock that is set back reaches a
    /// served instant again, and must not serve it twice. The deadline is at most two intervals after `not_before`,
    /// however often the clock jumps.
    fn set_deadline(&mut self, now: Now) {
        let interval = u64::from(self.interval());
        self.clock_offset = self.usable_offset(now);
        // Whole seconds from the present, so that the deadline never comes before its instant.
        let ahead = whole_seconds(self.not_before.saturating_sub(now.monotonic));
        let since_an_instant = match (self.clock_offset, self.settings.reference) {
            (Some(_), Some(reference)) => {
                // Each instant by itself, because a reference may be as far from the present as i64 reaches.
                let in_phase = |instant: i64| instant.rem_euclid(interval as i64) as u64;
                (in_phase(now.wall) + ahead % interval + interval - in_phase(reference)) % interval
            }
            _ => {
                let phase = self.settings.local_phase % interval;
                let seconds = now.monotonic.as_secs().saturating_add(ahead);
                (seconds % interval + interval - phase) % interval
            }
        };
        // An instant exactly at a later `not_before` is still to come; one at the present was served by the last poll.
        let wait = match (ahead, since_an_instant) {
            (1.., 0) => ahead,
            _ => ahead + (interval - since_an_instant),
        };
        let next = now.monotonic.saturating_add(Duration::from_secs(wait));
        let latest = self.not_before.saturating_add(Duration::from_secs(2 * interval));
        self.deadline = next.min(latest.max(now.monotonic));
    }

    /// Returns the offset of the wall clock, if the clock is set and a reference uses it.
    fn usable_offset(&self, now: Now) -> Option<i64> {
        let known = self.settings.reference.is_some() && now.clock_is_set();
        known.then(|| offset(now))
    }

    /// Returns the interval in seconds. A stored 0 would be a division by zero.
    fn interval(&self) -> u32 {
        self.settings.interval.max(1)
    }
}

/// Returns the duration in seconds, rounded up.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
