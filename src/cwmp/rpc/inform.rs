//! Inform (TR-069 A6 §A.3.3.1): the request of the CPE that starts each session.

use std::collections::BTreeSet;

use crate::cwmp::device::Device;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::soap::{ArrayWriter, EnvelopeHeader, EnvelopeWriter};
use crate::cwmp::version::{self, Version};
use crate::log;
use crate::model::attributes::Notification;
use crate::model::date_time::DateTime;
use crate::model::path::{Path, PathError};
use crate::model::tree::{NameForm, Parameter, Wanted};

/// The arguments of an Inform that do not come from the data model.
pub(crate) struct Inform<'a> {
    /// The events of the session (R94).
    pub(crate) events: &'a [Event],
    /// The local time, or the time since boot while the date is unknown (R97).
    pub(crate) current_time: DateTime,
    /// The CWMP versions that the CPE offers. The newest is the version of the message.
    pub(crate) offered: &'a [Version],
    /// The value of the header `cwmp:ID`.
    pub(crate) id: &'a str,
}

impl Inform<'_> {
    /// Returns the whole message.
    pub(crate) fn encode(&self, device: &Device) -> Vec<u8> {
        let header = EnvelopeHeader { id: Some(self.id), supported_versions: self.offered, session_timeout: None };
        let mut message = EnvelopeWriter::new(version::newest(self.offered), &header, "Inform");
        let identity = device.identity();
        message.element("DeviceId", |id| {
            id.text("Manufacturer", &identity.manufacturer);
            id.text("OUI", &identity.oui);
            id.text("ProductClass", &identity.product_class);
            id.text("SerialNumber", &identity.serial_number);
        });
        message.array("Event", "cwmp:EventStruct", |list| {
            for event in self.events {
                list.element(|entry| {
                    entry.text("EventCode", event.code.as_str());
                    entry.text("CommandKey", &event.command_key); // sent even if empty, which the ACS acsrs requires (R95)
                });
            }
        });
        message.text("MaxEnvelopes", 1); // R96
        message.text("CurrentTime", self.current_time);
        message.text("RetryCount", device.state().retry_count); // R98, R131
        let form = NameForm::new(device.tree(), device.names_by_alias());
        let parameters = Parameters { device, events: self.events, written: BTreeSet::new(), form };
        message.array("ParameterList", "cwmp:ParameterValueStruct", |list| parameters.write(list));
        message.finish()
    }
}

/// Returns the parameters that the ACS watches and whose values are read from the device, the numbers of instances of tables
/// included (R208).
pub fn watched(device: &Device) -> Vec<String> {
    let tree = device.tree();
    let mut names = Vec::new();
    tree.visit_notifying(&mut |parameter| {
        if parameter.attributes().notification != Notification::Off {
            names.push(parameter.name.to_owned());
        }
    });
    names
}

/// Returns the values that an Inform may carry, of those that are read from the device: the values in every Inform, those that
/// the ACS watches or has requested, and the identity.
pub fn wanted(device: &Device) -> Wanted {
    let mut names = watched(device);
    names.extend(device.identity_names());
    // One of them without a source is asked of no device.
    device.tree().visit_inform(&mut |parameter| names.push(parameter.name.to_owned()));
    for requested in InformParameter::all(device) {
        // Of a pattern with wildcards or aliases, everything below the first table.
        names.extend(requested.pattern.split(['*', '[']).next().map(str::to_owned));
    }
    Wanted::values(names)
}

/// The writer of the ParameterList, which holds each parameter once, even with several reasons for it (R100).
struct Parameters<'a> {
    device: &'a Device,
    events: &'a [Event],
    written: BTreeSet<String>,
    /// The form of the names, which InstanceMode decides (R319).
    form: NameForm<'a>,
}

impl Parameters<'_> {
    fn write(mut self, list: &mut ArrayWriter<'_>) {
        let default_connection = default_wan_connection(self.device);
        self.device.tree().visit_inform(&mut |parameter| {
            if is_of_default_connection(parameter.name, default_connection.as_deref()) {
                self.once(parameter, list);
            }
        });
        if self.has_event(&EventCode::Heartbeat) {
            return; // only the forced parameters: a heartbeat reports no changes (R303)
        }
        for name in &self.device.state().changed {
            // A parameter that was deleted with its object has no value to send (R207).
            if let Ok(parameter) = self.device.tree().parameter(name) {
                self.once(&parameter, list);
            }
        }
        // With 4 VALUE CHANGE the list must hold changed and forced parameters only, so that the ACS can tell which values
        // have changed (R102).
        if !self.has_event(&EventCode::ValueChange) {
            self.write_requested(list);
        }
    }

    /// Writes the parameters that the ACS has requested for these events in InformParameter (R108). Patterns beyond the
    /// bound on the work of one message are left out: without an Inform, the ACS could not correct them.
    fn write_requested(&mut self, list: &mut ArrayWriter<'_>) {
        for requested in InformParameter::all(self.device) {
            if requested.is_sent_with(self.events) {
                let tree = self.device.tree();
                let visited = tree.visit_pattern(&requested.pattern, &mut |parameter| {
                    if super::has_room(list) {
                        self.once(parameter, list);
                    }
                });
                match visited {
                    Ok(()) => {}
                    Err(PathError::Stopping) => return,
                    Err(error) => {
                        log::warn!("InformParameter: {}: {error}; the rest is left out", requested.pattern);
                        return;
                    }
                }
            }
        }
    }

    fn has_event(&self, code: &EventCode) -> bool {
        self.events.iter().any(|event| event.code == *code)
    }

    fn once(&mut self, parameter: &Parameter<'_>, list: &mut ArrayWriter<'_>) {
        if self.written.insert(parameter.name.to_owned()) {
            super::write_value(parameter, &mut self.form, list);
        }
    }
}

/// An enabled entry of the table ManagementServer.InformParameter.
struct InformParameter {
    /// A full parameter name, with `*` for any instance and `[alias]` for one.
    pattern: String,
    /// The event codes with which the parameter is sent, separated by commas; empty for all events.
    events: String,
}

impl InformParameter {
    fn all(device: &Device) -> Vec<InformParameter> {
        let table = device.inform_parameter_table();
        let Ok(path) = Path::parse(&table) else { return Vec::new() };
        let mut entries = Vec::new();
        // The error is ignored: a model without the table has no entries.
        let _ = device.tree().visit_names(&path, true, &mut |entry, _| {
            let text = |name: &str| device.tree().get(&format!("{entry}{name}")).map(|value| value.to_string());
            if let (Some("true"), Some(pattern)) = (text("Enable").as_deref(), text("ParameterName")) {
                entries.push(InformParameter { pattern, events: text("EventList").unwrap_or_default() });
            }
        });
        entries
    }

    fn is_sent_with(&self, events: &[Event]) -> bool {
        let mut codes = self.events.split(',').map(str::trim).filter(|code| !code.is_empty()).peekable();
        codes.peek().is_none() || codes.any(|code| events.iter().any(|event| event.code.as_str() == code))
    }
}

/// Returns the path of the default WAN connection of a TR-098 device. Of the addresses of all WAN connections, Inform
/// carries only the one of this connection (R104).
fn default_wan_connection(device: &Device) -> Option<String> {
    let path = device.tree().get(&device.default_wan_connection_name())?.to_string();
    // The value may end with a dot or without one. With exactly one dot, WANIPConnection.1 does not match
    // WANIPConnection.10.
    let path = path.trim_end_matches('.');
    if path.is_empty() { None } else { Some(format!("{path}.")) }
}

fn is_of_default_connection(name: &str, default: Option<&str>) -> bool {
    match default {
        Some(default) if name.ends_with(".ExternalIPAddress") => name.starts_with(default),
        _ => true,
    }
}
