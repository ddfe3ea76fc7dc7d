//! `cpe-agent doctor`, beside a running agent and without one, against good servers and others.
#![cfg(feature = "doctor")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use crate::gateway::{PASSWORD, SOON, USERNAME, gateway, gateway_at};
use crate::support::agent::AgentBuilder;
use crate::support::port::closed_address;
use crate::support::stopwatch::Stopwatch;
use crate::support::{Acs, AcsOptions, Agent, Mount};

/// The lines of a run of the doctor by their subject, and the exit status.
struct Told {
    lines: Vec<String>,
    status: Option<i32>,
}

impl Told {
    fn new(output: &Output) -> Told {
        let stdout = String::from_utf8(output.stdout.clone()).expect("UTF-8");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let lines: Vec<String> = stdout.lines().map(str::to_owned).collect();
        for line in &lines {
            let verdict = line.split_whitespace().next().unwrap_or_default();
            assert!(["ok", "FAILED", "warning", "skipped"].contains(&verdict), "{line}");
        }
        let has_failed = lines.iter().any(|line| line.starts_with("FAILED"));
        assert_eq!(output.status.code(), Some(i32::from(has_failed)), "{lines:#?}");
        Told { lines, status: output.status.code() }
    }

    /// Panics unless a line has this verdict, this subject and all of these words.
    fn has(&self, verdict: &str, subject: &str, words: &[&str]) -> &Told {
        let head = format!("{verdict:<8} {subject:<14} ");
        let is_meant = |line: &&String| line.starts_with(&head) && words.iter().all(|word| line.contains(word));
        assert!(self.lines.iter().any(|line| is_meant(&line)), "no {head}{words:?} in\n{:#?}", self.lines);
        self
    }

    fn lacks(&self, words: &str) -> &Told {
        assert!(!self.lines.iter().any(|line| line.contains(words)), "{words} is in\n{:#?}", self.lines);
        self
    }
}

/// Runs the doctor while no agent runs.
fn alone(builder: AgentBuilder) -> Told {
    Told::new(&builder.not_started().beside("doctor"))
}

/// Returns name, length, content and time of each file in a directory.
fn snapshot(directory: &Path) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| {
            let changed = entry.metadata().and_then(|metadata| metadata.modified()).expect("a time");
            (entry.file_name().to_string_lossy().into_owned(), (std::fs::read(entry.path()).expect("a file"), changed))
        })
        .collect()
}

/// Returns an ACS that tolerates the GET of the doctor.
fn tolerant(options: AcsOptions) -> Acs {
    let acs = Acs::start(options);
    acs.allow_violation("GET /acs");
    acs.allow_violation("a request outside of a session");
    acs
}

/// Starts a server that runs this function for every connection, as long as the test runs.
fn server(serve: fn(std::net::TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(|tcp| drop(std::thread::spawn(move || serve(tcp))))
    });
    address
}

/// Reads and sends nothing until the client closes the connection.
fn silent(mut tcp: std::net::TcpStream) {
    while matches!(tcp.read(&mut [0; 1024]), Ok(1..)) {}
}

/// The doctor finds no fault beside a running agent, and does not disturb it.
#[test]
fn beside_a_running_agent_all_is_well_and_nothing_is_disturbed() {
    let mut acs = tolerant(AcsOptions::new().digest(USERNAME, PASSWORD));
    let agent = gateway(&acs).start();
    acs.session(SOON).expect_complete();
    agent.value("Device.ManagementServer.URL"); // answered when the session is over and kept
    let before = snapshot(&agent.state_dir());
    let told = Told::new(&agent.beside("doctor"));
    assert_eq!(told.status, Some(0));
    told.has("ok", "configuration", &["tr-181.json"])
        .has("ok", "agent", &["is running"])
        .has("ok", "last session", &["success at ", " ago (0 BOOTSTRAP, 1 BOOT)"])
        .has("ok", "state dir", &["write test passed", " kB", "free"])
        .has("skipped", "actions", &["the data model has none"])
        .has("skipped", "reachability", &["no public address of the ACS"])
        .has("ok", "clock", &["Z"])
        .has("ok", "ACS URL", &[&acs.url(), "as the running agent has it"])
        .has("ok", "TCP", &["127.0.0.1", "accepts from 127.0.0.1"])
        .has("skipped", "TLS", &["http"])
        .has("ok", "ACS answer", &["400", "expects a CWMP message"])
        .has("skipped", "STUN", &["STUNEnable is false"])
        .has("ok", "HTTP port", &["open, the agent answers"])
        .has("ok", "UDP port", &["127.0.0.1:", "bound"]);
    assert_eq!(snapshot(&agent.state_dir()), before, "nothing was written");
    // The agent has not noticed.
    let position = agent.log_position();
    agent.succeeds(&["inform"]);
    agent.wait_for_log_after(position, "session finished", SOON);
    assert_eq!(acs.session(SOON).expect_complete().inform().events.len(), 1);
}

/// R7: the doctor reports no fault for a port that is closed because of EnableCWMP.
#[test]
fn ports_that_are_to_be_closed_are_not_missed() {
    let settings = [("EnableCWMP", "false"), ("STUNEnable", "true"), ("STUNServerAddress", "127.0.0.1")];
    let builder = settings.iter().fold(gateway_at("http://127.0.0.1:1/"), |builder, (name, value)| {
        builder.set(&format!("Device.ManagementServer.{name}"), value)
    });
    let told = alone(builder);
    told.has("skipped", "HTTP port", &["EnableCWMP"]).has("skipped", "UDP port", &["EnableCWMP is false"]);
}

/// The URL that the ACS has set counts, not the factory value; while the agent does not run it is read from the
/// journal.
#[test]
fn the_stored_url_is_in_force() {
    let mut acs = tolerant(AcsOptions::new());
    let mut agent = gateway(&acs).start();
    acs.session(SOON).expect_complete();
    agent.succeeds(&["set", "Device.ManagementServer.URL=http://127.0.0.1:1/new?key=hunter2"]);
    let url = "http://127.0.0.1:1/new,";
    let running = Told::new(&agent.beside("doctor"));
    running.has("ok", "ACS URL", &[url, "as the running agent has it"]).lacks("hunter");
    // Without its control socket the agent holds the lock on its journal still.
    std::fs::remove_file(agent.control()).expect("the socket");
    let unheard = Told::new(&agent.beside("doctor"));
    unheard.has("warning", "agent", &["not running"]).has("ok", "ACS URL", &[url, "stored in"]).lacks("hunter");
    unheard.has("ok", "HTTP port", &["the agent answers"]);
    agent.kill9();
    let before = snapshot(&agent.state_dir());
    let stopped = Told::new(&agent.beside("doctor"));
    stopped.has("ok", "ACS URL", &[url, "stored in"]).has("FAILED", "TCP", &["127.0.0.1:1", "refused"]);
    stopped.has("skipped", "HTTP port", &["free"]).lacks("hunter");
    assert_eq!(snapshot(&agent.state_dir()), before, "nothing was written");
}

/// The doctor does not wait for the end of a running session.
#[test]
fn a_session_that_runs_is_not_waited_for() {
    let acs = tolerant(AcsOptions::new());
    acs.expects(crate::support::inform()).replies(crate::support::silence());
    let agent = gateway(&acs).start();
    acs.requests(1, SOON);
    let began = Stopwatch::start();
    let told = Told::new(&agent.beside("doctor"));
    assert!(began.is_within(SOON), "{:?}", began.elapsed());
    told.has("ok", "agent", &["is running and answers"]).has("ok", "ACS URL", &[&acs.url()]);
    told.has("ok", "HTTP port", &["the agent answers with its challenge"]);
}

/// The doctor creates no file while no agent runs.
#[test]
fn without_an_agent_nothing_is_made() {
    let address = server(|mut tcp| {
        let _ = tcp.read(&mut [0; 1024]);
        let _ = tcp.write_all(
            b"HTTP/1.1 405 Method Not Allowed\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n",
        );
    });
    let agent = gateway_at(&format!("http://localhost:{}/acs", address.port())).not_started();
    let told = Told::new(&agent.beside("doctor"));
    assert_eq!(told.status, Some(0));
    told.has("warning", "agent", &["not running"])
        .has("skipped", "last session", &["no agent answers", "is unknown"])
        .has("ok", "state dir", &["is missing; the agent creates it"])
        .has("ok", "ACS URL", &["from the factory state"])
        .has("ok", "ACS name", &["localhost is ", "127.0.0.1", " ms)"])
        .has("ok", "TCP", &["127.0.0.1"])
        .has("ok", "ACS answer", &["405", "takes no GET"])
        .has("warning", "clock of ACS", &["1994-11-06T08:49:37Z", "ahead of it"])
        .has("skipped", "HTTP port", &["free"]);
    assert!(!agent.state_dir().exists() && !agent.control().exists());
}

/// The doctor reports settings that cannot work, with the reason.
#[test]
fn what_cannot_work_is_told() {
    alone(gateway_at(&format!("http://{}/", closed_address()))).has("FAILED", "TCP", &["refused"]);
    alone(gateway_at("http://no-such-host.invalid/")).has("FAILED", "ACS name", &["does not resolve"]);
    alone(gateway_at("")).has("FAILED", "ACS URL", &["is empty"]);
    alone(gateway_at("ftp://user:hunter2@acs/")).has("FAILED", "ACS URL", &["neither http nor https"]).lacks("hunter2");
    let ssh = server(|mut tcp| {
        let _ = tcp.write_all(b"SSH-2.0-OpenSSH\r\n");
        silent(tcp);
    });
    alone(gateway_at(&format!("http://{ssh}/"))).has("FAILED", "ACS answer", &["another protocol on this port"]);
    let web = server(|mut tcp| {
        let _ = tcp.read(&mut [0; 1024]);
        let page = "<!DOCTYPE html><html><title>Home router</title><body>Log in</body></html>";
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
        let _ = write!(tcp, "{head}Content-Length: {}\r\n\r\n{page}", page.len());
    });
    let words = "a web page, so that it answers, but is no ACS: correct ManagementServer.URL";
    alone(gateway_at(&format!("http://{web}/"))).has("FAILED", "ACS answer", &[words, "\"Home router Log in\""]);
    let empty = server(|mut tcp| {
        let _ = tcp.read(&mut [0; 1024]);
        let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n");
    });
    alone(gateway_at(&format!("http://{empty}/"))).has("ok", "ACS answer", &["200"]);
    let wrong = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).data_model("/nowhere/model.json");
    let told = alone(wrong);
    told.has("FAILED", "configuration", &["/nowhere/model.json"]);
    assert_eq!(told.lines.len(), 1);
}

/// A GET shows neither a wrong password nor an answer that is no SOAP: the running agent knows both.
#[test]
fn a_session_that_fails_is_told_with_its_causes() {
    let mut acs = tolerant(AcsOptions::new().digest(USERNAME, "another password"));
    let agent = gateway(&acs).start();
    agent.wait_for_log("session failed", SOON);
    agent.value("Device.ManagementServer.URL"); // answered when the session is over
    let told = Told::new(&agent.beside("doctor"));
    let cause = "the server refused the user name or the password";
    told.has("FAILED", "last session", &["failed at ", "(0 BOOTSTRAP, 1 BOOT): ", cause])
        .has("warning", "last success", &["none yet"])
        .has("ok", "ACS answer", &[])
        .lacks("first cause");
    acs.take_violations();
    while acs.session_within(Duration::ZERO).is_some() {}

    let acs = tolerant(AcsOptions::new());
    acs.expects(crate::support::inform()).replies(crate::support::status(500).body(b"<h1>out of order</h1>"));
    acs.always(crate::support::inform()).replies(crate::support::garbage(b"<html>this is no SOAP</html>"));
    let agent = gateway(&acs).start();
    agent.wait_for_log("session failed", SOON);
    let position = agent.log_position();
    agent.succeeds(&["inform"]);
    agent.wait_for_log_after(position, "session failed", SOON);
    agent.value("Device.ManagementServer.URL");
    let told = Told::new(&agent.beside("doctor"));
    told.has("FAILED", "last session", &["the reply of the ACS is not valid SOAP", "\"this is no SOAP\""]).has(
        "warning",
        "first cause",
        // A slow machine has seen a retry more.
        &[" failures, the first at ", "the server answered with HTTP status 500: \"out of order\""],
    );
    acs.take_violations();
}

/// The last success is told also if it was before the start of the agent.
#[test]
fn the_last_success_before_the_start_is_told() {
    let mut acs = tolerant(AcsOptions::new());
    let mut agent = gateway(&acs).start();
    acs.session(SOON).expect_complete();
    agent.wait_for_log("session finished", SOON);
    agent.restart();
    agent.wait_for_control();
    let told = Told::new(&agent.beside("doctor"));
    told.has("skipped", "last session", &["none has ended since the start"]).has(
        "ok",
        "last success",
        &["at ", " s ago"],
    );
    acs.always(crate::support::inform()).replies(crate::support::status(500));
    let position = agent.log_position();
    agent.succeeds(&["inform"]);
    agent.wait_for_log_after(position, "session failed", SOON);
    agent.value("Device.ManagementServer.URL"); // answered when the session is over
    let told = Told::new(&agent.beside("doctor"));
    told.has("FAILED", "last session", &["500"]).has("warning", "last success", &["at ", " s ago"]);
    acs.take_violations();
    while acs.session_within(Duration::ZERO).is_some() {}
}

/// A state directory that is full, or that cannot be written, beside an agent and without one.
#[test]
fn a_directory_that_cannot_be_written_is_told() {
    let acs = tolerant(AcsOptions::new());
    let agent = gateway(&acs).not_started();
    let Some(mount) = Mount::at(agent.state_dir(), "size=1m,nr_inodes=8") else { return };
    let few = Told::new(&agent.beside("doctor"));
    few.has("warning", "state dir", &["write test passed, but only 10", " kB, 7 inodes free"]);
    mount.fill();
    let full = Told::new(&agent.beside("doctor"));
    full.has("FAILED", "state dir", &["cannot be written: No space left on device"]);
    mount.make_room();
    mount.change("ro");
    let read_only = Told::new(&agent.beside("doctor"));
    read_only.has("FAILED", "state dir", &["cannot be written: Read-only file system"]);
}

/// The programs and keys of all actions, and the directory of their files.
#[test]
fn actions_that_cannot_work_are_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = tempfile::tempdir().expect("a directory");
    let path = |name: &str| place.path().join(name).display().to_string();
    let write = |name: &str, text: &str, mode: u32| {
        std::fs::write(path(name), text).expect("a file");
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(mode)).expect("rights");
    };
    write("plain", "#!/bin/sh\n", 0o644);
    write("orphan", "#!/no/such/shell\n", 0o755);
    write("bad.pub", "this is no key", 0o644);
    let with = |actions: &str| {
        std::fs::write(path("actions.json"), format!("{{\"actions\": {{{actions}}}}}")).expect("a file");
        alone(gateway_at("http://127.0.0.1:1/").data_model(path("actions.json")))
    };
    let firmware = "1 Firmware Upgrade Image";
    let told = with(&format!(
        r#""reboot": ["no-such-program"], "factoryReset": ["{}"],
           "download": {{"{firmware}": {{"run": ["{}", "{{file}}"], "verify": ["/no/verify"], "ed25519": "{}"}}}}"#,
        path("plain"),
        path("orphan"),
        path("bad.pub"),
    ));
    told.has("FAILED", "actions", &["reboot: no-such-program is not found by the PATH /"])
        .has("FAILED", "actions", &["factoryReset: ", "plain is not executable"])
        .has("FAILED", "actions", &["download `1 Firmware", "orphan is a script for /no/such/shell"])
        .has("FAILED", "actions", &["download `1 Firmware", "/no/verify cannot be used: No such file"])
        .has("FAILED", "actions", &["the key ", "bad.pub: no Ed25519 public key"])
        .has("ok", "transfer dir", &["is missing; the agent creates it"]);
    let told = with(r#""reboot": ["sh", "-c", "true"], "upload": {"2 Vendor Log": {"run": ["/bin/sh", "{file}"]}}"#);
    told.has("ok", "actions", &["all programs are executable, by the PATH /"]).has(
        "warning",
        "actions",
        &["TR-069 has no such file type; did you mean `2 Vendor Log File`?"],
    );
    let transfers = place.path().join("files");
    std::fs::create_dir(&transfers).expect("a directory");
    let with_directory = gateway_at("http://127.0.0.1:1/").data_model(path("actions.json"));
    let told = alone(with_directory.args(&["--transfer-dir".as_ref(), transfers.as_os_str()]));
    told.has("ok", "transfer dir", &["write test passed, room for a file of "]);
    assert_eq!(std::fs::read_dir(&transfers).expect("a directory").count(), 0);
}

/// A private address that is announced to a public ACS is told, unless STUN leads through the NAT.
#[test]
fn a_private_address_towards_a_public_acs_is_told() {
    let builder = |stun| {
        gateway_at("http://192.0.2.1:1/").listen("10.1.2.3:7547").set("Device.ManagementServer.STUNEnable", stun)
    };
    let told = alone(builder("false"));
    told.has("warning", "reachability", &["10.1.2.3 is private, and the ACS 192.0.2.1 is not", "STUNEnable"]);
}

/// Another program has the port for UDP connection requests of the running agent.
#[test]
fn a_udp_port_that_the_agent_could_not_open_is_told() {
    let mut acs = tolerant(AcsOptions::new());
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let agent = gateway(&acs).udp_listen(&address).start();
    acs.session(SOON).expect_complete();
    agent.value("Device.ManagementServer.URL");
    let told = Told::new(&agent.beside("doctor"));
    told.has("FAILED", "UDP port", &[&address, "the agent has not opened it", "another program"]);
}

/// The doctor reports a port that another program uses.
#[test]
fn another_program_has_the_port() {
    let acs = tolerant(AcsOptions::new());
    let address = server(|mut tcp| {
        let _ = tcp.read(&mut [0; 1024]);
        let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let told = alone(gateway(&acs).listen(&address.to_string()));
    told.has("FAILED", "HTTP port", &["another program", "200"]);
    let told = alone(gateway(&acs).listen(&server(silent).to_string()));
    told.has("FAILED", "HTTP port", &["another program", "timed out"]);
}

/// A server that accepts the connection and sends nothing delays the doctor only for a limited time.
#[test]
fn silence_has_an_end() {
    let mut stories = vec![("http", "ACS answer")];
    if cfg!(feature = "tls") {
        stories.push(("https", "TLS"));
    }
    for (scheme, subject) in stories {
        let began = Stopwatch::start();
        let told = alone(gateway_at(&format!("{scheme}://{}/", server(silent))));
        told.has("FAILED", subject, &["timed out"]);
        assert!(began.is_within(Duration::from_secs(30)), "{:?}", began.elapsed());
    }
}

/// SIGTERM ends the doctor. SIGINT is not tested: a shell without job control starts background processes with SIGINT
/// ignored, and these tests may be one.
#[test]
fn a_signal_ends_it() {
    let agent = gateway_at(&format!("http://{}/", server(silent))).not_started();
    let mut child = agent.spawn_beside("doctor");
    // The doctor waits for the silent server once it has printed the line of TCP.
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut text = String::new();
    let mut chunk = [0; 256];
    while !text.contains("accepts") {
        let length = stdout.read(&mut chunk).expect("output");
        assert!(length > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&chunk[..length]));
    }
    let began = Stopwatch::start();
    let sent = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.expect("kill starts").success());
    let status = child.wait().expect("its end");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    assert!(began.is_within(Duration::from_secs(2)), "{:?}", began.elapsed());
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use crate::support::{Authority, Flaw, ServerTls, params};

    fn trusting(authority: &Authority, tls: ServerTls) -> Told {
        let directory = tempfile::tempdir().expect("a directory");
        let ca_file = authority.ca_file(directory.path());
        let acs = tolerant(AcsOptions::new().tls(tls));
        let builder = gateway_at(&acs.url_at("localhost"));
        alone(builder.args(&["--ca-file".as_ref(), ca_file.as_os_str()]))
    }

    /// A valid certificate is shown with its dates.
    #[test]
    fn a_good_certificate_is_shown_with_its_dates() {
        let authority = Authority::new("test CA");
        let told = trusting(&authority, authority.server(Flaw::None));
        assert_eq!(told.status, Some(0), "{:#?}", told.lines);
        told.has("ok", "TLS", &["TLS 1.3, TLS_", "certificate and name verified with", "ca.pem"])
            .has("ok", "certificate", &["CN=127.0.0.1", "for localhost, 127.0.0.1, ::1", "by CN=test CA"])
            .has("ok", "certificate", &["valid 2000-01-01T00:00:00Z to 2999-12-31T00:00:00Z", " days left"]);
        told.lines.iter().find(|line| line.contains("ACS answer     GET is answered")).expect("an answer over TLS");
    }

    /// The doctor sends nothing to a server that a session would not trust.
    #[test]
    fn every_flaw_is_told_in_words() {
        let authority = Authority::new("test CA");
        let stranger = Authority::new("another CA");
        let expired = trusting(&authority, authority.server(Flaw::Expired));
        expired.has("FAILED", "TLS", &["expired"]).has(
            "FAILED",
            "certificate",
            &["to 2001-01-01", "expired", "days ago"],
        );
        let early = trusting(&authority, authority.server(Flaw::NotYetValid));
        early.has("FAILED", "TLS", &["not valid yet", "clock of this device"]);
        early.has(
            "FAILED",
            "certificate",
            &["valid 2999-01-01", "not valid yet, for", "clock of this device is behind"],
        );
        let other = trusting(&authority, authority.server(Flaw::WrongName));
        other.has("FAILED", "TLS", &["another name"]).has("ok", "certificate", &["for elsewhere.example"]);
        let unknown = trusting(&authority, stranger.server(Flaw::None));
        unknown.has("FAILED", "TLS", &["signed by no trusted root"]).has("ok", "certificate", &["by CN=another CA"]);
        for told in [expired, early, other, unknown] {
            told.lacks("ACS answer");
        }
        let text = alone(gateway_at("https://127.0.0.1:1/").args(&["--ca-file", "/nowhere/ca.pem"]));
        text.has("FAILED", "configuration", &["--ca-file", "/nowhere/ca.pem cannot be read"]);
    }

    /// The client certificate has dates, too.
    #[test]
    fn the_client_certificate_is_shown() {
        let authority = Authority::new("test CA");
        let directory = tempfile::tempdir().expect("a directory");
        let ca_file = authority.ca_file(directory.path());
        let (certificate, key) = authority.client_files("gateway 7", directory.path());
        let acs = tolerant(AcsOptions::new().tls(authority.server(Flaw::None).require_client_of(&authority)));
        let options = ["--ca-file", "--client-cert", "--client-key"].map(std::ffi::OsStr::new);
        let files = [ca_file.as_os_str(), certificate.as_os_str(), key.as_os_str()];
        let arguments: Vec<_> = options.into_iter().zip(files).flat_map(|(option, file)| [option, file]).collect();
        let told = alone(gateway_at(&acs.url_at("localhost")).args(&arguments));
        told.has("ok", "client cert", &["CN=gateway 7", "by CN=test CA", "days left"]).has(
            "ok",
            "ACS answer",
            &["400"],
        );
    }

    /// A self-signed certificate is checked as in a session: it is trusted by the CA file that has it.
    #[test]
    fn a_certificate_in_the_ca_file_is_trusted_itself() {
        let mut fields = params(&[], "localhost");
        fields.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let (tls, pem) = ServerTls::self_signed(&fields);
        let directory = tempfile::tempdir().expect("a directory");
        let ca_file = directory.path().join("own.pem");
        std::fs::write(&ca_file, pem).expect("a file");
        let acs = tolerant(AcsOptions::new().tls(tls.clone()));
        let told = alone(gateway_at(&acs.url_at("localhost")).args(&["--ca-file".as_ref(), ca_file.as_os_str()]));
        told.has("ok", "TLS", &["verified with", "own.pem"]).has("ok", "certificate", &["CN=localhost"]);
        let refused = trusting(&Authority::new("test CA"), tls);
        refused.has("FAILED", "TLS", &["is self-signed, and not in", "ca.pem", "--ca-file (caFile)"]);
    }

    /// A port for TLS that gets plain HTTP closes the connection, or says so.
    #[test]
    fn a_server_with_tls_and_a_url_without() {
        let closing = server(|mut tcp| drop(tcp.read(&mut [0; 4096])));
        alone(gateway_at(&format!("http://{closing}/"))).has("FAILED", "ACS answer", &["does the URL need https?"]);
        let alert = server(|mut tcp| drop(tcp.write_all(b"\x15\x03\x01\x00\x02\x02\x46")));
        let told = alone(gateway_at(&format!("http://{alert}/")));
        told.has("FAILED", "ACS answer", &["expects TLS on this port: the URL must begin with https://"]);
    }

    /// A server that demands a client certificate is no success without one. In TLS 1.3 it rejects the client only after
    /// the handshake.
    #[test]
    fn a_missing_certificate_of_our_own_is_told() {
        let authority = Authority::new("test CA");
        let told = trusting(&authority, authority.server(Flaw::None).require_client_of(&authority));
        told.has("warning", "client cert", &["the ACS asks for a client certificate, and none is configured"]).has(
            "FAILED",
            "ACS answer",
            &["the ACS has asked for a client certificate"],
        );
        trusting(&authority, authority.server(Flaw::None)).lacks("client certificate");
    }

    /// A server that answers https without TLS is reported.
    #[test]
    fn a_server_without_tls() {
        let address = server(|mut tcp| {
            let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            silent(tcp);
        });
        alone(gateway_at(&format!("https://{address}/"))).has(
            "FAILED",
            "TLS",
            &["answers without TLS on this port", "http://"],
        );
    }
}

mod stun {
    use std::net::UdpSocket;

    use super::*;
    use crate::support::stun_server::Behaviour;
    use crate::support::{Mapping, Nat, StunServer};

    fn asking(server: SocketAddr) -> AgentBuilder {
        gateway_at("http://127.0.0.1:1/")
            .set("Device.ManagementServer.STUNEnable", "true")
            .set("Device.ManagementServer.STUNServerAddress", &server.ip().to_string())
            .set("Device.ManagementServer.STUNServerPort", &server.port().to_string())
            .set("Device.ManagementServer.STUNPassword", "hunter2")
    }

    /// A STUN server that sees the agent's own address means that there is no NAT.
    #[test]
    fn a_server_without_a_nat() {
        let server = StunServer::start();
        let told = alone(asking(server.address()));
        told.has("ok", "STUN", &[&format!("{} sees 127.0.0.1:", server.address())])
            .has("ok", "NAT", &["none"])
            .has("ok", "NAT mapping", &["stable"])
            .has("skipped", "NAT type", &["one address only"])
            .has("skipped", "UDP port", &["free"])
            .lacks("hunter2");
        let requests = server.requests();
        assert!(requests.len() >= 2, "asked twice");
        assert!(requests.iter().all(|request| request.from == requests[0].from), "from one socket");
        assert!(requests.iter().all(|request| !request.connection_request_binding()), "it binds nothing");
    }

    /// The doctor tells a stable NAT mapping from a changing one.
    #[test]
    fn nats_are_told_apart() {
        let server = StunServer::start();
        let nat = Nat::start(server.address(), Mapping::Stable);
        let told = alone(asking(nat.address()));
        let (ours, seen) = (server.requests()[0].from, format!("as {}", server.requests()[0].from));
        assert!(nat.outer_address(ours).is_none(), "the server sees the outside");
        told.has("ok", "STUN", &[&seen]).has("ok", "NAT", &[&format!("becomes {}", ours.port())]).has(
            "ok",
            "NAT mapping",
            &["stable"],
        );
        let restless = Nat::start(server.address(), Mapping::Restless);
        alone(asking(restless.address())).has("FAILED", "NAT mapping", &["not stable"]);
    }

    /// STUN servers that are silent, refuse, or answer wrongly are reported.
    #[test]
    fn servers_that_are_of_no_use() {
        let behaving = |behaviour| StunServer::start_with(behaviour);
        let silent = behaving(Behaviour { silent: true, ..Behaviour::default() });
        alone(asking(silent.address())).has("FAILED", "STUN", &["no answer in 3 s"]);
        let credentials = |password: &str| Some(("CPE-7".to_owned(), password.to_owned()));
        let demanding = behaving(Behaviour { credentials: credentials("s3cret"), ..Behaviour::default() });
        let asked = alone(asking(demanding.address()));
        asked.has("FAILED", "STUN", &["asks for credentials (error 401)", "STUNUsername or STUNPassword is empty"]);
        let named = |server: &StunServer| asking(server.address()).set("Device.ManagementServer.STUNUsername", "CPE-7");
        alone(named(&demanding)).has("FAILED", "STUN", &["refuses our credentials (error 4"]).lacks("hunter2");
        let lost = behaving(Behaviour { drop_next: 1, ..Behaviour::default() });
        alone(asking(lost.address())).has("ok", "STUN", &["sees"]);
    }

    /// R277: a server that asks for credentials gets them, as the agent gives them.
    #[test]
    fn credentials_are_used_as_the_agent_does() {
        let credentials = Some(("CPE-7".to_owned(), "hunter2".to_owned()));
        let server = StunServer::start_with(Behaviour { credentials, ..Behaviour::default() });
        let builder = asking(server.address()).set("Device.ManagementServer.STUNUsername", "CPE-7");
        let told = alone(builder);
        told.has("ok", "STUN", &["sees 127.0.0.1:"]).has("ok", "NAT mapping", &["stable"]).lacks("hunter2");
        assert!(server.requests().iter().all(|request| !request.connection_request_binding()), "it binds nothing");
    }

    /// The doctor reports a UDP port that another program uses.
    #[test]
    fn another_program_has_the_udp_port() {
        let server = StunServer::start();
        let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("bound").to_string();
        alone(asking(server.address()).udp_listen(&address)).has("FAILED", "UDP port", &["another program has it"]);
    }
}
