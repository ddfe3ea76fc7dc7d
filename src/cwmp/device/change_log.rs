//! The log of the changes that the ACS makes: the names at `info`, the values at `debug`.

use super::management_server::{parameter, short_name};
use super::{Author, Device};
use crate::foreign_text::Quoted;
use crate::log;
use crate::model::change::Change;

/// The most names in a line.
const MAX_NAMES: usize = 64;

/// The names of changes, to be logged once these are stored.
#[derive(Default)]
pub(super) struct ChangeLog {
    added: Vec<String>,
    set: Vec<String>,
    deleted: Vec<String>,
}

impl Device {
    /// Returns the names for changes of values and instances that the agent keeps. Local commands log their own lines.
    pub(super) fn change_log(&self, changes: &[Change], author: Author) -> ChangeLog {
        let mut log = ChangeLog::default();
        for change in changes.iter().filter(|_| author == Author::Acs) {
            match change {
                Change::Set(name, value) => {
                    let is_present = self.tree.parameter(name).is_ok_and(|known| known.stored() == *value);
                    let is_key = short_name(&self.tree, name) == Some(parameter::PARAMETER_KEY);
                    if !is_present && !is_key && !self.tree.schema().is_bound_parameter(name) {
                        log.set.push(name.clone());
                    }
                }
                Change::Add(table, number) => log.added.push(format!("{table}{number}.")),
                Change::Delete(instance) => log.deleted.push(instance.clone()),
                _ => {}
            }
        }
        log
    }

    /// Writes the lines for changes that are stored now.
    pub(super) fn write_log(&self, log: &ChangeLog) {
        for (deed, names) in [("added", &log.added), ("set", &log.set), ("deleted", &log.deleted)] {
            self.log_deed(deed, &names.iter().map(String::as_str).collect::<Vec<_>>());
        }
        for name in &log.set {
            if let Ok(parameter) = self.tree.parameter(name) {
                match parameter.spec.hidden {
                    true => log::debug!("{name}: ***"),
                    false => log::debug!("{name}: {}", Quoted(&parameter.stored().to_string())),
                }
            }
        }
    }

    /// Logs the names of a change, and the session of the ACS that has made it.
    pub(super) fn log_deed(&self, deed: &str, names: &[&str]) {
        if names.is_empty() {
            return;
        }
        let shown = &names[..names.len().min(MAX_NAMES)];
        let more =
            if shown.len() < names.len() { format!(" and {} more", names.len() - shown.len()) } else { String::new() };
        log::info!("{deed} by the ACS in session {}: {}{more}", self.state.totals.number(), shown.join(", "));
    }
}
