//! The transfers of the device; every change of them is in the journal before it is acted on.

use super::{Author, Device, JournalError};
use crate::cwmp::transfer::{DeviceContext, Transfer, TransferQueue, TransferStep, filter_includes};

impl Device {
    /// Changes the transfers, and raises what is to be told of them; durable when this returns.
    pub fn change_transfers<R>(&mut self, edit: impl FnOnce(&mut TransferQueue) -> R) -> Result<R, JournalError> {
        let mut transfers = self.state.transfers.clone();
        let result = edit(&mut transfers);
        transfers.forget_autonomous(|transfer| self.tells_autonomous(transfer));
        self.commit(Vec::new(), Author::Other, |state| {
            state.transfers = transfers;
            state.raise_transfer_events();
        })?;
        Ok(result)
    }

    /// The agent has started: transfers that were on are judged by what can be seen of them. Nothing is written yet.
    pub fn resume_transfers(&mut self, rebooted: bool) {
        let version = self.software_version();
        let mut transfers = std::mem::take(&mut self.state.transfers);
        let context =
            DeviceContext { actions: &self.actions, version: &version, may_restart: false, is_worker_free: true };
        transfers.resume_after_restart(rebooted, self.now, context);
        transfers.forget_autonomous(|transfer| self.tells_autonomous(transfer));
        if transfers.is_unsaved() {
            transfers.save(self.now);
        }
        self.state.transfers = transfers;
        self.state.raise_transfer_events();
    }

    /// What is to be done next about the transfers; it is in the journal when this returns.
    pub fn next_transfer_step(
        &mut self,
        may_restart: bool,
        is_free: bool,
    ) -> Result<Option<TransferStep>, JournalError> {
        let (version, now) = (self.software_version(), self.now);
        let mut transfers = self.state.transfers.clone();
        let context = DeviceContext { actions: &self.actions, version: &version, may_restart, is_worker_free: is_free };
        let step = transfers.poll(now, context);
        self.change_transfers(|current| *current = transfers)?;
        Ok(step)
    }

    /// R247: whether AutonomousTransferCompletePolicy lets the ACS hear of this transfer.
    fn tells_autonomous(&self, transfer: &Transfer) -> bool {
        let policy = |name: &str| self.management_server_text(&format!("AutonomousTransferCompletePolicy.{name}"));
        let is_download = transfer.request().origin.is_download();
        let has_failed = transfer.report().is_some_and(|report| report.failure.is_some());
        let lets = |filter: &str, kind: &str| policy(filter) == "Both" || policy(filter) == kind;
        policy("Enable") == "true"
            && lets("TransferTypeFilter", if is_download { "Download" } else { "Upload" })
            && lets("ResultTypeFilter", if has_failed { "Failure" } else { "Success" })
            && filter_includes(&transfer.request().file_type, is_download, &policy("FileTypeFilter"))
    }
}
