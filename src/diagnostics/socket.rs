//! Sockets with the options of a test: the interface, and the DSCP.

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns};
use nix::sys::time::TimeSpec;
use rustix::io::Errno;
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery};
use rustix::net::{
    AddressFamily, Protocol, SendFlags, SocketFlags, SocketType, connect, getsockname, send, socket_with,
};

use super::clock::{now, since_epoch};
use super::{Failure, Order};
use crate::readiness::{PollFlags, wait};
use crate::socket_options::SocketOptions;

/// The longest wait between two looks at the stop flag.
pub(super) const LOOK: Duration = Duration::from_millis(200);

/// Reads the inputs DSCP, Interface and ProtocolVersion.
pub(crate) fn options(order: &Order) -> SocketOptions {
    let dscp = order.number("DSCP", 0).min(63) as u8; // at most 63
    SocketOptions { devices: order.devices.clone(), version: order.version(), dscp, ..SocketOptions::default() }
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
pub(crate) fn failure(options: &SocketOptions, error: Errno) -> Box<Failure> {
    match error {
        Errno::NODEV => Failure::other(format_args!("the kernel has no interface {}", options.devices.join(" or "))),
        Errno::ACCESS | Errno::PERM => {
            Failure::other(format_args!("the agent may not open such a socket: it does not run as root"))
        }
        error => Failure::internal(format_args!("no socket: {error}")),
    }
}

/// Connects a socket, so that it gets the packets and errors of this address alone. Returns the address of the device towards it.
///
/// # Errors
/// No route leads to the address.
pub(crate) fn connect_to(socket: &OwnedFd, to: SocketAddr) -> Result<IpAddr, Box<Failure>> {
    connect(socket, &to).map_err(|error| match is_unreachable(error) {
        true => Failure::of("Error_NoRouteToHost", format_args!("no route leads to {}: {error}", to.ip())),
        false => Failure::other(format_args!("{}: {error}", to.ip())),
    })?;
    let local = getsockname(socket).ok().and_then(|address| SocketAddr::try_from(address).ok());
    Ok(local.map_or(to.ip(), |local| local.ip()))
}

/// Sends a packet over a connected socket. Returns false if it is lost at once, because no route leads to the host.
///
/// # Errors
/// The kernel cannot send such a packet at all.
pub(crate) fn transmit(socket: &OwnedFd, packet: &[u8]) -> Result<bool, Box<Failure>> {
    // The kernel reports an error of an earlier packet first, such as a limit of a router: the second attempt tells whether this
    // packet can be sent.
    let attempt = || send(socket, packet, SendFlags::NOSIGNAL);
    match attempt().or_else(|_| attempt()) {
        Ok(_) => Ok(true),
        Err(Errno::MSGSIZE | Errno::INVAL) => Err(Failure::other(format_args!("{} bytes are too many", packet.len()))),
        Err(error) if is_unreachable(error) || matches!(error, Errno::CONNREFUSED | Errno::NOBUFS) => Ok(false),
        Err(error) => Err(Failure::internal(format_args!("no packet can be sent: {error}"))),
    }
}

/// Sends a packet over a connected socket, and waits for its answer. Returns the time; `None` for a loss. `take` gets the instant
/// of the sending and takes a packet off the socket: it returns the time of an answer, `None` for another packet, or the error
/// of the kernel. A refusal is a loss.
///
/// # Errors
/// The kernel cannot send such a packet at all.
pub(super) fn exchange(
    socket: &OwnedFd,
    packet: &[u8],
    timeout: Duration,
    stop: &AtomicBool,
    take: &mut dyn FnMut(Instant) -> Result<Option<Duration>, Errno>,
) -> Result<Option<Duration>, Box<Failure>> {
    let began = now();
    let deadline = began + timeout;
    let mut is_sent = transmit(socket, packet)?;
    while is_sent && !stop.load(Ordering::Relaxed) {
        let left = deadline.saturating_duration_since(now());
        let ready = wait(&[(socket.as_fd(), PollFlags::IN)], Some(left.min(LOOK)));
        let looked_at = now();
        if !ready[0].is_empty() {
            match take(began) {
                Ok(Some(time)) => return Ok((time <= timeout).then_some(time)),
                Err(Errno::CONNREFUSED) => is_sent = false,
                _ => {}
            }
        }
        if is_sent && looked_at >= deadline {
            return Ok(None);
        }
    }
    // The wait keeps the pace of a test without a pause between its packets.
    rest(began + timeout.min(LOOK), stop);
    Ok(None)
}

/// Waits until an instant, or until the test is stopped.
pub(super) fn rest(until: Instant, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let left = until.saturating_duration_since(now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK));
    }
}

/// Asks the kernel for the time at which each packet arrives, for [`receive`]. Without it the time is that of the reading.
pub(crate) fn note_arrivals(socket: &OwnedFd) {
    let _ = setsockopt(socket, ReceiveTimestampns, &true);
}

/// Takes a packet off a socket without a wait. Returns its length, and the time since `began` until its arrival. That is the
/// arrival at the kernel: the wait of this thread for a processor is no part of a round trip.
///
/// # Errors
/// No packet is there, or the kernel reports an error of an earlier one.
pub(crate) fn receive(socket: &OwnedFd, buffer: &mut [u8], began: Instant) -> Result<(usize, Duration), Errno> {
    let mut parts = [IoSliceMut::new(buffer)];
    // musl repeats the time with 64 bits where that of the kernel has 32, and counts both as cut off if one has no room.
    let mut control = nix::cmsg_space!(TimeSpec, [i64; 2]);
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)
        .map_err(|error| Errno::from_raw_os_error(error as i32))?;
    let elapsed = now().saturating_duration_since(began);
    let arrived = message.cmsgs().ok().and_then(|mut messages| {
        messages.find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
            _ => None,
        })
    });
    // The difference of two readings of the wall clock that are close together: a step of that clock hardly falls between them.
    let age = arrived.map_or(Duration::ZERO, |arrived| since_epoch().saturating_sub(arrived));
    Ok((message.bytes, elapsed.checked_sub(age).unwrap_or(elapsed)))
}

/// Returns true for the errors of a send or of a connect that mean: no route leads to the host.
pub(crate) fn is_unreachable(error: Errno) -> bool {
    matches!(error, Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::ADDRNOTAVAIL)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    /// Only where the kernel and the C library agree on the form of the time, which emulators of 32 bits do not.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_late_reading_is_no_part_of_the_time() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let to = socket.local_addr().expect("an address");
        let socket = OwnedFd::from(socket);
        note_arrivals(&socket);
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let mut buffer = [0; 9];
        let mut measure = || {
            let began = now();
            sender.send_to(b"hello", to).expect("sent");
            let ready = wait(&[(socket.as_fd(), PollFlags::IN)], Some(Duration::from_secs(10)));
            assert!(!ready[0].is_empty(), "no datagram has come");
            let arrived = now() - began;
            std::thread::sleep(Duration::from_millis(50));
            let (length, time) = receive(&socket, &mut buffer, began).expect("a datagram");
            assert_eq!((length, receive(&socket, &mut buffer, began)), (5, Err(Errno::AGAIN)));
            (time, arrived)
        };
        // The kernel notes the times from a moment after the first socket of the machine has asked for them.
        let end = now() + Duration::from_secs(10);
        loop {
            let (time, arrived) = measure();
            if time <= arrived + Duration::from_millis(1) {
                break;
            }
            assert!(now() < end, "{time:?} of {arrived:?}");
        }
    }
}
