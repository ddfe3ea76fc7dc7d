//! Changes that stay only if the ACS is reached with them: a setting that cuts the device off from its ACS is taken back.
//!
//! ```text
//! change by the ACS ──▶ open, in the record of the change ──▶ reload ──┬─ the ACS is reached ──▶ a record, the old texts go
//!                            ▲         │                               └─ it is not, in time ──▶ taken back, reload
//!                            └─────────┘ another change
//! ```
//!
//! The agent measures the time. What is taken back is one change as any other: one record, and renames that a start finishes. A value
//! that another writer has set since stays, and so does each setting of a file that another program has changed since.

use std::time::Duration;

use serde_json::Value as Json;

use super::changing::DeviceChange;
use super::management_server::{parameter, short_name};
use super::notification::digest;
use super::recovery::set_all;
use super::unfinished::{undo_from_list, undo_list};
use super::{Author, Device, Sources, StagedFile, Unfinished};
use crate::clock::Now;
use crate::json;
use crate::log;
use crate::model::change::Change;
use crate::model::reloads::MANAGEMENT_SERVER;
use crate::model::source::Write;
pub use kept_file::{KeptFile, WayBack};

mod kept_file;

/// The parameters of ManagementServer without which the device does not reach its ACS.
const CONTACT: [&str; 3] = [parameter::URL, parameter::USERNAME, parameter::PASSWORD];

/// The starts of the agent after which the change is taken back at once: a device that restarts in short intervals since the change
/// would never use up the time.
const MAX_STARTS: u32 = 3;

/// The most names of parameters that are remembered for the log.
const MAX_NAMES: usize = 64;

/// The changes that wait for a contact with the ACS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// The files.
    files: Vec<KeptFile>,
    /// The values of the agent.
    values: Vec<FormerValue>,
    /// The texts of programs and single files, with those before.
    texts: Vec<Write>,
    /// The rows that have got a name: the path of the table, the number, and the key and the digest before.
    rows: Vec<(String, u32, String, u32)>,
    /// The names of the reloads.
    reloads: Vec<String>,
    /// The names of the parameters, at most [`MAX_NAMES`].
    names: Vec<String>,
    /// The time within which the ACS must be reached.
    time: Duration,
    /// The number of starts of the agent since.
    starts: u32,
}

/// A value of the agent before a change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FormerValue {
    name: String,
    /// The literal before.
    old: String,
    /// The digest of the value that was set: another digest is of another writer.
    new: u32,
}

/// A change that is about to be recorded.
pub(super) struct NewChange<'c> {
    pub(super) writes: &'c [Write],
    /// The files, with their settings before it.
    pub(super) files: Vec<KeptFile>,
    /// The changes of values that the agent keeps.
    pub(super) kept: &'c [Change],
    /// The rows that get other keys.
    pub(super) rows: &'c [Change],
}

/// The end of a confirmation without a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBack {
    /// The names of the parameters that were set.
    pub names: Vec<String>,
    /// The settings that stay on the device as they are, each with the reason.
    pub stays: Vec<String>,
}

impl Confirmation {
    /// Returns the time within which the ACS must be reached, from the first attempt on.
    pub fn time(&self) -> Duration {
        if self.starts > MAX_STARTS { Duration::ZERO } else { self.time }
    }

    /// Returns the names of the parameters that were set, at most 64.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns true if only the answer to an Inform shows that the change is right: a connection does not tell whether the ACS takes
    /// the credentials, nor whether a server at a new URL is an ACS.
    pub fn needs_session(&self) -> bool {
        self.values.iter().any(|value| CONTACT.iter().any(|contact| is_contact(&value.name, contact)))
    }

    /// Returns the files that go back.
    pub(super) fn files(&self) -> &[KeptFile] {
        &self.files
    }

    fn add_file(&mut self, file: KeptFile) {
        self.files.retain(|known| known.package != file.package);
        self.files.push(file);
        // Two programs that lock several packages in the same order never wait for each other.
        self.files.sort_unstable_by(|one, other| one.package.cmp(&other.package));
    }

    fn add_value(&mut self, name: &str, old: String, new: u32) {
        self.add_name(name);
        match self.values.iter_mut().find(|known| known.name == name) {
            Some(known) => known.new = new,
            None => self.values.push(FormerValue { name: name.to_owned(), old, new }),
        }
    }

    /// Adds a row as it is before the change, if the change gives it another key.
    fn add_row(&mut self, row: Change, renamed: &[Change]) {
        let Change::Row(table, number, key, digest) = row else { return };
        let is_renamed = |row: &Change| matches!(row, Change::Row(of, other, ..) if (of, *other) == (&table, number));
        let is_known = self.rows.iter().any(|known| (&known.0, known.1) == (&table, number));
        if !is_known && renamed.iter().any(is_renamed) {
            self.rows.push((table, number, key.into(), digest));
        }
    }

    fn add_name(&mut self, name: &str) {
        if self.names.len() < MAX_NAMES && !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }

    /// Returns the form in the journal. The names of the members are part of the file format and must stay.
    pub(super) fn to_json(&self) -> Json {
        let value = |value: &FormerValue| {
            Json::Array(vec![value.name.as_str().into(), value.old.as_str().into(), value.new.into()])
        };
        let row = |(table, number, key, digest): &(String, u32, String, u32)| {
            Json::Array(vec![table.as_str().into(), (*number).into(), key.as_str().into(), (*digest).into()])
        };
        json::object([
            ("files", self.files.iter().map(KeptFile::to_json).collect()),
            ("values", self.values.iter().map(value).collect()),
            ("texts", undo_list(&self.texts)),
            ("rows", self.rows.iter().map(row).collect()),
            ("reloads", json::list_of_texts(&mut self.reloads.iter())),
            ("names", json::list_of_texts(&mut self.names.iter())),
            ("seconds", self.time.as_secs().into()),
            ("starts", self.starts.into()),
        ])
    }

    /// Reads the form of the journal. Malformed parts are left out.
    pub(super) fn from_json(json: &Json) -> Confirmation {
        let text = |json: &Json, at: usize| json::text(json.get(at));
        let number = |json: &Json, at: usize| json::number(json.get(at));
        let value =
            |json: &Json| Some(FormerValue { name: text(json, 0)?, old: text(json, 1)?, new: number(json, 2)? });
        let row = |json: &Json| Some((text(json, 0)?, number(json, 1)?, text(json, 2)?, number(json, 3)?));
        Confirmation {
            files: json::items(json.get("files")).iter().filter_map(KeptFile::from_json).collect(),
            values: json::items(json.get("values")).iter().filter_map(value).collect(),
            texts: undo_from_list(json.get("texts")),
            rows: json::items(json.get("rows")).iter().filter_map(row).collect(),
            reloads: json::texts(json.get("reloads")),
            names: json::texts(json.get("names")),
            time: Duration::from_secs(json::number(json.get("seconds")).unwrap_or_default().into()),
            starts: json::number(json.get("starts")).unwrap_or_default(),
        }
    }
}

/// Returns true if this is the full name of a parameter of ManagementServer.
fn is_contact(name: &str, parameter: &str) -> bool {
    name.strip_suffix(parameter).is_some_and(|object| object.ends_with(".ManagementServer."))
}

impl Device {
    /// Returns the changes that wait for a contact with the ACS.
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.unfinished.confirmation.as_ref()
    }

    /// Returns the time within which the ACS must be reached after a change; `None` if the change stays anyway. Somebody on the device,
    /// who makes all changes but those of the ACS, needs no ACS to take them back.
    pub(super) fn time_to_confirm(&self, writes: &[Write], kept: &[Change], author: Author) -> Option<Duration> {
        if author != Author::Acs {
            return None;
        }
        let of_reloads = writes.iter().filter_map(|write| self.reloads.confirm(write.reload.as_deref()?));
        let is_open = |open: &&Confirmation| {
            let mut packages = writes.iter().filter_map(|write| write.place.package());
            packages.any(|package| open.files.iter().any(|file| file.package == package))
        };
        let of_open = self.confirmation().filter(is_open).map(|open| open.time);
        let is_contact = |change: &Change| {
            let Change::Set(name, value) = change else { return false };
            short_name(&self.tree, name).is_some_and(|short| CONTACT.contains(&short))
                && self.tree.parameter(name).is_ok_and(|parameter| parameter.stored() != *value)
        };
        let of_contact = if kept.iter().any(is_contact) { self.reloads.confirm(MANAGEMENT_SERVER) } else { None };
        of_reloads.chain(of_open).chain(of_contact).max()
    }

    /// Returns the confirmation that is open after a change which must be confirmed within `time`.
    pub(super) fn confirmation_with(&self, change: NewChange<'_>, time: Duration) -> Confirmation {
        let mut open = self.confirmation().cloned().unwrap_or_default();
        (open.time, open.starts) = (open.time.max(time), 0);
        change.files.into_iter().for_each(|file| open.add_file(file));
        for write in change.writes {
            if !write.place.is_staged() && !open.texts.iter().any(|known| known.place == write.place) {
                open.texts.push(write.clone());
            }
            match &write.reload {
                Some(reload) if !open.reloads.contains(reload) => open.reloads.push(reload.clone()),
                _ => {}
            }
            open.add_name(&write.name);
        }
        for change in change.kept {
            if let Change::Set(name, value) = change
                // R157: only a method of the ACS changes ParameterKey.
                && short_name(&self.tree, name) != Some(parameter::PARAMETER_KEY)
                && let Ok(parameter) = self.tree.parameter(name)
            {
                open.add_value(name, parameter.stored().to_string(), digest(value));
            }
        }
        if !change.rows.is_empty() {
            self.tree.rows().into_iter().for_each(|row| open.add_row(row, change.rows));
        }
        open
    }

    /// Makes the changes stay, for this reason.
    pub fn confirm(&mut self, reason: &str, now: Now) {
        let Some(open) = self.unfinished.confirmation.clone() else { return };
        let work = Unfinished { confirmation: None, ..self.unfinished.clone() };
        match self.store_work(work, now) {
            Ok(()) => {
                log::info!("{reason}: {}", open.names.join(", "));
                self.forget_old_texts(&open);
            }
            // The next contact confirms it.
            Err(error) => log::warn!("{error}"),
        }
    }

    fn forget_old_texts(&mut self, open: &Confirmation) {
        if let Some(mut drivers) = self.sources.drivers.take_if(|_| !open.files.is_empty()) {
            // Files of a change that waits for a lock stay.
            self.finish_renames(&mut *drivers);
            self.sources.drivers = Some(drivers);
        }
    }

    /// Takes the changes back that no contact has confirmed.
    ///
    /// # Errors
    /// The reason for which nothing has changed yet; another attempt may succeed.
    pub fn take_back(&mut self, now: Now) -> Result<Option<TakenBack>, String> {
        let Some(open) = self.unfinished.confirmation.clone() else { return Ok(None) };
        let Some(mut drivers) = self.sources.drivers.take() else { return Err("the device cannot be reached".into()) };
        drivers.begin();
        let taken_back = self.take_back_with(&mut *drivers, &open, now);
        drivers.end();
        self.sources.drivers = Some(drivers);
        if taken_back.is_ok() {
            self.forget_old_texts(&open);
        }
        taken_back.map(Some)
    }

    fn take_back_with(
        &mut self,
        drivers: &mut dyn Sources,
        open: &Confirmation,
        now: Now,
    ) -> Result<TakenBack, String> {
        self.finish_interrupted(drivers)?;
        let WayBack { staged, merged, stays } = drivers.prepare_old(&open.files)?;
        let values = self.former_values(open);
        let before = self.unfinished.clone();
        // Without a change on the device, its services need no reload.
        let is_changed = merged.is_empty() || !staged.is_empty() || !open.texts.is_empty();
        let mut work = Unfinished { confirmation: None, ..before.clone() };
        (work.boot, work.staged, work.undo) = (self.state.boot_id.clone(), staged, open.texts.clone());
        open.reloads.iter().filter(|_| is_changed).for_each(|reload| work.owe(reload));
        // Where another program has changed the package, its sections keep the names by which their rows are found.
        let is_whole =
            |table: &str| self.tree.package_of_rows(table).is_none_or(|(package, _)| !merged.contains(&package));
        let row = |(table, number, key, digest): &(String, u32, String, u32)| {
            let is_there = is_whole(table) && self.tree.exists_instance(&format!("{table}{number}."));
            is_there.then(|| Change::Row(table.clone(), *number, key.as_str().into(), *digest))
        };
        let rows: Vec<Change> = open.rows.iter().filter_map(row).collect();
        let undo = self.opposite(&values, &rows);
        let change = DeviceChange { bound: Vec::new(), rows, work };
        if let Err(error) = self.apply_with(values, Some(change), Author::Other, now) {
            drivers.discard();
            return Err(error.to_string());
        }
        if let Err(reason) = drivers.commit() {
            self.revert(undo, &[], before, now);
            return Err(reason);
        }
        self.unfinished.staged.clear();
        let texts = std::mem::take(&mut self.unfinished.undo);
        let texts = texts.into_iter().map(|write| Write { text: write.old.clone(), ..write });
        set_all(drivers, texts.collect());
        self.sources.forget_answers();
        self.sources.pins.retain(|pinned| !open.reloads.iter().any(|reload| pinned.reload.as_ref() == Some(reload)));
        Ok(TakenBack { names: open.names.clone(), stays })
    }

    /// Returns the changes that give the agent its former values. One that another writer has set since stays.
    fn former_values(&self, open: &Confirmation) -> Vec<Change> {
        let former = |value: &FormerValue| {
            let parameter = self.tree.parameter(&value.name).ok()?;
            let is_same = digest(&parameter.stored()) == value.new;
            let old = parameter.spec.parse(&value.old).ok().filter(|_| is_same)?;
            Some(Change::Set(value.name.clone(), old))
        };
        open.values.iter().filter_map(former).collect()
    }

    /// Counts a start of the agent, after which the time to reach the ACS begins anew. Returns true if changes wait for a contact.
    pub(super) fn count_start(&mut self) -> bool {
        let open = self.unfinished.confirmation.as_mut();
        open.map(|open| open.starts = open.starts.saturating_add(1)).is_some()
    }
}

#[cfg(test)]
mod tests;
