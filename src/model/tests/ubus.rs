//! Tests of sources on the bus of OpenWrt: the members of the format, and the way from an answer to instances and values.

use std::time::Duration;

use super::*;
use crate::model::source::blob::{ARRAY, BOOLEAN, Blob, TABLE, TEXT, WHOLE_32, put_element};
use crate::model::source::{Answer, Answers, Response};
use crate::model::tree::{Mode, Settled, Wanted};

#[test]
fn a_wrong_call_names_the_place_and_the_reason() {
    let field = |members: &str| {
        format!(r#"{{ "Device": {{ "A": {{ "type": "string", "source": {{ "ubus": "system", {members} }} }} }} }}"#)
    };
    let table = |source: &str| {
        format!(r#"{{ "Device": {{ "A": {{ "source": {source}, "{{i}}": {{ "B": {{ "type": "string" }} }} }} }} }}"#)
    };
    for (model, pointer, reason) in [
        (field(r#""field": "x""#), "", "`method` is needed"),
        (field(r#""field": "x", "method": """#), "/method", "not the name of a method"),
        (field(r#""field": "x", "method": "m", "args": []"#), "/args", "an object is needed"),
        (
            field(r#""field": "x", "method": "m", "args": { "a": 0.5 }"#),
            "/args/a",
            "a text, a whole number or a boolean",
        ),
        (field(r#""field": "x", "method": "m", "args": { "a": "{key}" }"#), "/args/a", "no table above it"),
        (field(r#""field": "x", "method": "m", "at": "a..b""#), "/at", "names joined by `.`"),
        (field(r#""field": "x", "method": "m", "key": "a""#), "/key", "an unknown member"),
        (field(r#""field": "x[y]", "method": "m""#), "/field", "neither a number nor"),
        (field(r#""field": "x[y={key}]", "method": "m""#), "/field", "placeholders stand in `at`"),
        (field(r#""method": "m""#), "", "`field` is needed"),
        (field(r#""method": "m", "word": 1"#), "", "`field` is needed"),
        (table(r#"{ "ubus": "a*", "method": "m", "key": "." }"#), "/ubus", "letters, digits and"),
        (table(r#"{ "ubus": "a", "method": "m" }"#), "", "`key` is needed"),
        (table(r#"{ "ubus": "a", "method": "m", "key": ".", "rows": "[" }"#), "/rows", "`[` without `]`"),
        (table(r#"{ "ubus": "a", "method": "m", "key": ".", "at": "x" }"#), "/at", "a table has all rows"),
        (table(r#"{ "builtin": "link", "key": "." }"#), "/key", "only a `ubus` source has it"),
        (table(r#"{ "exec": ["/x"], "method": "m" }"#), "/method", "only a `ubus` source has it"),
        (
            table(r#"{ "builtin": "link", "also": { "x": { "file": "/x", "args": {} } } }"#),
            "/also/x/args",
            "only a `ubus`",
        ),
    ] {
        let error = load(&[file(&model)], &[]).expect_err(&model);
        let mistake = &error.list()[0];
        assert_eq!(mistake.pointer, format!("/Device/A/source{pointer}"), "{error}");
        assert!(mistake.reason.contains(reason), "{error}");
    }
}

/// Interfaces with their addresses; one call serves both tables and the details of each interface.
const DEVICE: &str = r#"{ "Device": {
    "Uptime": { "type": "unsignedInt", "source": { "ubus": "system", "method": "info", "field": "uptime" } },
    "Server": { "source": { "ubus": "net", "method": "dump", "args": { "all": true }, "rows": "dns", "key": "." },
      "{i}": { "Address": { "type": "string", "source": "." } } },
    "Interface": {
      "source": { "ubus": "net", "method": "dump", "args": { "all": true }, "rows": "interface", "key": "name", "where": { "up": "true" },
        "also": { "device": { "ubus": "device", "method": "status", "at": "{key}" },
                  "own": { "ubus": "net.{key}", "method": "status", "args": { "name": "{key}" } } } },
      "{i}": { "Name": { "type": "string", "source": "name" },
        "First": { "type": "string", "source": { "field": "address[0].ip", "absent": "none" } },
        "MTU": { "type": "unsignedInt", "source": "device:mtu" },
        "State": { "type": "string", "source": "own:state" },
        "Address": { "source": { "ubus": "net.{parent}", "method": "status", "args": { "name": "{parent}" }, "rows": "address", "key": "ip" },
          "{i}": { "IP": { "type": "string", "source": "ip" } } } } } } }"#;

fn text(name: &str, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_element(&mut bytes, TEXT, name, format!("{text}\0").as_bytes());
    bytes
}

fn value(kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_element(&mut bytes, kind, name, value);
    bytes
}

fn addresses(texts: &[&str]) -> Vec<u8> {
    let rows: Vec<Vec<u8>> = texts.iter().map(|ip| value(TABLE, "", &text("ip", ip))).collect();
    value(ARRAY, "address", &rows.concat())
}

fn interface(name: &str, up: bool, ips: &[&str]) -> Vec<u8> {
    value(TABLE, "", &[text("name", name), value(BOOLEAN, "up", &[up.into()]), addresses(ips)].concat())
}

/// Answers a question in words.
fn bus(question: &str) -> Vec<u8> {
    match question {
        "ubus system info" => value(WHOLE_32, "uptime", &77_u32.to_be_bytes()),
        "ubus net dump all=true" => {
            let list = [
                interface("lan", true, &["10.0.0.1", "10.0.0.2"]),
                interface("off", false, &[]),
                interface("wan.7", true, &[]),
            ];
            [
                value(ARRAY, "interface", &list.concat()),
                value(ARRAY, "dns", &[text("", "::1"), text("", "9.9.9.9")].concat()),
            ]
            .concat()
        }
        "ubus device status" => {
            let mtu = |name: &str, mtu: u32| value(TABLE, name, &value(WHOLE_32, "mtu", &mtu.to_be_bytes()));
            [mtu("lan", 1500), mtu("wan.7", 1492)].concat()
        }
        "ubus net.lan status name=lan" => [text("state", "ok"), addresses(&["10.0.0.1", "10.0.0.2"])].concat(),
        "ubus net.wan.7 status name=wan.7" => text("state", "down"),
        other => panic!("{other}"),
    }
}

/// Asks in rounds, as the device does. Returns the questions of each round.
fn refresh(tree: &mut Tree, bus: &dyn Fn(&str) -> Vec<u8>) -> Vec<Vec<String>> {
    let (wanted, mut rounds) = (Wanted::values(vec![String::new()]), Vec::new());
    let (mut answers, mut settled) = (Answers::default(), Settled::default());
    loop {
        let plan = tree.plan(&wanted, &answers, Mode::Refresh, &mut settled);
        if plan.queries.is_empty() && plan.rows.is_empty() {
            for reading in plan.readings {
                tree.set_runtime_value_in(&reading.place, reading.value.unwrap());
            }
            return rounds;
        }
        plan.rows.kept.iter().chain(&plan.rows.loose).for_each(|change| tree.apply(change).unwrap());
        rounds.push(plan.queries.iter().map(|query| query.target.to_string()).collect());
        for query in plan.queries {
            let answer = Ok(Answer::Tree(Blob::new(&bus(&query.target.to_string())).unwrap()));
            answers.add(query, Response { answer, took: Duration::ZERO });
        }
    }
}

#[test]
fn one_call_serves_all_rows_and_fields() {
    let mut tree = load(&[file(DEVICE)], &[]).unwrap().tree;
    let rounds = refresh(&mut tree, &bus);
    assert_eq!(rounds[0], ["ubus system info", "ubus net dump all=true"]);
    assert_eq!(
        rounds.concat().len(),
        2 + 3,
        "the details of two interfaces and of all devices are one call each: {rounds:?}"
    );
    assert_eq!(
        values(&tree, "").unwrap(),
        [
            "Device.Uptime=77",
            "Device.Server.1.Address=::1",
            "Device.Server.2.Address=9.9.9.9",
            "Device.Interface.1.Name=lan",
            "Device.Interface.1.First=10.0.0.1",
            "Device.Interface.1.MTU=1500",
            "Device.Interface.1.State=ok",
            "Device.Interface.1.Address.1.IP=10.0.0.1",
            "Device.Interface.1.Address.2.IP=10.0.0.2",
            // The dot in the name of a link divides no path.
            "Device.Interface.2.Name=wan.7",
            "Device.Interface.2.First=none",
            "Device.Interface.2.MTU=1492",
            "Device.Interface.2.State=down",
        ]
    );
    // A text in place of a list takes no instance away, and a list that is gone does.
    let before = values(&tree, "").unwrap();
    let odd = |question: &str| match question {
        "ubus net dump all=true" => [text("interface", "x"), text("dns", "x")].concat(),
        other => bus(other),
    };
    refresh(&mut tree, &odd);
    let names = |values: &[String]| values.iter().map(|v| v.split('=').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&values(&tree, "").unwrap()), names(&before));
    refresh(&mut tree, &|question| if question.contains("dump") { Vec::new() } else { bus(question) });
    assert_eq!(values(&tree, "").unwrap(), ["Device.Uptime=77"]);
}

/// The name of an object comes from the device: one that is not plain reaches no other object.
#[test]
fn a_name_that_is_not_plain_is_not_asked() {
    let model = r#"{ "Device": { "T": { "source": { "ubus": "net", "method": "dump", "key": "." },
        "{i}": { "A": { "type": "string", "source": { "ubus": "net.{key}", "method": "status", "field": "a", "absent": "-" } } } } } }"#;
    let mut tree = load(&[file(model)], &[]).unwrap().tree;
    let rounds = refresh(&mut tree, &|question| match question {
        "ubus net dump" => [text("*", ""), text("a b", ""), text("lan", "")].concat(),
        "ubus net.lan status" => text("a", "x"),
        other => panic!("{other}"),
    });
    assert_eq!(rounds.concat(), ["ubus net dump", "ubus net.lan status"]);
    assert_eq!(values(&tree, "").unwrap(), ["Device.T.1.A=-", "Device.T.2.A=-", "Device.T.3.A=x"]);
}

/// A method that sets a field has one argument for its text.
#[test]
fn a_method_that_sets_a_field_is_complete() {
    let load_with = |set: &str| {
        let model = format!(
            r#"{{ "Device": {{ "A": {{ "type": "string", "access": "readWrite",
                "source": {{ "ubus": "led", "method": "get", "field": "a", "set": {set} }} }} }} }}"#
        );
        let loaded = load(&[file(&model)], &[]);
        loaded.map(|model| model.tree.parameter("Device.A").unwrap().spec.writable).map_err(|error| error.to_string())
    };
    assert_eq!(load_with(r#"{ "method": "set", "args": { "a": "{value}", "fast": true, "level": 3 } }"#), Ok(true));
    assert_eq!(load_with("false"), Ok(false));
    for (set, reason) in [
        ("true", "false is needed, or no `set`"),
        ("{}", "`method` is needed"),
        (r#"{ "method": "set" }"#, "`args` is needed"),
        (r#"{ "method": "set", "args": { "a": "x" } }"#, "one argument is needed that is `{value}`"),
        (r#"{ "method": "set", "args": { "a": "{value}", "b": "{value}" } }"#, "one argument is needed"),
        (r#"{ "method": "set", "args": { "a": "{value}", "b": [] } }"#, "a text, a whole number or a boolean"),
        (r#"{ "method": "set", "args": { "a": "{value}" }, "of": "x" }"#, "`of` is no member"),
    ] {
        let refused = load_with(set).unwrap_err();
        assert!(refused.contains(reason), "{set}: {refused}");
    }
}
