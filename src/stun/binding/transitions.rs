//! The course of things: which state follows which.

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Binding, BindingState, Idle, MappedAddress, canonical, count};
use crate::stun::exchange::{Exchange, Purpose, RequestPlan};
use crate::stun::keep_alive::KeepAlive;
use crate::stun::message::{BindingRequest, Message, MessageKind, TransactionId};
use crate::stun::settings::{Action, Port};
use crate::stun::status::{PublishedBinding, ServerState};

/// The first wait after all servers have failed, and the longest; the minimum period holds as well.
const RETRY_FIRST: Duration = Duration::from_secs(15);
const RETRY_LONGEST: Duration = Duration::from_secs(600);

impl Binding {
    /// Forgets the binding, and looks for it if there is reason to.
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

    /// Whether the ACS wants a binding, and has said from whom.
    fn wanted(&self) -> bool {
        self.settings.enabled && !self.settings.server.host.is_empty()
    }

    /// The server in use: one that the local address can reach.
    pub(super) fn server(&self) -> Option<SocketAddr> {
        self.reachable().nth(self.current)
    }

    pub(super) fn reachable(&self) -> impl Iterator<Item = SocketAddr> {
        let local = self.local;
        self.servers
            .iter()
            .copied()
            .filter(move |server| local.is_some_and(|local| local.is_ipv4() == server.is_ipv4()))
    }

    pub(super) fn start_exchange(&mut self, plan: RequestPlan, now: Duration, random: &mut dyn FnMut(&mut [u8])) {
        let Some(to) = self.server() else {
            self.state = BindingState::Retrying { at: now };
            return;
        };
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
            (self.announce_at, self.announced) = (None, self.mapped); // R281: once for each change, whatever becomes of it
        }
        if matches!(self.server_state, ServerState::Unused | ServerState::Unresolved) {
            self.server_state = ServerState::Asked;
        }
        self.state = BindingState::Exchanging(Exchange::new(plan, to, transaction, request.encode(), now));
    }

    pub(super) fn send(&mut self, bytes: Vec<u8>, now: Duration) -> Action {
        count(&mut self.counters.sent);
        let BindingState::Exchanging(exchange) = &self.state else { unreachable!("only an exchange sends") };
        let port = exchange.plan.purpose.port();
        if port == Port::Primary {
            self.last_sent = now;
        }
        Action::Send { port, to: exchange.to, bytes }
    }

    /// An answer to the exchange under way, from the right source, signed where it must be.
    pub(super) fn on_response(&mut self, plan: RequestPlan, port: Port, message: &Message<'_>, now: Duration) {
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
                // R283: back to where it came from means that the server ignores RESPONSE-ADDRESS.
                self.probed(plan.purpose, port == Port::Primary, now);
            }
            _ => count(&mut self.counters.unusable),
        }
    }

    pub(super) fn on_error_response(&mut self, plan: RequestPlan, code: u16) {
        count(&mut self.counters.refused);
        self.finish_exchange();
        self.state = if code == 401 && !plan.signed && self.settings.can_sign() {
            BindingState::Due(RequestPlan { signed: true, ..plan }) // R277
        } else {
            BindingState::Failed(plan.purpose, ServerState::Refuses(code))
        };
    }

    /// The server has told the address of the primary port: each answer is held against what is known (R273).
    pub(super) fn on_mapped(&mut self, address: SocketAddr, purpose: Purpose, now: Duration) {
        let Some(local) = self.local else { return };
        count(&mut self.counters.answered);
        self.finish_exchange();
        (self.failed_servers, self.failed_rounds) = (0, 0);
        self.server_state = ServerState::Answers;
        let before = self.mapped.replace(MappedAddress { address, local });
        if before.map(|before| before.address) == Some(address) {
            if purpose == Purpose::Ask {
                self.consecutive_changes = 0; // it has outlived a rest
                self.announce_at = self.announce_at.map(|at| at.min(now));
            }
            if self.announce_at.is_none() {
                self.announced = self.mapped; // the local address may be another one
            }
        } else {
            count(&mut self.counters.changes);
            // R280: at once. But answers that each tell another address must not make a storm, neither here nor of
            // sessions at the ACS: a NAT that forgets faster than we may ask moves us each time, for ever.
            let due = now.saturating_add(announcement_delay(self.consecutive_changes));
            self.announce_at = Some(self.announce_at.map_or(due, |at| at.min(due)));
            self.consecutive_changes = self.consecutive_changes.saturating_add(1);
            self.keep_alive.binding_moved();
        }
        self.follow_response(now);
    }

    /// What follows an answer: the announcement, a control, or rest.
    pub(super) fn follow_response(&mut self, now: Duration) {
        self.state = if self.announce_at.is_some_and(|at| at <= now) {
            BindingState::Due(RequestPlan::new(Purpose::Announce))
        } else if self.mapped.is_some() && self.keep_alive.wants_baseline_probe(now) {
            BindingState::Due(RequestPlan::new(Purpose::Probe(None)))
        } else {
            BindingState::Idle(Idle { began: now, quiet_since: now, other_traffic: false })
        };
    }

    /// The way in was open, or not. After a measurement the binding is kept, whatever came out.
    pub(super) fn probed(&mut self, purpose: Purpose, open: bool, now: Duration) {
        match purpose {
            Purpose::Probe(Some(idle)) => {
                self.keep_alive.probed(idle, open, now);
                self.state = BindingState::Due(RequestPlan::new(Purpose::Ask));
            }
            Purpose::Probe(None) => {
                self.keep_alive.baseline_probed(open, now);
                self.follow_response(now);
            }
            Purpose::Ask | Purpose::Announce => {}
        }
    }

    pub(super) fn on_timeout(&mut self) {
        let BindingState::Exchanging(exchange) = &self.state else { return };
        let seen = exchange.unsigned_refusal.map_or(ServerState::Silent, ServerState::Refuses);
        let purpose = exchange.plan.purpose;
        if purpose.port() == Port::Primary {
            count(&mut self.counters.unanswered);
        }
        self.finish_exchange();
        self.state = BindingState::Failed(purpose, seen);
    }

    pub(super) fn finish_exchange(&mut self) {
        if let BindingState::Exchanging(exchange) = &self.state {
            self.recent.rotate_right(1);
            self.recent[0] = Some(exchange.transaction);
        }
    }

    pub(super) fn on_failure(
        &mut self,
        purpose: Purpose,
        seen: ServerState,
        now: Duration,
        random: &mut dyn FnMut(&mut [u8]),
    ) {
        match purpose {
            Purpose::Probe(_) => self.probed(purpose, false, now),
            // R281: nothing but the announcement is lost; whether the server is, the next keep-alive will tell.
            Purpose::Announce => self.follow_response(now),
            Purpose::Ask => self.server_failed(seen, now, random),
        }
    }

    pub(super) fn server_failed(&mut self, seen: ServerState, now: Duration, random: &mut dyn FnMut(&mut [u8])) {
        let servers = self.reachable().count();
        self.server_state = seen;
        self.keep_alive.server_failed();
        self.failed_servers += 1;
        self.current = (self.current + 1) % servers.max(1);
        if servers > 1 {
            self.keep_alive.server_changed();
        }
        if self.failed_servers < servers {
            self.state = BindingState::Due(RequestPlan::new(Purpose::Ask));
            return;
        }
        self.failed_servers = 0;
        self.failed_rounds = self.failed_rounds.saturating_add(1);
        if self.mapped.is_some_and(|mapped| Some(mapped.local) != self.local) {
            (self.mapped, self.announced) = (None, None); // learnt from an address that is no longer ours
        }
        self.must_resolve = true;
        self.state = BindingState::Retrying { at: now.saturating_add(self.retry_wait(random)) };
    }

    pub(super) fn retry(&mut self, now: Duration, random: &mut dyn FnMut(&mut [u8])) {
        if self.server().is_some() {
            self.state = BindingState::Due(RequestPlan::new(Purpose::Ask));
            return;
        }
        if self.resolving {
            self.failed_rounds = self.failed_rounds.saturating_add(1); // nobody has answered that
        }
        (self.current, self.must_resolve) = (0, true);
        self.server_state = ServerState::Unresolved;
        self.state = BindingState::Retrying { at: now.saturating_add(self.retry_wait(random)) };
    }

    /// Doubles with each round that fails, and differs from device to device: a server that comes back is not
    /// met by all at once. As long as there is a binding it is kept, though nobody answers, so that the address
    /// that stays published stays true. R282: within the two periods.
    pub(super) fn retry_wait(&self, random: &mut dyn FnMut(&mut [u8])) -> Duration {
        let least = self.settings.periods.minimum();
        let first = RETRY_FIRST.max(least);
        let longest = if self.mapped.is_some() { self.keep_alive.interval() } else { RETRY_LONGEST };
        let doublings = self.failed_rounds.saturating_sub(1).min(6);
        let wait = first.saturating_mul(1 << doublings).min(longest.max(first));
        let mut share = [0; 1];
        random(&mut share);
        let wait = wait.saturating_sub(wait / 8 * u32::from(share[0]) / 256).max(least);
        wait.min(self.settings.periods.maximum().unwrap_or(Duration::MAX))
    }

    /// R282: when the next request must leave the primary port, whatever is being measured.
    pub(super) fn overdue_at(&self) -> Option<Duration> {
        Some(self.last_sent.saturating_add(self.settings.periods.maximum()?))
    }

    pub(super) fn is_overdue(&self, now: Duration) -> bool {
        let BindingState::Exchanging(exchange) = &self.state else { return false };
        exchange.plan.purpose.port() == Port::Secondary && self.overdue_at().is_some_and(|at| at <= now)
    }

    pub(super) fn idle_end(&self, rest: Idle) -> Duration {
        let since = if self.keep_alive.measures() { rest.quiet_since } else { self.last_sent };
        let end = since.saturating_add(self.keep_alive.interval());
        let end = self.overdue_at().map_or(end, |at| at.min(end));
        self.announce_at.map_or(end, |at| at.min(end))
    }

    pub(super) fn end_idle(&mut self, rest: Idle, now: Duration) {
        if self.announce_at.is_some_and(|at| at <= now) {
            self.state = BindingState::Due(RequestPlan::new(Purpose::Announce));
            return;
        }
        let idle = now.saturating_sub(rest.quiet_since);
        let other_traffic = rest.other_traffic || idle < self.keep_alive.interval();
        let purpose =
            if self.keep_alive.idle_ended(other_traffic, now) { Purpose::Probe(Some(idle)) } else { Purpose::Ask };
        self.state = BindingState::Due(RequestPlan::new(purpose));
    }

    pub(super) fn newly_published(&mut self) -> Option<PublishedBinding> {
        let published = self.to_publish();
        (published != mem::replace(&mut self.published, published)).then_some(published)
    }

    /// R285.
    pub(super) fn to_publish(&self) -> PublishedBinding {
        let local = PublishedBinding { address: self.local, nat_detected: false };
        match self.announced {
            _ if !self.wanted() => local,
            _ if self.local.is_none() => self.published, // no network: nobody can be told anyway
            Some(mapped) => {
                PublishedBinding { address: Some(mapped.address), nat_detected: mapped.address != mapped.local }
            }
            None if self.failed_rounds > 1 => local,
            // A name that does not resolve yet is no failure: after a boot that may take a while.
            None if self.failed_rounds > 0 && self.server().is_some() => local,
            None => self.published,
        }
    }
}

/// The wait before an announcement, after so many answers that each told another address.
fn announcement_delay(consecutive_changes: u32) -> Duration {
    match consecutive_changes {
        0 => Duration::ZERO,
        consecutive_changes => Duration::from_secs(1 << (consecutive_changes - 1).min(10)),
    }
}

/// Whether it can be the address of anybody: a server that tells another one is not believed.
fn is_plausible(address: &SocketAddr) -> bool {
    let ip = address.ip();
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::from([255; 4])
}
