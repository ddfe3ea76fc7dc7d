//! IPPing: echo requests, one after the other, and the times of their replies.
//!
//! The socket is that of an unprivileged ping where the kernel allows it, and a raw socket otherwise. Only replies of the
//! address that was asked count, with the number of the request that waits: a reply after its timeout is a lost one.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rand::RngCore;
use rand::rngs::OsRng;
use rustix::io::Errno;
use rustix::net::{SocketType, ipproto};

use super::clock::now;
use super::icmp;
use super::socket::{self, connect_to, exchange, note_arrivals, receive, rest};
use super::target::address;
use super::{Failure, Order, Results, Tell, add};
use crate::socket_options::SocketOptions;

/// The least milliseconds between two requests of the ACS's test: a long test is no flood.
const INTERVAL: u32 = 200;

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

    /// Adds the average, the least and the greatest time by their names in microseconds, in which other tests than IPPing have
    /// them.
    pub(super) fn add_microseconds(&self, results: &mut Results) {
        for (name, time) in self.times() {
            add(results, name, "ResponseTime", &time.min(u32::MAX.into()));
        }
    }

    /// Adds the results by the names of IPPing.
    fn add_results(&self, results: &mut Results) {
        self.add_counts(results);
        for (name, time) in self.times() {
            // To the nearest millisecond.
            add(results, name, "ResponseTime", &((time + 500) / 1000));
            add(results, name, "ResponseTimeDetailed", &time.min(u32::MAX.into()));
        }
    }

    /// Adds the numbers of replies and losses.
    pub(super) fn add_counts(&self, results: &mut Results) {
        add(results, "", "SuccessCount", &self.received);
        add(results, "", "FailureCount", &self.lost);
    }

    fn times(&self) -> [(&'static str, u64); 3] {
        [("Average", self.average()), ("Minimum", self.least), ("Maximum", self.greatest)]
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
    pub(crate) fn open(to: IpAddr, size: usize, options: &SocketOptions) -> Result<Pinger, Box<Failure>> {
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
    pub(crate) fn probe(&mut self, timeout: Duration, stop: &AtomicBool) -> Result<Option<Duration>, Box<Failure>> {
        let Pinger { socket, buffer, is_raw, identifier, .. } = self;
        let (is_v6, sequence) = (self.to.is_ipv6(), self.sequence.wrapping_add(1));
        self.sequence = sequence;
        let request = icmp::request(is_v6, *identifier, sequence, self.size);
        exchange(socket, &request, timeout, stop, &mut |began| {
            // An error is that of a router, which the timeout turns into a loss.
            let Ok((length, time)) = receive(socket, buffer, began) else { return Ok(None) };
            let reply = icmp::reply(is_v6, *is_raw && !is_v6, &buffer[..length]);
            let is_ours = |(id, number)| number == sequence && (!*is_raw || id == *identifier);
            Ok(reply.is_some_and(is_ours).then_some(time))
        })
    }
}

/// Runs the test.
pub(super) fn run(order: &Order, results: &mut Results, tell: Tell<'_>) -> Result<(), Box<Failure>> {
    let options = socket::options(order);
    let to = address(order.text("Host"), &options, &order.stop)?;
    let size = order.number("DataBlockSize", 56).min(65_535) as usize;
    let mut pinger = Pinger::open(to, size, &options)?;
    let (count, timeout) = (order.number("NumberOfRepetitions", 3), order.milliseconds("Timeout", 1000));
    let interval = order.milliseconds("Interval", INTERVAL);
    let local = pinger.local;
    tell(format_args!("ping of {to} from {local} with {size} bytes of data"));
    let mut number = 0;
    let summary = repeat(order, count, interval, &mut || {
        let time = pinger.probe(timeout, &order.stop)?;
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
    summary.add_results(results);
    add(results, "", "IPAddressUsed", &local);
    Ok(())
}

/// Probes a host so many times, and waits between the begins of two probes. A probe that the stop cuts short is no loss.
pub(super) fn repeat(
    order: &Order,
    count: u32,
    interval: Duration,
    probe: &mut dyn FnMut() -> Result<Option<Duration>, Box<Failure>>,
) -> Result<Summary, Box<Failure>> {
    let mut summary = Summary::default();
    for number in 1..=count {
        let next = now() + interval;
        let time = probe()?;
        if time.is_none() && order.is_stopped() {
            break;
        }
        summary.add(time);
        if number < count {
            rest(next, &order.stop);
        }
        if order.is_stopped() {
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
            let mut results = Results::new();
            summary.add_results(&mut results);
            results.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
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
