//! The connection to the ACS, on a thread of its own as long as the session lasts.
//!
//! ```text
//! agent thread ──body of a POST──▶ SessionThread: name, TCP, TLS, POST ──Exchange──▶ Inbox ──▶ agent thread
//! ```
//!
//! Each step may last as long as the ACS is silent, and the handshake of TLS takes seconds of computing on a slow device.
//! The agent thread waits at its inbox meanwhile. The device and the journal stay with the agent thread, so that they need
//! no lock.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::inbox::Inbox;
use crate::acs::{AcsConnection, Response};
use crate::http::{HttpError, ResponseRecord};
use crate::mailbox::Mailbox;
use crate::thread;

/// The stack size in bytes: TLS and a few buffers. Only pages that are touched cost memory.
const STACK: usize = 512 << 10;

/// The result of one step: the connection with TLS, or one POST.
pub(super) struct Exchange {
    /// The message that was posted; empty for a connection.
    pub(super) posted: Vec<u8>,
    /// The response; an empty one for a connection.
    pub(super) result: Result<Response, HttpError>,
    /// The address of the ACS at the last connection.
    pub(super) remote: Option<SocketAddr>,
    /// A digest of the addresses that the ACS had then; `None` for fewer than two.
    pub(super) list: Option<u32>,
    /// The address of this device on that connection.
    pub(super) local: Option<SocketAddr>,
    /// True if the ACS has asked for Basic.
    pub(super) is_basic: bool,
    /// True if the ACS has closed a connection without announcing it.
    pub(super) closes_silently: bool,
    /// The responses to the POST, while a trace is recorded.
    pub(super) responses: Vec<ResponseRecord>,
}

/// The thread of a session. Dropping it closes the connection (R50) and waits for the end of the thread.
pub(super) struct SessionThread {
    /// The bodies to post; `None` ends the thread.
    bodies: Mailbox<Option<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl SessionThread {
    /// Starts a thread that opens the connection and reports it to the inbox.
    ///
    /// # Errors
    /// The refusal of the kernel to start another thread.
    pub(super) fn start(mut connection: AcsConnection, inbox: Arc<Inbox>) -> io::Result<SessionThread> {
        let bodies: Mailbox<Option<Vec<u8>>> = Mailbox::new();
        let orders = bodies.clone();
        let run = move || {
            let opened = connection.connect().map(|()| Response::default());
            inbox.finish_exchange(Exchange::of(&mut connection, Vec::new(), opened));
            while let Some(body) = orders.wait(None).flatten() {
                let result = connection.post(&body);
                inbox.finish_exchange(Exchange::of(&mut connection, body, result));
            }
        };
        let thread = thread::spawn("session", STACK, Box::new(run))?;
        Ok(SessionThread { bodies, thread: Some(thread) })
    }

    /// Posts a message. The inbox receives the exchange.
    pub(super) fn post(&self, body: Vec<u8>) {
        self.bodies.post(Some(body));
    }
}

impl Drop for SessionThread {
    fn drop(&mut self) {
        self.bodies.post(None);
        if let Some(thread) = self.thread.take() {
            // Only the notice of TLS may delay the end, by a fraction of a second.
            let _ = thread.join();
        }
    }
}

impl Exchange {
    fn of(connection: &mut AcsConnection, posted: Vec<u8>, result: Result<Response, HttpError>) -> Exchange {
        Exchange {
            posted,
            result,
            remote: connection.remote_addr(),
            list: connection.address_list(),
            local: connection.local_addr(),
            is_basic: connection.is_basic(),
            closes_silently: connection.closes_silently(),
            responses: connection.take_responses(),
        }
    }
}
