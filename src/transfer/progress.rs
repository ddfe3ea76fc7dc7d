//! The progress of a transfer, for `status` and for the rate that it prints.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The progress of a transfer, shared between the thread that moves the file and the threads that read it.
// A lock and not two atomics: 32-bit MIPS has no 64-bit atomics, and both numbers must match each other.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Moved>);

/// The progress of a transfer at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// The bytes of the file that a download has received, or an upload has sent. Returns to 0 if a transfer has to start
    /// over.
    pub bytes: u64,
    /// The size of the file as the server names it, or as it is on our disk; `None` while it is unknown.
    pub total: Option<u64>,
}

impl Progress {
    /// Returns the progress before the first byte.
    pub fn new() -> Progress {
        Progress::default()
    }

    /// Returns the progress at this moment.
    pub fn moved(&self) -> Moved {
        *self.lock()
    }

    /// Sets the position from which the transfer goes on.
    pub(super) fn begins_at(&self, bytes: u64, total: Option<u64>) {
        *self.lock() = Moved { bytes, total };
    }

    /// Adds bytes that were moved.
    pub(super) fn advance(&self, bytes: u64) {
        let mut moved = self.lock();
        moved.bytes = moved.bytes.saturating_add(bytes);
    }

    /// Takes the lock, also after a panic in another thread: both numbers are valid at any time.
    fn lock(&self) -> MutexGuard<'_, Moved> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_starts_over() {
        let progress = Progress::new();
        assert_eq!(progress.moved(), Moved { bytes: 0, total: None });
        progress.begins_at(0, Some(10));
        progress.advance(4);
        assert_eq!(progress.moved(), Moved { bytes: 4, total: Some(10) });
        progress.begins_at(0, None);
        assert_eq!(progress.moved(), Moved::default());
    }
}
