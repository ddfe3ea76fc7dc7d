//! Tests of sources: the members of the format, and the way from answers to instances and values.

use std::time::Duration;

use super::*;
use crate::model::facets::PatternCache;
use crate::model::source::{Answer, Answers, Query, Response, Row, Target, Watching};
use crate::model::tree::{Mode, Plan, Settled, Wanted};

/// A device with interfaces, their addresses, and a program.
const DEVICE: &str = r#"{ "Device": {
    "UpTime": { "type": "unsignedInt", "access": "readWrite", "source": { "file": "/proc/uptime", "word": 1, "as": "whole" } },
    "Count": { "type": "unsignedInt", "counts": "Interface" },
    "Interface": { "access": "readWrite",
      "source": { "builtin": "link", "where": { "kind": ["physical", "bridge"] },
                  "also": { "same": { "builtin": "link", "at": "{key}" } } },
      "3": { "source": { "key": "wan" } },
      "{i}": { "Name": { "type": "string", "source": "same:name" },
               "Lower": { "type": "string", "list": true, "source": { "field": "lower", "path": "Device.Interface.*" } },
               "MTU": { "type": "unsignedInt", "max": 9000, "source": { "file": "/run/{key}/mtu", "absent": "1500" } },
               "Label": { "type": "string", "maxLength": 4, "source": "address" },
               "Address": { "source": { "builtin": "address", "where": { "device": "{parent}" }, "numbers": "loose" },
                 "{i}": { "IP": { "type": "string", "source": "address" } } } } },
    "Led": { "source": { "exec": ["/bin/led"] }, "Mode": { "type": "string", "source": "mode" },
      "Colour": { "type": "string", "source": { "field": "colour", "absent": "none" } } } } }"#;

fn device() -> Tree {
    load(&[file(DEVICE)], &[]).unwrap().tree
}

pub(super) fn link(name: &str, kind: &str, lower: &str) -> Row {
    let mut row = Row::new(name);
    row.set("name", name);
    row.set("kind", kind);
    row.set("lower", lower);
    row.set("address", format!("addr-of-{name}"));
    row
}

fn address(device: &str, text: &str) -> Row {
    let mut row = Row::new(text);
    row.set("device", device);
    row.set("address", text);
    row
}

fn built_in(provider: &str) -> Query {
    Query {
        target: Target::BuiltIn { provider: provider.into(), argument: String::new() },
        limit: 5,
        age: 0,
        watching: Watching::default(),
    }
}

fn file_query(path: &str) -> Query {
    Query { target: Target::File { path: path.into(), rows: None }, limit: 5, age: 0, watching: Watching::default() }
}

/// Asks in rounds, as the device does. Returns the last plan, and the queries of each round in words.
pub(super) fn refresh(
    tree: &mut Tree,
    paths: &[&str],
    answer: &dyn Fn(&Query) -> Result<Answer, String>,
) -> (Plan, Vec<Vec<String>>) {
    let wanted = Wanted::values(paths.iter().map(|path| (*path).to_owned()).collect());
    let (mut answers, mut settled, mut rounds) = (Answers::default(), Settled::default(), Vec::new());
    loop {
        let plan = tree.plan(&wanted, &answers, Mode::Refresh, &mut settled);
        if plan.queries.is_empty() && plan.rows.is_empty() {
            for reading in &plan.readings {
                if let Ok(value) = &reading.value {
                    tree.set_runtime_value_in(&reading.place, value.clone());
                }
            }
            return (plan, rounds);
        }
        plan.rows.kept.iter().chain(&plan.rows.loose).for_each(|change| tree.apply(change).unwrap());
        if !plan.queries.is_empty() {
            let mut asked: Vec<String> = plan.queries.iter().map(|query| query.target.to_string()).collect();
            asked.sort_unstable();
            rounds.push(asked);
        }
        for query in plan.queries {
            let response = Response { answer: answer(&query), took: Duration::ZERO };
            answers.add(query, response);
        }
        assert!(rounds.len() < 9, "{rounds:?}");
    }
}

pub(super) fn world(links: Vec<Row>, addresses: Vec<Row>) -> impl Fn(&Query) -> Result<Answer, String> {
    move |query| match &query.target {
        target if *target == built_in("link").target => Ok(Answer::Rows(links.clone())),
        target if *target == built_in("address").target => Ok(Answer::Rows(addresses.clone())),
        target if *target == file_query("/proc/uptime").target => Ok(Answer::Text("12345.67 9.0\n".into())),
        Target::File { path, .. } if path == "/run/lan/mtu" => Ok(Answer::Text("9001".into())),
        Target::File { path, .. } if path == "/run/wan/mtu" => Ok(Answer::Text(" 1492\n".into())),
        Target::Exec { command, input } => {
            assert_eq!((command.join(" ").as_str(), input.as_str()), ("/bin/led get", "mode\ncolour\n"));
            let mut row = Row::new("");
            row.set("mode", "a\u{1}b");
            Ok(Answer::Rows(vec![row]))
        }
        _ => Err("not there".into()),
    }
}

fn gateway_world() -> impl Fn(&Query) -> Result<Answer, String> {
    let links = vec![
        link("lo", "loopback", ""),
        link("lan", "physical", ""),
        link("br", "bridge", "lan wan none"),
        link("wan", "physical", ""),
    ];
    world(links, vec![address("wan", "192.0.2.1"), address("lan", "192.168.1.1"), address("lan", "192.168.1.2")])
}

#[test]
fn the_instances_are_the_rows_of_the_device() {
    let mut tree = device();
    let (plan, rounds) = refresh(&mut tree, &[""], &gateway_world());
    // The pin has its number, and the numbers of the others begin behind it. `lo` is no row of the table.
    assert_eq!(
        values(&tree, "").unwrap(),
        [
            "Device.UpTime=12345",
            "Device.Count=3",
            "Device.Interface.3.Name=wan",
            "Device.Interface.3.Lower=",
            "Device.Interface.3.MTU=1492",
            "Device.Interface.3.Label=addr",
            "Device.Interface.3.Address.1.IP=192.0.2.1",
            "Device.Interface.4.Name=lan",
            "Device.Interface.4.Lower=",
            // 9001 is beyond the range: it costs only itself.
            "Device.Interface.4.MTU=0",
            "Device.Interface.4.Label=addr",
            "Device.Interface.4.Address.1.IP=192.168.1.1",
            "Device.Interface.4.Address.2.IP=192.168.1.2",
            "Device.Interface.5.Name=br",
            "Device.Interface.5.Lower=Device.Interface.4,Device.Interface.3",
            "Device.Interface.5.MTU=0",
            "Device.Interface.5.Label=addr",
            // A character that XML cannot carry is replaced.
            "Device.Led.Mode=a\u{FFFD}b",
            "Device.Led.Colour=none",
        ]
    );
    let unfit: Vec<_> = plan.readings.iter().filter_map(|r| Some((r.name.as_str(), r.value.as_ref().err()?))).collect();
    assert_eq!(unfit.len(), 1, "{unfit:?}");
    // All that does not depend on another answer is asked at once, and each question once.
    assert_eq!(rounds[0], ["builtin link", "exec /bin/led get", "file /proc/uptime"]);
    assert_eq!(rounds[1], ["builtin address", "file /run/br/mtu", "file /run/lan/mtu", "file /run/wan/mtu"]);
    assert_eq!(rounds.len(), 2);
    // What has a source cannot be set, whatever the model says.
    assert!(tree.check_set("Device.UpTime", DeclaredType::Any, "1", &PatternCache::default()).is_err());
    assert_eq!(tree.check_add(&Path::parse("Device.Interface.").unwrap()), Err(PathError::NotCreatable));
}

/// `{parent}` in the source of a table is the row that holds the table, for its rows and for the fields of each.
#[test]
fn the_source_of_a_table_within_a_table_is_about_the_row_above() {
    let model = r#"{ "Device": { "Interface": { "source": { "builtin": "link" }, "{i}": {
        "Client": { "source": { "file": "/run/{parent}/clients", "rows": "(?<key>\\S+) (?<age>\\S+)" },
          "{i}": { "Age": { "type": "string", "source": "age" } } } } } } }"#;
    let mut tree = load(&[file(model)], &[]).unwrap().tree;
    let (_, rounds) = refresh(&mut tree, &[""], &|query| match &query.target {
        Target::File { path, rows } if path == "/run/lan/clients" => {
            Ok(Answer::Rows(crate::model::source::excerpt::rows("anna 5\n", rows.as_deref().unwrap())))
        }
        _ => Ok(Answer::Rows(vec![link("lan", "physical", "")])),
    });
    assert_eq!(rounds.concat(), ["builtin link", "file /run/lan/clients"]);
    assert_eq!(values(&tree, "").unwrap(), ["Device.Interface.1.Client.1.Age=5"]);
}

#[test]
fn only_what_is_wanted_is_asked_for() {
    let rounds = |paths: &[&str]| {
        let mut tree = device();
        refresh(&mut tree, paths, &gateway_world()).1.concat()
    };
    assert_eq!(rounds(&["Device.UpTime"]), ["file /proc/uptime"]);
    assert_eq!(rounds(&["Device.Led."]), ["exec /bin/led get"]);
    assert_eq!(rounds(&["Device.Count"]), ["builtin link"]);
    assert_eq!(rounds(&["Device.Interface.3.Name"]), ["builtin link"]);
    assert_eq!(rounds(&["Device.Interface.3.MTU"]), ["builtin link", "file /run/wan/mtu"]);
    assert_eq!(rounds(&["Device.Interface.9."]), ["builtin link"]);
    assert!(rounds(&["Device.Other"]).is_empty());
    let instances = Wanted::instances(vec!["Device.".into()]);
    let plan = device().plan(&instances, &Answers::default(), Mode::Refresh, &mut Settled::default());
    assert_eq!(plan.queries, [built_in("link")], "no values");
}

#[test]
fn an_instance_keeps_its_number_and_no_other_row_gets_it() {
    let mut tree = device();
    refresh(&mut tree, &[""], &gateway_world());
    let without_lan = world(vec![link("br", "bridge", ""), link("usb", "physical", "")], Vec::new());
    refresh(&mut tree, &[""], &without_lan);
    assert_eq!(values(&tree, "Device.Interface.6.").unwrap()[0], "Device.Interface.6.Name=usb");
    assert_eq!(names(&tree, "Device.Interface.", true), ["Device.Interface.5. ro", "Device.Interface.6. ro"]);
    // A row that returns is a new instance; the pinned one has its number again.
    refresh(&mut tree, &[""], &gateway_world());
    let found = names(&tree, "Device.Interface.", true);
    assert_eq!(found, ["Device.Interface.3. ro", "Device.Interface.5. ro", "Device.Interface.7. ro"]);
    // The journal leads to the same numbers, with the same keys.
    let mut restored = device();
    for change in tree.changes_from_factory() {
        let read = Change::from_json(&change.to_json(), &restored, &PatternCache::default()).unwrap();
        restored.apply(&read).unwrap();
    }
    assert_eq!(names(&restored, "Device.Interface.", true), found);
    let (plan, _) = refresh(&mut restored, &[""], &gateway_world());
    assert!(plan.rows.is_empty());
    assert_eq!(names(&restored, "Device.Interface.", true), found);
}

#[test]
fn a_row_of_a_loose_table_gets_its_number_back() {
    let addresses = |texts: &[&str]| {
        world(vec![link("lan", "physical", "")], texts.iter().map(|text| address("lan", text)).collect())
    };
    let path = "Device.Interface.4.Address.";
    let mut tree = device();
    let plan = |tree: &mut Tree, texts: &[&str]| refresh(tree, &[""], &addresses(texts)).0;
    plan(&mut tree, &["a", "b"]);
    plan(&mut tree, &["b"]);
    plan(&mut tree, &["b", "c", "a"]);
    let ips: Vec<String> = values(&tree, path).unwrap();
    assert_eq!(ips, [format!("{path}1.IP=a"), format!("{path}2.IP=b"), format!("{path}3.IP=c")]);
    // The journal marks numbers as used in advance: a start after a power cut gives none again.
    let mut restored = device();
    let kept = tree
        .changes_from_factory()
        .into_iter()
        .filter(|change| !matches!(change, Change::Row(table, ..) if table.contains("Address")));
    kept.for_each(|change| {
        restored
            .apply(&Change::from_json(&change.to_json(), &restored.clone(), &PatternCache::default()).unwrap())
            .unwrap()
    });
    plan(&mut restored, &["d"]);
    assert_eq!(values(&restored, path).unwrap(), [format!("{path}259.IP=d")]);
}

#[test]
fn a_failed_source_takes_nothing_away() {
    let mut tree = device();
    refresh(&mut tree, &[""], &gateway_world());
    let before = values(&tree, "").unwrap();
    let (plan, _) = refresh(&mut tree, &[""], &|_| Err("gone".into()));
    assert!(plan.readings.is_empty());
    assert_eq!(values(&tree, "").unwrap(), before);
    // An answer without rows takes them away.
    refresh(&mut tree, &[""], &world(Vec::new(), Vec::new()));
    assert_eq!(tree.get("Device.Count").unwrap().to_string(), "0");
}

#[test]
fn a_table_has_a_bound_and_those_known_come_first() {
    let model = DEVICE.replace(r#""Interface": { "#, r#""Interface": { "maxEntries": 2, "#);
    let mut tree = load(&[file(&model)], &[]).unwrap().tree;
    refresh(&mut tree, &[""], &world(vec![link("b", "physical", "")], Vec::new()));
    let many: Vec<Row> = ["a", "b", "c"].iter().map(|name| link(name, "physical", "")).collect();
    refresh(&mut tree, &[""], &world(many, Vec::new()));
    let names: Vec<String> =
        values(&tree, "Device.Interface.").unwrap().into_iter().filter(|v| v.contains("Name")).collect();
    assert_eq!(names, ["Device.Interface.4.Name=b", "Device.Interface.5.Name=a"]);
}

#[test]
fn a_journal_of_another_model_is_read_as_far_as_it_fits() {
    let plain =
        load(&[file(r#"{ "Device": { "Interface": { "access": "readWrite", "{i}": {} } } }"#)], &[]).unwrap().tree;
    let row = Change::Row("Device.Interface.".into(), 4, "lan".into(), 0).to_json();
    assert!(Change::from_json(&row, &plain, &PatternCache::default()).unwrap_err().contains("the table has no source"));
    let added = Change::Add("Device.Interface.".into(), 4).to_json();
    assert!(Change::from_json(&added, &device(), &PatternCache::default()).unwrap_err().contains("rows of a source"));
}

/// A source that fails leaves alone what depends on it by placeholders: a file, a part of an answer, and the rows of a table.
#[test]
fn a_failed_source_takes_nothing_away_from_those_that_depend_on_it() {
    const MODEL: &str = r#"{ "Device": {
        "O": { "source": { "also": { "x": { "builtin": "link", "at": "lan" } } },
          "MTU": { "type": "string", "source": { "file": "/run/{x:name}/mtu", "absent": "none" } },
          "Row": { "type": "string", "source": { "builtin": "address", "at": "{x:address}", "field": "device", "absent": "none" } },
          "T": { "source": { "builtin": "address", "where": { "device": "{x:name}" } }, "{i}": { "IP": { "type": "string", "source": "address" } } } },
        "P": { "source": { "exec": ["/bin/p"] }, "{i}": { "A": { "type": "string", "source": "a" } } } } }"#;
    let answer = |fails: bool| {
        move |query: &Query| match &query.target {
            Target::BuiltIn { provider, .. } if provider == "link" && fails => Err("gone".into()),
            Target::BuiltIn { provider, .. } if provider == "link" => {
                Ok(Answer::Rows(vec![link("lan", "physical", "")]))
            }
            Target::BuiltIn { .. } => Ok(Answer::Rows(vec![address("lan", "addr-of-lan")])),
            Target::Exec { .. } if fails => Err("exit status 1".into()),
            Target::Exec { .. } => {
                let mut row = Row::new("k");
                row.set("a", "5");
                Ok(Answer::Rows(vec![row]))
            }
            _ => Ok(Answer::Text("1500\n".into())),
        }
    };
    let mut tree = load(&[file(MODEL)], &[]).unwrap().tree;
    refresh(&mut tree, &[""], &answer(false));
    let before = values(&tree, "").unwrap();
    assert_eq!(before, ["Device.O.MTU=1500", "Device.O.Row=lan", "Device.O.T.1.IP=addr-of-lan", "Device.P.1.A=5"]);
    refresh(&mut tree, &[""], &answer(true));
    assert_eq!(values(&tree, "").unwrap(), before);
}

/// Sections of UCI packages: one answer serves all sections of a package, and an anonymous section keeps its number.
#[test]
fn the_sections_of_a_package_are_rows_and_fields() {
    const MODEL: &str = r#"{ "Device": {
        "Host": { "type": "string", "source": { "uci": "net", "at": "@system[-1]", "field": "hostname" } },
        "Lan": { "source": { "uci": "net", "at": "lan" }, "Ports": { "type": "string", "list": true, "source": { "field": "ports", "as": "words" } } },
        "If": { "source": { "uci": "net", "rows": "if", "where": { "off": ["", "0"] } }, "1": { "source": { "key": "wan" } },
          "{i}": { "Name": { "type": "string", "source": ".name" }, "Order": { "type": "unsignedInt", "source": ".position" } } },
        "Rule": { "source": { "uci": "net", "rows": "rule", "identity": ["name"] },
          "{i}": { "Order": { "type": "unsignedInt", "source": ".position" }, "Target": { "type": "string", "source": "target" } } } } }"#;
    const RULES: &str = "c rule\no name a\no target A\nc rule\no name b\no target B\nc rule\no name c\no target C\n";
    let text = |rules: &str| {
        format!("c if lan\nl ports lan1\nl ports lan2\nc if x\no off 1\nc if wan\nc system\no hostname gw\n{rules}")
    };
    let answer = |text: String| {
        move |query: &Query| match &query.target {
            Target::Uci { package, identity } if package == "net" => {
                crate::model::source::uci::rows(&text, identity.as_ref()).map(Answer::Rows)
            }
            _ => Err("not there".into()),
        }
    };
    let mut tree = load(&[file(MODEL)], &[]).unwrap().tree;
    let (_, rounds) = refresh(&mut tree, &[""], &answer(text(RULES)));
    assert_eq!(rounds, [["uci net", "uci net rule"]]);
    assert_eq!(
        values(&tree, "").unwrap(),
        [
            "Device.Host=gw",
            "Device.Lan.Ports=lan1,lan2",
            "Device.If.1.Name=wan",
            "Device.If.1.Order=3",
            "Device.If.2.Name=lan",
            "Device.If.2.Order=1",
            "Device.Rule.1.Order=1",
            "Device.Rule.1.Target=A",
            "Device.Rule.2.Order=2",
            "Device.Rule.2.Target=B",
            "Device.Rule.3.Order=3",
            "Device.Rule.3.Target=C",
        ]
    );
    // Another section goes, and the rest changes places: libuci gives each another name.
    refresh(&mut tree, &[""], &answer(text("c rule\no name c\no target D\nc rule\no name b\no target B\n")));
    assert_eq!(
        values(&tree, "Device.Rule.").unwrap(),
        ["Device.Rule.2.Order=2", "Device.Rule.2.Target=B", "Device.Rule.3.Order=1", "Device.Rule.3.Target=D"]
    );
    // A package with a mistake is no package, whatever stands before the mistake.
    refresh(&mut tree, &[""], &answer(text("c rule 'x\n")));
    assert_eq!(values(&tree, "Device.Rule.").unwrap().len(), 4);
}

#[test]
fn a_reference_leads_by_a_begin_or_by_a_name() {
    const MODEL: &str = r#"{ "Device": {
        "If": { "source": { "uci": "net", "rows": "if", "also": { "peer": { "uci": "net", "at": "{row:peer}" } } },
          "{i}": { "Key": { "type": "string", "source": "." }, "Peer": { "type": "string", "source": "peer:dev" },
            "Lower": { "type": "string", "list": true,
              "source": { "field": "layer", "path": ["Device.Ppp.ppp:*", "Device.Link.*.Name", "Device.Link.*"] } } } },
        "Link": { "source": { "uci": "net", "rows": "link" }, "{i}": { "Name": { "type": "string", "source": "ifname" } } },
        "Ppp": { "source": { "uci": "net", "rows": "ppp" }, "{i}": { "User": { "type": "string", "source": "user" } } } } }"#;
    const TEXT: &str = "c if wan\no layer ppp:dsl\no peer @if[1]\nc if\no layer 'x2 br0 none dsl'\no dev eth9\n\
        c link x1\no ifname br0\nc link x2\no ifname br1\nc ppp dsl\n";
    let answer = |query: &Query| match &query.target {
        Target::Uci { identity, .. } => crate::model::source::uci::rows(TEXT, identity.as_ref()).map(Answer::Rows),
        _ => Err("not there".into()),
    };
    let mut tree = load(&[file(MODEL)], &[]).unwrap().tree;
    refresh(&mut tree, &["Device.If."], &answer);
    assert_eq!(
        values(&tree, "Device.If.").unwrap(),
        [
            "Device.If.1.Key=wan",
            "Device.If.1.Peer=eth9",
            "Device.If.1.Lower=Device.Ppp.1",
            "Device.If.2.Key=@if[1]",
            "Device.If.2.Peer=",
            "Device.If.2.Lower=Device.Link.2,Device.Link.1"
        ]
    );
    for (wrong, reason) in [
        (MODEL.replace("*.Name", "*.Nmae"), "`Device.Link.` has no parameter `Nmae` with a source"),
        (MODEL.replace("*.Name", "*Name"), "the path of a table with `*`"),
        (MODEL.replace("\"peer\": {", "\"row\": {"), "the name of the source to which the `also` belongs"),
    ] {
        let mistakes = load(&[file(&wrong)], &[]).unwrap_err();
        assert!(format!("{mistakes:?}").contains(reason), "{mistakes:?}");
    }
}
