//! The text of `--help`, made from the tables of commands and options and from the sections below.

use std::fmt::Write as _;

use super::command::COMMANDS;
use crate::config::SETTINGS;

/// A section of prose: its heading and its lines, each of at most 98 characters so that an indented one fits 100 columns.
struct Section {
    heading: &'static str,
    text: &'static str,
}

const PATHS: Section = Section {
    heading: "Paths",
    text: "\
A PATH that ends in a dot names an object and everything below it. The commands from get to
status need a running agent; of the options below they take only --control and --config.",
};

const DOCTOR: Section = Section {
    heading: "Diagnosis",
    text: "\
doctor takes the options of run. It sends the ACS one GET outside of any session and changes
nothing. Each line begins with ok, warning, skipped or FAILED; one FAILED makes exit status 1.",
};

const CLIENT_COMMANDS: Section = Section {
    heading: "Commands to the running agent",
    text: "\
get prints a line break within a value as \\n and a backslash as \\\\; hidden values are empty.
set, add and delete are refused if the ACS has removed `Subscriber` from the access list of a
parameter. During a session all commands but status wait for its end, at most two minutes.
inform returns when the event is accepted; status shows the result of the session.
download and upload wait for the end of the transfer. OPTION is username, password, password-file
(a file whose first line is the password), and for downloads also size (in bytes) and target.",
};

const OPTIONS: Section = Section {
    heading: "Options",
    text: "\
Each option is also a key of the JSON file and overrides it; the key of --state-dir is stateDir,
and so on. --data-model and --set may be repeated; the first --data-model replaces the default.
--set gives factory values: they are needed at every start, and a value that the ACS or `set` has
changed takes precedence. Every user can read a command line: passwords belong in the file.",
};

const SIGNALS: Section = Section {
    heading: "Signals",
    text: "\
SIGHUP makes the agent read the JSON file, the data model and the TLS files again. If one of them
is wrong, nothing changes.",
};

const EXIT_STATUS: Section = Section {
    heading: "Exit status",
    text: "0 success, 1 failure, 64 wrong usage, 78 wrong configuration or data model.",
};

const EXAMPLE: Section = Section {
    heading: "Example",
    text: "\
The data model gives the URL of the ACS, or \"set\" in the JSON file, or an option:
cpe-agent run --set Device.ManagementServer.URL=https://acs.example.com/",
};

/// Returns the whole text, which ends in a line break.
pub(super) fn help() -> String {
    let mut text = "cpe-agent: TR-069 (CWMP) agent for home gateways\n\nUsage:\n".to_owned();
    // Writing to a String cannot fail, here and below.
    for command in COMMANDS {
        // A longer usage moves its meaning to the right instead of being cut off.
        let usage = format!("{}{}", command.name, command.arguments);
        let _ = writeln!(text, "  cpe-agent {usage:<20}  {}", command.meaning);
    }
    PATHS.append_to(&mut text);
    // A build without the command must not describe it.
    if cfg!(feature = "doctor") {
        DOCTOR.append_to(&mut text);
    }
    CLIENT_COMMANDS.append_to(&mut text);
    OPTIONS.append_to(&mut text);
    append_options(&mut text);
    // The example stays last: the demo and the README point to the end of this text.
    for section in [SIGNALS, EXIT_STATUS, EXAMPLE] {
        section.append_to(&mut text);
    }
    text
}

/// Appends a line for each option, with the default in brackets.
fn append_options(text: &mut String) {
    // These three options are no settings and have no key in the file.
    let _ = writeln!(text, "\n  {:<24}  the JSON file", "--config FILE");
    for setting in SETTINGS {
        let usage = format!("--{} {}", setting.option, setting.value);
        let _ = write!(text, "  {usage:<24}  {}", setting.meaning);
        if let Some(default) = setting.default {
            let _ = write!(text, " [{default}]");
        }
        text.push('\n');
    }
    let _ = writeln!(text, "  {:<24}  print this text", "-h, --help");
    let _ = writeln!(text, "  {:<24}  print the version", "-V, --version");
}

impl Section {
    fn append_to(&self, text: &mut String) {
        let _ = writeln!(text, "\n{}:", self.heading);
        self.text.lines().for_each(|line| {
            let _ = writeln!(text, "  {line}");
        });
    }
}
