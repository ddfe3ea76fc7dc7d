//! Changes of values that live on the device.
//!
//! ```text
//! values ──▶ Tree::plan_writes ──▶ check, stage ──▶ set, after a record to undo it ──▶ record ──▶ rename ──▶ tree ──▶ answer
//!                 │                    │                    │                            │
//!                 └────────────────────┴──── a refusal ─────┴────────────────────────────┴──▶ nothing has changed
//! ```
//!
//! The record is the point of decision (R164, R171): before it the device is set back, behind it the renames are finished, also by
//! the next start.

use super::confirmation::NewChange;
use super::notification::{digest, is_watched};
use super::recovery::set_all;
use super::refusals::{fault, faults};
use super::{Author, Confirmation, Device, DeviceState, JournalError, KeptFile, Sources, StagedFile, Unfinished};
use crate::clock::Now;
use crate::cwmp::fault::{Fault, FaultCode, ParameterFault};
use crate::cwmp::software::UnitQueueFull;
use crate::foreign_text::Quoted;
use crate::log;
use crate::model::change::Change;
use crate::model::source::uci::Identity;
use crate::model::source::{Answers, OptionForm, Place, Write};
use crate::model::tree::Planned;
use crate::model::value::Value;

/// The parts of a change that are prepared: each needs a rename only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// The files.
    pub staged: Vec<StagedFile>,
    /// The sections in them that get a name.
    pub renamed: Vec<RenamedRow>,
    /// The name of the section that is new.
    pub added: Option<String>,
    /// The files that can go back, if they are to.
    pub kept: Vec<KeptFile>,
}

/// An anonymous section that gets a name, which is its key then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenamedRow {
    /// The name of the UCI package.
    pub package: String,
    /// The options that tell anonymous sections apart, in the tables that are meant.
    pub identity: Option<Identity>,
    /// The key before.
    pub old: String,
    /// The key after the change.
    pub new: String,
}

/// A change of the device, beside the values that the agent keeps.
pub(super) struct DeviceChange {
    /// The values on the device, which the journal does not hold.
    pub(super) bound: Vec<Change>,
    /// The rows that get other keys.
    pub(super) rows: Vec<Change>,
    /// The work that the record names.
    pub(super) work: Unfinished,
}

/// The texts that the device must hold for values.
pub(super) struct Plan {
    pub(super) writes: Vec<Write>,
    /// True if a value that the device has already waits for a reload.
    awaits_reload: bool,
    /// The values that the device cannot have.
    pub(super) refused: Vec<ParameterFault>,
}

/// The result of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// True if a change requires an active notification.
    pub notify: bool,
    /// True if the device uses a new value only after a reload: Status 1 (R169, R170).
    pub is_owed: bool,
}

impl Changed {
    /// Returns the argument `Status` of a response.
    pub(in crate::cwmp) fn status(self) -> u32 {
        self.is_owed.into()
    }
}

impl Device {
    /// Makes changes as [`Device::apply`] does, of which some set values on the device: all of them or none (R164). The values on the
    /// device were read before by a refresh for these changes.
    ///
    /// # Errors
    /// The faults of all parameters that the device refuses (R165), or the failure to store; then nothing has changed.
    pub fn change(&mut self, changes: Vec<Change>, author: Author, now: Now) -> Result<Changed, Fault> {
        let log = self.change_log(&changes, author);
        let changed = self.change_everywhere(changes, author, now)?;
        self.write_log(&log);
        Ok(changed)
    }

    /// Makes changes, on the device and in the tree.
    fn change_everywhere(&mut self, changes: Vec<Change>, author: Author, now: Now) -> Result<Changed, Fault> {
        let answers = std::mem::take(&mut self.sources.answers);
        let is_bound =
            |change: &Change| matches!(change, Change::Set(name, _) if self.tree.schema().is_bound_parameter(name));
        // R170, R355: an execution unit starts or stops after the session.
        let requests = changes.iter().filter(|change| self.requests_state(change.name())).count();
        let is_owed = requests > 0;
        if is_owed && !self.state.units.has_room(requests) {
            return Err(Fault::because(FaultCode::ResourcesExceeded, UnitQueueFull.to_string()));
        }
        let (bound, kept): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(is_bound);
        if bound.is_empty() {
            return Ok(Changed { notify: self.apply_kept(kept, author, now)?, is_owed });
        }
        self.with_drivers(|device, drivers| {
            let Plan { writes, awaits_reload, mut refused } = device.plan(&bound, &answers);
            if !refused.is_empty() {
                refused.extend(faults(&writes, drivers.check(&writes)));
                return Err(Fault::of_parameters(refused));
            }
            let is_owed = is_owed || awaits_reload;
            if writes.is_empty() {
                // R170: a value that is there may still wait for its reload.
                return Ok(Changed { notify: device.apply_kept(kept, author, now)?, is_owed });
            }
            let changed = device.carry_out(drivers, writes, (bound, kept), author, now)?;
            Ok(Changed { is_owed: changed.is_owed || is_owed, ..changed })
        })
    }

    /// Calls a function with the drivers of the sources, between the begin and the end of a request to them.
    pub(super) fn with_drivers(
        &mut self,
        change: impl FnOnce(&mut Device, &mut dyn Sources) -> Result<Changed, Fault>,
    ) -> Result<Changed, Fault> {
        let Some(mut drivers) = self.sources.drivers.take() else {
            return Err(Fault::because(FaultCode::InternalError, "the device cannot be reached"));
        };
        drivers.begin();
        let changed = change(self, &mut *drivers);
        drivers.end();
        self.sources.drivers = Some(drivers);
        changed
    }

    /// Drops the answers of a refresh for a change that was refused.
    pub(in crate::cwmp) fn forget_answers(&mut self) {
        self.sources.answers = Answers::default();
    }

    /// Makes the device hold texts, and changes the tree with it.
    pub(super) fn carry_out(
        &mut self,
        drivers: &mut dyn Sources,
        writes: Vec<Write>,
        (bound, mut kept): (Vec<Change>, Vec<Change>),
        author: Author,
        now: Now,
    ) -> Result<Changed, Fault> {
        self.finish_interrupted(drivers).map_err(|reason| Fault::because(FaultCode::InternalError, reason))?;
        let time = self.time_to_confirm(&writes, &kept, author);
        let old_texts = time.map(|_| self.confirmation().map_or(&[][..], Confirmation::files));
        let prepared = drivers.prepare(&writes, old_texts).map_err(|refused| fault(&writes, refused))?;
        let Prepared { staged, renamed, added, kept: files } = prepared;
        name_new_rows(&mut kept, added.as_deref());
        let direct: Vec<Write> =
            writes.iter().filter(|write| !write.place.is_staged() && !write.place.is_row()).cloned().collect();
        // Without the texts to be set back, which a failure below sets back itself.
        let before = self.unfinished.clone();
        if let Err(fault) = self.set_directly(drivers, &direct, now) {
            drivers.discard();
            return Err(fault);
        }
        let reloads = self.reloads_of(&writes);
        let row = |row: &RenamedRow| self.tree.renamed_rows(&row.package, row.identity.as_ref(), &row.old, &row.new);
        let rows: Vec<Change> = renamed.iter().flat_map(row).collect();
        let undo = self.opposite(&kept, &rows);
        let change = NewChange { writes: &writes, files, kept: &kept, rows: &rows };
        let confirmation = time.map(|time| self.confirmation_with(change, time)).or(before.confirmation.clone());
        let boot = self.state.boot_id.clone();
        let mut work = Unfinished { boot, staged, undo: Vec::new(), confirmation, ..before.clone() };
        if !writes.iter().any(|write| write.place.is_row()) {
            // The values decide about the rows that were created for them.
            work.tentative.clear();
        }
        // Those before the answer too: a crash during one of them must not lose it.
        reloads.iter().for_each(|reload| work.owe(&reload.name));
        let names: Vec<String> = bound.iter().map(|change| change.name().to_owned()).collect();
        let stored = self.apply_with(kept, Some(DeviceChange { bound, rows, work }), author, now);
        let notify = match stored {
            Ok(notify) => notify,
            Err(error) => {
                self.set_back(drivers, &direct);
                drivers.discard();
                self.abandon(before, now);
                return Err(error.into());
            }
        };
        if let Err(reason) = drivers.commit() {
            self.set_back(drivers, &direct);
            self.revert(undo, &names, before, now);
            return Err(Fault::because(FaultCode::InternalError, reason));
        }
        self.unfinished.staged.clear();
        // Answers that may serve later requests are those of the device before the change.
        self.sources.forget_answers();
        self.log_writes(&writes, author);
        self.reload_before_answer(drivers, &reloads);
        self.pin(&writes, &renamed);
        let is_owed = reloads.iter().any(|reload| self.unfinished.owes(&reload.name));
        Ok(Changed { notify, is_owed })
    }

    /// Changes values that the agent keeps. Those without which the ACS is not reached wait for a contact.
    fn apply_kept(&mut self, kept: Vec<Change>, author: Author, now: Now) -> Result<bool, JournalError> {
        let time = self.time_to_confirm(&[], &kept, author);
        if time.is_none() && self.unfinished.tentative.is_empty() {
            return self.apply(kept, author, now);
        }
        let change = NewChange { writes: &[], files: Vec::new(), kept: &kept, rows: &[] };
        let confirmation = time.map(|time| self.confirmation_with(change, time));
        let confirmation = confirmation.or_else(|| self.unfinished.confirmation.clone());
        let work = Unfinished { confirmation, tentative: Vec::new(), ..self.unfinished.clone() };
        self.apply_with(kept, Some(DeviceChange { bound: Vec::new(), rows: Vec::new(), work }), author, now)
    }

    pub(super) fn plan(&self, bound: &[Change], answers: &Answers) -> Plan {
        let set = |change: &'_ Change| match change {
            Change::Set(name, value) => Some((name.clone(), value.clone())),
            _ => None,
        };
        let values: Vec<(String, Value)> = bound.iter().filter_map(set).collect();
        let values: Vec<(&str, &Value)> = values.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let mut planned = self.tree.plan_writes(&values, answers);
        planned.sort_by_key(|(at, _)| *at);
        let (mut writes, mut refused, mut is_owed) = (Vec::<Write>::new(), Vec::new(), false);
        let mut next = planned.into_iter().peekable();
        for (at, (name, _)) in values.iter().enumerate() {
            let mut refuse = |code: FaultCode, text: String| {
                refused.push(ParameterFault { name: (*name).to_owned(), code, text });
            };
            match next.next_if(|(planned, _)| *planned == at).map(|(_, planned)| planned) {
                // The row has gone since the parameter was found.
                None => refuse(FaultCode::InvalidParameterName, "it is not on the device any more".to_owned()),
                Some(Planned::Present(reload)) => {
                    is_owed |= reload.is_some_and(|reload| self.unfinished.owes(&reload));
                }
                Some(Planned::Write(planned)) => {
                    let is_other = |known: &&Write| {
                        let is_same = |write: &Write| is_same_setting(&known.place, &write.place);
                        planned.iter().any(|write| is_same(write) && known.text != write.text)
                    };
                    match writes.iter().find(is_other) {
                        // R168: one option of the device cannot hold both.
                        Some(known) => {
                            let text = format!("another value than {} gives to the same setting", known.name);
                            refuse(FaultCode::InvalidParameterValue, text);
                        }
                        None => writes.extend(planned),
                    }
                }
                Some(Planned::Unfit(reason)) => refuse(FaultCode::InvalidParameterValue, reason),
                Some(Planned::Failed(reason)) => refuse(FaultCode::InternalError, reason),
            }
        }
        Plan { writes, awaits_reload: is_owed, refused }
    }

    /// Sets the texts that no rename sets, after a record by which a start would set them back.
    fn set_directly(&mut self, drivers: &mut dyn Sources, direct: &[Write], now: Now) -> Result<(), Fault> {
        if direct.is_empty() {
            return Ok(());
        }
        let before = self.unfinished.clone();
        self.store_work(Unfinished { undo: direct.to_vec(), ..before.clone() }, now)?;
        let refused = drivers.set(direct);
        if refused.is_empty() {
            return Ok(());
        }
        self.set_back(drivers, direct);
        self.abandon(before, now);
        Err(fault(direct, refused))
    }

    /// Gives the device the texts that it held.
    fn set_back(&mut self, drivers: &mut dyn Sources, direct: &[Write]) {
        let back = |write: &Write| Some(Write { text: Some(write.old.clone()?), ..write.clone() });
        set_all(drivers, direct.iter().filter_map(back).collect());
    }

    /// Stores that a change was not made. Without this record, the next start would set the device back once more.
    fn abandon(&mut self, before: Unfinished, now: Now) {
        if self.unfinished != before
            && let Err(error) = self.store_work(before, now)
        {
            log::warn!("{error}");
        }
    }

    /// Stores unfinished work alone.
    pub(super) fn store_work(&mut self, work: Unfinished, now: Now) -> Result<(), JournalError> {
        let before = std::mem::replace(&mut self.unfinished, work);
        self.work_is_urgent = true;
        let stored = self.commit(&[], self.state.clone(), now);
        self.work_is_urgent = false;
        if stored.is_err() {
            self.unfinished = before;
        }
        stored
    }

    fn log_writes(&self, writes: &[Write], author: Author) {
        // A local command logs its own line.
        if author == Author::Acs {
            let mut names: Vec<&str> = writes.iter().map(|write| write.name.as_str()).collect();
            names.dedup();
            let deed = match writes[0].place {
                Place::NewSection { .. } | Place::NewRow { .. } => "added on the device",
                Place::OldSection { .. } | Place::OldRow { .. } => "deleted on the device",
                _ => "set on the device",
            };
            self.log_deed(deed, &names);
        }
        for write in writes {
            match &write.text {
                _ if write.place.is_row() => {}
                _ if write.hidden => log::debug!("{}: ***", write.name),
                Some(text) => log::debug!("{}: {}", write.name, Quoted(text)),
                None => log::debug!("{}: removed", write.name),
            }
        }
    }

    /// Records values on the device as known to the ACS that has set them, or that is told of them.
    pub(super) fn report_bound(&self, bound: &[Change], state: &mut DeviceState) {
        for change in bound {
            if let Change::Set(name, value) = change
                && self.tree.parameter(name).is_ok_and(|parameter| is_watched(&parameter))
            {
                state.reported.insert(name.clone(), digest(value));
            }
        }
    }
}

/// Gives the rows of a new section the key under which its driver has added it.
fn name_new_rows(kept: &mut [Change], added: Option<&str>) {
    let Some(name) = added else { return };
    for change in kept {
        if let Change::Row(_, _, key, _) = change {
            *key = name.into();
        }
    }
}

/// Returns true if two places are one setting of the device.
pub(super) fn is_same_setting(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (
            Place::Uci { package: a, section: b, option: c, form: d, .. },
            Place::Uci { package: x, section: y, option: z, form: other, .. },
        ) => {
            let is_item = matches!((d, other), (OptionForm::Item(_), _) | (_, OptionForm::Item(_)));
            (a, b, c) == (x, y, z) && (!is_item || d == other)
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests;
