//! ChangeDUState (TR-069 A6 §A.4.1.10).

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{ArgumentError, Element, EnvelopeWriter, XsiType};
use crate::cwmp::software::{Operation, OperationKind, Requester, UnitQueue};
use crate::cwmp::transfer::{Failure, check_url};

/// The longest URL in characters.
const MAX_URL: usize = 1024;

/// The most characters of a UUID that are kept, to report a wrong one.
const MAX_UUID: usize = 64;

/// Queues the operations, which take place after the session and are reported by DUStateChangeComplete (R349, R350).
///
/// Fault 9003 is none of this method: arguments that break the schema fail their operation, or the request with 9001.
pub(super) fn handle(request: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    let denied = |error: ArgumentError| Fault::because(FaultCode::RequestDenied, error.to_string());
    let command_key = request.optional_string("CommandKey", 32).map_err(denied)?.unwrap_or_default().into_owned();
    let fetches = device.actions().software.as_ref().is_some_and(|action| action.fetches);
    let mut operations = Vec::new();
    for element in request.children().filter(|element| element.name() == "Operations") {
        let element = element.resolved("Operations").map_err(denied)?;
        // Some servers write an array, whose members have the types as their names.
        let (members, is_array) = match kind(element) {
            Some(_) => (vec![element], false),
            None => (element.children().take(UnitQueue::CAPACITY + 1).collect(), true),
        };
        if members.is_empty() {
            operations.push(unknown_type(element));
        }
        for member in members {
            let member = if is_array { member.resolved("Operations").map_err(denied)? } else { member };
            operations.push(read(member, fetches));
            if operations.len() > UnitQueue::CAPACITY {
                let text = format!("more than {} operations", UnitQueue::CAPACITY);
                return Err(Fault::because(FaultCode::ResourcesExceeded, text));
            }
        }
    }
    if operations.is_empty() {
        return Err(Fault::because(FaultCode::RequestDenied, "Operations is missing"));
    }
    let queued = device.change_units(now, |units| units.add(Requester::Acs(command_key), operations, now))?;
    queued.map(drop).map_err(|full| Fault::because(FaultCode::ResourcesExceeded, full.to_string()))
}

/// Returns the kind of an operation: by its type, or by its name in an array.
fn kind(element: Element<'_>) -> Option<OperationKind> {
    let of = |name: &str| OperationKind::from_name(name.strip_suffix("OpStruct")?);
    let by_type = element.xsi_type().and_then(|name| match name {
        XsiType::BuiltIn(name) | XsiType::Foreign(name) => of(name),
    });
    by_type.or_else(|| of(element.name())).filter(|kind| !matches!(kind, OperationKind::Start | OperationKind::Stop))
}

/// Reads an operation, with the failure of one that cannot be executed.
fn read(element: Element<'_>, fetches: bool) -> (Operation, Option<Failure>) {
    let Some(kind) = kind(element) else { return unknown_type(element) };
    let mut operation = Operation::new(kind);
    let refused = read_arguments(element, &mut operation).err().map(|error| invalid(error.to_string()));
    let refused = refused.or_else(|| {
        let is_needed = kind == OperationKind::Install;
        let has_url = !operation.url.is_empty();
        match check_url(&operation.url) {
            Err(fault) if !fetches && (has_url || is_needed) => Some(Failure::permanent(fault.code, fault.text)),
            Err(_) if is_needed && !has_url => Some(invalid("URL is empty".into())),
            _ => None,
        }
    });
    (operation, refused)
}

/// Reads the arguments of an operation by its type in the schema.
fn read_arguments(element: Element<'_>, operation: &mut Operation) -> Result<(), ArgumentError> {
    let optional = |name: &'static str, max: usize| {
        element.optional_string(name, max).map(|text| text.unwrap_or_default().trim().to_owned())
    };
    operation.uuid = optional("UUID", MAX_UUID)?;
    if operation.kind != OperationKind::Install {
        operation.version = optional("Version", 32)?;
    }
    if operation.kind != OperationKind::Update {
        operation.target = optional("ExecutionEnvRef", 256)?;
    }
    if operation.kind == OperationKind::Uninstall {
        return if operation.uuid.is_empty() { Err(ArgumentError::Missing("UUID")) } else { Ok(()) };
    }
    operation.url = optional("URL", MAX_URL)?;
    operation.username = element.optional_string("Username", 256)?.unwrap_or_default().into_owned();
    operation.password = element.optional_string("Password", 256)?.unwrap_or_default().into_owned().into();
    Ok(())
}

/// Returns an operation of a type that this device does not know. Its result names no operation, so that any kind will do.
fn unknown_type(element: Element<'_>) -> (Operation, Option<Failure>) {
    let name = element.xsi_type().map_or(element.name(), |name| match name {
        XsiType::BuiltIn(name) | XsiType::Foreign(name) => name,
    });
    let shown: String = name.chars().take(32).collect();
    (Operation::new(OperationKind::Install), Some(invalid(format!("{shown} is no operation of this device"))))
}

fn invalid(text: String) -> Failure {
    Failure::permanent(FaultCode::InvalidArguments, text)
}
