//! One parameter that is present: its value and its attributes.

use super::Scope;
use crate::model::attributes::{ActiveNotify, Attributes};
use crate::model::schema::Spec;
use crate::model::value::{Type, Value};

/// A parameter that is present.
#[derive(Clone, Copy)]
pub struct Parameter<'t> {
    /// Full name.
    pub name: &'t str,
    /// What the data model says of it.
    pub spec: &'t Spec,
    pub(super) scope: &'t Scope,
    pub(super) slot: u32,
}

impl Parameter<'_> {
    /// The value as the ACS reads it: the null value where the parameter is hidden (R175).
    pub fn value(&self) -> Value {
        if self.spec.hidden { self.spec.wire_type().hidden_value() } else { self.stored() }
    }

    /// Calls `write` with the value as the ACS reads it, without copying it.
    pub fn with_value<R>(&self, write: impl FnOnce(&Value) -> R) -> R {
        match &self.scope.values[self.slot as usize] {
            Some(value) if !self.spec.hidden && self.spec.counted_table.is_none() => write(value),
            None if !self.spec.hidden && self.spec.counted_table.is_none() => write(&self.spec.default),
            _ => write(&self.value()),
        }
    }

    /// The value as it is kept, that of a hidden parameter too.
    pub fn stored(&self) -> Value {
        match self.spec.counted_table {
            Some(table) => Value::Unsigned(self.scope.tables[table as usize].instances.len() as u64),
            None => self.scope.values[self.slot as usize].as_ref().unwrap_or(&self.spec.default).clone(),
        }
    }

    /// What it is in the factory state while nobody has changed it; of a count, the instances of the factory state,
    /// whatever has become of them.
    pub fn factory(&self) -> Value {
        match self.spec.counted_table {
            Some(table) => Value::Unsigned(self.scope.tables[table as usize].factory_instances() as u64),
            None => self.stored(),
        }
    }

    /// Whether its value is another than that of the factory state.
    pub fn is_changed(&self) -> bool {
        self.scope.changed.binary_search(&self.slot).is_ok()
    }

    /// Its notification and access attributes.
    pub fn attributes(&self) -> Attributes {
        let attributes = self.scope.attributes(self.slot).unwrap_or(self.spec.active_notify.default_attributes());
        match self.spec.active_notify {
            ActiveNotify::ForceEnabled => {
                Attributes { subscriber: attributes.subscriber, ..self.spec.active_notify.default_attributes() }
            } // R202
            _ => attributes,
        }
    }

    /// The type that its value has in an envelope: a list is a string.
    pub fn wire_type(&self) -> Type {
        self.spec.wire_type()
    }
}
