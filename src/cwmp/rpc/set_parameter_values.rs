//! SetParameterValues (TR-069 A6 §A.3.2.1).

use std::collections::HashSet;

use crate::clock::Now;
use crate::cwmp::device::{Author, Changed, Device};
use crate::cwmp::fault::{Fault, FaultCode, ParameterFault};
use crate::cwmp::rules;
use crate::cwmp::soap::{Element, EnvelopeWriter, XsiType};
use crate::model::change::Change;
use crate::model::facets::PatternCache;
use crate::model::path::{MAX_LENGTH, PathError};
use crate::model::tree::{DeclaredType, SetError, Wanted};
use crate::model::value::Type;

/// Sets all values or none (R164): checks every value, reports all errors together (R165), then stores and applies the
/// whole list.
pub(super) fn handle(
    request: Element<'_>,
    device: &mut Device,
    now: Now,
    response: &mut EnvelopeWriter,
) -> Result<(), Fault> {
    let names = request.members("ParameterList").into_iter().flatten();
    let mut names = names.filter_map(|member| member.string("Name", MAX_LENGTH).ok());
    if names.any(|name| device.requests_state(&name)) {
        // R355: the state of the unit and of its environment decide on the request.
        device.refresh_software(now);
    }
    super::refresh(request, "ParameterList", Wanted::changes, device, now);
    let changed = set(request, device, now);
    device.forget_answers();
    response.text("Status", changed?.status()); // R169
    Ok(())
}

fn set(request: Element<'_>, device: &mut Device, now: Now) -> Result<Changed, Fault> {
    // Without a key, as some ACSs send the request, the old one stays.
    let key = request.optional_string("ParameterKey", 32)?;
    let mut names = HashSet::new();
    let mut changes = Vec::new();
    let mut refused = Vec::new();
    let patterns = PatternCache::default();
    for member in request.members("ParameterList")? {
        // A name that is too long is unknown, which is a fault of this parameter and not of the request (R165).
        let name = member.string("Name", usize::MAX)?;
        let value = member.argument("Value")?;
        // A nil value is no empty one: a success would leave the ACS with another value than it has sent.
        let text = value.text().filter(|_| !value.is_nil());
        let text = text.ok_or_else(|| Fault::because(FaultCode::InvalidArguments, "a Value must be a text"))?;
        match decide(device, &name, declared_type(&value), &text, &patterns) {
            Ok(change) => changes.push(change),
            // These reject the request and not a parameter, and the entries that follow would fail alike.
            Err(SetError::Path(error @ (PathError::TooMuchWork | PathError::Stopping))) => return Err(error.into()),
            Err(error) => refused.push(parameter_fault(&name, &error)),
        }
        if let Some(twice) = names.replace(name) {
            // The list has no order, so that the value to set would be a matter of chance (R163, R164).
            let text = format!("{twice} is in the list more than once");
            return Err(Fault::because(FaultCode::InvalidArguments, text));
        }
    }
    refused.extend(device.unready_tests(&changes));
    if !refused.is_empty() {
        return Err(Fault::of_parameters(refused)); // R165
    }
    changes.extend(key.and_then(|key| device.parameter_key(&key)));
    device.change(changes, Author::Acs, now)
}

fn decide(
    device: &Device,
    name: &str,
    given: DeclaredType,
    text: &str,
    patterns: &PatternCache,
) -> Result<Change, SetError> {
    let value = device.tree().check_set(name, given, text, patterns)?;
    // After the check by the model: the rules expect a value of the right type.
    rules::check(device.tree(), device.actions(), name, &value)?;
    Ok(Change::Set(name.to_owned(), value))
}

/// Returns the type that the request gives to a value. Without a type, and for a type of texts, the type of the parameter
/// applies: several ACS send each value as a string, and others each number as `xsd:int` (R332).
fn declared_type(value: &Element<'_>) -> DeclaredType {
    let name = match value.xsi_type() {
        None => return DeclaredType::Any,
        Some(XsiType::Foreign(_)) => return DeclaredType::Unknown,
        Some(XsiType::BuiltIn(name)) => name,
    };
    match name {
        "string" | "normalizedString" | "token" | "anyURI" | "anySimpleType" | "anyType" => DeclaredType::Any,
        "integer" | "short" | "byte" | "nonNegativeInteger" | "positiveInteger" | "nonPositiveInteger"
        | "negativeInteger" | "unsignedShort" | "unsignedByte" | "float" | "double" => DeclaredType::Number,
        "base64Binary" => DeclaredType::Is(Type::Base64),
        name => match Type::from_name(name) {
            Some(kind) if kind.is_numeric() => DeclaredType::Number,
            Some(kind) => DeclaredType::Is(kind),
            None => DeclaredType::Unknown,
        },
    }
}

fn parameter_fault(name: &str, error: &SetError) -> ParameterFault {
    let fault = match error {
        // A single parameter may only have 9005 to 9008, so that each error in a name becomes 9005 (R165).
        SetError::Path(error) => Fault { code: FaultCode::InvalidParameterName, ..Fault::from(*error) },
        SetError::Value(error) => Fault::from(error.clone()),
    };
    ParameterFault { name: name.to_owned(), code: fault.code, text: fault.text }
}
