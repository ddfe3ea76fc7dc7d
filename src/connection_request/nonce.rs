//! The nonces of the digest challenge (R268).
//!
//! A nonce is made from the time and a secret of the process, so that it needs no memory before it was used with the
//! right password.
//!
//! ```text
//!   issue ──▶ out in a challenge ──▶ spend ──▶ Fresh      remembered with its nc until it expires
//!                                         ├──▶ Replayed   with this nc, or without qop: once
//!                                         ├──▶ Expired
//!                                         └──▶ Foreign    not of this process
//! ```
//!
//! Only a client that knows the password has its nonce remembered. If the memory is full, the oldest nonce is forgotten,
//! and with it all that were issued before count as expired: a replay is never accepted.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::digest::{equal_in_constant_time, hmac_sha1};

/// The lifetime of a nonce. An ACS answers a challenge at once.
const LIFETIME: Duration = Duration::from_secs(60);
/// The most used nonces that are remembered at once.
const MAX_USED: usize = 128;
/// The length of the issue time and the serial number, eight bytes each.
const STAMP: usize = 16;
/// The length of the authentication code in a nonce, in bytes.
const CODE: usize = 14;

/// The nonces of one process.
pub(super) struct Nonces {
    key: [u8; 20],
    last_serial: u64,
    /// The serial number up to which nonces count as expired unless they are remembered.
    forgotten: u64,
    used: Vec<Used>,
}

/// A nonce that was used with the right password.
struct Used {
    serial: u64,
    issued: Duration,
    /// The highest nc so far; `u32::MAX` if no qop was used.
    count: u32,
}

/// The state of a nonce in otherwise right credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// The nonce was issued lately and was not used with this nc.
    Fresh,
    /// The nonce was used with this nc or a higher one.
    Replayed,
    /// The lifetime of the nonce is over.
    Expired,
    /// The nonce was not issued by this process.
    Foreign,
}

impl Nonces {
    pub(super) fn new(key: [u8; 20]) -> Nonces {
        Nonces { key, last_serial: 0, forgotten: 0, used: Vec::new() }
    }

    /// Returns a new nonce.
    pub(super) fn issue(&mut self, now: Duration) -> String {
        self.last_serial += 1;
        let mut bytes = [0; STAMP + CODE];
        // 64 bits of milliseconds last for half a billion years of uptime.
        bytes[..8].copy_from_slice(&u64::try_from(now.as_millis()).unwrap_or(u64::MAX).to_be_bytes());
        bytes[8..STAMP].copy_from_slice(&self.last_serial.to_be_bytes());
        let code = hmac_sha1(&self.key, &[&bytes[..STAMP]]);
        bytes[STAMP..].copy_from_slice(&code[..CODE]);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Marks a nonce as used and returns its state before. The caller has verified the digest; `nc` is `None` if no qop
    /// was used.
    pub(super) fn spend(&mut self, nonce: &str, nc: Option<u32>, now: Duration) -> Freshness {
        let Some((issued, serial)) = self.open(nonce) else {
            return Freshness::Foreign;
        };
        self.used.retain(|used| used.issued + LIFETIME > now);
        let count = nc.unwrap_or(u32::MAX);
        if let Some(used) = self.used.iter_mut().find(|used| used.serial == serial) {
            // Without qop a nonce is good for one request, with qop for one request for each nc.
            if count <= used.count || nc.is_none() {
                return Freshness::Replayed;
            }
            used.count = count;
            return Freshness::Fresh;
        }
        if issued + LIFETIME <= now || serial <= self.forgotten {
            return Freshness::Expired;
        }
        if count == 0 {
            // RFC 7616 §3.4: the client counts from 1.
            return Freshness::Replayed;
        }
        self.used.push(Used { serial, issued, count });
        if self.used.len() > MAX_USED {
            self.forget_first();
        }
        Freshness::Fresh
    }

    /// Forgets the used nonce that was issued first.
    fn forget_first(&mut self) {
        let first = self.used.iter().enumerate().min_by_key(|(_, used)| used.serial).map(|(at, _)| at);
        if let Some(at) = first {
            self.forgotten = self.forgotten.max(self.used.swap_remove(at).serial);
        }
    }

    /// Returns the issue time and the serial number of a nonce; `None` if this process did not issue it.
    fn open(&self, nonce: &str) -> Option<(Duration, u64)> {
        let mut bytes = [0; STAMP + CODE];
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(nonce, &mut bytes).ok()?;
        // The code is compared in constant time, or a client could find it byte by byte.
        let (stamp, code) = bytes.split_at(STAMP);
        let expected = hmac_sha1(&self.key, &[stamp]);
        if length != bytes.len() || !equal_in_constant_time(&expected[..CODE], code) {
            return None;
        }
        let (issued, serial) = stamp.split_at(8);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum: u64, &byte| sum << 8 | u64::from(byte));
        Some((Duration::from_millis(number(issued)), number(serial)))
    }
}

#[cfg(test)]
mod tests {
    use super::Freshness::*;
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn nonces() -> Nonces {
        Nonces::new([7; 20])
    }

    #[test]
    fn no_two_nonces_are_alike_and_all_need_no_quoting() {
        let mut nonces = nonces();
        let mut issued: Vec<String> = (0..1000).map(|_| nonces.issue(NOW)).collect();
        assert!(
            issued.iter().all(|n| n.len() == 40 && n.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)))
        );
        issued.sort();
        issued.dedup();
        assert_eq!(issued.len(), 1000);
        assert!(nonces.used.is_empty(), "a challenge alone takes no memory");
    }

    /// R268: nc is tracked.
    #[test]
    fn with_qop_each_count_is_good_once_and_only_upwards() {
        let mut nonces = nonces();
        let nonce = nonces.issue(NOW);
        let results = [0, 1, 1, 2, 2, 1, 9, 8, u32::MAX, u32::MAX].map(|nc| nonces.spend(&nonce, Some(nc), NOW));
        assert_eq!(results, [Replayed, Fresh, Replayed, Fresh, Replayed, Replayed, Fresh, Replayed, Fresh, Replayed]);
    }

    /// R268.
    #[test]
    fn without_qop_a_nonce_is_good_once() {
        let mut nonces = nonces();
        let nonce = nonces.issue(NOW);
        assert_eq!(nonces.spend(&nonce, None, NOW), Fresh);
        assert_eq!(nonces.spend(&nonce, None, NOW), Replayed);
        assert_eq!(nonces.spend(&nonce, Some(1), NOW), Replayed);
        // Nor after an answer with qop.
        let nonce = nonces.issue(NOW);
        assert_eq!(nonces.spend(&nonce, Some(1), NOW), Fresh);
        assert_eq!(nonces.spend(&nonce, None, NOW), Replayed);
    }

    /// R268: a used nonce stays rejected after it has expired.
    #[test]
    fn a_nonce_expires() {
        let mut nonces = nonces();
        let (used, unused) = (nonces.issue(NOW), nonces.issue(NOW));
        let last = NOW + LIFETIME - Duration::from_millis(1);
        assert_eq!(nonces.spend(&used, Some(1), last), Fresh);
        assert_eq!(nonces.spend(&used, Some(2), NOW + LIFETIME), Expired);
        assert_eq!(nonces.spend(&unused, Some(1), NOW + LIFETIME), Expired);
        assert!(nonces.used.is_empty());
    }

    #[test]
    fn a_nonce_of_another_process_or_a_changed_one_is_foreign() {
        let mut nonces = nonces();
        let nonce = nonces.issue(NOW);
        assert_eq!(Nonces::new([8; 20]).spend(&nonce, Some(1), NOW), Foreign);
        for at in 0..nonce.len() {
            let mut changed = nonce.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(nonces.spend(&changed, Some(1), NOW), Foreign, "{changed}");
            assert_eq!(nonces.spend(&nonce[..at], Some(1), NOW), Foreign);
        }
        for odd in ["", "=", "é", &"A".repeat(40), &"A".repeat(41), &"A".repeat(4000)] {
            assert_eq!(nonces.spend(odd, Some(1), NOW), Foreign, "{odd}");
        }
        assert_eq!(nonces.spend(&nonce, Some(1), NOW), Fresh);
    }

    /// More accepted requests within a minute than are remembered: even the forgotten nonces are rejected.
    #[test]
    fn memory_is_bounded_and_no_replay_slips_through() {
        let mut nonces = nonces();
        let early = nonces.issue(NOW);
        let issued: Vec<String> = (0..3 * MAX_USED).map(|_| nonces.issue(NOW)).collect();
        for nonce in &issued {
            assert_eq!(nonces.spend(nonce, Some(1), NOW), Fresh);
            assert!(nonces.used.len() <= MAX_USED);
        }
        for nonce in &issued {
            assert_ne!(nonces.spend(nonce, Some(1), NOW), Fresh);
            assert_ne!(nonces.spend(nonce, None, NOW), Fresh);
        }
        assert_eq!(
            nonces.spend(&early, Some(1), NOW),
            Expired,
            "the challenge says stale and gives the client a new one"
        );
        let fresh = nonces.issue(NOW);
        assert_eq!(nonces.spend(&fresh, Some(1), NOW), Fresh);
    }
}
