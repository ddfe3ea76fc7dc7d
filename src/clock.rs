//! The clock: a moment on both clocks, taken once a turn and handed down.

use std::time::Duration;

/// 2024-01-01T00:00:00Z: a clock that reads earlier has not been set by anybody.
const EARLIEST_CREDIBLE: i64 = 1_704_067_200;

/// A moment, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since an arbitrary start; never jumps.
    pub monotonic: Duration,
    /// Seconds since the Unix epoch, UTC; jumps when the clock is set.
    pub wall: i64,
}

impl Now {
    /// Whether the device has absolute time (R32, R97).
    pub fn clock_is_set(&self) -> bool {
        self.wall > EARLIEST_CREDIBLE
    }
}
