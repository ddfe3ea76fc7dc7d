//! Tests of files with several mistakes: one run names all of them.

use super::files::layers;
use super::*;

/// Returns file, pointer and beginning of the reason of each mistake.
fn all_mistakes(texts: &[&str]) -> Vec<String> {
    layers(texts).unwrap_err().list().iter().map(ToString::to_string).collect()
}

/// R318.
#[test]
fn aliases_of_the_factory_state_are_unique() {
    let model = |rows: &str| {
        let template = r#""{i}": { "Alias": { "type": "string", "access": "readWrite" } }"#;
        format!(r#"{{ "Device": {{ "T": {{ {template}, {rows} }} }} }}"#)
    };
    let pointer = |rows: &str| {
        let found = layers(&[&model(rows)]).err().map(|mistakes| mistakes.list()[0].pointer.clone());
        found.unwrap_or_default()
    };
    assert_eq!(pointer(r#""1": { "Alias": "cpe-a" }, "2": {}"#), "");
    assert_eq!(pointer(r#""1": { "Alias": "cpe-a" }, "2": { "Alias": "cpe-a" }"#), "/Device/T/1/Alias");
    assert_eq!(pointer(r#""1": {}, "2": { "Alias": "cpe-1" }"#), "/Device/T/2/Alias");
    assert_eq!(pointer(r#""1": { "Alias": "1st" }"#), "/Device/T/1/Alias");
    // Two that have exchanged the aliases that they had without.
    assert_eq!(pointer(r#""1": { "Alias": "cpe-2" }, "2": { "Alias": "cpe-1" }"#), "");
}

#[test]
fn one_run_names_every_mistake_of_every_file() {
    let base = r#"{ "Device": {
        "A": { "type": "strnig", "acces": "readOnly", "hidden": 1, "min": 3, "value": "x", "B": {} },
        "C": { "type": "int", "min": "1", "max": 1.5, "enum": ["one", "1", "two"], "value": "x", "notify": "never" },
        "D": { "type": "boolean", "maxLength": 3, "pattern": "(", "value": "yes" },
        "E": { "value": "x", "F": { "type": "string", "reference": "soft" }, "g h": {}, "colour": 1 },
        "G": null, "H": { "type": "unsignedInt", "counts": "Nothing" },
        "T": { "access": "write", "maxEntries": -1, "U": {}, "{i}": { "A": { "type": "int", "value": "x" }, "1": {} },
               "1": { "A": "x", "B": "1" }, "2": "x", "3": { "A": "4", "A": "5" } } },
      "Gadget": {},
      "actions": { "explode": ["x"], "reboot": "reboot", "download": { "firmware": { "reboots": 1 },
        "1 x": { "run": ["x", "{name}", "{path}"], "verify": [], "sha265": true, "timeLimit": 0 } } } }"#;
    let overlay = r#"{ "Device": { "E": { "F": { "maxItems": 2 } }, "T": { "4": { "A": "y" } } } }"#;
    let found = all_mistakes(&[base, overlay]);
    let places: Vec<&str> = found.iter().filter_map(|mistake| mistake.split(": ").nth(1)).collect();
    for place in [
        "/Device/T/3/A",
        "/Device/A/acces",
        "/Device/A/hidden",
        "/Device/A/type",
        "/Device/A/B",
        "/Device/C/min",
        "/Device/C/max",
        "/Device/C/notify",
        "/Device/C/enum",
        "/Device/C/value",
        "/Device/D/maxLength",
        "/Device/D/pattern",
        "/Device/D/value",
        "/Device/E/value",
        "/Device/E/colour",
        "/Device/E/g h",
        "/Device/E/F/reference",
        "/Device/E/F/maxItems",
        "/Device/G",
        "/Device/H/counts",
        "/Device/T/access",
        "/Device/T/maxEntries",
        "/Device/T/U",
        "/Device/T/{i}/A/value",
        "/Device/T/{i}/1",
        "/Device/T/1/A",
        "/Device/T/1/B",
        "/Device/T/2",
        "/Device/T/4/A",
        "/Gadget",
        "/actions/explode",
        "/actions/reboot",
        "/actions/download/firmware",
        "/actions/download/firmware/reboots",
        "/actions/download/1 x/run/1",
        "/actions/download/1 x/run/2",
        "/actions/download/1 x/verify",
        "/actions/download/1 x/sha265",
        "/actions/download/1 x/timeLimit",
    ] {
        assert!(places.contains(&place), "{place} is missing: {found:#?}");
    }
    // A wrong type, or a wrong facet, causes no second message about the values.
    assert_eq!(places.iter().filter(|place| place.starts_with("/Device/A/")).count(), 4, "{found:#?}");
    assert!(found.contains(&"1: /Device/T/4/A: not a valid int".to_owned()), "{found:#?}");
    // The syntax of every file is checked, too.
    let syntax = all_mistakes(&["{", GATEWAY, "[]"]);
    assert!(
        syntax[0].starts_with("0: /: not JSON: line 1, column 1: the text ends")
            && syntax[1].starts_with("2: /: an object is"),
        "{syntax:?}"
    );
    // Factory values and references: each of them.
    let loose = r#"{ "Device": { "A": { "type": "string", "reference": "strong", "value": "Device.X" },
                                 "B": { "type": "string", "reference": "strong", "value": "Device.Y" } } }"#;
    let set = [("Device.C".into(), "1".into()), ("Device.D".into(), "1".into())];
    assert_eq!(load(&[file(loose)], &set).unwrap_err().count(), 4);
}

#[test]
fn many_mistakes_are_counted() {
    let members: Vec<String> = (0..40_000).map(|number| format!(r#""N{}": 1"#, number % 20_000)).collect();
    let mistakes = layers(&[&format!(r#"{{ "Device": {{ {} }} }}"#, members.join(","))]).unwrap_err();
    // 20,000 members are given twice, and no member is a node.
    assert_eq!((mistakes.list().len(), mistakes.count()), (50, 60_000));
    assert_eq!(mistakes.list()[0].to_string(), "0: /Device/N0: given twice");
}

#[test]
fn a_member_that_is_given_twice_is_named_by_its_pointer() {
    for (text, pointers) in [
        (r#"{ "Device": {}, "Device": {} }"#, &["/Device"][..]),
        (r#"{ "Device": { "A": { "enum": ["a", { "b": [1, { "c": 1, "c": 2 }] }] } } }"#, &["/Device/A/enum/1/b/1/c"]),
        (r#"{ "Device": { "T": { "{i}": {}, "1": {}, "2": {}, "1": {} } } }"#, &["/Device/T/1"]),
        (
            r#"{ "a/b": 1, "\u0061\/b": 1, "~": {}, "c": 1, "~": { "d": [], "d": 0, "d": 0 } }"#,
            &["/a~1b", "/~0", "/~0/d", "/~0/d"],
        ),
        (
            r#"{ "Device": {}, "actions": { "download": { "1 x": {}, "2 x": {}, "1 x": {} } } }"#,
            &["/actions/download/1 x"],
        ),
    ] {
        let found = all_mistakes(&[text]);
        let twice = found.iter().filter_map(|mistake| mistake.strip_prefix("0: ")?.strip_suffix(": given twice"));
        assert_eq!(twice.collect::<Vec<_>>(), pointers, "{text}");
    }
}
