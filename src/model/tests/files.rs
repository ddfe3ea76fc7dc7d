//! Tests of loading: single files, files that overlay each other, and files with mistakes.

use super::*;

#[test]
fn an_overlay_repeats_only_what_it_changes() {
    let overlay = r#"{ "Device": { "DeviceInfo": { "SoftwareVersion": { "value": "2.0" },
                                                   "X_EXAMPLE_Led": { "type": "boolean" } },
                                   "Hosts": { "Host": { "1": { "Active": "false" }, "9": {} } } },
                       "actions": { "reboot": ["reboot"],
                                    "download": { "1 Firmware Upgrade Image": { "run": ["up", "{file}"], "reboots": true } } } }"#;
    let loaded =
        load(&[file(GATEWAY), file(overlay)], &[("Device.ManagementServer.URL".into(), "http://b/".into())]).unwrap();
    let tree = &loaded.tree;
    assert_eq!(tree.get("Device.DeviceInfo.SoftwareVersion").unwrap().as_str(), "2.0");
    assert_eq!(tree.get("Device.DeviceInfo.ManufacturerOUI").unwrap().as_str(), "00D09E");
    assert_eq!(tree.get("Device.Hosts.Host.1.Active").unwrap().to_string(), "false");
    assert_eq!(tree.get("Device.Hosts.Host.9.Active").unwrap().to_string(), "false");
    assert_eq!(tree.get("Device.ManagementServer.URL").unwrap().as_str(), "http://b/");
    assert_eq!(tree.changes_from_factory(), []);
    assert_eq!(loaded.actions.reboot, Some(vec!["reboot".into()]));
    assert!(loaded.actions.download[0].1.reboots);
}

/// Loads the files `0`, `1` and so on, of which each overlays the earlier ones.
pub(super) fn layers(texts: &[&str]) -> Result<Tree, Mistakes> {
    let numbered = texts.iter().enumerate();
    let files: Vec<ModelFile> =
        numbered.map(|(at, text)| ModelFile { name: at.to_string(), text: (*text).into() }).collect();
    load(&files, &[]).map(|loaded| loaded.tree)
}

#[test]
fn an_overlay_replaces_single_reloads() {
    let base = r#"{ "Device": {}, "reloads": { "network": { "confirmMinutes": 5 }, "led": { "run": ["/bin/a"], "order": 9 },
                                               "old": { "run": ["/bin/b"] } } }"#;
    let overlay = r#"{ "Device": {}, "reloads": { "led": { "run": ["/bin/c"] }, "old": null } }"#;
    let reloads = load(&[file(base), file(overlay)], &[]).unwrap().reloads;
    assert!(reloads.confirm("network").is_some(), "a device would lose the way back of its settings");
    assert_eq!(reloads.get("led").order, 50, "the entry is replaced as a whole");
    assert!(!reloads.has("old"));
}

#[test]
fn of_several_files_the_last_that_says_something_wins() {
    let tree = layers(&[
        r#"{ "Device": { "A": { "type": "string", "maxLength": 3, "value": "0" }, "B": { "C": { "type": "int", "value": "0" } },
                         "D": { "type": "string", "enum": ["a", "b"], "value": "a" } } }"#,
        r#"{ "Device": { "New": { "type": "string", "value": "1" }, "A": { "value": "11", "access": "readWrite" },
                         "B": { "C": { "min": -9223372036854775808, "value": "1" }, "E": { "type": "boolean" } } } }"#,
        r#"{ "Device": { "D": { "enum": ["c"], "value": "c" }, "B": { "C": "2", "E": "true" }, "New": "2", "A": "22" } }"#,
    ])
    .unwrap();
    // The members of the first file come first, then those that the second one adds. A plain text is a value.
    assert_eq!(
        values(&tree, "").unwrap(),
        ["Device.A=22", "Device.B.C=2", "Device.B.E=true", "Device.D=c", "Device.New=2"]
    );
    assert!(tree.check_set("Device.A", DeclaredType::Any, "333", &PatternCache::default()).is_ok());
    assert!(
        tree.check_set("Device.A", DeclaredType::Any, "4444", &PatternCache::default()).is_err(),
        "maxLength of the first file holds"
    );
}

#[test]
fn texts_with_escapes_outlast_overlays() {
    let tree = layers(&[
        r#"{ "Device": { "A": { "type": "string", "value": "\"1\"" }, "B": { "type": "string" }, "C": { "type": "string" } } }"#,
        r#"{ "Device": { "B": "\"2\"", "\u0044": { "type": "string", "value": "\t4" } } }"#,
        r#"{ "Device": { "C": "\"3\"", "B": { "\u0076alue": "\"5\"" } } }"#,
    ])
    .unwrap();
    assert_eq!(values(&tree, "").unwrap(), ["Device.A=\"1\"", "Device.B=\"5\"", "Device.C=\"3\"", "Device.D=\t4"]);
}

#[test]
fn null_removes_an_instance_an_object_a_parameter_or_a_member() {
    let base = r#"{ "Device": { "A": { "type": "int", "min": 1, "value": "1" }, "O": { "B": { "type": "int" } },
        "Gone": { "type": "string" }, "T": { "{i}": { "C": { "type": "int" } }, "1": {}, "2": { "C": "2" } } } }"#;
    let over = r#"{ "Device": { "A": { "min": null, "value": "0" }, "O": null, "Gone": null, "T": { "1": null } } }"#;
    let tree = layers(&[base, over]).unwrap();
    assert_eq!(values(&tree, "").unwrap(), ["Device.A=0", "Device.T.2.C=2"]);
    assert_eq!(names(&tree, "Device.", true), ["Device.A ro", "Device.T. ro"]);
}

/// A table that a device does not have takes along the parameter that counts it, and nothing leads to it any more.
#[test]
fn null_for_a_table_is_enough() {
    let base = r#"{ "Device": { "TNumberOfEntries": { "type": "unsignedInt", "counts": "T" },
        "T": { "source": { "uci": "a", "rows": "t" }, "{i}": { "N": { "type": "string", "source": "n" },
          "UNumberOfEntries": { "type": "unsignedInt", "counts": "U" }, "U": { "{i}": { "C": { "type": "int" } } } } },
        "O": { "V": { "{i}": {} } },
        "P": { "type": "string", "reference": "strong", "targets": ["Device.T.", "Device.O.V.", "Device.T.{i}.U."] },
        "Q": { "source": { "uci": "a", "at": "b" },
          "R": { "type": "string", "source": { "field": "c", "path": ["Device.T.*", "Device.T.*.N"] } } } } }"#;
    let of = |over: &str| values(&layers(&[base, over]).unwrap_or_else(|mistakes| panic!("{mistakes}")), "").unwrap();
    let all = ["Device.TNumberOfEntries=0", "Device.P=", "Device.Q.R="];
    assert_eq!(of("{}"), all);
    assert_eq!(of(r#"{ "Device": { "T": null } }"#), all[1..]);
    assert_eq!(of(r#"{ "Device": { "T": null, "O": null, "TNumberOfEntries": null } }"#), all[1..]);
    assert_eq!(of(r#"{ "Device": { "TNumberOfEntries": null, "T": null } }"#), all[1..]);
    assert_eq!(of(r#"{ "Device": { "T": { "{i}": { "U": null, "N": null } } } }"#), all);
    // A name that no overlay has removed stays a mistake.
    let wrong = base.replace("Device.O.V.", "Device.O.W.");
    let refused = layers(&[&wrong, r#"{ "Device": { "T": null } }"#]).unwrap_err().to_string();
    assert_eq!(refused, "0: /Device/P/targets: no table `Device.O.W.` in this model");
}

/// An overlay for a model with examples fits the same model without them.
#[test]
fn null_for_an_instance_that_is_not_there_changes_nothing() {
    let base = r#"{ "Device": { "T": { "maxEntries": 1, "{i}": { "C": { "type": "int", "value": "7" },
        "U": { "{i}": { "D": { "type": "int" } } } }, "1": {} }, "R": { "{i}": { "E": { "type": "string" } } } } }"#;
    let over = r#"{ "Device": { "T": { "3": null, "1": { "C": null, "U": { "4": null } } },
        "R": { "source": { "builtin": "link" }, "5": null, "{i}": { "E": { "source": "name" } } } } }"#;
    let tree = layers(&[base, over]).unwrap();
    assert_eq!(values(&tree, "").unwrap(), ["Device.T.1.C=7"]);
    // A later file may add the instance.
    let tree =
        layers(&[base, r#"{ "Device": { "T": { "1": null, "3": null } } }"#, r#"{ "Device": { "T": { "3": {} } } }"#]);
    assert_eq!(values(&tree.unwrap(), "").unwrap(), ["Device.T.3.C=7"]);
    // A name that no earlier file has is misspelt.
    let refused = |over: &str| layers(&[base, over]).unwrap_err().to_string();
    let reason = "1: /Device/T/1/Z: not in the template `{i}` of this table";
    assert_eq!(refused(r#"{ "Device": { "T": { "1": { "Z": null } } } }"#), reason);
    assert!(refused(r#"{ "Device": { "Z": null } }"#).starts_with("1: /Device/Z: a parameter with a `type`"));
}

#[test]
fn files_share_tables_and_instances() {
    let table = r#"{ "Device": { "T": { "maxEntries": 1, "access": "readWrite",
        "{i}": { "A": { "type": "int" }, "U": { "{i}": { "B": { "type": "string" } } } },
        "7": { "A": "7", "U": { "1": { "B": "seven" } } } }, "Count": { "type": "unsignedInt", "counts": "T" } } }"#;
    let second = r#"{ "Device": { "T": { "maxEntries": 3, "{i}": { "C": { "type": "string", "value": "c" } },
        "7": { "A": { "value": "70" }, "U": { "2": {} } }, "2": { "A": "2" } } } }"#;
    let third = r#"{ "Device": { "T": { "7": { "A": "700", "U": { "1": { "B": { "value": "" } } } },
        "2": { "C": { "value": "third" } }, "3": {} } } }"#;
    let tree = layers(&[table, second, third]).unwrap();
    assert_eq!(
        values(&tree, "").unwrap(),
        [
            "Device.T.2.A=2",
            "Device.T.2.C=third",
            "Device.T.3.A=0",
            "Device.T.3.C=c",
            "Device.T.7.A=700",
            "Device.T.7.U.1.B=",
            "Device.T.7.U.2.B=",
            "Device.T.7.C=c",
            "Device.Count=3",
        ]
    );
    assert_eq!(tree.changes_from_factory(), []);
    assert_eq!(tree.check_add(&Path::parse("Device.T.").unwrap()), Err(PathError::TableFull));
    let error = layers(&[table, second, third, r#"{ "Device": { "T": { "9": {} } } }"#]).unwrap_err();
    assert_eq!(error.to_string(), "3: /Device/T/9: more instances than maxEntries 3");
}

#[test]
fn what_does_not_fit_together_is_told_of_the_file_that_came_last() {
    let base =
        r#"{ "Device": { "A": { "type": "int" }, "T": { "{i}": { "B": { "type": "int" } }, "1": { "B": "1" } } } }"#;
    let refused = |over: &[&str]| layers(&[&[base], over].concat()).unwrap_err().list()[0].to_string();
    assert_eq!(refused(&[r#"{ "Device": { "A": { "value": "x" } } }"#, "{}"]), "1: /Device/A/value: not a valid int");
    // A plain text is no object, so that it does not name its own file.
    assert_eq!(refused(&[r#"{ "Device": { "A": "x" } }"#]), "0: /Device/A/value: not a valid int");
    assert_eq!(refused(&[r#"{ "Device": { "T": { "1": { "B": "x" } } } }"#]), "1: /Device/T/1/B: not a valid int");
    assert_eq!(
        refused(&["{}", r#"{ "Device": { "N": null } }"#]),
        "2: /Device/N: a parameter with a `type` or an object is needed, not null"
    );
    assert_eq!(refused(&[r#"{ "Device": [] }"#, "{}"]), "0: /Device: an object is needed, not a list");
    assert_eq!(
        refused(&[r#"{ "Device": { "A": null } }"#, r#"{ "Device": { "A": { "min": 1 } } }"#]),
        "2: /Device/A/min: this node has no `type`, so it is an object, which takes no `min`; is its name misspelt, \
         or does the file that declares it come later?"
    );
    let misspelt = refused(&[r#"{ "Device": { "AA": { "value": "1" } } }"#]);
    assert!(misspelt.starts_with("1: /Device/AA/value: this node has no `type`"), "{misspelt}");
    assert_eq!(refused(&["[]"]), "1: /: an object is needed, not a list");
    let text = refused(&[r#"{ "Device": "text" }"#]);
    assert!(text.starts_with("0: /Device/value: this node has no `type`"), "{text}");
    let twice = refused(&[r#"{ "Device": { "A": { "value": "1", "min": 0, "value": "2" } } }"#]);
    assert_eq!(twice, "1: /Device/A/value: given twice");
}

#[test]
fn escapes_and_great_numbers_are_read_as_json_has_them() {
    let tree = layers(&[
        r#"{ "De\u0076ice": { "\u0041": { "type": "string", "enum": ["\"", "a\/\u00e4\ud83d\ude00"], "value": "a/\u00E4\uD83D\uDE00" },
             "B": { "ty\u0070e": "unsignedLong", "max": 18446744073709551615, "value": "18446744073709551615" },
             "C": { "type": "long", "min": -9223372036854775808, "value": "-9223372036854775808" } } }"#,
        r#"{ "Device": { "\u0042": { "value": "1\u0030" }, "A": "\u0022" } }"#,
    ])
    .unwrap();
    assert_eq!(values(&tree, "").unwrap(), ["Device.A=\"", "Device.B=10", "Device.C=-9223372036854775808"]);
    let too_great = r#"{ "Device": { "A": { "type": "int", "max": 18446744073709551616 } } }"#;
    assert_eq!(refused(too_great), ("/Device/A/max".into(), "a whole number is needed, not a number".into()));
    let strange = r#"{ "Device": { "a\/b~\n": 1 } }"#;
    assert_eq!(refused(strange).0, "/Device/a~1b~0\n");
}

/// Returns a model whose `Device.A` is `node`.
fn model(node: &str) -> String {
    format!(r#"{{ "Device": {{ "A": {node} }} }}"#)
}

fn refused(text: &str) -> (String, String) {
    let Mistake { file: name, pointer, reason } = load(&[file(text)], &[]).expect_err(text).list()[0].clone();
    assert_eq!(name, "model.json");
    (pointer, reason)
}

#[test]
fn a_wrong_model_names_the_place_and_the_reason() {
    let cases = [
        (
            r#"{ "type": "text" }"#,
            "/Device/A/type",
            "`text` is not a type; the types are string, int, unsignedInt, long, unsignedLong, boolean, dateTime, base64, \
             hexBinary, decimal",
        ),
        (r#"{ "type": "unsignedint" }"#, "/Device/A/type", "did you mean `unsignedInt`?"),
        (
            r#"{ "type": "string", "maxlength": 5 }"#,
            "/Device/A/maxlength",
            "an unknown member; did you mean `maxLength`?",
        ),
        (r#"{ "type": "string", "maxLength": 2, "value": "abc" }"#, "/Device/A/value", "too long"),
        (r#"{ "type": "int", "min": 5, "value": "4" }"#, "/Device/A/value", "less than 5"),
        (r#"{ "type": "int", "min": 5, "max": 4 }"#, "/Device/A/min", "more than `max`"),
        (r#"{ "type": "int", "value": 4 }"#, "/Device/A/value", "a string is needed, not a number"),
        (r#"{ "type": "boolean", "min": 1 }"#, "/Device/A/min", "no range"),
        (r#"{ "type": "string", "pattern": "(" }"#, "/Device/A/pattern", "not a regular expression"),
        (r#"{ "type": "string", "enum": ["one", "two"], "value": "b" }"#, "/Device/A/value", "the values are one, two"),
        (r#"{ "type": "int", "enum": ["1", "2"], "value": "3" }"#, "/Device/A/value", "not one of"),
        (r#"{ "type": "int", "enum": ["1", "two"], "value": "1" }"#, "/Device/A/enum", "`two`: not a valid int"),
        (r#"{ "type": "int", "pattern": "[0-9]{2}", "value": "3" }"#, "/Device/A/value", "does not have the form"),
        (r#"{ "type": "string", "access": "write" }"#, "/Device/A/access", "needed"),
        (r#"{ "type": "string", "notify": "always" }"#, "/Device/A/notify", "needed"),
        (r#"{ "type": "unsignedInt", "counts": "B" }"#, "/Device/A/counts", "no table `B`"),
        (r#"{ "type": "string", "maxItems": 2 }"#, "/Device/A/maxItems", "only a `list`"),
        (r#"{ "type": "string", "B": { "type": "int" } }"#, "/Device/A/B", "holds no nodes"),
        (r#""text""#, "/Device/A", "a parameter with a `type` or an object is needed"),
        (r#"{ "1": {} }"#, "/Device/A", "needs its template"),
        (r#"{ "{i}": {}, "B": {} }"#, "/Device/A/B", "nothing else"),
        (r#"{ "access": "readWrite" }"#, "/Device/A/access", "only a table"),
        (r#"{ "{i}": { "B": { "type": "int" } }, "1": { "C": "1" } }"#, "/Device/A/1/C", "not in the template"),
        (r#"{ "{i}": { "B": { "type": "int" } }, "1": { "B": "x" } }"#, "/Device/A/1/B", "not a valid int"),
        (r#"{ "{i}": { "B": { "type": "int" } }, "1": { "B": { "type": "int" } } }"#, "/Device/A/1/B", "nothing else"),
        (r#"{ "maxEntries": 1, "{i}": {}, "1": {}, "2": {} }"#, "/Device/A/2", "maxEntries"),
        (r#"{ "B": { "type": "int" }, "B": { "type": "int" } }"#, "/Device/A/B", "given twice"),
        (r#"{ "B C": { "type": "int" } }"#, "/Device/A/B C", "not a valid name"),
        (r#"{ "type": "string", "reference": "strong", "value": "Device.B" }"#, "/Device/A", "not there"),
        (
            r#"{ "type": "string", "reference": "weak", "targets": ["Device.B."] }"#,
            "/Device/A/targets",
            "no table `Device.B.`",
        ),
        (
            r#"{ "type": "string", "reference": "strong", "targets": ["Device."] }"#,
            "/Device/A/targets",
            "no table `Device.`",
        ),
        (
            r#"{ "{i}": { "R": { "type": "string", "reference": "weak", "targets": ["Device.A."] } }, "1": { "R": "Device.C" } }"#,
            "/Device/A/1/R",
            "is no path of an instance of Device.A.",
        ),
    ];
    for (node, pointer, reason) in cases {
        let (at, why) = refused(&model(node));
        assert_eq!(at, pointer, "{node}: {why}");
        assert!(why.contains(reason), "{node}: {why}");
    }
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    assert!(refused("{").1.contains("not JSON"));
    assert!(refused("[]").1.contains("an object is needed"));
    assert!(refused("{}").1.contains("no root object"));
    assert_eq!(refused(r#"{ "Device": {}, "InternetGatewayDevice": {} }"#).0, "/InternetGatewayDevice");
    assert_eq!(refused(r#"{ "Device": {}, "Other": {} }"#).0, "/Other");
    assert_eq!(refused(r#"{ "Device": {}, "actions": { "explode": ["x"] } }"#).0, "/actions/explode");
    let test = refused(r#"{ "Device": {}, "actions": { "diagnostics": { "Device.X.": { "run": ["test"] } } } }"#);
    assert_eq!(test.0, "/actions/diagnostics/Device.X./run");
    assert!(test.1.ends_with("the absolute path of a program"), "no search by PATH: {}", test.1);
    assert_eq!(refused(r#"{ "Device": {}, "actions": { "reboot": "reboot" } }"#).0, "/actions/reboot");
    let twice = refused(r#"{ "Device": { "A": { "type": "string", "B": {}, "type": "int" } } }"#);
    assert_eq!(twice, ("/Device/A/type".into(), "given twice".into()));
    assert!(refused(&"[".repeat(100_000)).1.contains("nested too deep"));
    let deep = format!("{}{}", r#"{"A":"#.repeat(40), "{}".to_owned() + &"}".repeat(40));
    assert!(refused(&model(&deep)).1.contains("levels"));
}

#[test]
fn placeholders_that_nothing_fills_in_are_refused() {
    let with = |actions: &str| format!(r#"{{ "Device": {{}}, "actions": {{ {actions} }} }}"#);
    for (actions, pointer, reason) in [
        (r#""reboot": ["reboot", "--key={CommandKey}"]"#, "/actions/reboot/1", "`{CommandKey}` is no placeholder"),
        (r#""reboot": ["reboot", "{file}"]"#, "/actions/reboot/1", "there is no `{file}` in this action"),
        (r#""factoryReset": ["x", "a", "{file}"]"#, "/actions/factoryReset/2", "there is no `{file}`"),
        (
            r#""download": { "1 x": { "run": ["x", "{name}"] } }"#,
            "/actions/download/1 x/run/1",
            "`{name}` is no placeholder",
        ),
        (
            r#""download": { "1 x": { "run": ["x", "{instance}"] } }"#,
            "/actions/download/1 x/run/1",
            "there is no `{instance}`",
        ),
        (
            r#""download": { "1 x": { "run": ["x"], "verify": ["v", "{file}"] } }"#,
            "/actions/download/1 x/verify/1",
            "{file}",
        ),
    ] {
        let (at, why) = refused(&with(actions));
        assert_eq!(at, pointer, "{why}");
        assert!(why.contains(reason), "{actions}: {why}");
    }
    // Braces of shells and of awk are none.
    for actions in [
        r#""reboot": ["sh", "-c", "f() { echo ${x} {} {a,b} '{print $1}' }; f {commandKey}"]"#,
        r#""download": { "1 x": { "run": ["x", "{file}", "{commandKey}"] } }"#,
    ] {
        assert!(load(&[file(&with(actions))], &[]).is_ok(), "{actions}");
    }
}

#[test]
fn actions_for_files() {
    let with = |actions: &str| format!(r#"{{ "Device": {{}}, "actions": {{ {actions} }} }}"#);
    let key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let download = format!(
        r#""download": {{ "1 Firmware Upgrade Image": {{ "run": ["up", "{{file}}"], "reboots": true, "verify": ["ok"],
            "timeLimit": 60, "sha256": true, "ed25519": "{key}" }} }}"#
    );
    let upload = r#""upload": { "1 Vendor Configuration File": { "run": ["a", "{file}"] },
                                "3 Vendor Configuration File": { "run": ["b", "{instance}", "{file}"] },
                                "3 Vendor Configuration File 2": { "run": ["c", "{file}"] } }"#;
    let actions = load(&[file(&with(&format!("{download}, {upload}")))], &[]).expect("actions").actions;
    let action = actions.download_action("1 Firmware Upgrade Image").expect("an action");
    assert!(action.reboots && action.sha256 && matches!(action.ed25519, Some(SigningKey::Raw([0xd7, ..]))));
    assert_eq!((action.time_limit.as_secs(), action.verify.as_deref()), (60, Some(&["ok".to_owned()][..])));
    assert!(actions.download_action("1 Vendor Configuration File").is_none());
    let made_by =
        |file_type: &str| actions.upload_action(file_type).map(|(action, number)| (action.run[0].as_str(), number));
    assert_eq!(made_by("1 Vendor Configuration File"), Some(("a", None)));
    assert_eq!(made_by("3 Vendor Configuration File 2"), Some(("c", None)));
    assert_eq!(made_by("3 Vendor Configuration File 12"), Some(("b", Some(12)))); // R241
    for unknown in
        ["1 Vendor Configuration File 1", "3 Vendor Configuration File 0", "3 Vendor Configuration File +1", "4 x"]
    {
        assert_eq!(made_by(unknown), None, "{unknown}");
    }

    for (actions, pointer) in [
        (r#""download": { "firmware": { "run": ["x"] } }"#, "/actions/download/firmware"),
        (r#""download": { "1 x": { "reboots": true } }"#, "/actions/download/1 x"),
        (r#""download": { "1 x": { "run": ["x"], "reboot": true } }"#, "/actions/download/1 x/reboot"),
        (r#""download": { "1 x": { "run": ["x"], "reboots": "yes" } }"#, "/actions/download/1 x/reboots"),
        (r#""download": { "1 x": { "run": ["x"], "timeLimit": 0 } }"#, "/actions/download/1 x/timeLimit"),
        (r#""download": { "1 x": { "run": ["x"], "sha256": "URL.sha256" } }"#, "/actions/download/1 x/sha256"),
        (r#""download": { "1 x": { "run": ["x"], "ed25519": "AAAA" } }"#, "/actions/download/1 x/ed25519"),
        (r#""upload": { "1 x": { "run": ["x"], "verify": ["x"] } }"#, "/actions/upload/1 x/verify"),
    ] {
        assert_eq!(refused(&with(actions)).0, pointer, "{actions}");
    }
}

#[test]
fn an_error_names_the_file_that_wrote_it() {
    let overlay = ModelFile {
        name: "overlay.json".into(),
        text: r#"{ "Device": { "Hosts": { "Host": { "1": { "Active": "maybe" } } } } }"#.into(),
    };
    let error = load(&[file(GATEWAY), overlay], &[]).unwrap_err();
    assert_eq!(error.to_string(), "overlay.json: /Device/Hosts/Host/1/Active: not a valid boolean");
}

#[test]
fn a_wrong_factory_value_of_the_command_line_is_refused() {
    let set =
        |path: &str, text: &str| load(&[file(GATEWAY)], &[(path.into(), text.into())]).unwrap_err().list()[0].clone();
    assert_eq!(
        set("Device.ManagementServer.PeriodicInformInterval", "x").pointer,
        "Device.ManagementServer.PeriodicInformInterval"
    );
    assert_eq!(set("Device.Nothing", "x").reason, "no such parameter or object");
    let near = set("Device.ManagementServer.PeriodicInformInterva", "1").reason;
    assert!(near.ends_with("; did you mean `Device.ManagementServer.PeriodicInformInterval`?"), "{near}");
    assert!(set("Device.Hosts.HostNumberOfEntries", "3").reason.contains("counts"));
    let model = r#"{ "Device": { "A": { "type": "string", "reference": "strong" }, "B": { "type": "int" } } }"#;
    let refer = |to: &str| load(&[file(model)], &[("Device.A".into(), to.into())]).map(|_| ());
    assert_eq!(refer("Device.B"), Ok(()));
    assert!(refer("Device.C").unwrap_err().list()[0].reason.contains("not there")); // R173
}

/// Every truncated and every damaged file yields an error or a model, never a panic.
#[test]
fn damaged_files_never_panic() {
    for length in 0..GATEWAY.len() {
        let _ = load(&[file(&GATEWAY[..length])], &[]);
    }
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..4000 {
        let mut bytes = GATEWAY.as_bytes().to_vec();
        for _ in 0..3 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = (seed % bytes.len() as u64) as usize;
            bytes[at] = (seed >> 32) as u8 & 0x7F;
        }
        let _ = load(&[file(&String::from_utf8(bytes).expect("ASCII"))], &[]);
    }
}

/// Facets that one type may have are refused for another one, also if both have the same.
#[test]
fn facets_are_checked_for_each_type() {
    for (first, second) in [("int", "boolean"), ("boolean", "int"), ("int", "string")] {
        let model = format!(
            r#"{{ "Device": {{ "A": {{ "type": "{first}", "min": 1, "value": "1" }}, "B": {{ "type": "{second}", "min": 1 }} }} }}"#
        );
        let error = load(&[ModelFile { name: "m".into(), text: model }], &[]).unwrap_err();
        assert!(error.to_string().contains("has no range"), "{error}");
    }
    let model = r#"{ "Device": { "A": { "type": "string", "enum": ["a"], "value": "a" }, "B": { "type": "int", "enum": ["a"] } } }"#;
    assert!(load(&[ModelFile { name: "m".into(), text: model.into() }], &[]).is_err());
}
