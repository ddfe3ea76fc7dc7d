//! The check of the NAT: the address and port that a STUN server sees for a socket of this device. A fresh socket asks, so
//! that the binding of the agent is neither disturbed nor trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::effective_state::EffectiveState;
use super::finding::{Finding, FindingPrinter, Verdict};
use super::name;
use super::stun_query::StunQuery;
use crate::clock::Clock;
use crate::config::Config;
use crate::cwmp::device::management_server::{DEFAULT_STUN_PORT, parameter};
use crate::url::Url;

const SUBJECT: &str = "STUN";
/// The number of addresses of the server that are asked before it counts as silent.
const MAX_SERVERS: usize = 2;

/// Asks the STUN server, if the agent is configured to use one.
pub(super) fn check(
    config: &Config,
    state: &EffectiveState,
    acs: Option<&Url>,
    clock: &Clock,
    printer: &mut FindingPrinter,
) {
    if !state.flag(parameter::STUN_ENABLE, false) {
        printer.add(Finding::skipped(SUBJECT, "STUNEnable is false: no UDP connection requests through a NAT"));
        return;
    }
    let named = Some(state.text(parameter::STUN_SERVER_ADDRESS)).filter(|host| !host.is_empty());
    let Some(host) = named.or_else(|| acs.map(name::host_of)) else {
        printer.add(Finding::failed(SUBJECT, "no server: STUNServerAddress is empty, and so is the ACS URL"));
        return;
    };
    let port = state.port(parameter::STUN_SERVER_PORT).unwrap_or(DEFAULT_STUN_PORT);
    let Some(addresses) = name::check("STUN name", &host, port, clock, printer) else { return };
    let usable: Vec<SocketAddr> =
        addresses.into_iter().filter(|address| can_send_to(config.udp_listen, *address)).collect();
    if usable.is_empty() {
        let text = format!("no address of {host} can be reached from --udp-listen {}", config.udp_listen);
        printer.add(Finding::failed(SUBJECT, text));
        return;
    }
    let (username, password) = (state.text(parameter::STUN_USERNAME), state.stun_password());
    let query = StunQuery { username: &username, password: &password, clock };
    printer.extend(ask(config.udp_listen.ip(), &usable, &query));
}

/// Returns true if a socket that is bound like the agent's can send to this server.
fn can_send_to(bound: SocketAddr, server: SocketAddr) -> bool {
    bound.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) || bound.is_ipv4() == server.is_ipv4()
}

/// The results of the questions that [`ask`] sends.
struct NatObservation {
    server: SocketAddr,
    /// The address of the socket on the device.
    local: SocketAddr,
    /// The address of the socket as the server sees it.
    mapped: SocketAddr,
    /// The time until the answer.
    took: Duration,
    /// The answer to the same question, asked again.
    again: Result<SocketAddr, String>,
    /// A second server, if there is one, and the address that it sees.
    elsewhere: Option<(SocketAddr, Result<SocketAddr, String>)>,
}

/// Asks the servers one after the other until one answers.
fn ask(ip: IpAddr, servers: &[SocketAddr], query: &StunQuery<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for server in servers.iter().take(MAX_SERVERS) {
        let (socket, local) = match open(ip, *server) {
            Ok(opened) => opened,
            Err(reason) => {
                findings.push(Finding::failed(SUBJECT, format!("no way to {server}: {reason}")));
                continue;
            }
        };
        let began = query.clock.now().monotonic;
        match query.ask(&socket, *server, FIRST) {
            Ok(mapped) => {
                let took = query.clock.now().monotonic.saturating_sub(began);
                let again = query.ask(&socket, *server, FURTHER);
                let other = servers.iter().find(|other| *other != server && other.is_ipv4() == server.is_ipv4());
                let elsewhere = other.map(|other| (*other, query.ask(&socket, *other, FURTHER)));
                // A silent address is no failure if a later one answers, since the agent goes on to the next one as well.
                findings.iter_mut().for_each(|earlier: &mut Finding| earlier.verdict = Verdict::Warning);
                findings.extend(assess(&NatObservation { server: *server, local, mapped, took, again, elsewhere }));
                return findings;
            }
            Err(reason) => findings.push(Finding::failed(SUBJECT, format!("{server}: {reason}"))),
        }
    }
    findings
}

/// Opens a fresh socket and returns it with its address on the way to the server.
fn open(ip: IpAddr, server: SocketAddr) -> Result<(UdpSocket, SocketAddr), String> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let ip = if ip.is_unspecified() { any } else { ip };
    let words = |error: std::io::Error| error.to_string();
    let socket = UdpSocket::bind((ip, 0)).map_err(words)?;
    let port = socket.local_addr().map_err(words)?.port();
    // The address is found by a second socket: a connected socket would not receive the answer of the other server.
    let way = UdpSocket::bind((ip, 0)).and_then(|way| way.connect(server).and_then(|()| way.local_addr()));
    Ok((socket, SocketAddr::new(way.map_err(words)?.ip(), port)))
}

/// The longest wait for the first answer, with some repetitions of the question.
const FIRST: Duration = Duration::from_secs(3);
/// The longest wait for each further answer.
const FURTHER: Duration = Duration::from_secs(2);

/// Turns the observation into findings.
fn assess(answers: &NatObservation) -> Vec<Finding> {
    let NatObservation { server, local, mapped, took, .. } = answers;
    let seen = format!("{server} sees {local} as {mapped} ({} ms)", took.as_millis());
    let mut findings = vec![Finding::ok(SUBJECT, seen)];
    findings.push(Finding::ok(
        "NAT",
        match (local.ip() == mapped.ip(), local.port() == mapped.port()) {
            (true, true) => "none: this device is seen under its own address and port".to_owned(),
            (_, true) => format!("the address is rewritten, port {} is kept", mapped.port()),
            (_, false) => format!("the address is rewritten, port {} becomes {}", local.port(), mapped.port()),
        },
    ));
    // If the mapping changes between two questions, the address that the agent publishes is out of date at once.
    findings.push(match &answers.again {
        Ok(again) if again == mapped => Finding::ok("NAT mapping", "stable: asked twice, the same address and port"),
        Ok(again) => Finding::failed("NAT mapping", format!("not stable: asked again, it is {again}")),
        Err(reason) => Finding::warning("NAT mapping", format!("the second question failed: {reason}")),
    });
    // A NAT that depends on the destination gives the ACS another port than the STUN server has seen, so that UDP
    // connection requests only arrive from the address of the STUN server.
    findings.push(match &answers.elsewhere {
        None => Finding::skipped("NAT type", "the STUN server has one address only"),
        Some((other, Ok(seen))) if seen == mapped => {
            Finding::ok("NAT type", format!("independent of the destination: {other} sees the same"))
        }
        Some((other, Ok(seen))) => {
            let text = format!(
                "depends on the destination: {other} sees {seen}; only {server} reaches the address that is published"
            );
            Finding::warning("NAT type", text)
        }
        Some((other, Err(reason))) => Finding::skipped("NAT type", format!("{other}: {reason}")),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn answers(mapped: &str) -> NatObservation {
        NatObservation {
            server: at("192.0.2.1:3478"),
            local: at("10.0.0.2:5000"),
            mapped: at(mapped),
            took: Duration::from_millis(9),
            again: Ok(at(mapped)),
            elsewhere: None,
        }
    }

    fn lines(answers: &NatObservation) -> Vec<String> {
        assess(answers).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_nat_is_told_by_what_it_rewrites() {
        assert_eq!(
            lines(&answers("203.0.113.5:6000")),
            [
                "ok       STUN           192.0.2.1:3478 sees 10.0.0.2:5000 as 203.0.113.5:6000 (9 ms)",
                "ok       NAT            the address is rewritten, port 5000 becomes 6000",
                "ok       NAT mapping    stable: asked twice, the same address and port",
                "skipped  NAT type       the STUN server has one address only",
            ]
        );
        assert!(lines(&answers("203.0.113.5:5000"))[1].ends_with("port 5000 is kept"));
        assert!(lines(&answers("10.0.0.2:5000"))[1].contains("none: "));
    }

    #[test]
    fn mappings_that_move_are_told() {
        let mut moving = answers("203.0.113.5:6000");
        moving.again = Ok(at("203.0.113.5:6001"));
        moving.elsewhere = Some((at("192.0.2.2:3478"), Ok(at("203.0.113.5:6002"))));
        let verdicts: Vec<Verdict> = assess(&moving).iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Ok, Verdict::Failed, Verdict::Warning]);
        moving.again = Err("no answer in 2 s".into());
        moving.elsewhere = Some((at("192.0.2.2:3478"), Ok(moving.mapped)));
        let verdicts: Vec<Verdict> = assess(&moving).iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Ok, Verdict::Warning, Verdict::Ok]);
    }

    #[test]
    fn only_servers_that_the_agents_socket_can_ask_are_asked() {
        let (v4, v6) = (at("192.0.2.1:1"), at("[2001:db8::1]:1"));
        assert!(can_send_to(at("0.0.0.0:7547"), v4) && !can_send_to(at("0.0.0.0:7547"), v6));
        assert!(can_send_to(at("[::]:7547"), v4) && can_send_to(at("[::]:7547"), v6));
        assert!(!can_send_to(at("[::1]:7547"), v4));
    }
}
