//! SetParameterValues (TR-069 A6 §A.3.2.1).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use crate::clock::Now;
use crate::cwmp::device::{Author, Changed, Created, Device, unfit_aliases};
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
    if names.any(|name| device.tree().by_number(&name).is_ok_and(|name| device.requests_state(&name))) {
        // R355: the state of the unit and of its environment decide on the request.
        device.refresh_software(now);
    }
    if device.creates_instances() {
        refresh_targets(request, device, now);
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
    let mut created = create_missing(request, device)?;
    let mut decided = Decided::default();
    let checked = decided.decide_all(request, device);
    device.end_trials(&mut created);
    if let Err(mut fault) = checked {
        // R165: all parameters in error, also those that only the device refuses.
        if !fault.parameters.is_empty() {
            fault.parameters.extend(device.refusals(&decided.changes));
        }
        return Err(by_alias(fault, &decided.aliases));
    }
    if device.make_rows(&created, now)? {
        // The values of the rows that are new.
        super::refresh(request, "ParameterList", Wanted::changes, device, now);
    }
    let (mut changes, aliases) = (created.changes, decided.aliases);
    changes.extend(decided.changes);
    changes.extend(key.and_then(|key| device.parameter_key(&key)));
    device.change(changes, Author::Acs, now).map_err(|fault| {
        device.remove_rows(now);
        by_alias(fault, &aliases)
    })
}

/// Reads from the device the instances to which references in instances lead that the request may create: a refresh for the names
/// finds no such instance yet.
fn refresh_targets(request: Element<'_>, device: &mut Device, now: Now) {
    let root = format!("{}.", device.tree().root_name());
    let mut targets = Vec::new();
    // Errors in the list are left to the decision.
    for member in request.members("ParameterList").into_iter().flatten() {
        let is_created = member.string("Name", MAX_LENGTH).is_ok_and(|name| name.contains('['));
        if let Some(text) = member.argument("Value").ok().and_then(|value| value.text()).filter(|_| is_created) {
            targets.extend(text.split(',').map(str::trim).filter(|item| item.starts_with(&root)).map(str::to_owned));
        }
    }
    if !targets.is_empty() && device.tree().has_sources() {
        let targets = device.numbered(targets, now);
        device.refresh(&Wanted::instances(targets), now);
    }
}

/// Adds the instances of unknown aliases for the check, if the ACS lets SetParameterValues create them (R320).
fn create_missing(request: Element<'_>, device: &mut Device) -> Result<Created, Fault> {
    if !device.creates_instances() {
        return Ok(Created::default());
    }
    let mut names = Vec::new();
    for member in request.members("ParameterList")? {
        names.push(member.string("Name", usize::MAX)?);
    }
    device.create_missing(names.iter().map(|name| &**name))
}

/// The decisions on the entries of a request.
#[derive(Default)]
struct Decided<'a> {
    /// The names with numbers.
    names: HashSet<Cow<'a, str>>,
    changes: Vec<Change>,
    refused: Vec<ParameterFault>,
    /// The names with aliases, by the names with numbers.
    aliases: BTreeMap<String, String>,
}

impl<'a> Decided<'a> {
    /// Decides on all entries, while the tree has the instances that the request creates.
    fn decide_all(&mut self, request: Element<'a>, device: &Device) -> Result<(), Fault> {
        let tree = device.tree();
        let patterns = PatternCache::default();
        for member in request.members("ParameterList")? {
            // A name that is too long is unknown, which is a fault of this parameter and not of the request (R165).
            let name = member.string("Name", usize::MAX)?;
            let value = member.argument("Value")?;
            // A nil value is no empty one: a success would leave the ACS with another value than it has sent.
            let text = value.text().filter(|_| !value.is_nil());
            let text = text.ok_or_else(|| Fault::because(FaultCode::InvalidArguments, "a Value must be a text"))?;
            let (path, decision) = match tree.by_number(&name) {
                Ok(Cow::Owned(path)) => (path.into(), None),
                Ok(Cow::Borrowed(_)) => (name.clone(), None),
                Err(error) => (name.clone(), Some(Err(error.into()))),
            };
            let decision = decision.unwrap_or_else(|| decide(device, &path, declared_type(&value), &text, &patterns));
            match decision {
                Ok(change) => self.changes.push(change),
                // These reject the request and not a parameter, and the entries that follow would fail alike.
                Err(SetError::Path(error @ (PathError::TooMuchWork | PathError::Stopping))) => return Err(error.into()),
                Err(error) => self.refused.push(parameter_fault(&name, &error)),
            }
            self.note_name(&name, path)?;
        }
        self.refused.extend(device.unready_tests(&self.changes));
        self.refused.extend(unfit_aliases(tree, &self.changes)?);
        match self.refused.is_empty() {
            true => Ok(()),
            false => Err(Fault::of_parameters(std::mem::take(&mut self.refused))), // R165
        }
    }

    /// Notes a name of the request, and its path by numbers.
    fn note_name(&mut self, name: &str, path: Cow<'a, str>) -> Result<(), Fault> {
        if name != path {
            self.aliases.insert(path.clone().into_owned(), name.to_owned());
        }
        match self.names.insert(path) {
            true => Ok(()),
            // The list has no order, so that the value to set would be a matter of chance (R163, R164).
            false => Err(Fault::because(FaultCode::InvalidArguments, format!("{name} is in the list more than once"))),
        }
    }
}

/// Returns a fault with the names of parameters as the request has written them.
fn by_alias(mut fault: Fault, aliases: &BTreeMap<String, String>) -> Fault {
    for parameter in &mut fault.parameters {
        if let Some(name) = aliases.get(&parameter.name) {
            parameter.name.clone_from(name);
        }
    }
    fault
}

fn decide(
    device: &Device,
    name: &str,
    given: DeclaredType,
    text: &str,
    patterns: &PatternCache,
) -> Result<Change, SetError> {
    let tree = device.tree();
    let value = tree.check_set(name, given, text, patterns)?;
    // After the check by the model: the rules expect a value of the right type.
    rules::check(tree, device.actions(), name, &value)?;
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
