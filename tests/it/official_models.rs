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

use crate::support::skip::skip;

const TR_181: (&str, &str) = ("tr-181.json", "tr-181-2-17-0-cwmp-full.xml");
const TR_098: (&str, &str) = ("tr-098.json", "tr-098-1-8-0-full.xml");

fn shipped(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data-model").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
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

fn compare((json, xml): (&str, &str)) {
    let Some(official) = official(xml) else {
        return;
    };
    let model = shipped(json);
    let check = Check::of(&model, &official);
    assert!(check.complaints.is_empty(), "{json}:\n{}", check.complaints.join("\n"));
    println!("{json}: {} parameters in factory state", check.parameters.len());
}

/// R103, R106, R329, R333, R334 and table Z1: forced Inform, notification, facets, the whole of ManagementServer.
#[test]
fn tr_181_is_as_official() {
    compare(TR_181);
}

/// R104, R107 and the same.
#[test]
fn tr_098_is_as_official() {
    compare(TR_098);
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
    foreign_names("", &model, &official, &mut found);
    assert!(found.is_empty(), "{overlay}: {found:#?}");
    // The comparison can fail, also in an instance and in a template.
    for pointer in ["/DeviceInfo", "/DeviceInfo/Processor/{i}", "/DeviceInfo/SupportedDataModel/1"] {
        let (root, _) = model.as_object().and_then(|top| top.iter().next()).expect("a root object");
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
    names_are_official("linux.json", TR_181.1);
}

#[test]
fn linux_098_has_official_names_alone() {
    names_are_official("linux-098.json", TR_098.1);
}

/// Each of these mistakes, made in the shipped model, is found: the comparison above can fail.
#[test]
fn every_kind_of_mistake_is_found() {
    let Some(official) = official(TR_181.1) else {
        return;
    };
    let model = shipped(TR_181.0);
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
