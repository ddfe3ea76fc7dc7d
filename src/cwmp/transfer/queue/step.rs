//! The steps of a transfer, and the state of the device that they depend on.

use crate::model::actions::Actions;

/// The state of the device that the next step depends on.
#[derive(Clone, Copy, Debug)]
pub struct DeviceContext<'a> {
    /// The actions of the model on files.
    pub actions: &'a Actions,
    /// The current value of SoftwareVersion.
    pub version: &'a str,
    /// True if the device may reboot now, because the last session has ended cleanly (R122).
    pub may_restart: bool,
    /// True if the worker can start a job. A stopped job may take a moment to end.
    pub is_worker_free: bool,
}

/// A step to be carried out, once the journal holds that it was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferStep {
    /// Moves the file, and ends with [`TransferQueue::move_ended`].
    Move(u32),
    /// Runs the action on the file, and ends with [`TransferQueue::apply_ended`].
    Apply(u32),
    /// Runs the reboot command, because the device has not rebooted by itself.
    Restart(u32),
    /// Runs the `verify` action, and ends with [`TransferQueue::verify_ended`].
    Verify(u32),
}

impl TransferStep {
    /// Returns the number of the transfer that the step belongs to.
    pub fn transfer_id(self) -> u32 {
        match self {
            TransferStep::Move(id) | TransferStep::Apply(id) | TransferStep::Restart(id) | TransferStep::Verify(id) => {
                id
            }
        }
    }
}
