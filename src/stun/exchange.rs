//! One request, its retransmissions, and what it was sent for.

use std::net::SocketAddr;
use std::time::Duration;

use super::message::TransactionId;
use super::settings::Port;

/// RFC 3489 §9.3, R281: the wait after each transmission, so that they go out at 0, 100, 300, 700, 1500, 3100,
/// 4700, 6300 and 7900 ms and the exchange fails at 9500 ms.
const WAITS_MS: [u64; 9] = [100, 200, 400, 800, 1600, 1600, 1600, 1600, 1600];

/// Why a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To learn the binding, or to keep it (R272).
    Ask,
    /// To tell the server that the binding is new (R280).
    Announce,
    /// To learn whether the binding still lets datagrams in, after it has been idle for so long; without a
    /// time: whether the server honours RESPONSE-ADDRESS at all (R283).
    Probe(Option<Duration>),
}

impl Purpose {
    /// Where the request leaves: a probe must not refresh what it is to test (R272, R283).
    pub(super) fn port(self) -> Port {
        match self {
            Purpose::Ask | Purpose::Announce => Port::Primary,
            Purpose::Probe(_) => Port::Secondary,
        }
    }
}

/// A request to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestPlan {
    pub(super) purpose: Purpose,
    /// With MESSAGE-INTEGRITY: only after a 401 (R277).
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
    /// What an answer said that had to be discarded for want of a signature (R278): only words for the operator.
    pub(super) unsigned_refusal: Option<u16>,
}

/// What an exchange wants now.
pub(super) enum ExchangeStep {
    /// This datagram is to be sent.
    Send(Vec<u8>),
    Wait,
    /// Nobody has answered in time.
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

    /// When to call [`Exchange::poll`] again.
    pub(super) fn deadline(&self) -> Duration {
        self.next_at
    }

    /// Each wait counts from the transmission before it: after a long sleep of the device there is no burst.
    pub(super) fn poll(&mut self, now: Duration) -> ExchangeStep {
        if now < self.next_at {
            return ExchangeStep::Wait;
        }
        let Some(&wait) = WAITS_MS.get(self.sent) else { return ExchangeStep::Failed };
        self.sent += 1;
        self.next_at = now.saturating_add(Duration::from_millis(wait));
        ExchangeStep::Send(self.bytes.clone())
    }
}
