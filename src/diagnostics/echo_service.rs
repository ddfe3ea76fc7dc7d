//! UDPEchoConfig: the echo service of RFC 862 for one host, with UDP Echo Plus of TR-143.
//!
//! ```text
//! a datagram ──▶ from the source, and from no port of a service ──▶ within the rate ──▶ the same bytes back
//!                  └─ dropped without a trace                      └─ counted, not answered
//! ```
//!
//! The service is no amplifier: no response is longer than its request, and none goes to another host than the configured one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::clock::{now, since_epoch};
use crate::clock::Clock;
use crate::cwmp::device::EchoCounters;
use crate::readiness::{PollFlags, wait};
use crate::socket_options::SocketOptions;
use crate::thread;

/// The stack of the thread in bytes, with the buffer on the heap.
const STACK: usize = 64 << 10;

/// The greatest datagram.
const MAX_DATAGRAM: usize = 65_535;

/// The header of a datagram of UDP in bytes, which the counters include.
const HEADER: u32 = 8;

/// The bytes of UDP Echo Plus at the beginning of a datagram: five words.
const ECHO_PLUS: usize = 20;

/// The most responses, and the most bytes of responses, within a second: the source address of a request may be forged.
const MAX_RESPONSES: u32 = 1000;
const MAX_BYTES: u32 = 1_250_000;

/// The ports of services. A request from one of them would make two services answer each other without end.
const SERVICES: u16 = 1024;

/// The longest wait between two looks at the stop flag, and between two looks at the interface.
const LOOK: Duration = Duration::from_millis(500);
const INTERFACE: Duration = Duration::from_secs(30);

/// The settings of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EchoSettings {
    /// The only host that is answered.
    pub(crate) source: IpAddr,
    pub(crate) port: u16,
    pub(crate) is_plus: bool,
    /// The names of the interface, as in an order.
    pub(crate) devices: Vec<String>,
}

/// The service, which runs until it is dropped.
pub(crate) struct EchoService {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl EchoService {
    /// Opens the port, and answers on a thread of its own. All counters begin at zero.
    ///
    /// # Errors
    /// The port is taken, or the kernel has no such interface.
    pub(crate) fn start(settings: &EchoSettings, counters: Arc<Mutex<EchoCounters>>) -> io::Result<EchoService> {
        let any: IpAddr =
            if settings.source.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, settings.port))?;
        socket.set_nonblocking(true)?;
        let options = SocketOptions { devices: settings.devices.clone(), ..SocketOptions::default() };
        options.apply(&socket, any.is_ipv4())?;
        *lock(&counters) = EchoCounters::default();
        let stop = Arc::new(AtomicBool::new(false));
        let responder = Responder {
            source: settings.source,
            port: settings.port,
            is_plus: settings.is_plus,
            clock: Clock::new(),
            rate: Rate::new(now()),
            counters,
        };
        let stopped = Arc::clone(&stop);
        let work = move || serve(&socket, &options, responder, &stopped);
        Ok(EchoService { stop, thread: Some(thread::spawn("echo", STACK, Box::new(work))?) })
    }
}

impl Drop for EchoService {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The port must be free for the next service.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers until the flag is set.
fn serve(socket: &UdpSocket, options: &SocketOptions, mut responder: Responder, stop: &AtomicBool) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut looked_at = now();
    while !stop.load(Ordering::Relaxed) {
        let ready = wait(&[(socket.as_fd(), PollFlags::IN)], Some(LOOK));
        if !options.devices.is_empty() && now() - looked_at >= INTERFACE {
            // A connection that was dialled again is another interface of the same name.
            let _ = options.apply(socket, responder.source.is_ipv4());
            looked_at = now();
        }
        if ready[0].is_empty() {
            continue;
        }
        // An error is that of an earlier response, whose host has refused it.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let send = |response: &[u8]| socket.send_to(response, from).is_ok();
        responder.answer(&mut buffer[..length], from, now(), &send);
    }
}

/// The rules of the responses, without a socket.
struct Responder {
    source: IpAddr,
    /// The port of the service itself.
    port: u16,
    is_plus: bool,
    clock: Clock,
    rate: Rate,
    counters: Arc<Mutex<EchoCounters>>,
}

impl Responder {
    /// Answers a datagram by `send`, which returns false if the kernel takes no response.
    fn answer(&mut self, datagram: &mut [u8], from: SocketAddr, at: Instant, send: &dyn Fn(&[u8]) -> bool) {
        // The own port is that of the echo service of a device with the same settings.
        if from.ip() != self.source || from.port() < SERVICES || from.port() == self.port {
            return;
        }
        let size = (datagram.len() as u32).saturating_add(HEADER);
        let may_answer = self.rate.allows(size, at);
        let (received_at, is_plus) = (self.clock.now(), self.is_plus && datagram.len() >= ECHO_PLUS);
        let mut counters = lock(&self.counters);
        counters.receive(size, since_epoch());
        if is_plus {
            // TR-143 A.1: TestGenSN stays; TestRespSN, the times of reception and reply, and the failures follow.
            let words = [
                counters.packets_responded.wrapping_add(1),
                microseconds(received_at.monotonic),
                microseconds(self.clock.now().monotonic),
                counters.failures,
            ];
            for (word, place) in words.iter().zip(datagram[4..ECHO_PLUS].chunks_mut(4)) {
                place.copy_from_slice(&word.to_be_bytes());
            }
        }
        match may_answer && send(datagram) {
            true => counters.respond(size),
            false => counters.failures = counters.failures.wrapping_add(1),
        }
    }
}

/// Returns the microseconds of a local timer of 32 bits, which begins anew at its end.
fn microseconds(time: Duration) -> u32 {
    (time.as_secs() as u32).wrapping_mul(1_000_000).wrapping_add(time.subsec_micros())
}

fn lock(counters: &Mutex<EchoCounters>) -> std::sync::MutexGuard<'_, EchoCounters> {
    counters.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The responses of the present second.
struct Rate {
    began: Instant,
    responses: u32,
    bytes: u32,
}

impl Rate {
    fn new(began: Instant) -> Rate {
        Rate { began, responses: 0, bytes: 0 }
    }

    /// Counts a response. Returns false if it would be one too many.
    fn allows(&mut self, size: u32, at: Instant) -> bool {
        if at.saturating_duration_since(self.began) >= Duration::from_secs(1) {
            *self = Rate::new(at);
        }
        let bytes = self.bytes.saturating_add(size);
        let may = self.responses < MAX_RESPONSES && bytes <= MAX_BYTES;
        if may {
            (self.responses, self.bytes) = (self.responses + 1, bytes);
        }
        may
    }
}

#[cfg(test)]
mod tests;
