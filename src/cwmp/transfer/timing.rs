//! The time of a transfer: after a delay (R234), or within windows (R244, R245).

use std::fmt;
use std::time::Duration;

use super::Failure;
use crate::clock::Now;
use crate::schedule::Deadline;

/// The longest time from the due time of a delayed transfer to its start, after which it has failed (R234).
const START_LIMIT: Duration = Duration::from_secs(3600);

/// The retries in a window whose MaxRetries leaves the number to the CPE.
const DEFAULT_RETRIES: u32 = 3;

/// The first and the longest wait between two attempts; the wait doubles from one to the next.
const FIRST_RETRY_WAIT: Duration = Duration::from_secs(1);
const MAX_RETRY_WAIT: Duration = Duration::from_secs(64);

/// The times at which a transfer may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timing {
    /// A transfer with a single due time, as Download and Upload request it.
    Delayed {
        /// The earliest start.
        due: Deadline,
        /// The latest start, after which the transfer fails; `None` for a transfer without delay.
        latest: Option<Deadline>,
    },
    /// A transfer within windows, as ScheduleDownload requests it.
    Windows {
        /// The windows that are not over, in order.
        remaining: Vec<Window>,
        /// The number of failed attempts in the first window.
        failures: u32,
        /// The earliest next attempt after a failed one, on the monotonic clock.
        retry_at: Option<Duration>,
    },
}

/// A window of ScheduleDownload (TR-069 A6 T65).
///
/// The mode is not kept, because the supported modes `1 At Any Time`, `2 Immediately` and `3 When Idle` mean the same
/// here. A download begins with its window, and the file is applied between two sessions; the agent has no other
/// measure of idleness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The begin of the window.
    pub start: Deadline,
    /// The end of the window; nothing is applied from then on (R245).
    pub end: Deadline,
    /// The attempts after the first; `None` leaves the number to the CPE.
    pub max_retries: Option<u32>,
}

/// An error in the windows of a request: fault 9003 (R245).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowError {
    /// There are none, or more than two.
    Count,
    /// A window does not end after its start.
    Empty,
    /// The windows overlap, or are in the wrong order.
    Overlap,
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WindowError::Count => "TimeWindowList must have one or two windows",
            WindowError::Empty => "a window must end later than it starts",
            WindowError::Overlap => "the second window must not start before the end of the first",
        })
    }
}

impl std::error::Error for WindowError {}

impl Timing {
    /// Returns the timing of a transfer after a delay in seconds; 0 for at once.
    pub fn delayed(seconds: u32, now: Now) -> Timing {
        let delay = Duration::from_secs(seconds.into());
        // R234 sets the limit of an hour for a delay only; a transfer without one may wait its turn for longer.
        let latest = (seconds > 0).then(|| Deadline::after(delay + START_LIMIT, now));
        Timing::Delayed { due: Deadline::after(delay, now), latest }
    }

    /// Returns the timing for windows: start and end in seconds from now, and MaxRetries.
    ///
    /// # Errors
    /// Returns an error if there is no window or more than two, or if a window is empty or overlaps another.
    pub fn windows(windows: &[(u32, u32, Option<u32>)], now: Now) -> Result<Timing, WindowError> {
        if windows.is_empty() || windows.len() > 2 {
            return Err(WindowError::Count);
        }
        if windows.iter().any(|(start, end, _)| start >= end) {
            return Err(WindowError::Empty);
        }
        if windows.windows(2).any(|pair| pair[1].0 < pair[0].1) {
            return Err(WindowError::Overlap);
        }
        let moment = |seconds: u32| Deadline::after(Duration::from_secs(seconds.into()), now);
        let window = |(start, end, max_retries): &(u32, u32, Option<u32>)| Window {
            start: moment(*start),
            end: moment(*end),
            max_retries: *max_retries,
        };
        Ok(Timing::Windows { remaining: windows.iter().map(window).collect(), failures: 0, retry_at: None })
    }

    /// Returns the earliest start on the monotonic clock; `None` once all windows are over.
    pub(super) fn earliest_start(&self) -> Option<Duration> {
        match self {
            Timing::Delayed { due, .. } => Some(due.instant()),
            Timing::Windows { remaining, retry_at, .. } => {
                Some(remaining.first()?.start.instant().max(retry_at.unwrap_or(Duration::ZERO)))
            }
        }
    }

    /// Returns the time, on the monotonic clock, after which the transfer can no longer start.
    pub(super) fn expires_at(&self) -> Option<Duration> {
        match self {
            Timing::Delayed { latest, .. } => latest.map(Deadline::instant),
            Timing::Windows { remaining, .. } => remaining.first().map(|window| window.end.instant()),
        }
    }

    /// Returns true if a transfer that has not started has failed (R234).
    pub(super) fn is_too_late(&self, now: Now) -> bool {
        matches!(self, Timing::Delayed { latest: Some(latest), .. } if latest.has_passed(now))
    }

    /// Returns true if the file may be applied now: never outside a window (R245).
    pub(super) fn may_apply(&self, now: Now) -> bool {
        match self {
            Timing::Delayed { .. } => true,
            Timing::Windows { remaining, .. } => {
                remaining.first().is_some_and(|window| window.start.has_passed(now) && !window.end.has_passed(now))
            }
        }
    }

    /// Drops the windows that are over, and returns true if the first one was among them.
    pub(super) fn drop_past_windows(&mut self, now: Now) -> bool {
        match self {
            Timing::Windows { remaining, failures, retry_at }
                if remaining.first().is_some_and(|w| w.end.has_passed(now)) =>
            {
                remaining.retain(|window| !window.end.has_passed(now));
                // MaxRetries counts within each window anew.
                (*failures, *retry_at) = (0, None);
                true
            }
            _ => false,
        }
    }

    /// Returns true if a failed attempt is to be repeated, and plans the repetition. Only ScheduleDownload allows it
    /// (R232, R245).
    pub(super) fn plans_retry(&mut self, failure: &Failure, now: Now) -> bool {
        let Timing::Windows { remaining, failures, retry_at } = self else { return false };
        let Some(window) = remaining.first().filter(|_| !failure.is_permanent) else { return false };
        if *failures < window.max_retries.unwrap_or(DEFAULT_RETRIES) {
            // The shift is bounded, because a window may allow any number of retries.
            let doubled = FIRST_RETRY_WAIT.saturating_mul(1 << (*failures).min(6));
            *retry_at = Some(now.monotonic.saturating_add(doubled.min(MAX_RETRY_WAIT)));
            *failures += 1;
            return true;
        }
        // The retries of this window are used up, and the next window begins with a fresh count.
        remaining.remove(0);
        (*failures, *retry_at) = (0, None);
        !remaining.is_empty()
    }

    /// Recomputes the deadlines after the wall clock was set.
    pub(super) fn resync_clock(&mut self, now: Now) {
        match self {
            Timing::Delayed { due, latest } => {
                *due = due.resync_clock(now);
                *latest = latest.map(|latest| latest.resync_clock(now));
            }
            Timing::Windows { remaining, .. } => {
                for window in remaining {
                    (window.start, window.end) = (window.start.resync_clock(now), window.end.resync_clock(now));
                }
            }
        }
    }

    /// Returns true if a deadline depends on a wall clock that is not set yet.
    pub(super) fn awaits_clock(&self) -> bool {
        match self {
            Timing::Delayed { due, latest } => due.awaits_clock() || latest.is_some_and(Deadline::awaits_clock),
            Timing::Windows { remaining, .. } => {
                remaining.iter().any(|w| w.start.awaits_clock() || w.end.awaits_clock())
            }
        }
    }
}
