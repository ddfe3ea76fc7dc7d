//! The ports of bridges, and their VLANs.

use super::items::{PORT, is_on};
use super::{OFF, ON};
use crate::model::source::Row;
use crate::model::source::uci::Sections;
use crate::model::source::uci::edit::{Action, Change};

/// The type of the sections with the VLANs of a bridge.
pub(super) const VLAN: &str = "bridge-vlan";

/// Returns the ports in the VLANs of bridges. The key is `BRIDGE/PORT`. As netifd does, the VLAN of untagged frames is the last one
/// with `*`, or else the first one in which the port is untagged.
pub(super) fn ports(network: &Sections) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for vlan in network.of_type(VLAN) {
        let (Some(bridge), Some(id)) = (vlan.get("device"), vlan.get("vlan")) else { continue };
        for port in vlan.get("ports").unwrap_or_default().split_whitespace() {
            let (name, flags) = port.split_once(':').unwrap_or((port, ""));
            let key = format!("{bridge}/{name}");
            let at = rows.iter().position(|row| row.key == key).unwrap_or_else(|| {
                rows.push(Row::new(key));
                rows.len() - 1
            });
            if flags.contains('*') || (!flags.contains('t') && rows[at].get("pvid").is_none()) {
                rows[at].replace("pvid", id);
            }
        }
    }
    rows
}

/// Returns the changes by which frames without a tag that come in at a port are of a VLAN, which the bridge must have. The port is
/// no longer in the VLAN that they were of before.
pub(super) fn set(key: &str, vlan: Option<&str>, network: &[Row]) -> Result<Vec<Change>, String> {
    let (bridge, port) = key.split_once('/').unwrap_or((key, ""));
    let of_bridge = |row: &&Row| row.get(".type") == Some(VLAN) && row.get("device") == Some(bridge);
    let vlans: Vec<&Row> = network.iter().filter(of_bridge).collect();
    let Some(wanted) = vlans.iter().find(|row| row.get("vlan").is_some() && row.get("vlan") == vlan) else {
        return Err(format!("`{bridge}` has no VLAN {}", vlan.unwrap_or_default()));
    };
    let mut changes = Vec::new();
    let change = |row: &Row, action| Change { section: row.get(".name").unwrap_or_default().to_owned(), action };
    for row in &vlans {
        for item in row.get("ports").unwrap_or_default().split_whitespace() {
            let (name, flags) = item.split_once(':').unwrap_or((item, ""));
            let is_wanted = row.get(".name") == wanted.get(".name");
            // In another VLAN, frames with its tag stay.
            if name == port && (is_wanted || !flags.contains('t') || flags.contains('*')) {
                changes.push(change(row, Action::RemoveItem("ports".to_owned(), item.to_owned())));
                if !is_wanted && flags.contains('t') {
                    changes.push(change(row, Action::AddItem("ports".to_owned(), format!("{port}:t"))));
                }
            }
        }
    }
    changes.push(change(wanted, Action::AddItem("ports".to_owned(), format!("{port}:u*"))));
    Ok(changes)
}

/// Makes the sections of the agent rows: a port of the bridge that is one has its key, and one that the bridge does not have comes
/// behind the others.
pub(super) fn add_sections(ports: &mut Vec<Row>, network: &Sections) {
    for section in network.of_type(PORT) {
        let (bridge, port) = (section.get("bridge").unwrap_or_default(), section.get("port"));
        let is_it =
            |row: &&mut Row| row.get("master") == Some(bridge) && port == Some(row.key.as_str()) && is_on(section);
        if let Some(row) = ports.iter_mut().find(is_it) {
            row.key.clone_from(&section.key);
            row.set("section", &section.key);
            continue;
        }
        let mut row = Row::new(&section.key);
        for (field, text) in [("section", section.key.as_str()), ("master", bridge), ("status", "Down")] {
            row.set(field, text);
        }
        row.set("enabled", if is_on(section) { ON } else { OFF });
        port.into_iter().for_each(|port| row.set("name", port));
        ports.push(row);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{fields, package};
    use super::*;
    use crate::model::source::uci::edit::edit;

    #[test]
    fn a_port_has_one_vlan_of_untagged_frames() {
        let network = package(
            "c bridge-vlan\no device br-lan\no vlan 10\nl ports 'lan1:u*'\nl ports 'lan2:t'\nl ports lan3\nl ports lan4\n\
             c bridge-vlan\no device br-lan\no vlan 20\nl ports 'lan1:t'\nl ports 'lan3'\nl ports 'lan4:u*'\n\
             c bridge-vlan\no device br-iot\no vlan 30\nl ports 'lan2:u*'\nc bridge-vlan\no vlan 40\nl ports lan9\n",
        );
        assert_eq!(
            fields(&ports(&network), [".", "pvid"]),
            [
                ["br-lan/lan1", "10"],
                ["br-lan/lan2", "-"],
                ["br-lan/lan3", "10"],
                ["br-lan/lan4", "20"],
                ["br-iot/lan2", "30"]
            ]
        );
    }

    const NETWORK: &str = "config bridge-vlan 'ten'\n\toption device 'br-lan'\n\toption vlan '10'\n\tlist ports 'lan1:u*'\n\
        \tlist ports 'lan2:t'\n\tlist ports 'lan3:t*'\n\nconfig bridge-vlan 'twenty'\n\toption device 'br-lan'\n\
        \toption vlan '20'\n\tlist ports 'lan1:t'\n\nconfig bridge-vlan 'unfinished'\n\toption device 'br-lan'\n";

    #[test]
    fn a_port_moves_to_another_vlan() {
        let lists = |key: &str, vlan: &str| {
            let changes = set(key, Some(vlan), &package(NETWORK).rows(None))?;
            let text = String::from_utf8(edit(NETWORK.as_bytes(), &changes).expect("edited")).expect("a text");
            let list = |row: &Row| row.get("ports").unwrap_or_default().to_owned();
            Ok::<_, String>(package(&text).of_type(VLAN).map(list).collect::<Vec<_>>())
        };
        let is = |key: &str, vlan: &str, expected: [&str; 3]| {
            assert_eq!(lists(key, vlan), Ok(expected.map(str::to_owned).to_vec()), "{key}");
        };
        is("br-lan/lan1", "20", ["lan2:t lan3:t*", "lan1:u*", ""]);
        // Frames with the tag of the VLAN stay in it.
        is("br-lan/lan2", "20", ["lan1:u* lan2:t lan3:t*", "lan1:t lan2:u*", ""]);
        is("br-lan/lan3", "20", ["lan1:u* lan2:t lan3:t", "lan1:t lan3:u*", ""]);
        is("br-lan/lan4", "10", ["lan1:u* lan2:t lan3:t* lan4:u*", "lan1:t", ""]);
        for (key, vlan) in [("br-lan/lan1", "30"), ("br-iot/lan1", "10"), ("br-lan/lan1", "")] {
            assert!(lists(key, vlan).is_err(), "{key} {vlan}");
        }
        assert!(set("br-lan/lan1", None, &package(NETWORK).rows(None)).is_err());
    }

    #[test]
    fn a_section_is_the_row_of_its_port() {
        let port = |name: &str, master: &str| {
            let mut row = Row::new(name);
            row.set("master", master);
            row
        };
        let mut rows = vec![port("lan1", "br-lan"), port("lan2", "br-lan")];
        add_sections(
            &mut rows,
            &package(
                "c cpe_port one\no bridge br-lan\no port lan2\nc cpe_port two\no bridge br-iot\no port lan1\n\
                 c cpe_port three\no bridge br-lan\no port lan1\no enabled 0\nc cpe_port four\no bridge br-lan\n",
            ),
        );
        assert_eq!(
            fields(&rows, [".", "master", "name", "section", "enabled"]),
            [
                ["lan1", "br-lan", "-", "-", "-"],
                ["one", "br-lan", "-", "one", "-"],
                ["two", "br-iot", "lan1", "two", "1"],
                ["three", "br-lan", "lan1", "three", "0"],
                ["four", "br-lan", "-", "four", "1"]
            ]
        );
    }
}
