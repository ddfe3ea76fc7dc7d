//! The deadlines of the schedule that have passed: the events that they raise.

use super::Agent;
use crate::cwmp::event::{Event, EventCode};
use crate::schedule::Due;

impl Agent {
    /// Acts on a deadline of the schedule that has passed.
    pub(super) fn on_due(&mut self, due: Due) {
        match due {
            Due::Retry | Due::Notification => self.session_wanted = true,
            Due::Periodic => {
                self.raise(Event::new(EventCode::Periodic));
                // R141: stored before the session, since 2 PERIODIC survives a reboot until the ACS has confirmed it.
                self.save();
            }
            Due::Heartbeat => {
                // R304: while a failed session waits for its retry, a heartbeat must not start one of its own. If the
                // failed session was itself a heartbeat, the retry delivers this event, too.
                self.device.state_mut().events.raise(Event::new(EventCode::Heartbeat));
                self.session_wanted |= self.schedule.retry.count() == 0;
            }
            Due::ScheduledInform { command_key } => {
                self.device.state_mut().events.raise(Event::new(EventCode::Scheduled));
                self.raise(Event::of_command(EventCode::MScheduleInform, command_key));
            }
            Due::Reboot => self.run_scheduled_reboot(),
        }
    }
}
