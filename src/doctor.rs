//! The command `doctor`: checks, from the device, each part of the way between the agent and its ACS, one line each.
//!
//! ```text
//! effective_state.rs   configuration, data model, journal, running agent ──▶ the values in use
//!     │
//!     ▼
//! name.rs ─▶ tcp.rs ─▶ tls.rs ─▶ http_probe.rs    the way to the ACS; each step needs the one before it
//! clock.rs      the clock of the device, compared with that of the ACS
//! stun.rs       the address and port that a NAT gives to a socket of the device
//! ports.rs      the ports for connection requests
//!     │
//!     ▼
//! finding.rs    the lines
//! ```
//!
//! The command writes nothing, and asks the running agent only through its control socket and its open ports. The ACS
//! receives a GET, which begins no session and must not change anything (RFC 9110 §9.2.1). Every check has a time limit;
//! all together take less than a minute. No signal is caught, so that an interrupt ends the command at once.

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

/// The time for which a server may send nothing: an operator in front of the device does not wait for the 30 s of a
/// session.
const SILENCE: Duration = Duration::from_secs(3);

/// Prints the findings. Returns status 1 if a part that the agent needs does not work.
pub fn run(config: &Config) -> ExitCode {
    let mut printer = FindingPrinter::default();
    let clock = Clock::new();
    if let Some(state) = EffectiveState::find(config, clock.now(), &mut printer) {
        printer.add(clock::own(clock.now()));
        let url = effective_state::acs_url(&state, &mut printer);
        let ours = url.as_ref().and_then(|url| towards_acs(config, &state, url, &clock, &mut printer));
        stun::check(config, &state, url.as_ref(), &clock, &mut printer);
        ports::check(config, &state, ours, &mut printer);
    }
    printer.exit_code()
}

/// Checks the way to the ACS step by step. Returns the local address on it.
fn towards_acs(
    config: &Config,
    state: &EffectiveState,
    url: &Url,
    clock: &Clock,
    printer: &mut FindingPrinter,
) -> Option<IpAddr> {
    let addresses = name::check("ACS name", &name::host_of(url), url.port(), clock, printer)?;
    let tcp = tcp::check(&addresses, &limits(), clock, printer)?;
    // The listener for connection requests is checked at this address, since the ACS contacts the device there.
    let ours = tcp.local_addr().map(|local: SocketAddr| local.ip().to_canonical());
    let probe = AcsProbe {
        url: url.clone(),
        tls: crate::agent::tls_settings(config),
        has_password: state.has_password(),
        clock: *clock,
    };
    printer.extend(probe.run(tcp));
    ours
}

/// Returns the limits of one check.
fn limits() -> IoLimits {
    IoLimits { timeout: SILENCE, stop: Arc::new(AtomicBool::new(false)), end: None }
}
