//! A request on its way from the control socket to the agent, and the result on its way back.
//!
//! ```text
//!   ControlThread ──RequestHandler::submit──▶ PendingRequest ──take──▶ Request ──▶ agent
//!        ▲                                                          └▶ Responder ─────┤
//!        └──────────────── Mailbox and Waker ◀────────────────────────────────── send ┘
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::message::{CommandResult, Request};
use crate::mailbox::Mailbox;
use crate::poll_thread::Waker;

/// The result of a request that the agent does not answer because it ends.
pub(super) const STOPPING: &str = "the agent is stopping; nothing was done";

/// The agent as the server sees it. Both functions are called from the server's thread and must not block.
pub trait RequestHandler: Send + 'static {
    /// Passes a request to the agent. Returns it if the queue of the agent is full; the server tries again later.
    fn submit(&self, request: PendingRequest) -> Result<(), PendingRequest>;

    /// Returns the state of the agent, as text for people or as JSON. It is available even during a session.
    fn status(&self, json: bool) -> String;

    /// Returns a line about the health of the agent; an error if an operator should look at it. Available as the status is.
    fn check(&self) -> CommandResult;
}

/// A request on its way to the agent.
#[derive(Debug)]
pub struct PendingRequest {
    request: Request,
    responder: Responder,
    claim: Claim,
}

impl PendingRequest {
    /// Returns true if the request waits for the end of a running session.
    pub fn waits_for_session(&self) -> bool {
        self.request.waits_for_session()
    }

    /// Takes the request, so that the server can no longer withdraw it. Returns `None` if the client has given up, in
    /// which case the request must not be executed.
    pub fn take(self) -> Option<(Request, Responder)> {
        if self.claim.take() { Some((self.request, self.responder)) } else { None }
    }

    pub(super) fn new(request: Request, responder: Responder, claim: Claim) -> PendingRequest {
        PendingRequest { request, responder, claim }
    }

    /// Returns the request after a failed submission, without a result to the client.
    pub(super) fn withdraw(mut self) -> Request {
        // Marked as sent, the responder sends nothing when it is dropped here.
        self.responder.sent = true;
        self.responder.open_requests.fetch_sub(1, Ordering::AcqRel);
        self.request
    }
}

/// The right to decide about a pending request. The agent takes it to execute the request, the server to give it up.
///
/// Only the first of the two gets it, so that no client reads "nothing was done" about a request that is executed.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim(Arc<AtomicBool>);

impl Claim {
    /// Returns true for the first call, and false if the other side was first.
    pub(super) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// The way back to the client. Dropped without a result, it reports that the agent is stopping.
#[derive(Debug)]
pub struct Responder {
    /// The number of the connection, by which the server finds it.
    connection: u64,
    results: Mailbox<(u64, CommandResult)>,
    waker: Waker,
    open_requests: Arc<AtomicUsize>,
    sent: bool,
}

impl Responder {
    /// Returns the way back to a connection. The request counts as open until the result is sent.
    pub(super) fn new(
        connection: u64,
        results: Mailbox<(u64, CommandResult)>,
        waker: Waker,
        open_requests: Arc<AtomicUsize>,
    ) -> Responder {
        open_requests.fetch_add(1, Ordering::AcqRel);
        Responder { connection, results, waker, open_requests, sent: false }
    }

    /// Sends the result to the client.
    pub fn send(mut self, result: CommandResult) {
        self.post(result);
    }

    fn post(&mut self, result: CommandResult) {
        self.sent = true;
        self.open_requests.fetch_sub(1, Ordering::AcqRel);
        // If the server has ended before the agent, its clients are gone, and the result is never read.
        self.results.post((self.connection, result));
        self.waker.wake();
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // Requests that wait in the queue of an agent that ends are dropped, and their clients must not wait in vain.
        if !self.sent {
            self.post(Err(STOPPING.into()));
        }
    }
}
