//! A network of its own for an agent or a test: a namespace in which nothing is reached that the test does not set up.

use std::path::Path;
use std::process::{Command, Stdio};

use super::agent::AgentBuilder;
use super::skip::{share_record, skip};

/// A network in which 192.0.2.1 swallows every packet.
pub const BLACK_HOLE: &str = "ip link add wan type veth peer name far; ip link set wan up; ip link set far up; ip address add 192.0.2.2/24 dev wan; \
                              ip neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev wan nud permanent";

/// Returns an agent in a network namespace of its own, in which the commands of `setup` have run, and in which these
/// files cover others. Returns `None`, and records the test as skipped, if a namespace is not allowed.
pub fn with_network(agent: AgentBuilder, setup: &str, mounts: &[(&Path, &str)]) -> Option<AgentBuilder> {
    if !may_make_networks() {
        return None;
    }
    let bind = |(own, place): &(&Path, &str)| format!("mount --bind {} {place}; ", own.display());
    let mounts: String = mounts.iter().map(bind).collect();
    let script = format!("set -e; ip link set lo up; {setup}; {mounts}exec \"$@\"");
    Some(agent.by(&["unshare", "--net", "--mount", "sh", "-c", &script, "sh"]))
}

/// Returns true if network namespaces are allowed; otherwise records the test as skipped.
fn may_make_networks() -> bool {
    let probe = Command::new("unshare").args(["--net", "--mount", "ip", "link", "add", "type", "veth"]).output();
    let may = probe.is_ok_and(|output| output.status.success());
    if !may {
        skip("no right to a network namespace, which root has");
    }
    may
}

/// Names to a test that it runs in a network of its own.
const INSIDE: &str = "OWN_NETWORK";

/// Runs the body of the test of this name in a network of its own, which has the loopback interface, and in which the test
/// may mount files. Records the test as skipped if a namespace is not allowed.
pub fn in_own_network(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        sh("ip link set lo up");
        return body();
    }
    if !may_make_networks() {
        return;
    }
    let program = std::env::current_exe().expect("the test itself");
    let status = share_record(&mut Command::new("unshare"))
        .args(["--net", "--mount"])
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "yes")
        .stdin(Stdio::null())
        .status()
        .expect("the test over there");
    assert!(status.success(), "{test} has failed in its network: {status}");
}

/// Runs commands that must succeed.
pub fn sh(commands: &str) {
    let output = Command::new("sh").args(["-ec", commands]).output().expect("a shell");
    assert!(output.status.success(), "{commands}: {}", String::from_utf8_lossy(&output.stderr));
}
