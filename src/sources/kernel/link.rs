//! The provider `link`: the network interfaces of the kernel.

use std::fs;

use super::address::INET6;
use super::netlink::{AttributeList, Dumps, messages, u16_at, u32_at, u64_at};
use crate::model::source::Row;
use crate::model::source::provider::LinkState;

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

/// The words of TR-181 for the states of a port of a bridge, by the numbers of the kernel.
const PORT_STATES: [&str; 5] = ["Disabled", "Listening", "Learning", "Forwarding", "Blocking"];

/// DEVCONF_DISABLE_IPV6 of `linux/ipv6.h`.
const DISABLE_IPV6: usize = 26;

/// A network interface.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) kind: String,
    flags: u32,
    state: u8,
    pub(super) address: String,
    mtu: u32,
    /// The index of the link below, such as that of a VLAN.
    below: Option<u32>,
    /// The index of the bridge or bond to which the link belongs.
    master: Option<u32>,
    /// True if a default route leads over the link, or over one above it.
    pub(super) upstream: bool,
    /// The seconds since the agent saw the state first.
    pub(super) last_change: u64,
    /// True with IPv6, false where it is disabled; `None` in a kernel without IPv6.
    ipv6: Option<bool>,
    /// The values that only a VLAN, a bridge, or a port of a bridge has, by the names of the fields.
    special: Vec<(&'static str, String)>,
    counters: [u64; COUNTERS.len()],
}

/// Returns all links.
pub(super) fn dump(dumps: &mut Dumps) -> Result<Vec<Link>, String> {
    // Not kept beside the links: it is longer than they are.
    let answer = dumps.read(GET, 0, FIXED)?;
    Ok(messages(&answer, NEW, FIXED).filter_map(|message| read(message.fixed, message.attributes)).collect())
}

/// Returns the states of links that messages of the kernel tell.
pub(super) fn states(bytes: &[u8]) -> Vec<LinkState> {
    let state = |fixed: &[u8], attributes: AttributeList<'_>| {
        let state = attributes.get(16)?.first().copied()?;
        let link = Link { flags: u32_at(fixed, 8)?, state, ..Link::default() };
        Some(LinkState { link: attributes.text(3)?, status: link.status() })
    };
    messages(bytes, NEW, FIXED).filter_map(|message| state(message.fixed, message.attributes)).collect()
}

fn read(fixed: &[u8], attributes: AttributeList<'_>) -> Option<Link> {
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
    // IFLA_AF_SPEC, in it AF_INET6, in it IFLA_INET6_CONF: a list of numbers, one of which is DEVCONF_DISABLE_IPV6.
    let settings = attributes.get(26).map(AttributeList::nested).and_then(|families| families.get(INET6.into()));
    let settings = settings.map(AttributeList::nested).and_then(|family| family.get(2));
    link.ipv6 = settings.and_then(|settings| u32_at(settings, DISABLE_IPV6 * 4)).map(|disabled| disabled == 0);
    let info = attributes.get(18).map(AttributeList::nested);
    let kind = info.and_then(|info| info.text(1));
    if let Some(info) = info {
        add_special(&mut link.special, kind.as_deref(), info);
    }
    link.kind = match kind {
        _ if link.flags & LOOPBACK != 0 => "loopback".to_owned(),
        _ if hardware == TYPE_PPP => "ppp".to_owned(),
        Some(kind) => kind,
        None => device_kind(&link.name).to_owned(),
    };
    Some(link)
}

/// Adds the values of a VLAN, of a bridge, or of a port of a bridge, from IFLA_LINKINFO.
fn add_special(special: &mut Vec<(&'static str, String)>, kind: Option<&str>, info: AttributeList<'_>) {
    let mut add = |name, number: Option<u32>| special.extend(number.map(|number| (name, number.to_string())));
    let short =
        |attributes: AttributeList<'_>, kind| attributes.get(kind).and_then(|bytes| u16_at(bytes, 0)).map(u32::from);
    match (kind, info.get(2).map(AttributeList::nested)) {
        (Some("vlan"), Some(data)) => {
            add("vlan_id", short(data, 1));
            // The protocol is in network byte order.
            add("vlan_protocol", short(data, 5).map(|protocol| u16::from_be(protocol as u16).into()));
        }
        (Some("bridge"), Some(data)) => {
            // The kernel counts times in hundredths of a second, as TR-181 does for two of them.
            add("forward_delay", data.u32(1).map(|time| time / 100));
            add("hello_time", data.u32(2));
            add("max_age", data.u32(3));
            add("aging", data.u32(4).map(|time| time / 100));
            add("stp", data.u32(5).map(|stp| u32::from(stp != 0)));
            add("bridge_priority", short(data, 6));
        }
        _ => {}
    }
    if info.text(4).as_deref() == Some("bridge")
        && let Some(port) = info.get(5).map(AttributeList::nested)
    {
        add("port_priority", short(port, 2));
        add("path_cost", port.u32(3));
        let state = port.get(1).and_then(|state| PORT_STATES.get(usize::from(*state.first()?)));
        special.extend(state.map(|state| ("port_state", (*state).to_owned())));
    }
}

/// Marks the links over which a default route leads, and all links below them.
pub(super) fn mark_upstream(links: &mut [Link], uplinks: &[String]) {
    let is_uplink = |link: &Link| uplinks.contains(&link.name);
    let mut open: Vec<u32> = links.iter().filter(|link| is_uplink(link)).map(|link| link.index).collect();
    while let Some(index) = open.pop() {
        let Some(at) = links.iter().position(|link| link.index == index && !link.upstream) else { continue };
        links[at].upstream = true;
        open.extend(links.iter().filter(|link| link.master == Some(index)).map(|link| link.index));
        open.extend(links[at].below().into_iter().filter(|below| links.iter().any(|link| link.index == *below)));
    }
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
    let mut text = String::with_capacity(3 * bytes.len());
    for byte in bytes {
        // Digit by digit: the formats of std cost ten times as much, and each neighbour has an address.
        let digits = [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)]));
        text.extend([':'].into_iter().skip(usize::from(text.is_empty())).chain(digits));
    }
    text
}

/// Returns the rows of all links; the key is the name.
pub(super) fn rows(links: &[Link]) -> Vec<Row> {
    links.iter().map(|link| link.row(links)).collect()
}

/// Returns the counters of several links together; `names` have spaces between them.
pub(super) fn sum(links: &[Link], names: &str) -> Row {
    let mut row = Row::default();
    for (at, counter) in COUNTERS.iter().enumerate() {
        let counted = links.iter().filter(|link| names.split(' ').any(|name| name == link.name));
        let total = counted.fold(0, |total: u64, link| total.wrapping_add(link.counters[at]));
        row.set_number(counter, total);
    }
    row
}

impl Link {
    pub(super) fn row(&self, links: &[Link]) -> Row {
        let mut row = Row::new(&self.name);
        row.set("name", &self.name);
        row.set("kind", &self.kind);
        row.set("enabled", if self.flags & UP != 0 { "1" } else { "0" });
        row.set("status", self.status());
        row.set_number("last_change", self.last_change);
        row.set("address", &self.address);
        // TR-181 has no greater number for the loopback device, which has 65536.
        row.set_number("mtu", self.mtu.min(u16::MAX.into()).into());
        let master = self.master.map(|master| super::name_of(links, master)).unwrap_or_default();
        row.set("master", master);
        let lower = self.lower(links);
        // A link of the lowest layer stands for its own hardware.
        row.set("layer", if lower.is_empty() { &self.name } else { &lower });
        row.set("lower", lower);
        for (name, counter) in COUNTERS.iter().zip(self.counters) {
            row.set_number(name, counter);
        }
        for (name, text) in &self.special {
            row.set(*name, text);
        }
        row.set("upstream", if self.upstream { "1" } else { "0" });
        if let Some(ipv6) = self.ipv6 {
            row.set("ipv6", if ipv6 { "1" } else { "0" });
        }
        if self.kind == "physical" {
            self.add_medium(&mut row);
        }
        row
    }

    pub(super) fn status(&self) -> &'static str {
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
        let below = self.below().into_iter().filter_map(|below| links.iter().find(|link| link.index == below));
        ports.chain(below).map(|link| link.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Returns the index of the link below. The two ends of a veth pair name each other, and neither is below.
    fn below(&self) -> Option<u32> {
        self.below.filter(|below| *below != self.index && self.kind != "veth")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, kind: &str) -> Link {
        Link { index, name: name.to_owned(), kind: kind.to_owned(), ..Link::default() }
    }

    fn upstream(mut links: Vec<Link>, uplink: &str) -> Vec<String> {
        mark_upstream(&mut links, &[uplink.to_owned()]);
        links.into_iter().filter(|link| link.upstream).map(|link| link.name).collect()
    }

    #[test]
    fn all_links_below_an_uplink_are_upstream() {
        let wan = link(1, "eth0", "physical");
        let vlan = Link { below: Some(1), ..link(2, "eth0.7", "vlan") };
        let other = Link { below: Some(1), ..link(3, "eth0.8", "vlan") };
        assert_eq!(upstream(vec![wan, vlan, other], "eth0.7"), ["eth0", "eth0.7"]);
        let port = |index, name| Link { master: Some(1), ..link(index, name, "physical") };
        assert_eq!(
            upstream(vec![link(1, "br0", "bridge"), port(2, "a"), link(3, "b", "physical")], "br0"),
            ["br0", "a"]
        );
        // Both ends of a pair, and a circle that no kernel has.
        let pair =
            vec![Link { below: Some(2), ..link(1, "wan", "veth") }, Link { below: Some(1), ..link(2, "isp", "veth") }];
        assert_eq!(upstream(pair, "wan"), ["wan"]);
        let circle =
            vec![Link { below: Some(2), ..link(1, "a", "vlan") }, Link { below: Some(1), ..link(2, "b", "vlan") }];
        assert_eq!(upstream(circle, "a"), ["a", "b"]);
    }

    #[test]
    fn counters_of_several_links_are_added() {
        let counting = |name: &str, count| Link { counters: [count; COUNTERS.len()], ..link(1, name, "wireless") };
        let links = [counting("phy0-ap0", 5), counting("phy0-ap1", 7), counting("phy1-ap0", 100)];
        let sent = |names: &str| sum(&links, names).get("tx_bytes").map(str::to_owned);
        assert_eq!(sent("phy0-ap0 phy0-ap1 gone").as_deref(), Some("12"));
        assert_eq!(sent("").as_deref(), Some("0"));
    }

    /// Appends an attribute.
    fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
        let mut bytes = ((content.len() + 4) as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn bridges_and_their_ports_have_values_of_their_own() {
        let fixed = [0, 0, 1, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        let bridge = [attribute(4, &30_000u32.to_ne_bytes()), attribute(5, &0u32.to_ne_bytes())].concat();
        let port = [attribute(1, &[3]), attribute(3, &2u32.to_ne_bytes())].concat();
        let info = [attribute(1, b"bridge\0"), attribute(2, &bridge), attribute(4, b"bridge\0"), attribute(5, &port)];
        let mut settings = vec![0; 4 * 30];
        settings[4 * DISABLE_IPV6] = 1;
        let family = attribute(INET6.into(), &attribute(2, &settings));
        let all = [attribute(3, b"br0\0"), attribute(18, &info.concat()), attribute(26, &family)].concat();
        let row = read(&fixed, AttributeList::nested(&all)).expect("a link").row(&[]);
        let fields = ["kind", "aging", "stp", "port_state", "path_cost", "ipv6", "upstream"];
        let found = fields.map(|field| row.get(field).unwrap_or("none"));
        assert_eq!(found, ["bridge", "300", "0", "Forwarding", "2", "0", "0"]);
        for end in 0..all.len() {
            let _ = read(&fixed, AttributeList::nested(&all[..end]));
        }
    }
}
