//! The output of the binding: values for the data model and figures for the operator.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::keep_alive::Search;

/// The values in the data model (R285). The ACS may ask for active notification of their changes (R286).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishedBinding {
    /// UDPConnectionRequestAddress; `None` while it is unknown.
    pub address: Option<SocketAddr>,
    /// NATDetected: true if the address is that of a NAT.
    pub nat_detected: bool,
}

impl PublishedBinding {
    /// Returns UDPConnectionRequestAddress as the data model writes it: `host:port`, IPv6 in brackets, empty for none.
    pub fn address_text(&self) -> String {
        // `SocketAddr` writes the scope of a link-local address, which has no meaning on another host.
        self.address.map(|address| SocketAddr::new(address.ip(), address.port()).to_string()).unwrap_or_default()
    }
}

/// The knowledge about the STUN server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerState {
    /// STUN is off, or there is no network.
    #[default]
    Unused,
    /// The name of the server is not resolved.
    Unresolved,
    /// A request was sent, and no answer has come yet.
    Asked,
    /// The server has answered the last request.
    Answers,
    /// The server has not answered the last request.
    Silent,
    /// The server has refused the last request with this error code.
    Refuses(u16),
}

impl ServerState {
    /// Returns the name in `status --json`.
    pub fn name(self) -> &'static str {
        match self {
            ServerState::Unused => "unused",
            ServerState::Unresolved => "unresolved",
            ServerState::Asked => "asked",
            ServerState::Answers => "answers",
            ServerState::Silent => "silent",
            ServerState::Refuses(_) => "refuses",
        }
    }
}

impl fmt::Display for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerState::Unused => f.write_str("not in use"),
            ServerState::Unresolved => f.write_str("the STUN server's name does not resolve"),
            ServerState::Asked => f.write_str("waiting for the first answer"),
            ServerState::Answers => f.write_str("the STUN server answers"),
            ServerState::Silent => f.write_str("the STUN server does not answer"),
            ServerState::Refuses(code @ (401 | 430 | 431 | 432)) => {
                write!(f, "the STUN server refuses our credentials (error {code})")
            }
            ServerState::Refuses(code) => write!(f, "the STUN server refuses requests (error {code})"),
        }
    }
}

/// The state of the binding for `cpe-agent status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StunStatus {
    /// The state of the server.
    pub server_state: ServerState,
    /// The server in use, or the last one tried.
    pub server: Option<SocketAddr>,
    /// The local address of the primary port.
    pub local: Option<SocketAddr>,
    /// The mapped address in the last answer of the server.
    pub mapped: Option<SocketAddr>,
    /// NATDetected in the data model.
    pub nat_detected: bool,
    /// The interval of keep-alives.
    pub period: Duration,
    /// The state of the search for that interval.
    pub search: Search,
    /// The counts of datagrams.
    pub counters: StunCounters,
}

/// Counts of datagrams sent, received and ignored; each stops at its maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StunCounters {
    /// Datagrams sent, retransmissions included.
    pub sent: u32,
    /// Answers that were accepted.
    pub answered: u32,
    /// Requests from the primary port without an answer.
    pub unanswered: u32,
    /// Answers with a new mapped address, the first included.
    pub changes: u32,
    /// Error responses, 401 included.
    pub refused: u32,
    /// Ignored datagrams from another source than the server.
    pub foreign_source: u32,
    /// Ignored messages with a transaction id of no request.
    pub wrong_transaction: u32,
    /// Ignored answers that came twice or too late.
    pub late: u32,
    /// Ignored datagrams that are no STUN message.
    pub malformed: u32,
    /// Ignored answers with a missing or wrong MESSAGE-INTEGRITY (R278).
    pub bad_integrity: u32,
    /// Ignored messages that are well-formed but no usable answer.
    pub unusable: u32,
}

impl StunCounters {
    /// Returns the sum of all ignored datagrams.
    pub fn ignored(&self) -> u32 {
        let each =
            [self.foreign_source, self.wrong_transaction, self.late, self.malformed, self.bad_integrity, self.unusable];
        each.into_iter().fold(0, u32::saturating_add)
    }
}
