//! The agent as an HTTP client: statuses, connections, and servers that fail it.

use std::time::Duration;

use crate::gateway::{
    BOOT, BOOTSTRAP, PASSWORD, SOON, USERNAME, gateway, gateway_at, run_simple_session, run_simple_session_allowing,
};
use crate::support::{
    Acs, AcsOptions, Agent, Closing, Reply, anything, drop_connection, drop_mid_body, empty_post, endless, garbage,
    get_rpc_methods, inform, inform_response, no_content, oversized, raw, response, silence, status,
    unauthorized_again,
};

/// R44, R109: a status other than 200 and 204 fails the session.
#[test]
fn statuses_that_end_a_session() {
    let statuses = [402, 403, 404, 405, 410, 418, 500, 501, 502, 503, 599, 201, 206, 304];
    let mut running = Vec::new();
    for code in statuses {
        let acs = Acs::start(AcsOptions::new());
        acs.expects(inform()).replies(status(code).body(b"no"));
        acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(1)).replies(inform_response());
        acs.expects(empty_post()).replies(no_content());
        let agent = gateway(&acs).start();
        running.push((code, acs, agent));
    }
    for (code, mut acs, agent) in running {
        agent.wait_for_log(&format!("session failed: the server answered with HTTP status {code}"), SOON);
        assert_eq!(acs.session(SOON).statuses(), [code]);
        acs.session(SOON).expect_complete();
    }
}

/// R66: `Retry-After` is a lower bound, longer than the second that the retry table gives here.
#[test]
fn an_overloaded_acs_asks_for_time() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(status(503).retry_after(3));
    acs.expects(inform().retry_count(1)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    let _agent = gateway(&acs).start();
    let first = acs.session(SOON).expect_failed();
    let second = acs.session(SOON).expect_complete();
    assert!(second.exchanges[0].at - first.exchanges[0].at >= Duration::from_secs(3));
}

/// R45 to R47: the session goes on if either side closes TCP between two exchanges.
#[test]
fn servers_that_close_after_an_answer() {
    let closings =
        [Closing::KeepAlive, Closing::EachAnswer, Closing::LastAnswer, Closing::Each401, Closing::Each401Silently];
    for closing in closings {
        run_simple_session(AcsOptions::new().closing(closing).cookie("session", ""));
        // A request that crosses with the closing behind the 401 is sent again, and both count (RFC 7616 §3.4).
        let lost = if closing == Closing::Each401Silently { "R61: nc 2 after 0" } else { "nothing" };
        run_simple_session_allowing(lost, AcsOptions::new().closing(closing).digest(USERNAME, PASSWORD));
        run_simple_session(AcsOptions::new().closing(closing).basic(USERNAME, PASSWORD));
    }
    run_simple_session(AcsOptions::like_genieacs(USERNAME, PASSWORD).closing(Closing::KeepAlive));
}

/// R46, R49: a server that closes after each answer and does not say so may do it while the next request is on its way.
/// That request is lost, and not sent again. The agent learns from it: its next session, and every one after it, gets
/// through.
#[test]
fn a_server_that_closes_silently_after_each_answer() {
    let digest = AcsOptions::new().digest(USERNAME, PASSWORD).cookie("session", "");
    let mut running = Vec::new();
    for options in [AcsOptions::new(), AcsOptions::new().basic(USERNAME, PASSWORD), digest] {
        let acs = Acs::start(options.closing(Closing::EachAnswerSilently));
        acs.allow_violation("R61: nc 2 after 0"); // an answer to a 401, lost with its connection
        let agent = gateway(&acs)
            .set("Device.ManagementServer.PeriodicInformEnable", "true")
            .set("Device.ManagementServer.PeriodicInformInterval", "1")
            .start();
        running.push((acs, agent));
    }
    for (acs, _) in &mut running {
        let _ = acs.session(SOON); // completed by luck
    }
    for at in (0..running.len()).cycle().take(6) {
        let acs = &mut running[at].0;
        (0..5).for_each(|_| acs.enqueue(get_rpc_methods()));
        let session = acs.session(SOON).expect_complete();
        assert!(session.connections().len() >= 2, "{}", session.describe());
    }
}

/// R48, R49, R109: a lost answer fails the session; no request is sent twice, and events count as delivered only if
/// they were confirmed.
#[test]
fn dropped_connections() {
    for (how, dropped) in [("before an answer", drop_connection()), ("inside an answer", drop_mid_body())] {
        for stage in ["Inform", "empty POST", "response"] {
            let mut acs = Acs::start(AcsOptions::new());
            let lost = |at: &str, otherwise: Reply| if at == stage { dropped.clone() } else { otherwise };
            acs.expects(inform().only_events(&[BOOTSTRAP, BOOT])).replies(lost("Inform", inform_response()));
            if stage != "Inform" {
                acs.expects(empty_post()).replies(lost("empty POST", get_rpc_methods().into()));
            }
            if stage == "response" {
                acs.expects(response("GetRPCMethods")).replies(dropped.clone());
            }
            let events: &[&str] = if stage == "Inform" { &[BOOTSTRAP, BOOT] } else { &[] };
            acs.expects(inform().only_events(events).retry_count(1)).replies(inform_response());
            acs.expects(empty_post()).replies(no_content());
            let agent = gateway(&acs).start();
            acs.session(SOON).expect_failed();
            acs.session(SOON).expect_complete();
            let reason = if how == "inside an answer" { "cut short" } else { "closed the connection without" };
            let line = agent.wait_for_log("session failed", SOON);
            assert!(line.contains(reason), "{how}, {stage}: {line}");
        }
    }
}

/// R41, R42: a response is read in every framing.
#[test]
fn answers_in_every_form() {
    let dribble = Duration::from_millis(5);
    run_simple_session(AcsOptions::new().chunked());
    run_simple_session(AcsOptions::new().interim());
    run_simple_session(AcsOptions::new().dribble(dribble));
    run_simple_session(AcsOptions::new().chunked().interim().dribble(dribble).digest(USERNAME, PASSWORD));
    run_simple_session(AcsOptions::new().chunked().closing(Closing::EachAnswer));
    run_simple_session(AcsOptions::new().ipv6());
}

/// RFC 7230 §3.2.4.
#[test]
fn folded_header_fields() {
    let mut acs = Acs::start(AcsOptions::new().cookie("a", ";\r\n Path=/").cookie("b", "\r\n\t; HttpOnly"));
    let fold = |reply: Reply| reply.header("Server", "a web\r\n application\r\n\tfirewall");
    acs.expects(inform()).replies(fold(inform_response()));
    acs.expects(empty_post()).replies(fold(no_content()));
    let _agent = gateway(&acs).start();
    assert_eq!(acs.session(SOON).expect_complete().statuses(), [200, 204]);
}

/// A name that resolves, where the ACS listens on just one of the addresses.
#[test]
fn an_acs_at_localhost() {
    let mut acs = Acs::start(AcsOptions::new());
    let _agent = gateway_at(&acs.url_at("localhost")).start();
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.exchanges[0].request.header("Host"), Some(format!("localhost:{}", acs.port()).as_str()));
}

/// R48, R125: the agent retries until the ACS is there.
#[test]
fn nobody_listens() {
    let options = AcsOptions::new().address_of_its_own();
    let gone = Acs::start(options.clone());
    let port = gone.port();
    let authority = gone.url().split('/').nth(2).expect("an authority").to_owned();
    let agent = gateway(&gone).start();
    drop(gone); // it may have got a session before that
    agent.wait_for_log(&format!("session failed: no connection to {authority}"), SOON);
    let mut acs = Acs::start(options.port(port));
    let session = acs.session(SOON).expect_complete();
    assert!(session.inform().retry_count() >= Some(1));
}

/// A host name without an address fails the session, and is retried.
#[test]
fn a_host_that_does_not_exist() {
    let agent = gateway_at("http://acs.invalid:7547/").start();
    agent.wait_for_log("session failed: the host name acs.invalid does not resolve", SOON);
}

/// R48, R119: with a limit of a second, silence at each stage fails the session after a second.
#[test]
fn a_silent_acs() {
    let mut running = Vec::new();
    for stage in 0..3 {
        let acs = Acs::start(AcsOptions::new());
        let replies = [inform_response(), get_rpc_methods().into(), no_content()];
        for (at, reply) in replies.into_iter().enumerate().take(stage + 1) {
            acs.expects(anything()).replies(if at == stage { silence() } else { reply });
        }
        acs.expects(inform().retry_count(1)).replies(inform_response());
        acs.expects(empty_post()).replies(no_content());
        let agent = gateway(&acs).args(&["--acs-timeout", "1"]).start();
        running.push((acs, agent));
    }
    for (mut acs, agent) in running {
        let failed = acs.session(SOON).expect_failed();
        let retried = acs.session(SOON).expect_complete();
        let last = failed.exchanges.last().expect("an exchange").at;
        // A failed attempt takes a second of silence and a second of retry wait.
        assert!(retried.exchanges[0].at - last >= Duration::from_secs(2));
        agent.wait_for_log("session failed: timed out while waiting for the answer", SOON);
    }
}

/// The limit counts for silence, not for an answer that comes slowly.
#[test]
fn a_slow_acs() {
    let mut acs = Acs::start(AcsOptions::new().dribble(Duration::from_millis(100)));
    let _agent = gateway(&acs).args(&["--acs-timeout", "1"]).start();
    let session = acs.session(SOON).expect_complete();
    assert!(session.duration() > Duration::from_secs(1));
}

/// R48, R119: the whole answer has a limit, too, so that an ACS that gives a few bytes now and then fails the session.
#[test]
fn a_trickling_acs() {
    let mut acs = Acs::start(AcsOptions::new().dribble(Duration::from_millis(700)));
    let agent = gateway(&acs).args(&["--acs-timeout", "1"]).start();
    agent.wait_for_log("session failed: timed out while waiting for the answer", SOON);
    acs.session(SOON).expect_failed();
    acs.forget_tasks();
}

/// Lines that are no header field are skipped, many fields are read, and the log warns once in a connection.
#[test]
fn malformed_header_lines() {
    let mut acs = Acs::start(AcsOptions::new());
    let odd = |reply: Reply| {
        let reply = reply.header("no field", "x").header("Server ", "a blank before the colon");
        (0..200).fold(reply, |reply, at| reply.header(&format!("X-{at}"), &"x".repeat(200)))
    };
    acs.expects(inform()).replies(odd(inform_response()));
    acs.expects(empty_post()).replies(odd(no_content()));
    let agent = gateway(&acs).start();
    assert_eq!(acs.session(SOON).expect_complete().statuses(), [200, 204]);
    agent.wait_for_log("the server sends malformed header lines: 2 in this response", SOON);
    assert_eq!(agent.log().matches("malformed header lines").count(), 1, "{}", agent.log());
}

/// A compressed answer, which no request accepts, fails the session with words that name it.
#[test]
fn a_compressed_answer() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(garbage(b"\x1f\x8b\x08\x00").header("Content-Encoding", "gzip"));
    acs.expects(inform().retry_count(1)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    let agent = gateway(&acs).start();
    agent.wait_for_log("session failed: the server sent the body with Content-Encoding gzip", SOON);
    let failed = acs.session(SOON).expect_failed();
    assert_eq!(failed.exchanges[0].request.header("Accept-Encoding"), Some("identity"));
    acs.session(SOON).expect_complete();
}

/// A response of any length does not increase the memory of the agent.
#[test]
fn answers_without_measure() {
    let endless_header = || {
        let line = format!("X-More: {}\r\n", "x".repeat(8000));
        raw(format!("HTTP/1.1 200 OK\r\n{}", line.repeat(1000)).as_bytes()).close()
    };
    let endless_line = || raw(format!("HTTP/1.1 200 OK\r\nX-More: {}", "x".repeat(4 << 20)).as_bytes());
    let large_401 = unauthorized_again().body(&vec![b' '; 6 << 20]);
    let cases: Vec<(&str, Reply)> = vec![
        ("an endless body", endless()),
        ("a large body", oversized(6 << 20)),
        ("a large chunked body", oversized(6 << 20).chunked()),
        ("many header fields", endless_header()),
        ("a long header field", endless_line().close()),
        ("a large 401", large_401),
    ];
    let mut running = Vec::new();
    for (what, reply) in cases {
        let acs = Acs::start(AcsOptions::new());
        acs.expects(inform()).replies(reply);
        acs.expects(inform().retry_count(1)).replies(inform_response());
        acs.expects(empty_post()).replies(no_content());
        let agent = gateway(&acs).start();
        running.push((what, acs, agent));
    }
    for (what, mut acs, agent) in running {
        acs.session(SOON).expect_failed();
        acs.session(SOON).expect_complete();
        if !crate::support::agent::is_replaced() {
            let peak = peak_memory(&agent);
            assert!(peak < 48 << 10, "{what}: {peak} kB");
        }
    }
}

/// Returns the most memory that the agent has had, in kB; 0 if the system does not report it.
fn peak_memory(agent: &Agent) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// An answer that is no HTTP fails the session, and the agent goes on.
#[test]
fn answers_that_are_no_http() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let cases: Vec<Vec<u8>> = vec![
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        b"\x15\x03\x01\x00\x02\x02\x16".to_vec(),
        b"\0\0\0\0".to_vec(),
        b"HTTP/1.1 \r\n\r\n".to_vec(),
        b"HTTP/1.1 99 What\r\n\r\n".to_vec(),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".to_vec(),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000).into_bytes(),
        format!("{ok}Content-Length: -1\r\n\r\n").into_bytes(),
        format!("{ok}Content-Length: 99999999999999999999\r\n\r\n").into_bytes(),
        format!("{ok}Content-Length: 18446744073709551615\r\n\r\nx").into_bytes(),
        format!("{ok}Content-Length: 10\r\n\r\nshort").into_bytes(),
        format!("{ok}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd").into_bytes(),
        format!("{ok}X: {}\r\n\r\n", "x".repeat(65 << 10)).into_bytes(),
        format!("{ok}{}\r\n", "X: y\r\n".repeat(257)).into_bytes(),
        format!("{ok}X: a\rb\r\n\r\n").into_bytes(),
        format!("{ok}Bad\0Name: x\r\n\r\n").into_bytes(),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\nzz\r\n").into_bytes(),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n").into_bytes(),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefg\r\n0\r\n\r\n").into_bytes(),
        format!("{ok}Transfer-Encoding: chunked\r\n\r\n{}", "0".repeat(100_000)).into_bytes(),
        ok.as_bytes().to_vec(),
    ];
    let mut running = Vec::new();
    for bytes in cases {
        let acs = Acs::start(AcsOptions::new());
        let what = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        acs.expects(inform()).replies(raw(&bytes).close());
        acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(1)).replies(inform_response());
        acs.expects(empty_post()).replies(no_content());
        let agent = gateway(&acs).start();
        running.push((what, acs, agent));
    }
    for (what, mut acs, agent) in running {
        acs.session(SOON).expect_failed();
        let again = acs.session(SOON);
        assert!(again.is_complete(), "{what}: {}", agent.log());
    }
}
