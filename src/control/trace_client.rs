//! The client of `trace`: writes the sessions that the agent records into a file, until it is told to stop.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::client::{connect, usual_limit};
use super::message::{Request, parse_result};
use crate::clock::Clock;

/// The interval at which the command looks for a signal.
const TICK: Duration = Duration::from_millis(200);
/// The most bytes of one result line. The agent sends no longer one, so that it comes from another program.
const MAX_LINE: usize = 16 << 20;
/// The size limit of the file without the option `size`, in bytes: it often lies on a RAM disk.
const DEFAULT_SIZE: u64 = 1 << 20;

/// The file of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceFile {
    /// The name of the file; `-` for stdout.
    pub path: PathBuf,
    /// The size in bytes at which the recording ends.
    pub size: u64,
}

impl TraceFile {
    /// Reads `FILE [size=BYTES]`. Returns a message for the user if a word is wrong.
    pub(crate) fn parse(words: &[String]) -> Result<TraceFile, String> {
        let [path, options @ ..] = words else { return Err("a file is needed".into()) };
        let mut file = TraceFile { path: path.into(), size: DEFAULT_SIZE };
        for option in options {
            let Some(("size", value)) = option.split_once('=') else {
                return Err(format!("`{option}` is not size=BYTES"));
            };
            let size = value.parse().ok().filter(|size| *size > 0);
            file.size = size.ok_or_else(|| format!("size: `{value}` is not a number of bytes"))?;
        }
        Ok(file)
    }
}

/// Records sessions of the agent behind the socket `socket` until SIGINT, SIGTERM or the size limit. Returns the exit
/// status; a failure is reported on stderr.
pub fn record(socket: &Path, file: &TraceFile) -> ExitCode {
    match try_record(socket, file) {
        Ok(why) => {
            eprintln!("cpe-agent: {why}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            reason.lines().for_each(|line| eprintln!("cpe-agent: {line}"));
            ExitCode::FAILURE
        }
    }
}

/// Records, and returns the reason for the end.
fn try_record(socket: &Path, file: &TraceFile) -> Result<String, String> {
    // Before the request: a signal must not find a file with half an entry.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|error| format!("no signals: {error}"))?;
    }
    let limit = usual_limit(&Request::Trace);
    let mut stream = connect(socket, limit).map_err(|error| error.reason)?;
    stream.write_all(&Request::Trace.encode()).map_err(|error| format!("the agent takes no request: {error}"))?;
    let mut results = Results::new(stream, stop)?;
    let first = match results.next(Some(limit))? {
        Next::Text(text) => text,
        Next::Stopped => return Ok("stopped before the recording".into()),
        Next::End => return Err("the agent has closed the connection without an answer".into()),
    };
    let shown = file.path.display();
    let mut out = open(&file.path).map_err(|error| format!("{shown}: {error}"))?;
    let mut write = |text: &str| out.write_all(text.as_bytes()).map_err(|error| format!("{shown}: {error}"));
    write(&first)?;
    eprintln!("cpe-agent: the sessions from now on are recorded; Ctrl-C ends the recording");
    let mut size = first.len() as u64;
    loop {
        match results.next(None)? {
            Next::Text(text) => {
                size += text.len() as u64;
                // Half an entry would be of no use.
                if size > file.size {
                    return Ok(format!("the recording ends at its limit of {} bytes; size=BYTES raises it", file.size));
                }
                write(&text)?;
            }
            Next::Stopped => return Ok("the recording has ended".into()),
            Next::End => return Ok("the recording has ended with the agent".into()),
        }
    }
}

/// Creates the file for its owner alone. An existing one stays as it is: it may be the only record of an error.
fn open(path: &Path) -> io::Result<File> {
    if path == Path::new("-") {
        // Without the buffer of `Stdout`: each entry is written as it comes.
        return Ok(io::stdout().as_fd().try_clone_to_owned()?.into());
    }
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match created {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(io::Error::new(ErrorKind::AlreadyExists, "the file exists, and is not overwritten"))
        }
        created => created,
    }
}

/// The next result of the agent, or the reason for which there is none.
enum Next {
    Text(String),
    /// A signal told the command to stop.
    Stopped,
    /// The agent has ended the row.
    End,
}

/// The results of the agent, a line each.
struct Results {
    stream: UnixStream,
    stop: Arc<AtomicBool>,
    clock: Clock,
    /// The bytes that were read and not used yet.
    input: Vec<u8>,
}

impl Results {
    fn new(stream: UnixStream, stop: Arc<AtomicBool>) -> Result<Results, String> {
        stream.set_read_timeout(Some(TICK)).map_err(|error| format!("no time limit for the socket: {error}"))?;
        Ok(Results { stream, stop, clock: Clock::new(), input: Vec::new() })
    }

    /// Waits for the next result, for `limit` at most. Returns the reason of a failure.
    fn next(&mut self, limit: Option<Duration>) -> Result<Next, String> {
        let deadline = limit.map(|limit| self.clock.now().monotonic + limit);
        let mut chunk = [0; 16 << 10];
        let mut searched = 0;
        loop {
            if let Some(end) = self.input[searched..].iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.input.drain(..=searched + end).collect();
                return match parse_result(&line) {
                    Some(Ok(text)) => Ok(Next::Text(text)),
                    Some(Err(reason)) => Err(reason),
                    None => Err("the program that answers on the control socket is not cpe-agent".into()),
                };
            }
            searched = self.input.len();
            if self.stop.load(Ordering::Relaxed) {
                return Ok(Next::Stopped);
            }
            if searched > MAX_LINE || deadline.is_some_and(|deadline| self.clock.now().monotonic > deadline) {
                return Err("the agent does not answer".into());
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(Next::End),
                Ok(length) => self.input.extend_from_slice(&chunk[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(format!("the agent has closed the connection: {error}")),
            }
        }
    }
}
