//! The limits of the listeners: connections, times, and the rates of accepted requests and of failures.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The limits of the HTTP listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at once. A further one replaces another, so that slow clients cannot shut out the ACS.
    pub connections: usize,
    /// The most connections at once from one network.
    pub connections_per_network: usize,
    /// The time for the head of a request to arrive.
    pub head_time: Duration,
    /// The time from the start of a connection to its final response.
    pub connection_time: Duration,
    /// The rate of accepted requests from all networks and over all transports together (R264).
    pub accepted: Rate,
    /// The rate of accepted requests from one network (R264).
    pub accepted_per_network: Rate,
    /// The rate of failed authentications from one network that get their response at once, on an open connection.
    pub failures_per_network: Rate,
    /// The delay of the response to further failures. A request with the right credentials is never delayed (R265).
    pub penalty: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 32,
            connections_per_network: 24,
            head_time: Duration::from_secs(3),
            connection_time: Duration::from_secs(5),
            accepted: Rate { burst: 60, every: Duration::from_secs(1) },
            accepted_per_network: Rate { burst: 30, every: Duration::from_secs(2) },
            failures_per_network: Rate { burst: 20, every: Duration::from_secs(1) },
            penalty: Duration::from_millis(250),
        }
    }
}

/// A rate: a burst, and the interval at which it is refilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The number of events at once after a quiet time; 0 means 1.
    pub burst: u32,
    /// The interval after which one more event is allowed.
    pub every: Duration,
}

/// The tokens that are left of a [`Rate`].
///
/// One instant is enough for a token bucket: that at which it will be full again. Each token taken moves it by one
/// interval into the future.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TokenBucket {
    recovered_at: Duration,
}

impl TokenBucket {
    /// Takes a token. Returns false if there is none.
    pub(super) fn take(&mut self, rate: Rate, now: Duration) -> bool {
        // Saturating arithmetic, because the rates of a caller may be extreme.
        let taken = self.recovered_at.max(now).saturating_add(rate.every);
        let allowed = taken.saturating_sub(now) <= rate.every.saturating_mul(rate.burst.max(1));
        if allowed {
            self.recovered_at = taken;
        }
        allowed
    }

    fn is_recovered(&self, now: Duration) -> bool {
        self.recovered_at <= now
    }
}

/// The tokens for accepted requests, which all listeners take from one bucket (R264).
#[derive(Clone, Debug, Default)]
pub(super) struct SharedBucket(Arc<Mutex<TokenBucket>>);

impl SharedBucket {
    /// Takes a token. Returns false if there is none.
    pub(super) fn take(&self, rate: Rate, now: Duration) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(rate, now)
    }
}

/// The network of a client: an IPv4 address, or the first 64 bits of an IPv6 address. A host can use all addresses of
/// its IPv6 network, so a limit for each address would be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientNetwork([u8; 8]);

impl ClientNetwork {
    /// Returns the network of an address.
    pub(super) fn of(address: IpAddr) -> ClientNetwork {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                // 0:ffff::/32 is not assigned, so that no IPv6 network has the same value.
                ClientNetwork([0, 0, 0xff, 0xff, a, b, c, d])
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                ClientNetwork([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// The most networks that are tracked at once.
const MAX_NETWORKS: usize = 64;

/// The token buckets of the networks that have taken a token lately.
#[derive(Debug)]
pub(super) struct NetworkBuckets {
    rate: Rate,
    buckets: Vec<(ClientNetwork, TokenBucket)>,
}

impl NetworkBuckets {
    pub(super) fn new(rate: Rate) -> NetworkBuckets {
        NetworkBuckets { rate, buckets: Vec::new() }
    }

    /// Takes a token of this network. Returns false if it has none.
    pub(super) fn take(&mut self, network: ClientNetwork, now: Duration) -> bool {
        if let Some((_, bucket)) = self.buckets.iter_mut().find(|(known, _)| *known == network) {
            return bucket.take(self.rate, now);
        }
        self.buckets.retain(|(_, bucket)| !bucket.is_recovered(now));
        if self.buckets.len() >= MAX_NETWORKS {
            // The fullest bucket goes: its network loses least, and an attacker cannot flush the bucket that limits it.
            let first = self.buckets.iter().enumerate().min_by_key(|(_, (_, bucket))| bucket.recovered_at);
            if let Some((at, _)) = first {
                self.buckets.swap_remove(at);
            }
        }
        let mut bucket = TokenBucket::default();
        let allowed = bucket.take(self.rate, now);
        self.buckets.push((network, bucket));
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const RATE: Rate = Rate { burst: 3, every: SECOND };

    fn source(text: &str) -> ClientNetwork {
        ClientNetwork::of(text.parse().unwrap())
    }

    /// R264.
    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let mut bucket = TokenBucket::default();
        let mut takes = |now: Duration| bucket.take(RATE, now);
        assert_eq!([(); 5].map(|()| takes(10 * SECOND)), [true, true, true, false, false]);
        assert!(!takes(11 * SECOND - Duration::from_nanos(1)));
        assert!(takes(11 * SECOND) && !takes(11 * SECOND));
        assert_eq!([(); 4].map(|()| takes(99 * SECOND)), [true, true, true, false]);
    }

    #[test]
    fn rates_at_their_ends_neither_panic_nor_lock_out() {
        let mut bucket = TokenBucket::default();
        assert!(bucket.take(Rate { burst: 0, every: SECOND }, SECOND), "as if it were 1");
        let mut bucket = TokenBucket::default();
        assert!((0..100).all(|_| bucket.take(Rate { burst: 1, every: Duration::ZERO }, SECOND)));
        let forever = Rate { burst: u32::MAX, every: Duration::MAX };
        assert!(TokenBucket::default().take(forever, SECOND));
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_network() {
        assert_eq!(source("192.0.2.1"), source("::ffff:192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(source("2001:db8:0:1::1"), source("2001:db8:0:1:ffff::2"));
        assert_ne!(source("2001:db8:0:1::1"), source("2001:db8:0:2::1"));
    }

    #[test]
    fn sources_do_not_spend_each_others_share() {
        let mut sources = NetworkBuckets::new(RATE);
        let (a, b) = (source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!([(); 4].map(|()| sources.take(a, SECOND)), [true, true, true, false]);
        assert!(sources.take(b, SECOND));
        assert!(!sources.take(a, SECOND));
    }

    #[test]
    fn a_thousand_sources_take_no_more_room_than_a_few() {
        let mut sources = NetworkBuckets::new(RATE);
        let busy = source("192.0.2.1");
        while sources.take(busy, SECOND) {}
        for number in 0..1000_u32 {
            assert!(sources.take(ClientNetwork::of(std::net::Ipv4Addr::from(number << 8).into()), SECOND));
        }
        assert_eq!(sources.buckets.len(), MAX_NETWORKS);
        assert!(!sources.take(busy, SECOND), "the emptiest bucket is kept longest");
        assert!(sources.take(source("192.0.2.9"), 100 * SECOND));
        assert_eq!(sources.buckets.len(), 1);
    }
}
