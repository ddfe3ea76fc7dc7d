//! Host names into addresses. The system's resolver may take half a minute to give up, and nothing interrupts it, so
//! each lookup runs on a thread of its own, and the caller waits beside it as long as its limits allow.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::error::HttpError;
use super::io_limits::{IoLimits, TICK};
use crate::mailbox::Mailbox;
use crate::thread;

/// The stack of a lookup thread, in bytes: resolvers put packets of some kilobytes on the stack.
const STACK: usize = 256 << 10;

/// The addresses of a host, or the resolver's reason for having none.
type Addresses = io::Result<Vec<SocketAddr>>;

/// Returns the addresses of a host in the resolver's order, each once. A literal address stands for itself.
///
/// # Errors
/// [`HttpError::Resolve`] if the name has no address, [`HttpError::Timeout`] at the end of the limits, and
/// [`HttpError::Stopped`]. A lookup that is left behind ends with the process.
pub fn resolve(host: &str, port: u16, limits: &IoLimits) -> Result<Vec<SocketAddr>, HttpError> {
    if let Some(ip) = literal(host) {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let addresses = Mailbox::new();
    let sender = addresses.clone();
    let found = match look_up(host, port, Box::new(move |found| sender.post(found))) {
        Ok(()) => wait_for(&addresses, limits)?,
        Err(error) => Err(error),
    };
    found.map_err(|error| HttpError::Resolve { host: host.to_owned(), reason: without_errno(&error) })
}

/// Looks a host up on a thread of its own, which calls `done` with the result.
///
/// # Errors
/// The system's refusal to start a thread.
pub fn look_up(host: &str, port: u16, done: Box<dyn FnOnce(Addresses) + Send>) -> io::Result<()> {
    let host = host.to_owned();
    let work = move || {
        done(match literal(&host) {
            Some(ip) => Ok(vec![SocketAddr::new(ip, port)]),
            None => (host.as_str(), port).to_socket_addrs().map(distinct),
        });
    };
    // The thread cannot be stopped: one that hangs stays behind, without access to any state of the caller.
    thread::spawn("resolver", STACK, Box::new(work)).map(drop)
}

/// Returns the address that a host already is, with or without the brackets of an IPv6 address in a URL.
pub fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Waits for the result of a lookup in ticks, so that a stop does not wait for the resolver.
fn wait_for(addresses: &Mailbox<Addresses>, limits: &IoLimits) -> Result<Addresses, HttpError> {
    loop {
        limits.check()?;
        match addresses.wait(Some(limits.remaining().min(TICK))) {
            Some(found) => return Ok(found),
            None if limits.is_over() => return Err(HttpError::Timeout("resolving the name")),
            None => {}
        }
    }
}

/// Drops repetitions: a resolver names an address once for each entry in its tables.
fn distinct(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// Returns the system's text for an error without the number behind it.
pub(crate) fn without_errno(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    fn limits() -> IoLimits {
        IoLimits { timeout: Duration::from_secs(30), stop: Arc::new(AtomicBool::new(false)), end: None }
    }

    #[test]
    fn a_name_and_an_address() {
        for host in ["192.0.2.1", "2001:db8::1", "[2001:db8::1]"] {
            let found = resolve(host, 7547, &limits()).expect("an address");
            assert_eq!((found.len(), found[0].port(), Some(found[0].ip())), (1, 7547, literal(host)));
        }
        let local = resolve("localhost", 80, &limits()).expect("addresses");
        assert!(!local.is_empty() && local.iter().all(|address| address.ip().is_loopback()), "{local:?}");
        assert_eq!(distinct(local.iter().chain(&local).copied()), local);
    }

    #[test]
    fn a_resolver_that_hangs_delays_neither_a_stop_nor_the_end() {
        let addresses = Mailbox::new();
        let ending = limits().end_within(Duration::from_millis(20));
        assert!(matches!(wait_for(&addresses, &ending), Err(HttpError::Timeout(_))));
        let stopped = limits();
        stopped.stop.store(true, Ordering::Relaxed);
        assert!(matches!(wait_for(&addresses, &stopped), Err(HttpError::Stopped)));
    }
}
