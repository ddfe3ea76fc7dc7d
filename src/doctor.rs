//! The command `doctor`: looks, from the device, at everything that stands between the agent and its ACS, one line each.
//!
//! ```text
//! effective_state.rs   configuration, data model, journal, running agent ──▶ what holds now
//!     │
//!     ▼
//! name.rs ─▶ tcp.rs ─▶ tls.rs ─▶ http_probe.rs     towards the ACS, each as far as the one before it came
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

#[cfg(feature = "tls")]
mod certificate;
mod clock;
mod effective_state;
mod finding;
mod http_probe;
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

use crate::clock::Clock;
use crate::config::Config;
use crate::http::IoLimits;
use crate::url::Url;
use effective_state::EffectiveState;
use finding::FindingPrinter;
use http_probe::AcsProbe;

/// How long a server may be silent: whoever stands before the device will not wait for the 30 s of a session.
const SILENCE: Duration = Duration::from_secs(3);

/// Prints what was found; status 1 where something that the agent needs does not work.
pub fn run(config: &Config) -> ExitCode {
    let mut report = FindingPrinter::default();
    let clock = Clock::new();
    if let Some(state) = EffectiveState::find(config, clock.now(), &mut report) {
        report.add(clock::own(clock.now()));
        let url = effective_state::acs_url(&state, &mut report);
        let ours = url.as_ref().and_then(|url| towards_acs(config, &state, url, &clock, &mut report));
        stun::check(config, &state, url.as_ref(), &clock, &mut report);
        ports::check(config, &state, ours, &mut report);
    }
    report.exit_code()
}

/// The way to the ACS, step by step; gives our own address on it.
fn towards_acs(
    config: &Config,
    state: &EffectiveState,
    url: &Url,
    clock: &Clock,
    report: &mut FindingPrinter,
) -> Option<IpAddr> {
    let addresses = name::check("ACS name", &name::host_of(url), url.port(), clock, report)?;
    let tcp = tcp::check(&addresses, &limits(), clock, report)?;
    let ours = tcp.local_addr().map(|local: SocketAddr| local.ip().to_canonical());
    let probe = AcsProbe {
        url: url.clone(),
        tls: crate::agent::tls_settings(config),
        has_password: state.has_password(),
        clock: *clock,
    };
    report.extend(probe.run(tcp));
    ours
}

fn limits() -> IoLimits {
    IoLimits { timeout: SILENCE, stop: Arc::new(AtomicBool::new(false)), end: None }
}
