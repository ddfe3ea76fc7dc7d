//! The clock: the one place that asks the system for the time.
//!
//! `agent.rs` takes a [`Now`] once a turn and hands it down; nothing below reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// 2024-01-01T00:00:00Z. A gateway without a battery-backed clock starts in 1970 or at the date
/// its firmware was built, so anything earlier is a clock that nobody has set.
const EARLIEST_CREDIBLE: i64 = 1_704_067_200;

/// A moment, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since an arbitrary start, the boot of the device where that is known; never jumps.
    pub monotonic: Duration,
    /// Seconds since the Unix epoch, UTC; jumps when the clock is set.
    pub wall: i64,
}

impl Now {
    /// Whether the device has absolute time (R32, R97).
    pub fn clock_is_set(&self) -> bool {
        self.wall > EARLIEST_CREDIBLE
    }
}

/// Gives the time. Driver: created once, by the thread that owns the state.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    uptime_at_start: Duration,
}

impl Clock {
    /// A clock whose monotonic time counts from the boot of the device, or from now where the
    /// kernel does not tell its uptime.
    pub fn new() -> Clock {
        let uptime = std::fs::read_to_string("/proc/uptime").ok();
        Clock { start: instant(), uptime_at_start: uptime.as_deref().and_then(parse_uptime).unwrap_or_default() }
    }

    /// The time at this moment.
    pub fn now(&self) -> Now {
        let monotonic = self.uptime_at_start.saturating_add(instant().saturating_duration_since(self.start));
        Now { monotonic, wall: wall() }
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

/// Seconds since the Unix epoch, UTC, for drivers that stamp what they write.
#[allow(clippy::disallowed_methods, reason = "this is where the time is taken")]
pub(crate) fn wall() -> i64 {
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => seconds(since),
        // A clock before 1970; the fraction is of no interest to anybody.
        Err(before) => -seconds(before.duration()),
    }
}

#[allow(clippy::disallowed_methods, reason = "this is where the time is taken")]
fn instant() -> Instant {
    Instant::now()
}

/// The first field of `/proc/uptime`, in whole seconds: floating point would be the only one of its
/// kind in a binary for CPUs that have none.
fn parse_uptime(text: &str) -> Option<Duration> {
    let (seconds, _) = text.split_once('.')?;
    seconds.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_credible_date_counts_as_set() {
        let at = |wall| Now { monotonic: Duration::ZERO, wall };
        assert!(!at(0).clock_is_set());
        assert!(!at(-1).clock_is_set());
        assert!(!at(EARLIEST_CREDIBLE).clock_is_set());
        assert!(at(EARLIEST_CREDIBLE + 1).clock_is_set());
        // Past what 32 bits hold.
        assert!(at(1 << 33).clock_is_set());
    }

    /// Where `time_t` has 32 bits, it is an error to ask for such a date, and to read it.
    #[test]
    fn files_have_dates_past_what_32_bits_hold() {
        let path = std::env::temp_dir().join(format!("cpe-agent-2106-{}", std::process::id()));
        let file = std::fs::File::create(&path).expect("a file");
        for seconds in [1 << 31, 1 << 32, (1 << 32) + (1 << 31)] {
            let date = UNIX_EPOCH + Duration::from_secs(seconds);
            file.set_modified(date).expect("a date after 2038");
            assert_eq!(std::fs::metadata(&path).and_then(|found| found.modified()).expect("its date"), date);
        }
        std::fs::remove_file(&path).expect("the file goes");
    }

    #[test]
    fn the_monotonic_clock_advances_and_the_machine_has_a_date() {
        let clock = Clock::new();
        let first = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        let second = clock.now();
        assert!(second.monotonic - first.monotonic >= Duration::from_millis(2));
        assert!(first.clock_is_set());
    }

    #[test]
    fn uptime_is_the_first_field_in_whole_seconds() {
        assert_eq!(parse_uptime("12.50 30.00\n"), Some(Duration::from_secs(12)));
        for text in ["", "\n", "x.0 1", "-1.0 1", "12", "99999999999999999999.0 1"] {
            assert_eq!(parse_uptime(text), None, "{text:?}");
        }
    }
}
