//! The check of the ports for connection requests: open on this device, and by the agent.
//!
//! Only the ACS can see whether its requests reach these ports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::effective_state::{AgentState, EffectiveState};
use super::finding::{Finding, FindingPrinter};
use super::http_probe::{ProbeResponse, get};
use super::{WayToAcs, name, reachability};
use crate::config::Config;
use crate::connection_request::REALM;
use crate::cwmp::device::management_server::parameter;
use crate::http::{HttpError, Stream, Tcp, literal};
use crate::socket_options::SocketOptions;

/// The longest wait for a port, which is on this device.
const LIMIT: Duration = Duration::from_secs(2);
const HTTP: &str = "HTTP port";
const UDP: &str = "UDP port";

/// Checks both ports, and the address that the ACS contacts.
pub(super) fn check(config: &Config, state: &EffectiveState, way: &WayToAcs, printer: &mut FindingPrinter) {
    // The agent opens the port only if both flags allow it (R7, R267).
    let is_enabled = state.flag(parameter::ENABLE_CWMP, true);
    if is_enabled && state.flag(parameter::HTTP_CONNECTION_REQUEST_ENABLE, true) {
        printer.add(http(config, state, way.ours));
        // The host of the published URL is an address, as the agent writes it.
        let published = state.connection_request_url().and_then(|url| literal(&name::host_of(&url)));
        let configured = Some(config.listen.ip()).filter(|ip| !ip.is_unspecified());
        let has_stun = state.flag(parameter::STUN_ENABLE, false);
        printer.add(reachability::assess(published.or(configured).or(way.ours), &way.acs, has_stun));
    } else {
        printer.add(Finding::skipped(HTTP, "closed: EnableCWMP or HTTPConnectionRequestEnable is false"));
    }
    printer.add(udp(config, state, is_enabled));
}

/// Checks the port for connection requests over HTTP.
fn http(config: &Config, state: &EffectiveState, ours: Option<IpAddr>) -> Finding {
    let published = state.connection_request_url();
    let port = match (config.listen.port(), &published) {
        (0, None) => return Finding::skipped(HTTP, "port 0: any free port, and no running agent names it"),
        (0, Some(url)) => url.port(),
        (port, _) => port,
    };
    // A listener on all addresses is checked at the one that the ACS would use.
    let ip = match config.listen.ip() {
        ip if ip.is_unspecified() => ours.unwrap_or(Ipv4Addr::LOCALHOST.into()),
        ip => ip,
    };
    // The agent answers other paths with 404, so that the check needs the path that it has published.
    let path = published.map_or_else(|| state.request_path().to_owned(), |url| url.target().to_owned());
    let is_path_known = !path.is_empty();
    let target = if is_path_known { path.as_str() } else { "/" };
    let address = SocketAddr::new(ip, port);
    if state.listening("http") == Some(None) {
        return Finding::failed(HTTP, format!("{address}: the agent has not opened it; another program may hold it"));
    }
    let response = Tcp::connect_addr(address, &SocketOptions::default(), &super::limits(), LIMIT)
        .ok()
        .map(|tcp| get(Stream::Plain(tcp), &address.to_string(), target, LIMIT));
    assess_http(address, response.as_ref(), is_path_known, state.agent)
}

/// Turns the response into a finding; `response` is `None` if the connection was not accepted.
fn assess_http(
    address: SocketAddr,
    response: Option<&Result<ProbeResponse, HttpError>>,
    is_path_known: bool,
    agent: AgentState,
) -> Finding {
    let other = |reply: &str| {
        Finding::failed(HTTP, format!("{address}: another program than the agent answers there: {reply}"))
    };
    match (response, agent) {
        (None, AgentState::NotRunning) => {
            Finding::skipped(HTTP, format!("{address}: free, and no agent is running that would open it"))
        }
        (None, _) => Finding::failed(HTTP, format!("{address}: no program listens")),
        // The realm identifies the agent: any web server on the port would answer as well.
        (Some(Ok(head)), _) if head.status == 401 && head.challenges.iter().any(|text| is_ours(text)) => {
            Finding::ok(HTTP, format!("{address}: open, the agent answers with its challenge"))
        }
        (Some(Ok(head)), AgentState::Answers | AgentState::Unknown) if head.status == 404 && !is_path_known => {
            Finding::ok(HTTP, format!("{address}: open, 404 to a path that is not its own, as the agent answers"))
        }
        (Some(Ok(head)), AgentState::Answers | AgentState::Unknown) if head.status == 404 => {
            Finding::warning(HTTP, format!("{address}: open, but the path of ConnectionRequestURL is not known there"))
        }
        (Some(Ok(head)), _) => other(&format!("HTTP status {}", head.status)),
        (Some(Err(error)), _) => other(&error.to_string()),
    }
}

/// Returns true if a challenge is one that the agent sends.
fn is_ours(challenge: &str) -> bool {
    challenge.starts_with("Digest ") && challenge.contains(&format!("realm=\"{REALM}\""))
}

/// Checks the port for connection requests over UDP.
fn udp(config: &Config, state: &EffectiveState, is_enabled: bool) -> Finding {
    // The port is open with EnableCWMP (R7), and also without STUN (R288).
    if !is_enabled {
        return Finding::skipped(UDP, "closed: EnableCWMP is false");
    }
    let published = Some(state.text(parameter::UDP_CONNECTION_REQUEST_ADDRESS)).filter(|text| !text.is_empty());
    let address = config.udp_listen;
    // The table of the kernel shows that a program has the port, and only the agent knows whether it is the agent.
    if let Some(listening) = state.listening("udp") {
        return assess_agents_udp(address, listening, published.as_deref());
    }
    if address.port() == 0 {
        return Finding::skipped(UDP, "port 0: any free port");
    }
    // The port is looked up in the kernel's table and not tried: a second socket on the port, if only for a moment, could
    // take a datagram from the agent.
    let tables: Vec<String> =
        ["/proc/net/udp", "/proc/net/udp6"].iter().filter_map(|table| std::fs::read_to_string(table).ok()).collect();
    // An IPv6 socket takes IPv4 datagrams as well, so that both tables count.
    let bound = (!tables.is_empty()).then(|| tables.iter().any(|table| is_bound(table, address.port())));
    assess_udp(address, bound, state.agent)
}

/// Turns the answer of the agent into a finding; `listening` is `None` if it has not opened the port.
fn assess_agents_udp(address: SocketAddr, listening: Option<SocketAddr>, published: Option<&str>) -> Finding {
    match listening {
        Some(listening) => {
            let published = published.map_or_else(String::new, |text| format!(", published as {text}"));
            Finding::ok(UDP, format!("{listening}: bound{published}"))
        }
        None => Finding::failed(UDP, format!("{address}: the agent has not opened it; another program may hold it")),
    }
}

/// Turns the state of the UDP port into a finding while no agent answers; `bound` is `None` if the kernel's table cannot be
/// read.
fn assess_udp(address: SocketAddr, bound: Option<bool>, agent: AgentState) -> Finding {
    match (bound, agent) {
        (None, _) => Finding::skipped(UDP, "the system does not tell which ports are bound"),
        (Some(true), AgentState::NotRunning) => {
            Finding::failed(UDP, format!("{address}: another program has it, for no agent is running"))
        }
        (Some(true), _) => {
            Finding::warning(UDP, format!("{address}: bound, and no agent answers that it has the port"))
        }
        (Some(false), AgentState::NotRunning) => {
            Finding::skipped(UDP, format!("{address}: free, and no agent is running that would bind it"))
        }
        (Some(false), _) => Finding::failed(UDP, format!("{address}: not bound")),
    }
}

/// Returns true if a table like `/proc/net/udp` has a socket at that port. Its second column is `ADDRESS:PORT` in
/// hexadecimal digits.
fn is_bound(table: &str, port: u16) -> bool {
    table.lines().skip(1).any(|line| {
        let local = line.split_whitespace().nth(1).and_then(|local| local.rsplit_once(':'));
        local.is_some_and(|(_, digits)| u16::from_str_radix(digits, 16) == Ok(port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn whoever_answers_is_told_from_the_agent() {
        let head = |status, challenge: &str| {
            Ok(ProbeResponse { status, challenges: vec![challenge.into()], ..ProbeResponse::default() })
        };
        let ours = head(401, "Digest realm=\"cwmp\", nonce=\"x\"");
        let verdict = |response: Option<&Result<ProbeResponse, HttpError>>, agent| {
            assess_http(at("10.0.0.2:7547"), response, true, agent).verdict
        };
        use AgentState::{Answers, NotRunning, Unknown};
        assert_eq!(verdict(Some(&ours), Answers), Verdict::Ok);
        assert_eq!(verdict(None, Answers), Verdict::Failed);
        assert_eq!(verdict(None, Unknown), Verdict::Failed);
        assert_eq!(verdict(None, NotRunning), Verdict::Skipped);
        assert_eq!(verdict(Some(&head(404, "")), Answers), Verdict::Warning);
        assert_eq!(verdict(Some(&head(404, "")), NotRunning), Verdict::Failed);
        assert_eq!(assess_http(at("[::1]:1"), Some(&head(404, "")), false, Unknown).verdict, Verdict::Ok);
        assert_eq!(verdict(Some(&head(401, "Basic realm=\"router\"")), Answers), Verdict::Failed);
        assert_eq!(verdict(Some(&Err(HttpError::Closed)), Answers), Verdict::Failed);
    }

    #[test]
    fn the_table_of_the_kernel_is_read() {
        let table = "  sl  local_address rem_address   st\n 1: 0100007F:1D7B 00000000:0000 07\n\
                     2: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07\nrubbish\n";
        assert!(is_bound(table, 7547) && is_bound(table, 53));
        assert!(!is_bound(table, 7548) && !is_bound(table, 0) && !is_bound("", 53));
        let verdict = |bound, agent| assess_udp(at("0.0.0.0:7547"), bound, agent).verdict;
        assert_eq!(verdict(Some(true), AgentState::Unknown), Verdict::Warning);
        assert_eq!(verdict(Some(true), AgentState::NotRunning), Verdict::Failed);
        assert_eq!(verdict(Some(false), AgentState::Answers), Verdict::Failed);
        assert_eq!(verdict(Some(false), AgentState::NotRunning), Verdict::Skipped);
        assert_eq!(verdict(None, AgentState::Answers), Verdict::Skipped);
        let port = at("0.0.0.0:7547");
        let published = assess_agents_udp(port, Some(port), Some("192.0.2.1:6000"));
        assert!(published.text.ends_with("published as 192.0.2.1:6000"));
        assert_eq!(assess_agents_udp(port, None, None).verdict, Verdict::Failed);
    }
}
