//! TransferComplete (TR-069 A6 §A.3.3.2) and AutonomousTransferComplete (§A.3.3.3): the requests of the CPE that report
//! the end of a transfer.

use crate::cwmp::soap::{EnvelopeHeader, EnvelopeWriter};
use crate::cwmp::transfer::{Failure, Transfer, TransferReport, reported_file_type};
use crate::cwmp::version::Version;
use crate::model::date_time::DateTime;

/// Returns the whole message; `None` for a transfer that is not finished.
pub(crate) fn encode(transfer: &Transfer, version: Version, id: &str) -> Option<Vec<u8>> {
    let report = transfer.report()?;
    let request = transfer.request();
    let mut message = EnvelopeWriter::new(version, &EnvelopeHeader::with_id(Some(id)), method(transfer));
    if request.origin.is_autonomous() {
        let is_download = request.origin.is_download();
        message.text("AnnounceURL", ""); // empty for a file that was not announced by multicast
        message.text("TransferURL", &request.url);
        message.text("IsDownload", u8::from(is_download));
        message.text("FileType", reported_file_type(&request.file_type, is_download));
        message.text("FileSize", transfer.size());
        message.text("TargetFileName", &request.target_file_name);
    } else {
        message.text("CommandKey", &request.command_key);
    }
    write_end(&mut message, report, transfer.began(), version);
    Some(message.finish())
}

/// Returns the method that reports the transfer: one for those that the ACS has requested, one for all others.
pub(crate) fn method(transfer: &Transfer) -> &'static str {
    match transfer.request().origin.is_autonomous() {
        true => "AutonomousTransferComplete",
        false => "TransferComplete",
    }
}

/// Writes the result of the transfer and its times in UTC.
fn write_end(message: &mut EnvelopeWriter, report: &TransferReport, began: Option<i64>, version: Version) {
    write_fault(message, "FaultStruct", report.failure.as_ref(), version);
    message.text("StartTime", utc(began));
    message.text("CompleteTime", utc(report.complete));
}

/// Writes the result of an operation that the CPE reports. A success has code 0 and no text.
pub(super) fn write_fault(out: &mut EnvelopeWriter, name: &str, failure: Option<&Failure>, version: Version) {
    out.element(name, |fault| match failure {
        None => {
            fault.text("FaultCode", 0);
            fault.text("FaultString", "");
        }
        Some(Failure { code, text, .. }) => {
            // An ACS of an older version rejects codes that it does not know (R83).
            fault.text("FaultCode", code.in_version(version).number());
            fault.text("FaultString", text);
        }
    });
}

/// Returns an instant of a report; an unknown one is the Unknown Time (R238).
pub(super) fn utc(wall: Option<i64>) -> DateTime {
    wall.map_or(DateTime::UNKNOWN, |wall| DateTime::from_unix(wall, 0))
}
