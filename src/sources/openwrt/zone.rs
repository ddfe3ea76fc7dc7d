//! The zones of the firewall, and their networks.

use super::{OFF, ON, network};
use crate::model::source::Row;
use crate::model::source::uci::Sections;

/// The options by which a zone has other members than networks.
const OTHER_MEMBERS: [&str; 5] = ["device", "subnet", "extra", "extra_src", "extra_dest"];

/// Returns the sections of the zones that are in use.
pub(super) fn zones(firewall: &Sections) -> Vec<Row> {
    firewall.of_type("zone").filter(|zone| zone.get("enabled") != Some(OFF)).cloned().collect()
}

/// Returns the row of a zone. The key is its name.
pub(super) fn row(section: &Row) -> Row {
    let name = section.get("name").unwrap_or_default();
    let networks = networks(section);
    let mut row = Row::new(name);
    row.set("name", name);
    row.set("network", networks.first().copied().unwrap_or_default());
    row.set("networks", networks.join(" "));
    row.set("masq", masquerades(section));
    row
}

/// Returns the row with the networks of all zones: a word `network=zone` for each.
pub(super) fn all(zones: &[Row]) -> Row {
    let pair = |zone: &Row, network: &str| format!("{network}={}", zone.get("name").unwrap_or_default());
    let pairs = zones.iter().flat_map(|zone| networks(zone).into_iter().map(move |network| pair(zone, network)));
    let mut row = Row::new("");
    row.set("networks", pairs.collect::<Vec<_>>().join(" "));
    row
}

/// Returns a row for each network of a zone. The key is the network.
pub(super) fn network_rows(zones: &[Row], package: &Sections) -> Vec<Row> {
    let row = |zone: &Row, name: &str| {
        let mut row = Row::new(name);
        row.set("network", name);
        row.set("zone", zone.get("name").unwrap_or_default());
        row.set("masq", masquerades(zone));
        row.set("section", zone.get(".name").unwrap_or_default());
        if let Some(proto) = network::interface(package, name).and_then(|interface| interface.get("proto")) {
            row.set("proto", proto);
        }
        row
    };
    zones.iter().flat_map(|zone| networks(zone).into_iter().map(move |name| row(zone, name))).collect()
}

fn masquerades(zone: &Row) -> &'static str {
    if zone.get("masq") == Some(ON) { ON } else { OFF }
}

/// Returns the networks of a zone; one without any option for its members has that of its name.
fn networks(zone: &Row) -> Vec<&str> {
    let has_others = OTHER_MEMBERS.iter().any(|option| zone.get(option).is_some());
    let name = if has_others { "" } else { zone.get("name").unwrap_or_default() };
    zone.get("network").unwrap_or(name).split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::super::{fields, package};
    use super::*;

    #[test]
    fn a_zone_has_networks() {
        let zones = zones(&package(
            "c zone\no name lan\nl network lan\nl network guest\nc zone\no name wan\no masq 1\no network 'wan wan6'\n\
             c zone\no name vpn\nc zone\no name tun\no device tun0\nc zone\no name old\no enabled 0\n",
        ));
        let rows: Vec<Row> = zones.iter().map(row).collect();
        assert_eq!(
            fields(&rows, [".", "network", "networks", "masq"]),
            [
                ["lan", "lan", "lan guest", "0"],
                ["wan", "wan", "wan wan6", "1"],
                ["vpn", "vpn", "vpn", "0"],
                ["tun", "", "", "0"]
            ]
        );
        assert_eq!(all(&zones).get("networks"), Some("lan=lan guest=lan wan=wan wan6=wan vpn=vpn"));
        let network = package(
            "c interface lan\no proto static\nc interface guest\no proto static\nc interface wan\no proto dhcp\n\
             c interface wan6\no proto dhcpv6\n",
        );
        assert_eq!(
            fields(&network_rows(&zones, &network), [".", "zone", "masq", "proto"]),
            [
                ["lan", "lan", "0", "static"],
                ["guest", "lan", "0", "static"],
                ["wan", "wan", "1", "dhcp"],
                ["wan6", "wan", "1", "dhcpv6"],
                ["vpn", "vpn", "0", "-"],
            ]
        );
    }
}
