//! A parameter that is present: its value and its attributes.

use super::Scope;
use crate::model::attributes::{ActiveNotify, Attributes};
use crate::model::schema::Spec;
use crate::model::value::{Type, Value};

/// A parameter that is present.
#[derive(Clone, Copy)]
pub struct Parameter<'t> {
    /// The full name.
    pub name: &'t str,
    /// The description of the parameter in the schema.
    pub spec: &'t Spec,
    pub(super) scope: &'t Scope,
    pub(super) slot: u32,
}

impl Parameter<'_> {
    /// Returns the value as the ACS reads it: the null value if the parameter is hidden (R175).
    pub fn value(&self) -> Value {
        if self.spec.hidden { self.spec.wire_type().hidden_value() } else { self.stored() }
    }

    /// Calls `write` with the value as the ACS reads it, without copying it.
    pub fn with_value<R>(&self, write: impl FnOnce(&Value) -> R) -> R {
        // GetParameterValues of the whole tree reads thousands of texts; a clone of each would double the allocations.
        match &self.scope.values[self.slot as usize] {
            Some(value) if !self.spec.hidden && self.spec.counted_table.is_none() => write(value),
            None if !self.spec.hidden && self.spec.counted_table.is_none() => write(&self.spec.default),
            _ => write(&self.value()),
        }
    }

    /// Returns the stored value, also of a hidden parameter.
    pub fn stored(&self) -> Value {
        match self.spec.counted_table {
            // A count is never stored, so that it cannot contradict the table.
            Some(table) => Value::Unsigned(self.scope.tables[table as usize].instances.len() as u64),
            None => self.scope.values[self.slot as usize].as_ref().unwrap_or(&self.spec.default).clone(),
        }
    }

    /// Returns the factory value of a parameter that was not changed. For a count: the number of factory instances,
    /// deleted ones included.
    pub fn factory(&self) -> Value {
        match self.spec.counted_table {
            Some(table) => Value::Unsigned(self.scope.tables[table as usize].factory_instances() as u64),
            None => self.stored(),
        }
    }

    /// Returns true if the parameter has a value of its own, and not the default of the schema: a parameter with a source was read
    /// before.
    pub fn has_value(&self) -> bool {
        self.scope.values[self.slot as usize].is_some()
    }

    /// Returns true if a value was set since the factory state.
    pub fn is_changed(&self) -> bool {
        self.scope.changed.binary_search(&self.slot).is_ok()
    }

    /// Returns the notification and access attributes.
    pub fn attributes(&self) -> Attributes {
        let attributes = self.scope.attributes(self.slot).unwrap_or(self.spec.active_notify.default_attributes());
        match self.spec.active_notify {
            // R202: notification stays active. The journal may hold another kind, set before the model demanded it.
            ActiveNotify::ForceEnabled => {
                Attributes { subscriber: attributes.subscriber, ..self.spec.active_notify.default_attributes() }
            }
            _ => attributes,
        }
    }

    /// Returns the type of the value in an envelope: a list is a string.
    pub fn wire_type(&self) -> Type {
        self.spec.wire_type()
    }
}
