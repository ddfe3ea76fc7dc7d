//! The gateways of the tests: the shipped data models, and over each an example of what a device tells.

use std::path::{Path, PathBuf};

use super::{PASSWORD, model_file};
use crate::support::agent::AgentBuilder;
use crate::support::{Acs, Agent};

/// A shipped model, and the names in it that differ between the models below their roots.
pub struct Model {
    pub root: &'static str,
    /// The name of the file in `data-model/`.
    pub file: &'static str,
    /// The overlay with the examples: hosts, addresses, port mappings and all that the shipped model leaves to the device.
    pub examples: &'static str,
    /// A table to which only the device adds instances, each with a boolean `Active`.
    pub hosts: &'static str,
    /// A table to which the ACS may add instances, and which has one; each has a boolean `Enable`, false at first.
    pub table: &'static str,
    /// A table with room for eight instances, each with a table of its own.
    pub outer: &'static str,
    /// The parameter that counts the instances of `outer`.
    pub outer_count: &'static str,
    /// The table in each instance of `outer`, and the parameter that counts its instances; relative to the instance.
    pub inner: &'static str,
    pub inner_count: &'static str,
    /// Parameters whose names differ in one instance number.
    pub pattern: &'static str,
}

/// The TR-181 gateway.
pub static TR_181: Model = Model {
    root: "Device",
    file: "tr-181.json",
    examples: "examples-181.json",
    hosts: "Device.Hosts.Host.",
    table: "Device.NAT.PortMapping.",
    outer: "Device.DHCPv4.Server.Pool.",
    outer_count: "Device.DHCPv4.Server.PoolNumberOfEntries",
    inner: "StaticAddress.",
    inner_count: "StaticAddressNumberOfEntries",
    pattern: "Device.Ethernet.Interface.*.Enable",
};

/// The TR-098 gateway.
pub static TR_098: Model = Model {
    root: "InternetGatewayDevice",
    file: "tr-098.json",
    examples: "examples-098.json",
    hosts: "InternetGatewayDevice.LANDevice.1.Hosts.Host.",
    table: "InternetGatewayDevice.Layer3Forwarding.Forwarding.",
    outer: "InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.DHCPConditionalServingPool.",
    outer_count: "InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.DHCPConditionalPoolNumberOfEntries",
    inner: "DHCPStaticAddress.",
    inner_count: "DHCPStaticAddressNumberOfEntries",
    pattern: "InternetGatewayDevice.LANDevice.*.LANEthernetInterfaceConfig.*.Enable",
};

impl Model {
    /// Returns the full name of a parameter or object that is named below the root. The text is leaked: a test needs
    /// few names, and one that lives for ever fits into every array of names.
    pub fn at(&self, name: &str) -> &'static str {
        Box::leak(format!("{}.{name}", self.root).into_boxed_str())
    }

    /// Returns a gateway that knows this ACS. It retries after just one second (R126), and starts no session by itself:
    /// periodic Informs are off.
    pub fn gateway(&self, acs: &Acs) -> AgentBuilder {
        self.gateway_at(&acs.url())
    }

    /// Returns a gateway like [`Model::gateway`], with any ACS URL.
    pub fn gateway_at(&self, url: &str) -> AgentBuilder {
        self.reaches(url, self.load(Agent::builder(env!("CARGO_BIN_EXE_cpe-agent"))))
    }

    /// Returns a gateway like [`Model::gateway_at`] without the examples, for an overlay with values of the device.
    pub fn shipped_at(&self, url: &str) -> AgentBuilder {
        self.reaches(url, Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")).data_model(model_file(self.file)))
    }

    /// Returns the files of the gateway: the shipped model, and the examples.
    pub fn files(&self) -> [PathBuf; 2] {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/gateway");
        [model_file(self.file), tests.join(self.examples)]
    }

    /// Appends the files of the gateway to the data models of an agent.
    pub fn load(&self, builder: AgentBuilder) -> AgentBuilder {
        self.files().into_iter().fold(builder, AgentBuilder::data_model)
    }

    fn reaches(&self, url: &str, builder: AgentBuilder) -> AgentBuilder {
        let settings = [
            ("URL", url),
            ("Password", PASSWORD),
            ("CWMPRetryMinimumWaitInterval", "1"),
            ("CWMPRetryIntervalMultiplier", "1000"),
            ("PeriodicInformEnable", "false"),
        ];
        settings.iter().fold(builder.fixed_ports(), |builder, (name, value)| {
            builder.set(&format!("{}.ManagementServer.{name}", self.root), value)
        })
    }
}
