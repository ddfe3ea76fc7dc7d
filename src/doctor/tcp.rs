//! The check that each address of the ACS accepts a TCP connection.

use std::net::SocketAddr;
use std::time::Duration;

use super::finding::{Finding, FindingPrinter};
use crate::clock::Clock;
use crate::http::{HttpError, IoLimits, Tcp};
use crate::socket_options::SocketOptions;

/// The time limit of all addresses together. Each gets an equal share of the time that is left.
const LIMIT: Duration = Duration::from_secs(6);

/// Tries every address and returns the first connection.
pub(super) fn check(
    addresses: &[SocketAddr],
    limits: &IoLimits,
    clock: &Clock,
    printer: &mut FindingPrinter,
) -> Option<Tcp> {
    let end = clock.now().monotonic + LIMIT;
    let mut tried = Vec::with_capacity(addresses.len());
    let mut first = None;
    for (at, address) in addresses.iter().enumerate() {
        let began = clock.now().monotonic;
        let others = u32::try_from(addresses.len() - at).unwrap_or(1); // a handful
        // A silent first address must not take the time of the others.
        let share = (end.saturating_sub(began) / others).min(limits.timeout);
        let outcome = Tcp::connect_addr(*address, &SocketOptions::default(), limits, share);
        let took = clock.now().monotonic.saturating_sub(began);
        let local = outcome.as_ref().map(Tcp::local_addr).map_err(Clone::clone);
        tried.push(Attempt { address: *address, local, took });
        // The other connections are closed at once: the ACS counts them, and only one is needed.
        if first.is_none() {
            first = outcome.ok();
        }
    }
    printer.extend(assess(&tried));
    first
}

/// The result of one address.
struct Attempt {
    address: SocketAddr,
    local: Result<Option<SocketAddr>, HttpError>,
    took: Duration,
}

/// Turns the attempts into findings. An unreachable address is a failure only if all are: the agent goes on to the next.
fn assess(tried: &[Attempt]) -> Vec<Finding> {
    let is_reached = tried.iter().any(|one| one.local.is_ok());
    let line = |one: &Attempt| {
        let took = one.took.as_millis();
        match &one.local {
            Ok(local) => {
                let ours = local.map_or_else(String::new, |local| format!(" from {}", local.ip()));
                Finding::ok("TCP", format!("{} accepts{ours} ({took} ms)", one.address))
            }
            Err(error) if is_reached => Finding::warning("TCP", format!("{error} ({took} ms)")),
            Err(error) => Finding::failed("TCP", format!("{error} ({took} ms)")),
        }
    };
    tried.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(address: &str, local: Result<&str, &str>) -> Attempt {
        let local = match local {
            Ok(local) => Ok(Some(local.parse().unwrap())),
            Err(reason) => Err(HttpError::Connect { addr: address.into(), reason: reason.into(), unreached: false }),
        };
        Attempt { address: address.parse().unwrap(), local, took: Duration::from_millis(3) }
    }

    #[test]
    fn one_address_of_two_will_do() {
        let good = tried("192.0.2.1:443", Ok("10.0.0.2:40000"));
        let bad = tried("[2001:db8::1]:443", Err("Network is unreachable"));
        let accepts = "192.0.2.1:443 accepts from 10.0.0.2 (3 ms)";
        let unreachable = "no connection to [2001:db8::1]:443: Network is unreachable (3 ms)";
        let both = assess(&[good, bad]);
        assert_eq!(both, [Finding::ok("TCP", accepts), Finding::warning("TCP", unreachable)]);
        let alone = assess(&[tried("[2001:db8::1]:443", Err("Network is unreachable"))]);
        assert_eq!(alone, [Finding::failed("TCP", unreachable)]);
    }
}
