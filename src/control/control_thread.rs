//! The thread behind the control socket: serves all clients at once and waits for none of them.
//!
//! ```text
//!              ┌ status ───────────────────────────────────┐
//!   Reading ───┤                                           ├──▶ Writing ──▶ Closed
//!              └ others ──▶ Queued ──▶ WithAgent ──────────┘
//!                           in turn    until the Responder sends
//!                                          └▶ Streaming ──▶ Writing: a row of results, of which the last one ends it
//! ```
//!
//! Each phase has a limit. A client that is slow, sends too much or leaves costs the others nothing, and a request whose
//! client leaves before the agent has taken it is not executed.

use std::mem;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::connection::{ControlConnection, MAX_REQUEST, ReadProgress, RequestPhase, read_line};
use super::message::{Request, WAIT_LIMIT};
use super::pending_request::{Claim, Delivery, PendingRequest, RequestHandler, Responder, STOPPING};
use crate::log;
use crate::mailbox::Mailbox;
use crate::poll_thread::{self, EventRegistry, PollHandler, Waker};
use crate::readiness::PollFlags;

/// The most connections at once; further ones wait in the kernel.
const MAX_CONNECTIONS: usize = 32;
/// The most requests that the agent has at once of those that wait for the end of a session, and again of the others: few
/// results are in memory, and no request waits behind one that waits for the session.
const MAX_OPEN_REQUESTS: usize = 4;
/// The pause after a failure to accept, and while the queue of the agent is full.
const PAUSE: Duration = Duration::from_millis(20);

/// The state of the server's thread.
pub(super) struct ControlThread<H> {
    handler: H,
    listener: UnixListener,
    waker: Waker,
    /// The results of the agent that have not reached their clients yet.
    results: Mailbox<Delivery>,
    /// The number of requests that the agent has and has not answered: those it answers during a session, and those that
    /// wait for its end.
    open_requests: [Arc<AtomicUsize>; 2],
    connections: Vec<ControlConnection>,
    last_id: u64,
    /// The end of the pause in which neither the listener nor the queue of the agent is tried; zero outside of one.
    paused_until: Duration,
}

/// The token of the listener. The tokens of the connections are their indices.
const LISTENER: usize = usize::MAX;

impl<H: RequestHandler> PollHandler for ControlThread<H> {
    fn on_turn(&mut self, now: Duration) {
        self.deliver(now);
        self.expire(now);
        self.submit(now);
        self.connections.retain(|connection| !matches!(connection.phase, RequestPhase::Closed));
    }

    fn deadline(&self) -> Option<Duration> {
        // A crowd shortens the limits, so that clients that hang make room for those that wait in the kernel.
        let crowded = self.is_crowded();
        let limits = self.connections.iter().map(|connection| connection.deadline(crowded));
        let paused = Some(self.paused_until).filter(|until| !until.is_zero());
        limits.chain(paused).min()
    }

    fn register<'fd>(&'fd self, registry: &mut EventRegistry<'fd>) {
        for (at, connection) in self.connections.iter().enumerate() {
            registry.register(connection.stream.as_fd(), connection.interest(), at);
        }
        // While there is no room, further clients wait in the queue of the kernel, where they cost nothing.
        if !self.is_crowded() && self.paused_until.is_zero() {
            registry.register(self.listener.as_fd(), PollFlags::IN, LISTENER);
        }
    }

    fn on_event(&mut self, token: usize, _flags: PollFlags, now: Duration) {
        match token {
            LISTENER => self.accept(now),
            at => self.step(at, now),
        }
    }

    /// Writes the last results, as far as the clients take them at once. The agent has ended, and no result follows.
    fn on_stop(&mut self, now: Duration) {
        self.deliver(now);
        for connection in &mut self.connections {
            if matches!(connection.phase, RequestPhase::Queued(_) | RequestPhase::WithAgent(_)) {
                connection.respond(&Err(STOPPING.into()), now);
            }
        }
    }
}

impl<H: RequestHandler> ControlThread<H> {
    pub(super) fn new(listener: UnixListener, waker: Waker, handler: H) -> ControlThread<H> {
        ControlThread {
            handler,
            listener,
            waker,
            results: Mailbox::new(),
            open_requests: Default::default(),
            connections: Vec::new(),
            last_id: 0,
            paused_until: Duration::ZERO,
        }
    }

    fn is_crowded(&self) -> bool {
        self.connections.len() >= MAX_CONNECTIONS
    }

    /// Passes the results of the agent to the clients that still wait.
    fn deliver(&mut self, now: Duration) {
        while let Some(Delivery { connection, result, flow }) = self.results.take() {
            let waits = |known: &&mut ControlConnection| {
                known.id == connection && matches!(known.phase, RequestPhase::WithAgent(_) | RequestPhase::Streaming(_))
            };
            // A client that has left has no connection any more, and its result is dropped.
            match (self.connections.iter_mut().find(waits), flow) {
                (Some(connection), None) => connection.respond(&result, now),
                (Some(connection), Some(flow)) => connection.stream(&result, flow, now),
                (None, Some(flow)) => flow.left(),
                (None, None) => {}
            }
        }
    }

    /// Ends the phases that have reached their limit.
    fn expire(&mut self, now: Duration) {
        if self.paused_until <= now {
            self.paused_until = Duration::ZERO;
        }
        let crowded = self.is_crowded();
        for connection in self.connections.iter_mut().filter(|connection| connection.deadline(crowded) <= now) {
            match &connection.phase {
                RequestPhase::Reading(_) => connection.respond(&Err("the request did not come in time".into()), now),
                // The agent executes the request already and will send the result.
                RequestPhase::WithAgent(claim) if !claim.take() => connection.since = now,
                RequestPhase::Queued(_) | RequestPhase::WithAgent(_) => {
                    let seconds = WAIT_LIMIT.as_secs();
                    let reason = format!("a session has not ended within {seconds} s; nothing was done");
                    connection.respond(&Err(reason), now);
                }
                RequestPhase::Streaming(_) => {}
                RequestPhase::Writing { .. } | RequestPhase::Closed => connection.phase = RequestPhase::Closed,
            }
        }
    }

    /// Passes queued requests to the agent, the oldest connection first.
    fn submit(&mut self, now: Duration) {
        let is_writing = |known: &&ControlConnection| matches!(known.phase, RequestPhase::Writing { .. });
        let writing = self.connections.iter().filter(is_writing).count();
        for connection in &mut self.connections {
            let RequestPhase::Queued(request) = &connection.phase else { continue };
            let open_requests = &self.open_requests[usize::from(request.waits_for_session())];
            // A result that is being written counts as well: it may have 4 MiB, and a client may read slowly.
            if !self.paused_until.is_zero() || open_requests.load(Ordering::Acquire) + writing >= MAX_OPEN_REQUESTS {
                continue;
            }
            let RequestPhase::Queued(request) = mem::replace(&mut connection.phase, RequestPhase::Closed) else {
                continue; // not reached: the phase was checked above
            };
            // The claim stays here as well, so that a client that leaves withdraws its request.
            let claim = Claim::default();
            let responder =
                Responder::new(connection.id, self.results.clone(), self.waker.clone(), Arc::clone(open_requests));
            connection.phase = match self.handler.submit(PendingRequest::new(request, responder, claim.clone())) {
                Err(pending) => {
                    self.paused_until = now + PAUSE;
                    RequestPhase::Queued(pending.withdraw())
                }
                Ok(()) => RequestPhase::WithAgent(claim),
            };
        }
    }

    fn accept(&mut self, now: Duration) {
        while !self.is_crowded() {
            match poll_thread::accept(|| self.listener.accept()) {
                Ok(Some((stream, _))) if stream.set_nonblocking(true).is_ok() => {
                    self.last_id += 1;
                    let phase = RequestPhase::Reading(Vec::new());
                    self.connections.push(ControlConnection { id: self.last_id, stream, phase, since: now });
                    // The request has usually arrived with the connection, so one poll(2) is saved.
                    self.step(self.connections.len() - 1, now);
                }
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(error) => {
                    log::warn!("connections to the control socket cannot be accepted: {error}");
                    self.paused_until = now + PAUSE;
                    return;
                }
            }
        }
    }

    /// Serves a connection that is ready.
    fn step(&mut self, at: usize, now: Duration) {
        let connection = &mut self.connections[at];
        match &mut connection.phase {
            RequestPhase::Reading(line) => match read_line(&mut connection.stream, line) {
                ReadProgress::Incomplete => {}
                ReadProgress::Complete => match Request::parse(line) {
                    // The status is answered here, so that it can be read during a session.
                    Ok(Request::Status { json }) => connection.respond(&Ok(self.handler.status(json)), now),
                    Ok(Request::Check) => connection.respond(&self.handler.check(), now),
                    Ok(request) => connection.enter(RequestPhase::Queued(request), now),
                    Err(reason) => connection.respond(&Err(reason), now),
                },
                ReadProgress::TooLong => {
                    connection.respond(&Err(format!("the request is longer than {MAX_REQUEST} bytes")), now);
                }
                ReadProgress::Closed => connection.phase = RequestPhase::Closed,
            },
            // Only a hang-up is reported in these two phases, so the client has left.
            RequestPhase::Queued(_) => connection.phase = RequestPhase::Closed,
            RequestPhase::WithAgent(claim) => {
                // Taken here, the request is not executed; too late, it is, and its result is dropped.
                claim.take();
                connection.phase = RequestPhase::Closed;
            }
            RequestPhase::Writing { .. } => connection.write(),
            // Without a line to write, only a hang-up is reported.
            RequestPhase::Streaming(outlet) if outlet.lines.is_empty() => connection.phase = RequestPhase::Closed,
            RequestPhase::Streaming(_) => connection.write_stream(),
            RequestPhase::Closed => {}
        }
    }
}
