//! Rows: instances of a table that the device makes, each with the key of its row. An instance keeps its number as long as
//! the row exists, over restarts too, and no other row ever gets the number (R217, R218).

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Located, Table, Tree};
use crate::model::change::Change;
use crate::model::path::{Path, PathError};
use crate::model::source::TableBinding;

/// The most keys of rows that are gone whose numbers are remembered, for the return of the row.
const MAX_DEPARTED: usize = 256;

/// The numbers that one record of the journal marks as used in advance, in a table whose rows come and go by themselves. A power
/// cut then costs some unused numbers, and a new row costs no record.
const RESERVE: u32 = 256;

/// The keys of the rows of one table.
#[derive(Clone, Debug, Default)]
pub(super) struct RowKeys {
    /// The keys by instance number, ascending.
    keys: Vec<(u32, Box<str>)>,
    /// The numbers of rows that are gone, the last one at the end.
    departed: Vec<(u32, Box<str>)>,
}

/// The changes by which the instances of a table become the rows of the device.
#[derive(Debug, Default)]
pub struct RowChanges {
    /// The changes that the journal stores before they are applied.
    pub kept: Vec<Change>,
    /// The changes that are applied without a record.
    pub loose: Vec<Change>,
}

impl RowChanges {
    /// Returns true if there is no change.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.loose.is_empty()
    }
}

impl Table {
    /// Returns the key of the row that an instance is.
    pub(super) fn key(&self, number: u32) -> Option<&str> {
        let keys = &self.rows.as_ref()?.keys;
        let at = keys.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(&keys[at].1)
    }

    /// Returns the number of the instance that the row with this key is.
    pub(super) fn number_of(&self, key: &str) -> Option<u32> {
        self.rows.as_ref()?.keys.iter().find(|(_, known)| **known == *key).map(|(number, _)| *number)
    }

    /// Notes the key of an instance.
    pub(super) fn set_key(&mut self, number: u32, key: &str) {
        let rows = self.rows.get_or_insert_default();
        rows.departed.retain(|(departed, _)| *departed != number);
        match rows.keys.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(at) => rows.keys[at].1 = key.into(),
            Err(at) => rows.keys.insert(at, (number, key.into())),
        }
    }

    /// Notes that the row of an instance is gone.
    pub(super) fn forget_key(&mut self, number: u32) {
        let Some(rows) = &mut self.rows else { return };
        if let Ok(at) = rows.keys.binary_search_by_key(&number, |(number, _)| *number) {
            if rows.departed.len() == MAX_DEPARTED {
                rows.departed.remove(0);
            }
            rows.departed.push(rows.keys.remove(at));
        }
    }

    /// Returns the number of a row that comes: that of its pin; in a loose table the one that it had before; else the next.
    fn number_for(&self, key: &str, binding: &TableBinding, next: &mut u32) -> Option<u32> {
        if let Some((number, _)) = binding.pins.iter().find(|(_, pinned)| **pinned == *key) {
            return Some(*number);
        }
        let departed = self.rows.iter().flat_map(|rows| &rows.departed);
        let earlier = departed.rev().find(|(_, known)| binding.loose && **known == *key);
        earlier.map(|(number, _)| *number).or_else(|| {
            *next = next.checked_add(1)?;
            Some(*next)
        })
    }
}

impl Tree {
    /// Returns the changes by which the instances of a table become these rows. `path` is that of the table.
    pub(super) fn row_changes(
        &self,
        path: &str,
        table: &Table,
        keys: &[Cow<'_, str>],
        binding: &TableBinding,
    ) -> RowChanges {
        let mut changes = RowChanges::default();
        let present: BTreeSet<&str> = keys.iter().map(|key| &**key).collect();
        for (number, key) in table.rows.iter().flat_map(|rows| &rows.keys) {
            if !present.contains(&**key) {
                let instance = format!("{path}{number}.");
                // A reference that is set to another value is stored, whatever the table is (R173). A request at the end of its
                // work leaves the references to the next one.
                changes.kept.extend(self.cleared_references(&instance).unwrap_or_default());
                if binding.loose { &mut changes.loose } else { &mut changes.kept }.push(Change::Delete(instance));
            }
        }
        // The pins come first, and the numbers of other rows begin behind them.
        let mut next = table.last.max(binding.pins.last().map_or(0, |(number, _)| *number));
        let mut added = BTreeSet::new();
        let mut greatest = 0;
        for key in keys.iter().filter(|key| table.number_of(key).is_none()) {
            let Some(number) = table.number_for(key, binding, &mut next).filter(|number| added.insert(*number)) else {
                continue;
            };
            greatest = number.max(greatest);
            let change = Change::Row(path.to_owned(), number, (&**key).into());
            if binding.loose { &mut changes.loose } else { &mut changes.kept }.push(change);
        }
        if binding.loose && greatest > table.stored_number() {
            changes.kept.push(Change::Reserve(path.to_owned(), greatest.saturating_add(RESERVE)));
        }
        changes
    }

    /// Gives an instance that a row becomes its key; creates it if it is not present.
    pub(super) fn apply_row(&mut self, table: &str, number: u32, key: &str) -> Result<(), PathError> {
        self.add_instance(table, number)?;
        let entry = self.table_mut(table)?;
        entry.set_key(number, key);
        // The journal holds this number, or one that was reserved before.
        entry.set_stored(number);
        Ok(())
    }

    /// Marks the numbers of a table up to `reserved` as stored in the journal.
    pub(super) fn apply_reserve(&mut self, table: &str, reserved: u32) -> Result<(), PathError> {
        self.table_mut(table)?.set_stored(reserved);
        Ok(())
    }

    fn table_mut(&mut self, table: &str) -> Result<&mut Table, PathError> {
        let (located, steps) = self.locate_with_steps(&Path::parse(table)?)?;
        let Located::Table(spec, _) = located else { return Err(PathError::NotCreatable) };
        Ok(&mut self.scope_mut(&steps).tables[spec.index as usize])
    }

    /// Returns the instances that rows of the device have become, as changes, for a tree of a new model.
    pub fn rows(&self) -> Vec<Change> {
        let is_row = |change: &Change| matches!(change, Change::Row(..));
        // Only a model with sources has rows, and the walk over all others would find none.
        match self.schema.bindings {
            None => Vec::new(),
            Some(_) => self.changes_from_factory().into_iter().filter(is_row).collect(),
        }
    }
}
