//! The client of the control socket: sends a request to the running agent and reads the result.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::message::{Request, WAIT_LIMIT, parse_result};
use super::socket;
use crate::clock::Clock;

/// The longest time that a running agent takes to accept, to read the request and to answer `status`.
const RESPONSE_LIMIT: Duration = Duration::from_secs(10);
/// The silence after which the user is told why a command takes so long.
const NOTICE: Duration = Duration::from_secs(1);
/// The most bytes of a result. No agent sends more, so a longer one comes from another program.
const MAX_RESULT: u64 = 64 << 20;

/// Returns the longest time that a running agent takes for a request. The agent answers `get` and `inform` during a
/// session, too, but not while it reads a large model again.
pub(crate) fn usual_limit(request: &Request) -> Duration {
    match request {
        Request::Status { .. } | Request::Check => RESPONSE_LIMIT,
        _ => WAIT_LIMIT + RESPONSE_LIMIT,
    }
}

/// The failure of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlError {
    /// The kind of failure.
    pub kind: ControlErrorKind,
    /// The reason for the user; that of a refusal may have several lines.
    pub reason: String,
}

/// A kind of failure, as far as callers treat it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlErrorKind {
    /// No agent listens at the socket.
    NotRunning,
    /// The result did not come in time. The agent may be in a session.
    TimedOut,
    /// The agent refused the request, or sent no valid result.
    Refused,
}

impl From<String> for ControlError {
    fn from(reason: String) -> ControlError {
        ControlError { kind: ControlErrorKind::Refused, reason }
    }
}

/// Sends `request` to the agent behind the socket `path` and returns the output. Gives up after about `limit`.
///
/// # Errors
/// The agent does not run, does not answer in time, or refuses the request.
pub fn ask(path: &Path, request: &Request, limit: Duration) -> Result<String, ControlError> {
    let shown = path.display();
    let mut stream = connect(path, limit)?;
    // A failed write is no failure yet: the agent may have refused a long request before it had read all of it, and its
    // result says why.
    let sent = stream.write_all(&request.encode());
    let notice = request.waits_for_session().then_some(NOTICE);
    let line = receive(&mut stream, limit, notice).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => late(path),
        _ => ControlError::from(format!("the agent has closed the connection: {error}")),
    })?;
    let result = match (parse_result(&line), sent) {
        (Some(result), _) => result,
        (None, Err(error)) => Err(format!("the agent does not take the request: {error}")),
        (None, Ok(())) if line.is_empty() => Err("the agent has closed the connection without an answer".into()),
        (None, Ok(())) => Err(format!("the program that answers on {shown} is not cpe-agent")),
    };
    Ok(result?)
}

fn late(path: &Path) -> ControlError {
    let reason = format!("the agent does not answer on {}", path.display());
    ControlError { kind: ControlErrorKind::TimedOut, reason }
}

/// Connects to the agent behind the socket `path`.
pub(super) fn connect(path: &Path, limit: Duration) -> Result<UnixStream, ControlError> {
    let shown = path.display();
    let not_running = |why: &str| {
        let reason = format!("the agent is not running: {why} {shown}");
        ControlError { kind: ControlErrorKind::NotRunning, reason }
    };
    socket::connect(path, RESPONSE_LIMIT.min(limit)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => not_running("there is no control socket"),
        // The file stays behind after a crash.
        ErrorKind::ConnectionRefused => not_running("no process answers on"),
        ErrorKind::PermissionDenied => format!("the control socket {shown} may be opened by its owner only").into(),
        // The queue of the listener is full.
        ErrorKind::WouldBlock => late(path),
        _ => ControlError::from(format!("the control socket {shown} cannot be opened: {error}")),
    })
}

/// Reads to the end of the stream, for `limit` at most. Tells the user on stderr after a silence of `notice`.
fn receive(stream: &mut UnixStream, limit: Duration, mut notice: Option<Duration>) -> io::Result<Vec<u8>> {
    let clock = Clock::new();
    let deadline = clock.now().monotonic + limit;
    let mut line = Vec::new();
    let mut chunk = [0; 16 << 10];
    while line.len() as u64 <= MAX_RESULT {
        // The limit holds for the whole line and not for each read: a program that sends byte by byte would never end.
        let left = deadline.saturating_sub(clock.now().monotonic);
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(notice.map_or(left, |notice| notice.min(left))))?;
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => line.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && notice.take().is_some() => {
                let seconds = limit.as_secs();
                eprintln!(
                    "cpe-agent: waiting for the end of a session, for {seconds} s at most; an interrupt gives up"
                );
            }
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

    /// The result that the client reads from a daemon that sends these bytes.
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
        let answer = ask(&path, &STATUS, RESPONSE_LIMIT).map_err(|silence| silence.reason);
        daemon.expect("a thread").join().expect("its end");
        answer.map_err(|reason| reason.replace(&path.display().to_string(), "PATH"))
    }

    #[test]
    fn whatever_answers_is_told_in_words() {
        assert_eq!(asked(b"{\"output\":\"a\\n\"}\n"), Ok("a\n".into()));
        assert_eq!(asked(b"{\"error\":\"no\"}\n"), Err("no".into()));
        assert_eq!(asked(b""), Err("the agent has closed the connection without an answer".into()));
        assert_eq!(asked(b"SSH-2.0\r\n"), Err("the program that answers on PATH is not cpe-agent".into()));
    }

    #[test]
    fn without_a_daemon() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("socket");
        let nothing = ask(&path, &STATUS, RESPONSE_LIMIT).expect_err("no daemon");
        assert_eq!(nothing.kind, ControlErrorKind::NotRunning);
        assert_eq!(nothing.reason, format!("the agent is not running: there is no control socket {}", path.display()));
        drop(UnixListener::bind(&path).expect("a socket that stays behind"));
        let nobody = ask(&path, &STATUS, RESPONSE_LIMIT).expect_err("no daemon");
        assert_eq!(nobody.kind, ControlErrorKind::NotRunning);
        assert_eq!(nobody.reason, format!("the agent is not running: no process answers on {}", path.display()));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the other side of the test")]
    fn a_daemon_that_is_silent_or_trickles_is_given_up() {
        let limit = Duration::from_millis(50);
        let (mut ours, mut theirs) = UnixStream::pair().expect("a pair");
        let gives_up = |stream: &mut UnixStream| {
            let error = receive(stream, limit, None).expect_err("too slow");
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
