//! Measures connection requests with and without attacks: `cargo bench --bench connection_requests`
//!
//! The table has the number of valid requests answered in a second, and the time from the last byte of a request to the
//! Inform on the wire.
#![allow(clippy::disallowed_methods, missing_docs)] // a measurement has clocks

#[path = "../tests/it/gateway/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "written for the tests")]
mod gateway;
#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "written for the tests")]
mod support;

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use gateway::{SOON, gateway};
use support::*;

const CALLER: Caller<'_> = Caller { username: "acs", password: "wake up" };
const ROUNDS: usize = 21;

struct Scene {
    acs: Acs,
    agent: Agent,
    url: String,
    udp: SocketAddr,
    ts: u64,
}

fn main() {
    println!("| | valid requests over HTTP | HTTP request to Inform | UDP request to Inform | memory (VmHWM) |");
    println!("|---|---|---|---|---|");
    let mut scene = Scene::new();
    scene.row("no attack", |_| Vec::new());
    scene.row("200 slow clients", |scene| vec![Flood::of_slow_clients(200, scene.tcp())]);
    scene.row("wrong digests, as fast as they are answered", |scene| vec![Flood::of_wrong_digests(&scene.url)]);
    scene.row("12,000 wrong datagrams a second", |scene| vec![scene.datagrams()]);
    scene.row("all of these at once", |scene| {
        vec![Flood::of_slow_clients(200, scene.tcp()), Flood::of_wrong_digests(&scene.url), scene.datagrams()]
    });
}

impl Scene {
    fn new() -> Scene {
        let mut acs = Acs::start(AcsOptions::new().keeps_no_messages());
        let agent = gateway(&acs)
            .set("Device.ManagementServer.ConnectionRequestUsername", CALLER.username)
            .set("Device.ManagementServer.ConnectionRequestPassword", CALLER.password)
            .log_level("error")
            .start();
        let first = acs.session(SOON).expect_complete();
        let url = first.inform().value("Device.ManagementServer.ConnectionRequestURL").expect("a URL").to_owned();
        let status: serde_json::Value = serde_json::from_str(&agent.succeeds(&["status", "--json"])).expect("JSON");
        let udp = status["connectionRequests"]["udp"]["listening"].as_str().and_then(|text| text.parse().ok());
        let mut scene = Scene { acs, agent, url, udp: udp.expect("an address"), ts: 0 };
        scene.over_udp(); // the attacks repeat a datagram that was valid once
        scene
    }

    fn tcp(&self) -> SocketAddr {
        support::connection_request::authority(&self.url).parse().expect("an address")
    }

    fn datagrams(&self) -> Flood {
        Flood::of_datagrams(self.udp, CALLER.datagram(&self.udp.to_string(), 1, 1))
    }

    fn row(&mut self, title: &str, attack: impl Fn(&Scene) -> Vec<Flood>) {
        let attack = attack(self);
        // The times first: the agent accepts only a limited number of the requests that follow (R264).
        let http = median((0..ROUNDS).map(|_| self.over_http()).collect());
        let udp = median((0..ROUNDS).map(|_| self.over_udp()).collect());
        let answered = self.answered();
        drop(attack);
        while self.acs.session_within(Duration::from_millis(500)).is_some() {}
        println!(
            "| {title} | {answered:.0} /s | {:.1} ms | {:.1} ms | {} kB |",
            http.as_secs_f64() * 1e3,
            udp.as_secs_f64() * 1e3,
            self.peak()
        );
        std::thread::sleep(Duration::from_secs(60)); // until the limit allows the whole burst again
    }

    fn over_http(&mut self) -> Duration {
        let end = Instant::now() + SOON;
        let mut begun = Instant::now();
        while CALLER.try_request(&self.url).ok() != Some(200) {
            assert!(Instant::now() < end, "the valid request is not answered");
            begun = Instant::now();
        }
        let session = self.acs.session(SOON).expect_complete();
        session.exchanges[0].at.saturating_duration_since(begun)
    }

    fn over_udp(&mut self) -> Duration {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        self.ts += 1;
        let datagram = CALLER.datagram(&self.udp.to_string(), self.ts, self.ts);
        let begun = Instant::now();
        loop {
            // A full socket drops datagrams: an ACS sends its request again.
            socket.send_to(&datagram, self.udp).expect("sent");
            if let Some(session) = self.acs.session_within(Duration::from_millis(100)) {
                return session.expect_complete().exchanges[0].at.saturating_duration_since(begun);
            }
            assert!(begun.elapsed() < SOON, "the valid request is not answered");
        }
    }

    /// Returns the valid requests answered in a second, one after the other, each with its challenge: accepted, or 503
    /// above the limit.
    fn answered(&self) -> f64 {
        let begun = Instant::now();
        let mut answered = 0;
        while begun.elapsed() < Duration::from_secs(5) {
            if let Ok(status) = CALLER.try_request(&self.url) {
                assert!(matches!(status, 200 | 503), "{status}");
                answered += 1;
            }
        }
        f64::from(answered) / begun.elapsed().as_secs_f64()
    }

    fn peak(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.agent.pid())).expect("/proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        line.trim().trim_end_matches(" kB").to_owned()
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
