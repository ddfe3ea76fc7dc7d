//! The provider `link`: the network interfaces of the kernel.

use std::fmt::Write;
use std::fs;

use super::netlink::{Attributes, dump as netlink_dump, messages, u16_at, u32_at, u64_at};
use crate::model::source::Row;

/// RTM_GETLINK and RTM_NEWLINK, and the length of `struct ifinfomsg`.
const GET: u16 = 18;
const NEW: u16 = 16;
const FIXED: usize = 16;

/// IFF_UP, IFF_LOOPBACK and IFF_RUNNING.
const UP: u32 = 0x1;
const LOOPBACK: u32 = 0x8;
const RUNNING: u32 = 0x40;

/// ARPHRD_PPP of `linux/if_arp.h`.
const TYPE_PPP: u16 = 512;

/// The counters of `struct rtnl_link_stats64`, in their order.
const COUNTERS: [&str; 9] = [
    "rx_packets",
    "tx_packets",
    "rx_bytes",
    "tx_bytes",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
    "multicast",
];

/// The words of TR-181 for the states of RFC 2863, by the numbers of the kernel.
const STATES: [&str; 7] = ["Unknown", "NotPresent", "Down", "LowerLayerDown", "Unknown", "Dormant", "Up"];

/// A network interface.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    kind: String,
    flags: u32,
    state: u8,
    address: String,
    mtu: u32,
    /// The index of the link below, such as that of a VLAN.
    below: Option<u32>,
    /// The index of the bridge or bond to which the link belongs.
    master: Option<u32>,
    vlan_id: Option<u16>,
    vlan_protocol: Option<u16>,
    counters: [u64; COUNTERS.len()],
}

/// Returns all links.
pub(super) fn dump() -> Result<Vec<Link>, String> {
    let answer = netlink_dump(GET, 0, FIXED)?;
    Ok(messages(&answer, NEW, FIXED).filter_map(|message| read(message.fixed, message.attributes)).collect())
}

fn read(fixed: &[u8], attributes: Attributes<'_>) -> Option<Link> {
    let hardware = u16_at(fixed, 2)?;
    let mut link = Link {
        index: u32_at(fixed, 4)?,
        flags: u32_at(fixed, 8)?,
        name: attributes.text(3)?,
        state: attributes.get(16).and_then(|state| state.first().copied()).unwrap_or_default(),
        address: attributes.get(1).map(hardware_address).unwrap_or_default(),
        mtu: attributes.u32(4).unwrap_or_default(),
        below: attributes.u32(5),
        master: attributes.u32(10),
        ..Link::default()
    };
    if let Some(counters) = attributes.get(23) {
        for (number, counter) in link.counters.iter_mut().enumerate() {
            *counter = u64_at(counters, number * 8).unwrap_or_default();
        }
    }
    let info = attributes.get(18).map(Attributes::nested);
    let kind = info.and_then(|info| info.text(1));
    if kind.as_deref() == Some("vlan")
        && let Some(data) = info.and_then(|info| info.get(2)).map(Attributes::nested)
    {
        link.vlan_id = data.get(1).and_then(|id| u16_at(id, 0));
        // The protocol is in network byte order.
        link.vlan_protocol = data.get(5).and_then(|bytes| Some(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?)));
    }
    link.kind = match kind {
        _ if link.flags & LOOPBACK != 0 => "loopback".to_owned(),
        _ if hardware == TYPE_PPP => "ppp".to_owned(),
        Some(kind) => kind,
        None => device_kind(&link.name).to_owned(),
    };
    Some(link)
}

/// Returns the kind of a link that the kernel gives none: a radio, a piece of hardware, or something else.
fn device_kind(name: &str) -> &'static str {
    let has = |file: &str| fs::exists(format!("/sys/class/net/{name}/{file}")).unwrap_or(false);
    if has("phy80211") {
        "wireless"
    } else if has("device") {
        "physical"
    } else {
        "other"
    }
}

/// Returns a MAC address in upper case with colons.
pub(super) fn hardware_address(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (number, byte) in bytes.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}{byte:02X}", if number == 0 { "" } else { ":" });
    }
    text
}

/// Returns the rows of all links; the key is the name.
pub(super) fn rows(links: &[Link]) -> Vec<Row> {
    links.iter().map(|link| link.row(links)).collect()
}

impl Link {
    fn row(&self, links: &[Link]) -> Row {
        let mut row = Row::new(&self.name);
        row.set("name", &self.name);
        row.set("kind", &self.kind);
        row.set("enabled", if self.flags & UP != 0 { "1" } else { "0" });
        row.set("status", self.status());
        row.set("address", &self.address);
        row.set("mtu", self.mtu.to_string());
        let master = self.master.map(|master| super::name_of(links, master)).unwrap_or_default();
        row.set("master", master);
        let lower = self.lower(links);
        // A link of the lowest layer stands for its own hardware.
        row.set("layer", if lower.is_empty() { &self.name } else { &lower });
        row.set("lower", lower);
        for (name, counter) in COUNTERS.iter().zip(self.counters) {
            row.set(name, counter.to_string());
        }
        if let Some(id) = self.vlan_id {
            row.set("vlan_id", id.to_string());
        }
        if let Some(protocol) = self.vlan_protocol {
            row.set("vlan_protocol", protocol.to_string());
        }
        if self.kind == "physical" {
            self.add_medium(&mut row);
        }
        row
    }

    fn status(&self) -> &'static str {
        match STATES.get(usize::from(self.state)) {
            // Drivers without a state of their own, such as that of PPP, tell by the flags.
            Some(&"Unknown") | None if self.flags & UP == 0 => "Down",
            Some(&"Unknown") | None if self.flags & RUNNING != 0 => "Up",
            Some(state) => state,
            None => "Unknown",
        }
    }

    /// Returns the names of the links below: the ports of a bridge or bond, the link of a VLAN.
    fn lower(&self, links: &[Link]) -> String {
        let ports = links.iter().filter(|link| link.master == Some(self.index));
        // The two ends of a veth pair name each other.
        let below = self.below.filter(|below| *below != self.index && self.kind != "veth");
        let below = below.into_iter().filter_map(|below| links.iter().find(|link| link.index == below));
        ports.chain(below).map(|link| link.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Adds what only the driver of an Ethernet port knows.
    fn add_medium(&self, row: &mut Row) {
        let read = |file: &str| fs::read_to_string(format!("/sys/class/net/{}/{file}", self.name)).ok();
        // A port without a cable has the speed -1, or none.
        if let Some(speed) = read("speed").and_then(|speed| speed.trim().parse::<u32>().ok()) {
            row.set("bit_rate", speed.to_string());
        }
        match read("duplex").as_deref().map(str::trim) {
            Some("full") => row.set("duplex", "Full"),
            Some("half") => row.set("duplex", "Half"),
            _ => {}
        }
    }
}
