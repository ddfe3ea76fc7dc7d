//! A TCP connection, with a limit on every wait.
//!
//! The socket blocks, but never longer than a tick: the kernel's send and receive timeouts end each call, so that the
//! stop flag and the limits can be checked. An exchange on an open connection thus costs one system call to see whether
//! the server has closed it, one to send and one to receive, and no thread.
//!
//! Two limits hold at a time: the server may be silent for `IoLimits::timeout` (R48, R119), and a phase as a whole may
//! last as long as [`Tcp::begin`] and [`Tcp::extend`] allow, so that a server that sends byte after byte cannot occupy the
//! agent for ever.

use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
#[cfg(feature = "xmpp")]
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rand::RngCore;
use rand::rngs::OsRng;
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, ipproto};

use super::error::HttpError;
use super::io_limits::{IoLimits, now};
use super::resolver::{resolve, without_errno};
use crate::socket_options::SocketOptions;
use crate::url::Url;

/// The largest number of addresses of one host that are tried: more than a host with several uplinks has.
const MAX_ADDRESSES: usize = 8;

/// The state of an open connection before the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// No byte has arrived: the connection can be used.
    Idle,
    /// Bytes have arrived that answer no request.
    Input,
    /// The server has closed the connection.
    Closed,
}

/// The address of a host that is tried before its others (R22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreferredAddress {
    /// The address. It counts for nothing once the host no longer has it.
    pub ip: IpAddr,
    /// The [`Tcp::list`] with which it counts; `None` for each list.
    pub list: Option<u32>,
}

/// An open TCP connection. `Read` and `Write` keep to the limits; [`http_error`] turns their errors into an
/// [`HttpError`].
#[derive(Debug)]
pub struct Tcp {
    socket: OwnedFd,
    local: Option<SocketAddr>,
    remote: SocketAddr,
    list: Option<u32>,
    /// The instants of the first packet to the server, and of its answer.
    opened: [Instant; 2],
    limits: IoLimits,
    phase: &'static str,
    deadline: Instant,
    /// The time for which the server may send and take nothing in this phase.
    silence: Duration,
}

impl Tcp {
    /// Connects to one of the host's addresses: first to `preferred` if the host still has it, then in random order
    /// (R22). All attempts together last `limits.timeout` at most, each an equal share of the time that is left. The
    /// lookup of the name counts separately, with the limits of the system's resolver.
    pub(super) fn connect(
        url: &Url,
        preferred: Option<PreferredAddress>,
        options: &SocketOptions,
        limits: &IoLimits,
    ) -> Result<Tcp, HttpError> {
        let host = url.host().to_string();
        let mut addresses = resolve(&host, url.port(), limits)?;
        addresses.retain(|address| options.allows(address.ip()));
        let list = digest_of_list(&host, &addresses);
        shuffle(&mut addresses);
        let preferred = preferred.filter(|preferred| preferred.list.is_none_or(|known| Some(known) == list));
        if let Some(at) = preferred.and_then(|known| addresses.iter().position(|address| address.ip() == known.ip)) {
            addresses.swap(0, at);
        }
        addresses.truncate(MAX_ADDRESSES);

        let end = limits.deadline(limits.timeout);
        let mut failure = HttpError::Resolve { host, reason: "it has no address".into() };
        for (index, address) in addresses.iter().enumerate() {
            // Equal shares: an address that does not respond must not use up the time of the others.
            let others = u32::try_from(addresses.len() - index).unwrap_or(1); // at most MAX_ADDRESSES
            let share = end.saturating_duration_since(now()) / others;
            match Tcp::connect_to(*address, options, limits, now() + share) {
                Ok(tcp) => return Ok(Tcp { list, ..tcp }),
                // A stop is not the failure of one address, after which the next would be tried.
                Err(HttpError::Stopped) => return Err(HttpError::Stopped),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Connects to one address, within `limit`.
    pub fn connect_addr(
        remote: SocketAddr,
        options: &SocketOptions,
        limits: &IoLimits,
        limit: Duration,
    ) -> Result<Tcp, HttpError> {
        Tcp::connect_to(remote, options, limits, now() + limit)
    }

    fn connect_to(
        remote: SocketAddr,
        options: &SocketOptions,
        limits: &IoLimits,
        deadline: Instant,
    ) -> Result<Tcp, HttpError> {
        let failed = |errno: Option<Errno>| HttpError::Connect {
            addr: remote.to_string(),
            reason: errno.map_or_else(|| "it does not answer".into(), reason),
            unreached: !matches!(errno, Some(Errno::CONNREFUSED | Errno::CONNRESET)),
        };
        let socket = connecting_socket(remote, limits).map_err(|errno| failed(Some(errno)))?;
        options.apply(&socket, remote.is_ipv4()).map_err(|error| failed(Errno::from_io_error(&error)))?;
        let begun = now();
        loop {
            limits.check()?;
            // The send timeout ends a blocking connect. The next call goes on waiting for the same connection attempt.
            match rustix::net::connect(&socket, &remote) {
                Ok(()) | Err(Errno::ISCONN) => break,
                Err(Errno::INPROGRESS | Errno::ALREADY | Errno::INTR) if now() < deadline => {}
                Err(Errno::INPROGRESS | Errno::ALREADY | Errno::INTR) => {
                    return Err(failed(None));
                }
                Err(errno) => return Err(failed(Some(errno))),
            }
        }
        let opened = [begun, now()];
        // A failure only makes small writes slower, so that it needs no handling.
        let _ = sockopt::set_tcp_nodelay(&socket, true);
        sockopt::set_socket_timeout(&socket, Timeout::Recv, Some(limits.tick()))
            .map_err(|errno| failed(Some(errno)))?;
        let local = rustix::net::getsockname(&socket).ok().and_then(|address| SocketAddr::try_from(address).ok());
        let silence = limits.timeout;
        let (limits, phase) = (limits.clone(), "connecting");
        Ok(Tcp { socket, local, remote, list: None, opened, limits, phase, deadline, silence })
    }

    /// Limits the bytes that the system holds of what was sent and is not acknowledged yet. Otherwise it takes a whole message
    /// at once, and whether a slow link carries it does not show.
    pub(super) fn limit_queue(&self, bytes: usize) {
        // The kernel doubles the number, for its own overhead. A failure only leaves the default.
        let _ = sockopt::set_socket_send_buffer_size(&self.socket, bytes / 2);
    }

    /// Ends the connection once the peer has acknowledged nothing for so long. The default of Linux is some 15 minutes.
    #[cfg(feature = "xmpp")]
    pub(crate) fn fail_unacknowledged(&self, limit: Duration) {
        // A failure only leaves the default.
        let _ = sockopt::set_tcp_user_timeout(&self.socket, u32::try_from(limit.as_millis()).unwrap_or(u32::MAX));
    }

    /// Begins a new phase, which may last for `limit` in all; `phase` completes "timed out while …".
    pub(super) fn begin(&mut self, phase: &'static str, limit: Duration) {
        self.phase = phase;
        self.deadline = self.limits.deadline(limit);
        self.silence = self.limits.timeout;
    }

    /// Lets the phase last longer.
    pub(super) fn extend(&mut self, time: Duration) {
        self.deadline = self.limits.before_end(self.deadline + time);
    }

    /// Lets the server be silent for longer in this phase.
    pub(super) fn extend_silence(&mut self, time: Duration) {
        self.silence += time;
    }

    /// Ends all waits after `limit` from now, whichever phase the connection is in.
    pub(super) fn end_within(&mut self, limit: Duration) {
        self.limits = self.limits.clone().end_within(limit);
    }

    /// Fails with [`HttpError::Stopped`] once the stop flag is set.
    pub(super) fn check(&self) -> Result<(), HttpError> {
        self.limits.check()
    }

    /// Returns our own address on this connection.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Returns the server's address on this connection.
    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// Returns a digest of the addresses that the host had; `None` for fewer than two.
    pub fn list(&self) -> Option<u32> {
        self.list
    }

    /// Returns the instants at which the connection was requested and accepted.
    pub(super) fn opened(&self) -> [Instant; 2] {
        self.opened
    }

    /// Returns the time for which the server may send nothing.
    #[cfg(feature = "tls")]
    pub(super) fn timeout(&self) -> Duration {
        self.limits.timeout
    }

    /// Returns the longest time in which a message of so many bytes is sent or received.
    pub(super) fn time_for(&self, bytes: u64) -> Duration {
        self.limits.time_for(bytes)
    }

    /// Returns the state of the connection, without waiting and without taking a byte.
    pub(super) fn peek(&self) -> Readiness {
        let mut byte = [0];
        match rustix::net::recv(&self.socket, byte.as_mut_slice(), RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, 0)) => Readiness::Closed,
            Ok(_) => Readiness::Input,
            Err(Errno::AGAIN | Errno::INTR) => Readiness::Idle,
            // Every other error, such as a reset, ends the connection as well.
            Err(_) => Readiness::Closed,
        }
    }

    /// Waits one tick for bytes or for the end of the connection, without taking a byte.
    pub(super) fn wait_for_input(&self) {
        let mut byte = [0];
        // The result is of no use: `peek` returns it again. The receive timeout ends the call after a tick.
        let _ = rustix::net::recv(&self.socket, byte.as_mut_slice(), RecvFlags::PEEK);
    }

    /// Repeats `attempt` until it succeeds, fails, or a limit passes.
    fn wait<T>(&self, mut attempt: impl FnMut(&OwnedFd) -> Result<T, Errno>) -> io::Result<T> {
        let silent_until = now() + self.silence;
        loop {
            // The limits are checked before the attempt: a socket that is ready at once, again and again, must not
            // outlast them.
            self.limits.check().map_err(io::Error::other)?;
            if now() >= self.deadline.min(silent_until) {
                return Err(io::Error::other(HttpError::Timeout(self.phase)));
            }
            match attempt(&self.socket) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                done => return Ok(done?),
            }
        }
    }
}

#[cfg(feature = "xmpp")]
impl AsFd for Tcp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Read for Tcp {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(|socket| rustix::net::recv(socket, &mut *buffer, RecvFlags::empty()).map(|(_, length)| length))
    }
}

impl Write for Tcp {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.wait(|socket| {
            let mut ancillary = SendAncillaryBuffer::default();
            rustix::net::sendmsg(socket, parts, &mut ancillary, SendFlags::NOSIGNAL)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the meaning of an I/O error: the limit that ended the wait, a closed connection, or the system's text.
pub(super) fn http_error(error: io::Error) -> HttpError {
    match error.downcast::<HttpError>() {
        Ok(ours) => ours,
        Err(error) => match error.kind() {
            // UnexpectedEof is rustls' error for a stream that ends without the notice of TLS.
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => HttpError::Closed,
            _ => HttpError::Io(without_errno(&error)),
        },
    }
}

/// Opens a socket whose sends, and so its connect, return after a tick.
fn connecting_socket(remote: SocketAddr, limits: &IoLimits) -> Result<OwnedFd, Errno> {
    let family = match remote {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    // CLOEXEC: the commands that apply files and reboot the device are child processes, and would keep the connection open.
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))?;
    sockopt::set_socket_timeout(&socket, Timeout::Send, Some(limits.tick()))?;
    Ok(socket)
}

/// Puts the addresses in random order, so that many devices spread over the addresses of an ACS (R22). Without random
/// bytes the order stays.
fn shuffle(addresses: &mut [SocketAddr]) {
    for last in (1..addresses.len()).rev() {
        let mut bytes = [0; 4];
        if OsRng.try_fill_bytes(&mut bytes).is_err() {
            return;
        }
        // The remainder is not quite uniform, which does no harm with so few addresses.
        let chosen = u32::from_ne_bytes(bytes) as usize % (last + 1);
        addresses.swap(last, chosen);
    }
}

/// Returns a digest (FNV-1a) of a host and its addresses in any order; `None` for fewer than two.
fn digest_of_list(host: &str, addresses: &[SocketAddr]) -> Option<u32> {
    let mut addresses: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    addresses.sort_unstable();
    let text = format!("{host} {}", addresses.join(" "));
    let digest = |sum: u32, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    (addresses.len() > 1).then(|| text.bytes().fold(0x811C_9DC5, digest))
}

fn reason(errno: Errno) -> String {
    without_errno(&io::Error::from(errno))
}
