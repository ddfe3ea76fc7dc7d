//! The rules of the responses, and the service with sockets.

use std::cell::RefCell;

use super::*;

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const PORT: u16 = 7007;

fn responder(is_plus: bool) -> Responder {
    Responder {
        source: SOURCE,
        port: PORT,
        is_plus,
        clock: Clock::new(),
        rate: Rate::new(now()),
        counters: Arc::default(),
    }
}

/// Returns the response to a datagram.
fn response(responder: &mut Responder, datagram: &[u8], from: (IpAddr, u16)) -> Option<Vec<u8>> {
    let sent = RefCell::new(None);
    let send = |response: &[u8]| sent.replace(Some(response.to_vec())).is_none();
    responder.answer(&mut datagram.to_vec(), from.into(), now(), &send);
    sent.into_inner()
}

#[test]
fn only_the_source_is_answered() {
    let mut responder = responder(false);
    assert_eq!(response(&mut responder, b"hello", (SOURCE, 5000)).as_deref(), Some(&b"hello"[..]));
    assert_eq!(response(&mut responder, b"", (SOURCE, 5000)).as_deref(), Some(&b""[..]));
    let other = IpAddr::from([192, 0, 2, 2]);
    // The echo service of another device would answer the response.
    for from in [(other, 5000), (SOURCE, 7), (SOURCE, 1023), (SOURCE, PORT)] {
        assert_eq!(response(&mut responder, b"hello", from), None);
    }
    let counters = responder.counters.lock().expect("no panic").clone();
    assert_eq!((counters.packets_received, counters.packets_responded), (2, 2));
    assert_eq!((counters.bytes_received, counters.bytes_responded), (5 + 2 * 8, 5 + 2 * 8));
    assert!(counters.first.is_some() && counters.last >= counters.first);
}

/// TR-143 A.1.
#[test]
fn echo_plus_fills_in_its_words_and_no_byte_more() {
    let mut responder = responder(true);
    let request: Vec<u8> = (0..30).collect();
    let word = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let first = response(&mut responder, &request, (SOURCE, 5000)).expect("a response");
    assert_eq!((first.len(), &first[..4], &first[20..]), (30, &request[..4], &request[20..]));
    assert_eq!((word(&first, 4), word(&first, 16)), (1, 0));
    let took = word(&first, 12).wrapping_sub(word(&first, 8));
    assert!(took < 10_000_000, "the reply follows the reception: {took} µs");
    responder.answer(&mut request.clone(), (SOURCE, 5000).into(), now(), &|_| false);
    let third = response(&mut responder, &request, (SOURCE, 5000)).expect("a response");
    assert_eq!((word(&third, 4), word(&third, 16)), (2, 1), "the second response and the first failure");
    let short = response(&mut responder, &request[..19], (SOURCE, 5000)).expect("a response");
    assert_eq!(short, request[..19], "too short for UDP Echo Plus");
}

#[test]
fn the_rate_is_bounded() {
    let mut rate = Rate::new(now());
    let at = now();
    assert_eq!((0..2000).filter(|_| rate.allows(100, at)).count() as u32, MAX_RESPONSES);
    assert!(rate.allows(100, at + Duration::from_secs(1)));
    let mut rate = Rate::new(at);
    assert_eq!((0..2000).filter(|_| rate.allows(65_535, at)).count() as u32, MAX_BYTES / 65_535);
}

#[test]
fn a_timer_of_32_bits_begins_anew() {
    assert_eq!(microseconds(Duration::from_micros((1 << 32) + 5)), 5);
}

#[test]
fn a_service_answers_until_it_is_dropped() {
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let settings = EchoSettings { source: [127, 0, 0, 1].into(), port, is_plus: false, devices: Vec::new() };
    let counters = Arc::default();
    let service = EchoService::start(&settings, Arc::clone(&counters)).expect("a service");
    assert!(EchoService::start(&settings, Arc::default()).is_err(), "the port is taken");
    let mut buffer = [0; 100];
    for _ in 0..3 {
        client.send_to(b"hello", ("127.0.0.1", port)).expect("sent");
        assert_eq!(client.recv(&mut buffer).expect("a response"), 5);
    }
    assert_eq!(counters.lock().expect("no panic").packets_responded, 3);
    drop(service);
    let again = EchoService::start(&settings, Arc::clone(&counters)).expect("the port is free");
    assert_eq!(counters.lock().expect("no panic").packets_responded, 0, "the counters begin anew");
    drop(again);
    let devices = vec!["no-such-link".to_owned()];
    assert!(EchoService::start(&EchoSettings { devices, ..settings }, Arc::default()).is_err());
}
