//! The shipped TR-181 gateway.

use super::model::Model;
use crate::support::Acs;
use crate::support::agent::AgentBuilder;

/// A name below the root, as a constant.
macro_rules! at {
    ($name:literal) => {
        concat!("Device.", $name)
    };
}
pub(crate) use at;

pub const MODEL: Model = Model {
    root: "Device",
    file: "tr-181.json",
    hosts: at!("Hosts.Host."),
    table: at!("NAT.PortMapping."),
    outer: at!("DHCPv4.Server.Pool."),
    outer_count: at!("DHCPv4.Server.PoolNumberOfEntries"),
    inner: "StaticAddress.",
    inner_count: "StaticAddressNumberOfEntries",
    pattern: at!("Ethernet.Interface.*.Enable"),
};

/// As [`Model::gateway`].
pub fn gateway(acs: &Acs) -> AgentBuilder {
    MODEL.gateway(acs)
}

/// As [`Model::gateway_at`].
pub fn gateway_at(url: &str) -> AgentBuilder {
    MODEL.gateway_at(url)
}
