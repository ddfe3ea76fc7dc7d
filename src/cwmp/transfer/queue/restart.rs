//! Restarts: of the device for its firmware, and of whatever was interrupted.

use std::time::Duration;

use super::{DeviceContext, TransferQueue, TransferStep};
use crate::clock::Now;
use crate::cwmp::fault::FaultCode;
use crate::cwmp::transfer::{ApplyRecord, FIRMWARE, Failure, Stage};

/// A device whose action has ended well has this long to go down by itself. Some commands only hand the file over, and
/// stop everything a moment later to write it: the agent must not cut in.
pub(super) const REBOOT_GRACE: Duration = Duration::from_secs(10);

/// How long it may take to go down in all.
const REBOOT_LIMIT: Duration = Duration::from_secs(300);

/// A transfer that was interrupted so often is given up: it may be what brings the device down.
const MAX_INTERRUPTIONS: u32 = 5;

impl TransferQueue {
    /// The agent has started, with the device or alone: what was on is judged by what can be seen.
    pub fn resume_after_restart(&mut self, rebooted: bool, now: Now, device: DeviceContext<'_>) {
        if rebooted && !self.download_requests.is_empty() {
            self.download_requests.clear(); // with 9 REQUEST DOWNLOAD
            self.unsaved = true;
        }
        for at in 0..self.list.len() {
            match self.list[at].stage.clone() {
                Stage::Moving | Stage::Moved => self.restart_interrupted_move(at, now),
                Stage::Applying(before) => self.resolve_interrupted(at, before, false, rebooted, now, device),
                Stage::Rebooting { before, interrupted, .. } => {
                    self.resolve_interrupted(at, before, !interrupted, rebooted, now, device);
                }
                Stage::Waiting | Stage::Verifying { .. } | Stage::Finished(_) => {}
            }
        }
    }

    /// Whether an action that was interrupted is waited for; its end is to be told by
    /// [`TransferQueue::interrupted_action_ended`].
    pub fn awaits_interrupted_action(&self) -> bool {
        self.list.iter().any(|t| matches!(t.stage, Stage::Rebooting { interrupted: true, is_last_wait: false, .. }))
    }

    /// The action that went on when the agent was killed has ended, one way or the other: the device goes down soon, or
    /// not at all.
    pub fn interrupted_action_ended(&mut self, now: Now) {
        for transfer in &mut self.list {
            if let Stage::Rebooting { interrupted: true, is_last_wait, until, .. } = &mut transfer.stage {
                *is_last_wait = true;
                *until = (*until).min(now.monotonic.saturating_add(REBOOT_GRACE));
            }
        }
    }

    /// A kill or a power cut while the file moved: it moves again, unless that seems to be the cause.
    fn restart_interrupted_move(&mut self, at: usize, now: Now) {
        let transfer = &mut self.list[at];
        transfer.interruptions = transfer.interruptions.saturating_add(1);
        transfer.moved = None;
        transfer.stage = Stage::Waiting;
        self.unsaved = true;
        if transfer.interruptions >= MAX_INTERRUPTIONS {
            let text = format!("the agent was restarted {MAX_INTERRUPTIONS} times while the file was transferred");
            self.finish(at, Some(Failure::permanent(FaultCode::DownloadIncomplete, text)), now);
        }
    }

    /// The agent has started where an action had begun. Whatever has become of it, it is not run again.
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
            // The action goes on without the agent, or has just ended.
            let runs = action.map_or(REBOOT_LIMIT, |action| action.time_limit.max(REBOOT_LIMIT));
            transfer.interruptions = transfer.interruptions.saturating_add(1);
            // Where no reboot can be told from a restart of the agent, the device must not be restarted for ever.
            let is_last_wait = has_succeeded && transfer.interruptions > MAX_INTERRUPTIONS;
            let wait = match has_succeeded {
                true if is_last_wait => REBOOT_LIMIT,
                true => REBOOT_GRACE,
                false => runs,
            };
            let until = now.monotonic.saturating_add(wait);
            transfer.stage = Stage::Rebooting { before, interrupted: !has_succeeded, is_last_wait, until };
            return;
        }
        if action.is_some_and(|action| action.verify.is_some()) {
            transfer.stage = Stage::Verifying { runs: false };
            transfer.interruptions = 0;
            return;
        }
        let failure = match transfer.request.file_type == FIRMWARE {
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

    /// The device is to go down: nothing else begins.
    pub(super) fn poll_reboot(&mut self, at: usize, now: Now, device: DeviceContext<'_>) -> Option<TransferStep> {
        let transfer = &mut self.list[at];
        let Stage::Rebooting { interrupted, is_last_wait, until, .. } = &mut transfer.stage else { return None };
        if now.monotonic < *until {
            return None;
        }
        if !*is_last_wait && !*interrupted {
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

    pub(super) fn verify(&mut self, at: usize, now: Now, device: DeviceContext<'_>) -> Option<TransferStep> {
        let transfer = &mut self.list[at];
        let action = device.actions.download_action(&transfer.request.file_type);
        if action.is_some_and(|action| action.verify.is_some()) {
            transfer.stage = Stage::Verifying { runs: true };
            transfer.interruptions = transfer.interruptions.saturating_add(1);
            self.unsaved = true;
            if transfer.interruptions <= MAX_INTERRUPTIONS {
                return Some(TransferStep::Verify(transfer.id));
            }
        }
        let text = "whether the file is in use could not be found out";
        self.finish(at, Some(Failure::permanent(FaultCode::FileCorrupted, text)), now);
        None
    }
}
