//! The interfaces of netifd in the package `network`, and what they tell of DNS servers and routes.

use std::net::{IpAddr, Ipv4Addr};

use super::{OFF, ON};
use crate::model::source::uci::Sections;
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
    rows
}

/// Adds the origin of routes, which netifd gives the kernel all in the same way: a route of the configuration is static, and a
/// default route without one is from the protocol of its interface.
pub(super) fn add_origins(routes: &mut [Row], network: &Sections) {
    for row in routes {
        let is_default = row.get("prefix") == Some("0");
        let is_static = is_configured(row, network);
        let interface = network.of_type("interface").find(|interface| is_of(interface, row, network));
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
pub(super) fn add_interfaces(addresses: &mut [Row], network: &Sections) {
    let is_static = |interface: &&Row| interface.get("proto") == Some("static") && interface.get("ipaddr").is_some();
    for interface in network.of_type("interface").filter(is_static) {
        let link = device(interface, network, MAX_ALIASES);
        let is_its = |row: &&mut Row| {
            row.get("family") == Some("4") && row.get("interface").is_none() && row.get("device") == link.as_deref()
        };
        if let Some(row) = addresses.iter_mut().find(is_its).filter(|_| link.is_some()) {
            row.key.clone_from(&interface.key);
            row.set("interface", interface.key.as_str());
        }
    }
}

/// Returns true if a route leads over the link of an interface.
fn is_of(interface: &Row, route: &Row, network: &Sections) -> bool {
    let Some(link) = route.get("device") else { return false };
    match interface.get("proto") {
        // The link of PPP is named after the protocol and the interface.
        Some(proto) if is_over_ppp(interface) => {
            link.strip_prefix(proto).and_then(|rest| rest.strip_prefix('-')) == Some(&interface.key)
        }
        _ => device(interface, network, MAX_ALIASES).as_deref() == Some(link),
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
mod tests {
    use super::super::{fields, package};
    use super::*;

    const NETWORK: &str = "c interface lan\no proto static\no device br-lan\nc interface wan\no proto dhcp\no device eth1\n\
        l dns 192.0.2.8\nc interface wan6\no proto dhcpv6\no device @wan\nc interface dsl\no proto pppoe\no device dsl0.7\n\
        c interface old\no proto static\no type bridge\no ifname 'eth0.1 eth0.2'\nc interface air\no proto dhcp\n\
        c interface a\no proto none\no device @b\nc interface b\no proto none\no device @a\n\
        c route\no interface lan\no target 10.1.0.0\no netmask 255.255.0.0\no gateway 192.168.1.7\n\
        c route\no interface wan\no target 10.2.0.1\nc route6\no interface lan\no target 2001:db8:2::/48\no gateway fe80::7\n";

    #[test]
    fn an_interface_has_a_layer_below() {
        assert_eq!(
            fields(&rows(&package(NETWORK)), [".", "layer"]),
            [
                ["lan", "br-lan"],
                ["wan", "eth1"],
                ["wan6", "eth1"],
                ["dsl", "ppp:dsl"],
                ["old", "br-old"],
                ["air", "-"],
                ["a", "-"],
                ["b", "-"]
            ]
        );
    }

    #[test]
    fn addresses_have_masks() {
        let section = |text: &str| package(&format!("c interface x\n{text}")).rows(None).remove(0);
        let found = |text: &str| subnets(&section(text)).collect::<Vec<_>>();
        assert_eq!(found("o ipaddr 10.0.0.1\no netmask 255.0.0.0\n"), [(Ipv4Addr::new(10, 0, 0, 1), 0xFF00_0000)]);
        assert_eq!(found("l ipaddr 10.0.0.1/32\nl ipaddr x/8\nl ipaddr 10.0.0.2/33\nl ipaddr 10.0.0.3\n").len(), 1);
        assert_eq!(found("o ipaddr 10.0.0.1/0\n")[0].1, 0);
    }

    #[test]
    fn a_server_is_from_the_protocol_or_from_the_configuration() {
        let network = package(NETWORK);
        for (interface, address, expected) in [
            ("lan", "192.0.2.1", Some("Static")),
            ("wan", "192.0.2.1", Some("DHCPv4")),
            ("wan", "192.0.2.8", Some("Static")),
            ("wan6", "2001:db8::1", Some("DHCPv6")),
            ("dsl", "192.0.2.1", Some("IPCP")),
            ("dsl_6", "2001:db8::1", Some("DHCPv6")),
            ("modem_4", "192.0.2.1", Some("DHCPv4")),
            ("other", "192.0.2.1", None),
        ] {
            assert_eq!(server_type(&Row::new(address), interface, &network), expected, "{interface} {address}");
        }
    }

    #[test]
    fn an_interface_may_stand_for_a_server() {
        let network = package(
            "c interface wan\no proto dhcp\nc interface a\no cpe_dns 1\no dns 9.9.9.9\nc interface b\no cpe_dns 1\no disabled 1\n\
             c interface c\no cpe_dns 1\n",
        );
        let row = |address: &str, interface: &str| {
            let mut row = Row::new(address);
            row.set("interface", interface);
            row
        };
        let mut servers = vec![row("192.0.2.1", "wan"), row("9.9.9.9", "a")];
        add_own_servers(&mut servers, &network);
        assert_eq!(
            fields(&servers, [".", "section", "type", "status"]),
            [
                ["192.0.2.1", "-", "-", "-"],
                ["a", "a", "Static", "-"],
                ["b", "b", "Static", "Disabled"],
                ["c", "c", "Static", "Error"]
            ]
        );
    }

    #[test]
    fn dnsmasq_may_have_servers_of_its_own() {
        let all = |text: &str| {
            let rows = forwarders(vec![Row::new("192.0.2.1")], &package(text));
            rows.into_iter().map(|row| row.key).collect::<Vec<_>>()
        };
        assert_eq!(all("c dnsmasq\n"), ["192.0.2.1"]);
        assert_eq!(
            all("c dnsmasq\no noresolv 0\nl server 1.1.1.1#53\nl server /lan/10.0.0.1\n"),
            ["192.0.2.1", "1.1.1.1"]
        );
        assert_eq!(all("c dnsmasq\no noresolv 1\nl server 2606:4700::1111@wan\n"), ["2606:4700::1111"]);
    }

    #[test]
    fn a_route_is_from_the_configuration_or_from_a_protocol() {
        let network = package(NETWORK);
        let route = |cidr: &str, gateway: &str, device: &str| {
            let mut row = Row::new(cidr);
            let is_of_4 = !cidr.contains(':');
            row.set("family", if is_of_4 { "4" } else { "6" });
            row.set("cidr", cidr);
            row.set("prefix", cidr.split_once('/').expect("a prefix").1);
            if !gateway.is_empty() {
                row.set("gateway", gateway);
            }
            row.set("device", device);
            row.set("origin", "Static");
            row.set("static", "1");
            row
        };
        let mut routes = [
            route("10.1.0.0/16", "192.168.1.7", "br-lan"),
            route("10.1.0.0/16", "192.168.1.8", "br-lan"),
            route("10.2.0.1/32", "", "eth1"),
            route("2001:db8:2::/48", "fe80::7", "br-lan"),
            route("0.0.0.0/0", "198.51.100.1", "eth1"),
            route("::/0", "fe80::1", "eth1"),
            route("0.0.0.0/0", "", "pppoe-dsl"),
            route("0.0.0.0/0", "192.168.1.254", "br-lan"),
            route("198.51.100.0/24", "", "eth1"),
        ];
        add_origins(&mut routes, &network);
        assert_eq!(
            fields(&routes, ["static", "origin"]),
            [
                ["1", "Static"],
                ["0", "Static"],
                ["1", "Static"],
                ["1", "Static"],
                ["0", "DHCPv4"],
                ["0", "RA"],
                ["0", "IPCP"],
                ["1", "Static"],
                ["0", "Static"]
            ]
        );
    }

    /// A section is the route of its own family that has the same target.
    #[test]
    fn a_route_of_ipv6_is_a_section() {
        let network = package(
            "c route6 a\no target 2001:db8:2::/48\no gateway fe80::7\nc route6 b\no target 2001:db8:3::/48\no disabled 1\n\
             c route c\no target 10.0.0.0/8\n",
        );
        let mut row = Row::new("known");
        for (field, text) in [("family", "6"), ("cidr", "2001:db8:2::/48"), ("gateway", "fe80::7")] {
            row.set(field, text);
        }
        let mut routes = vec![row];
        add_sections("route6", &mut routes, &network);
        assert_eq!(
            fields(&routes, [".", "section", "family", "status"]),
            [["a", "a", "6", "-"], ["b", "b", "6", "Disabled"]]
        );
    }

    #[test]
    fn a_clock_without_service_is_disabled() {
        let status = |synchronized: Option<&str>, system: &str| {
            let mut row = Row::default();
            synchronized.iter().for_each(|text| row.set("synchronized", *text));
            let mut rows = [row];
            add_clock_status(&mut rows, Some(&package(system)));
            rows[0].get("status").map(str::to_owned)
        };
        assert_eq!(status(Some("1"), "c timeserver ntp\n").as_deref(), Some("Synchronized"));
        assert_eq!(status(Some("0"), "").as_deref(), Some("Unsynchronized"));
        assert_eq!(status(Some("1"), "c timeserver ntp\no enabled 0\n").as_deref(), Some("Disabled"));
        assert_eq!(status(None, "c timeserver ntp\n"), None);
    }
}
