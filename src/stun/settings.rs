//! The settings and actions of the binding.

use std::fmt;
use std::net::SocketAddr;

use super::keep_alive::KeepAlivePeriods;
use super::status::PublishedBinding;
use crate::secret::Secret;

/// The name and port of the STUN server: STUNServerAddress, or the host of the ACS URL if that is empty, and
/// STUNServerPort (R271).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StunServerName {
    /// The host name or address; empty for none.
    pub host: String,
    /// The UDP port.
    pub port: u16,
}

impl fmt::Display for StunServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.host, self.port)
    }
}

/// The STUN parameters of ManagementServer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StunSettings {
    /// STUNEnable: requests are sent only if true.
    pub enabled: bool,
    /// The server to ask.
    pub server: StunServerName,
    /// STUNUsername, sent in every request of the primary port unless empty (R276).
    pub username: String,
    /// STUNPassword, the key of MESSAGE-INTEGRITY.
    pub password: Secret,
    /// STUNMinimumKeepAlivePeriod and STUNMaximumKeepAlivePeriod.
    pub periods: KeepAlivePeriods,
}

impl StunSettings {
    /// Returns true if requests can be signed, which takes both credentials (R277).
    pub(super) fn can_sign(&self) -> bool {
        !self.username.is_empty() && !self.password.expose().is_empty()
    }
}

/// The two sockets of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The socket that receives UDP connection requests (R272).
    Primary,
    /// A socket on any other port, for probes only (R283).
    Secondary,
}

/// An action for the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a datagram. A failure to send needs no report, since the answer is then missing anyway.
    Send {
        /// The sending socket.
        port: Port,
        /// The address of the STUN server.
        to: SocketAddr,
        /// The bytes of the datagram.
        bytes: Vec<u8>,
    },
    /// Resolve the name and pass the addresses to [`super::Binding::on_resolved`].
    Resolve(StunServerName),
    /// Show these values in the data model.
    Changed(PublishedBinding),
}
