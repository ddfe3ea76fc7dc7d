//! The answers to a request over HTTP, with their exact status.

use std::io::Write;
use std::net::{Ipv6Addr, TcpListener};

use cpe_agent::digest::basic;

use super::*;
use crate::support::skip::skip;
use crate::support::stopwatch::Stopwatch;

/// R256, R259: as GenieACS does it, on one connection, which we close.
#[test]
fn a_request_with_its_challenge_on_one_connection() {
    let scene = Scene::new();
    let mut acs = scene.connect();
    let challenged = acs.gets(PATH, None);
    assert_eq!(challenged.field("Connection"), Some("keep-alive"));
    assert_eq!(scene.wakes(), 0);
    let answer = acs.gets(PATH, Some(&right(&challenged.challenge())));
    assert_eq!((answer.status, answer.field("Connection")), (200, Some("close")));
    let answered = Stopwatch::start();
    assert!(acs.is_closed());
    assert!(answered.is_within(Duration::from_millis(500)), "closed by us at once");
    scene.waits_for_wakes(1);
    assert_eq!((scene.count(RequestOutcome::Challenged), scene.count(RequestOutcome::Accepted)), (1, 1));
}

/// acsrs: a connection for each request, "/" in the digest; others add query parameters.
#[test]
fn a_request_with_its_challenge_on_two_connections() {
    let scene = Scene::new();
    let first = scene.connect().asks(format!("GET {PATH} HTTP/1.1\r\nConnection: close\r\n\r\n"));
    assert_eq!(first.field("Connection"), Some("close"));
    let authorization = first.challenge().answer("acs", "secret", "GET", "/", "c", 1);
    let path = format!("{PATH}?from=acs&x=y");
    assert_eq!(scene.connect().gets(&path, Some(&authorization)).status, 200);
    scene.waits_for_wakes(1);
}

/// RFC 7230 §3.2.4; and a body that begins with white space is no fold.
#[test]
fn a_request_with_folded_fields() {
    let scene = Scene::new();
    let mut client = scene.connect();
    let challenge = client.gets(PATH, None).challenge();
    let authorization = right(&challenge).replace(", ", ",\r\n\t");
    let first = format!("GET {PATH} HTTP/1.1\r\nX: y\r\n z\r\nContent-Length: 3\r\n\r\n  x");
    assert_eq!(client.asks(first).status, 401);
    assert_eq!(client.gets(PATH, Some(&authorization)).status, 200);
    assert_eq!(scene.connect().asks(format!("GET {PATH} HTTP/1.1\r\n Host: h\r\n\r\n")).status, 400);
}

/// RFC 2617 names no encoding: a client that writes and hashes user name and password in ISO 8859-1 is accepted.
#[test]
fn user_name_and_password_in_iso_8859_1() {
    let scene = Scene::new();
    scene.state.replace(AccessSettings {
        username: "S\u{fc}d".into(),
        password: "Schl\u{fc}ssel".into(),
        ..settings()
    });
    let md5 = |parts: &[&[u8]]| {
        use md5::Digest;
        md5::Md5::digest(parts.concat()).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    for (username, password, status) in [
        (&b"S\xfcd"[..], &b"Schl\xfcssel"[..], 200),
        ("S\u{fc}d".as_bytes(), "Schl\u{fc}ssel".as_bytes(), 200),
        (b"S\xfcd", b"Schl?ssel", 401),
        (b"S?d", b"Schl\xfcssel", 401),
    ] {
        let mut client = scene.connect();
        let challenge = client.gets(PATH, None).challenge();
        let key = md5(&[username, b":cwmp:", password]);
        let request = md5(&[b"GET:", PATH.as_bytes()]);
        let answer = md5(&[format!("{key}:{}:00000001:c:auth:{request}", challenge.nonce).as_bytes()]);
        let begin = format!("GET {PATH} HTTP/1.1\r\nAuthorization: Digest username=\"");
        let end = format!(
            "\", realm=\"cwmp\", nonce=\"{}\", uri=\"{PATH}\", qop=auth, nc=00000001, cnonce=\"c\", response=\"{answer}\"\r\n\r\n",
            challenge.nonce
        );
        assert_eq!(client.asks([begin.as_bytes(), username, end.as_bytes()].concat()).status, status);
    }
    scene.waits_for_wakes(2);
}

/// R256, R257, R268: to each its status, and no wake-up (R265).
#[test]
fn refuses_with_the_right_status() {
    let scene = Scene::new();
    let challenge = scene.connect().gets(PATH, None).challenge();
    let authorization = right(&challenge);
    let get =
        |path: &str, authorization: &str| format!("GET {path} HTTP/1.1\r\nAuthorization: {authorization}\r\n\r\n");
    let used = scene.connect().gets(PATH, Some(&authorization));
    assert_eq!(used.status, 200);
    let long = format!("GET {PATH} HTTP/1.1\r\nX: {}", "x".repeat(5000));
    for (request, status, outcome) in [
        (get("/", &authorization), 404, RequestOutcome::WrongPath),
        (get("/0123456789abcdeF", &authorization), 404, RequestOutcome::WrongPath),
        (get(PATH, &authorization).replace("GET", "POST"), 405, RequestOutcome::WrongMethod),
        (get(PATH, &authorization).replace("GET", "HEAD"), 405, RequestOutcome::WrongMethod),
        (get(PATH, &basic("acs", "secret")), 401, RequestOutcome::Unauthorized),
        (get(PATH, &challenge.answer("acs", "wrong", "GET", PATH, "c", 1)), 401, RequestOutcome::Unauthorized),
        (get(PATH, &challenge.answer("acs", "secret", "GET", "/else", "c", 1)), 401, RequestOutcome::Unauthorized),
        (get(PATH, &challenge.answer("admin", "secret", "GET", PATH, "c", 1)), 401, RequestOutcome::Unauthorized),
        (get(PATH, &authorization), 401, RequestOutcome::Replayed),
        (get(PATH, &authorization.replace(&challenge.nonce, "x")), 401, RequestOutcome::Unauthorized),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".into(), 400, RequestOutcome::Malformed),
        (format!("GET {PATH} HTTP/3.7\r\n\r\n"), 400, RequestOutcome::Malformed),
        (long, 431, RequestOutcome::Malformed),
    ] {
        let before = scene.count(outcome);
        let mut client = scene.connect();
        let answer = client.asks(&request);
        assert_eq!(answer.status, status, "{request}");
        assert_eq!(scene.count(outcome), before + 1, "{request}");
        match status {
            401 => assert_eq!(answer.challenge().stale, outcome == RequestOutcome::Replayed, "{request}"),
            405 => assert_eq!(answer.field("Allow"), Some("GET")),
            _ => assert!(answer.field("WWW-Authenticate").is_none()),
        }
        assert_eq!(answer.field("Connection"), Some(if status == 401 { "keep-alive" } else { "close" }));
    }
    assert_eq!(scene.wakes(), 1);
}

/// A client whose nonce has gone stale goes on with the new one, on the same connection.
#[test]
fn a_stale_nonce_is_replaced_in_passing() {
    let scene = Scene::new();
    let mut acs = scene.connect();
    let mut foreign = acs.gets(PATH, None).challenge();
    foreign.nonce = "bm9uZQ==".into();
    let challenge = acs.gets(PATH, Some(&right(&foreign))).challenge();
    assert!(challenge.stale);
    assert_eq!(acs.gets(PATH, Some(&right(&challenge))).status, 200);
    assert_eq!(scene.count(RequestOutcome::Stale), 1);
}

/// R261: a body is ignored, and does not change the answer.
#[test]
fn a_body_is_ignored() {
    let scene = Scene::new();
    let mut acs = scene.connect();
    let body = format!("POST {PATH} HTTP/1.1\r\n\r\n");
    let first = format!("GET {PATH} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let challenge = acs.asks(first).challenge();
    let authorization = right(&challenge);
    acs.send(format!("GET {PATH} HTTP/1.1\r\nAuthorization: {authorization}\r\nContent-Length: 20000\r\n\r\nxxxx"));
    assert_eq!(acs.receive().expect("an answer").status, 200, "answered at once (R259)");
    // A client that goes on sending is read for a while, so that the answer is not cut off.
    for _ in 0..4 {
        acs.send("x".repeat(4999));
        thread::sleep(Duration::from_millis(20));
    }
    assert!(acs.is_closed());
    assert_eq!(scene.count(RequestOutcome::WrongMethod), 0);
    // A body whose end is not told is not looked for.
    let chunked = format!("GET {PATH} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(scene.connect().asks(chunked).field("Connection"), Some("close"));
}

/// Requests that come in pieces or together.
#[test]
fn the_cut_of_segments_means_nothing() {
    let scene = Scene::new();
    let mut acs = scene.connect();
    let request = |field: &str| format!("GET {PATH} HTTP/1.1\r\nHost: h\r\n{field}\r\n");
    acs.0.set_nodelay(true).expect("no delay");
    for byte in request("").bytes() {
        acs.send([byte]);
        thread::sleep(Duration::from_millis(1));
    }
    let challenge = acs.receive().expect("an answer").challenge();
    // With a wrong one ahead in the same segment.
    let wrong = request(&format!("Authorization: {}\r\n", basic("a", "b")));
    acs.send(wrong + &request(&format!("Authorization: {}\r\n", right(&challenge))));
    assert_eq!(acs.receive().expect("the first answer").status, 401);
    assert_eq!(acs.receive().expect("the second answer").status, 200);
    scene.waits_for_wakes(1);
}

/// R262, R264: a burst of requests is answered; past the limit the answer is 503, without Retry-After, and the agent is
/// not woken.
#[test]
fn too_many_right_requests_are_told_so() {
    let accepted_per_network = Rate { burst: 5, every: Duration::from_secs(60) };
    let scene = Scene::with(Limits { accepted_per_network, ..Limits::default() }, (Ipv4Addr::LOCALHOST, 0).into());
    let statuses: Vec<u16> = (0..7).map(|_| scene.connect().wakes().expect("an answer")).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 503, 503]);
    let challenge = scene.connect().gets(PATH, None).challenge();
    assert!(scene.connect().gets(PATH, Some(&right(&challenge))).field("Retry-After").is_none());
    scene.waits_for_wakes(5);
    assert_eq!(scene.count(RequestOutcome::RateLimited), 3);
}

/// New credentials and a new path count for the next request.
#[test]
fn new_settings_hold_at_once() {
    let scene = Scene::new();
    let mut acs = scene.connect();
    let challenge = acs.gets(PATH, None).challenge();
    scene.state.replace(AccessSettings { password: "".into(), ..settings() });
    assert_eq!(acs.gets(PATH, Some(&right(&challenge))).status, 401); // R268
    let empty = challenge.answer("acs", "", "GET", PATH, "c", 1);
    assert_eq!(acs.gets(PATH, Some(&empty)).status, 401);
    scene.state.replace(AccessSettings { path: "/moved".into(), ..settings() });
    assert_eq!(scene.connect().gets(PATH, None).status, 404);
    let challenge = scene.connect().gets("/moved", None).challenge();
    let moved = challenge.answer("acs", "secret", "GET", "/moved", "c", 1);
    assert_eq!(scene.connect().gets("/moved", Some(&moved)).status, 200);
}

/// R267.
#[test]
fn the_port_is_closed_with_the_listener() {
    let scene = Scene::new();
    let address = scene.listener.local_addr();
    let mut idle = scene.connect();
    idle.send("GET ");
    let begun = Stopwatch::start();
    drop(scene.listener);
    assert!(begun.is_within(Duration::from_secs(1)));
    assert_eq!(TcpStream::connect(address).expect_err("closed").kind(), ErrorKind::ConnectionRefused);
    assert!(idle.is_closed());
    TcpListener::bind(address).expect("free again");
}

/// A listener on the unspecified IPv6 address serves both families.
#[test]
fn one_socket_serves_ipv4_and_ipv6() {
    let unspecified = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let scene = Scene::with(generous(), unspecified);
    let port = scene.listener.local_addr().port();
    assert_eq!(Client::connect((Ipv4Addr::LOCALHOST, port).into()).wakes().expect("an answer"), 200);
    if scene.listener.local_addr().is_ipv6() && TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        assert_eq!(Client::connect((Ipv6Addr::LOCALHOST, port).into()).wakes().expect("an answer"), 200);
    } else {
        skip("this machine has no IPv6");
    }
}

/// Deadlines hold for every kind of slow client.
#[test]
fn slow_clients_are_closed_in_time() {
    let times = (Duration::from_millis(300), Duration::from_millis(600));
    let limits = Limits { head_time: times.0, connection_time: times.1, ..generous() };
    let scene = Scene::with(limits, (Ipv4Addr::LOCALHOST, 0).into());
    let begun = Stopwatch::start();
    let mut silent = scene.connect();
    let mut dribbling = scene.connect();
    let mut challenged = scene.connect();
    challenged.gets(PATH, None);
    let dribble = thread::spawn(move || {
        let mut sent = dribbling.0.write(b"GET / HTTP/1.1\r\n");
        while sent.is_ok() && begun.elapsed() < SOON {
            thread::sleep(Duration::from_millis(20));
            sent = dribbling.0.write(b"A: b\r\n");
        }
        begun.elapsed()
    });
    assert!(silent.is_closed());
    assert!(begun.elapsed() >= times.0 && begun.is_within(2 * times.0 + SLACK), "{begun:?}");
    assert!(challenged.is_closed());
    assert!(begun.is_within(times.1 + SLACK));
    let dribbling = dribble.join().expect("no panic");
    assert!(dribbling >= times.0 && dribbling < times.1 + SLACK + begun.stalled(), "{dribbling:?}");
    eventually("the count", || scene.count(RequestOutcome::TimedOut) == 3);
}
