//! The XMPP connection: connects to a server, answers the connection requests that it passes on, and connects again
//! (R297 to R299).
//!
//! ```text
//!   on_turn ─▶ address ─▶ TCP ─▶ Client: TLS, authentication, address ─▶ Connection ◀─ on_event: stanzas
//!     ▲                                     │ failure                        │ end      └▶ XmppEvent::Requested
//!     └──────────── wait ◀── Cursor ◀───────┴────────────────────────────────┘
//! ```
//!
//! The thread waits for the server alone while it connects, and is otherwise woken by its bytes and by the keep-alive.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::RngCore;
use rand::rngs::OsRng;

use self::failure::Failure;
use super::ListenerState;
use super::limits::Rate;
use super::outcome::RequestOutcome;
use crate::clock::Clock;
use crate::http::{HttpError, IoLimits, Stream, Tcp, TlsSettings, literal, resolve};
use crate::log::{self, Level};
use crate::poll_thread::{EventRegistry, PollHandler, PollThread};
use crate::readiness::PollFlags;
use crate::socket_options::SocketOptions;
use crate::url::Host;
use crate::xmpp::{Action, Client, ConnectionRequest, Cursor, Refusal, Server, Settings, Status};

mod failure;
mod servers;

/// The stack of the thread in bytes: TLS and a few buffers. Only pages that are touched cost memory.
const STACK: usize = 512 << 10;
/// The time for which a server may be silent while the connection is set up.
const SILENCE: Duration = Duration::from_secs(30);
/// The longest setup of TCP, and of all that follows it but TLS, which has a limit of its own.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
const SETUP_LIMIT: Duration = Duration::from_secs(90);
/// The longest wait for a server that takes no bytes.
const SEND_LIMIT: Duration = Duration::from_secs(20);
/// The longest wait for a server that takes the end of the stream.
const CLOSE_LIMIT: Duration = Duration::from_millis(200);
/// The time after which a server that acknowledges no bytes counts as gone.
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(60);

/// A message from the connection to the agent.
#[derive(Debug)]
pub(crate) enum XmppEvent {
    /// A connection request was accepted, and its sender has the answer.
    Requested,
    Changed(XmppState),
}

/// The state of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct XmppState {
    pub(crate) status: Status,
    /// The address of the agent at the server while the connection is open.
    pub(crate) jabber_id: Option<String>,
    pub(crate) server: Option<SocketAddr>,
    /// The reason why there is no connection.
    pub(crate) failure: Option<String>,
    /// The instant of the next attempt, on the monotonic clock.
    pub(crate) retry_at: Option<Duration>,
}

impl XmppState {
    pub(crate) fn of(status: Status) -> XmppState {
        XmppState { status, jabber_id: None, server: None, failure: None, retry_at: None }
    }
}

/// The running connection. Dropping it ends the stream.
#[derive(Debug)]
pub(crate) struct XmppListener {
    stop: Arc<AtomicBool>,
    _thread: PollThread,
}

impl XmppListener {
    /// Connects, and stays connected. Accepts requests at the given rate. `tls` names the trusted certificates.
    ///
    /// `on_event` is called from the thread of the connection and must not block.
    ///
    /// # Errors
    /// The refusal of the kernel to start the thread.
    pub(crate) fn start(
        mut settings: Settings,
        tls: TlsSettings,
        rate: Rate,
        state: Arc<ListenerState>,
        on_event: impl Fn(XmppEvent) + Send + 'static,
    ) -> io::Result<XmppListener> {
        let stop = Arc::new(AtomicBool::new(false));
        let servers = Server::in_order(std::mem::take(&mut settings.servers), &mut random);
        let thread = PollThread::start_with_stack("xmpp", STACK, |_| XmppThread {
            settings,
            servers,
            tls,
            rate,
            state,
            on_event,
            stop: Arc::clone(&stop),
            clock: Clock::new(),
            cursor: Cursor::default(),
            addresses: 0,
            connection: None,
            retry_at: Duration::ZERO,
            logged: None,
        })?;
        Ok(XmppListener { stop, _thread: thread })
    }
}

impl Drop for XmppListener {
    fn drop(&mut self) {
        // The thread may be connecting, which looks at no other flag.
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// An open stream with an address.
struct Connection {
    stream: Stream,
    client: Client,
    jabber_id: String,
    /// The instant of the next keep-alive.
    keep_alive_at: Option<Duration>,
}

/// The state of the thread.
struct XmppThread<R> {
    settings: Settings,
    /// The servers in the order of attempts; empty for the host of the domain.
    servers: Vec<Server>,
    tls: TlsSettings,
    rate: Rate,
    state: Arc<ListenerState>,
    on_event: R,
    stop: Arc<AtomicBool>,
    clock: Clock,
    cursor: Cursor,
    /// The number of addresses that the server of the last attempt has.
    addresses: usize,
    connection: Option<Connection>,
    /// The instant of the next attempt while there is no connection.
    retry_at: Duration,
    /// The last failure in the log: a server may be gone for days.
    logged: Option<String>,
}

impl<R: Fn(XmppEvent) + Send + 'static> PollHandler for XmppThread<R> {
    fn on_turn(&mut self, now: Duration) {
        match &self.connection {
            Some(connection) if connection.keep_alive_at.is_some_and(|at| at <= now) => {
                self.serve(|thread, connection| thread.keep_alive(connection, now));
            }
            Some(_) => {}
            None if now >= self.retry_at => self.connect(),
            None => {}
        }
    }

    fn deadline(&self) -> Option<Duration> {
        self.connection.as_ref().map_or(Some(self.retry_at), |connection| connection.keep_alive_at)
    }

    fn register<'fd>(&'fd self, registry: &mut EventRegistry<'fd>) {
        if let Some(connection) = &self.connection {
            registry.register(connection.stream.tcp().as_fd(), PollFlags::IN, 0);
        }
    }

    fn on_event(&mut self, _token: usize, _flags: PollFlags, now: Duration) {
        self.serve(|thread, connection| thread.exchange(connection, now));
    }

    fn on_stop(&mut self, _now: Duration) {
        // The flag has ended all other waits, and would end this one before it began.
        self.stop.store(false, Ordering::Relaxed);
        if let Some(mut connection) = self.connection.take() {
            connection.stream.begin("closing", CLOSE_LIMIT);
            let _ = connection.stream.send(b"</stream:stream>", &[]); // the connection may be gone
        }
    }
}

impl<R: Fn(XmppEvent) + Send + 'static> XmppThread<R> {
    /// Connects to the server whose turn it is.
    fn connect(&mut self) {
        self.report(XmppState::of(Status::Connecting));
        match self.open() {
            Ok(connection) => {
                let server = connection.stream.tcp().remote_addr();
                log::info!("XMPP connection requests to {} through {server}", connection.jabber_id);
                let jabber_id = Some(connection.jabber_id.clone());
                self.report(XmppState { jabber_id, server: Some(server), ..XmppState::of(Status::Enabled) });
                (self.cursor, self.logged, self.connection) = (Cursor::default(), None, Some(connection));
                // The server may have sent stanzas right behind the address, which poll(2) would not report.
                let now = self.clock.now().monotonic;
                self.serve(|thread, connection| thread.exchange(connection, now));
            }
            Err(failure) => self.on_failure(&failure),
        }
    }

    /// Opens a stream and gets an address.
    fn open(&mut self) -> Result<Connection, Failure> {
        let limits = IoLimits { timeout: SILENCE, stop: Arc::clone(&self.stop), end: None };
        let address = self.next_address(&limits)?;
        let tcp = Tcp::connect_addr(address, &SocketOptions::default(), &limits, CONNECT_LIMIT)?;
        tcp.fail_unacknowledged(UNACKNOWLEDGED_LIMIT);
        let account = self.settings.account.clone();
        let host = literal(&account.domain).map_or_else(|| Host::Name(account.domain.to_lowercase()), Host::Ip);
        let mut nonce = [0; 18];
        OsRng.try_fill_bytes(&mut nonce).map_err(|error| HttpError::Io(format!("no random bytes: {error}")))?;
        let mut client = Client::new(account, nonce, Arc::clone(&self.stop));
        let mut stream = Stream::Plain(tcp);
        stream.begin("setting up XMPP", SETUP_LIMIT);
        stream.send(client.header().as_bytes(), &[])?;
        let mut buffer = [0; 2048];
        loop {
            match client.poll()? {
                Some(Action::Send(text)) => stream.send(text.as_bytes(), &[])?,
                Some(Action::StartTls) => {
                    stream = stream.secure(&host, &self.tls, self.clock.now().clock_is_set())?;
                    stream.begin("setting up XMPP", SETUP_LIMIT);
                    stream.send(client.secured().as_bytes(), &[])?;
                }
                Some(Action::Ready(jabber_id)) => {
                    let keep_alive_at = self.keep_alive_at(self.clock.now().monotonic);
                    return Ok(Connection { stream, client, jabber_id, keep_alive_at });
                }
                Some(Action::Request(request)) => {
                    // The agent does not know its address yet, so that no ACS can.
                    stream.send(request.refused(Refusal::ServiceUnavailable).as_bytes(), &[])?;
                }
                None => match stream.receive(&mut buffer)? {
                    0 => return Err(HttpError::Closed.into()),
                    length => client.receive(&buffer[..length]),
                },
            }
        }
    }

    /// Returns the address of the next attempt.
    fn next_address(&mut self, limits: &IoLimits) -> Result<SocketAddr, Failure> {
        // Asked for anew in each round, since the records may change. The thread of the agent never waits for it.
        if self.settings.is_discovered && self.cursor.is_first() {
            self.servers =
                Server::in_order(servers::discovered(&self.settings.account.domain, &self.stop), &mut random);
        }
        let domain = || (self.settings.account.domain.clone(), Server::PORT);
        let listed = self.servers.get(self.cursor.server);
        let (host, port) = listed.map_or_else(domain, |server| (server.host.clone(), server.port));
        self.addresses = 0;
        let found = resolve(&host, port, &limits.clone().end_within(SILENCE))?;
        self.addresses = found.len();
        // The name may have fewer addresses than at the last attempt.
        let address = found.get(self.cursor.address).or(found.first()).copied();
        address.ok_or_else(|| HttpError::Resolve { host, reason: "it has no address".into() }.into())
    }

    /// Does something with the connection, and closes it where that fails.
    fn serve(&mut self, act: impl FnOnce(&mut Self, &mut Connection) -> Result<(), Failure>) {
        let Some(mut connection) = self.connection.take() else { return };
        match act(self, &mut connection) {
            Ok(()) => self.connection = Some(connection),
            Err(failure) => self.on_failure(&failure),
        }
    }

    /// Takes the stanzas that have arrived, and answers them.
    fn exchange(&mut self, connection: &mut Connection, now: Duration) -> Result<(), Failure> {
        let mut buffer = [0; 2048];
        loop {
            while let Some(action) = connection.client.poll()? {
                match action {
                    Action::Send(text) => connection.send(&text)?,
                    Action::Request(request) => self.answer(connection, &request, now)?,
                    Action::StartTls | Action::Ready(_) => {} // not reached: both precede the connection
                }
            }
            match connection.stream.try_receive(&mut buffer)? {
                Some(0) => return Err(HttpError::Closed.into()),
                Some(length) => connection.client.receive(&buffer[..length]),
                None => return Ok(()),
            }
            // A server that sends without end must not delay the end of the agent.
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }

    fn answer(
        &mut self,
        connection: &mut Connection,
        request: &ConnectionRequest,
        now: Duration,
    ) -> Result<(), Failure> {
        let outcome = self.check(request, now);
        self.state.xmpp.add(outcome);
        log::debug!("XMPP connection request from {}: {}", request.from(), outcome.name());
        match outcome {
            RequestOutcome::Accepted => {
                connection.send(&request.accepted())?;
                log::info!("XMPP connection request from {}", request.from());
                (self.on_event)(XmppEvent::Requested);
                Ok(())
            }
            RequestOutcome::Unauthorized => connection.send(&request.refused(Refusal::NotAuthorized)),
            // A sender that is not allowed learns no more than from an address where nothing serves the namespace.
            _ => connection.send(&request.refused(Refusal::ServiceUnavailable)),
        }
    }

    fn check(&self, request: &ConnectionRequest, now: Duration) -> RequestOutcome {
        let access = self.state.settings();
        match () {
            () if !request.is_allowed(&self.settings.allowed) => RequestOutcome::NotAllowed,
            () if !request.has_credentials(&access.username, &access.password) => RequestOutcome::Unauthorized,
            () if self.state.is_in_session.load(Ordering::Relaxed) => RequestOutcome::InSession,
            // The limit comes last, so that refused requests cannot use up the tokens of the ACS (R264).
            () if !self.state.accepted.take(self.rate, now) => RequestOutcome::RateLimited,
            () => RequestOutcome::Accepted,
        }
    }

    fn keep_alive(&self, connection: &mut Connection, now: Duration) -> Result<(), Failure> {
        connection.keep_alive_at = self.keep_alive_at(now);
        connection.send(" ") // RFC 6120 §4.6.1
    }

    fn keep_alive_at(&self, now: Duration) -> Option<Duration> {
        self.settings.keep_alive.map(|interval| now.saturating_add(interval))
    }

    /// Plans the next attempt after a failed one, or after the end of a connection.
    fn on_failure(&mut self, failure: &Failure) {
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        let wait = self.cursor.fail(self.settings.retry, self.servers.len(), self.addresses, random());
        self.retry_at = self.clock.now().monotonic.saturating_add(wait);
        let reason = failure.to_string();
        let level = if self.logged.as_ref() == Some(&reason) { Level::Debug } else { Level::Warn };
        log::log!(level, "no XMPP connection requests: {reason}; next attempt in {} s", wait.as_secs());
        self.logged = Some(reason.clone());
        let state = XmppState::of(failure.status());
        self.report(XmppState { failure: Some(reason), retry_at: Some(self.retry_at), ..state });
    }

    fn report(&self, state: XmppState) {
        (self.on_event)(XmppEvent::Changed(state));
    }
}

impl Connection {
    fn send(&mut self, text: &str) -> Result<(), Failure> {
        self.stream.begin("sending", SEND_LIMIT);
        Ok(self.stream.send(text.as_bytes(), &[])?)
    }
}

/// Returns random bits from the kernel, for waits and for the order of servers.
fn random() -> u64 {
    let mut bytes = [0; 8];
    match OsRng.try_fill_bytes(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        // Chance spreads load here and protects no secret: another number per device is enough.
        Err(_) => std::process::id().into(),
    }
}
