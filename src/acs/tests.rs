//! The connection of a session against a scripted server on the loopback.

mod authentication;
mod connections;
mod limits;
mod redirects;
mod server;
#[cfg(feature = "tls")]
mod tls;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::*;
use crate::digest::Authorization;
use server::{Request, Server, Step, ok, respond, status};

/// The timeout: short enough for a test, long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(2);
const LIMIT: usize = 100_000;

fn settings(url: &str) -> AcsSettings {
    AcsSettings {
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

fn connection(server: &Server) -> AcsConnection {
    AcsConnection::open(settings(&server.url())).unwrap()
}

/// Sends one POST of `<inform/>` and returns its result with the requests that the server received.
fn one_post(script: Vec<Vec<Step>>) -> (Result<Response, HttpError>, Vec<Request>) {
    let server = Server::start(script);
    let mut acs = connection(&server);
    let result = acs.post(b"<inform/>");
    drop(acs);
    (result, server.requests())
}

fn body(response: Result<Response, HttpError>) -> String {
    String::from_utf8(response.unwrap().body).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "measures how long a wait took")]
fn now() -> Instant {
    Instant::now()
}

/// The challenge of GenieACS.
const MD5: &str = "WWW-Authenticate: Digest realm=\"GenieACS\",qop=\"auth,auth-int\",nonce=\"n1\"";

/// Returns the credentials of a request, which must be right.
fn credentials(request: &Request) -> Authorization {
    let read = Authorization::parse(request.header("Authorization").unwrap()).unwrap();
    assert!(read.verify("00D09E-4711", "s3cret", "POST"), "{request:?}");
    assert_eq!(read.uri, "/acs?x=1");
    read
}

/// R34 to R38, R42.
#[test]
fn an_envelope_and_an_empty_post_look_as_tr069_wants_them() {
    let server = Server::start(vec![vec![ok("<soap/>"), status("204 No Content", &[])]]);
    let mut acs = connection(&server);
    let (first, second) = (acs.post(b"<inform/>").unwrap(), acs.post(b"").unwrap());
    assert_eq!((first.status, first.body.as_slice()), (200, &b"<soap/>"[..]));
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
             Accept-Encoding: identity\r\nContent-Type: text/xml; charset=utf-8\r\nSOAPAction: \r\nContent-Length: 9\r\n\r\n"
        )
    );
    assert_eq!(requests[0].body, b"<inform/>");
    assert_eq!(
        requests[1].head,
        format!(
            "POST /acs?x=1 HTTP/1.1\r\nHost: {address}\r\nUser-Agent: cpe-agent/{version}\r\n\
             Accept-Encoding: identity\r\nContent-Length: 0\r\n\r\n"
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
        let (response, _) = one_post(vec![vec![respond(bytes), Step::Close]]);
        assert_eq!(body(response), "hello world", "{bytes}");
        let pause = Duration::from_millis(1);
        let (response, _) = one_post(vec![vec![Step::Dribble(bytes.into(), 1, pause), Step::Close]]);
        assert_eq!(body(response), "hello world", "{bytes}");
    }
    let (response, _) = one_post(vec![vec![respond("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]]);
    assert_eq!(body(response), "");
}

#[test]
fn sends_a_large_body_whole_and_once() {
    let large: Vec<u8> = (0..2_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let server = Server::start(vec![vec![Step::Pause(Duration::from_millis(300)), ok("done")]]);
    let mut acs = connection(&server);
    assert_eq!(body(acs.post(&large)), "done");
    drop(acs);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].body == large);
}

#[test]
fn other_statuses_end_the_session() {
    for (line, headers, code, wait) in [
        ("403 Forbidden", vec![], 403, None),
        ("500 Internal Server Error", vec![], 500, None),
        ("201 Created", vec![], 201, None),
        ("303 See Other", vec!["Location: /x"], 303, None),
        ("503 Busy", vec!["Retry-after: 60"], 503, Some(60)),
        ("503 Busy", vec!["Retry-After: 99999999999999999999"], 503, Some(86400)),
        ("503 Busy", vec!["Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"], 503, None),
        (
            "503 Busy",
            vec!["Retry-After: Fri, 31 Dec 1999 23:59:59 GMT", "Date: Fri, 31 Dec 1999 23:58:49 GMT"],
            503,
            Some(70),
        ),
        (
            "503 Busy",
            vec!["Retry-After: Sat, 01 Jan 2000 00:00:09 GMT", "Date: Fri, 31 Dec 1999 23:59:59 GMT"],
            503,
            Some(10),
        ),
        (
            "503 Busy",
            vec!["Retry-After: Fri, 31 Dec 2199 23:59:59 GMT", "Date: Fri, 31 Dec 1999 23:59:59 GMT"],
            503,
            Some(86400),
        ),
        (
            "503 Busy",
            vec!["Retry-After: Fri, 31 Dec 1999 23:59:59 GMT", "Date: Sat, 01 Jan 2000 00:00:09 GMT"],
            503,
            None,
        ),
        (
            "503 Busy",
            vec!["Retry-After: Fri, 31 Foo 1999 23:59:59 GMT", "Date: Fri, 31 Dec 1999 23:58:49 GMT"],
            503,
            None,
        ),
    ] {
        let (result, requests) = one_post(vec![vec![status(line, &headers)]]);
        let error = result.unwrap_err();
        let retry_after = wait.map(Duration::from_secs);
        assert_eq!(error, HttpError::Status { code, retry_after, text: String::new() });
        assert_eq!(error.retry_after(), retry_after);
        assert_eq!(requests.len(), 1);
    }
}

#[test]
fn an_early_refusal_of_a_large_request_is_heard() {
    // The server responds and closes before it has read the request, half of which is lost.
    let server = Server::start(vec![vec![
        Step::Say("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n".into()),
        Step::Pause(Duration::from_millis(300)),
        Step::Close,
    ]]);
    let result = connection(&server).post(&vec![b'x'; 20_000_000]);
    // Linux may drop the response with the reset that follows it.
    assert!(matches!(result, Err(HttpError::Status { code: 413, .. } | HttpError::Closed)), "{result:?}");
}
