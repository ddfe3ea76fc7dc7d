//! DownloadDiagnostics and UploadDiagnostics as the ACS requests them.

use std::sync::Arc;
use std::time::Duration;

use super::counters::Counters;
use super::result::{Interval, Transfer};
use super::{Direction, SILENCE, SpeedError, SpeedResult, SpeedTest, run as measure};
use crate::diagnostics::{Failure, Order, Results, result, socket};
use crate::model::date_time::DateTime;
use crate::socket_options::{IpVersion, SocketOptions};

/// The names of the results of one direction, and the greatest number that its object holds.
struct Names {
    test_bytes: &'static str,
    most: u64,
}

/// Runs the test.
pub(in crate::diagnostics) fn run(order: &Order, direction: Direction) -> Result<Results, Failure> {
    let (url, test_bytes) = match direction {
        Direction::Download => ("DownloadURL", "TestBytesReceived"),
        Direction::Upload => ("UploadURL", "TestBytesSent"),
    };
    let seconds = |name: &str| Duration::from_secs(order.number(name, 0).into());
    let test = SpeedTest {
        direction,
        url: order.text(url).to_owned(),
        length: order.text("TestFileLength").parse().unwrap_or_default(),
        connections: order.number("NumberOfConnections", 1),
        duration: seconds("TimeBasedTestDuration"),
        interval: seconds("TimeBasedTestMeasurementInterval"),
        offset: seconds("TimeBasedTestMeasurementOffset"),
        silence: SILENCE,
        options: options(order),
        tls: order.tls.clone(),
        clock_is_set: order.clock_is_set,
        stop: Arc::clone(&order.stop),
    };
    let measured = measure(&test, &mut |_| ()).map_err(|error| match error {
        SpeedError::Failed(state, reason) => Failure::of(state, reason),
        SpeedError::Stopped => Failure::other("stopped"), // the outcome does not count
    })?;
    // The objects of TR-098 have neither connections nor numbers of 64 bits.
    let is_old = order.text("NumberOfConnections").is_empty();
    let names = Names { test_bytes, most: if is_old { u32::MAX.into() } else { u64::MAX } };
    Ok(names.results(order, &measured))
}

fn options(order: &Order) -> SocketOptions {
    SocketOptions {
        version: match order.text("ProtocolVersion") {
            "IPv4" => Some(IpVersion::V4),
            "IPv6" => Some(IpVersion::V6),
            _ => None,
        },
        priority: order.number("EthernetPriority", 0).min(7) as u8, // at most 7
        ..socket::options(order)
    }
}

impl Names {
    fn results(&self, order: &Order, measured: &SpeedResult) -> Results {
        let mut results = Results::new();
        self.add_transfer(&mut results, "", &measured.total);
        if let Some(address) = measured.address {
            results.push(result("IPAddressUsed", address));
        }
        results.push(result("PeriodOfFullLoading", measured.full.length().as_micros().min(u32::MAX.into()) as u32));
        self.add_bytes(&mut results, "", "UnderFullLoading", &measured.full);
        if ["1", "true"].contains(&order.text("EnablePerConnectionResults")) {
            for (index, one) in measured.connections.iter().enumerate() {
                self.add_transfer(&mut results, &format!("PerConnectionResult.{}.", index + 1), one);
            }
        }
        for (index, one) in measured.intervals.iter().enumerate() {
            let row = format!("IncrementalResult.{}.", index + 1);
            self.add_bytes(&mut results, &row, "", one);
            results.push(result(&format!("{row}StartTime"), DateTime::utc_to_microsecond(one.begin)));
            results.push(result(&format!("{row}EndTime"), DateTime::utc_to_microsecond(one.end)));
        }
        results
    }

    fn add_transfer(&self, results: &mut Results, object: &str, transfer: &Transfer) {
        for (name, time) in [
            ("TCPOpenRequestTime", transfer.open_requested),
            ("TCPOpenResponseTime", transfer.open_answered),
            ("ROMTime", transfer.requested),
            ("BOMTime", transfer.span.begin),
            ("EOMTime", transfer.span.end),
        ] {
            results.push(result(&format!("{object}{name}"), DateTime::utc_to_microsecond(time)));
        }
        self.add_bytes(results, object, "", &transfer.span);
    }

    fn add_bytes(&self, results: &mut Results, object: &str, suffix: &str, interval: &Interval) {
        let Counters { received, sent } = interval.device;
        for (name, bytes) in
            [(self.test_bytes, interval.bytes), ("TotalBytesReceived", received), ("TotalBytesSent", sent)]
        {
            results.push(result(&format!("{object}{name}{suffix}"), bytes.min(self.most)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R315: UTC, to the microsecond.
    #[test]
    fn dates_have_microseconds() {
        assert_eq!(
            DateTime::utc_to_microsecond(Duration::from_micros(1_207_753_265_000_456)),
            "2008-04-09T15:01:05.000456Z"
        );
    }
}
