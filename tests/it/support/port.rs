//! Ports that no program uses, and that the kernel does not assign by chance.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The time after which a port that was closed must be free.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns an address of this machine on which no program listens, by TCP or UDP, unless the test does.
pub fn closed_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], of_its_own()))
}

/// Returns a free port below the range that Linux assigns by itself (32768 and up, unless configured otherwise).
pub fn of_its_own() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Test binaries that run at the same time begin at places of their own.
    let ports = std::iter::repeat_with(|| {
        let number = std::process::id().wrapping_mul(509).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        10_000 + u16::try_from(number % 22_000).expect("less than 22,000")
    });
    let used = ["tcp", "tcp6", "udp", "udp6"].map(|kind| std::fs::read_to_string(format!("/proc/net/{kind}")));
    let is_free = |port: &u16| !used.iter().flatten().any(|sockets| sockets.contains(&format!(":{port:04X} ")));
    ports.take(22_000).find(is_free).expect("a free port")
}

/// Listens on an address that was in use until now. A socket that this process has closed may stay open for a moment in
/// a child that another test is starting, until the child executes its program.
pub fn listen(address: impl ToSocketAddrs) -> TcpListener {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(&address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(1));
            }
            bound => return bound.expect("a free port"),
        }
    }
}
