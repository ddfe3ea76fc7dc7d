//! The options of DHCP that the device sends, those that it requests, and those that its pools send.

use std::fmt::Write;

use super::items::{OPTION, is_on, served_bytes};
use crate::model::source::Row;
use crate::model::source::uci::Sections;

/// The options with a name in the package `network`: of host name, vendor class and client.
pub(super) const HOST_NAME: u8 = 12;
pub(super) const VENDOR_CLASS: u8 = 60;
pub(super) const CLIENT: u8 = 61;

/// The options of pools that have parameters of their own.
const OF_POOL: [u8; 3] = [3, 6, 15];

/// Returns the options of all interfaces with DHCP. The key is the interface with the kind and the number of the option. An option
/// without a number, or whose value is no hexadecimal text, is left out. One that the agent has added has the name of its section.
pub(super) fn rows(network: &Sections) -> Vec<Row> {
    let interfaces = network.of_type("interface").filter(|interface| interface.get("proto") == Some("dhcp"));
    let mut rows: Vec<Row> = interfaces.flat_map(options).collect();
    add_sections(&mut rows, network, &["interface", "kind"]);
    rows
}

/// Returns the options that the pools of dnsmasq send, but for those with a parameter of their own. An option that is given by a
/// name, or for some clients alone, is left out.
pub(super) fn pool_rows(dhcp: &Sections) -> Vec<Row> {
    let option = |pool: &Row, item: &str| {
        let (tag, value) = item.split_once(',')?;
        let tag = number(tag).filter(|tag| !OF_POOL.contains(tag))?;
        let mut row = Row::new(format!("{} {tag}", pool.key));
        row.set("pool", &pool.key);
        row.set("tag", tag.to_string());
        row.set("value", served_bytes(value).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        Some(row)
    };
    let mut rows = Vec::new();
    for pool in dhcp.of_type("dhcp") {
        let items = pool.get("dhcp_option").unwrap_or_default().split_whitespace();
        rows.extend(items.filter_map(|item| option(pool, item)));
    }
    add_sections(&mut rows, dhcp, &["pool"]);
    rows
}

/// Makes the sections of the agent rows: an option of the device that is one has its key, and one that the device does not have
/// comes behind the others. `above` are the fields that tell where it belongs.
fn add_sections(rows: &mut Vec<Row>, package: &Sections, above: &[&'static str]) {
    for section in package.of_type(OPTION) {
        let is_same = |row: &Row, field: &str| {
            row.get(field).unwrap_or_default().eq_ignore_ascii_case(section.get(field).unwrap_or_default())
        };
        let is_it = |row: &Row| {
            row.get("section").is_none()
                && above.iter().all(|field| is_same(row, field))
                && is_same(row, "tag")
                && (row.get("value").is_none() || is_same(row, "value"))
        };
        let found = rows.iter().position(is_it).filter(|_| is_on(section));
        let at = found.unwrap_or_else(|| {
            let mut row = Row::new("");
            above.iter().for_each(|field| row.set(*field, section.get(field).unwrap_or_default()));
            rows.push(row);
            rows.len() - 1
        });
        rows[at].key.clone_from(&section.key);
        rows[at].set("section", &section.key);
    }
}

fn options(interface: &Row) -> Vec<Row> {
    let words = |name: &str| interface.get(name).unwrap_or_default().split_whitespace();
    let mut sent: Vec<(u8, String)> = Vec::new();
    // `*` stands for no host name.
    sent.extend(interface.get("hostname").filter(|name| *name != "*").map(|name| (HOST_NAME, hex(name))));
    sent.extend(interface.get("vendorid").map(|class| (VENDOR_CLASS, hex(class))));
    sent.extend(interface.get("clientid").map(|client| (CLIENT, client.replace(':', ""))));
    sent.extend(words("sendopts").filter_map(|option| {
        let (tag, value) = option.split_once(':')?;
        Some((number(tag)?, value.to_owned()))
    }));
    sent.retain(|(_, value)| value.len() % 2 == 0 && value.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let row = |kind: &str, tag: u8, order: usize| {
        let mut row = Row::new(format!("{} {kind} {tag}", interface.key));
        row.set("interface", &interface.key);
        row.set("kind", kind);
        row.set("tag", tag.to_string());
        row.set("order", order.to_string());
        row
    };
    let mut rows: Vec<Row> = Vec::new();
    for (at, (tag, value)) in sent.iter().enumerate() {
        rows.push(row("sent", *tag, at + 1));
        rows[at].set("value", value);
    }
    rows.extend(words("reqopts").filter_map(number).enumerate().map(|(at, tag)| row("requested", tag, at + 1)));
    rows
}

/// Reads the number of an option: decimal, or hexadecimal after `0x`. 0 and 255 are no options.
fn number(text: &str) -> Option<u8> {
    let number =
        text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |digits| u8::from_str_radix(digits, 16).ok());
    number.filter(|number| (1..255).contains(number))
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut digits, byte| {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests {
    use super::super::{fields, package};
    use super::*;

    #[test]
    fn options_have_numbers_and_values() {
        let network = package(
            "c interface wan\no proto dhcp\no hostname box\no vendorid 'a b'\no clientid '01:AA:bb'\n\
             o sendopts '125:00000de9 0x4d:0102 user:ab 255:00 8:0'\no reqopts '43 0x7d ntpsrv 43'\n\
             c interface lan\no proto static\no hostname x\nc interface wwan\no proto dhcp\no hostname '*'\nl reqopts 42\n",
        );
        assert_eq!(
            fields(&rows(&network), ["interface", "kind", "tag", "order", "value"]),
            [
                ["wan", "sent", "12", "1", "626f78"],
                ["wan", "sent", "60", "2", "612062"],
                ["wan", "sent", "61", "3", "01AAbb"],
                ["wan", "sent", "125", "4", "00000de9"],
                ["wan", "sent", "77", "5", "0102"],
                ["wan", "requested", "43", "1", "-"],
                ["wan", "requested", "125", "2", "-"],
                ["wan", "requested", "43", "3", "-"],
                ["wwan", "requested", "42", "1", "-"],
            ]
        );
    }
}
