//! Sockets with the options of a test: the interface, and the DSCP.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, connect, getsockname, socket_with};

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

/// Returns true for the errors of a send or of a connect that mean: no route leads to the host.
pub(crate) fn is_unreachable(error: Errno) -> bool {
    matches!(error, Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::ADDRNOTAVAIL)
}
