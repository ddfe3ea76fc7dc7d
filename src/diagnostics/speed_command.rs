//! The command `speed`: the transfers of DownloadDiagnostics and UploadDiagnostics, for the technician at the device.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::speed::{self, Direction, MAX_CONNECTIONS, Progress, SILENCE, SpeedError, SpeedResult, SpeedTest};
use super::tenths;
use crate::clock::Clock;
use crate::http::TlsSettings;
use crate::output::print;
use crate::socket_options::SocketOptions;

/// The duration of an upload without an end.
const UPLOAD: u32 = 10;
/// The longest duration in seconds, as in the data model.
const MAX_SECONDS: u32 = 999;

/// The operands of `speed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeedArguments {
    is_upload: bool,
    url: String,
    /// The size of an upload; 0 for one that time ends.
    bytes: u64,
    connections: u32,
    /// The duration; 0 for a test that its file ends.
    seconds: u32,
    /// The name of the interface; empty for that of the routes.
    interface: String,
}

impl SpeedArguments {
    /// Reads the operands, or returns a message for the user.
    pub(crate) fn parse(operands: &[String]) -> Result<SpeedArguments, String> {
        let [direction, url, options @ ..] = operands else {
            return Err("`download` or `upload`, or a URL is missing".into());
        };
        let is_upload = match direction.as_str() {
            "download" => false,
            "upload" => true,
            other => return Err(format!("`{other}` is neither `download` nor `upload`")),
        };
        let interface = String::new();
        let mut read = SpeedArguments { is_upload, url: url.clone(), bytes: 0, connections: 1, seconds: 0, interface };
        for option in options {
            let Some((name, value)) = option.split_once('=') else {
                return Err(format!("unexpected argument `{option}`"));
            };
            let number = |max: u64| match value.parse() {
                Ok(number) if (1..=max).contains(&number) => Ok(number),
                _ => Err(format!("{name} needs a number from 1 to {max}")),
            };
            match name {
                "bytes" if is_upload => read.bytes = number(u64::MAX)?,
                "connections" => read.connections = number(MAX_CONNECTIONS.into())? as u32,
                "seconds" => read.seconds = number(MAX_SECONDS.into())? as u32,
                "interface" if !value.is_empty() => read.interface = value.to_owned(),
                "bytes" => return Err("bytes is the size of an upload: the file ends a download".into()),
                _ => return Err(format!("unexpected argument `{option}`")),
            }
        }
        match read.bytes > 0 && read.seconds > 0 {
            true => Err("bytes and seconds exclude each other".into()),
            false => Ok(read),
        }
    }

    fn test(&self, tls: TlsSettings) -> SpeedTest {
        let seconds = if self.is_upload && self.bytes == 0 && self.seconds == 0 { UPLOAD } else { self.seconds };
        SpeedTest {
            direction: if self.is_upload { Direction::Upload } else { Direction::Download },
            url: self.url.clone(),
            length: self.bytes,
            connections: self.connections,
            duration: Duration::from_secs(seconds.into()),
            // As other programs print it.
            interval: Duration::from_secs(1),
            offset: Duration::ZERO,
            silence: SILENCE,
            options: SocketOptions {
                devices: Some(self.interface.clone()).filter(|name| !name.is_empty()).into_iter().collect(),
                ..SocketOptions::default()
            },
            tls,
            clock_is_set: Clock::new().now().clock_is_set(),
            stop: Arc::default(),
        }
    }
}

/// Measures the speed of a transfer and prints it. The exit status is 1 if the transfer fails.
pub fn speed(tls: TlsSettings, arguments: &SpeedArguments) -> ExitCode {
    // A log file or a pipe must not collect a line for each step.
    let mut line = ProgressLine { is_shown: io::stderr().is_terminal(), next: Duration::ZERO };
    let outcome = speed::run(&arguments.test(tls), &mut |progress| line.draw(progress));
    line.clear();
    match outcome {
        Ok(result) => print(&text(arguments, &result)),
        Err(SpeedError::Failed(_, reason)) => failed(&reason),
        Err(SpeedError::Stopped) => failed("stopped"),
    }
}

fn failed(reason: &str) -> ExitCode {
    eprintln!("cpe-agent: {reason}");
    ExitCode::FAILURE
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
fn text(arguments: &SpeedArguments, result: &SpeedResult) -> String {
    let (total, span) = (&result.total, &result.total.span);
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let Some(address) = result.address {
        let _ = writeln!(text, "from          {address}");
    }
    let _ =
        writeln!(text, "connected     in {}", milliseconds(total.open_answered.saturating_sub(total.open_requested)));
    let first = milliseconds(span.begin.saturating_sub(total.requested));
    let words = if arguments.is_upload { "sent" } else { "received" };
    let _ = writeln!(text, "first byte    {words} after {first}");
    let length = tenths(span.length().as_millis() as u64 / 100);
    let _ = writeln!(text, "{words:<14}{} bytes in {length} s", span.bytes);
    if !arguments.interface.is_empty() {
        let device = span.device;
        let _ = writeln!(text, "{:<14}{} bytes received, {} sent", arguments.interface, device.received, device.sent);
    }
    for (index, one) in result.intervals.iter().enumerate() {
        let _ = writeln!(text, "second {:<7}{}", index + 1, rate(one.bytes, one.length()));
    }
    let _ = writeln!(text, "speed         {}", rate(span.bytes, span.length()));
    if arguments.connections == 1 {
        return text;
    }
    let _ = writeln!(text, "together      {}", rate(result.full.bytes, result.full.length()));
    for (index, one) in result.connections.iter().enumerate() {
        let _ =
            writeln!(text, "{:<14}{}", format!("connection {}", index + 1), rate(one.span.bytes, one.span.length()));
    }
    text
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

    fn parse(line: &str) -> Result<SpeedArguments, String> {
        SpeedArguments::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn operands_are_checked() {
        let read = parse("upload http://h/ connections=4 bytes=5000000000").expect("operands");
        assert_eq!((read.is_upload, read.connections, read.bytes, read.seconds), (true, 4, 5_000_000_000, 0));
        assert_eq!(parse("download http://h/ seconds=999").expect("operands").seconds, 999);
        for wrong in [
            "download",
            "up http://h/",
            "download http://h/ bytes=1",
            "upload http://h/ bytes=1 seconds=1",
            "upload http://h/ connections=9",
            "upload http://h/ seconds=0",
            "upload http://h/ seconds=x",
            "upload http://h/ colour=red",
            "upload http://h/ interface=",
            "upload http://h/ more",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_upload_without_an_end_has_one() {
        let duration = |line| parse(line).expect("operands").test(TlsSettings::default()).duration.as_secs();
        assert_eq!(duration("upload http://h/"), u64::from(UPLOAD));
        assert_eq!((duration("upload http://h/ bytes=1"), duration("download http://h/")), (0, 0));
    }

    #[test]
    fn rates_have_one_decimal_and_no_division_by_zero() {
        assert_eq!(rate(125_000_000, Duration::from_secs(1)), "1000.0 Mbit/s");
        assert_eq!(rate(0, Duration::ZERO), "0.0 Mbit/s");
        assert_eq!(milliseconds(Duration::from_micros(12_399)), "12.3 ms");
    }
}
