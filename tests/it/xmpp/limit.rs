//! The limit of accepted requests, which all ways of a connection request share (R264).

use std::net::UdpSocket;
use std::time::Instant;

use super::prosody::Prosody;
use super::*;
use crate::support::connection_request::{Caller, authority};
use crate::support::port;

/// The requests that are accepted at once, and over HTTP by this test.
const BURST: u64 = 60;
const OVER_HTTP: usize = 20;

fn count(agent: &Agent, transport: &str, outcome: &str) -> u64 {
    let status: serde_json::Value = serde_json::from_str(&agent.succeeds(&["status", "--json"])).expect("JSON");
    status["connectionRequests"][transport]["counters"][outcome].as_u64().expect("a counter")
}

/// R264, R299: requests over HTTP and XMPP use up one limit, which then holds for UDP as well.
#[test]
fn all_ways_share_one_limit() {
    let Some(prosody) = Prosody::start() else { return };
    // Nobody listens at the ACS, so that a session ends at once and does not keep the next request out.
    let agent = gateway(&format!("http://127.0.0.1:{}/", port::of_its_own()), prosody.port, prosody.directory.path())
        .args(&["--ca-file", prosody.certificate.ca.to_str().expect("a path")])
        .udp_listen("127.0.0.1:0")
        .start();
    await_status(&agent, "Enabled");
    let begun = Instant::now();
    let caller = Caller { username: ACCESS.0, password: ACCESS.1 };
    let url = agent.value("Device.ManagementServer.ConnectionRequestURL");
    let mut accepted_over_http = 0;
    let end = Instant::now() + SOON;
    while accepted_over_http < OVER_HTTP {
        accepted_over_http += usize::from(caller.requests(&url) == 200);
        assert!(Instant::now() < end, "{}", agent.log());
    }
    let mut client = prosody.acs();
    let end = Instant::now() + SOON * 2;
    while count(&agent, "xmpp", "rateLimited") == 0 {
        let answer = client.requests(JABBER_ID, ACCESS);
        assert!(answer.contains("type='result'") || answer.contains("<service-unavailable"), "{answer}");
        assert!(Instant::now() < end, "{}", agent.log());
    }
    let accepted = count(&agent, "http", "accepted") + count(&agent, "xmpp", "accepted");
    let most = BURST + begun.elapsed().as_secs() + 1;
    assert!(accepted <= most && accepted >= BURST, "{accepted} of {most}");
    // One more each second: whoever comes next is refused at least once.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let udp = agent.value("Device.ManagementServer.UDPConnectionRequestAddress");
    let limited = |transport: &str| count(&agent, transport, "rateLimited") > 0;
    let (mut ts, end) = (1, Instant::now() + SOON);
    while !limited("udp") || !limited("http") {
        socket.send_to(&caller.datagram(&udp, ts, ts), &udp).expect("sends");
        let status = caller.requests(&url);
        assert!(matches!(status, 200 | 503), "{status} at {}", authority(&url));
        ts += 1;
        assert!(Instant::now() < end, "{}", agent.log());
    }
}
