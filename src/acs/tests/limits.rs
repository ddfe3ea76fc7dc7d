//! Limits of size and time, and damaged answers.

use super::*;

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
        let (result, _) = one_post(vec![vec![respond(bytes), Step::Close]]);
        assert_eq!(result, Err(HttpError::TooLarge { limit: LIMIT }));
    }
    let whole = &large[1..];
    let length = whole.len();
    let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{whole}");
    let (response, _) = one_post(vec![vec![respond(bytes)]]);
    assert_eq!(body(response), whole);
}

#[test]
fn what_is_no_http_is_refused_at_once() {
    let begun = now();
    for bytes in [
        "SSH-2.0-OpenSSH_9.6\r\n".to_owned(),
        "\u{1}\u{3}\u{1}".into(),
        "HTTP/2 200 OK\r\n\r\n".into(),
        "HTTP/1.1 099 Odd\r\n\r\n".into(),
        "HTTP/1.1 101 Switching Protocols\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx".into(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".into(),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(20),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n", "x".repeat(70_000)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(257)),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: y\rZ: x\r\n\r\nx".into(),
    ] {
        let (result, _) = one_post(vec![vec![respond(bytes.as_str())]]);
        assert!(matches!(result, Err(HttpError::Protocol(_))), "{bytes}: {result:?}");
    }
    assert!(begun.elapsed() < TIMEOUT);
}

/// RFC 7230 §3.2.4: a folded field is one line, in each response, and the limit of the header holds for it.
#[test]
fn folded_header_fields_are_read_as_spaces() {
    let challenge = "WWW-Authenticate: Digest\r\n                 realm=\"testrealm@host.com\",\r\n\
                     \tqop=\"auth,auth-int\",\r\n nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
    let (reply, requests) = one_post(vec![vec![
        status("401 Unauthorized", &[challenge, "Set-Cookie: a=1;\r\n path=/"]),
        respond(
            "HTTP/1.1 100 Continue\r\nX: y\r\n z\r\n\r\nHTTP/1.1 200 OK\r\nServer: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
        ),
    ]]);
    assert_eq!(body(reply), "{}");
    assert_eq!(requests[1].header("Cookie"), Some("a=1"));
    let read = Authorization::parse(requests[1].header("Authorization").unwrap()).unwrap();
    assert_eq!(read.realm, "testrealm@host.com");
    let endless = format!("HTTP/1.1 200 OK\r\nServer: a{}", "\r\n b".repeat(20_000));
    let (result, _) = one_post(vec![vec![respond(endless)]]);
    assert!(matches!(result, Err(HttpError::Protocol(_))), "{result:?}");
}

#[test]
fn trailers_are_read_up_to_the_limit_of_a_header() {
    let chunked = |trailers: usize| {
        let trailers = "X: y\r\n".repeat(trailers);
        respond(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{trailers}\r\n"))
    };
    let (reply, requests) = one_post(vec![vec![chunked(1000)]]);
    assert_eq!((body(reply).as_str(), requests.len()), ("ok", 1));
    let (result, _) = one_post(vec![vec![chunked(100_000)]]);
    assert!(matches!(result, Err(HttpError::Protocol(_))), "{result:?}");
}

#[test]
fn a_silent_server_is_left_after_the_timeout() {
    for last in [Step::Take, respond("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal")] {
        let server = Server::start(vec![vec![last]]);
        let mut settings = settings(&server.url());
        settings.timeout = Duration::from_millis(300);
        let begun = now();
        let result = AcsConnection::open(settings).unwrap().post(b"<inform/>");
        assert_eq!(result, Err(HttpError::Timeout("waiting for the answer")));
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(300), "{waited:?}");
        assert!(waited < Duration::from_millis(2500), "{waited:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

/// A header of the largest size and with the most fields is read, behind an interim response and in every cut.
#[test]
fn a_header_of_64_kb_and_256_fields() {
    let end = "Content-Length: 2\r\n\r\n{}";
    let fields: String = (0..255).map(|at| format!("Set-Cookie: c{at}=x\r\n")).collect();
    let (reply, requests) =
        one_post(vec![vec![status("401 No", &[MD5]), respond(format!("HTTP/1.1 200 OK\r\n{fields}{end}"))]]);
    assert_eq!((body(reply).as_str(), requests.len()), ("{}", 2));

    let begin = "HTTP/1.1 200 OK\r\nX: ";
    let filler = "x".repeat((64 << 10) - begin.len() - "\r\n".len() - (end.len() - "{}".len()));
    let large = format!("HTTP/1.1 100 Continue\r\n\r\n{begin}{filler}\r\n{end}");
    let (reply, _) = one_post(vec![vec![respond(large.as_str())]]);
    assert_eq!(body(reply), "{}");
    let (reply, _) = one_post(vec![vec![Step::Dribble(large.clone(), 1000, Duration::from_millis(1))]]);
    assert_eq!(body(reply), "{}");
    let (result, _) = one_post(vec![vec![respond(large.replace("X: ", "X: x"))]]);
    assert!(matches!(result, Err(HttpError::Protocol(_))), "{result:?}");
}

/// Lines that are no field do no harm, a blank before the colon is removed, and odd cookies go back as they came.
#[test]
fn malformed_header_lines_are_skipped() {
    let cookies = ["n\u{e4}me=w\u{e4}rt", "q=\"a b\"", "c=1,2 3", "open=\"x"];
    let fields: String = cookies.iter().map(|cookie| format!("Set-Cookie : {cookie}; Path=/\r\n")).collect();
    let reply = format!("HTTP/1.1 200 OK\r\nno colon\r\n{fields}: nothing\r\nContent-Length\t: 2\r\n\r\n{{}}");
    let server = Server::start(vec![vec![respond(reply), ok("2")]]);
    let mut acs = connection(&server);
    assert_eq!(body(acs.post(b"<inform/>")), "{}");
    assert_eq!(body(acs.post(b"")), "2");
    drop(acs);
    let requests = server.requests();
    assert_eq!(requests[1].header("Cookie"), Some(cookies.join("; ").as_str()));
    assert_eq!(requests[1].connection, 0);
}

/// RFC 7231 §5.3.4: no compression is accepted, and one that comes anyway is named.
#[test]
fn a_compressed_answer_is_named() {
    let reply = |field: &str, body: &str| {
        let length = body.len();
        one_post(vec![vec![respond(format!("HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: {length}\r\n\r\n{body}"))]])
    };
    for coding in ["gzip", "deflate", "br"] {
        let (result, requests) = reply(&format!("Content-Encoding: {coding}"), "\u{1f}\u{8b}");
        assert_eq!(result, Err(HttpError::Compressed(coding)));
        assert_eq!(requests[0].header("Accept-Encoding"), Some("identity"));
    }
    // The fields of a proxy that has decompressed the body, and of servers that name their character set.
    for (field, text) in
        [("Content-Encoding: gzip", "\r\n<soap/>"), ("Content-Encoding: gzip", ""), ("Content-Encoding: utf-8", "x")]
    {
        assert_eq!(body(reply(field, text).0), text);
    }
}

/// A large message on a slow link has a second for each 512 bytes, beside four times the timeout.
#[test]
fn a_slow_link_has_time_for_its_bytes() {
    let large = "x".repeat(4000);
    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n{large}");
    let server = Server::start(vec![vec![Step::Dribble(reply, 40, Duration::from_millis(10))]]);
    let mut settings = settings(&server.url());
    settings.timeout = Duration::from_millis(200);
    let begun = now();
    let response = AcsConnection::open(settings).unwrap().post(b"<inform/>");
    assert_eq!(body(response), large);
    assert!(begun.elapsed() > Duration::from_millis(800));
    server.requests();
}

/// Challenges and redirects that each take their time have an end together.
#[test]
fn a_chain_of_slow_answers_ends() {
    let slowly = |head: &str| {
        let reply = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
        let size = reply.len().div_ceil(40);
        Step::Dribble(reply, size, Duration::from_millis(10)) // 400 ms
    };
    let pair = [slowly(&format!("401 No\r\n{MD5}")), slowly("302 Found\r\nLocation: next")];
    let attempt = || {
        let server = Server::start(vec![vec![pair.clone(); 5].concat()]);
        let mut settings = settings(&server.url());
        settings.timeout = Duration::from_millis(200);
        AcsConnection::open(settings).unwrap().post(b"<inform/>")
    };
    // On a busy machine a message may be late by itself, which its own limit ends before the chain is over.
    let result = (0..5).map(|_| attempt()).find(|result| *result != Err(HttpError::Timeout("waiting for the answer")));
    assert_eq!(result, Some(Err(HttpError::Timeout("answering challenges and following redirects"))));
}

/// Bytes around the body give no time, as their number has no limit of its own.
#[test]
fn slow_trailers_have_no_time_of_their_own() {
    let trailers = "X: y\r\n".repeat(1000);
    let reply = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{trailers}\r\n");
    let server = Server::start(vec![vec![Step::Dribble(reply, 20, Duration::from_millis(10))]]);
    let mut settings = settings(&server.url());
    settings.timeout = Duration::from_millis(200);
    let result = AcsConnection::open(settings).unwrap().post(b"<inform/>");
    assert_eq!(result, Err(HttpError::Timeout("waiting for the answer")));
    server.requests();
}

/// Line ends behind a response are skipped, but not without end.
#[test]
fn a_flood_of_line_ends_costs_the_connection() {
    for (count, connection) in [(10, 0), (1000, 1)] {
        let first = respond(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1{}", "\r\n".repeat(count)));
        let script = if connection == 0 { vec![vec![first, ok("2")]] } else { vec![vec![first], vec![ok("2")]] };
        let server = Server::start(script);
        let mut acs = super::connection(&server);
        assert_eq!((body(acs.post(b"<inform/>")), body(acs.post(b""))), ("1".into(), "2".into()));
        drop(acs);
        assert_eq!(server.requests()[1].connection, connection, "{count}");
    }
}

/// The system takes a large request long before a slow link has carried it.
#[test]
fn a_request_on_its_way_does_not_count_as_silence() {
    let server = Server::start(vec![vec![Step::Pause(Duration::from_millis(1200)), ok("late")]]);
    let mut settings = settings(&server.url());
    settings.timeout = Duration::from_millis(500);
    let response = AcsConnection::open(settings).unwrap().post(&[b'x'; 40_000]);
    assert_eq!(body(response), "late");
    server.requests();
}

#[test]
fn a_dribbling_server_is_left_after_four_times_the_timeout() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1000));
    let pause = Duration::from_millis(10);
    let server = Server::start(vec![vec![Step::Dribble(endless, 1, pause)]]);
    let mut settings = settings(&server.url());
    settings.timeout = Duration::from_millis(100);
    let begun = now();
    let result = AcsConnection::open(settings).unwrap().post(b"<inform/>");
    assert_eq!(result, Err(HttpError::Timeout("waiting for the answer")));
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(400), "{waited:?}");
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    server.requests();
}

#[test]
fn a_server_that_takes_nothing_is_left_after_the_timeout() {
    let server = Server::start(vec![vec![Step::Pause(Duration::from_millis(1200)), Step::Close]]);
    let mut settings = settings(&server.url());
    settings.timeout = Duration::from_millis(300);
    let result = AcsConnection::open(settings).unwrap().post(&vec![b'x'; 20_000_000]);
    assert_eq!(result, Err(HttpError::Timeout("sending the request")));
    server.requests();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the other side of the test")]
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
    let mut acs = AcsConnection::open(settings).unwrap();
    assert_eq!(acs.post(b"<inform/>"), Err(HttpError::Stopped));
    assert!(begun.elapsed() < TIMEOUT);
    assert_eq!(acs.post(b""), Err(HttpError::Stopped));
    drop(acs);
    stopper.join().unwrap();
    server.requests();
}

/// A listener with a full queue drops every attempt: the connect neither succeeds nor fails.
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
    let mut acs = AcsConnection::open(settings).unwrap();
    let begun = now();
    let error = acs.post(b"<inform/>").unwrap_err();
    let waited = begun.elapsed();
    assert_eq!(error.to_string(), format!("no connection to {address}: it does not answer"));
    assert!(waited >= Duration::from_millis(500), "{waited:?}");
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    stop.store(true, Ordering::Relaxed);
    assert_eq!(acs.connect(), Err(HttpError::Stopped));
    drop(first);
}

/// The words of an error response explain the failure, whatever their form and however much of them arrives.
#[test]
fn the_words_of_a_refusal_are_kept() {
    let refusal = |body: &str| format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let told = |steps: Vec<Step>| match one_post(vec![steps]).0 {
        Err(HttpError::Status { code: 403, text, .. }) => text,
        other => panic!("{other:?}"),
    };
    let page = "<html><body><h1>Unknown\r\n device</h1>\u{1b}[2J</body></html>";
    assert_eq!(told(vec![respond(refusal(page))]), "Unknown device [2J");
    let long = told(vec![respond(refusal(&"x ".repeat(500_000)))]);
    assert!(long.chars().count() <= 201 && long.ends_with("x…"), "{long}");
    assert_eq!(told(vec![respond(refusal(""))]), "");
    let compressed = refusal("x\u{8b}").replace("\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n");
    assert_eq!(told(vec![respond(compressed)]), "");
    // The rest of the body never comes.
    let cut = refusal("begun").replace("Length: 5", "Length: 1000");
    assert_eq!(told(vec![respond(cut), Step::Pause(Duration::from_secs(3))]), "begun");
}
