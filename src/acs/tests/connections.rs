//! Connections that come and go.

use super::*;

#[test]
fn a_connection_dropped_behind_a_401_is_replaced() {
    for close in ["Connection: close", "X-Nothing: said"] {
        for _ in 0..20 {
            let (response, requests) = one_post(vec![
                vec![status("401 Unauthorized", &["WWW-Authenticate: Basic realm=acs", close]), Step::Close],
                vec![ok("in")],
            ]);
            assert_eq!(body(response), "in");
            assert_eq!(requests.last().unwrap().connection, 1);
        }
    }
}

/// The close arrives only after the repeated request went out.
#[test]
fn a_request_that_dies_behind_a_401_is_sent_on_a_new_connection_and_no_other_is() {
    let dying = |first| vec![first, Step::Pause(Duration::from_millis(50)), Step::Close];
    let challenge = status("401 Unauthorized", &[MD5]);
    let (response, requests) = one_post(vec![dying(challenge), vec![ok("in")]]);
    assert_eq!(body(response), "in");
    assert_eq!(requests.len(), 2);
    credentials(&requests[1]);

    let server = Server::start(vec![dying(ok("1"))]);
    let mut acs = connection(&server);
    assert_eq!(body(acs.post(b"<inform/>")), "1");
    assert_eq!(acs.post(b"<x/>"), Err(HttpError::Closed));
    server.requests();
}

/// A server of TLS that receives plain HTTP may close the connection without a byte.
#[test]
fn a_first_request_that_is_not_answered_asks_for_https() {
    let (result, _) = one_post(vec![vec![Step::Take, Step::Close]]);
    let text = result.expect_err("no response").to_string();
    assert!(text.contains("closed the connection without an answer") && text.contains("https"), "{text}");
}

#[test]
fn a_connection_closed_between_exchanges_is_replaced_with_the_same_cookies() {
    let cookies = ["Set-Cookie: a=1; Path=/", "Set-Cookie: b=2", "Set-Cookie: a=3"];
    let server = Server::start(vec![
        vec![status("200 OK", &cookies), Step::Close],
        vec![respond("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), Step::Close],
        vec![respond("HTTP/1.1 200 OK\r\n\r\nuntil the end"), Step::Close],
        vec![ok("x"), Step::Say("\r\n".into()), ok("y"), Step::Say("junk".into())],
        vec![status("204 No Content", &[])],
    ]);
    let mut acs = connection(&server);
    let mut responses = Vec::new();
    for _ in 0..6 {
        responses.push(body(acs.post(b"<x/>")));
        std::thread::sleep(Duration::from_millis(50)); // a close without notice needs time to arrive
    }
    drop(acs);
    assert_eq!(responses, ["", "ok", "until the end", "x", "y", ""]);
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
            vec![respond(cut), Step::Close],
            vec![respond(&cut[..20]), Step::Close],
            vec![respond("HTTP/1.1 100 Continue\r\n\r\n"), Step::Close],
        ] {
            let server = Server::start(vec![[before.clone(), last.clone()].concat()]);
            let mut acs = connection(&server);
            for _ in &before {
                acs.post(b"<x/>").unwrap();
            }
            let result = acs.post(b"<x/>");
            drop(acs);
            assert!(matches!(result, Err(HttpError::Closed | HttpError::Io(_))), "{last:?}: {result:?}");
            assert_eq!(server.requests().len(), before.len() + 1);
        }
    }
}

#[test]
fn nobody_listening_is_told_with_the_address() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut acs = AcsConnection::open(settings(&format!("http://{address}/"))).unwrap();
    let error = acs.connect().unwrap_err();
    assert_eq!(error.to_string(), format!("no connection to {address}: Connection refused"));
    assert!(matches!(AcsConnection::open(settings("ftp://acs/")), Err(HttpError::Url(_))));
}

#[test]
fn connects_before_the_first_request_where_asked() {
    let server = Server::start(vec![vec![ok("in")]]);
    let url = server.url().replace("127.0.0.1", "localhost");
    let mut acs = AcsConnection::open(settings(&url)).unwrap();
    assert_eq!(acs.local_addr(), None);
    acs.connect().unwrap();
    assert!(acs.local_addr().unwrap().ip().is_loopback());
    assert_eq!(body(acs.post(b"<inform/>")), "in");
    drop(acs);
    assert_eq!(server.requests().len(), 1);
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_build_without_tls_says_so() {
    let mut acs = AcsConnection::open(settings("https://127.0.0.1:1/")).unwrap();
    assert_eq!(acs.connect().unwrap_err().to_string(), "no secure connection: this build has no TLS");
}
