//! The shipped data models against the official ones: every object, parameter and facet, by program.
//!
//! The official XML is not part of this repository. It is looked for in `$CPE_AGENT_BBF`, then in
//! `../shared/bbf` beside the repository; where it is absent the comparison says so and is skipped.

mod check;
mod factory;
mod mistakes;
mod value;
mod xml;

use std::path::{Path, PathBuf};

use self::check::Check;
use serde_json::Value;

use crate::gateway::{Model, TR_098, TR_181, model_file};
use crate::support::skip::skip;

/// The official models.
const XML_181: &str = "tr-181-2-17-0-cwmp-full.xml";
const XML_098: &str = "tr-098-1-8-0-full.xml";

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shipped(file: &str) -> Value {
    read(&model_file(file))
}

/// Lays an overlay without `null` over a model: a text replaces the value of a parameter.
fn lay(model: &mut Value, overlay: &Value) {
    let model = model.as_object_mut().expect("an object");
    for (name, above) in overlay.as_object().into_iter().flatten() {
        match (model.get_mut(name), above) {
            (Some(below @ Value::Object(_)), Value::Object(_)) => lay(below, above),
            (Some(Value::Object(parameter)), Value::String(_)) => drop(parameter.insert("value".into(), above.clone())),
            _ => drop(model.insert(name.clone(), above.clone())),
        }
    }
}

/// Returns the shipped model with the examples of the tests.
fn with_examples(model: &Model) -> Value {
    let [mut whole, examples] = model.files().map(|file| read(&file));
    lay(&mut whole, &examples);
    whole
}

fn official(file: &str) -> Option<xml::Model> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/bbf");
    let path = std::env::var_os("CPE_AGENT_BBF").map_or_else(beside, PathBuf::from).join(file);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(xml::read(&text)),
        Err(error) => {
            skip(format!("the official model {} cannot be read: {error}", path.display()));
            None
        }
    }
}

/// Compares the shipped model, and that of the tests.
fn compare(model: &Model, xml: &str) {
    let Some(official) = official(xml) else {
        return;
    };
    for (json, parameters) in [(shipped(model.file), 250), (with_examples(model), 650)] {
        let check = Check::of(&json, &official);
        assert!(check.complaints.is_empty(), "{}:\n{}", model.file, check.complaints.join("\n"));
        assert!(check.parameters.len() > parameters, "{} parameters in factory state", check.parameters.len());
    }
}

/// R103, R106, R329, R333, R334 and table Z1: forced Inform, notification, facets, the whole of ManagementServer.
#[test]
fn tr_181_is_as_official() {
    compare(&TR_181, XML_181);
}

/// R104, R107 and the same.
#[test]
fn tr_098_is_as_official() {
    compare(&TR_098, XML_098);
}

/// Collects the names of an overlay that the official model does not have. `path` is official, with `{i}` for instances.
fn foreign_names(path: &str, node: &Value, official: &xml::Model, found: &mut Vec<String>) {
    for (name, below) in node.as_object().into_iter().flatten() {
        let (object, table) = (format!("{path}{name}."), format!("{path}{name}.{{i}}."));
        if name == "{i}" || name.parse::<u32>().is_ok() {
            foreign_names(&format!("{path}{{i}}."), below, official, found);
        } else if official.contains_key(&object) {
            foreign_names(&object, below, official, found);
        } else if official.contains_key(&table) {
            foreign_names(&format!("{path}{name}."), below, official, found);
        } else if name.starts_with(|c: char| c.is_ascii_uppercase())
            && !official.get(path).is_some_and(|object| object.parameters.contains_key(name))
        {
            found.push(format!("{path}{name}"));
        }
    }
}

fn names_are_official(overlay: &str, xml: &str) {
    let Some(official) = official(xml) else {
        return;
    };
    let mut found = Vec::new();
    let mut model = shipped(overlay);
    // The members beside the root are no names of the model.
    model.as_object_mut().expect("an object").retain(|name, _| name.starts_with(|c: char| c.is_ascii_uppercase()));
    foreign_names("", &model, &official, &mut found);
    assert!(found.is_empty(), "{overlay}: {found:#?}");
    // The comparison can fail, also in an instance and in a template.
    let (root, _) = model.as_object().and_then(|top| top.iter().next()).expect("a root object");
    let root = root.clone();
    let mut pointers = ["/WiFi/Radio", "/WiFi/Radio/{i}", "/Firewall/Chain/1"];
    if overlay != "openwrt.json" {
        model[&root]["DeviceInfo"]["Processor"]["1"] = Value::Object(serde_json::Map::new());
        pointers = ["/DeviceInfo", "/DeviceInfo/Processor/{i}", "/DeviceInfo/Processor/1"];
    }
    for pointer in pointers {
        let pointer = format!("/{root}{pointer}");
        model
            .pointer_mut(&pointer)
            .and_then(Value::as_object_mut)
            .expect("an object")
            .insert("Foreign".into(), "".into());
    }
    foreign_names("", &model, &official, &mut found);
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn linux_has_official_names_alone() {
    names_are_official("linux.json", XML_181);
}

#[test]
fn openwrt_has_official_names_and_parameters() {
    names_are_official("openwrt.json", XML_181);
    let Some(official) = official(XML_181) else {
        return;
    };
    let (base, mut model) = (shipped(TR_181.file), shipped("openwrt.json"));
    // A text that scripts of the device read may be restricted further than officially.
    let is_stricter = |complaint: &String| {
        [": pattern is Some", ": max is Some"].iter().any(|facet| complaint.contains(facet))
            && complaint.ends_with("officially None")
    };
    let complaints = |model: &Value| {
        let mut complaints = Check::of_overlay(model, &[&base], &official).complaints;
        complaints.retain(|complaint| !is_stricter(complaint));
        complaints
    };
    assert!(complaints(&model).is_empty(), "{:#?}", complaints(&model));
    // The comparison can fail.
    for (member, value) in [("type", "int"), ("access", "readOnly")] {
        let parameter = model.pointer_mut("/Device/SSH/Server/{i}/Port").expect("a parameter");
        let kept = std::mem::replace(&mut parameter[member], value.into());
        assert_eq!(complaints(&model).len(), 1, "{:#?}", complaints(&model));
        model.pointer_mut("/Device/SSH/Server/{i}/Port").expect("a parameter")[member] = kept;
    }
}

#[test]
fn linux_098_has_official_names_alone() {
    names_are_official("linux-098.json", XML_098);
}

/// Collects the instances of the factory state, and the values outside of templates that look like an address.
fn instances_and_addresses(path: &str, node: &Value, found: &mut Vec<String>) {
    for (name, below) in node.as_object().into_iter().flatten() {
        let path = format!("{path}{name}");
        let text = below.as_str().or(below["value"].as_str()).unwrap_or_default();
        let is_address = text.parse::<std::net::IpAddr>().is_ok() || text.matches(':').count() == 5;
        if is_address || name.parse::<u32>().is_ok() {
            found.push(path.clone());
        }
        if name != "{i}" && below.get("type").is_none() {
            instances_and_addresses(&format!("{path}."), below, found);
        }
    }
}

/// The shipped models have no instance that only a device can tell, and no address.
#[test]
fn the_shipped_models_invent_nothing() {
    let found = |json: &Value| {
        let mut found = Vec::new();
        instances_and_addresses("", json, &mut found);
        found
    };
    let files = ["SupportedDataModel.1", "VendorConfigFile.1", "VendorLogFile.1"];
    let of = |root: &str, others: &[&str]| {
        let files = files.iter().map(|file| format!("DeviceInfo.{file}"));
        let all = files.chain(others.iter().map(|&other| other.to_owned()));
        all.map(|name| format!("{root}.{name}")).collect::<Vec<_>>()
    };
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(found(&shipped("tr-181.json"))), of("Device", &["Routing.Router.1"]));
    let wan = "WANDevice.1.WANConnectionDevice.1";
    let others = ["LANDevice.1", "WANDevice.1", wan, &format!("{wan}.WANIPConnection.1")];
    assert_eq!(sorted(found(&shipped("tr-098.json"))), of("InternetGatewayDevice", &others));
    // The search can fail.
    let found = found(&with_examples(&TR_181));
    for example in ["Device.Hosts.Host.1", "Device.Hosts.Host.1.IPAddress", "Device.Hosts.Host.1.PhysAddress"] {
        assert!(found.iter().any(|name| name == example), "{example} is not in {found:#?}");
    }
}

/// Each of these mistakes, made in the model of the tests, is found: the comparison above can fail.
#[test]
fn every_kind_of_mistake_is_found() {
    let Some(official) = official(XML_181) else {
        return;
    };
    let model = with_examples(&TR_181);
    for (pointer, replacement, expected) in mistakes::all() {
        let mut wrong = model.clone();
        let (parent, name) = pointer.rsplit_once('/').expect("a JSON pointer");
        let object = wrong.pointer_mut(parent).and_then(Value::as_object_mut);
        let object = object.unwrap_or_else(|| panic!("{parent} is no object of the model"));
        match replacement {
            Some(value) => object.insert(name.to_owned(), value),
            None => object.remove(name),
        };
        let complaints = Check::of(&wrong, &official).complaints;
        let found = complaints.iter().any(|complaint| complaint.contains(expected));
        assert!(found, "{pointer}: no complaint about {expected:?} in {complaints:#?}");
    }
}
