//! The client against a scripted server on the loopback: bytes out, bytes in.

mod server;
#[cfg(feature = "tls")]
mod tls;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::*;
use crate::digest::Authorization;
use server::{Request, Server, Step, answer, ok, status};

/// Short enough for a test, long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(2);
const LIMIT: usize = 100_000;

fn settings(url: &str) -> Settings {
    Settings {
        url: url.into(),
        username: "00D09E-4711".into(),
        password: "s3cret".into(),
        tls: TlsSettings::default(),
        clock_is_set: true,
        timeout: TIMEOUT,
        body_limit: LIMIT,
        stop: Arc::default(),
    }
}

fn connection(server: &Server) -> Connection {
    Connection::open(settings(&server.url())).unwrap()
}

/// What one POST of `<inform/>` comes to, and what the server saw of it.
fn one_post(script: Vec<Vec<Step>>) -> (Result<Reply, SessionError>, Vec<Request>) {
    let server = Server::start(script);
    let mut acs = connection(&server);
    let result = acs.post(b"<inform/>");
    drop(acs);
    (result, server.requests())
}

fn body(reply: Result<Reply, SessionError>) -> String {
    String::from_utf8(reply.unwrap().body).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "measures how long a wait took")]
fn now() -> Instant {
    Instant::now()
}

// ---- requests and answers

#[test]
fn an_envelope_and_an_empty_post_look_as_tr069_wants_them() {
    let server = Server::start(vec![vec![ok("<soap/>"), status("204 No Content", &[])]]);
    let mut acs = connection(&server);
    let (first, second) = (acs.post(b"<inform/>").unwrap(), acs.post(b"").unwrap());
    assert_eq!(
        (first.status, first.body.as_slice()),
        (200, &b"<soap/>"[..])
    );
    assert_eq!((second.status, second.body.as_slice()), (204, &b""[..]));
    assert_eq!(acs.local_addr().unwrap().ip().to_string(), "127.0.0.1");
    drop(acs);

    let (address, version) = (server.address, env!("CARGO_PKG_VERSION"));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(
        requests[0].head,
        format!(
            "POST /acs?x=1 HTTP/1.1\r\nHost: {address}\r\nUser-Agent: cpe-agent/{version}\r\n\
             Content-Type: text/xml; charset=utf-8\r\nSOAPAction: \r\nContent-Length: 9\r\n\r\n"
        )
    );
    assert_eq!(requests[0].body, b"<inform/>");
    assert_eq!(
        requests[1].head,
        format!(
            "POST /acs?x=1 HTTP/1.1\r\nHost: {address}\r\nUser-Agent: cpe-agent/{version}\r\n\
             Content-Length: 0\r\n\r\n"
        )
    );
    assert_eq!(requests[1].connection, 0);
}

#[test]
fn takes_bodies_of_every_framing() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\nhello world";
    let http_1_0 = "HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\nhello world";
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nDate: x\r\n\r\n\
                   HTTP/1.1 100 Continue\r\nDate: y\r\n\r\n\
                   HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world";
    let bare_line_feeds = "\r\nHTTP/1.1 200 OK\ncontent-length: 11\n\nhello world";
    for bytes in [chunked, until_close, http_1_0, interim, bare_line_feeds] {
        let (reply, _) = one_post(vec![vec![answer(bytes), Step::Close]]);
        assert_eq!(body(reply), "hello world", "{bytes}");
        let pause = Duration::from_millis(1);
        let (reply, _) = one_post(vec![vec![Step::Dribble(bytes.into(), pause), Step::Close]]);
        assert_eq!(body(reply), "hello world", "{bytes}");
    }
    let (reply, _) = one_post(vec![vec![answer(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    )]]);
    assert_eq!(body(reply), "");
}

#[test]
fn sends_a_large_body_whole_and_once() {
    let large: Vec<u8> = (0..2_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let server = Server::start(vec![vec![
        Step::Pause(Duration::from_millis(300)),
        ok("done"),
    ]]);
    let mut acs = connection(&server);
    assert_eq!(body(acs.post(&large)), "done");
    drop(acs);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].body == large);
}

// ---- statuses

#[test]
fn other_statuses_end_the_session() {
    for (line, headers, code, wait) in [
        ("403 Forbidden", vec![], 403, None),
        ("500 Internal Server Error", vec![], 500, None),
        ("201 Created", vec![], 201, None),
        ("303 See Other", vec!["Location: /x"], 303, None),
        ("503 Busy", vec!["Retry-after: 60"], 503, Some(60)),
        (
            "503 Busy",
            vec!["Retry-After: 99999999999999999999"],
            503,
            Some(86400),
        ),
        (
            "503 Busy",
            vec!["Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"],
            503,
            None,
        ),
    ] {
        let (result, requests) = one_post(vec![vec![status(line, &headers)]]);
        let error = result.unwrap_err();
        let retry_after = wait.map(Duration::from_secs);
        assert_eq!(error, SessionError::Status { code, retry_after });
        assert_eq!(error.retry_after(), retry_after);
        assert_eq!(requests.len(), 1);
    }
}

#[test]
fn an_early_refusal_of_a_large_request_is_heard() {
    // The server answers before it has read the request, and closes: the request dies half-sent.
    let server = Server::start(vec![vec![
        Step::Say("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n".into()),
        Step::Pause(Duration::from_millis(300)),
        Step::Close,
    ]]);
    let result = connection(&server).post(&vec![b'x'; 20_000_000]);
    // Linux may drop the answer with the reset that follows it.
    assert!(
        matches!(
            result,
            Err(SessionError::Status { code: 413, .. } | SessionError::Closed)
        ),
        "{result:?}"
    );
}

// ---- authentication

const MD5: &str = "WWW-Authenticate: Digest realm=\"GenieACS\",qop=\"auth,auth-int\",nonce=\"n1\"";

fn credentials(request: &Request) -> Authorization {
    let read = Authorization::parse(request.header("Authorization").unwrap()).unwrap();
    assert!(read.verify("00D09E-4711", "s3cret", "POST"), "{request:?}");
    assert_eq!(read.uri, "/acs?x=1");
    read
}

#[test]
fn digest_is_answered_on_the_same_connection_and_goes_on() {
    let unauthorized = "HTTP/1.1 401 Unauthorized\r\nSet-Cookie: session=1\r\n\
                        Content-Length: 12\r\n";
    let server = Server::start(vec![vec![
        answer(format!("{unauthorized}{MD5}\r\n\r\nUnauthorized")),
        ok("1"),
        ok("2"),
        status("204 No Content", &[]),
    ]]);
    let mut acs = connection(&server);
    assert_eq!(body(acs.post(b"<inform/>")), "1");
    assert_eq!(body(acs.post(b"<x/>")), "2");
    assert_eq!(acs.post(b"").unwrap().status, 204);
    drop(acs);

    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.connection == 0));
    assert_eq!(requests[0].header("Authorization"), None);
    assert_eq!(requests[0].body, requests[1].body);
    let sent: Vec<_> = requests[1..].iter().map(credentials).collect();
    let (cnonce, _) = sent[0].protection.clone().unwrap();
    assert_eq!(cnonce.len(), 32);
    for (read, nc) in sent.iter().zip(1..) {
        assert_eq!(read.protection, Some((cnonce.clone(), nc)));
    }
    assert_eq!(requests[1].header("Cookie"), Some("session=1"));
}

#[test]
fn a_nonce_bound_to_the_connection_is_renewed_on_the_next() {
    let again = MD5.replace("n1", "n2");
    let server = Server::start(vec![
        vec![
            status("401 Unauthorized", &[MD5]),
            status("200 OK", &["Connection: close"]),
            Step::Close,
        ],
        vec![status("401 Unauthorized", &[&again]), ok("2")],
    ]);
    let mut acs = connection(&server);
    assert_eq!(body(acs.post(b"<inform/>")), "");
    assert_eq!(body(acs.post(b"")), "2");
    drop(acs);

    let requests = server.requests();
    let sent: Vec<_> = requests[1..].iter().map(credentials).collect();
    let (cnonces, counts): (Vec<_>, Vec<_>) = sent
        .iter()
        .map(|read| read.protection.clone().unwrap())
        .unzip();
    assert_eq!(counts, [1, 2, 1]);
    assert_ne!(cnonces[0], cnonces[1]);
    let nonces: Vec<_> = sent.iter().map(|read| read.nonce.as_str()).collect();
    assert_eq!(nonces, ["n1", "n1", "n2"]);
}

#[test]
fn every_kind_of_challenge_is_answered() {
    for challenge in [
        "Digest realm=\"r\", nonce=\"n\"",
        "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess, qop=\"auth\", opaque=\"o\"",
        "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"",
        "Negotiate, Basic realm=\"r\", Digest realm=\"r\", nonce=\"n\"",
        "Digest nonce=x, algorithm=SHA-512-256\r\nWWW-Authenticate: Digest nonce=n",
    ] {
        let header = format!("WWW-Authenticate: {challenge}");
        let (reply, requests) =
            one_post(vec![vec![status("401 Unauthorized", &[&header]), ok("in")]]);
        assert_eq!(body(reply), "in");
        assert_eq!(credentials(&requests[1]).nonce, "n", "{challenge}");
    }
}

#[test]
fn a_second_401_is_a_refusal() {
    for second in [vec![], vec![MD5], vec!["WWW-Authenticate: Basic realm=x"]] {
        let (result, requests) = one_post(vec![vec![
            status("401 Unauthorized", &[MD5]),
            status("401 Unauthorized", &second),
            Step::Close,
        ]]);
        assert_eq!(result, Err(SessionError::Authentication));
        assert_eq!(requests.len(), 2);
    }
}

#[test]
fn a_stale_nonce_is_renewed_but_not_for_ever() {
    let stale = |nonce: &str| {
        let challenge = format!("{}, stale=true", MD5.replace("n1", nonce));
        status("401 Unauthorized", &[&challenge])
    };
    let first = status("401 Unauthorized", &[MD5]);
    let (reply, requests) = one_post(vec![vec![first.clone(), stale("n2"), ok("in")]]);
    assert_eq!(body(reply), "in");
    assert_eq!(credentials(&requests[2]).nonce, "n2");

    let script = vec![
        first.clone(),
        stale("n2"),
        stale("n3"),
        stale("n4"),
        stale("n5"),
    ];
    let (result, requests) = one_post(vec![script]);
    assert_eq!(result, Err(SessionError::Authentication));
    assert_eq!(requests.len(), 4);

    // The same nonce again is not stale, whatever the server says.
    let (result, requests) = one_post(vec![vec![first, stale("n1")]]);
    assert_eq!(result, Err(SessionError::Authentication));
    assert_eq!(requests.len(), 2);
}

#[test]
fn basic_is_sent_after_the_first_challenge_and_refused_by_the_next() {
    let basic = "WWW-Authenticate: Basic realm=\"acs\"";
    let server = Server::start(vec![vec![
        status("401 Unauthorized", &[basic]),
        ok("1"),
        ok("2"),
        status("401 Unauthorized", &[basic]),
    ]]);
    let mut acs = connection(&server);
    assert!(!acs.is_basic());
    assert_eq!(body(acs.post(b"<inform/>")), "1");
    assert!(acs.is_basic());
    assert_eq!(body(acs.post(b"")), "2");
    assert_eq!(acs.post(b""), Err(SessionError::Authentication));
    drop(acs);
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    for request in &requests[1..] {
        let expected = "Basic MDBEMDlFLTQ3MTE6czNjcmV0";
        assert_eq!(request.header("Authorization"), Some(expected));
    }
}

#[test]
fn basic_goes_out_unasked_only_over_tls() {
    let server = Server::start(vec![vec![ok("1")]]);
    let mut acs = connection(&server);
    acs.begin_with_basic();
    assert_eq!(body(acs.post(b"<inform/>")), "1");
    drop(acs);
    assert_eq!(server.requests()[0].header("Authorization"), None);
}

#[test]
fn a_401_without_a_known_challenge_is_told_apart() {
    for headers in [vec![], vec!["WWW-Authenticate: Negotiate"]] {
        let (result, _) = one_post(vec![vec![status("401 Unauthorized", &headers)]]);
        assert!(
            matches!(result, Err(SessionError::Protocol(_))),
            "{result:?}"
        );
    }
}

// ---- connections

#[test]
fn a_connection_dropped_behind_a_401_is_replaced() {
    for close in ["Connection: close", "X-Nothing: said"] {
        for _ in 0..20 {
            let (reply, requests) = one_post(vec![
                vec![
                    status(
                        "401 Unauthorized",
                        &["WWW-Authenticate: Basic realm=acs", close],
                    ),
                    Step::Close,
                ],
                vec![ok("in")],
            ]);
            assert_eq!(body(reply), "in");
            assert_eq!(requests.last().unwrap().connection, 1);
        }
    }
}

/// The close arrives only after the repeated request went out.
#[test]
fn a_request_that_dies_behind_a_401_is_sent_on_a_new_connection_and_no_other_is() {
    let dying = |first| vec![first, Step::Pause(Duration::from_millis(50)), Step::Close];
    let challenge = status("401 Unauthorized", &[MD5]);
    let (reply, requests) = one_post(vec![dying(challenge), vec![ok("in")]]);
    assert_eq!(body(reply), "in");
    assert_eq!(requests.len(), 2);
    credentials(&requests[1]);

    let server = Server::start(vec![dying(ok("1"))]);
    let mut acs = connection(&server);
    assert_eq!(body(acs.post(b"<inform/>")), "1");
    assert_eq!(acs.post(b"<x/>"), Err(SessionError::Closed));
    server.requests();
}

#[test]
fn a_connection_closed_between_exchanges_is_replaced_with_the_same_cookies() {
    let cookies = [
        "Set-Cookie: a=1; Path=/",
        "Set-Cookie: b=2",
        "Set-Cookie: a=3",
    ];
    let server = Server::start(vec![
        vec![status("200 OK", &cookies), Step::Close],
        vec![
            answer("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            Step::Close,
        ],
        vec![answer("HTTP/1.1 200 OK\r\n\r\nuntil the end"), Step::Close],
        vec![
            ok("x"),
            Step::Say("\r\n".into()),
            ok("y"),
            Step::Say("junk".into()),
        ],
        vec![status("204 No Content", &[])],
    ]);
    let mut acs = connection(&server);
    let mut replies = Vec::new();
    for _ in 0..6 {
        replies.push(body(acs.post(b"<x/>")));
        std::thread::sleep(Duration::from_millis(50)); // a close without notice needs time to arrive
    }
    drop(acs);
    assert_eq!(replies, ["", "ok", "until the end", "x", "y", ""]);
    let requests = server.requests();
    let connections: Vec<_> = requests.iter().map(|r| r.connection).collect();
    assert_eq!(connections, [0, 1, 2, 3, 3, 4]);
    for request in &requests[1..] {
        assert_eq!(request.header("Cookie"), Some("a=3; b=2"));
    }
}

#[test]
fn a_lost_answer_ends_the_session_without_a_second_request() {
    // On a new connection and on one that served before; before an answer and midway.
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    for before in [vec![], vec![ok("1")]] {
        for last in [
            vec![Step::Take, Step::Close],
            vec![answer(cut), Step::Close],
            vec![answer(&cut[..20]), Step::Close],
            vec![answer("HTTP/1.1 100 Continue\r\n\r\n"), Step::Close],
        ] {
            let server = Server::start(vec![[before.clone(), last.clone()].concat()]);
            let mut acs = connection(&server);
            for _ in &before {
                acs.post(b"<x/>").unwrap();
            }
            let result = acs.post(b"<x/>");
            drop(acs);
            assert!(
                matches!(result, Err(SessionError::Closed | SessionError::Io(_))),
                "{last:?}: {result:?}"
            );
            assert_eq!(server.requests().len(), before.len() + 1);
        }
    }
}

#[test]
fn nobody_listening_is_told_with_the_address() {
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut acs = Connection::open(settings(&format!("http://{address}/"))).unwrap();
    let error = acs.connect().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no connection to {address}: Connection refused")
    );
    assert!(matches!(
        Connection::open(settings("ftp://acs/")),
        Err(SessionError::Url(_))
    ));
}

#[test]
fn connects_before_the_first_request_where_asked() {
    let server = Server::start(vec![vec![ok("in")]]);
    let url = server.url().replace("127.0.0.1", "localhost");
    let mut acs = Connection::open(settings(&url)).unwrap();
    assert_eq!(acs.local_addr(), None);
    acs.connect().unwrap();
    assert!(acs.local_addr().unwrap().ip().is_loopback());
    assert_eq!(body(acs.post(b"<inform/>")), "in");
    drop(acs);
    assert_eq!(server.requests().len(), 1);
}

// ---- redirects

#[test]
fn redirects_repeat_the_post_and_hold_for_the_session() {
    let target = Server::start(vec![vec![
        status("307 Temporary Redirect", &["Location: /deeper?y"]),
        ok("1"),
        ok("2"),
    ]]);
    let location = format!("Location: http://{}/other", target.address);
    let server = Server::start(vec![vec![answer(format!(
        "HTTP/1.1 302 Found\r\nSet-Cookie: a=1\r\n{location}\r\nContent-Length: 99\r\n\r\n<html>"
    ))]]);
    let mut acs = connection(&server);
    assert_eq!(body(acs.post(b"<inform/>")), "1");
    assert_eq!(body(acs.post(b"")), "2");
    drop(acs);
    assert_eq!(server.requests().len(), 1);
    let authority = target.address.to_string();
    let requests = target.requests();
    let lines: Vec<_> = requests
        .iter()
        .map(|r| r.head.lines().next().unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            "POST /other HTTP/1.1",
            "POST /deeper?y HTTP/1.1",
            "POST /deeper?y HTTP/1.1"
        ]
    );
    assert!(requests.iter().all(|r| r.connection == 0));
    for request in &requests {
        assert_eq!(request.header("Cookie"), Some("a=1"));
        assert_eq!(request.header("Host"), Some(authority.as_str()));
    }
    assert_eq!(requests[0].body, b"<inform/>");
    assert_eq!(requests[1].body, b"<inform/>");
}

#[test]
fn five_redirects_in_a_row_are_followed_and_a_sixth_is_not() {
    let hop = |line| status(line, &["Location: next"]);
    let five = [
        "302 Found",
        "307 Temporary Redirect",
        "301 Moved Permanently",
        "302 Found",
        "308 Permanent Redirect",
    ]
    .map(hop);
    let (reply, requests) = one_post(vec![[five.to_vec(), vec![ok("there")]].concat()]);
    assert_eq!(body(reply), "there");
    assert_eq!(requests.len(), 6);

    let (result, requests) = one_post(vec![vec![hop("302 Found"); 7]]);
    assert!(
        matches!(result, Err(SessionError::Redirect(_))),
        "{result:?}"
    );
    assert_eq!(requests.len(), 6);

    for headers in [
        vec![],
        vec!["Location: gopher://x/"],
        vec!["Location: http:///"],
    ] {
        let (result, _) = one_post(vec![vec![status("302 Found", &headers)]]);
        assert!(
            matches!(result, Err(SessionError::Redirect(_))),
            "{result:?}"
        );
    }
}

#[test]
fn another_host_gets_no_password_in_clear_text() {
    let basic = "WWW-Authenticate: Basic realm=\"acs\"";
    for (challenge, is_answered) in [(basic, false), (MD5, true)] {
        let target = Server::start(vec![vec![
            status("401 Unauthorized", &[challenge]),
            ok("in"),
        ]]);
        let location = format!(
            "Location: http://localhost:{}/acs?x=1",
            target.address.port()
        );
        let server = Server::start(vec![vec![
            status("401 Unauthorized", &[MD5]),
            status("302 Found", &[&location]),
        ]]);
        let mut acs = connection(&server);
        let result = acs.post(b"<inform/>");
        drop(acs);
        server.requests();
        let requests = target.requests();
        // What the first host asked for is not told to the second unasked.
        assert_eq!(requests[0].header("Authorization"), None);
        if is_answered {
            assert_eq!(body(result), "in");
            credentials(&requests[1]);
        } else {
            assert!(
                matches!(result, Err(SessionError::Redirect(_))),
                "{result:?}"
            );
            assert_eq!(requests.len(), 1);
        }
    }
}

// ---- limits

#[test]
fn too_large_an_answer_is_refused_whatever_its_framing() {
    let large = "x".repeat(LIMIT + 1);
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    for bytes in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", LIMIT + 1),
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n".into(),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
        format!("HTTP/1.1 200 OK\r\n\r\n{large}"),
        format!("HTTP/1.1 401 No\r\n{MD5}\r\n\r\n{large}"),
    ] {
        let (result, _) = one_post(vec![vec![answer(bytes), Step::Close]]);
        assert_eq!(result, Err(SessionError::TooLarge { limit: LIMIT }));
    }
    let whole = &large[1..];
    let length = whole.len();
    let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{whole}");
    let (reply, _) = one_post(vec![vec![answer(bytes)]]);
    assert_eq!(body(reply), whole);
}

#[test]
fn what_is_no_http_is_refused_at_once() {
    let begun = now();
    for bytes in [
        "SSH-2.0-OpenSSH_9.6\r\n".to_owned(),
        "\u{15}\u{3}\u{1}".into(),
        "HTTP/2 200 OK\r\n\r\n".into(),
        "HTTP/1.1 099 Odd\r\n\r\n".into(),
        "HTTP/1.1 101 Switching Protocols\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx".into(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".into(),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(20),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n", "x".repeat(20_000)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(500)),
    ] {
        let (result, _) = one_post(vec![vec![answer(bytes.as_str())]]);
        assert!(
            matches!(result, Err(SessionError::Protocol(_))),
            "{bytes}: {result:?}"
        );
    }
    assert!(begun.elapsed() < TIMEOUT);
}

#[test]
fn a_silent_server_is_left_after_the_timeout() {
    for last in [
        Step::Take,
        answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal"),
    ] {
        let server = Server::start(vec![vec![last]]);
        let mut settings = settings(&server.url());
        settings.timeout = Duration::from_millis(300);
        let begun = now();
        let result = Connection::open(settings).unwrap().post(b"<inform/>");
        assert_eq!(result, Err(SessionError::Timeout("waiting for the answer")));
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(300), "{waited:?}");
        assert!(waited < Duration::from_millis(900), "{waited:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_dribbling_server_is_left_after_four_times_the_timeout() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1000));
    let pause = Duration::from_millis(10);
    let server = Server::start(vec![vec![Step::Dribble(endless, pause)]]);
    let mut settings = settings(&server.url());
    settings.timeout = Duration::from_millis(100);
    let begun = now();
    let result = Connection::open(settings).unwrap().post(b"<inform/>");
    assert_eq!(result, Err(SessionError::Timeout("waiting for the answer")));
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(400), "{waited:?}");
    assert!(waited < Duration::from_millis(1500), "{waited:?}");
    server.requests();
}

#[test]
fn a_server_that_takes_nothing_is_left_after_the_timeout() {
    let server = Server::start(vec![vec![
        Step::Pause(Duration::from_millis(1200)),
        Step::Close,
    ]]);
    let mut settings = settings(&server.url());
    settings.timeout = Duration::from_millis(300);
    let result = Connection::open(settings)
        .unwrap()
        .post(&vec![b'x'; 20_000_000]);
    assert_eq!(result, Err(SessionError::Timeout("sending the request")));
    server.requests();
}

#[test]
fn a_wait_ends_when_the_agent_is_told_to_stop() {
    let server = Server::start(vec![vec![Step::Take]]);
    let settings = settings(&server.url());
    let stop = Arc::clone(&settings.stop);
    let begun = now();
    let stopper = std::thread::Builder::new()
        .spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            stop.store(true, Ordering::Relaxed);
        })
        .unwrap();
    let mut acs = Connection::open(settings).unwrap();
    assert_eq!(acs.post(b"<inform/>"), Err(SessionError::Stopped));
    assert!(begun.elapsed() < Duration::from_millis(700));
    assert_eq!(acs.post(b""), Err(SessionError::Stopped));
    drop(acs);
    stopper.join().unwrap();
    server.requests();
}

/// A listener whose queue is full drops what knocks: the connect neither succeeds nor fails.
#[test]
fn a_connect_without_an_answer_ends_with_the_timeout_or_the_stop() {
    use rustix::net::{AddressFamily, SocketType};
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    rustix::net::bind(&socket, &any).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let address = SocketAddr::try_from(rustix::net::getsockname(&socket).unwrap()).unwrap();
    let first = std::net::TcpStream::connect(address).unwrap();

    let mut settings = settings(&format!("http://{address}/"));
    settings.timeout = Duration::from_millis(500);
    let stop = Arc::clone(&settings.stop);
    let mut acs = Connection::open(settings).unwrap();
    let begun = now();
    let error = acs.post(b"<inform/>").unwrap_err();
    let waited = begun.elapsed();
    assert_eq!(
        error.to_string(),
        format!("no connection to {address}: it does not answer")
    );
    assert!(waited >= Duration::from_millis(500), "{waited:?}");
    assert!(waited < Duration::from_millis(1200), "{waited:?}");
    stop.store(true, Ordering::Relaxed);
    assert_eq!(acs.connect(), Err(SessionError::Stopped));
    drop(first);
}

// ---- damage

/// Whatever comes back, `post` returns in good time and without a panic.
#[test]
fn survives_every_truncation_and_byte_flip() {
    let right = format!(
        "HTTP/1.1 401 No\r\n{MD5}\r\nSet-Cookie: a=b; Max-Age=9\r\nTransfer-Encoding: chunked\r\n\r\n\
         4\r\nbody\r\n0\r\n\r\n"
    );
    let mut answers: Vec<Vec<u8>> = (0..right.len())
        .map(|end| right.as_bytes()[..end].to_vec())
        .collect();
    for at in 0..right.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut damaged = right.clone().into_bytes();
            damaged[at] ^= flip;
            answers.push(damaged);
        }
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    for bytes in answers {
        use std::io::Write;
        let mut settings = settings(&url);
        settings.timeout = Duration::from_millis(500);
        let mut acs = Connection::open(settings).unwrap();
        acs.connect().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // The answer waits already, so the request may find it unasked for: then use the wire alone.
        let request = acs.request(9).unwrap();
        let wire = acs.wire.as_mut().unwrap();
        let Ok(mut answer) = wire.exchange(request, b"<inform/>") else {
            continue;
        };
        let mut taken = 0;
        let _ = wire.read_body(&mut answer, LIMIT, &mut |piece| {
            taken += piece.len();
            Ok(())
        });
        assert!(taken <= bytes.len());
        assert!(!wire.is_reusable());
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            acs.cookies.set(cookie.as_bytes());
        }
        offered(&answer.headers);
    }
}
