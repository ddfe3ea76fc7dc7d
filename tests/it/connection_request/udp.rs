//! Connection requests over UDP, and the STUN binding on the same port.

use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, channel};

use cpe_agent::connection_request::{ReplayWindow, RequestOutcome, UdpConfig, UdpEvent, UdpListener};
use cpe_agent::digest::hmac_sha1;
use cpe_agent::stun::{PublishedBinding, StunServerName, StunSettings};

use super::*;

/// Returns a correct request.
pub(crate) fn signed(ts: u64, id: u64) -> String {
    let texts = [ts.to_string(), id.to_string()];
    let signature = hmac_sha1(b"secret", &[texts[0].as_bytes(), texts[1].as_bytes(), b"acs", b"x"]);
    let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("GET http://127.0.0.1:7547?ts={ts}&id={id}&un=acs&cn=x&sig={signature} HTTP/1.1\r\nHost: h\r\n\r\n")
}

/// Starts a listener on loopback that reports the `ts` of each accepted request.
pub(crate) fn listener(replay: ReplayWindow) -> (UdpListener, Arc<ListenerState>, Receiver<u64>) {
    let state = Arc::new(ListenerState::new(settings()));
    let (sender, reports) = channel();
    let report = move |report| {
        if let UdpEvent::Requested(replay) = report {
            let _ = sender.send(replay.timestamp);
        }
    };
    let address = (Ipv4Addr::LOCALHOST, 0).into();
    let listener =
        UdpListener::start(address, generous().accepted, Arc::clone(&state), replay, UdpConfig::default(), report)
            .expect("a listener");
    (listener, state, reports)
}

fn acs() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(SOON)).expect("a timeout");
    socket
}

/// R288, R293: without STUN, three copies as GenieACS sends them.
#[test]
fn copies_of_a_request_wake_once_and_are_not_answered() {
    let (listener, state, reports) = listener(ReplayWindow::default());
    let acs = acs();
    (0..3).for_each(|_| drop(acs.send_to(signed(1_700_000_000, 5).as_bytes(), listener.local_addr())));
    assert_eq!(reports.recv_timeout(SOON), Ok(1_700_000_000));
    eventually("the copies", || state.udp.count(RequestOutcome::OldTimestamp) == 2);
    assert!(reports.try_recv().is_err());
    acs.set_nonblocking(true).expect("a flag");
    assert!(acs.recv(&mut [0]).is_err());
}

/// RFC 7230 §3.2.4: the header fields of a datagram may be folded.
#[test]
fn a_datagram_with_folded_fields() {
    let (listener, _, reports) = listener(ReplayWindow::default());
    let folded = signed(7, 7).replace("Host: h\r\n", "Host:\r\n h\r\nX: y\r\n\tz\r\n");
    acs().send_to(folded.as_bytes(), listener.local_addr()).expect("sends");
    assert_eq!(reports.recv_timeout(SOON), Ok(7));
}

/// R292: a request that was accepted before a restart of the agent is not accepted again.
#[test]
fn the_window_is_handed_over() {
    let (listener, state, reports) = listener(ReplayWindow { timestamp: 100, id: Some(1) });
    let acs = acs();
    for (ts, id) in [(100, 2), (101, 1), (101, 2)] {
        acs.send_to(signed(ts, id).as_bytes(), listener.local_addr()).expect("sends");
    }
    assert_eq!(reports.recv_timeout(SOON), Ok(101));
    assert_eq!(state.udp.count(RequestOutcome::OldTimestamp), 1);
    assert_eq!(state.udp.count(RequestOutcome::RepeatedId), 1);
}

/// A new password rejects requests that were signed before. The server that has set it may count its time in another
/// unit (R294).
#[test]
fn another_password_begins_anew() {
    let (listener, state, reports) = listener(ReplayWindow { timestamp: 1_700_000_000_000, id: Some(1) });
    let acs = acs();
    acs.send_to(signed(1_700_000_000, 2).as_bytes(), listener.local_addr()).expect("sends");
    eventually("the refusal", || state.udp.count(RequestOutcome::OldTimestamp) == 1);
    state.replace(AccessSettings { password: "other".into(), ..settings() });
    acs.send_to(b"GET http://h?ts=1&id=2&un=acs&cn=x&sig=00 HTTP/1.1\r\n\r\n", listener.local_addr()).expect("sends");
    eventually("the next refusal", || state.udp.all().map(|(_, count)| count).sum::<u32>() == 2);
    state.replace(settings());
    acs.send_to(signed(1_700_000_000, 2).as_bytes(), listener.local_addr()).expect("sends");
    assert_eq!(reports.recv_timeout(SOON), Ok(1_700_000_000));
}

/// R264: the number of accepted requests is limited.
#[test]
fn right_requests_are_limited() {
    let state = Arc::new(ListenerState::new(settings()));
    let rate = Rate { burst: 2, every: Duration::from_secs(60) };
    let listener = UdpListener::start(
        (Ipv4Addr::LOCALHOST, 0).into(),
        rate,
        Arc::clone(&state),
        ReplayWindow::default(),
        UdpConfig::default(),
        drop,
    )
    .expect("a listener");
    let acs = acs();
    (1..=5).for_each(|ts| drop(acs.send_to(signed(ts, ts).as_bytes(), listener.local_addr())));
    eventually("the refusals", || state.udp.count(RequestOutcome::RateLimited) == 3);
    assert_eq!(state.udp.count(RequestOutcome::Accepted), 2);
}

/// Dropping the listener closes its port.
#[test]
fn the_port_is_closed_with_the_listener() {
    let (listener, _, _) = listener(ReplayWindow::default());
    let address = listener.local_addr();
    drop(listener);
    UdpSocket::bind(address).expect("free again");
}

/// Returns the response of a server that receives the request from `mapped`.
fn binding_response(request: &[u8], mapped: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(mapped) = mapped else { panic!("IPv4 only") };
    let mut answer = vec![0x01, 0x01, 0x00, 0x0c];
    answer.extend(&request[4..20]);
    answer.extend([0x00, 0x01, 0x00, 0x08, 0x00, 0x01]);
    answer.extend(mapped.port().to_be_bytes());
    answer.extend(mapped.ip().octets());
    answer
}

/// R271, R272, R280, R285, R289: the binding and connection requests share a port.
#[test]
fn the_binding_is_learnt_on_the_port_that_receives_requests() {
    let state = Arc::new(ListenerState::new(settings()));
    let (sender, reports) = channel();
    let unspecified = (Ipv4Addr::UNSPECIFIED, 0).into();
    let server = acs();
    let server_address = server.local_addr().expect("an address");
    let stun = StunSettings {
        enabled: true,
        server: StunServerName { host: "localhost".into(), port: server_address.port() },
        ..StunSettings::default()
    };
    let config = UdpConfig { stun: stun.clone(), acs: Some(server_address) };
    let report = move |report| {
        let _ = sender.send(report);
    };
    let listener = UdpListener::start(unspecified, generous().accepted, state, ReplayWindow::default(), config, report)
        .expect("a listener");
    let port = listener.local_addr().port();

    let mut datagram = [0; 600];
    let mapped: SocketAddr = "192.0.2.7:50123".parse().expect("an address");
    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        let (length, from) = server.recv_from(&mut datagram).expect("a Binding Request");
        assert_eq!((from.port(), &datagram[..2]), (port, &[0, 1][..])); // R272
        let changed = datagram[..length].windows(4).any(|attribute| attribute == [0xc0, 0x02, 0, 0]);
        if kinds.last() != Some(&changed) {
            kinds.push(changed);
        }
        server.send_to(&binding_response(&datagram, mapped), from).expect("sends");
    }
    assert_eq!(kinds, [false, true]); // R280
    let until = |wanted: PublishedBinding| {
        while reports.recv_timeout(SOON).expect("a report") != UdpEvent::Published(wanted) {}
    };
    until(PublishedBinding { address: Some(mapped), nat_detected: true });
    let status = listener.stun().status().expect("a status");
    assert_eq!((status.mapped, status.nat_detected), (Some(mapped), true));
    assert_eq!(status.local, Some((Ipv4Addr::LOCALHOST, port).into()), "as the way to the server has it");

    // A connection request from the server's port, on the binding.
    server.send_to(signed(5, 5).as_bytes(), (Ipv4Addr::LOCALHOST, port)).expect("sends");
    while !matches!(
        reports.recv_timeout(SOON).expect("a report"),
        UdpEvent::Requested(ReplayWindow { timestamp: 5, .. })
    ) {}

    // R285: without STUN, the local address.
    listener.set_config(UdpConfig { stun: StunSettings { enabled: false, ..stun }, acs: Some(server_address) });
    until(PublishedBinding { address: Some((Ipv4Addr::LOCALHOST, port).into()), nat_detected: false });
}
