//! The provider `address`: the IP addresses of the links.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::link::Link;
use super::netlink::{AttributeList, Dumps, Message, messages, u32_at};
use crate::model::source::Row;

/// RTM_GETADDR and RTM_NEWADDR, and the length of `struct ifaddrmsg`.
const GET: u16 = 22;
const NEW: u16 = 20;
const FIXED: usize = 8;

/// AF_INET and AF_INET6.
pub(super) const INET: u8 = 2;
pub(super) const INET6: u8 = 10;

/// IFA_F_PERMANENT, and the flags of an address that is not (yet, or any more) of use, with the words of TR-181.
const PERMANENT: u32 = 0x80;
const STATES: [(u32, &str); 4] = [(0x08, "Duplicate"), (0x40, "Tentative"), (0x04, "Optimistic"), (0x20, "Deprecated")];

/// The dateTime of TR-181 for a lifetime without end, 9999-12-31T23:59:59Z, in seconds since the Unix epoch.
pub(super) const NO_END: i64 = 253_402_300_799;

/// Returns the rows of all addresses. The key is the address with the length of its prefix.
pub(super) fn rows(links: &[Link], dumps: &mut Dumps, wall: i64) -> Result<Vec<Row>, String> {
    let answer = dumps.get(GET, 0, FIXED)?;
    Ok(messages(answer, NEW, FIXED).filter_map(|message| row(message.fixed, message.attributes, links, wall)).collect())
}

fn row(fixed: &[u8], attributes: AttributeList<'_>, links: &[Link], wall: i64) -> Option<Row> {
    let (family, prefix, scope) = (*fixed.first()?, *fixed.get(1)?, *fixed.get(3)?);
    let flags = attributes.u32(8).unwrap_or_else(|| u32::from(fixed[2]));
    let remote = attributes.get(1).and_then(|bytes| ip_address(family, bytes));
    // On a point-to-point link, the first address is that of the other end.
    let local = attributes.get(2).and_then(|bytes| ip_address(family, bytes)).or(remote)?;
    let mut row = Row::new(format!("{local}/{prefix}"));
    let index = u32_at(fixed, 4)?;
    row.set("device", super::name_of(links, index));
    let is_upstream = links.iter().any(|link| link.index == index && link.upstream);
    row.set("upstream", if is_upstream { "1" } else { "0" });
    row.set("family", if family == INET { "4" } else { "6" });
    row.set("address", local.to_string());
    row.set_number("prefix", prefix.into());
    if let Some(peer) = remote.filter(|remote| *remote != local) {
        row.set("peer", peer.to_string());
    }
    row.set("scope", scope_name(scope));
    let state = STATES.iter().find(|(flag, _)| flags & flag != 0);
    row.set("status", state.map_or("Preferred", |(_, state)| state));
    let lifetimes = attributes.get(6);
    let until = |at: usize| match lifetimes.and_then(|lifetimes| u32_at(lifetimes, at)) {
        None | Some(u32::MAX) => NO_END,
        Some(seconds) => wall.saturating_add(seconds.into()),
    };
    row.set("preferred", until(0).to_string());
    row.set("valid", until(4).to_string());
    row.set("origin", origin(local, prefix, flags & PERMANENT != 0));
    Some(row)
}

/// The networks of IPv4 in which the device is: address, length of the prefix, and index of the link.
pub(super) type Networks = Vec<(u32, u8, u32)>;

/// Returns the networks of IPv4 in which the device is.
pub(super) fn networks(dumps: &mut Dumps) -> Result<Networks, String> {
    let network = |message: Message<'_>| {
        let (family, prefix) = (*message.fixed.first()?, *message.fixed.get(1)?);
        let local = message.attributes.get(2).or(message.attributes.get(1))?;
        let IpAddr::V4(address) = ip_address(family, local)? else { return None };
        Some((address.into(), prefix, u32_at(message.fixed, 4)?))
    };
    Ok(messages(dumps.get(GET, 0, FIXED)?, NEW, FIXED).filter_map(network).collect())
}

/// Returns the index of the link in whose network an address is.
pub(super) fn link_of(networks: &Networks, wanted: IpAddr) -> Option<u32> {
    let IpAddr::V4(wanted) = wanted else { return None };
    let has = |(own, prefix, _): &&(u32, u8, u32)| {
        // A shift by 32 bits is not defined for a number of 32 bits.
        let mask = u32::MAX.checked_shl(u32::from(*prefix).abs_diff(32)).unwrap_or(0);
        *prefix < 32 && own & mask == u32::from(wanted) & mask
    };
    networks.iter().find(has).map(|(.., link)| *link)
}

/// Reads an address.
pub(super) fn ip_address(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        INET => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        INET6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

fn scope_name(scope: u8) -> &'static str {
    match scope {
        0 => "global",
        200 => "site",
        253 => "link",
        254 => "host",
        _ => "other",
    }
}

/// Returns the way by which the device has got the address, in the words of TR-181. The kernel knows only if the address has an end:
/// that of IPv4 with one is from a DHCP server. An address of IPv6 from such a server comes without a network (RFC 5942).
fn origin(address: IpAddr, prefix: u8, is_permanent: bool) -> &'static str {
    match address {
        IpAddr::V4(address) if address.is_link_local() => "AutoIP",
        IpAddr::V4(_) if is_permanent => "Static",
        IpAddr::V4(_) => "DHCP",
        IpAddr::V6(address) if !address.is_unicast_link_local() && !is_permanent && prefix == 128 => "DHCPv6",
        IpAddr::V6(address) if address.is_unicast_link_local() || !is_permanent => "AutoConfigured",
        IpAddr::V6(address) if address.is_loopback() => "WellKnown",
        IpAddr::V6(_) => "Static",
    }
}
