//! How far a transfer has come, for those who watch it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shared between the thread that moves a file and those that ask how far it is.
///
/// A lock around two numbers: 32-bit MIPS has no 64-bit atomics, and both belong together.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Moved>);

/// A moment of a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes of the file that are on this side of a download, or on the other side of an upload. Goes back to 0 where
    /// a transfer has to start over.
    pub bytes: u64,
    /// The size of the file as the server tells it, or as it is on our disk; none while it is unknown.
    pub total: Option<u64>,
}

impl Progress {
    /// Nothing moved yet, and nothing known.
    pub fn new() -> Progress {
        Progress::default()
    }

    /// How far it is now.
    pub fn moved(&self) -> Moved {
        *self.lock()
    }

    pub(super) fn begins_at(&self, bytes: u64, total: Option<u64>) {
        *self.lock() = Moved { bytes, total };
    }

    pub(super) fn advance(&self, bytes: u64) {
        let mut moved = self.lock();
        moved.bytes = moved.bytes.saturating_add(bytes);
    }

    /// A thread that panicked with the lock held left two numbers behind that are still right.
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
