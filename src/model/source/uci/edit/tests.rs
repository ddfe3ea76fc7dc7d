use super::*;
use crate::model::source::uci::rows;
use crate::model::source::uci::tests::ROUTER;

mod random;

fn change(section: &str, action: Action) -> Change {
    Change { section: section.into(), action }
}

fn set(section: &str, option: &str, value: &str) -> Change {
    change(section, Action::Set(option.into(), value.into()))
}

fn unset(section: &str, option: &str) -> Change {
    change(section, Action::Unset(option.into()))
}

fn set_list(section: &str, option: &str, items: &[&str]) -> Change {
    change(section, Action::SetList(option.into(), items.iter().map(|item| (*item).to_owned()).collect()))
}

fn add_item(section: &str, option: &str, item: &str) -> Change {
    change(section, Action::AddItem(option.into(), item.into()))
}

fn remove_item(section: &str, option: &str, item: &str) -> Change {
    change(section, Action::RemoveItem(option.into(), item.into()))
}

fn add(section: &str, section_type: &str, options: &[(&str, &str)]) -> Change {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    change(section, Action::Add(section_type.into(), options))
}

fn delete(section: &str) -> Change {
    change(section, Action::Delete)
}

fn name(section: &str, name: &str) -> Change {
    change(section, Action::Name(name.into()))
}

#[track_caller]
fn check(text: &str, changes: &[Change], expected: &str) {
    let new = edit(text.as_bytes(), changes).map(|new| String::from_utf8_lossy(&new).into_owned());
    assert_eq!(new.as_deref(), Ok(expected), "{text:?} {changes:?}");
}

fn refused(text: &str, changes: &[Change]) -> Refusal {
    edit(text.as_bytes(), changes).map(|new| String::from_utf8_lossy(&new).into_owned()).unwrap_err()
}

/// A section `n` of the type `a` with these lines.
fn section(lines: &str) -> String {
    format!("# head\nconfig a n\n{lines}\n# tail\nconfig b m\n")
}

#[test]
fn a_value_is_replaced_alone() {
    for (line, expected) in [
        ("\toption x 1", "\toption x 'v'"),
        ("  o   x\t'1'  # a note", "  o   x\t'v'  # a note"),
        ("\toption 'x' \"1\"\r", "\toption 'x' 'v'\r"),
        ("option x one#note", "option x 'v'#note"),
        ("option x 'it'\\''s'", "option x 'v'"),
        ("option x 'two\nlines' # a", "option x 'v' # a"),
        ("option x \"jo\\\nined\"", "option x 'v'"),
        ("option x jo\\\nined", "option x 'v'"),
        ("option x a\\ b", "option x 'v'"),
        ("option x 1\noption y 2\noption x 3", "option x 1\noption y 2\noption x 'v'"),
        ("option x 1\noption x ''", "option x 'v'\noption x ''"),
        ("option x ''", "option x 'v'"),
        ("\toption x # none", "\toption x 'v' # none"),
        ("option x 'caf\u{e9}'", "option x 'v'"),
    ] {
        check(&section(line), &[set("n", "x", "v")], &section(expected));
    }
    check("config a n\n option x 1", &[set("n", "x", "v")], "config a n\n option x 'v'");
}

#[test]
fn a_present_value_leaves_every_byte() {
    for (line, changes) in [
        ("\toption x \"a\\b\"", vec![set("n", "x", "ab"), unset("n", "y"), remove_item("n", "y", "1")]),
        ("option x 1; option y 2", vec![set("n", "x", "1"), set("n", "x", "2"), set("n", "x", "1")]),
        ("list x 1\n list x '2'", vec![set_list("n", "x", &["1", "", "2"]), add_item("n", "x", "2")]),
        ("list x 1", vec![set("n", "x", "1")]),
        ("option x 1", vec![set_list("n", "x", &["1"]), add_item("n", "x", "1"), remove_item("n", "x", "2")]),
        ("option x ''", vec![set("n", "x", ""), unset("n", "x")]),
        ("", vec![add("new", "c", &[]), delete("new")]),
    ] {
        check(&section(line), &changes, &section(line));
    }
    check("", &[], "");
}

#[test]
fn a_value_is_quoted() {
    for (value, text) in [
        ("it's", r"'it'\''s'"),
        ("'", r"''\'''"),
        (r#"a "b" $(reboot) ; # \ `"#, r#"'a "b" $(reboot) ; # \ `'"#),
        ("é 7", "'é 7'"),
        (" ", "' '"),
    ] {
        check("config a n\n", &[set("n", "x", value)], &format!("config a n\n\toption x {text}\n"));
        let found = rows(&format!("config a n\n\toption x {text}\n"), None).expect("a package");
        assert_eq!(found[0].get("x"), Some(value));
    }
}

#[test]
fn options_come_and_go_with_their_lines() {
    let both = [set("n", "y", "2"), set("n", "z", "3")];
    check(&section("\toption x 1 # one\n"), &both, &section("\toption x 1 # one\n\toption y '2'\n\toption z '3'\n"));
    check(&section(""), &[set("n", "y", "2")], &section("\toption y '2'\n"));
    check("config a n", &both, "config a n\n\toption y '2'\n\toption z '3'\n");
    check("config a n\r\n", &both[..1], "config a n\r\n\toption y '2'\r\n");
    check("config a n # 'x", &both[..1], "config a n # 'x\n\toption y '2'\n");
    let lines = "\toption x 'two\nlines' # gone\n\t# stays\n\toption y 2\n\toption x ''";
    check(&section(lines), &[unset("n", "x")], &section("\t# stays\n\toption y 2").replace("2\n\n", "2\n"));
    check(&section("option x 1\noption y 2"), &[set("n", "x", "")], &section("option y 2"));
    check("config a n\noption x 1", &[unset("n", "x"), set("n", "y", "2")], "config a n\n\toption y '2'\n");
    check("config a n\noption x 1", &[set("n", "y", "2"), unset("n", "x")], "config a n\n\toption y '2'\n");
}

#[test]
fn items_of_lists_come_and_go_one_by_one() {
    let old = "\tlist x '1' # one\n\tlist x 2\n\toption y 0\n\tlist x 3";
    for (changes, new) in [
        (vec![add_item("n", "x", "4")], "\tlist x '1' # one\n\tlist x 2\n\toption y 0\n\tlist x 3\n\tlist x '4'"),
        (vec![remove_item("n", "x", "2")], "\tlist x '1' # one\n\toption y 0\n\tlist x 3"),
        (vec![remove_item("n", "x", "3")], "\tlist x '1' # one\n\tlist x 2\n\toption y 0"),
        (vec![set_list("n", "x", &["1", "5", "3"])], "\tlist x '1' # one\n\tlist x '5'\n\toption y 0\n\tlist x 3"),
        (
            vec![set_list("n", "x", &["0", "1", "2", "3"])],
            "\tlist x '0'\n\tlist x '1' # one\n\tlist x 2\n\toption y 0\n\tlist x 3",
        ),
        (vec![set_list("n", "x", &["1", "2"])], "\tlist x '1' # one\n\tlist x 2\n\toption y 0"),
        (vec![set_list("n", "x", &[])], "\toption y 0"),
        (vec![set("n", "x", "v")], "\toption x 'v' # one\n\toption y 0"),
        (
            vec![set_list("n", "y", &["0", "1"])],
            "\tlist x '1' # one\n\tlist x 2\n\tlist y '0'\n\tlist y '1'\n\tlist x 3",
        ),
        (vec![set_list("n", "z", &["0", "1"])], &*format!("{old}\n\tlist z '0'\n\tlist z '1'")),
    ] {
        check(&section(&format!("{old}\n")), &changes, &section(&format!("{new}\n")));
    }
    // A list that begins with an option is written as a list.
    let mixed = "option x 1\nlist x 2\nlist x 3";
    let list = section("list x '1'\n\tlist x '2'\n\tlist x '3'\n\tlist x '4'");
    check(&section(mixed), &[add_item("n", "x", "4")], &list);
    check(&section("list x 1\noption x 2"), &[add_item("n", "x", "3")], &section("list x '2'\n\tlist x '3'"));
    check(&section("list x 1\noption x 2"), &[set("n", "x", "3")], &section("list x 1\noption x '3'"));
}

#[test]
fn sections_come_and_go() {
    let old = "config a n\n\toption x 1\n";
    let added = format!("{old}\nconfig wifi-iface 'cpe_ap_1'\n\toption mode 'ap'\n\toption ssid 'it'\\''s'\n");
    let changes = [add("cpe_ap_1", "wifi-iface", &[("mode", "ap"), ("none", ""), ("ssid", "it's")])];
    check(old, &changes, &added);
    check(&added, &[delete("cpe_ap_1")], old);
    check(old.trim_end(), &changes, &added);
    check("", &[add("m", "b", &[])], "\nconfig b 'm'\n");
    check(&old.replace('\n', "\r\n"), &[add("m", "b", &[])], "config a n\r\n\toption x 1\r\n\r\nconfig b 'm'\r\n");
    // A new section takes further changes.
    check(old, &[add("m", "b", &[]), set("m", "y", "2"), delete("n")], "\nconfig b 'm'\n\toption y '2'\n");
    // Comments above the next section stay, and those of the section itself go.
    let text = "# head\n\nconfig a\n\t# own\n\toption x 1\n\t#option y 2\n\n\n# next\nconfig b\n\toption x 1\n# above\nconfig a\n\n# end\n";
    check(text, &[delete("@a[0]")], "# head\n\n# next\nconfig b\n\toption x 1\n# above\nconfig a\n\n# end\n");
    check(text, &[delete("@b[0]")], &text.replace("config b\n\toption x 1\n", ""));
    check(text, &[delete("@a[-1]")], &text.replace("config a\n\n# end", "# end"));
    check(text, &[delete("@a[0]"), delete("@b[-1]"), delete("@a[1]")], "# head\n\n# next\n# above\n# end\n");
    check("config a\n\nconfig a\n\nconfig a\n", &[delete("@a[1]"), delete("@a[2]")], "config a\n\n");
}

#[test]
fn an_anonymous_section_is_found_and_named() {
    let text = "config a # one\n\toption x 1\nconfig b ''\nconfig a\n\toption x 3";
    check(text, &[set("@a[-1]", "x", "v")], &text.replace("x 3", "x 'v'"));
    let second = crate::model::source::uci::parse::anonymous_name(2, "b");
    check(text, &[set(&second, "x", "v")], &text.replace("''\n", "''\n\toption x 'v'\n"));
    let changes = [name("@a[0]", "new"), set("new", "x", "v"), set("@a[1]", "x", "w")];
    check(text, &changes, &text.replace("a # one", "a 'new' # one").replace("x 1", "x 'v'").replace("x 3", "x 'w'"));
    check(text, &[name("@b[0]", "new")], &text.replace("''", "'new'"));
    // Places count in the old text.
    check(text, &[delete("@a[0]"), set("@a[1]", "x", "v")], "config b ''\nconfig a\n\toption x 'v'");
    check("config a", &[name("@a[0]", "n"), set("n", "x", "1")], "config a 'n'\n\toption x '1'\n");
    for (section, new, reason) in [
        ("@a[2]", "new", Reason::Missing),
        ("n", "new", Reason::Missing),
        ("@a[0]", "a-b", Reason::Name),
        ("@a[0]", "", Reason::Name),
    ] {
        assert_eq!(refused(text, &[name(section, new)]), Refusal { change: Some(0), reason });
    }
    let twice = [name("@a[0]", "n"), name("@a[1]", "n")];
    assert_eq!(refused(text, &twice), Refusal { change: Some(1), reason: Reason::Exists });
    assert_eq!(refused("config a n", &[name("n", "m")]).reason, Reason::Exists);
    assert_eq!(refused(text, &[delete("@a[0]"), unset("@a[0]", "x")]).change, Some(1));
}

/// The written form of libuci, which it exports with `uci export` and commits.
#[test]
fn commands_without_a_place_of_their_own_write_the_package_anew() {
    let export = "\nconfig a 'n'\n\toption x 'v'\n\toption y 'it'\\''s'\n\tlist z '1'\n\tlist z '2'\n\nconfig b\n\n";
    for text in [
        "# gone\nconfig a n\noption x 1 ; option y \"it's\"\nlist z 1\nlist z 2\nconfig b",
        "config a n\noption x 1\nconfig b\nconfig a n\noption y \"it's\"\nlist z 1\nlist z 2",
        "config a n\noption x 1; junk\noption y \"it's\"\nlist z 1\nlist z 2\nconfig b",
        "config a n\noption x 'a'\noption x '1' ;o y \"it's\" ;l z 1 ;l z 2\nc b",
    ] {
        check(text, &[set("n", "x", "v")], export);
        // Another section is changed in its place.
        check(text, &[set("@b[0]", "x", "")], text);
    }
    let text = "# stays\nconfig a n\noption x 1 ; option y 2\nconfig b m\n\toption x 1 # ;\n";
    check(text, &[set("m", "x", "v")], &text.replace("\toption x 1", "\toption x 'v'"));
    // A patch behind an unfinished line would join it.
    check("config a n\n# x\noption x 1\\", &[set("n", "y", "2")], "\nconfig a 'n'\n\toption x '1'\n\toption y '2'\n\n");
    // A type of others may need quotes.
    check(
        "config 'a#;' n\noption x 1 ; option y 'a\nb\t'",
        &[unset("n", "x")],
        "\nconfig 'a#;' 'n'\n\toption y 'a\nb\t'\n\n",
    );
}

/// Returns the parts of two texts between their common beginning and their common end.
fn difference<'t>(old: &'t [u8], new: &'t [u8]) -> (&'t [u8], &'t [u8]) {
    let start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[start..], &new[start..]);
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    (&old[..old.len() - end], &new[..new.len() - end])
}

#[test]
fn each_option_of_a_router_changes_alone() {
    let mut count = 0;
    for (name, text) in ROUTER {
        let package = parse(text.as_bytes(), true).expect("a package");
        for section in contents(text.as_bytes(), &package) {
            for values in section.options {
                let present =
                    values.items.iter().map(|item| String::from_utf8(item.clone()).expect("a text")).collect();
                let same = change(&section.name, Action::SetList(values.name.clone(), present));
                assert_eq!(edit(text.as_bytes(), &[same]).as_deref(), Ok(text.as_bytes()));
                let (other, lines, allowed) = match values.is_list {
                    true => {
                        let first = String::from_utf8_lossy(&values.items[0]);
                        (remove_item(&section.name, &values.name, &first), 1, "")
                    }
                    false => (set(&section.name, &values.name, "\u{2713}"), 0, "'\u{2713}'"),
                };
                let new = edit(text.as_bytes(), &[other]).expect("a change");
                let (gone, come) = difference(text.as_bytes(), &new);
                assert_eq!(gone.iter().filter(|byte| **byte == b'\n').count(), lines, "{name} {}", values.name);
                assert!(allowed.contains(&*String::from_utf8_lossy(come)), "{name} {}", values.name);
                count += 1;
            }
        }
    }
    assert!(count > 80, "{count}");
}

/// A file is written by others, and flash breaks: no bytes may cause a panic.
#[test]
fn every_prefix_of_a_router_is_edited_or_refused() {
    let changes = [
        set("@rule[0]", "name", "v"),
        set("lan", "proto", "v"),
        set_list("wan", "dns", &["1", "2"]),
        delete("radio0"),
        delete("@zone[-1]"),
        name("@dnsmasq[0]", "named"),
        add("cpe_rule_1", "rule", &[("x", "v")]),
    ];
    let mut count = 0;
    for (_, text) in ROUTER {
        for end in (0..=text.len()).step_by(3) {
            for change in &changes {
                match edit(&text.as_bytes()[..end], std::slice::from_ref(change)) {
                    Ok(_) => count += 1,
                    Err(refusal) => assert_ne!(refusal.reason, Reason::Unequal, "{:?} {change:?}", &text[..end]),
                }
            }
        }
    }
    assert!(count > 1000, "{count}");
}

#[test]
fn bytes_that_are_no_text_stay() {
    let text = b"config a n\n\toption x '\xFF\xFE'\n\toption y 1\n";
    let new = edit(text, &[set("n", "y", "2")]).expect("a change");
    assert_eq!(new, b"config a n\n\toption x '\xFF\xFE'\n\toption y '2'\n");
    let text = b"config a n\n\toption x '\xFF\xFE' ; option y 1\n";
    let new = edit(text, &[set("n", "y", "2")]).expect("a change");
    assert_eq!(new, b"\nconfig a 'n'\n\toption x '\xFF\xFE'\n\toption y '2'\n\n");
}

#[test]
fn control_characters_and_foreign_names_are_refused() {
    let text = "config a n\n\tlist x 1\n";
    for byte in (0..0x20).chain([0x7F]) {
        let value = format!("a{}b", char::from(byte));
        for change in [
            set("n", "x", &value),
            set_list("n", "x", &["1", &value]),
            add_item("n", "x", &value),
            remove_item("n", "x", &value),
            add("m", "a", &[("x", &value)]),
        ] {
            let changes = [set("n", "y", "1"), change];
            assert_eq!(refused(text, &changes), Refusal { change: Some(1), reason: Reason::Value }, "{byte}");
            assert_eq!(changes[1].action.check(), Err(Reason::Value));
        }
    }
    for option in ["", "a-b", "a b", "a.b", "é", "a'", "a\n"] {
        for change in [
            set("n", option, "1"),
            set_list("n", option, &["1"]),
            add_item("n", option, "1"),
            remove_item("n", option, "1"),
            unset("n", option),
            add("m", "a", &[(option, "1")]),
            add(option, "a", &[]),
        ] {
            assert_eq!(refused(text, &[change]), Refusal { change: Some(0), reason: Reason::Name }, "{option:?}");
        }
    }
    for section_type in ["", "a b", "a'", "a#"] {
        assert_eq!(refused(text, &[add("m", section_type, &[])]).reason, Reason::Name);
    }
    assert_eq!(refused(text, &[add("n", "a", &[])]).reason, Reason::Exists);
    for missing in ["m", "@a[1]", "cfg000000", "@", ""] {
        assert_eq!(refused(text, &[set(missing, "x", "1")]).reason, Reason::Missing);
    }
    let broken = refused("config a n\noption x 'secret", &[set("n", "x", "1")]);
    assert_eq!(broken, Refusal { change: None, reason: Reason::Broken("line 2: the quote is not closed".into()) });
    assert!(!broken.reason.to_string().contains("secret"));
}

#[test]
fn the_size_has_a_bound() {
    let fails = |text: &str, changes: &[Change]| assert_eq!(refused(text, changes).reason, Reason::TooLarge);
    let sections = "c a\n".repeat(MAX_SECTIONS);
    assert!(edit(sections.as_bytes(), &[set("@a[-1]", "x", "1")]).is_ok());
    fails(&sections, &[add("m", "a", &[])]);
    let options: String = (0..MAX_OPTIONS).map(|number| format!("o x{number} y\n")).collect();
    fails(&format!("c a n\n{options}"), &[set("n", "x", "1")]);
    assert!(edit(format!("c a n\n{options}").as_bytes(), &[set("n", "x0", "1")]).is_ok());
    fails("c a n\n", &[set("n", "x", &"é".repeat(MAX_TEXT / 2))]);
    let length = MAX_TEXT - "c a n\n\toption x ''\n".len();
    assert!(edit(b"c a n\n", &[set("n", "x", &"v".repeat(length))]).is_ok());
    fails("c a n\n", &[set("n", "x", &"v".repeat(length + 1))]);
}
