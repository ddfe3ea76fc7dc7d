//! The real agent behind a real NAT: it finds out where it is reached, keeps the way open, and is reached.
//!
//! It takes root, and network namespaces with nftables; elsewhere the tests say that they are skipped.

mod laboratory;

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use self::laboratory::{ACS, Laboratory, OUTSIDE, STUN_PORT, in_laboratory};
use crate::gateway::{BOOT, BOOTSTRAP, SOON, VALUE_CHANGE, gateway_at};
use crate::support::skip::skip;
use crate::support::stun_server::Behaviour;
use crate::support::*;
use serde_json::Value as Json;

const ROOT: &str = "Device.ManagementServer";
const UDP_ADDRESS: &str = "Device.ManagementServer.UDPConnectionRequestAddress";
const URL: &str = "Device.ManagementServer.ConnectionRequestURL";
const REQUEST: &str = "6 CONNECTION REQUEST";
const CALLER: Caller<'_> = Caller { username: "acs", password: "wake up" };

/// A gateway behind the NAT whose ACS knows its public address.
struct Scene {
    acs: Acs,
    agent: Agent,
    /// The `ts` of the last request.
    asked: u64,
}

impl Scene {
    fn of(laboratory: &Laboratory, settings: &[(&str, &str)]) -> Scene {
        let mut acs = Acs::start(AcsOptions::new().address(ACS));
        let defaults = [
            ("ConnectionRequestUsername", CALLER.username),
            ("ConnectionRequestPassword", CALLER.password),
            ("STUNEnable", "true"),
        ];
        let builder = gateway_at(&format!("http://192.0.2.1:{}/acs", acs.port()))
            .by(&["ip", "netns", "exec", &laboratory.host("cpe")])
            .listen("0.0.0.0:7547")
            .udp_listen("0.0.0.0:7547");
        let agent = defaults
            .iter()
            .chain(settings)
            .fold(builder, |builder, (name, value)| builder.set(&format!("{ROOT}.{name}"), value))
            .start();
        acs.enqueue(set_parameter_attributes(&[(UDP_ADDRESS, Some(2), None)])); // R286
        assert_eq!(acs.session(SOON).expect_complete().events(), [BOOTSTRAP, BOOT]);
        Scene { acs, agent, asked: 0 }
    }

    /// Returns the first published address. Whether the ACS is notified of it depends on the order of two events: the
    /// ACS sets the attribute, and the STUN server answers.
    fn published(&mut self) -> SocketAddr {
        let is_shown = |stun: &Json| stun["mapped"] == self.agent.value(UDP_ADDRESS);
        let stun = self.until("a published address", SOON, is_shown);
        if let Some(session) = self.acs.session_within(Duration::from_secs(1)) {
            assert_eq!(session.expect_complete().events(), [VALUE_CHANGE]);
        }
        stun["mapped"].as_str().and_then(|text| text.parse().ok()).expect("an address")
    }

    /// Returns the address that the next session reports.
    fn told(&mut self) -> SocketAddr {
        let session = self.acs.session(SOON).expect_complete();
        assert_eq!(session.events(), [VALUE_CHANGE]);
        session.inform().value(UDP_ADDRESS).and_then(|text| text.parse().ok()).expect("an address")
    }

    /// Sends a connection request from the STUN server's port.
    fn wakes(&mut self, server: &StunServer, address: SocketAddr) {
        self.asked += 1;
        (0..3).for_each(|_| server.send(&CALLER.datagram(&address.to_string(), self.asked, self.asked), address));
        assert_eq!(self.acs.session(SOON).expect_complete().events(), [REQUEST]);
    }

    fn stun(&self) -> Json {
        let status = self.agent.succeeds(&["status", "--json"]);
        serde_json::from_str::<Json>(&status).expect("JSON")["stun"].clone()
    }

    fn until(&self, what: &str, limit: Duration, holds: impl Fn(&Json) -> bool) -> Json {
        let end = Instant::now() + limit;
        loop {
            let stun = self.stun();
            if holds(&stun) {
                return stun;
            }
            assert!(Instant::now() < end, "{what}: {stun}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn stun_server() -> StunServer {
    StunServer::bind((ACS, STUN_PORT).into(), Behaviour::default())
}

const EACH_SECOND: [(&str, &str); 2] = [("STUNMinimumKeepAlivePeriod", "1"), ("STUNMaximumKeepAlivePeriod", "1")];

/// R271, R273, R285, R286, R295: the published address leads through the NAT. R280, R284: when the NAT has forgotten the
/// binding, the new address is told by itself, and leads there, too.
#[test]
fn the_published_address_leads_through_the_nat() {
    in_laboratory("the_published_address_leads_through_the_nat", |laboratory| {
        let server = stun_server();
        let mut scene = Scene::of(laboratory, &EACH_SECOND);
        let first = scene.published();
        assert_eq!(first.ip(), SocketAddr::from((OUTSIDE, 0)).ip());
        assert_ne!(first.port(), 7547, "the NAT picks its ports at random");
        assert_eq!(scene.agent.value("Device.ManagementServer.NATDetected"), "true");
        scene.wakes(&server, first);

        laboratory.forgets_everything();
        let second = scene.told();
        assert_eq!(second.ip(), first.ip());
        assert_ne!(second.port(), first.port());
        server.wait_for("R280: the announcement", |request| request.binding_change() && request.from == second);
        scene.wakes(&server, second);
        assert_eq!(server.violations(), [""; 0]);
    });
}

/// The command doctor shows the NAT.
#[cfg(feature = "doctor")]
#[test]
fn doctor_sees_the_nat() {
    if crate::support::agent::is_replaced() {
        return; // by a binary without doctor
    }
    in_laboratory("doctor_sees_the_nat", |laboratory| {
        let _server = stun_server();
        let mut scene = Scene::of(laboratory, &EACH_SECOND);
        let published = scene.published();
        scene.acs.allow_violation("GET /acs");
        scene.acs.allow_violation("a request outside of a session");
        let doctor = scene.agent.beside("doctor");
        let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
        for words in [
            "ok       NAT            the address is rewritten",
            "ok       NAT mapping    stable",
            "ok       HTTP port      10.99.0.2:7547: open, the agent answers",
            &format!("ok       UDP port       0.0.0.0:7547: bound, published as {published}"),
        ] {
            assert!(told.contains(words), "{words:?} is not in\n{told}");
        }
        assert!(doctor.status.success());
    });
}

/// R266, R284: after a change of the device's address the agent reports both new addresses at once.
#[test]
fn another_address_of_the_device_is_told_at_once() {
    in_laboratory("another_address_of_the_device_is_told_at_once", |laboratory| {
        let server = stun_server();
        // The next keep-alive is an hour away, so that it cannot be the one that notices the change.
        let hourly = [("STUNMinimumKeepAlivePeriod", "3600"), ("STUNMaximumKeepAlivePeriod", "3600")];
        let mut scene = Scene::of(laboratory, &hourly);
        let first = scene.published();
        assert!(scene.agent.value(URL).starts_with("http://10.99.0.2:7547/"));
        let commands =
            ["ip address flush dev wan", "ip address add 10.99.0.3/24 dev wan", "ip route add default via 10.99.0.1"];
        laboratory.on("cpe", &["sh", "-c", &commands.join(" && ")]).expect("another address");
        let mut told = (None, None);
        while told.0.is_none() || told.1.is_none() {
            let session = scene.acs.session(SOON).expect_complete();
            assert_eq!(session.events(), [VALUE_CHANGE]);
            let value = |name: &str| session.inform().value(name).map(str::to_owned);
            // The URL comes with every Inform (R103), old or new.
            let url = value(URL).filter(|url| url.starts_with("http://10.99.0.3:7547/"));
            let address = value(UDP_ADDRESS).and_then(|text| text.parse().ok());
            told = (told.0.or(url), address.or(told.1));
        }
        let second: SocketAddr = told.1.expect("an address");
        assert_ne!(second, first);
        scene.wakes(&server, second);
    });
}

/// R282, R283: the agent finds the longest period that works, with which the binding never expires.
#[test]
fn the_period_that_is_found_keeps_the_binding() {
    const TIMEOUT: u32 = 8;
    in_laboratory("the_period_that_is_found_keeps_the_binding", |laboratory| {
        let server = stun_server();
        laboratory.forgets_after(TIMEOUT).expect("a short memory");
        let mut scene = Scene::of(laboratory, &[("STUNMinimumKeepAlivePeriod", "1")]);
        let found = scene.until("a period", Duration::from_secs(240), |stun| stun["keepAlive"] == "found");
        let period = found["keepAliveSeconds"].as_u64().expect("a number");
        assert!((4..u64::from(TIMEOUT)).contains(&period), "{found}");
        // The sessions so far have reported the addresses that changed during the search.
        scene.agent.succeeds(&["inform"]);
        let is_shown = |stun: &Json| stun["mapped"] == scene.agent.value(UDP_ADDRESS);
        let found = scene.until("the last address published", SOON, is_shown);
        let address: SocketAddr = scene.agent.value(UDP_ADDRESS).parse().expect("an address");
        std::thread::sleep(Duration::from_secs(4 * period)); // several periods, in which nothing may happen
        let after = scene.stun();
        assert_eq!(after["mapped"], address.to_string(), "{after}");
        assert_eq!(after["counters"]["changes"], found["counters"]["changes"], "{after}");
        while let Some(session) = scene.acs.session_within(Duration::from_millis(500)) {
            session.expect_complete();
        }
        scene.wakes(&server, address);
        assert_eq!(server.violations(), [""; 0]);
    });
}

/// coturn, an independent server, does not honour RESPONSE-ADDRESS.
#[test]
fn coturn_tells_the_same_address() {
    in_laboratory("coturn_tells_the_same_address", |laboratory| {
        let Some(_coturn) = Coturn::start("192.0.2.1") else { return };
        let mut scene = Scene::of(laboratory, &[("STUNMinimumKeepAlivePeriod", "1")]);
        let told = scene.published();
        let seen = laboratory.on("nat", &["conntrack", "-L", "-p", "udp"]).expect("the table of the NAT");
        let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
        let bindings = seen.lines().filter(|line| line.contains("sport=7547") && line.contains("dport=3478"));
        let port = format!("dport={} ", told.port());
        assert!(bindings.clone().any(|line| line.contains(&port)), "{told} is none of\n{seen}");
        let stun = scene.until("R283: what cannot be measured", Duration::from_secs(60), |stun| {
            stun["keepAlive"].as_str().is_some_and(|words| words.starts_with("cautious"))
        });
        assert_eq!((&stun["state"], &stun["keepAliveSeconds"]), (&"answers".into(), &20.into()));
    });
}

/// A coturn that serves STUN only.
struct Coturn(Child);

impl Coturn {
    fn start(address: &str) -> Option<Coturn> {
        let mut command = Command::new("turnserver");
        command.args([
            "-n",
            "--no-auth",
            "--stun-only",
            "--no-tls",
            "--no-dtls",
            "--no-cli",
            "--log-file",
            "/dev/null",
        ]);
        command.args(["--listening-ip", address, "--listening-port", "3478", "--pidfile", "/dev/null"]);
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => Some(Coturn(child)),
            Err(error) => {
                skip(format!("coturn does not start: {error}"));
                None
            }
        }
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
