//! A request with its retransmissions and its purpose.

use std::net::SocketAddr;
use std::time::Duration;

use super::message::TransactionId;
use super::settings::Port;

/// The wait after each transmission (RFC 3489 §9.3, R281). Transmissions leave at 0, 100, 300, 700, 1500, 3100, 4700,
/// 6300 and 7900 ms, and the exchange fails at 9500 ms.
const WAITS_MS: [u64; 9] = [100, 200, 400, 800, 1600, 1600, 1600, 1600, 1600];

/// The purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Learns the mapped address, or keeps the binding open (R272).
    Bind,
    /// Announces a new mapped address to the server (R280).
    Announce,
    /// Tests whether the binding still accepts datagrams after the given idle time. Without a time, tests whether the
    /// server honours RESPONSE-ADDRESS at all: the baseline probe (R283).
    Probe(Option<Duration>),
}

impl Purpose {
    /// Returns the port that sends the request. A probe must not refresh the binding that it tests (R272, R283).
    pub(super) fn port(self) -> Port {
        match self {
            Purpose::Bind | Purpose::Announce => Port::Primary,
            Purpose::Probe(_) => Port::Secondary,
        }
    }
}

/// A request to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestPlan {
    pub(super) purpose: Purpose,
    /// True for a request with MESSAGE-INTEGRITY, which only follows a 401 (R277).
    pub(super) signed: bool,
}

impl RequestPlan {
    pub(super) fn new(purpose: Purpose) -> RequestPlan {
        RequestPlan { purpose, signed: false }
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) plan: RequestPlan,
    pub(super) to: SocketAddr,
    pub(super) transaction: TransactionId,
    bytes: Vec<u8>,
    sent: usize,
    next_at: Duration,
    /// The error code of an answer that was discarded for its missing signature (R278); shown in the status only.
    pub(super) unsigned_refusal: Option<u16>,
}

/// The next step of an exchange.
pub(super) enum ExchangeStep {
    /// The datagram is to be sent.
    Send(Vec<u8>),
    Wait,
    /// The last wait is over without an answer.
    Failed,
}

impl Exchange {
    pub(super) fn new(
        plan: RequestPlan,
        to: SocketAddr,
        transaction: TransactionId,
        bytes: Vec<u8>,
        now: Duration,
    ) -> Exchange {
        Exchange { plan, to, transaction, bytes, sent: 0, next_at: now, unsigned_refusal: None }
    }

    /// Returns the time of the next [`Exchange::poll`].
    pub(super) fn deadline(&self) -> Duration {
        self.next_at
    }

    /// Returns the next step. Each wait counts from the transmission before it, so that no burst follows a long sleep
    /// of the device.
    pub(super) fn poll(&mut self, now: Duration) -> ExchangeStep {
        if now < self.next_at {
            return ExchangeStep::Wait;
        }
        let Some(&wait) = WAITS_MS.get(self.sent) else { return ExchangeStep::Failed };
        self.sent += 1;
        self.next_at = now.saturating_add(Duration::from_millis(wait));
        // R281: retransmissions carry the same transaction id, and so the same bytes.
        ExchangeStep::Send(self.bytes.clone())
    }
}
