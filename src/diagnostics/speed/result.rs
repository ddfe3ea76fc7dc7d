//! The results of a test by the definitions of TR-143.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::counters::Counters;
use super::recorder::{ConnectionState, Sample, State};
use crate::diagnostics::clock::{now, since_epoch};

/// The results of a test. Times count from the Unix epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpeedResult {
    /// The address of the device from which the requests were sent.
    pub(crate) address: Option<IpAddr>,
    /// The measurements of all connections together.
    pub(crate) total: Transfer,
    /// The measurements while all connections carried data.
    pub(crate) full: Interval,
    /// The measurements of each connection.
    pub(crate) connections: Vec<Transfer>,
    /// The measurements of each interval.
    pub(crate) intervals: Vec<Interval>,
}

/// The measurements of a transfer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Transfer {
    /// The times at which the TCP connection was requested and accepted.
    pub(crate) open_requested: Duration,
    pub(crate) open_answered: Duration,
    /// ROMTime: the request.
    pub(crate) requested: Duration,
    /// BOMTime and EOMTime, and the bytes between them.
    pub(crate) span: Interval,
}

/// The bytes between two times.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Interval {
    pub(crate) begin: Duration,
    pub(crate) end: Duration,
    /// The bytes of the test.
    pub(crate) bytes: u64,
    /// The bytes at the interface.
    pub(crate) device: Counters,
}

impl Interval {
    /// Returns the length of the interval.
    pub(crate) fn length(&self) -> Duration {
        self.end.saturating_sub(self.begin)
    }
}

/// The clock of the results: one reading of the wall clock for all times, so that setting the clock moves none of them
/// against another.
struct WallClock {
    instant: Instant,
    wall: Duration,
}

impl WallClock {
    fn read() -> WallClock {
        WallClock { instant: now(), wall: since_epoch() }
    }

    fn at(&self, instant: Instant) -> Duration {
        self.wall.saturating_sub(self.instant.saturating_duration_since(instant))
    }

    fn between(&self, begin: &Sample, end: &Sample) -> Interval {
        Interval {
            begin: self.at(begin.at),
            end: self.at(end.at),
            bytes: end.bytes.saturating_sub(begin.bytes),
            device: end.device.since(begin.device),
        }
    }

    /// Returns the measurements of one connection, whose first byte counts from the beginning.
    fn transfer(&self, connection: &ConnectionState) -> Option<Transfer> {
        let exchange = connection.exchange?;
        let (begun, ended) = (connection.begun.as_ref()?, connection.ended.as_ref()?);
        let span = Interval { bytes: ended.bytes, ..self.between(begun, ended) };
        let [open_requested, open_answered] = exchange.opened.map(|instant| self.at(instant));
        Some(Transfer { open_requested, open_answered, requested: self.at(exchange.requested), span })
    }
}

impl SpeedResult {
    /// Computes the results of a test that has ended.
    pub(super) fn new(state: &State, samples: &[Sample], address: Option<IpAddr>) -> SpeedResult {
        let clock = WallClock::read();
        let mut result = SpeedResult { address, ..SpeedResult::default() };
        let total = &mut result.total;
        for connection in &state.connections {
            let Some(one) = clock.transfer(connection) else { continue };
            // TR-143: the earliest request, and the latest opening.
            total.open_requested = total.open_requested.max(one.open_requested);
            total.open_answered = total.open_answered.max(one.open_answered);
            if result.connections.is_empty() || one.requested < total.requested {
                total.requested = one.requested;
            }
            result.connections.push(one);
        }
        if let (Some(first), Some(last)) = (&state.first, &state.last) {
            // The bytes that came with the first packet belong to the test as well.
            total.span = Interval { bytes: state.bytes(), ..clock.between(first, last) };
        }
        // Without a moment in which all connections carried data, the period is empty.
        if let (Some(full), Some(end)) = (&state.full(), &state.full_end)
            && full.at < end.at
        {
            result.full = clock.between(full, end);
        }
        for pair in samples.windows(2) {
            result.intervals.push(clock.between(&pair[0], &pair[1]));
        }
        result
    }
}
