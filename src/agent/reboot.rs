//! Reboots and the factory reset, which the device performs after the session that requested them.
//!
//! The request is in the journal before the ACS gets its response, and stays there until it has been carried out. An
//! agent that is killed in between carries it out when it starts again.
//!
//! ```text
//! Reset::Requested ─journal erased──▶ Begun ──command ends───────────────▶ journal removed, agent starts anew
//!                                       └────device boots meanwhile──▶ Done ──┘
//! state.reboot    ──command succeeds──▶ going_down ──next start sees another boot──▶ cleared
//!                                           └──no boot within 300 s──▶ cleared, logged
//! ```

use std::time::Duration;

use super::{Agent, ExitReason};
use crate::clock::Now;
use crate::cwmp::device::{Author, Reset};
use crate::cwmp::event::EventCode;
use crate::log;
use crate::model::actions::with_command_key;
use crate::model::value::Value;
use crate::process;

/// The time limit of a command that restarts or resets the device.
const ACTION_LIMIT: Duration = Duration::from_secs(120);

/// The time that a device may take to go down after its reboot command has succeeded.
const GOING_DOWN: Duration = Duration::from_secs(300);

/// The pause after a factory reset that could not be completed, before the next attempt.
const RESET_GRACE: Duration = Duration::from_secs(5);

/// Values of ScheduleReboot and DelayReboot that the schedule follows at present (R156).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AppliedRebootSettings {
    schedule_reboot: Option<Value>,
    delay_reboot: i64,
}

impl Default for AppliedRebootSettings {
    fn default() -> AppliedRebootSettings {
        AppliedRebootSettings { schedule_reboot: None, delay_reboot: -1 }
    }
}

impl Agent {
    /// Returns true while an applied file is restarting the device: no session starts, so that TransferComplete reports
    /// the software that runs after the restart (R231).
    pub(super) fn awaits_restart(&self) -> bool {
        self.device.state().transfers.blocks_sessions()
    }

    /// Returns true if the device must not reboot now: a file is being applied, or software is changing.
    fn blocks_reboots(&self) -> bool {
        let state = self.device.state();
        state.transfers.blocks_reboots() || state.units.blocks_reboots()
    }

    /// Returns true if a reboot or a factory reset is pending or under way.
    pub(super) fn is_restarting(&self) -> bool {
        self.going_down || self.device.state().reboot || self.device.state().reset != Reset::None
    }

    /// Performs a pending reboot or factory reset. Returns the reason if the agent ends for it.
    pub(super) fn run_pending_reboot(&mut self, now: Now) -> Option<ExitReason> {
        if now.monotonic < self.not_before || self.blocks_reboots() {
            // A device that goes down while it writes its firmware may never come up again.
            return None;
        }
        if std::mem::take(&mut self.going_down) {
            log::error!("the device did not reboot within {} s", GOING_DOWN.as_secs());
            self.abandon_reboot();
        }
        if self.device.state().retry_count > 0 && self.is_enabled() {
            // R122, R226: both wait for the clean end of the session that requested them, and that one has failed: the ACS
            // may not have received the response.
            return None;
        }
        match self.device.state().reset {
            Reset::None => {}
            Reset::Requested | Reset::Begun => return self.factory_reset(now),
            // The command has run. A command that restarts the device must not run again after the boot, or the device
            // would reset itself at every start.
            Reset::Done => return self.finish_reset(now),
        }
        if self.device.state().reboot {
            self.reboot();
        }
        None
    }

    /// Runs the reboot command (R223). The request stays in the journal until the next start sees another boot.
    pub(super) fn reboot(&mut self) {
        let Some(command) = self.device.actions().reboot.clone() else {
            log::error!("a reboot is due, but the data model has no action for it");
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
            // A device that goes down stops its daemons first. If it does not go down, the next start reboots it.
            Err(process::ActionError::Stopped) => {}
            Err(error) => {
                log::error!("the reboot command failed: {error}");
                self.abandon_reboot();
            }
        }
    }

    /// Returns the CommandKey of the last Reboot request; empty if the ACS did not request the reboot.
    fn reboot_key(&self) -> &str {
        let state = self.device.state();
        let asked = state.events.pending().filter(|event| state.reboot && event.code == EventCode::MReboot);
        asked.last().map_or("", |event| &event.command_key)
    }

    /// Drops the pending reboot. The next session reports `M Reboot` without `1 BOOT`, which tells the ACS that the device
    /// did not restart.
    fn abandon_reboot(&mut self) {
        if self.stop.load(std::sync::atomic::Ordering::Relaxed) {
            // A stop during the command means that the device does go down.
            return;
        }
        let ended = self.device.update(self.clock.now(), |state| state.reboot = false);
        if let Err(error) = ended {
            log::error!("{error}");
            // The journal still holds the request: only the next start tries again, or the failing command would run in
            // a loop.
            self.device.state_mut().reboot = false;
        }
        self.session_wanted |= self.device.state().events.is_new(&EventCode::MReboot);
    }

    /// Erases the stored state, then runs the factory-reset command of the device (R226).
    ///
    /// Only the reset itself stays in the journal, so that an agent that is killed during the command completes it.
    fn factory_reset(&mut self, now: Now) -> Option<ExitReason> {
        let Some(command) = &self.device.actions().factory_reset else { return self.drop_reset(now) };
        let command = with_command_key(command, ""); // R226: FactoryReset has no CommandKey
        log::info!("factory reset");
        if self.device.state().reboot {
            log::info!("the pending reboot is dropped in favour of the factory reset");
        }
        if let Err(error) = self.store.borrow_mut().erase(&self.device.reset_record()) {
            log::error!("cannot store the factory reset, retrying in {} s: {error}", RESET_GRACE.as_secs());
            self.not_before = now.monotonic + RESET_GRACE;
            return None;
        }
        match process::run(&command, ACTION_LIMIT, &self.stop) {
            Ok(()) => {}
            // The command goes on. If it does not restart the device, the next start runs it again.
            Err(process::ActionError::Stopped) => return Some(ExitReason::Stopped),
            Err(error) => {
                log::error!("the factory-reset command failed: {error}");
                if self.stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return Some(ExitReason::Stopped);
                }
            }
        }
        self.finish_reset(now)
    }

    /// Drops a pending reset whose action the new model lacks, so that a later model with the action does not run it
    /// unexpectedly. A reset that has begun is completed: the device may have erased its own state already.
    fn drop_reset(&mut self, now: Now) -> Option<ExitReason> {
        let has_begun = self.device.state().reset == Reset::Begun;
        if !has_begun && let Err(error) = self.device.update(self.clock.now(), |state| state.reset = Reset::None) {
            log::error!("{error}");
            self.device.state_mut().reset = Reset::None;
        }
        log::error!("a factory reset is due, but the data model has no action for it");
        if has_begun { self.finish_reset(now) } else { None }
    }

    /// Completes a factory reset by erasing the journal.
    fn finish_reset(&mut self, now: Now) -> Option<ExitReason> {
        match self.store.borrow_mut().destroy() {
            Ok(()) => Some(ExitReason::FactoryReset),
            Err(error) => {
                log::error!(
                    "cannot erase the journal for the factory reset, retrying in {} s: {error}",
                    RESET_GRACE.as_secs()
                );
                self.not_before = now.monotonic + RESET_GRACE;
                None
            }
        }
    }

    /// Performs a reboot that ScheduleReboot or DelayReboot planned (R156).
    pub(super) fn run_scheduled_reboot(&mut self) {
        let done = self.schedule.reboots.executed();
        if let Err(error) = self.device.update(self.clock.now(), |state| state.scheduled_reboot_done = done) {
            log::error!("{error}");
        }
        match self.blocks_reboots() {
            true => self.device.state_mut().reboot = true,
            false => self.reboot(),
        }
    }

    /// Hands ScheduleReboot and DelayReboot to the schedule if they changed (R156).
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

    /// Sets DelayReboot back to -1, as every reboot does (R156).
    pub(super) fn reset_delay_reboot(&mut self) {
        if let Some(change) = self.device.cancel_delay_reboot()
            && let Err(error) = self.device.apply(vec![change], Author::Other, self.clock.now())
        {
            log::error!("{error}");
            // The value that could not be reset must not count as a new one: on a full flash, the device would reboot
            // after each delay for ever.
            self.applied_reboot_settings.delay_reboot = self.device.delay_reboot();
        }
    }
}
