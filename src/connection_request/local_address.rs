//! The address of this device on the route to a server, and the events after which it may be another one (R284).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::net::RecvFlags;

/// Reads and discards the messages of a netlink socket, which would stay readable otherwise.
pub(super) fn drain(watch: &OwnedFd) {
    // A message longer than the buffer is cut off, which does no harm to a message that is discarded.
    let mut buffer = [0; 256];
    loop {
        match rustix::net::recv(watch, &mut buffer, RecvFlags::empty()) {
            // NOBUFS reports that messages were lost. The caller looks the address up in any case.
            Ok(_) | Err(rustix::io::Errno::INTR | rustix::io::Errno::NOBUFS) => {}
            Err(_) => return,
        }
    }
}

/// Returns the address at which `destination` reaches a socket that is bound to `bound`. The address is unspecified if
/// there is no route. Sends nothing.
pub(super) fn reachable_addr(bound: SocketAddr, destination: SocketAddr) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    SocketAddr::new(local_addr_towards(destination).unwrap_or(bound.ip()), bound.port())
}

/// Returns the address of this device on the route to `destination`; `None` if there is no route. Sends nothing.
pub(crate) fn local_addr_towards(destination: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if destination.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // To connect a UDP socket only asks the routing table, without a datagram.
    socket.connect(destination).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Returns a destination behind the default route, for the time before a server is known: an address for documentation,
/// which belongs to no host (RFC 5737, RFC 3849).
pub(super) fn placeholder_addr(bound: SocketAddr) -> SocketAddr {
    let address: IpAddr = match bound {
        SocketAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        SocketAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    SocketAddr::new(address, 9)
}

/// Returns true if a socket that is bound to `bound` can send to the address family of `destination`.
pub(super) fn same_family(bound: SocketAddr, destination: SocketAddr) -> bool {
    // A socket at `[::]` also serves IPv4, as IPv4-mapped IPv6.
    let is_dual = bound.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    is_dual || bound.ip().to_canonical().is_ipv4() == destination.ip().to_canonical().is_ipv4()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_way_decides_which_address_is_ours() {
        let to_loopback = address("127.0.0.9:3478");
        assert_eq!(reachable_addr(address("0.0.0.0:7547"), to_loopback), address("127.0.0.1:7547"));
        assert_eq!(reachable_addr(address("[::]:7547"), to_loopback), address("127.0.0.1:7547"));
        assert_eq!(reachable_addr(address("127.0.0.3:7547"), to_loopback), address("127.0.0.3:7547"));
        // The kernel refuses to connect to the broadcast address without SO_BROADCAST.
        assert_eq!(reachable_addr(address("0.0.0.0:7547"), address("255.255.255.255:1")), address("0.0.0.0:7547"));
    }

    #[test]
    fn families_that_do_not_meet() {
        let (v4, v6) = (address("192.0.2.1:1"), address("[2001:db8::1]:1"));
        assert!(same_family(address("0.0.0.0:1"), v4) && !same_family(address("0.0.0.0:1"), v6));
        assert!(same_family(address("[::]:1"), v4) && same_family(address("[::]:1"), v6));
        assert!(!same_family(address("[::1]:1"), v4));
    }

    #[test]
    fn nothing_to_read_does_not_block() {
        if let Ok(watch) = crate::change_watch::netlink() {
            drain(&watch);
        }
    }
}
