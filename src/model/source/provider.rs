//! The providers of the agent: their names and fields, by which the loader checks a model. The drivers make their answers.

use super::uci::Identity;

/// The provider that follows from the values of the model, so that no driver is asked for it.
pub const STACK: &str = "stack";

/// The names of a provider.
#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    /// The name in a data-model file.
    pub name: &'static str,
    /// The shape of the answer.
    pub shape: Shape,
    /// The names of the fields.
    pub fields: &'static [&'static str],
}

/// The shape of the answer of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One row; it takes no `at`.
    One,
    /// One row; `at` is its argument.
    OneOf,
    /// Rows, each with a key; `at` picks one.
    Rows,
}

/// A state that a link had for a while, by an event of the kernel: it may be over before the link is read (R212).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// The name of the link, which is the key of its row in `link`.
    pub link: String,
    /// The field `status`, a word of TR-181.
    pub status: &'static str,
}

/// Returns the UCI package of which rows of a provider are sections, and what tells these apart. The field `section` of such a row
/// is the name of its section.
pub fn sections(provider: &str) -> Option<(&'static str, Identity)> {
    let (package, section_type, options): (_, &str, &[&str]) = match provider {
        "device_link" => ("network", "device", &["name"]),
        "dhcp_option" => ("network", "cpe_option", &["interface", "kind", "tag"]),
        "dns_forwarder" => ("dhcp", "cpe_forwarder", &["address"]),
        "pool_option" => ("dhcp", "cpe_option", &["pool", "tag"]),
        "port" => ("network", "cpe_port", &["bridge", "port"]),
        "resolver" => ("network", "interface", &["dns"]),
        "route" => ("network", "route", &["interface", "target", "gateway"]),
        "route6" => ("network", "route6", &["interface", "target", "gateway"]),
        "static_lease" => ("dhcp", "host", &["mac", "ip"]),
        _ => return None,
    };
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    Some((package, Identity { section_type: section_type.to_owned(), options }))
}

/// The provider whose fields are commands for an interface: each reads as none, and is a file of the agent when it is set.
pub const COMMAND: &str = "command";

/// The begin of these files, which a reload obeys and removes; the name of the field and that of the interface follow.
pub const COMMANDS: &str = "/var/run/cpe-agent.command";

/// The fields of [`COMMAND`].
pub const COMMAND_FIELDS: &[&str] = &["reset", "renew"];

/// Returns the UCI package that is changed when a field of a provider is set, and these fields; `None` for a provider that is
/// read alone.
pub fn written(provider: &str) -> Option<(&'static str, &'static [&'static str])> {
    Some(match provider {
        "bridge_port" => ("network", &["pvid"]),
        "device" => ("network", DEVICE),
        "dhcp_server" => ("dhcp", &["enabled"]),
        "network" => ("network", &["layer"]),
        "radio" => ("wireless", &["dtim_period"]),
        _ => return None,
    })
}

/// The providers, in the order of their names.
pub const PROVIDERS: &[Provider] = &[
    Provider {
        name: "address",
        shape: Shape::Rows,
        fields: &[
            "device",
            "family",
            "address",
            "prefix",
            "peer",
            "scope",
            "status",
            "preferred",
            "valid",
            "origin",
            "upstream",
            "interface",
        ],
    },
    Provider { name: "bridge_port", shape: Shape::Rows, fields: &["pvid"] },
    Provider { name: "client_lease", shape: Shape::Rows, fields: &["remaining"] },
    Provider { name: "clock", shape: Shape::One, fields: &["local_time", "zone", "synchronized", "status"] },
    Provider { name: COMMAND, shape: Shape::Rows, fields: COMMAND_FIELDS },
    Provider { name: "conntrack", shape: Shape::One, fields: &["tcp_timeout", "udp_timeout"] },
    Provider { name: "device", shape: Shape::Rows, fields: DEVICE },
    Provider { name: "device_link", shape: Shape::Rows, fields: LINK },
    Provider { name: "devices", shape: Shape::One, fields: &["networks"] },
    Provider {
        name: "dhcp_option",
        shape: Shape::Rows,
        fields: &["interface", "kind", "tag", "value", "order", "section"],
    },
    Provider { name: "dhcp_pool", shape: Shape::Rows, fields: &["routers", "servers", "domain"] },
    Provider { name: "dhcp_server", shape: Shape::One, fields: &["enabled"] },
    Provider {
        name: "dns_forwarder",
        shape: Shape::Rows,
        fields: &["address", "family", "interface", "type", "section", "status"],
    },
    Provider {
        name: "host",
        shape: Shape::Rows,
        fields: &[
            "mac",
            "address",
            "addresses4",
            "addresses6",
            "name",
            "active",
            "changed",
            "device",
            "port",
            "kind",
            "lease",
            "source",
        ],
    },
    Provider { name: "host_address", shape: Shape::Rows, fields: &["host", "address", "family"] },
    Provider { name: "lease", shape: Shape::Rows, fields: &["mac", "address", "name", "device", "end"] },
    Provider { name: "link", shape: Shape::Rows, fields: LINK },
    Provider { name: "links", shape: Shape::OneOf, fields: COUNTERS },
    Provider { name: "network", shape: Shape::Rows, fields: &["name", "layer"] },
    Provider { name: "pool_option", shape: Shape::Rows, fields: &["pool", "tag", "value", "section"] },
    Provider { name: "port", shape: Shape::Rows, fields: LINK },
    Provider { name: "pppoe", shape: Shape::Rows, fields: &["session"] },
    Provider {
        name: "process",
        shape: Shape::Rows,
        fields: &["pid", "command", "size", "priority", "cpu_time", "state"],
    },
    Provider { name: "radio", shape: Shape::Rows, fields: &["dtim_period"] },
    Provider {
        name: "resolver",
        shape: Shape::Rows,
        fields: &["address", "family", "interface", "type", "section", "status"],
    },
    Provider { name: "route", shape: Shape::Rows, fields: ROUTE },
    Provider { name: "route6", shape: Shape::Rows, fields: ROUTE },
    Provider {
        name: "socket",
        shape: Shape::Rows,
        fields: &["local", "local_port", "remote", "remote_port", "status"],
    },
    Provider { name: STACK, shape: Shape::Rows, fields: &["higher", "lower"] },
    Provider { name: "static_lease", shape: Shape::Rows, fields: &["mac", "address", "name", "network", "section"] },
    Provider { name: "storage", shape: Shape::OneOf, fields: &["total", "free"] },
    Provider {
        name: "system",
        shape: Shape::One,
        fields: &["uptime", "hostname", "kernel", "machine", "cpu_usage", "processors"],
    },
    Provider { name: "thermal", shape: Shape::Rows, fields: &["name", "value"] },
    Provider {
        name: "uplink",
        shape: Shape::One,
        fields: &[
            "name", "kind", "enabled", "status", "mac", "mtu", "gateway", "address", "prefix", "origin", "servers",
        ],
    },
    Provider { name: "zone", shape: Shape::Rows, fields: &["name", "networks", "network", "masq"] },
    Provider { name: "zone_network", shape: Shape::Rows, fields: &["network", "zone", "masq", "proto", "section"] },
    Provider { name: "zones", shape: Shape::One, fields: &["networks"] },
];

/// The settings of a link in a section `device` of OpenWrt.
const DEVICE: &[&str] = &[
    "ageing_time",
    "speed",
    "duplex",
    "enabled",
    "forward_delay",
    "ifname",
    "macaddr",
    "priority",
    "stp",
    "type",
    "vid",
];

/// The fields of a route.
const ROUTE: &[&str] = &[
    "family",
    "destination",
    "prefix",
    "mask",
    "cidr",
    "gateway",
    "device",
    "metric",
    "expires",
    "origin",
    "static",
    "section",
    "status",
];

/// The fields of a network interface.
const LINK: &[&str] = &[
    "name",
    "kind",
    "enabled",
    "status",
    "last_change",
    "address",
    "mtu",
    "bit_rate",
    "duplex",
    "layer",
    "lower",
    "master",
    "section",
    "upstream",
    "ipv6",
    "vlan_id",
    "vlan_protocol",
    "aging",
    "stp",
    "bridge_priority",
    "hello_time",
    "max_age",
    "forward_delay",
    "port_state",
    "port_priority",
    "path_cost",
    "rx_bytes",
    "tx_bytes",
    "rx_packets",
    "tx_packets",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
    "multicast",
];

/// The counters at the end of [`LINK`].
const COUNTERS: &[&str] = LINK.split_at(LINK.len() - 9).1;

impl Provider {
    /// Returns the provider of this name.
    pub fn find(name: &str) -> Option<&'static Provider> {
        PROVIDERS.iter().find(|provider| provider.name == name)
    }
}
