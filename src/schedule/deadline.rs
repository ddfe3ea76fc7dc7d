//! A moment to come that outlives a reboot.

use std::time::Duration;

use serde_json::{Value, json};

use super::instant_of;
use crate::clock::Now;

/// A moment that was given as so many seconds from then.
///
/// It is counted on the monotonic clock, so setting the wall clock does not touch it. For the journal it becomes a
/// wall-clock instant, if there is one: that alone outlives a reboot (R155, R234). Without one, the rest of the time is
/// stored_wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Basis);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    /// Basis this monotonic instant, which the journal has as that one of the wall clock.
    Monotonic { instant: Duration, stored_wall: Option<i64> },
    /// Basis this wall-clock instant, read from the journal before the clock was set; at the monotonic one if it never is.
    Wall { wall: i64, fallback: Duration },
}

impl Deadline {
    /// So long from now.
    pub fn after(wait: Duration, now: Now) -> Deadline {
        Deadline(Basis::Monotonic { instant: now.monotonic.saturating_add(wait), stored_wall: None })
    }

    /// When that is, on the monotonic clock, by what is known.
    pub fn instant(self) -> Duration {
        match self.0 {
            Basis::Monotonic { instant, .. } | Basis::Wall { fallback: instant, .. } => instant,
        }
    }

    /// Whether it has come.
    pub fn has_passed(self, now: Now) -> bool {
        self.instant() <= now.monotonic
    }

    /// Whether its instant depends on a clock that was not set yet when it was last [looked at](Deadline::resync_clock).
    pub fn awaits_clock(self) -> bool {
        matches!(self.0, Basis::Wall { .. })
    }

    /// The same moment, by what the clock says now.
    #[must_use]
    pub fn resync_clock(self, now: Now) -> Deadline {
        match self.0 {
            Basis::Wall { wall, .. } if now.clock_is_set() => {
                Deadline(Basis::Monotonic { instant: instant_of(wall, now), stored_wall: Some(wall) })
            }
            _ => self,
        }
    }

    /// For the journal: seconds left, and the wall-clock instant if it is known.
    pub fn to_json(self, now: Now) -> Value {
        let left = self.instant().saturating_sub(now.monotonic);
        // Rounded up: it comes late rather than early. By the wall clock, which is rounded down, it may come a second early
        // where the agent is started in between.
        let left = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        match self.0 {
            Basis::Wall { wall, .. } => json!([left, wall]),
            Basis::Monotonic { stored_wall, .. } if now.clock_is_set() => {
                let wall = now.wall.saturating_add_unsigned(left);
                // The clock has whole seconds: were they rounded at each start, many in a row would put it off for ever.
                let stored_wall = stored_wall.filter(|stored_wall| stored_wall.abs_diff(wall) <= 1);
                json!([left, stored_wall.unwrap_or(wall)])
            }
            Basis::Monotonic { .. } => json!([left]),
        }
    }

    /// What the journal holds; none where it holds something else.
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
    use super::*;

    const SET: i64 = 1_800_000_000;

    fn at(seconds: u64, wall: i64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), wall }
    }

    /// R234: over a reboot by the wall clock, which may be set only after it.
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

    /// R155: an agent that starts again and again, and stores it each time, comes to it nevertheless.
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
        // Where the clock was set meanwhile, it is the seconds that count.
        let moment = Deadline::from_json(&json!([50, SET + 100]), at(7, SET + 80)).expect("a moment");
        assert_eq!(moment.to_json(at(8, SET + 581)), json!([19, SET + 600]));
    }

    /// Without absolute time the rest of the wait is stored_wall.
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
