//! The retry of a session that had no network: brought forward by an address, a route or a name server, by SIGHUP and by
//! `inform` (R125, R128).

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::gateway::{BOOT, BOOTSTRAP, SOON, gateway_at};
use crate::support::agent::AgentBuilder;
use crate::support::network::{in_own_network, sh};
use crate::support::stopwatch::Stopwatch;
use crate::support::{Acs, AcsOptions, Agent, empty_post, inform, inform_response, no_content, port};

/// The longest time from a change of the network to the session: settling, jitter, and a busy machine.
const AT_ONCE: Duration = Duration::from_secs(4);

const FAILED: &str = "session failed";
const NEWS: &str = "the network has changed";

/// Returns a gateway with this ACS whose retries come after an hour.
fn patient(url: &str) -> AgentBuilder {
    gateway_at(url)
        .set("Device.ManagementServer.CWMPRetryMinimumWaitInterval", "3600")
        .set("Device.ManagementServer.PeriodicInformEnable", "false")
}

/// Returns the number of sessions that have failed.
fn failures(agent: &Agent) -> usize {
    agent.log().matches(FAILED).count()
}

/// Waits for the failure with this number.
fn await_failure(agent: &Agent, number: usize, limit: Duration) {
    let end = Instant::now() + limit;
    while failures(agent) < number {
        assert!(Instant::now() < end, "no failure {number}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn has_watch(agent: &Agent) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", agent.pid())).expect("the threads");
    tasks.flatten().any(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "network"))
}

/// Waits until the watch for a change of the network is open, or closed.
fn await_watch(agent: &Agent, open: bool) {
    let end = Instant::now() + SOON;
    while has_watch(agent) != open {
        assert!(Instant::now() < end, "the watch is not {open}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Starts an ACS that accepts the session of a second attempt.
fn acs_at_every_address() -> Acs {
    let acs = Acs::start(AcsOptions::new().address(Ipv4Addr::UNSPECIFIED).port(port::of_its_own()));
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(1)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    acs
}

/// Expects the session that a change of the network has brought forward.
fn comes_at_once(acs: &mut Acs, agent: &Agent, changed: Stopwatch) {
    acs.session(SOON).expect_complete();
    assert!(changed.is_within(AT_ONCE), "{changed:?}");
    agent.wait_for_log("session finished", SOON);
    await_watch(agent, false);
}

/// R98: an address that comes makes one attempt at once, and the count of retries goes on.
#[test]
fn an_address_that_comes() {
    in_own_network("contact::late_network::an_address_that_comes", || {
        let mut acs = acs_at_every_address();
        let agent = patient(&format!("http://192.0.2.1:{}/acs", acs.port())).start();
        agent.wait_for_log(FAILED, SOON);
        await_watch(&agent, true);
        sh("ip link add wan type veth peer name far; ip link set wan up; ip link set far up");
        thread::sleep(Duration::from_millis(500));
        let changed = Stopwatch::start();
        sh("ip address add 192.0.2.1/24 dev wan");
        comes_at_once(&mut acs, &agent, changed);
        let attempts = agent.log().matches("session with").count();
        assert_eq!(attempts, 2, "one attempt, and none for a link without an address");
    });
}

/// A route that comes makes an attempt, and a route that is set once more none.
#[test]
fn a_route_that_comes() {
    in_own_network("contact::late_network::a_route_that_comes", || {
        sh("ip link add wan type veth peer name far; ip link set wan up; ip link set far up; \
            ip address add 192.0.2.2/24 dev wan; ip neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev wan");
        let agent = patient("http://198.51.100.1:7547/acs").args(&["--acs-timeout", "1"]).start();
        agent.wait_for_log("unreachable", SOON);
        await_watch(&agent, true);
        let route = "ip route replace 198.51.100.0/24 via 192.0.2.1 dev wan";
        sh(route);
        agent.wait_for_log(NEWS, AT_ONCE);
        agent.wait_for_log("it does not answer", SOON);
        sh(route);
        thread::sleep(Duration::from_secs(1));
        assert_eq!(agent.log().matches(NEWS).count(), 1);
    });
}

/// Covers `/etc` by a copy that the test may change.
fn own_etc() -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a directory");
    let path = copy.path().display();
    sh(&format!("cp -a /etc/. {path}; mount --bind {path} /etc"));
    copy
}

/// The name of the ACS resolves as soon as a file of the resolver has it, whether the file is written or replaced.
#[test]
fn a_name_that_comes() {
    in_own_network("contact::late_network::a_name_that_comes", || {
        let _etc = own_etc();
        fs::write("/etc/resolv.conf", "").expect("a file");
        let mut acs = acs_at_every_address();
        let agent = patient(&format!("http://acs.test:{}/acs", acs.port())).start();
        agent.wait_for_log("does not resolve", SOON);
        await_watch(&agent, true);
        fs::write("/etc/issue", "no file of the resolver").expect("a file");
        thread::sleep(Duration::from_millis(500));
        assert!(!agent.log().contains(NEWS));
        fs::write("/etc/hosts.new", "127.0.0.1 acs.test\n").expect("a file");
        let changed = Stopwatch::start();
        fs::rename("/etc/hosts.new", "/etc/hosts").expect("replaced");
        comes_at_once(&mut acs, &agent, changed);
    });
}

/// A name server that comes makes an attempt, also where the file lies behind a link, as on OpenWrt.
#[test]
fn a_name_server_that_comes() {
    in_own_network("contact::late_network::a_name_server_that_comes", || {
        let etc = own_etc();
        let real = etc.path().join("real");
        fs::create_dir(&real).expect("a directory");
        fs::write(real.join("servers"), "").expect("a file");
        fs::remove_file("/etc/resolv.conf").expect("removed");
        std::os::unix::fs::symlink("/etc/real/servers", "/etc/resolv.conf").expect("a link");
        let agent = patient("http://acs.test/acs").start();
        agent.wait_for_log("does not resolve", SOON);
        await_watch(&agent, true);
        fs::write(Path::new("/etc/real/servers"), "nameserver 127.0.0.1\n").expect("a file");
        agent.wait_for_log(NEWS, AT_ONCE);
        await_failure(&agent, 2, SOON);
    });
}

/// A storm of addresses makes an attempt every few seconds at most.
#[test]
fn a_storm_of_addresses() {
    in_own_network("contact::late_network::a_storm_of_addresses", || {
        sh("ip link add wan type veth peer name far; ip link set wan up; ip link set far up");
        let agent = patient("http://192.0.2.1/acs").start();
        agent.wait_for_log("unreachable", SOON);
        await_watch(&agent, true);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(8) {
            sh("for n in 1 2 3 4 5 6 7 8 9; do ip address add 203.0.113.$n/32 dev wan; \
                ip address delete 203.0.113.$n/32 dev wan; done");
        }
        let attempts = failures(&agent) as u64 - 1;
        assert!(attempts >= 1 && attempts <= 2 + began.elapsed().as_secs() / 5, "{attempts} attempts");
    });
}

/// A session that failed for another reason is not repeated for a new address, and no watch is open.
#[test]
fn an_acs_that_was_reached() {
    in_own_network("contact::late_network::an_acs_that_was_reached", || {
        sh("ip link add wan type veth peer name far; ip link set wan up; ip link set far up");
        let agent = patient("http://127.0.0.1:1/acs").start();
        agent.wait_for_log("refused", SOON);
        assert!(!has_watch(&agent));
        sh("ip address add 192.0.2.1/24 dev wan");
        thread::sleep(Duration::from_secs(2));
        assert_eq!(failures(&agent), 1);
    });
}

/// R98: SIGHUP and `inform` make an attempt at once, and the count of retries goes on.
#[test]
fn sighup_and_inform() {
    let agent = patient(&format!("http://{}/acs", port::closed_address())).start();
    agent.wait_for_log(FAILED, SOON);
    agent.wait_for_control();
    agent.signal("HUP");
    await_failure(&agent, 2, AT_ONCE);
    agent.succeeds(&["inform"]);
    await_failure(&agent, 3, AT_ONCE);
    let end = Instant::now() + SOON;
    while !agent.succeeds(&["status"]).contains("retry count    3\n") {
        assert!(Instant::now() < end, "{}", agent.succeeds(&["status"]));
    }
}
