//! ServerSelectionDiagnostics: the host of a list that answers fastest, by echo requests of ICMP or by the echo service of UDP.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::echo::{Echo, PORT};
use super::ping::{Pinger, Summary, repeat};
use super::socket;
use super::target::address;
use super::{Failure, Order, Results, add};
use crate::log;

/// The bytes of data of a probe.
const SIZE: usize = 24;

/// The least time between two probes of a host.
const INTERVAL: Duration = Duration::from_millis(200);

/// Runs the test. A host that cannot be measured counts as one that does not answer, unless that is so for all of them.
pub(super) fn run(order: &Order, results: &mut Results) -> Result<(), Box<Failure>> {
    // Without an answer all times are zero.
    let (mut fastest, mut address, mut best) = ("", None, Summary::default());
    let (mut is_measured, mut failure) = (false, None);
    for host in order.text("HostList").split(',').map(str::trim).filter(|host| !host.is_empty()) {
        match measure(order, host) {
            Ok((local, summary)) => {
                is_measured = true;
                if summary.received > 0 && (best.received == 0 || summary.average() < best.average()) {
                    (fastest, address, best) = (host, Some(local), summary);
                }
            }
            Err(reason) => {
                log::info!("{host}: {}", reason.reason);
                failure = Some(reason);
            }
        }
        if order.is_stopped() {
            break;
        }
    }
    if let (false, Some(failure)) = (is_measured, failure) {
        return Err(failure);
    }
    best.add_microseconds(results);
    add(results, "", "FastestHost", &fastest);
    if let Some(address) = address {
        add(results, "", "IPAddressUsed", &address);
    }
    Ok(())
}

/// Probes one host. Also returns the address of the device towards it.
fn measure(order: &Order, host: &str) -> Result<(IpAddr, Summary), Box<Failure>> {
    let (count, timeout) = (order.number("NumberOfRepetitions", 3), order.milliseconds("Timeout", 1000));
    let options = socket::options(order);
    let to = address(host, &options, &order.stop)?;
    if order.text("Protocol") == "UDP Echo" {
        let mut echo = Echo::open(SocketAddr::new(to, PORT), SIZE, &options)?;
        let summary = repeat(order, count, INTERVAL, &mut || echo.probe(timeout, &order.stop))?;
        return Ok((echo.local, summary));
    }
    let mut pinger = Pinger::open(to, SIZE, &options)?;
    let summary = repeat(order, count, INTERVAL, &mut || pinger.probe(timeout, &order.stop))?;
    Ok((pinger.local, summary))
}
