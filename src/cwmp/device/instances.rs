//! Instances that are added and deleted, on the device too if they are rows of it.

use super::addressing::alias_change;
use super::{Author, Changed, Device};
use crate::clock::Now;
use crate::cwmp::fault::{Fault, FaultCode};
use crate::model::change::Change;
use crate::model::path::{Path, PathError};
use crate::model::source::Write;

impl Device {
    /// Creates an instance of a table, with further changes in the same record (R213 to R219). `name` is the path of the table with
    /// the dot; the alias of the instance may follow, as `Table.[alias].` (R320). Returns its number.
    ///
    /// # Errors
    /// The table takes no instance, the device refuses the section, or the change cannot be stored; then nothing has changed.
    pub fn add_instance(
        &mut self,
        name: &str,
        others: Vec<Change>,
        author: Author,
        now: Now,
    ) -> Result<(u32, Changed), Fault> {
        let (table, number, alias) = self.tree.new_instance(name)?;
        let table = table.as_str();
        let others = alias.map(|alias| alias_change(table, number, alias)).into_iter().chain(others);
        let Some(write) = self.tree.plan_add(table, number) else {
            // The record holds the number, so that the instance gets the same one when the journal is read again.
            let changes = std::iter::once(Change::Add(table.to_owned(), number)).chain(others).collect();
            return Ok((number, self.change(changes, author, now)?));
        };
        // The key of the row is the name of the section, which follows from those that the package has.
        let row = |table: &str| Change::Row(table.to_owned(), number, "".into(), 0);
        let followers = self.tree.followers(table);
        let rows = std::iter::once(table).chain(followers.iter().map(String::as_str)).map(row);
        let changes = rows.chain(others).collect();
        Ok((number, self.change_rows(write, changes, author, now)?))
    }

    /// Deletes an instance with everything in it, with further changes in the same record (R220).
    ///
    /// # Errors
    /// The instance cannot be deleted, the device refuses that, or the change cannot be stored; then nothing has changed.
    pub fn delete_instance(
        &mut self,
        instance: &str,
        others: Vec<Change>,
        author: Author,
        now: Now,
    ) -> Result<Changed, Fault> {
        let mut changes = self.tree.check_delete(&Path::parse(instance)?).map_err(|error| match error {
            // R221: this method has no fault 9004.
            PathError::TooMuchWork => Fault::because(FaultCode::InternalError, error.to_string()),
            error => error.into(),
        })?;
        let Some(write) = self.tree.plan_delete(instance) else {
            return self.change([changes, others].concat(), author, now);
        };
        let table = &instance[..instance.trim_end_matches('.').rfind('.').map_or(0, |dot| dot + 1)];
        for follower in self.tree.followers(table) {
            let other = format!("{follower}{}", &instance[table.len()..]);
            if self.tree.exists_instance(&other) {
                changes.extend(self.tree.cleared_references(&other)?);
                changes.push(Change::Delete(other));
            }
        }
        let gone = |change: &Change| if let Change::Delete(path) = change { Some(path.clone()) } else { None };
        let gone: Vec<String> = changes.iter().filter_map(gone).collect();
        changes.extend(others);
        let changed = self.change_rows(write, changes, author, now).map_err(|fault| match fault.code {
            FaultCode::ResourcesExceeded => Fault { code: FaultCode::InternalError, ..fault },
            _ => fault,
        })?;
        // The values of what is gone wait for no reload, those of the tables that follow included.
        self.sources.pins.retain(|pinned| !gone.iter().any(|path| pinned.name.starts_with(path)));
        Ok(changed)
    }

    /// Changes a section of the device, with the changes of the tree that follow from it.
    fn change_rows(&mut self, write: Write, changes: Vec<Change>, author: Author, now: Now) -> Result<Changed, Fault> {
        let changed = self
            .with_drivers(|device, drivers| device.carry_out(drivers, vec![write], (Vec::new(), changes), author, now));
        // The fault is that of the request, which names the instance alone.
        changed.map_err(|mut fault| match fault.parameters.pop() {
            Some(parameter) => Fault::because(parameter.code, parameter.text),
            None => fault,
        })
    }
}
