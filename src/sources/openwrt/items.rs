//! Options of DHCP, servers of DNS and ports of bridges that the ACS adds. OpenWrt has them in lists, whose items have no names. So each is a section
//! of the agent, which keeps its instance whatever is set in it. The list of another section has its item as long as the section is
//! enabled and complete.
//!
//! | package | section | list |
//! |---|---|---|
//! | `network` | `cpe_option` with `interface`, `kind`, `tag`, `value` | of the interface: `sendopts`, `reqopts`; or its `hostname`, `vendorid`, `clientid` |
//! | `network` | `cpe_port` with `bridge`, `port` | of the bridge: `ports`, and no longer of another bridge |
//! | `dhcp` | `cpe_option` with `pool`, `tag`, `value` | of the pool: `dhcp_option` |
//! | `dhcp` | `cpe_forwarder` with `address` | of dnsmasq: `server` |

use std::net::{IpAddr, Ipv4Addr};

use super::bridge::VLAN;
use super::device::{self, is_link};
use super::dhcp_option::{CLIENT, HOST_NAME, VENDOR_CLASS};
use super::{OFF, dhcp_server};
use crate::model::source::Row;
use crate::model::source::uci::edit::{Action, Change};
use crate::model::source::uci::rows;

/// The types of the sections.
pub(super) const OPTION: &str = "cpe_option";
pub(super) const FORWARDER: &str = "cpe_forwarder";
pub(super) const PORT: &str = "cpe_port";

/// The list of a bridge with its ports.
const PORTS: &str = "ports";

/// The form of the option that has an item.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    List,
    /// Words with spaces between them, which netifd reads from no list.
    Words,
    Whole,
}

/// An item of a list of another section.
#[derive(Clone, PartialEq, Eq)]
struct Item {
    section: String,
    option: &'static str,
    form: Form,
    text: String,
}

/// The item of a section; `None` while it has none. The reason for which its values are no item.
type Found = Result<Option<Item>, String>;

/// Returns the changes by which the lists of the new text of a package have the items of its sections, and not those of the old text.
///
/// # Errors
/// The name of a section, and the reason for which its values are no item.
pub(in crate::sources) fn changes(package: &str, old: &str, new: &str) -> Result<Vec<Change>, (String, String)> {
    let is_concerned = |text: &str| [OPTION, PORT, VLAN].iter().any(|section_type| text.contains(section_type));
    if package != "dhcp" && (package != "network" || !(is_concerned(old) || is_concerned(new))) {
        return Ok(Vec::new());
    }
    let sections = |text| rows(text, None).unwrap_or_default();
    let (old, new) = (sections(old), sections(new));
    let (before, after) = (items(package, &old), items(package, &new));
    let is_there = |all: &[(String, Found)], item: &Item| all.iter().any(|(_, found)| *found == Ok(Some(item.clone())));
    let mut lists = match package {
        "dhcp" => dhcp_server::keep_off(&old, &new),
        _ => without_bridge(&old, &new),
    };
    for (_, found) in &before {
        if let Ok(Some(item)) = found
            && !is_there(&after, item)
        {
            item.put(&new, &mut lists, false);
        }
    }
    for (section, found) in &after {
        match found {
            Ok(Some(item)) if !is_there(&before, item) => item.put(&new, &mut lists, true),
            // A section that another program has made wrong is no reason to refuse other changes.
            Err(reason)
                if !before.iter().any(|(known, earlier)| known == section && earlier == found)
                    && !lists.iter().any(|change| change.section == *section) =>
            {
                return Err((section.clone(), reason.clone()));
            }
            _ => {}
        }
    }
    Ok(lists)
}

/// Returns the changes by which the added ports and the VLANs of a bridge go along with its section.
fn without_bridge(old: &[Row], new: &[Row]) -> Vec<Change> {
    let has_lost = |row: &&Row| {
        let bridge = match row.get(".type") {
            Some(PORT) => row.get("bridge"),
            Some(VLAN) => row.get("device"),
            _ => None,
        };
        bridge.is_some_and(|name| device::section(new, name).is_none() && device::section(old, name).is_some())
    };
    let delete =
        |row: &Row| Change { section: row.get(".name").unwrap_or_default().to_owned(), action: Action::Delete };
    new.iter().filter(has_lost).map(delete).collect()
}

/// Returns the sections of the agent, by their names, with their items.
fn items(package: &str, sections: &[Row]) -> Vec<(String, Found)> {
    let of_type = |row: &&Row| matches!(row.get(".type"), Some(OPTION | FORWARDER | PORT));
    let item = |row: &Row| (row.key.clone(), if is_on(row) { item(package, row, sections) } else { Ok(None) });
    sections.iter().filter(of_type).map(item).collect()
}

/// Returns true if a section is enabled.
pub(super) fn is_on(section: &Row) -> bool {
    section.get("enabled") != Some(OFF)
}

fn item(package: &str, own: &Row, sections: &[Row]) -> Found {
    let find = |section_type: &str, key: Option<&str>| {
        let is_it = |row: &&Row| row.get(".type") == Some(section_type) && key.is_none_or(|key| row.key == key);
        sections.iter().find(is_it).and_then(|row| row.get(".name")).map(str::to_owned)
    };
    let made = |section: Option<String>, (option, form, text): (&'static str, Form, String)| {
        Ok(section.map(|section| Item { section, option, form, text }))
    };
    if own.get(".type") == Some(FORWARDER) {
        let Some(address) = own.get("address") else { return Ok(None) };
        address.parse::<IpAddr>().map_err(|_| format!("`{address}` is no address"))?;
        return made(find("dnsmasq", None), ("server", Form::List, address.to_owned()));
    }
    if own.get(".type") == Some(PORT) {
        let (Some(bridge), Some(port)) = (own.get("bridge"), own.get("port")) else { return Ok(None) };
        let section = device::section(sections, bridge).and_then(|row| row.get(".name"));
        let section = section.ok_or_else(|| format!("`{bridge}` has no section with its ports"))?;
        if !is_link(port) {
            return Err(format!("`{port}` is no name of a link for netifd"));
        }
        return made(Some(section.to_owned()), (PORTS, Form::List, port.to_owned()));
    }
    let Some(tag) = own.get("tag").and_then(|tag| tag.parse::<u8>().ok()) else { return Ok(None) };
    // Without it, the first section of the type would have the item.
    let Some(above) = own.get(if package == "network" { "interface" } else { "pool" }) else { return Ok(None) };
    if package == "network" && own.get("kind") == Some("requested") {
        return made(find("interface", Some(above)), ("reqopts", Form::Words, tag.to_string()));
    }
    let Some(value) = own.get("value") else { return Ok(None) };
    let bytes = bytes(value).ok_or_else(|| format!("`{value}` is not hexadecimal"))?;
    let unfit = || format!("option {tag} of DHCP cannot have this value");
    if package == "network" {
        return made(find("interface", Some(above)), sent(tag, value, &bytes).ok_or_else(unfit)?);
    }
    let text = format!("{tag},{}", served(tag, &bytes).ok_or_else(unfit)?);
    made(find("dhcp", Some(above)), ("dhcp_option", Form::List, text))
}

impl Item {
    /// Adds the change by which the list has the item, or has it no more.
    fn put(&self, sections: &[Row], changes: &mut Vec<Change>, is_there: bool) {
        let (option, text) = (self.option.to_owned(), self.text.clone());
        let Some(section) = sections.iter().find(|row| row.get(".name") == Some(&self.section)) else { return };
        let held = section.get(self.option);
        if self.option == PORTS && is_there {
            self.leave_others(sections, changes);
        }
        let action = match self.form {
            Form::List if is_there => Action::AddItem(option, text),
            Form::List => Action::RemoveItem(option, text),
            Form::Whole if is_there => Action::Set(option, text),
            Form::Whole if held == Some(&text) => Action::Unset(option),
            Form::Whole => return,
            Form::Words => {
                // An earlier change of the same words is the present text.
                let earlier = |change: &&Change| {
                    change.section == self.section && matches!(&change.action, Action::Set(of, _) if *of == option)
                };
                let text = changes.iter().rev().find(earlier).map(|change| match &change.action {
                    Action::Set(_, text) => text.clone(),
                    _ => String::new(),
                });
                let text = text.unwrap_or_else(|| held.unwrap_or_default().to_owned());
                let mut words: Vec<&str> = text.split_whitespace().filter(|word| *word != self.text).collect();
                words.extend(is_there.then_some(self.text.as_str()));
                Action::Set(option, words.join(" "))
            }
        };
        changes.push(Change { section: self.section.clone(), action });
    }
}

impl Item {
    /// Takes the port out of all other bridges, since netifd gives a link to one of them alone.
    fn leave_others(&self, sections: &[Row], changes: &mut Vec<Change>) {
        let is_other = |row: &&Row| {
            row.get(".type") == Some(device::DEVICE)
                && row.get(".name") != Some(&self.section)
                && row.get(PORTS).is_some_and(|ports| ports.split_whitespace().any(|port| port == self.text))
        };
        let leave = |row: &Row| Change {
            section: row.get(".name").unwrap_or_default().to_owned(),
            action: Action::RemoveItem(PORTS.to_owned(), self.text.clone()),
        };
        changes.extend(sections.iter().filter(is_other).map(leave));
    }
}

/// Returns the option of an interface by which its client sends an option. udhcpc has options of its own for three of them.
fn sent(tag: u8, value: &str, bytes: &[u8]) -> Option<(&'static str, Form, String)> {
    Some(match tag {
        HOST_NAME => ("hostname", Form::Whole, word(bytes)?),
        VENDOR_CLASS => ("vendorid", Form::Whole, word(bytes)?),
        CLIENT => ("clientid", Form::Whole, value.to_ascii_lowercase()),
        _ => ("sendopts", Form::List, format!("{tag}:{}", value.to_ascii_lowercase())),
    })
}

/// The options whose value is addresses, and those whose value is a name, for dnsmasq. It does not start with another value.
const ADDRESSES: [u8; 21] = [1, 7, 9, 16, 21, 28, 32, 33, 41, 42, 44, 45, 48, 49, 65, 68, 69, 70, 71, 74, 150];
const NAMES: [u8; 9] = [12, 17, 18, 40, 64, 66, 67, 100, 101];
/// The options that have parameters of their own, and those that dnsmasq sets by itself.
const OTHERS: [u8; 15] = [3, 6, 15, 50, 51, 52, 53, 54, 55, 56, 57, 61, 81, 82, 119];
/// The option with the values of a vendor, for which dnsmasq takes no number.
const VENDOR: u8 = 43;

/// Returns the text of an option of DHCP as dnsmasq takes it.
fn served(tag: u8, bytes: &[u8]) -> Option<String> {
    match tag {
        _ if OTHERS.contains(&tag) => None,
        _ if ADDRESSES.contains(&tag) => {
            let (quads, rest) = bytes.as_chunks::<4>();
            let addresses: Vec<String> = quads.iter().map(|quad| Ipv4Addr::from(*quad).to_string()).collect();
            (rest.is_empty() && !addresses.is_empty()).then(|| addresses.join(","))
        }
        _ if NAMES.contains(&tag) => word(bytes),
        _ => match bytes {
            // A byte alone is no hexadecimal value for dnsmasq, and a number of one byte is one.
            [byte] => (tag != VENDOR).then(|| byte.to_string()),
            _ => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")),
        },
    }
}

/// Returns the bytes of the value of an option of dnsmasq.
pub(super) fn served_bytes(text: &str) -> Vec<u8> {
    let hex = |text: &str| text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect::<Option<Vec<u8>>>();
    let addresses = text.split(',').map(|address| address.parse::<Ipv4Addr>().ok().map(|address| address.octets()));
    if let Some(addresses) = addresses.collect::<Option<Vec<[u8; 4]>>>() {
        return addresses.concat();
    }
    if let Ok(number) = text.parse::<u32>() {
        // dnsmasq sends a number in one, two or four bytes.
        let leading = match number {
            0..=0xff => 3,
            0x100..=0xffff => 2,
            _ => 0,
        };
        return number.to_be_bytes()[leading..].to_vec();
    }
    hex(text).filter(|_| text.contains(':')).unwrap_or_else(|| text.as_bytes().to_vec())
}

/// Returns bytes as a text that no script of the device takes for more than a word.
fn word(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:+=@-".contains(&byte);
    (bytes.first()?.is_ascii_alphanumeric() && bytes.iter().all(|byte| is_plain(*byte))).then(|| text.to_owned())
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? * 16 + digit(*low)?) as u8);
    pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests;
