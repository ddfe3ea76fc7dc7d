//! The device as the protocol sees it: its data model, what it still has to tell, and the journal that keeps both.
//!
//! ```text
//! decide (model::tree) ──▶ Device::commit ──▶ journal ──▶ tree and state ──▶ answer
//! ```
//!
//! Nothing is changed before it is written, and nothing is answered before it is changed, so that what was answered
//! survives a power cut (R164, R171).

mod identity;
mod management_server;
mod notification;
mod state;
mod transfers;

use std::fmt::{self, Write as _};

use serde_json::Value as Json;

pub use self::identity::DeviceId;
use self::notification::DroppedValue;
pub use self::state::{DeviceState, PublishedAddress, Reset};
use crate::clock::Now;
use crate::model::Loaded;
use crate::model::actions::Actions;
use crate::model::change::Change;
use crate::model::tree::Tree;

/// Where changes are kept: one record a change, durable when `append` returns.
pub trait JournalWriter {
    /// Writes one record, a line without line end.
    ///
    /// # Errors
    /// It is not durable, and nothing of it will come back.
    fn append(&mut self, record: &str) -> Result<(), JournalError>;
}

/// A record could not be kept; nothing of it will come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalError(pub String);

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the state cannot be stored: {}", self.0)
    }
}

impl std::error::Error for JournalError {}

/// Who changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// The ACS: what it changes is never told to it (R172).
    Acs,
    /// Anyone else: the agent itself, or an entity on the LAN side.
    Other,
}

/// The data model and the state, with the journal that keeps them.
pub struct Device {
    /// The data model as it is now.
    pub tree: Tree,
    /// What only the device can do.
    pub actions: Actions,
    state: DeviceState,
    journal: Box<dyn JournalWriter>,
    /// The state as the journal has it.
    written: String,
    /// When the current step of the protocol takes place.
    now: Now,
    /// Whether DelayReboot was set since somebody looked, to whatever value.
    delay_reboot_set: bool,
}

impl Device {
    /// Brings the device from its factory state to what the records say. What no longer fits the model is left out and
    /// told in words.
    pub fn restore(
        loaded: Loaded,
        records: &[String],
        journal: Box<dyn JournalWriter>,
        now: Now,
    ) -> (Device, Vec<String>) {
        let Loaded { mut tree, actions } = loaded;
        let mut state = DeviceState::default();
        let mut written = String::new();
        let (mut notices, mut lost) = (Vec::new(), Vec::new());
        for record in records {
            let Ok(Json::Object(mut record)) = serde_json::from_str(record) else {
                notices.push("a record of the journal is no JSON object".into());
                continue;
            };
            apply_record(&mut tree, record.get("tree"), &mut notices, &mut lost);
            if let Some(stored) = record.remove("state") {
                state = DeviceState::from_json(&stored, now);
                written = stored.to_string();
            }
        }
        state.drop_changes(|name| tree.parameter(name).is_err());
        Device::note_dropped_values(&tree, &mut state, lost);
        (Device { tree, actions, state, journal, written, now, delay_reboot_set: false }, notices)
    }

    /// Lays what the records say over the factory state of another model, as [`restore`](Device::restore) does; what has
    /// happened beside the tree stays as it is. What does not fit is left out and told in words.
    pub fn replace_model(&mut self, loaded: Loaded, records: &[String]) -> Vec<String> {
        let Loaded { mut tree, actions } = loaded;
        let (mut notices, mut lost) = (Vec::new(), Vec::new());
        for record in records.iter().filter_map(|record| serde_json::from_str::<Json>(record).ok()) {
            apply_record(&mut tree, record.get("tree"), &mut notices, &mut lost);
        }
        Device::note_dropped_values(&tree, &mut self.state, lost);
        (self.tree, self.actions) = (tree, actions);
        let tree = &self.tree;
        self.state.drop_changes(|name| tree.parameter(name).is_err());
        notices
    }

    /// When the current step of the protocol takes place.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Begins a step of the protocol.
    pub fn set_now(&mut self, now: Now) {
        self.now = now;
    }

    /// What the device has to remember.
    pub fn state(&self) -> &DeviceState {
        &self.state
    }

    /// Changes what need not be durable at once. It becomes so with the next [`commit`](Device::commit) or
    /// [`save`](Device::save).
    pub fn state_mut(&mut self) -> &mut DeviceState {
        &mut self.state
    }

    /// Makes the state durable, where it differs from what the journal has.
    pub fn save(&mut self) -> Result<(), JournalError> {
        self.commit(Vec::new(), Author::Other, |_| {}).map(drop)
    }

    /// Carries out changes together with an edit of the state: all of it or, on an error, nothing.
    ///
    /// Changes that change nothing are not written. A changed ACS URL raises `0 BOOTSTRAP` (R25). Gives whether an
    /// active notification is to be sent.
    pub fn commit(
        &mut self,
        changes: Vec<Change>,
        author: Author,
        edit: impl FnOnce(&mut DeviceState),
    ) -> Result<bool, JournalError> {
        let sets_delay_reboot = self.sets_delay_reboot(&changes);
        let changes: Vec<Change> = changes.into_iter().filter(|change| self.is_change(change, author)).collect();
        let mut state = self.state.clone();
        let active = author == Author::Other && self.note_value_changes(&changes, &mut state);
        self.drop_unwatched_changes(&changes, &mut state);
        Device::forget_reported_values(&changes, &mut state);
        self.detect_other_acs(&changes, &mut state);
        self.report_newly_watched(&changes, &mut state);
        edit(&mut state);
        let encoded = state.encode(self.now);
        let unwritten = (encoded != self.written).then_some(encoded.as_str());
        if !changes.is_empty() || unwritten.is_some() {
            self.journal.append(&record(&changes, unwritten))?;
        }
        for change in &changes {
            // Every change was decided on this very tree.
            let applied = self.tree.apply(change);
            debug_assert!(applied.is_ok(), "{}: {applied:?}", change.name());
        }
        if state.acs_url != self.state.acs_url {
            log::info!("0 BOOTSTRAP: the ACS URL has changed"); // R25
        }
        self.state = state;
        self.written = encoded;
        self.delay_reboot_set |= sets_delay_reboot;
        Ok(active)
    }

    /// Whether DelayReboot was set since the last look. The value that it has already counts: the delay begins with each
    /// session that sets it (R156).
    pub fn take_delay_reboot(&mut self) -> bool {
        std::mem::take(&mut self.delay_reboot_set)
    }

    /// All records that lead from the factory state to this one, for the journal's compaction.
    pub fn snapshot(&self) -> Vec<String> {
        let changes: Vec<Json> = self.tree.changes_from_factory().iter().map(Change::to_json).collect();
        vec![serde_json::json!({ "tree": changes, "state": self.state.to_json() }).to_string()]
    }

    /// The journal was rewritten as what [`snapshot`](Device::snapshot) gave.
    pub fn rewritten(&mut self) {
        self.written = self.state.to_json().to_string();
    }

    /// The record of a device that has forgotten everything but that it is being reset, and since which boot.
    pub fn reset_record(&self) -> String {
        let mut state = DeviceState::default();
        state.boot_id.clone_from(&self.state.boot_id);
        state.reset = Reset::Begun;
        serde_json::json!({ "state": state.to_json() }).to_string()
    }

    fn is_change(&self, change: &Change, author: Author) -> bool {
        match change {
            // R171: what the ACS has set stays, also where a later firmware has another default than this very value.
            Change::Set(name, value) => self.tree.parameter(name).is_ok_and(|parameter| {
                let pins = author == Author::Acs && parameter.spec.writable && !parameter.is_changed();
                pins || parameter.stored() != *value
            }),
            Change::Attributes(name, attributes) => {
                self.tree.parameter(name).is_ok_and(|p| p.attributes() != *attributes)
            }
            _ => true,
        }
    }

    fn sets_delay_reboot(&self, changes: &[Change]) -> bool {
        let delay = self.management_server_name("DelayReboot");
        changes.iter().any(|change| matches!(change, Change::Set(name, _) if *name == delay))
    }

    fn detect_other_acs(&self, changes: &[Change], state: &mut DeviceState) {
        let url = self.management_server_name("URL");
        let set = changes.iter().rev().find_map(|change| match change {
            Change::Set(name, value) if *name == url => Some(value.to_string()),
            _ => None,
        });
        // R137: the same URL set once more is kept from now on (R171), and is no other ACS.
        if let Some(url) = set.filter(|url| *url != self.management_server_text("URL")) {
            state.bootstrap(url);
        }
    }
}

/// Carries out the changes of a record; notes which are left out, and which values are lost by that.
fn apply_record(tree: &mut Tree, changes: Option<&Json>, notices: &mut Vec<String>, lost: &mut Vec<DroppedValue>) {
    for change in changes.and_then(Json::as_array).into_iter().flatten() {
        if let Err(notice) = apply(tree, change) {
            notices.push(notice);
            lost.extend(DroppedValue::of(change, tree));
        }
    }
}

/// Carries out a change of the journal, or tells in words why it is left out; never its value, which may be a password.
fn apply(tree: &mut Tree, change: &Json) -> Result<(), String> {
    let change = Change::from_json(change, tree).and_then(|change| match is_overruled(tree, &change) {
        true => Err(format!("{}: the data model has made it read-only", change.name())),
        false => Ok(change),
    });
    let applied = change.and_then(|c| tree.apply(&c).map_err(|error| format!("{}: {error}", c.name())));
    applied.map_err(|reason| format!("left out of the stored values: {reason}"))
}

/// What is read-only has its value from the model: nobody could change a stored one. It may have been writable once.
/// ParameterKey (R157) and references into what was deleted (R173) are changed by the agent itself.
fn is_overruled(tree: &Tree, change: &Change) -> bool {
    let Change::Set(name, _) = change else { return false };
    let is_fixed = tree.parameter(name).is_ok_and(|p| !p.spec.writable && !p.spec.is_reference());
    is_fixed && !name.ends_with(".ManagementServer.ParameterKey")
}

/// A record of the journal: the changes, where there are any, and the state, which is encoded already.
fn record(changes: &[Change], state: Option<&str>) -> String {
    let list = (!changes.is_empty()).then(|| changes.iter().map(Change::to_json).collect::<Json>());
    // Writing to a String cannot fail.
    let mut text = String::from("{");
    if let Some(list) = &list {
        let _ = write!(text, "\"tree\":{list}");
    }
    if let Some(state) = state {
        let comma = if list.is_some() { "," } else { "" };
        let _ = write!(text, "{comma}\"state\":{state}");
    }
    text.push('}');
    text
}
