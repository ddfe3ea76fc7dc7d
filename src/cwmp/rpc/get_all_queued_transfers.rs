//! GetAllQueuedTransfers (TR-069 A6 §A.4.1.7).

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::Fault;
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::cwmp::transfer::reported_file_type;

/// Lists all transfers in the queue. One that the ACS has not requested has an empty CommandKey (R243).
pub(super) fn handle(_: Element<'_>, device: &mut Device, _: Now, response: &mut EnvelopeWriter) -> Result<(), Fault> {
    response.array("TransferList", "cwmp:AllQueuedTransferStruct", |list| {
        for transfer in device.state().transfers.iter() {
            let request = transfer.request();
            let is_download = request.origin.is_download();
            list.element(|entry| {
                entry.text("CommandKey", &request.command_key);
                entry.text("State", transfer.queued_state() as u8);
                entry.text("IsDownload", u8::from(is_download));
                entry.text("FileType", reported_file_type(&request.file_type, is_download));
                entry.text("FileSize", transfer.size());
                entry.text("TargetFileName", &request.target_file_name);
            });
        }
    });
    Ok(())
}
