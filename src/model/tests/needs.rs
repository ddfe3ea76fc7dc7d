//! Tests of objects that only some devices have.

use super::*;
use crate::model::path::PathError;

/// A device without the packages of two tables and an object.
const MODEL: &str = r#"{ "Device": {
    "A": { "type": "string", "access": "readWrite", "reference": "strong", "value": "Device.Rule.1" },
    "B": { "type": "string", "reference": "strong", "targets": ["Device.Rule."], "value": "Device.Rule.1" },
    "C": { "type": "string", "reference": "strong", "value": "Device.Kept.1" },
    "RuleNumberOfEntries": { "type": "unsignedInt", "counts": "Rule" },
    "KeptNumberOfEntries": { "type": "unsignedInt", "counts": "Kept" },
    "Rule": { "access": "readWrite", "needs": ["/there", "/missing/rules"],
      "{i}": { "Name": { "type": "string", "access": "readWrite", "inform": true } }, "1": { "Name": "one" } },
    "Kept": { "access": "readWrite", "needs": "/there",
      "{i}": { "Name": { "type": "string", "access": "readWrite" },
        "Part": { "needs": "/missing/part", "Size": { "type": "string", "access": "readWrite" } } },
      "1": { "Part": { "Size": "5" } } },
    "QoS": { "needs": "/missing/qos", "Mode": { "type": "string" },
      "Queue": { "needs": "/missing/queue", "source": { "builtin": "link" }, "{i}": { "Name": { "type": "string", "source": "name" } } } } } }"#;

#[test]
fn an_object_that_a_device_does_not_have_is_left_out() {
    let tree = load(&[file(MODEL)], &[]).unwrap().tree;
    assert_eq!(
        names(&tree, "Device.", true),
        ["Device.A rw", "Device.B ro", "Device.C ro", "Device.KeptNumberOfEntries ro", "Device.Kept. rw"]
    );
    assert_eq!(names(&tree, "Device.Kept.", false), ["Device.Kept. rw", "Device.Kept.1. rw", "Device.Kept.1.Name rw"]);
    assert_eq!(values(&tree, "Device.QoS."), Err(PathError::Unknown));
    assert_eq!(tree.check_add(&Path::parse("Device.Rule.").unwrap()), Err(PathError::Unknown));
    // R173: a reference into it is empty.
    let empty = ["Device.A=", "Device.B=", "Device.C=Device.Kept.1"];
    assert_eq!(&values(&tree, "").unwrap()[..3], empty);
    let mut informed = 0;
    tree.visit_inform(&mut |_| informed += 1);
    assert_eq!(informed, 0);
    let omitted: Vec<(&str, &str)> =
        tree.schema().omitted().iter().map(|omitted| (omitted.path.as_str(), omitted.missing.as_str())).collect();
    assert_eq!(
        omitted,
        [
            ("Device.Rule.", "/missing/rules"),
            ("Device.Kept.{i}.Part.", "/missing/part"),
            ("Device.QoS.", "/missing/qos")
        ]
    );
}

#[test]
fn a_device_that_has_the_paths_has_the_objects() {
    let loaded = super::super::load(&[file(MODEL)], &[], &|_| true).unwrap();
    assert_eq!(loaded.tree.get("Device.A").unwrap().to_string(), "Device.Rule.1");
    assert_eq!(loaded.tree.get("Device.Kept.1.Part.Size").unwrap().to_string(), "5");
    assert_eq!(loaded.tree.get("Device.RuleNumberOfEntries").unwrap().to_string(), "1");
    assert!(loaded.tree.schema().omitted().is_empty());
    // A reload tells that the device has another model.
    assert_ne!(loaded.fingerprint, load(&[file(MODEL)], &[]).unwrap().fingerprint);
}

/// The same configuration serves devices with and without the object.
#[test]
fn factory_values_for_it_are_accepted() {
    let set = |name: &str, value: &str| load(&[file(MODEL)], &[(name.into(), value.into())]).map(|_| ());
    assert!(set("Device.Rule.1.Name", "two").is_ok());
    assert!(set("Device.Rule.1.Nam", "two").is_err());
    assert!(set("Device.A", "Device.Rule.1").is_ok());
}

/// The values are as they were when a later start finds the object on the device again.
#[test]
fn stored_values_of_it_survive() {
    let mut tree = load(&[file(MODEL)], &[]).unwrap().tree;
    let stored = [
        r#"["+","Device.Rule.",2]"#,
        r#"["=","Device.Rule.2.Name","added"]"#,
        r#"["-","Device.Rule.1."]"#,
        r#"["=","Device.Kept.1.Part.Size","7"]"#,
        r#"["@","Device.Kept.1.Part.Size",2,true]"#,
    ];
    let apply = |tree: &mut Tree, changes: &[String]| {
        tree.set_with_omitted(true);
        for change in changes {
            let json = serde_json::from_str(change).unwrap();
            let change = Change::from_json(&json, tree, &PatternCache::default()).unwrap();
            tree.apply(&change).unwrap();
        }
        tree.set_with_omitted(false);
    };
    apply(&mut tree, &stored.map(str::to_owned));
    assert_eq!(values(&tree, "Device.Kept.").unwrap(), ["Device.Kept.1.Name="]);
    let kept: Vec<String> = tree.changes_from_factory().iter().map(|change| change.to_json().to_string()).collect();
    let mut later = super::super::load(&[file(MODEL)], &[], &|_| true).unwrap().tree;
    apply(&mut later, &kept);
    assert_eq!(values(&later, "Device.Rule.").unwrap(), ["Device.Rule.2.Name=added"]);
    assert_eq!(later.get("Device.Kept.1.Part.Size").unwrap().to_string(), "7");
    assert!(later.parameter("Device.Kept.1.Part.Size").unwrap().attributes().subscriber);
}

#[test]
fn a_wrong_path_is_a_mistake() {
    for (needs, object, pointer) in [
        (r#""etc/x""#, "O", "/Device/O/needs"),
        (r#"["/there", "x"]"#, "O", "/Device/O/needs"),
        ("[]", "O", "/Device/O/needs"),
        ("1", "O", "/Device/O/needs"),
        (r#""/there""#, "ManagementServer", "/Device/ManagementServer/needs"),
    ] {
        let model = format!(r#"{{ "Device": {{ "{object}": {{ "needs": {needs}, "A": {{ "type": "string" }} }} }} }}"#);
        let error = load(&[file(&model)], &[]).expect_err(&model);
        assert_eq!(error.list()[0].pointer, pointer, "{error}");
    }
    assert!(load(&[file(r#"{ "Device": { "needs": "/there" } }"#)], &[]).is_err());
    assert!(load(&[file(r#"{ "Device": { "A": { "type": "string", "needs": "/there" } } }"#)], &[]).is_err());
}

#[test]
fn an_overlay_replaces_or_removes_the_need() {
    let with = |needs: &str| {
        let overlay = format!(r#"{{ "Device": {{ "QoS": {{ "needs": {needs} }} }} }}"#);
        load(&[file(MODEL), file(&overlay)], &[]).unwrap().tree.get("Device.QoS.Mode").is_some()
    };
    assert!(with("null") && with(r#"["/there"]"#) && !with(r#""/missing/other""#));
}
