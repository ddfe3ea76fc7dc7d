//! Time limits of all waits on one server, and the stop flag that ends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::error::HttpError;

/// The longest time that a wait runs before it checks the stop flag again.
pub(super) const TICK: Duration = Duration::from_millis(200);
/// The rate, in bytes a second, at which a message must be sent or received on average. A GPRS link carries 1 kB a second, of
/// which the headers of TCP and TLS and lost packets take a share.
pub(super) const SLOWEST_LINK: u64 = 512;
/// The longest time of a message beside the silence that the server is allowed and the time that its size takes.
const ALLOWANCE: Duration = Duration::from_secs(90);

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

    /// Returns the longest time in which a message of so many bytes is sent or received (R48, R119). The limit of silence
    /// alone would let a server that moves a byte a minute hold a session for hours.
    pub(super) fn time_for(&self, bytes: u64) -> Duration {
        // Short limits of silence, as tests have, get a short allowance.
        self.timeout + ALLOWANCE.min(self.timeout * 3) + at_slowest(bytes)
    }

    /// Returns the instant `limit` from now, or `end` if that is earlier.
    pub(super) fn deadline(&self, limit: Duration) -> Instant {
        self.before_end(now() + limit)
    }

    /// Returns the instant, or `end` if that is earlier.
    pub(super) fn before_end(&self, instant: Instant) -> Instant {
        self.end.map_or(instant, |end| instant.min(end))
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
    pub fn remaining(&self) -> Duration {
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
    pub fn tick(&self) -> Duration {
        // Never zero: the kernel reads a zero timeout as "no timeout", and the wait would never end.
        TICK.min(self.timeout).min(self.remaining()).max(Duration::from_millis(1))
    }
}

/// Returns the time that so many bytes take on the slowest link.
pub(super) fn at_slowest(bytes: u64) -> Duration {
    Duration::from_micros(bytes.saturating_mul(1_000_000) / SLOWEST_LINK)
}

/// Returns the current instant.
#[expect(clippy::disallowed_methods, reason = "a driver: the limits of a socket are its own")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R48, R119: a long limit of silence does not let a trickling server hold the session; a large message on a slow link
    /// has its time.
    #[test]
    fn a_message_has_the_silence_an_allowance_and_the_time_for_its_size() {
        let time = |timeout, bytes| {
            let limits = IoLimits { timeout: Duration::from_secs(timeout), stop: Arc::default(), end: None };
            limits.time_for(bytes).as_secs()
        };
        assert_eq!((time(30, 0), time(1, 0), time(600, 0), time(3600, 0)), (120, 4, 690, 3690));
        assert_eq!(time(30, 200 << 10), 120 + 400);
        time(3600, u64::MAX);
    }
}
