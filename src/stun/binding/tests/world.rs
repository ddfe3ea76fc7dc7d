//! A clock, a NAT and a STUN server, all simulated: hours pass in milliseconds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::secret::Secret;
use crate::stun::message::{Encoder, Message, MessageKind};
use crate::stun::{Action, Binding, KeepAlivePeriods, Port, PublishedBinding, StunServerName, StunSettings};

pub(super) const LOCAL: &str = "192.168.1.2:7547";
pub(super) const SERVER: &str = "198.51.100.1:3478";
pub(super) const OTHER_SERVER: &str = "198.51.100.2:3478";
const SECONDARY: &str = "192.168.1.2:40001";

/// The travel time between the NAT and the server, in one direction.
const WAY: Duration = Duration::from_millis(20);

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A NAT with one public address; ports are its own choice.
pub(super) struct Nat {
    pub(super) timeout: Duration,
    /// True if inbound datagrams keep a binding open too.
    pub(super) refreshed_by_inbound: bool,
    /// True if an expired binding returns with the same port.
    pub(super) keeps_ports: bool,
    next_port: u16,
    bindings: BTreeMap<u8, Translation>,
    /// The number of times that the primary port needed its binding after it had expired.
    pub(super) expired: u32,
}

struct Translation {
    public: SocketAddr,
    until: Duration,
}

impl Nat {
    pub(super) fn new(timeout: u64) -> Nat {
        Nat {
            timeout: seconds(timeout),
            refreshed_by_inbound: true,
            keeps_ports: false,
            next_port: 50_000,
            bindings: BTreeMap::new(),
            expired: 0,
        }
    }

    /// Drops all bindings, as `conntrack -F` does.
    pub(super) fn flush(&mut self) {
        for translation in self.bindings.values_mut() {
            translation.until = Duration::ZERO;
        }
    }

    fn outbound(&mut self, port: Port, now: Duration) -> SocketAddr {
        let until = now + self.timeout;
        if let Some(translation) = self.bindings.get_mut(&(port as u8)) {
            if translation.until <= now {
                self.expired += u32::from(port == Port::Primary);
                if !self.keeps_ports {
                    self.next_port += 1;
                    translation.public.set_port(self.next_port);
                }
            }
            translation.until = until;
            return translation.public;
        }
        self.next_port += 1;
        let public = SocketAddr::new([203, 0, 113, 9].into(), self.next_port);
        self.bindings.insert(port as u8, Translation { public, until });
        public
    }

    fn inbound(&mut self, to: SocketAddr, now: Duration) -> Option<Port> {
        let (&port, translation) =
            self.bindings.iter_mut().find(|(_, binding)| binding.public == to && binding.until > now)?;
        if self.refreshed_by_inbound {
            translation.until = now + self.timeout;
        }
        Some(if port == Port::Primary as u8 { Port::Primary } else { Port::Secondary })
    }
}

/// A server with its habits and faults.
pub(super) struct SimulatedServer {
    pub(super) addresses: Vec<SocketAddr>,
    /// The addresses that do not answer.
    pub(super) down: Vec<SocketAddr>,
    pub(super) honours_response_address: bool,
    /// True if requests with BINDING-CHANGE stay unanswered.
    pub(super) deaf_to_changes: bool,
    /// The password that requests must be signed with (R277).
    pub(super) password: Option<Secret>,
    /// The wrong password that answers are signed with instead.
    pub(super) signs_with: Option<Secret>,
    pub(super) error: Option<u16>,
    /// The mapped addresses that answers contain in turn, instead of the true ones.
    pub(super) lies: Vec<SocketAddr>,
    answers: usize,
    /// The percentage of datagrams that are lost on the way to the server.
    pub(super) loss: u8,
}

/// A datagram that the binding has sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) at: Duration,
    pub(super) port: Port,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

impl Sent {
    pub(super) fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).expect("a request of our own")
    }
}

struct Arrival {
    at: Duration,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// The simulated world: clock, binding, NAT and server.
pub(super) struct World {
    pub(super) now: Duration,
    pub(super) binding: Binding,
    pub(super) settings: StunSettings,
    pub(super) nat: Option<Nat>,
    pub(super) server: SimulatedServer,
    pub(super) sent: Vec<Sent>,
    pub(super) changes: Vec<(Duration, PublishedBinding)>,
    pub(super) resolutions: u32,
    pub(super) local: SocketAddr,
    arrivals: Vec<Arrival>,
    random: u64,
}

impl World {
    pub(super) fn new(nat: Option<Nat>, periods: KeepAlivePeriods) -> World {
        let server = StunServerName { host: "stun.example".to_owned(), port: 3478 };
        World {
            now: seconds(1000),
            binding: Binding::new(),
            settings: StunSettings { enabled: true, server, periods, ..StunSettings::default() },
            nat,
            server: SimulatedServer {
                addresses: vec![address(SERVER)],
                down: Vec::new(),
                honours_response_address: true,
                deaf_to_changes: false,
                password: None,
                signs_with: None,
                error: None,
                lies: Vec::new(),
                answers: 0,
                loss: 0,
            },
            sent: Vec::new(),
            changes: Vec::new(),
            resolutions: 0,
            local: address(LOCAL),
            arrivals: Vec::new(),
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    pub(super) fn started(nat: Option<Nat>, periods: KeepAlivePeriods) -> World {
        let mut world = World::new(nat, periods);
        world.start();
        world
    }

    pub(super) fn start(&mut self) {
        self.binding.on_local_address(self.local, self.now);
        self.configure();
    }

    pub(super) fn configure(&mut self) {
        self.binding.configure(self.settings.clone(), self.now);
        self.drain();
    }

    pub(super) fn move_to(&mut self, local: &str) {
        self.local = address(local);
        self.binding.on_local_address(self.local, self.now);
        self.drain();
    }

    /// Advances the clock.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut turns = 0;
        while let Some(next) = self.next_event().filter(|&next| next <= end) {
            turns += 1;
            assert!(turns < 1_000_000, "the binding never rests");
            self.now = self.now.max(next);
            self.deliver();
            self.drain();
        }
        self.now = end;
    }

    pub(super) fn until(&mut self, at_most: Duration, mut done: impl FnMut(&World) -> bool) {
        let end = self.now + at_most;
        while !done(self) {
            assert!(self.now < end, "never happened: {:?}", self.binding.status());
            self.run(seconds(1));
        }
    }

    /// Hands in a datagram as if it had come in on the primary port.
    pub(super) fn inject(&mut self, from: &str, bytes: &[u8]) {
        self.binding.on_datagram(Port::Primary, address(from), bytes, self.now);
        self.drain();
    }

    pub(super) fn published(&self) -> String {
        let published = self.binding.published();
        format!("{} {}", published.address_text(), published.nat_detected)
    }

    /// The requests themselves, without their retransmissions.
    pub(super) fn requests(&self, port: Port) -> Vec<Sent> {
        let mut requests: Vec<Sent> = Vec::new();
        for sent in self.sent.iter().filter(|sent| sent.port == port) {
            if requests.last().is_none_or(|last| last.bytes != sent.bytes) {
                requests.push(sent.clone());
            }
        }
        requests
    }

    pub(super) fn random_byte(&mut self) -> u8 {
        next_random(&mut self.random)
    }

    fn next_event(&self) -> Option<Duration> {
        let arrival = self.arrivals.iter().map(|arrival| arrival.at).min();
        [arrival, self.binding.deadline()].into_iter().flatten().min()
    }

    fn deliver(&mut self) {
        let (due, later) = self.arrivals.drain(..).partition(|arrival| arrival.at <= self.now);
        self.arrivals = later;
        let due: Vec<Arrival> = due;
        for arrival in due {
            let port = match &mut self.nat {
                Some(nat) => nat.inbound(arrival.to, self.now),
                None if arrival.to == self.local => Some(Port::Primary),
                None => (arrival.to == address(SECONDARY)).then_some(Port::Secondary),
            };
            if let Some(port) = port {
                self.binding.on_datagram(port, arrival.from, &arrival.bytes, self.now);
                self.drain();
            }
        }
    }

    pub(super) fn drain(&mut self) {
        for turn in 0.. {
            assert!(turn < 100, "poll never ends");
            let random = &mut self.random;
            let action = self.binding.poll(self.now, &mut |bytes| bytes.fill_with(|| next_random(random)));
            match action {
                None => break,
                Some(Action::Resolve(server)) => {
                    self.resolutions += 1;
                    let addresses = self.server.addresses.clone();
                    self.binding.on_resolved(&server, &addresses);
                }
                Some(Action::Changed(published)) => self.changes.push((self.now, published)),
                Some(Action::Send { port, to, bytes }) => self.transmit(Sent { at: self.now, port, to, bytes }),
            }
        }
        assert!(self.binding.deadline().is_none_or(|at| at > self.now), "a deadline that has passed");
    }

    fn transmit(&mut self, sent: Sent) {
        let source = match (&mut self.nat, sent.port) {
            (Some(nat), port) => nat.outbound(port, self.now),
            (None, Port::Primary) => self.local,
            (None, Port::Secondary) => address(SECONDARY),
        };
        let lost = next_random(&mut self.random) % 100 < self.server.loss;
        if lost || !self.server.addresses.contains(&sent.to) || self.server.down.contains(&sent.to) {
            self.sent.push(sent);
            return;
        }
        if let Some((to, bytes)) = self.server.answer(&sent.message(), source) {
            self.arrivals.push(Arrival { at: self.now + 2 * WAY, from: sent.to, to, bytes });
        }
        self.sent.push(sent);
    }
}

impl SimulatedServer {
    fn answer(&mut self, request: &Message<'_>, source: SocketAddr) -> Option<(SocketAddr, Vec<u8>)> {
        assert_eq!(request.kind, MessageKind::Request);
        if self.deaf_to_changes && request.binding_change {
            return None;
        }
        let signed = self.password.as_ref().is_none_or(|password| request.is_signed_with(password));
        if let Some(code) = self.error.or((!signed).then_some(401)) {
            return Some((source, Encoder::error(request.transaction, code).finish()));
        }
        self.answers += 1;
        let mapped = self.lies.get(self.answers % self.lies.len().max(1)).copied().unwrap_or(source);
        let response = Encoder::response(request.transaction, mapped);
        let bytes = match self.signs_with.as_ref().or(self.password.as_ref()) {
            Some(password) => response.finish_signed(password),
            None => response.finish(),
        };
        let to = request.response_address.filter(|_| self.honours_response_address).unwrap_or(source);
        Some((to, bytes))
    }
}

fn next_random(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    state.to_be_bytes()[3]
}
