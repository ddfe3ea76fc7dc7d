//! Applies the changes of the journal to a data model, which may be another one than that of their time.

use serde_json::Value as Json;

use super::identity::is_identity;
use super::management_server::{self, parameter};
use super::notification::DroppedValue;
use crate::model::change::Change;
use crate::model::facets::PatternCache;
use crate::model::tree::Tree;

/// Applies the changes of a record. Collects a notice for each rejected change, and the values that are lost with it.
pub(super) fn apply_record(
    tree: &mut Tree,
    changes: Option<&Json>,
    patterns: &PatternCache,
    notices: &mut Vec<String>,
    dropped: &mut Vec<DroppedValue>,
) {
    for change in changes.and_then(Json::as_array).into_iter().flatten() {
        if let Err(notice) = apply_stored(tree, change, patterns) {
            notices.push(notice);
            dropped.extend(DroppedValue::of(change, tree));
        }
    }
    notices.append(&mut tree.take_left_out());
}

/// Applies a change of the journal. The error text never holds the value, which may be a password.
fn apply_stored(tree: &mut Tree, change: &Json, patterns: &PatternCache) -> Result<(), String> {
    let change = Change::from_json(change, tree, patterns).and_then(|change| match overruled(tree, &change) {
        Some(reason) => Err(format!("{}: {reason}", change.name())),
        None => Ok(change),
    });
    let applied = change.and_then(|c| match tree.apply(&c) {
        // A table that the model no longer has holds no value that could be missed.
        Err(_) if matches!(c, Change::LastNumber(..) | Change::Given(..)) => Ok(()),
        applied => applied.map_err(|error| format!("{}: {error}", c.name())),
    });
    applied.map_err(|reason| format!("stored value not applied: {reason}"))
}

/// Returns the reason if a later model has made the parameter read-only, or has given it a source. Such a parameter takes its
/// value from the model or the device: a stored value would hide that of each later firmware, and the ACS could not change it.
///
/// Exempt are ParameterKey (R157) and references (R173), which are read-only and yet changed by the agent itself.
fn overruled(tree: &Tree, change: &Change) -> Option<&'static str> {
    let Change::Set(name, _) = change else { return None };
    let is_fixed = tree.parameter(name).is_ok_and(|p| !p.spec.writable && !p.spec.is_reference());
    match tree.schema().is_bound_parameter(name) {
        // The identity of the device outlasts a failure of its source.
        true if is_identity(tree, name) => None,
        true => Some("its value is that of the device"),
        false if is_fixed && *name != management_server::full_name(tree, parameter::PARAMETER_KEY) => {
            Some("the data model has made it read-only")
        }
        false => None,
    }
}
