//! Upper limits of time that hold on a loaded machine too.

use std::fs;
use std::time::{Duration, Instant};

use super::agent::patience;

/// The files in which Linux counts the time for which a process had to wait for a processor or a disk.
const PRESSURE: [&str; 2] = ["/proc/pressure/cpu", "/proc/pressure/io"];

/// A stopwatch for upper limits. A limit grows by the time for which processes of this machine waited for a processor or a
/// disk: that time is one of other programs, and not of the agent. A kernel that does not count it leaves the limit as it is.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    began: Instant,
    stalled: Duration,
}

impl Stopwatch {
    /// Returns a stopwatch that runs from now on.
    pub fn start() -> Stopwatch {
        Stopwatch { began: Instant::now(), stalled: stalled() }
    }

    /// Returns the time since the start, for lower limits and messages.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Returns the time since the start for which processes of this machine waited for a processor or a disk.
    pub fn stalled(&self) -> Duration {
        stalled().saturating_sub(self.stalled)
    }

    /// Returns true if the time since the start is within the limit on an idle machine; see [`Stopwatch`] and [`patience`].
    pub fn is_within(&self, limit: Duration) -> bool {
        self.elapsed() < patience(limit) + self.stalled()
    }
}

/// Returns the sum of the waits since the start of the machine.
fn stalled() -> Duration {
    PRESSURE.iter().filter_map(|file| total(&fs::read_to_string(file).ok()?)).sum()
}

/// Returns the total of the line `some`: the time for which at least one process waited.
fn total(text: &str) -> Option<Duration> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    line.rsplit_once("total=")?.1.parse().ok().map(Duration::from_micros)
}

#[test]
fn the_total_of_a_file_of_the_kernel_is_read() {
    let text =
        "some avg10=98.98 avg60=99.02 avg300=89.76 total=772247698\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n";
    assert_eq!(total(text), Some(Duration::from_micros(772_247_698)));
    assert_eq!(total(""), None);
}
