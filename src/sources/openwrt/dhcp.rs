//! The pools of dnsmasq, and the addresses that it keeps for hosts.

use std::net::Ipv4Addr;

use super::network;
use crate::model::source::provider::sections as sections_of;
use crate::model::source::uci::{Identity, Sections};
use crate::model::source::{Answer, Row};
use crate::sources::uci::Configuration;

/// The options of DHCP with routers, DNS servers and domain: the number, and the name of dnsmasq.
const ROUTERS: [&str; 2] = ["3", "option:router"];
const SERVERS: [&str; 2] = ["6", "option:dns-server"];
const DOMAIN: [&str; 2] = ["15", "option:domain-name"];

/// The option with the section of the pool to which the agent has added a host. dnsmasq does not know it.
const POOL: &str = "cpe_pool";

/// Returns the sections of the package `dhcp`.
pub(super) fn sections(packages: &mut Configuration) -> Result<Vec<Row>, String> {
    rows(packages, None)
}

/// Returns the sections of the hosts. An anonymous one has MAC address and IP address as key.
pub(super) fn hosts(packages: &mut Configuration) -> Result<Vec<Row>, String> {
    rows(packages, sections_of("static_lease").map(|(_, identity)| identity).as_ref())
}

fn rows(packages: &mut Configuration, identity: Option<&Identity>) -> Result<Vec<Row>, String> {
    match packages.rows("dhcp", identity)? {
        Answer::Rows(rows) => Ok(rows),
        _ => Ok(Vec::new()),
    }
}

/// Returns the pools on interfaces with an address in the configuration. The key is the interface.
pub(super) fn pools(dhcp: &[Row], network: &Sections) -> Vec<Row> {
    let of_type = |wanted: &'static str| dhcp.iter().filter(move |section| section.get(".type") == Some(wanted));
    let domain = of_type("dnsmasq").find_map(|dnsmasq| dnsmasq.get("domain"));
    of_type("dhcp").filter_map(|section| pool(section, domain, network)).collect()
}

fn pool(section: &Row, domain: Option<&str>, network: &Sections) -> Option<Row> {
    let name = section.get("interface")?;
    let (own, _) = network::subnets(network::interface(network, name)?).next()?;
    let mut row = Row::new(name);
    let own = own.to_string();
    row.set("routers", option(section, ROUTERS).unwrap_or_else(|| own.clone()));
    row.set("servers", option(section, SERVERS).unwrap_or(own));
    if let Some(domain) = option(section, DOMAIN).or(domain.map(str::to_owned)) {
        row.set("domain", domain);
    }
    Some(row)
}

/// Returns the values of an option that the pool sends, with commas between them.
fn option(section: &Row, names: [&str; 2]) -> Option<String> {
    let sent = section.get("dhcp_option")?.split_whitespace();
    sent.filter_map(|option| option.split_once(','))
        .find(|(name, _)| names.contains(name))
        .map(|(_, values)| values.to_owned())
}

/// Returns the addresses that are kept for hosts; none for a host that has a name alone. A host that the agent has added has the
/// pool that it was added to, and has an address later.
pub(super) fn static_leases(hosts: &[Row], pools: &[Row], network: &Sections) -> Vec<Row> {
    hosts.iter().filter_map(|host| static_lease(host, pools, network)).collect()
}

fn static_lease(host: &Row, pools: &[Row], network: &Sections) -> Option<Row> {
    let address = host.get("ip").and_then(|ip| ip.parse::<Ipv4Addr>().ok());
    let mac = host.get("mac").and_then(|macs| macs.split_whitespace().next());
    let pool = host.get(POOL);
    if pool.is_none() && (mac.is_none() || address.is_none()) {
        return None;
    }
    let mut row = Row::new(&host.key);
    mac.iter().for_each(|mac| row.set("mac", mac.to_ascii_uppercase()));
    address.iter().for_each(|address| row.set("address", address.to_string()));
    row.set("name", host.get("name").unwrap_or_default());
    row.set("section", host.get(".name").unwrap_or_default());
    let has = |(own, mask): (Ipv4Addr, u32)| {
        address.is_some_and(|address| u32::from(own) & mask == u32::from(address) & mask)
    };
    let is_pool = |section: &&Row| section.get(".type") == Some("dhcp") && pool == Some(section.key.as_str());
    let given = pools.iter().find(is_pool).and_then(|pool| pool.get("interface"));
    let holding = || network.of_type("interface").find(|interface| network::subnets(interface).any(has));
    row.set("network", given.or_else(|| holding().map(|interface| interface.key.as_str())).unwrap_or_default());
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::super::{fields, package};
    use super::*;

    const NETWORK: &str = "c interface lan\no proto static\no ipaddr 192.168.1.1\no netmask 255.255.255.0\n\
        c interface guest\no proto static\nl ipaddr 10.0.0.1/24\nl ipaddr 10.0.4.1/30\nc interface wan\no proto dhcp\n";

    #[test]
    fn a_pool_has_what_it_sends() {
        let dhcp = package(
            "c dnsmasq\no domain lan\nc dhcp lan\no interface lan\nl dhcp_option 6,192.0.2.1,192.0.2.2\n\
             l dhcp_option 'option:router,192.168.1.254'\nc dhcp guest\no interface guest\nl dhcp_option 15,guest.lan\n\
             c dhcp wan\no interface wan\no ignore 1\n",
        );
        assert_eq!(
            fields(&pools(&dhcp.rows(None), &package(NETWORK)), [".", "routers", "servers", "domain"]),
            [["lan", "192.168.1.254", "192.0.2.1,192.0.2.2", "lan"], ["guest", "10.0.0.1", "10.0.0.1", "guest.lan"],]
        );
    }

    #[test]
    fn a_kept_address_is_in_a_network() {
        let hosts = package(
            "c host nas\no ip 192.168.1.9\no mac 'aa:bb:cc:00:00:01 aa:bb:cc:00:00:02'\nc host\no ip 10.0.4.2\n\
             l mac aa:bb:cc:00:00:03\nc host\no name printer\no mac aa:bb:cc:00:00:04\nc host\no ip ignore\n\
             o mac aa:bb:cc:00:00:05\nc host\no ip 172.16.0.1\no mac aa:bb:cc:00:00:06\nc host new\no cpe_pool second\n\
             c host gone\no cpe_pool third\no ip 10.0.0.7\n",
        );
        let dhcp = package("c dhcp second\no interface guest\n");
        assert_eq!(
            fields(
                &static_leases(&hosts.rows(None), &dhcp.rows(None), &package(NETWORK)),
                ["mac", "address", "network"]
            ),
            [
                ["AA:BB:CC:00:00:01", "192.168.1.9", "lan"],
                ["AA:BB:CC:00:00:03", "10.0.4.2", "guest"],
                ["AA:BB:CC:00:00:06", "172.16.0.1", ""],
                ["-", "-", "guest"],
                ["-", "10.0.0.7", "guest"],
            ]
        );
    }
}
