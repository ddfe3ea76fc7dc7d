//! The network of an emulated gateway: a cable, and on its other end this process and dnsmasq.
//!
//! ```text
//!   gateway 192.0.2.50, or another lease ──── lan ──── 192.0.2.1 dnsmasq (DHCP, DNS), reference ACS: the test itself
//! ```
//!
//! The scenario runs in a network namespace that `cross/gateway` has created for it, and in a process namespace, whose
//! end ends dnsmasq and the emulator.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The names of the ACS. The certificates of the reference ACS name the second one.
pub(crate) const NAMES: [&str; 2] = ["acs.example.net", "elsewhere.example"];

/// The interface of this end, which the emulator opens by its name.
const CABLE: &str = "lan";

pub(crate) struct Host {
    directory: TempDir,
    dnsmasq: Option<Child>,
}

impl Host {
    /// Connects the cable; nothing answers yet.
    pub(crate) fn new() -> Host {
        ip("link set lo up");
        ip(&format!("tuntap add dev {CABLE} mode tap"));
        ip(&format!("address add {HOST}/24 dev {CABLE}"));
        ip(&format!("link set {CABLE} up"));
        Host { directory: tempfile::tempdir().expect("a directory"), dnsmasq: None }
    }

    /// Has dnsmasq lease this address to the gateway, and no other.
    pub(crate) fn leases(&mut self, address: Ipv4Addr) {
        self.stop();
        let leases = self.directory.path().join(address.to_string());
        let mut command = Command::new("dnsmasq");
        command
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--no-ping"])
            .args(["--bind-interfaces", &format!("--interface={CABLE}"), "--no-resolv", "--no-hosts"])
            .args(["--dhcp-authoritative", &format!("--dhcp-range={address},{address},10m")])
            .arg(format!("--dhcp-leasefile={}", leases.display()))
            .args(NAMES.map(|name| format!("--host-record={name},{HOST}")))
            .args(NAMES.map(|name| format!("--local=/{name}/"))) // no IPv6 address, rather than a refusal
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        self.dnsmasq = Some(command.stdin(Stdio::null()).spawn().expect("dnsmasq"));
    }

    fn stop(&mut self) {
        if let Some(mut dnsmasq) = self.dnsmasq.take() {
            let _ = dnsmasq.kill();
            let _ = dnsmasq.wait();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("the program ip");
    assert!(status.success(), "ip {arguments}");
}
