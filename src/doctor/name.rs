//! The check that a host name resolves.

use std::net::SocketAddr;
use std::time::Duration;

use super::finding::{Finding, FindingPrinter};
use super::limits;
use crate::clock::Clock;
use crate::http::{HttpError, literal, resolve};
use crate::url::{Host, Url};

/// The longest wait for the resolver. As a rule it goes on to the second name server after 5 s, which this leaves room
/// for; it may go on for half a minute.
const LIMIT: Duration = Duration::from_secs(7);
/// The largest number of addresses that are shown and tried: more than a host with several uplinks has.
const MAX_ADDRESSES: usize = 8;

/// Returns the host of a URL, an IPv6 address without its brackets.
pub(super) fn host_of(url: &Url) -> String {
    match url.host() {
        Host::Name(name) => name.clone(),
        Host::Ip(ip) => ip.to_string(),
    }
}

/// Returns the addresses of a name, at least one, and prints the finding. A literal address stands for itself.
pub(super) fn check(
    subject: &'static str,
    host: &str,
    port: u16,
    clock: &Clock,
    printer: &mut FindingPrinter,
) -> Option<Vec<SocketAddr>> {
    if let Some(ip) = literal(host) {
        printer.add(Finding::skipped(subject, format!("{ip} is an address")));
        return Some(vec![SocketAddr::new(ip, port)]);
    }
    let began = clock.now().monotonic;
    // More addresses than these would each take a share of the time for TCP.
    let answer = resolve(host, port, &limits().end_within(LIMIT)).map(|mut addresses| {
        addresses.truncate(MAX_ADDRESSES);
        addresses
    });
    let took = clock.now().monotonic.saturating_sub(began);
    let (finding, addresses) = assess(subject, host, answer, took);
    printer.add(finding);
    addresses
}

/// Turns the resolver's answer into a finding, and returns the addresses.
fn assess(
    subject: &'static str,
    host: &str,
    answer: Result<Vec<SocketAddr>, HttpError>,
    took: Duration,
) -> (Finding, Option<Vec<SocketAddr>>) {
    let took = took.as_millis();
    let addresses = match answer {
        Ok(addresses) if addresses.is_empty() => {
            return (Finding::failed(subject, format!("{host} has no address ({took} ms)")), None);
        }
        Ok(addresses) => addresses,
        Err(HttpError::Timeout(_)) => {
            let text = format!("{host} does not resolve: no answer in {} s; is a name server set?", LIMIT.as_secs());
            return (Finding::failed(subject, text), None);
        }
        Err(HttpError::Resolve { reason, .. }) => {
            return (Finding::failed(subject, format!("{host} does not resolve: {reason} ({took} ms)")), None);
        }
        Err(error) => return (Finding::failed(subject, format!("{error} ({took} ms)")), None),
    };
    let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    (Finding::ok(subject, format!("{host} is {} ({took} ms)", shown.join(", "))), Some(addresses))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_of_a_resolver_is_told() {
        let took = Duration::from_millis(12);
        let assessed = |answer| assess("ACS name", "acs.example", answer, took).0;
        let two: Vec<SocketAddr> = vec!["192.0.2.1:443".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()];
        let found = assessed(Ok(two));
        assert_eq!(found, Finding::ok("ACS name", "acs.example is 192.0.2.1, 2001:db8::1 (12 ms)"));
        let unknown = HttpError::Resolve { host: "acs.example".into(), reason: "no such name".into() };
        let failures = [Err(HttpError::Timeout("resolving the name")), Err(unknown), Ok(vec![])];
        let words = ["no answer in 7 s", "no such name", "has no address"];
        for (answer, words) in failures.into_iter().zip(words) {
            let found = assessed(answer);
            assert!(found.text.contains(words) && found == Finding::failed("ACS name", found.text.clone()), "{found}");
        }
    }
}
