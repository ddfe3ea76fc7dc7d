//! ServerSelectionDiagnostics: the host of a list that answers fastest, by echo requests of ICMP or by the echo service of UDP.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::echo::{Echo, PORT};
use super::ping::{Pinger, Summary, repeat};
use super::socket;
use super::target::{Version, address};
use super::{Failure, Order, Results, result};
use crate::log;

/// The bytes of data of a probe.
const SIZE: usize = 24;

/// The least time between two probes of a host.
const INTERVAL: Duration = Duration::from_millis(200);

/// Runs the test. A host that cannot be measured counts as one that does not answer, unless that is so for all of them.
pub(super) fn run(order: &Order) -> Result<Results, Failure> {
    let (mut fastest, mut failure): (Option<(&str, IpAddr, Summary)>, _) = (None, None);
    let mut measured = 0;
    for host in order.text("HostList").split(',').map(str::trim).filter(|host| !host.is_empty()) {
        match measure(order, host) {
            Ok((local, summary)) => {
                measured += 1;
                let is_faster = |best: &(&str, IpAddr, Summary)| summary.average() < best.2.average();
                if summary.received > 0 && fastest.as_ref().is_none_or(is_faster) {
                    fastest = Some((host, local, summary));
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
    match (fastest, failure) {
        (Some((host, local, summary)), _) => {
            let mut results = summary.microseconds();
            results.extend([result("FastestHost", host), result("IPAddressUsed", local)]);
            Ok(results)
        }
        (None, Some(failure)) if measured == 0 => Err(failure),
        // Without an answer all times are zero.
        (None, _) => {
            let mut results = Summary::default().microseconds();
            results.push(result("FastestHost", ""));
            Ok(results)
        }
    }
}

/// Probes one host. Also returns the address of the device towards it.
fn measure(order: &Order, host: &str) -> Result<(IpAddr, Summary), Failure> {
    let (count, timeout) = (order.number("NumberOfRepetitions", 3), order.milliseconds("Timeout", 1000));
    let (to, options) = (address(host, Version::of(order), &order.stop)?, socket::options(order));
    let is_stopped = || order.is_stopped();
    if order.text("Protocol") == "UDP Echo" {
        let mut echo = Echo::open(SocketAddr::new(to, PORT), SIZE, &options)?;
        let summary = repeat(order, count, INTERVAL, &mut || echo.probe(timeout, &is_stopped))?;
        return Ok((echo.local, summary));
    }
    let mut pinger = Pinger::open(to, SIZE, &options)?;
    let summary = repeat(order, count, INTERVAL, &mut || pinger.probe(timeout, &is_stopped))?;
    Ok((pinger.local, summary))
}
