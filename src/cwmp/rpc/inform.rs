//! Inform (TR-069 A6 §A.3.3.1), the CPE's own call with which every session starts.

use std::collections::BTreeSet;

use crate::cwmp::device::Device;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::soap::{ArrayWriter, EnvelopeHeader, EnvelopeWriter};
use crate::cwmp::version::{self, Version};
use crate::model::date_time::DateTime;
use crate::model::path::Path;
use crate::model::tree::Parameter;

/// What an Inform says beside the values of the data model.
pub(crate) struct Inform<'a> {
    /// The causes of the session (R94).
    pub(crate) events: &'a [Event],
    /// R97: in the local time zone, or the time since boot where the date is not known.
    pub(crate) current_time: DateTime,
    /// The versions that the CPE offers; the newest is the one it is written in.
    pub(crate) offered: &'a [Version],
    /// For `cwmp:ID`.
    pub(crate) id: &'a str,
}

impl Inform<'_> {
    /// The whole message.
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
                    entry.text("CommandKey", &event.command_key); // R95; acsrs needs it even where it is empty
                });
            }
        });
        message.text("MaxEnvelopes", 1); // R96
        message.text("CurrentTime", self.current_time);
        message.text("RetryCount", device.state().retry_count); // R98, R131
        let parameters = Parameters { device, events: self.events, told: BTreeSet::new() };
        message.array("ParameterList", "cwmp:ParameterValueStruct", |list| parameters.write(list));
        message.finish()
    }
}

/// The ParameterList: each parameter once, whatever the reasons that bring it in.
struct Parameters<'a> {
    device: &'a Device,
    events: &'a [Event],
    told: BTreeSet<String>,
}

impl Parameters<'_> {
    fn write(mut self, list: &mut ArrayWriter<'_>) {
        let default_connection = default_wan_connection(self.device);
        self.device.tree().visit_inform(&mut |parameter| {
            if is_of_default_connection(parameter.name, default_connection.as_deref()) {
                self.once(parameter, list);
            }
        });
        if self.tells(&EventCode::Heartbeat) {
            return; // R303
        }
        for name in &self.device.state().changed {
            // A parameter that went with its object is not told (R207).
            if let Ok(parameter) = self.device.tree().parameter(name) {
                self.once(&parameter, list);
            }
        }
        if !self.tells(&EventCode::ValueChange) {
            self.write_asked_for(list); // R102
        }
    }

    /// R108: what the ACS wants to see with these events.
    fn write_asked_for(&mut self, list: &mut ArrayWriter<'_>) {
        for wanted in InformParameter::all(self.device) {
            if wanted.is_wanted_with(self.events) {
                let tree = self.device.tree();
                tree.visit_pattern(&wanted.pattern, &mut |parameter| self.once(parameter, list));
            }
        }
    }

    fn tells(&self, code: &EventCode) -> bool {
        self.events.iter().any(|event| event.code == *code)
    }

    fn once(&mut self, parameter: &Parameter<'_>, list: &mut ArrayWriter<'_>) {
        if self.told.insert(parameter.name.to_owned()) {
            write_parameter(parameter, list);
        }
    }
}

/// An entry of the table ManagementServer.InformParameter that is enabled.
struct InformParameter {
    /// A full name, with `*` for any instance number.
    pattern: String,
    /// Comma-separated; empty for any event.
    events: String,
}

impl InformParameter {
    fn all(device: &Device) -> Vec<InformParameter> {
        let table = device.inform_parameter_table();
        let Ok(path) = Path::parse(&table) else { return Vec::new() };
        let mut entries = Vec::new();
        // A model without the table has no entries.
        let _ = device.tree().visit_names(&path, true, &mut |entry, _| {
            let text = |name: &str| device.tree().get(&format!("{entry}{name}")).map(|value| value.to_string());
            if let (Some("true"), Some(pattern)) = (text("Enable").as_deref(), text("ParameterName")) {
                entries.push(InformParameter { pattern, events: text("EventList").unwrap_or_default() });
            }
        });
        entries
    }

    fn is_wanted_with(&self, events: &[Event]) -> bool {
        let mut codes = self.events.split(',').map(str::trim).filter(|code| !code.is_empty()).peekable();
        codes.peek().is_none() || codes.any(|code| events.iter().any(|event| event.code.as_str() == code))
    }
}

fn write_parameter(parameter: &Parameter<'_>, list: &mut ArrayWriter<'_>) {
    let kind = parameter.wire_type().name();
    parameter.with_value(|value| list.parameter_value(parameter.name, kind, value));
}

/// R104: of all WAN connections of a TR-098 device, the address of the default one is told.
fn default_wan_connection(device: &Device) -> Option<String> {
    let path = device.tree().get(&device.default_wan_connection_name())?.to_string();
    let path = path.trim_end_matches('.');
    if path.is_empty() { None } else { Some(format!("{path}.")) }
}

fn is_of_default_connection(name: &str, default: Option<&str>) -> bool {
    match default {
        Some(default) if name.ends_with(".ExternalIPAddress") => name.starts_with(default),
        _ => true,
    }
}
