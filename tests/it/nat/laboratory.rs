//! A NAT to test against: three hosts of our own making, in network namespaces.
//!
//! ```text
//!   cpe 10.99.0.2 ──── 10.99.0.1 nat 192.0.2.254 ──── 192.0.2.1 acs
//!   the real agent     masquerade, ports at random    reference ACS, STUN server: the test itself
//! ```

use std::process::{Command, Output, Stdio};

use crate::support::skip::{share_record, skip};

pub(crate) const ACS: [u8; 4] = [192, 0, 2, 1];
pub(crate) const OUTSIDE: [u8; 4] = [192, 0, 2, 254];
pub(crate) const STUN_PORT: u16 = 3478;

/// Names the laboratory to the part of a test that runs as the host `acs`.
const INSIDE: &str = "NAT_LABORATORY";

const RULES: &str = "\
table ip nat {
 chain postrouting {
  type nat hook postrouting priority srcnat; policy accept;
  oifname \"outside\" masquerade random
 }
}
";

/// The three hosts. The namespaces are deleted when the laboratory is dropped by the process that built it.
pub(crate) struct Laboratory {
    name: String,
    is_builder: bool,
}

/// Runs a test as the host `acs` of a laboratory of its own; records the test as skipped if none can be built.
pub(crate) fn in_laboratory(test: &str, body: impl FnOnce(&Laboratory)) {
    if let Ok(name) = std::env::var(INSIDE) {
        return body(&Laboratory { name, is_builder: false });
    }
    match Laboratory::build() {
        Ok(laboratory) => laboratory.runs(test),
        Err(reason) => {
            skip(format!("no NAT can be set up, which takes root: {reason}"));
        }
    }
}

impl Laboratory {
    fn build() -> Result<Laboratory, String> {
        for program in ["nft", "conntrack"] {
            succeeds(Command::new(program).arg("--version"))?;
        }
        // The name of an interface has at most 15 bytes.
        let name = format!("lab{:x}{:02x}", std::process::id(), number());
        let laboratory = Laboratory { name, is_builder: true };
        for host in ["cpe", "nat", "acs"] {
            succeeds(Command::new("ip").args(["netns", "add", &laboratory.host(host)]))?;
            laboratory.on(host, &["ip", "link", "set", "lo", "up"])?;
        }
        laboratory.cable(("cpe", "wan", "10.99.0.2/24"), ("nat", "inside", "10.99.0.1/24"))?;
        laboratory.cable(("acs", "eth0", "192.0.2.1/24"), ("nat", "outside", "192.0.2.254/24"))?;
        laboratory.on("cpe", &["ip", "route", "add", "default", "via", "10.99.0.1"])?;
        laboratory.write("/proc/sys/net/ipv4/ip_forward", "1")?;
        laboratory.on("nat", &["nft", RULES])?;
        laboratory.forgets_after(60)?;
        Ok(laboratory)
    }

    fn cable(&self, one: (&str, &str, &str), other: (&str, &str, &str)) -> Result<(), String> {
        let [from, to] = [self.host(one.0), self.host(other.0)];
        let mut link = Command::new("ip");
        link.args(["link", "add", one.1, "netns", &from, "type", "veth", "peer", "name", other.1, "netns", &to]);
        succeeds(&mut link)?;
        for (host, interface, address) in [one, other] {
            self.on(host, &["ip", "address", "add", address, "dev", interface])?;
            self.on(host, &["ip", "link", "set", interface, "up"])?;
        }
        Ok(())
    }

    /// Runs a program on a host to its end.
    pub(crate) fn on(&self, host: &str, command: &[&str]) -> Result<Output, String> {
        succeeds(Command::new("ip").args(["netns", "exec", &self.host(host)]).args(command))
    }

    /// Sets the time in seconds that the NAT keeps an idle UDP binding.
    pub(crate) fn forgets_after(&self, seconds: u32) -> Result<(), String> {
        for file in ["nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"] {
            self.write(&format!("/proc/sys/net/netfilter/{file}"), &seconds.to_string())?;
        }
        Ok(())
    }

    /// Drops all bindings at once.
    pub(crate) fn forgets_everything(&self) {
        self.on("nat", &["conntrack", "-F"]).expect("an empty table");
    }

    /// Writes a setting of the host `nat`.
    fn write(&self, file: &str, text: &str) -> Result<(), String> {
        self.on("nat", &["sh", "-c", &format!("echo {text} > {file}")]).map(drop)
    }

    /// Returns the name of the namespace of a host.
    pub(crate) fn host(&self, host: &str) -> String {
        format!("{}-{host}", self.name)
    }

    /// Runs the body of the test on the host `acs`.
    fn runs(&self, test: &str) {
        let program = std::env::current_exe().expect("the test itself");
        let status = share_record(&mut Command::new("ip"))
            .args(["netns", "exec", &self.host("acs")])
            .arg(program)
            .args(["--exact", &format!("nat::{test}"), "--nocapture"])
            .env(INSIDE, &self.name)
            .stdin(Stdio::null())
            .status()
            .expect("the test over there");
        assert!(status.success(), "{test} has failed in the laboratory: {status}");
    }
}

impl Drop for Laboratory {
    fn drop(&mut self) {
        if self.is_builder {
            for host in ["cpe", "nat", "acs"] {
                let _ = Command::new("ip").args(["netns", "delete", &self.host(host)]).stderr(Stdio::null()).status();
            }
        }
    }
}

/// Laboratories of one process have different names.
fn number() -> u8 {
    use std::sync::atomic::{AtomicU8, Ordering};
    static NUMBER: AtomicU8 = AtomicU8::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

fn succeeds(command: &mut Command) -> Result<Output, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(output) } else { Err(format!("{command:?}: {words}")) }
}
