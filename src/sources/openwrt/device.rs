//! The settings of links, in the sections `device` of the package `network`.

use super::set_option;
use crate::model::source::Row;
use crate::model::source::provider::written;
use crate::model::source::uci::Sections;
use crate::model::source::uci::edit::{Action, Change};

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

/// Returns the change by which a link has a setting. A link without a section gets one.
pub(super) fn set(link: &str, option: &str, text: Option<&str>, network: &[Row]) -> Result<Vec<Change>, String> {
    if let Some(section) = section(network, link) {
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
