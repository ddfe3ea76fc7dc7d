//! The UDP port: connection requests come in here, and STUN keeps the way to it open (R272, R288, R289).
//!
//! ```text
//!                 ┌ letter ─▶ UdpRequest ─▶ ReplayWindow ─▶ UdpEvent::Requested
//!   datagram ─────┤
//!                 └ 0 or 1 ─▶ Binding ──┬▶ datagrams from this port and a secondary one
//!   time, local address, names ─────────┘▶ UdpEvent::Published
//! ```
//!
//! To a connection request nothing is ever answered (R293).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::RngCore;
use rand::rngs::OsRng;

use super::limits::{Rate, TokenBucket};
use super::outcome::UdpOutcome;
use super::resolver::Resolver;
use super::udp_request::{ReplayWindow, UdpRequest};
use super::{AccessSettings, ListenerState, local_address};
use crate::clock::Clock;
use crate::readiness::{self, PollFlags};
use crate::stun::{Action, Binding, Port, PublishedBinding, StunSettings, StunStatus};
use crate::thread;

/// Room for a datagram, its header fields and a STUN message; only pages that are touched cost memory.
const STACK: usize = 128 << 10;
/// The longest datagram that is looked at, in bytes; a longer one is garbage.
const MAX_DATAGRAM: usize = 2 << 10;
/// Datagrams taken from a socket before the time is looked at again.
const TAKEN_AT_ONCE: usize = 32;
/// How often the local address is looked up where nothing tells that it has changed.
const LOOK: Duration = Duration::from_secs(30);

/// What the agent is told, from the listener's thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpEvent {
    /// A connection request was accepted (R295). What is handed over here, and handed in at the next start, keeps
    /// copies of it out for good.
    Requested(ReplayWindow),
    /// UDPConnectionRequestAddress and NATDetected have these values from now on (R285).
    Published(PublishedBinding),
    /// The address of this device on the way to the ACS may be another one than before: this one (R266).
    Address(IpAddr),
}

/// What the STUN binding is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UdpConfig {
    /// The parameters.
    pub stun: StunSettings,
    /// An address of the ACS. Until a STUN server is known, the local address is the one on the way there.
    pub acs: Option<SocketAddr>,
}

/// The running listener; its port is closed when it is dropped.
pub struct UdpListener {
    address: SocketAddr,
    shared: Arc<UdpShared>,
    waker: Arc<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

/// What both sides of the thread touch.
#[derive(Debug, Default)]
struct UdpShared {
    stop: AtomicBool,
    /// A new course, until the thread takes it.
    course: Mutex<Option<UdpConfig>>,
    status: Mutex<Option<StunStatus>>,
}

impl UdpListener {
    /// Listens at `address`. `report` is called from a thread of its own and must not wait; but what is known without
    /// asking anybody, such as the local address, is reported before this comes back.
    pub fn start(
        address: SocketAddr,
        accepted: Rate,
        state: Arc<ListenerState>,
        replay: ReplayWindow,
        course: UdpConfig,
        on_event: impl Fn(UdpEvent) + Send + 'static,
    ) -> io::Result<UdpListener> {
        let primary = UdpSocket::bind(address)?;
        primary.set_nonblocking(true)?;
        let address = primary.local_addr()?;
        let (waker, woken) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let waker = Arc::new(waker);
        let shared = Arc::new(UdpShared { course: Mutex::new(Some(course)), ..UdpShared::default() });
        let watch = local_address::watch();
        if let Err(error) = &watch {
            log::debug!("changes of addresses are looked for every {LOOK:?} only: {error}");
        }
        let mut service = UdpThread {
            primary,
            secondary: None,
            address,
            woken,
            watch: watch.ok(),
            clock: Clock::new(),
            shared: Arc::clone(&shared),
            credentials: state.settings(),
            state,
            replay,
            accepted: TokenBucket::default(),
            rate: accepted,
            on_event,
            binding: Binding::new(),
            resolver: Resolver::new(Arc::clone(&waker)),
            acs: None,
            towards_acs: None,
            way: local_address::placeholder_addr(address),
            look_at: Duration::ZERO,
        };
        service.step();
        let thread = thread::spawn("udp", STACK, Box::new(move || service.run()))?;
        Ok(UdpListener { address, shared, waker, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Changes the course of the STUN binding.
    pub fn set_config(&self, course: UdpConfig) {
        *self.shared.course.lock().unwrap_or_else(PoisonError::into_inner) = Some(course);
        self.wake();
    }

    /// A view of the STUN binding.
    pub fn stun(&self) -> StunView {
        StunView(Arc::clone(&self.shared))
    }

    fn wake(&self) {
        // Where the byte finds no room, enough of them are there already.
        let _ = (&*self.waker).write(&[0]);
    }
}

/// How the STUN binding is doing, for as long as somebody wants to know.
#[derive(Clone, Debug)]
pub struct StunView(Arc<UdpShared>);

impl StunView {
    /// How it is doing now; none before the thread has begun.
    pub fn status(&self) -> Option<StunStatus> {
        self.0.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for UdpListener {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct UdpThread<R> {
    primary: UdpSocket,
    /// For probes (R283); opened with the first.
    secondary: Option<UdpSocket>,
    address: SocketAddr,
    woken: UnixStream,
    watch: Option<OwnedFd>,
    clock: Clock,
    shared: Arc<UdpShared>,
    state: Arc<ListenerState>,
    replay: ReplayWindow,
    /// With which the last request was accepted.
    credentials: Arc<AccessSettings>,
    accepted: TokenBucket,
    rate: Rate,
    on_event: R,
    binding: Binding,
    resolver: Resolver,
    acs: Option<SocketAddr>,
    /// Our address on the way to it.
    towards_acs: Option<IpAddr>,
    /// The destination that the local address is looked up for.
    way: SocketAddr,
    /// When to look it up again.
    look_at: Duration,
}

impl<R: Fn(UdpEvent)> UdpThread<R> {
    fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            let now = self.step();
            self.wait(now);
            let now = self.clock.now().monotonic;
            self.receive(Port::Primary, now);
            self.receive(Port::Secondary, now);
        }
    }

    /// Does what is to be done by now, and gives when that is.
    fn step(&mut self) -> Duration {
        let now = self.clock.now().monotonic;
        self.apply_updates(now);
        self.run_binding(now);
        self.update_local_address(now);
        self.show();
        now
    }

    /// A new course, and names that have been resolved.
    fn apply_updates(&mut self, now: Duration) {
        let course = self.shared.course.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(course) = course {
            self.acs = course.acs;
            self.look_at = now;
            self.binding.configure(course.stun, now);
        }
        while let Some((server, addresses)) = self.resolver.answer() {
            let usable = |address: &SocketAddr| local_address::same_family(self.address, *address);
            let addresses: Vec<SocketAddr> = addresses.into_iter().filter(usable).collect();
            self.binding.on_resolved(&server, &addresses);
            // The way there may be another one.
            if let Some(first) = addresses.first() {
                self.way = *first;
                self.look_at = now;
            }
        }
    }

    /// Does what the binding decides.
    fn run_binding(&mut self, now: Duration) {
        while let Some(action) = self.binding.poll(now, &mut fill) {
            match action {
                Action::Send { port, to, bytes } => {
                    if let Err(error) = self.send(port, to, &bytes) {
                        log::debug!("STUN to {to}: {error}");
                    }
                }
                Action::Resolve(server) => self.resolver.ask(server),
                Action::Changed(published) => {
                    self.show(); // who is told may look
                    (self.on_event)(UdpEvent::Published(published));
                }
            }
        }
    }

    fn send(&mut self, port: Port, to: SocketAddr, bytes: &[u8]) -> io::Result<usize> {
        let socket = match (port, &mut self.secondary) {
            (Port::Primary, _) => &self.primary,
            (Port::Secondary, Some(secondary)) => secondary,
            (Port::Secondary, none) => {
                let secondary = UdpSocket::bind((self.address.ip(), 0))?;
                secondary.set_nonblocking(true)?;
                none.insert(secondary)
            }
        };
        socket.send_to(bytes, to_socket_family(self.address, to))
    }

    /// R284.
    fn update_local_address(&mut self, now: Duration) {
        let known =
            self.binding.status().server.or(self.acs).filter(|to| local_address::same_family(self.address, *to));
        let way = known.unwrap_or(self.way);
        if now < self.look_at && way == self.way {
            return;
        }
        (self.way, self.look_at) = (way, now + LOOK);
        let local = local_address::towards(self.address, way);
        self.binding.on_local_address(local, now);
        self.run_binding(now);
        let ours = self.acs.and_then(local_address::local_addr_towards);
        if ours.is_some() && self.towards_acs != ours {
            self.towards_acs = ours;
            ours.into_iter().for_each(|address| (self.on_event)(UdpEvent::Address(address)));
        }
    }

    fn show(&self) {
        *self.shared.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.binding.status());
    }

    /// Sleeps until something happens or is due.
    fn wait(&mut self, now: Duration) {
        let deadline = self.binding.deadline().map_or(self.look_at, |deadline| deadline.min(self.look_at));
        let mut interests = Vec::with_capacity(4);
        interests.push((self.woken.as_fd(), PollFlags::IN));
        interests.push((self.primary.as_fd(), PollFlags::IN));
        interests.extend(self.secondary.iter().map(|socket| (socket.as_fd(), PollFlags::IN)));
        interests.extend(self.watch.iter().map(|socket| (socket.as_fd(), PollFlags::IN)));
        let flags = readiness::wait(&interests, Some(deadline.saturating_sub(now)));
        let is_woken = !flags[0].is_empty();
        let has_changed = self.watch.is_some() && flags.last().is_some_and(|last| !last.is_empty());
        if is_woken {
            while matches!((&self.woken).read(&mut [0; 64]), Ok(1..)) {}
        }
        if let Some(watch) = self.watch.as_ref().filter(|_| has_changed) {
            local_address::drain(watch);
            self.look_at = now;
        }
    }

    /// Takes what has come in.
    fn receive(&mut self, port: Port, now: Duration) {
        let mut datagram = [0; MAX_DATAGRAM + 1];
        for _ in 0..TAKEN_AT_ONCE {
            let socket = match port {
                Port::Primary => Some(&self.primary),
                Port::Secondary => self.secondary.as_ref(),
            };
            match socket.map(|socket| socket.recv_from(&mut datagram)) {
                Some(Ok((length, from))) => self.take(port, &datagram[..length], from, now),
                Some(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    /// R289: the first byte tells what it is.
    fn take(&mut self, port: Port, datagram: &[u8], from: SocketAddr, now: Duration) {
        match datagram.first() {
            Some(0 | 1) if datagram.len() <= MAX_DATAGRAM => self.binding.on_datagram(port, from, datagram, now),
            _ if port == Port::Secondary => {} // nobody has been told of this port
            first => {
                self.binding.on_other_traffic(now);
                let is_request = first.is_some_and(u8::is_ascii_alphabetic) && datagram.len() <= MAX_DATAGRAM;
                let outcome = if is_request { self.decide(datagram, now) } else { UdpOutcome::Garbage };
                self.state.udp.add(outcome);
                log::debug!("UDP connection request from {from}: {outcome:?}");
                if outcome == UdpOutcome::Accepted {
                    log::info!("UDP connection request from {from}");
                    (self.on_event)(UdpEvent::Requested(self.replay));
                }
            }
        }
    }

    fn decide(&mut self, datagram: &[u8], now: Duration) -> UdpOutcome {
        let settings = self.state.settings();
        // Nothing that was signed before can be used again, and the ACS may be another one, which counts its time in
        // another way: seconds after milliseconds would never be late enough.
        if !Arc::ptr_eq(&settings, &self.credentials) && !settings.same_credentials(&self.credentials) {
            self.replay = ReplayWindow::default();
        }
        self.credentials = Arc::clone(&settings);
        let accepted = UdpRequest::parse(datagram).and_then(|request| self.replay.accept(&request, &settings));
        match accepted {
            Ok(()) if self.accepted.take(self.rate, now) => UdpOutcome::Accepted,
            Ok(()) => UdpOutcome::RateLimited, // R264
            Err(refused) => refused,
        }
    }
}

/// An address as a socket bound to `bound` wants it: IPv6 sockets speak IPv4 in IPv6 clothes.
fn to_socket_family(bound: SocketAddr, to: SocketAddr) -> SocketAddr {
    match (bound, to.ip()) {
        (SocketAddr::V6(_), IpAddr::V4(v4)) => SocketAddr::new(v4.to_ipv6_mapped().into(), to.port()),
        _ => to,
    }
}

fn fill(bytes: &mut [u8]) {
    if let Err(error) = OsRng.try_fill_bytes(bytes) {
        log::error!("no random bytes: {error}");
    }
}
