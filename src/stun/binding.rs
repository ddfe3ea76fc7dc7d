//! The binding between the port that receives UDP connection requests and its public address: learnt, announced,
//! kept, and learnt anew when it is lost (R271 to R285). The states are drawn in `stun.rs`.
//!
//! What is left open by the standard is decided so: as long as no server answers, the address that was learnt
//! last stays published, since the way may still be open and there is none better; where none was learnt from
//! the present local address, that local address is. Until the first answer, or the first failure, nothing is
//! published: what the device published before it restarted is the better guess meanwhile.

use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use super::exchange::{Exchange, ExchangeStep, Purpose, RequestPlan};
use super::keep_alive::{KeepAlive, KeepAlivePeriods};
use super::message::{Message, MessageKind, TransactionId};
use super::settings::{Action, Port, StunServerName, StunSettings};
use super::status::{PublishedBinding, ServerState, StunCounters, StunStatus};

mod transitions;

/// Addresses behind one name that are tried; a name may have any number.
const MAX_SERVERS: usize = 8;

/// Copies of an answer may come this long after a request and not count as other traffic.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(5);

/// The state machine. After each input call [`Binding::poll`] until it gives no more, then come back at
/// [`Binding::deadline`].
#[derive(Debug)]
pub struct Binding {
    settings: StunSettings,
    local: Option<SocketAddr>,
    servers: Vec<SocketAddr>,
    /// Which of the servers is in use; counted among those that the local address can reach.
    current: usize,
    /// Servers that have failed one after the other.
    failed_servers: usize,
    /// Rounds through all servers that have failed one after the other.
    failed_rounds: u32,
    server_state: ServerState,
    mapped: Option<MappedAddress>,
    /// The one that is told: that of the last announcement, or the first.
    announced: Option<MappedAddress>,
    /// When the new address is to be announced.
    announce_at: Option<Duration>,
    /// Answers in a row of which each told another address.
    consecutive_changes: u32,
    keep_alive: KeepAlive,
    /// When the primary port sent last.
    last_sent: Duration,
    state: BindingState,
    /// The exchanges before the present one, whose answers may come twice or late.
    recent: [Option<TransactionId>; 4],
    must_resolve: bool,
    resolving: bool,
    published: PublishedBinding,
    counters: StunCounters,
}

/// What the server saw, and what it was the translation of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MappedAddress {
    address: SocketAddr,
    local: SocketAddr,
}

#[derive(Debug)]
enum BindingState {
    /// STUN is disabled, or there is no network.
    Off,
    /// An exchange begins with the next poll.
    Due(RequestPlan),
    Exchanging(Exchange),
    /// An exchange has come to nothing: nobody answered, or the answer was this error.
    Failed(Purpose, ServerState),
    Idle(Idle),
    /// No server answers, or none is known.
    Retrying {
        at: Duration,
    },
}

#[derive(Clone, Copy, Debug)]
struct Idle {
    began: Duration,
    /// Since when nothing has come in on the primary port.
    quiet_since: Duration,
    /// Something came in later, which may have kept the binding open.
    other_traffic: bool,
}

impl Default for Binding {
    fn default() -> Binding {
        Binding::new()
    }
}

impl Binding {
    /// A binding that is off, until it is told settings and a local address.
    pub fn new() -> Binding {
        Binding {
            settings: StunSettings::default(),
            local: None,
            servers: Vec::new(),
            current: 0,
            failed_servers: 0,
            failed_rounds: 0,
            server_state: ServerState::Unused,
            mapped: None,
            announced: None,
            announce_at: None,
            consecutive_changes: 0,
            keep_alive: KeepAlive::new(KeepAlivePeriods::default()),
            last_sent: Duration::ZERO,
            state: BindingState::Off,
            recent: [None; 4],
            must_resolve: false,
            resolving: false,
            published: PublishedBinding::default(),
            counters: StunCounters::default(),
        }
    }

    /// Takes over the parameters, as a whole; only what has changed has an effect.
    pub fn configure(&mut self, settings: StunSettings, now: Duration) {
        let before = mem::replace(&mut self.settings, settings);
        let (new, old) = (&self.settings, &before);
        if new.enabled != old.enabled || new.server != old.server {
            self.reset(now);
            return;
        }
        let other_credentials = new.username != old.username || new.password != old.password;
        if new.periods != old.periods {
            self.keep_alive = KeepAlive::new(new.periods); // R282: holds from the rest that is under way
        }
        if other_credentials && matches!(self.state, BindingState::Retrying { .. }) {
            self.state = BindingState::Retrying { at: now };
        }
    }

    /// The addresses of the server whose name was to be resolved; none if it has none.
    pub fn on_resolved(&mut self, server: &StunServerName, addresses: &[SocketAddr]) {
        if *server != self.settings.server {
            return; // the settings have changed meanwhile
        }
        self.resolving = false;
        let before = self.server();
        if !addresses.is_empty() {
            self.servers = addresses.iter().take(MAX_SERVERS).map(|&address| canonical(address)).collect();
            // The answers of a name server come in any order: that alone is no reason to move.
            let same = self.reachable().position(|server| Some(server) == before);
            self.current = same.unwrap_or(0);
        }
        if self.server().is_none() {
            self.failed_rounds = self.failed_rounds.saturating_add(1);
            return;
        }
        if before.is_none() && matches!(self.state, BindingState::Retrying { .. }) {
            self.state = BindingState::Due(RequestPlan::new(Purpose::Ask));
        }
    }

    /// The address and port at which UDP connection requests are received, as the way to the STUN server has
    /// it; an unspecified address where there is no network (R284).
    pub fn on_local_address(&mut self, local: SocketAddr, now: Duration) {
        let local = Some(canonical(local)).filter(|local| !local.ip().is_unspecified());
        if local == mem::replace(&mut self.local, local) {
            return;
        }
        if local.is_none() || matches!(self.state, BindingState::Off) {
            self.reset(now);
            return;
        }
        self.finish_exchange();
        self.keep_alive = KeepAlive::new(self.settings.periods);
        (self.failed_servers, self.failed_rounds, self.consecutive_changes) = (0, 0, 0);
        self.state = BindingState::Retrying { at: now }; // R282, R284: at once, whatever the minimum
    }

    /// A datagram came in whose first byte is that of STUN (R289).
    pub fn on_datagram(&mut self, port: Port, from: SocketAddr, bytes: &[u8], now: Duration) {
        if port == Port::Primary {
            self.on_other_traffic(now);
        }
        let Ok(message) = Message::parse(bytes) else { return count(&mut self.counters.malformed) };
        let exchange = match &mut self.state {
            BindingState::Exchanging(exchange) => exchange,
            _ if self.recent.contains(&Some(message.transaction)) => return count(&mut self.counters.late),
            _ => return count(&mut self.counters.wrong_transaction),
        };
        if canonical(from) != exchange.to {
            return count(&mut self.counters.foreign_source);
        }
        if message.transaction != exchange.transaction {
            let late = self.recent.contains(&Some(message.transaction));
            return count(if late { &mut self.counters.late } else { &mut self.counters.wrong_transaction });
        }
        // R278: without a right signature it is as if nothing had come.
        if exchange.plan.signed && !message.is_signed_with(&self.settings.password) {
            exchange.unsigned_refusal = message.error_code.filter(|_| message.kind == MessageKind::Error);
            return count(&mut self.counters.bad_integrity);
        }
        let plan = exchange.plan;
        self.on_response(plan, port, &message, now);
    }

    /// Something else came in on the primary port, a UDP connection request for example. It may have kept the
    /// binding open, which spoils a measurement.
    pub fn on_other_traffic(&mut self, now: Duration) {
        let BindingState::Idle(rest) = &mut self.state else { return };
        if now.saturating_sub(rest.began) <= DUPLICATE_WINDOW {
            rest.quiet_since = now;
        } else {
            rest.other_traffic = true;
        }
    }

    /// What to do now, one thing at a time: to be called until there is none. `random` fills a slice with
    /// unpredictable bytes.
    pub fn poll(&mut self, now: Duration, random: &mut dyn FnMut(&mut [u8])) -> Option<Action> {
        loop {
            if let Some(published) = self.newly_published() {
                return Some(Action::Changed(published));
            }
            if mem::take(&mut self.must_resolve) {
                self.resolving = true;
                return Some(Action::Resolve(self.settings.server.clone()));
            }
            match &mut self.state {
                BindingState::Off => return None,
                BindingState::Due(plan) => {
                    let plan = *plan;
                    self.start_exchange(plan, now, random);
                }
                BindingState::Exchanging(exchange) => match exchange.poll(now) {
                    ExchangeStep::Send(bytes) => return Some(self.send(bytes, now)),
                    ExchangeStep::Failed => self.on_timeout(),
                    ExchangeStep::Wait if self.is_overdue(now) => self.on_timeout(),
                    ExchangeStep::Wait => return None,
                },
                BindingState::Failed(purpose, seen) => {
                    let (purpose, seen) = (*purpose, *seen);
                    self.on_failure(purpose, seen, now, random);
                }
                BindingState::Idle(rest) => {
                    let rest = *rest;
                    if now < self.idle_end(rest) {
                        return None;
                    }
                    self.end_idle(rest, now);
                }
                BindingState::Retrying { at } if now < *at => return None,
                BindingState::Retrying { .. } => self.retry(now, random),
            }
        }
    }

    /// When to call [`Binding::poll`] again, on the monotonic clock.
    pub fn deadline(&self) -> Option<Duration> {
        if self.must_resolve || self.to_publish() != self.published {
            return Some(Duration::ZERO);
        }
        match &self.state {
            BindingState::Off => None,
            BindingState::Due(_) | BindingState::Failed(..) => Some(Duration::ZERO),
            BindingState::Exchanging(exchange) if exchange.plan.purpose.port() == Port::Secondary => {
                Some(self.overdue_at().map_or(exchange.deadline(), |at| at.min(exchange.deadline())))
            }
            BindingState::Exchanging(exchange) => Some(exchange.deadline()),
            BindingState::Idle(rest) => Some(self.idle_end(*rest)),
            BindingState::Retrying { at } => Some(*at),
        }
    }

    /// What the data model shows.
    pub fn published(&self) -> PublishedBinding {
        self.published
    }

    /// For `cpe-agent status`.
    pub fn status(&self) -> StunStatus {
        StunStatus {
            server_state: self.server_state,
            server: self.server(),
            local: self.local,
            mapped: self.mapped.map(|mapped| mapped.address),
            nat_detected: self.published.nat_detected,
            period: self.keep_alive.interval(),
            search: self.keep_alive.search(),
            counters: self.counters,
        }
    }
}

/// An IPv4 address as such, also where an IPv6 socket has dressed it up; no scope.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

#[cfg(test)]
mod tests;
