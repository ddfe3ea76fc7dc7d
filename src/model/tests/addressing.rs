//! Names by alias and wildcard, from the request to the answer (R317 to R322).

use super::*;
use crate::model::tree::Addressing;
use crate::model::value::Value;

const MODEL: &str = r#"{ "Device": {
    "Plain": { "{i}": { "Name": { "type": "string" } }, "1": {} },
    "Host": { "access": "readWrite", "maxEntries": 3,
      "{i}": { "Alias": { "type": "string", "access": "readWrite" }, "Name": { "type": "string", "access": "readWrite" },
               "Port": { "access": "readWrite", "{i}": { "Alias": { "type": "string", "access": "readWrite" },
                                                         "Speed": { "type": "string" } } } },
      "1": { "Alias": "cpe-first", "Port": { "1": {}, "4": {} } }, "2": { "Port": { "1": {} } } } } }"#;

fn tree(aliases: bool, wildcards: bool) -> Tree {
    let mut tree = load(&[file(MODEL)], &[]).unwrap().tree;
    tree.set_addressing(Addressing { aliases, wildcards });
    tree
}

/// Returns the paths to which a name leads, each with its name in an answer.
fn found(tree: &Tree, name: &str, by_alias: bool) -> Result<Vec<(String, String)>, PathError> {
    let mut found = Vec::new();
    tree.visit_paths(name, by_alias, &mut |path, form| {
        found.push((path.as_str().to_owned(), form.of(path.as_str()).into_owned()));
        Ok(())
    })?;
    Ok(found)
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(path, written)| ((*path).to_owned(), (*written).to_owned())).collect()
}

/// R318, R319: nodes of the request keep their form, and those that it does not name have that of InstanceMode.
#[test]
fn an_answer_has_the_form_of_the_request() {
    let tree = tree(true, true);
    for (name, by_alias, expected) in [
        ("Device.Host.[cpe-first].Name", false, &[("Device.Host.1.Name", "Device.Host.[cpe-first].Name")][..]),
        ("Device.Host.[cpe-2].Name", true, &[("Device.Host.2.Name", "Device.Host.[cpe-2].Name")]),
        ("Device.Host.1.Name", true, &[("Device.Host.1.Name", "Device.Host.1.Name")]),
        (
            "Device.Host.[cpe-first].Port.4.Speed",
            true,
            &[("Device.Host.1.Port.4.Speed", "Device.Host.[cpe-first].Port.4.Speed")],
        ),
        (
            "Device.Host.*.Name",
            true,
            &[
                ("Device.Host.1.Name", "Device.Host.[cpe-first].Name"),
                ("Device.Host.2.Name", "Device.Host.[cpe-2].Name"),
            ],
        ),
        (
            "Device.Host.[cpe-first].Port.*.Speed",
            false,
            &[
                ("Device.Host.1.Port.1.Speed", "Device.Host.[cpe-first].Port.1.Speed"),
                ("Device.Host.1.Port.4.Speed", "Device.Host.[cpe-first].Port.4.Speed"),
            ],
        ),
        ("Device.Plain.*.Name", true, &[("Device.Plain.1.Name", "Device.Plain.1.Name")]),
    ] {
        assert_eq!(found(&tree, name, by_alias), Ok(pairs(expected)), "{name}");
    }
    // The names below an object of the request.
    let mut names = Vec::new();
    tree.visit_paths("Device.Host.[cpe-first].", true, &mut |_, form| {
        names.push(form.of("Device.Host.1.Port.4.Speed").into_owned());
        Ok(())
    })
    .expect("an object");
    assert_eq!(names, ["Device.Host.[cpe-first].Port.[cpe-4].Speed"]);
}

/// R317, R322: without the support such a name is no name, and an alias is one only in a table that has it.
#[test]
fn names_that_lead_to_nothing() {
    let (none, all) = (tree(false, false), tree(true, true));
    assert_eq!(found(&none, "Device.Host.[cpe-2].Name", false), Err(PathError::AliasUnsupported));
    assert_eq!(found(&none, "Device.Host.*.Name", false), Err(PathError::WildcardUnsupported));
    assert!(found(&tree(true, false), "Device.Host.[cpe-2].Port.*.Speed", false).is_err());
    for name in ["Device.Plain.[cpe-1].Name", "Device.Host.[CPE-2].Name", "Device.[a].Name", "Device.Host.[].Name"] {
        assert!(found(&all, name, false).is_err(), "{name}");
    }
    // A wildcard of which nothing is found is no error.
    assert_eq!(found(&all, "Device.Host.[cpe-2].Port.*.Speed", false).map(|found| found.len()), Ok(1));
    let mut empty = tree(true, true);
    for instance in ["Device.Host.1.", "Device.Host.2."] {
        empty.apply(&Change::Delete(instance.into())).expect("an instance");
    }
    assert_eq!(found(&empty, "Device.Host.*.Port.*.Speed", false), Ok(vec![]));
}

/// R318, R320: the alias of a new instance, and those that a request may set.
#[test]
fn aliases_are_given_once() {
    let mut tree = tree(true, true);
    assert_eq!(tree.new_instance("Device.Host."), Ok(("Device.Host.".into(), 3, None)));
    assert_eq!(tree.new_instance("Device.Host.[new]."), Ok(("Device.Host.".into(), 3, Some("new"))));
    assert_eq!(tree.new_instance("Device.Host.[cpe-first]."), Err(PathError::AliasTaken));
    assert_eq!(tree.new_instance("Device.Host.[1st]."), Err(PathError::NoAlias));
    let missing = tree.missing_instance("Device.Host.[new].Port.[a].Speed");
    assert_eq!(missing, Ok(Some(("Device.Host.".into(), "new"))));
    assert_eq!(tree.missing_instance("Device.Host.[cpe-2].Name"), Ok(None));
    let set = |number: u32, alias: &str| Change::Set(format!("Device.Host.{number}.Alias"), Value::Text(alias.into()));
    let unfit = |changes: &[Change]| tree.unfit_aliases(changes).expect("no bound").len();
    assert_eq!(unfit(&[set(1, "a"), set(2, "b")]), 0);
    assert_eq!(unfit(&[set(1, "cpe-2"), set(2, "cpe-first")]), 0, "they change places");
    assert_eq!(unfit(&[set(1, "cpe-2")]), 1);
    assert_eq!(unfit(&[set(1, "a"), set(2, "a")]), 2);
    assert_eq!(unfit(&[set(1, ""), set(2, "a b")]), 2);
    // An instance whose own alias is taken gets another one.
    tree.apply(&set(2, "cpe-3")).expect("set");
    tree.apply(&Change::Add("Device.Host.".into(), 3)).expect("added");
    assert_eq!(tree.by_number("Device.Host.[cpe-3].Name").expect("an alias"), "Device.Host.2.Name");
    assert_eq!(tree.by_number("Device.Host.[cpe-3-2].Name").expect("an alias"), "Device.Host.3.Name");
}

/// Whatever bytes a name has, it leads to paths of the tree or is refused, and its form leads there again.
#[test]
fn every_truncation_and_every_changed_byte_is_found_or_refused() {
    let tree = tree(true, true);
    for name in ["Device.Host.[cpe-first].Port.[cpe-4].Speed", "Device.Host.*.Port.*.Speed", "Device.Host.[cpe-2]."] {
        for at in 0..name.len() {
            for part in ["", "[", "]", ".", "*", "-", "0", "\u{fc}", "\0", "[]", "].["] {
                for damaged in [format!("{}{part}", &name[..at]), format!("{}{part}{}", &name[..at], &name[at + 1..])] {
                    for by_alias in [false, true] {
                        for (path, written) in found(&tree, &damaged, by_alias).unwrap_or_default() {
                            assert_eq!(tree.by_number(&written).as_deref(), Ok(&*path), "{damaged}");
                        }
                    }
                    let _ = (tree.new_instance(&damaged), tree.missing_instance(&damaged), tree.by_number(&damaged));
                }
            }
        }
    }
}

/// R164, R320: instances on trial can be found and checked, and the tree is the same after them.
#[test]
fn a_trial_leaves_nothing_behind() {
    let mut tree = tree(true, false);
    let state = |tree: &Tree| (format!("{tree:?}"), tree.changes_from_factory());
    let before = state(&tree);
    let host = tree.begin_trial("Device.Host.", 3).expect("a table");
    let name = Change::Set("Device.Host.3.Alias".into(), Value::Text("new".into()));
    tree.apply(&name).expect("an alias");
    let port = tree.begin_trial("Device.Host.3.Port.", 1).expect("a table");
    assert_eq!(tree.by_number("Device.Host.[new].Port.[cpe-1].Speed").as_deref(), Ok("Device.Host.3.Port.1.Speed"));
    assert_eq!(tree.check_add(&Path::parse("Device.Host.").expect("a path")), Err(PathError::TableFull));
    for trial in [&port, &host] {
        tree.end_trial(trial);
    }
    assert_eq!(state(&tree), before);
    assert_eq!(tree.check_add(&Path::parse("Device.Host.").expect("a path")), Ok(3));
    // Without their table they are gone already.
    let host = tree.begin_trial("Device.Host.", 3).expect("a table");
    let port = tree.begin_trial("Device.Host.3.Port.", 1).expect("a table");
    [&host, &port].into_iter().for_each(|trial| tree.end_trial(trial));
    assert_eq!(state(&tree), before);
    assert!(tree.begin_trial("Device.Nothing.", 1).is_err());
}
