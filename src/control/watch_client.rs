//! The client of `watch`: prints changes as the agent reports them, until it is told to stop.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::message::Request;
use super::result_reader::{Next, ResultReader};

/// Prints changes of values until SIGINT or SIGTERM, or until the reader of stdout has left.
///
/// # Errors
/// The reason of a failure, for the user; the end of the agent is one, since further changes would be missed.
pub(super) fn watch(socket: &Path, request: &Request) -> Result<(), String> {
    let (mut results, mut text) = ResultReader::start(socket, request)?;
    let mut out = io::stdout().lock();
    while let Some(lines) = text {
        match out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(format!("the output cannot be written: {error}")),
            Ok(()) => {}
        }
        text = match results.next(None)? {
            Next::Text(text) => Some(text),
            Next::Stopped => None,
            Next::End => return Err("the agent has ended".into()),
        };
    }
    Ok(())
}
