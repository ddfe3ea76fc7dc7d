//! The options of DHCP that the device sends, and those that it requests.

use std::fmt::Write;

use crate::model::source::Row;
use crate::model::source::uci::Sections;

/// The options with a name in the package `network`: of host name, vendor class and client.
const HOST_NAME: u8 = 12;
const VENDOR_CLASS: u8 = 60;
const CLIENT: u8 = 61;

/// Returns the options of all interfaces with DHCP. The key is the interface with the kind and the number of the option. An option
/// without a number, or whose value is no hexadecimal text, is left out.
pub(super) fn rows(network: &Sections) -> Vec<Row> {
    network.of_type("interface").filter(|interface| interface.get("proto") == Some("dhcp")).flat_map(options).collect()
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
