//! Tests that the ACS requests together, the echo service of the device, and an agent without the rights of root.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::network::ICMP_SENDER;
use super::{COMPLETE, in_session, may_ping, set};
use crate::gateway::{Model, SOON};
use crate::rpc::gateway::{Gateway, QUIET};
use crate::support::agent::program;
use crate::support::name_server::NameServer;
use crate::support::network::in_own_network;
use crate::support::port::closed_address;
use crate::support::skip::{emulator_lacks, skip_for_lack_of};
use crate::support::{
    AcsOptions, AcsSession, FileServer, FileServerOptions, FileSpec, ManualAcs, set_parameter_values,
};

const SERVICE: &str = "Device.IP.Diagnostics.UDPEchoConfig.";
const SERVICE_098: &str = "InternetGatewayDevice.UDPEchoConfig.";
const ECHO: &str = "Device.IP.Diagnostics.UDPEchoDiagnostics.";
const ROUTE: &str = "Device.IP.Diagnostics.TraceRoute.";
const SELECTION: &str = "Device.IP.Diagnostics.ServerSelectionDiagnostics.";

fn device() -> &'static Model {
    &crate::gateway::TR_181
}

/// Returns a port of UDP that is free at the moment.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

/// Returns the path of the echo service.
fn service(model: &Model) -> &'static str {
    if model.root == "Device" { SERVICE } else { SERVICE_098 }
}

/// Enables the echo service for this host, within a session after a boot.
fn enable_service(gateway: &mut Gateway, source: &str, port: &str, plus: &str) {
    let service = service(gateway.model);
    in_session(gateway, |session| {
        let values = [("SourceIPAddress", source), ("UDPPort", port), ("EchoPlusEnabled", plus), ("Enable", "1")];
        set(session, service, &values);
    });
    gateway.agent.wait_for_log("echo service at UDP port", SOON);
}

/// Sends datagrams from this address of the host itself, and returns the answers that come.
fn ask(from: Ipv4Addr, port: u16, datagrams: &[&[u8]]) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind((from, 0)).expect("a port");
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a limit");
    let mut answers = Vec::new();
    for datagram in datagrams {
        socket.send_to(datagram, (Ipv4Addr::LOCALHOST, port)).expect("sent");
        let mut buffer = [0; 2000];
        if let Ok(length) = socket.recv(&mut buffer) {
            answers.push(buffer[..length].to_vec());
        }
    }
    answers
}

/// The service answers its source alone, with as many bytes as it got, and counts from its enabling on.
fn the_echo_service(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    let service = service(model);
    let port = free_port();
    assert!(ask(Ipv4Addr::LOCALHOST, port, &[b"hello"]).is_empty(), "off by default");
    enable_service(&mut gateway, "127.0.0.1", &port.to_string(), "1");
    let request = [7; 40];
    let answers = ask(Ipv4Addr::LOCALHOST, port, &[b"hello", &request]);
    assert_eq!((answers[0].as_slice(), answers[1].len()), (&b"hello"[..], 40));
    assert_eq!((&answers[1][..4], &answers[1][20..]), (&request[..4], &request[20..]));
    assert_eq!(answers[1][4..8], 2_u32.to_be_bytes(), "TestRespSN: the second response");
    assert!(ask(Ipv4Addr::new(127, 0, 0, 2), port, &[b"hello", &request]).is_empty(), "another host");
    let value = |gateway: &Gateway, name: &str| gateway.agent.value(&format!("{service}{name}"));
    for (name, expected) in [
        ("PacketsReceived", "2"),
        ("PacketsResponded", "2"),
        ("BytesReceived", "61"),
        ("BytesResponded", "61"),
        ("EchoPlusSupported", "true"),
    ] {
        assert_eq!(value(&gateway, name), expected, "{name}");
    }
    let (first, last) = (value(&gateway, "TimeFirstPacketReceived"), value(&gateway, "TimeLastPacketReceived"));
    assert!(
        first.starts_with("20") && first.len() == "2008-04-09T15:01:05.123456Z".len() && first < last,
        "{first} {last}"
    );
    gateway.agent.succeeds(&["set", &format!("{service}Enable=0")]);
    gateway.agent.wait_for_log("no echo service", SOON);
    assert!(ask(Ipv4Addr::LOCALHOST, port, &[b"hello"]).is_empty());
    assert_eq!(value(&gateway, "PacketsReceived"), "2", "the counts stay until the service is enabled again");
    gateway.agent.succeeds(&["set", &format!("{service}Enable=1")]);
    let end = Instant::now() + SOON;
    while value(&gateway, "PacketsReceived") != "0" {
        assert!(Instant::now() < end, "the counts begin anew");
    }
    // Without a source there is no service for anyone.
    gateway.agent.succeeds(&["set", &format!("{service}SourceIPAddress=")]);
    gateway.agent.wait_for_log("no echo service without SourceIPAddress", SOON);
    assert!(ask(Ipv4Addr::LOCALHOST, port, &[b"hello"]).is_empty());
}
both_models!(the_echo_service);

/// UDPEchoDiagnostics with a row for each datagram: the words of a server with UDP Echo Plus, and zeros where it has no answer.
#[test]
fn results_of_individual_packets() {
    let mut gateway = Gateway::new(device());
    let port = free_port().to_string();
    enable_service(&mut gateway, "127.0.0.1", &port, "1");
    in_session(&mut gateway, |session| {
        assert_eq!(session.value(&format!("{ECHO}EnableIndividualPacketResults")), "false", "off by default");
        let inputs = [
            ("Host", "127.0.0.1"),
            ("Port", &port),
            ("NumberOfRepetitions", "102"),
            ("InterTransmissionTime", "1"),
            ("EnableIndividualPacketResults", "1"),
            ("DiagnosticsState", "Requested"),
        ];
        set(session, ECHO, &inputs);
    });
    let row = |session: &mut AcsSession, number: u32| {
        [
            "PacketSuccess",
            "PacketSendTime",
            "PacketReceiveTime",
            "TestGenSN",
            "TestRespSN",
            "TestRespRcvTimeStamp",
            "TestRespReplyTimeStamp",
            "TestRespReplyFailureCount",
        ]
        .map(|name| session.value(&format!("{ECHO}IndividualPacketResult.{number}.{name}")))
    };
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(session.value(&format!("{ECHO}SuccessCount")), "102");
        let most = session.value(&format!("{ECHO}UDPEchoDiagnosticsMaxResults"));
        assert_eq!(
            (most.as_str(), session.value(&format!("{ECHO}IndividualPacketResultNumberOfEntries"))),
            ("100", "100".into())
        );
        for number in [1, 2, 100] {
            let [success, sent, received, own, response, at, reply_at, failures] = row(session, number);
            assert_eq!(
                (success.as_str(), own, response, failures.as_str()),
                ("true", number.to_string(), number.to_string(), "0")
            );
            assert!(sent < received && sent.len() == "2008-04-09T15:01:05.123456Z".len(), "R315: {sent} {received}");
            let [at, reply_at]: [u32; 2] = [at, reply_at].map(|time| time.parse().expect("microseconds"));
            assert!(at > 0 && reply_at.wrapping_sub(at) < 1 << 31, "{at} {reply_at}");
        }
        let closed = closed_address().port().to_string();
        let inputs = [("Port", closed.as_str()), ("NumberOfRepetitions", "2"), ("Timeout", "20")];
        set(session, ECHO, &[&inputs[..], &[("DiagnosticsState", "Requested")]].concat());
        assert_eq!(session.value(&format!("{ECHO}IndividualPacketResultNumberOfEntries")), "0", "removed by Requested");
    });
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(session.value(&format!("{ECHO}IndividualPacketResultNumberOfEntries")), "2");
        let [success, sent, received, own, rest @ ..] = row(session, 2);
        assert_eq!((success.as_str(), received.as_str(), own.as_str()), ("false", "0001-01-01T00:00:00Z", "2"));
        assert!(sent.starts_with("20") && rest.iter().all(|word| word == "0"), "{sent} {rest:?}");
        set(session, ECHO, &[("EnableIndividualPacketResults", "0"), ("DiagnosticsState", "Requested")]);
    });
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(session.value(&format!("{ECHO}IndividualPacketResultNumberOfEntries")), "0");
    });
}

/// A port that another program holds is opened once it is free.
#[test]
fn the_port_of_the_echo_service_is_taken() {
    let mut gateway = Gateway::new(device());
    let holder = UdpSocket::bind("0.0.0.0:0").expect("a port");
    let port = holder.local_addr().expect("an address").port().to_string();
    in_session(&mut gateway, |session| {
        set(session, SERVICE, &[("SourceIPAddress", "127.0.0.1"), ("UDPPort", &port), ("Enable", "1")]);
    });
    gateway.agent.wait_for_log(&format!("no echo service at UDP port {port}"), SOON);
    drop(holder);
    let port = free_port().to_string();
    gateway.agent.succeeds(&["set", &format!("{SERVICE}UDPPort={port}")]);
    gateway.agent.wait_for_log(&format!("echo service at UDP port {port}"), SOON);
}

/// R311: tests that were requested in one session run one after the other, and none is lost; `status` shows the one that runs.
#[test]
fn several_tests_of_one_session() {
    if !may_ping() || emulator_lacks(ICMP_SENDER) {
        return;
    }
    let mut gateway = Gateway::new(device());
    let port = free_port().to_string();
    enable_service(&mut gateway, "127.0.0.1", &port, "0");
    in_session(&mut gateway, |session| {
        let echo =
            [("Host", "127.0.0.1"), ("Port", &port), ("NumberOfRepetitions", "3"), ("InterTransmissionTime", "500")];
        set(session, ECHO, &[&echo[..], &[("DiagnosticsState", "Requested")]].concat());
        set(session, ROUTE, &[("Host", "127.0.0.1"), ("DiagnosticsState", "Requested")]);
        let hosts = [
            ("HostList", "192.0.2.1.invalid,127.0.0.1"),
            ("NumberOfRepetitions", "2"),
            ("DiagnosticsState", "Requested"),
        ];
        set(session, SELECTION, &hosts);
    });
    let end = Instant::now() + SOON;
    let running = loop {
        let text = gateway.agent.succeeds(&["status", "--json"]);
        let status: Json = serde_json::from_str(&text).expect("JSON");
        if !status["diagnosticTest"].is_null() {
            break status["diagnosticTest"].clone();
        }
        assert!(Instant::now() < end, "no test is shown: {text}");
    };
    assert_eq!((running["object"].as_str(), running["waiting"].as_u64()), (Some(ECHO), Some(2)), "{running}");
    let mut left = BTreeSet::from([ECHO, ROUTE, SELECTION]);
    while !left.is_empty() {
        let (inform, _, mut session) = gateway.acs.next_session();
        assert!(inform.xml.contains("8 DIAGNOSTICS COMPLETE"), "{}", inform.xml);
        let before = left.len();
        left.retain(|object| session.value(&format!("{object}DiagnosticsState")) != "Complete");
        assert!(left.len() < before, "no event without an end");
        session.end_session();
    }
    let value = |name: &str| gateway.agent.value(name);
    assert_eq!(
        (value(&format!("{ECHO}SuccessCount")), value(&format!("{ECHO}FailureCount"))),
        ("3".into(), "0".into())
    );
    assert_eq!(value(&format!("{SERVICE}PacketsResponded")), "3");
    assert_eq!(value(&format!("{ROUTE}RouteHopsNumberOfEntries")), "1");
    assert_eq!(value(&format!("{ROUTE}RouteHops.1.HostAddress")), "127.0.0.1");
    assert_eq!(value(&format!("{SELECTION}FastestHost")), "127.0.0.1");
    gateway.acs.expect_no_session(QUIET);
}

/// R311: what fails ends with its state, not with `Complete`.
#[test]
fn tests_that_fail() {
    let mut gateway = Gateway::new(device());
    let closed = closed_address().port().to_string();
    for (object, inputs, state) in [
        (ECHO, &[("Host", "no-such-host.invalid")][..], "Error_CannotResolveHostName"),
        (ECHO, &[("Host", "127.0.0.1"), ("Port", &closed), ("Timeout", "50")], "Complete"),
        (ROUTE, &[("Host", "no-such-host.invalid")], "Error_CannotResolveHostName"),
        (ROUTE, &[("Host", "127.0.0.1"), ("ProtocolVersion", "IPv6")], "Error_CannotResolveHostName"),
        (SELECTION, &[("HostList", "no-such-host.invalid"), ("Protocol", "UDP Echo")], "Error_CannotResolveHostName"),
    ] {
        in_session(&mut gateway, |session| {
            set(session, object, &[inputs, &[("DiagnosticsState", "Requested")]].concat());
        });
        gateway.acs.expect_session(COMPLETE, |_, session| {
            assert_eq!(session.value(&format!("{object}DiagnosticsState")), state, "{object} {inputs:?}");
        });
    }
    in_session(&mut gateway, |session| {
        assert_eq!(session.value(&format!("{ECHO}SuccessCount")), "0");
        let hops = format!("{ROUTE}MaxHopCount");
        session.refuses(&set_parameter_values(&[(&hops, "xsd:unsignedInt", "65")], ""), 9003); // R316
        let size = format!("{ECHO}DataBlockSize");
        session.refuses(&set_parameter_values(&[(&size, "xsd:unsignedInt", "65536")], ""), 9003);
    });
}

/// Without the rights of root a trace route works, and a ping says what it lacks.
#[test]
fn commands_without_the_rights_of_root() {
    if emulator_lacks(ICMP_SENDER) {
        return;
    }
    in_own_network("diagnostics::tests_of_acs::commands_without_the_rights_of_root", || {
        let directory = tempfile::tempdir().expect("a directory");
        let copy = directory.path().join("cpe-agent");
        std::fs::copy(program(env!("CARGO_BIN_EXE_cpe-agent")), &copy).expect("a copy");
        let open = |path: &std::path::Path| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("readable");
        };
        open(directory.path());
        open(&copy);
        let run = |arguments: &[&str]| {
            let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
            std::process::Command::new("setpriv").args(nobody).arg(&copy).args(arguments).output()
        };
        let Ok(route) = run(&["traceroute", "127.0.0.1"]) else { return skip_for_lack_of("setpriv") };
        assert!(route.status.success(), "{}", String::from_utf8_lossy(&route.stderr));
        let ping = run(&["ping", "127.0.0.1", "count=1"]).expect("a ping");
        let told = String::from_utf8_lossy(&ping.stderr).into_owned();
        assert!(ping.status.code() == Some(2) && told.contains("it does not run as root"), "{told}");
        crate::support::network::sh("sysctl -qw net.ipv4.ping_group_range='0 65534'");
        assert!(run(&["ping", "127.0.0.1", "count=1"]).expect("a ping").status.success(), "a group of the range");
    });
}

/// Without the rights of root all tests work but those that need echo requests, and the log says what they lack.
#[test]
fn tests_without_the_rights_of_root() {
    const OBJECTS: &str = "Device.IP.Diagnostics.";
    if emulator_lacks(ICMP_SENDER) {
        return;
    }
    in_own_network("diagnostics::tests_of_acs::tests_without_the_rights_of_root", || {
        let files = FileServer::start(FileServerOptions::new());
        files.serves("/f", FileSpec::sized(1000));
        let names = NameServer::start(|asked| vec![asked.address(0x8580)]);
        let acs = ManualAcs::start(AcsOptions::new());
        // The user stays, since the files of the test are its own; the rights go.
        let agent = device().gateway_at(&acs.url()).by(&["setpriv", "--bounding-set=-all", "--inh-caps=-all"]).start();
        acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]);
        let (port, download, upload) = (free_port(), files.url("/f"), files.url("/u"));
        let service = UdpSocket::bind(("127.0.0.1", port)).expect("a port");
        std::thread::spawn(move || {
            let mut buffer = [0; 100];
            while let Ok((length, from)) = service.recv_from(&mut buffer) {
                let _ = service.send_to(&buffer[..length], from);
            }
        });
        let (port, server) = (port.to_string(), names.address().to_string());
        for (object, inputs, state) in [
            ("IP.Diagnostics.IPPing.", &[("Host", "127.0.0.1")][..], "Error_Other"),
            ("IP.Diagnostics.ServerSelectionDiagnostics.", &[("HostList", "127.0.0.1")], "Error_Other"),
            ("IP.Diagnostics.TraceRoute.", &[("Host", "127.0.0.1")], "Complete"),
            ("IP.Diagnostics.UDPEchoDiagnostics.", &[("Host", "127.0.0.1"), ("Port", &port)], "Complete"),
            ("DNS.Diagnostics.NSLookupDiagnostics.", &[("HostName", "a.example."), ("DNSServer", &server)], "Complete"),
            ("IP.Diagnostics.DownloadDiagnostics.", &[("DownloadURL", &download), ("DSCP", "10")], "Complete"),
            ("IP.Diagnostics.UploadDiagnostics.", &[("UploadURL", &upload), ("TestFileLength", "1000")], "Complete"),
            ("IP.Diagnostics.DownloadDiagnostics.", &[("EthernetPriority", "7")], "Error_Other"), // needs CAP_NET_ADMIN
        ] {
            let (object, position) = (format!("Device.{object}"), agent.log_position());
            agent.succeeds(&["inform"]);
            let (_, _, mut session) = acs.next_session();
            set(&mut session, &object, &[inputs, &[("DiagnosticsState", "Requested")]].concat());
            session.end_session();
            acs.expect_session(COMPLETE, |_, session| {
                assert_eq!(session.value(&format!("{object}DiagnosticsState")), state, "{object}");
            });
            if state == "Error_Other" {
                agent.wait_for_log_after(position, "it does not run as root", SOON);
            }
        }
        // A port below 1024.
        agent.succeeds(&["set", &format!("{OBJECTS}UDPEchoConfig.SourceIPAddress=127.0.0.1")]);
        agent.succeeds(&["set", &format!("{OBJECTS}UDPEchoConfig.Enable=1")]);
        agent.wait_for_log("no echo service at UDP port 7: Permission denied", SOON);
    });
}
