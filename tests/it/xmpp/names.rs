//! The server of a domain, as the records of the DNS name it (RFC 6120 §3.2.1).

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::prosody::Prosody;
use super::*;
use crate::gateway::{BOOT, BOOTSTRAP};
use crate::support::mount::with_mounts;
use crate::support::name_server::{A, Asked, NameServer, Reply, SRV};
use crate::support::{AcsOptions, ManualAcs, port};

/// The flags of an answer, and of one for a name that is not there.
const FOUND: u16 = 0x8180;
const NO_NAME: u16 = 0x8183;

/// The questions that the name server got, each with the number of its type.
type Questions = Arc<Mutex<Vec<String>>>;

/// Returns the data of an SRV record.
fn service(priority: u16, port: u16, host: &str) -> (u16, Vec<u8>) {
    let mut data: Vec<u8> = [priority, 0, port].iter().flat_map(|number| number.to_be_bytes()).collect();
    for label in host.split('.') {
        data.push(u8::try_from(label.len()).expect("a label"));
        data.extend(label.as_bytes());
    }
    data.push(0);
    (SRV, data)
}

/// Connects by the DNS, and returns the agent and the names of the questions. `None` where a test may not do so.
fn connects(
    prosody: &Prosody,
    acs: &ManualAcs,
    answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> Option<(Agent, NameServer, Questions)> {
    let names = Questions::default();
    let asked = Arc::clone(&names);
    let server = NameServer::of_the_system(move |question| {
        asked.lock().expect("no panic").push(format!("{} {}", question.kind, question.name));
        vec![answer(question)]
    })?;
    let resolver = prosody.directory.path().join("resolv.conf");
    fs::write(&resolver, format!("nameserver {}\n", server.address().ip())).expect("a file");
    let builder = gateway(&acs.url(), prosody.port, prosody.directory.path())
        .args(&["--ca-file", prosody.certificate.ca.to_str().expect("a path")])
        .set(&format!("{CONNECTION}.ServerConnectAlgorithm"), "DNS-SRV")
        .set(&format!("{CONNECTION}.ServerConnectAttempts"), "1");
    let agent = with_mounts(builder, &[(Path::new(&resolver), "/etc/resolv.conf")])?.start();
    acs.expect_events(&[BOOTSTRAP, BOOT]);
    Some((agent, server, names))
}

/// R297: the server of the best priority does not answer, so that the next one has its turn.
#[test]
fn the_records_of_the_domain_name_the_servers() {
    let Some(prosody) = Prosody::start() else { return };
    let acs = ManualAcs::start(AcsOptions::new());
    let (gone, there) = (port::of_its_own(), prosody.port);
    let records = [service(20, there, "second.xmpp.example"), service(10, gone, "first.xmpp.example")];
    let answer = move |asked: &Asked| match (asked.kind, asked.name.as_str()) {
        (SRV, "_xmpp-client._tcp.xmpp.example") => asked.answer(FOUND, &records),
        (A, "first.xmpp.example" | "second.xmpp.example") => asked.answer(FOUND, &[(A, vec![127, 0, 0, 1])]),
        (SRV | A, _) => asked.answer(NO_NAME, &[]),
        _ => asked.answer(FOUND, &[]),
    };
    let Some((agent, _server, names)) = connects(&prosody, &acs, answer) else { return };
    await_status(&agent, "Enabled");
    assert_eq!(agent.value(&format!("{CONNECTION}.JabberID")), JABBER_ID);
    let names = names.lock().expect("no panic").clone();
    let at = |name: &str| names.iter().position(|asked| asked == name).unwrap_or_else(|| panic!("{name}: {names:?}"));
    assert!(at("33 _xmpp-client._tcp.xmpp.example") < at("1 first.xmpp.example"), "{names:?}");
    assert!(at("1 first.xmpp.example") < at("1 second.xmpp.example"), "{names:?}");
}

/// R297: damaged answers, and answers of a wrong kind, name no server; the fallback is the host of the domain.
#[test]
fn damaged_records_name_no_server() {
    let Some(prosody) = Prosody::start() else { return };
    let acs = ManualAcs::start(AcsOptions::new());
    let nth = std::sync::atomic::AtomicUsize::new(0);
    let answer = move |asked: &Asked| match asked.kind {
        SRV => {
            let whole = asked.answer(FOUND, &[service(10, 5222, "a.xmpp.example")]);
            let nth = nth.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            // Each attempt asks anew: the answer is cut in the middle of its record, one byte earlier each time.
            Reply { message: whole.message[..whole.message.len() - 1 - nth % 20].to_vec(), ..whole }
        }
        _ => asked.answer(NO_NAME, &[]),
    };
    let Some((agent, _server, names)) = connects(&prosody, &acs, answer) else { return };
    let is_asked = |count| {
        let asked = names.lock().expect("no panic").iter().filter(|name| name.starts_with("33 ")).count();
        asked >= count
    };
    let end = Instant::now() + SOON * 2;
    while !is_asked(3) {
        assert!(Instant::now() < end, "{:?}\n{}", names.lock(), agent.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    await_status(&agent, "ServerNotPresent");
    assert!(names.lock().expect("no panic").iter().any(|name| name == "1 xmpp.example"), "the host of the domain");
}
