//! The connection and the session that tells a boot or the end of a standby (R300).

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc;

use super::hostile_server::{Step, await_end, start};
use super::prosody::Prosody;
use super::*;
use crate::gateway::{BOOT, BOOTSTRAP};
use crate::support::mount::with_mounts;
use crate::support::skip::emulator_lacks;
use crate::support::tls::ServerTls;
use crate::support::{AcsOptions, ManualAcs, port};

const ADDRESS: &str = "Device.ManagementServer.ConnReqJabberID";

/// R300: the session of the boot reports the address.
#[test]
fn the_session_of_a_boot_follows_the_connection() {
    let Some(prosody) = Prosody::start() else { return };
    let acs = ManualAcs::start(AcsOptions::new());
    let mut agent = gateway(&acs.url(), prosody.port, prosody.directory.path())
        .args(&["--ca-file", prosody.certificate.ca.to_str().expect("a path")])
        .start();
    acs.expect_session(&[BOOTSTRAP, BOOT], |_, session| assert_eq!(session.value(ADDRESS), JABBER_ID));
    agent.reboot();
    acs.expect_session(&[BOOT], |_, session| {
        assert_eq!(session.value(&format!("{CONNECTION}.Status")), "Enabled");
    });
}

/// The metrics have the connection and its requests, and the doctor names the address or the reason for which there is none.
#[test]
fn metrics_and_doctor_tell_the_connection() {
    let Some(mut prosody) = Prosody::start() else { return };
    let acs = ManualAcs::start(AcsOptions::new());
    let metrics = prosody.directory.path().join("cpe-agent.prom");
    let agent = gateway(&acs.url(), prosody.port, prosody.directory.path())
        .args(&["--ca-file", prosody.certificate.ca.to_str().expect("a path")])
        .args(&["--metrics".as_ref(), metrics.as_os_str()])
        .start();
    acs.expect_events(&[BOOTSTRAP, BOOT]);
    let await_metric = |line: &str| {
        let end = Instant::now() + SOON * 2;
        while !fs::read_to_string(&metrics).is_ok_and(|text| text.contains(line)) {
            assert!(Instant::now() < end, "{line}: {:?}", fs::read_to_string(&metrics));
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    await_metric("cpe_agent_xmpp_connected 1\n");
    await_metric("cpe_agent_connection_requests_total{transport=\"xmpp\",outcome=\"accepted\"} 0\n");
    let has_doctor = cfg!(feature = "doctor") && !emulator_lacks("the command doctor, as firmware does");
    let says = |words: &str| {
        let told = agent.beside("doctor");
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(!has_doctor || told.contains(words), "{told}");
    };
    says(&format!("ok       XMPP           connection requests to {JABBER_ID}"));
    prosody.stop();
    await_status(&agent, "ServerNotPresent");
    says("FAILED   XMPP           no connection (ServerNotPresent): ");
    await_metric("cpe_agent_xmpp_connected 0\n");
}

/// A server that is silent, and one that is not there, do not keep the boot from the ACS.
#[test]
fn the_session_of_a_boot_does_not_wait_for_good() {
    let directory = tempfile::tempdir().expect("a directory");
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_port = silent.local_addr().expect("an address").port();
    for server in [silent_port, port::of_its_own()] {
        let acs = ManualAcs::start(AcsOptions::new());
        let agent = gateway(&acs.url(), server, directory.path()).start();
        acs.expect_events(&[BOOTSTRAP, BOOT]);
        assert_eq!(agent.value(ADDRESS), "");
    }
}

/// R300, R305: after a standby the connection is made anew, and before the session.
#[test]
fn the_session_of_a_wake_up_follows_a_new_connection() {
    let directory = tempfile::tempdir().expect("a directory");
    let (chain, key) = Authority::new("the authority of the server").server_files(&[DOMAIN], directory.path());
    let (opened, connections) = mpsc::channel();
    let step = |nth: u32| -> Step {
        let opened = opened.clone();
        (
            "",
            Box::new(move |peer| {
                let peer = peer.ready();
                opened.send(nth).expect("the test waits");
                await_end(peer);
            }),
        )
    };
    let port = start(ServerTls::of_files(&chain, &key).config(), vec![step(1), step(2)]);
    let uptime = directory.path().join("uptime");
    fs::write(&uptime, "1000.00 0.00\n").expect("a file");
    let acs = ManualAcs::start(AcsOptions::new());
    let builder = gateway(&acs.url(), port, directory.path())
        .args(&["--ca-file", chain.to_str().expect("a path")])
        .set("Device.ManagementServer.StandbyPolicy.CRUnawarenessMaxDuration", "10");
    let Some(builder) = with_mounts(builder, &[(Path::new(&uptime), "/proc/uptime")]) else { return };
    let _agent = builder.start();
    acs.expect_events(&[BOOTSTRAP, BOOT]);
    assert_eq!(connections.try_recv(), Ok(1));
    fs::write(&uptime, "9000.00 0.00\n").expect("a file");
    acs.expect_events(&["13 WAKEUP"]);
    assert_eq!(connections.try_recv(), Ok(2), "the connection precedes the session");
}
