//! Driver: a thread that serves sockets, none of which it waits for alone.
//!
//! ```text
//!            ┌──────────────────────────────────────────────────────────────┐
//!            ▼                                                              │
//!   on_turn, deadline, register ──▶ poll(2) ──▶ on_event for each descriptor that is ready
//!                                      ▲
//!            Waker, end of PollThread ─┘                    on_stop once the thread is to end
//! ```
//!
//! A server implements [`PollHandler`] and is moved into a [`PollThread`]. The thread owns all of it, so the server needs
//! no lock; other threads hand it work through a channel and a [`Waker`].

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::Clock;
use crate::readiness::{self, Interest, PollFlags};
use crate::thread;

/// The stack of the thread in bytes: a poll set, a datagram or chunk, and the header fields of a request.
const STACK: usize = 128 << 10;

/// The server that a [`PollThread`] runs. All instants are on the monotonic clock.
pub(crate) trait PollHandler: Send + 'static {
    /// Does the work that is due: work that other threads have handed over, and work whose deadline has come.
    fn on_turn(&mut self, now: Duration);

    /// Returns the instant at which the next turn is needed without an event; `None` to sleep until an event.
    fn deadline(&self) -> Option<Duration>;

    /// Registers the descriptors to wait for. Their events arrive in the order of registration.
    fn register<'fd>(&'fd self, registry: &mut EventRegistry<'fd>);

    /// Serves the descriptor of this token, which is ready. The flags may hold an error or a hang-up that was not asked for.
    fn on_event(&mut self, token: usize, flags: PollFlags, now: Duration);

    /// Does the last work of the thread.
    fn on_stop(&mut self, _now: Duration) {}
}

/// The descriptors that a handler waits for in one turn, each with the token by which the handler knows it.
pub(crate) struct EventRegistry<'fd> {
    interests: Vec<Interest<'fd>>,
    tokens: Vec<usize>,
}

impl<'fd> EventRegistry<'fd> {
    /// Waits for `flags` on `fd` and reports them with `token`. With empty flags only errors and a hang-up are reported,
    /// because poll(2) cannot be told to leave those out.
    pub(crate) fn register(&mut self, fd: BorrowedFd<'fd>, flags: PollFlags, token: usize) {
        self.interests.push((fd, flags));
        self.tokens.push(token);
    }
}

/// A running thread. Dropping it wakes the thread and waits for its end.
#[derive(Debug)]
pub(crate) struct PollThread {
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl PollThread {
    /// Starts a thread that runs the handler which `make` returns. `make` runs on the calling thread.
    ///
    /// # Errors
    /// The refusal of the kernel to give another pair of descriptors or another thread.
    pub(crate) fn start<H: PollHandler>(name: &str, make: impl FnOnce(&Waker) -> H) -> io::Result<PollThread> {
        PollThread::start_with_stack(name, STACK, make)
    }

    /// Starts a thread as [`PollThread::start`] does, with a stack of so many bytes.
    ///
    /// # Errors
    /// Those of [`PollThread::start`].
    pub(crate) fn start_with_stack<H: PollHandler>(
        name: &str,
        stack: usize,
        make: impl FnOnce(&Waker) -> H,
    ) -> io::Result<PollThread> {
        let (waker, woken) = Waker::pair()?;
        // The handler is made after the waker, so that it can hand out copies of it.
        let handler = Box::new(make(&waker));
        PollThread::spawn(name, stack, handler, waker, woken)
    }

    // The handler is boxed, so that the thread is compiled once and not for each type of handler.
    fn spawn(
        name: &str,
        stack: usize,
        mut handler: Box<dyn PollHandler>,
        waker: Waker,
        woken: UnixStream,
    ) -> io::Result<PollThread> {
        let stop = Arc::new(AtomicBool::new(false));
        let work = {
            let stop = Arc::clone(&stop);
            move || run(&mut *handler, &woken, &stop)
        };
        let thread = thread::spawn(name, stack, Box::new(work))?;
        Ok(PollThread { stop, waker, thread: Some(thread) })
    }

    /// Starts a turn of the thread, so that it takes the work that was handed over.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }
}

impl Drop for PollThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already printed, and ends only that thread.
            let _ = thread.join();
        }
    }
}

/// A handle with which any thread ends the sleep of a [`PollThread`].
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<UnixStream>);

impl Waker {
    /// Returns a waker and the descriptor that it makes readable.
    pub(crate) fn pair() -> io::Result<(Waker, UnixStream)> {
        let (waker, woken) = UnixStream::pair()?;
        // A full pair must never block the thread that wakes, nor an empty one the thread that is woken.
        waker.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        Ok((Waker(Arc::new(waker)), woken))
    }

    /// Ends the sleep of the thread, or its next one.
    pub(crate) fn wake(&self) {
        // The write fails if the pair is full, when enough bytes wait already, and if the thread has ended.
        let _ = (&*self.0).write(&[0]);
    }
}

fn run(handler: &mut dyn PollHandler, woken: &UnixStream, stop: &AtomicBool) {
    let clock = Clock::new();
    // The flag is checked once a turn, and the byte of the waker guarantees another turn.
    while !stop.load(Ordering::Acquire) {
        let now = clock.now().monotonic;
        handler.on_turn(now);
        let ready = wait(handler, woken, now);
        // The sleep may have been long, so that the events get the time after it.
        let now = clock.now().monotonic;
        for (token, flags) in ready {
            handler.on_event(token, flags, now);
        }
    }
    handler.on_stop(clock.now().monotonic);
}

/// Sleeps until a descriptor is ready, the thread is woken or the deadline is reached. Returns the events in the order of
/// their registration.
fn wait(handler: &dyn PollHandler, mut woken: &UnixStream, now: Duration) -> Vec<(usize, PollFlags)> {
    let mut registry = EventRegistry { interests: Vec::new(), tokens: Vec::new() };
    handler.register(&mut registry);
    // The waker stands last, behind all events, so that the indices of the two lists agree.
    registry.interests.push((woken.as_fd(), PollFlags::IN));
    // A deadline that has passed means a wait of zero, in which ready descriptors still get their turn.
    let limit = handler.deadline().map(|deadline| deadline.saturating_sub(now));
    let flags = readiness::wait(&registry.interests, limit);
    if flags.last().is_some_and(|woken| !woken.is_empty()) {
        // The bytes are drained before the next turn and not after it: work that is handed over during the turn leaves
        // a byte behind and starts another turn. A read that is not full has taken the last one.
        let mut bytes = [0; 64];
        while matches!(woken.read(&mut bytes), Ok(64)) {}
    }
    registry.tokens.into_iter().zip(flags).filter(|(_, flags)| !flags.is_empty()).collect()
}

/// Returns the next connection of a non-blocking listener, or `None` if no connection waits.
///
/// # Errors
/// A failure that will not pass at once, such as too many open files. The caller must pause: the connection stays in the
/// queue of the listener, so that poll(2) would report it again without end.
pub(crate) fn accept<S>(mut accept: impl FnMut() -> io::Result<S>) -> io::Result<Option<S>> {
    loop {
        match accept() {
            Ok(connection) => return Ok(Some(connection)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            // The client has already closed the connection; the next one may be good.
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A handler that reports each call over a channel.
    struct Recorder {
        streams: [UnixStream; 2],
        handed_over: Receiver<&'static str>,
        calls: Sender<String>,
    }

    impl PollHandler for Recorder {
        fn on_turn(&mut self, _now: Duration) {
            self.handed_over.try_iter().for_each(|work| self.calls.send(work.into()).expect("the test listens"));
        }

        fn deadline(&self) -> Option<Duration> {
            None
        }

        fn register<'fd>(&'fd self, registry: &mut EventRegistry<'fd>) {
            for (at, stream) in self.streams.iter().enumerate() {
                registry.register(stream.as_fd(), PollFlags::IN, at);
            }
        }

        fn on_event(&mut self, token: usize, flags: PollFlags, _now: Duration) {
            assert!(flags.contains(PollFlags::IN));
            self.streams[token].read_exact(&mut [0]).expect("a byte");
            self.calls.send(format!("event {token}")).expect("the test listens");
        }

        fn on_stop(&mut self, _now: Duration) {
            self.calls.send("stop".into()).expect("the test listens");
        }
    }

    #[test]
    fn work_events_and_the_end_reach_the_handler() {
        let (mut first, first_peer) = UnixStream::pair().expect("a pair");
        let (mut second, second_peer) = UnixStream::pair().expect("a pair");
        let ((work, handed_over), (calls, seen)) = (channel(), channel());
        let streams = [first_peer, second_peer];
        let thread = PollThread::start("test", |_| Recorder { streams, handed_over, calls }).expect("a thread");
        let next = || seen.recv_timeout(Duration::from_secs(10)).expect("a call");
        work.send("work").expect("the thread lives");
        thread.wake();
        assert_eq!(next(), "work");
        second.write_all(b"x").expect("sent");
        assert_eq!(next(), "event 1");
        first.write_all(b"x").expect("sent");
        assert_eq!(next(), "event 0");
        drop(thread);
        assert_eq!(next(), "stop");
        assert!(seen.recv().is_err(), "the handler was dropped with its thread");
    }

    #[test]
    fn a_full_waker_does_not_block() {
        struct Sleeper;
        impl PollHandler for Sleeper {
            fn on_turn(&mut self, _now: Duration) {}
            fn deadline(&self) -> Option<Duration> {
                None
            }
            fn register<'fd>(&'fd self, _registry: &mut EventRegistry<'fd>) {}
            fn on_event(&mut self, _token: usize, _flags: PollFlags, _now: Duration) {}
        }
        let thread = PollThread::start("test", |_| Sleeper).expect("a thread");
        (0..1_000_000).for_each(|_| thread.wake());
    }

    #[test]
    fn connections_that_are_gone_are_passed_over() {
        let mut results = vec![
            Err(ErrorKind::WouldBlock.into()),
            Err(ErrorKind::PermissionDenied.into()),
            Ok(7),
            Err(ErrorKind::ConnectionAborted.into()),
            Err(ErrorKind::Interrupted.into()),
        ];
        let mut next = || accept(|| results.pop().expect("no more is asked for"));
        assert_eq!(next().expect("a connection"), Some(7));
        assert_eq!(next().expect_err("a failure").kind(), ErrorKind::PermissionDenied);
        assert_eq!(next().expect("none"), None);
    }
}
