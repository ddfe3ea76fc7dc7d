//! The HTTP listener: one thread for all connections, so that a slow client delays no other one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rand::RngCore;
use rand::rngs::OsRng;
use rustix::io::Errno;

use super::ListenerState;
use super::authenticator::Authenticator;
use super::client_connection::ClientConnection;
use super::limits::{ClientNetwork, Limits};
use super::outcome::RequestOutcome;
use crate::log::{self, Level};
use crate::poll_thread::{self, EventRegistry, PollHandler, PollThread};
use crate::readiness::PollFlags;

/// The number of connections that are accepted before the open ones are served again.
const ACCEPTED_AT_ONCE: usize = 8;
/// The pause after a failure to accept, for example because too many files are open.
const PAUSE: Duration = Duration::from_millis(200);
/// The least time between two log lines about such a failure, so that a flood of connections cannot fill the log.
const LOG_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The running HTTP listener. Dropping it closes the port (R267).
#[derive(Debug)]
pub struct HttpListener {
    address: SocketAddr,
    _thread: PollThread,
}

impl HttpListener {
    /// Listens at `address`: `[::]` means all IPv4 and IPv6 addresses, and port 0 any free port.
    ///
    /// `on_accepted` is called from the listener's thread after the response to each accepted request (R259). It must not
    /// block.
    ///
    /// # Errors
    /// The refusal of the kernel to bind the address or to start the thread; a lack of random bytes.
    pub fn start(
        address: SocketAddr,
        limits: Limits,
        state: Arc<ListenerState>,
        on_accepted: impl Fn() + Send + 'static,
    ) -> io::Result<HttpListener> {
        let listener = bind(address)?;
        // A client may reset its connection between poll(2) and accept(2), which must not block the thread.
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let mut secret = [0; 28];
        OsRng.try_fill_bytes(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
        let authenticator = Authenticator::new(limits, secret, state.accepted.clone());
        let thread = PollThread::start("http", |_| HttpThread {
            listener,
            limits,
            state,
            authenticator,
            on_accepted,
            connections: Vec::new(),
            paused_until: None,
            logged_at: None,
        })?;
        Ok(HttpListener { address, _thread: thread })
    }

    /// Returns the address of the listener, with the port that the kernel chose for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Binds the address. Without IPv6 in the kernel, `[::]` means all IPv4 addresses, so that one default fits all devices.
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

/// The state of the listener's thread.
struct HttpThread<W> {
    listener: TcpListener,
    limits: Limits,
    state: Arc<ListenerState>,
    authenticator: Authenticator,
    on_accepted: W,
    connections: Vec<ClientConnection>,
    /// The end of the pause after a failure to accept.
    paused_until: Option<Duration>,
    /// The instant of the last log line about such a failure.
    logged_at: Option<Duration>,
}

/// The token of the listening socket. The tokens of the connections are their indices.
const LISTENER: usize = usize::MAX;

impl<W: Fn() + Send + 'static> PollHandler for HttpThread<W> {
    fn on_turn(&mut self, now: Duration) {
        // A pause that is over must not stay the earliest deadline, or the thread would never sleep again.
        self.paused_until = self.paused_until.filter(|until| *until > now);
        for connection in self.connections.iter_mut().filter(|connection| connection.deadline(&self.limits) <= now) {
            if connection.expire(now) {
                self.state.http.add(RequestOutcome::TimedOut);
            }
        }
        self.connections.retain(|connection| !connection.is_closed());
    }

    fn deadline(&self) -> Option<Duration> {
        let deadlines = self.connections.iter().map(|connection| connection.deadline(&self.limits));
        deadlines.chain(self.paused_until).min()
    }

    fn register<'fd>(&'fd self, registry: &mut EventRegistry<'fd>) {
        for (at, connection) in self.connections.iter().enumerate() {
            registry.register(connection.fd(), connection.interest(), at);
        }
        // The listener is last: accepting may close other connections, which changes the tokens of the events above.
        if self.paused_until.is_none() {
            registry.register(self.listener.as_fd(), PollFlags::IN, LISTENER);
        }
    }

    fn on_event(&mut self, token: usize, _flags: PollFlags, now: Duration) {
        match token {
            LISTENER => self.accept(now),
            at => self.step(at, now),
        }
    }
}

impl<W: Fn()> HttpThread<W> {
    /// Accepts new connections, and closes others if there are too many.
    fn accept(&mut self, now: Duration) {
        for _ in 0..ACCEPTED_AT_ONCE {
            match poll_thread::accept(|| self.listener.accept()) {
                Ok(Some((stream, address))) if stream.set_nonblocking(true).is_ok() => {
                    self.make_room(ClientNetwork::of(address.ip()));
                    self.connections.push(ClientConnection::new(stream, address, now));
                    // The request has usually arrived with the connection, so one poll(2) is saved.
                    self.step(self.connections.len() - 1, now);
                }
                // Dropped: a blocking socket could stop the thread, and with it all other clients.
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(error) => {
                    self.pause(&error, now);
                    return;
                }
            }
        }
    }

    fn pause(&mut self, error: &io::Error, now: Duration) {
        let was_logged = self.logged_at.is_some_and(|at| now < at + LOG_INTERVAL);
        let level = if was_logged { Level::Debug } else { Level::Warn };
        log::log!(level, "connection requests cannot be accepted: {error}");
        // The instant of the first failure is kept, so that a failure that lasts is logged again after the interval.
        self.logged_at = self.logged_at.filter(|_| was_logged).or(Some(now));
        self.paused_until = Some(now + PAUSE);
    }

    /// Closes a connection if another one from this network would be too many: one of the same network if that has its
    /// full share, otherwise one of the networks that have most.
    ///
    /// The new connection always gets its place, because an attacker that fills the table early must not keep the ACS out
    /// (R265).
    fn make_room(&mut self, incoming: ClientNetwork) {
        self.connections.retain(|connection| !connection.is_closed());
        let count = |network: ClientNetwork| self.connections.iter().filter(|known| known.network() == network).count();
        // A limit of 0 counts as 1, or no connection could ever be served.
        let most = if count(incoming) >= self.limits.connections_per_network.max(1) {
            None
        } else if self.connections.len() >= self.limits.connections.max(1) {
            self.connections.iter().map(|connection| count(connection.network())).max()
        } else {
            return;
        };
        let is_candidate = |network| most.map_or(network == incoming, |most| count(network) == most);
        let candidates = self.connections.iter().enumerate().filter(|(_, known)| is_candidate(known.network()));
        if let Some((at, _)) = candidates.min_by_key(|(_, connection)| connection.precedence()) {
            let dropped = self.connections.swap_remove(at);
            // A client that has its response loses nothing and is not counted.
            if !dropped.is_served() {
                self.state.http.add(RequestOutcome::CrowdedOut);
            }
        }
    }

    /// Serves a connection that is ready.
    fn step(&mut self, at: usize, now: Duration) {
        let connection = &mut self.connections[at];
        let (address, network) = (connection.address(), connection.network());
        let (authenticator, state) = (&mut self.authenticator, &self.state);
        let mut accepted = false;
        connection.step(
            &mut |request, may_continue| {
                let response = authenticator.respond(request, &state.settings(), network, may_continue, now);
                state.http.add(response.outcome);
                accepted |= response.outcome == RequestOutcome::Accepted;
                log::debug!("connection request from {address}: {}", response.outcome.name());
                response
            },
            now,
        );
        // The response comes first and the session afterwards (R259). A client that has left before its response still
        // starts the session, because its credentials were right (R265).
        if accepted {
            log::info!("connection request from {address}");
            (self.on_accepted)();
        }
    }
}
