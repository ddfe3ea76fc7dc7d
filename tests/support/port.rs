//! Ports that nobody has, and that nobody takes by chance.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// An address of this machine where nobody listens, by TCP or UDP, unless the test says so.
pub fn closed_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], of_its_own()))
}

/// A free port below those that Linux gives to whoever wants any (32768 and up, unless somebody has changed that).
pub fn of_its_own() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let is_free =
        |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok() && UdpSocket::bind(("0.0.0.0", *port)).is_ok();
    // Test binaries that run at the same time begin at places of their own.
    let ports = std::iter::repeat_with(|| {
        let number = std::process::id().wrapping_mul(509).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        10_000 + u16::try_from(number % 22_000).expect("less than 22,000")
    });
    ports.take(22_000).find(is_free).expect("a free port")
}
