//! A request on its way from the control socket to the agent, and the result on its way back.
//!
//! ```text
//!   ControlThread ──RequestHandler::submit──▶ PendingRequest ──take──▶ Request ──▶ agent
//!        ▲                                                          └▶ Responder ─────┤
//!        └──────────────── Mailbox and Waker ◀────────────────────────────────── send ┘
//! ```
//!
//! [`Responder::into_stream`] keeps the connection open for further results, of which a client that reads slowly loses some.

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

/// A result on its way to its connection.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The number of the connection, by which the server finds it.
    pub(super) connection: u64,
    pub(super) result: CommandResult,
    /// Present if further results follow.
    pub(super) flow: Option<Arc<Flow>>,
}

/// The most bytes of results that wait for a client: a message of the ACS with a few thousand parameters.
const MAX_UNREAD: usize = 512 << 10;

/// The state of a connection that receives a row of results, shared with their sender.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The bytes of results that the client has not taken yet.
    unread: AtomicUsize,
    has_left: AtomicBool,
}

impl Flow {
    /// Notes that the client has taken these bytes.
    pub(super) fn taken(&self, bytes: usize) {
        self.unread.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Notes that the client has left.
    pub(super) fn left(&self) {
        self.has_left.store(true, Ordering::Release);
    }
}

/// The way back to a client that receives a row of results. Dropping it ends the row.
#[derive(Debug)]
pub struct ResultStream {
    connection: u64,
    results: Mailbox<Delivery>,
    waker: Waker,
    flow: Arc<Flow>,
}

impl ResultStream {
    /// Sends a text. Returns false, and drops it, while too much waits for the client: the agent neither waits for a client
    /// nor grows for it. A client for which nothing waits gets a text of any length.
    pub fn send(&self, text: String) -> bool {
        let unread = self.flow.unread.fetch_add(text.len(), Ordering::AcqRel);
        if unread > 0 && unread + text.len() > MAX_UNREAD {
            self.flow.taken(text.len());
            return false;
        }
        self.post(text, true);
        true
    }

    /// Returns false once the client has left.
    pub fn is_open(&self) -> bool {
        !self.flow.has_left.load(Ordering::Acquire)
    }

    fn post(&self, text: String, has_more: bool) {
        let flow = has_more.then(|| Arc::clone(&self.flow));
        self.results.post(Delivery { connection: self.connection, result: Ok(text), flow });
        self.waker.wake();
    }
}

impl Drop for ResultStream {
    fn drop(&mut self) {
        self.post(String::new(), false);
    }
}

/// The way back to the client. Dropped without a result, it reports that the agent is stopping.
#[derive(Debug)]
pub struct Responder {
    /// The number of the connection, by which the server finds it.
    connection: u64,
    results: Mailbox<Delivery>,
    waker: Waker,
    open_requests: Arc<AtomicUsize>,
    sent: bool,
}

impl Responder {
    /// Returns the way back to a connection. The request counts as open until the result is sent.
    pub(super) fn new(
        connection: u64,
        results: Mailbox<Delivery>,
        waker: Waker,
        open_requests: Arc<AtomicUsize>,
    ) -> Responder {
        open_requests.fetch_add(1, Ordering::AcqRel);
        Responder { connection, results, waker, open_requests, sent: false }
    }

    /// Keeps the connection open for a row of results.
    pub fn into_stream(mut self) -> ResultStream {
        self.sent = true;
        self.open_requests.fetch_sub(1, Ordering::AcqRel);
        ResultStream {
            connection: self.connection,
            results: self.results.clone(),
            waker: self.waker.clone(),
            flow: Arc::default(),
        }
    }

    /// Sends the result to the client.
    pub fn send(mut self, result: CommandResult) {
        self.post(result);
    }

    fn post(&mut self, result: CommandResult) {
        self.sent = true;
        self.open_requests.fetch_sub(1, Ordering::AcqRel);
        // If the server has ended before the agent, its clients are gone, and the result is never read.
        self.results.post(Delivery { connection: self.connection, result, flow: None });
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
