use super::identity::MAX_KEY;
use super::parse::{MAX_OPTIONS, MAX_SECTIONS, anonymous_name};
use super::*;

/// The files of a router, which the tests of the whole agent read too.
pub(super) const ROUTER: [(&str, &str); 5] = [
    ("network", include_str!("../../../../tests/it/sources/uci/network")),
    ("wireless", include_str!("../../../../tests/it/sources/uci/wireless")),
    ("dhcp", include_str!("../../../../tests/it/sources/uci/dhcp")),
    ("firewall", include_str!("../../../../tests/it/sources/uci/firewall")),
    ("system", include_str!("../../../../tests/it/sources/uci/system")),
];

fn package(name: &str) -> Vec<Row> {
    let (_, text) = ROUTER.iter().find(|(known, _)| *known == name).expect("a package");
    rows(text, None).expect("a package")
}

/// Returns the value of `x` in the only section of a package with this text.
fn value(text: &str) -> Option<String> {
    let found = rows(text, None).unwrap_or_else(|reason| panic!("{text:?}: {reason}"));
    assert_eq!(found.len(), 1, "{text:?}");
    found[0].get("x").map(str::to_owned)
}

fn option(words: &str) -> Option<String> {
    value(&format!("config a n\noption x {words}\n"))
}

#[test]
fn the_files_of_a_router_are_read() {
    let network = package("network");
    let keys: Vec<&str> = network.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(
        keys,
        ["loopback", "globals", "@device[0]", "lan", "@device[1]", "wan", "wan6", "@bridge-vlan[0]"],
        "as `uci show` prints them"
    );
    let field = |rows: &[Row], key: &str, name: &str| {
        rows.iter().find(|row| row.key == key).and_then(|row| row.get(name)).map(str::to_owned)
    };
    assert_eq!(field(&network, "lan", "ipaddr").as_deref(), Some("192.168.1.1"));
    assert_eq!(field(&network, "lan", ".position").as_deref(), Some("2"), "among the interfaces");
    assert_eq!(field(&network, "@device[0]", "ports").as_deref(), Some("lan1 lan2 lan3"));
    assert_eq!(field(&network, "wan", "password").as_deref(), Some(r#"it's "secret" #1; \n"#));
    assert_eq!(field(&network, "wan", "mtu"), None);
    let wireless = package("wireless");
    assert_eq!(field(&wireless, "default_radio0", "ssid").as_deref(), Some("Café 7"));
    assert_eq!(field(&package("dhcp"), "@dnsmasq[0]", "rebind_protection").as_deref(), Some("1"));
    let firewall = package("firewall");
    assert_eq!(field(&firewall, "@defaults[0]", "disable_ipv6"), None, "a comment");
    assert_eq!(field(&firewall, "@zone[1]", "network").as_deref(), Some("wan wan6"));
    assert_eq!(field(&firewall, "@rule[2]", ".name").as_deref(), Some(&*anonymous_name(7, "rule")));
}

#[test]
fn a_word_has_quotes_escapes_and_pieces() {
    for (words, expected) in [
        ("plain", "plain"),
        ("'a b'", "a b"),
        (r#""a\tb""#, "atb"),
        (r"a\ b\'c", "a b'c"),
        (r"'a\b'", r"a\b"),
        (r#"'it'\''s'"#, "it's"),
        (r#"'a'"b"c"#, "abc"),
        ("'two\nlines'", "two\nlines"),
        ("\"two\nlines\"", "two\nlines"),
        ("\"jo\\\nined\"", "joined"),
        ("jo\\\nined", "joined"),
        ("jo\\\r\nined", "joined"),
        ("a#comment", "a"),
        ("'a'# comment 'not closed", "a"),
        ("'#'", "#"),
        ("a ''", "a"),
        ("é\\é", "éé"),
        ("\x01", "\x01"),
        ("a\r", "a"),
        // libuci drops what stands behind a `;` at a bare word, but not behind a quote or a blank.
        ("a; option x b", "a"),
        ("'a'; option x b", "b"),
        ("a ; option x b", "b"),
        ("a ;o x b", "b"),
        ("a ; # a comment", "a"),
        ("a; 'not closed", "a"),
    ] {
        assert_eq!(option(words).as_deref(), Some(expected), "{words:?}");
    }
}

#[test]
fn a_section_has_the_last_of_equal_options_and_all_items() {
    for (text, expected) in [
        ("c a n\no x 1\no x 2", Some("2")),
        ("c a n\nl x 1\nl x 2", Some("1 2")),
        ("c a n\no x 1\nl x 2", Some("1 2")),
        ("c a n\nl x 1\nl x 2\no x 3", Some("3")),
        ("c a n\nl x ''\nl x 2", Some("2")),
        ("c a n\no x 1\no x ''", Some("1")),
        ("c a n\no x 1\nl x ''\nl x 2 ;", Some("1 2")),
        ("c a n\no x", None),
        ("c a n\no x 1\no y 2\nc a n\no x 3", Some("3")),
        ("package p-1\n\r\n\t # a comment\n\n config a n\n  option x 1", Some("1")),
        ("config a\noption x 1", Some("1")),
    ] {
        assert_eq!(value(text).as_deref(), expected, "{text:?}");
    }
    assert_eq!(rows("", None), Ok(Vec::new()));
    // A further piece does not move the section.
    let pieces = rows("c a n\nc a m\nc a n\no x 1", None).expect("a package");
    assert_eq!(pieces.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["n", "m"]);
    assert_eq!(pieces[0].get("x"), Some("1"));
}

#[test]
fn the_first_mistake_names_its_line_and_no_text() {
    for (text, reason) in [
        ("\noption x 1", "line 2: no section before it"),
        ("config", "line 1: not the type of a section"),
        ("config 'a b'", "line 1: not the type of a section"),
        ("config a n-m", "line 1: not the name of a section"),
        ("config a n o", "line 1: a word too many"),
        ("config a ; option x 1", "line 1: a word too many"),
        ("config a n ; \n", "line 1: not a command; `config`, `option`, `list` or `package` is needed"),
        ("config a n\nconfig b n", "line 2: a section of another type has this name"),
        ("config a\noption", "line 2: not the name of an option"),
        ("config a\noption x-y 1", "line 2: not the name of an option"),
        ("config a\noption x 'two\nlines' more", "line 3: a word too many"),
        ("config a\noption x \\\n 1", "line 3: a word too many"),
        ("config a\n\noption x 'secret\n\n", "line 3: the quote is not closed"),
        ("config a\noption x \"secret\\", "line 2: the quote is not closed"),
        ("config a\nset x 1", "line 2: not a command; `config`, `option`, `list` or `package` is needed"),
        ("conf a", "line 1: not a command; `config`, `option`, `list` or `package` is needed"),
        ("\u{FEFF}config a", "line 1: not a command; `config`, `option`, `list` or `package` is needed"),
        ("package a.b", "line 1: not the name of a package"),
        ("config a\noption x 1\0\n", "line 2: a NUL byte"),
    ] {
        assert_eq!(rows(text, None), Err(reason.to_owned()), "{text:?}");
    }
}

#[test]
fn a_section_is_found_by_name_and_by_place() {
    let firewall = package("firewall");
    let name = |text: &str| find(&firewall, text).and_then(|row| row.get("name"));
    assert_eq!(name("@rule[0]"), Some("Allow-DHCP-Renew"));
    assert_eq!(name("@rule[-1]"), Some("Block-Telnet"));
    assert_eq!(name("@redirect[0]"), Some("Web"), "a named one");
    assert_eq!(name("@redirect[1]"), Some("SSH"));
    // Seen with the real `uci -X show`: the fourth section of a package, of the type `redirect`.
    assert_eq!(anonymous_name(4, "redirect"), "cfg043837");
    assert_eq!(anonymous_name(300, "rule")[..6], *"cfg12c");
    assert_eq!(name(&anonymous_name(9, "redirect")), Some("SSH"));
    for text in
        ["@rule[3]", "@rule[-4]", "@rule[]", "@rule", "rule[0]", "@[0]", "cfg0", "", "@rule[-9223372036854775808]"]
    {
        assert_eq!(find(&firewall, text), None, "{text}");
    }
    assert!(["lan", "@a-b[0]", "@a[-1]"].iter().all(|text| is_section(text)));
    assert!(["", "a-b", "@a", "@a[x]", "@[0]", "@a b[0]"].iter().all(|text| !is_section(text)));
}

#[test]
fn options_identify_anonymous_sections() {
    let keys = |text: &str, section_type: &str, options: &[&str]| {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let identity = Identity { section_type: section_type.into(), options };
        let found = rows(text, Some(&identity)).expect("a package");
        found.into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    let firewall = ROUTER[3].1;
    assert_eq!(keys(firewall, "rule", &["name"]), ["Allow-DHCP-Renew", "Allow-Ping", "Block-Telnet"]);
    assert_eq!(keys(firewall, "redirect", &["src_dport", "port", "proto"]), ["web", "2222,,tcp udp"]);
    assert_eq!(keys(firewall, "rule", &["none"]), ["@rule[0]", "@rule[1]", "@rule[2]"]);
    let equal = "c a\no n x\nc a\no n x\nc a x\nc a\no n 'x#2'\nc a\no n x\n";
    assert_eq!(keys(equal, "a", &["n"]), ["x#2", "x#3", "x", "x#2#2", "x#4"]);
    let long = format!("c a\no n {0}\nc a\no n {0}y\n", "é".repeat(MAX_KEY));
    assert!(keys(&long, "a", &["n"])[1].ends_with("é#2"));
}

/// A file is written by others, and flash breaks: no bytes may cause a panic, or much memory or work.
#[test]
fn every_prefix_and_every_flipped_byte_is_an_answer_or_an_error() {
    for (name, text) in ROUTER {
        let identity = Identity { section_type: "rule".into(), options: vec!["name".into()] };
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let _ = rows(&text[..end], Some(&identity));
        }
        let (mut refused, mut state) = (0, 1u32);
        for at in 0..text.len() {
            for _ in 0..4 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = [b'\'', b'"', b'\\', b'\n', b';', b'#', 0, (state >> 24) as u8][(state >> 13) as usize % 8];
                refused += usize::from(rows(&String::from_utf8_lossy(&bytes), None).is_err());
            }
        }
        assert!(refused > text.len() / 8, "{name}: {refused}");
    }
}

#[test]
fn sections_and_options_have_a_bound() {
    assert_eq!(rows(&"c a\n".repeat(MAX_SECTIONS), None).map(|rows| rows.len()), Ok(MAX_SECTIONS));
    let error = rows(&"c a\n".repeat(MAX_SECTIONS + 1), None);
    assert_eq!(error, Err("line 4097: more than 4096 sections".to_owned()));
    let options: String = (0..=MAX_OPTIONS).map(|number| format!("o x{number} y\n")).collect();
    assert!(rows(&format!("c a\n{options}"), None).unwrap_err().ends_with("more than 512 options of one section"));
    // The longest file of equal names has a key each, without a search through all numbers for each of them.
    let equal = "c a\no n x\n".repeat(MAX_SECTIONS);
    let identity = Identity { section_type: "a".into(), options: vec!["n".into()] };
    let found = rows(&equal, Some(&identity)).expect("a package");
    assert_eq!(found[MAX_SECTIONS - 1].key, "x#4096");
}

#[test]
fn an_anonymous_section_has_a_digest_of_its_options() {
    let digests = |text: &str| -> Vec<u32> { rows(text, None).expect("a package").iter().map(digest).collect() };
    let found = digests("c a\no x 1\no y 2\nc a\no y 2\no x 1\nc a\no x 12\no y ''\nc a\nc b named\no x 1\n");
    assert_eq!(found[0], found[1], "the order of the options does not count");
    assert!(found[0] != found[2] && found[2] != found[3] && found[3] != 0, "{found:?}");
    assert_eq!(found[4], 0, "a name is enough");
    assert_ne!(digests("c a\no x ab\n"), digests("c a\no xa b\n"));
}
