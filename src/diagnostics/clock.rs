//! The clock of measurements.

use std::time::{Duration, Instant, SystemTime};

/// Returns the current instant.
#[expect(clippy::disallowed_methods, reason = "a driver: a measurement has its own clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Returns the present time since the Unix epoch, UTC, to the microsecond (R315).
#[expect(clippy::disallowed_methods, reason = "a driver: a measurement has its own clock")]
pub(super) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
