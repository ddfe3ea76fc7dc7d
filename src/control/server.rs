//! The server as the daemon sees it: it is started, hands over [`Call`]s, and ends when it is dropped.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};

use super::message::{Answer, Request};
use super::service::Service;
use super::socket::SocketFile;

/// Room for a poll set, a chunk of a request and the JSON writer; only pages that are touched cost memory.
const STACK: usize = 128 << 10;

pub(super) const STOPPING: &str = "the agent is stopping";

/// What the server asks of the daemon behind it; from a thread of its own.
pub trait Daemon: Send + 'static {
    /// Hands a command over, without waiting.
    fn submit(&self, call: Call) -> Result<(), Refused>;
    /// How the daemon is doing, for people or as JSON; answers at once, whatever the agent is busy with.
    fn status(&self, json: bool) -> String;
}

/// Why a command was not handed over.
#[derive(Debug)]
pub enum Refused {
    /// Too much waits already: try again.
    Full(Call),
    /// Nobody is left to take it.
    Gone,
}

/// A command on its way to the agent.
#[derive(Debug)]
pub struct Call {
    request: Request,
    reply: Reply,
    claim: Claim,
}

/// Who decides what becomes of a call: the agent by taking it up, or the server by giving up, whoever is first.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim(Arc<AtomicBool>);

impl Claim {
    /// Whether the other side has not claimed the call before.
    pub(super) fn lay(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

impl Call {
    /// Takes the command up; none where its client has given up meanwhile, so that nothing is to be done.
    pub fn take(self) -> Option<(Request, Reply)> {
        if self.claim.lay() { Some((self.request, self.reply)) } else { None }
    }

    pub(super) fn new(request: Request, reply: Reply, claim: Claim) -> Call {
        Call { request, reply, claim }
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
pub struct Reply {
    peer: u64,
    answers: Sender<(u64, Answer)>,
    waker: Arc<UnixStream>,
    open_calls: Arc<AtomicUsize>,
    sent: bool,
}

impl Reply {
    /// The way back to a peer; it counts as an open call until it has answered.
    pub(super) fn new(
        peer: u64,
        answers: Sender<(u64, Answer)>,
        waker: Arc<UnixStream>,
        open_calls: Arc<AtomicUsize>,
    ) -> Reply {
        open_calls.fetch_add(1, Ordering::AcqRel);
        Reply { peer, answers, waker, open_calls, sent: false }
    }

    /// Answers.
    pub fn send(mut self, answer: Answer) {
        self.post(answer);
    }

    fn post(&mut self, answer: Answer) {
        self.sent = true;
        self.open_calls.fetch_sub(1, Ordering::AcqRel);
        // The server may be gone.
        let _ = self.answers.send((self.peer, answer));
        wake(&self.waker);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.sent {
            self.post(Err(STOPPING.into()));
        }
    }
}

/// Ends the service's sleep. Where the byte finds no room, enough of them are there already.
fn wake(mut waker: &UnixStream) {
    let _ = waker.write(&[0]);
}

/// The running server; its thread and its socket file go with it.
pub struct Server {
    file: Option<SocketFile>,
    stop: Arc<AtomicBool>,
    waker: Arc<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `daemon` at the socket `path`, which only its owner may open.
    #[expect(clippy::disallowed_methods, reason = "a driver: the thread of the control socket")]
    pub fn start(path: &Path, daemon: impl Daemon) -> io::Result<Server> {
        let (file, listener) = SocketFile::listen(path)?;
        let (waker, woken) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let waker = Arc::new(waker);
        let stop = Arc::new(AtomicBool::new(false));
        let service = Service::new(listener, woken, Arc::clone(&waker), daemon);
        let serve = {
            let stop = Arc::clone(&stop);
            move || service.run(&stop)
        };
        let thread = thread::Builder::new().name("control".into()).stack_size(STACK).spawn(serve)?;
        Ok(Server { file: Some(file), stop, waker, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.file.take());
        self.stop.store(true, Ordering::Release);
        wake(&self.waker);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
