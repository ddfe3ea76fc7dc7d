//! The command `speed`: the transfers of DownloadDiagnostics and UploadDiagnostics, for the technician at the device.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::speed::{self, Direction, Interval, Progress, SpeedResult};
use super::{Failure, Order, tenths};
use crate::output::print;

/// Measures the speed of a transfer and prints it.
///
/// # Errors
/// The transfer has failed.
pub(super) fn run(order: &Order, direction: Direction) -> Result<ExitCode, Box<Failure>> {
    // A log file or a pipe must not collect a line for each step.
    let mut line = ProgressLine { is_shown: io::stderr().is_terminal(), next: Duration::ZERO };
    let test = Arc::new(speed::order::test(order, direction));
    let result = speed::run(&test, &mut |progress| line.draw(progress));
    line.clear();
    Ok(print(&text(order, direction, &result?)))
}

/// The progress: one line of the terminal that is drawn over and over.
struct ProgressLine {
    is_shown: bool,
    /// The time since the first byte at which the line is drawn anew.
    next: Duration,
}

impl ProgressLine {
    fn draw(&mut self, progress: Progress) {
        if self.is_shown && progress.elapsed >= self.next {
            self.next = progress.elapsed + Duration::from_secs(1);
            let Progress { elapsed, bytes } = progress;
            // A line that cannot be drawn must not fail the test. ESC [ K clears the line.
            let _ = write!(
                io::stderr(),
                "\r\x1b[K{} s  {} MB  {}",
                elapsed.as_secs(),
                bytes / 1_000_000,
                rate(bytes, elapsed)
            )
            .and_then(|()| io::stderr().flush());
        }
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K").and_then(|()| io::stderr().flush());
        }
    }
}

/// Returns the lines of a result.
fn text(order: &Order, direction: Direction, result: &SpeedResult) -> String {
    let (total, span) = (&result.total, &result.total.span);
    let mut text = String::new();
    let mut line = |label: &str, value: fmt::Arguments<'_>| {
        let _ = writeln!(text, "{label:<14}{value}"); // writing to a String cannot fail
    };
    if let Some(address) = result.address {
        line("from", format_args!("{address}"));
    }
    let opening = total.open_answered.saturating_sub(total.open_requested);
    line("connected", format_args!("in {}", milliseconds(opening)));
    let first = milliseconds(span.begin.saturating_sub(total.requested));
    let words = if direction == Direction::Upload { "sent" } else { "received" };
    line("first byte", format_args!("{words} after {first}"));
    let length = tenths(span.length().as_millis() as u64 / 100);
    line(words, format_args!("{} bytes in {length} s", span.bytes));
    if let Some(interface) = order.devices.first() {
        line(interface, format_args!("{} bytes received, {} sent", span.device.received, span.device.sent));
    }
    for (number, one) in (1..).zip(&result.intervals) {
        line(&format!("second {number}"), format_args!("{}", rate_of(one)));
    }
    line("speed", format_args!("{}", rate_of(span)));
    if result.connections.len() > 1 {
        line("together", format_args!("{}", rate_of(&result.full)));
        for (number, one) in (1..).zip(&result.connections) {
            line(&format!("connection {number}"), format_args!("{}", rate_of(&one.span)));
        }
    }
    text
}

/// Returns the rate of an interval.
fn rate_of(interval: &Interval) -> String {
    rate(interval.bytes, interval.length())
}

/// Returns a time in milliseconds with one decimal.
fn milliseconds(time: Duration) -> String {
    tenths(time.as_micros() as u64 / 100) + " ms"
}

/// Returns the rate of so many bytes in a time.
fn rate(bytes: u64, time: Duration) -> String {
    // Bits in a microsecond are megabits in a second. A time of zero, as of an empty file, has the shortest that is measured.
    let tenths_of_megabits = bytes.saturating_mul(80) / (time.as_micros() as u64).max(1);
    tenths(tenths_of_megabits) + " Mbit/s"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_one_decimal_and_no_division_by_zero() {
        assert_eq!(rate(125_000_000, Duration::from_secs(1)), "1000.0 Mbit/s");
        assert_eq!(rate(0, Duration::ZERO), "0.0 Mbit/s");
        assert_eq!(milliseconds(Duration::from_micros(12_399)), "12.3 ms");
    }
}
