//! The commands `get` to `status` against the real daemon, and the misbehaviour of clients of its socket.

mod behind_a_session;
mod forms_of_get;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::gateway::{Model, SOON};
use crate::support::agent::{AgentBuilder, program};
use crate::support::port::closed_address;
use crate::support::stopwatch::Stopwatch;
use crate::support::{Acs, AcsOptions, Agent, ManualAcs, Session, inform, inform_response};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cpe-agent");
const SERIAL: &str = "DeviceInfo.SerialNumber";
const INTERVAL: &str = "ManagementServer.PeriodicInformInterval";
const CODE: &str = "DeviceInfo.ProvisioningCode";
const URL: &str = "ManagementServer.URL";
const PASSWORD: &str = "ManagementServer.Password";

/// The request of a client for every parameter.
fn get_all(model: &Model) -> Vec<u8> {
    format!("[\"get\",\"{}\"]\n", model.at("")).into_bytes()
}

/// Returns a builder without periodic Informs: their phase is random, so that one could come before the tested session.
fn builder(model: &'static Model, url: &str) -> AgentBuilder {
    let url_name = model.at(URL);
    model
        .load(Agent::builder(PROGRAM))
        .set(url_name, url)
        .set(model.at("ManagementServer.PeriodicInformEnable"), "false")
}

/// Starts an agent with this ACS and these factory values, and waits for its socket.
fn agent_with(model: &'static Model, url: &str, settings: &[(&str, &str)], arguments: &[&str]) -> Agent {
    let mut builder = builder(model, url).args(arguments);
    for (path, value) in settings {
        builder = builder.set(path, value);
    }
    let agent = builder.start();
    agent.wait_for_control();
    agent
}

/// Starts an agent whose ACS is a closed port.
fn lonely_agent(model: &'static Model) -> Agent {
    let agent = agent_with(model, &format!("http://{}/acs", closed_address()), &[], &[]);
    agent.wait_for_log("session failed", SOON);
    // The log line is written a moment before `status` shows the failure.
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

/// Returns the reason of a command that must fail with status 1 and print nothing.
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

/// Sends these bytes, and returns the answer of the daemon until it closes the connection.
fn says(agent: &Agent, bytes: &[u8]) -> String {
    let mut stream = connect(agent);
    stream.write_all(bytes).expect("sent");
    rest(&mut stream)
}

fn rest(stream: &mut UnixStream) -> String {
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        Ok(_) => answer,
        // The daemon did not read all bytes that it was sent.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => answer,
        Err(error) => panic!("{error}"),
    }
}

/// The commands get, set, add and delete read and change parameters and instances.
fn values_and_instances_come_and_go(model: &'static Model) {
    let serial = model.at(SERIAL);
    let interval = model.at(INTERVAL);
    let code = model.at(CODE);
    let agent = lonely_agent(model);
    assert_eq!(agent.succeeds(&["get", serial]), format!("{serial}=0000000001\n"));
    assert!(agent.succeeds(&["get", model.at("")]).lines().count() > 500);
    assert_eq!(agent.succeeds(&["set", &format!("{code}=a b=c"), &format!("{interval}=60")]), "");
    let both = agent.succeeds(&["get", code, interval]);
    assert_eq!(both, format!("{code}=a b=c\n{interval}=60\n"));
    let number = agent.succeeds(&["add", model.table]);
    let instance = format!("{}{}.", model.table, number.trim_end());
    assert!(agent.succeeds(&["get", &instance]).contains(&format!("{instance}Enable=false\n")));
    assert_eq!(agent.succeeds(&["delete", &instance]), "");
    assert_eq!(fails(&agent, &["get", &instance]), format!("{instance}: no such parameter or object"));
    assert_ne!(agent.succeeds(&["add", model.table]), number);
}
both_models!(values_and_instances_come_and_go);

/// A value that was set by a command survives SIGKILL.
fn what_was_set_survives_a_crash(model: &'static Model) {
    let code = model.at(CODE);
    let mut agent = lonely_agent(model);
    agent.succeeds(&["set", &format!("{code}=kept")]);
    let number = agent.succeeds(&["add", model.table]);
    agent.crash_and_restart();
    agent.wait_for_control();
    assert_eq!(agent.succeeds(&["get", code]), format!("{code}=kept\n"));
    agent.succeeds(&["delete", &format!("{}{}.", model.table, number.trim_end())]);
}
both_models!(what_was_set_survives_a_crash);

/// A command that fails exits with an error, and prints the reason.
fn a_command_that_fails_says_why(model: &'static Model) {
    let serial = model.at(SERIAL);
    let code = model.at(CODE);
    let agent = lonely_agent(model);
    let nothing = model.at("Nothing");
    assert_eq!(fails(&agent, &["get", code, nothing]), format!("{nothing}: no such parameter or object"));
    let both = fails(&agent, &["set", &format!("{code}=new"), &format!("{serial}=1"), &format!("{nothing}=1")]);
    assert_eq!(both, format!("{serial}: the parameter is read-only\n{nothing}: no such parameter or object"));
    assert_eq!(agent.succeeds(&["get", code]), format!("{code}=\n"));
    let no_table = model.at("DeviceInfo.");
    assert_eq!(fails(&agent, &["add", no_table]), format!("{no_table}: no instance can be added here"));
    let transfer = fails(&agent, &["inform", "7 TRANSFER COMPLETE"]);
    assert_eq!(transfer, "`7 TRANSFER COMPLETE` is raised only by the operation that it reports");
    let unknown = fails(&agent, &["inform", "2"]);
    assert!(unknown.starts_with("there is no event code `2`; the codes are 0 BOOTSTRAP, 1 BOOT, "), "{unknown}");
    assert!(fails(&agent, &["inform", "2 periodc"]).contains("did you mean `2 PERIODIC`?"));
    agent.succeeds(&["set", model.at("ManagementServer.EnableCWMP=false")]);
    assert_eq!(fails(&agent, &["inform"]), "EnableCWMP is false: no session is started");
    assert_eq!(status(&agent)["nextSession"]["cause"], "disabled");
}
both_models!(a_command_that_fails_says_why);

/// A command without a running daemon prints the socket that it has tried.
fn without_a_daemon_there_is_a_word(model: &'static Model) {
    let mut agent = lonely_agent(model);
    agent.kill9();
    assert!(fails(&agent, &["status"]).starts_with("the agent is not running: no process answers on "));
    fs::remove_file(agent.control()).expect("left behind by the kill");
    assert!(fails(&agent, &["get", model.at("")]).starts_with("the agent is not running: there is no control socket "));
}
both_models!(without_a_daemon_there_is_a_word);

/// No command prints a password.
fn secrets_stay_secret(model: &'static Model) {
    let password = model.at(PASSWORD);
    let agent = lonely_agent(model);
    agent.succeeds(&["set", &format!("{password}=hunter2")]);
    let wrong = format!("{password}=hunter2{}", "x".repeat(300));
    fails(&agent, &["set", &wrong]);
    assert_eq!(agent.succeeds(&["get", password]), format!("{password}=\n"));
    let texts = [
        agent.succeeds(&["get", model.at("")]),
        agent.succeeds(&["status"]),
        agent.succeeds(&["status", "--json"]),
        fails(&agent, &["set", &wrong]),
        agent.log(),
    ];
    assert!(texts.iter().all(|text| !text.contains("hunter2")), "{texts:?}");
}
both_models!(secrets_stay_secret);

/// The command status shows the last failure and the next session.
fn status_tells_what_failed_and_what_comes(model: &'static Model) {
    let agent = lonely_agent(model);
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
both_models!(status_tells_what_failed_and_what_comes);

/// The socket has the mode 0600, and is removed when the daemon ends.
fn the_socket_is_its_owners_and_goes_with_the_daemon(model: &'static Model) {
    let mut agent = lonely_agent(model);
    let metadata = fs::symlink_metadata(agent.control()).expect("the socket");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600); // R24: only the owner can set the ACS URL
    assert!(agent.terminate().success());
    assert!(!agent.control().exists());
    agent.restart();
    agent.wait_for_control();
    agent.kill9();
    assert!(agent.control().exists(), "left behind");
    agent.restart();
    agent.wait_for_control();
}
both_models!(the_socket_is_its_owners_and_goes_with_the_daemon);

/// A second daemon does not take over the socket of a running one.
fn a_live_socket_is_not_taken(model: &'static Model) {
    let code = model.at(CODE);
    let agent = lonely_agent(model);
    let control = agent.control();
    let mut second =
        builder(model, "http://127.0.0.1:1/").args(&["--control", control.to_str().expect("UTF-8")]).start();
    second.wait_for_log("another agent is using it", SOON);
    agent.succeeds(&["set", &format!("{code}=first")]);
    assert!(second.terminate().success(), "it ran without a socket");
    assert_eq!(agent.succeeds(&["get", code]), format!("{code}=first\n"));
}
both_models!(a_live_socket_is_not_taken);

/// A daemon that cannot open its socket goes on without it.
fn without_a_socket_the_daemon_goes_on(model: &'static Model) {
    let long = format!("/tmp/{}", "x".repeat(120));
    let mut agent = builder(model, "http://127.0.0.1:1/").args(&["--control", &long]).start();
    agent.wait_for_log("the path is too long for a Unix socket", SOON);
    agent.wait_for_log("session failed", SOON);
    assert!(agent.terminate().success());
}
both_models!(without_a_socket_the_daemon_goes_on);

/// Fifty clients at once are all answered, beside others that send nothing.
fn fifty_clients_at_once_are_all_served(model: &'static Model) {
    let serial = model.at(SERIAL);
    let code = model.at(CODE);
    let agent = lonely_agent(model);
    // As many clients connect and send nothing, and the daemon does not wait for them.
    let silent: Vec<UnixStream> = (0..25).map(|_| connect(&agent)).collect();
    let began = Stopwatch::start();
    thread::scope(|scope| {
        for n in 0..50 {
            let agent = &agent;
            scope.spawn(move || match n % 3 {
                0 => assert!(says(agent, &get_all(model)).contains(&format!("{serial}="))),
                1 => assert_eq!(says(agent, format!("[\"set\",\"{code}={n}\"]\n").as_bytes()), "{\"output\":\"\"}\n"),
                _ => assert!(says(agent, b"[\"status\"]\n").starts_with("{\"output\":\"manufacturer")),
            });
        }
    });
    assert!(began.is_within(SOON), "{:?}", began.elapsed());
    drop(silent);
}
both_models!(fifty_clients_at_once_are_all_served);

/// Hundreds of commands in a row are answered in time, and the last one counts.
fn hundreds_of_commands_in_a_row(model: &'static Model) {
    let code = model.at(CODE);
    let agent = lonely_agent(model);
    let began = Stopwatch::start();
    for n in 0..500 {
        assert_eq!(says(&agent, format!("[\"set\",\"{code}={n}\"]\n").as_bytes()), "{\"output\":\"\"}\n");
    }
    assert!(began.is_within(Duration::from_secs(20)), "{began:?}");
    assert_eq!(agent.succeeds(&["get", code]), format!("{code}=499\n"));
}
both_models!(hundreds_of_commands_in_a_row);

/// Malformed, endless and aborted requests are refused, and do not disturb the daemon.
fn a_client_without_manners_harms_nobody(model: &'static Model) {
    let code = model.at(CODE);
    let agent = lonely_agent(model);
    for bytes in [&b"\n"[..], b"\xff\xfe\0\n", b"[\"get\"]\n", b"[\"reboot\"]\n", b"GET / HTTP/1.1\r\n\r\n"] {
        assert!(says(&agent, bytes).starts_with("{\"error\":\""), "{bytes:?}");
    }
    assert!(says(&agent, &[b"[".repeat(100_000).as_slice(), b"\n"].concat()).starts_with("{\"error\":\""));
    // The request has ten megabytes without a line end.
    let mut endless = connect(&agent);
    let chunk = [b'x'; 64 << 10];
    let sent = (0..160).take_while(|_| endless.write_all(&chunk).is_ok()).count();
    assert!(sent < 160, "all of it was taken");
    assert!(rest(&mut endless).starts_with("{\"error\":\"the request is longer than "));
    // Clients disconnect before the answer, in the middle of the request, and while the answer is written.
    for bytes in [&get_all(model)[..], b"[\"get\",", b""] {
        for _ in 0..50 {
            connect(&agent).write_all(bytes).expect("sent");
        }
    }
    // A client that closes only its own direction is answered.
    let mut half = connect(&agent);
    half.write_all(format!("[\"get\",\"{code}\"]").as_bytes()).expect("sent");
    half.shutdown(Shutdown::Write).expect("shut down");
    assert_eq!(rest(&mut half), format!("{{\"output\":\"{code}=\\n\"}}\n"));
    agent.succeeds(&["status"]);
}
both_models!(a_client_without_manners_harms_nobody);

/// A client that sends nothing, or does not read its answer, is disconnected after a while.
fn who_says_nothing_or_takes_nothing_is_dropped(model: &'static Model) {
    let code = model.at(CODE);
    let agent = lonely_agent(model);
    let mut silent = connect(&agent);
    // More answers than the agent may have open, each larger than the buffer of a socket, and none is read.
    let everything = format!("[\"get\"{}]\n", format!(",\"{}\"", model.at("")).repeat(20));
    let deaf: Vec<UnixStream> = (0..8)
        .map(|_| {
            let mut stream = connect(&agent);
            stream.write_all(everything.as_bytes()).expect("sent");
            stream
        })
        .collect();
    let began = Stopwatch::start();
    agent.succeeds(&["status"]);
    assert!(began.is_within(Duration::from_secs(1)), "status waits for nobody: {began:?}");
    assert_eq!(rest(&mut silent), "{\"error\":\"the request did not come in time\"}\n");
    assert!(began.elapsed() + began.stalled() >= Duration::from_secs(3), "{began:?}");
    assert!(began.is_within(Duration::from_secs(8)), "{began:?}");
    agent.succeeds(&["get", code]);
    drop(deaf);
}
both_models!(who_says_nothing_or_takes_nothing_is_dropped);

/// Returns an ACS that accepts connections and never answers.
fn silent_acs() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/acs", listener.local_addr().expect("an address"));
    (listener, url)
}

/// R111, R124: local changes wait for the end of the session.
fn while_a_session_hangs_status_answers_and_changes_wait(model: &'static Model) {
    let code = model.at(CODE);
    let (_listener, url) = silent_acs();
    let agent = agent_with(model, &url, &[], &["--acs-timeout", "3"]);
    agent.wait_for_log("session with", SOON);
    let began = Stopwatch::start();
    let json = status(&agent);
    assert!(began.is_within(Duration::from_secs(1)));
    assert!(json["session"]["seconds"].is_u64(), "{json}");
    assert!(agent.succeeds(&["status"]).contains("session        running for "));
    let waiting = |value: &str| {
        let mut command = Command::new(program(PROGRAM));
        command.arg("set").arg("--control").arg(agent.control()).arg(format!("{code}={value}"));
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
    assert_eq!(agent.succeeds(&["get", code]), format!("{code}=patient\n"));
    let log = agent.log();
    assert_eq!(log.matches("set locally").count(), 10, "{log}");
}
both_models!(while_a_session_hangs_status_answers_and_changes_wait);

/// R136: commands that came during a session share the next one, instead of one session each.
fn commands_that_waited_share_a_session(model: &'static Model) {
    const EVENTS: [&str; 3] = ["X 00D09E a", "X 00D09E b", "X 00D09E c"];
    let acs = ManualAcs::start(AcsOptions::new());
    let agent = agent_with(model, &acs.url(), &[], &[]);
    let next = || {
        let mut session = acs.accept(SOON).expect("a session");
        let inform = session.recv().expect("an Inform");
        (inform.events.len(), session)
    };
    let (_, mut session) = next();
    // On a busy machine a client may not have sent its request yet when the session ends.
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
both_models!(commands_that_waited_share_a_session);

/// A daemon that stops closes the connections of waiting clients.
fn a_daemon_that_stops_lets_its_clients_go(model: &'static Model) {
    let (_listener, url) = silent_acs();
    let mut agent = agent_with(model, &url, &[], &[]);
    agent.wait_for_log("session with", SOON);
    let control = agent.control();
    let client = thread::spawn(move || {
        Command::new(program(PROGRAM)).args(["add", model.table, "--control"]).arg(control).output().expect("a client")
    });
    thread::sleep(Duration::from_millis(300));
    assert!(agent.terminate().success());
    assert_eq!(reason(&client.join().expect("an end")), "the agent is stopping; nothing was done");
}
both_models!(a_daemon_that_stops_lets_its_clients_go);

/// The command inform starts a session at once.
fn inform_starts_a_session_at_once(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    let agent = agent_with(model, &acs.url(), &[], &[]);
    acs.session(SOON).expect_complete();
    acs.expects(inform().only_events(&["6 CONNECTION REQUEST"])).replies(inform_response());
    let began = Stopwatch::start();
    assert_eq!(agent.succeeds(&["inform", "6 CONNECTION REQUEST"]), "");
    acs.wait_until_met(SOON);
    assert!(began.is_within(Duration::from_secs(1)), "{:?}", began.elapsed());
    acs.session(SOON).expect_complete();
    eventually("a status of success", || status(&agent)["lastSession"]["ok"] == true);
    acs.expects(inform().only_events(&["2 PERIODIC"])).replies(inform_response());
    agent.succeeds(&["inform"]);
    acs.wait_until_met(SOON);
    acs.session(SOON).expect_complete();
}
both_models!(inform_starts_a_session_at_once);

/// R101, R134, R210: an active notification starts a session, unless the throttle delays it.
fn an_active_notification_starts_a_session_unless_it_is_held_back(model: &'static Model) {
    let code = model.at(CODE);
    let mut acs = Acs::start(AcsOptions::new());
    let agent = agent_with(model, &acs.url(), &[], &[]);
    acs.session(SOON).expect_complete();
    acs.expects(inform().only_events(&["4 VALUE CHANGE"]).parameter(code, "new")).replies(inform_response());
    agent.succeeds(&["set", &format!("{code}=new")]);
    acs.wait_until_met(SOON);
    acs.session(SOON).expect_complete();
    agent.succeeds(&["set", model.at("ManagementServer.DefaultActiveNotificationThrottle=3600")]);
    agent.succeeds(&["set", &format!("{code}=newer")]);
    acs.quiet_for(Duration::from_millis(500));
    assert_eq!(status(&agent)["nextSession"]["cause"], "notification");
    assert_eq!(status(&agent)["events"][0]["code"], "4 VALUE CHANGE");
    // A session with another cause is not delayed, and delivers the notification too.
    acs.expects(inform().event("2 PERIODIC").event("4 VALUE CHANGE").parameter(code, "newer"))
        .replies(inform_response());
    agent.succeeds(&["inform"]);
    acs.wait_until_met(SOON);
    acs.session(SOON).expect_complete();
    eventually("nothing more to tell", || status(&agent)["events"] == serde_json::json!([]));
    assert_eq!(status(&agent)["nextSession"]["cause"], "none");
}
both_models!(an_active_notification_starts_a_session_unless_it_is_held_back);

/// Expects the session that follows at once after a local command has set the URL of another ACS.
fn comes_to_another_acs(model: &'static Model, agent: &Agent) -> Session {
    let url_name = model.at(URL);
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform().event("0 BOOTSTRAP")).replies(inform_response());
    agent.succeeds(&["set", &format!("{url_name}={}", acs.url())]);
    acs.wait_until_met(SOON);
    acs.session(SOON).expect_complete()
}

/// R25: the agent contacts another ACS at once.
fn another_acs_is_contacted_at_once(model: &'static Model) {
    let mut first = Acs::start(AcsOptions::new());
    let agent = agent_with(model, &first.url(), &[], &[]);
    first.session(SOON).expect_complete();
    comes_to_another_acs(model, &agent);
}
both_models!(another_acs_is_contacted_at_once);

/// R25: a retry wait for an unreachable ACS does not delay the session with a new one.
fn another_acs_is_contacted_while_the_first_is_to_be_tried_again(model: &'static Model) {
    let patient = (model.at("ManagementServer.CWMPRetryMinimumWaitInterval"), "3600");
    let agent = agent_with(model, &format!("http://{}/acs", closed_address()), &[patient], &[]);
    agent.wait_for_log("session failed", SOON);
    comes_to_another_acs(model, &agent);
}
both_models!(another_acs_is_contacted_while_the_first_is_to_be_tried_again);

/// Without an ACS URL no session is started, and none fails, until for example the DHCP client sets the URL.
fn a_device_that_knows_no_acs_waits_for_one(model: &'static Model) {
    let agent = agent_with(model, "", &[], &[]);
    agent.wait_for_log("no session is started: ManagementServer.URL is empty", SOON);
    assert_eq!(fails(&agent, &["inform"]), "ManagementServer.URL is empty: no session is started");
    let json = status(&agent);
    assert_eq!((&json["nextSession"]["cause"], &json["retryCount"]), (&"disabled".into(), &0.into()), "{json}");
    assert_eq!(json["lastSession"], Json::Null);
    assert!(agent.succeeds(&["status"]).contains("next session   none: ManagementServer.URL is empty\n"));
    assert_eq!(comes_to_another_acs(model, &agent).inform().retry_count(), Some(0));
}
both_models!(a_device_that_knows_no_acs_waits_for_one);
