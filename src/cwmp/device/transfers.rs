//! The file transfers of the device. Each change of them is stored before the agent acts on it.

use super::management_server::parameter;
use super::{Device, JournalError};
use crate::clock::Now;
use crate::cwmp::transfer::{DeviceContext, Transfer, TransferQueue, TransferStep, filter_includes};

impl Device {
    /// Stores an edit of the transfers and the events that follow from it. Returns the result of the edit.
    ///
    /// # Errors
    /// The journal cannot be written; then nothing has changed.
    pub fn change_transfers<R>(
        &mut self,
        now: Now,
        edit: impl FnOnce(&mut TransferQueue) -> R,
    ) -> Result<R, JournalError> {
        let mut transfers = self.state.transfers.clone();
        let result = edit(&mut transfers);
        self.store_transfers(transfers, now)?;
        Ok(result)
    }

    /// Decides how each interrupted transfer goes on after a start of the agent. Writes nothing: a start that ends
    /// before its first record leads to the same decision in the next one.
    pub fn resume_transfers(&mut self, rebooted: bool, now: Now) {
        let version = self.software_version();
        let mut transfers = std::mem::take(&mut self.state.transfers);
        // No restart is decided here: the first poll of the agent does so, when the events of the start are known.
        let context =
            DeviceContext { actions: &self.actions, version: &version, may_restart: false, is_worker_free: true };
        transfers.resume_after_restart(rebooted, now, context);
        transfers.forget_autonomous(|transfer| self.reports_autonomous(transfer));
        if transfers.is_unsaved() {
            transfers.save(now);
        }
        self.state.transfers = transfers;
        self.state.raise_report_events();
    }

    /// Returns the next step of the transfers; `None` if all of them wait or none is left. The step is stored before
    /// this returns, so that after a restart the queue knows which step was interrupted (R233).
    ///
    /// # Errors
    /// The journal cannot be written; then nothing has changed, and the step must not begin.
    pub fn next_transfer_step(
        &mut self,
        may_restart: bool,
        is_free: bool,
        now: Now,
    ) -> Result<Option<TransferStep>, JournalError> {
        let version = self.software_version();
        let mut transfers = self.state.transfers.clone();
        let context = DeviceContext { actions: &self.actions, version: &version, may_restart, is_worker_free: is_free };
        let step = transfers.poll(now, context);
        self.store_transfers(transfers, now)?;
        Ok(step)
    }

    fn store_transfers(&mut self, mut transfers: TransferQueue, now: Now) -> Result<(), JournalError> {
        transfers.forget_autonomous(|transfer| self.reports_autonomous(transfer));
        self.update(now, |state| {
            state.transfers = transfers;
            state.raise_report_events();
        })
    }

    /// Returns true if AutonomousTransferCompletePolicy requests a report of this transfer (R247).
    fn reports_autonomous(&self, transfer: &Transfer) -> bool {
        let policy = |parameter: &str| self.management_server_text(parameter);
        let is_download = transfer.request().origin.is_download();
        let has_failed = transfer.report().is_some_and(|report| report.failure.is_some());
        let allows = |filter: &str, kind: &str| policy(filter) == "Both" || policy(filter) == kind;
        // A model without the policy has empty texts here, so that nothing is reported: an ACS that cannot set the
        // policy has not asked for the method either.
        policy(parameter::AUTONOMOUS_ENABLE) == "true"
            && allows(parameter::AUTONOMOUS_TRANSFER_TYPE, if is_download { "Download" } else { "Upload" })
            && allows(parameter::AUTONOMOUS_RESULT_TYPE, if has_failed { "Failure" } else { "Success" })
            && filter_includes(&transfer.request().file_type, is_download, &policy(parameter::AUTONOMOUS_FILE_TYPE))
    }
}
