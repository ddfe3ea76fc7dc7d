//! Notification of changed values: those that other entities than the ACS have set, those that the agent publishes, and
//! those that a new firmware brings.
//!
//! ```text
//! changed by another entity ─▶ note_value_changes ──────┐
//! published by the agent ────▶ set_runtime_value ───────┼▶ state.changed, 4 VALUE CHANGE ──▶ Inform
//! other factory value ───────▶ note_firmware_changes ───┴▶ state.lightweight ──▶ a datagram (R307)
//!        └─ compared with state.reported, digests of the values that the ACS was last able to read
//! ```

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::management_server::{PUBLISHED, gateway_names, parameter, short_name};
use super::{Device, DeviceState, JournalError, PublishedAddress};
use crate::cwmp::event::EventCode;
use crate::foreign_text::Quoted;
use crate::log;
use crate::model::attributes::Notification;
use crate::model::change::Change;
use crate::model::path::Path;
use crate::model::tree::{Parameter, ParameterPlace, Tree};
use crate::model::value::Value;

impl Device {
    /// Returns the names of changed parameters with active notification that no Inform has carried yet. Each of them
    /// requires a session at once (R198).
    pub fn pending_notifications(&self) -> impl Iterator<Item = &str> {
        let is_active =
            |name: &&str| self.tree.parameter(name).is_ok_and(|p| p.attributes().notification == Notification::Active);
        // Once an Inform has carried the event, the retry of that session repeats it (R125); a second session for it
        // would ignore the wait between retries.
        let changed = self.state.events.is_new(&EventCode::ValueChange).then_some(&self.state.changed);
        changed.into_iter().flatten().map(String::as_str).filter(is_active)
    }

    /// Returns the full names and the current values of the parameters that the agent publishes.
    pub fn runtime_values(&self) -> Vec<(String, String)> {
        let names = PUBLISHED.iter().map(|parameter| self.management_server_name(parameter));
        let names = names.chain(gateway_names(&self.tree));
        names.filter_map(|name| self.tree.get(&name).map(|value| (name, value.to_string()))).collect()
    }

    /// Sets a parameter that the agent publishes, and notes a change if the ACS was able to read another value.
    ///
    /// The value is not stored, since the agent finds it anew after each start. A model without the parameter stays as
    /// it is.
    pub fn set_runtime_value(&mut self, name: &str, text: &str) {
        let Ok(parameter) = self.tree.parameter(name) else { return };
        let Ok(value) = parameter.spec.parse(text) else {
            log::warn!("{name}: the data model does not allow the value {}", Quoted(text));
            return;
        };
        self.set_provided(name, value, |_| true);
    }

    /// Gives a parameter of this name a value, as [`Device::set_provided_in`] does.
    pub(super) fn set_provided(&mut self, name: &str, value: Value, is_shown: fn(&Parameter<'_>) -> bool) {
        if let Ok(place) = self.tree.place(name) {
            self.set_provided_in(&place, name, value, is_shown);
        }
    }

    /// Gives a parameter a value that is not stored, and notes a change if the ACS was able to read another one: that of the
    /// last report, or else the present value if `is_shown` returns true. Without both, the parameter is as new as its instance.
    pub(super) fn set_provided_in(
        &mut self,
        place: &ParameterPlace,
        name: &str,
        value: Value,
        is_shown: fn(&Parameter<'_>) -> bool,
    ) {
        let Some(parameter) = self.tree.parameter_in(place, name) else { return };
        let is_watched = is_watched(&parameter);
        // Most are not watched, and a reading of the device brings hundreds.
        let differs = is_watched && {
            let sum = digest(&value);
            let shown = is_shown(&parameter).then(|| digest(&parameter.stored()));
            self.state.reported.insert(name.to_owned(), sum).or(shown).is_some_and(|known| known != sum)
        };
        // R101 counts the changes since the last Inform to the same ACS. With 0 BOOTSTRAP pending there was none, and
        // that Inform carries the value anyway.
        if differs && !self.state.events.contains(&EventCode::Bootstrap) {
            let (is_forced, notification) = (parameter.spec.inform, parameter.attributes().notification);
            self.state.note_change(name, is_forced, notification);
        }
        self.tree.set_runtime_value_in(place, value);
    }

    /// Publishes the address that receives UDP connection requests, and keeps it for the next start (R285).
    pub fn publish_udp_address(&mut self, published: PublishedAddress) {
        self.state.udp_address = published;
        self.republish_udp_address();
    }

    /// Publishes the last address that received UDP connection requests: the best guess until the STUN server answers.
    pub fn republish_udp_address(&mut self) {
        let PublishedAddress { address, nat_detected } = self.state.udp_address.clone();
        let literal = if nat_detected { "true" } else { "false" };
        for (parameter, text) in
            [(parameter::UDP_CONNECTION_REQUEST_ADDRESS, address.as_str()), (parameter::NAT_DETECTED, literal)]
        {
            self.set_runtime_value(&self.management_server_name(parameter), text);
        }
    }

    /// Compares the factory values with those that the ACS was last able to read, and notes the differences. A new
    /// firmware brings its own version, defaults and instances, and the ACS must learn of those that it watches (R99,
    /// R106).
    pub fn note_firmware_changes(&mut self) {
        let (mut watched, mut changed) = (BTreeMap::new(), Vec::new());
        let Ok(everything) = Path::parse("") else { return };
        // Cannot fail: the empty path names the root, which every model has.
        let _ = self.tree.visit_values(&everything, &mut |parameter| {
            let name = parameter.name;
            if !is_watched(parameter) || self.is_provided(name) {
                return;
            }
            let sum = digest(&parameter.factory());
            if self.state.reported.get(name).is_some_and(|reported| *reported != sum) {
                changed.push(name.to_owned());
            }
            // A value that was set hides the factory value, so that a firmware cannot change it.
            if !parameter.is_changed() {
                watched.insert(name.to_owned(), sum);
            }
        });
        for name in changed {
            let Ok(parameter) = self.tree.parameter(&name) else { continue };
            self.state.note_change(&name, parameter.spec.inform, parameter.attributes().notification);
        }
        // The agent publishes its values only later in the start, and asks the device later: their digests must last until
        // then.
        let provided = std::mem::take(&mut self.state.reported).into_iter().filter(|(name, _)| self.is_provided(name));
        watched.extend(provided);
        self.state.reported = watched;
    }

    /// Notes the changes of another entity that the ACS watches or that each Inform carries (R99, R101). Returns true
    /// if one of the parameters has active notification.
    pub(super) fn note_value_changes(&self, changes: &[Change], state: &mut DeviceState) -> bool {
        let mut active = false;
        let by_change =
            |change| self.tree.parameters_changed_by(change).into_iter().chain(self.address_chosen_by(change));
        for name in changes.iter().flat_map(by_change) {
            let Ok(parameter) = self.tree.parameter(&name) else { continue };
            let notification = parameter.attributes().notification;
            state.note_change(&name, parameter.spec.inform, notification);
            active |= notification == Notification::Active;
        }
        active
    }

    /// Returns the name of the parameter that holds the path of the default WAN connection of a TR-098 device.
    pub(in crate::cwmp) fn default_wan_connection_name(&self) -> String {
        format!("{}.Layer3Forwarding.DefaultConnectionService", self.tree.root_name())
    }

    /// Returns the address parameter of the WAN connection that the change makes the default one. The address of the
    /// device in Inform changes with it, though no parameter of the connection does (R107).
    fn address_chosen_by(&self, change: &Change) -> Option<String> {
        match change {
            Change::Set(name, Value::Text(path)) if *name == self.default_wan_connection_name() => {
                Some(format!("{}.ExternalIPAddress", path.trim_end_matches('.')))
            }
            _ => None,
        }
    }

    /// Drops the pending notifications of parameters that the changes delete (R207) or that the ACS no longer watches
    /// (R99).
    pub(super) fn drop_unwatched_changes(&self, changes: &[Change], state: &mut DeviceState) {
        for change in changes {
            match change {
                Change::Delete(instance) => {
                    state.drop_changes(|name| name.starts_with(instance.as_str()));
                    state.lightweight.retain(|name| !name.starts_with(instance.as_str()));
                    state.reported.retain(|name, _| !name.starts_with(instance.as_str()));
                }
                Change::Attributes(name, attributes) => {
                    let is_forced = || self.tree.parameter(name).is_ok_and(|parameter| parameter.spec.inform);
                    if !attributes.notification.is_in_inform() && !is_forced() {
                        state.drop_change(name);
                    }
                    if !attributes.notification.is_lightweight() {
                        state.lightweight.remove(name);
                    }
                }
                _ => {}
            }
        }
    }

    /// Records the factory values of parameters that the ACS begins to watch, so that a firmware with another value for
    /// one of them is noticed.
    pub(super) fn report_newly_watched(&self, changes: &[Change], state: &mut DeviceState) -> Result<(), JournalError> {
        for change in changes {
            self.check_stop()?;
            if let Change::Attributes(name, attributes) = change
                && attributes.notification != Notification::Off
                && let Ok(parameter) = self.tree.parameter(name)
                && !parameter.is_changed()
            {
                state.reported.insert(name.clone(), digest(&parameter.factory()));
            }
        }
        Ok(())
    }

    /// Forgets the factory values of parameters that the changes set: a set value outlasts each firmware.
    pub(super) fn forget_reported_values(changes: &[Change], state: &mut DeviceState) {
        for change in changes {
            if let Change::Set(name, _) = change {
                state.reported.remove(name);
            }
        }
    }

    /// Records stored values that the current model rejects as known to the ACS. The comparison with the factory values
    /// then reports the value that replaces them (R99).
    pub(super) fn note_dropped_values(tree: &Tree, state: &mut DeviceState, dropped: Vec<DroppedValue>) {
        for DroppedValue(name, sum) in dropped {
            // A later record may have set the parameter to a value that the model accepts.
            if tree.parameter(&name).is_ok_and(|parameter| !parameter.is_changed()) {
                state.reported.entry(name).or_insert(sum);
            }
        }
    }

    /// Returns true if the agent publishes this parameter, or reads it from the device.
    fn is_provided(&self, name: &str) -> bool {
        short_name(&self.tree, name).is_some_and(|parameter| PUBLISHED.contains(&parameter))
            || name.strip_prefix(self.tree.root_name()).is_some_and(|rest| rest.starts_with(".GatewayInfo."))
            || self.tree.schema().is_bound_parameter(name)
    }
}

/// A stored value that the current model rejects: the name of its parameter, and the digest of the value.
pub(super) struct DroppedValue(String, u32);

impl DroppedValue {
    /// Reads the value that a change of the journal would have set; `None` if the model no longer has the parameter.
    pub(super) fn of(change: &Json, tree: &Tree) -> Option<DroppedValue> {
        let text = |at: usize| change.get(at).and_then(Json::as_str);
        let (Some("="), Some(name), Some(value)) = (text(0), text(1), text(2)) else { return None };
        tree.parameter(name).is_ok().then(|| DroppedValue(name.to_owned(), digest_of(value)))
    }
}

/// Returns true if a change of a parameter is reported to the ACS (R99).
pub(super) fn is_watched(parameter: &Parameter<'_>) -> bool {
    parameter.spec.inform || parameter.attributes().notification != Notification::Off
}

pub(super) fn digest(value: &Value) -> u32 {
    digest_of(&value.to_string())
}

/// Returns a short digest of a value (FNV-1a). The state compares values and has no need of their text, which would
/// cost flash memory and might be a password.
fn digest_of(literal: &str) -> u32 {
    literal.bytes().fold(0x811C_9DC5, |sum: u32, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
