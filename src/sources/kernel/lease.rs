//! The provider `lease`: the addresses that dnsmasq has leased.

use std::net::IpAddr;

use crate::model::source::Row;
use crate::sources::read_text;

/// The files in which dnsmasq keeps its leases: on OpenWrt, and elsewhere.
pub(super) const FILES: [&str; 2] = ["/tmp/dhcp.leases", "/var/lib/misc/dnsmasq.leases"];

/// The most leases; a table takes fewer still.
const MAX_LEASES: usize = 4096;

/// An address that a device of the LAN has for a time.
#[derive(Debug)]
pub(super) struct Lease {
    /// In upper case with colons.
    pub(super) mac: String,
    pub(super) address: IpAddr,
    /// The name that the device gave; empty without one.
    pub(super) name: String,
    /// The end in seconds since the Unix epoch; 0 for a lease without end.
    pub(super) end: i64,
}

/// Reads the leases. A device without DHCP server has no such file, and no lease.
pub(super) fn read() -> Vec<Lease> {
    FILES.iter().filter_map(|file| read_text(file).ok()).flat_map(|text| parse(&text)).collect()
}

/// Reads leases in the form of dnsmasq: end, MAC address, IP address, name and client id.
pub(super) fn parse(text: &str) -> Vec<Lease> {
    text.lines().filter_map(lease).take(MAX_LEASES).collect()
}

fn lease(line: &str) -> Option<Lease> {
    let mut words = line.split_whitespace();
    let (end, mac) = (words.next()?.parse().ok()?, words.next()?);
    let (address, name) = (words.next()?.parse().ok()?, words.next()?);
    // The leases of IPv6 have a number of the client in the place of the MAC address.
    let is_mac = mac.split(':').count() == 6 && mac.len() == 17;
    let name = if name == "*" { String::new() } else { name.to_owned() };
    is_mac.then(|| Lease { mac: mac.to_ascii_uppercase(), address, name, end })
}

/// Returns the rows of the leases that have not ended; the key is the MAC address. `link_of` returns the name of the link whose
/// network has an address.
pub(super) fn rows<'l>(leases: &[Lease], wall: i64, link_of: impl Fn(IpAddr) -> &'l str) -> Vec<Row> {
    let row = |lease: &Lease| {
        let mut row = Row::new(&lease.mac);
        row.set("mac", &lease.mac);
        row.set("address", lease.address.to_string());
        row.set("name", &lease.name);
        row.set("device", link_of(lease.address));
        row.set("end", if lease.end == 0 { super::address::NO_END } else { lease.end }.to_string());
        row
    };
    leases.iter().filter(|lease| lease.end == 0 || lease.end > wall).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_a_row_until_it_ends() {
        let text = "1795363600 aa:bb:cc:dd:ee:0f 192.168.1.5 phone 01:aa\n0 aa:bb:cc:dd:ee:10 192.168.1.6 * *\n\
                    1795359999 aa:bb:cc:dd:ee:11 192.168.1.7 gone *\n1795363600 12345 fd00::5 phone 00:01\nbroken\n\n";
        let link_of = |address: IpAddr| if address.to_string().ends_with(".5") { "br-lan" } else { "br-guest" };
        let rows = rows(&parse(text), 1_795_360_000, link_of);
        let found: Vec<_> =
            rows.iter().map(|row| ["mac", "address", "name", "device", "end"].map(|f| row.get(f))).collect();
        assert_eq!(
            found,
            [
                ["AA:BB:CC:DD:EE:0F", "192.168.1.5", "phone", "br-lan", "1795363600"].map(Some),
                ["AA:BB:CC:DD:EE:10", "192.168.1.6", "", "br-guest", "253402300799"].map(Some),
            ]
        );
    }
}
