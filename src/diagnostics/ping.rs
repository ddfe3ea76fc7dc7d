//! IPPing: echo requests, one after the other, and the times of their replies.
//!
//! The socket is that of an unprivileged ping where the kernel allows it, and a raw socket otherwise. Only replies of the
//! address that was asked count, with the number of the request that waits: a reply after its timeout is a lost one.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rand::RngCore;
use rand::rngs::OsRng;
use rustix::io::Errno;
use rustix::net::{SocketType, ipproto};

use super::clock::now;
use super::icmp;
use super::socket::{self, connect_to, note_arrivals, receive, transmit};
use super::target::{Version, address};
use super::{Failure, Order, Results, Tell, result};
use crate::readiness::{PollFlags, wait};
use crate::socket_options::SocketOptions;

/// The least milliseconds between two requests of the ACS's test: a long test is no flood.
const INTERVAL: u32 = 200;

/// The longest wait between two looks at the stop flag.
const LOOK: Duration = Duration::from_millis(200);

/// The greatest packet of IP.
const MAX_PACKET: usize = 65_535;

/// The times of the replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) received: u32,
    pub(crate) lost: u32,
    /// The sum, the least and the greatest time in microseconds.
    sum: u64,
    least: u64,
    greatest: u64,
}

impl Summary {
    /// Counts a reply, or a loss.
    pub(crate) fn add(&mut self, time: Option<Duration>) {
        let Some(time) = time else {
            self.lost = self.lost.saturating_add(1);
            return;
        };
        let time = microseconds(time);
        self.least = if self.received == 0 { time } else { self.least.min(time) };
        self.greatest = self.greatest.max(time);
        self.sum = self.sum.saturating_add(time);
        self.received = self.received.saturating_add(1);
    }

    /// Returns the average in microseconds; 0 without a reply (R316).
    pub(crate) fn average(&self) -> u64 {
        self.sum.checked_div(self.received.into()).unwrap_or(0)
    }

    /// Returns the average, the least and the greatest time by their names in microseconds, in which other tests than IPPing have
    /// them.
    pub(super) fn microseconds(&self) -> Results {
        let times = [("Average", self.average()), ("Minimum", self.least), ("Maximum", self.greatest)];
        times
            .into_iter()
            .map(|(name, time)| result(&format!("{name}ResponseTime"), time.min(u32::MAX.into())))
            .collect()
    }

    /// Returns the results by the names of IPPing.
    pub(super) fn results(&self) -> Results {
        let mut results = vec![result("SuccessCount", self.received), result("FailureCount", self.lost)];
        for (name, time) in [("Average", self.average()), ("Minimum", self.least), ("Maximum", self.greatest)] {
            // To the nearest millisecond.
            results.push(result(&format!("{name}ResponseTime"), (time + 500) / 1000));
            results.push(result(&format!("{name}ResponseTimeDetailed"), time.min(u32::MAX.into())));
        }
        results
    }
}

/// Returns a time in whole microseconds.
pub(crate) fn microseconds(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000) + u64::from(time.subsec_micros())
}

/// A socket for echo requests to one address.
pub(crate) struct Pinger {
    socket: OwnedFd,
    to: IpAddr,
    /// The address of the device towards the host.
    pub(super) local: IpAddr,
    is_raw: bool,
    /// The identifier of the requests. The kernel chooses that of an unprivileged socket, and checks it.
    identifier: u16,
    size: usize,
    sequence: u16,
    buffer: Vec<u8>,
}

impl Pinger {
    /// Opens a socket for requests with so many bytes of data.
    ///
    /// # Errors
    /// The kernel allows neither kind of socket, or no route leads to the address.
    pub(crate) fn open(to: IpAddr, size: usize, options: &SocketOptions) -> Result<Pinger, Failure> {
        let protocol = if to.is_ipv6() { ipproto::ICMPV6 } else { ipproto::ICMP };
        let (socket, is_raw) = match socket::open(options, to, SocketType::DGRAM, Some(protocol)) {
            Ok(socket) => (socket, false),
            Err(Errno::ACCESS | Errno::PERM | Errno::PROTONOSUPPORT) => (
                socket::open(options, to, SocketType::RAW, Some(protocol))
                    .map_err(|error| socket::failure(options, error))?,
                true,
            ),
            Err(error) => return Err(socket::failure(options, error)),
        };
        note_arrivals(&socket);
        let local = connect_to(&socket, SocketAddr::new(to, 0))?;
        let mut identifier = [0; 2];
        // Without random bytes the identifier is 0, which tells replies apart as long as no other raw socket pings.
        let _ = OsRng.try_fill_bytes(&mut identifier);
        let identifier = u16::from_be_bytes(identifier);
        Ok(Pinger { socket, to, local, is_raw, identifier, size, sequence: 0, buffer: vec![0; MAX_PACKET] })
    }

    /// Sends a request and waits for its reply. Returns the time; `None` for a loss.
    ///
    /// # Errors
    /// The kernel cannot send such a request at all.
    pub(crate) fn probe(
        &mut self,
        timeout: Duration,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Option<Duration>, Failure> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = icmp::request(self.to.is_ipv6(), self.identifier, self.sequence, self.size);
        let began = now();
        if !transmit(&self.socket, &request)? {
            rest(began + timeout.min(LOOK), is_stopped);
            return Ok(None);
        }
        let deadline = began + timeout;
        while !is_stopped() {
            let left = deadline.saturating_duration_since(now());
            let ready = wait(&[(self.socket.as_fd(), PollFlags::IN)], Some(left.min(LOOK)));
            let looked_at = now();
            if !ready[0].is_empty()
                && let Some(time) = self.take_reply(began)
            {
                return Ok((time <= timeout).then_some(time));
            }
            if looked_at >= deadline {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Takes a packet off the socket. Returns its time since `began` if it is the reply to the last request.
    fn take_reply(&mut self, began: Instant) -> Option<Duration> {
        // An error is that of a router, which the timeout turns into a loss.
        let (length, time) = receive(&self.socket, &mut self.buffer, began).ok()?;
        let is_v6 = self.to.is_ipv6();
        let (identifier, sequence) = icmp::reply(is_v6, self.is_raw && !is_v6, &self.buffer[..length])?;
        (sequence == self.sequence && (!self.is_raw || identifier == self.identifier)).then_some(time)
    }
}

/// Waits until an instant, or until the test is stopped.
pub(crate) fn rest(until: Instant, is_stopped: &dyn Fn() -> bool) {
    while !is_stopped() {
        let left = until.saturating_duration_since(now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK));
    }
}

/// Runs the test.
pub(super) fn run(order: &Order, tell: Tell<'_>) -> Result<Results, Failure> {
    let to = address(order.text("Host"), Version::of(order), &order.stop)?;
    let size = order.number("DataBlockSize", 56).min(65_535) as usize;
    let mut pinger = Pinger::open(to, size, &socket::options(order))?;
    let (count, timeout) = (order.number("NumberOfRepetitions", 3), order.milliseconds("Timeout", 1000));
    let interval = order.milliseconds("Interval", INTERVAL);
    tell(format_args!("ping of {to} from {} with {size} bytes of data", pinger.local));
    let mut number = 0;
    let summary = repeat(order, count, interval, &mut || {
        let time = pinger.probe(timeout, &|| order.is_stopped())?;
        number += 1;
        match time {
            Some(time) => tell(format_args!("reply {number} from {to}: {} ms", thousandths(microseconds(time)))),
            None if order.is_stopped() => {}
            None => tell(format_args!("no reply {number} within {} ms", timeout.as_millis() as u64)),
        }
        Ok(time)
    })?;
    let Summary { received, lost, least, greatest, .. } = summary;
    let [least, average, greatest] = [least, summary.average(), greatest].map(thousandths);
    tell(format_args!(
        "{received} received, {lost} lost; least {least} ms, average {average} ms, greatest {greatest} ms"
    ));
    let mut results = summary.results();
    results.push(result("IPAddressUsed", pinger.local));
    Ok(results)
}

/// Probes a host so many times, and waits between the begins of two probes. A probe that the stop cuts short is no loss.
pub(super) fn repeat(
    order: &Order,
    count: u32,
    interval: Duration,
    probe: &mut dyn FnMut() -> Result<Option<Duration>, Failure>,
) -> Result<Summary, Failure> {
    let (mut summary, is_stopped) = (Summary::default(), || order.is_stopped());
    for number in 1..=count {
        let next = now() + interval;
        let time = probe()?;
        if time.is_none() && is_stopped() {
            break;
        }
        summary.add(time);
        if number < count {
            rest(next, &is_stopped);
        }
        if is_stopped() {
            break;
        }
    }
    Ok(summary)
}

/// Returns microseconds as milliseconds with three decimals.
pub(super) fn thousandths(microseconds: u64) -> String {
    format!("{}.{:03}", microseconds / 1000, microseconds % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_rounds_and_is_zero_without_a_reply() {
        let mut summary = Summary::default();
        summary.add(None);
        let text = |summary: &Summary| {
            summary.results().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            text(&summary),
            "SuccessCount=0 FailureCount=1 AverageResponseTime=0 AverageResponseTimeDetailed=0 MinimumResponseTime=0 \
             MinimumResponseTimeDetailed=0 MaximumResponseTime=0 MaximumResponseTimeDetailed=0",
            "R316"
        );
        for time in [1_499, 700, 20_000] {
            summary.add(Some(Duration::from_micros(time)));
        }
        assert_eq!(
            text(&summary),
            "SuccessCount=3 FailureCount=1 AverageResponseTime=7 AverageResponseTimeDetailed=7399 MinimumResponseTime=1 \
             MinimumResponseTimeDetailed=700 MaximumResponseTime=20 MaximumResponseTimeDetailed=20000"
        );
    }
}
