//! Rows: instances of a table that the device makes, each with the key of its row. An instance keeps its number as long as
//! the row exists, over restarts too, and no other row ever gets the number (R217, R218).

use std::borrow::Cow;

use assign::assign;

use super::sections::split;
use super::{Located, Table, Tree};
use crate::log;
use crate::model::change::Change;
use crate::model::path::{Path, PathError};
use crate::model::schema::{ALIAS, TableSpec};
use crate::model::source::TableBinding;
use crate::model::source::uci::Identity;
use crate::model::value::Value;

mod assign;

/// The most keys of rows that are gone whose numbers are remembered, for the return of the row.
const MAX_DEPARTED: usize = 256;

/// The numbers that one record of the journal marks as used in advance, in a table whose rows come and go by themselves. A power
/// cut then costs some unused numbers, and a new row costs no record.
const RESERVE: u32 = 256;

/// The keys of the rows of one table.
#[derive(Clone, Debug, Default)]
pub(super) struct RowKeys {
    /// The rows by instance number, ascending.
    rows: Vec<KnownRow>,
    /// The rows that are gone, the last one at the end.
    departed: Vec<DepartedRow>,
}

/// A row that is gone, and comes back as the same instance in a table whose rows come and go by themselves.
#[derive(Clone, Debug)]
struct DepartedRow {
    number: u32,
    key: Box<str>,
    /// The alias that was set.
    alias: Option<Value>,
}

/// A row that is an instance.
#[derive(Clone, Debug)]
pub(super) struct KnownRow {
    number: u32,
    key: Box<str>,
    /// The digest of an anonymous row; 0 without one.
    digest: u32,
}

impl KnownRow {
    /// Returns the change that makes the row this instance of a table.
    pub(super) fn change(&self, table: &str) -> Change {
        Change::Row(table.to_owned(), self.number, self.key.clone(), self.digest)
    }
}

/// A row of the device.
pub(super) struct FoundRow<'t> {
    pub(super) key: Cow<'t, str>,
    /// The digest of an anonymous row; 0 without one.
    pub(super) digest: u32,
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
    /// Returns the rows that are instances, ascending by number.
    fn known_rows(&self) -> &[KnownRow] {
        self.rows.as_ref().map_or(&[], |rows| &rows.rows)
    }

    /// Returns true if the instances are these rows already, in the same order.
    pub(super) fn has_rows(&self, rows: &[FoundRow<'_>]) -> bool {
        let known = self.known_rows();
        let is_same = |(known, row): (&KnownRow, &FoundRow<'_>)| *known.key == *row.key && known.digest == row.digest;
        known.len() == rows.len() && known.iter().zip(rows).all(is_same)
    }

    /// Returns the row that an instance is.
    pub(super) fn row(&self, number: u32) -> Option<&KnownRow> {
        let rows = self.known_rows();
        Some(&rows[rows.binary_search_by_key(&number, |row| row.number).ok()?])
    }

    /// Returns the key of the row that an instance is.
    pub(super) fn key(&self, number: u32) -> Option<&str> {
        self.row(number).map(|row| &*row.key)
    }

    /// Returns the number of the instance that the row with this key is.
    pub(super) fn number_of(&self, key: &str) -> Option<u32> {
        self.known_rows().iter().find(|row| *row.key == *key).map(|row| row.number)
    }

    /// Notes the row that an instance is.
    fn set_row(&mut self, row: KnownRow) {
        let rows = self.rows.get_or_insert_default();
        rows.departed.retain(|departed| departed.number != row.number);
        match rows.rows.binary_search_by_key(&row.number, |row| row.number) {
            Ok(at) => rows.rows[at] = row,
            Err(at) => rows.rows.insert(at, row),
        }
    }

    /// Notes that the row of an instance is gone, which had this alias.
    pub(super) fn forget_key(&mut self, number: u32, alias: Option<Value>) {
        let Some(rows) = &mut self.rows else { return };
        if let Ok(at) = rows.rows.binary_search_by_key(&number, |row| row.number) {
            if rows.departed.len() == MAX_DEPARTED {
                rows.departed.remove(0);
            }
            rows.departed.push(DepartedRow { number, key: rows.rows.remove(at).key, alias });
        }
    }

    /// Returns the alias that a row had when it went, if it is the same row.
    fn departed_alias(&self, number: u32, key: &str) -> Option<Value> {
        let mut departed = self.rows.iter().flat_map(|rows| &rows.departed);
        departed.find(|row| row.number == number && *row.key == *key)?.alias.clone()
    }

    /// Appends the changes that tell the aliases of rows that are gone, which they have again when they come back.
    pub(super) fn departed_changes(&self, path: &str, changes: &mut Vec<Change>) {
        for row in self.rows.iter().flat_map(|rows| &rows.departed) {
            if let Some(alias) = &row.alias {
                changes.push(Change::Row(path.to_owned(), row.number, row.key.clone(), 0));
                changes.push(Change::Set(format!("{path}{}.{ALIAS}", row.number), alias.clone()));
                changes.push(Change::Delete(format!("{path}{}.", row.number)));
            }
        }
    }

    /// Returns the number of a row that comes: that of its pin; in a loose table the one that it had before; else the next.
    fn number_for(&self, path: &str, key: &str, binding: &TableBinding, next: &mut u32) -> Option<u32> {
        if let Some((number, _)) = binding.pins.iter().find(|(_, pinned)| **pinned == *key) {
            // R217: the ACS knows the number as that of another row, which a later model does not change.
            let known = self.row(*number).map(|row| &row.key);
            let departed = self.rows.iter().flat_map(|rows| &rows.departed).filter(|gone| gone.number == *number);
            if known.into_iter().chain(departed.map(|gone| &gone.key)).all(|other| **other == *key) {
                return Some(*number);
            }
            log::warn!("{path}{number}.: this number was given to another row; `{key}` gets the next one");
        }
        let departed = self.rows.iter().flat_map(|rows| &rows.departed);
        let earlier = departed.rev().find(|gone| binding.loose && *gone.key == *key);
        earlier.map(|gone| gone.number).or_else(|| {
            *next = next.checked_add(1)?;
            Some(*next)
        })
    }
}

impl Tree {
    /// Returns the changes by which the instances of a table become these rows: those that are instances before, and then
    /// others in the order of the device, at most `limit` together. `path` is that of the table.
    pub(super) fn row_changes(
        &self,
        path: &str,
        table: &Table,
        rows: &[FoundRow<'_>],
        limit: usize,
        binding: &TableBinding,
    ) -> RowChanges {
        let mut changes = RowChanges::default();
        let mut numbers = assign(table.known_rows(), rows, &binding.pins);
        numbers.iter_mut().filter(|number| number.is_some()).skip(limit).for_each(|number| *number = None);
        let room = limit - numbers.iter().flatten().count();
        for row in table.known_rows().iter().filter(|row| !numbers.contains(&Some(row.number))) {
            self.delete_row(path, row.number, binding.loose, &mut changes);
        }
        // The pins come first, and the numbers of other rows begin behind them.
        let mut next = table.last.max(binding.pins.last().map_or(0, |(number, _)| *number));
        let mut added = Vec::new();
        let mut greatest = 0;
        for (row, number) in rows.iter().zip(numbers) {
            let known = number.and_then(|number| table.row(number));
            if known.is_some_and(|known| *known.key == *row.key && known.digest == row.digest) {
                continue;
            }
            let number = match number {
                Some(number) => number,
                None => match table.number_for(path, &row.key, binding, &mut next) {
                    Some(new) if added.len() < room && !added.contains(&new) => {
                        added.push(new);
                        new
                    }
                    _ => continue,
                },
            };
            greatest = number.max(greatest);
            let row = KnownRow { number, key: (&*row.key).into(), digest: row.digest };
            if binding.loose { &mut changes.loose } else { &mut changes.kept }.push(row.change(path));
        }
        if binding.loose && greatest > table.stored_number() {
            changes.kept.push(Change::Reserve(path.to_owned(), greatest.saturating_add(RESERVE)));
        }
        changes
    }

    /// Returns the changes by which the instances of a table become those of another one, with the same numbers.
    pub(super) fn following_changes(
        &self,
        path: &str,
        table: &Table,
        leader: &Table,
        binding: &TableBinding,
    ) -> RowChanges {
        let mut changes = RowChanges::default();
        for row in table.known_rows().iter().filter(|row| leader.row(row.number).is_none()) {
            self.delete_row(path, row.number, binding.loose, &mut changes);
        }
        for row in leader.known_rows().iter().filter(|row| table.key(row.number) != Some(&row.key)) {
            // The other table has found the row.
            let row = KnownRow { digest: 0, ..row.clone() };
            if binding.loose { &mut changes.loose } else { &mut changes.kept }.push(row.change(path));
        }
        changes
    }

    /// Adds the changes by which the row of an instance goes.
    fn delete_row(&self, path: &str, number: u32, loose: bool, changes: &mut RowChanges) {
        let instance = format!("{path}{number}.");
        // A reference that is set to another value is stored, whatever the table is (R173). A request at the end of its work
        // leaves the references to the next one.
        changes.kept.extend(self.cleared_references(&instance).unwrap_or_default());
        if loose { &mut changes.loose } else { &mut changes.kept }.push(Change::Delete(instance));
    }

    /// Makes a row an instance; creates it if it is not present.
    pub(super) fn apply_row(&mut self, table: &str, number: u32, key: &str, digest: u32) -> Result<(), PathError> {
        self.add_instance(table, number)?;
        let (spec, entry) = self.table_mut(table)?;
        if let Some(alias) = entry.departed_alias(number, key) {
            entry.return_alias(&spec, number, alias);
        }
        entry.set_row(KnownRow { number, key: key.into(), digest });
        // The journal holds this number, or one that was reserved before.
        entry.set_stored(number);
        Ok(())
    }

    /// Marks the numbers of a table up to `reserved` as stored in the journal.
    pub(super) fn apply_reserve(&mut self, table: &str, reserved: u32) -> Result<(), PathError> {
        self.table_mut(table)?.1.set_stored(reserved);
        Ok(())
    }

    fn table_mut(&mut self, table: &str) -> Result<(TableSpec, &mut Table), PathError> {
        let (located, steps) = self.locate_with_steps(&Path::parse(table)?)?;
        let Located::Table(spec, _) = located else { return Err(PathError::NotCreatable) };
        Ok((spec, &mut self.scope_mut(&steps).tables[spec.index as usize]))
    }

    /// Returns the changes by which a row of a package gets another key, in all tables of this identity.
    pub fn renamed_rows(&self, package: &str, identity: Option<&Identity>, old: &str, new: &str) -> Vec<Change> {
        let is_of_package = |table: &str| {
            let rows = self.package_of_rows(table);
            rows.is_some_and(|(known, of_table)| known == package && of_table.as_ref() == identity)
        };
        let renamed = |change: Change| match change {
            Change::Row(table, number, key, _) if *key == *old && is_of_package(&table) => {
                Some(Change::Row(table, number, new.into(), 0))
            }
            _ => None,
        };
        self.rows().into_iter().filter_map(renamed).collect()
    }

    /// Returns the UCI package whose sections are the rows of a table, and the options that tell them apart.
    pub fn package_of_rows(&self, table: &str) -> Option<(String, Option<Identity>)> {
        let bindings = self.schema.bindings.as_ref()?;
        let binding = self.schema.bound_table(table).and_then(|node| bindings.table(node))?;
        bindings.source(binding.source).sections()
    }

    /// Returns the change that makes the journal hold a row which comes and goes by itself, if a change sets its alias. The
    /// alias would else be that of no instance after a restart (R318).
    pub fn row_with_alias(&self, change: &Change) -> Option<Change> {
        let Change::Set(name, _) = change else { return None };
        self.loose_row(name.strip_suffix(ALIAS)?)
    }

    /// Returns the row that an instance is, in a table whose rows come and go by themselves.
    pub(super) fn loose_row(&self, instance: &str) -> Option<Change> {
        let (table, number) = split(instance)?;
        self.binding(table).filter(|binding| binding.loose)?;
        let (_, found) = self.table(&Path::parse(table).ok()?).ok()?;
        Some(found.row(number)?.change(table))
    }

    /// Returns the instances that rows of the device have become, as changes, for a tree of a new model.
    pub fn rows(&self) -> Vec<Change> {
        // Only a model with sources has rows, and the walk over all others would find none.
        if self.schema.bindings.is_none() {
            return Vec::new();
        }
        let mut changes = self.changes_from_factory();
        let gone: Vec<String> = changes
            .extract_if(.., |change| matches!(change, Change::Delete(_)))
            .map(|change| change.name().to_owned())
            .collect();
        changes.retain(|change| match change {
            Change::Row(table, number, ..) => !gone.contains(&format!("{table}{number}.")),
            _ => false,
        });
        changes
    }
}
