//! What the ACS is to hear of: changes that are not its own, and values that the agent itself has.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Device, DeviceState, PublishedAddress};
use crate::cwmp::event::{Event, EventCode};
use crate::model::attributes::{Attributes, Notification};
use crate::model::change::Change;
use crate::model::path::Path;
use crate::model::tree::Tree;
use crate::model::value::Value;

/// Parameters of the ManagementServer object that the agent itself has the values of, see [`Device::set_runtime_value`].
const RUNTIME_PARAMETERS: [&str; 3] = ["ConnectionRequestURL", "UDPConnectionRequestAddress", "NATDetected"];

impl Device {
    /// The names of changed parameters that no Inform has told yet and that are to be told at once: their notification
    /// is active (R198).
    pub fn pending_notifications(&self) -> impl Iterator<Item = &str> {
        let is_active =
            |name: &&str| self.tree.parameter(name).is_ok_and(|p| p.attributes().notification == Notification::Active);
        let changed = self.state.events.is_new(&EventCode::ValueChange).then_some(&self.state.changed);
        changed.into_iter().flatten().map(String::as_str).filter(is_active)
    }

    /// The parameters whose values the agent itself has, with what they are now.
    pub fn runtime_values(&self) -> Vec<(String, String)> {
        let names = RUNTIME_PARAMETERS.iter().map(|parameter| self.management_server_name(parameter));
        names.filter_map(|name| self.tree.get(&name).map(|value| (name, value.to_string()))).collect()
    }

    /// Gives a parameter the value that the agent itself has for it, and notes where that is another than the ACS was
    /// told. A model without the parameter is left as it is.
    pub fn set_runtime_value(&mut self, name: &str, text: &str) {
        let Ok(parameter) = self.tree.parameter(name) else { return };
        let Ok(value) = parameter.spec.parse(text) else {
            log::warn!("{name}: the data model does not allow its value {text:?}");
            return;
        };
        let is_watched = parameter.spec.inform || parameter.attributes().notification != Notification::Off;
        let (shown, sum) = (digest(&parameter.stored()), digest(&value));
        let differs = is_watched && self.state.reported.insert(name.to_owned(), sum).unwrap_or(shown) != sum;
        // An ACS that is yet to meet the device was told nothing (R101).
        if differs && !self.state.events.contains(&EventCode::Bootstrap) {
            self.state.changed.insert(name.to_owned());
            self.state.events.raise(Event::new(EventCode::ValueChange));
        }
        // The parameter was just found.
        let _ = self.tree.set_runtime_value(name, value);
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
            self.set_runtime_value(&self.management_server_name(name), text);
        }
    }

    /// Compares what the ACS was told of the factory state with what that is now: a new firmware has its own versions,
    /// defaults and instances, and the ACS is to hear of those that it watches (R99, R106).
    pub fn note_firmware_changes(&mut self) {
        let (mut watched, mut news) = (BTreeMap::new(), Vec::new());
        let Ok(everything) = Path::parse("") else { return };
        // The empty path is always there.
        let _ = self.tree.visit_values(&everything, &mut |parameter| {
            let name = parameter.name;
            if !self.is_watched(name, parameter.attributes()) || self.is_runtime_value(name) {
                return;
            }
            let sum = digest(&parameter.factory());
            if self.state.reported.get(name).is_some_and(|told| *told != sum) {
                news.push(name.to_owned());
            }
            if !parameter.is_changed() {
                watched.insert(name.to_owned(), sum);
            }
        });
        if !news.is_empty() {
            self.state.changed.extend(news);
            self.state.events.raise(Event::new(EventCode::ValueChange));
        }
        let provided =
            std::mem::take(&mut self.state.reported).into_iter().filter(|(name, _)| self.is_runtime_value(name));
        watched.extend(provided);
        self.state.reported = watched;
    }

    /// R99, R101: what the ACS is to hear of. Gives whether it is to hear of it at once.
    pub(super) fn note_value_changes(&self, changes: &[Change], state: &mut DeviceState) -> bool {
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

    /// Whether changes of a parameter with these attributes are told (R99).
    fn is_watched(&self, name: &str, attributes: Attributes) -> bool {
        attributes.notification != Notification::Off || self.tree.parameter(name).is_ok_and(|p| p.spec.inform)
    }

    /// The parameter of a TR-098 device that holds the path of its default WAN connection.
    pub(in crate::cwmp) fn default_wan_connection_name(&self) -> String {
        format!("{}.Layer3Forwarding.DefaultConnectionService", self.tree.root_name())
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

    /// What is deleted (R207), or watched by nobody any more (R99), is not to be told either.
    pub(super) fn drop_unwatched_changes(&self, changes: &[Change], state: &mut DeviceState) {
        for change in changes {
            match change {
                Change::Delete(instance) => state.drop_changes(|name| name.starts_with(instance.as_str())),
                Change::Attributes(name, attributes) if !self.is_watched(name, *attributes) => {
                    state.drop_changes(|changed| changed == name);
                }
                _ => {}
            }
        }
    }

    /// A parameter of the factory state that the ACS begins to watch: from now on a firmware that brings another value
    /// for it is noticed.
    pub(super) fn report_newly_watched(&self, changes: &[Change], state: &mut DeviceState) {
        for change in changes {
            if let Change::Attributes(name, attributes) = change
                && attributes.notification != Notification::Off
                && let Ok(parameter) = self.tree.parameter(name)
                && !parameter.is_changed()
            {
                state.reported.insert(name.clone(), digest(&parameter.factory()));
            }
        }
    }

    /// A value that somebody has set is no longer that of the factory state: no firmware brings another.
    pub(super) fn forget_reported_values(changes: &[Change], state: &mut DeviceState) {
        for change in changes {
            if let Change::Set(name, _) = change {
                state.reported.remove(name);
            }
        }
    }

    /// Values that were stored, and that the model of today does not allow: the ACS knows these, and is to hear of what
    /// is there instead (R99).
    pub(super) fn note_dropped_values(tree: &Tree, state: &mut DeviceState, lost: Vec<DroppedValue>) {
        for DroppedValue(name, sum) in lost {
            // A later one may have been allowed.
            if tree.parameter(&name).is_ok_and(|parameter| !parameter.is_changed()) {
                state.reported.entry(name).or_insert(sum);
            }
        }
    }

    /// Whether the agent itself has the value of this parameter, see [`Device::set_runtime_value`].
    fn is_runtime_value(&self, name: &str) -> bool {
        let parameter =
            name.strip_prefix(self.tree.root_name()).and_then(|name| name.strip_prefix(".ManagementServer."));
        parameter.is_some_and(|parameter| RUNTIME_PARAMETERS.contains(&parameter))
    }
}

/// The name of a parameter, and the digest of a value that was stored for it.
pub(super) struct DroppedValue(String, u32);

impl DroppedValue {
    /// The one that this change of the journal would have set, where the parameter is still there.
    pub(super) fn of(change: &Json, tree: &Tree) -> Option<DroppedValue> {
        let text = |at: usize| change.get(at).and_then(Json::as_str);
        let (Some("="), Some(name), Some(value)) = (text(0), text(1), text(2)) else { return None };
        tree.parameter(name).is_ok().then(|| DroppedValue(name.to_owned(), digest_of(value)))
    }
}

fn digest(value: &Value) -> u32 {
    digest_of(&value.to_string())
}

/// A short digest of a value (FNV-1a), to tell one from another without keeping either.
fn digest_of(literal: &str) -> u32 {
    literal.bytes().fold(0x811C_9DC5, |sum: u32, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
