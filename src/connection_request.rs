//! Connection requests: how the ACS wakes the agent, over HTTP and over UDP (R255 to R268, R288 to R296).
//!
//! ```text
//!   TCP ──▶ http.rs ─▶ client_connection.rs ─▶ http_request.rs ─▶ authenticator.rs ──┬─ nonce.rs     has this challenge been answered before?
//!           listener   one         parse             decide    └─ limits.rs    too often, from here or in all?
//!                      connection
//!   UDP ──▶ udp.rs ─────────────▶ udp_request.rs               parse, then compare with the last one accepted
//!           first byte 0 or 1: STUN
//! ```
//!
//! Both ports may face the Internet: whatever comes in costs a bounded time and a bounded memory, and says nothing about
//! the credentials. What both need to know stands in a [`ListenerState`], which the agent replaces as a whole.

mod authenticator;
mod client_connection;
mod http;
mod http_request;
mod limits;
mod local_address;
mod nonce;
mod outcome;
mod resolver;
mod udp;
mod udp_request;

pub use authenticator::REALM;
pub use http::HttpListener;
pub use limits::{Limits, Rate};
pub(crate) use local_address::local_addr_towards;
pub use outcome::{HttpOutcome, Outcome, OutcomeCounters, UdpOutcome};
pub use udp::{StunView, UdpConfig, UdpEvent, UdpListener};
pub use udp_request::{ReplayWindow, UdpRequest};

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::secret::Secret;

/// Who may wake the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessSettings {
    /// `ConnectionRequestUsername`.
    pub username: String,
    /// `ConnectionRequestPassword`; while it is empty everybody is refused (R268).
    pub password: Secret,
    /// The path of `ConnectionRequestURL`, with its leading slash.
    pub path: String,
}

impl AccessSettings {
    /// Whether these let the same requests in over UDP.
    pub fn same_credentials(&self, other: &AccessSettings) -> bool {
        (&self.username, &self.password) == (&other.username, &other.password)
    }
}

/// What the listeners share with the agent: the settings that hold now, and how often what has happened.
#[derive(Debug, Default)]
pub struct ListenerState {
    settings: Mutex<Arc<AccessSettings>>,
    /// Requests over HTTP since the state was made.
    pub http: OutcomeCounters<HttpOutcome>,
    /// Datagrams since the state was made.
    pub udp: OutcomeCounters<UdpOutcome>,
}

impl ListenerState {
    /// A state with these settings and nothing counted.
    pub fn new(settings: AccessSettings) -> ListenerState {
        ListenerState { settings: Mutex::new(Arc::new(settings)), ..ListenerState::default() }
    }

    /// The settings that hold now.
    pub fn settings(&self) -> Arc<AccessSettings> {
        // A whole value is replaced by a whole value, so that a panic elsewhere leaves nothing half done.
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the settings; requests that come from now on meet the new ones.
    pub fn replace(&self, settings: AccessSettings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}

/// A path that nobody guesses (R255).
pub fn random_path(random: [[u8; 8]; 2]) -> String {
    let [high, low] = random.map(u64::from_be_bytes);
    format!("/{high:016x}{low:016x}")
}

/// The value of `ConnectionRequestURL`: an IPv6 address stands in brackets (R255).
pub fn connection_request_url(address: SocketAddr, path: &str) -> String {
    format!("http://{}{path}", Endpoint(address))
}

/// An address and port as a URL has them: an IPv4 address as such even where the socket speaks IPv6, and no scope.
struct Endpoint(SocketAddr);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.0.ip().to_canonical(), self.0.port()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R255.
    #[test]
    fn the_url_carries_address_port_and_a_random_path() {
        let path = random_path([[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 255]]);
        assert_eq!(path, "/000102030405060708090a0b0c0d0eff");
        for (address, url) in [
            ("192.0.2.1:7547", "http://192.0.2.1:7547/p"),
            ("[2001:db8::1]:80", "http://[2001:db8::1]:80/p"),
            ("[::ffff:192.0.2.1]:7547", "http://192.0.2.1:7547/p"),
        ] {
            assert_eq!(connection_request_url(address.parse().unwrap(), "/p"), url);
        }
    }

    #[test]
    fn settings_are_replaced_as_a_whole_and_print_no_password() {
        let state = ListenerState::new(AccessSettings {
            username: "acs".into(),
            password: "hunter2".into(),
            path: "/p".into(),
        });
        let before = state.settings();
        state.replace(AccessSettings::default());
        assert_eq!(before.username, "acs");
        assert_eq!(*state.settings(), AccessSettings::default());
        assert!(!format!("{before:?}").contains("hunter2"));
    }
}
