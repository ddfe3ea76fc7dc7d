//! Sockets with the options of a test: the interface, and the DSCP.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use nix::sys::socket::{setsockopt, sockopt::BindToDevice};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, SocketFlags, SocketType, connect, getsockname, netdevice, socket_with, sockopt,
};

use super::{Failure, Order};

/// The options of the sockets of a test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The names by which the kernel may know the interface, the likeliest first; empty for the choice of the routes.
    pub(crate) devices: Vec<String>,
    /// The DiffServ code point, from 0 to 63.
    pub(crate) dscp: u8,
}

impl Options {
    /// Reads the inputs DSCP and Interface.
    pub(crate) fn of(order: &Order) -> Options {
        let dscp = order.number("DSCP", 0).min(63);
        Options { devices: order.devices.clone(), dscp: dscp as u8 } // at most 63
    }

    /// Opens a socket that does not block.
    ///
    /// # Errors
    /// The refusal of the kernel.
    pub(crate) fn open(&self, to: IpAddr, kind: SocketType, protocol: Option<Protocol>) -> Result<OwnedFd, Errno> {
        let family = if to.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, protocol)?;
        if self.dscp != 0 {
            // The code point is the upper part of the byte; the lower two bits are those of ECN.
            match to {
                IpAddr::V4(_) => sockopt::set_ip_tos(&socket, self.dscp << 2)?,
                IpAddr::V6(_) => sockopt::set_ipv6_tclass(&socket, u32::from(self.dscp) << 2)?,
            }
        }
        if !self.devices.is_empty() {
            let known = |name: &&String| netdevice::name_to_index(&socket, name).is_ok();
            let device = self.devices.iter().find(known).ok_or(Errno::NODEV)?;
            setsockopt(&socket, BindToDevice, &OsString::from(device))
                .map_err(|error| Errno::from_raw_os_error(error as i32))?;
        }
        Ok(socket)
    }

    /// Returns the failure to open a socket.
    pub(crate) fn failure(&self, error: Errno) -> Failure {
        match error {
            Errno::NODEV => Failure::other(format!("the kernel has no interface {}", self.devices.join(" or "))),
            Errno::ACCESS | Errno::PERM => {
                Failure::other("the agent may not open such a socket: it does not run as root")
            }
            error => Failure::internal(format!("no socket: {error}")),
        }
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
