//! The UDP listener: receives connection requests and STUN responses on one port (R272, R288, R289).
//!
//! ```text
//!                 ┌ letter ─▶ UdpRequest ─▶ ReplayWindow ─▶ UdpEvent::Requested
//!   datagram ─────┤
//!                 └ 0 or 1 ─▶ Binding ──┬▶ datagrams from this port and from a secondary one
//!   time, local address, names ─────────┘▶ UdpEvent::Published
//! ```
//!
//! The listener never answers a connection request (R293), so that a forged sender address brings no packets to another host.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngCore;
use rand::rngs::OsRng;

use super::limits::Rate;
use super::outcome::RequestOutcome;
use super::resolver::Resolver;
use super::udp_request::{ReplayWindow, UdpRequest};
use super::{AccessSettings, ListenerState, local_address};
use crate::change_watch;
use crate::clock::Clock;
use crate::log;
use crate::poll_thread::{EventRegistry, PollHandler, PollThread};
use crate::readiness::PollFlags;
use crate::stun::{Action, Binding, Port, PublishedBinding, StunSettings, StunStatus};

/// The longest accepted datagram in bytes; a longer one counts as garbage.
const MAX_DATAGRAM: usize = 2 << 10;
/// The number of datagrams that are received from a socket before the STUN deadlines are checked again.
const RECEIVED_AT_ONCE: usize = 32;
/// The interval at which the local address is determined again. Without netlink no event reports its change.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(30);

/// A message from the listener to the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpEvent {
    /// A connection request was accepted (R295). The agent must store the window and pass it in at the next start, so
    /// that a copy of the request stays rejected (R292).
    Requested(ReplayWindow),
    /// UDPConnectionRequestAddress and NATDetected have new values (R285).
    Published(PublishedBinding),
    /// The address of this device on the route to the ACS, after a possible change (R266).
    Address(IpAddr),
}

/// The configuration of the UDP listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UdpConfig {
    /// The STUN parameters of the data model.
    pub stun: StunSettings,
    /// An address of the ACS. Until the address of a STUN server is known, the route to the ACS decides about the local
    /// address.
    pub acs: Option<SocketAddr>,
}

/// The running UDP listener. Dropping it closes the port.
pub struct UdpListener {
    address: SocketAddr,
    shared: Arc<UdpShared>,
    thread: PollThread,
}

/// The state shared between the handle of the listener and its thread.
#[derive(Debug, Default)]
struct UdpShared {
    /// A new configuration, until the thread takes it.
    config: Mutex<Option<UdpConfig>>,
    status: Mutex<Option<StunStatus>>,
}

impl UdpListener {
    /// Listens at `address` and accepts requests at the given rate. `replay` is the window of the last run.
    ///
    /// `on_event` is called from the listener's thread and must not block. Events that need no network, such as the local
    /// address, are reported before this function returns.
    ///
    /// # Errors
    /// The refusal of the kernel to bind the address or to start the thread.
    pub fn start(
        address: SocketAddr,
        rate: Rate,
        state: Arc<ListenerState>,
        replay: ReplayWindow,
        config: UdpConfig,
        on_event: impl Fn(UdpEvent) + Send + 'static,
    ) -> io::Result<UdpListener> {
        let primary = UdpSocket::bind(address)?;
        primary.set_nonblocking(true)?;
        let address = primary.local_addr()?;
        let shared = Arc::new(UdpShared { config: Mutex::new(Some(config)), ..UdpShared::default() });
        let address_watch = change_watch::netlink();
        if let Err(error) = &address_watch {
            log::debug!("changes of the local address are found only every {} s: {error}", LOOKUP_INTERVAL.as_secs());
        }
        let thread = PollThread::start("udp", |waker| {
            let mut thread = UdpThread {
                primary,
                secondary: None,
                address,
                address_watch: address_watch.ok(),
                shared: Arc::clone(&shared),
                credentials: state.settings(),
                state,
                replay,
                rate,
                on_event,
                binding: Binding::new(),
                resolver: Resolver::new(waker.clone()),
                acs: None,
                towards_acs: None,
                destination: local_address::placeholder_addr(address),
                lookup_at: Duration::ZERO,
            };
            // The first turn runs on the calling thread: the agent needs the local address for its first Inform (R285).
            thread.on_turn(Clock::new().now().monotonic);
            thread
        })?;
        Ok(UdpListener { address, shared, thread })
    }

    /// Returns the address of the listener, with the port that the kernel chose for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the configuration and determines the local address again.
    pub fn set_config(&self, config: UdpConfig) {
        *self.shared.config.lock().unwrap_or_else(PoisonError::into_inner) = Some(config);
        self.thread.wake();
    }

    /// Returns a handle for the state of the STUN binding.
    pub fn stun(&self) -> StunView {
        StunView(Arc::clone(&self.shared))
    }
}

/// A handle for the state of the STUN binding, which may outlive the listener.
#[derive(Clone, Debug)]
pub struct StunView(Arc<UdpShared>);

impl StunView {
    /// Returns the state of the binding at this moment; `None` before the first turn of the listener.
    pub fn status(&self) -> Option<StunStatus> {
        self.0.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns a handle for a fixed state, without a listener.
    #[cfg(test)]
    pub(crate) fn of(status: StunStatus) -> StunView {
        StunView(Arc::new(UdpShared { status: Mutex::new(Some(status)), ..UdpShared::default() }))
    }
}

/// The state of the listener's thread.
struct UdpThread<R> {
    primary: UdpSocket,
    /// The socket for the search of the keep-alive period (R283); opened with its first datagram.
    secondary: Option<UdpSocket>,
    address: SocketAddr,
    /// A netlink socket that becomes readable when an address or a route changes, if the kernel has one.
    address_watch: Option<OwnedFd>,
    shared: Arc<UdpShared>,
    state: Arc<ListenerState>,
    replay: ReplayWindow,
    /// The credentials at the time of the last request.
    credentials: Arc<AccessSettings>,
    rate: Rate,
    on_event: R,
    binding: Binding,
    resolver: Resolver,
    acs: Option<SocketAddr>,
    /// The address of this device on the route to the ACS, as it was last reported.
    towards_acs: Option<IpAddr>,
    /// The destination whose route decides about the local address of the binding.
    destination: SocketAddr,
    /// The instant at which the local address is determined again.
    lookup_at: Duration,
}

/// The tokens of the descriptors.
const PRIMARY: usize = 0;
const SECONDARY: usize = 1;
/// An address or a route of the device has changed.
const ADDRESS_WATCH: usize = 2;

impl<R: Fn(UdpEvent) + Send + 'static> PollHandler for UdpThread<R> {
    fn on_turn(&mut self, now: Duration) {
        self.apply_updates(now);
        self.run_binding(now);
        self.update_local_address(now);
        self.publish_status();
    }

    fn deadline(&self) -> Option<Duration> {
        Some(self.binding.deadline().map_or(self.lookup_at, |deadline| deadline.min(self.lookup_at)))
    }

    fn register<'fd>(&'fd self, registry: &mut EventRegistry<'fd>) {
        if let Some(watch) = &self.address_watch {
            registry.register(watch.as_fd(), PollFlags::IN, ADDRESS_WATCH);
        }
        registry.register(self.primary.as_fd(), PollFlags::IN, PRIMARY);
        if let Some(secondary) = &self.secondary {
            registry.register(secondary.as_fd(), PollFlags::IN, SECONDARY);
        }
    }

    fn on_event(&mut self, token: usize, _flags: PollFlags, now: Duration) {
        match token {
            PRIMARY => self.receive(Port::Primary, now),
            SECONDARY => self.receive(Port::Secondary, now),
            _ => {
                self.address_watch.iter().for_each(local_address::drain);
                // Only the routing table says whether the change concerns the route to the server.
                self.lookup_at = now;
            }
        }
    }
}

impl<R: Fn(UdpEvent)> UdpThread<R> {
    /// Takes a new configuration and the addresses of resolved names.
    fn apply_updates(&mut self, now: Duration) {
        let config = self.shared.config.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(config) = config {
            self.acs = config.acs;
            self.lookup_at = now;
            self.binding.configure(config.stun, now);
        }
        while let Some((server, addresses)) = self.resolver.answer() {
            let usable = |address: &SocketAddr| local_address::same_family(self.address, *address);
            let addresses: Vec<SocketAddr> = addresses.into_iter().filter(usable).collect();
            self.binding.on_resolved(&server, &addresses);
            // Another server may be reached by another route, which begins at another local address.
            if let Some(first) = addresses.first() {
                self.destination = *first;
                self.lookup_at = now;
            }
        }
    }

    /// Executes the actions of the STUN binding.
    fn run_binding(&mut self, now: Duration) {
        while let Some(action) = self.binding.poll(now, &mut fill) {
            match action {
                Action::Send { port, to, bytes } => {
                    // A datagram that cannot be sent is lost like any other: the binding sends it again (R281).
                    if let Err(error) = self.send(port, to, &bytes) {
                        log::debug!("STUN to {to}: {error}");
                    }
                }
                Action::Resolve(server) => self.resolver.ask(server),
                Action::Changed(published) => {
                    // The status comes first, so that the agent finds the new state when it handles the event.
                    self.publish_status();
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

    /// Determines the local address on the routes to the STUN server and to the ACS, and reports a change (R266, R284).
    fn update_local_address(&mut self, now: Duration) {
        let known =
            self.binding.status().server.or(self.acs).filter(|to| local_address::same_family(self.address, *to));
        let destination = known.unwrap_or(self.destination);
        if now < self.lookup_at && destination == self.destination {
            return;
        }
        (self.destination, self.lookup_at) = (destination, now + LOOKUP_INTERVAL);
        let local = local_address::reachable_addr(self.address, destination);
        self.binding.on_local_address(local, now);
        // A new local address starts a discovery at once and not in the next turn (R284).
        self.run_binding(now);
        let ours = self.acs.and_then(local_address::local_addr_towards);
        // While there is no route to the ACS, the last address stays the best answer.
        if ours.is_some() && self.towards_acs != ours {
            self.towards_acs = ours;
            ours.into_iter().for_each(|address| (self.on_event)(UdpEvent::Address(address)));
        }
    }

    fn publish_status(&self) {
        *self.shared.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.binding.status());
    }

    /// Receives the datagrams that have arrived, up to a limit, so that a flood delays no STUN deadline.
    fn receive(&mut self, port: Port, now: Duration) {
        // One byte more than the limit, so that a datagram that was cut off can be told from one of full length.
        let mut datagram = [0; MAX_DATAGRAM + 1];
        for _ in 0..RECEIVED_AT_ONCE {
            let socket = match port {
                Port::Primary => Some(&self.primary),
                Port::Secondary => self.secondary.as_ref(),
            };
            match socket.map(|socket| socket.recv_from(&mut datagram)) {
                Some(Ok((length, from))) => self.handle_datagram(port, &datagram[..length], from, now),
                Some(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Some(Err(_)) | None => return,
            }
        }
    }

    /// Passes a datagram to STUN or to the check of connection requests; its first byte decides (R289).
    fn handle_datagram(&mut self, port: Port, datagram: &[u8], from: SocketAddr, now: Duration) {
        match datagram.first() {
            Some(0 | 1) if datagram.len() <= MAX_DATAGRAM => self.binding.on_datagram(port, from, datagram, now),
            // No ACS knows the secondary port, so nothing but STUN is expected there.
            _ if port == Port::Secondary => {}
            first => {
                // Traffic from outside renews the mapping in the NAT, which would spoil a measurement of its lifetime.
                self.binding.on_other_traffic(now);
                let is_request = first.is_some_and(u8::is_ascii_alphabetic) && datagram.len() <= MAX_DATAGRAM;
                let outcome = if is_request { self.check_request(datagram, now) } else { RequestOutcome::Garbage };
                self.state.udp.add(outcome);
                log::debug!("UDP connection request from {from}: {}", outcome.name());
                if outcome == RequestOutcome::Accepted {
                    log::info!("UDP connection request from {from}");
                    (self.on_event)(UdpEvent::Requested(self.replay));
                }
            }
        }
    }

    fn check_request(&mut self, datagram: &[u8], now: Duration) -> RequestOutcome {
        let settings = self.state.settings();
        // Under new credentials no older signature is valid, so the window can start anew. It must: the new ACS may count
        // seconds where the old one counted milliseconds, and would never exceed the old timestamp (R294).
        if !Arc::ptr_eq(&settings, &self.credentials) && !settings.same_credentials(&self.credentials) {
            self.replay = ReplayWindow::default();
        }
        self.credentials = Arc::clone(&settings);
        let accepted = UdpRequest::parse(datagram).and_then(|request| self.replay.accept(&request, &settings));
        match accepted {
            // The limit comes after the signature, so that forged requests cannot use up the tokens of the ACS (R264).
            Ok(()) if self.state.accepted.take(self.rate, now) => RequestOutcome::Accepted,
            Ok(()) => RequestOutcome::RateLimited,
            Err(refused) => refused,
        }
    }
}

/// Converts an address to the family of the socket. An IPv6 socket addresses IPv4 peers as IPv4-mapped IPv6.
fn to_socket_family(bound: SocketAddr, to: SocketAddr) -> SocketAddr {
    match (bound, to.ip()) {
        (SocketAddr::V6(_), IpAddr::V4(v4)) => SocketAddr::new(v4.to_ipv6_mapped().into(), to.port()),
        _ => to,
    }
}

/// Fills the bytes of a transaction id at random, so that a response cannot be guessed.
fn fill(bytes: &mut [u8]) {
    if let Err(error) = OsRng.try_fill_bytes(bytes) {
        log::error!("no random bytes: {error}");
    }
}
