//! Names of STUN servers, resolved by a thread of its own: a resolver may take half a minute to give up.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::poll_thread::Waker;
use crate::stun::StunServerName;
use crate::thread;

/// Resolvers put packets of some kilobytes on the stack.
const STACK: usize = 256 << 10;

/// Resolves one name at a time.
pub(super) struct Resolver {
    sender: Sender<(StunServerName, Vec<SocketAddr>)>,
    answers: Receiver<(StunServerName, Vec<SocketAddr>)>,
    /// Wakes the listener when there is an answer.
    waker: Waker,
    busy: bool,
    next: Option<StunServerName>,
}

impl Resolver {
    pub(super) fn new(waker: Waker) -> Resolver {
        let (sender, answers) = channel();
        Resolver { sender, answers, waker, busy: false, next: None }
    }

    /// Begins to resolve; the answer comes with [`Resolver::answer`].
    pub(super) fn ask(&mut self, server: StunServerName) {
        if self.busy {
            self.next = Some(server); // what was to be next is not of interest any more
            return;
        }
        let (sender, waker, asked) = (self.sender.clone(), self.waker.clone(), server.clone());
        let resolve = move || {
            let addresses = addresses(&asked);
            // The listener may be gone.
            let _ = sender.send((asked, addresses));
            waker.wake();
        };
        self.busy = true;
        if let Err(error) = thread::spawn("resolver", STACK, Box::new(resolve)) {
            log::warn!("cannot resolve {server}: {error}");
            let _ = self.sender.send((server, Vec::new())); // to ourselves
        }
    }

    /// An answer that has come; no addresses where the name has none.
    pub(super) fn answer(&mut self) -> Option<(StunServerName, Vec<SocketAddr>)> {
        let answer = self.answers.try_recv().ok()?;
        self.busy = false;
        if let Some(next) = self.next.take() {
            self.ask(next);
        }
        Some(answer)
    }
}

fn addresses(server: &StunServerName) -> Vec<SocketAddr> {
    let host = server.host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = host.parse::<IpAddr>() {
        return vec![SocketAddr::new(ip, server.port)];
    }
    match (host, server.port).to_socket_addrs() {
        Ok(addresses) => {
            let mut distinct = Vec::new();
            addresses.for_each(|address| {
                if !distinct.contains(&address) {
                    distinct.push(address)
                }
            });
            distinct
        }
        Err(error) => {
            log::debug!("{server}: {error}");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use super::*;

    #[test]
    fn answers_come_one_after_the_other_and_wake_the_listener() {
        let (waker, mut woken) = Waker::pair().unwrap();
        woken.set_nonblocking(false).unwrap();
        woken.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut resolver = Resolver::new(waker);
        let server = |host: &str| StunServerName { host: host.into(), port: 3478 };
        for host in ["192.0.2.1", "192.0.2.2", "[2001:db8::1]"] {
            resolver.ask(server(host));
        }
        let mut answers = Vec::new();
        while answers.len() < 2 {
            assert_eq!(woken.read(&mut [0]).unwrap(), 1);
            answers.extend(std::iter::from_fn(|| resolver.answer()));
        }
        let expected = |host: &str, address: &str| (server(host), vec![address.parse().unwrap()]);
        // The second had been replaced before its turn came.
        assert_eq!(answers[0], expected("192.0.2.1", "192.0.2.1:3478"));
        assert_eq!(answers[1], expected("[2001:db8::1]", "[2001:db8::1]:3478"));
        assert!(!resolver.busy && resolver.next.is_none());
    }
}
