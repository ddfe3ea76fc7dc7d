//! Attackers: threads that repeat the same attack until they are dropped.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::connection_request::Caller;

/// Running attackers.
pub struct Flood {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
    /// Connections that are held open.
    held: Vec<TcpStream>,
}

impl Flood {
    /// Starts so many threads that repeat this round.
    pub fn of(threads: usize, round: impl Fn() + Clone + Send + 'static) -> Flood {
        let mut flood = Flood { stop: Arc::default(), rounds: Arc::default(), threads: Vec::new(), held: Vec::new() };
        for _ in 0..threads {
            let (stop, rounds, round) = (Arc::clone(&flood.stop), Arc::clone(&flood.rounds), round.clone());
            flood.threads.push(thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    round();
                    rounds.fetch_add(1, Ordering::SeqCst);
                }
            }));
        }
        flood
    }

    /// Guesses of the password at this URL.
    pub fn of_wrong_digests(url: &str) -> Flood {
        let url = url.to_owned();
        Flood::of(2, move || {
            // The connection may be crowded out.
            let _ = Caller { username: "acs", password: "guess" }.try_request(&url);
        })
    }

    /// Datagrams of every wrong kind, `captured` among them; some thousands a second, so that others may run, too.
    pub fn of_datagrams(to: SocketAddr, captured: Vec<u8>) -> Flood {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").expect("a socket"));
        let kinds = [captured.clone(), captured[..60].to_vec(), vec![b'G'; 9000], vec![0xff; 500], vec![1; 20], vec![]];
        Flood::of(2, move || {
            kinds.iter().for_each(|datagram| drop(socket.send_to(datagram, to)));
            thread::sleep(Duration::from_millis(1));
        })
    }

    /// Opens so many connections with an incomplete request each, and reopens one after the other.
    pub fn of_slow_clients(count: usize, to: SocketAddr) -> Flood {
        let beginnings = ["", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: h\r\nA:"];
        let begin = |number: usize| {
            let mut client = TcpStream::connect(to).expect("a connection");
            let _ = client.write_all(beginnings[number % beginnings.len()].as_bytes());
            client
        };
        let held = (0..count).map(begin).collect();
        // One by one they come back.
        let again = Arc::new(AtomicUsize::new(0));
        let mut flood = Flood::of(1, move || {
            let number = again.fetch_add(1, Ordering::SeqCst);
            if let Ok(mut client) = TcpStream::connect(to) {
                let _ = client.write_all(beginnings[number % beginnings.len()].as_bytes());
                let _ = client.set_read_timeout(Some(Duration::from_millis(20)));
                let _ = client.read(&mut [0]);
            }
        });
        flood.held = held;
        flood
    }

    /// Returns the number of rounds so far, of all threads.
    pub fn rounds(&self) -> usize {
        self.rounds.load(Ordering::SeqCst)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.held.iter().for_each(|client| drop(client.shutdown(Shutdown::Both)));
        self.threads.drain(..).for_each(|thread| thread.join().expect("no panic"));
    }
}
