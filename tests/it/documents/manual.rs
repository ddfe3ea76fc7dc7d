//! The manual page `docs/cpe-agent.8`: its commands, its options and their explanations are those of `--help` and of
//! `help COMMAND`.
//!
//! `MANUAL=write cargo test --test it documents::manual` writes these parts anew.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use super::{agent, document, root};
use crate::support::skip::skip_for_lack_of;

const PAGE: &str = "docs/cpe-agent.8";

/// The overview of `--help`.
pub(super) fn help() -> String {
    printed(&["--help"])
}

/// The output of a command line.
pub(super) fn printed(arguments: &[&str]) -> String {
    let output = agent().args(arguments).output().expect("cpe-agent starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The commands of the overview, with arguments and meaning.
pub(super) fn usages(help: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    // The example at the end of the help has no second column.
    let rows = help.lines().filter(|line| line.starts_with("  cpe-agent ")).filter_map(columns);
    rows.map(|(usage, meaning)| {
        let usage = usage.strip_prefix("cpe-agent ").expect("the program");
        let (name, rest) = usage.split_once(' ').unwrap_or((usage, ""));
        (name, rest, meaning)
    })
}

/// Two columns of a line of `--help`.
pub(super) fn columns(line: &str) -> Option<(&str, &str)> {
    let (usage, meaning) = line.strip_prefix("  ")?.split_once("  ")?;
    Some((usage.trim(), meaning.trim()))
}

/// A text as mdoc has it: a sentence, with backslashes that are no escapes.
fn sentence(text: &str) -> String {
    let mut letters = text.replace('\\', "\\e").chars().collect::<Vec<_>>();
    if let Some(first) = letters.first_mut() {
        *first = first.to_ascii_uppercase();
    }
    letters.into_iter().collect::<String>() + "."
}

/// The arguments of a command in mdoc: `[--json]` is an optional flag, `[NAME=VALUE...]` an optional argument.
fn arguments(usage: &str) -> String {
    let words = usage.split(' ').map(|word| match word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
        Some(option) => match option.strip_prefix('-') {
            Some(flag) => format!(" Op Fl {flag}"),
            None => format!(" Op Ar {}", option.trim_matches('"')),
        },
        None if word.starts_with("--") => format!(" Fl {}", &word[1..]),
        // A dot at the end of an argument is punctuation to mdoc, and stands apart.
        None => format!(
            " Ar {}",
            word.strip_suffix('.')
                .filter(|word| !word.ends_with('.'))
                .map_or(word.to_owned(), |word| format!("{word} ."))
        ),
    });
    words.collect()
}

/// The longest line of the page's source.
const WIDTH: usize = 78;

/// A paragraph as mdoc has it: each sentence begins a line.
fn paragraph<'t>(lines: impl Iterator<Item = &'t str>) -> String {
    let (mut text, mut column) = (String::new(), 0);
    for word in lines.flat_map(str::split_whitespace) {
        let breaks = text.ends_with('.') || column + word.len() >= WIDTH;
        if column > 0 {
            text.push(if breaks { '\n' } else { ' ' });
            column = if breaks { 0 } else { column + 1 };
        }
        // A dot or an apostrophe at the begin of a line would be a macro.
        if column == 0 && word.starts_with(['.', '\'']) {
            text.push_str("\\&");
        }
        text.push_str(&word.replace('\\', "\\e"));
        column += word.len();
    }
    text + "\n"
}

/// The sections of `--help` with their titles. The text before the first title has none.
fn sections(help: &str) -> Vec<(&str, Vec<&str>)> {
    let mut sections = vec![("", Vec::new())];
    for line in help.lines() {
        match line.strip_suffix(':').filter(|title| !title.starts_with(' ')) {
            Some(title) => sections.push((title, Vec::new())),
            None => sections.last_mut().expect("at least one").1.push(line),
        }
    }
    sections
}

/// The list of commands of `--help`, each with the text of `help COMMAND`.
fn commands(help: &str) -> String {
    let mut list = String::from(".Bl -tag -width Ds\n");
    for (name, rest, meaning) in usages(help) {
        let rest = if rest.is_empty() { String::new() } else { arguments(rest) };
        // Writing to a String cannot fail.
        let _ = write!(list, ".It Cm {name}{rest}\n{}\n", sentence(meaning));
        let explained = printed(&["help", name]);
        // The usage and an empty line stand first, then the meaning.
        let details: Vec<&str> = explained.lines().skip(3).take_while(|line| !line.is_empty()).collect();
        let (options, text): (Vec<&str>, Vec<&str>) =
            details.into_iter().partition(|line| line.starts_with("  --") && columns(line).is_some());
        if !text.is_empty() {
            list.push_str(&paragraph(text.into_iter()));
        }
        list.push_str(&options_of_command(&options));
    }
    list + ".El\n"
}

/// The options of one command, as a list within the list of commands.
fn options_of_command(lines: &[&str]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut list = String::from(".Bl -tag -width Ds\n");
    for (usage, meaning) in lines.iter().filter_map(|line| columns(line)) {
        let _ = write!(list, ".It{}\n{}\n", arguments(usage), sentence(meaning));
    }
    list + ".El\n"
}

/// The key of an option in the configuration file: `--state-dir` is `stateDir`.
fn key(option: &str) -> String {
    let mut parts = option.split('-');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |key, part| key + &part[..1].to_uppercase() + &part[1..])
}

/// The explanation and the list of options of `--help`, each with its key and its default.
fn options(help: &str) -> String {
    let sections = sections(help);
    let (_, lines) = sections.iter().find(|(title, _)| *title == "Options").expect("the options");
    let mut list = paragraph(lines.iter().copied().take_while(|line| !line.is_empty()));
    list.push_str(".Bl -tag -width Ds\n");
    for line in lines.iter().skip_while(|line| !line.is_empty()) {
        let Some((usage, meaning)) = columns(line) else { continue };
        let (meaning, default) = match meaning.split_once(" [") {
            Some((meaning, default)) => (meaning, default.strip_suffix(']')),
            None => (meaning, None),
        };
        let mut flags = usage.split(' ').map(|word| match word.strip_prefix('-') {
            Some(flag) => format!(" Fl {}", flag.replace(',', " ,")),
            None => format!(" Ar {word}"),
        });
        let first = flags.next().unwrap_or_default();
        let _ = write!(list, ".It{first}{}\n{}\n", flags.collect::<String>(), sentence(meaning));
        if let Some(option) = usage.strip_prefix("--").and_then(|usage| usage.split(' ').next())
            && option != "config"
        {
            let _ = writeln!(list, "Key:\n.Ql {} .", key(option));
        }
        if let Some(default) = default {
            let _ = writeln!(list, "Default:\n.Ql {default} .");
        }
    }
    list + ".El\n"
}

/// The page with other text between the marks of a list.
fn with_list(page: &str, name: &str, list: &str) -> String {
    let (begin, end) = (format!(".\\\" {name}\n"), format!(".\\\" end of {name}\n"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("{PAGE} has no list of {name}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{PAGE}: the list of {name} has no end"));
    [before, &begin, list, &end, after].concat()
}

#[test]
fn the_manual_page_has_the_commands_and_options_of_the_help() {
    let (help, page) = (help(), document(PAGE));
    let expected = with_list(&page, "commands", &commands(&help));
    let expected = with_list(&expected, "options", &options(&help));
    if std::env::var_os("MANUAL").is_some_and(|how| how == "write") {
        fs::write(root().join(PAGE), &expected).expect(PAGE);
        return;
    }
    let difference = page.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(
        page == expected,
        "{PAGE} differs from --help: {difference:?}\nto write it anew: MANUAL=write cargo test --test it documents::manual"
    );
}

/// A new user needs the URL of the ACS first, and sees the end of the help first.
#[test]
fn the_help_ends_with_the_url_of_the_acs() {
    let help = help();
    let last = help.lines().last().unwrap_or_default();
    assert!(last.contains("--set Device.ManagementServer.URL="), "{last}");
    assert!(options(&help).matches(".It ").count() > 10, "{help}");
    assert!(commands(&help).matches(".It ").count() > 10, "{help}");
}

#[test]
fn mandoc_finds_no_fault_in_the_manual_page() {
    let lint = Command::new("mandoc").args(["-T", "lint", "-W", "style", PAGE]).current_dir(root()).output();
    match lint {
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && told.is_empty(), "{told}");
        }
        Err(error) => {
            skip_for_lack_of(format!("mandoc ({error})"));
        }
    }
}
