//! Changing a tree: makes changes that were decided before, and rejects none for its value.

use std::rc::Rc;

use super::{Located, ParameterPlace, Scope, Tree};
use crate::model::attributes::Attributes;
use crate::model::change::Change;
use crate::model::path::{Path, PathError};
use crate::model::schema::NodeKind;
use crate::model::value::Value;

impl Tree {
    /// Makes a change. An error means that the change names a parameter or object that is not present; the tree is then
    /// as it was.
    pub fn apply(&mut self, change: &Change) -> Result<(), PathError> {
        match change {
            Change::Set(name, value) => self.set_value(name, value.clone(), false),
            Change::Add(table, number) => {
                self.give_numbers(table, *number, *number)?;
                self.add_instance(table, *number)
            }
            Change::Delete(instance) => self.delete_instance(instance),
            Change::Attributes(name, attributes) => self.set_attributes(name, *attributes),
            Change::LastNumber(table, last) => self.set_last_number(table, *last),
            Change::Given(table, first, last) => self.give_numbers(table, *first, *last),
            Change::Row(table, number, key, digest) => self.apply_row(table, *number, key, *digest),
            Change::Reserve(table, reserved) => self.apply_reserve(table, *reserved),
        }
    }

    /// Gives a parameter a value that the agent finds anew after each start, such as its address. The journal does not
    /// store the value.
    pub fn set_runtime_value(&mut self, name: &str, value: Value) -> Result<(), PathError> {
        // The journal stores changed slots only, so that a value outside them costs no write to the flash.
        self.set_value(name, value, true)
    }

    /// Gives a parameter a value. With `factory` the value is part of the factory state, which the journal does not
    /// store.
    pub(in crate::model) fn set_value(&mut self, name: &str, value: Value, factory: bool) -> Result<(), PathError> {
        let place = self.place(name)?;
        self.set_value_in(&place, value, factory);
        Ok(())
    }

    /// Gives the parameter at a place a runtime value, as [`Tree::set_runtime_value`] does.
    ///
    /// # Panics
    /// The parameter has gone since its place was found.
    pub fn set_runtime_value_in(&mut self, place: &ParameterPlace, value: Value) {
        self.set_value_in(place, value, true);
    }

    fn set_value_in(&mut self, place: &ParameterPlace, value: Value, factory: bool) {
        let (slot, scope) = self.slot_mut(place);
        scope.values[slot as usize] = Some(value);
        // A value equal to that of the factory is a change as well: an update of the model may bring another default,
        // which must not replace a value that the ACS has set.
        if !factory && let Err(at) = scope.changed.binary_search(&slot) {
            scope.changed.insert(at, slot);
        }
    }

    fn set_attributes(&mut self, name: &str, attributes: Attributes) -> Result<(), PathError> {
        let place = self.place(name)?;
        let (slot, scope) = self.slot_mut(&place);
        match scope.attributes.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(at) => scope.attributes[at].1 = attributes,
            Err(at) => scope.attributes.insert(at, (slot, attributes)),
        }
        Ok(())
    }

    /// Creates instance `number` of a table with the defaults of its template (R215).
    pub(super) fn add_instance(&mut self, table: &str, number: u32) -> Result<(), PathError> {
        let (located, steps) = self.locate_with_steps(&Path::parse(table)?)?;
        let Located::Table(spec, _) = located else { return Err(PathError::NotCreatable) };
        let schema = Rc::clone(&self.schema);
        let scope = self.scope_mut(&steps);
        scope.instance(&schema, &spec, number, false);
        scope.tables[spec.index as usize].part_alias(&spec, number);
        Ok(())
    }

    /// Removes an instance with everything in it (R220).
    fn delete_instance(&mut self, path: &str) -> Result<(), PathError> {
        let (located, mut steps) = self.locate_with_steps(&Path::parse(path)?)?;
        // Without its last step, which leads into the instance, the path leads to the scope that holds the table.
        let (Located::Instance(spec, instance), Some((index, number))) = (located, steps.pop()) else {
            return Err(PathError::NotDeletable);
        };
        // The row may come back.
        let alias = instance.stored_alias(&spec).filter(|_| self.loose_row(path).is_some());
        let table = &mut self.scope_mut(&steps).tables[index as usize];
        // A factory instance is loaded from the files at each start, so that its deletion must be stored (R222). An
        // added instance leaves nothing but its number behind.
        if let Some(at) = table.position(number)
            && table.instances.remove(at).factory
        {
            table.deleted.push(number);
        }
        table.forget_key(number, alias);
        Ok(())
    }

    /// Marks the instance numbers of a table up to `last` as used (R218).
    fn set_last_number(&mut self, table: &str, last: u32) -> Result<(), PathError> {
        let (located, steps) = self.locate_with_steps(&Path::parse(table)?)?;
        let Located::Table(spec, _) = located else { return Err(PathError::NotCreatable) };
        let table = &mut self.scope_mut(&steps).tables[spec.index as usize];
        table.last = table.last.max(last);
        table.set_stored(last);
        Ok(())
    }

    /// Returns the slot of a parameter that is present, and its scope to be changed.
    fn slot_mut(&mut self, place: &ParameterPlace) -> (u32, &mut Scope) {
        let NodeKind::Parameter { slot, .. } = self.schema.node(place.node).kind else {
            unreachable!("a place is that of a parameter")
        };
        (slot, self.scope_mut(&place.steps))
    }

    /// Follows the steps that [`Tree::locate_with_steps`] has returned.
    pub(super) fn scope_mut(&mut self, steps: &[(u32, u32)]) -> &mut Scope {
        let mut scope = &mut self.root;
        for (index, number) in steps {
            let table = &mut scope.tables[*index as usize];
            // The steps come from `locate_with_steps` on this very tree, so that the instance is present.
            let at = table.position(*number).expect("an instance that was just located");
            scope = &mut table.instances[at].scope;
        }
        scope
    }
}
