//! Changing a tree: all of it already decided, none of it refused for its value.

use std::rc::Rc;

use super::{Located, Scope, Tree};
use crate::model::attributes::Attributes;
use crate::model::change::Change;
use crate::model::path::{Path, PathError};
use crate::model::schema::NodeKind;
use crate::model::value::Value;

impl Tree {
    /// Carries out a change. An error means that the change names what is not there; nothing was touched then.
    pub fn apply(&mut self, change: &Change) -> Result<(), PathError> {
        match change {
            Change::Set(name, value) => self.set_value(name, value.clone(), false),
            Change::Add(table, number) => self.add_instance(table, *number, false),
            Change::Delete(instance) => self.delete_instance(instance),
            Change::Attributes(name, attributes) => self.set_attributes(name, *attributes),
            Change::LastNumber(table, last) => self.set_last_number(table, *last),
        }
    }

    /// Gives a parameter the value that the agent itself has for it, such as an address. It is not stored, since the
    /// agent finds it anew after each start.
    pub fn set_runtime_value(&mut self, name: &str, value: Value) -> Result<(), PathError> {
        self.set_value(name, value, true)
    }

    /// Gives a parameter a value. `factory`: as part of the factory state, which is not stored.
    pub(in crate::model) fn set_value(&mut self, name: &str, value: Value, factory: bool) -> Result<(), PathError> {
        let (slot, scope) = self.slot_mut(name)?;
        scope.values[slot as usize] = Some(value);
        if !factory && let Err(at) = scope.changed.binary_search(&slot) {
            scope.changed.insert(at, slot);
        }
        Ok(())
    }

    /// Gives a parameter attributes.
    pub(super) fn set_attributes(&mut self, name: &str, attributes: Attributes) -> Result<(), PathError> {
        let (slot, scope) = self.slot_mut(name)?;
        match scope.attributes.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(at) => scope.attributes[at].1 = attributes,
            Err(at) => scope.attributes.insert(at, (slot, attributes)),
        }
        Ok(())
    }

    /// Creates instance `number` of a table with the defaults of its template.
    pub(super) fn add_instance(&mut self, table: &str, number: u32, factory: bool) -> Result<(), PathError> {
        let (located, steps) = self.locate_with_steps(&Path::parse(table)?)?;
        let Located::Table(shape, _) = located else { return Err(PathError::NotCreatable) };
        let schema = Rc::clone(&self.schema);
        self.scope_mut(&steps).instance(&schema, &shape, number, factory);
        Ok(())
    }

    /// Removes an instance with everything in it (R220).
    pub(super) fn delete_instance(&mut self, instance: &str) -> Result<(), PathError> {
        let (located, mut steps) = self.locate_with_steps(&Path::parse(instance)?)?;
        let (Located::Instance(..), Some((index, number))) = (located, steps.pop()) else {
            return Err(PathError::NotDeletable);
        };
        let table = &mut self.scope_mut(&steps).tables[index as usize];
        if let Some(at) = table.position(number)
            && table.instances.remove(at).factory
        {
            table.deleted.push(number);
        }
        Ok(())
    }

    /// Remembers that numbers up to `last` were given in a table (R218).
    pub(super) fn set_last_number(&mut self, table: &str, last: u32) -> Result<(), PathError> {
        let (located, steps) = self.locate_with_steps(&Path::parse(table)?)?;
        let Located::Table(shape, _) = located else { return Err(PathError::NotCreatable) };
        let table = &mut self.scope_mut(&steps).tables[shape.index as usize];
        table.last = table.last.max(last);
        Ok(())
    }

    fn slot_mut(&mut self, name: &str) -> Result<(u32, &mut Scope), PathError> {
        let (located, steps) = self.locate_with_steps(&Path::parse(name)?)?;
        let Located::Parameter(node, _) = located else { return Err(PathError::NotAParameter) };
        let NodeKind::Parameter { slot, .. } = self.schema.node(node).kind else {
            return Err(PathError::NotAParameter);
        };
        Ok((slot, self.scope_mut(&steps)))
    }

    fn scope_mut(&mut self, steps: &[(u32, u32)]) -> &mut Scope {
        let mut scope = &mut self.root;
        for (index, number) in steps {
            let table = &mut scope.tables[*index as usize];
            // The steps come from `locate` on this very tree, so that the instance is there.
            let at = table.position(*number).expect("an instance that was just located");
            scope = &mut table.instances[at].scope;
        }
        scope
    }
}
