//! Feeds: descriptors beside netlink and inotify that tell of changes. They may end, and begin anew.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::readiness::PollFlags;

/// News of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Something may have changed.
    Change,
    /// A feed is there again, and a source that has failed may be.
    Return,
}

/// A descriptor that tells of changes. All instants are on the monotonic clock.
pub(crate) trait Feed: Send {
    /// Begins anew what has ended, if it is time. Returns the news of that.
    fn on_turn(&mut self, now: Duration) -> Option<News>;

    /// Returns the instant of the next attempt; `None` if there is nothing to begin.
    fn deadline(&self) -> Option<Duration>;

    /// Returns the descriptor to wait for.
    fn descriptor(&self) -> Option<(BorrowedFd<'_>, PollFlags)>;

    /// Serves the descriptor. Returns the news that came over it.
    fn on_event(&mut self, now: Duration) -> Option<News>;
}
