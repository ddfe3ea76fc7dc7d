//! Where the log goes: lines on stderr, or datagrams to syslog.
//!
//! A record is one line whatever it quotes: control characters are escaped, so that no text from
//! the network can forge a line of its own, and length is bounded.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use ::log::{Level, LevelFilter, Log, Metadata, Record, SetLoggerError};

use crate::clock;
use crate::model::date_time::DateTime;

/// Long enough for any message of ours; what is longer quotes something from outside.
const MAX_STDERR: usize = 8 * 1024;
/// RFC 3164 §4.1: a packet is at most 1024 bytes.
const MAX_SYSLOG: usize = 1024;
/// RFC 3164 §4.1.1: system daemons.
const FACILITY_DAEMON: u8 = 3;

/// Where log lines go (`--log-to`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// `2026-11-22T15:04:05Z info: text`, a line each.
    #[default]
    Stderr,
    /// Datagrams to `/dev/log`: `<30>cpe-agent[123]: text`.
    Syslog,
}

/// Starts logging; once a process. Level and destination may change later, by [`reconfigure`].
pub fn init(level: LevelFilter, to: Destination) -> Result<(), SetLoggerError> {
    ::log::set_logger(&LOGGER)?;
    reconfigure(level, to);
    Ok(())
}

/// Changes what is logged from here on, and where.
pub fn reconfigure(level: LevelFilter, to: Destination) {
    ::log::set_max_level(level);
    let mut sink = LOGGER.0.write().unwrap_or_else(PoisonError::into_inner);
    // The way to a syslog that is in use is not given up.
    if sink.destination() != Some(to) {
        *sink = match to {
            Destination::Stderr => Sink::Stderr { colour: io::stderr().is_terminal() },
            Destination::Syslog => Sink::Syslog(Mutex::new(Syslog::new(Path::new("/dev/log")))),
        };
    }
}

static LOGGER: Logger = Logger(RwLock::new(Sink::None));

struct Logger(RwLock<Sink>);

enum Sink {
    /// Before [`init`].
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
    /// Below a warning only this crate is heard: libraries tell of their insides there, request
    /// headers with credentials among them.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().split("::").next() == Some("cpe_agent");
        (ours || metadata.level() <= Level::Warn) && metadata.level() <= ::log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Sink::None => {}
            Sink::Stderr { colour } => {
                write_stderr(record, *colour);
            }
            Sink::Syslog(syslog) => {
                let packet = syslog_packet(record, std::process::id());
                let mut syslog = syslog.lock().unwrap_or_else(PoisonError::into_inner);
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

fn write_stderr(record: &Record<'_>, colour: bool) {
    let line = stderr_line(record, DateTime::from_unix(clock::wall(), 0), colour);
    // There is nowhere left to complain to.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

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
    // Cut, it is still a line.
    let _ = write!(line, "{}", record.args());
    line.text.push('\n');
    line.text
}

fn syslog_packet(record: &Record<'_>, pid: u32) -> String {
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

/// One line of bounded length, whatever is written into it.
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
            if self.text.len() > self.max {
                self.text.truncate(before);
                return Err(std::fmt::Error);
            }
        }
        Ok(())
    }
}

/// The local syslog daemon: found again when it restarts, and never waited for.
struct Syslog {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    /// Whether it was told that nobody listens.
    is_failure_reported: bool,
}

impl Syslog {
    fn new(path: &Path) -> Syslog {
        Syslog { path: path.to_owned(), socket: None, is_failure_reported: false }
    }

    /// Sends the packet, or drops it where the queue is full; false where nobody listens.
    fn send(&mut self, packet: &[u8]) -> bool {
        if let Some(socket) = &self.socket {
            match socket.send(packet) {
                Ok(_) => return true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                // The daemon has restarted and made its socket anew.
                Err(_) => {}
            }
        }
        self.socket = connect(&self.path).ok();
        let Some(socket) = &self.socket else { return false };
        let _ = socket.send(packet);
        true
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(path)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
