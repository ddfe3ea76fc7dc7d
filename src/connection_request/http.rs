//! The HTTP listener: one thread for all connections, none of which it waits for.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use log::Level;
use rand::RngCore;
use rand::rngs::OsRng;
use rustix::io::Errno;

use super::ListenerState;
use super::authenticator::Authenticator;
use super::client_connection::ClientConnection;
use super::limits::{ClientNetwork, Limits};
use super::outcome::HttpOutcome;
use crate::clock::Clock;
use crate::readiness::{self, PollFlags};
use crate::thread;

/// Room for a poll set, a chunk and the header fields of a request; only pages that are touched cost memory.
const STACK: usize = 128 << 10;
/// Connections accepted before those that are open are looked at again.
const ACCEPTED_AT_ONCE: usize = 8;
/// How long to leave a listener alone that has failed: too many files are open, for example.
const PAUSE: Duration = Duration::from_millis(200);
/// How often such a failure is told: what others do to this device must not fill its log.
const TOLD_EVERY: Duration = Duration::from_secs(60 * 60);

/// The running listener; its port is closed when it is dropped (R267).
#[derive(Debug)]
pub struct HttpListener {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    waker: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl HttpListener {
    /// Listens at `address`, where `[::]` stands for IPv4 and IPv6, and port 0 for a free one. `wake` is called from a
    /// thread of its own after each accepted request has been answered, and must not wait (R259).
    pub fn start(
        address: SocketAddr,
        limits: Limits,
        state: Arc<ListenerState>,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<HttpListener> {
        let listener = bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (waker, woken) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let mut secret = [0; 28];
        OsRng.try_fill_bytes(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let service = HttpThread {
            listener,
            woken,
            clock: Clock::new(),
            limits,
            state,
            authenticator: Authenticator::new(limits, secret),
            wake,
            peers: Vec::new(),
            paused_until: None,
            told_at: None,
        };
        let serve = {
            let stop = Arc::clone(&stop);
            move || service.run(&stop)
        };
        let thread = thread::spawn("http", STACK, Box::new(serve))?;
        Ok(HttpListener { address, stop, waker, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpListener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Where the byte finds no room, enough of them are there already.
        let _ = self.waker.write(&[0]);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Binds; where the kernel has no IPv6, `[::]` means all of IPv4.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let lacks_ipv6 = |error: &io::Error| {
        let errno = error.raw_os_error();
        [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].iter().any(|lack| errno == Some(lack.raw_os_error()))
    };
    match TcpListener::bind(address) {
        Err(error) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && lacks_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port()))
        }
        bound => bound,
    }
}

/// What the thread owns.
struct HttpThread<W> {
    listener: TcpListener,
    woken: UnixStream,
    clock: Clock,
    limits: Limits,
    state: Arc<ListenerState>,
    authenticator: Authenticator,
    wake: W,
    peers: Vec<ClientConnection>,
    /// Not before this is the listener tried again.
    paused_until: Option<Duration>,
    /// When it was told last that the listener has failed.
    told_at: Option<Duration>,
}

impl<W: Fn()> HttpThread<W> {
    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            let now = self.clock.now().monotonic;
            self.expire(now);
            self.peers.retain(|peer| !peer.is_closed());
            let (incoming, flags) = self.wait(now);
            let now = self.clock.now().monotonic;
            for (at, flags) in flags.into_iter().enumerate() {
                if !flags.is_empty() {
                    self.step(at, now);
                }
            }
            if incoming {
                self.accept(now);
            }
        }
    }

    /// Ends what has taken too long.
    fn expire(&mut self, now: Duration) {
        self.paused_until = self.paused_until.filter(|until| *until > now);
        for peer in self.peers.iter_mut().filter(|peer| peer.deadline(&self.limits) <= now) {
            if peer.expire(now) {
                self.state.http.add(HttpOutcome::TimedOut);
            }
        }
    }

    /// Sleeps until something happens or is due: whether somebody wants in, and what is the matter with each peer.
    fn wait(&mut self, now: Duration) -> (bool, Vec<PollFlags>) {
        let deadlines = self.peers.iter().map(|peer| peer.deadline(&self.limits));
        let limit = deadlines.chain(self.paused_until).min().map(|deadline| deadline.saturating_sub(now));
        let mut interests = Vec::with_capacity(self.peers.len() + 2);
        interests.push((self.woken.as_fd(), PollFlags::IN));
        interests.extend(self.peers.iter().map(|peer| (peer.fd(), peer.interest())));
        let listens = self.paused_until.is_none();
        if listens {
            interests.push((self.listener.as_fd(), PollFlags::IN));
        }
        let flags = readiness::wait(&interests, limit);
        if !flags[0].is_empty() {
            while matches!((&self.woken).read(&mut [0; 64]), Ok(1..)) {}
        }
        let incoming = listens && flags.last().is_some_and(|flags| !flags.is_empty());
        (incoming, flags[1..=self.peers.len()].to_vec())
    }

    /// Lets new connections in, and others out where there is no room.
    fn accept(&mut self, now: Duration) {
        for _ in 0..ACCEPTED_AT_ONCE {
            match self.listener.accept() {
                Ok((stream, address)) if stream.set_nonblocking(true).is_ok() => {
                    self.make_room(ClientNetwork::of(address.ip()));
                    self.peers.push(ClientConnection::new(stream, address, now));
                    // As a rule its request is there already.
                    self.step(self.peers.len() - 1, now);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    self.pause(&error, now);
                    return;
                }
            }
        }
    }

    fn pause(&mut self, error: &io::Error, now: Duration) {
        let is_told = self.told_at.is_some_and(|at| now < at + TOLD_EVERY);
        let level = if is_told { Level::Debug } else { Level::Warn };
        log::log!(level, "connection requests cannot be accepted: {error}");
        self.told_at = self.told_at.filter(|_| is_told).or(Some(now));
        self.paused_until = Some(now + PAUSE);
    }

    /// Closes a connection where another one of this source would be too many: one of the same source where that has
    /// enough of them, else one of those sources that have most.
    fn make_room(&mut self, incoming: ClientNetwork) {
        self.peers.retain(|peer| !peer.is_closed());
        let count = |source: ClientNetwork| self.peers.iter().filter(|peer| peer.source() == source).count();
        let most = if count(incoming) >= self.limits.connections_per_network.max(1) {
            None
        } else if self.peers.len() >= self.limits.connections.max(1) {
            self.peers.iter().map(|peer| count(peer.source())).max()
        } else {
            return;
        };
        let is_candidate = |source: ClientNetwork| most.map_or(source == incoming, |most| count(source) == most);
        let candidates = self.peers.iter().enumerate().filter(|(_, peer)| is_candidate(peer.source()));
        if let Some((at, _)) = candidates.min_by_key(|(_, peer)| peer.precedence()) {
            let dropped = self.peers.swap_remove(at);
            if !dropped.is_served() {
                self.state.http.add(HttpOutcome::CrowdedOut);
            }
        }
    }

    /// Goes on with a peer that something has happened to.
    fn step(&mut self, at: usize, now: Duration) {
        let peer = &mut self.peers[at];
        let (address, source) = (peer.address(), peer.source());
        let (authenticator, state) = (&mut self.authenticator, &self.state);
        let mut accepted = false;
        peer.step(
            &mut |request, may_go_on| {
                let reply = authenticator.reply(request, &state.settings(), source, may_go_on, now);
                state.http.add(reply.outcome);
                accepted |= reply.outcome == HttpOutcome::Accepted;
                log::debug!("connection request from {address}: {:?}", reply.outcome);
                reply
            },
            now,
        );
        // Answered first, woken then (R259); and woken even where the client has gone, since it was let in.
        if accepted {
            log::info!("connection request from {address}");
            (self.wake)();
        }
    }
}
