//! The texts of `--help` and of `help COMMAND`, made from the tables of commands and options and from the texts below.

use std::fmt::Write as _;

use super::command::{COMMANDS, CommandParser, CommandSpec};
use crate::config::{CONFIG, SETTINGS};

/// The text above the options: lines of at most 98 characters, so that an indented one fits 100 columns.
const OPTIONS: &str = "\
Each option is also a key of the JSON file and overrides it; the key of --state-dir is stateDir,
and so on. --data-model, --optional-data-model and --set may be repeated; the first
--data-model replaces the default.
--set gives factory values: they are needed at every start, and a value that the ACS or `set` has
changed takes precedence. Every user can read a command line: passwords belong in the file.";

/// The text above the options of a command to the running agent.
const CLIENT_OPTIONS: &str = "\
The running agent executes the command: set, add, delete, download, upload and request-download
after the end of its session, for which they wait two minutes at most, the others at once.";

/// The text above the options of a command that measures a transfer without the agent.
#[cfg(feature = "diagnostics")]
const TRANSFER_OPTIONS: &str = "Each option is also a key of the JSON file, and overrides it.";

const EXIT_STATUS: &str =
    "0 success, 1 failure, 2 test not possible, 64 wrong usage, 78 wrong configuration or data model.";

const EXAMPLE: &str = "\
The data model gives the URL of the ACS, or \"set\" in the JSON file, or an option:
cpe-agent run --set Device.ManagementServer.URL=https://acs.example.com/";

/// Returns the overview, which ends in a line break.
pub(super) fn overview() -> String {
    let mut text = "cpe-agent: TR-069 (CWMP) agent for home gateways\n\nUsage:\n".to_owned();
    for command in COMMANDS {
        // A longer usage moves its meaning to the right instead of being cut off.
        append_row(&mut text, 30, &format!("cpe-agent {}{}", command.name, command.arguments), command.meaning);
    }
    append(&mut text, "Options", OPTIONS);
    text.push('\n');
    append_options(&mut text, None);
    append_row(&mut text, 24, "-h, --help", "print this text, or after a command its explanation");
    append_row(&mut text, 24, "-V, --version", "print the version");
    append(&mut text, "Exit status", EXIT_STATUS);
    // The example stays last: it is the first command of a new user.
    append(&mut text, "Example", EXAMPLE);
    text
}

/// Returns the explanation of one command.
pub(super) fn of_command(command: &CommandSpec) -> String {
    let mut text = format!("Usage: cpe-agent {}{}\n\n  ", command.name, command.arguments);
    // The table has the meaning as a part of a line; here it is a sentence.
    text.extend(command.meaning.chars().take(1).map(|first| first.to_ascii_uppercase()));
    let _ = writeln!(text, "{}.", command.meaning.get(1..).unwrap_or_default());
    append_lines(&mut text, command.details);
    match command.parser {
        CommandParser::Help => return text,
        #[cfg(feature = "diagnostics")]
        CommandParser::Test(_) => return text,
        CommandParser::Local(_) | CommandParser::Replay => append(&mut text, "Options", OPTIONS),
        #[cfg(feature = "diagnostics")]
        CommandParser::Transfer(_) => append(&mut text, "Options", TRANSFER_OPTIONS),
        _ => append(&mut text, "Options", CLIENT_OPTIONS),
    }
    text.push('\n');
    append_options(&mut text, Some(command));
    text
}

/// Appends a line for each option, or each that the command takes, with the default in brackets.
fn append_options(text: &mut String, command: Option<&CommandSpec>) {
    // `--config` names the file of the settings and is no setting itself.
    append_row(text, 24, &format!("--{CONFIG} FILE"), "the JSON file");
    for setting in SETTINGS.iter().filter(|setting| command.is_none_or(|command| command.takes(setting.option))) {
        let default = setting.default.map(|default| format!(" [{default}]")).unwrap_or_default();
        let meaning = format!("{}{default}", setting.meaning);
        append_row(text, 24, &format!("--{} {}", setting.option, setting.value), &meaning);
    }
}

/// Appends a line of two columns, of which the first is `width` wide.
fn append_row(text: &mut String, width: usize, usage: &str, meaning: &str) {
    // Writing to a String cannot fail, here and elsewhere in this file.
    let _ = writeln!(text, "  {usage:<width$}  {meaning}");
}

/// Appends a section.
fn append(text: &mut String, heading: &str, lines: &str) {
    let _ = writeln!(text, "\n{heading}:");
    append_lines(text, lines);
}

fn append_lines(text: &mut String, lines: &str) {
    lines.lines().for_each(|line| {
        let _ = writeln!(text, "  {line}");
    });
}
