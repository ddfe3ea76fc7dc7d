//! The clock: the only module that reads the time of the system.
//!
//! The agent thread takes a [`Now`] once a turn and passes it on. Neither the protocol nor the model reads a clock, so
//! that tests choose the time.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The earliest date of a clock that was set: 2024-01-01T00:00:00Z in Unix time. A gateway without a battery starts in
/// 1970, or at the date on which its firmware was built.
const EARLIEST_CREDIBLE: i64 = 1_704_067_200;

/// An instant on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic time, which never jumps: since the boot of the device if the kernel reports its uptime, otherwise
    /// since the start of the agent. Deadlines are of this clock.
    pub monotonic: Duration,
    /// The seconds since the Unix epoch, UTC. This clock jumps when it is set.
    pub wall: i64,
}

impl Now {
    /// Returns true if the device has absolute time (R32, R97).
    pub fn clock_is_set(&self) -> bool {
        self.wall > EARLIEST_CREDIBLE
    }
}

/// The clock of the agent.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    uptime_at_start: Duration,
}

impl Clock {
    /// Returns the clock of this process, whose monotonic time counts from the boot of the device, or from the first call if the
    /// kernel does not report its uptime.
    pub fn new() -> Clock {
        // One for all threads, which pass instants to each other: the uptime that each would read has whole seconds.
        static CLOCK: OnceLock<Clock> = OnceLock::new();
        *CLOCK.get_or_init(|| {
            let uptime = std::fs::read_to_string("/proc/uptime").ok();
            Clock { start: instant(), uptime_at_start: uptime.as_deref().and_then(parse_uptime).unwrap_or_default() }
        })
    }

    /// Returns the time that the device has spent in standby since its boot; `None` if the kernel does not tell. Exact to a
    /// second or two.
    pub fn standby(&self) -> Option<Duration> {
        // Unlike the clock of deadlines, the uptime goes on in standby.
        let uptime = parse_uptime(&std::fs::read_to_string("/proc/uptime").ok()?)?;
        Some(uptime.saturating_sub(self.now().monotonic))
    }

    /// Returns the present time.
    pub fn now(&self) -> Now {
        // The uptime is read once: its file has hundredths of a second, too coarse for a deadline.
        let monotonic = self.uptime_at_start.saturating_add(instant().saturating_duration_since(self.start));
        Now { monotonic, wall: wall() }
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

/// Returns the seconds since the Unix epoch, UTC, for the log and other drivers that write a date.
#[allow(clippy::disallowed_methods, reason = "this is where the time is taken")]
pub(crate) fn wall() -> i64 {
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => seconds(since),
        // A clock before 1970. The fraction is dropped; no caller needs it.
        Err(before) => -seconds(before.duration()),
    }
}

#[allow(clippy::disallowed_methods, reason = "this is where the time is taken")]
fn instant() -> Instant {
    Instant::now()
}

/// Reads the first field of `/proc/uptime`, in whole seconds.
fn parse_uptime(text: &str) -> Option<Duration> {
    // As an integer: many CPUs of gateways lack floating point, whose emulation would be linked for this alone.
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
        // A date beyond 32 bits.
        assert!(at(1 << 33).clock_is_set());
    }

    /// With a `time_t` of 32 bits, setting or reading such a date is an error.
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
