//! Inform (TR-069 A6 §A.3.3.1), the CPE's own call with which every session starts.

use std::collections::BTreeSet;

use crate::cwmp::device::Device;
use crate::cwmp::event::Event;
use crate::cwmp::soap::{Array, Header, Writer};
use crate::cwmp::version::{self, Version};
use crate::model::date_time::DateTime;
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
        let header = Header { id: Some(self.id), supported_versions: self.offered, session_timeout: None };
        let mut message = Writer::new(version::newest(self.offered), &header, "Inform");
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
        message.array("ParameterList", "cwmp:ParameterValueStruct", |list| write_parameters(device, list));
        message.finish()
    }
}

/// R99, R100: every parameter that goes into each Inform, and every one that somebody else changed; each once.
fn write_parameters(device: &Device, list: &mut Array<'_>) {
    let mut told = BTreeSet::new();
    let default_connection = default_wan_connection(device);
    device.tree.visit_inform(&mut |parameter| {
        let changed = device.state().changed.contains(parameter.name);
        if changed || is_of_default_connection(parameter.name, default_connection.as_deref()) {
            write_parameter(parameter, list);
            if changed {
                told.insert(parameter.name.to_owned());
            }
        }
    });
    for name in device.state().changed.difference(&told) {
        // A parameter that went with its object is not told (R207).
        if let Ok(parameter) = device.tree.parameter(name) {
            write_parameter(&parameter, list);
        }
    }
}

fn write_parameter(parameter: &Parameter<'_>, list: &mut Array<'_>) {
    let kind = parameter.wire_type().name();
    parameter.with_value(|value| list.parameter_value(parameter.name, kind, value));
}

/// R104: of all WAN connections of a TR-098 device, the address of the default one is told.
fn default_wan_connection(device: &Device) -> Option<String> {
    let name = format!("{}.Layer3Forwarding.DefaultConnectionService", device.tree.root_name());
    let path = device.tree.get(&name)?.to_string();
    let path = path.trim_end_matches('.');
    if path.is_empty() { None } else { Some(format!("{path}.")) }
}

fn is_of_default_connection(name: &str, default: Option<&str>) -> bool {
    match default {
        Some(default) if name.ends_with(".ExternalIPAddress") => name.starts_with(default),
        _ => true,
    }
}
