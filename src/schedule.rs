//! The time of the next session: retries, notifications, periodic and scheduled Informs, heartbeats, and planned
//! reboots.
//!
//! ```text
//!   settings, requests, outcomes ──▶ Schedule ── deadline() ──▶ the agent sleeps until then
//!                                       ▲  └──── poll(now) ───▶ Due, one at a time
//!                                       └─ Now
//! ```
//!
//! Deadlines are monotonic. A deadline that follows the wall clock is computed anew after that clock was set or has
//! drifted. A lower bound on every deadline prevents a clock that jumps back and forth from starting a storm of
//! sessions, or from postponing a session for ever.

use std::time::Duration;

use crate::clock::Now;

mod deadline;
mod periodic;
mod reboot;
mod retry;
mod scheduled_informs;
mod standby;
mod throttle;

pub use deadline::Deadline;
pub use periodic::{Periodic, PeriodicSettings};
pub use reboot::PlannedReboots;
pub use retry::{Retry, RetryPolicy, retry_wait};
pub use scheduled_informs::{ScheduledInforms, TooManyInforms};
pub use standby::{Standby, StandbyPolicy};
pub use throttle::Throttle;

/// The interval of checks of the wall clock while a deadline follows it: a new phase applies at most a minute after the
/// clock was set.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// An action that has become due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Repeat the failed session (R125).
    Retry,
    /// Start a session for an active notification (R210).
    Notification,
    /// Raise `2 PERIODIC` (R149).
    Periodic,
    /// Raise `14 HEARTBEAT` (R302).
    Heartbeat,
    /// Raise `3 SCHEDULED`, and `M ScheduleInform` with this command key (R154).
    ScheduledInform {
        /// The CommandKey of the request.
        command_key: String,
    },
    /// Reboot for `ScheduleReboot` or `DelayReboot`, once no session runs (R156).
    Reboot,
}

/// All deadlines of the agent's sessions. Each part is set through its own methods.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    /// The retry of a failed session.
    pub retry: Retry,
    /// The limit of sessions for active notifications, by DefaultActiveNotificationThrottle.
    pub notification: Throttle,
    /// The periodic Inform, by PeriodicInformEnable, -Interval and -Time.
    pub periodic: Periodic,
    /// The heartbeat, by HeartbeatPolicy; it has a schedule of its own (R302).
    pub heartbeat: Periodic,
    /// The reboots planned by ScheduleReboot and DelayReboot.
    pub reboots: PlannedReboots,
    last_poll: Duration,
}

impl Schedule {
    /// Returns the schedule at a start of the agent, with the count of retries (R98) and the executed instant of
    /// ScheduleReboot from the journal.
    pub fn restore(retry_count: u32, scheduled_reboot_done: Option<i64>, now: Now) -> Schedule {
        Schedule {
            retry: Retry::restore(retry_count, now),
            reboots: PlannedReboots::restore(scheduled_reboot_done),
            ..Schedule::default()
        }
    }

    /// Returns the time of the next [`Schedule::poll`] on the monotonic clock; `None` if nothing waits. `informs` holds
    /// the requests of ScheduleInform, which are stored apart because the journal keeps them.
    pub fn deadline(&self, informs: &ScheduledInforms) -> Option<Duration> {
        let watches_clock = self.periodic.watches_clock()
            || self.heartbeat.watches_clock()
            || informs.watches_clock()
            || self.reboots.watches_clock();
        let clock_check = watches_clock.then(|| self.last_poll.saturating_add(CLOCK_CHECK));
        let deadlines = [
            self.retry.deadline(),
            self.notification.deadline(),
            self.periodic.deadline(),
            self.heartbeat.deadline(),
            informs.deadline(),
            self.reboots.deadline(),
            clock_check,
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Returns the next due action; the caller repeats until there is none.
    pub fn poll(&mut self, informs: &mut ScheduledInforms, now: Now) -> Option<Due> {
        self.last_poll = now.monotonic;
        // The order matters only for actions that are due together.
        if self.retry.poll(now) {
            return Some(Due::Retry);
        }
        if self.notification.poll(now) {
            return Some(Due::Notification);
        }
        // R304: a heartbeat that is due together with another event comes first.
        if self.heartbeat.poll(now) {
            return Some(Due::Heartbeat);
        }
        if self.periodic.poll(now) {
            return Some(Due::Periodic);
        }
        if let Some(command_key) = informs.poll(now) {
            return Some(Due::ScheduledInform { command_key });
        }
        // Last, because a reboot waits for the session that the others start (R122).
        self.reboots.poll(now).then_some(Due::Reboot)
    }
}

/// Returns the seconds by which the wall clock is ahead of the monotonic one.
fn offset(now: Now) -> i64 {
    let monotonic = i64::try_from(now.monotonic.as_secs()).unwrap_or(i64::MAX);
    now.wall.saturating_sub(monotonic)
}

/// Returns the monotonic instant of a wall-clock one, or the present if that has passed.
fn instant_of(wall: i64, now: Now) -> Duration {
    let ahead = u64::try_from(wall.saturating_sub(now.wall)).unwrap_or(0);
    now.monotonic.saturating_add(Duration::from_secs(ahead))
}

#[cfg(test)]
mod tests;
