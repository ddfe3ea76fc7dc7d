//! What must be right about a request before it is queued, whoever gives it.

use super::{TransferRequest, check_url};
use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};

/// The URL is one that can be used (R229), and the device has an action for the type of file (R228, R241).
pub fn admit(request: &TransferRequest, device: &Device) -> Result<(), Fault> {
    check_url(&request.url)?;
    let refuse = |text: String| Err(Fault::because(FaultCode::InvalidArguments, text));
    if request.origin.is_download() {
        return match device.actions().download_action(&request.file_type) {
            Some(_) => Ok(()),
            None => refuse(format!("this device takes no files of type {:?}", request.file_type)),
        };
    }
    match device.actions().upload_action(&request.file_type) {
        Some((_, None)) => Ok(()),
        // R241: the instance must be there.
        Some((_, Some(number))) => {
            let table = if request.file_type.contains("Log") { "VendorLogFile" } else { "VendorConfigFile" };
            let object = format!("{}.DeviceInfo.{table}.{number}.", device.tree().root_name());
            if device.tree().exists(&object) { Ok(()) } else { refuse(format!("there is no {object}")) }
        }
        None => refuse(format!("this device gives no files of type {:?}", request.file_type)),
    }
}
