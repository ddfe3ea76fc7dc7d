//! Download (TR-069 A6 §A.3.2.8).

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::cwmp::transfer::{Origin, Timing, TransferRequest, admit};
use crate::model::date_time::DateTime;

/// Queues a download, which takes place after the session and is reported by TransferComplete (R227, R230).
pub(super) fn handle(
    request: Element<'_>,
    device: &mut Device,
    now: Now,
    response: &mut EnvelopeWriter,
) -> Result<(), Fault> {
    let transfer = read_download(request, Origin::Download)?;
    let timing = Timing::delayed(request.unsigned_int("DelaySeconds")?, now);
    // The web pages that a browser shows after the transfer. No browser waits here, and yet a URL that is too long must
    // be rejected.
    request.optional_string("SuccessURL", 256)?;
    request.optional_string("FailureURL", 256)?;
    queue(transfer, timing, device, now)?;
    write_response(response);
    Ok(())
}

/// Reads the arguments that Download and ScheduleDownload have in common.
pub(super) fn read_download(request: Element<'_>, origin: Origin) -> Result<TransferRequest, Fault> {
    Ok(TransferRequest {
        file_size: request.unsigned_int("FileSize")?,
        target_file_name: request.string("TargetFileName", 256)?.into_owned(),
        ..read_transfer(request, origin)?
    })
}

/// Reads the arguments that Download, ScheduleDownload and Upload have in common.
pub(super) fn read_transfer(request: Element<'_>, origin: Origin) -> Result<TransferRequest, Fault> {
    Ok(TransferRequest {
        origin,
        command_key: request.optional_string("CommandKey", 32)?.unwrap_or_default().into_owned(),
        file_type: request.string("FileType", 64)?.into_owned(),
        url: request.string("URL", 256)?.into_owned(),
        username: request.string("Username", 256)?.into_owned(),
        password: request.string("Password", 256)?.into_owned().into(),
        file_size: 0,
        target_file_name: String::new(),
    })
}

/// Checks a transfer and stores it in the queue, before the response confirms it (R233).
pub(super) fn queue(transfer: TransferRequest, timing: Timing, device: &mut Device, now: Now) -> Result<(), Fault> {
    admit(&transfer, device)?;
    let queued = device.change_transfers(now, |transfers| transfers.add(transfer, timing))?;
    queued.map(drop).map_err(|full| Fault::because(FaultCode::ResourcesExceeded, full.to_string()))
}

/// Writes a response with status 1: the transfer is not done yet. The times are unknown until TransferComplete reports
/// them (R230).
pub(super) fn write_response(response: &mut EnvelopeWriter) {
    response.text("Status", 1);
    response.text("StartTime", DateTime::UNKNOWN);
    response.text("CompleteTime", DateTime::UNKNOWN);
}
