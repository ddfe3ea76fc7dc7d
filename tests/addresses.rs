//! An ACS whose name has several addresses (R22).

mod gateway;
mod support;

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::process::Command;

use gateway::{SOON, gateway_at};
use support::Line;
use support::agent::AgentBuilder;
use tempfile::TempDir;

/// As many as are tried in one session.
const ADDRESSES: u8 = 8;

/// A gateway whose ACS is at eight addresses of this host, by a hosts file of its own; says so where it cannot have one.
fn gateway_of_many_addresses(line: &Line, directory: &TempDir) -> Option<AgentBuilder> {
    let hosts = directory.path().join("hosts");
    let entries: Vec<String> = (1..=ADDRESSES).map(|last| format!("127.0.0.{last} acs.test\n")).collect();
    fs::write(&hosts, entries.concat()).expect("a file");
    let own_hosts =
        ["unshare", "--mount", "--map-root-user", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""];
    let prefix = [&own_hosts[..], &[hosts.to_str().expect("UTF-8")]].concat();
    let tried = Command::new(prefix[0]).args(&prefix[1..]).arg("true").output();
    if !tried.is_ok_and(|output| output.status.success()) {
        // Not eprintln: the test harness would swallow it.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no hosts file for one program alone here; root can have one");
        return None;
    }
    Some(gateway_at(&format!("http://acs.test:{}/acs", line.port())).by(&prefix))
}

/// The next session, well to its end or broken off behind Inform; gives the address at which the gateway called.
fn called_at(line: &Line, is_good: bool) -> IpAddr {
    let mut call = line.accept(SOON).expect("a session");
    assert!(call.hear().expect("an Inform").is_inform());
    if is_good {
        call.confirm();
        assert!(call.hear().expect("the empty POST").method.is_empty());
        call.dismiss();
        assert!(call.is_hung_up());
    }
    call.address()
}

/// R22: one of them at random, and the good one again as long as it is good.
#[test]
fn the_good_address_is_kept() {
    let (line, directory) = (Line::open_everywhere(), tempfile::tempdir().expect("a directory"));
    let Some(gateway) = gateway_of_many_addresses(&line, &directory) else { return };
    let agent = gateway.start();
    let good = called_at(&line, true);
    for is_good in [true, true, true, false] {
        agent.succeeds(&["inform"]);
        assert_eq!(called_at(&line, is_good), good);
    }
    // The retries are not bound to it: that all go there is less likely than one in 250,000.
    assert!((0..6).any(|_| called_at(&line, false) != good), "only {good}");
}
