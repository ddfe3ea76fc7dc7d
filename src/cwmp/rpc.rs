//! The RPC methods that the ACS may call: one file for each, and one table of all.

mod add_object;
mod cancel_transfer;
mod change_du_state;
mod delete_object;
mod download;
pub(super) mod du_state_change_complete;
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
use super::version::Version;
use crate::clock::Now;
use crate::model::actions::Actions;
use crate::model::path::{MAX_LENGTH, PathError};
use crate::model::tree::{NameForm, Parameter, Wanted};
use crate::model::value::ValueError;

/// A function that executes one request: it reads the arguments, changes the device, and writes the arguments of the
/// response. The session drops the response if the function returns a fault.
type RpcHandler = fn(Element<'_>, &mut Device, Now, &mut EnvelopeWriter) -> Result<(), Fault>;

/// A function that returns true if a device with these actions supports the method.
type Available = fn(&Actions) -> bool;

/// Every method that the ACS may call, with its handler and the condition for its support (R1, R5).
const METHODS: &[(&str, RpcHandler, Available)] = &[
    ("GetRPCMethods", get_rpc_methods::handle, always),
    ("SetParameterValues", set_parameter_values::handle, always),
    ("GetParameterValues", get_parameter_values::handle, always),
    ("GetParameterNames", get_parameter_names::handle, always),
    ("SetParameterAttributes", set_parameter_attributes::handle, always),
    ("GetParameterAttributes", get_parameter_attributes::handle, always),
    ("AddObject", add_object::handle, always),
    ("DeleteObject", delete_object::handle, always),
    // Without a command for it, a method is neither listed nor executed: the device would confirm a request that it cannot
    // execute later (R5).
    ("Reboot", reboot::handle, |actions| actions.reboot.is_some()),
    ("FactoryReset", factory_reset::handle, |actions| actions.factory_reset.is_some()),
    ("ScheduleInform", schedule_inform::handle, always),
    ("Download", download::handle, has_downloads),
    ("Upload", upload::handle, |actions| !actions.upload.is_empty()),
    ("ScheduleDownload", schedule_download::handle, has_downloads),
    ("GetQueuedTransfers", get_queued_transfers::handle, has_transfers),
    ("GetAllQueuedTransfers", get_all_queued_transfers::handle, has_transfers),
    ("CancelTransfer", cancel_transfer::handle, has_transfers),
    (CHANGE_DU_STATE, change_du_state::handle, |actions| actions.software.is_some()),
];

/// The method that sessions of a version before 1.2 lack.
const CHANGE_DU_STATE: &str = "ChangeDUState";

fn always(_: &Actions) -> bool {
    true
}

fn has_downloads(actions: &Actions) -> bool {
    !actions.download.is_empty()
}

fn has_transfers(actions: &Actions) -> bool {
    has_downloads(actions) || !actions.upload.is_empty()
}

/// Returns the names of the methods that this device supports in a session of this version.
fn methods(actions: &Actions, version: Version) -> impl Iterator<Item = &'static str> {
    let is_known = move |name: &str| name != CHANGE_DU_STATE || version >= Version::V1_2;
    METHODS
        .iter()
        .filter(|(_, _, available)| available(actions))
        .map(|(name, ..)| *name)
        .filter(move |name| is_known(name))
}

/// Returns true if CWMP defines the method, whether the device supports it or not. `method` may be one of the CPE.
pub(super) fn is_defined(method: &str) -> bool {
    let of_cpe = [
        "Inform",
        "TransferComplete",
        "AutonomousTransferComplete",
        "RequestDownload",
        "DUStateChangeComplete",
        "AutonomousDUStateChangeComplete",
    ];
    METHODS.iter().any(|(name, ..)| *name == method) || of_cpe.contains(&method)
}

/// Returns the handler of a method.
///
/// # Errors
/// Fault 9000: the device does not support the method in a session of this version (R4, R348).
pub(super) fn find(method: &str, actions: &Actions, version: Version) -> Result<RpcHandler, Fault> {
    let is_listed = methods(actions, version).any(|name| name == method);
    let found = METHODS.iter().find(|(name, ..)| *name == method && is_listed);
    found.map(|(_, handler, _)| *handler).ok_or_else(|| Fault::new(FaultCode::MethodNotSupported))
}

/// The maximum size of a response in bytes: four times all values of 10,000 parameters. Names may overlap (R181), so that
/// a short request could demand the whole tree ten thousand times and exhaust the memory of the gateway.
const MAX_RESPONSE: usize = 8 << 20;

/// The maximum number of parameters and objects that one request visits: the whole of a large data model, 20 times. A short
/// request with many partial paths would otherwise keep the agent from its other work for minutes.
pub(super) const MAX_VISITS: u32 = 250_000;

/// Reads from the device the values, or the instances alone, that an array of a request names: as texts, or as the `Name` of its
/// entries. Errors in the array are left to the handler.
fn refresh(
    request: Element<'_>,
    array: &'static str,
    wanted: fn(Vec<String>) -> Wanted,
    device: &mut Device,
    now: Now,
) -> Option<String> {
    if !device.tree().has_sources() {
        return None;
    }
    let members = request.members(array).ok()?;
    let name = |member: Element<'_>| match member.string("Name", MAX_LENGTH) {
        Ok(name) => Some(name.into_owned()),
        Err(_) => member.text().map(|name| name.into_owned()),
    };
    let names = device.numbered(members.filter_map(name).collect(), now);
    device.refresh(&wanted(names), now)
}

/// Reads from the device the instances that a path names.
fn refresh_instances(path: &str, device: &mut Device, now: Now) -> Option<String> {
    if !device.tree().has_sources() {
        return None;
    }
    let paths = device.numbered(vec![path.to_owned()], now);
    device.refresh(&Wanted::instances(paths), now)
}

/// Returns an error if a source has failed without which a request for its values fails.
///
/// # Errors
/// Fault 9002: the text names the source and the reason.
fn check_sources(failure: Option<String>) -> Result<(), Fault> {
    failure.map_or(Ok(()), |reason| Err(Fault::because(FaultCode::InternalError, reason)))
}

/// Calls `write` with each parameter to which the names in the array `ParameterNames` of a request lead, and with the form of the
/// names in the response, while the response has room.
///
/// # Errors
/// An invalid or unknown name, or a response that becomes too large (R183, R211).
fn for_each_parameter(
    request: Element<'_>,
    device: &Device,
    list: &mut ArrayWriter<'_>,
    write: fn(&Parameter<'_>, &mut NameForm<'_>, &mut ArrayWriter<'_>),
) -> Result<(), Fault> {
    let (tree, by_alias) = (device.tree(), device.names_by_alias());
    let mut finder = tree.finder();
    for name in request.nonempty_members("ParameterNames")? {
        let name = name
            .text()
            .ok_or_else(|| Fault::because(FaultCode::InvalidArguments, "a parameter name must be a text"))?;
        let mut form = NameForm::below(tree, &name, by_alias);
        let mut visited = finder.visit(&name, &mut |parameter| {
            if has_room(list) {
                write(parameter, &mut form, list);
            }
        });
        if matches!(visited, Err(PathError::AliasUnsupported | PathError::WildcardUnsupported)) {
            visited = tree.visit_paths(&name, by_alias, &mut |path, form| {
                tree.visit_values(path, &mut |parameter| {
                    if has_room(list) {
                        write(parameter, form, list);
                    }
                })
            });
        }
        visited.map_err(|error| fault_of_name(&name, error))?;
        check_size(list)?;
    }
    Ok(())
}

/// Writes a parameter with its value, both in the form of the response.
fn write_value(parameter: &Parameter<'_>, form: &mut NameForm<'_>, list: &mut ArrayWriter<'_>) {
    let (kind, name) = (parameter.wire_type().name(), form.of(parameter.name));
    match form.value(parameter) {
        Some(value) => list.parameter_value(&name, kind, &value),
        // Written straight from the tree: a copy of all values would double the memory that the request takes.
        None => parameter.with_value(|value| list.parameter_value(&name, kind, value)),
    }
}

/// Returns true if the response has room for another entry. One partial path may stand for the whole tree, so that the walks
/// ask before each entry.
fn has_room(list: &ArrayWriter<'_>) -> bool {
    list.size() <= MAX_RESPONSE
}

/// Returns a fault if the response has become too large (R183, R193, R211).
fn check_size(list: &ArrayWriter<'_>) -> Result<(), Fault> {
    if has_room(list) {
        return Ok(());
    }
    let text = format!("the response would be larger than {} MiB", MAX_RESPONSE >> 20);
    Err(Fault::because(FaultCode::ResourcesExceeded, text))
}

/// Returns the fault for a path error in one of several names, which the text tells.
fn fault_of_name(name: &str, error: PathError) -> Fault {
    Fault { text: format!("{name}: {error}"), ..Fault::from(error) }
}

/// Converts a path error of the model; no other place does.
impl From<PathError> for Fault {
    fn from(error: PathError) -> Fault {
        let code = match error {
            PathError::TooLong => FaultCode::InvalidArguments, // longer than string(256), which breaks the type of the argument (R76)
            PathError::TableFull | PathError::TooMuchWork => FaultCode::ResourcesExceeded, // R216
            PathError::Stopping => FaultCode::InternalError,
            _ => FaultCode::InvalidParameterName,
        };
        Fault::because(code, error.to_string())
    }
}

/// Converts the rejection of a value; no other place does.
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

/// Converts a failure to store: a change that would not survive a reboot is not made (R171). The ACS may try again.
impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Fault {
        Fault::because(FaultCode::InternalError, error.to_string())
    }
}

#[cfg(test)]
mod tests;
