//! The instance numbers that are used: a number that was given to one instance never goes to another (R217, R218).
//!
//! ```text
//! AddObject, local add ──▶ given  ── an instance of the data model with such a number is left out
//! the data model       ──▶ stored ── a number of it that the journal holds is not given to an added instance
//! ```
//!
//! The files of the data model may bring and remove instances at each start and with each SIGHUP. The journal therefore
//! holds the numbers of both kinds, whether or not the instances are present.

use super::{Located, Scope, Table, Tree, walk::push_number};
use crate::model::change::Change;
use crate::model::path::{Path, PathError};
use crate::model::schema::{NodeId, NodeKind, ROOT, TableSpec};

/// The used numbers of a table, as far as its instances do not tell them.
#[derive(Clone, Debug, Default)]
pub(super) struct UsedNumbers {
    /// The numbers of instances that were added, as ranges, ascending and apart from each other.
    given: Vec<(u32, u32)>,
    /// The greatest number that the journal holds.
    stored: u32,
}

impl UsedNumbers {
    /// Adds the numbers from `first` to `last`, and joins ranges that touch.
    fn give(&mut self, first: u32, last: u32) {
        let at = self.given.partition_point(|range| range.1.saturating_add(1) < first);
        let mut joined = (first, last);
        while let Some(range) = self.given.get(at).filter(|range| range.0 <= last.saturating_add(1)) {
            joined = (joined.0.min(range.0), joined.1.max(range.1));
            self.given.remove(at);
        }
        self.given.insert(at, joined);
        self.stored = self.stored.max(last);
    }
}

impl Table {
    fn numbers(&mut self) -> &mut UsedNumbers {
        self.numbers.get_or_insert_default()
    }

    /// Records that the journal holds the use of all numbers up to `last`.
    pub(super) fn set_stored(&mut self, last: u32) {
        let numbers = self.numbers();
        numbers.stored = numbers.stored.max(last);
    }

    /// Returns the greatest number whose use the journal holds.
    pub(super) fn stored_number(&self) -> u32 {
        self.numbers.as_ref().map_or(0, |numbers| numbers.stored)
    }

    /// Appends the changes that tell the used numbers, as far as the changes of the instances do not.
    pub(super) fn number_changes(&self, name: &str, changes: &mut Vec<Change>) {
        let added = || self.instances.iter().filter(|instance| !instance.factory).map(|instance| instance.number);
        let mut told = added().max().unwrap_or_default();
        let Some(numbers) = &self.numbers else { return };
        for (first, last) in numbers.given.iter().copied() {
            let present = added().filter(|number| (first..=last).contains(number)).count();
            if (present as u64) <= u64::from(last - first) {
                changes.push(Change::Given(name.to_owned(), first, last));
                told = told.max(last);
            }
        }
        if numbers.stored > told {
            changes.push(Change::LastNumber(name.to_owned(), numbers.stored));
        }
    }
}

impl Tree {
    /// Marks the numbers from `first` to `last` of a table as given to instances that were added.
    ///
    /// An instance of the data model with such a number is left out: its values would mix with those of the added
    /// instance, and a command that deletes one would delete the other. References of the factory state to it become
    /// empty, since they would lead to the added instance. [`Tree::take_left_out`] returns a notice of it.
    pub(super) fn give_numbers(&mut self, table: &str, first: u32, last: u32) -> Result<(), PathError> {
        let (located, steps) = self.locate_with_steps(&Path::parse(table)?)?;
        let Located::Table(spec, _) = located else { return Err(PathError::NotCreatable) };
        let entry = &mut self.scope_mut(&steps).tables[spec.index as usize];
        entry.last = entry.last.max(last);
        entry.numbers().give(first, last);
        let is_taken = |number: u32| (first..=last).contains(&number);
        entry.deleted.retain(|number| !is_taken(*number));
        let left_out: Vec<u32> = entry
            .instances
            .extract_if(.., |instance| instance.factory && is_taken(instance.number))
            .map(|instance| instance.number)
            .collect();
        for number in left_out {
            let instance = format!("{table}{number}.");
            let references = self.clear_references(&instance);
            self.left_out.push(format!(
                "{instance}: this number was given to an instance that was added; the instance {number} of the data model \
                 is left out, and {references} references to it are empty"
            ));
        }
        Ok(())
    }

    /// Returns the notices of instances that were left out since the last call.
    pub fn take_left_out(&mut self) -> Vec<String> {
        std::mem::take(&mut self.left_out)
    }

    /// Takes the references to an object or instance out of the factory state. Returns the number of the parameters that had one.
    pub(in crate::model) fn clear_references(&mut self, instance: &str) -> usize {
        let mut changes = Vec::new();
        // All of them, since a weak reference may lead astray, too. Cannot fail: every tree has the empty path, and no request
        // bounds the work at a start or a reload.
        let _ = Path::parse("").and_then(|whole| {
            self.visit_values(&whole, &mut |parameter| {
                // A value that was set since is meant for the added instance.
                if parameter.spec.is_reference() && !parameter.is_changed() {
                    changes.extend(self.without_reference(parameter, instance));
                }
            })
        });
        let set = |change: &Change| match change {
            Change::Set(name, value) => self.set_value(name, value.clone(), true).is_ok(),
            _ => false,
        };
        changes.iter().map(set).filter(|is_set| *is_set).count()
    }

    /// Returns the changes that store the numbers of the factory state. Without them, an added instance could get the
    /// number of an instance that a later data model no longer has.
    pub fn unstored_numbers(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        self.unstored_in(ROOT..ROOT + 1, &self.root, &mut String::new(), &mut changes);
        changes
    }

    fn unstored_in(&self, nodes: std::ops::Range<NodeId>, scope: &Scope, name: &mut String, changes: &mut Vec<Change>) {
        for id in nodes {
            let length = name.len();
            let (NodeKind::Object(children) | NodeKind::Table(TableSpec { children, .. })) = self.schema.node(id).kind
            else {
                continue;
            };
            name.push_str(self.schema.name(id));
            name.push('.');
            match self.schema.node(id).kind {
                NodeKind::Table(spec) => {
                    let table = &scope.tables[spec.index as usize];
                    let stored = table.stored_number();
                    // The numbers of other tables come from the data model alone.
                    if spec.writable && table.last > stored {
                        changes.push(Change::LastNumber(name.clone(), table.last));
                    }
                    for instance in &table.instances {
                        let length = name.len();
                        push_number(name, instance.number);
                        self.unstored_in(children.range(), &instance.scope, name, changes);
                        name.truncate(length);
                    }
                }
                _ => self.unstored_in(children.range(), scope, name, changes),
            }
            name.truncate(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_where_they_touch() {
        let mut numbers = UsedNumbers::default();
        for (first, last) in [(5, 5), (6, 6), (9, 10), (2, 3), (1, 1), (1, 3), (u32::MAX, u32::MAX)] {
            numbers.give(first, last);
        }
        assert_eq!(numbers.given, [(1, 3), (5, 6), (9, 10), (u32::MAX, u32::MAX)]);
        numbers.give(4, 8);
        assert_eq!(numbers.given, [(1, 10), (u32::MAX, u32::MAX)]);
        numbers.give(0, u32::MAX);
        assert_eq!((numbers.given.as_slice(), numbers.stored), (&[(0, u32::MAX)][..], u32::MAX));
    }
}
