//! The server as the daemon sees it: it is started, hands over [`PendingRequest`]s, and ends when it is dropped.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use super::control_thread::ControlThread;
use super::message::{CommandResult, Request};
use super::socket::SocketFile;

use crate::thread;

/// Room for a poll set, a chunk of a request and the JSON writer; only pages that are touched cost memory.
const STACK: usize = 128 << 10;

pub(super) const STOPPING: &str = "the agent is stopping";

/// What the server asks of the daemon behind it; from a thread of its own.
pub trait RequestHandler: Send + 'static {
    /// Hands a command over, without waiting.
    fn submit(&self, call: PendingRequest) -> Result<(), SubmitError>;
    /// How the daemon is doing, for people or as JSON; answers at once, whatever the agent is busy with.
    fn status(&self, json: bool) -> String;
}

/// Why a command was not handed over.
#[derive(Debug)]
pub enum SubmitError {
    /// Too much waits already: try again.
    QueueFull(PendingRequest),
    /// Nobody is left to take it.
    Stopped,
}

/// A command on its way to the agent.
#[derive(Debug)]
pub struct PendingRequest {
    request: Request,
    reply: Responder,
    claim: Claim,
}

/// Who decides what becomes of a call: the agent by taking it up, or the server by giving up, whoever is first.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim(Arc<AtomicBool>);

impl Claim {
    /// Whether the other side has not claimed the call before.
    pub(super) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

impl PendingRequest {
    /// Takes the command up; none where its client has given up meanwhile, so that nothing is to be done.
    pub fn take(self) -> Option<(Request, Responder)> {
        if self.claim.take() { Some((self.request, self.reply)) } else { None }
    }

    pub(super) fn new(request: Request, reply: Responder, claim: Claim) -> PendingRequest {
        PendingRequest { request, reply, claim }
    }

    /// The request of a call that was not handed over after all.
    pub(super) fn withdraw(mut self) -> Request {
        self.reply.sent = true;
        self.reply.open_calls.fetch_sub(1, Ordering::AcqRel);
        self.request
    }
}

/// Where the answer goes. Dropped without one, it tells the client that the agent is stopping.
#[derive(Debug)]
pub struct Responder {
    peer: u64,
    answers: Sender<(u64, CommandResult)>,
    waker: Arc<UnixStream>,
    open_calls: Arc<AtomicUsize>,
    sent: bool,
}

impl Responder {
    /// The way back to a peer; it counts as an open call until it has answered.
    pub(super) fn new(
        peer: u64,
        answers: Sender<(u64, CommandResult)>,
        waker: Arc<UnixStream>,
        open_calls: Arc<AtomicUsize>,
    ) -> Responder {
        open_calls.fetch_add(1, Ordering::AcqRel);
        Responder { peer, answers, waker, open_calls, sent: false }
    }

    /// Answers.
    pub fn send(mut self, answer: CommandResult) {
        self.post(answer);
    }

    fn post(&mut self, answer: CommandResult) {
        self.sent = true;
        self.open_calls.fetch_sub(1, Ordering::AcqRel);
        // The server may be gone.
        let _ = self.answers.send((self.peer, answer));
        wake(&self.waker);
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if !self.sent {
            self.post(Err(STOPPING.into()));
        }
    }
}

/// Ends the control_thread's sleep. Where the byte finds no room, enough of them are there already.
fn wake(mut waker: &UnixStream) {
    let _ = waker.write(&[0]);
}

/// The running server; its thread and its socket file go with it.
pub struct ControlServer {
    file: Option<SocketFile>,
    stop: Arc<AtomicBool>,
    waker: Arc<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl ControlServer {
    /// Serves `daemon` at the socket `path`, which only its owner may open.
    pub fn start(path: &Path, daemon: impl RequestHandler) -> io::Result<ControlServer> {
        let (file, listener) = SocketFile::listen(path)?;
        let (waker, woken) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let waker = Arc::new(waker);
        let stop = Arc::new(AtomicBool::new(false));
        let control_thread = ControlThread::new(listener, woken, Arc::clone(&waker), daemon);
        let serve = {
            let stop = Arc::clone(&stop);
            move || control_thread.run(&stop)
        };
        let thread = thread::spawn("control", STACK, Box::new(serve))?;
        Ok(ControlServer { file: Some(file), stop, waker, thread: Some(thread) })
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        drop(self.file.take());
        self.stop.store(true, Ordering::Release);
        wake(&self.waker);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
