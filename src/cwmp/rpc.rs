//! The RPCs that the ACS may call: one file each, and the one table that says which there are.

mod add_object;
mod cancel_transfer;
mod delete_object;
mod download;
mod factory_reset;
mod get_all_queued_transfers;
mod get_parameter_attributes;
mod get_parameter_names;
mod get_parameter_values;
mod get_queued_transfers;
mod get_rpc_methods;
pub(super) mod inform;
mod reboot;
pub(super) mod request_download;
mod schedule_download;
mod schedule_inform;
mod set_parameter_attributes;
mod set_parameter_values;
pub(super) mod transfer_complete;
mod upload;

use super::device::{Device, JournalError};
use super::fault::{Fault, FaultCode};
use super::soap::{ArrayWriter, Element, EnvelopeWriter};
use crate::clock::Now;
use crate::model::actions::Actions;
use crate::model::path::{Path, PathError};
use crate::model::value::ValueError;

/// Answers one call: reads the arguments, does what is asked, writes the arguments of the response.
type RpcHandler = fn(Element<'_>, &mut Device, Now, &mut EnvelopeWriter) -> Result<(), Fault>;

/// Whether a device with these actions has the method.
type Available = fn(&Actions) -> bool;

/// Every method that the ACS may call, with what answers it (R1, R5).
const METHODS: &[(&str, RpcHandler, Available)] = &[
    ("GetRPCMethods", get_rpc_methods::handle, always),
    ("SetParameterValues", set_parameter_values::handle, always),
    ("GetParameterValues", get_parameter_values::handle, always),
    ("GetParameterNames", get_parameter_names::handle, always),
    ("SetParameterAttributes", set_parameter_attributes::handle, always),
    ("GetParameterAttributes", get_parameter_attributes::handle, always),
    ("AddObject", add_object::handle, always),
    ("DeleteObject", delete_object::handle, always),
    ("Reboot", reboot::handle, |actions| actions.reboot.is_some()),
    ("FactoryReset", factory_reset::handle, |actions| actions.factory_reset.is_some()),
    ("ScheduleInform", schedule_inform::handle, always),
    ("Download", download::handle, has_downloads),
    ("Upload", upload::handle, |actions| !actions.upload.is_empty()),
    ("ScheduleDownload", schedule_download::handle, has_downloads),
    ("GetQueuedTransfers", get_queued_transfers::handle, has_transfers),
    ("GetAllQueuedTransfers", get_all_queued_transfers::handle, has_transfers),
    ("CancelTransfer", cancel_transfer::handle, has_transfers),
];

fn always(_: &Actions) -> bool {
    true
}

fn has_downloads(actions: &Actions) -> bool {
    !actions.download.is_empty()
}

fn has_transfers(actions: &Actions) -> bool {
    has_downloads(actions) || !actions.upload.is_empty()
}

/// The names of the methods that this device answers.
fn methods(actions: &Actions) -> impl Iterator<Item = &'static str> {
    METHODS.iter().filter(|(_, _, available)| available(actions)).map(|(name, ..)| *name)
}

/// What answers the method of this name; a method that is not there is fault 9000 (R4).
pub(super) fn find(method: &str, actions: &Actions) -> Result<RpcHandler, Fault> {
    let found = METHODS.iter().find(|(name, _, available)| *name == method && available(actions));
    found.map(|(_, handler, _)| *handler).ok_or_else(|| Fault::new(FaultCode::MethodNotSupported))
}

/// The longest answer: four times all values of 10,000 parameters. Names may overlap (R181), so that a short request
/// could ask for the whole tree ten thousand times.
const MAX_ANSWER: usize = 8 << 20;

/// Reads the array `ParameterNames` of a call, name by name, and writes what each stands for.
fn for_each_name(
    request: Element<'_>,
    list: &mut ArrayWriter<'_>,
    mut write: impl FnMut(&str, &Path<'_>, &mut ArrayWriter<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for name in request.nonempty_members("ParameterNames")? {
        let name = name.text().ok_or_else(|| Fault::because(FaultCode::InvalidArguments, "a name is a text"))?;
        let path = Path::parse(&name).map_err(|error| named(&name, error))?;
        write(&name, &path, list)?;
        if list.size() > MAX_ANSWER {
            let text = format!("the answer would be longer than {} MiB", MAX_ANSWER >> 20);
            return Err(Fault::because(FaultCode::ResourcesExceeded, text)); // R183, R211
        }
    }
    Ok(())
}

/// A fault that says which of several names is meant.
fn named(name: &str, error: PathError) -> Fault {
    Fault { text: format!("{name}: {error}"), ..Fault::from(error) }
}

/// The one place where an error of the model becomes a fault.
impl From<PathError> for Fault {
    fn from(error: PathError) -> Fault {
        let code = match error {
            PathError::TooLong => FaultCode::InvalidArguments, // R76: it breaks string(256)
            PathError::TableFull => FaultCode::ResourcesExceeded, // R216
            _ => FaultCode::InvalidParameterName,
        };
        Fault::because(code, error.to_string())
    }
}

/// The one place where a refused value becomes a fault.
impl From<ValueError> for Fault {
    fn from(error: ValueError) -> Fault {
        let code = match error {
            ValueError::Type { .. } => FaultCode::InvalidParameterType,
            ValueError::ReadOnly => FaultCode::ParameterNotWritable,
            _ => FaultCode::InvalidParameterValue,
        };
        Fault::because(code, error.to_string())
    }
}

/// What cannot be stored is not done (R171); an ACS may try again later.
impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Fault {
        Fault::because(FaultCode::InternalError, error.to_string())
    }
}

#[cfg(test)]
mod tests;
