//! The provider `route`: the routes of the main table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::{INET, INET6, ip_address};
use super::link::Link;
use super::netlink::{AttributeList, Dumps, messages, u32_at};
use crate::model::source::Row;

/// RTM_GETROUTE and RTM_NEWROUTE, and the length of `struct rtmsg`.
const GET: u16 = 26;
const NEW: u16 = 24;
const FIXED: usize = 12;

/// RT_TABLE_MAIN, RTN_UNICAST and RTM_F_CLONED.
const MAIN: u32 = 254;
const UNICAST: u8 = 1;
const CLONED: u32 = 0x200;

/// The units of time in a second. Linux shows 100 to programs on every processor that the agent is built for.
const TICKS: u32 = 100;

/// The protocols that have made a route, by the numbers of the kernel.
const BOOT: u8 = 3;
const STATIC: u8 = 4;
const ADVERTISEMENT: u8 = 9;
const DHCP: u8 = 16;

/// Returns the rows of one family, or of both. The key has all by which the kernel tells routes apart.
pub(super) fn rows(links: &[Link], dumps: &mut Dumps, family: Option<u8>) -> Result<Vec<Row>, String> {
    let answer = dumps.get(GET, 0, FIXED)?;
    let wanted = messages(answer, NEW, FIXED).filter(|message| family.is_none_or(|family| message.fixed[0] == family));
    Ok(wanted.filter_map(|message| row(message.fixed, message.attributes, links)).collect())
}

/// Returns the default routes, the preferred one first: those of IPv4 before those of IPv6, and by their metric.
pub(super) fn default_routes(links: &[Link], dumps: &mut Dumps) -> Result<Vec<Row>, String> {
    let answer = dumps.get(GET, 0, FIXED)?;
    // The other routes, of which there may be many, need no row.
    let defaults = messages(answer, NEW, FIXED).filter(|message| message.fixed[1] == 0);
    let mut rows: Vec<Row> = defaults.filter_map(|message| row(message.fixed, message.attributes, links)).collect();
    let number = |row: &Row, field: &str| row.get(field).and_then(|text| text.parse::<u32>().ok()).unwrap_or(u32::MAX);
    rows.sort_by_key(|row| (number(row, "family"), number(row, "metric")));
    Ok(rows)
}

/// Returns the names of the links over which a default route leads, the preferred one first.
pub(super) fn upstream_links(links: &[Link], dumps: &mut Dumps) -> Result<Vec<String>, String> {
    let device = |row: &Row| row.get("device").map(str::to_owned).filter(|name| !name.is_empty());
    Ok(default_routes(links, dumps)?.iter().filter_map(device).collect())
}

fn row(fixed: &[u8], attributes: AttributeList<'_>, links: &[Link]) -> Option<Row> {
    let (family, prefix) = (*fixed.first()?, *fixed.get(1)?);
    let (table, protocol, kind) = (*fixed.get(4)?, *fixed.get(5)?, *fixed.get(7)?);
    let table = attributes.u32(15).unwrap_or(table.into());
    if table != MAIN || kind != UNICAST || u32_at(fixed, 8)? & CLONED != 0 {
        return None;
    }
    let none: IpAddr = match family {
        INET => Ipv4Addr::UNSPECIFIED.into(),
        INET6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let address = |kind: u16| attributes.get(kind).and_then(|bytes| ip_address(family, bytes));
    let (destination, gateway) = (address(1).unwrap_or(none), address(5));
    let device = attributes.u32(4).map(|index| super::name_of(links, index)).unwrap_or_default();
    let metric = attributes.u32(6).unwrap_or_default();
    let via = gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
    let mut row = Row::new(format!("{destination}/{prefix}{via} dev {device} metric {metric}"));
    row.set("family", if family == INET { "4" } else { "6" });
    // TR-181 writes the default route of IPv4 with empty texts.
    if prefix != 0 || family == INET6 {
        row.set("destination", destination.to_string());
        row.set("mask", netmask(prefix));
    }
    row.set_number("prefix", prefix.into());
    row.set("cidr", format!("{destination}/{prefix}"));
    if let Some(gateway) = gateway {
        row.set("gateway", gateway.to_string());
    }
    row.set("device", device);
    row.set_number("metric", metric.into());
    // `struct rta_cacheinfo` has 0 for a route without an end.
    let expires = attributes.get(12).and_then(|info| u32_at(info, 8)).filter(|expires| *expires > 0);
    if let Some(expires) = expires {
        row.set_number("expires", (expires / TICKS).into());
    }
    let origin = match (protocol, family) {
        (DHCP, INET) => "DHCPv4",
        (DHCP, _) => "DHCPv6",
        (ADVERTISEMENT, INET6) => "RA",
        _ => "Static",
    };
    row.set("origin", origin);
    row.set("static", if matches!(protocol, BOOT | STATIC) { "1" } else { "0" });
    Some(row)
}

/// Returns the mask of IPv4 for the length of a prefix.
fn netmask(prefix: u8) -> String {
    // A shift by 32 bits is not defined for a number of 32 bits.
    let mask = u32::MAX.checked_shl(u32::from(prefix).abs_diff(32)).unwrap_or(0);
    Ipv4Addr::from(mask).to_string()
}
