//! A network of its own for one agent: a namespace in which nothing is reached that the test does not set up.

use std::path::Path;
use std::process::Command;

use super::agent::{AgentBuilder, is_replaced};
use super::skip::skip;

/// A network in which 192.0.2.1 swallows every packet.
pub const BLACK_HOLE: &str = "ip link add wan type veth peer name far; ip link set wan up; ip link set far up; ip address add 192.0.2.2/24 dev wan; \
                              ip neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev wan nud permanent";

/// Returns an agent in a network namespace of its own, in which the commands of `setup` have run, and in which these
/// files cover others. Returns `None`, and records the test as skipped, if a namespace is not allowed.
pub fn with_network(agent: AgentBuilder, setup: &str, mounts: &[(&Path, &str)]) -> Option<AgentBuilder> {
    let probe = Command::new("unshare").args(["--net", "--mount", "ip", "link", "add", "type", "veth"]).output();
    if is_replaced() || !probe.is_ok_and(|output| output.status.success()) {
        skip("no right to a network namespace, which root has");
        return None;
    }
    let bind = |(own, place): &(&Path, &str)| format!("mount --bind {} {place}; ", own.display());
    let mounts: String = mounts.iter().map(bind).collect();
    let script = format!("set -e; ip link set lo up; {setup}; {mounts}exec \"$@\"");
    Some(agent.by(&["unshare", "--net", "--mount", "sh", "-c", &script, "sh"]))
}
