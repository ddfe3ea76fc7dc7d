//! The ACS wakes the real agent over UDP, and STUN tells where: both on one port, with both data models.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::gateway::{BOOT, BOOTSTRAP, Model, SOON, TR_098, TR_181, VALUE_CHANGE, gateway};
use crate::support::agent::AgentBuilder;
use crate::support::stun_server::Behaviour;
use crate::support::*;

const REQUEST: &str = "6 CONNECTION REQUEST";
const CALLER: Caller<'_> = Caller { username: "acs", password: "wake up" };

/// The time for which a test waits for a session that must not come; one would follow a request within milliseconds.
const WHILE: Duration = Duration::from_millis(700);

/// A gateway and its ACS.
struct Scene {
    acs: Acs,
    agent: Agent,
    model: &'static Model,
    caller: UdpSocket,
}

impl Scene {
    /// Returns a registered gateway with these ManagementServer parameters.
    fn of(model: &'static Model, settings: &[(&str, &str)]) -> Scene {
        let acs = Acs::start(AcsOptions::new());
        let builder = model.gateway(&acs);
        Scene::with(model, acs, builder, settings)
    }

    fn with(model: &'static Model, mut acs: Acs, builder: AgentBuilder, settings: &[(&str, &str)]) -> Scene {
        let credentials =
            [("ConnectionRequestUsername", CALLER.username), ("ConnectionRequestPassword", CALLER.password)];
        let builder = settings.iter().chain(&credentials).fold(builder, |builder, (name, value)| {
            builder.set(&format!("{}.ManagementServer.{name}", model.root), value)
        });
        let agent = builder.start();
        assert_eq!(acs.session(SOON).expect_complete().events(), [BOOTSTRAP, BOOT]);
        Scene { acs, agent, model, caller: UdpSocket::bind("127.0.0.1:0").expect("a socket") }
    }

    fn name(&self, parameter: &str) -> String {
        format!("{}.ManagementServer.{parameter}", self.model.root)
    }

    fn value(&self, parameter: &str) -> String {
        self.agent.value(&self.name(parameter))
    }

    fn status(&self) -> serde_json::Value {
        eventually("a status", || serde_json::from_slice(&self.agent.command(&["status", "--json"]).stdout).ok())
    }

    /// Returns the address that the agent reports for its UDP port.
    fn port(&self) -> SocketAddr {
        let listening = |status: serde_json::Value| {
            status["connectionRequests"]["udp"]["listening"].as_str().and_then(|text| text.parse().ok())
        };
        eventually("an open port", || listening(self.status()))
    }

    fn asks(&self, ts: u64, id: u64) {
        let to = self.port();
        self.caller.send_to(&CALLER.datagram(&to.to_string(), ts, id), to).expect("sent");
    }

    fn counts(&self, outcome: &str, number: u64) {
        eventually(outcome, || {
            (self.status()["connectionRequests"]["udp"]["counters"][outcome] == number).then_some(())
        });
    }

    fn woken(&mut self) {
        assert_eq!(self.acs.session(SOON).expect_complete().events(), [REQUEST]);
    }
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "no {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns the parameters of ManagementServer for this STUN server.
fn stun(server: &StunServer) -> [(&'static str, String); 3] {
    [
        ("STUNEnable", "true".into()),
        ("STUNServerAddress", server.address().ip().to_string()),
        ("STUNServerPort", server.address().port().to_string()),
    ]
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// R288, R293, R295: without STUN, three copies as GenieACS sends them, one session.
fn a_datagram_wakes_the_agent_once(model: &'static Model) {
    let mut scene = Scene::of(model, &[]);
    (0..3).for_each(|_| scene.asks(1_700_000_000, 5));
    scene.woken();
    scene.counts("oldTimestamp", 2);
    scene.counts("accepted", 1);
    scene.acs.quiet_for(WHILE);
    scene.caller.set_nonblocking(true).expect("a flag");
    assert!(scene.caller.recv(&mut [0]).is_err(), "answered");
}
both_models!(a_datagram_wakes_the_agent_once);

/// R292: an accepted request is not accepted again, neither after a restart of the agent nor after `kill -9`. R294:
/// FreeACS counts milliseconds.
#[test]
fn a_restart_does_not_let_copies_in() {
    let mut scene = Scene::of(&TR_181, &[]);
    scene.asks(1_700_000_000_000, 5);
    scene.woken();
    eventually("a session in the journal", || (scene.status()["lastSession"]["events"][0] == REQUEST).then_some(()));
    scene.agent.crash_and_restart();
    scene.asks(1_700_000_000_000, 5);
    scene.counts("oldTimestamp", 1);
    scene.asks(1_700_000_000_001, 6);
    scene.woken();
    // A copy is also rejected if the session of the first request has failed.
    scene.asks(1_700_000_000_002, 7);
    scene.counts("accepted", 2);
    scene.agent.crash_and_restart();
    scene.asks(1_700_000_000_002, 7);
    scene.counts("oldTimestamp", 1);
    while scene.acs.session_within(WHILE).is_some() {}
    // A reboot resets the window, so that a server whose clock was once ahead is not locked out for good.
    scene.agent.reboot();
    assert_eq!(scene.acs.session(SOON).expect_complete().events(), [BOOT]);
    scene.asks(1_700_000_000, 7);
    scene.woken();
}

/// R290, R292: a request with any flaw starts no session.
#[test]
fn what_fails_validation_changes_nothing() {
    let mut scene = Scene::of(&TR_181, &[]);
    let to = scene.port();
    let right = CALLER.datagram(&to.to_string(), 9, 9);
    let mut forged = right.clone();
    let at = forged.len() - 40;
    forged[at] ^= 1;
    let stranger = Caller { username: "nobody", ..CALLER }.datagram(&to.to_string(), 9, 9);
    let wrong = Caller { password: "guess", ..CALLER }.datagram(&to.to_string(), 9, 9);
    for datagram in [&stranger[..], &wrong, &forged, b"POST http://h?ts=9 HTTP/1.1\r\n\r\n", b"G", &[0xff; 1400]] {
        scene.caller.send_to(datagram, to).expect("sent");
    }
    scene.counts("wrongUsername", 1);
    scene.counts("wrongMethod", 1);
    scene.counts("garbage", 1);
    scene.acs.quiet_for(WHILE);
    scene.caller.send_to(&right, to).expect("sent");
    scene.woken();
}

/// R263, R295: in a session, however many requests: exactly one session follows.
#[test]
fn requests_in_a_session_are_followed_by_one() {
    let mut scene = Scene::of(&TR_181, &[]);
    scene.acs.expects(inform().event(REQUEST)).replies(inform_response().delay(Duration::from_secs(1)));
    scene.asks(1, 1);
    scene.counts("accepted", 1);
    // The session has begun: on a busy machine it begins later than the request is counted.
    scene.agent.wait_for_log(&format!(": {REQUEST}"), SOON);
    (2..6).for_each(|ts| scene.asks(ts, ts));
    scene.counts("accepted", 5);
    scene.woken();
    scene.woken();
    scene.acs.quiet_for(WHILE);
}

/// R7: while CWMP is disabled the port is closed.
#[test]
fn without_cwmp_the_port_is_closed() {
    let scene = Scene::of(&TR_181, &[]);
    let port = scene.port();
    let enable = scene.name("EnableCWMP");
    scene.agent.succeeds(&["set", &format!("{enable}=false")]);
    eventually("a closed port", || UdpSocket::bind(port).ok());
    assert_eq!(scene.value("UDPConnectionRequestAddress"), "");
    scene.agent.succeeds(&["set", &format!("{enable}=true")]);
    scene.port();
}

/// R285: an address that leads to another program is not published.
#[test]
fn a_port_that_is_taken_is_not_published() {
    let mut scene = Scene::of(&TR_181, &[]);
    let port = scene.port();
    let address = port.to_string();
    eventually("an address", || (scene.value("UDPConnectionRequestAddress") == address).then_some(()));
    scene.agent.terminate();
    let other = UdpSocket::bind(port).expect("a free port");
    scene.agent.reboot();
    assert_eq!(scene.acs.session(SOON).expect_complete().events(), [BOOT]);
    assert_eq!(scene.value("UDPConnectionRequestAddress"), "");
    assert_eq!(scene.status()["connectionRequests"]["udp"]["listening"], serde_json::Value::Null);
    drop(other);
}

/// R269, R285: without STUN the address is the local one, and there is no NAT. R286: it is not told without a
/// notification.
fn without_stun_the_local_address_is_published(model: &'static Model) {
    let mut scene = Scene::of(model, &[]);
    let port = scene.port().to_string();
    eventually("an address", || (scene.value("UDPConnectionRequestAddress") == port).then_some(()));
    assert_eq!(scene.value("NATDetected"), "false");
    scene.acs.quiet_for(WHILE);
    let [address, nat] = [scene.name("UDPConnectionRequestAddress"), scene.name("NATDetected")];
    scene.acs.enqueue(get_parameter_attributes(&[&address, &nat]));
    scene.agent.succeeds(&["inform"]);
    let session = scene.acs.session(SOON).expect_complete();
    let attributes = &session.response("GetParameterAttributes").attributes;
    let levels: Vec<&str> = attributes.iter().map(|entry| entry.notification.as_str()).collect();
    assert_eq!(levels, ["0", "0"]);
}
both_models!(without_stun_the_local_address_is_published);

/// R285: the local address is known before the first session begins, and needs none of its own.
fn the_first_session_can_read_the_local_address(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    let name = format!("{}.ManagementServer.UDPConnectionRequestAddress", model.root);
    acs.enqueue(set_parameter_attributes(&[(&name, Some(2), None)]));
    acs.enqueue(get_parameter_values(&[&name]));
    let agent = model.gateway(&acs).start();
    let session = acs.session(SOON).expect_complete();
    let told = session.response("GetParameterValues").value(&name).map(str::to_owned);
    assert_eq!(told.as_deref(), Some(agent.value(&name).as_str()));
    assert!(told.is_some_and(|address| address.starts_with("127.0.0.1:")));
    acs.quiet_for(WHILE);
}
both_models!(the_first_session_can_read_the_local_address);

/// R271 to R274, R280, R285, R286: the public address, and its change, come to the ACS that wants to hear of them.
fn the_public_address_is_told_when_it_changes(model: &'static Model) {
    let outside: SocketAddr = "203.0.113.5:40000".parse().expect("an address");
    let server = StunServer::start_with(Behaviour { lie: Some(outside), ..Behaviour::default() });
    let mut settings = stun(&server).to_vec();
    settings.extend([
        ("STUNMinimumKeepAlivePeriod", "1".into()),
        ("STUNMaximumKeepAlivePeriod", "1".into()),
        // R271: without a configured server, the agent uses the host of the ACS.
        ("STUNServerAddress", String::new()),
    ]);
    let mut scene = Scene::of(model, &borrowed(&settings));
    eventually("the address", || (scene.value("UDPConnectionRequestAddress") == outside.to_string()).then_some(()));
    assert_eq!(scene.value("NATDetected"), "true");
    let from = server.wait_for("R280: the announcement", StunRequest::binding_change).from;
    assert_eq!(from, scene.port(), "R272");
    let stun =
        eventually("an answer", || Some(scene.status()["stun"].clone()).filter(|stun| stun["state"] == "answers"));
    assert_eq!((&stun["mapped"], &stun["natDetected"]), (&outside.to_string().into(), &true.into()));
    assert_eq!((&stun["keepAliveSeconds"], &stun["keepAlive"]), (&1.into(), &"fixed by the ACS".into()));

    let address = scene.name("UDPConnectionRequestAddress");
    scene.acs.enqueue(set_parameter_attributes(&[(&address, Some(2), None)]));
    scene.agent.succeeds(&["inform"]);
    scene.acs.session(SOON).expect_complete();
    server.behave(|server| server.lie = Some("203.0.113.5:40001".parse().expect("an address")));
    let told = scene.acs.session(SOON).expect_complete();
    assert_eq!(told.events(), [VALUE_CHANGE]);
    assert_eq!(told.inform().value(&address), Some("203.0.113.5:40001"));
    assert_eq!(server.violations(), [""; 0]);
}
both_models!(the_public_address_is_told_when_it_changes);

/// R285: after a restart, the address that was published last stays until the server has answered.
#[test]
fn the_address_outlives_a_restart() {
    let outside: SocketAddr = "203.0.113.5:40000".parse().expect("an address");
    let server = StunServer::start_with(Behaviour { lie: Some(outside), ..Behaviour::default() });
    let mut scene = Scene::of(&TR_181, &borrowed(&stun(&server)));
    eventually("the address", || (scene.value("UDPConnectionRequestAddress") == outside.to_string()).then_some(()));
    scene.agent.succeeds(&["inform"]);
    scene.acs.session(SOON).expect_complete();
    eventually("a session in the journal", || (scene.status()["session"].is_null()).then_some(()));
    server.behave(|server| server.silent = true);
    let address = scene.name("UDPConnectionRequestAddress");
    scene.acs.enqueue(get_parameter_values(&[&address]));
    scene.agent.reboot();
    let boot = scene.acs.session(SOON).expect_complete();
    assert_eq!(boot.response("GetParameterValues").value(&address), Some("203.0.113.5:40000"));
}

/// R287: in a model with UDPConnectionRequestAddressNotificationLimit, the notification of a further change waits.
#[test]
fn notifications_of_the_address_keep_their_distance() {
    let server = StunServer::start();
    let mut settings = stun(&server).to_vec();
    settings.extend([
        ("STUNMinimumKeepAlivePeriod", "1".into()),
        ("STUNMaximumKeepAlivePeriod", "1".into()),
        ("UDPConnectionRequestAddressNotificationLimit", "3600".into()),
    ]);
    let mut scene = Scene::of(&TR_098, &borrowed(&settings));
    let address = scene.name("UDPConnectionRequestAddress");
    scene.acs.enqueue(set_parameter_attributes(&[(&address, Some(2), None)]));
    scene.agent.succeeds(&["inform"]);
    scene.acs.session(SOON).expect_complete();
    let moves = |port: u16| server.behave(move |server| server.lie = Some(([203, 0, 113, 5], port).into()));
    moves(1);
    let first = scene.acs.session(SOON).expect_complete();
    assert_eq!(first.inform().value(&address), Some("203.0.113.5:1"), "the first is not held back");
    moves(2);
    eventually("the next address", || (scene.value("UDPConnectionRequestAddress") == "203.0.113.5:2").then_some(()));
    scene.acs.quiet_for(WHILE);
    let status = scene.status();
    assert_eq!(status["nextSession"]["cause"], "notification");
    assert!(status["nextSession"]["inSeconds"].as_u64().is_some_and(|seconds| seconds > 3000), "{status}");
    // The limit does not delay another change, whose session reports the address too.
    let code = TR_098.at("DeviceInfo.ProvisioningCode");
    scene.agent.succeeds(&["set", &format!("{code}=x")]);
    let told = scene.acs.session(SOON).expect_complete();
    assert_eq!(told.inform().value(&address), Some("203.0.113.5:2"));
}

/// The keep-alive goes on while a session hangs, on the one port (R272, R282).
#[test]
fn the_keep_alive_goes_on_during_a_session() {
    let server = StunServer::start();
    let mut settings = stun(&server).to_vec();
    settings.extend([("STUNMinimumKeepAlivePeriod", "1".into()), ("STUNMaximumKeepAlivePeriod", "1".into())]);
    let mut scene = Scene::of(&TR_181, &borrowed(&settings));
    server.wait_for("a request", StunRequest::connection_request_binding);
    scene.acs.expects(inform()).replies(inform_response().delay(Duration::from_secs(4)));
    scene.agent.succeeds(&["inform"]);
    eventually("a session", || (!scene.status()["session"].is_null()).then_some(()));
    let before = server.requests().len();
    scene.acs.session(SOON).expect_complete();
    assert!(server.requests().len() >= before + 2, "{} then {}", before, server.requests().len());
}

/// R277 to R279: requests are signed after a 401, with the credentials that the ACS has set.
#[test]
fn requests_are_signed_where_the_server_demands_it() {
    let credentials = Some(("user".to_owned(), "key".to_owned()));
    let server = StunServer::start_with(Behaviour { credentials, ..Behaviour::default() });
    let mut settings = stun(&server).to_vec();
    settings.extend([("STUNUsername", "user".into()), ("STUNPassword", "key".into())]);
    let scene = Scene::of(&TR_181, &borrowed(&settings));
    let signed = server.wait_for("a signed request", StunRequest::is_signed);
    assert!(signed.is_signed_with("key"));
    assert_eq!(signed.username().as_deref(), Some("user"));
    eventually("an answer", || (scene.status()["stun"]["state"] == "answers").then_some(()));
    assert!(!scene.agent.succeeds(&["status"]).contains("key\n"));
}

/// R285, R288, R296: a port for both address families receives requests over both.
#[test]
fn a_port_of_both_families_hears_both() {
    let outside: SocketAddr = "203.0.113.5:40000".parse().expect("an address");
    let server = StunServer::start_with(Behaviour { lie: Some(outside), ..Behaviour::default() });
    let acs = Acs::start(AcsOptions::new());
    let builder = gateway(&acs).udp_listen("[::]:0");
    let mut scene = Scene::with(&TR_181, acs, builder, &borrowed(&stun(&server)));
    eventually("the address", || (scene.value("UDPConnectionRequestAddress") == outside.to_string()).then_some(()));
    assert_eq!(scene.status()["stun"]["local"], format!("127.0.0.1:{}", scene.port().port()));
    for (number, host) in [(1, "127.0.0.1"), (2, "::1")] {
        let to = SocketAddr::new(host.parse().expect("an address"), scene.port().port());
        let Ok(caller) = UdpSocket::bind((to.ip(), 0)) else { continue }; // a machine without IPv6
        caller.send_to(&CALLER.datagram(&to.to_string(), number, number), to).expect("sent");
        scene.woken();
    }
}
