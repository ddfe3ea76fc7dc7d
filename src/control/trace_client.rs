//! The client of `trace`: writes the sessions that the agent records into a file, until it is told to stop.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::message::Request;
use super::result_reader::{Next, ResultReader};

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
    // It takes over the signals, so that none finds a file with half an entry.
    let (mut results, first) = ResultReader::start(socket, &Request::Trace)?;
    let Some(first) = first else { return Ok("stopped before the recording".into()) };
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
