//! The device as the protocol sees it: the data model, the state of the protocol, and the journal that stores both.
//!
//! ```text
//! decide (Tree::check_set, …) ──▶ Device::apply or Device::update ──▶ journal ──▶ tree and state ──▶ response
//! ```
//!
//! Every change is stored before it takes effect, and takes effect before it is answered, so that a confirmed change
//! survives a power cut (R164, R171). The tree and the state are private to this module, and no caller can bypass that
//! order. Two kinds of change are exempt: [`Device::set_runtime_value`] sets values that the agent knows anew after each
//! start, and [`Device::state_mut`] edits state that may be stored later.

pub(crate) mod management_server;

mod addressing;
mod change_log;
mod changing;
mod confirmation;
mod diagnostics;
mod echo;
mod effects;
mod identity;
mod instances;
mod journal;
mod notification;
mod recovery;
mod refusals;
mod restore;
mod session_totals;
mod software;
mod sources;
mod state;
mod transfers;
mod unfinished;
#[cfg(feature = "xmpp")]
mod xmpp;

use serde_json::Value as Json;

pub(crate) use self::addressing::{Created, unfit_aliases};
use self::changing::DeviceChange;
pub use self::changing::{Changed, Prepared, RenamedRow};
pub use self::confirmation::{Confirmation, KeptFile, TakenBack, WayBack};
pub use self::echo::EchoCounters;
use self::echo::SharedCounters;
pub use self::identity::DeviceId;
pub use self::journal::{Growth, JournalError, JournalWriter};
pub use self::management_server::LightweightSettings;
pub use self::refusals::Refusal;
use self::restore::apply_record;
use self::session_totals::record;
pub use self::session_totals::{KeptAddress, SessionTotals};
use self::sources::SourceState;
pub use self::sources::{SourceFailure, Sources};
pub use self::state::{DeviceState, PublishedAddress, Reset};
use self::state::{EncodedState, REPORTED, reported_from_json};
pub use self::unfinished::{StagedFile, Unfinished};
use crate::clock::Now;
use crate::cwmp::diagnostics::Runs;
use crate::log;
use crate::model::Loaded;
use crate::model::actions::Actions;
use crate::model::change::Change;
use crate::model::facets::PatternCache;
use crate::model::reloads::Reloads;
use crate::model::tree::{Tree, Work};

/// The originator of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// The ACS, which gets no notification of its own changes (R172).
    Acs,
    /// Any other entity: the agent itself, or a program or user on the LAN side.
    Other,
}

/// The data model and the state of the protocol, with the journal that stores both.
pub struct Device {
    tree: Tree,
    actions: Actions,
    state: DeviceState,
    journal: Box<dyn JournalWriter>,
    /// The state as the journal holds it.
    written: EncodedState,
    /// The counts of sessions as the journal holds them.
    written_totals: SessionTotals,
    /// The numbers of the factory state that the journal does not hold yet; the next record does.
    unstored: Vec<Change>,
    /// True if DelayReboot was set, to any value, since the last [`Device::take_delay_reboot`].
    delay_reboot_set: bool,
    sources: SourceState,
    /// The counters of the echo service; `None` until it runs.
    echo: Option<SharedCounters>,
    reloads: Reloads,
    /// The work on the device that a crash may interrupt, and the one that the journal holds.
    unfinished: Unfinished,
    written_work: Unfinished,
    /// True if a record must be written for the unfinished work alone.
    work_is_urgent: bool,
    /// The diagnostic tests since the boot of the device.
    runs: Runs,
    /// The tests after the record that is about to be written.
    next_runs: Option<Runs>,
}

/// The members of the journal beside the tree. A later record replaces those of an earlier one.
#[derive(Default)]
struct Stored {
    state: DeviceState,
    /// The texts of `state`.
    written: EncodedState,
    totals: SessionTotals,
    unfinished: Unfinished,
    runs: Runs,
}

impl Stored {
    fn apply(&mut self, mut record: serde_json::Map<String, Json>, now: Now) {
        if let Some(stored) = record.remove("state") {
            let reported = std::mem::take(&mut self.state.reported);
            self.state = DeviceState::from_json(&stored, now);
            if stored.get(REPORTED).is_none() {
                self.state.reported = reported;
            }
            self.written.state = stored.to_string();
        }
        if let Some(stored) = record.get(REPORTED) {
            self.state.reported = reported_from_json(stored);
            self.written.reported = stored.to_string();
        }
        if let Some(stored) = record.get("sessions") {
            self.totals = SessionTotals::from_json(stored);
        }
        if let Some(stored) = record.get("device") {
            self.unfinished = Unfinished::from_json(stored);
        }
        if let Some(stored) = record.get("tests") {
            self.runs.restore(stored);
        }
    }
}

impl Device {
    /// Restores the device: applies the records of the journal to the factory state. Also returns a notice, for the log,
    /// for each record or value that the model rejects.
    pub fn restore(
        loaded: Loaded,
        records: &[String],
        journal: Box<dyn JournalWriter>,
        now: Now,
    ) -> (Device, Vec<String>) {
        let Loaded { mut tree, actions, reloads, .. } = loaded;
        tree.set_with_omitted(true);
        let mut stored = Stored::default();
        let (patterns, mut notices, mut dropped) = (PatternCache::default(), Vec::new(), Vec::new());
        for record in records {
            let Ok(Json::Object(record)) = serde_json::from_str(record) else {
                notices.push("a record of the journal is no JSON object".into());
                continue;
            };
            apply_record(&mut tree, record.get("tree"), &patterns, &mut notices, &mut dropped);
            stored.apply(record, now);
        }
        let Stored { mut state, written, totals, unfinished, runs } = stored;
        state.totals = totals;
        tree.set_with_omitted(false);
        tree.set_addressing(management_server::addressing(&tree));
        // A pending notification of a parameter that the model no longer has could never be sent, and its
        // 4 VALUE CHANGE would go out without a parameter, which R101 forbids.
        state.drop_changes(|name| tree.parameter(name).is_err());
        Device::note_dropped_values(&tree, &mut state, dropped);
        let mut device = Device {
            unstored: tree.unstored_numbers(),
            tree,
            actions,
            state,
            journal,
            written,
            written_totals: totals,
            delay_reboot_set: false,
            sources: SourceState::default(),
            echo: None,
            reloads,
            written_work: unfinished.clone(),
            unfinished,
            work_is_urgent: false,
            runs,
            next_runs: None,
        };
        device.show_all_tests();
        (device, notices)
    }

    /// Replaces the data model: applies the values in the records to the factory state of the new model, as
    /// [`restore`](Device::restore) does, and keeps the state of the protocol. Returns a notice, for the log, for each
    /// value that the new model rejects.
    pub fn replace_model(&mut self, loaded: Loaded, records: &[String]) -> Vec<String> {
        let Loaded { mut tree, actions, reloads, .. } = loaded;
        tree.set_with_omitted(true);
        let (patterns, mut notices, mut dropped) = (PatternCache::default(), Vec::new(), Vec::new());
        for record in records.iter().filter_map(|record| serde_json::from_str::<Json>(record).ok()) {
            apply_record(&mut tree, record.get("tree"), &patterns, &mut notices, &mut dropped);
        }
        Device::note_dropped_values(&tree, &mut self.state, dropped);
        // The journal lacks the rows that come and go by themselves, which would get other numbers.
        for row in self.tree.rows() {
            let _ = tree.apply(&row);
        }
        tree.set_with_omitted(false);
        tree.set_addressing(management_server::addressing(&tree));
        self.unstored = tree.unstored_numbers();
        self.sources.forget_answers();
        let pinned = self.pinned_values();
        (self.tree, self.actions, self.reloads) = (tree, actions, reloads);
        self.keep_pinned_values(pinned);
        self.show_all_tests();
        let tree = &self.tree;
        self.state.drop_changes(|name| tree.parameter(name).is_err());
        notices
    }

    /// Returns the data model with its current values. Only [`apply`](Device::apply) changes it, after the journal.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Bounds the work on the data model from now on: that of a request, or none.
    pub(super) fn bound_work(&mut self, work: Work) {
        self.tree.set_work(work);
    }

    /// Returns the commands of the data model that reboot or reset the device and process files.
    pub fn actions(&self) -> &Actions {
        &self.actions
    }

    /// Returns the state of the protocol.
    pub fn state(&self) -> &DeviceState {
        &self.state
    }

    /// Returns the state for an edit that may be lost in a crash. The next [`apply`](Device::apply),
    /// [`update`](Device::update) or [`save`](Device::save) stores it.
    pub fn state_mut(&mut self) -> &mut DeviceState {
        &mut self.state
    }

    /// Stores the state, unless the journal already holds it.
    ///
    /// # Errors
    /// The journal cannot be written; the next call tries again.
    pub fn save(&mut self, now: Now) -> Result<(), JournalError> {
        self.update(now, |_| {})
    }

    /// Stores changes of the data model, then applies all of them, with the state that follows from them: notifications,
    /// and `0 BOOTSTRAP` after a changed ACS URL (R25). A value that is already set is not written again.
    ///
    /// The changes must have been decided on this very tree. Returns true if one of them requires an active notification.
    ///
    /// # Errors
    /// The journal cannot be written, or the agent stops during a request; then nothing has changed.
    pub fn apply(&mut self, changes: Vec<Change>, author: Author, now: Now) -> Result<bool, JournalError> {
        self.apply_with(changes, None, author, now)
    }

    /// Applies changes, with values that the device holds and the journal does not, in one record with the work that is to be done on
    /// the device.
    fn apply_with(
        &mut self,
        changes: Vec<Change>,
        on_device: Option<DeviceChange>,
        author: Author,
        now: Now,
    ) -> Result<bool, JournalError> {
        let is_urgent = on_device.is_some();
        let (bound, rows, work) = match on_device {
            Some(DeviceChange { bound, rows, work }) => (bound, rows, work),
            None => (Vec::new(), Vec::new(), self.unfinished.clone()),
        };
        let sets_delay_reboot = self.sets_delay_reboot(&changes);
        let mut decided = changes;
        let runs = self.take_test_changes(&mut decided, author);
        let mut state = self.state.clone();
        self.take_state_requests(&decided, &mut state, now);
        let mut changes = Vec::new();
        for change in decided {
            self.check_stop()?;
            if self.is_change(&change, author) {
                changes.extend(self.tree.row_with_alias(&change).into_iter().chain([change]));
            }
        }
        let active = author == Author::Other
            && (self.note_value_changes(&changes, &mut state) | self.note_value_changes(&bound, &mut state));
        self.report_bound(&bound, &mut state);
        self.drop_unwatched_changes(&changes, &mut state);
        Device::forget_reported_values(&changes, &mut state);
        self.detect_other_acs(&changes, &mut state);
        self.drop_test_event(&runs, &mut state);
        self.report_newly_watched(&changes, &mut state)?;
        // A row with another key is the same instance, so that no change is reported.
        changes.extend(rows);
        let before = std::mem::replace(&mut self.unfinished, work);
        self.work_is_urgent = is_urgent;
        let stored = self.commit_with_tests(&changes, runs, state, now);
        self.work_is_urgent = false;
        if stored.is_err() {
            self.unfinished = before;
        }
        stored?;
        for change in bound {
            if let Change::Set(name, value) = change {
                // Cannot fail: the parameter was found before.
                let _ = self.tree.set_runtime_value(&name, value);
            }
        }
        self.delay_reboot_set |= sets_delay_reboot;
        Ok(active)
    }

    /// Returns an error if the agent stops during a request. No change is half made: the error comes before the record.
    fn check_stop(&self) -> Result<(), JournalError> {
        self.tree.check_stop().map_err(|error| JournalError { reason: error.to_string(), is_full: false })
    }

    /// Stores an edit of the state, then puts it into effect.
    ///
    /// # Errors
    /// The journal cannot be written; then nothing has changed.
    pub fn update(&mut self, now: Now, edit: impl FnOnce(&mut DeviceState)) -> Result<(), JournalError> {
        let mut state = self.state.clone();
        edit(&mut state);
        self.commit(&[], state, now)
    }

    /// Writes changes and a new state to the journal, then puts both into effect; on an error, neither.
    ///
    /// This function is not generic: with a closure as argument, the compiler copied it into each of its 23 callers,
    /// which cost about 30 kB on MIPS.
    fn commit(&mut self, changes: &[Change], mut state: DeviceState, now: Now) -> Result<(), JournalError> {
        let encoded = state.encode(now);
        let unwritten = encoded.unwritten(&self.written);
        // R218: the ACS learns the numbers of the factory state in its next session, before whose end this is stored.
        let with_numbers;
        let changes = match self.unstored.is_empty() {
            true => changes,
            false => {
                with_numbers = [&self.unstored[..], changes].concat();
                &with_numbers
            }
        };
        let tests = self.unwritten_tests();
        if !changes.is_empty() || unwritten != [None; 2] || tests.is_some() || self.work_is_urgent {
            let shrinks = changes.iter().all(|change| matches!(change, Change::Delete(_) | Change::LastNumber(..)));
            let record = record(changes, unwritten, self.unwritten_totals(), self.unwritten_work(), tests);
            self.check_stop()?;
            self.append(&record, if shrinks { Growth::No } else { Growth::May })?;
            self.totals_written();
            self.written_work.clone_from(&self.unfinished);
        }
        for change in changes {
            // Cannot fail: each change was decided on this very tree, which has not changed since.
            let applied = self.tree.apply(change);
            debug_assert!(applied.is_ok(), "{}: {applied:?}", change.name());
        }
        if state.acs_url != self.state.acs_url {
            log::info!("0 BOOTSTRAP: the ACS URL has changed"); // R25
        }
        self.unstored.clear();
        self.state = state;
        self.written = encoded;
        self.tests_written();
        Ok(())
    }

    /// Appends a record. If it is refused for want of room, or because the journal was removed, the journal is rewritten
    /// first: a long session fills a small partition with values that later ones have replaced.
    fn append(&mut self, record: &str, growth: Growth) -> Result<(), JournalError> {
        match self.journal.append(record, growth) {
            Err(error) if self.journal.rewrite_helps() => {
                let snapshot = self.snapshot();
                if let Err(failure) = self.journal.rewrite(&snapshot) {
                    log::debug!("the journal cannot be rewritten either: {}", failure.reason);
                    return Err(error);
                }
                self.rewritten();
                self.journal.append(record, growth)
            }
            result => result,
        }
    }
}
