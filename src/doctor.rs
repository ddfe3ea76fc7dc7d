//! The command `doctor`: checks, from the device, each part of the way between the agent and its ACS, one line each.
//!
//! ```text
//! effective_state.rs   configuration, data model, journal, running agent ──▶ the values in use
//!     │
//!     ▼
//! name.rs ─▶ tcp.rs ─▶ tls.rs ─▶ http_probe.rs    the way to the ACS; each step needs the one before it
//! sessions.rs      the last session of the running agent, with its causes
//! storage.rs       the write test of the state directory and of the transfer directory
//! actions.rs       the programs and keys of the data model
//! clock.rs         the clock of the device, compared with that of the ACS
//! stun.rs          the address and port that a NAT gives to a socket of the device (stun_query.rs asks)
//! ports.rs         the ports for connection requests
//! xmpp.rs          the XMPP connection of the running agent
//! reachability.rs  a private address towards a public ACS
//!     │
//!     ▼
//! finding.rs    the lines
//! ```
//!
//! The command changes nothing: its write tests remove their file. It asks the running agent only through its control socket
//! and its open ports. The ACS receives a GET, which begins no session and must not change anything (RFC 9110 §9.2.1).
//! Every check has a time limit; all together take less than a minute. No signal is caught, so that an interrupt ends the
//! command at once.

mod actions;
mod clock;
mod effective_state;
mod finding;
mod http_probe;
mod name;
mod ports;
mod reachability;
mod sessions;
mod storage;
mod stun;
mod stun_query;
mod tcp;
mod tls;
mod xmpp;

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
        printer.extend(sessions::assess(state.status()));
        printer.extend(storage::check(config, &state));
        printer.extend(actions::check(state.actions()));
        printer.add(clock::own(clock.now()));
        let url = effective_state::acs_url(config, &state, &mut printer);
        let way = url.as_ref().map(|url| towards_acs(config, &state, url, &clock, &mut printer)).unwrap_or_default();
        stun::check(config, &state, url.as_ref(), &clock, &mut printer);
        ports::check(config, &state, &way, &mut printer);
        printer.extend(xmpp::assess(state.status()).into_iter().collect());
    }
    printer.exit_code()
}

/// The way to the ACS, as far as it is known.
#[derive(Debug, Default)]
struct WayToAcs {
    /// The addresses of the ACS.
    acs: Vec<SocketAddr>,
    /// The local address on the way to it.
    ours: Option<IpAddr>,
}

/// Checks the way to the ACS step by step.
fn towards_acs(
    config: &Config,
    state: &EffectiveState,
    url: &Url,
    clock: &Clock,
    printer: &mut FindingPrinter,
) -> WayToAcs {
    let acs = name::check("ACS name", &name::host_of(url), url.port(), clock, printer).unwrap_or_default();
    let Some(tcp) = (if acs.is_empty() { None } else { tcp::check(&acs, &limits(), clock, printer) }) else {
        return WayToAcs { acs, ours: None };
    };
    // The listener for connection requests is checked at this address, since the ACS contacts the device there.
    let ours = tcp.local_addr().map(|local| local.ip().to_canonical());
    let probe = AcsProbe {
        url: url.clone(),
        tls: crate::agent::tls_settings(config),
        has_password: state.has_password(),
        has_succeeded: state.status().is_some_and(|status| status["lastSession"]["ok"] == true),
        clock: *clock,
    };
    printer.extend(probe.run(tcp));
    WayToAcs { acs, ours }
}

/// Returns the limits of one check.
fn limits() -> IoLimits {
    IoLimits { timeout: SILENCE, stop: Arc::new(AtomicBool::new(false)), end: None }
}
