//! The transitions between the states of the binding.

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Binding, BindingState, Idle, MappedAddress, canonical, count};
use crate::stun::exchange::{Exchange, Purpose, RequestPlan};
use crate::stun::keep_alive::KeepAlive;
use crate::stun::message::{BindingRequest, Message, MessageKind, TransactionId};
use crate::stun::settings::{Action, Port};
use crate::stun::status::{PublishedBinding, ServerState};

/// The first and the longest wait after all servers have failed; the minimum period holds as well.
const RETRY_FIRST: Duration = Duration::from_secs(15);
const RETRY_LONGEST: Duration = Duration::from_secs(600);

impl Binding {
    /// Forgets the binding, and starts to learn it again if STUN is enabled and there is a network.
    pub(super) fn reset(&mut self, now: Duration) {
        self.servers.clear();
        (self.mapped, self.announced) = (None, None);
        self.announce_at = None;
        (self.current, self.failed_servers, self.failed_rounds, self.consecutive_changes) = (0, 0, 0, 0);
        (self.must_resolve, self.resolving) = (false, false);
        self.keep_alive = KeepAlive::new(self.settings.periods);
        let wanted = self.wanted() && self.local.is_some();
        self.server_state = if wanted { ServerState::Unresolved } else { ServerState::Unused };
        self.state = if wanted { BindingState::Retrying { at: now } } else { BindingState::Off };
    }

    /// Returns true if STUN is enabled and a server is configured.
    fn wanted(&self) -> bool {
        self.settings.enabled && !self.settings.server.host.is_empty()
    }

    /// Returns the server in use, which the local address can reach.
    pub(super) fn server(&self) -> Option<SocketAddr> {
        self.reachable().nth(self.current)
    }

    /// Returns the servers of the same address family as the local address.
    pub(super) fn reachable(&self) -> impl Iterator<Item = SocketAddr> {
        let local = self.local;
        self.servers
            .iter()
            .copied()
            .filter(move |server| local.is_some_and(|local| local.is_ipv4() == server.is_ipv4()))
    }

    /// Starts an exchange with a fresh transaction id.
    pub(super) fn start_exchange(&mut self, plan: RequestPlan, now: Duration, random: &mut dyn FnMut(&mut [u8])) {
        let Some(to) = self.server() else {
            self.state = BindingState::Retrying { at: now };
            return;
        };
        // R270: the id ties the answer to the request, and an unpredictable one cannot be forged from outside.
        let mut transaction = TransactionId([0; 16]);
        random(&mut transaction.0);
        let primary = plan.purpose.port() == Port::Primary;
        let request = BindingRequest {
            transaction,
            connection_request_binding: primary,               // R274
            binding_change: plan.purpose == Purpose::Announce, // R275, R280
            response_address: self.mapped.filter(|_| !primary).map(|mapped| mapped.address), // R283
            username: if primary || plan.signed { &self.settings.username } else { "" }, // R276, R277
            password: plan.signed.then_some(&self.settings.password), // R277
        };
        if plan.purpose == Purpose::Announce {
            (self.announce_at, self.announced) = (None, self.mapped); // R281: one announcement per change, answered or not
        }
        if matches!(self.server_state, ServerState::Unused | ServerState::Unresolved) {
            self.server_state = ServerState::Asked;
        }
        self.state = BindingState::Exchanging(Exchange::new(plan, to, transaction, request.encode(), now));
    }

    /// Returns the action that sends a datagram of the present exchange.
    pub(super) fn send(&mut self, bytes: Vec<u8>, now: Duration) -> Action {
        count(&mut self.counters.sent);
        let BindingState::Exchanging(exchange) = &self.state else { unreachable!("only an exchange sends") };
        let port = exchange.plan.purpose.port();
        if port == Port::Primary {
            self.last_sent = now;
        }
        Action::Send { port, to: exchange.to, bytes }
    }

    /// Handles an answer to the present exchange, from the right source and with the signature that is due.
    pub(super) fn on_response(&mut self, plan: RequestPlan, port: Port, message: &Message<'_>, now: Duration) {
        // RFC 3489 §11.2: a message with an unknown mandatory attribute cannot be processed.
        if message.unknown_mandatory.is_some() {
            return count(&mut self.counters.unusable);
        }
        match (message.kind, message.error_code, message.mapped_address.map(canonical).filter(is_plausible)) {
            (MessageKind::Error, Some(code), _) => self.on_error_response(plan, code),
            (MessageKind::Response, _, Some(mapped))
                if plan.purpose.port() == Port::Primary && port == Port::Primary =>
            {
                self.on_mapped(mapped, plan.purpose, now);
            }
            (MessageKind::Response, _, Some(_)) if plan.purpose.port() == Port::Secondary => {
                count(&mut self.counters.answered);
                self.finish_exchange();
                // R283: a server that ignores RESPONSE-ADDRESS answers to the secondary port.
                self.probed(plan.purpose, port == Port::Primary, now);
            }
            _ => count(&mut self.counters.unusable),
        }
    }

    /// Handles an error response: a 401 leads to one signed repetition (R277), every other error fails the exchange.
    pub(super) fn on_error_response(&mut self, plan: RequestPlan, code: u16) {
        count(&mut self.counters.refused);
        self.finish_exchange();
        self.state = if code == 401 && !plan.signed && self.settings.can_sign() {
            BindingState::Due(RequestPlan { signed: true, ..plan }) // R277
        } else {
            BindingState::Failed(plan.purpose, ServerState::Refuses(code))
        };
    }

    /// Compares the mapped address of an answer with the known one (R273).
    pub(super) fn on_mapped(&mut self, address: SocketAddr, purpose: Purpose, now: Duration) {
        let Some(local) = self.local else { return };
        count(&mut self.counters.answered);
        self.finish_exchange();
        // An answer of any kind shows that the server is reachable.
        (self.failed_servers, self.failed_rounds) = (0, 0);
        self.server_state = ServerState::Answers;
        let before = self.mapped.replace(MappedAddress { address, local });
        if before.map(|before| before.address) == Some(address) {
            if purpose == Purpose::Bind {
                self.consecutive_changes = 0; // the address has outlived an idle time
                self.announce_at = self.announce_at.map(|at| at.min(now));
            }
            if self.announce_at.is_none() {
                self.announced = self.mapped; // the local address may have changed
            }
        } else {
            count(&mut self.counters.changes);
            // R280: announced at once. A NAT that forgets faster than the minimum period allows would change the
            // address with each answer for ever, and so each further change in a row is announced later: otherwise
            // every keep-alive would start a session at the ACS.
            let due = now.saturating_add(announcement_delay(self.consecutive_changes));
            self.announce_at = Some(self.announce_at.map_or(due, |at| at.min(due)));
            self.consecutive_changes = self.consecutive_changes.saturating_add(1);
            self.keep_alive.binding_moved();
        }
        self.follow_response(now);
    }

    /// Enters the state after an answer: an announcement, a baseline probe, or the idle time.
    pub(super) fn follow_response(&mut self, now: Duration) {
        self.state = if self.announce_at.is_some_and(|at| at <= now) {
            BindingState::Due(RequestPlan::new(Purpose::Announce))
        } else if self.mapped.is_some() && self.keep_alive.wants_baseline_probe(now) {
            BindingState::Due(RequestPlan::new(Purpose::Probe(None)))
        } else {
            BindingState::Idle(Idle { began: now, quiet_since: now, other_traffic: false })
        };
    }

    /// Records the result of a probe: `open` if its answer arrived on the primary port.
    pub(super) fn probed(&mut self, purpose: Purpose, open: bool, now: Duration) {
        match purpose {
            Purpose::Probe(Some(idle)) => {
                self.keep_alive.probed(idle, open, now);
                // A measurement delays the keep-alive, which follows now with either result.
                self.state = BindingState::Due(RequestPlan::new(Purpose::Bind));
            }
            Purpose::Probe(None) => {
                self.keep_alive.baseline_probed(open, now);
                self.follow_response(now);
            }
            Purpose::Bind | Purpose::Announce => {}
        }
    }

    /// Ends an exchange without an answer.
    pub(super) fn on_timeout(&mut self) {
        let BindingState::Exchanging(exchange) = &self.state else { return };
        let seen = exchange.unsigned_refusal.map_or(ServerState::Silent, ServerState::Refuses);
        let purpose = exchange.plan.purpose;
        // A probe without an answer is a measurement, and no failure of the server.
        if purpose.port() == Port::Primary {
            count(&mut self.counters.unanswered);
        }
        self.finish_exchange();
        self.state = BindingState::Failed(purpose, seen);
    }

    /// Remembers the transaction of the present exchange, so that a late answer is counted as such.
    pub(super) fn finish_exchange(&mut self) {
        if let BindingState::Exchanging(exchange) = &self.state {
            self.recent.rotate_right(1);
            self.recent[0] = Some(exchange.transaction);
        }
    }

    /// Chooses the state after a failed exchange.
    pub(super) fn on_failure(
        &mut self,
        purpose: Purpose,
        seen: ServerState,
        now: Duration,
        random: &mut dyn FnMut(&mut [u8]),
    ) {
        match purpose {
            Purpose::Probe(_) => self.probed(purpose, false, now),
            // R281: a failed announcement is not repeated. The next keep-alive shows whether the server is lost.
            Purpose::Announce => self.follow_response(now),
            Purpose::Bind => self.server_failed(seen, now, random),
        }
    }

    /// Changes to the next server, or waits if all of them have failed.
    pub(super) fn server_failed(&mut self, seen: ServerState, now: Duration, random: &mut dyn FnMut(&mut [u8])) {
        let servers = self.reachable().count();
        self.server_state = seen;
        // The server may have been down already when the last probe stayed unanswered, so that the probe proves
        // nothing.
        self.keep_alive.server_failed();
        self.failed_servers += 1;
        self.current = (self.current + 1) % servers.max(1);
        if servers > 1 {
            self.keep_alive.server_changed();
        }
        if self.failed_servers < servers {
            self.state = BindingState::Due(RequestPlan::new(Purpose::Bind));
            return;
        }
        self.failed_servers = 0;
        self.failed_rounds = self.failed_rounds.saturating_add(1);
        if self.mapped.is_some_and(|mapped| Some(mapped.local) != self.local) {
            (self.mapped, self.announced) = (None, None); // learnt from a former local address
        }
        // The name may have other addresses by now.
        self.must_resolve = true;
        self.state = BindingState::Retrying { at: now.saturating_add(self.retry_wait(random)) };
    }

    /// Ends the wait for a server: asks one, or resolves the name again.
    pub(super) fn retry(&mut self, now: Duration, random: &mut dyn FnMut(&mut [u8])) {
        if self.server().is_some() {
            self.state = BindingState::Due(RequestPlan::new(Purpose::Bind));
            return;
        }
        if self.resolving {
            self.failed_rounds = self.failed_rounds.saturating_add(1); // the last resolution has not ended
        }
        (self.current, self.must_resolve) = (0, true);
        self.server_state = ServerState::Unresolved;
        self.state = BindingState::Retrying { at: now.saturating_add(self.retry_wait(random)) };
    }

    /// Returns the wait before the next round, within the two periods of R282. It doubles with each failed round. A
    /// random share differs from device to device, so that a server that comes back does not meet all of them at once.
    /// A known binding is kept open although no server answers, because its address stays published.
    pub(super) fn retry_wait(&self, random: &mut dyn FnMut(&mut [u8])) -> Duration {
        let least = self.settings.periods.minimum();
        let first = RETRY_FIRST.max(least);
        // Requests keep the binding of the NAT open even without an answer.
        let longest = if self.mapped.is_some() { self.keep_alive.interval() } else { RETRY_LONGEST };
        let doublings = self.failed_rounds.saturating_sub(1).min(6);
        let wait = first.saturating_mul(1 << doublings).min(longest.max(first));
        let mut share = [0; 1];
        random(&mut share);
        // The random share only shortens the wait, because R282 limits it from above.
        let wait = wait.saturating_sub(wait / 8 * u32::from(share[0]) / 256).max(least);
        wait.min(self.settings.periods.maximum().unwrap_or(Duration::MAX))
    }

    /// Returns the time at which the next request must leave the primary port, even during a measurement (R282).
    pub(super) fn overdue_at(&self) -> Option<Duration> {
        Some(self.last_sent.saturating_add(self.settings.periods.maximum()?))
    }

    /// Returns true if a probe has to give way to the keep-alive.
    pub(super) fn is_overdue(&self, now: Duration) -> bool {
        let BindingState::Exchanging(exchange) = &self.state else { return false };
        exchange.plan.purpose.port() == Port::Secondary && self.overdue_at().is_some_and(|at| at <= now)
    }

    /// Returns the end of the idle time: the interval, the maximum period, or an announcement, whichever is first.
    pub(super) fn idle_end(&self, idle: Idle) -> Duration {
        // A measurement counts from the last datagram in either direction, a keep-alive from the last one sent.
        let since = if self.keep_alive.measures() { idle.quiet_since } else { self.last_sent };
        let end = since.saturating_add(self.keep_alive.interval());
        let end = self.overdue_at().map_or(end, |at| at.min(end));
        self.announce_at.map_or(end, |at| at.min(end))
    }

    /// Ends the idle time with an announcement, a probe or a keep-alive.
    pub(super) fn end_idle(&mut self, idle: Idle, now: Duration) {
        if self.announce_at.is_some_and(|at| at <= now) {
            self.state = BindingState::Due(RequestPlan::new(Purpose::Announce));
            return;
        }
        let quiet = now.saturating_sub(idle.quiet_since);
        let other_traffic = idle.other_traffic || quiet < self.keep_alive.interval();
        let purpose =
            if self.keep_alive.idle_ended(other_traffic, now) { Purpose::Probe(Some(quiet)) } else { Purpose::Bind };
        self.state = BindingState::Due(RequestPlan::new(purpose));
    }

    /// Returns the values for the data model if they have changed.
    pub(super) fn newly_published(&mut self) -> Option<PublishedBinding> {
        let published = self.to_publish();
        (published != mem::replace(&mut self.published, published)).then_some(published)
    }

    /// Returns the values that the data model is to show (R285).
    pub(super) fn to_publish(&self) -> PublishedBinding {
        let local = PublishedBinding { address: self.local, nat_detected: false };
        match self.announced {
            _ if !self.wanted() => local,
            _ if self.local.is_none() => self.published, // no network: no session can report a change
            Some(mapped) => {
                PublishedBinding { address: Some(mapped.address), nat_detected: mapped.address != mapped.local }
            }
            // No mapped address is expected after two failed rounds, or after one with a resolved server.
            None if self.failed_rounds > 1 => local,
            // A name that does not resolve yet is no failure, since that may take a while after a boot.
            None if self.failed_rounds > 0 && self.server().is_some() => local,
            None => self.published,
        }
    }
}

/// Returns the wait before an announcement, after a number of changes in a row.
fn announcement_delay(consecutive_changes: u32) -> Duration {
    match consecutive_changes {
        0 => Duration::ZERO,
        consecutive_changes => Duration::from_secs(1 << (consecutive_changes - 1).min(10)),
    }
}

/// Returns true if the address can be a public one. Others are not believed: unspecified, multicast, broadcast, or port
/// 0.
fn is_plausible(address: &SocketAddr) -> bool {
    let ip = address.ip();
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::from([255; 4])
}
