//! The command's side: ask the running daemon, print what it says.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::control_thread::WAIT_LIMIT;
use super::message::{Request, parse_answer};
use super::socket;
use crate::clock::Clock;

/// How long a daemon that lives may take to accept, to take the request, and to answer `status`.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than any answer; a daemon that says more is none.
const MAX_ANSWER: u64 = 64 << 20;

/// How long an agent that lives takes at most: all but `status` may have to wait for the end of a session.
pub(super) fn usual_limit(request: &Request) -> Duration {
    match request {
        Request::Status { .. } => PATIENCE,
        _ => WAIT_LIMIT + PATIENCE,
    }
}

/// A request came to nothing, or was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlError {
    /// Why.
    pub kind: ControlErrorKind,
    /// The same for people; a refusal may have several lines.
    pub reason: String,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlErrorKind {
    /// Nobody is there.
    NotRunning,
    /// It did not come in time: the daemon may be in a session.
    TimedOut,
    /// It was refused, or is none.
    Refused,
}

impl From<String> for ControlError {
    fn from(reason: String) -> ControlError {
        ControlError { kind: ControlErrorKind::Refused, reason }
    }
}

/// Has the daemon behind the socket `path` carry out `request`, for about `limit` at most.
pub fn ask(path: &Path, request: &Request, limit: Duration) -> Result<String, ControlError> {
    let shown = path.display();
    let late =
        || ControlError { kind: ControlErrorKind::TimedOut, reason: format!("the daemon does not answer on {shown}") };
    let not_running = |why: &str| {
        let reason = format!("the daemon is not running: {why} {shown}");
        ControlError { kind: ControlErrorKind::NotRunning, reason }
    };
    let mut stream = socket::connect(path, PATIENCE.min(limit)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => not_running("there is no control socket"),
        ErrorKind::ConnectionRefused => not_running("nobody answers on"),
        ErrorKind::PermissionDenied => format!("the control socket {shown} may be opened by its owner only").into(),
        ErrorKind::WouldBlock => late(),
        _ => ControlError::from(format!("the control socket {shown} cannot be opened: {error}")),
    })?;
    // The daemon may have refused an overlong request before all of it was sent: what counts is its answer.
    let sent = stream.write_all(&request.encode());
    let line = receive(&mut stream, limit).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => late(),
        _ => ControlError::from(format!("the daemon has closed the connection: {error}")),
    })?;
    let answer = match (parse_answer(&line), sent) {
        (Some(answer), _) => answer,
        (None, Err(error)) => Err(format!("the daemon does not take the request: {error}")),
        (None, Ok(())) if line.is_empty() => Err("the daemon has closed the connection without an answer".into()),
        (None, Ok(())) => Err(format!("what answers on {shown} is no cpe-agent")),
    };
    Ok(answer?)
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

#[cfg(test)]
mod tests {
    use super::super::message::CommandResult;
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;

    const STATUS: Request = Request::Status { json: false };

    /// What the client makes of a daemon that answers with these bytes.
    #[expect(clippy::disallowed_methods, reason = "the other side of the test")]
    fn asked(answer: &'static [u8]) -> CommandResult {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let daemon = std::thread::Builder::new().spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            BufReader::new(&stream).read_line(&mut String::new()).expect("a request");
            stream.write_all(answer).expect("answered");
        });
        let answer = ask(&path, &STATUS, PATIENCE).map_err(|silence| silence.reason);
        daemon.expect("a thread").join().expect("its end");
        answer.map_err(|reason| reason.replace(&path.display().to_string(), "PATH"))
    }

    #[test]
    fn whatever_answers_is_told_in_words() {
        assert_eq!(asked(b"{\"output\":\"a\\n\"}\n"), Ok("a\n".into()));
        assert_eq!(asked(b"{\"error\":\"no\"}\n"), Err("no".into()));
        assert_eq!(asked(b""), Err("the daemon has closed the connection without an answer".into()));
        assert_eq!(asked(b"SSH-2.0\r\n"), Err("what answers on PATH is no cpe-agent".into()));
    }

    #[test]
    fn without_a_daemon() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("socket");
        let nothing = ask(&path, &STATUS, PATIENCE).expect_err("nobody is there");
        assert_eq!(nothing.kind, ControlErrorKind::NotRunning);
        assert_eq!(nothing.reason, format!("the daemon is not running: there is no control socket {}", path.display()));
        drop(UnixListener::bind(&path).expect("a socket that stays behind"));
        let nobody = ask(&path, &STATUS, PATIENCE).expect_err("nobody is there");
        assert_eq!(nobody.kind, ControlErrorKind::NotRunning);
        assert_eq!(nobody.reason, format!("the daemon is not running: nobody answers on {}", path.display()));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the other side of the test")]
    fn a_daemon_that_is_silent_or_trickles_is_given_up() {
        let limit = Duration::from_millis(50);
        let (mut ours, mut theirs) = UnixStream::pair().expect("a pair");
        let gives_up = |stream: &mut UnixStream| {
            let error = receive(stream, limit).expect_err("too slow");
            assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        };
        gives_up(&mut ours);
        let trickle = std::thread::Builder::new().spawn(move || {
            while theirs.write_all(b" ").is_ok() {
                std::thread::sleep(limit / 5);
            }
        });
        gives_up(&mut ours);
        drop(ours);
        trickle.expect("a thread").join().expect("its end");
    }
}
