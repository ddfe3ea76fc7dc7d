//! The check that the ACS can reach the address of ConnectionRequestURL, as far as the addresses themselves show it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::finding::Finding;

const SUBJECT: &str = "reachability";

/// Compares the address of this device with those of the ACS; `has_stun` is true if STUNEnable is.
pub(super) fn assess(ours: Option<IpAddr>, acs: &[SocketAddr], has_stun: bool) -> Finding {
    let Some(ours) = ours.map(|ip| ip.to_canonical()) else {
        return Finding::skipped(SUBJECT, "the address of ConnectionRequestURL is unknown");
    };
    let Some(public) = acs.iter().map(|address| address.ip().to_canonical()).find(|ip| is_public(*ip)) else {
        return Finding::skipped(SUBJECT, format!("no public address of the ACS to compare {ours} with"));
    };
    match (is_private(ours), has_stun) {
        (false, _) => Finding::ok(SUBJECT, format!("{ours} is no private address")),
        (true, true) => {
            let text = format!("{ours} is private, and the ACS {public} is not; with STUN its UDP requests pass a NAT");
            Finding::ok(SUBJECT, text)
        }
        (true, false) => {
            let text = format!(
                "{ours} is private, and the ACS {public} is not: no connection request arrives without STUNEnable, or a \
                 port forwarding in the NAT"
            );
            Finding::warning(SUBJECT, text)
        }
    }
}

/// Returns true for the addresses of RFC 1918, RFC 6598 and RFC 4193, and for those of one link.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || is_shared(ip),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Returns true for 100.64.0.0/10, which providers use behind their own NAT (RFC 6598).
fn is_shared(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && (64..128).contains(&second)
}

/// Returns true if an address may belong to a host in the Internet.
fn is_public(ip: IpAddr) -> bool {
    !is_private(ip) && !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict;

    #[test]
    fn a_private_address_is_told_from_a_public_one() {
        let verdict = |ours: &str, acs: &[&str], has_stun| {
            let acs: Vec<SocketAddr> = acs.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 443)).collect();
            assess(ours.parse().ok(), &acs, has_stun).verdict
        };
        let public = ["203.0.113.7"];
        for ours in ["10.0.0.2", "172.31.255.1", "192.168.1.1", "100.64.0.1", "100.127.0.1", "fd00::1", "fe80::1"] {
            assert_eq!(verdict(ours, &public, false), Verdict::Warning, "{ours}");
            assert_eq!(verdict(ours, &public, true), Verdict::Ok, "{ours}");
            assert_eq!(verdict(ours, &["10.9.9.9", "127.0.0.1", "fd00::9"], false), Verdict::Skipped, "{ours}");
        }
        for ours in ["100.63.0.1", "100.128.0.1", "172.32.0.1", "198.51.100.1", "2001:db8::1"] {
            assert_eq!(verdict(ours, &public, false), Verdict::Ok, "{ours}");
        }
        assert_eq!(verdict("::ffff:10.0.0.2", &["10.0.0.1", "::ffff:203.0.113.7"], false), Verdict::Warning);
        assert_eq!(verdict("", &public, false), Verdict::Skipped);
    }
}
