//! The command `lookup` with name servers that answer right, lie, are silent and truncate, beside `dig`.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::diagnostics::{COMPLETE, in_session, set};
use crate::gateway::Model;
use crate::rpc::gateway::{Gateway, QUIET};
use crate::support::agent::program;
use crate::support::name_server::{A, AAAA, Asked, CNAME, NameServer, Reply};
use crate::support::network::{in_own_network, sh};
use crate::support::port::closed_address;
use crate::support::set_parameter_values;
use crate::support::skip::skip_for_lack_of;
use crate::support::stopwatch::Stopwatch;

fn lookup(arguments: &[&str]) -> Output {
    Command::new(program(env!("CARGO_BIN_EXE_cpe-agent"))).arg("lookup").args(arguments).output().expect("the program")
}

/// Returns the lines of a lookup that succeeds.
fn found(arguments: &[&str]) -> Vec<String> {
    let output = lookup(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Returns the message of a lookup that fails.
fn failed(arguments: &[&str]) -> String {
    let output = lookup(arguments);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn addresses(lines: &[String]) -> BTreeSet<String> {
    lines.iter().filter_map(|line| line.strip_prefix("address  ")).map(str::to_owned).collect()
}

/// Returns the addresses that `dig` prints; `None` without that program.
fn dig(server: &NameServer, name: &str) -> Option<BTreeSet<String>> {
    let port = server.address().port().to_string();
    let output = Command::new("dig")
        .args(["@127.0.0.1", "-p", &port, "+short", "+noedns", "+nocookie", name, "A", name, "AAAA"])
        .output();
    let Ok(output) = output else {
        skip_for_lack_of("dig");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.lines().filter(|line| line.parse::<std::net::IpAddr>().is_ok()).map(str::to_owned).collect())
}

#[test]
fn a_name_has_the_addresses_that_dig_finds() {
    let edge = b"\x04edge\xC0\x10".to_vec(); // by a pointer to the end of the question's name
    let server = NameServer::start(move |asked| {
        let mut reply = asked.answer(0x8580, &[(CNAME, edge.clone())]);
        let data: Vec<u8> = match asked.kind {
            A => vec![192, 0, 2, 7],
            _ => "2001:db8::7".parse::<std::net::Ipv6Addr>().expect("an address").octets().to_vec(),
        };
        reply.message[7] = 2;
        reply.message.extend(&edge);
        reply
            .message
            .extend([asked.kind.to_be_bytes(), [0, 1], [0, 0], [0, 9], (data.len() as u16).to_be_bytes()].concat());
        reply.message.extend(data);
        vec![reply]
    });
    let lines = found(&["www.example.com", &server.address().to_string()]);
    assert_eq!(lines[..2], ["server   127.0.0.1", "name     www.example.com"]);
    assert_eq!(addresses(&lines), ["192.0.2.7", "2001:db8::7"].map(str::to_owned).into());
    assert!(lines[4].starts_with("answer   Authoritative after "), "{lines:?}");
    if let Some(others) = dig(&server, "www.example.com") {
        assert_eq!(addresses(&lines), others);
    }
}

/// Each question has a port and an id of its own, which an attacker would have to guess.
#[test]
fn questions_have_random_ports_and_ids() {
    let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let server = NameServer::start(move |asked| {
        seen.lock().expect("no panic").push(asked.clone());
        vec![asked.address(0x8180)]
    });
    for _ in 0..8 {
        found(&["example.com.", &server.address().to_string()]);
    }
    let asked = asked.lock().expect("no panic");
    let ports: BTreeSet<u16> = asked.iter().map(|asked| asked.from.port()).collect();
    let ids: BTreeSet<[u8; 2]> =
        asked.iter().map(|asked| [asked.answer(0, &[]).message[0], asked.answer(0, &[]).message[1]]).collect();
    assert!(asked.len() == 16 && ports.len() > 12 && ids.len() > 12, "{ports:?} {ids:?}");
    assert!(asked.iter().all(|asked| asked.name == "example.com" && [A, AAAA].contains(&asked.kind)));
}

/// The right answer comes last, behind forged ones with another address.
#[test]
fn the_answers_of_a_liar_are_ignored() {
    let forged = |asked: &Asked| -> Vec<Reply> {
        let lie = || asked.answer(0x8180, &[(asked.kind, vec![6; if asked.kind == A { 4 } else { 16 }])]);
        let mut wrong_id = lie();
        wrong_id.message[0] ^= 1;
        let mut wrong_name = lie();
        wrong_name.message[13] ^= 1;
        let from_elsewhere = Reply { from_elsewhere: true, ..lie() };
        let mut no_question = lie();
        no_question.message[5] = 0;
        let short = Reply { message: lie().message[..9].to_vec(), from_elsewhere: false };
        vec![wrong_id, wrong_name, from_elsewhere, no_question, short, asked.answer(0x0180, &[])]
    };
    let server = NameServer::start(move |asked| {
        let mut replies = forged(asked);
        replies.push(asked.address(0x8180));
        replies
    });
    let lines = found(&["example.com", &server.address().to_string()]);
    assert_eq!(addresses(&lines), ["192.0.2.1", "2001:db8::1"].map(str::to_owned).into());
    let server = NameServer::start(forged);
    let begun = Stopwatch::start();
    assert!(failed(&["example.com", &server.address().to_string()]).contains("no answer in time"));
    assert!(begun.elapsed() >= Duration::from_secs(4) && begun.is_within(Duration::from_secs(8)), "{begun:?}");
}

#[test]
fn a_truncated_answer_is_asked_for_over_tcp() {
    let many: Vec<(u16, Vec<u8>)> = (1..=60).map(|last| (A, vec![192, 0, 2, last])).collect();
    let server = NameServer::start(move |asked| {
        vec![match (asked.kind, asked.over_tcp) {
            (A, true) => asked.answer(0x8180, &many),
            (A, false) => asked.answer(0x8380, &[]),
            _ => asked.answer(0x8180, &[]),
        }]
    });
    let lines = found(&["example.com", &server.address().to_string()]);
    // As many as the data model lists.
    assert_eq!(addresses(&lines).len(), 10);
    if let Some(others) = dig(&server, "example.com") {
        assert!(addresses(&lines).is_subset(&others) && others.len() == 60);
    }
    let always = NameServer::start(|asked| vec![asked.answer(0x8380, &[])]);
    assert!(failed(&["example.com", &always.address().to_string()]).contains("cannot be read"));
}

#[test]
fn each_failure_has_its_reason() {
    let coded = |code: u16| NameServer::start(move |asked| vec![asked.answer(0x8180 | code, &[])]);
    for (code, reason) in [(0, "has no address"), (2, "failed to find"), (3, "does not exist"), (5, "with code 5")] {
        let server = coded(code);
        let told = failed(&["example.com", &server.address().to_string()]);
        assert!(told.contains(reason) && told.contains("example.com"), "{told}");
    }
    let begun = Stopwatch::start();
    let closed = closed_address().to_string();
    assert!(failed(&["example.com", &closed]).contains("refused"));
    assert!(failed(&["a..b", &closed]).contains("is no name"));
    assert!(failed(&["example.com", "no-such-host.invalid"]).contains("no-such-host.invalid"));
    assert!(begun.is_within(Duration::from_secs(4)), "{:?}", begun.elapsed());
}

/// Without a server, the first one of the device is asked; a name without a dot is one of its domain.
#[test]
fn the_device_has_a_server_and_a_domain() {
    in_own_network("lookup::the_device_has_a_server_and_a_domain", || {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("resolv.conf");
        fs::write(&file, "search lan example.net\nnameserver 127.0.0.1\nnameserver 192.0.2.1\n").expect("a file");
        sh(&format!("mount --bind {} /etc/resolv.conf", file.display()));
        let server = Command::new("dnsmasq")
            .args(["--keep-in-foreground", "--no-resolv", "--no-hosts", "--log-facility=-", "--user=root"])
            .args(["--address=/gateway.lan/192.0.2.1", "--address=/gateway.lan/2001:db8::2", "--address=/lan/"])
            .args(["--pid-file=", "--host-record=plain,192.0.2.3"])
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut server) = server else { return skip_for_lack_of("dnsmasq") };
        let end = Instant::now() + Duration::from_secs(5);
        while !lookup(&["gateway"]).status.success() {
            assert!(Instant::now() < end, "dnsmasq does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        let lines = found(&["gateway"]);
        assert_eq!(lines[..2], ["server   127.0.0.1", "name     gateway.lan"]);
        assert_eq!(addresses(&lines), ["192.0.2.1", "2001:db8::2"].map(str::to_owned).into());
        // No name of the domain, but one without it.
        assert_eq!(found(&["plain", "localhost"])[1], "name     plain");
        assert!(failed(&["nothing.lan"]).contains("nothing.lan"));
        let _ = server.kill();
        let _ = server.wait();
    });
}

/// R309, R311: NSLookupDiagnostics with a result of each lookup, and its failures.
fn a_lookup_for_the_acs(model: &'static Model) {
    let server = NameServer::start(|asked| {
        vec![if asked.name == "www.example.com" { asked.address(0x8580) } else { asked.answer(0x8183, &[]) }]
    });
    let address = server.address().to_string();
    let mut gateway = Gateway::new(model);
    let is_device = model.root == "Device";
    let object = model.at(if is_device { "DNS.Diagnostics.NSLookupDiagnostics." } else { "NSLookupDiagnostics." });
    let value = |session: &mut crate::support::AcsSession, name: &str| session.value(&format!("{object}{name}"));
    in_session(&mut gateway, |session| {
        let repetitions = format!("{object}NumberOfRepetitions");
        session.refuses(&set_parameter_values(&[(&repetitions, "xsd:unsignedInt", "101")], ""), 9003);
        let values = [("HostName", "www.example.com"), ("DNSServer", &address), ("NumberOfRepetitions", "3")];
        set(session, object, &values);
        set(session, object, &[("DiagnosticsState", "Requested")]);
    });
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(value(session, "DiagnosticsState"), "Complete");
        assert_eq!((value(session, "SuccessCount"), value(session, "ResultNumberOfEntries")), ("3".into(), "3".into()));
        for row in 1..=3 {
            let result = |session: &mut _, name: &str| value(session, &format!("Result.{row}.{name}"));
            assert_eq!(result(session, "Status"), "Success");
            assert_eq!(result(session, "AnswerType"), "Authoritative");
            assert_eq!(result(session, "HostNameReturned"), "www.example.com");
            assert_eq!(result(session, "IPAddresses"), "192.0.2.1,2001:db8::1");
            assert_eq!(result(session, "DNSServerIP"), "127.0.0.1");
            assert!(result(session, "ResponseTime").parse::<u32>().expect("a number") >= 1);
        }
    });
    in_session(&mut gateway, |session| {
        assert_eq!(value(session, "ResultNumberOfEntries"), "0"); // R313
        set(
            session,
            object,
            &[("HostName", "nothing"), ("NumberOfRepetitions", "2"), ("DiagnosticsState", "Requested")],
        );
    });
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(value(session, "DiagnosticsState"), "Error_Other");
        assert_eq!((value(session, "SuccessCount"), value(session, "ResultNumberOfEntries")), ("0".into(), "2".into()));
        assert_eq!(value(session, "Result.2.Status"), "Error_HostNameNotResolved");
        assert_eq!(value(session, "Result.2.AnswerType"), "None");
    });
    in_session(&mut gateway, |session| {
        set(session, object, &[("DNSServer", "no-such-host.invalid"), ("DiagnosticsState", "Requested")]);
    });
    gateway.acs.expect_session(COMPLETE, |_, session| {
        assert_eq!(value(session, "DiagnosticsState"), "Error_DNSServerNotResolved");
    });
    gateway.acs.expect_no_session(QUIET);
}
both_models!(a_lookup_for_the_acs);

/// R311: a name server that lies, truncates, fails, refuses, is silent or is not there, and the results that tell so.
#[test]
fn faulty_name_servers_for_the_acs() {
    const OBJECT: &str = "Device.DNS.Diagnostics.NSLookupDiagnostics.";
    let liar = NameServer::start(|asked| {
        let mut wrong_id = asked.address(0x8180);
        wrong_id.message[0] ^= 1;
        vec![wrong_id, Reply { from_elsewhere: true, ..asked.address(0x8180) }]
    });
    let many: Vec<(u16, Vec<u8>)> = (1..=60).map(|last| (A, vec![192, 0, 2, last])).collect();
    let truncating = NameServer::start(move |asked| {
        vec![match (asked.kind, asked.over_tcp) {
            (A, true) => asked.answer(0x8180, &many),
            (A, false) => asked.answer(0x8380, &[]),
            _ => asked.answer(0x8180, &[]),
        }]
    });
    let silent = NameServer::start(|_| Vec::new());
    let failing = NameServer::start(|asked| vec![asked.answer(0x8182, &[])]);
    let refusing = NameServer::start(|asked| vec![asked.answer(0x8185, &[])]);
    let closed = closed_address();
    let cases = [
        (liar.address(), "Error_Other", "Error_Timeout"),
        (truncating.address(), "Complete", "Success"),
        (silent.address(), "Error_Other", "Error_Timeout"),
        (failing.address(), "Error_Other", "Error_HostNameNotResolved"),
        (refusing.address(), "Error_Other", "Error_Other"),
        (closed, "Error_Other", "Error_DNSServerNotAvailable"),
    ];
    let mut gateway = Gateway::new(&crate::gateway::TR_181);
    let request = |session: &mut crate::support::AcsSession, case: usize| {
        if let Some((server, ..)) = cases.get(case) {
            set(session, OBJECT, &[("DNSServer", &server.to_string()), ("DiagnosticsState", "Requested")]);
        }
    };
    in_session(&mut gateway, |session| {
        set(session, OBJECT, &[("HostName", "www.example.com."), ("Timeout", "400"), ("NumberOfRepetitions", "2")]);
        request(session, 0);
    });
    for (index, (server, state, status)) in cases.iter().enumerate() {
        gateway.acs.expect_session(COMPLETE, |_, session| {
            let mut value = |name: &str| session.value(&format!("{OBJECT}{name}"));
            let successes = if *status == "Success" { "2" } else { "0" };
            assert_eq!(
                (value("DiagnosticsState").as_str(), value("SuccessCount").as_str()),
                (*state, successes),
                "{server}"
            );
            assert_eq!(
                (value("Result.2.Status").as_str(), value("ResultNumberOfEntries").as_str()),
                (*status, "2"),
                "{server}"
            );
            let addresses = value("Result.2.IPAddresses");
            assert_eq!(
                addresses.split(',').filter(|address| address.starts_with("192.0.2.")).count(),
                if successes == "2" { 10 } else { 0 }
            );
            request(session, index + 1);
        });
    }
    gateway.acs.expect_no_session(QUIET);
}
