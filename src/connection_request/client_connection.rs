//! The connection of a client to the HTTP listener.
//!
//! ```text
//!              ┌────────── after a challenge ──────────┐
//!              ▼                                       │
//!   ───▶ Reading ──▶ Delayed ──▶ Writing ─────────────┴──▶ Lingering ──▶ Closed
//!                    after a guess       after any other     until the client
//!                                        response            has received it
//! ```
//!
//! Each phase has a deadline, and the connection as a whole has one, so that no client holds a place in the table.

use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::PollFlags;

use super::authenticator::HttpResponse;
use super::http_request::{HeadError, MAX_HEAD, ParsedRequest, RequestHead};
use super::limits::{ClientNetwork, Limits};
use crate::http::{header_length, unfold};

/// The most requests on one connection: without credentials, with them, and once more after a stale nonce.
const MAX_REQUESTS: u8 = 4;
/// The time that a client has to receive the final response and to close. A close at once, with a part of the request's
/// body unread, would send a reset that can overtake the response.
const LINGER_TIME: Duration = Duration::from_secs(1);
/// The most bytes of further input that are discarded meanwhile.
const LINGER_SIZE: usize = 64 << 10;

/// The connection of a client.
pub(super) struct ClientConnection {
    stream: TcpStream,
    address: SocketAddr,
    opened: Duration,
    /// The instant at which the phase began.
    since: Duration,
    phase: ConnectionPhase,
    /// The part of the request that has arrived, at most [`MAX_HEAD`] bytes.
    input: Vec<u8>,
    /// The bytes of a body that are still to be discarded before the next request.
    body: usize,
    requests: u8,
}

/// The function that returns the response to a request. Its second argument is true if the connection has room for
/// another request.
pub(super) type Respond<'a> = dyn FnMut(Result<RequestHead<'_>, HeadError>, bool) -> HttpResponse + 'a;

enum ConnectionPhase {
    Reading,
    Delayed { response: HttpResponse },
    Writing { bytes: Vec<u8>, sent: usize, persistent: bool },
    Lingering { left: usize },
    Closed,
}

impl ClientConnection {
    pub(super) fn new(stream: TcpStream, address: SocketAddr, now: Duration) -> ClientConnection {
        let (input, phase) = (Vec::new(), ConnectionPhase::Reading);
        ClientConnection { stream, address, opened: now, since: now, phase, input, body: 0, requests: 0 }
    }

    /// Returns the network of the client, to which its limits belong.
    pub(super) fn network(&self) -> ClientNetwork {
        ClientNetwork::of(self.address.ip())
    }

    /// Returns the address of the client for the log.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip().to_canonical(), self.address.port())
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase, ConnectionPhase::Closed)
    }

    /// Returns true if the client has had its final response.
    pub(super) fn is_served(&self) -> bool {
        matches!(self.phase, ConnectionPhase::Closed | ConnectionPhase::Lingering { .. })
    }

    /// Returns the readiness to wait for.
    pub(super) fn interest(&self) -> PollFlags {
        match self.phase {
            ConnectionPhase::Reading | ConnectionPhase::Lingering { .. } => PollFlags::IN,
            ConnectionPhase::Writing { .. } => PollFlags::OUT,
            // A hang-up is reported even with empty flags.
            ConnectionPhase::Delayed { .. } | ConnectionPhase::Closed => PollFlags::empty(),
        }
    }

    /// Returns the instant at which [`expire`](Self::expire) is to be called.
    pub(super) fn deadline(&self, limits: &Limits) -> Duration {
        let end = self.opened.saturating_add(limits.connection_time);
        match &self.phase {
            ConnectionPhase::Reading => self.since.saturating_add(limits.head_time).min(end),
            ConnectionPhase::Delayed { response } => self.since.saturating_add(response.delay),
            ConnectionPhase::Writing { .. } => end,
            ConnectionPhase::Lingering { .. } => self.since.saturating_add(LINGER_TIME),
            // Overdue at once, so that the next turn removes the connection.
            ConnectionPhase::Closed => Duration::ZERO,
        }
    }

    /// Returns the rank among the connections that may be closed for a new one; the least is closed first.
    pub(super) fn precedence(&self) -> (u8, Duration) {
        let rank = match self.phase {
            ConnectionPhase::Closed | ConnectionPhase::Lingering { .. } => 0,
            ConnectionPhase::Delayed { .. } => 1,
            ConnectionPhase::Reading if self.requests == 0 => 2,
            ConnectionPhase::Reading | ConnectionPhase::Writing { .. } => 3,
        };
        (rank, self.opened)
    }

    /// Ends the phase at its deadline. Returns true if the client had not sent its request by then.
    pub(super) fn expire(&mut self, now: Duration) -> bool {
        match mem::replace(&mut self.phase, ConnectionPhase::Closed) {
            ConnectionPhase::Delayed { response } => {
                self.begin_to_write(response, now);
                self.write(now);
                false
            }
            ConnectionPhase::Reading => true,
            ConnectionPhase::Writing { .. } | ConnectionPhase::Lingering { .. } | ConnectionPhase::Closed => false,
        }
    }

    /// Serves a connection that is ready; `respond` is called for each request.
    pub(super) fn step(&mut self, respond: &mut Respond<'_>, now: Duration) {
        match self.phase {
            ConnectionPhase::Reading => self.read(respond, now),
            ConnectionPhase::Writing { .. } => {
                self.write(now);
                // The next request may stand in the buffer already, and poll(2) would not report it again.
                self.take_requests(respond, now);
            }
            ConnectionPhase::Lingering { .. } => self.drain(),
            // Only a hang-up is reported in these phases, so the client has left.
            ConnectionPhase::Delayed { .. } | ConnectionPhase::Closed => self.phase = ConnectionPhase::Closed,
        }
    }

    /// Reads once and not until the input is used up, so that a client that sends much does not delay the others.
    fn read(&mut self, respond: &mut Respond<'_>, now: Duration) {
        let mut chunk = [0; MAX_HEAD];
        // There is room for at least one byte: a full buffer was answered and emptied.
        let room = MAX_HEAD - self.input.len();
        match self.stream.read(&mut chunk[..room]) {
            Ok(length @ 1..) => {
                let begins = self.input.is_empty();
                self.take(&chunk[..length]);
                // A head that arrives byte by byte is not parsed anew for each: only a line end can complete it.
                if begins || chunk[..length].contains(&b'\n') || self.input.len() == MAX_HEAD {
                    self.take_requests(respond, now);
                }
            }
            // The kernel may report a socket as ready that is not, for example after a wrong checksum.
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Ok(0) | Err(_) => self.phase = ConnectionPhase::Closed,
        }
    }

    /// Appends input to the buffer, without the bytes of a body (R261).
    fn take(&mut self, bytes: &[u8]) {
        let discarded = self.body.min(bytes.len());
        self.body -= discarded;
        self.input.extend_from_slice(&bytes[discarded..]);
    }

    /// Responds to each complete request in the buffer.
    fn take_requests(&mut self, respond: &mut Respond<'_>, now: Duration) {
        while matches!(self.phase, ConnectionPhase::Reading) && !self.input.is_empty() {
            let mut input = mem::take(&mut self.input);
            // The body stays as it is: white space at its begin would take the blank line in front of it for a fold.
            let length = header_length(&input, 0).unwrap_or(input.len());
            unfold(&mut input[..length]);
            let response = match RequestHead::parse(&input) {
                ParsedRequest::Incomplete if input.len() < MAX_HEAD => {
                    self.input = input;
                    return;
                }
                ParsedRequest::Incomplete => respond(Err(HeadError::TooLong), false),
                ParsedRequest::Malformed => respond(Err(HeadError::Malformed), false),
                ParsedRequest::Complete(head, length) => {
                    // The count ends a connection on which a client asks for challenges without end.
                    self.requests += 1;
                    self.body = head.body.unwrap_or(0);
                    // The rest is the body, or a further request that was sent without waiting for the response.
                    self.take(&input[length..]);
                    respond(Ok(head), self.requests < MAX_REQUESTS)
                }
            };
            self.since = now;
            if response.delay.is_zero() {
                self.begin_to_write(response, now);
                self.write(now);
            } else {
                self.phase = ConnectionPhase::Delayed { response };
            }
        }
    }

    fn begin_to_write(&mut self, response: HttpResponse, now: Duration) {
        self.since = now;
        self.phase = ConnectionPhase::Writing { bytes: response.bytes, sent: 0, persistent: response.persistent };
    }

    /// Writes as much as the socket takes, and enters the next phase after the last byte.
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
        // The write side is shut down at once, so that the client sees the end of the response without waiting.
        self.phase = if *persistent {
            ConnectionPhase::Reading
        } else if self.stream.shutdown(Shutdown::Write).is_ok() {
            ConnectionPhase::Lingering { left: LINGER_SIZE }
        } else {
            ConnectionPhase::Closed
        };
        self.since = now;
    }

    /// Discards further input until the client closes. The limit stops a client that sends without end.
    fn drain(&mut self) {
        let mut chunk = [0; MAX_HEAD];
        while let ConnectionPhase::Lingering { left } = &mut self.phase {
            match self.stream.read(&mut chunk) {
                // A length of 0 is the end of the stream and closes the connection, as does one beyond the limit.
                Ok(length) if (1..*left).contains(&length) => *left -= length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => self.phase = ConnectionPhase::Closed,
            }
        }
    }
}
