//! Time limits of all waits on one server, and the stop flag that ends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::error::HttpError;

/// The longest time that a wait runs before it checks the stop flag again.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// The time limits of one exchange, and the flag that stops it early.
#[derive(Clone, Debug)]
pub struct IoLimits {
    /// The time for which the server may send nothing: at least 30 s in production (R48).
    pub timeout: Duration,
    /// The stop flag of the agent. Once it is set, every wait ends within a tick of 200 ms.
    pub stop: Arc<AtomicBool>,
    /// The instant at which every wait ends; `None` if only the limits of the single phases hold.
    pub end: Option<Instant>,
}

impl IoLimits {
    /// Fails with [`HttpError::Stopped`] once the stop flag is set.
    pub fn check(&self) -> Result<(), HttpError> {
        // Relaxed: the flag guards no other data, and a tick of delay is allowed anyway.
        match self.stop.load(Ordering::Relaxed) {
            true => Err(HttpError::Stopped),
            false => Ok(()),
        }
    }

    /// Returns the instant `limit` from now, or `end` if that is earlier.
    pub(super) fn deadline(&self, limit: Duration) -> Instant {
        let deadline = now() + limit;
        self.end.map_or(deadline, |end| deadline.min(end))
    }

    /// Returns the same limits with an end after `limit` from now, which holds for all waits together.
    pub fn end_within(self, limit: Duration) -> IoLimits {
        IoLimits { end: Some(self.deadline(limit)), ..self }
    }

    /// Returns true if the end has passed.
    pub fn is_over(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Returns the time until the end; unlimited without one.
    pub(super) fn remaining(&self) -> Duration {
        self.end.map_or(Duration::MAX, |end| end.saturating_duration_since(now()))
    }

    /// Waits for `limit`, or until the end if that is earlier. Fails once the stop flag is set.
    pub fn pause(&self, limit: Duration) -> Result<(), HttpError> {
        let until = self.deadline(limit);
        loop {
            self.check()?;
            let left = until.saturating_duration_since(now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(TICK));
        }
    }

    /// Returns the timeout to set on the socket.
    pub(super) fn tick(&self) -> Duration {
        // Never zero: the kernel reads a zero timeout as "no timeout", and the wait would never end.
        TICK.min(self.timeout).max(Duration::from_millis(1))
    }
}

/// Returns the current instant.
#[expect(clippy::disallowed_methods, reason = "a driver: the limits of a socket are its own")]
pub(super) fn now() -> Instant {
    Instant::now()
}
