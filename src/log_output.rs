//! The log: lines on stderr, or datagrams to syslog.
//!
//! A record is always one line of bounded length. Control characters are escaped, so that a text from the network, which
//! a record may quote, cannot forge a line of its own.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use ::log::{Level, LevelFilter, Log, Metadata, Record, SetLoggerError};

use crate::clock;
use crate::log;
use crate::model::date_time::DateTime;

/// The longest line on stderr, in bytes. A longer one quotes a text from the network.
const MAX_STDERR: usize = 8 * 1024;
/// The longest syslog packet, in bytes (RFC 3164 §4.1).
const MAX_SYSLOG: usize = 1024;
/// The facility of system daemons (RFC 3164 §4.1.1).
const FACILITY_DAEMON: u8 = 3;

/// The destination of the log (`--log-to`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// Lines such as `2026-11-22T15:04:05Z info: text` on stderr.
    #[default]
    Stderr,
    /// Datagrams such as `<30>cpe-agent[123]: text` to `/dev/log`.
    Syslog,
}

/// Starts logging. Fails if it was called before: level and destination change by [`reconfigure`] only.
pub fn init(level: LevelFilter, to: Destination) -> Result<(), SetLoggerError> {
    ::log::set_logger(&LOGGER)?;
    reconfigure(level, to);
    Ok(())
}

/// Changes the level and the destination of the log.
pub fn reconfigure(level: LevelFilter, to: Destination) {
    ::log::set_max_level(level);
    let mut sink = LOGGER.0.write().unwrap_or_else(PoisonError::into_inner);
    // A syslog in use keeps its socket, and its note that a missing daemon was reported.
    if sink.destination() != Some(to) {
        *sink = match to {
            Destination::Stderr => Sink::Stderr { colour: io::stderr().is_terminal() },
            Destination::Syslog => Sink::Syslog(Mutex::new(Syslog::new(Path::new("/dev/log")))),
        };
    }
}

/// The logger of the process, as the crate `log` demands a static one.
static LOGGER: Logger = Logger(RwLock::new(Sink::None));

/// The logger behind the macros of the crate `log`.
struct Logger(RwLock<Sink>);

/// The open destination of the log.
enum Sink {
    /// No destination, before [`init`].
    None,
    Stderr {
        colour: bool,
    },
    Syslog(Mutex<Syslog>),
}

impl Sink {
    fn destination(&self) -> Option<Destination> {
        match self {
            Sink::None => None,
            Sink::Stderr { .. } => Some(Destination::Stderr),
            Sink::Syslog(_) => Some(Destination::Syslog),
        }
    }
}

impl Log for Logger {
    // Libraries are logged from warnings up: below, they write out internals, request headers with credentials among
    // them.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The first segment is compared as a whole, since another crate may have a longer name with the same beginning.
        let ours = metadata.target().split("::").next() == Some(log::TARGET);
        (ours || metadata.level() <= Level::Warn) && metadata.level() <= ::log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Sink::None => {}
            Sink::Stderr { colour } => write_stderr(record, *colour),
            Sink::Syslog(syslog) => {
                let packet = syslog_packet(record, std::process::id());
                let mut syslog = syslog.lock().unwrap_or_else(PoisonError::into_inner);
                // Without a daemon the record goes to stderr, which a supervisor may collect; the reason is given once.
                if !syslog.send(packet.as_bytes()) {
                    if !std::mem::replace(&mut syslog.is_failure_reported, true) {
                        let _ = writeln!(io::stderr(), "cpe-agent: no syslog at {}", syslog.path.display());
                    }
                    write_stderr(record, false);
                }
            }
        }
    }

    fn flush(&self) {}
}

/// Writes a record to stderr.
fn write_stderr(record: &Record<'_>, colour: bool) {
    let line = stderr_line(record, DateTime::from_unix(clock::wall(), 0), colour);
    // An error of stderr cannot be reported.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Returns the line for stderr: time, level and text.
fn stderr_line(record: &Record<'_>, time: DateTime, colour: bool) -> String {
    let (name, escape) = match record.level() {
        Level::Error => ("error", "\x1b[31m"),
        Level::Warn => ("warn", "\x1b[33m"),
        Level::Info => ("info", "\x1b[32m"),
        Level::Debug => ("debug", "\x1b[36m"),
        Level::Trace => ("trace", "\x1b[2m"),
    };
    let (escape, reset) = if colour { (escape, "\x1b[0m") } else { ("", "") };
    let mut line = LogLine { text: format!("{time} {escape}{name}{reset}: "), max: MAX_STDERR - 1 };
    // `LogLine` fails at its limit; the truncated text is still a line.
    let _ = write!(line, "{}", record.args());
    line.text.push('\n');
    line.text
}

/// Returns the packet for syslog: priority, tag and text. The daemon adds the time.
fn syslog_packet(record: &Record<'_>, pid: u32) -> String {
    // The severities of RFC 3164 §4.1.1; syslog has none below debug.
    let severity = match record.level() {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    let priority = FACILITY_DAEMON * 8 + severity;
    let mut packet = LogLine { text: format!("<{priority}>cpe-agent[{pid}]: "), max: MAX_SYSLOG };
    let _ = write!(packet, "{}", record.args());
    packet.text
}

/// A line of bounded length, which escapes the control characters of the texts that are written to it.
struct LogLine {
    text: String,
    max: usize,
}

impl std::fmt::Write for LogLine {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            let before = self.text.len();
            if character.is_control() {
                self.text.extend(character.escape_default());
            } else {
                self.text.push(character);
            }
            // Truncated before a whole character, so that the line stays UTF-8.
            if self.text.len() > self.max {
                self.text.truncate(before);
                return Err(std::fmt::Error);
            }
        }
        Ok(())
    }
}

/// The connection to the local syslog daemon, which may restart.
struct Syslog {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    /// True if the missing daemon was reported on stderr.
    is_failure_reported: bool,
}

impl Syslog {
    fn new(path: &Path) -> Syslog {
        Syslog { path: path.to_owned(), socket: None, is_failure_reported: false }
    }

    /// Sends the packet, or drops it if the queue of the daemon is full. Returns false if no daemon is listening.
    fn send(&mut self, packet: &[u8]) -> bool {
        if let Some(socket) = &self.socket {
            match socket.send(packet) {
                Ok(_) => return true,
                // The agent never waits for the daemon: a session must not fail because of a full log.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                // The daemon has restarted and created a new socket.
                Err(_) => {}
            }
        }
        self.socket = connect(&self.path).ok();
        let Some(socket) = &self.socket else { return false };
        let _ = socket.send(packet);
        true
    }
}

/// Connects a non-blocking socket to the daemon.
fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(path)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
