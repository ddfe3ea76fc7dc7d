//! The agent as an HTTP client: authentication, redirects, cookies, connections, and servers that fail it.

mod gateway;
mod support;

use std::time::Duration;

use gateway::{BOOT, BOOTSTRAP, PASSWORD, SOON, USERNAME, gateway, gateway_at};
use support::{
    Acs, AcsOptions, Agent, Algorithm, Challenge, Closing, Reply, Session, anything, basic, digest, drop_connection,
    drop_mid_body, empty_post, endless, get_parameter_values, get_rpc_methods, inform, inform_response, no_content,
    other_scheme, oversized, raw, redirect, response, silence, status, unauthorized_again,
};

/// A session in which the ACS asks two questions.
fn converses(options: AcsOptions) -> Session {
    let mut acs = Acs::start(options);
    acs.enqueue(get_rpc_methods());
    acs.enqueue(get_parameter_values(&["Device.DeviceInfo."]));
    let _agent = gateway(&acs).start();
    acs.session(SOON).expect_complete()
}

/// The scheme of each request's credentials, `-` for none.
fn schemes(session: &Session) -> Vec<&str> {
    let headers = session.exchanges.iter().map(|exchange| exchange.request.header("Authorization"));
    headers.map(|header| header.map_or("-", |header| header.split(' ').next().unwrap_or_default())).collect()
}

fn with_challenges(challenges: &[Challenge]) -> AcsOptions {
    let options = AcsOptions::new().credentials(USERNAME, PASSWORD);
    challenges.iter().cloned().fold(options, AcsOptions::challenge)
}

// ---- Authentication

/// R61: every algorithm with every offer of qop; R62: the user name follows from the identity.
#[test]
fn every_kind_of_digest() {
    let algorithms = [Algorithm::Unnamed, Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256, Algorithm::Sha256Sess];
    for algorithm in algorithms {
        for qop in ["auth", "auth,auth-int", "auth-int, auth", ""] {
            let challenge = digest().algorithm(algorithm).qop(qop).realm("a realm, nonce=x").opaque("o=, x");
            let session = converses(with_challenges(&[challenge]));
            assert_eq!(session.statuses(), [401, 200, 200, 200, 204], "{algorithm:?} {qop:?}");
            assert_eq!(session.connections().len(), 1, "R47");
            assert_eq!(schemes(&session), ["-", "Digest", "Digest", "Digest", "Digest"], "R59");
        }
    }
}

#[test]
fn as_genieacs_and_as_acsrs() {
    let session = converses(AcsOptions::like_genieacs(USERNAME, PASSWORD));
    assert_eq!(session.statuses(), [401, 200, 200, 200, 204]);
    let session = converses(AcsOptions::like_acsrs(USERNAME, PASSWORD));
    assert_eq!(session.statuses(), [401, 200, 200, 200, 204]);
    assert_eq!(schemes(&session), ["-", "Basic", "Basic", "Basic", "Basic"]);
}

/// R58: the server chooses, and the better one where it leaves the choice.
#[test]
fn several_challenges() {
    let strange = other_scheme("Negotiate");
    let unknown = other_scheme("Digest realm=\"r\", nonce=\"n\", algorithm=SHA-3000, qop=\"auth\"");
    let sha = digest().algorithm(Algorithm::Sha256);
    let cases = [
        (vec![basic()], "Basic"),
        (vec![basic(), digest()], "Digest"),
        (vec![strange.clone(), digest()], "Digest"),
        (vec![unknown, digest(), strange, basic()], "Digest"),
        (vec![digest().algorithm(Algorithm::Md5), sha], "Digest"),
    ];
    for (challenges, scheme) in cases {
        for options in [with_challenges(&challenges), with_challenges(&challenges).challenges_in_one_header()] {
            let session = converses(options);
            assert_eq!(session.statuses(), [401, 200, 200, 200, 204]);
            assert_eq!(schemes(&session)[1..], [scheme; 4]);
        }
    }
}

/// R59, R60: a nonce may wear out at any time, and each new TCP connection may ask anew.
#[test]
fn new_challenges_in_the_middle() {
    let worn = converses(with_challenges(&[digest().nonce_uses(1)]));
    assert_eq!(worn.statuses(), [401, 200, 401, 200, 401, 200, 401, 204]);

    let mut acs = Acs::start(AcsOptions::like_genieacs(USERNAME, PASSWORD));
    acs.expects(inform()).replies(inform_response().close());
    acs.expects(empty_post()).replies(Reply::from(get_rpc_methods()).close());
    acs.expects(response("GetRPCMethods")).replies(no_content());
    let agent = gateway(&acs).start();
    assert_eq!(acs.session(SOON).expect_complete().statuses(), [401, 200, 401, 200, 401, 204]);
    drop(agent);
    drop(acs);

    let mut acs = Acs::start(AcsOptions::new().digest(USERNAME, PASSWORD));
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(unauthorized_again());
    acs.expects(empty_post()).replies(get_rpc_methods());
    acs.expects(response("GetRPCMethods")).replies(unauthorized_again().stale());
    acs.expects(response("GetRPCMethods")).replies(no_content());
    let _agent = gateway(&acs).start();
    acs.session(SOON).expect_complete();
}

/// R60, R98, R138: a wrong password fails the session; it is tried again, and nothing is forgotten.
#[test]
fn a_wrong_password() {
    let genieacs = AcsOptions::like_genieacs(USERNAME, "another");
    let acsrs = AcsOptions::like_acsrs(USERNAME, "another");
    let cases = [
        (AcsOptions::new().digest(USERNAME, "another"), vec![401, 401]),
        (AcsOptions::new().digest("another", PASSWORD), vec![401, 401]),
        (AcsOptions::new().basic(USERNAME, "another"), vec![401, 401]),
        (genieacs, vec![401, 401]),
        (acsrs, vec![401, 403]),
    ];
    for (options, statuses) in cases {
        let mut acs = Acs::start(options);
        let agent = gateway(&acs).start();
        for count in 0..2 {
            let session = acs.session(SOON).expect_failed();
            assert_eq!(session.statuses(), statuses);
            let told = session.exchanges.last().and_then(|exchange| exchange.message.clone()).expect("an Inform");
            assert_eq!(told.event_codes(), [BOOTSTRAP, BOOT]);
            assert_eq!(told.retry_count(), Some(count));
        }
        agent.wait_for_log("session failed: the server", SOON);
        assert!(!agent.log().contains(PASSWORD), "R63");
    }
}

/// R60: in the middle of a session too.
#[test]
fn refused_in_the_middle() {
    let mut acs = Acs::start(AcsOptions::new().digest(USERNAME, PASSWORD));
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(unauthorized_again());
    acs.expects(empty_post()).replies(unauthorized_again());
    acs.expects(inform().only_events(&[]).retry_count(1)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    let _agent = gateway(&acs).start();
    assert_eq!(acs.session(SOON).expect_failed().statuses(), [401, 200, 401, 401]);
    acs.session(SOON).expect_complete();
}

#[test]
fn a_challenge_that_nobody_could_answer() {
    let mut acs = Acs::start(with_challenges(&[other_scheme("Negotiate"), other_scheme("Digest realm=\"r\"")]));
    let agent = gateway(&acs).start();
    assert_eq!(acs.session(SOON).expect_failed().statuses(), [401]);
    agent.wait_for_log("session failed: ", SOON);
}

// ---- Statuses

/// R44, R109.
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

// ---- Redirects

/// R54, R57: the same POST, at any point of the session, whatever the status.
#[test]
fn redirects_at_any_point() {
    for code in [301, 302, 307] {
        let mut acs = Acs::start(AcsOptions::new().digest(USERNAME, PASSWORD).cookie("a", "; Path=/acs"));
        let there = acs.second_door(AcsOptions::new().digest(USERNAME, PASSWORD).path("/there").cookie("b", ""));
        let here = acs.url();
        acs.expects(inform()).replies(redirect(code, &there));
        acs.expects(inform()).replies(inform_response());
        acs.expects(empty_post()).replies(redirect(code, &here));
        acs.expects(empty_post()).replies(get_rpc_methods());
        acs.expects(response("GetRPCMethods")).replies(redirect(code, &there));
        acs.expects(response("GetRPCMethods")).replies(no_content());
        let _agent = gateway(&acs).start();
        acs.session(SOON).expect_complete();
    }
}

/// R54: within one server the connection stays; a Location may be relative.
#[test]
fn a_redirect_to_another_path() {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(redirect(302, "/cwmp/node7?a=b&c=d#fragment"));
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(redirect(307, "node8"));
    acs.expects(empty_post()).replies(no_content());
    acs.allow_violation("R10: the target is \"/cwmp/node8\""); // the reference ACS does not resolve it
    let _agent = gateway(&acs).start();
    let session = acs.session(SOON).expect_complete();
    let targets: Vec<&str> = session.exchanges.iter().map(|exchange| exchange.request.target.as_str()).collect();
    let node = "/cwmp/node7?a=b&c=d";
    assert_eq!(targets, ["/acs", node, node, "/cwmp/node8"]);
    assert_eq!(session.connections().len(), 1);
}

/// R56: five in a row are followed, also again later in the session; a sixth is one too many.
#[test]
fn how_many_redirects_in_a_row() {
    let mut acs = Acs::start(AcsOptions::new());
    let hop = |acs: &Acs, n: u32| acs.expects(inform()).replies(redirect(302, &format!("/hop/{n}")));
    (1..=5).for_each(|n| hop(&acs, n));
    acs.expects(inform()).replies(inform_response());
    (1..=5).for_each(|n| acs.expects(empty_post()).replies(redirect(307, &format!("/again/{n}"))));
    acs.expects(empty_post()).replies(no_content());
    (1..=6).for_each(|n| hop(&acs, n));
    acs.expects(inform().retry_count(1)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    let mut agent = gateway(&acs).start();
    acs.session(SOON).expect_complete();
    agent.wait_for_log("session done", SOON);
    agent.reboot();
    agent.wait_for_log("session failed: a redirect was not followed: too many in a row", SOON);
    assert_eq!(acs.session(SOON).expect_failed().statuses(), [302; 6]);
    acs.session(SOON).expect_complete();
}

/// R55: only for the rest of the session; neither the retry nor the next session begins there.
#[test]
fn a_redirect_is_not_kept() {
    for code in [301, 302, 307] {
        let mut acs = Acs::start(AcsOptions::new());
        let there = acs.second_door(AcsOptions::new().path("/there"));
        let url = "Device.ManagementServer.URL";
        acs.expects(inform().retry_count(0)).replies(redirect(code, &there));
        acs.expects(inform().retry_count(0)).replies(status(404));
        acs.expects(inform().retry_count(1)).replies(redirect(code, &there));
        acs.expects(inform().retry_count(1)).replies(inform_response());
        acs.expects(empty_post()).replies(get_parameter_values(&[url]));
        acs.expects(response("GetParameterValues").parameter(url, &acs.url())).replies(no_content());
        acs.expects(inform().only_events(&[BOOT])).replies(inform_response());
        acs.expects(empty_post()).replies(no_content());
        let mut agent = gateway(&acs).start();
        let targets = |session: Session| -> Vec<String> {
            session.exchanges.iter().map(|exchange| exchange.request.target.clone()).collect()
        };
        assert_eq!(targets(acs.session(SOON).expect_failed()), ["/acs", "/there"]);
        assert_eq!(targets(acs.session(SOON).expect_complete())[..2], ["/acs", "/there"]);
        agent.wait_for_log("session done", SOON);
        agent.reboot();
        assert_eq!(targets(acs.session(SOON).expect_complete()), ["/acs", "/acs"]);
    }
}

#[test]
fn redirects_that_lead_nowhere() {
    let cases = [
        redirect(302, "ftp://elsewhere.example/"),
        redirect(302, "http://"),
        redirect(302, "http://[::1"),
        redirect(302, "http://127.0.0.1:99999/"),
        redirect(302, "http://127.0.0.1:1/"),
        redirect(302, "mailto:acs@example.com"),
        status(302),
    ];
    let mut running = Vec::new();
    for reply in cases {
        let acs = Acs::start(AcsOptions::new());
        let what = reply.describe();
        acs.expects(inform()).replies(reply);
        acs.whenever(inform().retry_count(1)).replies(inform_response());
        let agent = gateway(&acs).start();
        running.push((what, acs, agent));
    }
    for (what, acs, agent) in running {
        let line = agent.wait_for_log("session failed: ", SOON);
        assert!(line.contains("redirect") || line.contains("connection"), "{what}: {line}");
        agent.wait_for_log("session done", SOON);
        drop(agent);
        drop(acs);
    }
}

/// After a redirect to another host the password is not told in clear text; a digest is.
#[test]
fn a_redirect_to_a_host_that_wants_the_password() {
    let mut acs = Acs::start(AcsOptions::new());
    let there = acs.second_door(AcsOptions::new().ipv6().basic(USERNAME, PASSWORD));
    acs.expects(inform()).replies(redirect(302, &there));
    let agent = gateway(&acs).start();
    let session = acs.session(SOON).expect_failed();
    assert_eq!(schemes(&session), ["-", "-"]);
    agent.wait_for_log("session failed: a redirect was not followed: the new host wants the password", SOON);
    drop(agent);
    drop(acs);

    let mut acs = Acs::start(AcsOptions::new().digest(USERNAME, PASSWORD));
    let there = acs.second_door(AcsOptions::new().ipv6().digest(USERNAME, PASSWORD));
    acs.expects(inform()).replies(redirect(302, &there));
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    let _agent = gateway(&acs).start();
    assert_eq!(acs.session(SOON).expect_complete().statuses(), [401, 302, 401, 200, 204]);
}

// ---- Cookies

/// R52, R53: all of them, whatever their attributes, until the session ends.
#[test]
fn cookies() {
    let options = |on_401: bool| {
        let options = AcsOptions::new()
            .digest(USERNAME, PASSWORD)
            .cookie("session", "")
            .cookie("JSESSIONID", "; Path=/elsewhere; HttpOnly; Secure; SameSite=Strict")
            .cookie("lb", ";Domain=.example.com;Expires=Wednesday, 09-Nov-1999 23:12:40 GMT")
            .cookie("long", &format!("{}; Max-Age=60", "x".repeat(1500)));
        if on_401 { options.cookies_on_401() } else { options }
    };
    for on_401 in [false, true] {
        let mut acs = Acs::start(options(on_401));
        let there = acs.second_door(AcsOptions::new().ipv6().path("/there"));
        acs.expects(inform()).replies(inform_response());
        acs.expects(empty_post()).replies(redirect(307, &there));
        acs.expects(empty_post()).replies(Reply::from(get_rpc_methods()).header("Set-Cookie", "session=; Max-Age=0"));
        acs.expects(response("GetRPCMethods")).replies(status(500));
        acs.expects(inform().retry_count(1)).replies(inform_response());
        acs.expects(empty_post()).replies(no_content());
        let _agent = gateway(&acs).start();
        let failed = acs.session(SOON).expect_failed();
        let sent = failed.exchanges.last().expect("an exchange").request.cookies();
        assert_eq!(sent.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["JSESSIONID", "lb", "long"]);
        let next = acs.session(SOON).expect_complete();
        assert!(next.exchanges[0].request.cookies().is_empty(), "R53");
    }
}

// ---- Connections

/// R45 to R47: whoever closes TCP when, the session goes on.
#[test]
fn servers_that_close_after_an_answer() {
    let closings =
        [Closing::KeepAlive, Closing::EachAnswer, Closing::LastAnswer, Closing::Each401, Closing::Each401Silently];
    for closing in closings {
        converses(AcsOptions::new().closing(closing).cookie("session", ""));
        converses(AcsOptions::new().closing(closing).digest(USERNAME, PASSWORD));
        converses(AcsOptions::new().closing(closing).basic(USERNAME, PASSWORD));
    }
    converses(AcsOptions::like_genieacs(USERNAME, PASSWORD).closing(Closing::KeepAlive));
}

/// R48, R49, R109: a lost answer fails the session; nothing is sent twice, and what was told counts only if confirmed.
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

/// R41, R42.
#[test]
fn answers_in_every_form() {
    let dribble = Duration::from_millis(5);
    converses(AcsOptions::new().chunked());
    converses(AcsOptions::new().interim());
    converses(AcsOptions::new().dribble(dribble));
    converses(AcsOptions::new().chunked().interim().dribble(dribble).digest(USERNAME, PASSWORD));
    converses(AcsOptions::new().chunked().closing(Closing::EachAnswer));
    converses(AcsOptions::new().ipv6());
}

/// A name that resolves, where the ACS listens on just one of the addresses.
#[test]
fn an_acs_at_localhost() {
    let mut acs = Acs::start(AcsOptions::new());
    let _agent = gateway_at(&acs.url_at("localhost")).start();
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.exchanges[0].request.header("Host"), Some(format!("localhost:{}", acs.port()).as_str()));
}

/// R48, R125: an ACS that is not there yet is found when it is.
#[test]
fn nobody_listens() {
    let gone = Acs::start(AcsOptions::new());
    let port = gone.port();
    let agent = gateway(&gone).start();
    drop(gone); // it may have got a session before that
    agent.wait_for_log("session failed: no connection to 127.0.0.1", SOON);
    let mut acs = Acs::start(AcsOptions::new().port(port));
    let session = acs.session(SOON).expect_complete();
    assert!(session.inform().retry_count() >= Some(1));
}

#[test]
fn a_host_that_does_not_exist() {
    let agent = gateway_at("http://acs.invalid:7547/").start();
    agent.wait_for_log("session failed: the host name acs.invalid does not resolve", SOON);
}

// ---- Servers that never finish

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
        // A second of silence and a second of waiting.
        assert!(retried.exchanges[0].at - last >= Duration::from_secs(2));
        agent.wait_for_log("session failed: timed out while waiting for the answer", SOON);
    }
}

/// The limit is for silence, not for an answer that comes slowly.
#[test]
fn a_slow_acs() {
    let mut acs = Acs::start(AcsOptions::new().dribble(Duration::from_millis(100)));
    let _agent = gateway(&acs).args(&["--acs-timeout", "1"]).start();
    let session = acs.session(SOON).expect_complete();
    assert!(session.duration() > Duration::from_secs(1));
}

/// No answer, however long, makes the agent grow.
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
        let peak = peak_memory(&agent);
        assert!(peak < 48 << 10, "{what}: {peak} kB");
    }
}

/// The most memory that the agent ever had, in kB; 0 where the system does not tell.
fn peak_memory(agent: &Agent) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// What is no HTTP fails the session, and the agent lives.
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
        format!("{ok}no colon\r\n\r\n").into_bytes(),
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
