//! When is the next session due: retries, notifications, periodic, scheduled, heartbeat, planned reboots.
//!
//! ```text
//!   settings, requests, outcomes ──▶ Schedule ── deadline() ──▶ the agent sleeps until then
//!                                       ▲  └──── poll(now) ───▶ Due, one at a time
//!                                       └─ Now
//! ```
//!
//! Deadlines are monotonic. What follows the wall clock is worked out anew when that clock has
//! been set or has drifted, and a lower bound on every deadline keeps a clock that jumps to and
//! fro from starting sessions in a storm, or from postponing one for ever.

use std::time::Duration;

use crate::clock::Now;

mod deadline;
mod periodic;
mod reboot;
mod retry;
mod scheduled_informs;
mod throttle;

pub use deadline::Deadline;
pub use periodic::{Periodic, PeriodicSettings};
pub use reboot::PlannedReboots;
pub use retry::{Retry, RetryPolicy, retry_wait};
pub use scheduled_informs::{ScheduledInforms, TooManyInforms};
pub use throttle::Throttle;

/// How often the wall clock is looked at while something follows it: after it is set, a new
/// phase holds within a minute.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// What has become due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// The failed session is to be tried again (R125).
    Retry,
    /// A session for an active notification (R210).
    Notification,
    /// `2 PERIODIC` (R149).
    Periodic,
    /// `14 HEARTBEAT` (R302).
    Heartbeat,
    /// `3 SCHEDULED` and `M ScheduleInform` with this command key (R154).
    ScheduledInform {
        /// The CommandKey of the request.
        command_key: String,
    },
    /// `ScheduleReboot` or `DelayReboot`: reboot when no session runs (R156).
    Reboot,
}

/// Everything that waits for its time. Each part is set through its own methods.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    /// Sessions that failed.
    pub retry: Retry,
    /// DefaultActiveNotificationThrottle.
    pub notification: Throttle,
    /// PeriodicInformInterval and its kin.
    pub periodic: Periodic,
    /// HeartbeatPolicy, which works the same way.
    pub heartbeat: Periodic,
    /// ScheduleReboot and DelayReboot.
    pub reboots: PlannedReboots,
    last_poll: Duration,
}

impl Schedule {
    /// As it goes on at a start: after so many retries (R98), with the instant of ScheduleReboot that was obeyed.
    pub fn restore(retry_count: u32, scheduled_reboot_done: Option<i64>, now: Now) -> Schedule {
        Schedule {
            retry: Retry::restore(retry_count, now),
            reboots: PlannedReboots::restore(scheduled_reboot_done),
            ..Schedule::default()
        }
    }

    /// When to call [`Schedule::poll`] again, on the monotonic clock; none if nothing waits. `informs` is what
    /// ScheduleInform has asked for; it stands apart because it outlives the agent.
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

    /// What is due, one at a time: to be called until there is none.
    pub fn poll(&mut self, informs: &mut ScheduledInforms, now: Now) -> Option<Due> {
        self.last_poll = now.monotonic;
        if self.retry.poll(now) {
            return Some(Due::Retry);
        }
        if self.notification.poll(now) {
            return Some(Due::Notification);
        }
        if self.heartbeat.poll(now) {
            return Some(Due::Heartbeat);
        }
        if self.periodic.poll(now) {
            return Some(Due::Periodic);
        }
        if let Some(command_key) = informs.poll(now) {
            return Some(Due::ScheduledInform { command_key });
        }
        self.reboots.poll(now).then_some(Due::Reboot)
    }
}

/// How far the wall clock stands ahead of the monotonic one, in seconds.
fn offset(now: Now) -> i64 {
    let monotonic = i64::try_from(now.monotonic.as_secs()).unwrap_or(i64::MAX);
    now.wall.saturating_sub(monotonic)
}

/// The monotonic instant of a wall-clock one; now, where that has passed.
fn instant_of(wall: i64, now: Now) -> Duration {
    let ahead = u64::try_from(wall.saturating_sub(now.wall)).unwrap_or(0);
    now.monotonic.saturating_add(Duration::from_secs(ahead))
}

#[cfg(test)]
mod tests;
