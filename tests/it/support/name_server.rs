//! A name server that answers as a test says: right, wrong, truncated or not at all.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The types of a record.
pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;

/// A question as the server has read it.
#[derive(Clone)]
pub struct Asked {
    message: Vec<u8>,
    /// The name with dots.
    pub name: String,
    pub kind: u16,
    pub from: SocketAddr,
    pub over_tcp: bool,
}

/// An answer, and the socket that sends it.
pub struct Reply {
    pub message: Vec<u8>,
    /// Sent from another port than that of the server.
    pub from_elsewhere: bool,
}

impl Asked {
    fn read(message: &[u8], from: SocketAddr, over_tcp: bool) -> Asked {
        let (mut at, mut labels) = (12, Vec::new());
        while message[at] > 0 {
            let end = at + 1 + usize::from(message[at]);
            labels.push(String::from_utf8_lossy(&message[at + 1..end]).into_owned());
            at = end;
        }
        let kind = u16::from_be_bytes([message[at + 1], message[at + 2]]);
        Asked { message: message[..at + 5].to_vec(), name: labels.join("."), kind, from, over_tcp }
    }

    /// Returns an answer with these flags and records of the name in the question.
    pub fn answer(&self, flags: u16, records: &[(u16, Vec<u8>)]) -> Reply {
        let mut message = self.message.clone();
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        message[8..12].fill(0);
        for (kind, data) in records {
            message.extend([0xC0, 12]);
            message.extend(kind.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 60]);
            message.extend((data.len() as u16).to_be_bytes());
            message.extend(data);
        }
        Reply { message, from_elsewhere: false }
    }

    /// Returns the answer with one address of the kind that was asked for.
    pub fn address(&self, flags: u16) -> Reply {
        let ipv6: Ipv6Addr = "2001:db8::1".parse().expect("an address");
        let data = if self.kind == A { Ipv4Addr::new(192, 0, 2, 1).octets().to_vec() } else { ipv6.octets().to_vec() };
        self.answer(flags, &[(self.kind, data)])
    }
}

/// A running server, at a port of its own on 127.0.0.1, over UDP and TCP.
pub struct NameServer {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl NameServer {
    /// Answers each question with the replies that `answer` returns.
    pub fn start(answer: impl Fn(&Asked) -> Vec<Reply> + Send + Sync + 'static) -> NameServer {
        loop {
            let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("an address")) {
                return NameServer::serving(tcp, udp, answer);
            }
        }
    }

    /// Does so at the port of the service, where a system finds its name server: at one of the addresses of this host that no other
    /// test has. `None` without the right to this port, which root has.
    pub fn of_the_system(answer: impl Fn(&Asked) -> Vec<Reply> + Send + Sync + 'static) -> Option<NameServer> {
        let addresses = (1..=254).map(|last| SocketAddr::from(([127, 53, 53, last], 53)));
        let sockets = addresses.filter_map(|at| Some((TcpListener::bind(at).ok()?, UdpSocket::bind(at).ok()?))).next();
        if sockets.is_none() {
            super::skip::skip("no right to port 53, which root has");
        }
        sockets.map(|(tcp, udp)| NameServer::serving(tcp, udp, answer))
    }

    fn serving(
        tcp: TcpListener,
        udp: UdpSocket,
        answer: impl Fn(&Asked) -> Vec<Reply> + Send + Sync + 'static,
    ) -> NameServer {
        let address = udp.local_addr().expect("an address");
        let (stopping, answer) = (Arc::new(AtomicBool::new(false)), Arc::new(answer));
        let (stop, reply) = (Arc::clone(&stopping), Arc::clone(&answer));
        let over_udp = thread::spawn(move || {
            udp.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
            let elsewhere = UdpSocket::bind("127.0.0.1:0").expect("a port");
            let mut buffer = [0; 512];
            while !stop.load(Ordering::SeqCst) {
                let Ok((length, from)) = udp.recv_from(&mut buffer) else { continue };
                for reply in reply(&Asked::read(&buffer[..length], from, false)) {
                    let socket = if reply.from_elsewhere { &elsewhere } else { &udp };
                    let _ = socket.send_to(&reply.message, from);
                }
            }
        });
        let stop = Arc::clone(&stopping);
        let over_tcp = thread::spawn(move || {
            while let Ok((mut stream, from)) = tcp.accept() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let mut length = [0; 2];
                let _ = stream.read_exact(&mut length);
                let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
                if stream.read_exact(&mut message).is_err() || message.is_empty() {
                    continue;
                }
                for reply in answer(&Asked::read(&message, from, true)) {
                    let length = (reply.message.len() as u16).to_be_bytes();
                    let _ = stream.write_all(&[&length[..], &reply.message].concat());
                }
            }
        });
        NameServer { address, stopping, threads: vec![over_udp, over_tcp] }
    }

    /// Returns the address with the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(self.address); // wakes `accept`
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
