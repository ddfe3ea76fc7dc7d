//! The table `tests/conformance.md`: each requirement of TR-069, and what proves that it is met.
//!
//! ```text
//! conformance.txt   numbers, levels, titles, and why something has no test ─┐
//! src, tests        every #[test] with the requirements that it cites ──────┴──▶ conformance.md
//! ```
//!
//! Beside them count the rules that the reference ACS in `tests/it/support` holds every session of every test against. Its
//! own tests (`tests/it/reference_acs.rs`) prove nothing of the agent, and do not count.
//!
//! A test cites a requirement by its number, such as `R164`, or `R134 to R136`, in its comments, in its messages, or in
//! those of the functions of its file that it calls. The table is written from that, and this test fails where it is
//! not what it would write: `CONFORMANCE=write cargo test --test it conformance` writes it anew.
//!
//! The text of each requirement stands in `docs/requirements.md`, and so do the tables that are cited by name, such as
//! table H1. A citation without a text fails too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// R1 to R356.
const LAST: u16 = 356;

/// The most tests that are named for a requirement.
const NAMED: usize = 3;

/// What the rules of the reference ACS are called; they come last.
const RULES: &str = "every session with the reference ACS";

const TABLE: &str = "tests/conformance.md";
const LIST: &str = "tests/conformance.txt";
const TEXTS: &str = "docs/requirements.md";

#[test]
fn the_table_is_that_of_the_tests() {
    let tests = tests_of_the_package();
    let (table, complaints) = table(&fs::read_to_string(LIST).expect(LIST), &tests);
    assert!(complaints.is_empty(), "{LIST} does not fit the tests:\n{}", complaints.join("\n"));
    if std::env::var_os("CONFORMANCE").is_some_and(|how| how == "write") {
        fs::write(TABLE, &table).expect(TABLE);
    }
    let found = fs::read_to_string(TABLE).unwrap_or_default();
    assert!(
        found == table,
        "{TABLE} is not what the tests say; first difference:\n{}\nto write it anew: \
         CONFORMANCE=write cargo test --test it conformance",
        first_difference(&found, &table)
    );
}

#[test]
fn every_citation_has_a_text() {
    let texts = Texts::of(&fs::read_to_string(TEXTS).expect(TEXTS));
    let mut complaints = Vec::new();
    let entries = entries(&fs::read_to_string(LIST).expect(LIST), &mut complaints);
    for entry in entries {
        if let Entry::Requirement(Requirement { number, level, .. }) = entry
            && texts.levels.get(&number) != Some(&level)
        {
            complaints.push(format!("R{number}: {LIST} has {level}, {TEXTS} has {:?}", texts.levels.get(&number)));
        }
    }
    let mut files = Vec::new();
    for directory in ["src", "tests", "docs", "examples", "benches", "cross"] {
        collect(Path::new(directory), &mut files);
    }
    files.extend(["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"].map(PathBuf::from));
    // The tests in this file cite numbers that do not exist.
    for file in files.iter().filter(|file| !file.ends_with("conformance.rs")) {
        let Ok(text) = fs::read_to_string(file) else { continue };
        for citation in texts.missing(&text) {
            complaints.push(format!("{}: {citation} has no text", file.display()));
        }
    }
    assert!(complaints.is_empty(), "citations that {TEXTS} does not explain:\n{}", complaints.join("\n"));
}

/// The requirements and tables that have a text in `docs/requirements.md`.
struct Texts {
    /// The number and the level of each requirement.
    levels: BTreeMap<u16, String>,
    /// The names of the tables, such as `H1`.
    tables: BTreeSet<String>,
}

impl Texts {
    /// A requirement is `- **R145** [MUST] …`, a table has the title `**Table H1 – …**`.
    fn of(document: &str) -> Texts {
        let requirement = |line: &str| {
            let (number, rest) = line.strip_prefix("- **R")?.split_once("** [")?;
            let (level, text) = rest.split_once("] ")?;
            (!text.is_empty()).then_some((number.parse().ok()?, level.to_owned()))
        };
        let table = |line: &str| line.strip_prefix("**Table ")?.split(' ').next().map(str::to_owned);
        let levels = document.lines().filter_map(requirement).collect();
        Texts { levels, tables: document.lines().filter_map(table).collect() }
    }

    /// Returns the citations in a text that have no text of their own here.
    fn missing(&self, text: &str) -> Vec<String> {
        let numbers = citations(text).into_iter().filter(|number| !self.levels.contains_key(number));
        let mut missing: Vec<String> = numbers.map(|number| format!("R{number}")).collect();
        for (at, before) in text.match_indices("able ") {
            let word = text[at + before.len()..].split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
            let is_cited = text[..at].ends_with(['t', 'T']) && is_table(word);
            if is_cited && !self.tables.contains(word) {
                missing.push(format!("table {word}"));
            }
        }
        missing
    }
}

/// Returns true for the name of a table, such as `H1`: capital letters, then digits.
fn is_table(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
    digits.len() < word.len() && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn first_difference(found: &str, expected: &str) -> String {
    let mut pairs = found.lines().zip(expected.lines());
    match pairs.find(|(found, expected)| found != expected) {
        Some((found, expected)) => format!("-{found}\n+{expected}"),
        None => format!("{} lines, not {}", found.lines().count(), expected.lines().count()),
    }
}

/// A requirement as it stands in the list.
struct Requirement {
    number: u16,
    level: String,
    title: String,
    /// The state that stands in the list: `in part: …`, or without a test `not applicable: …` or `open: …`.
    reason: Option<String>,
}

/// A heading of the list, or a requirement under it.
enum Entry {
    Section(String),
    Requirement(Requirement),
}

/// Reads the list:
///
/// ```text
/// ## A. Title of a section
/// R1 MUST Title of the requirement
///     open: why it has no test yet
/// ```
fn entries(list: &str, complaints: &mut Vec<String>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        if let Some(section) = line.strip_prefix("## ") {
            entries.push(Entry::Section(section.to_owned()));
        } else if let Some(reason) = line.strip_prefix("    ") {
            match entries.last_mut() {
                Some(Entry::Requirement(last)) if last.reason.is_none() => last.reason = Some(reason.to_owned()),
                _ => complaints.push(format!("a state without its requirement: {reason}")),
            }
        } else if let Some(requirement) = requirement(line) {
            entries.push(Entry::Requirement(requirement));
        } else {
            complaints.push(format!("not understood: {line}"));
        }
    }
    entries
}

/// `R164 MUST SetParameterValues is atomic`; a level of two words is written with a dash, `MUST-NOT`.
fn requirement(line: &str) -> Option<Requirement> {
    let (number, rest) = line.strip_prefix('R')?.split_once(' ')?;
    let (level, title) = rest.split_once(' ')?;
    let known = ["MUST", "MUST-NOT", "SHOULD", "SHOULD-NOT", "MAY", "COND", "INTEROP", "ADVICE"];
    let number = number.parse().ok()?;
    known.contains(&level).then(|| Requirement {
        number,
        level: level.replace('-', " "),
        title: title.to_owned(),
        reason: None,
    })
}

/// The table, and what is wrong with the list or with a citation.
fn table(list: &str, tests: &[Test]) -> (String, Vec<String>) {
    let mut complaints = Vec::new();
    let entries = entries(list, &mut complaints);
    let mut proofs: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for test in tests {
        for number in &test.cites {
            if !(1..=LAST).contains(number) {
                complaints.push(format!("{} cites R{number}, which does not exist", test.name));
            }
            proofs.entry(*number).or_default().push(&test.name);
        }
    }
    let mut rows = String::new();
    let mut count = BTreeMap::from([("tested", 0), ("in part", 0), ("not applicable", 0), ("open", 0)]);
    let mut expected = 1;
    for entry in &entries {
        match entry {
            Entry::Section(title) => {
                let _ =
                    write!(rows, "\n## {title}\n\n| | Requirement | Level | Tests | State |\n|---|---|---|---|---|\n");
            }
            Entry::Requirement(requirement) => {
                if requirement.number != expected {
                    complaints.push(format!("R{expected} is expected where R{} stands", requirement.number));
                }
                expected = requirement.number + 1;
                let proofs = proofs.get(&requirement.number).map_or(&[][..], Vec::as_slice);
                match state(requirement, proofs) {
                    Ok((kind, state)) => {
                        *count.entry(kind).or_default() += 1;
                        let proofs = if ["tested", "in part"].contains(&kind) { proofs } else { &[] };
                        rows.push_str(&row(requirement, proofs, state));
                    }
                    Err(complaint) => complaints.push(format!("R{}: {complaint}", requirement.number)),
                }
            }
        }
    }
    if expected != LAST + 1 {
        complaints.push(format!("the list ends before R{LAST}"));
    }
    let kinds = ["tested", "in part", "not applicable", "open"].map(|kind| format!("{} {kind}", count[kind]));
    let sum = kinds.join(", ");
    (format!("{HEAD}\n{sum}.\n{rows}"), complaints)
}

const HEAD: &str = "# Conformance\n\n\
    The requirements of TR-069 (Amendment 6, Corrigendum 1) by the numbers that the code and the tests cite, \
    each with its tests.\n\
    [docs/requirements.md](../docs/requirements.md) has their text and their sources.\n\
    Written by `tests/it/conformance.rs` from the tests and from `tests/conformance.txt`; do not edit it.\n";

/// Exactly one state for each: tests, tests of a part, or a reason why there is none.
fn state<'r>(requirement: &'r Requirement, proofs: &[&str]) -> Result<(&'static str, &'r str), String> {
    let Some(reason) = &requirement.reason else {
        return match proofs {
            [] => Err("no test cites it, and the list does not say why".into()),
            _ => Ok(("tested", "tested")),
        };
    };
    let known = |kind: &&str| reason.strip_prefix(*kind).is_some_and(|why| why.starts_with(": "));
    let Some(kind) = ["in part", "not applicable", "open"].into_iter().find(known) else {
        return Err(format!("`{reason}` is none of `in part: why`, `not applicable: why` and `open: why`"));
    };
    match proofs {
        [] if kind == "in part" => Err(format!("no test cites it, and the list says `{reason}`")),
        // A rule for what the agent does not do yet waits for it.
        [first, ..] if kind != "in part" && *first != RULES => {
            Err(format!("{first} cites it, and the list says `{reason}`"))
        }
        _ => Ok((kind, reason)),
    }
}

fn row(requirement: &Requirement, proofs: &[&str], state: &str) -> String {
    let name = |name: &&str| if *name == RULES { RULES.to_owned() } else { format!("`{name}`") };
    let mut named: Vec<String> = proofs.iter().take(NAMED).map(name).collect();
    if proofs.len() > NAMED {
        named.push(format!("{} more", proofs.len() - NAMED));
    }
    let Requirement { number, level, title, .. } = requirement;
    format!("| R{number} | {} | {level} | {} | {} |\n", cell(title), named.join(", "), cell(state))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// A test of the package, with the requirements that it cites.
#[derive(Debug, PartialEq)]
struct Test {
    name: String,
    cites: BTreeSet<u16>,
}

fn tests_of_the_package() -> Vec<Test> {
    let mut files = Vec::new();
    collect(Path::new("src"), &mut files);
    collect(Path::new("tests"), &mut files);
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    let others = ["tests/it/conformance.rs", "tests/it/reference_acs.rs"];
    let read = |file: &PathBuf| (module(file), fs::read_to_string(file).expect("a source file"));
    let (mut tests, mut rules) = (Vec::new(), BTreeSet::new());
    for (module, text) in files.iter().filter(|file| others.iter().all(|other| *file != Path::new(other))).map(read) {
        if module.starts_with("tests/it/support/") {
            rules.extend(rules_in(&text));
        } else {
            tests.extend(tests_of(&module, &text));
        }
    }
    assert!(!rules.is_empty(), "the reference ACS has no rules");
    tests.push(Test { name: RULES.into(), cites: rules });
    tests
}

/// The requirements of a file of the reference ACS: a rule that is broken says which they are, as in
/// `"R35, R36: no SOAPAction"`.
fn rules_in(text: &str) -> BTreeSet<u16> {
    let complaints = text.split('"').filter_map(|literal| literal.split_once(": ").map(|(numbers, _)| numbers));
    let is_number = |word: &str| {
        word.strip_prefix('R').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let all_numbers = |numbers: &&str| numbers.split(", ").all(is_number);
    complaints.filter(all_numbers).flat_map(citations).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// `src/cwmp/session/tests.rs` is `cwmp::session::tests`, `tests/it/http.rs` is `tests/it/http`.
fn module(file: &Path) -> String {
    let path = file.with_extension("");
    let path = path.to_str().expect("a source file has a plain name");
    match path.strip_prefix("src/") {
        Some(inside) => inside.trim_end_matches("/mod").replace('/', "::"),
        None => path.to_owned(),
    }
}

/// A function of a source file, from its first comment to its closing brace.
struct Function<'t> {
    name: &'t str,
    /// The module of the tests in this file, if there is one.
    inner_module: Option<&'t str>,
    text: String,
    is_test: bool,
}

/// Returns the tests of one file.
fn tests_of(module: &str, text: &str) -> Vec<Test> {
    let mut functions = functions(text);
    for function in &mut functions {
        // The macro below the function makes two tests of it, one for each data model.
        function.is_test |= text.contains(&format!("\nboth_models!({});", function.name));
    }
    let tests = functions.iter().filter(|function| function.is_test);
    tests
        .map(|test| {
            let name = match test.inner_module {
                Some(inner) => format!("{module}::{inner}::{}", test.name),
                None => format!("{module}::{}", test.name),
            };
            Test { name, cites: cited_with_callees(test, &functions) }
        })
        .collect()
}

/// What a test cites, itself and in the functions of its file that it calls. Functions of the program itself are no
/// tests, whatever they cite: they do not count.
fn cited_with_callees(test: &Function<'_>, functions: &[Function<'_>]) -> BTreeSet<u16> {
    let mut cites = BTreeSet::new();
    let mut reached = BTreeSet::from([test.name]);
    let mut left = vec![test];
    while let Some(function) = left.pop() {
        cites.extend(citations(&function.text));
        for other in functions.iter().filter(|other| !other.is_test && other.inner_module == test.inner_module) {
            if calls(&function.text, other.name) && reached.insert(other.name) {
                left.push(other);
            }
        }
    }
    cites
}

/// Returns true if the text has the name as a whole word, with arguments after it.
fn calls(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| !text[..at].ends_with(part) && text[at + name.len()..].starts_with('('))
}

/// The functions of a file as rustfmt lays them out: the closing brace stands as deep as the first line.
fn functions(text: &str) -> Vec<Function<'_>> {
    let mut functions = Vec::new();
    let mut inner_module = None;
    // Comments and attributes belong to the function that follows them.
    let (mut above, mut is_test, mut of_tests) = (String::new(), false, false);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        let depth = line.len() - code.len();
        if code.starts_with("///") || code.starts_with("#[") {
            above.push_str(line);
            above.push('\n');
            is_test |= code == "#[test]";
            of_tests |= code == "#[cfg(test)]";
            continue;
        }
        if of_tests && let Some(name) = code.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {")) {
            inner_module = Some(name);
        } else if let Some(name) = function_name(code) {
            let mut body = std::mem::take(&mut above) + line + "\n";
            let end = |line: &str| line.trim_end() == format!("{}}}", " ".repeat(depth));
            let whole = code.ends_with(['}', ';']) && code.matches('{').count() == code.matches('}').count();
            while !whole && let Some(line) = lines.next() {
                body.push_str(line);
                body.push('\n');
                if end(line) {
                    break;
                }
            }
            functions.push(Function { name, inner_module, text: body, is_test });
        }
        above.clear();
        (is_test, of_tests) = (false, false);
    }
    functions
}

fn function_name(code: &str) -> Option<&str> {
    let mut rest = code;
    for word in ["pub ", "pub(crate) ", "pub(super) ", "const "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let rest = rest.strip_prefix("fn ")?;
    rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()
}

/// Returns the numbers that a text cites: `R164`, and all from `R134 to R136`.
fn citations(text: &str) -> BTreeSet<u16> {
    let mut found = BTreeSet::new();
    let mut range_from = None;
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    for word in words {
        let number = word.strip_prefix('R').and_then(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u16>().ok()).flatten()
        });
        match (number, range_from) {
            (Some(number), Some((from, true))) => found.extend(from..=number),
            (Some(number), _) => drop(found.insert(number)),
            (None, _) => {}
        }
        range_from = match (number, range_from) {
            (Some(number), _) => Some((number, false)),
            (None, Some((from, false))) if word == "to" => Some((from, true)),
            _ => None,
        };
    }
    found
}

mod of_itself {
    use super::*;

    fn numbers(text: &str) -> Vec<u16> {
        citations(text).into_iter().collect()
    }

    #[test]
    fn citations_are_single_or_ranges() {
        assert_eq!(numbers("// R7, R9: \"R12\" and R134 to R136."), [7, 9, 12, 134, 135, 136]);
        assert_eq!(numbers("R8005x XR1 R TR069 R-2 R1 up to R3"), [1, 3]);
    }

    #[test]
    fn a_test_cites_for_itself_and_for_what_it_calls() {
        let text = "\
/// R1.
fn program() {}

fn deep() {
    check(); // R5
}

/// R2.
#[test]
fn first() {
    if true {
        helper(1); // R3
    }
}

fn helper(n: u8) {
    deep(); // R4
}

#[test]
fn second() {
    not_helper();
}
";
        let test = |name: &str, cites: &[u16]| Test { name: name.into(), cites: cites.iter().copied().collect() };
        assert_eq!(tests_of("tests/x", text), [test("tests/x::first", &[2, 3, 4, 5]), test("tests/x::second", &[])]);
    }

    #[test]
    fn the_program_beside_its_tests_does_not_count() {
        let text = "\
/// R1.
fn program() {
    other(); // R2
}

#[cfg(test)]
mod tests {
    #[test]
    fn works() {
        program(); // R3
    }
}
";
        let works = Test { name: "a::b::tests::works".into(), cites: BTreeSet::from([3]) };
        assert_eq!(tests_of(&module(Path::new("src/a/b.rs")), text), [works]);
    }

    #[test]
    fn rules_are_those_that_a_breach_names() {
        let text = "// R1: no\nrule(\"R35, R36: no SOAPAction\"); words(\"of R9: x\"); f(\"R98\"); g(\"R6: two\")";
        assert_eq!(rules_in(text), BTreeSet::from([6, 35, 36]));
    }

    fn complaints(list: &str, cites: &[u16]) -> Vec<String> {
        let mut whole = String::new();
        for number in 1..=LAST {
            let line = list.lines().find(|line| line.starts_with(&format!("R{number} ")));
            match line {
                Some(line) => whole.push_str(&format!("{}\n", line.replace('~', "\n    "))),
                None => whole.push_str(&format!("R{number} MUST Title\n    open: later\n")),
            }
        }
        let test = Test { name: "a::test".into(), cites: cites.iter().copied().collect() };
        table(&whole, &[test]).1
    }

    #[test]
    fn a_citation_without_a_text_is_found() {
        let texts = Texts::of("- **R1** [MUST] A text. — *A6*\n- **R2** [MUST NOT] \n\n**Table H1 – events** (T8)\n");
        assert_eq!(texts.levels, BTreeMap::from([(1, "MUST".to_owned())]));
        assert_eq!(texts.missing("R1, R2; table H1, Table Z1 and table 3; a table (R1)"), ["R2", "table Z1"]);
    }

    #[test]
    fn each_requirement_has_one_state() {
        assert_eq!(complaints("", &[]), [""; 0]);
        assert_eq!(complaints("R7 MUST Title", &[7]), [""; 0]);
        assert_eq!(complaints("R7 MUST Title", &[]), ["R7: no test cites it, and the list does not say why"]);
        assert_eq!(complaints("", &[7]), ["R7: a::test cites it, and the list says `open: later`"]);
        let maybe = "R7: `maybe` is none of `in part: why`, `not applicable: why` and `open: why`";
        assert_eq!(complaints("R7 MUST Title~maybe", &[]), [maybe]);
        assert_eq!(complaints("R7 MUST Title~in part: half", &[7]), [""; 0]);
        let half = "R7: no test cites it, and the list says `in part: half`";
        assert_eq!(complaints("R7 MUST Title~in part: half", &[]), [half]);
        assert_eq!(complaints("", &[0, 347]).len(), 2);
        let (_, of_a_part) = table("R2 MUST Title\n    open: later\nR4 PERHAPS Title", &[]);
        let expected =
            ["not understood: R4 PERHAPS Title", "R1 is expected where R2 stands", "the list ends before R356"];
        assert_eq!(of_a_part, expected);
    }
}
