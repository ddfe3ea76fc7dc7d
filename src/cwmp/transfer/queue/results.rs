//! The results of steps, and the end of a transfer.

use super::restart::REBOOT_GRACE;
use super::{TransferQueue, TransferStep};
use crate::clock::Now;
use crate::cwmp::transfer::{Failure, TransferReport, TransferStage};
use crate::log;

/// The number of outcomes kept for local commands that wait for their transfer.
const MAX_OUTCOMES: usize = 16;

/// The end of a transfer, for the local command that waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferOutcome {
    /// The number of the transfer.
    pub id: u32,
    /// The failure text; `None` on success and after a cancel.
    pub failure: Option<String>,
}

impl TransferQueue {
    /// Returns the outcomes of the last transfers, oldest first.
    pub fn outcomes(&self) -> &[TransferOutcome] {
        &self.outcomes
    }

    /// Records the end of an attempt to move a file: the size of the complete and checked file, or the failure. The
    /// attempt number rejects a late result of an attempt that was stopped.
    pub fn move_ended(&mut self, id: u32, attempt: u32, result: Result<u64, Failure>, now: Now) {
        let Some(at) = self.position(|t| t.id == id && t.attempts == attempt && t.stage == TransferStage::Moving)
        else {
            return;
        };
        let transfer = &mut self.list[at];
        match result {
            Ok(bytes) => {
                transfer.moved = Some(bytes);
                if transfer.request.origin.is_download() {
                    // No journal record here: after a restart the file is moved again anyway.
                    transfer.stage = TransferStage::Moved;
                } else {
                    // R241: an upload is complete once the server has taken the file.
                    self.finish(at, None, now);
                }
            }
            Err(failure) if transfer.timing.plans_retry(&failure, now) => {
                log::warn!("transfer {id}: {}; it will be tried again within its windows", failure.text);
                transfer.stage = TransferStage::Waiting;
                self.unsaved = true;
            }
            Err(failure) => self.finish(at, Some(failure), now),
        }
    }

    /// Records the end of the action.
    pub fn apply_ended(&mut self, id: u32, result: Result<(), Failure>, now: Now) {
        let Some(at) = self.position(|t| t.id == id && matches!(t.stage, TransferStage::Applying(_))) else { return };
        let TransferStage::Applying(before) = self.list[at].stage.clone() else { return };
        match result {
            // R231: such a file is in use only after the reboot, and the report waits for that.
            Ok(()) if before.reboots => {
                let until = now.monotonic.saturating_add(REBOOT_GRACE);
                self.list[at].stage =
                    TransferStage::Rebooting { before, interrupted: false, is_last_wait: false, until };
                self.unsaved = true;
            }
            result => self.finish(at, result.err(), now),
        }
    }

    /// Records the end of the `verify` action.
    pub fn verify_ended(&mut self, id: u32, result: Result<(), Failure>, now: Now) {
        if let Some(at) = self.position(|t| t.id == id && matches!(t.stage, TransferStage::Verifying { .. })) {
            self.finish(at, result.err(), now);
        }
    }

    /// Records that a step could not be carried out at all. `attempt` is the attempt that the step belongs to.
    pub fn step_failed(&mut self, step: TransferStep, attempt: u32, failure: Failure, now: Now) {
        match step {
            TransferStep::Move(id) => self.move_ended(id, attempt, Err(failure), now),
            TransferStep::Apply(id) => self.apply_ended(id, Err(failure), now),
            TransferStep::Verify(id) => self.verify_ended(id, Err(failure), now),
            // The wait for the reboot ends by itself, with the failure that belongs to it.
            TransferStep::Restart(_) => {}
        }
    }

    /// Ends a transfer with its report. The outcome also goes to the local command that waits for it.
    pub(super) fn finish(&mut self, at: usize, failure: Option<Failure>, now: Now) {
        let transfer = &mut self.list[at];
        let failure = failure.map(|failure| failure.with_reportable_code(transfer.request.origin));
        let (id, origin) = (transfer.id, transfer.request.origin.name());
        match &failure {
            None => log::info!("transfer {id} ({origin}) is done"),
            Some(failure) => log::warn!("transfer {id} ({origin}) failed: {} {}", failure.code.number(), failure.text),
        }
        // A command may have started a transfer without waiting for its outcome, and must not fill the memory.
        if self.outcomes.len() >= MAX_OUTCOMES {
            self.outcomes.remove(0);
        }
        self.outcomes.push(TransferOutcome { id, failure: failure.as_ref().map(|failure| failure.text.clone()) });
        let is_success = failure.is_none();
        // R238: an unknown CompleteTime is reported as such, and so is that of a failure.
        let complete = (is_success && now.clock_is_set()).then_some(now.wall);
        transfer.stage = TransferStage::Finished(TransferReport { failure, complete });
        self.unsaved = true;
    }
}
