//! Names into addresses.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use super::finding::{Finding, FindingPrinter};
use super::timeout::with_timeout;
use crate::clock::Clock;
use crate::url::{Host, Url};

/// The system's resolver may try for half a minute; after 5 s, as a rule, it goes on to the second name server.
const LIMIT: Duration = Duration::from_secs(7);
/// As many are tried and shown; more than a host with several uplinks has.
const MAX_ADDRESSES: usize = 8;

/// The host of a URL, an IPv6 address without its brackets.
pub(super) fn host_of(url: &Url) -> String {
    match url.host() {
        Host::Name(name) => name.clone(),
        Host::Ip(ip) => ip.to_string(),
    }
}

/// The addresses behind a name, at least one; an address stands for itself.
pub(super) fn check(
    subject: &'static str,
    host: &str,
    port: u16,
    clock: &Clock,
    report: &mut FindingPrinter,
) -> Option<Vec<SocketAddr>> {
    if let Ok(ip) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        report.add(Finding::skipped(subject, format!("{ip} is an address")));
        return Some(vec![SocketAddr::new(ip, port)]);
    }
    let began = clock.now().monotonic;
    let asked = (host.to_owned(), port);
    let answer = with_timeout(LIMIT, move || match asked.to_socket_addrs() {
        Ok(addresses) => Ok(distinct(addresses)),
        Err(error) => Err(error.to_string()),
    });
    let took = clock.now().monotonic.saturating_sub(began);
    let (finding, addresses) = judge(subject, host, answer, took);
    report.add(finding);
    addresses
}

fn judge(
    subject: &'static str,
    host: &str,
    answer: Option<Result<Vec<SocketAddr>, String>>,
    took: Duration,
) -> (Finding, Option<Vec<SocketAddr>>) {
    let took = took.as_millis();
    let addresses = match answer {
        None => {
            let text = format!("{host} does not resolve: no answer in {} s; is a name server set?", LIMIT.as_secs());
            return (Finding::failed(subject, text), None);
        }
        Some(Err(reason)) => {
            return (Finding::failed(subject, format!("{host} does not resolve: {reason} ({took} ms)")), None);
        }
        Some(Ok(addresses)) if addresses.is_empty() => {
            return (Finding::failed(subject, format!("{host} has no address ({took} ms)")), None);
        }
        Some(Ok(addresses)) => addresses,
    };
    let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    (Finding::ok(subject, format!("{host} is {} ({took} ms)", shown.join(", "))), Some(addresses))
}

/// In the order of the resolver, each address once.
fn distinct(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut distinct = Vec::new();
    for address in addresses {
        if !distinct.contains(&address) && distinct.len() < MAX_ADDRESSES {
            distinct.push(address);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_of_a_resolver_is_told() {
        let took = Duration::from_millis(12);
        let judged = |answer| judge("ACS name", "acs.example", answer, took).0;
        let two: Vec<SocketAddr> = vec!["192.0.2.1:443".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()];
        let found = judged(Some(Ok(two.clone())));
        assert_eq!(found, Finding::ok("ACS name", "acs.example is 192.0.2.1, 2001:db8::1 (12 ms)"));
        let failures = [None, Some(Err("no such name".to_owned())), Some(Ok(vec![]))];
        let words = ["no answer in 7 s", "no such name", "has no address"];
        for (answer, words) in failures.into_iter().zip(words) {
            let found = judged(answer);
            assert!(found.text.contains(words) && found == Finding::failed("ACS name", found.text.clone()), "{found}");
        }
        assert_eq!(distinct(two.iter().chain(&two).copied()), two);
    }
}
