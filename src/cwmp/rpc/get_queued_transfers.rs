//! GetQueuedTransfers (TR-069 A6 §A.4.1.1), deprecated.

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};

/// Lists the transfers that the ACS has requested (R243).
pub(super) fn handle(_: Element<'_>, device: &mut Device, _: Now, response: &mut EnvelopeWriter) -> Result<(), Fault> {
    response.array("TransferList", "cwmp:QueuedTransferStruct", |list| {
        for transfer in device.state().transfers.iter().filter(|t| !t.request().origin.is_autonomous()) {
            list.element(|entry| {
                entry.text("CommandKey", &transfer.request().command_key);
                entry.text("State", transfer.queued_state() as u8);
            });
        }
    });
    Ok(())
}
