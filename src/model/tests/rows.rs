//! Tests of tables that follow others, and of the sections of UCI packages as rows.

use std::time::Duration;

use super::sources::{link, refresh, world};
use super::*;
use crate::model::source::{Answer, Answers, Response, Target};
use crate::model::tree::{Mode, Settled, Wanted};
use crate::model::value::Value;

/// A table that follows another one has its rows with the same numbers, and its sources; a loose one costs no record.
#[test]
fn a_table_follows_another_one() {
    let model = |numbers: &str| {
        format!(
            r#"{{ "Device": {{ "Link": {{ "source": {{ "builtin": "link", "numbers": "{numbers}",
                  "also": {{ "same": {{ "builtin": "link", "at": "{{key}}" }} }} }},
                "1": {{ "source": {{ "key": "wan" }} }}, "{{i}}": {{ "Name": {{ "type": "string", "source": "name" }} }} }},
              "Twin": {{ "source": {{ "follows": "Device.Link." }},
                "{{i}}": {{ "Kind": {{ "type": "string", "source": "kind" }}, "Same": {{ "type": "string", "source": "same:name" }} }} }},
              "Third": {{ "source": {{ "follows": "Device.Twin", "also": {{ "x": {{ "file": "/run/{{key}}" }} }} }},
                "{{i}}": {{ "Of": {{ "type": "string", "source": {{ "field": "name", "path": "Device.Twin.*" }} }} }} }} }} }}"#
        )
    };
    for numbers in ["kept", "loose"] {
        let mut tree = load(&[file(&model(numbers))], &[]).unwrap().tree;
        let (_, rounds) = refresh(
            &mut tree,
            &["Device.Third."],
            &world(vec![link("lan", "a", ""), link("wan", "b", "")], Vec::new()),
        );
        assert_eq!(rounds.concat(), ["builtin link"]);
        assert_eq!(
            values(&tree, "Device.Third.").unwrap(),
            ["Device.Third.1.Of=Device.Twin.1", "Device.Third.2.Of=Device.Twin.2"]
        );
        let only = world(vec![link("lan", "a", ""), link("usb", "c", "")], Vec::new());
        refresh(&mut tree, &[""], &only);
        assert_eq!(
            values(&tree, "Device.Twin.").unwrap(),
            ["Device.Twin.2.Kind=a", "Device.Twin.2.Same=lan", "Device.Twin.3.Kind=c", "Device.Twin.3.Same=usb"]
        );
        assert_eq!(values(&tree, "Device.Third.").unwrap().len(), 2);
        let plan = tree.plan(
            &Wanted::instances(vec!["Device.Twin.".into()]),
            &Answers::default(),
            Mode::SameInstances,
            &mut Settled::default(),
        );
        assert!(plan.rows.is_empty() && plan.queries.is_empty());
    }
    // Without the one table, the other is no part of the device either.
    let omitted = model("kept").replacen(r#""source""#, r#""needs": "/missing", "source""#, 1);
    let tree = load(&[file(&omitted)], &[]).unwrap().tree;
    assert_eq!(names(&tree, "Device.", true), Vec::<String>::new());
}

/// R217, R218: without options that tell them apart, anonymous sections keep their instances when others come and go, when one
/// changes, and over a restart. Nothing is stored while nothing changes.
#[test]
fn an_anonymous_section_keeps_its_instance_by_its_content() {
    const MODEL: &str = r#"{ "Device": { "Count": { "type": "unsignedInt", "counts": "Host" },
        "Host": { "source": { "uci": "net", "rows": "host", "also": { "same": { "uci": "net", "at": "{key}" } } },
          "{i}": { "Mac": { "type": "string", "source": "mac" }, "Same": { "type": "string", "source": "same:mac" } } } } }"#;
    let answer = |text: &str| crate::model::source::uci::rows(text, None).map(Answer::Rows);
    let read = |tree: &mut Tree, macs: &[&str]| {
        let text: String = macs.iter().map(|mac| format!("c host\no mac {mac}\n")).collect();
        refresh(tree, &[""], &|_| answer(&text));
        let wanted = Wanted::instances(vec!["Device.".into()]);
        let mut answers = Answers::default();
        let query = tree.plan(&wanted, &answers, Mode::Refresh, &mut Settled::default()).queries.remove(0);
        answers.add(query, Response { answer: answer(&text), took: Duration::ZERO });
        assert!(
            tree.plan(&wanted, &answers, Mode::Refresh, &mut Settled::default()).rows.is_empty(),
            "a second look changes nothing"
        );
        values(tree, "Device.Host.").unwrap().chunks(2).map(|pair| pair.join(" ").replace("Device.Host.", "")).collect()
    };
    let row = |number: u32, mac: &str| format!("{number}.Mac={mac} {number}.Same={mac}");
    let mut tree = load(&[file(MODEL)], &[]).unwrap().tree;
    let found: Vec<String> = read(&mut tree, &["a", "b", "c"]);
    assert_eq!(found, [row(1, "a"), row(2, "b"), row(3, "c")]);
    assert_eq!(read(&mut tree, &["b", "c"]), [row(2, "b"), row(3, "c")]);
    assert_eq!(
        read(&mut tree, &["d", "b", "c2"]),
        [row(2, "b"), row(4, "d"), row(5, "c2")],
        "one came and one changed"
    );
    assert_eq!(read(&mut tree, &["d", "b2", "c2"]), [row(2, "b2"), row(4, "d"), row(5, "c2")]);
    let mut restored = load(&[file(MODEL)], &[]).unwrap().tree;
    for change in tree.changes_from_factory() {
        // A change of a row that is there is none of the number of rows.
        assert_eq!(tree.parameters_changed_by(&change), Vec::<String>::new());
        let read = Change::from_json(&change.to_json(), &restored, &PatternCache::default()).unwrap();
        restored.apply(&read).unwrap();
    }
    assert_eq!(read(&mut restored, &["c2", "b2"]), [row(2, "b2"), row(5, "c2")]);
}

/// `{key}` in `at` finds the section of a row whose key is made of options.
#[test]
fn the_key_of_an_anonymous_section_leads_to_it() {
    const MODEL: &str = r#"{ "Device": { "Zone": { "source": { "uci": "fw", "rows": "zone", "identity": ["name"],
          "also": { "same": { "uci": "fw", "at": "{key}" }, "other": { "uci": "other", "at": "{key}" } } },
        "{i}": { "In": { "type": "string", "source": "same:input" }, "Other": { "type": "string", "source": "other:x" },
          "Part": { "source": { "uci": "fw", "rows": "part", "where": { "of": "{parent}" } },
            "{i}": { "Of": { "type": "string", "source": { "uci": "fw", "at": "{parent}", "field": "input" } } } } } } } }"#;
    let text = "c zone\no name lan\no input A\nc zone\no name wan\no input B\nc zone\no name wan\no input C\n\
                c part\no of 'wan#2'\nc zone lan2\no name x\no input D\n";
    let mut tree = load(&[file(MODEL)], &[]).unwrap().tree;
    refresh(&mut tree, &[""], &|query| match &query.target {
        Target::Uci { package, identity } if package == "fw" => {
            crate::model::source::uci::rows(text, identity.as_ref()).map(Answer::Rows)
        }
        _ => crate::model::source::uci::rows("c a\no x 1\nc b\no x 2\nc c lan2\no x 3\n", None).map(Answer::Rows),
    });
    let found = values(&tree, "Device.Zone.").unwrap();
    let found: Vec<&str> = found.iter().map(|value| value.trim_start_matches("Device.Zone.")).collect();
    assert_eq!(
        found,
        ["1.In=A", "1.Other=", "2.In=B", "2.Other=", "3.In=C", "3.Other=", "3.Part.1.Of=C", "4.In=D", "4.Other=3"]
    );
}

/// R318: a row that comes back has its alias again, but for one that another instance has got since.
#[test]
fn a_row_that_returns_takes_no_alias_away() {
    let model = r#"{ "Device": { "Link": { "access": "readWrite", "source": { "builtin": "link", "numbers": "loose" },
        "{i}": { "Alias": { "type": "string", "access": "readWrite" },
                 "Name": { "type": "string", "source": "name" } } } } }"#;
    let both = world(vec![link("lan", "a", ""), link("wan", "b", "")], Vec::new());
    let lan = world(vec![link("lan", "a", "")], Vec::new());
    let aliases =
        |tree: &Tree| [1, 2].map(|n| tree.get(&format!("Device.Link.{n}.Alias")).map(|text| text.to_string()));
    for (given, expected) in [(None, ["cpe-1", "x"]), (Some("x"), ["x", "cpe-2"])] {
        let mut tree = load(&[file(model)], &[]).unwrap().tree;
        refresh(&mut tree, &[""], &both);
        tree.apply(&Change::Set("Device.Link.2.Alias".into(), Value::Text("x".into()))).unwrap();
        refresh(&mut tree, &[""], &lan);
        if let Some(alias) = given {
            tree.apply(&Change::Set("Device.Link.1.Alias".into(), Value::Text(alias.into()))).unwrap();
        }
        refresh(&mut tree, &[""], &both);
        assert_eq!(aliases(&tree), expected.map(|alias| Some(alias.to_owned())));
    }
}
