//! Names of requests with aliases and wildcards: the refresh before they can be found, and the instances that they create
//! (R317 to R322).

use super::Device;
use crate::clock::Now;
use crate::cwmp::fault::{Fault, FaultCode, ParameterFault};
use crate::model::change::Change;
use crate::model::path::{Path, PathError};
use crate::model::tree::{Tree, Wanted};
use crate::model::value::Value;

/// The most paths for which a refresh names each instance that a wildcard means; for more it names the tables.
const MAX_PATHS: usize = 4096;

/// The instances that a request creates by aliases that are unknown, before they are stored.
pub(crate) struct Created {
    /// The tree with the instances.
    pub(crate) tree: Tree,
    /// The changes that create them.
    pub(crate) changes: Vec<Change>,
}

impl Device {
    /// Returns the names by numbers, for a refresh: rows of the device decide which instances an alias and a wildcard mean, so
    /// that the instances are read first. Names that lead to nothing are left out.
    pub fn numbered(&mut self, names: Vec<String>, now: Now) -> Vec<String> {
        let table = |name: &String| name.find(['[', '*']).map(|at| name[..at].to_owned());
        let tables: Vec<String> = names.iter().filter_map(table).collect();
        if tables.is_empty() || !self.tree.has_sources() {
            return names;
        }
        self.refresh(&Wanted::instances(tables), now);
        let mut numbered = Vec::new();
        for name in names {
            let before = numbered.len();
            // The handler of the request meets the same error.
            let _ = self.tree.visit_paths(&name, false, &mut |path, _| {
                if numbered.len() < MAX_PATHS {
                    numbered.push(path.as_str().to_owned());
                }
                Ok(())
            });
            if numbered.len() >= MAX_PATHS {
                numbered.truncate(before);
                numbered.push(table(&name).unwrap_or(name));
            }
        }
        numbered
    }

    /// Decides on the instances that the names of SetParameterValues create: those of unknown aliases (R320). `None` if there are
    /// none. A name for which no instance can be created is left to the decision on its value.
    ///
    /// # Errors
    /// Fault 9004: a table is full, or the request demands too much work.
    pub(in crate::cwmp) fn create_missing<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<Option<Created>, Fault> {
        let mut created: Option<Created> = None;
        for name in names.filter(|name| name.contains('[')) {
            loop {
                let tree = created.as_ref().map_or(&self.tree, |created| &created.tree);
                let Some((table, number, alias)) = missing(tree, name)? else { break };
                // A copy, because nothing may change before the record: a later name may be wrong.
                let created = created.get_or_insert_with(|| Created { tree: self.tree.clone(), changes: Vec::new() });
                for change in with_alias(&table, number, alias) {
                    created.tree.apply(&change)?;
                    created.changes.push(change);
                }
            }
        }
        Ok(created)
    }
}

/// Returns the faults of the aliases among changes that are none, or that another instance of the table has or gets too (R318).
pub(crate) fn unfit_aliases(tree: &Tree, changes: &[Change]) -> Result<Vec<ParameterFault>, PathError> {
    let fault = |(name, reason): (String, PathError)| ParameterFault {
        name,
        code: FaultCode::InvalidParameterValue,
        text: reason.to_string(),
    };
    Ok(tree.unfit_aliases(changes)?.into_iter().map(fault).collect())
}

/// Returns the first instance that is missing on the way to a name and can be created: its table, number and alias.
fn missing<'n>(tree: &Tree, name: &'n str) -> Result<Option<(String, u32, &'n str)>, PathError> {
    let found = tree.missing_instance(name).and_then(|found| match found {
        // The rows of a source are made by AddObject alone.
        Some((table, _)) if tree.plan_add(&table, 1).is_some() => Ok(None),
        Some((table, alias)) => Ok(Some((tree.check_add(&Path::parse(&table)?)?, table, alias))),
        None => Ok(None),
    });
    match found {
        Ok(found) => Ok(found.map(|(number, table, alias)| (table, number, alias))),
        Err(error @ (PathError::TableFull | PathError::TooMuchWork | PathError::Stopping)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Returns the changes that create an instance with an alias.
pub(super) fn with_alias(table: &str, number: u32, alias: &str) -> [Change; 2] {
    [Change::Add(table.to_owned(), number), alias_change(table, number, alias)]
}

/// Returns the change that gives an instance its alias.
pub(super) fn alias_change(table: &str, number: u32, alias: &str) -> Change {
    Change::Set(format!("{table}{number}.Alias"), Value::Text(alias.into()))
}
