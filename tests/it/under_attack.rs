//! The real agent under attack at its open ports: the ACS still reaches it, and its memory does not grow.

use std::fs;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::gateway::{SOON, gateway};
use crate::support::*;

const CALLER: Caller<'_> = Caller { username: "acs", password: "wake up" };

struct Scene {
    acs: Acs,
    agent: Agent,
    url: String,
    tcp: SocketAddr,
    udp: SocketAddr,
    ts: u64,
}

impl Scene {
    fn new() -> Scene {
        let mut acs = Acs::start(AcsOptions::new());
        let agent = gateway(&acs)
            .set("Device.ManagementServer.ConnectionRequestUsername", CALLER.username)
            .set("Device.ManagementServer.ConnectionRequestPassword", CALLER.password)
            .log_level("info")
            .start();
        let first = acs.session(SOON).expect_complete();
        let url = first.inform().value("Device.ManagementServer.ConnectionRequestURL").expect("a URL").to_owned();
        let tcp = crate::support::connection_request::authority(&url).parse().expect("an address");
        let status = agent.succeeds(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
        let udp = status["connectionRequests"]["udp"]["listening"].as_str().and_then(|text| text.parse().ok());
        Scene { acs, agent, url, tcp, udp: udp.expect("an address"), ts: 1 }
    }

    /// Requests a session over HTTP as an ACS does, which retries a lost connection.
    fn is_woken_over_http(&mut self) {
        let end = Instant::now() + SOON;
        while CALLER.try_request(&self.url).ok() != Some(200) {
            assert!(Instant::now() < end, "the right request does not get through");
        }
        self.acs.session(SOON).expect_complete();
    }

    /// Requests a session over UDP, repeatedly as GenieACS does, because a full socket drops datagrams.
    fn is_woken_over_udp(&mut self) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        self.ts += 1;
        let datagram = CALLER.datagram(&self.udp.to_string(), self.ts, self.ts);
        let end = Instant::now() + SOON;
        loop {
            (0..3).for_each(|_| drop(socket.send_to(&datagram, self.udp)));
            if let Some(session) = self.acs.session_within(Duration::from_millis(300)) {
                session.expect_complete();
                return;
            }
            assert!(Instant::now() < end, "the right request does not get through");
        }
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.agent.pid())).expect("/proc").count()
    }

    /// Returns the private memory of the agent, in kB.
    fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.agent.pid())).expect("/proc");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

/// R264, R265, R268, R293: slow clients, guesses, garbage and captured requests, all at once.
#[test]
fn the_acs_gets_through_all_of_it() {
    let mut scene = Scene::new();
    let (descriptors, memory) = (scene.descriptors(), scene.memory());
    scene.is_woken_over_udp();
    let captured = CALLER.datagram(&scene.udp.to_string(), scene.ts, scene.ts);
    let floods = [
        Flood::of_slow_clients(200, scene.tcp),
        Flood::of_wrong_digests(&scene.url),
        Flood::of_datagrams(scene.udp, captured),
    ];
    let mut wakes = 0;
    while floods.iter().any(|flood| flood.rounds() < 5) {
        scene.is_woken_over_http();
        scene.is_woken_over_udp();
        wakes += 2;
        // The descriptors: 32 connections at once, those of the session, and those of name resolution and commands.
        assert!(scene.descriptors() < descriptors + 48, "{} from {descriptors}", scene.descriptors());
        let is_emulated = crate::support::agent::is_replaced(); // the emulator's memory says nothing
        assert!(is_emulated || scene.memory() < memory + 3072, "{} kB from {memory} kB", scene.memory());
    }
    drop(floods);
    assert_eq!(scene.acs.session_within(Duration::from_millis(500)).map(|session| session.number), None);
    assert!(scene.agent.is_running());
    // Refused requests are counted, not logged, because they would fill flash and syslog. A wake-up and its session
    // take a few lines.
    let lines = scene.agent.log().lines().count();
    assert!(lines < 30 + 10 * wakes, "{lines} lines for {wakes} wake-ups");
}

/// A device without free descriptors: the listener waits until there are some, and logs that once.
#[test]
fn without_descriptors_the_log_stays_short() {
    const WORDS: &str = "connection requests cannot be accepted";
    let mut acs = Acs::start(AcsOptions::new());
    let agent = gateway(&acs).by(&["sh", "-c", "ulimit -n 24 && exec \"$@\"", "sh"]).start();
    let first = acs.session(SOON).expect_complete();
    let url = first.inform().value("Device.ManagementServer.ConnectionRequestURL").expect("a URL").to_owned();
    let listener: SocketAddr = crate::support::connection_request::authority(&url).parse().expect("an address");
    let silent: Vec<TcpStream> = (0..24).map(|_| TcpStream::connect(listener).expect("connects")).collect();
    agent.wait_for_log(&format!("warn: {WORDS}"), SOON);
    let position = agent.log_position();
    agent.wait_for_log_after(position, &format!("debug: {WORDS}"), SOON);
    drop(silent);
    assert_eq!(agent.log().matches(&format!("warn: {WORDS}")).count(), 1);
    // An ACS tries again too.
    let end = Instant::now() + SOON;
    while CALLER.try_request(&url).ok() != Some(401) {
        assert!(Instant::now() < end, "nobody answers any more");
    }
}
