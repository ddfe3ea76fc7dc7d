//! The measurements of all connections of a test, which their threads add while it runs.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::counters::Counters;
use crate::diagnostics::Failure;
use crate::http::ExchangeRecord;

/// The measurements of a test. Threads share it; a value is added under the lock, which is held for a moment only.
pub(super) struct Recorder {
    state: Mutex<State>,
    /// Notified at the end of each connection.
    ended: Condvar,
    /// The interface whose counters are read.
    device: Option<String>,
    /// The time after the first byte at which the test ends; `None` if the file ends it.
    duration: Option<Duration>,
}

/// The readings at one instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Instant,
    /// The bytes of the test until then.
    pub(super) bytes: u64,
    /// The counters of the interface.
    pub(super) device: Counters,
}

/// The measurements of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConnectionState {
    pub(super) exchange: Option<ExchangeRecord>,
    pub(super) bytes: u64,
    /// The instant of the last byte.
    last: Option<Instant>,
    pub(super) begun: Option<Sample>,
    pub(super) ended: Option<Sample>,
}

/// The measurements of all connections.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) connections: Vec<ConnectionState>,
    /// The number of connections whose threads run.
    running: usize,
    /// The first failure of a connection.
    failure: Option<Box<Failure>>,
    /// The readings when the first connection had its first byte, and when the last one so far had.
    pub(super) first: Option<Sample>,
    latest_begin: Option<Sample>,
    /// The readings when the first connection ended, and when the last one did.
    pub(super) full_end: Option<Sample>,
    pub(super) last: Option<Sample>,
}

impl State {
    /// Returns the bytes of all connections.
    pub(super) fn bytes(&self) -> u64 {
        self.connections.iter().map(|connection| connection.bytes).sum()
    }

    /// Returns the readings when the last connection had its first byte; `None` until all have had theirs.
    pub(super) fn full(&self) -> Option<Sample> {
        self.latest_begin.filter(|_| self.connections.iter().all(|connection| connection.begun.is_some()))
    }
}

/// Keeps the earlier sample, or the later one. Threads add theirs in the order in which they get the lock, which is another one.
fn keep(is_later: bool, known: &mut Option<Sample>, new: &Sample) {
    if known.is_none_or(|known| if is_later { known.at <= new.at } else { new.at < known.at }) {
        *known = Some(*new);
    }
}

impl Recorder {
    /// Returns the measurements of a test that has not begun.
    pub(super) fn new(connections: usize, device: Option<String>, duration: Option<Duration>) -> Recorder {
        let state = State { connections: vec![ConnectionState::default(); connections], ..State::default() };
        Recorder { state: Mutex::new(state), ended: Condvar::new(), device, duration }
    }

    /// Counts a connection whose thread begins.
    pub(super) fn start(&self) {
        self.lock().running += 1;
    }

    /// Counts a connection whose thread ends, with its failure.
    pub(super) fn finish(&self, result: Result<(), Box<Failure>>) {
        let state = &mut *self.lock();
        state.running -= 1;
        if let Err(failure) = result {
            state.failure.get_or_insert(failure);
        }
        self.ended.notify_one();
    }

    /// Waits for the end of a connection, at most for `limit`. Returns false once no connection runs.
    pub(super) fn wait(&self, limit: Duration) -> bool {
        let mut state = self.lock();
        if state.running > 0 {
            state = self.ended.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.running > 0
    }

    /// Returns true if a connection has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.lock().failure.is_some()
    }

    /// Records the first byte of a connection.
    pub(super) fn begin(&self, index: usize, at: Instant) {
        let device = self.counters();
        let state = &mut *self.lock();
        state.connections[index].begun = Some(Sample { at, bytes: state.connections[index].bytes, device });
        let sample = Sample { at, bytes: state.bytes(), device };
        keep(false, &mut state.first, &sample);
        keep(true, &mut state.latest_begin, &sample);
    }

    /// Records the bytes of a connection so far. Returns true if the time of the test has passed.
    pub(super) fn add(&self, index: usize, bytes: u64, at: Instant) -> bool {
        let state = &mut *self.lock();
        let connection = &mut state.connections[index];
        (connection.bytes, connection.last) = (bytes, Some(at));
        self.end_of(state).is_some_and(|end| at >= end)
    }

    /// Records the end of a connection: at the last byte, unless the response came at another instant.
    pub(super) fn end(&self, index: usize, exchange: Option<ExchangeRecord>, at: Option<Instant>) {
        let device = self.counters();
        let state = &mut *self.lock();
        let bytes = state.bytes();
        let connection = &mut state.connections[index];
        let Some(at) = at.or(connection.last).or(connection.begun.map(|begun| begun.at)) else { return };
        connection.exchange = exchange;
        connection.ended = Some(Sample { at, bytes: connection.bytes, device });
        let sample = Sample { at, bytes, device };
        keep(false, &mut state.full_end, &sample);
        keep(true, &mut state.last, &sample);
    }

    /// Returns the time until the end of the test by time; `None` if it has no such end, or has not begun.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        Some(self.end_of(&self.lock())?.saturating_duration_since(now))
    }

    fn end_of(&self, state: &State) -> Option<Instant> {
        Some(state.first?.at + self.duration?)
    }

    /// Returns the present readings.
    pub(super) fn sample(&self, at: Instant) -> Sample {
        Sample { at, bytes: self.lock().bytes(), device: self.counters() }
    }

    /// Returns the instant of the first byte, and the bytes of the test.
    pub(super) fn progress(&self) -> (Option<Instant>, u64) {
        let state = self.lock();
        (state.first.map(|first| first.at), state.bytes())
    }

    /// Returns the readings of the first byte.
    pub(super) fn first(&self) -> Option<Sample> {
        self.lock().first
    }

    /// Returns all measurements of a test that has ended.
    ///
    /// # Errors
    /// A connection has failed.
    pub(super) fn take(&self) -> Result<State, Box<Failure>> {
        let mut state = std::mem::take(&mut *self.lock());
        match state.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(state),
        }
    }

    fn counters(&self) -> Counters {
        Counters::read(self.device.as_deref())
    }

    /// A thread that panicked leaves whole numbers behind.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
