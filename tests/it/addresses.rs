//! An ACS whose name has several addresses (R22).

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use crate::gateway::{SOON, gateway_at};
use crate::support::mount::with_mounts;
use crate::support::{AcsOptions, Agent, ManualAcs, port};
use tempfile::TempDir;

/// The number of addresses that are tried in one session.
const ADDRESSES: u8 = 8;

/// A hosts file that only the agent reads.
struct Hosts {
    _directory: TempDir,
    file: PathBuf,
}

impl Hosts {
    /// Returns a file by which the ACS has eight addresses of this host.
    fn new() -> Hosts {
        let directory = tempfile::tempdir().expect("a directory");
        let hosts = Hosts { file: directory.path().join("hosts"), _directory: directory };
        hosts.write((1..=ADDRESSES).map(|last| format!("127.0.0.{last}")).collect());
        hosts
    }

    fn write(&self, addresses: Vec<String>) {
        let lines: Vec<String> = addresses.iter().map(|address| format!("{address} acs.test\n")).collect();
        fs::write(&self.file, lines.concat()).expect("a file");
    }

    /// Returns a gateway that resolves the ACS by this file.
    fn gateway(&self, acs: &ManualAcs) -> Option<Agent> {
        let url = format!("http://acs.test:{}/acs", acs.port());
        Some(with_mounts(gateway_at(&url), &[(&self.file, "/etc/hosts")])?.start())
    }
}

/// Starts an ACS at all addresses of this host, on a port that stays free while the ACS is stopped.
fn everywhere() -> ManualAcs {
    ManualAcs::start(AcsOptions::new().address(Ipv4Addr::UNSPECIFIED).port(port::of_its_own()))
}

/// Expects a session, ends it well or closes the connection after the Inform, and returns the address of the ACS to
/// which the gateway connected.
fn called_at(acs: &ManualAcs, is_good: bool) -> IpAddr {
    let mut session = acs.accept(SOON).expect("a session");
    assert!(session.recv().expect("an Inform").is_inform());
    if is_good {
        session.confirm_inform();
        assert!(session.recv().expect("the empty POST").method.is_empty());
        session.end_session();
        assert!(session.is_closed());
    }
    session.address()
}

fn calls_again_at(agent: &Agent, acs: &ManualAcs) -> IpAddr {
    agent.succeeds(&["inform"]);
    called_at(acs, true)
}

/// R22: over restarts, crashes and reboots too, and until the host has other addresses. The probability that an agent which
/// chooses anew goes to the good address each time is below 1 in 500.
#[test]
fn the_good_address_survives_a_restart() {
    let (acs, hosts) = (everywhere(), Hosts::new());
    let Some(mut agent) = hosts.gateway(&acs) else { return };
    let good = called_at(&acs, true);
    assert_eq!(calls_again_at(&agent, &acs), good);
    agent.reboot();
    assert_eq!(called_at(&acs, true), good);
    for restart in [Agent::crash_and_restart, Agent::restart] {
        restart(&mut agent);
        agent.wait_for_control();
        assert_eq!(calls_again_at(&agent, &acs), good);
    }
    // Another list, in which the good address still is: the choice is free again.
    let freed = (1..8).any(|more| {
        hosts.write((1..=ADDRESSES + more).map(|last| format!("127.0.0.{last}")).collect());
        calls_again_at(&agent, &acs) != good
    });
    assert!(freed, "only {good}");
}

/// R22: the agent picks one of the addresses at random, and keeps it as long as it answers.
#[test]
fn the_good_address_is_kept() {
    let (acs, hosts) = (everywhere(), Hosts::new());
    let Some(agent) = hosts.gateway(&acs) else { return };
    let good = called_at(&acs, true);
    for _ in 0..3 {
        assert_eq!(calls_again_at(&agent, &acs), good);
    }
    agent.succeeds(&["inform"]);
    assert_eq!(called_at(&acs, false), good);
    // The retries are not bound to the kept address: the probability that all six go there is below 1 in 250,000.
    assert!((0..6).any(|_| called_at(&acs, false) != good), "only {good}");
}

/// R22, R23: if the kept address no longer answers, the agent finds another one within the same session and keeps that, as
/// it does if the host has new addresses.
#[test]
fn a_good_address_that_goes() {
    let (acs, hosts) = (everywhere(), Hosts::new());
    let Some(agent) = hosts.gateway(&acs) else { return };
    let good = called_at(&acs, true);
    let port = acs.port();
    drop(acs);
    let other: IpAddr = [127, 0, 0, if good == IpAddr::from([127, 0, 0, 5]) { 6 } else { 5 }].into();
    let acs = ManualAcs::start(AcsOptions::new().address(other).port(port));
    assert_eq!(calls_again_at(&agent, &acs), other);
    drop(acs);

    let acs = ManualAcs::start(AcsOptions::new().address(Ipv4Addr::UNSPECIFIED).port(port));
    assert_eq!(calls_again_at(&agent, &acs), other);
    hosts.write(vec!["127.0.0.9".into()]);
    assert_eq!(calls_again_at(&agent, &acs), IpAddr::from([127, 0, 0, 9]));
}
