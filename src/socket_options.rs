//! Options of the sockets of a test: the interface, and the marks of its packets.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt::BindToDevice, sockopt::Priority};
use rustix::io::Errno;
use rustix::net::{netdevice, sockopt};

/// The options of a socket. The default leaves everything to the system and costs no system call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// The names by which the kernel may know the interface over which all packets go, the likeliest first; empty leaves
    /// the interface to the routes.
    pub devices: Vec<String>,
    /// The version of IP, if only one may be used.
    pub version: Option<IpVersion>,
    /// The DiffServ code point, 0 to 63.
    pub dscp: u8,
    /// The priority of the frames of Ethernet, 0 to 7, as far as the interface below maps that of the socket to it.
    pub priority: u8,
}

/// A version of the Internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpVersion {
    /// Returns true if the address is one of this version.
    pub fn has(self, address: std::net::IpAddr) -> bool {
        address.is_ipv4() == (self == IpVersion::V4)
    }
}

impl SocketOptions {
    /// Returns true if an address may be used.
    pub fn allows(&self, address: std::net::IpAddr) -> bool {
        self.version.is_none_or(|version| version.has(address))
    }

    /// Returns the first interface that the kernel knows; `None` if the options name no interface.
    ///
    /// # Errors
    /// The kernel knows none of the names.
    pub fn device(&self, socket: impl AsFd) -> io::Result<Option<&str>> {
        let known = |name: &&String| netdevice::name_to_index(socket.as_fd(), name).is_ok();
        match self.devices.iter().find(known) {
            None if !self.devices.is_empty() => Err(Errno::NODEV.into()),
            found => Ok(found.map(String::as_str)),
        }
    }

    /// Sets the options of a socket before its first packet.
    ///
    /// # Errors
    /// The interface does not exist, or the process lacks the right to a high priority.
    pub fn apply(&self, socket: impl AsFd, is_ipv4: bool) -> io::Result<()> {
        let socket = &socket.as_fd();
        if let Some(device) = self.device(socket)? {
            setsockopt(socket, BindToDevice, &OsString::from(device))?;
        }
        if self.dscp > 0 {
            let class = self.dscp << 2; // the lower bits are those of ECN
            match is_ipv4 {
                true => sockopt::set_ip_tos(socket, class)?,
                false => sockopt::set_ipv6_tclass(socket, class.into())?,
            }
        }
        // Behind the code point, from which the kernel derives another priority.
        if self.priority > 0 {
            setsockopt(socket, Priority, &i32::from(self.priority))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use nix::sys::socket::getsockopt;

    use super::*;

    #[test]
    fn the_kernel_takes_the_marks() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(address) else { continue };
            let options = SocketOptions { dscp: 46, priority: 5, ..SocketOptions::default() };
            let is_ipv4 = address.starts_with('1');
            options.apply(&socket, is_ipv4).expect("the options");
            let class = if is_ipv4 { sockopt::ip_tos(&socket).map(u32::from) } else { sockopt::ipv6_tclass(&socket) };
            assert_eq!((class, getsockopt(&socket, Priority)), (Ok(46 << 2), Ok(5)));
        }
    }

    #[test]
    fn an_unknown_interface_is_an_error() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let options = SocketOptions { devices: vec!["no-such-link".into()], ..SocketOptions::default() };
        assert!(options.apply(&socket, true).is_err());
        assert!(SocketOptions::default().apply(&socket, true).is_ok());
    }
}
