//! One connection to the HTTP listener.
//!
//! ```text
//!              ┌───────────── a challenge ─────────────┐
//!              ▼                                       │
//!   ───▶ Reading ──▶ Held ──▶ Writing ────────────────┴──▶ Lingering ──▶ Closed
//!                    guesses           the final answer     until the client has it
//! ```
//!
//! Every phase has a deadline, and the whole has one.

use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::PollFlags;

use super::authenticator::HttpResponse;
use super::http_request::{HeadError, MAX_HEAD, ParsedRequest, RequestHead};
use super::limits::{ClientNetwork, Limits};

/// Requests on one connection: without credentials, with them, and once more where the nonce was stale.
const MAX_REQUESTS: u8 = 4;
/// How long a client is given to take the final answer and close. Closed at once, with something of its body unread, the
/// answer would be lost on its way.
const LINGER_TIME: Duration = Duration::from_secs(1);
/// How much of what it still says is passed over meanwhile, in bytes.
const LINGER_SIZE: usize = 64 << 10;

/// A client that is connected.
pub(super) struct ClientConnection {
    stream: TcpStream,
    address: SocketAddr,
    opened: Duration,
    /// When the phase began.
    since: Duration,
    phase: ConnectionPhase,
    /// The request so far; never more than [`MAX_HEAD`].
    input: Vec<u8>,
    /// Bytes of a body to pass over before the next request.
    body: usize,
    requests: u8,
}

/// Answers a request; told whether another one may follow on the connection.
pub(super) type Ask<'a> = dyn FnMut(Result<RequestHead<'_>, HeadError>, bool) -> HttpResponse + 'a;

enum ConnectionPhase {
    Reading,
    Held { reply: HttpResponse },
    Writing { bytes: Vec<u8>, sent: usize, persistent: bool },
    Lingering { left: usize },
    Closed,
}

impl ClientConnection {
    pub(super) fn new(stream: TcpStream, address: SocketAddr, now: Duration) -> ClientConnection {
        let (input, phase) = (Vec::new(), ConnectionPhase::Reading);
        ClientConnection { stream, address, opened: now, since: now, phase, input, body: 0, requests: 0 }
    }

    pub(super) fn source(&self) -> ClientNetwork {
        ClientNetwork::of(self.address.ip())
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip().to_canonical(), self.address.port())
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase, ConnectionPhase::Closed)
    }

    /// Whether nothing is owed to the client any more.
    pub(super) fn is_served(&self) -> bool {
        matches!(self.phase, ConnectionPhase::Closed | ConnectionPhase::Lingering { .. })
    }

    pub(super) fn interest(&self) -> PollFlags {
        match self.phase {
            ConnectionPhase::Reading | ConnectionPhase::Lingering { .. } => PollFlags::IN,
            ConnectionPhase::Writing { .. } => PollFlags::OUT,
            ConnectionPhase::Held { .. } | ConnectionPhase::Closed => PollFlags::empty(), // but that all is over is told unasked
        }
    }

    pub(super) fn deadline(&self, limits: &Limits) -> Duration {
        let end = self.opened.saturating_add(limits.connection_time);
        match &self.phase {
            ConnectionPhase::Reading => self.since.saturating_add(limits.head_time).min(end),
            ConnectionPhase::Held { reply } => self.since.saturating_add(reply.delay),
            ConnectionPhase::Writing { .. } => end,
            ConnectionPhase::Lingering { .. } => self.since.saturating_add(LINGER_TIME),
            ConnectionPhase::Closed => Duration::ZERO,
        }
    }

    /// Who goes first when there is no room: first who has been served, then who has asked nothing so far, and last who
    /// is about to answer a challenge; the oldest among equals.
    pub(super) fn precedence(&self) -> (u8, Duration) {
        let rank = match self.phase {
            ConnectionPhase::Closed | ConnectionPhase::Lingering { .. } => 0,
            ConnectionPhase::Held { .. } => 1,
            ConnectionPhase::Reading if self.requests == 0 => 2,
            ConnectionPhase::Reading | ConnectionPhase::Writing { .. } => 3,
        };
        (rank, self.opened)
    }

    /// The deadline has come; whether that was too early for the client.
    pub(super) fn expire(&mut self, now: Duration) -> bool {
        match mem::replace(&mut self.phase, ConnectionPhase::Closed) {
            ConnectionPhase::Held { reply } => {
                self.begin_to_write(reply, now);
                self.write(now);
                false
            }
            ConnectionPhase::Reading => true,
            ConnectionPhase::Writing { .. } | ConnectionPhase::Lingering { .. } | ConnectionPhase::Closed => false,
        }
    }

    /// Goes on, something having happened; `ask` is given each request.
    pub(super) fn step(&mut self, ask: &mut Ask<'_>, now: Duration) {
        match self.phase {
            ConnectionPhase::Reading => self.read(ask, now),
            ConnectionPhase::Writing { .. } => {
                self.write(now);
                // The next request may be there already, and nothing else would tell.
                self.take_requests(ask, now);
            }
            ConnectionPhase::Lingering { .. } => self.drain(),
            ConnectionPhase::Held { .. } | ConnectionPhase::Closed => self.phase = ConnectionPhase::Closed, // the client is gone
        }
    }

    /// Reads once, so that nobody who says much keeps the others waiting.
    fn read(&mut self, ask: &mut Ask<'_>, now: Duration) {
        let mut chunk = [0; MAX_HEAD];
        // There is room: a full buffer has been answered.
        let room = MAX_HEAD - self.input.len();
        match self.stream.read(&mut chunk[..room]) {
            Ok(length @ 1..) => {
                let begins = self.input.is_empty();
                self.take(&chunk[..length]);
                // Byte by byte, a head is not parsed anew for each.
                if begins || chunk[..length].contains(&b'\n') || self.input.len() == MAX_HEAD {
                    self.take_requests(ask, now);
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Ok(0) | Err(_) => self.phase = ConnectionPhase::Closed,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let passed_over = self.body.min(bytes.len());
        self.body -= passed_over;
        self.input.extend_from_slice(&bytes[passed_over..]);
    }

    /// Has every whole request answered that stands in the buffer.
    fn take_requests(&mut self, ask: &mut Ask<'_>, now: Duration) {
        while matches!(self.phase, ConnectionPhase::Reading) && !self.input.is_empty() {
            let input = mem::take(&mut self.input);
            let reply = match RequestHead::parse(&input) {
                ParsedRequest::Incomplete if input.len() < MAX_HEAD => {
                    self.input = input;
                    return;
                }
                ParsedRequest::Incomplete => ask(Err(HeadError::TooLong), false),
                ParsedRequest::Malformed => ask(Err(HeadError::Malformed), false),
                ParsedRequest::Complete(head, length) => {
                    self.requests += 1;
                    self.body = head.body.unwrap_or(0);
                    self.take(&input[length..]);
                    ask(Ok(head), self.requests < MAX_REQUESTS)
                }
            };
            self.since = now;
            if reply.delay.is_zero() {
                self.begin_to_write(reply, now);
                self.write(now);
            } else {
                self.phase = ConnectionPhase::Held { reply };
            }
        }
    }

    fn begin_to_write(&mut self, reply: HttpResponse, now: Duration) {
        self.since = now;
        self.phase = ConnectionPhase::Writing { bytes: reply.bytes, sent: 0, persistent: reply.persistent };
    }

    fn write(&mut self, now: Duration) {
        let ConnectionPhase::Writing { bytes, sent, persistent } = &mut self.phase else { return };
        while *sent < bytes.len() {
            match self.stream.write(&bytes[*sent..]) {
                Ok(written @ 1..) => *sent += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(0) | Err(_) => {
                    self.phase = ConnectionPhase::Closed;
                    return;
                }
            }
        }
        self.phase = if *persistent {
            ConnectionPhase::Reading
        } else if self.stream.shutdown(Shutdown::Write).is_ok() {
            ConnectionPhase::Lingering { left: LINGER_SIZE }
        } else {
            ConnectionPhase::Closed
        };
        self.since = now;
    }

    fn drain(&mut self) {
        let mut chunk = [0; MAX_HEAD];
        while let ConnectionPhase::Lingering { left } = &mut self.phase {
            match self.stream.read(&mut chunk) {
                Ok(length) if (1..*left).contains(&length) => *left -= length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => self.phase = ConnectionPhase::Closed,
            }
        }
    }
}
