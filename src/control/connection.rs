//! The connection of a client to the control socket: its phases, and the bytes in both directions.

use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use super::message::{CommandResult, Request, WAIT_LIMIT, encode_result};
use super::pending_request::{Claim, Flow};
use crate::readiness::PollFlags;

/// The longest request line in bytes: a `set` of a thousand parameters.
pub(super) const MAX_REQUEST: usize = 256 << 10;
/// The time for the request to arrive, and again for the result to be read.
const TRANSFER_LIMIT: Duration = Duration::from_secs(5);
/// The time for each of these while there is no room for another client.
const CROWDED_LIMIT: Duration = Duration::from_secs(1);
/// The number of bytes that are read at a time.
const CHUNK: usize = 4 << 10;

/// The connection of a client.
pub(super) struct ControlConnection {
    pub(super) id: u64,
    pub(super) stream: UnixStream,
    pub(super) phase: RequestPhase,
    /// The instant at which the phase began, on the monotonic clock.
    pub(super) since: Duration,
}

pub(super) enum RequestPhase {
    /// The part of the request line that has arrived.
    Reading(Vec<u8>),
    Queued(Request),
    WithAgent(Claim),
    Streaming(Outlet),
    Writing {
        line: Vec<u8>,
        sent: usize,
    },
    Closed,
}

/// The results of a row that the client has not taken yet. Their sender bounds them.
pub(super) struct Outlet {
    flow: Arc<Flow>,
    pub(super) lines: Vec<u8>,
    sent: usize,
    /// The bytes of the results in `lines`, as their sender counts them.
    counted: usize,
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.flow.left();
    }
}

impl ControlConnection {
    /// Returns the readiness to wait for.
    pub(super) fn interest(&self) -> PollFlags {
        match self.phase {
            RequestPhase::Reading(_) => PollFlags::IN,
            RequestPhase::Writing { .. } => PollFlags::OUT,
            RequestPhase::Streaming(ref outlet) if !outlet.lines.is_empty() => PollFlags::OUT,
            // A hang-up is reported even with empty flags.
            _ => PollFlags::empty(),
        }
    }

    pub(super) fn deadline(&self, crowded: bool) -> Duration {
        let limit = match self.phase {
            RequestPhase::Reading(_) | RequestPhase::Writing { .. } if crowded => CROWDED_LIMIT,
            RequestPhase::Reading(_) | RequestPhase::Writing { .. } => TRANSFER_LIMIT,
            RequestPhase::Queued(_) | RequestPhase::WithAgent(_) => WAIT_LIMIT,
            // The client decides how long it listens. What waits for it is bounded.
            RequestPhase::Streaming(_) => return Duration::MAX,
            RequestPhase::Closed => Duration::ZERO,
        };
        self.since.saturating_add(limit)
    }

    pub(super) fn enter(&mut self, phase: RequestPhase, now: Duration) {
        self.phase = phase;
        self.since = now;
    }

    /// Begins to write a result. Most results fit into the buffer of the socket at once.
    pub(super) fn respond(&mut self, result: &CommandResult, now: Duration) {
        // The last result of a row follows those that the client has not taken yet.
        let (mut line, sent) = match &mut self.phase {
            RequestPhase::Streaming(outlet) => (mem::take(&mut outlet.lines), outlet.sent),
            _ => (Vec::new(), 0),
        };
        line.append(&mut encode_result(result));
        self.enter(RequestPhase::Writing { line, sent }, now);
        self.write();
    }

    pub(super) fn write(&mut self) {
        let RequestPhase::Writing { line, sent } = &mut self.phase else { return };
        if write_lines(&mut self.stream, line, sent) != WriteProgress::Waits {
            self.phase = RequestPhase::Closed;
        }
    }

    /// Appends a result of a row, and begins to write it.
    pub(super) fn stream(&mut self, result: &CommandResult, flow: Arc<Flow>, now: Duration) {
        if !matches!(self.phase, RequestPhase::Streaming(_)) {
            self.enter(RequestPhase::Streaming(Outlet { flow, lines: Vec::new(), sent: 0, counted: 0 }), now);
        }
        if let RequestPhase::Streaming(outlet) = &mut self.phase {
            outlet.lines.append(&mut encode_result(result));
            outlet.counted += result.as_ref().map_or(0, String::len);
        }
        self.write_stream();
    }

    pub(super) fn write_stream(&mut self) {
        let RequestPhase::Streaming(outlet) = &mut self.phase else { return };
        match write_lines(&mut self.stream, &outlet.lines, &mut outlet.sent) {
            WriteProgress::Waits => {}
            WriteProgress::Failed => self.phase = RequestPhase::Closed,
            WriteProgress::Complete => {
                // A row may last for days: the room of a long message must not stay with it.
                outlet.lines = Vec::new();
                outlet.sent = 0;
                outlet.flow.taken(mem::take(&mut outlet.counted));
            }
        }
    }
}

/// The progress of the lines for a client.
#[derive(PartialEq, Eq)]
enum WriteProgress {
    Complete,
    /// The buffer of the socket is full.
    Waits,
    /// The client has left.
    Failed,
}

/// Writes as many bytes behind `sent` as the client takes at once.
fn write_lines(stream: &mut UnixStream, lines: &[u8], sent: &mut usize) -> WriteProgress {
    while *sent < lines.len() {
        match stream.write(&lines[*sent..]) {
            Ok(0) => return WriteProgress::Failed,
            Ok(written) => *sent += written,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return WriteProgress::Waits,
            Err(_) => return WriteProgress::Failed,
        }
    }
    WriteProgress::Complete
}

/// The progress of a request line.
pub(super) enum ReadProgress {
    Incomplete,
    Complete,
    TooLong,
    /// The client has closed the connection without a request.
    Closed,
}

/// Reads the available input into `line`, up to the line end or the end of the stream.
pub(super) fn read_line(stream: &mut UnixStream, line: &mut Vec<u8>) -> ReadProgress {
    let mut chunk = [0; CHUNK];
    loop {
        let fresh = line.len();
        match stream.read(&mut chunk) {
            Ok(0) if line.is_empty() => return ReadProgress::Closed,
            // The end of the stream stands for the line end, so that `printf` and `nc` work as clients.
            Ok(0) => return ReadProgress::Complete,
            Ok(length) => line.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return ReadProgress::Incomplete,
            Err(_) => return ReadProgress::Closed,
        }
        // Only the new bytes are searched, so that a long line in small pieces takes linear time.
        if let Some(end) = line[fresh..].iter().position(|&byte| byte == b'\n') {
            line.truncate(fresh + end);
            return ReadProgress::Complete;
        }
        if line.len() > MAX_REQUEST {
            return ReadProgress::TooLong;
        }
    }
}
