//! DownloadDiagnostics and UploadDiagnostics as the ACS requests them.

use std::sync::Arc;
use std::time::Duration;

use super::counters::Counters;
use super::result::{Interval, Transfer};
use super::{Direction, SILENCE, SpeedResult, SpeedTest, run as measure};
use crate::diagnostics::{Failure, Order, Results, add, socket};
use crate::model::date_time::DateTime;
use crate::socket_options::SocketOptions;

/// The names of the results of one direction, and the greatest number that its object holds.
struct Names {
    test_bytes: &'static str,
    most: u64,
}

/// Returns the test with the inputs of an order.
pub(in crate::diagnostics) fn test(order: &Order, direction: Direction) -> SpeedTest {
    let seconds = |name: &str| Duration::from_secs(order.number(name, 0).into());
    SpeedTest {
        direction,
        url: order.text(direction.url_input()).to_owned(),
        length: order.text("TestFileLength").parse().unwrap_or_default(),
        connections: order.number("NumberOfConnections", 1),
        duration: seconds("TimeBasedTestDuration"),
        interval: seconds("TimeBasedTestMeasurementInterval"),
        offset: seconds("TimeBasedTestMeasurementOffset"),
        silence: SILENCE,
        options: SocketOptions {
            priority: order.number("EthernetPriority", 0).min(7) as u8, // at most 7
            ..socket::options(order)
        },
        tls: order.tls.clone(),
        clock_is_set: order.clock_is_set,
        stop: Arc::clone(&order.stop),
    }
}

/// Runs the test.
pub(in crate::diagnostics) fn run(
    order: &Order,
    direction: Direction,
    results: &mut Results,
) -> Result<(), Box<Failure>> {
    let measured = measure(&Arc::new(test(order, direction)), &mut |_| ())?;
    let test_bytes = match direction {
        Direction::Download => "TestBytesReceived",
        Direction::Upload => "TestBytesSent",
    };
    // The objects of TR-098 have neither connections nor numbers of 64 bits.
    let is_old = order.text("NumberOfConnections").is_empty();
    let names = Names { test_bytes, most: if is_old { u32::MAX.into() } else { u64::MAX } };
    names.add_results(results, order, &measured);
    Ok(())
}

impl Names {
    fn add_results(&self, results: &mut Results, order: &Order, measured: &SpeedResult) {
        self.add_transfer(results, "", &measured.total);
        if let Some(address) = measured.address {
            add(results, "", "IPAddressUsed", &address);
        }
        let period = measured.full.length().as_micros().min(u32::MAX.into()) as u32;
        add(results, "", "PeriodOfFullLoading", &period);
        self.add_bytes(results, "", "UnderFullLoading", &measured.full);
        if order.is_true("EnablePerConnectionResults") {
            for (number, one) in (1..).zip(&measured.connections) {
                self.add_transfer(results, &format!("PerConnectionResult.{number}."), one);
            }
        }
        for (number, one) in (1..).zip(&measured.intervals) {
            let row = format!("IncrementalResult.{number}.");
            self.add_bytes(results, &row, "", one);
            add_time(results, &row, "StartTime", one.begin);
            add_time(results, &row, "EndTime", one.end);
        }
    }

    fn add_transfer(&self, results: &mut Results, row: &str, transfer: &Transfer) {
        add_time(results, row, "TCPOpenRequestTime", transfer.open_requested);
        add_time(results, row, "TCPOpenResponseTime", transfer.open_answered);
        add_time(results, row, "ROMTime", transfer.requested);
        add_time(results, row, "BOMTime", transfer.span.begin);
        add_time(results, row, "EOMTime", transfer.span.end);
        self.add_bytes(results, row, "", &transfer.span);
    }

    fn add_bytes(&self, results: &mut Results, row: &str, suffix: &str, interval: &Interval) {
        let Counters { received, sent } = interval.device;
        for (name, bytes) in
            [(self.test_bytes, interval.bytes), ("TotalBytesReceived", received), ("TotalBytesSent", sent)]
        {
            add(results, &format!("{row}{name}"), suffix, &bytes.min(self.most));
        }
    }
}

fn add_time(results: &mut Results, row: &str, name: &str, time: Duration) {
    add(results, row, name, &DateTime::utc_to_microsecond(time));
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
