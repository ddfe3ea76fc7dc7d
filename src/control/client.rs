//! The command's side: ask the running daemon, print what it says.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::message::{Answer, Request, parse_answer};
use super::service::WAIT_LIMIT;
use super::socket;
use crate::clock::Clock;

/// How long a daemon that lives may take to accept, to take the request, and to answer `status`.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any answer; a daemon that says more is none.
const MAX_ANSWER: u64 = 64 << 20;

/// Has the daemon behind the socket `path` carry out `request`, and prints its answer: output on stdout, or the reason
/// on stderr with status 1.
pub fn run(path: &Path, request: &Request) -> ExitCode {
    let output = match ask(path, request) {
        Ok(output) => output,
        Err(reason) => {
            reason.lines().for_each(|line| eprintln!("cpe-agent: {line}"));
            return ExitCode::FAILURE;
        }
    };
    match io::stdout().lock().write_all(output.as_bytes()) {
        // A pipe whose reader has seen enough is no failure.
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cpe-agent: the answer cannot be printed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn ask(path: &Path, request: &Request) -> Answer {
    let shown = path.display();
    let mut stream = socket::connect(path, PATIENCE).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("the daemon is not running: there is no control socket {shown}"),
        ErrorKind::ConnectionRefused => format!("the daemon is not running: nobody answers on {shown}"),
        ErrorKind::PermissionDenied => format!("the control socket {shown} may be opened by its owner only"),
        ErrorKind::WouldBlock => format!("the daemon does not answer on {shown}"),
        _ => format!("the control socket {shown} cannot be opened: {error}"),
    })?;
    // The daemon may have refused an overlong request before all of it was sent: what counts is its answer.
    let sent = stream.write_all(&request.encode());
    let limit = match request {
        Request::Status { .. } => PATIENCE,
        _ => WAIT_LIMIT + PATIENCE,
    };
    let line = receive(&mut stream, limit).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("the daemon does not answer on {shown}"),
        _ => format!("the daemon has closed the connection: {error}"),
    })?;
    match (parse_answer(&line), sent) {
        (Some(answer), _) => answer,
        (None, Err(error)) => Err(format!("the daemon does not take the request: {error}")),
        (None, Ok(())) if line.is_empty() => Err("the daemon has closed the connection without an answer".into()),
        (None, Ok(())) => Err(format!("what answers on {shown} is no cpe-agent")),
    }
}

/// Reads to the end of the stream, for `limit` in all.
fn receive(stream: &mut UnixStream, limit: Duration) -> io::Result<Vec<u8>> {
    let clock = Clock::new();
    let deadline = clock.now().monotonic + limit;
    let mut line = Vec::new();
    let mut chunk = [0; 16 << 10];
    while line.len() as u64 <= MAX_ANSWER {
        let left = deadline.saturating_sub(clock.now().monotonic);
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => line.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(line)
}
