//! The thread behind the control socket: all clients at once, no waiting for any of them.
//!
//! ```text
//!              ┌ status ──────────────────────────────┐
//!   Reading ───┤                                      ├──▶ Writing ──▶ closed
//!              └ others ──▶ Queued ──▶ WithAgent ─────┘
//!                           in turn    until the Responder
//! ```
//!
//! Every phase has a limit. A client that is late, says too much or goes away costs the others nothing, and a command
//! whose client is gone before the agent has taken it up is not carried out.

use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::message::{CommandResult, Request, encode_answer};
use super::server::{Claim, PendingRequest, RequestHandler, Responder, STOPPING, SubmitError};
use crate::clock::Clock;
use crate::readiness::{self, PollFlags};

/// Connections at once; further ones wait in the kernel.
const MAX_PEERS: usize = 32;
/// The longest request line, in bytes: a `set` of a thousand parameters.
const MAX_REQUEST: usize = 256 << 10;
/// Commands that the agent has at once, so that its channel stays open to others and few answers are in memory.
const MAX_CALLS: usize = 4;
/// For the request to arrive, and again for the answer to be taken.
const TRANSFER_LIMIT: Duration = Duration::from_secs(5);
/// The same while there is no room for another client.
const CROWDED_LIMIT: Duration = Duration::from_secs(1);
/// How long a command may wait for the end of a session.
pub(super) const WAIT_LIMIT: Duration = Duration::from_secs(120);
/// How long to leave a full channel, or a listener that has failed, alone.
const PAUSE: Duration = Duration::from_millis(20);
const CHUNK: usize = 4 << 10;

/// What the thread owns.
pub(super) struct ControlThread<D> {
    daemon: D,
    clock: Clock,
    listener: UnixListener,
    woken: UnixStream,
    waker: Arc<UnixStream>,
    answers: Receiver<(u64, CommandResult)>,
    sender: Sender<(u64, CommandResult)>,
    /// Calls that the agent has and has not answered.
    open_calls: Arc<AtomicUsize>,
    peers: Vec<ControlConnection>,
    last_peer: u64,
    /// Not before this is the listener, or the agent's channel, tried again.
    paused_until: Duration,
}

/// A client that is connected.
struct ControlConnection {
    id: u64,
    stream: UnixStream,
    phase: RequestPhase,
    /// When the phase began, on the monotonic clock.
    since: Duration,
}

enum RequestPhase {
    /// What has come so far.
    Reading(Vec<u8>),
    Queued(Request),
    WithAgent(Claim),
    Writing {
        line: Vec<u8>,
        sent: usize,
    },
    Closed,
}

impl<D: RequestHandler> ControlThread<D> {
    pub(super) fn new(
        listener: UnixListener,
        woken: UnixStream,
        waker: Arc<UnixStream>,
        daemon: D,
    ) -> ControlThread<D> {
        let (sender, answers) = channel();
        ControlThread {
            daemon,
            clock: Clock::new(),
            listener,
            woken,
            waker,
            answers,
            sender,
            open_calls: Arc::default(),
            peers: Vec::new(),
            last_peer: 0,
            paused_until: Duration::ZERO,
        }
    }

    /// Serves until `stop` is set and the waker is written to.
    pub(super) fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            let now = self.clock.now().monotonic;
            self.expire(now);
            self.submit(now);
            self.peers.retain(|peer| !matches!(peer.phase, RequestPhase::Closed));
            let (incoming, flags) = self.wait(now);
            let now = self.clock.now().monotonic;
            for (at, flags) in flags.into_iter().enumerate() {
                self.step(at, flags, now);
            }
            self.deliver(now);
            if incoming {
                self.accept(now);
            }
        }
        self.shutdown();
    }

    /// The last answers, as far as they are taken at once.
    fn shutdown(&mut self) {
        let now = self.clock.now().monotonic;
        self.deliver(now);
        for peer in &mut self.peers {
            if matches!(peer.phase, RequestPhase::Queued(_) | RequestPhase::WithAgent(_)) {
                peer.answer(&Err(STOPPING.into()), now);
            }
        }
    }

    fn is_crowded(&self) -> bool {
        self.peers.len() >= MAX_PEERS
    }

    /// Sleeps until something happens or is due: whether somebody wants in, and what is the matter with each peer.
    fn wait(&mut self, now: Duration) -> (bool, Vec<PollFlags>) {
        let mut interests = Vec::with_capacity(self.peers.len() + 2);
        interests.push((self.woken.as_fd(), PollFlags::IN));
        interests.extend(self.peers.iter().map(|peer| (peer.stream.as_fd(), peer.interest())));
        let listening = !self.is_crowded() && self.paused_until <= now;
        if listening {
            interests.push((self.listener.as_fd(), PollFlags::IN));
        }
        let flags = readiness::wait(&interests, self.deadline().map(|deadline| deadline.saturating_sub(now)));
        if !flags[0].is_empty() {
            while matches!((&self.woken).read(&mut [0; 64]), Ok(1..)) {}
        }
        let peers = flags[1..=self.peers.len()].to_vec();
        (listening && flags.last().is_some_and(|flags| !flags.is_empty()), peers)
    }

    /// When something is to be done even though nothing happens.
    fn deadline(&self) -> Option<Duration> {
        let crowded = self.is_crowded();
        let limits = self.peers.iter().map(|peer| peer.deadline(crowded));
        let paused = Some(self.paused_until).filter(|until| !until.is_zero());
        limits.chain(paused).min()
    }

    /// Ends what has taken too long.
    fn expire(&mut self, now: Duration) {
        if self.paused_until <= now {
            self.paused_until = Duration::ZERO;
        }
        let crowded = self.is_crowded();
        for peer in self.peers.iter_mut().filter(|peer| peer.deadline(crowded) <= now) {
            match &peer.phase {
                RequestPhase::Reading(_) => peer.answer(&Err("the request did not come in time".into()), now),
                // The agent has it already, and will answer.
                RequestPhase::WithAgent(claim) if !claim.take() => peer.since = now,
                RequestPhase::Queued(_) | RequestPhase::WithAgent(_) => {
                    peer.answer(&Err("the agent is busy with a session; nothing was done".into()), now);
                }
                RequestPhase::Writing { .. } | RequestPhase::Closed => peer.phase = RequestPhase::Closed,
            }
        }
    }

    /// Hands commands to the agent, in turn.
    fn submit(&mut self, now: Duration) {
        let writing = self.peers.iter().filter(|peer| matches!(peer.phase, RequestPhase::Writing { .. })).count();
        for peer in &mut self.peers {
            if !self.paused_until.is_zero() || self.open_calls.load(Ordering::Acquire) + writing >= MAX_CALLS {
                return;
            }
            let request = match mem::replace(&mut peer.phase, RequestPhase::Closed) {
                RequestPhase::Queued(request) => request,
                other => {
                    peer.phase = other;
                    continue;
                }
            };
            let claim = Claim::default();
            let reply =
                Responder::new(peer.id, self.sender.clone(), Arc::clone(&self.waker), Arc::clone(&self.open_calls));
            peer.phase = match self.daemon.submit(PendingRequest::new(request, reply, claim.clone())) {
                Err(SubmitError::QueueFull(call)) => {
                    self.paused_until = now + PAUSE;
                    RequestPhase::Queued(call.withdraw())
                }
                // Where nobody is left, the dropped call answers for itself.
                Ok(()) | Err(SubmitError::Stopped) => RequestPhase::WithAgent(claim),
            };
        }
    }

    /// Brings the agent's answers to the clients that still wait.
    fn deliver(&mut self, now: Duration) {
        while let Ok((id, answer)) = self.answers.try_recv() {
            let waiting =
                |peer: &&mut ControlConnection| peer.id == id && matches!(peer.phase, RequestPhase::WithAgent(_));
            if let Some(peer) = self.peers.iter_mut().find(waiting) {
                peer.answer(&answer, now);
            }
        }
    }

    fn accept(&mut self, now: Duration) {
        while !self.is_crowded() {
            match self.listener.accept() {
                Ok((stream, _)) if stream.set_nonblocking(true).is_ok() => {
                    self.last_peer += 1;
                    let phase = RequestPhase::Reading(Vec::new());
                    self.peers.push(ControlConnection { id: self.last_peer, stream, phase, since: now });
                    // As a rule its request is there already.
                    self.step(self.peers.len() - 1, PollFlags::IN, now);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    log::warn!("the control socket cannot be accepted from: {error}");
                    self.paused_until = now + PAUSE;
                    return;
                }
            }
        }
    }

    /// Goes on with a peer that something has happened to.
    fn step(&mut self, at: usize, flags: PollFlags, now: Duration) {
        let peer = &mut self.peers[at];
        if flags.is_empty() {
            return;
        }
        match &mut peer.phase {
            RequestPhase::Reading(line) => match read_line(&mut peer.stream, line) {
                ReadProgress::Incomplete => {}
                ReadProgress::Complete => match Request::parse(line) {
                    Ok(Request::Status { json }) => peer.answer(&Ok(self.daemon.status(json)), now),
                    Ok(request) => peer.enter(RequestPhase::Queued(request), now),
                    Err(reason) => peer.answer(&Err(reason), now),
                },
                ReadProgress::TooLong => {
                    peer.answer(&Err(format!("the request is longer than {MAX_REQUEST} bytes")), now)
                }
                ReadProgress::Closed => peer.phase = RequestPhase::Closed,
            },
            // Nothing else is asked for in these phases but whether the client is still there.
            RequestPhase::Queued(_) => peer.phase = RequestPhase::Closed,
            RequestPhase::WithAgent(claim) => {
                claim.take();
                peer.phase = RequestPhase::Closed;
            }
            RequestPhase::Writing { .. } => peer.write(),
            RequestPhase::Closed => {}
        }
    }
}

impl ControlConnection {
    fn interest(&self) -> PollFlags {
        match self.phase {
            RequestPhase::Reading(_) => PollFlags::IN,
            RequestPhase::Writing { .. } => PollFlags::OUT,
            _ => PollFlags::empty(), // the end of the connection is told without being asked for
        }
    }

    fn deadline(&self, crowded: bool) -> Duration {
        let limit = match self.phase {
            RequestPhase::Reading(_) | RequestPhase::Writing { .. } if crowded => CROWDED_LIMIT,
            RequestPhase::Reading(_) | RequestPhase::Writing { .. } => TRANSFER_LIMIT,
            RequestPhase::Queued(_) | RequestPhase::WithAgent(_) => WAIT_LIMIT,
            RequestPhase::Closed => Duration::ZERO,
        };
        self.since.saturating_add(limit)
    }

    fn enter(&mut self, phase: RequestPhase, now: Duration) {
        self.phase = phase;
        self.since = now;
    }

    fn answer(&mut self, answer: &CommandResult, now: Duration) {
        self.enter(RequestPhase::Writing { line: encode_answer(answer), sent: 0 }, now);
        self.write();
    }

    fn write(&mut self) {
        let RequestPhase::Writing { line, sent } = &mut self.phase else { return };
        while *sent < line.len() {
            match self.stream.write(&line[*sent..]) {
                Ok(0) => break,
                Ok(written) => *sent += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.phase = RequestPhase::Closed;
    }
}

/// How far a request line has come.
enum ReadProgress {
    Incomplete,
    Complete,
    TooLong,
    /// Nothing was asked.
    Closed,
}

/// Reads what is there; leaves in `line` what stands before the line end, or before the end of the stream.
fn read_line(stream: &mut UnixStream, line: &mut Vec<u8>) -> ReadProgress {
    let mut chunk = [0; CHUNK];
    loop {
        let fresh = line.len();
        match stream.read(&mut chunk) {
            Ok(0) if line.is_empty() => return ReadProgress::Closed,
            Ok(0) => return ReadProgress::Complete,
            Ok(length) => line.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return ReadProgress::Incomplete,
            Err(_) => return ReadProgress::Closed,
        }
        if let Some(end) = line[fresh..].iter().position(|&byte| byte == b'\n') {
            line.truncate(fresh + end);
            return ReadProgress::Complete;
        }
        if line.len() > MAX_REQUEST {
            return ReadProgress::TooLong;
        }
    }
}
