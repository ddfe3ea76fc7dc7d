//! Whether the ports for connection requests are open on this device, and ours.
//!
//! Whether the ACS gets through to them is not seen from here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::effective_state::{AgentState, EffectiveState};
use super::finding::{Finding, FindingPrinter};
use super::http_probe::{ProbeResponse, get};
use crate::config::Config;
use crate::connection_request::REALM;
use crate::cwmp::device::management_server::parameter;
use crate::http::HttpError;
use crate::http::Stream;
use crate::http::Tcp;

/// The port is on this very device.
const LIMIT: Duration = Duration::from_secs(2);
const HTTP: &str = "HTTP port";
const UDP: &str = "UDP port";

/// Looks at both ports; `ours` is our address towards the ACS.
pub(super) fn check(config: &Config, state: &EffectiveState, ours: Option<IpAddr>, report: &mut FindingPrinter) {
    report.add(http(config, state, ours));
    report.add(udp(config, state));
}

fn http(config: &Config, state: &EffectiveState, ours: Option<IpAddr>) -> Finding {
    // R7, R267.
    if !state.flag(parameter::ENABLE_CWMP, true) || !state.flag(parameter::HTTP_CONNECTION_REQUEST_ENABLE, true) {
        return Finding::skipped(HTTP, "closed: EnableCWMP or HTTPConnectionRequestEnable is false");
    }
    let published = state.connection_request_url();
    let port = match (config.listen.port(), &published) {
        (0, None) => return Finding::skipped(HTTP, "any free one, and no agent tells which"),
        (0, Some(url)) => url.port(),
        (port, _) => port,
    };
    let ip = match config.listen.ip() {
        ip if ip.is_unspecified() => ours.unwrap_or(Ipv4Addr::LOCALHOST.into()),
        ip => ip,
    };
    let path = published.map_or_else(|| state.request_path().to_owned(), |url| url.target().to_owned());
    let is_path_known = !path.is_empty();
    let target = if is_path_known { path.as_str() } else { "/" };
    let address = SocketAddr::new(ip, port);
    let answer = Tcp::connect_addr(address, &super::limits(), LIMIT)
        .ok()
        .map(|tcp| get(Stream::Plain(tcp), &address.to_string(), target, LIMIT));
    judge_http(address, answer.as_ref(), is_path_known, state.agent)
}

/// `answer`: none where nobody accepts the connection.
fn judge_http(
    address: SocketAddr,
    answer: Option<&Result<ProbeResponse, HttpError>>,
    is_path_known: bool,
    agent: AgentState,
) -> Finding {
    let other =
        |what: &str| Finding::failed(HTTP, format!("{address}: another program than the agent answers there: {what}"));
    match (answer, agent) {
        (None, AgentState::NotRunning) => {
            Finding::skipped(HTTP, format!("{address}: free, and no agent is running that would open it"))
        }
        (None, _) => Finding::failed(HTTP, format!("{address}: nobody listens")),
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

fn is_ours(challenge: &str) -> bool {
    challenge.starts_with("Digest ") && challenge.contains(&format!("realm=\"{REALM}\""))
}

fn udp(config: &Config, state: &EffectiveState) -> Finding {
    // R7; but R288: with STUN or without.
    if !state.flag(parameter::ENABLE_CWMP, true) {
        return Finding::skipped(UDP, "closed: EnableCWMP is false");
    }
    let address = config.udp_listen;
    if address.port() == 0 {
        return Finding::skipped(UDP, "any free one");
    }
    // Looked up, not tried: whoever binds a port, if only for a moment, may take a datagram from the agent.
    let tables: Vec<String> =
        ["/proc/net/udp", "/proc/net/udp6"].iter().filter_map(|table| std::fs::read_to_string(table).ok()).collect();
    let bound = (!tables.is_empty()).then(|| tables.iter().any(|table| is_bound(table, address.port())));
    let published = Some(state.text(parameter::UDP_CONNECTION_REQUEST_ADDRESS)).filter(|text| !text.is_empty());
    judge_udp(address, bound, state.agent, published.as_deref())
}

fn judge_udp(address: SocketAddr, bound: Option<bool>, agent: AgentState, published: Option<&str>) -> Finding {
    match (bound, agent) {
        (None, _) => Finding::skipped(UDP, "the system does not tell which ports are bound"),
        (Some(true), AgentState::NotRunning) => {
            Finding::failed(UDP, format!("{address}: another program has it, for no agent is running"))
        }
        (Some(true), _) => {
            let published = published.map_or_else(String::new, |text| format!(", published as {text}"));
            Finding::ok(UDP, format!("{address}: bound{published}"))
        }
        (Some(false), AgentState::NotRunning) => {
            Finding::skipped(UDP, format!("{address}: free, and no agent is running that would bind it"))
        }
        (Some(false), _) => Finding::failed(UDP, format!("{address}: not bound")),
    }
}

/// Whether a table like `/proc/net/udp` has a socket at that port: its second column is `ADDRESS:PORT` in hexadecimal.
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
        let verdict = |answer: Option<&Result<ProbeResponse, HttpError>>, agent| {
            judge_http(at("10.0.0.2:7547"), answer, true, agent).verdict
        };
        use AgentState::{Answers, NotRunning, Unknown};
        assert_eq!(verdict(Some(&ours), Answers), Verdict::Ok);
        assert_eq!(verdict(None, Answers), Verdict::Failed);
        assert_eq!(verdict(None, Unknown), Verdict::Failed);
        assert_eq!(verdict(None, NotRunning), Verdict::Skipped);
        assert_eq!(verdict(Some(&head(404, "")), Answers), Verdict::Warning);
        assert_eq!(verdict(Some(&head(404, "")), NotRunning), Verdict::Failed);
        assert_eq!(judge_http(at("[::1]:1"), Some(&head(404, "")), false, Unknown).verdict, Verdict::Ok);
        assert_eq!(verdict(Some(&head(401, "Basic realm=\"router\"")), Answers), Verdict::Failed);
        assert_eq!(verdict(Some(&Err(HttpError::Closed)), Answers), Verdict::Failed);
    }

    #[test]
    fn the_table_of_the_kernel_is_read() {
        let table = "  sl  local_address rem_address   st\n 1: 0100007F:1D7B 00000000:0000 07\n\
                     2: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07\nrubbish\n";
        assert!(is_bound(table, 7547) && is_bound(table, 53));
        assert!(!is_bound(table, 7548) && !is_bound(table, 0) && !is_bound("", 53));
        let verdict = |bound, agent| judge_udp(at("0.0.0.0:7547"), bound, agent, None).verdict;
        assert_eq!(verdict(Some(true), AgentState::Answers), Verdict::Ok);
        assert_eq!(verdict(Some(true), AgentState::NotRunning), Verdict::Failed);
        assert_eq!(verdict(Some(false), AgentState::Answers), Verdict::Failed);
        assert_eq!(verdict(Some(false), AgentState::NotRunning), Verdict::Skipped);
        assert_eq!(verdict(None, AgentState::Answers), Verdict::Skipped);
        let published = judge_udp(at("0.0.0.0:7547"), Some(true), AgentState::Answers, Some("192.0.2.1:6000"));
        assert!(published.text.ends_with("published as 192.0.2.1:6000"));
    }
}
