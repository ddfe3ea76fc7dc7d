//! Sockets with the options of a test: the interface, and the DSCP.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery};
use rustix::net::{
    AddressFamily, Protocol, SendFlags, SocketFlags, SocketType, connect, getsockname, send, socket_with,
};

use super::{Failure, Order};
use crate::socket_options::SocketOptions;

/// Reads the inputs DSCP and Interface.
pub(crate) fn options(order: &Order) -> SocketOptions {
    let dscp = order.number("DSCP", 0).min(63) as u8; // at most 63
    SocketOptions { devices: order.devices.clone(), dscp, ..SocketOptions::default() }
}

/// Opens a socket that does not block.
///
/// # Errors
/// The refusal of the kernel.
pub(crate) fn open(
    options: &SocketOptions,
    to: IpAddr,
    kind: SocketType,
    protocol: Option<Protocol>,
) -> Result<OwnedFd, Errno> {
    let family = if to.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, protocol)?;
    if to.is_ipv4() {
        // A router with a smaller MTU passes a packet on in pieces: the host is the question, not the MTU.
        sockopt::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DONT)?;
    }
    options.apply(&socket, to.is_ipv4()).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(socket)
}

/// Returns the failure to open a socket.
pub(crate) fn failure(options: &SocketOptions, error: Errno) -> Failure {
    match error {
        Errno::NODEV => Failure::other(format!("the kernel has no interface {}", options.devices.join(" or "))),
        Errno::ACCESS | Errno::PERM => Failure::other("the agent may not open such a socket: it does not run as root"),
        error => Failure::internal(format!("no socket: {error}")),
    }
}

/// Connects a socket, so that it gets the packets and errors of this address alone. Returns the address of the device towards it.
///
/// # Errors
/// No route leads to the address.
pub(crate) fn connect_to(socket: &OwnedFd, to: SocketAddr) -> Result<IpAddr, Failure> {
    connect(socket, &to).map_err(|error| match is_unreachable(error) {
        true => Failure::of("Error_NoRouteToHost", format!("no route leads to {}: {error}", to.ip())),
        false => Failure::other(format!("{}: {error}", to.ip())),
    })?;
    let local = getsockname(socket).ok().and_then(|address| SocketAddr::try_from(address).ok());
    Ok(local.map_or(to.ip(), |local| local.ip()))
}

/// Sends a packet over a connected socket. Returns false if it is lost at once, because no route leads to the host.
///
/// # Errors
/// The kernel cannot send such a packet at all.
pub(crate) fn transmit(socket: &OwnedFd, packet: &[u8]) -> Result<bool, Failure> {
    // The kernel reports an error of an earlier packet first, such as a limit of a router: the second attempt tells whether this
    // packet can be sent.
    let attempt = || send(socket, packet, SendFlags::NOSIGNAL);
    match attempt().or_else(|_| attempt()) {
        Ok(_) => Ok(true),
        Err(Errno::MSGSIZE | Errno::INVAL) => Err(Failure::other(format!("{} bytes are too many", packet.len()))),
        Err(error) if is_unreachable(error) || matches!(error, Errno::CONNREFUSED | Errno::NOBUFS) => Ok(false),
        Err(error) => Err(Failure::internal(format!("no packet can be sent: {error}"))),
    }
}

/// Returns true for the errors of a send or of a connect that mean: no route leads to the host.
pub(crate) fn is_unreachable(error: Errno) -> bool {
    matches!(error, Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::ADDRNOTAVAIL)
}
