//! UDPEchoDiagnostics: datagrams to the echo service of a host (RFC 862), and the times until they are back.
//!
//! ```text
//! UDP Echo Plus (TR-143 A.1), words of 32 bits: TestGenSN, the server's four, TestIterationNumber
//! ```
//!
//! A datagram begins with its number, so that a late one is not taken for the one that is awaited.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SocketType;

use super::clock::{now, since_epoch};
use super::ping::{repeat, rest};
use super::socket::{self, connect_to, note_arrivals, receive, transmit};
use super::target::{Version, address};
use super::{Failure, Order, Results, result};
use crate::model::date_time::DateTime;
use crate::readiness::{PollFlags, wait};
use crate::socket_options::SocketOptions;

/// The longest wait between two looks at the stop flag.
const LOOK: Duration = Duration::from_millis(200);

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
    pub(super) fn open(to: SocketAddr, size: usize, options: &SocketOptions) -> Result<Echo, Failure> {
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
    pub(super) fn probe(
        &mut self,
        timeout: Duration,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Option<Duration>, Failure> {
        self.number = self.number.wrapping_add(1);
        let length = self.data.len().min(4);
        self.data[..length].copy_from_slice(&self.number.to_be_bytes()[4 - length..]);
        if let Some(iteration) = self.data.get_mut(ITERATION_AT) {
            iteration.copy_from_slice(&self.number.to_be_bytes());
        }
        let began = now();
        if !transmit(&self.socket, &self.data)? {
            rest(began + timeout.min(LOOK), is_stopped);
            return Ok(None);
        }
        let deadline = began + timeout;
        while !is_stopped() {
            let left = deadline.saturating_duration_since(now());
            let ready = wait(&[(self.socket.as_fd(), PollFlags::IN)], Some(left.min(LOOK)));
            let looked_at = now();
            if !ready[0].is_empty() {
                match receive(&self.socket, &mut self.buffer, began) {
                    Ok((count, time)) if self.is_echo(count) => return Ok((time <= timeout).then_some(time)),
                    // The host has no such service. The wait keeps the pace of a test without a pause between its datagrams.
                    Err(Errno::CONNREFUSED) => {
                        rest(began + timeout.min(LOOK), is_stopped);
                        return Ok(None);
                    }
                    _ => {}
                }
            }
            if looked_at >= deadline {
                break;
            }
        }
        Ok(None)
    }

    /// Returns true if the datagram that was received is the last one. A server of UDP Echo Plus changes the bytes behind the
    /// number.
    fn is_echo(&self, count: usize) -> bool {
        let length = self.data.len().min(4);
        count == self.data.len() && self.buffer[..length] == self.data[..length]
    }

    /// Adds the row of IndividualPacketResult for the last datagram, by the time of its sending since the Unix epoch and the time
    /// until it was back. A server without UDP Echo Plus returns the zeros that were sent.
    fn add_row(&self, rows: &mut Results, sent_at: Duration, time: Option<Duration>) {
        let mut add =
            |name: &str, text: String| rows.push((format!("IndividualPacketResult.{}.{name}", self.number), text));
        let received_at = time.map(|time| DateTime::utc_to_microsecond(sent_at + time));
        add("PacketSuccess", time.is_some().to_string());
        add("PacketSendTime", DateTime::utc_to_microsecond(sent_at));
        add("PacketReceiveTime", received_at.unwrap_or_else(|| DateTime::UNKNOWN.to_string()));
        add("TestGenSN", self.number.to_string());
        let words = self.buffer.get(WORDS_AT).filter(|_| time.is_some() && self.data.len() >= WORDS_AT.end);
        let mut words = words
            .unwrap_or_default()
            .chunks_exact(4)
            .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
        for name in WORDS {
            add(name, words.next().unwrap_or(0).to_string());
        }
    }
}

/// Runs the test.
pub(super) fn run(order: &Order) -> Result<Results, Failure> {
    let to = address(order.text("Host"), Version::of(order), &order.stop)?;
    let port = order.number("Port", PORT.into()).try_into().unwrap_or(PORT);
    let size = order.number("DataBlockSize", 24).min(65_535) as usize;
    let mut echo = Echo::open(SocketAddr::new(to, port), size, &socket::options(order))?;
    let (count, timeout) = (order.number("NumberOfRepetitions", 1), order.milliseconds("Timeout", 1000));
    let interval = order.milliseconds("InterTransmissionTime", 1000);
    let has_rows = ["1", "true"].contains(&order.text("EnableIndividualPacketResults"));
    let mut rows = Results::new();
    let summary = repeat(order, count, interval, &mut || {
        let sent_at = since_epoch();
        let time = echo.probe(timeout, &|| order.is_stopped())?;
        if has_rows && echo.number <= MAX_ROWS {
            echo.add_row(&mut rows, sent_at, time);
        }
        Ok(time)
    })?;
    let mut results = summary.microseconds();
    results.append(&mut rows);
    results.push(result("SuccessCount", summary.received));
    results.push(result("FailureCount", summary.lost));
    results.push(result("IPAddressUsed", echo.local));
    Ok(results)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    /// A refusal comes at once, and must not make a flood of a test without a pause.
    #[test]
    fn a_refusal_keeps_the_pace() {
        let to = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        let mut echo = Echo::open(to, 24, &SocketOptions::default()).expect("a socket");
        let began = now();
        for _ in 0..3 {
            assert_eq!(echo.probe(Duration::from_millis(50), &|| false), Ok(None));
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
            assert_eq!(echo.probe(limit, &|| false), Ok(None), "{size} bytes");
            assert!(echo.probe(Duration::from_secs(5), &|| false).expect("sent").is_some(), "{size} bytes");
            thread.join().expect("no panic");
            assert_eq!(echo.probe(Duration::from_secs(5), &|| false), Ok(None), "nobody listens");
        }
    }
}
