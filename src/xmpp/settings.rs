//! The settings of a connection, and the state of it, as the data model has them.

use std::time::Duration;

use super::{Account, RetryPolicy};

/// The settings of a connection. Another value of one of them begins another connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) account: Account,
    /// True if the SRV records of the domain name the servers.
    pub(crate) is_discovered: bool,
    /// The servers otherwise, in no order; empty for the host of the domain.
    pub(crate) servers: Vec<Server>,
    pub(crate) retry: RetryPolicy,
    /// The interval between two keep-alives; `None` without any.
    pub(crate) keep_alive: Option<Duration>,
    /// ConnReqAllowedJabberIDs; empty for all senders.
    pub(crate) allowed: Vec<String>,
}

/// A server, with its place among others by the rules of RFC 2782.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) priority: u16,
    pub(crate) weight: u16,
}

impl Server {
    /// The port that IANA has assigned to clients of XMPP.
    pub(crate) const PORT: u16 = 5222;

    /// Returns the servers in the order of attempts: by priority, and among equal ones at random by weight.
    pub(crate) fn in_order(mut servers: Vec<Server>, random: &mut dyn FnMut() -> u64) -> Vec<Server> {
        let mut ordered = Vec::new();
        while let Some(priority) = servers.iter().map(|server| server.priority).min() {
            let group = || servers.iter().enumerate().filter(|(_, server)| server.priority == priority);
            // One more than the weight, so that a server without weight has a chance, too.
            let total: u64 = group().map(|(_, server)| u64::from(server.weight) + 1).sum();
            let mut left = random() % total;
            let chosen = group().find(|(_, server)| {
                let share = u64::from(server.weight) + 1;
                let is_chosen = left < share;
                left = left.saturating_sub(share);
                is_chosen
            });
            let Some(at) = chosen.map(|(at, _)| at) else { break }; // not reached: `left` is below the sum
            ordered.push(servers.remove(at));
        }
        ordered
    }
}

/// The state of a connection, with its name in the data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Disabled,
    /// Enabled, and no ConnReqXMPPConnection refers to it.
    Dormant,
    Connecting,
    Enabled,
    ServerNotPresent,
    Misconfigured,
    AuthenticationFailure,
    Error,
}

impl Status {
    /// Returns the value of `Status`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Disabled => "Disabled",
            Status::Dormant => "Dormant",
            Status::Connecting => "Connecting",
            Status::Enabled => "Enabled",
            Status::ServerNotPresent => "ServerNotPresent",
            Status::Misconfigured => "Error_Misconfigured",
            Status::AuthenticationFailure => "Error_AuthenticationFailure",
            Status::Error => "Error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(port: u16, priority: u16, weight: u16) -> Server {
        Server { host: String::new(), port, priority, weight }
    }

    fn order(servers: &[Server], random: u64) -> Vec<u16> {
        Server::in_order(servers.to_vec(), &mut || random).iter().map(|server| server.port).collect()
    }

    #[test]
    fn priority_comes_first_and_weight_decides_by_chance() {
        let servers = [server(1, 5, 0), server(2, 1, 0), server(3, 1, 9), server(4, 0, 0)];
        assert_eq!(order(&servers, 0), [4, 2, 3, 1]);
        assert_eq!(order(&servers, 1), [4, 3, 2, 1]);
        let first = (0..11).filter(|random| order(&servers, *random)[1] == 3).count();
        assert_eq!(first, 10, "ten of eleven");
        assert_eq!(order(&[], 7), [0_u16; 0]);
        assert_eq!(order(&[server(1, 0, u16::MAX), server(2, 0, u16::MAX)], u64::MAX).len(), 2);
    }
}
