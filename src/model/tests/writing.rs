//! Tests of the members that tell how values are set on the device.

use super::*;

fn warnings(model: &str) -> Vec<String> {
    load(&[file(model)], &[]).unwrap_or_else(|mistakes| panic!("{mistakes}")).warnings
}

#[test]
fn a_wrong_member_names_the_place_and_the_reason() {
    let uci =
        |members: &str| format!(r#"{{ "Device": {{ "A": {{ "source": {{ "uci": "a", "at": "b", {members} }} }} }} }}"#);
    let exec =
        |members: &str| format!(r#"{{ "Device": {{ "A": {{ "source": {{ "exec": ["/bin/a"], {members} }} }} }} }}"#);
    let field = |members: &str| {
        format!(
            r#"{{ "Device": {{ "A": {{ "source": {{ "uci": "a", "at": "b" }},
                "B": {{ "type": "boolean", "access": "readWrite", "source": {{ "field": "c", {members} }} }} }} }} }}"#
        )
    };
    let table = |members: &str| {
        format!(
            r#"{{ "Device": {{ "T": {{ "source": {{ "uci": "a", "rows": "b", "where": {{ "m": "1" }}, {members} }},
                "{{i}}": {{ "B": {{ "type": "string" }} }} }} }} }}"#
        )
    };
    let reload = |members: &str| format!(r#"{{ "Device": {{}}, "reloads": {{ "x": {members} }} }}"#);
    for (model, pointer, reason) in [
        (uci(r#""set": "write""#), "/Device/A/source/set", "true or false is needed"),
        (uci(r#""can": ["set"]"#), "/Device/A/source/can", "only an `exec` source has it"),
        (uci(r#""reload": "y""#), "/Device/A/source/reload", "no `y` in `reloads`"),
        (exec(r#""can": ["sett"]"#), "/Device/A/source/can", "`sett` is not a verb"),
        (exec(r#""can": "set""#), "/Device/A/source/can", "a list of strings is needed"),
        (exec(r#""set": true"#), "/Device/A/source/set", "false is needed"),
        (field(r#""write": { "maybe": "x" }"#), "/Device/A/B/source/write/maybe", "not a valid boolean"),
        (field(r#""write": { "true": 1 }"#), "/Device/A/B/source/write/true", "a string or null is needed"),
        (field(r#""write": []"#), "/Device/A/B/source/write", "an object is needed"),
        (field(r#""allow": "(""#), "/Device/A/B/source/allow", "not a regular expression"),
        (field(r#""allow": 1"#), "/Device/A/B/source/allow", "a string is needed"),
        (field(r#""bytes": -1"#), "/Device/A/B/source/bytes", "not a whole number"),
        (field(r#""reload": "none""#), "/Device/A/B/source/reload", "only a source of its own has it"),
        (table(r#""name": "x_{number}""#), "/Device/T/source/name", "only a table with `add` has it"),
        (table(r#""add": 1"#), "/Device/T/source/add", "an object is needed"),
        (table(r#""add": { "a": 1 }"#), "/Device/T/source/add", "a string is needed for `a`"),
        (table(r#""add": { "a-b": "1" }"#), "/Device/T/source/add", "`a-b` is no option"),
        (table(r#""add": { "a": "1" }"#), "/Device/T/source/add", "`m` is needed as in `where`"),
        (table(r#""add": { "m": "1" }, "name": "x""#), "/Device/T/source/name", "with `{number}` in it"),
        (table(r#""add": { "m": "1" }, "set": false"#), "/Device/T/source/add", "only a `uci` that can be set"),
        (uci(r#""add": {}"#), "/Device/A/source/add", "only the source of a table has it"),
        (reload("[]"), "/reloads/x", "an object is needed"),
        (reload("{}"), "/reloads/x", "one of `run` and `ubus` is needed"),
        (reload(r#"{ "run": ["/bin/a"], "ubus": ["a", "b"] }"#), "/reloads/x", "one of `run` and `ubus` is needed"),
        (reload(r#"{ "run": ["a"] }"#), "/reloads/x/run", "the absolute path of a program"),
        (reload(r#"{ "ubus": ["a"] }"#), "/reloads/x/ubus", "a list of an object, a method"),
        (reload(r#"{ "ubus": ["a", "b", { "c": null }] }"#), "/reloads/x/ubus", "a list of an object, a method"),
        (reload(r#"{ "run": ["/bin/a"], "settle": 601 }"#), "/reloads/x/settle", "seconds up to 600"),
        (reload(r#"{ "run": ["/bin/a"], "up": "wan" }"#), "/reloads/x/up", "an object is needed with `ubus`"),
        (
            reload(r#"{ "run": ["/bin/a"], "up": { "ubus": "wan", "method": "status", "at": "a[" } }"#),
            "/reloads/x/up",
            "`at`, a path",
        ),
        (reload(r#"{ "run": ["/bin/a"], "limit": 0 }"#), "/reloads/x/limit", "seconds up to 600"),
        (reload(r#"{ "run": ["/bin/a"], "order": "x" }"#), "/reloads/x/order", "a whole number is needed"),
        (reload(r#"{ "run": ["/bin/a"], "when": "now" }"#), "/reloads/x/when", "`end` or `answer` is needed"),
        (reload(r#"{ "run": ["/bin/a"], "ordr": 1 }"#), "/reloads/x/ordr", "not a member of a reload"),
        (
            reload(r#"{ "run": ["/bin/a"], "confirmMinutes": 1 }"#),
            "/reloads/x/confirmMinutes",
            "0 or minutes from 2 to 60",
        ),
        (reload(r#"{ "confirmMinutes": 61 }"#), "/reloads/x/confirmMinutes", "0 or minutes from 2 to 60"),
        (reload(r#"{ "confirmMinutes": "5" }"#), "/reloads/x/confirmMinutes", "0 or minutes from 2 to 60"),
        (reload(r#"{ "settle": 5 }"#), "/reloads/x", "one of `run` and `ubus` is needed"),
        (r#"{ "Device": {}, "reloads": { "none": { "run": ["/a"] } } }"#.to_owned(), "/reloads/none", "stands for no"),
        (r#"{ "Device": {}, "reloads": [] }"#.to_owned(), "/reloads", "an object is needed"),
    ] {
        let mistakes = load(&[file(&model)], &[]).expect_err(&model);
        let found = mistakes.list().iter().any(|mistake| mistake.pointer == pointer && mistake.reason.contains(reason));
        assert!(found, "{model}: {mistakes}");
    }
}

#[test]
fn what_can_be_set_is_writable() {
    let model = r#"{ "Device": {
        "U": { "source": { "uci": "a", "at": "b" },
          "A": { "type": "string", "access": "readWrite", "pattern": "x*", "source": "c" },
          "B": { "type": "string", "source": "c" },
          "C": { "type": "string", "access": "readWrite", "source": { "field": "c", "match": "(x)" } },
          "D": { "type": "string", "access": "readWrite", "source": { "field": "c", "set": false } },
          "E": { "type": "string", "access": "readWrite", "source": ".name" },
          "F": { "type": "string", "access": "readWrite", "source": "free" },
          "G": { "type": "string", "access": "readWrite", "source": { "field": "c", "allow": "x*" } } },
        "V": { "source": { "uci": "a", "at": "b", "set": false },
          "A": { "type": "string", "access": "readWrite", "source": "c" } },
        "P": { "source": { "exec": ["/bin/p"], "can": ["get", "set"] },
          "A": { "type": "string", "access": "readWrite", "source": "c" } },
        "Q": { "source": { "exec": ["/bin/p"] }, "A": { "type": "string", "access": "readWrite", "source": "c" } },
        "G": { "type": "string", "access": "readWrite", "source": { "file": "/a", "set": "replace" } },
        "H": { "type": "string", "access": "readWrite", "source": { "file": "/a", "set": "write", "word": 2 } },
        "I": { "type": "string", "access": "readWrite", "source": { "file": "/a" } },
        "J": { "type": "unsignedInt", "access": "readWrite", "source": { "builtin": "system", "field": "uptime" } } } }"#;
    let tree = load(&[file(model)], &[]).unwrap_or_else(|mistakes| panic!("{mistakes}")).tree;
    let writable = |name: &str| tree.parameter(&format!("Device.{name}")).expect("a parameter").spec.writable;
    let names = ["U.A", "U.B", "U.C", "U.D", "U.E", "U.F", "V.A", "P.A", "Q.A", "G", "H", "I", "J"];
    let set: Vec<&str> = names.into_iter().filter(|name| writable(name)).collect();
    assert_eq!(set, ["U.A", "U.C", "U.F", "P.A", "G"]);
    // A script of the device may split a free text at its spaces.
    let warnings = warnings(model);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("Device.U.C: ") && warnings[1].starts_with("Device.U.F: "), "{warnings:?}");
}
