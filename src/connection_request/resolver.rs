//! The lookups of STUN server names, one at a time, for a listener that must never wait.

use std::net::SocketAddr;

use crate::http;
use crate::log;
use crate::mailbox::Mailbox;
use crate::poll_thread::Waker;
use crate::stun::StunServerName;

/// Resolves one name at a time.
pub(super) struct Resolver {
    answers: Mailbox<(StunServerName, Vec<SocketAddr>)>,
    /// Wakes the listener when an answer is ready.
    waker: Waker,
    busy: bool,
    next: Option<StunServerName>,
}

impl Resolver {
    /// Returns a resolver that wakes the listener by `waker`.
    pub(super) fn new(waker: Waker) -> Resolver {
        Resolver { answers: Mailbox::new(), waker, busy: false, next: None }
    }

    /// Starts a lookup, whose result [`Resolver::answer`] returns.
    pub(super) fn ask(&mut self, server: StunServerName) {
        if self.busy {
            // Replaces a name that waited before: only the STUN server that is configured last is of use.
            self.next = Some(server);
            return;
        }
        let (answers, waker, asked) = (self.answers.clone(), self.waker.clone(), server.clone());
        let done = move |found: std::io::Result<Vec<SocketAddr>>| {
            let addresses = found.unwrap_or_else(|error| {
                log::debug!("{asked}: {error}");
                Vec::new()
            });
            answers.post((asked, addresses));
            waker.wake();
        };
        self.busy = true;
        if let Err(error) = http::look_up(&server.host, server.port, Box::new(done)) {
            log::warn!("cannot resolve {server}: {error}");
            // An answer without addresses, so that the binding tries again as after any other failed lookup.
            self.answers.post((server, Vec::new()));
            self.waker.wake();
        }
    }

    /// Returns an answer that is ready; without addresses if the name has none.
    pub(super) fn answer(&mut self) -> Option<(StunServerName, Vec<SocketAddr>)> {
        let answer = self.answers.take()?;
        self.busy = false;
        if let Some(next) = self.next.take() {
            self.ask(next);
        }
        Some(answer)
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
        // The second name was replaced before its turn.
        assert_eq!(answers[0], expected("192.0.2.1", "192.0.2.1:3478"));
        assert_eq!(answers[1], expected("[2001:db8::1]", "[2001:db8::1]:3478"));
        assert!(!resolver.busy && resolver.next.is_none());
    }
}
