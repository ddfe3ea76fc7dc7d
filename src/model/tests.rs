//! Tests of the model as its callers use it: from data-model files to values, names and changes.

use super::actions::SigningKey;
use super::change::Change;
use super::facets::PatternCache;
use super::path::{Path, PathError};
use super::tree::{DeclaredType, SetError, Tree, Work};
use super::value::{Type, ValueError};
use super::{Loaded, ModelFile};
use crate::mistake::{Mistake, Mistakes};
use crate::secret::Secret;

mod addressing;
mod files;
mod finder;
mod mistakes;
mod needs;
mod rows;
mod sources;
mod ubus;
mod writing;
mod wrong_sources;

use files::layers;

const GATEWAY: &str = r#"{ "Device": {
    "DeviceInfo": {
      "ManufacturerOUI": { "type": "string", "maxLength": 6, "value": "00D09E" },
      "SoftwareVersion": { "type": "string", "value": "1.0.0", "inform": true, "notify": "forceEnabled" } },
    "ManagementServer": {
      "URL": { "type": "string", "access": "readWrite", "maxLength": 256, "value": "http://acs.example/" },
      "Password": { "type": "string", "access": "readWrite", "hidden": true, "value": "secret" },
      "PeriodicInformInterval": { "type": "unsignedInt", "access": "readWrite", "min": 1, "value": "3600" } },
    "Hosts": {
      "HostNumberOfEntries": { "type": "unsignedInt", "counts": "Host" },
      "Host": { "access": "readWrite", "maxEntries": 4,
        "{i}": { "Active": { "type": "boolean", "access": "readWrite", "value": "false" },
                 "Interface": { "type": "string", "access": "readWrite", "reference": "strong", "targets": ["Device.Hosts.Host."] },
                 "AddressNumberOfEntries": { "type": "unsignedInt", "counts": "Address" },
                 "Address": { "access": "readWrite", "{i}": { "IP": { "type": "string", "access": "readWrite" } } } },
        "1": { "Active": "true", "Address": { "1": { "IP": "192.168.1.2" } } },
        "7": { "Active": { "value": "false" } } } } } }"#;

/// Loads files on a device that has every path but those that begin with `/missing`.
fn load(files: &[ModelFile], factory_values: &[(String, Secret)]) -> Result<Loaded, Mistakes> {
    super::load(files, factory_values, &|path| !path.starts_with("/missing"))
}

fn file(text: &str) -> ModelFile {
    ModelFile { name: "model.json".into(), text: text.into() }
}

fn gateway() -> Tree {
    load(&[file(GATEWAY)], &[]).unwrap().tree
}

fn names(tree: &Tree, path: &str, next_level: bool) -> Vec<String> {
    let mut names = Vec::new();
    let path = Path::parse(path).unwrap();
    let visited = tree.visit_names(&path, next_level, &mut |name, writable| {
        names.push(format!("{name} {}", if writable { "rw" } else { "ro" }));
    });
    visited.map_or_else(|error| vec![error.to_string()], |()| names)
}

fn values(tree: &Tree, path: &str) -> Result<Vec<String>, PathError> {
    let mut values = Vec::new();
    tree.visit_values(&Path::parse(path)?, &mut |p| values.push(format!("{}={}", p.name, p.value())))?;
    Ok(values)
}

#[test]
fn values_are_read_in_the_order_of_the_file() {
    let tree = gateway();
    assert_eq!(
        values(&tree, "Device.Hosts.").unwrap(),
        [
            "Device.Hosts.HostNumberOfEntries=2",
            "Device.Hosts.Host.1.Active=true",
            "Device.Hosts.Host.1.Interface=",
            "Device.Hosts.Host.1.AddressNumberOfEntries=1",
            "Device.Hosts.Host.1.Address.1.IP=192.168.1.2",
            "Device.Hosts.Host.7.Active=false",
            "Device.Hosts.Host.7.Interface=",
            "Device.Hosts.Host.7.AddressNumberOfEntries=0",
        ]
    );
    assert_eq!(values(&tree, "").unwrap(), values(&tree, "Device.").unwrap());
    // R179: an object without parameters is an empty list, not a fault.
    assert_eq!(values(&tree, "Device.Hosts.Host.7.Address.").unwrap(), [""; 0]);
    assert_eq!(values(&tree, "Device.ManagementServer.Password").unwrap(), ["Device.ManagementServer.Password="]); // R175
    assert_eq!(tree.get("Device.ManagementServer.Password").unwrap().as_str(), "secret");
}

#[test]
fn a_name_must_say_whether_it_is_an_object() {
    let tree = gateway();
    // R180: the dot belongs to the name of an object, and only to that.
    for wrong in
        ["Device", "Device.Hosts", "Device.ManagementServer.URL.", "Device.Hosts.Host.2.", "Device.Nothing", "Root."]
    {
        assert_eq!(values(&tree, wrong), Err(PathError::Unknown), "{wrong}");
    }
}

#[test]
fn names_are_listed_with_what_can_be_written() {
    let tree = gateway();
    assert_eq!(names(&tree, "", true), ["Device. ro"]); // R186
    assert_eq!(names(&tree, "Device.Hosts.", true), ["Device.Hosts.HostNumberOfEntries ro", "Device.Hosts.Host. rw"]);
    assert_eq!(names(&tree, "Device.Hosts.Host.", true), ["Device.Hosts.Host.1. rw", "Device.Hosts.Host.7. rw"]);
    assert_eq!(names(&tree, "Device.Hosts.Host.7.Address.", true), [""; 0]);
    assert_eq!(names(&tree, "Device.ManagementServer.URL", false), ["Device.ManagementServer.URL rw"]); // R188
    let all = names(&tree, "", false);
    assert_eq!(all[0], "Device. ro"); // R185
    assert_eq!(all, names(&tree, "Device.", false));
    assert!(all.contains(&"Device.Hosts.Host.7.Address. rw".to_owned())); // R187
}

#[test]
fn what_is_sent_in_every_inform_is_found() {
    let mut found = Vec::new();
    gateway().visit_inform(&mut |p| found.push(p.name.to_owned()));
    assert_eq!(found, ["Device.DeviceInfo.SoftwareVersion"]);
}

#[test]
fn setting_is_decided_by_access_type_and_facets() {
    let tree = gateway();
    let set = |name: &str, given, text: &str| {
        tree.check_set(name, given, text, &PatternCache::default()).map(|value| value.to_string())
    };
    let interval = "Device.ManagementServer.PeriodicInformInterval";
    assert_eq!(set(interval, DeclaredType::Is(Type::UnsignedInt), "60"), Ok("60".into()));
    assert_eq!(set(interval, DeclaredType::Any, " 060 "), Ok("60".into()));
    assert_eq!(
        set(interval, DeclaredType::Is(Type::Boolean), "1"),
        Err(SetError::Value(ValueError::Type { expected: Type::UnsignedInt })) // R332
    );
    assert_eq!(set(interval, DeclaredType::Any, "soon"), Err(SetError::Value(ValueError::Literal(Type::UnsignedInt))));
    assert!(matches!(set(interval, DeclaredType::Any, "0"), Err(SetError::Value(ValueError::Range { .. }))));
    assert!(matches!(set(interval, DeclaredType::Any, "4294967296"), Err(SetError::Value(ValueError::Range { .. }))));
    assert_eq!(
        set("Device.DeviceInfo.SoftwareVersion", DeclaredType::Any, "2"),
        Err(SetError::Value(ValueError::ReadOnly))
    );
    assert_eq!(set("Device.Hosts.Host.2.Active", DeclaredType::Any, "1"), Err(SetError::Path(PathError::Unknown))); // R167
    assert_eq!(set("Device.Hosts.", DeclaredType::Any, "1"), Err(SetError::Path(PathError::NotAParameter))); // R162
    let long = "x".repeat(257);
    assert_eq!(
        set("Device.ManagementServer.URL", DeclaredType::Any, &long),
        Err(SetError::Value(ValueError::TooLong(256)))
    );
}

#[test]
fn a_strong_reference_needs_its_target() {
    let tree = gateway();
    let name = "Device.Hosts.Host.1.Interface";
    let broken = Err(SetError::Value(ValueError::Reference));
    assert!(tree.check_set(name, DeclaredType::Any, "Device.Hosts.Host.7", &PatternCache::default()).is_ok()); // R173
    assert!(tree.check_set(name, DeclaredType::Any, ".Hosts.Host.7", &PatternCache::default()).is_ok()); // R174
    assert!(tree.check_set(name, DeclaredType::Any, "", &PatternCache::default()).is_ok());
    assert_eq!(tree.check_set(name, DeclaredType::Any, "Device.Hosts.Host.2", &PatternCache::default()), broken);
    let foreign = Err(SetError::Value(ValueError::ReferenceTarget("Device.Hosts.Host.".into())));
    assert_eq!(tree.check_set(name, DeclaredType::Any, "Device.Hosts", &PatternCache::default()), foreign);
}

/// The targets of a reference may be written with and without `{i}` at their end.
#[test]
fn the_targets_of_a_reference() {
    for targets in ["Device.T.", "Device.T.{i}.", "Device.T.{i}.U.", "Device.T.{i}.U.{i}."] {
        let reference = format!(
            r#"{{ "type": "string", "access": "readWrite", "reference": "strong", "targets": ["{targets}"] }}"#
        );
        let table = r#"{ "{i}": { "U": { "{i}": { "P": { "type": "string" } } } }, "1": { "U": { "2": {} } } }"#;
        let tree = layers(&[&format!(r#"{{ "Device": {{ "A": {reference}, "T": {table} }} }}"#)]).unwrap();
        let fits = |path: &str| tree.check_set("Device.A", DeclaredType::Any, path, &PatternCache::default()).is_ok();
        let is_inner = targets.contains("U");
        assert_eq!((fits("Device.T.1"), fits("Device.T.1.U.2")), (!is_inner, is_inner), "{targets}");
        assert!(!fits("Device.T") && !fits("Device.T.1.U") && !fits("Device.T.1.U.2.P"), "{targets}");
    }
}

/// The targets of a weak reference are enforced, though the instance need not be present.
#[test]
fn the_targets_of_a_weak_reference() {
    let model = |targets: &str| {
        format!(
            r#"{{ "Device": {{ "T": {{ "{{i}}": {{ "P": {{ "type": "string" }} }}, "1": {{}} }}, "O": {{ "Q": {{ "type": "int" }} }},
              "A": {{ "type": "string", "access": "readWrite", "list": true, "reference": "weak", "targets": {targets} }},
              "B": {{ "type": "string", "access": "readWrite", "reference": "strong", "targets": {targets} }} }} }}"#
        )
    };
    let tree = layers(&[&model(r#"["Device.T."]"#)]).unwrap();
    let set =
        |name: &str, path: &str| tree.check_set(name, DeclaredType::Any, path, &PatternCache::default()).map(drop);
    for path in ["", "Device.T.1", "Device.T.7", ".T.7", "Device.T.1,Device.T.9"] {
        assert_eq!(set("Device.A", path), Ok(()), "{path}");
    }
    let foreign = Err(SetError::Value(ValueError::ReferenceTarget("Device.T.".into())));
    for path in ["Device.O", "Device.T", "Device.T.1.P", "Device.T.1,Device.O", "x"] {
        assert_eq!(set("Device.A", path), foreign, "{path}");
    }
    // The reason of a strong reference tells a wrong table from an absent instance.
    assert_eq!((set("Device.B", "Device.O"), set("Device.B", "Device.T.1")), (foreign, Ok(())));
    assert_eq!(set("Device.B", "Device.T.7"), Err(SetError::Value(ValueError::Reference)));
    // An empty list: the data model lacks the table.
    let tree = layers(&[&model("[]")]).unwrap();
    let none = tree.check_set("Device.A", DeclaredType::Any, "Device.T.1", &PatternCache::default()).unwrap_err();
    assert_eq!(none.to_string(), "refers to a table that this data model does not have");
    assert!(tree.check_set("Device.A", DeclaredType::Any, "", &PatternCache::default()).is_ok());
}

/// R173: deleting a target clears the strong references to it and leaves the weak ones.
#[test]
fn references_to_what_is_deleted() {
    const MODEL: &str = r#"{ "Device": {
        "One": { "type": "string", "reference": "strong", "value": "Device.T.2.P" },
        "Relative": { "type": "string", "reference": "strong", "value": ".T.2" },
        "Several": { "type": "string", "list": true, "reference": "strong", "value": "Device.T.1,Device.T.2,Device.T.12" },
        "Weak": { "type": "string", "reference": "weak", "value": "Device.T.2" },
        "Other": { "type": "string", "reference": "strong", "value": "Device.T.12" },
        "T": { "access": "readWrite",
          "{i}": { "P": { "type": "string" }, "Self": { "type": "string", "reference": "strong" } },
          "1": { "Self": "Device.T.2" }, "2": { "Self": "Device.T.2" }, "12": {} } } }"#;
    let tree = load(&[file(MODEL)], &[]).unwrap().tree;
    let changes = tree.check_delete(&Path::parse("Device.T.2.").unwrap()).unwrap();
    let set = |name: &str, value: &str| Change::Set(name.into(), Type::String.parse(value).unwrap());
    let expected = [
        Change::Delete("Device.T.2.".into()),
        set("Device.One", ""),
        set("Device.Relative", ""),
        set("Device.Several", "Device.T.1,Device.T.12"),
        set("Device.T.1.Self", ""),
    ];
    assert_eq!(changes, expected);
}

#[test]
fn instances_come_and_go_and_their_numbers_are_not_used_again() {
    let mut tree = gateway();
    let table = Path::parse("Device.Hosts.Host.").unwrap();
    assert_eq!(tree.check_add(&table), Ok(8));
    tree.apply(&Change::Add("Device.Hosts.Host.".into(), 8)).unwrap();
    tree.apply(&Change::Delete("Device.Hosts.Host.8.".into())).unwrap();
    assert_eq!(tree.check_add(&table), Ok(9)); // R218
    tree.apply(&Change::Add("Device.Hosts.Host.".into(), 9)).unwrap();
    assert_eq!(values(&tree, "Device.Hosts.Host.9.").unwrap()[0], "Device.Hosts.Host.9.Active=false"); // R215
    tree.apply(&Change::Add("Device.Hosts.Host.".into(), 10)).unwrap();
    assert_eq!(tree.check_add(&table), Err(PathError::TableFull));
    assert_eq!(tree.check_add(&Path::parse("Device.Hosts.").unwrap()), Err(PathError::NotCreatable));
    let delete = |tree: &Tree, path: &str| tree.check_delete(&Path::parse(path).unwrap());
    assert_eq!(delete(&tree, "Device.Hosts.Host.1."), Ok(vec![Change::Delete("Device.Hosts.Host.1.".into())]));
    assert_eq!(delete(&tree, "Device.Hosts.Host."), Err(PathError::NotDeletable)); // R221
    assert_eq!(delete(&tree, "Device.Hosts.Host.8."), Err(PathError::Unknown));
    assert_eq!(delete(&tree, "Device.Hosts."), Err(PathError::NotDeletable));
}

#[test]
fn the_differences_from_the_factory_lead_back_to_the_same_tree() {
    let mut tree = gateway();
    let changes = [
        Change::Delete("Device.Hosts.Host.1.".into()),
        Change::Add("Device.Hosts.Host.".into(), 8),
        Change::Add("Device.Hosts.Host.8.Address.".into(), 1),
        Change::Set("Device.Hosts.Host.8.Address.1.IP".into(), Type::String.parse("10.0.0.1").unwrap()),
        Change::Set("Device.Hosts.Host.7.Active".into(), Type::Boolean.parse("1").unwrap()),
        Change::Add("Device.Hosts.Host.".into(), 9),
        Change::Delete("Device.Hosts.Host.9.".into()),
    ];
    changes.iter().for_each(|change| tree.apply(change).unwrap());
    let mut again = gateway();
    for change in tree.changes_from_factory() {
        let read = Change::from_json(&change.to_json(), &again, &PatternCache::default()).unwrap();
        assert_eq!(read, change);
        again.apply(&read).unwrap();
    }
    assert_eq!(values(&again, ""), values(&tree, ""));
    assert_eq!(again.check_add(&Path::parse("Device.Hosts.Host.").unwrap()), Ok(10));
}

/// A request may visit a limited number of parameters; its entries count as well.
#[test]
fn the_work_of_a_request_is_bounded() {
    use std::sync::Arc;
    let mut tree = gateway();
    let visit = |tree: &Tree, path: &str| {
        let mut visited = 0;
        tree.visit_values(&Path::parse(path).unwrap(), &mut |_| visited += 1).map(|()| visited)
    };
    let all = visit(&tree, "").unwrap();
    let bound = |steps| Work::bounded(steps, Arc::default());
    tree.set_work(bound(all + 1));
    assert_eq!(visit(&tree, ""), Ok(all));
    assert_eq!(visit(&tree, ""), Err(PathError::TooMuchWork));
    assert_eq!(
        tree.check_set("Device.X", DeclaredType::Any, "", &PatternCache::default()),
        Err(SetError::Path(PathError::TooMuchWork))
    );
    tree.set_work(bound(all));
    assert_eq!(visit(&tree, "Device."), Err(PathError::TooMuchWork));
    let path = |text: &'static str| Path::parse(text).unwrap();
    type Call<'a> = &'a dyn Fn(&Tree) -> Result<(), PathError>;
    let end = |steps: u32, stop: bool, call: Call<'_>| {
        let mut tree = gateway();
        tree.set_work(Work::bounded(steps, Arc::new(stop.into())));
        call(&tree)
    };
    // Each of them takes more than one step.
    let calls: [Call<'_>; 6] = [
        &|tree| tree.visit_names(&path("Device."), false, &mut |_, _| {}),
        &|tree| tree.visit_names(&path("Device.Hosts.Host."), true, &mut |_, _| {}),
        &|tree| tree.visit_pattern("Device.Hosts.Host.*.Active", &mut |_| {}),
        &|tree| tree.visit_values(&path("Device.Hosts."), &mut |_| {}),
        &|tree| tree.check_add(&path("Device.Hosts.Host.")).map(drop),
        &|tree| tree.check_delete(&path("Device.Hosts.Host.7.")).map(drop),
    ];
    for (at, call) in calls.into_iter().enumerate() {
        assert_eq!(end(1, false, call), Err(PathError::TooMuchWork), "{at}");
        assert_eq!(end(1000, true, call), Err(PathError::Stopping), "{at}");
        assert_eq!(end(1000, false, call), Ok(()), "{at}");
    }
    tree.set_work(Work::unbounded());
    assert_eq!(visit(&tree, "Device."), Ok(all));
}

/// A pattern is compiled once for all values of a request.
#[test]
fn patterns_that_values_share() {
    let model = r#"{ "Device": { "T": { "{i}": { "P": { "type": "string", "access": "readWrite", "pattern": "[a-z]+" } },
        "1": { "P": "a" }, "2": { "P": "a" } } } }"#;
    let tree = load(&[ModelFile { name: "m".into(), text: model.into() }], &[]).unwrap().tree;
    let patterns = PatternCache::default();
    for name in ["Device.T.1.P", "Device.T.2.P"] {
        assert!(tree.check_set(name, DeclaredType::Any, "b", &patterns).is_ok());
        assert!(tree.check_set(name, DeclaredType::Any, "1", &patterns).is_err());
    }
    assert_eq!(patterns.len(), 1);
}
