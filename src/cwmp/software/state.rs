//! The parameter RequestedState of an execution unit, which starts and stops it.

use super::{Inventory, software_modules};
use crate::model::tree::Tree;
use crate::model::value::ValueError;

/// The end of the name of the parameter.
const REQUESTED_STATE: &str = ".RequestedState";

/// Returns the path of the execution unit, without the dot at its end, whose RequestedState has this name.
pub(crate) fn execution_unit<'n>(tree: &Tree, name: &'n str) -> Option<&'n str> {
    // Most names fail here, without a text for the path of the object.
    let unit = name.strip_suffix(REQUESTED_STATE)?;
    let number = unit.strip_prefix(&software_modules(tree))?.strip_prefix("ExecutionUnit.")?;
    (!number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())).then_some(unit)
}

/// Checks a request for another state of an execution unit (R355).
///
/// # Errors
/// The unit is stopping, or its environment is disabled.
pub(crate) fn check_state_request(tree: &Tree, unit: &str, value: &str) -> Result<(), ValueError> {
    let text = |name: &str| tree.get(&format!("{unit}.{name}")).map(|value| value.to_string()).unwrap_or_default();
    if value == "Active" && text("Status") == "Stopping" {
        return Err(ValueError::Prohibited("the execution unit is stopping"));
    }
    match Inventory::read(tree).is_disabled_environment(&text("ExecutionEnvRef")) {
        true => Err(ValueError::Prohibited("the execution environment is disabled")),
        false => Ok(()),
    }
}
