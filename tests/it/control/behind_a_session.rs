//! Commands during a session with an ACS that is silent, in each phase of the session (R111, R124).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{CODE, PROGRAM, agent_with, builder, eventually, reason, silent_acs, status};
use crate::gateway::{SOON, TR_181};
use crate::support::agent::program;
use crate::support::network::{BLACK_HOLE, with_network};
use crate::support::stopwatch::Stopwatch;
use crate::support::{AcsOptions, Agent, ManualAcs, set_parameter_values};

const SERIAL: &str = "Device.DeviceInfo.SerialNumber";

/// The longest time of a command that does not wait for the session.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Checks that reads and `inform` are answered at once by an agent that is in a session.
fn answers_at_once(agent: &Agent, phase: &str) {
    agent.wait_for_control();
    eventually("a session", || status(agent)["session"]["seconds"].is_u64());
    let commands: [(&[&str], &str); 5] = [
        (&["get", SERIAL], "SerialNumber=0000000001\n"),
        (&["get", "Device.DeviceInfo."], "SerialNumber=0000000001\n"),
        (&["inform", "X 00D09E Test"], "reports the event"),
        (&["status"], "running for "),
        (&["status"], "X 00D09E Test"),
    ];
    for (command, expected) in commands {
        let mut took = Vec::new();
        // On a busy machine the client itself may take longer: one of a few attempts is enough.
        let output = loop {
            let began = Stopwatch::start();
            let output = agent.succeeds(command);
            took.push(began.elapsed());
            if began.is_within(AT_ONCE) {
                break output;
            }
            assert!(took.len() < 4, "{phase}: {command:?} took {took:?}");
        };
        assert!(output.contains(expected), "{phase}: {command:?}: {output}");
    }
    assert!(status(agent)["session"]["seconds"].is_u64(), "{phase}: the session still runs");
}

/// Returns the URL of an ACS that accepts connections and calls `serve` with each.
fn acs_that(serve: fn(TcpStream)) -> String {
    let (listener, url) = silent_acs();
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(thread::spawn(move || serve(stream)))));
    url
}

/// Reads what the agent sends, until it closes the connection.
fn drain(mut stream: TcpStream) {
    while matches!(stream.read(&mut [0; 4096]), Ok(1..)) {}
}

#[test]
fn an_acs_that_is_silent() {
    let (_listener, url) = silent_acs();
    let agent = builder(&TR_181, &url).start();
    answers_at_once(&agent, "no response");
}

#[test]
fn an_acs_that_sends_half_a_response() {
    let url = acs_that(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n<soap");
        drain(stream);
    });
    answers_at_once(&builder(&TR_181, &url).start(), "half a response");
}

#[test]
fn an_acs_that_sends_byte_after_byte() {
    let url = acs_that(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(2));
        }
    });
    answers_at_once(&builder(&TR_181, &url).start(), "byte after byte");
}

#[cfg(feature = "tls")]
#[test]
fn an_acs_that_is_silent_in_the_handshake_of_tls() {
    let directory = tempfile::tempdir().expect("a directory");
    let ca_file = crate::support::Authority::new("test CA").ca_file(directory.path());
    let url = acs_that(drain).replace("http:", "https:");
    let agent = builder(&TR_181, &url).args(&["--ca-file".as_ref(), ca_file.as_os_str()]).start();
    answers_at_once(&agent, "TLS");
}

#[test]
fn an_acs_that_accepts_no_connection() {
    let agent = builder(&TR_181, "http://192.0.2.1/acs");
    let Some(agent) = with_network(agent, BLACK_HOLE, &[]) else { return };
    answers_at_once(&agent.start(), "the connection");
}

#[test]
fn a_name_server_that_is_silent() {
    let directory = tempfile::tempdir().expect("a directory");
    let servers = directory.path().join("resolv.conf");
    std::fs::write(&servers, "nameserver 192.0.2.1\n").expect("a file");
    let agent = builder(&TR_181, "http://acs.example/acs");
    let mounts: [(&Path, &str); 1] = [(&servers, "/etc/resolv.conf")];
    let Some(agent) = with_network(agent, BLACK_HOLE, &mounts) else { return };
    answers_at_once(&agent.start(), "the name");
}

fn set(agent: &Agent, value: &str) -> Child {
    let mut command = Command::new(program(PROGRAM));
    command.arg("set").arg("--control").arg(agent.control()).arg(format!("{}={value}", TR_181.at(CODE)));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a client")
}

/// Reads do not wait behind changes that wait for the session, however many these are.
#[test]
fn changes_that_wait_hold_up_no_read() {
    let (_listener, url) = silent_acs();
    let mut agent = builder(&TR_181, &url).start();
    agent.wait_for_log("session with", SOON);
    let waiting: Vec<Child> = (0..20).map(|n| set(&agent, &n.to_string())).collect();
    thread::sleep(Duration::from_millis(300));
    answers_at_once(&agent, "beside changes");
    assert_eq!(agent.succeeds(&["get", TR_181.at(CODE)]), format!("{}=\n", TR_181.at(CODE)), "none is made");
    assert!(agent.terminate().success());
    for client in waiting {
        let output = client.wait_with_output().expect("an end");
        assert!(reason(&output).ends_with("the agent is stopping; nothing was done"), "{output:?}");
    }
}

/// A user is told why a change takes so long.
#[test]
fn a_change_that_waits_says_why() {
    let (_listener, url) = silent_acs();
    let agent = builder(&TR_181, &url).args(&["--acs-timeout", "3"]).start();
    agent.wait_for_log("session with", SOON);
    let output = set(&agent, "late").wait_with_output().expect("an end");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains("waiting for the end of a session"), "{told}");
}

/// The values of a read are those of the requests that the ACS has made so far, and the event of an `inform` goes with
/// the session that follows.
#[test]
fn a_read_shows_what_the_acs_has_set_so_far() {
    let code = TR_181.at(CODE);
    let acs = ManualAcs::start(AcsOptions::new());
    let agent = agent_with(&TR_181, &acs.url(), &[], &[]);
    acs.expect_session(&["0 BOOTSTRAP", "1 BOOT"], |_, session| {
        session.succeeds(&set_parameter_values(&[(code, "string", "by the ACS")], "key"));
        assert_eq!(agent.succeeds(&["get", code]), format!("{code}=by the ACS\n"));
        let told = agent.succeeds(&["inform", "X 00D09E Test"]);
        assert!(told.starts_with("a session is running: "), "{told}");
    });
    acs.expect_events(&["X 00D09E Test"]);
}
