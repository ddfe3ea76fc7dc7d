//! Checks of a request before it is queued, for RPCs and local commands alike.

use super::{TransferRequest, check_url};
use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::rules::has_controls;
use crate::foreign_text::Quoted;
use crate::model::actions::FileAction;
use crate::suggest::hint;

/// Checks that the URL is usable (R229), that the credentials can be sent, and that the device has an action for the file type
/// (R228, R241).
///
/// # Errors
/// Returns fault 9003, or 9013 for an unsupported scheme.
pub fn admit(request: &TransferRequest, device: &Device) -> Result<(), Fault> {
    check_url(&request.url)?;
    let refuse = |text: String| Err(Fault::because(FaultCode::InvalidArguments, text));
    if has_controls(&request.username) || has_controls(request.password.expose()) {
        return refuse("Username and Password must not hold control characters, which HTTP cannot carry".into());
    }
    if request.origin.is_download() {
        return match device.actions().download_action(&request.file_type) {
            Some(_) => Ok(()),
            None => refuse(unknown_type("takes", &request.file_type, &device.actions().download)),
        };
    }
    match device.actions().upload_action(&request.file_type) {
        Some((_, None)) => Ok(()),
        // R241: the file type names an instance of the data model, which must exist.
        Some((_, Some(number))) => {
            // Only log and configuration files have types with an instance.
            let table = if request.file_type.contains("Log") { "VendorLogFile" } else { "VendorConfigFile" };
            let object = format!("{}.DeviceInfo.{table}.{number}.", device.tree().root_name());
            if device.tree().exists(&object) { Ok(()) } else { refuse(format!("there is no {object}")) }
        }
        None => refuse(unknown_type("gives", &request.file_type, &device.actions().upload)),
    }
}

/// Returns the reason for a type without an action, with the near type or all types of the device.
fn unknown_type(verb: &str, file_type: &str, actions: &[(String, FileAction)]) -> String {
    let known: Vec<&str> = actions.iter().map(|(name, _)| name.as_str()).collect();
    let end = if known.is_empty() { String::new() } else { hint(file_type, &known, "types", "") };
    format!("this device {verb} no files of type {}{end}", Quoted(file_type))
}
