//! The handle of the control server: starts its thread, and ends it when it is dropped.

use std::io;
use std::path::Path;

use super::control_thread::ControlThread;
use super::pending_request::RequestHandler;
use super::socket::SocketFile;
use crate::poll_thread::PollThread;

/// The running server. Dropping it removes the socket file and ends the thread.
pub struct ControlServer {
    // The fields are dropped in this order: the file goes first, so that no client connects to a thread that ends.
    _file: SocketFile,
    _thread: PollThread,
}

impl ControlServer {
    /// Serves requests at the socket `path`, which only its owner may open.
    ///
    /// # Errors
    /// The socket cannot be made, another agent uses it, or the thread cannot be started.
    pub fn start(path: &Path, handler: impl RequestHandler) -> io::Result<ControlServer> {
        // The socket is bound on the calling thread, so that its failure is reported to the caller.
        let (file, listener) = SocketFile::listen(path)?;
        let thread = PollThread::start("control", |waker| ControlThread::new(listener, waker.clone(), handler))?;
        Ok(ControlServer { _file: file, _thread: thread })
    }
}
