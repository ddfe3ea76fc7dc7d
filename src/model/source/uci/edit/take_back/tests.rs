use super::super::{Action, Change, Values, edit, note};
use super::*;
use crate::model::source::uci::tests::ROUTER;

fn change(section: &str, action: Action) -> Change {
    Change { section: section.into(), action }
}

fn set(section: &str, option: &str, value: &str) -> Change {
    change(section, Action::Set(option.into(), value.into()))
}

fn add(section: &str, section_type: &str, options: &[(&str, &str)]) -> Change {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    change(section, Action::Add(section_type.into(), options))
}

fn delete(section: &str) -> Change {
    change(section, Action::Delete)
}

fn list(section: &str, option: &str, items: &[&str]) -> Change {
    change(section, Action::SetList(option.into(), items.iter().map(|item| (*item).to_owned()).collect()))
}

/// A package that the agent changes.
struct Agent {
    text: Vec<u8>,
    former: Vec<Former>,
}

impl Agent {
    fn new(text: &str) -> Agent {
        Agent { text: text.into(), former: Vec::new() }
    }

    fn change(&mut self, changes: &[Change]) {
        let new = edit(&self.text, changes).expect("a change");
        note(&mut self.former, &self.text, &new, changes, &[]).expect("packages");
        self.text = new;
    }

    fn move_to(&mut self, section: &str, place: usize) {
        let new = move_sections(&self.text, &[(section, place)]).expect("moved");
        note(&mut self.former, &self.text, &new, &[], &[section]).expect("packages");
        self.text = new;
    }

    /// Changes the text as another program does.
    fn foreign(&mut self, changes: &[Change]) {
        self.text = edit(&self.text, changes).expect("a change");
    }

    fn back(&self) -> (String, Vec<String>) {
        let (text, stays) = take_back(&self.text, &self.former).expect("taken back");
        (String::from_utf8_lossy(&text).into_owned(), stays)
    }

    #[track_caller]
    fn expect(&self, text: &str, stays: &[&str]) {
        let (found, named) = self.back();
        assert_eq!(found, text);
        assert_eq!(named, stays);
    }
}

const TEXT: &str = "# head\n\nconfig interface 'lan'\n\toption proto 'static' # fixed\n\tlist dns '1.1.1.1'\n\n\
    config interface 'wan'\n\toption proto 'pppoe'\n\toption username 'old'\n\toption mtu '1492'\n\n\
    # the last one\nconfig route 'r'\n\toption target '10.0.0.0/8'\n";

/// Each option that has the value of the agent still goes back, and each other one stays.
#[test]
fn options_go_back_one_by_one() {
    let mut agent = Agent::new(TEXT);
    agent.change(&[
        set("wan", "username", "new"),
        set("wan", "mtu", "1400"),
        set("wan", "peerdns", "0"),
        change("lan", Action::Unset("proto".into())),
        list("lan", "dns", &["1.1.1.1", "8.8.8.8"]),
    ]);
    assert_eq!(agent.former.len(), 5);
    // Nothing else has changed: all goes back, an option that was removed at the end of its section.
    let all = TEXT.replace(
        "\toption proto 'static' # fixed\n\tlist dns '1.1.1.1'\n",
        "\tlist dns '1.1.1.1'\n\toption proto 'static'\n",
    );
    agent.expect(&all, &[]);
    // A technician corrects the MTU, adds an option, a comment and a section, and leaves the rest to the agent.
    agent.foreign(&[
        set("wan", "mtu", "1300"),
        set("wan", "ac", "isp"),
        add("guest", "interface", &[("proto", "none")]),
    ]);
    agent.text = String::from_utf8(agent.text).expect("a text").replace("# head", "# repaired on site").into_bytes();
    let expected = all
        .replace("# head", "# repaired on site")
        .replace("\toption mtu '1492'\n", "\toption mtu '1300'\n\toption ac 'isp'\n")
        + "\nconfig interface 'guest'\n\toption proto 'none'\n";
    agent.expect(&expected, &["wan.mtu"]);
    // Values that another program has set back, or whose section it has deleted.
    agent.foreign(&[set("wan", "username", "old"), delete("lan")]);
    let (text, stays) = agent.back();
    assert!(text.contains("option username 'old'") && !text.contains("'lan'"), "{text}");
    assert_eq!(stays, ["lan.dns", "lan.proto", "wan.mtu"]);
}

/// The oldest value goes back after several changes. What another program sets between two of them is the older value then.
#[test]
fn later_changes_keep_the_oldest_value() {
    let mut agent = Agent::new(TEXT);
    agent.change(&[set("wan", "mtu", "1400"), set("wan", "username", "new")]);
    agent.change(&[set("wan", "mtu", "1300")]);
    agent.expect(TEXT, &[]);
    agent.foreign(&[set("wan", "mtu", "1250"), set("wan", "ac", "isp")]);
    agent.change(&[set("wan", "mtu", "1200"), set("wan", "ac", "other")]);
    let foreign = TEXT.replace("\toption mtu '1492'\n", "\toption mtu '1250'\n\toption ac 'isp'\n");
    agent.expect(&foreign, &[]);
}

#[test]
fn sections_come_and_go() {
    let mut agent = Agent::new(TEXT);
    agent.change(&[set("wan", "mtu", "1400")]);
    agent.change(&[delete("wan"), add("cpe_route_7", "route", &[("target", "0.0.0.0/0")])]);
    // Values of the new section belong to it.
    agent.change(&[set("cpe_route_7", "gateway", "192.0.2.1")]);
    assert_eq!(agent.former.len(), 2, "{:?}", agent.former);
    agent.expect(TEXT, &[]);
    agent.foreign(&[set("lan", "proto", "dhcp")]);
    agent.expect(&TEXT.replace("'static'", "'dhcp'"), &[]);
    // Another program has completed the new section, and made another one in the place of the deleted one.
    agent.foreign(&[set("cpe_route_7", "metric", "5"), add("wan", "interface", &[("proto", "dhcp")])]);
    let before = String::from_utf8(agent.text.clone()).expect("a text");
    agent.expect(&before, &["cpe_route_7", "wan"]);
    agent.foreign(&[delete("cpe_route_7"), delete("wan")]);
    let (text, stays) = agent.back();
    assert_eq!((text.trim_end(), stays.len()), (TEXT.replace("'static'", "'dhcp'").trim_end(), 0));
    // A section that the agent has added and deleted leaves nothing to take back.
    let mut agent = Agent::new(TEXT);
    agent.change(&[add("x", "route", &[])]);
    agent.change(&[delete("x")]);
    assert_eq!(agent.former, []);
}

/// Sections return to their places, the first one too, and with the comments and quotes in them.
#[test]
fn deleted_sections_have_their_places() {
    const RULES: &str = "# rules\n\nconfig rule\n\toption name \"A\" # first\n\nconfig rule 'b'\n\toption name 'B'\n\n\
        config rule\n\t# inside\n\toption name C\n\nconfig rule 'd'\n\toption name 'D'\n";
    for gone in [&["@rule[0]"][..], &["b"], &["@rule[2]"], &["d"], &["@rule[0]", "b"], &["b", "@rule[2]"], &["d", "b"]]
    {
        for at_once in [true, false] {
            let mut agent = Agent::new(RULES);
            match at_once {
                true => agent.change(&gone.iter().map(|section| delete(section)).collect::<Vec<_>>()),
                // From the last one, since the places count in the text before.
                false => gone.iter().rev().for_each(|section| agent.change(&[delete(section)])),
            }
            agent.foreign(&[add("theirs", "rule", &[])]);
            let (text, stays) = agent.back();
            let expected = edit(RULES.as_bytes(), &[add("theirs", "rule", &[])]).expect("a change");
            assert_eq!(content(text.as_bytes()), content(&expected), "{gone:?}: {text}");
            assert_eq!(stays, Vec::<String>::new());
            assert!(
                ["# first", "# inside", "\"A\"", "name C"].iter().all(|part| text.contains(part)),
                "{gone:?}: {text}"
            );
        }
    }
    // The section before it has gone too: the end is a place as good as any.
    let mut agent = Agent::new(RULES);
    agent.change(&[delete("@rule[2]")]);
    agent.foreign(&[delete("b")]);
    assert!(agent.back().0.ends_with("option name C\n"));
    // An earlier value of the deleted section counts.
    let mut agent = Agent::new(RULES);
    agent.change(&[set("b", "name", "other")]);
    agent.change(&[delete("b")]);
    agent.expect(RULES, &[]);
}

#[test]
fn a_name_stays_and_leads_to_the_section() {
    let mut agent = Agent::new("config rule\n\toption x '1'\n\nconfig rule\n\toption x '2'\n");
    agent.change(&[change("@rule[1]", Action::Name("cpe_rule_2".into())), set("@rule[1]", "x", "3")]);
    agent.change(&[delete("@rule[0]")]);
    agent.change(&[set("cpe_rule_2", "y", "4")]);
    agent.foreign(&[set("cpe_rule_2", "z", "5")]);
    agent.expect("config rule\n\toption x '1'\n\nconfig rule 'cpe_rule_2'\n\toption x '2'\n\toption z '5'\n", &[]);
    // An anonymous section has its place, which other changes of the agent move.
    let mut agent = Agent::new("config rule\n\toption x '1'\n\nconfig rule\n\toption x '2'\n");
    agent.change(&[set("@rule[1]", "x", "3")]);
    agent.change(&[delete("@rule[0]")]);
    agent.foreign(&[set("@rule[0]", "z", "5")]);
    agent.expect("config rule\n\toption x '1'\n\nconfig rule\n\toption x '2'\n\toption z '5'\n", &[]);
}

#[test]
fn moved_sections_return_to_their_places() {
    const RULES: &str = "config rule 'a'\n\nconfig rule 'b'\n\nconfig rule 'c'\n";
    let mut agent = Agent::new(RULES);
    agent.move_to("c", 1);
    agent.move_to("b", 1);
    agent.foreign(&[set("a", "x", "1")]);
    let names = |text: &str| text.split("config rule ").skip(1).map(|rule| rule[1..2].to_owned()).collect::<String>();
    let (text, stays) = agent.back();
    assert_eq!((names(&text), stays.len()), ("abc".to_owned(), 0), "{text}");
    // Sections of the agent count as long as they are there.
    agent.change(&[add("d", "rule", &[]), delete("a")]);
    agent.move_to("d", 1);
    let (text, stays) = agent.back();
    assert_eq!((names(&text), stays.len()), ("abc".to_owned(), 0), "{text}");
    agent.text = move_sections(&agent.text, &[("b", 3)]).expect("moved");
    let (text, stays) = agent.back();
    assert_eq!((names(&text), stays), ("cab".to_owned(), vec!["c.position".to_owned()]), "{text}");
}

/// A text that is no package, or lacks the room, stays whole.
#[test]
fn a_broken_text_stays() {
    let mut agent = Agent::new(TEXT);
    agent.change(&[set("wan", "mtu", "1400")]);
    agent.text.extend(b"option 'open\n");
    assert!(matches!(take_back(&agent.text, &agent.former), Err(Reason::Broken(_))));
    // Malformed settings of a journal change nothing.
    for (option, old) in [("mtu", "no commands"), ("", "no section"), (POSITION, "none")] {
        let former =
            Former { section: "wan".into(), option: option.into(), old: old.into(), new: 0, behind: "x".into() };
        let (text, _) = take_back(TEXT.as_bytes(), &[former]).expect("a package");
        assert_eq!(String::from_utf8_lossy(&text), TEXT, "{option} {old}");
    }
}

/// Values of others need not be UTF-8.
#[test]
fn bytes_come_back_as_they_were() {
    let text = b"config a 'n'\n\toption x 'caf\xe9'\n\toption y '1'\n";
    let change = [set("n", "x", "2")];
    let new = edit(text, &change).expect("a change");
    let mut former = Vec::new();
    note(&mut former, text, &new, &change, &[]).expect("packages");
    let foreign = edit(&new, &[set("n", "y", "3")]).expect("a change");
    let (back, stays) = take_back(&foreign, &former).expect("taken back");
    assert_eq!((back.as_slice(), stays.len()), (b"config a 'n'\n\toption x 'caf\xe9'\n\toption y '3'\n".as_slice(), 0));
}

/// A section: its type, its name, and its values in the order of their names.
type Section = (String, String, Vec<Values>);

/// Returns the sections in their order. A name that the agent gives is left out.
fn content(text: &[u8]) -> Vec<Section> {
    let package = parse(text, true).unwrap_or_else(|reason| panic!("{reason}: {}", String::from_utf8_lossy(text)));
    let section = |mut section: Content| {
        section.options.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let is_given = !section.is_named || section.name.starts_with("cpe_");
        (section.section_type, if is_given { String::new() } else { section.name }, section.options)
    };
    contents(text, &package).into_iter().map(section).collect()
}

/// Returns a function that returns random numbers below a bound.
fn random(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |bound| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as usize % bound
    }
}

/// The way back of the agent and the changes of another program do not depend on their order: what the other program makes of the
/// text before the changes of the agent is what comes back.
#[test]
fn random_changes_of_two_programs_commute() {
    let mut below = random(0x1234_5678_9ABC_DEF1);
    const OPTIONS: [&str; 5] = ["proto", "x", "mtu", "username", "ports"];
    let router = ROUTER.iter().map(|(_, text)| *text).chain([TEXT, ""]);
    let texts: Vec<&str> = router.collect();
    let mut counts = [0; 2];
    for round in 0..1000 {
        let base = texts[round % texts.len()];
        let mut agent = Agent::new(base);
        for step in 0..1 + below(4) {
            let package = parse(&agent.text, true).expect("a package");
            let sections = contents(&agent.text, &package);
            let mut changes = Vec::new();
            if !sections.is_empty() {
                let section = &sections[below(sections.len())];
                let (name, option) = (section.name.as_str(), OPTIONS[below(OPTIONS.len())]);
                let value = format!("ours {}", below(3));
                match below(6) {
                    0 => changes.push(change(name, Action::Unset(option.into()))),
                    1 => changes.push(list(name, option, &[&value, "more"])),
                    2 => changes.push(change(name, Action::AddItem(option.into(), value))),
                    3 if below(2) == 0 => changes.push(delete(name)),
                    4 if !section.is_named => {
                        let given = format!("cpe_{}_{round}_{step}", below(100));
                        changes.extend([change(name, Action::Name(given)), set(name, option, &value)]);
                    }
                    _ => changes.push(set(name, option, &value)),
                }
            }
            if below(4) == 0 {
                changes.push(add(&format!("cpe_new_{round}_{step}"), "route", &[("target", "ours")]));
            }
            agent.change(&changes);
        }
        let (text, stays) = agent.back();
        assert_eq!(
            (content(text.as_bytes()), stays.len()),
            (content(base.as_bytes()), 0),
            "{round}: {:?}",
            agent.former
        );
        // The other program changes sections that have a name in both texts.
        let is_there = |text: &[u8], name: &str| {
            let package = parse(text, true).expect("a package");
            contents(text, &package).iter().any(|section| section.is_named && section.name == name)
        };
        let package = parse(base.as_bytes(), true).expect("a package");
        let named = contents(base.as_bytes(), &package).into_iter().filter(|section| section.is_named);
        let named: Vec<String> = named.map(|section| section.name).filter(|name| is_there(&agent.text, name)).collect();
        let mut foreign = vec![add("theirs", "route", &[("x", "1")])];
        if !named.is_empty() {
            let theirs = |below: &mut dyn FnMut(usize) -> usize| {
                let (name, option) = (&named[below(named.len())], OPTIONS[below(OPTIONS.len())]);
                set(name, option, &format!("theirs {}", below(3)))
            };
            (0..below(3)).for_each(|_| foreign.push(theirs(&mut below)));
        }
        let expected = edit(base.as_bytes(), &foreign).expect("a change");
        agent.foreign(&foreign);
        let (text, stays) = agent.back();
        assert_eq!(content(text.as_bytes()), content(&expected), "{round}: {foreign:?} {:?}\n{text}", agent.former);
        counts[usize::from(!stays.is_empty())] += 1;
    }
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
}

/// Rules return to their order, whichever of them were deleted, added and moved in between: it is their precedence.
#[test]
fn the_order_of_sections_comes_back() {
    const RULES: &str = "config rule\n\toption x '1'\n\nconfig rule 'b'\n\nconfig rule\n\toption x '2'\n\n\
        config rule\n\toption x '3'\n\nconfig rule 'e'\n\nconfig rule\n\toption x '4'\n";
    let mut below = random(0x9E37_79B9_7F4A_7C15);
    for round in 0..2000 {
        let mut agent = Agent::new(RULES);
        for step in 0..2 + below(4) {
            let sections = contents(&agent.text, &parse(&agent.text, true).expect("a package"));
            let section = &sections[below(sections.len())];
            match below(3) {
                0 if sections.len() > 1 => agent.change(&[delete(&section.name)]),
                1 => agent.change(&[add(&format!("cpe_new_{step}"), "rule", &[])]),
                // The places of several moves depend on each other.
                _ if agent.former.iter().any(|known| known.option == POSITION) => {}
                _ => {
                    let given = format!("cpe_{step}");
                    let name = if section.is_named { &section.name } else { &given };
                    if !section.is_named {
                        agent.change(&[change(&section.name, Action::Name(given.clone()))]);
                    }
                    agent.move_to(name, 1 + below(5));
                }
            }
        }
        let (text, stays) = agent.back();
        let found = (content(text.as_bytes()), stays.len());
        assert_eq!(found, (content(RULES.as_bytes()), 0), "{round}: {:?}", agent.former);
    }
}
