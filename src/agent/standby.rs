//! The end of a standby of the device, which the ACS learns by `13 WAKEUP` as StandbyPolicy says (R305).
//!
//! The kernel tells how long the device was in standby. Deadlines count no standby, so that the agent looks now and then.

use std::time::Duration;

use super::Agent;
use crate::clock::Now;
use crate::cwmp::event::{Event, EventCode};
use crate::log;
use crate::schedule::Standby;

/// The interval of the looks.
const LOOK: Duration = Duration::from_secs(5);

/// The shortest standby that counts: the time of the kernel is in whole seconds.
const SHORTEST: Duration = Duration::from_secs(3);

/// The watch for the end of a standby.
#[derive(Default)]
pub(super) struct StandbyWatch {
    /// The time in standby since the boot, at the last look; `None` while the policy reports nothing.
    known: Option<Duration>,
    /// The instant of the next look, on the monotonic clock.
    next: Duration,
}

impl StandbyWatch {
    /// Returns the instant of the next look; `None` if there is none.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.known.map(|_| self.next)
    }
}

impl Agent {
    /// Looks whether the device was in standby, before the deadlines of the schedule are moved by it.
    pub(super) fn poll_standby(&mut self, now: Now) {
        let Some(policy) = self.device.standby_policy().filter(|_| self.is_enabled()) else {
            self.standby.known = None;
            return;
        };
        if self.standby.known.is_some() && now.monotonic < self.standby.next {
            return;
        }
        let Some(total) = self.clock.standby() else { return };
        self.standby.next = now.monotonic.saturating_add(LOOK);
        let Some(before) = self.standby.known.replace(total) else { return };
        let length = total.saturating_sub(before);
        if length < SHORTEST {
            // Small differences are those of rounding.
            self.standby.known = Some(before.min(total));
            return;
        }
        let left = |deadline: Option<Duration>| Some(deadline?.saturating_sub(now.monotonic));
        let interval = self.device.periodic_settings().map(|settings| settings.interval);
        let standby = Standby {
            length,
            periodic: left(self.schedule.periodic.deadline()).zip(interval),
            scheduled: left(self.device.state().scheduled_informs.deadline()),
        };
        log::info!("the device was in standby for {} s", length.as_secs());
        if policy.reports(&standby) {
            self.raise(Event::new(EventCode::Wakeup));
            // R300: the server and the NAT have given the connection up meanwhile.
            self.close_xmpp();
        }
    }
}
