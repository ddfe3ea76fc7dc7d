//! The addresses of a host, found by a thread of its own: the system's resolver may take half a minute to give up, and
//! nothing interrupts it.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};

use super::error::HttpError;
use super::io_limits::{IoLimits, TICK};
use crate::thread;
use crate::url::{Host, Url};

/// Resolvers put packets of some kilobytes on the stack.
const STACK: usize = 256 << 10;

/// The addresses of the URL's host, no one twice. A thread that is left behind when the agent is told to stop ends with
/// the process.
pub(super) fn resolve(url: &Url, limits: &IoLimits) -> Result<Vec<SocketAddr>, HttpError> {
    match url.host() {
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, url.port())]),
        Host::Name(name) => {
            let asked = (name.clone(), url.port());
            let look_up = move || (asked.0.as_str(), asked.1).to_socket_addrs().map(|found| distinct(found.collect()));
            let addresses = wait_for(look_up, limits)?;
            addresses.map_err(|error| HttpError::Resolve { host: name.clone(), reason: without_errno(&error) })
        }
    }
}

/// Waits for what cannot be interrupted, unless the agent is told to stop meanwhile.
fn wait_for<T: Send + 'static>(
    look_up: impl FnOnce() -> io::Result<T> + Send + 'static,
    limits: &IoLimits,
) -> Result<io::Result<T>, HttpError> {
    let (sender, answer) = sync_channel(1);
    let look_up = move || {
        // Nobody waits for it any more where the agent was told to stop.
        let _ = sender.send(look_up());
    };
    if let Err(error) = thread::spawn("resolver", STACK, Box::new(look_up)) {
        return Ok(Err(error));
    }
    loop {
        limits.check()?;
        match answer.recv_timeout(TICK) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(Err(io::Error::other("the resolver has failed"))),
        }
    }
}

/// Resolvers name an address once for each entry in their tables.
fn distinct(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    addresses.sort_by_key(|address| match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    });
    addresses.dedup();
    addresses
}

/// Returns the system's text for an error without the number behind it.
pub(super) fn without_errno(error: &io::Error) -> String {
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
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    fn limits() -> IoLimits {
        IoLimits { timeout: Duration::from_secs(30), stop: Arc::new(AtomicBool::new(false)), end: None }
    }

    #[test]
    fn a_name_and_an_address() {
        let addresses = |url: &str| resolve(&Url::parse(url).expect("a URL"), &limits());
        assert_eq!(addresses("http://192.0.2.1:7547/").expect("addresses"), ["192.0.2.1:7547".parse().unwrap()]);
        let local = addresses("http://localhost:80/").expect("addresses");
        assert!(!local.is_empty() && local.iter().all(|address| address.ip().is_loopback()), "{local:?}");
    }

    #[test]
    fn a_resolver_that_hangs_does_not_hold_up_a_stop() {
        let limits = limits();
        let (release, held) = channel::<()>();
        let stop = Arc::clone(&limits.stop);
        let hangs = move || {
            stop.store(true, Ordering::Relaxed);
            let _ = held.recv();
            Ok(())
        };
        assert!(matches!(wait_for(hangs, &limits), Err(HttpError::Stopped)));
        drop(release);
    }
}
