//! The state machine of the binding between the port for UDP connection requests and its public address: learnt,
//! announced, kept open, and learnt anew after a loss (R271 to R285). The states are drawn in `stun.rs`.
//!
//! Annex G leaves open which address is published without a server. Here the last mapped address stays published while
//! no server answers, because it may still work and no better one is known. If none was learnt from the present local
//! address, the local address is published. Nothing is published before the first answer or the first failure, because
//! the address from before a restart is the better guess until then.

use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use super::exchange::{Exchange, ExchangeStep, Purpose, RequestPlan};
use super::keep_alive::{KeepAlive, KeepAlivePeriods};
use super::message::{Message, MessageKind, TransactionId};
use super::settings::{Action, Port, StunServerName, StunSettings};
use super::status::{PublishedBinding, ServerState, StunCounters, StunStatus};

mod transitions;

/// The maximum number of addresses of one server name. A name may resolve to any number, and a round of failures takes
/// 9.5 s for each.
const MAX_SERVERS: usize = 8;

/// The time after a request in which copies of its answer may arrive without counting as other traffic.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(5);

/// The state machine. After each input the driver calls [`Binding::poll`] until it returns `None`, and again at
/// [`Binding::deadline`].
#[derive(Debug)]
pub struct Binding {
    settings: StunSettings,
    /// The address of the primary port, as towards the STUN server; `None` without a network.
    local: Option<SocketAddr>,
    /// The resolved addresses of the server, of both families.
    servers: Vec<SocketAddr>,
    /// The index of the server in use, among those that the local address can reach.
    current: usize,
    /// The number of servers that have failed one after the other.
    failed_servers: usize,
    /// The number of rounds through all servers that have failed one after the other.
    failed_rounds: u32,
    server_state: ServerState,
    /// The mapped address of the last answer.
    mapped: Option<MappedAddress>,
    /// The mapped address of the last announcement, or the first one; this is the published one.
    announced: Option<MappedAddress>,
    /// The time at which the new address is to be announced.
    announce_at: Option<Duration>,
    /// The number of answers in a row with a new mapped address each.
    consecutive_changes: u32,
    keep_alive: KeepAlive,
    /// The time of the last transmission from the primary port.
    last_sent: Duration,
    state: BindingState,
    /// The last exchanges, whose answers may arrive twice or late.
    recent: [Option<TransactionId>; 4],
    /// True if the next poll is to ask for the addresses of the server.
    must_resolve: bool,
    /// True while the driver resolves the name.
    resolving: bool,
    published: PublishedBinding,
    counters: StunCounters,
}

/// An address that the server saw, with the local address that the NAT translated to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MappedAddress {
    address: SocketAddr,
    local: SocketAddr,
}

/// The states drawn in `stun.rs`, with the two that pass within one poll.
#[derive(Debug)]
enum BindingState {
    /// STUN is disabled, or there is no network.
    Off,
    /// The next poll starts an exchange.
    Due(RequestPlan),
    /// A request awaits its answer.
    Exchanging(Exchange),
    /// An exchange has failed, without an answer or with the error that [`ServerState`] holds.
    Failed(Purpose, ServerState),
    /// The binding is left alone until the next keep-alive or probe.
    Idle(Idle),
    /// No server answers, or none is known.
    Retrying {
        /// The time of the next attempt.
        at: Duration,
    },
}

/// An idle time between two exchanges.
#[derive(Clone, Copy, Debug)]
struct Idle {
    began: Duration,
    /// The time of the last datagram on the primary port.
    quiet_since: Duration,
    /// True if a datagram came later, and may have kept the binding open.
    other_traffic: bool,
}

impl Default for Binding {
    fn default() -> Binding {
        Binding::new()
    }
}

impl Binding {
    /// Returns a binding that is off until it gets settings and a local address.
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

    /// Replaces all parameters. Only a changed parameter has an effect.
    pub fn configure(&mut self, settings: StunSettings, now: Duration) {
        let before = mem::replace(&mut self.settings, settings);
        let (new, old) = (&self.settings, &before);
        if new.enabled != old.enabled || new.server != old.server {
            self.reset(now);
            return;
        }
        let other_credentials = new.username != old.username || new.password != old.password;
        if new.periods != old.periods {
            self.keep_alive = KeepAlive::new(new.periods); // R282: applies to the present idle time
        }
        // With the old credentials the wait may be long, and the new ones may end the refusals at once.
        if other_credentials && matches!(self.state, BindingState::Retrying { .. }) {
            self.state = BindingState::Retrying { at: now };
        }
    }

    /// Records the addresses of a server whose name was to be resolved; none if the resolution failed.
    pub fn on_resolved(&mut self, server: &StunServerName, addresses: &[SocketAddr]) {
        if *server != self.settings.server {
            return; // the settings have changed since
        }
        self.resolving = false;
        let before = self.server();
        if !addresses.is_empty() {
            self.servers = addresses.iter().take(MAX_SERVERS).map(|&address| canonical(address)).collect();
            // A name server changes the order of its answers, and that is no reason to change the server.
            let same = self.reachable().position(|server| Some(server) == before);
            self.current = same.unwrap_or(0);
        }
        if self.server().is_none() {
            // Counts as a failed round, so that the local address is published in the end.
            self.failed_rounds = self.failed_rounds.saturating_add(1);
            return;
        }
        // A wait for the first address ends here. A wait after refusals goes on, as the same servers may be back.
        if before.is_none() && matches!(self.state, BindingState::Retrying { .. }) {
            self.state = BindingState::Due(RequestPlan::new(Purpose::Bind));
        }
    }

    /// Records the address and port of the primary port as towards the STUN server; an unspecified address for no
    /// network (R284).
    pub fn on_local_address(&mut self, local: SocketAddr, now: Duration) {
        let local = Some(canonical(local)).filter(|local| !local.ip().is_unspecified());
        if local == mem::replace(&mut self.local, local) {
            return;
        }
        if local.is_none() || matches!(self.state, BindingState::Off) {
            self.reset(now);
            return;
        }
        // The answer to the running request would report the address that belongs to the old local one.
        self.finish_exchange();
        self.keep_alive = KeepAlive::new(self.settings.periods);
        (self.failed_servers, self.failed_rounds, self.consecutive_changes) = (0, 0, 0);
        self.state = BindingState::Retrying { at: now }; // R282, R284: at once, even before the minimum
    }

    /// Handles a datagram on either port whose first byte marks STUN (R289).
    pub fn on_datagram(&mut self, port: Port, from: SocketAddr, bytes: &[u8], now: Duration) {
        // Any datagram may refresh the binding in the NAT, also one that is rejected below.
        if port == Port::Primary {
            self.on_other_traffic(now);
        }
        let Ok(message) = Message::parse(bytes) else { return count(&mut self.counters.malformed) };
        let exchange = match &mut self.state {
            BindingState::Exchanging(exchange) => exchange,
            _ if self.recent.contains(&Some(message.transaction)) => return count(&mut self.counters.late),
            _ => return count(&mut self.counters.wrong_transaction),
        };
        // Anyone may send to the port; only the server that was asked is believed.
        if canonical(from) != exchange.to {
            return count(&mut self.counters.foreign_source);
        }
        if message.transaction != exchange.transaction {
            let late = self.recent.contains(&Some(message.transaction));
            return count(if late { &mut self.counters.late } else { &mut self.counters.wrong_transaction });
        }
        // R278: an answer without a valid signature is discarded. Its error code is kept for the status alone.
        if exchange.plan.signed && !message.is_signed_with(&self.settings.password) {
            exchange.unsigned_refusal = message.error_code.filter(|_| message.kind == MessageKind::Error);
            return count(&mut self.counters.bad_integrity);
        }
        let plan = exchange.plan;
        self.on_response(plan, port, &message, now);
    }

    /// Records other traffic on the primary port, such as a UDP connection request. It may have kept the binding open,
    /// which disturbs a measurement.
    pub fn on_other_traffic(&mut self, now: Duration) {
        let BindingState::Idle(idle) = &mut self.state else { return };
        if now.saturating_sub(idle.began) <= DUPLICATE_WINDOW {
            idle.quiet_since = now;
        } else {
            idle.other_traffic = true;
        }
    }

    /// Returns the next action; the caller repeats until there is none. `random` fills a slice with unpredictable
    /// bytes.
    pub fn poll(&mut self, now: Duration, random: &mut dyn FnMut(&mut [u8])) -> Option<Action> {
        loop {
            // First, so that the data model never lags behind the state.
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
                    // R282: the maximum period takes precedence over a probe without an answer.
                    ExchangeStep::Wait if self.is_overdue(now) => self.on_timeout(),
                    ExchangeStep::Wait => return None,
                },
                BindingState::Failed(purpose, seen) => {
                    let (purpose, seen) = (*purpose, *seen);
                    self.on_failure(purpose, seen, now, random);
                }
                BindingState::Idle(idle) => {
                    let idle = *idle;
                    if now < self.idle_end(idle) {
                        return None;
                    }
                    self.end_idle(idle, now);
                }
                BindingState::Retrying { at } if now < *at => return None,
                BindingState::Retrying { .. } => self.retry(now, random),
            }
        }
    }

    /// Returns the time of the next [`Binding::poll`], on the monotonic clock.
    pub fn deadline(&self) -> Option<Duration> {
        if self.must_resolve || self.to_publish() != self.published {
            return Some(Duration::ZERO);
        }
        match &self.state {
            BindingState::Off => None,
            BindingState::Due(_) | BindingState::Failed(..) => Some(Duration::ZERO),
            // A probe yields to the keep-alive that the maximum period demands (R282).
            BindingState::Exchanging(exchange) if exchange.plan.purpose.port() == Port::Secondary => {
                Some(self.overdue_at().map_or(exchange.deadline(), |at| at.min(exchange.deadline())))
            }
            BindingState::Exchanging(exchange) => Some(exchange.deadline()),
            BindingState::Idle(idle) => Some(self.idle_end(*idle)),
            BindingState::Retrying { at } => Some(*at),
        }
    }

    /// Returns the values for the data model.
    pub fn published(&self) -> PublishedBinding {
        self.published
    }

    /// Returns the state for `cpe-agent status`.
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

/// Returns the address without scope; an IPv4-mapped address, as an IPv6 socket reports it, becomes IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Increments a counter that stops at its maximum.
fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

#[cfg(test)]
mod tests;
