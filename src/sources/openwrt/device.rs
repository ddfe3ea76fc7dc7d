//! The settings of links, in the sections `device` of the package `network`; bridges and VLANs, which these sections make.

use super::{OFF, ON, set_option};
use crate::model::source::Row;
use crate::model::source::provider::written;
use crate::model::source::uci::Sections;
use crate::model::source::uci::edit::{Action, Change};

/// The values of `type` that make netifd create a link, with the kind of that link.
const MADE: [(&str, &str); 3] = [("8021q", VLAN), ("8021ad", VLAN), ("bridge", "bridge")];
const VLAN: &str = "vlan";

/// The type of the sections.
pub(super) const DEVICE: &str = "device";

/// Returns the links with a section; the key is the name.
pub(super) fn rows(network: &Sections) -> Vec<Row> {
    let fields = written(DEVICE).map_or(&[][..], |(_, fields)| fields);
    let row = |section: &Row| {
        let mut row = Row::new(section.get("name")?);
        for field in fields {
            section.get(field).into_iter().for_each(|text| row.set(*field, text));
        }
        Some(row)
    };
    network.of_type(DEVICE).filter_map(row).collect()
}

/// Adds the bridges and VLANs that the configuration has and the kernel does not: those that no interface uses, and those that are
/// off.
pub(super) fn add_links(links: &mut Vec<Row>, network: &Sections) {
    for section in network.of_type(DEVICE) {
        let (Some(name), Some(kind)) = (section.get("name"), kind(section)) else { continue };
        if links.iter().any(|link| link.key == name) {
            continue;
        }
        let mut link = Row::new(name);
        let enabled = if section.get("enabled") == Some(OFF) { OFF } else { ON };
        for (field, text) in [("name", name), ("kind", kind), ("enabled", enabled), ("status", "NotPresent")] {
            link.set(field, text);
        }
        links.push(link);
    }
}

/// Returns the kind of the link that netifd makes by a section.
fn kind(section: &Row) -> Option<&'static str> {
    let wanted = section.get("type")?;
    MADE.iter().find(|(made, _)| *made == wanted).map(|(_, kind)| *kind)
}

/// Returns the change by which a link has a setting. A link without a section gets one.
pub(super) fn set(link: &str, option: &str, text: Option<&str>, network: &[Row]) -> Result<Vec<Change>, String> {
    let section = section(network, link);
    // netifd takes the other VLANs from their names alone.
    if matches!(option, "ifname" | "type" | "vid") && section.and_then(kind) != Some(VLAN) {
        return Err(format!("`{link}` has no section of a VLAN"));
    }
    if option == "ifname" && !text.is_none_or(is_link) {
        return Err("no name of a link for netifd".to_owned());
    }
    if let Some(section) = section {
        return Ok(vec![set_option(section, option, text)]);
    }
    if !is_link(link) {
        return Err(format!("`{link}` is no name of a link for netifd"));
    }
    let Some(text) = text else { return Ok(Vec::new()) };
    let mut name = format!("cpe_device_{}", link.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    while network.iter().any(|row| row.get(".name") == Some(&name)) {
        name.push('_');
    }
    let options = [("name", link), (option, text)].map(|(option, text)| (option.to_owned(), text.to_owned()));
    Ok(vec![Change { section: name, action: Action::Add(DEVICE.to_owned(), options.into()) }])
}

/// Returns the section of a link.
pub(super) fn section<'r>(network: &'r [Row], link: &str) -> Option<&'r Row> {
    network.iter().find(|row| row.get(".type") == Some(DEVICE) && row.get("name") == Some(link))
}

/// Returns true for the name of a link that no script of OpenWrt takes for more than a word.
pub(super) fn is_link(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=15).contains(&name.len()) && name.as_bytes()[0].is_ascii_alphanumeric() && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::super::{fields, package};
    use super::*;

    const NETWORK: &str = "c device\no name br-lan\no type bridge\no ageing_time 60\nc device cpe_device_lan_1\no name lan2\no speed 100\n";

    #[test]
    fn a_link_has_the_settings_of_its_section() {
        assert_eq!(
            fields(&rows(&package(NETWORK)), [".", "ageing_time", "speed", "duplex"]),
            [["br-lan", "60", "-", "-"], ["lan2", "-", "100", "-"]]
        );
    }

    #[test]
    fn bridges_and_vlans_of_the_configuration_are_links() {
        let mut rows = vec![Row::new("br-lan"), Row::new("eth1.7")];
        let network = "c device 'box'\no name br-lan\no type bridge\nc device\no name lan1\no mtu 1400\n\
            c device\no type 8021q\nc device iptv\no name wan.35\no type 8021ad\nc device\no name br-iot\no type bridge\n\
            o enabled 0\nc device\no name mv0\no type macvlan\n";
        add_links(&mut rows, &package(network));
        assert_eq!(
            fields(&rows, [".", "kind", "enabled", "status"]),
            [
                ["br-lan", "-", "-", "-"],
                ["eth1.7", "-", "-", "-"],
                ["wan.35", "vlan", "1", "NotPresent"],
                ["br-iot", "bridge", "0", "NotPresent"]
            ]
        );
    }

    #[test]
    fn only_a_vlan_of_the_configuration_has_another_identifier() {
        let network =
            package("c device iptv\no name wan.35\no type 8021q\nc device lan\no name br-lan\no type bridge\n");
        let network = network.rows(None);
        let change = |action| Ok(vec![Change { section: "iptv".into(), action }]);
        assert_eq!(set("wan.35", "vid", Some("36"), &network), change(Action::Set("vid".into(), "36".into())));
        assert_eq!(set("wan.35", "ifname", None, &network), change(Action::Unset("ifname".into())));
        for (link, option, text) in
            [("br-lan", "vid", "7"), ("eth1.7", "vid", "8"), ("br-lan", "type", "8021q"), ("wan.35", "ifname", "-x y")]
        {
            assert!(set(link, option, Some(text), &network).is_err(), "{link} {option}");
        }
    }

    #[test]
    fn a_setting_is_written_into_the_section_or_a_new_one() {
        let network = package(NETWORK).rows(None);
        let set = |link, text| set(link, "speed", text, &network);
        let section = network[0].get(".name").expect("a name").to_owned();
        let action = Action::Set("speed".into(), "10".into());
        assert_eq!(set("br-lan", Some("10")), Ok(vec![Change { section, action }]));
        let action = Action::Unset("speed".into());
        assert_eq!(set("lan2", None), Ok(vec![Change { section: "cpe_device_lan_1".into(), action }]));
        assert_eq!(set("lan9", None), Ok(Vec::new()));
        // The usual name is that of another section.
        let options = [("name", "lan.1"), ("speed", "10")].map(|(option, text)| (option.into(), text.into()));
        let action = Action::Add(DEVICE.into(), options.into());
        assert_eq!(set("lan.1", Some("10")), Ok(vec![Change { section: "cpe_device_lan_1_".into(), action }]));
        for link in ["", "-x", "a b", "x;y", "a-name-that-is-too-long"] {
            assert!(set(link, Some("10")).is_err(), "{link}");
        }
    }
}
