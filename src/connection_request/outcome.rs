//! The outcomes of connection requests, counted for `status`.

use std::sync::atomic::{AtomicU32, Ordering};

/// The outcome of a connection request, or of a connection that carried none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// The agent was woken; over HTTP with status 200.
    Accepted,
    /// A request without credentials got a challenge, the usual first half of an accepted one (401).
    Challenged,
    /// Wrong credentials, or over HTTP no digest (401).
    Unauthorized,
    /// Right credentials for a nonce that has expired or comes from an earlier run (401).
    Stale,
    /// Right credentials that were used before (401).
    Replayed,
    /// The path is not that of ConnectionRequestURL (404).
    WrongPath,
    /// The method is not GET (405).
    WrongMethod,
    /// The request is not HTTP or too long (400, 431), or over UDP does not have the form of R290.
    Malformed,
    /// Right credentials, but too often (503).
    RateLimited,
    /// The connection was closed because the request did not come in time.
    TimedOut,
    /// The connection was closed to make room for another one.
    CrowdedOut,
    /// A datagram whose first byte is no letter, 0 or 1: neither STUN nor a connection request (R289).
    Garbage,
    /// The `ts` is not later than that of the last accepted request: an old request, or a copy (R293).
    OldTimestamp,
    /// The `id` is that of the last accepted request (R292).
    RepeatedId,
    /// The `un` is not ConnectionRequestUsername.
    WrongUsername,
    /// The `sig` does not match, or there is no password.
    WrongSignature,
    /// The sender is not in ConnReqAllowedJabberIDs (R298).
    NotAllowed,
    /// A session runs (R299).
    InSession,
}

use RequestOutcome::*;

/// The outcomes over HTTP and their names, in the order of the status. Programs read the names in `status --json`, so they
/// must never change.
const HTTP: &[(RequestOutcome, &str)] = &[
    (Accepted, "accepted"),
    (Challenged, "challenged"),
    (Unauthorized, "unauthorized"),
    (Stale, "stale"),
    (Replayed, "replayed"),
    (WrongPath, "wrongPath"),
    (WrongMethod, "wrongMethod"),
    (Malformed, "malformed"),
    (RateLimited, "rateLimited"),
    (TimedOut, "timedOut"),
    (CrowdedOut, "crowdedOut"),
];

/// The outcomes over UDP, in the same way. An outcome that both transports have is one variant with one name.
const UDP: &[(RequestOutcome, &str)] = &[
    (Accepted, "accepted"),
    (Garbage, "garbage"),
    (Malformed, "malformed"),
    (WrongMethod, "wrongMethod"),
    (OldTimestamp, "oldTimestamp"),
    (RepeatedId, "repeatedId"),
    (WrongUsername, "wrongUsername"),
    (WrongSignature, "wrongSignature"),
    (RateLimited, "rateLimited"),
];

/// The outcomes over XMPP, in the same way.
#[cfg(feature = "xmpp")]
const XMPP: &[(RequestOutcome, &str)] = &[
    (Accepted, "accepted"),
    (NotAllowed, "notAllowed"),
    (Unauthorized, "unauthorized"),
    (InSession, "inSession"),
    (RateLimited, "rateLimited"),
];
#[cfg(not(feature = "xmpp"))]
const XMPP: &[(RequestOutcome, &str)] = &[];

impl RequestOutcome {
    /// Returns the name in the status.
    pub fn name(self) -> &'static str {
        HTTP.iter().chain(UDP).chain(XMPP).find(|(outcome, _)| *outcome == self).map_or("", |(_, name)| name)
    }
}

/// The number of outcomes: one more than the index of the last.
const COUNT: usize = InSession as usize + 1;

/// The number of requests for each outcome. Counting needs no lock. The counters have 32 bits because MIPS has no wider
/// atomics; they wrap around.
#[derive(Debug)]
pub struct OutcomeCounters {
    /// The outcomes that the status lists, with their names.
    listed: &'static [(RequestOutcome, &'static str)],
    counts: [AtomicU32; COUNT],
}

impl OutcomeCounters {
    /// Returns counters at zero for the HTTP listener.
    pub(super) fn http() -> OutcomeCounters {
        OutcomeCounters { listed: HTTP, counts: Default::default() }
    }

    /// Returns counters at zero for the UDP listener.
    pub(super) fn udp() -> OutcomeCounters {
        OutcomeCounters { listed: UDP, counts: Default::default() }
    }

    /// Returns counters at zero for requests over XMPP.
    #[cfg(feature = "xmpp")]
    pub(super) fn xmpp() -> OutcomeCounters {
        OutcomeCounters { listed: XMPP, counts: Default::default() }
    }

    /// Counts one outcome.
    pub fn add(&self, outcome: RequestOutcome) {
        // No other memory depends on the counters, so the order of their changes does not matter.
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of these outcomes.
    pub fn count(&self, outcome: RequestOutcome) -> u32 {
        self.counts[outcome as usize].load(Ordering::Relaxed)
    }

    /// Returns the name and the number of each outcome of the listener, in the order of the status.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u32)> {
        // Outcomes of the other transport stay at zero here and are not listed.
        self.listed.iter().map(|&(outcome, name)| (name, self.count(outcome)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_counter_of_its_own() {
        for counters in [OutcomeCounters::http(), OutcomeCounters::udp()] {
            for (times, &(outcome, _)) in counters.listed.iter().enumerate() {
                (0..times).for_each(|_| counters.add(outcome));
            }
            let counts: Vec<u32> = counters.all().map(|(_, count)| count).collect();
            assert_eq!(counts, (0..counters.listed.len() as u32).collect::<Vec<_>>());
            let mut names: Vec<&str> = counters.all().map(|(name, _)| name).collect();
            assert!(names.iter().all(|name| !name.is_empty()));
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), counters.listed.len());
        }
    }
}
