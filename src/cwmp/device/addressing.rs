//! Names of requests with aliases and wildcards: the refresh before they can be found, and the instances that they create
//! (R317 to R322).

use super::management_server::parameter;
use super::{Author, Device, JournalError};
use crate::clock::Now;
use crate::cwmp::fault::{Fault, FaultCode, ParameterFault};
use crate::log;
use crate::model::change::Change;
use crate::model::path::{Path, PathError};
use crate::model::tree::{Tree, Trial, Wanted};
use crate::model::value::Value;
use crate::secret::Secret;

/// The most paths for which a refresh names each instance that a wildcard means; for more it names the tables.
const MAX_PATHS: usize = 4096;

/// The instances that a request creates by aliases that are unknown, before they are stored.
#[derive(Default)]
pub(crate) struct Created {
    /// The instances in the tree while the values of the request are checked.
    trials: Vec<Trial>,
    /// The changes that create those that the agent keeps.
    pub(crate) changes: Vec<Change>,
    /// The instances that are rows of the device, each by its table, number and alias.
    rows: Vec<(String, u32, String)>,
}

impl Created {
    /// Adds an instance to the tree.
    fn add(&mut self, tree: &mut Tree, table: &str, number: u32, alias: &str) -> Result<(), PathError> {
        let alias_change = alias_change(table, number, alias);
        if tree.plan_add(table, number).is_some() {
            for path in tree.followers(table) {
                self.trials.push(tree.begin_trial(&path, number)?);
            }
            self.rows.push((table.to_owned(), number, alias.to_owned()));
        } else {
            self.changes.extend([Change::Add(table.to_owned(), number), alias_change.clone()]);
        }
        self.trials.push(tree.begin_trial(table, number)?);
        tree.apply(&alias_change)
    }
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

    /// Gives InstanceMode its factory value, which is that of the configuration or else of the model: an ACS that gets `0 BOOTSTRAP`
    /// has not asked for names by alias (R140).
    ///
    /// # Errors
    /// The journal cannot be written; then nothing has changed.
    pub(crate) fn reset_instance_mode(
        &mut self,
        configured: &[(String, Secret)],
        now: Now,
    ) -> Result<(), JournalError> {
        let name = self.management_server_name(parameter::INSTANCE_MODE);
        let Ok(mode) = self.tree.parameter(&name) else { return Ok(()) };
        let configured = configured.iter().rev().find(|(path, _)| *path == name);
        let factory = configured.and_then(|(_, text)| mode.spec.parse(text.expose()).ok());
        let factory = factory.unwrap_or_else(|| mode.spec.default.clone());
        match mode.stored() == factory {
            true => Ok(()),
            // As a change by the ACS, since the Inform that follows tells no changes (R139).
            false => self.apply(vec![Change::Set(name, factory)], Author::Acs, now).map(drop),
        }
    }

    /// Adds the instances to the tree that the names of SetParameterValues create: those of unknown aliases (R320). They stay until
    /// [`Device::end_trials`], and nothing is stored. A name for which no instance can be created is left to the decision on its value.
    ///
    /// # Errors
    /// Fault 9004: a table is full, or the request demands too much work. The tree is then as it was.
    pub(in crate::cwmp) fn create_missing<'n>(
        &mut self,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<Created, Fault> {
        let mut created = Created::default();
        for name in names.filter(|name| name.contains('[')) {
            if let Err(error) = add_missing(&mut self.tree, name, &mut created) {
                self.end_trials(&mut created);
                return Err(error.into());
            }
        }
        Ok(created)
    }

    /// Removes the instances of a request from the tree, once its values are checked.
    pub(in crate::cwmp) fn end_trials(&mut self, created: &mut Created) {
        while let Some(trial) = created.trials.pop() {
            self.tree.end_trial(&trial);
        }
    }

    /// Creates the rows of the device among the instances of a request, before its values are set. A crash before the record of the
    /// values deletes them at the next start (R164). Returns true if there are some.
    ///
    /// # Errors
    /// The device refuses a row; then it has none of them.
    pub(in crate::cwmp) fn make_rows(&mut self, created: &Created, now: Now) -> Result<bool, Fault> {
        let rows = created.rows.iter().map(|(table, number, _)| format!("{table}{number}."));
        self.unfinished.tentative.extend(rows);
        for (table, _, alias) in &created.rows {
            let added = self.add_instance(&format!("{table}[{alias}]."), Vec::new(), Author::Acs, now);
            if let Err(fault) = added {
                self.remove_rows(now);
                return Err(fault);
            }
        }
        Ok(!created.rows.is_empty())
    }

    /// Deletes the rows of a request whose values were not set. Those that the device keeps are tried again by the next start.
    pub(in crate::cwmp) fn remove_rows(&mut self, now: Now) {
        let mut kept = Vec::new();
        while let Some(path) = self.unfinished.tentative.pop() {
            if self.tree.exists_instance(&path)
                && let Err(fault) = self.delete_instance(&path, Vec::new(), Author::Acs, now)
            {
                log::warn!("{path}: the instance cannot be deleted: {}", fault.text);
                kept.insert(0, path);
            }
        }
        self.unfinished.tentative = kept;
        if self.unfinished.tentative != self.written_work.tentative
            && let Err(error) = self.store_work(self.unfinished.clone(), now)
        {
            log::warn!("{error}");
        }
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

/// Adds the instances that are missing on the way to a name.
fn add_missing(tree: &mut Tree, name: &str, created: &mut Created) -> Result<(), PathError> {
    while let Some((table, number, alias)) = missing(tree, name)? {
        created.add(tree, &table, number, alias)?;
    }
    Ok(())
}

/// Returns the first instance that is missing on the way to a name and can be created: its table, number and alias.
fn missing<'n>(tree: &Tree, name: &'n str) -> Result<Option<(String, u32, &'n str)>, PathError> {
    let found = tree.missing_instance(name).and_then(|found| match found {
        Some((table, alias)) => Ok(Some((tree.check_add(&Path::parse(&table)?)?, table, alias))),
        None => Ok(None),
    });
    match found {
        Ok(found) => Ok(found.map(|(number, table, alias)| (table, number, alias))),
        Err(error @ (PathError::TableFull | PathError::TooMuchWork | PathError::Stopping)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Returns the change that gives an instance its alias.
pub(super) fn alias_change(table: &str, number: u32, alias: &str) -> Change {
    Change::Set(format!("{table}{number}.Alias"), Value::Text(alias.into()))
}
