//! A NAT on loopback: one inner address that clients ask, and an outer port for each of them, from which the server
//! behind it is asked.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The rule by which the NAT assigns outer ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// One port for all datagrams of a client.
    Stable,
    /// A new port for each datagram.
    Restless,
}

pub struct Nat {
    inner: SocketAddr,
    outer: Arc<Mutex<HashMap<SocketAddr, SocketAddr>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Nat {
    /// Starts a NAT in front of this server.
    pub fn start(server: SocketAddr, mapping: Mapping) -> Nat {
        let inside = open();
        let inner = inside.local_addr().expect("a bound socket");
        let (outer, stopping) = (Arc::default(), Arc::default());
        let (shown, stop) = (Arc::clone(&outer), Arc::clone(&stopping));
        let thread = thread::spawn(move || serve(&inside, server, mapping, &shown, &stop));
        Nat { inner, outer, stopping, thread: Some(thread) }
    }

    /// Returns the address at which clients reach the server.
    pub fn address(&self) -> SocketAddr {
        self.inner
    }

    /// Returns the address from which the server last received a datagram of this client.
    pub fn outer_address(&self, client: SocketAddr) -> Option<SocketAddr> {
        self.outer.lock().unwrap_or_else(PoisonError::into_inner).get(&client).copied()
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    inside: &UdpSocket,
    server: SocketAddr,
    mapping: Mapping,
    shown: &Mutex<HashMap<SocketAddr, SocketAddr>>,
    stop: &AtomicBool,
) {
    let mut ways: Vec<(SocketAddr, UdpSocket)> = Vec::new();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let mut idle = true;
        if let Ok((length, client)) = inside.recv_from(&mut buffer) {
            idle = false;
            let known = ways.iter().position(|(known, _)| *known == client && mapping == Mapping::Stable);
            let at = known.unwrap_or_else(|| {
                ways.push((client, open()));
                ways.len() - 1
            });
            let outside = &ways[at].1;
            let outer = outside.local_addr().expect("a bound socket");
            shown.lock().unwrap_or_else(PoisonError::into_inner).insert(client, outer);
            let _ = outside.send_to(&buffer[..length], server);
        }
        for (client, outside) in &ways {
            if let Ok((length, _)) = outside.recv_from(&mut buffer) {
                idle = false;
                let _ = inside.send_to(&buffer[..length], client);
            }
        }
        if idle {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn open() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_nonblocking(true).expect("non-blocking");
    socket
}
