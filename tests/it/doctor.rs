//! `cpe-agent doctor`, beside a running agent and without one, against good servers and others.
#![cfg(feature = "doctor")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::gateway::{PASSWORD, SOON, USERNAME, gateway, gateway_at};
use crate::support::agent::AgentBuilder;
use crate::support::port::closed_address;
use crate::support::{Acs, AcsOptions, Agent};

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
        .has("ok", "clock", &["Z"])
        .has("ok", "ACS URL", &[&acs.url(), "as the running agent has it"])
        .has("ok", "TCP", &["127.0.0.1", "accepts from 127.0.0.1"])
        .has("skipped", "TLS", &["http"])
        .has("ok", "ACS answer", &["400", "expects a CWMP message"])
        .has("skipped", "STUN", &["STUNEnable is false"])
        .has("ok", "HTTP port", &["open, the agent answers"])
        .has("ok", "UDP port", &["bound"]);
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
    let began = Instant::now();
    let told = Told::new(&agent.beside("doctor"));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
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
    let wrong = Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).data_model("/nowhere/model.json");
    let told = alone(wrong);
    told.has("FAILED", "configuration", &["/nowhere/model.json"]);
    assert_eq!(told.lines.len(), 1);
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
        let began = Instant::now();
        let told = alone(gateway_at(&format!("{scheme}://{}/", server(silent))));
        told.has("FAILED", subject, &["timed out"]);
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
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
    let began = Instant::now();
    let sent = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.expect("kill starts").success());
    let status = child.wait().expect("its end");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
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
        told.has("ok", "TLS", &["TLS 1.3, TLS13_", "certificate and name verified with", "ca.pem"])
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

/// Without the feature doctor-stun the checks of STUN are left out, with a line that says so.
#[cfg(not(feature = "doctor-stun"))]
#[test]
fn without_the_client_stun_is_left_out() {
    let builder = gateway_at("http://127.0.0.1:1/").set("Device.ManagementServer.STUNEnable", "true");
    alone(builder).has("skipped", "STUN", &["built without the feature doctor-stun"]);
}

#[cfg(feature = "doctor-stun")]
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
        let credentials = Some(("CPE-7".to_owned(), "s3cret".to_owned()));
        let demanding = behaving(Behaviour { credentials, ..Behaviour::default() });
        alone(asking(demanding.address())).has("FAILED", "STUN", &["contains no address", "user name"]);
        let lost = behaving(Behaviour { drop_next: 1, ..Behaviour::default() });
        alone(asking(lost.address())).has("ok", "STUN", &["sees"]);
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
