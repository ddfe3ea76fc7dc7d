//! UDPEchoDiagnostics: datagrams to the echo service of a host (RFC 862), and the times until they are back.
//!
//! ```text
//! UDP Echo Plus (TR-143 A.1), words of 32 bits: TestGenSN, the server's four, TestIterationNumber
//! ```
//!
//! A datagram begins with its number, so that a late one is not taken for the one that is awaited.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::net::SocketType;

use super::clock::since_epoch;
use super::ping::repeat;
use super::socket::{self, connect_to, exchange, note_arrivals, receive};
use super::target::address;
use super::{Failure, Order, Results, add};
use crate::model::date_time::DateTime;
use crate::socket_options::SocketOptions;

/// The port of the echo service.
pub(super) const PORT: u16 = 7;

/// The words of UDP Echo Plus that the server fills in, by their names in IndividualPacketResult.
const WORDS: [&str; 4] = ["TestRespSN", "TestRespRcvTimeStamp", "TestRespReplyTimeStamp", "TestRespReplyFailureCount"];

/// The place of these words, and of TestIterationNumber, in a datagram.
const WORDS_AT: std::ops::Range<usize> = 4..20;
const ITERATION_AT: std::ops::Range<usize> = 20..24;

/// The most rows of IndividualPacketResult, as UDPEchoDiagnosticsMaxResults of the shipped model tells.
const MAX_ROWS: u32 = 100;

/// A socket for datagrams to one echo service.
pub(super) struct Echo {
    socket: OwnedFd,
    /// The address of the device towards the host.
    pub(super) local: IpAddr,
    data: Vec<u8>,
    number: u32,
    buffer: Vec<u8>,
}

impl Echo {
    /// Opens a socket for datagrams of so many bytes, at least one.
    ///
    /// # Errors
    /// The kernel allows no such socket, or no route leads to the address.
    pub(super) fn open(to: SocketAddr, size: usize, options: &SocketOptions) -> Result<Echo, Box<Failure>> {
        let socket =
            socket::open(options, to.ip(), SocketType::DGRAM, None).map_err(|error| socket::failure(options, error))?;
        note_arrivals(&socket);
        let local = connect_to(&socket, to)?;
        let size = size.max(1);
        // One byte more, so that a longer datagram differs.
        Ok(Echo { socket, local, data: vec![0; size], number: 0, buffer: vec![0; size + 1] })
    }

    /// Sends a datagram and waits until it is back. Returns the time; `None` for a loss.
    ///
    /// # Errors
    /// The kernel cannot send such a datagram at all.
    pub(super) fn probe(&mut self, timeout: Duration, stop: &AtomicBool) -> Result<Option<Duration>, Box<Failure>> {
        self.number = self.number.wrapping_add(1);
        let length = self.data.len().min(4);
        self.data[..length].copy_from_slice(&self.number.to_be_bytes()[4 - length..]);
        if let Some(iteration) = self.data.get_mut(ITERATION_AT) {
            iteration.copy_from_slice(&self.number.to_be_bytes());
        }
        let Echo { socket, data, buffer, .. } = self;
        exchange(socket, data, timeout, stop, &mut |began| {
            let (count, time) = receive(socket, buffer, began)?;
            // A server of UDP Echo Plus changes the bytes behind the number.
            let is_echo = count == data.len() && buffer[..length] == data[..length];
            Ok(is_echo.then_some(time))
        })
    }

    /// Adds the row of IndividualPacketResult for the last datagram, by the time of its sending since the Unix epoch and the time
    /// until it was back. A server without UDP Echo Plus returns the zeros that were sent.
    fn add_row(&self, rows: &mut Results, sent_at: Duration, time: Option<Duration>) {
        let row = format!("IndividualPacketResult.{}.", self.number);
        let received_at = time.map(|time| DateTime::utc_to_microsecond(sent_at + time));
        add(rows, &row, "PacketSuccess", &time.is_some());
        add(rows, &row, "PacketSendTime", &DateTime::utc_to_microsecond(sent_at));
        add(rows, &row, "PacketReceiveTime", &received_at.unwrap_or_else(|| DateTime::UNKNOWN.to_string()));
        add(rows, &row, "TestGenSN", &self.number);
        let words = self.buffer.get(WORDS_AT).filter(|_| time.is_some() && self.data.len() >= WORDS_AT.end);
        let mut words = words.unwrap_or_default().as_chunks::<4>().0.iter();
        for name in WORDS {
            add(rows, &row, name, &words.next().map_or(0, |word| u32::from_be_bytes(*word)));
        }
    }
}

/// Runs the test.
pub(super) fn run(order: &Order, results: &mut Results) -> Result<(), Box<Failure>> {
    let options = socket::options(order);
    let to = address(order.text("Host"), &options, &order.stop)?;
    let port = order.number("Port", PORT.into()).try_into().unwrap_or(PORT);
    let size = order.number("DataBlockSize", 24).min(65_535) as usize;
    let mut echo = Echo::open(SocketAddr::new(to, port), size, &options)?;
    let (count, timeout) = (order.number("NumberOfRepetitions", 1), order.milliseconds("Timeout", 1000));
    let interval = order.milliseconds("InterTransmissionTime", 1000);
    let has_rows = order.is_true("EnableIndividualPacketResults");
    let mut rows = Results::new();
    let summary = repeat(order, count, interval, &mut || {
        let sent_at = since_epoch();
        let time = echo.probe(timeout, &order.stop)?;
        if has_rows && echo.number <= MAX_ROWS {
            echo.add_row(&mut rows, sent_at, time);
        }
        Ok(time)
    })?;
    summary.add_microseconds(results);
    results.append(&mut rows);
    summary.add_counts(results);
    add(results, "", "IPAddressUsed", &echo.local);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::super::clock::now;
    use super::*;

    /// A refusal comes at once, and must not make a flood of a test without a pause.
    #[test]
    fn a_refusal_keeps_the_pace() {
        let to = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        let mut echo = Echo::open(to, 24, &SocketOptions::default()).expect("a socket");
        let began = now();
        for _ in 0..3 {
            assert_eq!(echo.probe(Duration::from_millis(50), &AtomicBool::new(false)), Ok(None));
        }
        assert!(now() - began >= Duration::from_millis(150));
    }

    /// A service that returns a late datagram, a foreign number and a longer one before the right one.
    #[test]
    fn only_the_datagram_itself_counts() {
        for size in [1, 3, 4, 1000] {
            let service = UdpSocket::bind("127.0.0.1:0").expect("a port");
            let to = service.local_addr().expect("an address");
            let mut echo = Echo::open(to, size, &SocketOptions::default()).expect("a socket");
            let work = move || {
                let mut buffer = [0; 2000];
                for round in 0..2 {
                    let (length, from) = service.recv_from(&mut buffer).expect("a datagram");
                    let right = buffer[..length].to_vec();
                    let mut wrong = right.clone();
                    wrong[0] ^= 0x55;
                    let answers = [wrong, [&right[..], b"x"].concat(), right];
                    for answer in &answers[..if round == 0 { 2 } else { 3 }] {
                        service.send_to(answer, from).expect("sent");
                    }
                }
            };
            let thread = crate::thread::spawn("echo", 64 << 10, Box::new(work)).expect("a thread");
            let limit = Duration::from_millis(100);
            assert_eq!(echo.probe(limit, &AtomicBool::new(false)), Ok(None), "{size} bytes");
            assert!(
                echo.probe(Duration::from_secs(5), &AtomicBool::new(false)).expect("sent").is_some(),
                "{size} bytes"
            );
            thread.join().expect("no panic");
            assert_eq!(echo.probe(Duration::from_secs(5), &AtomicBool::new(false)), Ok(None), "nobody listens");
        }
    }
}
