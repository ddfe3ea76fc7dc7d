//! What the device promised in a session and does when it is over: reboots and the factory reset.
//!
//! A promise is in the journal before it is answered, and stays there until it is kept: an agent that is killed in
//! between keeps it when it starts again.

use std::time::Duration;

use super::{Agent, AppliedRebootSettings, ExitReason};
use crate::clock::Now;
use crate::cwmp::device::{Author, Reset};
use crate::cwmp::event::EventCode;
use crate::model::actions::with_command_key;
use crate::model::value::Value;
use crate::process;

/// A command that restarts or resets the device has this long.
const ACTION_LIMIT: Duration = Duration::from_secs(120);

/// How long a device may take to go down once its command has succeeded.
const GOING_DOWN: Duration = Duration::from_secs(300);

/// How long a factory reset that also reboots may take to do so, before the agent starts anew by itself.
const RESET_GRACE: Duration = Duration::from_secs(5);

impl Agent {
    /// Does what is promised; gives why the agent ends, if it does.
    pub(super) fn run_pending_reboot(&mut self, now: Now) -> Option<ExitReason> {
        if now.monotonic < self.not_before || self.device.state().transfers.blocks_reboots() {
            return None; // a device that goes down while it writes its firmware may never come up again
        }
        if std::mem::take(&mut self.going_down) {
            log::error!("the device did not reboot within {} s", GOING_DOWN.as_secs());
            self.abandon_reboot();
        }
        if self.device.state().retry_count > 0 && self.is_enabled() {
            return None; // R122, R226: not before the session that broke has come to a clean end
        }
        match self.device.state().reset {
            Reset::None => {}
            Reset::Promised | Reset::Begun => return self.factory_reset(now),
            // Were the command run again, a device that it restarts would never come to an end with it.
            Reset::Done => return self.finish_reset(now),
        }
        if self.device.state().reboot {
            self.reboot();
        }
        None
    }

    /// Restarts the device (R223). The promise stays until another boot is seen.
    pub(super) fn reboot(&mut self) {
        let Some(command) = self.device.actions().reboot.clone() else {
            log::error!("a reboot is due, and the data model has no action for it");
            self.abandon_reboot();
            return;
        };
        log::info!("rebooting");
        let command = with_command_key(&command, self.reboot_key());
        match process::run(&command, ACTION_LIMIT, &self.stop) {
            Ok(()) => {
                self.not_before = self.clock.now().monotonic + GOING_DOWN;
                self.going_down = true;
            }
            // As a device that goes down tells it; otherwise the next start keeps the promise.
            Err(process::ActionError::Stopped) => {}
            Err(error) => {
                log::error!("the reboot failed: {error}");
                self.abandon_reboot();
            }
        }
    }

    /// The CommandKey of the last request for the reboot; empty where the ACS has not asked for it.
    fn reboot_key(&self) -> &str {
        let state = self.device.state();
        let asked = state.events.pending().filter(|event| state.reboot && event.code == EventCode::MReboot);
        asked.last().map_or("", |event| &event.command_key)
    }

    /// The ACS hears of the reboot that it asked for in the next session, without `1 BOOT`.
    fn abandon_reboot(&mut self) {
        if self.stop.load(std::sync::atomic::Ordering::Relaxed) {
            return; // the agent was told to stop meanwhile, as a device that goes down does
        }
        let ended = self.device.update(self.clock.now(), |state| state.reboot = false);
        if let Err(error) = ended {
            log::error!("{error}");
            self.device.state_mut().reboot = false; // only a restart may try again what has just failed
        }
        self.session_wanted |= self.device.state().events.is_new(&EventCode::MReboot);
    }

    /// Forgets everything, then lets the device do the same (R226).
    ///
    /// Only the promise itself stays in the journal until the command has succeeded.
    fn factory_reset(&mut self, now: Now) -> Option<ExitReason> {
        let Some(command) = &self.device.actions().factory_reset else { return self.drop_reset(now) };
        let command = with_command_key(command, ""); // R226: it has no key
        log::info!("factory reset");
        if self.device.state().reboot {
            log::info!("the reboot that was asked for, too, is dropped");
        }
        if let Err(error) = self.store.borrow_mut().compact(&[self.device.reset_record()]) {
            log::error!("the factory reset waits: {error}");
            self.not_before = now.monotonic + RESET_GRACE;
            return None;
        }
        if let Err(error) = process::run(&command, ACTION_LIMIT, &self.stop) {
            log::error!("the device could not be reset: {error}");
            if self.stop.load(std::sync::atomic::Ordering::Relaxed) {
                return Some(ExitReason::Stopped);
            }
        }
        self.finish_reset(now)
    }

    /// A later model has no action for the reset, and a still later one that has must not find the promise: nobody would
    /// expect it to be kept then. What has begun comes to its end.
    fn drop_reset(&mut self, now: Now) -> Option<ExitReason> {
        let has_begun = self.device.state().reset == Reset::Begun;
        if !has_begun && let Err(error) = self.device.update(self.clock.now(), |state| state.reset = Reset::None) {
            log::error!("{error}");
            self.device.state_mut().reset = Reset::None;
        }
        log::error!("a factory reset is due, and the data model has no action for it");
        if has_begun { self.finish_reset(now) } else { None }
    }

    /// The end of a factory reset: the journal goes, with what was left in it.
    fn finish_reset(&mut self, now: Now) -> Option<ExitReason> {
        match self.store.borrow_mut().destroy() {
            Ok(()) => Some(ExitReason::FactoryReset),
            Err(error) => {
                log::error!("the factory reset is not finished: {error}");
                self.not_before = now.monotonic + RESET_GRACE;
                None
            }
        }
    }

    /// A reboot that was planned is due (R156). What the clock says after it may be earlier than now, so that it is noted
    /// down first.
    pub(super) fn run_scheduled_reboot(&mut self) {
        let done = self.schedule.reboots.executed();
        if let Err(error) = self.device.update(self.clock.now(), |state| state.scheduled_reboot_done = done) {
            log::error!("{error}");
        }
        match self.device.state().transfers.blocks_reboots() {
            true => self.device.state_mut().reboot = true,
            false => self.reboot(),
        }
    }

    /// ScheduleReboot and DelayReboot, as the session that has just ended left them (R156).
    pub(super) fn apply_reboot_settings(&mut self, now: Now) {
        let found = AppliedRebootSettings {
            schedule_reboot: self.device.schedule_reboot(),
            delay_reboot: self.device.delay_reboot(),
        };
        if found.schedule_reboot != self.applied_reboot_settings.schedule_reboot {
            let wall = match &found.schedule_reboot {
                Some(Value::DateTime(time)) if !time.is_unknown() => Some(time.unix()),
                _ => None,
            };
            self.schedule.reboots.schedule(wall, now);
        }
        if self.device.take_delay_reboot() || found.delay_reboot != self.applied_reboot_settings.delay_reboot {
            self.schedule.reboots.delay(i32::try_from(found.delay_reboot).unwrap_or(-1), now);
        }
        self.applied_reboot_settings = found;
    }

    /// R156: every reboot sets DelayReboot back to -1.
    pub(super) fn reset_delay_reboot(&mut self) {
        if let Some(change) = self.device.cancel_delay_reboot()
            && let Err(error) = self.device.apply(vec![change], Author::Other, self.clock.now())
        {
            log::error!("{error}");
        }
    }
}
