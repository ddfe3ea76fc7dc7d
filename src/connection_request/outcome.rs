//! What became of connection requests, counted for `status`.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};

/// The most kinds of outcome that a listener tells apart.
const KINDS: usize = 12;

/// How often each outcome occurred. Counting needs no lock; the counters are 32 bits since MIPS has no wider atomics.
#[derive(Debug)]
pub struct OutcomeCounters<O> {
    counts: [AtomicU32; KINDS],
    kind: PhantomData<O>,
}

impl<O> Default for OutcomeCounters<O> {
    fn default() -> OutcomeCounters<O> {
        OutcomeCounters { counts: Default::default(), kind: PhantomData }
    }
}

/// A kind of outcome; implemented by the enums here.
pub trait Outcome: Copy + 'static {
    /// All of them, in the order of their declaration.
    const ALL: &'static [Self];
    /// The name in `status --json`.
    fn name(self) -> &'static str;
    /// The place in [`Outcome::ALL`].
    fn index(self) -> usize;
}

impl<O: Outcome> OutcomeCounters<O> {
    /// One more of these; wraps around after 2^32.
    pub fn add(&self, outcome: O) {
        if let Some(count) = self.counts.get(outcome.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many of these there were.
    pub fn count(&self, outcome: O) -> u32 {
        self.counts.get(outcome.index()).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Every outcome with its name and its number.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u32)> {
        O::ALL.iter().map(|&outcome| (outcome.name(), self.count(outcome)))
    }
}

macro_rules! outcomes {
    ($(#[$about:meta])* $enum:ident { $($(#[$doc:meta])* $variant:ident $name:literal)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $enum {
            $($(#[$doc])* $variant,)*
        }

        impl Outcome for $enum {
            const ALL: &'static [$enum] = &[$($enum::$variant),*];

            fn name(self) -> &'static str {
                match self {
                    $($enum::$variant => $name,)*
                }
            }

            fn index(self) -> usize {
                self as usize
            }
        }

        const _: () = assert!(<$enum as Outcome>::ALL.len() <= KINDS);
    };
}

outcomes! {
    /// What became of a request over HTTP, or of its connection.
    HttpOutcome {
        /// Answered 200; the agent was woken.
        Accepted "accepted"
        /// A request without credentials was given a challenge: the usual first half of a right one.
        Challenged "challenged"
        /// Wrong credentials, or no digest.
        Unauthorized "unauthorized"
        /// Right credentials for a nonce that has expired or is of an earlier run.
        Stale "stale"
        /// Right credentials that had been used before.
        Replayed "replayed"
        /// 404.
        WrongPath "wrongPath"
        /// 405.
        WrongMethod "wrongMethod"
        /// No HTTP, or too much of it.
        Malformed "malformed"
        /// Right credentials too often: 503.
        RateLimited "rateLimited"
        /// The connection was closed since the request did not come in time.
        TimedOut "timedOut"
        /// The connection was closed to make room for another.
        CrowdedOut "crowdedOut"
    }
}

outcomes! {
    /// What became of a datagram on the UDP port.
    UdpOutcome {
        /// The agent was woken.
        Accepted "accepted"
        /// Neither STUN nor a connection request: the first byte is no letter and neither 0 nor 1.
        Garbage "garbage"
        /// No HTTP request of the form of R290.
        Malformed "malformed"
        /// Another method than GET.
        WrongMethod "wrongMethod"
        /// `ts` is not later than that of the last accepted request: old, or one more copy.
        OldTimestamp "oldTimestamp"
        /// `id` is that of the last accepted request.
        RepeatedId "repeatedId"
        /// `un` is not ConnectionRequestUsername.
        WrongUsername "wrongUsername"
        /// `sig` does not match, or there is no password.
        WrongSignature "wrongSignature"
        /// Right, but too often.
        RateLimited "rateLimited"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_counter_of_its_own() {
        let tally = OutcomeCounters::<HttpOutcome>::default();
        for (times, &outcome) in HttpOutcome::ALL.iter().enumerate() {
            (0..times).for_each(|_| tally.add(outcome));
        }
        let counts: Vec<u32> = tally.all().map(|(_, count)| count).collect();
        assert_eq!(counts, (0..HttpOutcome::ALL.len() as u32).collect::<Vec<_>>());
        let mut names: Vec<&str> =
            tally.all().map(|(name, _)| name).chain(UdpOutcome::ALL.iter().map(|o| o.name())).collect();
        assert!(names.iter().all(|name| !name.is_empty()));
        names.truncate(HttpOutcome::ALL.len());
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), HttpOutcome::ALL.len());
    }
}
