//! The binding over real sockets, against a STUN server that shares no line of code with it.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::support::stun_server::Behaviour;
use crate::support::{Mapping, Nat, StunRequest, StunServer};
use cpe_agent::secret::Secret;
use cpe_agent::stun::{Action, Binding, KeepAlivePeriods, Port, Search, ServerState, StunServerName, StunSettings};
use rand::RngCore;
use rand::rngs::OsRng;

/// Two sockets and a clock around a binding.
struct Driver {
    binding: Binding,
    primary: UdpSocket,
    secondary: UdpSocket,
    server: SocketAddr,
    start: Instant,
}

impl Driver {
    fn start(server: &StunServer, settings: StunSettings) -> Driver {
        let open = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            socket.set_nonblocking(true).expect("non-blocking");
            socket
        };
        let (primary, secondary) = (open(), open());
        let mut binding = Binding::new();
        binding.on_local_address(primary.local_addr().expect("bound"), Duration::ZERO);
        binding.configure(settings, Duration::ZERO);
        Driver { binding, primary, secondary, server: server.address(), start: Instant::now() }
    }

    fn local(&self) -> SocketAddr {
        self.primary.local_addr().expect("bound")
    }

    fn until(&mut self, words: &str, done: impl Fn(&Binding) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !done(&self.binding) {
            assert!(Instant::now() < end, "{words}: {:?}", self.binding.status());
            self.turn();
        }
    }

    fn run(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn();
        }
    }

    fn turn(&mut self) {
        let now = self.start.elapsed();
        for port in [Port::Primary, Port::Secondary] {
            let mut buffer = [0; 1500];
            match self.socket(port).recv_from(&mut buffer) {
                Ok((length, from)) => self.binding.on_datagram(port, from, &buffer[..length], now),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
        while let Some(action) = self.binding.poll(now, &mut |bytes| OsRng.fill_bytes(bytes)) {
            match action {
                Action::Send { port, to, bytes } => {
                    self.socket(port).send_to(&bytes, to).expect("loopback");
                }
                Action::Resolve(server) => self.binding.on_resolved(&server, &[self.server]),
                Action::Changed(_) => {}
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }

    fn socket(&self, port: Port) -> &UdpSocket {
        match port {
            Port::Primary => &self.primary,
            Port::Secondary => &self.secondary,
        }
    }
}

fn settings(minimum: u32, maximum: i32) -> StunSettings {
    StunSettings {
        enabled: true,
        server: StunServerName { host: "localhost".to_owned(), port: 3478 },
        periods: KeepAlivePeriods::new(minimum, maximum),
        ..StunSettings::default()
    }
}

fn with_credentials(password: &str) -> StunSettings {
    StunSettings { username: "CPE-7".to_owned(), password: Secret::from(password), ..settings(30, -1) }
}

/// Returns the requests without retransmissions, which occur on a busy machine.
fn distinct(server: &StunServer) -> Vec<StunRequest> {
    let mut requests = server.requests();
    requests.dedup_by_key(|request| request.transaction);
    requests
}

fn answers(binding: &Binding) -> bool {
    binding.status().server_state == ServerState::Answers
}

/// A server without a password reports the mapped address, and honours RESPONSE-ADDRESS.
#[test]
fn an_open_server_tells_the_address_and_honours_response_address() {
    let server = StunServer::start();
    let mut driver = Driver::start(&server, settings(30, -1));
    driver.until("control", |binding| matches!(binding.status().search, Search::Running { .. }));
    let published = driver.binding.published();
    assert_eq!((published.address, published.nat_detected), (Some(driver.local()), false)); // R273, R285

    let requests = distinct(&server);
    let kinds: Vec<_> =
        requests.iter().map(|request| (request.connection_request_binding(), request.binding_change())).collect();
    assert_eq!(kinds, [(true, false), (true, true), (false, false)]); // R274, R280
    assert_eq!(requests[2].response_address(), Some(driver.local())); // R283
    assert_ne!(requests[2].from, driver.local()); // R283
    assert!(server.violations().is_empty(), "{:?}", server.violations());
}

/// A server that ignores RESPONSE-ADDRESS is recognised.
#[test]
fn a_server_that_ignores_response_address_is_recognised() {
    let server = StunServer::start_with(Behaviour { honours_response_address: false, ..Behaviour::default() });
    let mut driver = Driver::start(&server, settings(1, -1));
    driver.until("control", |binding| binding.status().search == Search::Impossible);
    assert_eq!(driver.binding.status().period, Duration::from_secs(20)); // R283
}

/// Requests and responses are signed by MESSAGE-INTEGRITY, and both sides accept them.
#[test]
fn signatures_agree_both_ways() {
    let credentials = Some(("CPE-7".to_owned(), "s3cret".to_owned()));
    let server = StunServer::start_with(Behaviour { credentials, ..Behaviour::default() });
    let mut driver = Driver::start(&server, with_credentials("s3cret"));
    driver.until("control", |binding| matches!(binding.status().search, Search::Running { .. }));
    assert_eq!(driver.binding.published().address, Some(driver.local()));
    let requests = distinct(&server);
    let signed: Vec<bool> = requests.iter().map(StunRequest::is_signed).collect();
    assert_eq!(signed, [false, true, false, true, false, true]); // R277
    assert!(requests.iter().skip(1).step_by(2).all(|request| request.is_signed_with("s3cret"))); // R279
    assert_eq!(requests[0].username().as_deref(), Some("CPE-7")); // R276
    assert!(server.violations().is_empty(), "{:?}", server.violations());
}

/// A wrong password on either side gives no binding.
#[test]
fn wrong_passwords_on_either_side_lead_nowhere() {
    let credentials = || Some(("CPE-7".to_owned(), "s3cret".to_owned()));
    let good = || Behaviour { credentials: credentials(), ..Behaviour::default() };
    let cases = [
        (good(), "wrong", ServerState::Refuses(431)),
        (Behaviour { signs_with: Some("forged".to_owned()), ..good() }, "s3cret", ServerState::Asked),
        (Behaviour { unsigned: true, ..good() }, "s3cret", ServerState::Asked),
    ];
    for (behaviour, password, expected) in cases {
        let server = StunServer::start_with(behaviour);
        let mut driver = Driver::start(&server, with_credentials(password));
        driver.until("discarded answers", |binding| binding.status().counters.bad_integrity >= 3);
        let counters = driver.binding.status().counters;
        assert_eq!((counters.answered, counters.refused), (0, 1)); // R278
        if expected != ServerState::Asked {
            driver.until("failure", |binding| binding.status().server_state == expected);
        }
    }
}

/// Forged and malformed answers are counted, and do not change the binding.
#[test]
fn lies_and_noise_beside_the_right_answer_are_counted_and_do_no_harm() {
    let server = StunServer::start_with(Behaviour {
        garbage_first: true,
        wrong_transaction_first: true,
        foreign_source_first: true,
        copies: 1,
        drop_next: 2,
        ..Behaviour::default()
    });
    let mut driver = Driver::start(&server, settings(60, 60));
    driver.until("an answer", answers);
    driver.run(Duration::from_millis(400));
    assert_eq!(driver.binding.published().address, Some(driver.local()));
    let counters = driver.binding.status().counters;
    assert_eq!(counters.answered, 2);
    assert!(counters.malformed >= 2 && counters.wrong_transaction >= 2, "{counters:?}");
    assert!(counters.foreign_source >= 2 && counters.late >= 2, "{counters:?}");
    let first = server.requests()[0].transaction;
    assert!(server.requests()[..3].iter().all(|request| request.transaction == first)); // R281
}

/// A foreign mapped address means a NAT, and a late answer counts.
#[test]
fn a_lie_is_a_nat_and_a_slow_server_is_a_server() {
    let lie: SocketAddr = "192.0.2.1:4711".parse().expect("an address");
    let delay = Duration::from_millis(450);
    let server = StunServer::start_with(Behaviour { lie: Some(lie), delay, ..Behaviour::default() });
    let mut driver = Driver::start(&server, settings(60, 60));
    driver.until("an answer", answers);
    let published = driver.binding.published();
    assert_eq!((published.address, published.nat_detected), (Some(lie), true)); // R273
    assert_eq!(published.address_text(), "192.0.2.1:4711");
}

/// Keep-alives go on while the server is away; an answer from its second port counts.
#[test]
fn keep_alives_go_on_while_the_server_is_away_and_the_second_port_answers_too() {
    let server = StunServer::start();
    let mut driver = Driver::start(&server, settings(1, 1));
    driver.until("an answer", answers);
    server.behave(|behaviour| behaviour.silent = true);
    driver.until("silence", |binding| binding.status().server_state == ServerState::Silent);
    assert_eq!(driver.binding.published().address, Some(driver.local()));
    server.behave(|behaviour| behaviour.silent = false);
    driver.until("an answer", answers);

    driver.server = server.second_address();
    driver.binding.configure(
        StunSettings { server: StunServerName { host: "other".to_owned(), port: 1 }, ..settings(1, 1) },
        driver.start.elapsed(),
    );
    driver.run(Duration::from_millis(100));
    let announced = server.wait_for("an announcement", |request| request.to_second_port && request.binding_change());
    assert_eq!(announced.from, driver.local()); // R272
    assert!(server.violations().is_empty(), "{:?}", server.violations());
}

/// An independent STUN client learns the same address from the same socket.
#[test]
fn an_independent_client_agrees_on_the_mapped_address() {
    let server = StunServer::start();
    let nat = Nat::start(server.address(), Mapping::Stable);
    let mut driver = Driver::start(&server, settings(60, 60));
    driver.server = nat.address();
    driver.until("an answer", answers);
    let published = driver.binding.published();
    assert_eq!(published.address, nat.outer_address(driver.local()));
    assert_ne!(published.address, Some(driver.local()));
    assert!(published.nat_detected);

    driver.run(Duration::from_millis(100)); // answers to repeated questions are out of the way
    driver.primary.set_nonblocking(false).expect("blocking");
    let mut client = stunclient::StunClient::new(nat.address());
    client.set_timeout(Duration::from_secs(20)).set_retry_interval(Duration::from_secs(5)).set_software(None);
    let seen = client.query_external_address(&driver.primary).expect("an answer");
    assert_eq!(Some(seen), published.address);
    assert_ne!(server.requests().last().expect("a request").transaction, server.requests()[0].transaction);
}
