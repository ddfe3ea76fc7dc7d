//! Event sources: descriptors beside netlink and inotify that tell of changes. They may end, and begin anew.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::readiness::PollFlags;

/// An event that concerns the values of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceEvent {
    /// Something may have changed.
    Changed,
    /// An event source is there again, and a source of values that has failed may be.
    Returned,
}

/// A descriptor that tells of changes. All instants are on the monotonic clock.
pub(crate) trait EventSource: Send {
    /// Begins anew what has ended, if it is time. Returns the event of that.
    fn on_turn(&mut self, now: Duration) -> Option<SourceEvent>;

    /// Returns the instant of the next attempt; `None` if there is nothing to begin.
    fn deadline(&self) -> Option<Duration>;

    /// Returns the descriptor to wait for.
    fn descriptor(&self) -> Option<(BorrowedFd<'_>, PollFlags)>;

    /// Serves the descriptor. Returns the event that it told.
    fn on_event(&mut self, now: Duration) -> Option<SourceEvent>;
}
