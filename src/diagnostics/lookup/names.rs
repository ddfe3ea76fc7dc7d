//! The names of addresses, as the first name server of the device knows them (RFC 1035 §3.5, RFC 3596 §2.5).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::message::PTR;
use super::{PORT, ResolvConf, ask_once};
use crate::diagnostics::Order;
use crate::http::IoLimits;
use crate::log;
use crate::socket_options::SocketOptions;

/// The longest wait for one name, and for all names of a test.
const LIMIT: Duration = Duration::from_secs(2);
const LIMIT_OF_ALL: Duration = Duration::from_secs(10);

/// The names for the results of one test.
pub(in crate::diagnostics) struct Names {
    /// `None` once the server is known to be silent.
    server: Option<SocketAddr>,
    /// The limits of all questions together.
    limits: IoLimits,
}

impl Names {
    /// Reads the name server of the device.
    pub(in crate::diagnostics) fn new(order: &Order) -> Names {
        let server = ResolvConf::read().server();
        let limits = IoLimits { timeout: LIMIT, stop: Arc::clone(&order.stop), end: None };
        Names { server: Some(SocketAddr::new(server, PORT)), limits: limits.end_within(LIMIT_OF_ALL) }
    }

    /// Returns the name of an address; `None` if the server does not know one, or not in time.
    pub(in crate::diagnostics) fn name_of(&mut self, address: IpAddr) -> Option<String> {
        let server = self.server?;
        if self.limits.is_over() {
            return None;
        }
        // The way to the name server is not that of the test.
        let (options, limits) = (SocketOptions::default(), self.limits.clone().end_within(LIMIT));
        match ask_once(&reverse(address), PTR, server, &options, &limits, &mut || {}) {
            Ok(answer) => answer.host,
            Err(failure) => {
                log::debug!("no names of routers: {server}: {}", failure.reason);
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
