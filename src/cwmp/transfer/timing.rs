//! When a transfer may take place: after a delay (R234), or within windows (R244, R245).

use std::fmt;
use std::time::Duration;

use super::Failure;
use crate::clock::Now;
use crate::schedule::Deadline;

/// R234: a delayed transfer that has not begun so long after its time has failed.
const START_LIMIT: Duration = Duration::from_secs(3600);

/// Attempts after the first in a window whose MaxRetries leaves it to the CPE.
const DEFAULT_RETRIES: u32 = 3;

/// The wait before the first attempt after a failed one, and the longest; it doubles from one to the next.
const FIRST_RETRY_WAIT: Duration = Duration::from_secs(1);
const MAX_RETRY_WAIT: Duration = Duration::from_secs(64);

/// When a transfer may take place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timing {
    /// From a moment on.
    Delayed {
        /// From then on.
        due: Deadline,
        /// It has failed where it has not begun by then; none for a transfer without delay.
        latest: Option<Deadline>,
    },
    /// Within the first of these windows that serves.
    Windows {
        /// Those that are not over, in order.
        remaining: Vec<Window>,
        /// Attempts that have failed in the first of them.
        failures: u32,
        /// Not before that moment, after a failed attempt.
        retry_at: Option<Duration>,
    },
}

/// A window of ScheduleDownload (TR-069 A6 T65).
///
/// Its mode is not kept: the modes that are taken, `1 At Any Time`, `2 Immediately` and `3 When Idle`, all come to the
/// same here. A download begins with its window, the file is applied between two sessions, and the agent knows of no
/// other idleness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From then on.
    pub start: Deadline,
    /// Until then.
    pub end: Deadline,
    /// Attempts after the first; none leaves it to the CPE.
    pub max_retries: Option<u32>,
}

/// What is wrong with windows that the ACS asks for: fault 9003 (R245).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowError {
    /// There must be one or two.
    Count,
    /// It ends before it has begun.
    Empty,
    /// They overlap, or are in the wrong order.
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
    /// After that many seconds; at once for 0.
    pub fn delayed(seconds: u32, now: Now) -> Timing {
        let delay = Duration::from_secs(seconds.into());
        let latest = (seconds > 0).then(|| Deadline::after(delay + START_LIMIT, now));
        Timing::Delayed { due: Deadline::after(delay, now), latest }
    }

    /// Within these windows: start and end in seconds from now, and the attempts after the first.
    ///
    /// # Errors
    /// They are none, too many, empty, or overlap.
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

    /// When it may begin, on the monotonic clock; none where that time is over.
    pub(super) fn earliest_start(&self) -> Option<Duration> {
        match self {
            Timing::Delayed { due, .. } => Some(due.instant()),
            Timing::Windows { remaining, retry_at, .. } => {
                Some(remaining.first()?.start.instant().max(retry_at.unwrap_or(Duration::ZERO)))
            }
        }
    }

    /// When it will be too late for what has not begun, on the monotonic clock.
    pub(super) fn expires_at(&self) -> Option<Duration> {
        match self {
            Timing::Delayed { latest, .. } => latest.map(Deadline::instant),
            Timing::Windows { remaining, .. } => remaining.first().map(|window| window.end.instant()),
        }
    }

    /// Whether what has not begun has failed (R234).
    pub(super) fn is_too_late(&self, now: Now) -> bool {
        matches!(self, Timing::Delayed { latest: Some(latest), .. } if latest.has_passed(now))
    }

    /// Whether the file may be applied now: never outside a window (R245).
    pub(super) fn may_apply(&self, now: Now) -> bool {
        match self {
            Timing::Delayed { .. } => true,
            Timing::Windows { remaining, .. } => {
                remaining.first().is_some_and(|window| window.start.has_passed(now) && !window.end.has_passed(now))
            }
        }
    }

    /// Leaves windows that are over behind; gives whether the first of them was one.
    pub(super) fn drop_past_windows(&mut self, now: Now) -> bool {
        match self {
            Timing::Windows { remaining, failures, retry_at }
                if remaining.first().is_some_and(|w| w.end.has_passed(now)) =>
            {
                remaining.retain(|window| !window.end.has_passed(now));
                (*failures, *retry_at) = (0, None);
                true
            }
            _ => false,
        }
    }

    /// An attempt has failed: whether there is to be another one (R232, R245).
    pub(super) fn plans_retry(&mut self, failure: &Failure, now: Now) -> bool {
        let Timing::Windows { remaining, failures, retry_at } = self else { return false };
        let Some(window) = remaining.first().filter(|_| !failure.is_permanent) else { return false };
        if *failures < window.max_retries.unwrap_or(DEFAULT_RETRIES) {
            let doubled = FIRST_RETRY_WAIT.saturating_mul(1 << (*failures).min(6));
            *retry_at = Some(now.monotonic.saturating_add(doubled.min(MAX_RETRY_WAIT)));
            *failures += 1;
            return true;
        }
        remaining.remove(0);
        (*failures, *retry_at) = (0, None);
        !remaining.is_empty()
    }

    /// The same by what the clock says now.
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

    /// Whether it depends on a clock that is not set yet.
    pub(super) fn awaits_clock(&self) -> bool {
        match self {
            Timing::Delayed { due, latest } => due.awaits_clock() || latest.is_some_and(Deadline::awaits_clock),
            Timing::Windows { remaining, .. } => {
                remaining.iter().any(|w| w.start.awaits_clock() || w.end.awaits_clock())
            }
        }
    }
}
