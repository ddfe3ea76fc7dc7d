//! Connection requests, with which the ACS wakes the agent: over HTTP, UDP and XMPP (R255 to R268, R288 to R301).
//!
//! ```text
//!   TCP ──▶ http.rs ─▶ client_connection.rs ─▶ http_request.rs ─▶ authenticator.rs ──┬─ nonce.rs    replay protection
//!           listener   one connection          parser             response           └─ limits.rs   rate limits
//!   UDP ──▶ udp.rs ──────────────────────────▶ udp_request.rs
//!           first byte 0 or 1: STUN            parser, signature, replay window
//!   XMPP ◀── xmpp.rs   one connection to a server, which passes the requests on
//! ```
//!
//! Both ports may face the Internet. A packet therefore costs a bounded time and a bounded memory, and no response says
//! anything about the credentials. The agent replaces the credentials as a whole, in the [`ListenerState`].

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
#[cfg(feature = "xmpp")]
mod xmpp;

pub use authenticator::REALM;
pub use http::HttpListener;
pub use limits::{Limits, Rate};
pub(crate) use local_address::local_addr_towards;
pub use outcome::{OutcomeCounters, RequestOutcome};
pub use udp::{StunView, UdpConfig, UdpEvent, UdpListener};
pub use udp_request::{ReplayWindow, UdpRequest};
#[cfg(feature = "xmpp")]
pub(crate) use xmpp::{XmppEvent, XmppListener, XmppState};

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::secret::Secret;
use limits::SharedBucket;

/// The settings that a connection request must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessSettings {
    /// ConnectionRequestUsername.
    pub username: String,
    /// ConnectionRequestPassword. While it is empty, every request is rejected (R268).
    pub password: Secret,
    /// The path of ConnectionRequestURL, with its leading slash.
    pub path: String,
}

impl AccessSettings {
    /// Returns true if both have the same credentials, so that they accept the same requests over UDP.
    pub fn same_credentials(&self, other: &AccessSettings) -> bool {
        // The path is left out because a datagram has none.
        (&self.username, &self.password) == (&other.username, &other.password)
    }
}

/// The state that the listeners share with the agent.
#[derive(Debug)]
pub struct ListenerState {
    settings: Mutex<Arc<AccessSettings>>,
    /// The outcomes of requests over HTTP.
    pub http: OutcomeCounters,
    /// The outcomes of datagrams on the UDP port.
    pub udp: OutcomeCounters,
    /// The outcomes of requests over XMPP.
    #[cfg(feature = "xmpp")]
    pub(crate) xmpp: OutcomeCounters,
    accepted: SharedBucket,
    /// True while a session runs or is being established.
    is_in_session: AtomicBool,
}

impl ListenerState {
    /// Returns a state with these settings and all counters at zero.
    pub fn new(settings: AccessSettings) -> ListenerState {
        ListenerState {
            settings: Mutex::new(Arc::new(settings)),
            http: OutcomeCounters::http(),
            udp: OutcomeCounters::udp(),
            #[cfg(feature = "xmpp")]
            xmpp: OutcomeCounters::xmpp(),
            accepted: SharedBucket::default(),
            is_in_session: AtomicBool::new(false),
        }
    }

    /// Returns the current settings.
    pub fn settings(&self) -> Arc<AccessSettings> {
        // The settings are replaced as a whole, so a panic of another thread cannot leave them half changed.
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the settings. Requests that arrive afterwards must match the new ones.
    pub fn replace(&self, settings: AccessSettings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Notes the start and the end of a session, in which a request over XMPP is refused (R299).
    pub(crate) fn set_in_session(&self, is_in_session: bool) {
        self.is_in_session.store(is_in_session, Ordering::Relaxed);
    }
}

impl Default for ListenerState {
    fn default() -> ListenerState {
        ListenerState::new(AccessSettings::default())
    }
}

/// Returns a path that cannot be guessed, for ConnectionRequestURL (R255).
pub fn random_path(random: [[u8; 8]; 2]) -> String {
    // 128 bits, as many as in a random UUID.
    let [high, low] = random.map(u64::from_be_bytes);
    format!("/{high:016x}{low:016x}")
}

/// Returns the value of ConnectionRequestURL, with an IPv6 address in brackets (R255).
pub fn connection_request_url(address: SocketAddr, path: &str) -> String {
    format!("http://{}{path}", Endpoint(address))
}

/// An address and a port in the form of a URL: an IPv4-mapped address as IPv4, and an IPv6 address without its scope,
/// which has a meaning on this device only.
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
