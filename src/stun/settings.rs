//! What goes into the binding and what comes out, apart from time and datagrams.

use std::fmt;
use std::net::SocketAddr;

use super::keep_alive::KeepAlivePeriods;
use super::status::PublishedBinding;
use crate::secret::Secret;

/// The name and port of the STUN server: STUNServerAddress, or the host of the ACS URL where that is empty, and
/// STUNServerPort (R271).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StunServerName {
    /// A name or an address; empty for none.
    pub host: String,
    /// The port.
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
    /// STUNEnable.
    pub enabled: bool,
    /// Whom to ask.
    pub server: StunServerName,
    /// STUNUsername.
    pub username: String,
    /// STUNPassword.
    pub password: Secret,
    /// STUNMinimumKeepAlivePeriod and STUNMaximumKeepAlivePeriod.
    pub periods: KeepAlivePeriods,
}

impl StunSettings {
    /// R277: without both nothing is ever signed.
    pub(super) fn can_sign(&self) -> bool {
        !self.username.is_empty() && !self.password.expose().is_empty()
    }
}

/// The sockets of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The one that receives UDP connection requests (R272).
    Primary,
    /// Any other port, for probes only (R283).
    Secondary,
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a datagram; that it cannot be sent need not be told.
    Send {
        /// From which socket.
        port: Port,
        /// The STUN server.
        to: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// Resolve this name and hand the addresses to [`super::Binding::on_resolved`].
    Resolve(StunServerName),
    /// The data model has to show this from now on.
    Changed(PublishedBinding),
}
