//! The completion of bash and zsh in `cross/completion`: commands, options and values are those of `--help` and of
//! `help COMMAND`.
//!
//! `COMPLETION=write cargo test --test it documents::completion` writes the files anew.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use super::manual::{columns, help, printed, usages};
use super::{document, root};
use crate::support::skip::skip_for_lack_of;

const BASH: &str = "cross/completion/cpe-agent.bash";
const ZSH: &str = "cross/completion/cpe-agent.zsh";

/// An option of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CommandOption {
    /// With its dashes.
    name: String,
    /// The placeholder of the value, such as `FILE`; empty for a flag.
    value: String,
    meaning: String,
}

impl CommandOption {
    /// The values that the meaning lists: `one of stderr and syslog`.
    fn choices(&self) -> Option<String> {
        Some(self.meaning.strip_prefix("one of ")?.replace(',', "").replace(" and ", " "))
    }
}

/// The options in a text of the help: lines that begin with two dashes. Each has a meaning without the default.
fn options(text: &str) -> Vec<CommandOption> {
    let rows = text.lines().filter(|line| line.starts_with("  --")).filter_map(columns);
    let option = |(usage, meaning): (&str, &str)| {
        let (name, value) = usage.split_once(' ')?;
        let meaning = meaning.split(" [").next().unwrap_or_default();
        Some(CommandOption { name: name.into(), value: value.into(), meaning: meaning.into() })
    };
    rows.filter_map(option).collect()
}

/// The options of one command: those of its text, its flags, and `--help`.
fn options_of(command: &str, arguments: &str) -> Vec<CommandOption> {
    let flag =
        |name: &str, meaning: &str| CommandOption { name: name.into(), value: String::new(), meaning: meaning.into() };
    let mut found = options(&printed(&["help", command]));
    let flags = arguments.split(' ').filter_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    found.extend(flags.filter(|word| word.starts_with("--")).map(|name| flag(name, "flag")));
    found.push(flag("--help", "explain the command"));
    found
}

/// The commands with their options. Neighbours with the same options are one pattern of a `case`.
fn groups(help: &str) -> Vec<(String, Vec<CommandOption>)> {
    let mut groups: Vec<(String, Vec<CommandOption>)> = Vec::new();
    for (name, arguments, _) in usages(help) {
        let options = options_of(name, arguments);
        match groups.last_mut().filter(|(_, last)| *last == options) {
            Some((names, _)) => *names += &format!(" | {name}"),
            None => groups.push((name.to_owned(), options)),
        }
    }
    groups
}

/// The patterns of a `case` for the options whose value has this placeholder.
fn patterns(options: &[CommandOption], value: &str) -> String {
    let matching = options.iter().filter(|option| option.value == value).map(|option| option.name.as_str());
    matching.collect::<Vec<_>>().join(" | ")
}

const BASH_HEAD: &str = r#"# shellcheck shell=bash
# Completion of cpe-agent for bash. tests/it/documents/completion.rs writes this file from `cpe-agent help`.

_cpe_agent() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' words='' index
    # bash splits `--log=debug` into three words.
    if [[ $current == = ]]; then
        current=''
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
"#;

const BASH_TAIL: &str = r#"    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _cpe_agent cpe-agent
"#;

fn bash() -> String {
    let help = help();
    let all = options(&help);
    let commands: Vec<&str> = usages(&help).map(|(name, ..)| name).collect();
    let mut script = BASH_HEAD.to_owned();
    // Writing to a String cannot fail.
    let _ = writeln!(script, "    case $previous in");
    for (value, action) in [("FILE", "-f"), ("DIR", "-d")] {
        let _ = writeln!(script, "    {})", patterns(&all, value));
        let _ = writeln!(script, "        compopt -o filenames 2>/dev/null");
        let _ = writeln!(script, "        mapfile -t COMPREPLY < <(compgen {action} -- \"$current\")");
        let _ = writeln!(script, "        return\n        ;;");
    }
    for option in all.iter().filter(|option| option.choices().is_some()) {
        let choices = option.choices().unwrap_or_default();
        let _ = writeln!(
            script,
            "    {})\n        mapfile -t COMPREPLY < <(compgen -W '{choices}' -- \"$current\")",
            option.name
        );
        let _ = writeln!(script, "        return\n        ;;");
    }
    let free = all.iter().filter(|option| !["FILE", "DIR"].contains(&option.value.as_str()));
    let free = free.filter(|option| option.choices().is_none()).map(|option| option.name.as_str());
    let _ = writeln!(script, "    {}) return ;; # a value without a list", free.collect::<Vec<_>>().join(" | "));
    let _ = writeln!(script, "    esac\n    for ((index = 1; index < COMP_CWORD; index++)); do");
    let _ = writeln!(script, "        case ${{COMP_WORDS[index]}} in\n        {})", commands.join(" | "));
    let _ = writeln!(script, "            command=${{COMP_WORDS[index]}}\n            break\n            ;;");
    let _ = writeln!(script, "        esac\n    done\n    case $command in");
    let _ = writeln!(script, "    '') words='{} --help --version' ;;", commands.join(" "));
    for (names, options) in groups(&help) {
        let words = match names.as_str() {
            "help" => commands.join(" "),
            _ => options.iter().map(|option| option.name.as_str()).collect::<Vec<_>>().join(" "),
        };
        let _ = writeln!(script, "    {names}) words='{words}' ;;");
    }
    script + BASH_TAIL
}

/// A text within single quotes of zsh, as a part of a specification in which colons and brackets have a meaning.
fn quoted(text: &str) -> String {
    text.replace('\'', "'\\''").replace(':', "\\:").replace('[', "\\[").replace(']', "\\]")
}

/// An option as `_arguments` has it.
fn specification(option: &CommandOption) -> String {
    let repeated = if ["--data-model", "--set"].contains(&option.name.as_str()) { "*" } else { "" };
    let action = match (option.value.as_str(), option.choices()) {
        (_, Some(choices)) => format!("({choices})"),
        ("FILE", _) => "_files".to_owned(),
        ("DIR", _) => "_files -/".to_owned(),
        _ => String::new(),
    };
    let (sign, value) = match option.value.as_str() {
        "" => ("", String::new()),
        value => ("=", format!(":{}:{action}", quoted(value))),
    };
    format!("{repeated}{}{sign}[{}]{value}", option.name, quoted(&option.meaning))
}

const ZSH_HEAD: &str = "#compdef cpe-agent
# Completion of cpe-agent for zsh. tests/it/documents/completion.rs writes this file from `cpe-agent help`.

_cpe_agent() {
    local curcontext=$curcontext state
    local -a commands
    commands=(
";

const ZSH_TAIL: &str = "        esac
        ;;
    esac
}

_cpe_agent \"$@\"
";

fn zsh() -> String {
    let help = help();
    let mut script = ZSH_HEAD.to_owned();
    for (name, _, meaning) in usages(&help) {
        let _ = writeln!(script, "        '{name}:{}'", quoted(meaning));
    }
    script.push_str("    )\n    _arguments -C '1:command:->command' '*::argument:->argument' && return\n");
    script.push_str("    case $state in\n    command) _describe -t commands command commands ;;\n    argument)\n");
    script.push_str("        case $words[1] in\n");
    for (names, options) in groups(&help) {
        if names == "help" {
            script.push_str("        help) _describe -t commands command commands ;;\n");
            continue;
        }
        let _ = write!(script, "        {names})\n            _arguments");
        for option in &options {
            let _ = write!(script, " \\\n                '{}'", specification(option));
        }
        script.push_str("\n            ;;\n");
    }
    script + ZSH_TAIL
}

#[test]
fn the_completion_has_the_commands_and_options_of_the_help() {
    let write = std::env::var_os("COMPLETION").is_some_and(|how| how == "write");
    for (file, expected) in [(BASH, bash()), (ZSH, zsh())] {
        if write {
            fs::write(root().join(file), &expected).expect(file);
        }
        let found = document(file);
        let difference = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
        assert!(
            found == expected,
            "{file} differs from the help: {difference:?}\nto write it anew: \
             COMPLETION=write cargo test --test it documents::completion"
        );
    }
}

/// Returns the words that bash offers for the last of these words.
fn offered_by_bash(words: &[&str]) -> Vec<String> {
    let line: String = words.iter().map(|word| format!(" '{word}'")).collect();
    let script = format!(
        "source {BASH} && COMP_WORDS=(cpe-agent{line}) COMP_CWORD={} && _cpe_agent && printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.len()
    );
    let output = Command::new("bash").args(["-c", &script]).current_dir(root()).output().expect("bash");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_offers_commands_options_and_values() {
    for (words, offered) in [
        (&["s"][..], &["source", "set", "software", "speed", "status"][..]),
        (&["--v"], &["--version"]),
        (&["help", "sta"], &["status"]),
        (&["add", "--"], &["--config", "--control", "--help"]),
        (&["status", "--j"], &["--json"]),
        (&["run", "--log"], &["--log", "--log-to"]),
        (&["run", "--log-to", "s"], &["stderr", "syslog"]),
        (&["run", "--log", "=", "d"], &["debug"]),
        (&["--log", "=", "info", "run", "--ca"], &["--ca-file"]),
        (&["check", "--config", "Cargo.t"], &["Cargo.toml"]),
        (&["check", "--state-dir", "sr"], &["src"]),
        (&["run", "--listen", ""], &[]),
        (&["get", "Device."], &[]),
    ] {
        assert_eq!(offered_by_bash(words), offered, "{words:?}");
    }
}

/// Runs the file with functions in place of those of the completion system, which print their arguments.
#[test]
fn zsh_offers_the_options_of_a_command() {
    let script = format!(
        "_arguments() {{ if [[ $1 == -C ]]; then state=argument; return 1; fi; print -rl -- \"$@\"; }}\n\
         _describe() {{ print -rl -- \"${{(@P)4}}\"; }}\n\
         words=(status); source {ZSH}; words=(run); source {ZSH}; words=(help); source {ZSH}"
    );
    match Command::new("zsh").args(["-f", "-c", &script]).current_dir(root()).output() {
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{told}");
            for line in [
                "--json[flag]",
                "--log-to=[one of stderr and syslog]:WHERE:(stderr syslog)",
                "*--data-model=[data model; later files overlay it]:FILE:_files",
                "help:explain a command and list its options",
            ] {
                assert!(told.lines().any(|told| told == line), "{line} is not in\n{told}");
            }
        }
        Err(error) => skip_for_lack_of(format!("zsh ({error})")),
    }
}
