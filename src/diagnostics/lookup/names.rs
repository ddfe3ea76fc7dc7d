//! The names of addresses, as the first name server of the device knows them (RFC 1035 §3.5, RFC 3596 §2.5).

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::exchange::NoAnswer;
use super::message::PTR;
use super::{LookupTest, PORT, ResolvConf, ask_once};
use crate::diagnostics::Order;
use crate::diagnostics::clock::now;
use crate::log;
use crate::socket_options::SocketOptions;

/// The longest wait for one name, and for all names of a test.
const LIMIT: Duration = Duration::from_secs(2);
const LIMIT_OF_ALL: Duration = Duration::from_secs(10);

/// The names for the results of one test.
pub(in crate::diagnostics) struct Names {
    /// `None` once the server is known to be silent.
    server: Option<SocketAddr>,
    end: Instant,
    /// The limits of each question.
    test: LookupTest,
}

impl Names {
    /// Reads the name server of the device.
    pub(in crate::diagnostics) fn new(order: &Order) -> Names {
        let server = ResolvConf::read().server.unwrap_or(Ipv4Addr::LOCALHOST.into());
        let test = LookupTest {
            host: String::new(),
            server: String::new(),
            timeout: LIMIT,
            repetitions: 1,
            // The way to the name server is not that of the test.
            options: SocketOptions::default(),
            stop: Arc::clone(&order.stop),
        };
        Names { server: Some(SocketAddr::new(server, PORT)), end: now() + LIMIT_OF_ALL, test }
    }

    /// Returns the name of an address; `None` if the server does not know one, or not in time.
    pub(in crate::diagnostics) fn name_of(&mut self, address: IpAddr) -> Option<String> {
        self.test.timeout = LIMIT.min(self.end.saturating_duration_since(now()));
        let server = self.server.filter(|_| !self.test.timeout.is_zero())?;
        match ask_once(&self.test, &reverse(address), PTR, server, &mut || {}) {
            Ok(answer) => answer.host,
            Err(NoAnswer::Stopped) => None,
            Err(NoAnswer::Failed(_, reason)) => {
                log::debug!("no names of routers: {server}: {reason}");
                self.server = None;
                None
            }
        }
    }
}

/// Returns the name of the DNS under which the name of an address stands.
fn reverse(address: IpAddr) -> String {
    let mut name = String::new();
    match address {
        IpAddr::V4(address) => {
            for octet in address.octets().iter().rev() {
                let _ = write!(name, "{octet}."); // writing to a String cannot fail
            }
            name + "in-addr.arpa"
        }
        IpAddr::V6(address) => {
            for octet in address.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", octet & 0xF, octet >> 4);
            }
            name + "ip6.arpa"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_backwards_in_its_name() {
        assert_eq!(reverse([192, 0, 2, 17].into()), "17.2.0.192.in-addr.arpa");
        let v6: IpAddr = "2001:db8::567:89ab".parse().expect("an address");
        // The example of RFC 3596 §2.5, with another address.
        assert_eq!(reverse(v6), "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    }
}
