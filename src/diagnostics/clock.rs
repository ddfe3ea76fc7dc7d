//! The clock of measurements.

use std::time::Instant;

/// Returns the current instant.
#[expect(clippy::disallowed_methods, reason = "a driver: a measurement has its own clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}
