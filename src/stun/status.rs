//! What the binding tells others: the data model, and the operator.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::keep_alive::Search;

/// What the data model shows (R285). Changes of it are what active notifications are about (R286).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishedBinding {
    /// UDPConnectionRequestAddress; none while it is not known yet.
    pub address: Option<SocketAddr>,
    /// NATDetected.
    pub nat_detected: bool,
}

impl PublishedBinding {
    /// UDPConnectionRequestAddress as the data model writes it: `host:port`, IPv6 in brackets, empty for none.
    pub fn address_text(&self) -> String {
        // `SocketAddr` writes the scope of a link-local address, which means nothing to anybody else.
        self.address.map(|address| SocketAddr::new(address.ip(), address.port()).to_string()).unwrap_or_default()
    }
}

/// What is known of the STUN server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerState {
    /// STUN is off, or there is no network.
    #[default]
    Unused,
    /// The name has not been resolved.
    Unresolved,
    /// It has been asked and has not answered yet.
    Asked,
    /// It answers.
    Answers,
    /// It did not answer the last request.
    Silent,
    /// It refused the last request, with this error code.
    Refuses(u16),
}

impl ServerState {
    /// The name in `status --json`.
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

/// For `cpe-agent status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StunStatus {
    /// What the server does.
    pub server_state: ServerState,
    /// The server in use, or tried last.
    pub server: Option<SocketAddr>,
    /// Where UDP connection requests are received, seen from inside.
    pub local: Option<SocketAddr>,
    /// The same seen from the server, as it said last.
    pub mapped: Option<SocketAddr>,
    /// NATDetected.
    pub nat_detected: bool,
    /// The time between keep-alives.
    pub period: Duration,
    /// How that time came about.
    pub search: Search,
    /// What was sent and received.
    pub counters: StunCounters,
}

/// What was sent, received and ignored; each stops at its maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StunCounters {
    /// Datagrams sent, retransmissions included.
    pub sent: u32,
    /// Answers that were taken.
    pub answered: u32,
    /// Requests from the primary port that nobody answered in time.
    pub unanswered: u32,
    /// Answers that told a new address, the first included.
    pub changes: u32,
    /// Errors that the server answered with, 401 included.
    pub refused: u32,
    /// Ignored: from another source than the server.
    pub foreign_source: u32,
    /// Ignored: with the transaction id of no request of ours.
    pub wrong_transaction: u32,
    /// Ignored: a second answer to a request, or one that came too late.
    pub late: u32,
    /// Ignored: not a STUN message.
    pub malformed: u32,
    /// Ignored: no MESSAGE-INTEGRITY, or a wrong one, where it is due (R278).
    pub bad_integrity: u32,
    /// Ignored: a well-formed message that is no answer, or no use.
    pub unusable: u32,
}

impl StunCounters {
    /// All that was ignored.
    pub fn ignored(&self) -> u32 {
        let each =
            [self.foreign_source, self.wrong_transaction, self.late, self.malformed, self.bad_integrity, self.unusable];
        each.into_iter().fold(0, u32::saturating_add)
    }
}
