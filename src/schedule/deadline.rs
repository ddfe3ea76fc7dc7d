//! A deadline that outlives a reboot.

use std::time::Duration;

use serde_json::Value;

use super::instant_of;
use crate::clock::Now;

/// A deadline a number of seconds after it was set.
///
/// The monotonic clock counts it, so that setting the wall clock does not change it. The journal holds it as an instant
/// of the wall clock, the only form that outlives a reboot (R155, R234), or as the remaining seconds if that clock is
/// not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Basis);

/// The clock that the deadline is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    /// The deadline on the monotonic clock, and the instant of the wall clock that the journal holds for it.
    Monotonic { instant: Duration, stored_wall: Option<i64> },
    /// The deadline on the wall clock, read from the journal before that clock was set; `fallback` counts if it never
    /// is.
    Wall { wall: i64, fallback: Duration },
}

impl Deadline {
    /// Returns the deadline after a wait.
    pub fn after(wait: Duration, now: Now) -> Deadline {
        Deadline(Basis::Monotonic { instant: now.monotonic.saturating_add(wait), stored_wall: None })
    }

    /// Returns the deadline on the monotonic clock, as far as it is known.
    pub fn instant(self) -> Duration {
        match self.0 {
            Basis::Monotonic { instant, .. } | Basis::Wall { fallback: instant, .. } => instant,
        }
    }

    /// Returns true if the deadline has been reached.
    pub fn has_passed(self, now: Now) -> bool {
        self.instant() <= now.monotonic
    }

    /// Returns true if the deadline depends on a wall clock that was not set at the last [`Deadline::resync_clock`].
    pub fn awaits_clock(self) -> bool {
        matches!(self.0, Basis::Wall { .. })
    }

    /// Returns the deadline after a look at the wall clock, which may have been set since.
    #[must_use]
    pub fn resync_clock(self, now: Now) -> Deadline {
        match self.0 {
            Basis::Wall { wall, .. } if now.clock_is_set() => {
                Deadline(Basis::Monotonic { instant: instant_of(wall, now), stored_wall: Some(wall) })
            }
            // A counted deadline keeps its seconds when the clock is set later: R154 and R234 give a delay, not an
            // instant.
            _ => self,
        }
    }

    /// Returns the JSON for the journal: the remaining seconds, and the wall-clock instant if it is known.
    pub fn to_json(self, now: Now) -> Value {
        let left = self.instant().saturating_sub(now.monotonic);
        // Rounded up, so that the deadline comes late rather than early. The wall clock is rounded down, so that a
        // restart in between may bring it a second early.
        let left = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        match self.0 {
            Basis::Wall { wall, .. } => Value::Array(vec![left.into(), wall.into()]),
            Basis::Monotonic { stored_wall, .. } if now.clock_is_set() => {
                let wall = now.wall.saturating_add_unsigned(left);
                // The wall clock has whole seconds, and rounding them at each of many restarts would postpone the
                // deadline for ever.
                let stored_wall = stored_wall.filter(|stored_wall| stored_wall.abs_diff(wall) <= 1);
                Value::Array(vec![left.into(), stored_wall.unwrap_or(wall).into()])
            }
            Basis::Monotonic { .. } => Value::Array(vec![left.into()]),
        }
    }

    /// Reads a deadline from the journal; returns `None` if it is unreadable.
    pub fn from_json(json: &Value, now: Now) -> Option<Deadline> {
        let fallback = now.monotonic.saturating_add(Duration::from_secs(json.get(0)?.as_u64()?));
        Some(match json.get(1).and_then(Value::as_i64) {
            Some(wall) => Deadline(Basis::Wall { wall, fallback }).resync_clock(now),
            None => Deadline(Basis::Monotonic { instant: fallback, stored_wall: None }),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SET: i64 = 1_800_000_000;

    fn at(seconds: u64, wall: i64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), wall }
    }

    /// R234: a deadline outlives a reboot by the wall clock, which may be set only later.
    #[test]
    fn outlives_a_reboot() {
        let moment = Deadline::after(Duration::from_millis(99_001), at(1000, SET));
        assert!(!moment.has_passed(at(1099, SET)) && moment.has_passed(at(1100, SET - 500)));
        let json = moment.to_json(at(1050, SET + 50));
        assert_eq!(json, json!([50, SET + 100]));
        let known = Deadline::from_json(&json, at(7, SET + 80)).expect("a moment");
        assert_eq!(known.instant(), Duration::from_secs(27));
        let awaits = Deadline::from_json(&json, at(7, 5)).expect("a moment");
        assert!(awaits.awaits_clock());
        assert_eq!(awaits.instant(), Duration::from_secs(57));
        assert_eq!(awaits.to_json(at(8, 6)), json!([49, SET + 100]));
        assert_eq!(awaits.resync_clock(at(9, SET + 90)).instant(), Duration::from_secs(19));
        assert!(awaits.resync_clock(at(9, SET + 500)).has_passed(at(9, SET + 500)));
    }

    /// R155: the deadline is reached by an agent that restarts and stores it again and again.
    #[test]
    fn many_starts_do_not_put_it_off() {
        let tenths = |count: u64| Now { monotonic: Duration::from_millis(100 * count), wall: SET + count as i64 / 10 };
        let mut json = Deadline::after(Duration::from_secs(2), tenths(9)).to_json(tenths(9));
        let come = (9..100).step_by(2).find(|&now| {
            let moment = Deadline::from_json(&json, tenths(now)).expect("a moment");
            json = moment.to_json(tenths(now + 1));
            moment.has_passed(tenths(now))
        });
        assert!(come.is_some_and(|now| (20..=39).contains(&now)), "{come:?} tenths, not 29");
        // If the clock was set in between, the seconds count.
        let moment = Deadline::from_json(&json!([50, SET + 100]), at(7, SET + 80)).expect("a moment");
        assert_eq!(moment.to_json(at(8, SET + 581)), json!([19, SET + 600]));
    }

    /// Without absolute time the remaining seconds are kept.
    #[test]
    fn without_a_clock() {
        let json = Deadline::after(Duration::from_secs(60), at(10, 0)).to_json(at(20, 10));
        assert_eq!(json, json!([50]));
        assert_eq!(Deadline::from_json(&json, at(3, SET)).map(Deadline::instant), Some(Duration::from_secs(53)));
        for text in ["null", "[]", "[-1]", "7", "{}"] {
            assert_eq!(Deadline::from_json(&serde_json::from_str(text).unwrap(), at(0, 0)), None, "{text}");
        }
    }
}
