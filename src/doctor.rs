//! The command `doctor`: looks, from the device, at everything that stands between the agent and its ACS, one line each.
//!
//! ```text
//! in_force.rs   configuration, data model, journal, running agent ──▶ what holds now
//!     │
//!     ▼
//! name.rs ─▶ tcp.rs ─▶ tls.rs ─▶ answer.rs     towards the ACS, each as far as the one before it came
//!                       └ certificate.rs        reads what the server showed
//! clock.rs      our clock, and that of the ACS beside it
//! stun.rs       what a NAT makes of a socket of ours
//! ports.rs      whether connection requests find somebody
//!     │
//!     ▼
//! finding.rs    the lines
//! ```
//!
//! Nothing is written anywhere, and the running agent is asked only through its control socket and its open ports. The
//! ACS is sent a GET, which no session begins with and no server may act upon (RFC 9110 §9.2.1). Every check has a time
//! limit; all together they take less than a minute. Nothing catches signals, which therefore end it at once.

mod answer;
#[cfg(feature = "tls")]
mod certificate;
mod clock;
mod finding;
mod in_force;
mod limit;
mod name;
mod ports;
mod stun;
mod tcp;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::acs::transport::Patience;
use crate::clock::Clock;
use crate::config::Config;
use crate::url::Url;
use answer::Contact;
use finding::Report;
use in_force::InForce;

/// How long a server may be silent: whoever stands before the device will not wait for the 30 s of a session.
const SILENCE: Duration = Duration::from_secs(3);

/// Prints what was found; status 1 where something that the agent needs does not work.
pub fn run(config: &Config) -> ExitCode {
    let mut report = Report::default();
    let clock = Clock::new();
    if let Some(in_force) = InForce::find(config, clock.now(), &mut report) {
        report.add(clock::own(clock.now()));
        let url = in_force::acs_url(&in_force, &mut report);
        let ours = url.as_ref().and_then(|url| towards_acs(config, &in_force, url, &clock, &mut report));
        stun::check(config, &in_force, url.as_ref(), &clock, &mut report);
        ports::check(config, &in_force, ours, &mut report);
    }
    report.exit_code()
}

/// The way to the ACS, step by step; gives our own address on it.
fn towards_acs(config: &Config, in_force: &InForce, url: &Url, clock: &Clock, report: &mut Report) -> Option<IpAddr> {
    let addresses = name::check("ACS name", &name::host_of(url), url.port(), clock, report)?;
    let tcp = tcp::check(&addresses, &patience(), clock, report)?;
    let ours = tcp.local_addr().map(|local: SocketAddr| local.ip().to_canonical());
    let contact = Contact {
        url: url.clone(),
        tls: crate::agent::tls_settings(config),
        has_password: in_force.has_password(),
        clock: *clock,
    };
    report.extend(contact.examine(tcp));
    ours
}

fn patience() -> Patience {
    Patience { timeout: SILENCE, stop: Arc::new(AtomicBool::new(false)), end: None }
}
