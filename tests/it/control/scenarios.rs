//! The commands `get` to `status` against the real daemon, and what clients of its socket may not do to it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::model::{MODEL, at};
use crate::gateway::{SOON, model_file};
use crate::support::agent::{AgentBuilder, patience, program};
use crate::support::port::closed_address;
use crate::support::{Acs, AcsOptions, Agent, ManualAcs, Session, inform, inform_response};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cpe-agent");
const TABLE: &str = MODEL.table;
const SERIAL: &str = at!("DeviceInfo.SerialNumber");
const INTERVAL: &str = at!("ManagementServer.PeriodicInformInterval");
const CODE: &str = at!("DeviceInfo.ProvisioningCode");
const URL: &str = at!("ManagementServer.URL");
const PASSWORD: &str = at!("ManagementServer.Password");

/// A client that wants to know everything.
const GET_ALL: &[u8] = concat!("[\"get\",\"", at!(""), "\"]\n").as_bytes();

/// Periodic Informs are off: their phase is random, and one may come first, now and then.
fn builder(url: &str) -> AgentBuilder {
    Agent::builder(PROGRAM)
        .data_model(model_file(MODEL.file))
        .set(URL, url)
        .set(at!("ManagementServer.PeriodicInformEnable"), "false")
}

/// An agent with this ACS and these factory values, its socket open.
fn agent_with(url: &str, settings: &[(&str, &str)], arguments: &[&str]) -> Agent {
    let mut builder = builder(url).args(arguments);
    for (path, value) in settings {
        builder = builder.set(path, value);
    }
    let agent = builder.start();
    agent.wait_for_control();
    agent
}

/// An agent whose ACS is a closed port.
fn lonely_agent() -> Agent {
    let agent = agent_with(&format!("http://{}/acs", closed_address()), &[], &[]);
    agent.wait_for_log("session failed", SOON);
    // The log is a moment ahead of what `status` shows.
    agent.wait_for_control();
    eventually("the failed session", || status(&agent)["lastSession"]["ok"] == false);
    agent
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come");
        thread::sleep(Duration::from_millis(10));
    }
}

fn status(agent: &Agent) -> Json {
    serde_json::from_str(&agent.succeeds(&["status", "--json"])).expect("JSON")
}

/// The reason of a command that fails with status 1 and prints nothing.
fn fails(agent: &Agent, arguments: &[&str]) -> String {
    reason(&agent.command(arguments))
}

fn reason(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{text}");
    assert!(text.lines().all(|line| line.starts_with("cpe-agent: ")) && !text.is_empty(), "{text:?}");
    text.replace("cpe-agent: ", "").trim_end().to_owned()
}

fn connect(agent: &Agent) -> UnixStream {
    let stream = UnixStream::connect(agent.control()).expect("the daemon listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream
}

/// What the daemon says to these bytes before it closes the connection.
fn says(agent: &Agent, bytes: &[u8]) -> String {
    let mut stream = connect(agent);
    stream.write_all(bytes).expect("sent");
    rest(&mut stream)
}

fn rest(stream: &mut UnixStream) -> String {
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        Ok(_) => answer,
        // It did not read all that it was sent.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => answer,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn values_and_instances_come_and_go() {
    let agent = lonely_agent();
    assert_eq!(agent.succeeds(&["get", SERIAL]), format!("{SERIAL}=0000000001\n"));
    assert!(agent.succeeds(&["get", at!("")]).lines().count() > 500);
    assert_eq!(agent.succeeds(&["set", &format!("{CODE}=a b=c"), &format!("{INTERVAL}=60")]), "");
    let both = agent.succeeds(&["get", CODE, INTERVAL]);
    assert_eq!(both, format!("{CODE}=a b=c\n{INTERVAL}=60\n"));
    let number = agent.succeeds(&["add", TABLE]);
    let instance = format!("{TABLE}{}.", number.trim_end());
    assert!(agent.succeeds(&["get", &instance]).contains(&format!("{instance}Enable=false\n")));
    assert_eq!(agent.succeeds(&["delete", &instance]), "");
    assert_eq!(fails(&agent, &["get", &instance]), format!("{instance}: no such parameter or object"));
    assert_ne!(agent.succeeds(&["add", TABLE]), number);
}

#[test]
fn what_was_set_survives_a_crash() {
    let mut agent = lonely_agent();
    agent.succeeds(&["set", &format!("{CODE}=kept")]);
    let number = agent.succeeds(&["add", TABLE]);
    agent.crash_and_restart();
    agent.wait_for_control();
    assert_eq!(agent.succeeds(&["get", CODE]), format!("{CODE}=kept\n"));
    agent.succeeds(&["delete", &format!("{TABLE}{}.", number.trim_end())]);
}

#[test]
fn a_command_that_fails_says_why() {
    let agent = lonely_agent();
    let nothing = at!("Nothing");
    assert_eq!(fails(&agent, &["get", CODE, nothing]), format!("{nothing}: no such parameter or object"));
    let both = fails(&agent, &["set", &format!("{CODE}=new"), &format!("{SERIAL}=1"), &format!("{nothing}=1")]);
    assert_eq!(both, format!("{SERIAL}: the parameter is read-only\n{nothing}: no such parameter or object"));
    assert_eq!(agent.succeeds(&["get", CODE]), format!("{CODE}=\n"));
    let no_table = at!("DeviceInfo.");
    assert_eq!(fails(&agent, &["add", no_table]), format!("{no_table}: no instance can be added here"));
    let transfer = fails(&agent, &["inform", "7 TRANSFER COMPLETE"]);
    assert_eq!(transfer, "`7 TRANSFER COMPLETE` tells the end of something that the ACS has asked for");
    assert!(fails(&agent, &["inform", "2"]).starts_with("there is no event code `2`"));
    agent.succeeds(&["set", at!("ManagementServer.EnableCWMP=false")]);
    assert_eq!(fails(&agent, &["inform"]), "EnableCWMP is false: no session is started");
    assert_eq!(status(&agent)["nextSession"]["cause"], "disabled");
}

#[test]
fn without_a_daemon_there_is_a_word() {
    let mut agent = lonely_agent();
    agent.kill9();
    assert!(fails(&agent, &["status"]).starts_with("the daemon is not running: nobody answers on "));
    fs::remove_file(agent.control()).expect("left behind by the kill");
    assert!(fails(&agent, &["get", at!("")]).starts_with("the daemon is not running: there is no control socket "));
}

#[test]
fn secrets_stay_secret() {
    let agent = lonely_agent();
    agent.succeeds(&["set", &format!("{PASSWORD}=hunter2")]);
    let wrong = format!("{PASSWORD}=hunter2{}", "x".repeat(300));
    fails(&agent, &["set", &wrong]);
    assert_eq!(agent.succeeds(&["get", PASSWORD]), format!("{PASSWORD}=\n"));
    let texts = [
        agent.succeeds(&["get", at!("")]),
        agent.succeeds(&["status"]),
        agent.succeeds(&["status", "--json"]),
        fails(&agent, &["set", &wrong]),
        agent.log(),
    ];
    assert!(texts.iter().all(|text| !text.contains("hunter2")), "{texts:?}");
}

#[test]
fn status_tells_what_failed_and_what_comes() {
    let agent = lonely_agent();
    let json = status(&agent);
    assert_eq!(json["lastSession"]["ok"], false);
    assert_eq!(json["lastSession"]["events"], serde_json::json!(["0 BOOTSTRAP", "1 BOOT"]));
    assert!(
        json["lastSession"]["error"].as_str().is_some_and(|e| e.starts_with("no connection to 127.0.0.1:")),
        "{json}"
    );
    assert_eq!((&json["nextSession"]["cause"], &json["retryCount"]), (&"retry".into(), &1.into()));
    assert!(json["nextSession"]["inSeconds"].as_u64().is_some_and(|wait| wait <= 10), "{json}");
    assert_eq!(json["events"][0]["code"], "0 BOOTSTRAP");
    assert_eq!(json["journal"]["durable"], true);
    let text = agent.succeeds(&["status"]);
    for words in
        ["serial number  0000000001\n", "  result       failed: no connection to", ": retry 1\n", "durable in /"]
    {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    agent.succeeds(&["inform", "X 00D09E Test"]);
    let told = |json: Json| json["events"].as_array().expect("a list").iter().any(|e| e["code"] == "X 00D09E Test");
    assert!(told(status(&agent)));
}

#[test]
fn the_socket_is_its_owners_and_goes_with_the_daemon() {
    let mut agent = lonely_agent();
    let metadata = fs::symlink_metadata(agent.control()).expect("the socket");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600); // R24: nobody else sets the ACS URL
    assert!(agent.terminate().success());
    assert!(!agent.control().exists());
    agent.restart();
    agent.wait_for_control();
    agent.kill9();
    assert!(agent.control().exists(), "left behind");
    agent.restart();
    agent.wait_for_control();
}

#[test]
fn a_live_socket_is_not_taken() {
    let agent = lonely_agent();
    let control = agent.control();
    let mut second = builder("http://127.0.0.1:1/").args(&["--control", control.to_str().expect("UTF-8")]).start();
    second.wait_for_log("another daemon is using it", SOON);
    agent.succeeds(&["set", &format!("{CODE}=first")]);
    assert!(second.terminate().success(), "it ran without a socket");
    assert_eq!(agent.succeeds(&["get", CODE]), format!("{CODE}=first\n"));
}

#[test]
fn without_a_socket_the_daemon_goes_on() {
    let long = format!("/tmp/{}", "x".repeat(120));
    let mut agent = builder("http://127.0.0.1:1/").args(&["--control", &long]).start();
    agent.wait_for_log("the path is too long for a Unix socket", SOON);
    agent.wait_for_log("session failed", SOON);
    assert!(agent.terminate().success());
}

#[test]
fn fifty_clients_at_once_are_all_served() {
    let agent = lonely_agent();
    // And as many that say nothing, hold on and are not waited for.
    let silent: Vec<UnixStream> = (0..25).map(|_| connect(&agent)).collect();
    let began = Instant::now();
    thread::scope(|scope| {
        for n in 0..50 {
            let agent = &agent;
            scope.spawn(move || match n % 3 {
                0 => assert!(says(agent, GET_ALL).contains(&format!("{SERIAL}="))),
                1 => assert_eq!(says(agent, format!("[\"set\",\"{CODE}={n}\"]\n").as_bytes()), "{\"output\":\"\"}\n"),
                _ => assert!(says(agent, b"[\"status\"]\n").starts_with("{\"output\":\"manufacturer")),
            });
        }
    });
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    drop(silent);
}

#[test]
fn hundreds_of_commands_in_a_row() {
    let agent = lonely_agent();
    let began = Instant::now();
    for n in 0..500 {
        assert_eq!(says(&agent, format!("[\"set\",\"{CODE}={n}\"]\n").as_bytes()), "{\"output\":\"\"}\n");
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(agent.succeeds(&["get", CODE]), format!("{CODE}=499\n"));
}

#[test]
fn a_client_without_manners_harms_nobody() {
    let agent = lonely_agent();
    for bytes in [&b"\n"[..], b"\xff\xfe\0\n", b"[\"get\"]\n", b"[\"reboot\"]\n", b"GET / HTTP/1.1\r\n\r\n"] {
        assert!(says(&agent, bytes).starts_with("{\"error\":\""), "{bytes:?}");
    }
    assert!(says(&agent, &[b"[".repeat(100_000).as_slice(), b"\n"].concat()).starts_with("{\"error\":\""));
    // Ten megabytes without a line end.
    let mut endless = connect(&agent);
    let chunk = [b'x'; 64 << 10];
    let sent = (0..160).take_while(|_| endless.write_all(&chunk).is_ok()).count();
    assert!(sent < 160, "all of it was taken");
    assert!(rest(&mut endless).starts_with("{\"error\":\"the request is longer than "));
    // Gone before the answer, in the middle of the request, and while it is written.
    for bytes in [GET_ALL, b"[\"get\",", b""] {
        for _ in 0..50 {
            connect(&agent).write_all(bytes).expect("sent");
        }
    }
    // One that closes its side only is answered.
    let mut half = connect(&agent);
    half.write_all(format!("[\"get\",\"{CODE}\"]").as_bytes()).expect("sent");
    half.shutdown(Shutdown::Write).expect("shut down");
    assert_eq!(rest(&mut half), format!("{{\"output\":\"{CODE}=\\n\"}}\n"));
    agent.succeeds(&["status"]);
}

#[test]
fn who_says_nothing_or_takes_nothing_is_dropped() {
    let agent = lonely_agent();
    let mut silent = connect(&agent);
    // More answers than the agent may have open, each larger than a socket's buffer, which nobody reads.
    let everything = format!("[\"get\"{}]\n", concat!(",\"", at!(""), "\"").repeat(20));
    let deaf: Vec<UnixStream> = (0..8)
        .map(|_| {
            let mut stream = connect(&agent);
            stream.write_all(everything.as_bytes()).expect("sent");
            stream
        })
        .collect();
    let began = Instant::now();
    agent.succeeds(&["status"]);
    assert!(began.elapsed() < patience(Duration::from_secs(1)), "status waits for nobody");
    assert_eq!(rest(&mut silent), "{\"error\":\"the request did not come in time\"}\n");
    let took = began.elapsed();
    assert!((3..8).contains(&took.as_secs()), "{took:?}");
    agent.succeeds(&["get", CODE]);
    drop(deaf);
}

/// An ACS that accepts and never answers.
fn silent_acs() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/acs", listener.local_addr().expect("an address"));
    (listener, url)
}

/// R111, R124: what others want to change waits for the end of the session.
#[test]
fn while_a_session_hangs_status_answers_and_changes_wait() {
    let (_listener, url) = silent_acs();
    let agent = agent_with(&url, &[], &["--acs-timeout", "3"]);
    agent.wait_for_log("session with", SOON);
    let began = Instant::now();
    let json = status(&agent);
    assert!(began.elapsed() < patience(Duration::from_secs(1)));
    assert!(json["session"]["seconds"].is_u64(), "{json}");
    assert!(agent.succeeds(&["status"]).contains("session        running for "));
    let waiting = |value: &str| {
        let mut command = Command::new(program(PROGRAM));
        command.arg("set").arg("--control").arg(agent.control()).arg(format!("{CODE}={value}"));
        command.stdout(Stdio::null()).spawn().expect("a client")
    };
    let mut killed: Vec<_> = (0..10).map(|_| waiting("killed")).collect();
    thread::sleep(Duration::from_millis(500));
    killed.iter_mut().for_each(|client| client.kill().expect("killed"));
    killed.iter_mut().for_each(|client| assert!(!client.wait().expect("gone").success()));
    thread::sleep(Duration::from_millis(100));
    assert!(status(&agent)["session"]["seconds"].is_u64(), "it still runs");
    let patient: Vec<_> = (0..10).map(|_| waiting("patient")).collect();
    for mut client in patient {
        assert!(client.wait().expect("an end").success());
    }
    assert!(agent.log().contains("session failed"), "only then");
    assert_eq!(agent.succeeds(&["get", CODE]), format!("{CODE}=patient\n"));
    let log = agent.log();
    assert_eq!(log.matches("set locally").count(), 10, "{log}");
}

/// R136: what was asked for while a session ran is told by one session, not by one each.
#[test]
fn commands_that_waited_share_a_session() {
    const EVENTS: [&str; 3] = ["X 00D09E a", "X 00D09E b", "X 00D09E c"];
    let acs = ManualAcs::start().keeping_messages();
    let agent = agent_with(&acs.url(), &[], &[]);
    let next = || {
        let mut session = acs.accept(SOON).expect("a session");
        let inform = session.recv().expect("an Inform");
        (inform.events.len(), session)
    };
    let (_, mut session) = next();
    // On a busy machine a client may not have come to its word yet when the session ends.
    let shared = (0..5).any(|_| {
        thread::scope(|scope| {
            let clients = EVENTS.map(|event| scope.spawn(|| agent.succeeds(&["inform", event])));
            thread::sleep(Duration::from_millis(500));
            agent.succeeds(&["status"]);
            let mut told = Vec::new();
            while told.iter().sum::<usize>() < EVENTS.len() {
                session.confirm_inform();
                let _ = session.recv();
                session.end_session();
                let (events, next_call) = next();
                told.push(events);
                session = next_call;
            }
            for client in clients {
                client.join().expect("a client");
            }
            told == [EVENTS.len()]
        })
    });
    assert!(shared, "{}", agent.log());
}

#[test]
fn a_daemon_that_stops_lets_its_clients_go() {
    let (_listener, url) = silent_acs();
    let mut agent = agent_with(&url, &[], &[]);
    agent.wait_for_log("session with", SOON);
    let control = agent.control();
    let client = thread::spawn(move || {
        Command::new(program(PROGRAM)).args(["get", at!(""), "--control"]).arg(control).output().expect("a client")
    });
    thread::sleep(Duration::from_millis(300));
    assert!(agent.terminate().success());
    assert_eq!(reason(&client.join().expect("an end")), "the agent is stopping");
}

#[test]
fn inform_starts_a_session_at_once() {
    let mut acs = Acs::start(AcsOptions::new());
    let agent = agent_with(&acs.url(), &[], &[]);
    acs.session(SOON).expect_complete();
    acs.expects(inform().only_events(&["6 CONNECTION REQUEST"])).replies(inform_response());
    let began = Instant::now();
    assert_eq!(agent.succeeds(&["inform", "6 CONNECTION REQUEST"]), "");
    acs.wait_until_met(SOON);
    assert!(began.elapsed() < patience(Duration::from_secs(1)), "{:?}", began.elapsed());
    acs.session(SOON).expect_complete();
    eventually("a status of success", || status(&agent)["lastSession"]["ok"] == true);
    acs.expects(inform().only_events(&["2 PERIODIC"])).replies(inform_response());
    agent.succeeds(&["inform"]);
    acs.wait_until_met(SOON);
    acs.session(SOON).expect_complete();
}

/// R101, R134, R210.
#[test]
fn an_active_notification_starts_a_session_unless_it_is_held_back() {
    let mut acs = Acs::start(AcsOptions::new());
    let agent = agent_with(&acs.url(), &[], &[]);
    acs.session(SOON).expect_complete();
    acs.expects(inform().only_events(&["4 VALUE CHANGE"]).parameter(CODE, "new")).replies(inform_response());
    agent.succeeds(&["set", &format!("{CODE}=new")]);
    acs.wait_until_met(SOON);
    acs.session(SOON).expect_complete();
    agent.succeeds(&["set", at!("ManagementServer.DefaultActiveNotificationThrottle=3600")]);
    agent.succeeds(&["set", &format!("{CODE}=newer")]);
    acs.quiet_for(Duration::from_millis(500));
    assert_eq!(status(&agent)["nextSession"]["cause"], "notification");
    assert_eq!(status(&agent)["events"][0]["code"], "4 VALUE CHANGE");
    // Another cause is not held back, and takes it along.
    acs.expects(inform().event("2 PERIODIC").event("4 VALUE CHANGE").parameter(CODE, "newer"))
        .replies(inform_response());
    agent.succeeds(&["inform"]);
    acs.wait_until_met(SOON);
    acs.session(SOON).expect_complete();
    eventually("nothing more to tell", || status(&agent)["events"] == serde_json::json!([]));
    assert_eq!(status(&agent)["nextSession"]["cause"], "none");
}

/// The session of an agent that is told locally of another ACS, which follows at once.
fn comes_to_another_acs(agent: &Agent) -> Session {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform().event("0 BOOTSTRAP")).replies(inform_response());
    agent.succeeds(&["set", &format!("{URL}={}", acs.url())]);
    acs.wait_until_met(SOON);
    acs.session(SOON).expect_complete()
}

/// R25.
#[test]
fn another_acs_is_contacted_at_once() {
    let mut first = Acs::start(AcsOptions::new());
    let agent = agent_with(&first.url(), &[], &[]);
    first.session(SOON).expect_complete();
    comes_to_another_acs(&agent);
}

/// R25: a device whose first ACS cannot be reached does not wait with the one that it is told of.
#[test]
fn another_acs_is_contacted_while_the_first_is_to_be_tried_again() {
    let patient = (at!("ManagementServer.CWMPRetryMinimumWaitInterval"), "3600");
    let agent = agent_with(&format!("http://{}/acs", closed_address()), &[patient], &[]);
    agent.wait_for_log("session failed", SOON);
    comes_to_another_acs(&agent);
}

/// There are no sessions, and none that fail, before somebody such as the DHCP client tells the device of its ACS.
#[test]
fn a_device_that_knows_no_acs_waits_for_one() {
    let agent = agent_with("", &[], &[]);
    agent.wait_for_log("no session is started: ManagementServer.URL is empty", SOON);
    assert_eq!(fails(&agent, &["inform"]), "ManagementServer.URL is empty: no session is started");
    let json = status(&agent);
    assert_eq!((&json["nextSession"]["cause"], &json["retryCount"]), (&"disabled".into(), &0.into()), "{json}");
    assert_eq!(json["lastSession"], Json::Null);
    assert!(agent.succeeds(&["status"]).contains("next session   none: ManagementServer.URL is empty\n"));
    assert_eq!(comes_to_another_acs(&agent).inform().retry_count(), Some(0));
}
