//! The interfaces of netifd in the package `network`, and what they tell of DNS servers and routes.

use std::net::{IpAddr, Ipv4Addr};

use super::device::is_link;
use super::items::{FORWARDER, is_on};
use super::{OFF, ON, set_option};
use crate::model::source::uci::Sections;
use crate::model::source::uci::edit::Change;
use crate::model::source::{Row, provider};

/// The protocols that run over PPP.
const OVER_PPP: [&str; 6] = ["3g", "l2tp", "ppp", "pppoa", "pppoe", "pptp"];

/// The most interfaces that name each other as their device.
const MAX_ALIASES: usize = 3;

/// Returns the section of an interface.
pub(super) fn interface<'p>(network: &'p Sections, name: &str) -> Option<&'p Row> {
    network.of_type("interface").find(|interface| interface.key == name)
}

/// Returns the rows of all interfaces. The key is the name. The layer below is `ppp:NAME`, or the name of a link; without one
/// in the configuration, such as for the network of a radio, the field is absent.
pub(super) fn rows(network: &Sections) -> Vec<Row> {
    let row = |interface: &Row| {
        let mut row = Row::new(&interface.key);
        row.set("name", &interface.key);
        if is_over_ppp(interface) {
            row.set("layer", format!("ppp:{}", interface.key));
        } else if let Some(device) = device(interface, network, MAX_ALIASES) {
            row.set("layer", device);
        }
        row
    };
    network.of_type("interface").map(row).collect()
}

/// Returns the changes by which an interface sends over another link, also those of its part for IPv6, which is an interface of its own.
pub(super) fn set_link(name: &str, link: Option<&str>, network: &[Row]) -> Result<Vec<Change>, String> {
    let interfaces = || network.iter().filter(|row| row.get(".type") == Some("interface"));
    let own = interfaces().find(|row| row.key == name).ok_or_else(|| format!("there is no interface `{name}`"))?;
    if is_over_ppp(own) || own.get("type") == Some("bridge") {
        return Err(format!("the link of `{name}` follows from its protocol or type"));
    }
    let link = link.filter(|link| is_link(link)).ok_or("one link is needed that netifd has a name for")?;
    // Releases before 21.02 have another name for the option.
    let held =
        |row: &Row| ["device", "ifname"].into_iter().find_map(|option| Some((option, row.get(option)?.to_owned())));
    let before = held(own);
    let of_6 = |row: &Row| row.get("proto") == Some("dhcpv6");
    let shares = |row: &&Row| before.is_some() && held(row) == before && row.key != name;
    // Of several interfaces on a link, that for IPv6 has the name of its other part.
    let is_alone = !interfaces().filter(shares).any(|row| !of_6(row));
    let is_part = |row: &&Row| of_6(row) && shares(row) && (is_alone || row.key == format!("{name}6"));
    let option = before.as_ref().map_or("device", |(option, _)| option);
    let changed = [own].into_iter().chain(interfaces().filter(is_part));
    Ok(changed.map(|row| set_option(row, option, Some(link))).collect())
}

/// Returns the row with the links of all interfaces: a word `interface=link` for each.
pub(super) fn devices(network: &Sections) -> Row {
    let pair = |interface: &Row| Some(format!("{}={}", interface.key, link(interface, network)?));
    let mut row = Row::new("");
    row.set("networks", network.of_type("interface").filter_map(pair).collect::<Vec<_>>().join(" "));
    row
}

/// Returns the link over which an interface sends: that of PPP is named after the protocol and the interface.
fn link(interface: &Row, network: &Sections) -> Option<String> {
    match interface.get("proto") {
        Some(proto) if is_over_ppp(interface) => Some(format!("{proto}-{}", interface.key)),
        _ => device(interface, network, MAX_ALIASES),
    }
}

fn is_over_ppp(interface: &Row) -> bool {
    interface.get("proto").is_some_and(|proto| OVER_PPP.contains(&proto))
}

/// Returns the link of an interface, also in the words of releases before 21.02.
fn device(interface: &Row, network: &Sections, aliases: usize) -> Option<String> {
    if interface.get("type") == Some("bridge") {
        return Some(format!("br-{}", interface.key));
    }
    let device = interface.get("device").or(interface.get("ifname"))?.split_whitespace().next()?;
    match device.strip_prefix('@') {
        None => Some(device.to_owned()),
        Some(other) => self::device(self::interface(network, other)?, network, aliases.checked_sub(1)?),
    }
}

/// Returns the addresses of IPv4 in the configuration of an interface, with their masks.
pub(super) fn subnets(interface: &Row) -> impl Iterator<Item = (Ipv4Addr, u32)> {
    let netmask = interface.get("netmask").and_then(|mask| mask.parse::<Ipv4Addr>().ok());
    interface.get("ipaddr").unwrap_or_default().split_whitespace().filter_map(move |text| subnet(text, netmask))
}

/// Reads `192.168.1.1/24`, or an address whose mask is in another option.
fn subnet(text: &str, netmask: Option<Ipv4Addr>) -> Option<(Ipv4Addr, u32)> {
    let Some((own, length)) = text.split_once('/') else { return Some((text.parse().ok()?, netmask?.into())) };
    let length: u32 = length.parse().ok().filter(|length| *length <= 32)?;
    // A shift by 32 bits is not defined for a number of 32 bits.
    Some((own.parse().ok()?, u32::MAX.checked_shl(32 - length).unwrap_or(0)))
}

/// Adds the way by which each DNS server came, in the words of TR-181.
pub(super) fn add_server_types(servers: &mut [Row], network: &Sections) {
    for row in servers {
        if let Some(kind) = row.get("interface").and_then(|name| server_type(row, name, network)) {
            row.set("type", kind);
        }
    }
}

fn server_type(server: &Row, name: &str, network: &Sections) -> Option<&'static str> {
    let address: IpAddr = server.key.parse().ok()?;
    // netifd makes the interfaces `wan_4` and `wan_6` for the two families of a modem or of PPP.
    let Some(section) = interface(network, name) else {
        return match name.rsplit_once('_') {
            Some((_, "4")) => Some("DHCPv4"),
            Some((_, "6")) => Some("DHCPv6"),
            _ => None,
        };
    };
    if section.get("dns").is_some_and(|own| own.split_whitespace().any(|own| own.parse() == Ok(address))) {
        return Some("Static");
    }
    match section.get("proto")? {
        "dhcp" => Some("DHCPv4"),
        "dhcpv6" => Some("DHCPv6"),
        "static" => Some("Static"),
        _ if is_over_ppp(section) => Some("IPCP"),
        _ => None,
    }
}

/// The option of the interfaces of netifd that the agent creates for one DNS server each. netifd does not know it.
const OWN_SERVER: &str = "cpe_dns";

/// Makes the interfaces that stand for one DNS server rows: a server that netifd has from one has its key, and one that it does not
/// have comes behind the others.
pub(super) fn add_own_servers(servers: &mut Vec<Row>, network: &Sections) {
    for section in network.of_type("interface").filter(|section| section.get(OWN_SERVER).is_some()) {
        if let Some(row) = servers.iter_mut().find(|row| row.get("interface") == Some(&section.key)) {
            row.key.clone_from(&section.key);
            row.set("section", &section.key);
            row.replace("type", "Static");
            continue;
        }
        let mut row = Row::new(&section.key);
        row.set("section", &section.key);
        row.set("type", "Static");
        row.set("status", if section.get("disabled") == Some(ON) { "Disabled" } else { "Error" });
        servers.push(row);
    }
}

/// Returns the servers that dnsmasq asks: those of the device, unless the configuration excludes them, and its own.
pub(super) fn forwarders(servers: Vec<Row>, dhcp: &Sections) -> Vec<Row> {
    let Some(dnsmasq) = dhcp.of_type("dnsmasq").next() else { return servers };
    let mut rows = if matches!(dnsmasq.get("noresolv"), None | Some(OFF)) { servers } else { Vec::new() };
    for address in dnsmasq.get("server").unwrap_or_default().split_whitespace() {
        // An entry with a domain serves that alone; a port or an interface follows the address.
        let address = address.split(['#', '@']).next().unwrap_or_default();
        if let Ok(address) = address.parse::<IpAddr>() {
            let mut row = Row::new(address.to_string());
            row.set("address", address.to_string());
            row.set("family", if address.is_ipv4() { "4" } else { "6" });
            row.set("type", "Static");
            rows.push(row);
        }
    }
    add_forwarders(&mut rows, dhcp);
    rows
}

/// Makes the sections of the agent rows: a server that is one has its key, and one that dnsmasq does not have comes behind the others.
fn add_forwarders(rows: &mut Vec<Row>, dhcp: &Sections) {
    for section in dhcp.of_type(FORWARDER) {
        let address = section.get("address").and_then(|address| address.parse::<IpAddr>().ok());
        let is_it =
            |row: &Row| row.get("section").is_none() && address.is_some() && row.key.parse::<IpAddr>().ok() == address;
        let at = rows.iter().position(is_it).filter(|_| is_on(section)).unwrap_or_else(|| {
            let mut row = Row::new("");
            row.set("status", if is_on(section) { "Error" } else { "Disabled" });
            rows.push(row);
            rows.len() - 1
        });
        rows[at].key.clone_from(&section.key);
        rows[at].set("section", &section.key);
    }
}

/// Adds the origin of routes, which netifd gives the kernel all in the same way: a route of the configuration is static, and a
/// default route without one is from the protocol of its interface.
pub(super) fn add_origins(routes: &mut [Row], network: &Sections) {
    let links: Vec<(&Row, Option<String>)> =
        network.of_type("interface").map(|interface| (interface, link(interface, network))).collect();
    for row in routes {
        let is_default = row.get("prefix") == Some("0");
        let is_static = is_configured(row, network);
        let device = row.get("device");
        let found = links.iter().find(|(_, link)| device.is_some() && link.as_deref() == device);
        let interface = found.map(|(interface, _)| *interface);
        let origin = match interface.and_then(|interface| Some((interface.get("proto")?, interface))) {
            _ if is_static || !is_default => None,
            Some(("dhcp" | "dhcpv6", _)) => Some(if row.get("family") == Some("4") { "DHCPv4" } else { "RA" }),
            Some((_, interface)) if is_over_ppp(interface) => {
                Some(if row.get("family") == Some("4") { "IPCP" } else { "RA" })
            }
            _ => None,
        };
        // A default route of a static interface is an option of it.
        let is_option = is_default && interface.is_some_and(|interface| interface.get("proto") == Some("static"));
        row.replace("static", if is_static || is_option { "1" } else { "0" });
        if let Some(origin) = origin {
            row.replace("origin", origin);
        }
    }
}

/// Makes the sections of the configuration rows: a route of the kernel that is one has its key, and one that the kernel does not
/// have comes behind those that it has.
pub(super) fn add_sections(of: &str, routes: &mut Vec<Row>, network: &Sections) {
    let Some((_, identity)) = provider::sections(of) else { return };
    let family = if of == "route6" { "6" } else { "4" };
    for section in network.rows(Some(&identity)) {
        let is_known = |route: &&mut Row| {
            route.get("family") == Some(family) && route.get("section").is_none() && is_section(&section, route)
        };
        let is_on = section.get("disabled") != Some(ON);
        let status = match routes.iter_mut().find(is_known) {
            Some(route) => {
                route.key.clone_from(&section.key);
                route.set("section", section.get(".name").unwrap_or_default());
                continue;
            }
            None if is_on => "Error",
            None => "Disabled",
        };
        let mut row = Row::new(&section.key);
        for (field, text) in [("family", family), ("origin", "Static"), ("static", ON), ("status", status)] {
            row.set(field, text);
        }
        row.set("section", section.get(".name").unwrap_or_default());
        routes.push(row);
    }
}

/// Gives the first address of IPv4 on the link of a static interface the name of that interface, which stays when the address changes.
/// A static interface without an address has a row of its own, whose `device` is its name behind an `@`, so that its address can be
/// set.
pub(super) fn add_interfaces(addresses: &mut Vec<Row>, network: &Sections) {
    for interface in network.of_type("interface").filter(|interface| interface.get("proto") == Some("static")) {
        let link = device(interface, network, MAX_ALIASES).filter(|_| interface.get("ipaddr").is_some());
        let is_its = |row: &&mut Row| {
            row.get("family") == Some("4") && row.get("interface").is_none() && row.get("device") == link.as_deref()
        };
        if let Some(row) = addresses.iter_mut().find(is_its).filter(|_| link.is_some()) {
            row.key.clone_from(&interface.key);
            row.set("interface", interface.key.as_str());
            continue;
        }
        let mut row = Row::new(&interface.key);
        for (field, text) in [("interface", interface.key.as_str()), ("family", "4")] {
            row.set(field, text);
        }
        row.set("device", format!("@{}", interface.key));
        addresses.push(row);
    }
}

/// Returns true if a section of the configuration is this route.
fn is_configured(route: &Row, network: &Sections) -> bool {
    let kind = if route.get("family") == Some("4") { "route" } else { "route6" };
    network.of_type(kind).any(|section| is_section(section, route))
}

/// Returns true if a section is this route, of the same family.
fn is_section(section: &Row, route: &Row) -> bool {
    let whole = if route.get("family") == Some("4") { "32" } else { "128" };
    let target = section.get("target").unwrap_or_default();
    let (target, length) = target.split_once('/').unwrap_or((target, ""));
    let mask = section.get("netmask").and_then(|mask| mask.parse::<Ipv4Addr>().ok());
    let length = match mask {
        Some(mask) if length.is_empty() => u32::from(mask).leading_ones().to_string(),
        _ if length.is_empty() => whole.to_owned(),
        _ => length.to_owned(),
    };
    let found = route.get("cidr").and_then(|cidr| cidr.split_once('/'));
    let same_target = found.is_some_and(|(address, prefix)| {
        prefix == length && address.parse::<IpAddr>().ok() == target.parse::<IpAddr>().ok()
    });
    let same_gateway = match (section.get("gateway"), route.get("gateway")) {
        (Some(wanted), Some(gateway)) => wanted.parse::<IpAddr>().ok() == gateway.parse().ok(),
        (wanted, gateway) => wanted.is_none() == gateway.is_none(),
    };
    same_target && same_gateway
}

/// Adds the state of the time service: the clock of a device that asks no server is synchronized by nothing.
pub(super) fn add_clock_status(rows: &mut [Row], system: Option<&Sections>) {
    for row in rows {
        let service = system.and_then(|system| system.of_type("timeserver").next());
        let status = match row.get("synchronized") {
            _ if service.is_some_and(|service| service.get("enabled") == Some(OFF)) => "Disabled",
            Some("1") => "Synchronized",
            Some(_) => "Unsynchronized",
            None => continue,
        };
        row.set("status", status);
    }
}

#[cfg(test)]
mod tests;
