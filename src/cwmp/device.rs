//! The device as the protocol sees it: its data model, what it still has to tell, and the journal that keeps both.
//!
//! ```text
//! decide (model::transaction) ──▶ Device::commit ──▶ journal ──▶ tree and state ──▶ answer
//! ```
//!
//! Nothing is changed before it is written, and nothing is answered before it is changed, so that what was answered
//! survives a power cut (R164, R171).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value as Json};

use super::event::{Event, EventCode, EventQueue, Occasion};
use super::transfer::{Situation, Step, Transfer, TransferQueue, is_listed};
use super::version::Version;
use crate::clock::Now;
use crate::model::Loaded;
use crate::model::actions::Actions;
use crate::model::attributes::{Attributes, Notification};
use crate::model::path::Path;
use crate::model::transaction::Change;
use crate::model::tree::Tree;
use crate::model::value::Value;
use crate::schedule::InformQueue;

/// Where changes are kept: one record a change, durable when `append` returns.
pub trait Journal {
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

/// What the device has to remember beside its values (table H1, R98, R137).
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Who the device was when `0 BOOTSTRAP` was last raised.
    pub identity: Option<String>,
    /// The ACS URL for which `0 BOOTSTRAP` was last raised.
    pub acs_url: Option<String>,
    /// The boot id for which `1 BOOT` was last raised.
    pub boot_id: String,
    /// Events that no ACS has confirmed yet.
    pub events: EventQueue,
    /// Attempts to retry the session that failed.
    pub retry_count: u32,
    /// Names of parameters that somebody else than the ACS has changed and that are still to be told.
    pub changed: BTreeSet<String>,
    /// The path of ConnectionRequestURL, chosen at random once for this device (R255).
    pub request_path: String,
    /// The phase of periodic Informs that this device chose for itself (R151), in seconds.
    pub phase: u32,
    /// What ScheduleInform has asked for (R155).
    pub informs: InformQueue,
    /// The files that are to be moved, or whose moving is to be told (R233).
    pub transfers: TransferQueue,
    /// A reboot was promised and is not done yet (R223).
    pub reboot: bool,
    /// The instant of ScheduleReboot that was obeyed (R156), in seconds since the Unix epoch.
    pub scheduled_reboot_done: Option<i64>,
    /// How far a factory reset has come (R226).
    pub reset: Reset,
    /// What the watched parameters of the factory state were when the ACS last heard of them: names and digests of the
    /// values. A new firmware brings other values than these.
    pub told: BTreeMap<String, u32>,
    /// UDPConnectionRequestAddress and NATDetected as they were last.
    pub udp_address: PublishedAddress,
    /// `ts` and `id` of the last UDP connection request since the device booted: copies of it are not accepted (R292).
    pub last_udp_request: Option<(u64, u64)>,
    /// How the journal has `informs`. Its seconds run on, so that they are written only when an entry comes or goes.
    informs_json: Json,
}

/// Where UDP connection requests are received (R285).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedAddress {
    /// UDPConnectionRequestAddress; empty where it is not known.
    pub address: String,
    /// NATDetected.
    pub nat_detected: bool,
}

/// Parameters of the ManagementServer object that the agent itself has the values of, see [`Device::provide`].
const PROVIDED: [&str; 3] = ["ConnectionRequestURL", "UDPConnectionRequestAddress", "NATDetected"];

/// How far a factory reset has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// There is none to do.
    #[default]
    None,
    /// It was promised to the ACS.
    Promised,
    /// The journal is forgotten, and the command of the device is about to run, or runs.
    Begun,
    /// The device has rebooted since the command began: that is how some of them end.
    Done,
}

impl Reset {
    const NAMES: [(Reset, &str); 3] = [(Reset::Promised, "promised"), (Reset::Begun, "begun"), (Reset::Done, "done")];

    fn name(self) -> Option<&'static str> {
        Reset::NAMES.iter().find(|(reset, _)| *reset == self).map(|(_, name)| *name)
    }

    fn from_name(name: &str) -> Reset {
        Reset::NAMES.iter().find(|(_, known)| *known == name).map_or(Reset::None, |(reset, _)| *reset)
    }
}

/// The data model and the state, with the journal that keeps them.
pub struct Device {
    /// The data model as it is now.
    pub tree: Tree,
    /// What only the device can do.
    pub actions: Actions,
    state: State,
    journal: Box<dyn Journal>,
    /// The state as the journal has it.
    written: String,
    /// When the current step of the protocol takes place.
    now: Now,
}

impl Device {
    /// Brings the device from its factory state to what the records say. What no longer fits the model is left out and
    /// told in words.
    pub fn restore(loaded: Loaded, records: &[String], journal: Box<dyn Journal>, now: Now) -> (Device, Vec<String>) {
        let Loaded { mut tree, actions } = loaded;
        let mut state = State::default();
        let mut written = String::new();
        let mut notices = Vec::new();
        for record in records {
            let Ok(Json::Object(mut record)) = serde_json::from_str(record) else {
                notices.push("a record of the journal is no JSON object".into());
                continue;
            };
            for change in record.get("tree").and_then(Json::as_array).into_iter().flatten() {
                // Never the value: it may be a password.
                let change = Change::from_json(change, &tree)
                    .and_then(|c| tree.apply(&c).map_err(|error| format!("{}: {error}", c.name())));
                notices.extend(change.err().map(|reason| format!("left out of the stored values: {reason}")));
            }
            if let Some(stored) = record.remove("state") {
                state = State::from_json(&stored, now);
                written = stored.to_string();
            }
        }
        state.forget_changes(|name| tree.parameter(name).is_err());
        (Device { tree, actions, state, journal, written, now }, notices)
    }

    /// Lays what differs from the factory state over another one. What does not fit that is left out and told in words;
    /// values of the agent itself ([`Device::provide`]) are left out, too.
    pub fn replace_model(&mut self, loaded: Loaded) -> Vec<String> {
        let Loaded { mut tree, actions } = loaded;
        let mut notices = Vec::new();
        for change in self.tree.changes_from_factory() {
            // As the journal has it: decided anew, by the constraints of the new model.
            let change = Change::from_json(&change.to_json(), &tree)
                .and_then(|c| tree.apply(&c).map_err(|error| format!("{}: {error}", c.name())));
            notices.extend(change.err().map(|reason| format!("left out of the stored values: {reason}")));
        }
        (self.tree, self.actions) = (tree, actions);
        let tree = &self.tree;
        self.state.forget_changes(|name| tree.parameter(name).is_err());
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
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Changes what need not be durable at once. It becomes so with the next [`commit`](Device::commit) or
    /// [`save`](Device::save).
    pub fn state_mut(&mut self) -> &mut State {
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
        edit: impl FnOnce(&mut State),
    ) -> Result<bool, JournalError> {
        let changes: Vec<Change> = changes.into_iter().filter(|change| self.is_change(change, author)).collect();
        let mut state = self.state.clone();
        let active = author == Author::Other && self.note(&changes, &mut state);
        for change in &changes {
            match change {
                Change::Delete(instance) => state.forget_changes(|name| name.starts_with(instance.as_str())),
                Change::Attributes(name, attributes) if !self.is_watched(name, *attributes) => {
                    state.forget_changes(|changed| changed == name); // R99: nobody asks for it any more
                }
                _ => {}
            }
        }
        self.watch_acs_url(&changes, &mut state);
        self.watch_attributes(&changes, &mut state);
        edit(&mut state);
        if state.informs.is_unsaved() {
            state.informs_json = state.informs.to_json(self.now);
            state.informs.saved(self.now);
        }
        if state.transfers.is_unsaved() {
            state.transfers.save(self.now);
        }
        let encoded = state.to_json().to_string();
        if changes.is_empty() && encoded == self.written {
            self.state = state;
            return Ok(active);
        }
        let mut record = Map::new();
        if !changes.is_empty() {
            record.insert("tree".into(), changes.iter().map(Change::to_json).collect());
        }
        let mut text = Json::Object(record).to_string();
        if encoded != self.written {
            // The state is encoded already; it goes in as the last member.
            text.pop();
            text.push_str(if changes.is_empty() { "\"state\":" } else { ",\"state\":" });
            text.push_str(&encoded);
            text.push('}');
        }
        self.journal.append(&text)?;
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
        Ok(active)
    }

    /// Changes the transfers, and raises what is to be told of them; durable when this returns.
    pub fn change_transfers<R>(&mut self, edit: impl FnOnce(&mut TransferQueue) -> R) -> Result<R, JournalError> {
        let mut transfers = self.state.transfers.clone();
        let result = edit(&mut transfers);
        transfers.forget_autonomous(|transfer| self.tells_autonomous(transfer));
        self.commit(Vec::new(), Author::Other, |state| {
            state.transfers = transfers;
            state.raise_reports();
        })?;
        Ok(result)
    }

    /// The agent has started: transfers that were on are judged by what can be seen of them. Nothing is written yet.
    pub fn resume_transfers(&mut self, rebooted: bool) {
        let version = self.software_version();
        let mut transfers = std::mem::take(&mut self.state.transfers);
        let situation = Situation { actions: &self.actions, version: &version, may_restart: false, is_free: true };
        transfers.restarted(rebooted, self.now, situation);
        transfers.forget_autonomous(|transfer| self.tells_autonomous(transfer));
        if transfers.is_unsaved() {
            transfers.save(self.now);
        }
        self.state.transfers = transfers;
        self.state.raise_reports();
    }

    /// What is to be done next about the transfers; it is in the journal when this returns.
    pub fn next_transfer_step(&mut self, may_restart: bool, is_free: bool) -> Result<Option<Step>, JournalError> {
        let (version, now) = (self.software_version(), self.now);
        let mut transfers = self.state.transfers.clone();
        let situation = Situation { actions: &self.actions, version: &version, may_restart, is_free };
        let step = transfers.poll(now, situation);
        self.change_transfers(|current| *current = transfers)?;
        Ok(step)
    }

    /// The version of the firmware that runs, as the model has it.
    pub fn software_version(&self) -> String {
        let name = format!("{}.DeviceInfo.SoftwareVersion", self.tree.root_name());
        self.tree.get(&name).map(|value| value.to_string()).unwrap_or_default()
    }

    /// R247: whether AutonomousTransferCompletePolicy lets the ACS hear of this transfer.
    fn tells_autonomous(&self, transfer: &Transfer) -> bool {
        let policy = |name: &str| self.management_server_text(&format!("AutonomousTransferCompletePolicy.{name}"));
        let is_download = transfer.order().origin.is_download();
        let has_failed = transfer.report().is_some_and(|report| report.failure.is_some());
        let lets = |filter: &str, kind: &str| policy(filter) == "Both" || policy(filter) == kind;
        policy("Enable") == "true"
            && lets("TransferTypeFilter", if is_download { "Download" } else { "Upload" })
            && lets("ResultTypeFilter", if has_failed { "Failure" } else { "Success" })
            && is_listed(&transfer.order().file_type, is_download, &policy("FileTypeFilter"))
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
    pub fn promise_of_reset(&self) -> String {
        let state = State { boot_id: self.state.boot_id.clone(), reset: Reset::Begun, ..State::default() };
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

    /// Whether changes of a parameter with these attributes are told (R99).
    fn is_watched(&self, name: &str, attributes: Attributes) -> bool {
        attributes.notification != Notification::Off || self.tree.parameter(name).is_ok_and(|p| p.spec.inform)
    }

    /// R99, R101: what the ACS is to hear of. Gives whether it is to hear of it at once.
    fn note(&self, changes: &[Change], state: &mut State) -> bool {
        let mut active = false;
        let by_change =
            |change| self.tree.parameters_changed_by(change).into_iter().chain(self.address_chosen_by(change));
        for name in changes.iter().flat_map(by_change) {
            let Ok(parameter) = self.tree.parameter(&name) else { continue };
            let notification = parameter.attributes().notification;
            if parameter.spec.inform || notification != Notification::Off {
                state.changed.insert(name.clone());
                state.events.raise(Event::new(EventCode::ValueChange));
            }
            active |= notification == Notification::Active;
        }
        active
    }

    /// R107: the address of a TR-098 device changes with its default WAN connection, too.
    fn address_chosen_by(&self, change: &Change) -> Option<String> {
        match change {
            Change::Set(name, Value::Text(path)) if *name == self.default_wan_connection_name() => {
                Some(format!("{}.ExternalIPAddress", path.trim_end_matches('.')))
            }
            _ => None,
        }
    }

    /// The names of changed parameters that no Inform has told yet and that are to be told at once: their notification
    /// is active (R198).
    pub fn news(&self) -> impl Iterator<Item = &str> {
        let is_active =
            |name: &&str| self.tree.parameter(name).is_ok_and(|p| p.attributes().notification == Notification::Active);
        let changed = self.state.events.is_new(&EventCode::ValueChange).then_some(&self.state.changed);
        changed.into_iter().flatten().map(String::as_str).filter(is_active)
    }

    /// A parameter of the factory state that the ACS begins to watch: from now on a firmware that brings another value
    /// for it is noticed.
    fn watch_attributes(&self, changes: &[Change], state: &mut State) {
        for change in changes {
            if let Change::Attributes(name, attributes) = change
                && attributes.notification != Notification::Off
                && let Ok(parameter) = self.tree.parameter(name)
                && !parameter.is_changed()
            {
                state.told.insert(name.clone(), digest(&parameter.stored()));
            }
        }
    }

    /// Compares what the ACS was told of the factory state with what that is now: a new firmware has its own versions
    /// and defaults, and the ACS is to hear of those that it watches (R99, R106).
    pub fn note_firmware_changes(&mut self) {
        let mut watched = BTreeMap::new();
        let Ok(everything) = Path::parse("") else { return };
        // The empty path is always there.
        let _ = self.tree.visit_values(&everything, &mut |parameter| {
            let notification = parameter.attributes().notification;
            let is_watched = parameter.spec.inform || notification != Notification::Off;
            let is_factory = !parameter.is_changed() && !parameter.spec.is_count() && !self.is_provided(parameter.name);
            if is_watched && is_factory {
                watched.insert(parameter.name.to_owned(), digest(&parameter.stored()));
            }
        });
        for (name, sum) in &watched {
            if self.state.told.get(name).is_some_and(|told| told != sum) {
                self.state.changed.insert(name.clone());
                self.state.events.raise(Event::new(EventCode::ValueChange));
            }
        }
        let provided = std::mem::take(&mut self.state.told).into_iter().filter(|(name, _)| self.is_provided(name));
        watched.extend(provided);
        self.state.told = watched;
    }

    /// Whether the agent itself has the value of this parameter, see [`Device::provide`].
    fn is_provided(&self, name: &str) -> bool {
        let parameter =
            name.strip_prefix(self.tree.root_name()).and_then(|name| name.strip_prefix(".ManagementServer."));
        parameter.is_some_and(|parameter| PROVIDED.contains(&parameter))
    }

    /// The parameters whose values the agent itself has, with what they are now.
    pub fn provided(&self) -> Vec<(String, String)> {
        let names = PROVIDED.iter().map(|parameter| self.management_server_name(parameter));
        names.filter_map(|name| self.tree.get(&name).map(|value| (name, value.to_string()))).collect()
    }

    /// Gives a parameter the value that the agent itself has for it, and notes where that is another than the ACS was
    /// told. A model without the parameter is left as it is.
    pub fn provide(&mut self, name: &str, text: &str) {
        let Ok(parameter) = self.tree.parameter(name) else { return };
        let Ok(value) = parameter.spec.parse(text) else {
            log::warn!("{name}: the data model does not allow its value {text:?}");
            return;
        };
        let is_watched = parameter.spec.inform || parameter.attributes().notification != Notification::Off;
        let (shown, sum) = (digest(&parameter.stored()), digest(&value));
        let differs = is_watched && self.state.told.insert(name.to_owned(), sum).unwrap_or(shown) != sum;
        // An ACS that is yet to meet the device was told nothing (R101).
        if differs && !self.state.events.contains(&EventCode::Bootstrap) {
            self.state.changed.insert(name.to_owned());
            self.state.events.raise(Event::new(EventCode::ValueChange));
        }
        // The parameter was just found.
        let _ = self.tree.provide(name, value);
    }

    /// Shows where UDP connection requests are received, and keeps it for the next start.
    pub fn publish_udp_address(&mut self, published: PublishedAddress) {
        self.state.udp_address = published;
        self.republish_udp_address();
    }

    /// Shows where UDP connection requests were received last.
    pub fn republish_udp_address(&mut self) {
        let PublishedAddress { address, nat_detected } = self.state.udp_address.clone();
        let literal = if nat_detected { "true" } else { "false" };
        for (name, text) in [("UDPConnectionRequestAddress", address.as_str()), ("NATDetected", literal)] {
            self.provide(&self.management_server_name(name), text);
        }
    }

    fn watch_acs_url(&self, changes: &[Change], state: &mut State) {
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

/// A short digest of a value (FNV-1a), to tell one from another without keeping either.
fn digest(value: &Value) -> u32 {
    value.to_string().bytes().fold(0x811C_9DC5, |sum: u32, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl State {
    /// Raises `0 BOOTSTRAP` for this ACS; all other undelivered events are discarded, and with `4 VALUE CHANGE` its
    /// list of parameters (R139).
    pub fn bootstrap(&mut self, acs_url: String) {
        self.acs_url = Some(acs_url);
        self.changed.clear();
        self.transfers.forget_reports();
        self.events.raise(Event::new(EventCode::Bootstrap));
    }

    /// Raises what tells of finished transfers and of wishes, where it is not raised yet: `7 TRANSFER COMPLETE` with an
    /// `M` event for each (R240), `10 AUTONOMOUS TRANSFER COMPLETE` (R247), `9 REQUEST DOWNLOAD` (R248).
    pub fn raise_reports(&mut self) {
        let mut pending: Vec<Event> = self.events.pending().cloned().collect();
        let mut raise = |event: Event, events: &mut EventQueue| match pending.iter().position(|known| *known == event) {
            Some(at) => drop(pending.swap_remove(at)),
            None => events.raise(event),
        };
        let of_methods: Vec<Event> = self.transfers.finished().filter_map(Transfer::method_event).collect();
        let is_autonomous = |transfer: &Transfer| transfer.order().origin.is_autonomous();
        if !self.transfers.finished().any(is_autonomous) {
            // A report that has given way, or that the policy no longer lets through: nothing would ever confirm it.
            self.events.discard(&EventCode::AutonomousTransferComplete);
        }
        for (code, is_due) in [
            (EventCode::TransferComplete, !of_methods.is_empty()),
            (EventCode::AutonomousTransferComplete, self.transfers.finished().any(is_autonomous)),
            (EventCode::RequestDownload, !self.transfers.wishes().is_empty()),
        ] {
            if is_due {
                raise(Event::new(code), &mut self.events);
            }
        }
        of_methods.into_iter().for_each(|event| raise(event, &mut self.events));
    }

    /// A session that is held now, with an ACS of that version.
    pub fn occasion(&self, version: Version) -> Occasion {
        Occasion { version, retrying: self.retry_count > 0, rebooting: self.reboot }
    }

    /// Forgets changes of parameters that are no longer there, and with the last of them `4 VALUE CHANGE`, which is not
    /// told without a parameter (R101, R207).
    fn forget_changes(&mut self, is_gone: impl Fn(&str) -> bool) {
        let before = self.changed.len();
        self.changed.retain(|name| !is_gone(name));
        if self.changed.len() < before && self.changed.is_empty() {
            self.events.discard(&EventCode::ValueChange);
        }
    }

    /// InformResponse has come: the ACS knows what Inform told (R92, R134).
    pub(super) fn inform_delivered(&mut self) {
        if !self.events.announced().any(|event| event.code == EventCode::Heartbeat) {
            self.changed.clear(); // R303: a heartbeat tells no changes
        }
        self.events.inform_confirmed();
    }

    fn to_json(&self) -> Json {
        serde_json::json!({
            "identity": self.identity,
            "acsUrl": self.acs_url,
            "bootId": self.boot_id,
            "events": self.events.to_json(),
            "retryCount": self.retry_count,
            "changed": self.changed,
            "requestPath": self.request_path,
            "phase": self.phase,
            "informs": self.informs_json,
            "transfers": self.transfers.json(),
            "reboot": self.reboot,
            "scheduledRebootDone": self.scheduled_reboot_done,
            "factoryReset": self.reset.name(),
            "told": self.told,
            "udpAddress": self.udp_address.address,
            "natDetected": self.udp_address.nat_detected,
            "lastUdpRequest": self.last_udp_request,
        })
    }

    /// Reads what it can; a member that is missing or wrong is as from the factory.
    fn from_json(json: &Json, now: Now) -> State {
        let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
        let number =
            |name: &str| json.get(name).and_then(Json::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let flag = |name: &str| json.get(name).and_then(Json::as_bool).unwrap_or(false);
        let changed = json.get("changed").and_then(Json::as_array);
        let told = json.get("told").and_then(Json::as_object).into_iter().flatten();
        let informs_json = json.get("informs").cloned().unwrap_or_default();
        let last_udp_request = json.get("lastUdpRequest").and_then(Json::as_array).map(Vec::as_slice);
        State {
            identity: text("identity"),
            acs_url: text("acsUrl"),
            boot_id: text("bootId").unwrap_or_default(),
            events: json.get("events").map(EventQueue::from_json).unwrap_or_default(),
            retry_count: number("retryCount"),
            changed: changed.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect(),
            request_path: text("requestPath").unwrap_or_default(),
            phase: number("phase"),
            informs: InformQueue::from_json(&informs_json, now),
            transfers: TransferQueue::restore(json.get("transfers").cloned().unwrap_or_default(), now),
            reboot: flag("reboot"),
            scheduled_reboot_done: json.get("scheduledRebootDone").and_then(Json::as_i64),
            reset: text("factoryReset").map_or(Reset::None, |name| Reset::from_name(&name)),
            told: told.filter_map(|(name, sum)| Some((name.clone(), sum.as_u64()?.try_into().ok()?))).collect(),
            udp_address: PublishedAddress {
                address: text("udpAddress").unwrap_or_default(),
                nat_detected: flag("natDetected"),
            },
            last_udp_request: match last_udp_request {
                Some([timestamp, id]) => timestamp.as_u64().zip(id.as_u64()),
                _ => None,
            },
            informs_json,
        }
    }
}

/// The parameters by which the protocol itself is driven.
impl Device {
    /// The full name of a parameter of the ManagementServer object.
    pub fn management_server_name(&self, parameter: &str) -> String {
        format!("{}.ManagementServer.{parameter}", self.tree.root_name())
    }

    /// The parameter of a TR-098 device that holds the path of its default WAN connection.
    pub(super) fn default_wan_connection_name(&self) -> String {
        format!("{}.Layer3Forwarding.DefaultConnectionService", self.tree.root_name())
    }

    /// A parameter of the ManagementServer object, hidden ones too.
    pub fn management_server(&self, parameter: &str) -> Option<Value> {
        self.tree.get(&self.management_server_name(parameter))
    }

    /// A text of the ManagementServer object; empty where the model has no such parameter.
    pub fn management_server_text(&self, parameter: &str) -> String {
        self.management_server(parameter).map(|value| value.to_string()).unwrap_or_default()
    }

    /// A number of the ManagementServer object, where the model has it.
    pub fn management_server_number(&self, parameter: &str) -> Option<i64> {
        self.management_server(parameter)?.as_number().and_then(|n| n.try_into().ok())
    }

    /// Whether a flag of the ManagementServer object is set; `absent` where the model has no such parameter.
    pub fn management_server_flag(&self, parameter: &str, absent: bool) -> bool {
        self.management_server(parameter).map_or(absent, |value| value == Value::Boolean(true))
    }

    /// Who the device is, as Inform tells (R93).
    pub fn identity(&self) -> DeviceId {
        let text = |name: &str| {
            let name = format!("{}.DeviceInfo.{name}", self.tree.root_name());
            self.tree.get(&name).map(|value| value.to_string()).unwrap_or_default()
        };
        DeviceId {
            manufacturer: text("Manufacturer"),
            oui: text("ManufacturerOUI"),
            product_class: text("ProductClass"),
            serial_number: text("SerialNumber"),
        }
    }

    /// The user name towards the ACS: the configured one, or else that of R62.
    pub fn acs_username(&self) -> String {
        match self.management_server_text("Username") {
            configured if !configured.is_empty() => configured,
            _ => self.identity().username(),
        }
    }
}

/// Manufacturer, OUI, product class and serial number (TR-069 A6 Table 39).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceId {
    /// For display only.
    pub manufacturer: String,
    /// Six hexadecimal digits.
    pub oui: String,
    /// May be empty.
    pub product_class: String,
    /// Unique within the OUI and product class.
    pub serial_number: String,
}

impl DeviceId {
    /// `OUI-ProductClass-SerialNumber`, escaped, or `OUI-SerialNumber` without product class (R62).
    pub fn username(&self) -> String {
        let mut name = self.oui.clone();
        for part in [&self.product_class, &self.serial_number] {
            if part.is_empty() {
                continue;
            }
            name.push('-');
            for byte in part.bytes() {
                match byte {
                    b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => name.push(byte.into()),
                    _ => name.push_str(&format!("%{byte:02X}")),
                }
            }
        }
        name
    }
}
