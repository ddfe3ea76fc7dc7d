//! The shipped TR-098 gateway.

use super::model::Model;
use crate::support::Acs;
use crate::support::agent::AgentBuilder;

/// A name below the root, as a constant.
macro_rules! at {
    ($name:literal) => {
        concat!("InternetGatewayDevice.", $name)
    };
}
pub(crate) use at;

pub const MODEL: Model = Model {
    root: "InternetGatewayDevice",
    file: "tr-098.json",
    hosts: at!("LANDevice.1.Hosts.Host."),
    table: at!("Layer3Forwarding.Forwarding."),
    outer: at!("LANDevice.1.LANHostConfigManagement.DHCPConditionalServingPool."),
    outer_count: at!("LANDevice.1.LANHostConfigManagement.DHCPConditionalPoolNumberOfEntries"),
    inner: "DHCPStaticAddress.",
    inner_count: "DHCPStaticAddressNumberOfEntries",
    pattern: at!("LANDevice.*.LANEthernetInterfaceConfig.*.Enable"),
};

/// As [`Model::gateway`].
pub fn gateway(acs: &Acs) -> AgentBuilder {
    MODEL.gateway(acs)
}

/// As [`Model::gateway_at`].
pub fn gateway_at(url: &str) -> AgentBuilder {
    MODEL.gateway_at(url)
}
