//! The client side of a row of results, which ends by a signal or with the agent.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
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

/// The next result of the agent, or the reason for which there is none.
pub(super) enum Next {
    Text(String),
    /// A signal told the command to stop.
    Stopped,
    /// The agent has ended the row.
    End,
}

/// The results of the agent, a line each.
pub(super) struct ResultReader {
    stream: UnixStream,
    stop: Arc<AtomicBool>,
    clock: Clock,
    /// The bytes that were read and not used yet.
    input: Vec<u8>,
}

impl ResultReader {
    /// Sends a request to the agent behind the socket `socket`. Returns the reader, and the first result; `None` if a signal
    /// came before it. From here on, SIGINT and SIGTERM end the reading instead of the process.
    ///
    /// # Errors
    /// The reason of a failure, for the user.
    pub(super) fn start(socket: &Path, request: &Request) -> Result<(ResultReader, Option<String>), String> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|error| format!("no signals: {error}"))?;
        }
        let limit = usual_limit(request);
        let mut stream = connect(socket, limit).map_err(|error| error.reason)?;
        stream.write_all(&request.encode()).map_err(|error| format!("the agent takes no request: {error}"))?;
        stream.set_read_timeout(Some(TICK)).map_err(|error| format!("no time limit for the socket: {error}"))?;
        let mut reader = ResultReader { stream, stop, clock: Clock::new(), input: Vec::new() };
        match reader.next(Some(limit))? {
            Next::Text(text) => Ok((reader, Some(text))),
            Next::Stopped => Ok((reader, None)),
            Next::End => Err("the agent has closed the connection without an answer".into()),
        }
    }

    /// Waits for the next result, for `limit` at most. Returns the reason of a failure.
    pub(super) fn next(&mut self, limit: Option<Duration>) -> Result<Next, String> {
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
