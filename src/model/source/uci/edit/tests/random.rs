//! Random packages and random changes, against a model of libuci's semantics that shares no code with the editor.

use super::*;

/// A generator of numbers that are the same in each run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn of<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices[self.below(choices.len())]
    }
}

const OPTIONS: [&str; 4] = ["x", "y", "zz", "_1"];
const VALUES: [&str; 10] = ["1", "2", "a b", "it's", "\"", "#", ";", "\\", "é", "a; option x 'b'"];

/// A section of the model: name (empty: anonymous), type, and options with the kind and the items.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Section(String, String, Vec<(String, bool, Vec<String>)>);

impl Section {
    fn items(&mut self, option: &str) -> Vec<String> {
        self.2.iter().find(|known| known.0 == option).map(|known| known.2.clone()).unwrap_or_default()
    }

    fn put(&mut self, option: &str, is_list: bool, items: Vec<String>) {
        let present = self.items(option);
        if present == items {
            return;
        }
        self.2.retain(|known| known.0 != option);
        if !items.is_empty() {
            self.2.push((option.to_owned(), is_list, items));
        }
        self.2.sort();
    }
}

/// Writes a value in one of the forms of the syntax.
fn written(value: &str, numbers: &mut Numbers) -> String {
    match numbers.below(4) {
        0 => {
            let escape = |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\{c}") };
            value.chars().map(escape).collect()
        }
        1 => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
        2 => value.chars().map(|c| if c == '\'' { "\"'\"".to_owned() } else { format!("'{c}'") }).collect(),
        _ => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

/// Returns a package with its content. `is_simple` leaves out pieces of sections and shared lines.
fn package(numbers: &mut Numbers, is_simple: bool) -> (String, Vec<Section>) {
    let (mut text, mut sections) = (String::new(), Vec::<Section>::new());
    let end = numbers.of(&["\n", "\n", "\r\n"]);
    for _ in 0..numbers.below(5) {
        text += numbers.of(&["", "\n", "# a 'comment\n", "package p\n", " \t\n# one\n\n"]);
        let number = sections.len();
        let at = match numbers.below(if is_simple { 2 } else { 3 }) {
            0 => {
                sections.push(Section(String::new(), "a-b".into(), Vec::new()));
                text += numbers.of(&["config a-b", " c 'a-b' ''", "config\t\"a-b\""]);
                number
            }
            2 if sections.iter().any(|section| !section.0.is_empty()) => {
                let at = sections.iter().position(|section| !section.0.is_empty()).expect("a named section");
                text += &format!("config t {}", sections[at].0);
                at
            }
            _ => {
                sections.push(Section(format!("n{number}"), "t".into(), Vec::new()));
                text += &format!("config t {}", written(&format!("n{number}"), numbers));
                number
            }
        };
        text += numbers.of(&["", " ", " # note", "#"]);
        text += end;
        for _ in 0..numbers.below(6) {
            let (option, value) = (numbers.of(&OPTIONS), numbers.of(&VALUES).to_owned());
            let is_list = numbers.below(2) == 0;
            text += numbers.of(&["\t", "", "  "]);
            text += if is_list { numbers.of(&["list ", "l\t"]) } else { numbers.of(&["option ", "o  "]) };
            text += &format!("{option} {}", written(&value, numbers));
            text += numbers.of(&["", "\t", " # note ' ;", "", if is_simple { "" } else { " ; o y q" }]);
            let is_parted = text.ends_with("q");
            let items = if is_list { [sections[at].items(option), vec![value]].concat() } else { vec![value] };
            sections[at].2.retain(|known| known.0 != option);
            sections[at].2.push((option.to_owned(), is_list, items));
            if is_parted {
                sections[at].2.retain(|known| known.0 != "y");
                sections[at].2.push(("y".into(), false, vec!["q".into()]));
            }
            text += end;
            text += numbers.of(&["", "", "", "\n", "\t# inside\n"]);
        }
        sections[at].2.sort();
    }
    if numbers.below(3) == 0 {
        text = text.trim_end().to_owned();
    }
    (text, sections)
}

/// Returns the content of a package as the editor reads it.
fn content(text: &[u8]) -> Vec<Section> {
    let package = parse(text, true).unwrap_or_else(|reason| panic!("{reason}: {}", String::from_utf8_lossy(text)));
    let sections = contents(text, &package).into_iter().map(|section| {
        let text = |item: Vec<u8>| String::from_utf8(item).expect("a text");
        let options = section.options.into_iter();
        let options = options.map(|values| (values.name, values.is_list, values.items.into_iter().map(text).collect()));
        let mut options: Vec<_> = options.collect();
        options.sort();
        Section(if section.is_named { section.name } else { String::new() }, section.section_type, options)
    });
    sections.collect()
}

/// Makes a random change on the model, and returns it for the editor.
fn random_change(
    numbers: &mut Numbers,
    number: usize,
    places: &[Option<usize>],
    model: &mut [Option<Section>],
) -> Change {
    let alive: Vec<usize> = (0..model.len()).filter(|at| model[*at].is_some()).collect();
    let at = alive[numbers.below(alive.len())];
    let section = model[at].as_mut().expect("a section");
    let address = match places.get(at) {
        _ if !section.0.is_empty() => section.0.clone(),
        Some(Some(place)) => format!("@a-b[{place}]"),
        _ => panic!("an anonymous section has a place"),
    };
    let (option, value) = (numbers.of(&OPTIONS), numbers.of(&VALUES).to_owned());
    let mut items = section.items(option);
    let action = match numbers.below(9) {
        0..=2 => {
            section.put(option, false, vec![value.clone()]);
            Action::Set(option.into(), value)
        }
        3 => {
            let items: Vec<String> = (0..numbers.below(4)).map(|_| numbers.of(&VALUES).to_owned()).collect();
            section.put(option, true, items.clone());
            Action::SetList(option.into(), items)
        }
        4 => {
            if !items.contains(&value) {
                items.push(value.clone());
            }
            section.put(option, true, items);
            Action::AddItem(option.into(), value)
        }
        5 => {
            items.retain(|item| *item != value);
            section.put(option, true, items);
            Action::RemoveItem(option.into(), value)
        }
        6 => {
            section.put(option, false, Vec::new());
            Action::Unset(option.into())
        }
        7 if section.0.is_empty() => {
            section.0 = format!("named{number}");
            Action::Name(section.0.clone())
        }
        _ if alive.len() > 1 => {
            model[at] = None;
            Action::Delete
        }
        _ => Action::Unset("none".into()),
    };
    change(&address, action)
}

#[test]
fn random_changes_of_random_packages() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let (mut unchanged, mut patched) = (0, 0);
    for run in 0..4000 {
        let is_simple = run % 2 == 0;
        let (text, sections) = package(&mut numbers, is_simple);
        assert_eq!(content(text.as_bytes()), sections, "{text:?}");
        let mut place = 0;
        let anonymous = sections.iter().map(|section| {
            place += usize::from(section.0.is_empty());
            section.0.is_empty().then(|| place - 1)
        });
        let places: Vec<Option<usize>> = anonymous.collect();
        let mut model: Vec<Option<Section>> = sections.iter().cloned().map(Some).collect();
        let mut changes = vec![add("new", "t", &[("x", "1"), ("y", "it's")])];
        let options = [("x", "1"), ("y", "it's")].map(|(name, value)| (name.into(), false, vec![value.into()]));
        model.push(Some(Section("new".into(), "t".into(), options.to_vec())));
        if numbers.below(2) == 0 && !sections.is_empty() {
            changes.clear();
            model.pop();
        }
        for number in 0..numbers.below(5) {
            changes.push(random_change(&mut numbers, number, &places, &mut model));
        }
        let wanted: Vec<Section> = model.into_iter().flatten().collect();
        let new = edit(text.as_bytes(), &changes).unwrap_or_else(|refusal| panic!("{refusal:?} {text:?} {changes:?}"));
        assert_eq!(content(&new), wanted, "{text:?} {changes:?}");
        if wanted == sections {
            assert_eq!(String::from_utf8_lossy(&new), text, "{changes:?}");
            unchanged += 1;
        } else if is_simple {
            patched += 1;
            check_lines(&text, &String::from_utf8_lossy(&new), &changes);
        }
        assert_eq!(edit(&new, &[]).as_deref(), Ok(new.as_slice()));
    }
    assert!(unchanged > 400 && patched > 1000, "{unchanged} {patched}");
}

/// Checks that the lines of sections without a change are there, in their order.
fn check_lines(text: &str, new: &str, changes: &[Change]) {
    let changed = |section: &str| changes.iter().any(|change| change.section == section);
    let (mut rest, mut keeps, mut place) = (new, true, 0);
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let trimmed = line.trim();
        if let Some(after) =
            trimmed.strip_prefix('c').filter(|_| trimmed.starts_with("config") || trimmed.starts_with("c "))
        {
            let is_anonymous = after.contains("a-b");
            let digit = after.chars().find(char::is_ascii_digit);
            keeps = match digit {
                _ if is_anonymous => !changed(&format!("@a-b[{place}]")),
                Some(digit) => !changed(&format!("n{digit}")),
                None => false,
            };
            place += usize::from(is_anonymous);
        }
        if keeps && !trimmed.is_empty() && !trimmed.starts_with('#') && !trimmed.starts_with("package") {
            let at =
                rest.find(line).unwrap_or_else(|| panic!("{line:?} of {text:?} is not in {new:?} after {changes:?}"));
            rest = &rest[at + line.len()..];
        }
    }
}
