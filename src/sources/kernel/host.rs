//! The provider `host`: the devices of the LAN, put together from the neighbours of the kernel, the forwarding tables of its
//! bridges, and the leases of dnsmasq.

use std::net::IpAddr;

use super::address::ip_address;
use super::lease::Lease;
use super::link::{Link, hardware_address};
use super::netlink::{Dumps, messages, u16_at, u32_at};
use super::states::States;
use crate::clock::Now;
use crate::model::source::Row;

/// RTM_GETNEIGH and RTM_NEWNEIGH, and the length of `struct ndmsg`.
const GET: u16 = 30;
const NEW: u16 = 28;
const FIXED: usize = 12;

/// AF_BRIDGE: the forwarding tables in place of the neighbours.
const BRIDGE: u8 = 7;

/// NUD_INCOMPLETE and NUD_FAILED: a neighbour that has not answered. NUD_NOARP: a multicast address, for example.
const UNKNOWN: u16 = 0x01 | 0x20 | 0x40;

/// NUD_REACHABLE, NUD_DELAY and NUD_PROBE: a neighbour that has answered lately, or is being asked.
const ACTIVE: u16 = 0x02 | 0x08 | 0x10;

/// NTF_SELF with NUD_PERMANENT: an own address of the bridge.
const PERMANENT: u16 = 0x80;

/// The most hosts; a table takes fewer still.
const MAX_HOSTS: usize = 4096;

/// A device of the LAN.
#[derive(Default)]
struct LanHost {
    addresses: Vec<IpAddr>,
    active: bool,
    device: String,
    port: String,
    name: String,
    /// The end of the lease in seconds since the Unix epoch; 0 for one without end.
    lease: Option<i64>,
}

/// Returns the rows of all hosts; the key is the MAC address.
pub(super) fn rows(
    links: &[Link],
    dumps: &mut Dumps,
    leases: &[Lease],
    states: &mut States,
    now: Now,
) -> Result<Vec<Row>, String> {
    let hosts = hosts(links, dumps, leases)?.0;
    let present = hosts.iter().map(|(mac, host)| (mac.as_str(), if host.active { "active" } else { "" }));
    let ages = states.note(present, now.monotonic);
    let row = |((mac, host), age): (&(String, LanHost), u64)| {
        let mut row = row(mac, host, links, now.wall);
        row.set("changed", now.wall.saturating_sub_unsigned(age).to_string());
        row
    };
    Ok(hosts.iter().zip(ages).map(row).collect())
}

/// Returns the addresses of all hosts; the key is the address.
pub(super) fn address_rows(links: &[Link], dumps: &mut Dumps, leases: &[Lease]) -> Result<Vec<Row>, String> {
    let hosts = hosts(links, dumps, leases)?;
    let addresses = hosts.0.iter().flat_map(|(mac, host)| host.addresses.iter().map(move |address| (mac, address)));
    let row = |(mac, address): (&String, &IpAddr)| {
        let mut row = Row::new(address.to_string());
        row.set("host", mac);
        row.set("address", address.to_string());
        row.set("family", if address.is_ipv4() { "4" } else { "6" });
        row
    };
    Ok(addresses.map(row).collect())
}

/// The hosts in the order of their MAC addresses.
#[derive(Default)]
struct Hosts(Vec<(String, LanHost)>);

impl Hosts {
    fn get_mut(&mut self, mac: &str) -> Option<&mut LanHost> {
        self.place(mac).ok().map(|at| &mut self.0[at].1)
    }

    /// Returns the host with this MAC address, and adds it if it is not known.
    fn add(&mut self, mac: String) -> &mut LanHost {
        let at = self.place(&mac).unwrap_or_else(|at| {
            self.0.insert(at, (mac, LanHost::default()));
            at
        });
        &mut self.0[at].1
    }

    fn place(&self, mac: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(mac))
    }
}

fn hosts(links: &[Link], dumps: &mut Dumps, leases: &[Lease]) -> Result<Hosts, String> {
    let mut hosts = Hosts::default();
    add_neighbours(&mut hosts, dumps.get(GET, 0, FIXED)?, links);
    if links.iter().any(|link| link.kind == "bridge") {
        add_ports(&mut hosts, dumps.get(GET, BRIDGE, FIXED).unwrap_or_default(), links);
    }
    add_leases(&mut hosts, leases);
    Ok(hosts)
}

/// Adds the neighbours on all links but those that lead to the Internet.
fn add_neighbours(hosts: &mut Hosts, answer: &[u8], links: &[Link]) {
    for message in messages(answer, NEW, FIXED) {
        let (Some(index), Some(state)) = (u32_at(message.fixed, 4), u16_at(message.fixed, 8)) else { continue };
        let Some(device) = links.iter().find(|link| link.index == index) else { continue };
        let (Some(family), Some(mac)) = (message.fixed.first(), message.attributes.get(2)) else { continue };
        let Some(address) = message.attributes.get(1).and_then(|bytes| ip_address(*family, bytes)) else { continue };
        let is_host = state & UNKNOWN == 0 && mac.len() == 6 && mac.iter().any(|byte| *byte != 0);
        if !is_host || device.upstream || hosts.0.len() >= MAX_HOSTS {
            continue;
        }
        let host = hosts.add(hardware_address(mac));
        host.addresses.push(address);
        host.active |= state & ACTIVE != 0;
        host.device.clone_from(&device.name);
    }
}

/// Adds the port of the bridge behind which each host is.
fn add_ports(hosts: &mut Hosts, answer: &[u8], links: &[Link]) {
    for message in messages(answer, NEW, FIXED) {
        let (Some(index), Some(state)) = (u32_at(message.fixed, 4), u16_at(message.fixed, 8)) else { continue };
        let mac = message.attributes.get(2).map(hardware_address).unwrap_or_default();
        if state & PERMANENT == 0
            && let Some(host) = hosts.get_mut(&mac)
        {
            host.port = super::name_of(links, index).to_owned();
        }
    }
}

/// Adds the addresses and names of the leases.
fn add_leases(hosts: &mut Hosts, leases: &[Lease]) {
    for lease in leases.iter().take(MAX_HOSTS) {
        let host = hosts.add(lease.mac.clone());
        if !host.addresses.contains(&lease.address) {
            host.addresses.push(lease.address);
        }
        host.lease = Some(lease.end);
        if !lease.name.is_empty() {
            host.name.clone_from(&lease.name);
        }
    }
}

fn row(mac: &str, host: &LanHost, links: &[Link], wall: i64) -> Row {
    let list = |is_wanted: fn(&IpAddr) -> bool| {
        host.addresses.iter().filter(|address| is_wanted(address)).map(IpAddr::to_string).collect::<Vec<_>>()
    };
    let (of_4, of_6) = (list(IpAddr::is_ipv4), list(IpAddr::is_ipv6));
    let mut row = Row::new(mac);
    row.set("mac", mac);
    row.set("address", of_4.first().or(of_6.first()).cloned().unwrap_or_default());
    row.set("addresses4", of_4.join(" "));
    row.set("addresses6", of_6.join(" "));
    row.set("name", host.name.as_str());
    row.set("active", if host.active { "1" } else { "0" });
    row.set("device", host.device.as_str());
    row.set("port", host.port.as_str());
    let nearest = if host.port.is_empty() { &host.device } else { &host.port };
    row.set("kind", links.iter().find(|link| link.name == *nearest).map_or("", |link| &link.kind));
    if let Some(end) = host.lease {
        // The seconds that remain; -1 for a lease without end.
        row.set("lease", if end == 0 { -1 } else { end.saturating_sub(wall).max(0) }.to_string());
    }
    row.set("source", if host.lease.is_some() { "DHCP" } else { "None" });
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_name_hosts() {
        let mut hosts = Hosts::default();
        let text = "1795363600 aa:bb:cc:dd:ee:0f 192.168.1.5 phone 01:aa\n0 aa:bb:cc:dd:ee:10 192.168.1.6 * *\n\
                    1795363600 12345 fd00::5 phone 00:01\nbroken\n\n";
        add_leases(&mut hosts, &super::super::lease::parse(text));
        assert_eq!(hosts.0.len(), 2);
        let rows: Vec<Row> = hosts.0.iter().map(|(mac, host)| row(mac, host, &[], 1_795_360_000)).collect();
        assert_eq!(rows[0].key, "AA:BB:CC:DD:EE:0F");
        assert_eq!((rows[0].get("lease"), rows[0].get("name")), (Some("3600"), Some("phone")));
        assert_eq!((rows[1].get("lease"), rows[1].get("name")), (Some("-1"), Some("")));
        assert_eq!((rows[0].get("source"), rows[0].get("active")), (Some("DHCP"), Some("0")));
    }
}
