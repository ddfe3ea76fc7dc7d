//! The VLANs of the ports of bridges.

use crate::model::source::Row;
use crate::model::source::uci::Sections;

/// Returns the ports in the VLANs of bridges. The key is `BRIDGE/PORT`. As netifd does, the VLAN of untagged frames is the last one
/// with `*`, or else the first one in which the port is untagged.
pub(super) fn ports(network: &Sections) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for vlan in network.of_type("bridge-vlan") {
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

#[cfg(test)]
mod tests {
    use super::super::{fields, package};
    use super::*;

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
}
