//! The ACS wakes the real agent: connection requests over HTTP, from the URL in Inform to the session that follows.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use md5::{Digest, Md5};

mod gateway;
mod support;

use gateway::{BOOT, BOOTSTRAP, SOON, gateway};
use support::*;

const URL: &str = "Device.ManagementServer.ConnectionRequestURL";
const REQUEST: &str = "6 CONNECTION REQUEST";

/// As long as nothing comes, nothing will: a session follows a request within milliseconds.
const WHILE: Duration = Duration::from_millis(700);

/// An ACS with the agent of this test registered at it.
fn registered(acs: &mut Acs) -> (Agent, String) {
    let agent = gateway(acs)
        .set("Device.ManagementServer.ConnectionRequestUsername", "acs")
        .set("Device.ManagementServer.ConnectionRequestPassword", "wake up")
        .start();
    let first = acs.session(SOON).expect_complete();
    assert_eq!(first.events(), [BOOTSTRAP, BOOT]);
    let url = first.inform().value(URL).expect("a Forced Inform parameter").to_owned(); // R103
    (agent, url)
}

fn hex(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A GET for this URL; gives the status and the head of the answer.
fn get(stream: &mut TcpStream, url: &str, authorization: &str) -> (u16, String) {
    let (authority, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("an http URL");
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\r\n").expect("sent");
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("an answer") == 1 {
        answer.push(byte[0]);
    }
    let head = String::from_utf8(answer).expect("text");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, head)
}

/// A quoted part of the challenge in the head of an answer.
fn part<'a>(head: &'a str, name: &str) -> &'a str {
    head.split(&format!("{name}=\"")).nth(1).and_then(|rest| rest.split('"').next()).expect("a digest challenge")
}

/// What GenieACS does: a request without credentials, then one with them on the same connection. Gives the last status.
fn request(url: &str, password: &str) -> u16 {
    let authority = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("an http URL");
    let mut stream = TcpStream::connect(authority).expect("the port of the URL");
    stream.set_read_timeout(Some(SOON)).expect("a limit");
    let (status, challenge) = get(&mut stream, url, "");
    assert_eq!(status, 401); // R256
    let (nonce, realm, opaque) = (part(&challenge, "nonce"), part(&challenge, "realm"), part(&challenge, "opaque"));
    let path = url.split_at(url.find(authority).expect("its authority") + authority.len()).1;
    let (ha1, ha2) = (hex(&format!("acs:{realm}:{password}")), hex(&format!("GET:{path}")));
    let response = hex(&format!("{ha1}:{nonce}:00000001:abc:auth:{ha2}"));
    let authorization = format!(
        "Authorization: Digest username=\"acs\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{path}\", qop=auth, \
         opaque=\"{opaque}\", nc=00000001, cnonce=\"abc\", response=\"{response}\"\r\n"
    );
    get(&mut stream, url, &authorization).0
}

/// R255, R256, R259, R260: a session with that event follows, to the configured ACS.
#[test]
fn the_acs_wakes_the_agent() {
    let mut acs = Acs::start(AcsOptions::new());
    let (_agent, url) = registered(&mut acs);
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert_eq!(request(&url, "wake up"), 200);
    assert_eq!(acs.session(SOON).expect_complete().events(), [REQUEST]);
}

/// R256, R268: nothing happens without the right password.
#[test]
fn a_wrong_password_wakes_nobody() {
    let mut acs = Acs::start(AcsOptions::new());
    let (_agent, url) = registered(&mut acs);
    assert_eq!(request(&url, "wrong"), 401);
    acs.quiet_for(WHILE);
}

/// R262, R263: however many requests are accepted while a session runs, exactly one session follows it.
#[test]
fn requests_in_a_session_are_followed_by_one() {
    let mut acs = Acs::start(AcsOptions::new());
    let (_agent, url) = registered(&mut acs);
    acs.expects(inform().event(REQUEST)).replies(inform_response().delay(Duration::from_millis(500)));
    assert_eq!(request(&url, "wake up"), 200);
    for _ in 0..5 {
        assert_eq!(request(&url, "wake up"), 200);
    }
    assert_eq!(acs.session(SOON).expect_complete().events(), [REQUEST]);
    assert_eq!(acs.session(SOON).expect_complete().events(), [REQUEST]);
    acs.quiet_for(WHILE);
}

/// R143: the retry of a session that failed does not say that it was asked for.
#[test]
fn a_request_is_not_retried() {
    let mut acs = Acs::start(AcsOptions::new());
    let (_agent, url) = registered(&mut acs);
    acs.expects(inform().event(REQUEST)).replies(drop_connection());
    assert_eq!(request(&url, "wake up"), 200);
    acs.session(SOON).expect_failed();
    let retry = acs.session(SOON).expect_complete();
    assert_eq!(retry.events(), [""; 0]);
    assert_eq!(retry.inform().retry_count(), Some(1));
}

/// R255, R266: the path is the device's own and stays; with another port the ACS is told of the new URL.
#[test]
fn the_url_is_kept_and_its_change_is_told() {
    let mut acs = Acs::start(AcsOptions::new());
    let (mut agent, url) = registered(&mut acs);
    agent.reboot();
    let boot = acs.session(SOON).expect_complete();
    assert_eq!((boot.events(), boot.inform().value(URL)), (vec![BOOT], Some(url.as_str())));
    let mut other = Acs::start(AcsOptions::new());
    let (_other_agent, other_url) = registered(&mut other);
    assert_ne!(url.rsplit('/').next(), other_url.rsplit('/').next());
}

/// R267: where connection requests are disabled the port is closed, and the URL empty; and open again afterwards.
#[test]
fn the_port_follows_its_parameter() {
    let mut acs = Acs::start(AcsOptions::new());
    let (agent, url) = registered(&mut acs);
    let enable = "Device.ManagementServer.HTTPConnectionRequestEnable";
    acs.enqueue(set_parameter_values(&[(enable, "boolean", "0")], "off"));
    assert_eq!(request(&url, "wake up"), 200);
    acs.session(SOON).expect_complete();
    let authority = url.split('/').nth(2).expect("an authority").to_owned();
    let closed = (0..2000).any(|_| {
        std::thread::sleep(Duration::from_millis(10)); // until the agent has looked at its settings again
        TcpStream::connect(&authority).is_err()
    });
    assert!(closed, "the port is still open");
    assert_eq!(agent.value(URL), "");
    agent.succeeds(&["set", &format!("{enable}=true")]);
    assert_eq!(agent.value(URL), url);
    assert_eq!(request(&url, "wake up"), 200);
}
