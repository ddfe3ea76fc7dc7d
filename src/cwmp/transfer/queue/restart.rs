//! Restarts of the agent or the device, and the results of interrupted transfers.

use std::time::Duration;

use super::{DeviceContext, TransferQueue, TransferStep};
use crate::clock::Now;
use crate::cwmp::fault::FaultCode;
use crate::cwmp::transfer::{ApplyRecord, FIRMWARE, Failure, TransferStage};

/// The time for the device to reboot by itself after a successful action. Some commands only hand the file over and
/// stop the system a moment later to write it; a reboot command would interrupt that.
pub(super) const REBOOT_GRACE: Duration = Duration::from_secs(10);

/// The longest wait for a reboot.
const REBOOT_LIMIT: Duration = Duration::from_secs(300);

/// The number of interruptions after which a transfer is given up, because it may be the cause of the restarts.
const MAX_INTERRUPTIONS: u32 = 5;

impl TransferQueue {
    /// Continues after a start of the agent, with or without a reboot of the device. Interrupted transfers are resolved
    /// by the state of the device.
    pub fn resume_after_restart(&mut self, rebooted: bool, now: Now, device: DeviceContext<'_>) {
        if rebooted && !self.download_requests.is_empty() {
            self.download_requests.clear(); // R144: the event 9 REQUEST DOWNLOAD does not survive a reboot either
            self.unsaved = true;
        }
        for at in 0..self.list.len() {
            match self.list[at].stage.clone() {
                TransferStage::Moving | TransferStage::Moved => self.restart_interrupted_move(at, now),
                TransferStage::Applying(before) => self.resolve_interrupted(at, before, false, rebooted, now, device),
                TransferStage::Rebooting { before, interrupted, .. } => {
                    self.resolve_interrupted(at, before, !interrupted, rebooted, now, device);
                }
                // A wait goes on, a verify action is repeated by the next poll, and a report stays.
                TransferStage::Waiting | TransferStage::Verifying { .. } | TransferStage::Finished(_) => {}
            }
        }
    }

    /// Returns true while an interrupted action may still run. Its end is reported by
    /// [`TransferQueue::interrupted_action_ended`].
    pub fn awaits_interrupted_action(&self) -> bool {
        self.list
            .iter()
            .any(|t| matches!(t.stage, TransferStage::Rebooting { interrupted: true, is_last_wait: false, .. }))
    }

    /// Records the end of an action that outlived the agent. The device reboots soon, or not at all.
    pub fn interrupted_action_ended(&mut self, now: Now) {
        for transfer in &mut self.list {
            if let TransferStage::Rebooting { interrupted: true, is_last_wait, until, .. } = &mut transfer.stage {
                *is_last_wait = true;
                *until = (*until).min(now.monotonic.saturating_add(REBOOT_GRACE));
            }
        }
    }

    /// Repeats a move after an interruption, up to a limit.
    fn restart_interrupted_move(&mut self, at: usize, now: Now) {
        let transfer = &mut self.list[at];
        transfer.interruptions = transfer.interruptions.saturating_add(1);
        // The part that was moved is not trusted: its check comes only with the end of the file.
        transfer.moved = None;
        transfer.stage = TransferStage::Waiting;
        self.unsaved = true;
        if transfer.interruptions >= MAX_INTERRUPTIONS {
            let text = format!("the agent was restarted {MAX_INTERRUPTIONS} times while the file was transferred");
            self.finish(at, Some(Failure::permanent(FaultCode::DownloadIncomplete, text)), now);
        }
    }

    /// Decides the result of an action that had begun before the agent restarted. The action is never run again,
    /// because a repetition could destroy the firmware.
    fn resolve_interrupted(
        &mut self,
        at: usize,
        before: ApplyRecord,
        has_succeeded: bool,
        rebooted: bool,
        now: Now,
        device: DeviceContext<'_>,
    ) {
        let transfer = &mut self.list[at];
        self.unsaved = true;
        let action = device.actions.download_action(&transfer.request.file_type);
        if before.reboots && !rebooted {
            // The action continues without the agent, or has just ended.
            let runs = action.map_or(REBOOT_LIMIT, |action| action.time_limit.max(REBOOT_LIMIT));
            transfer.interruptions = transfer.interruptions.saturating_add(1);
            // A boot id that never changes makes every restart look like one without a reboot; the limit ends the loop.
            let is_last_wait = has_succeeded && transfer.interruptions > MAX_INTERRUPTIONS;
            let wait = match has_succeeded {
                true if is_last_wait => REBOOT_LIMIT,
                true => REBOOT_GRACE,
                false => runs,
            };
            let until = now.monotonic.saturating_add(wait);
            transfer.stage = TransferStage::Rebooting { before, interrupted: !has_succeeded, is_last_wait, until };
            return;
        }
        // The verify action takes precedence: the vendor's command can inspect the file in use, which the rules
        // below cannot.
        if action.is_some_and(|action| action.verify.is_some()) {
            // Interruptions count within one stage, and the next one begins.
            transfer.stage = TransferStage::Verifying { runs: false };
            transfer.interruptions = 0;
            return;
        }
        let failure = match transfer.request.file_type == FIRMWARE {
            // No reboot was needed, and the exit code of the action is lost with the agent.
            _ if !before.reboots => {
                let who = if rebooted { "device" } else { "agent" };
                let text = format!("the {who} was restarted while the file was being applied");
                Some(Failure::permanent(FaultCode::InternalError, text))
            }
            true if before.version == device.version => {
                let text = format!("the device has come back with the software version it had: {}", before.version);
                Some(Failure::permanent(FaultCode::FileCorrupted, text))
            }
            _ => None,
        };
        self.finish(at, failure, now);
    }

    /// Waits for the reboot of the device, and returns the reboot command as a step when it does not come by itself.
    pub(super) fn poll_reboot(&mut self, at: usize, now: Now, device: DeviceContext<'_>) -> Option<TransferStep> {
        let transfer = &mut self.list[at];
        let TransferStage::Rebooting { interrupted, is_last_wait, until, .. } = &mut transfer.stage else {
            return None;
        };
        if now.monotonic < *until {
            return None;
        }
        if !*is_last_wait && !*interrupted {
            // Not a record of the journal: an agent that is killed here waits and asks for the reboot again.
            *is_last_wait = true;
            *until = now.monotonic.saturating_add(REBOOT_LIMIT);
            return device.actions.reboot.is_some().then_some(TransferStep::Restart(transfer.id));
        }
        let text = match interrupted {
            true => "the agent was restarted while the file was being applied, and the device has not rebooted",
            false => "the file was applied, and the device has not rebooted to use it",
        };
        self.finish(at, Some(Failure::permanent(FaultCode::InternalError, text)), now);
        None
    }

    /// Begins the `verify` action, if the model still has one.
    pub(super) fn verify(&mut self, at: usize, now: Now, device: DeviceContext<'_>) -> Option<TransferStep> {
        let transfer = &mut self.list[at];
        let action = device.actions.download_action(&transfer.request.file_type);
        if action.is_some_and(|action| action.verify.is_some()) {
            transfer.stage = TransferStage::Verifying { runs: true };
            transfer.interruptions = transfer.interruptions.saturating_add(1);
            self.unsaved = true;
            // The limit holds as for a move: the action itself may bring the device down.
            if transfer.interruptions <= MAX_INTERRUPTIONS {
                return Some(TransferStep::Verify(transfer.id));
            }
        }
        let text = "whether the file is in use could not be found out";
        self.finish(at, Some(Failure::permanent(FaultCode::FileCorrupted, text)), now);
        None
    }
}
