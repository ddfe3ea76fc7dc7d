//! The command line: turns the arguments into a [`Command`], or into a message that names the wrong argument.
//!
//! ```text
//!   arguments ──▶ Arguments ──┬─▶ run, check, doctor ──▶ Config          ──▶ Command::Run, Check, Doctor
//!                             └─▶ get … status       ──▶ socket, Request ──▶ Command::Client
//! ```
//!
//! The commands stand in one table (`command/table.rs`), and so do the options (`config/setting.rs`). The parser and the help
//! texts read these tables, so that a new row needs no second edit; the manual page and the completion of shells are made
//! from the help texts.

mod assignments;
mod command;
mod help;
mod operands;
mod transfer;

use std::ffi::OsString;
use std::mem::take;
use std::process::ExitCode;

use lexopt::{Arg, Parser};

pub use self::command::Command;
use self::command::{COMMANDS, CommandParser, CommandSpec};
use self::operands::Operands;
use crate::config::{CONFIG, Config, Options, SETTINGS};
#[cfg(feature = "dhcp")]
use crate::dhcp::Handover;
use crate::mistake::Mistakes;
use crate::output::print;
use crate::suggest::hint;

/// The exit status for a wrong command line: `EX_USAGE` of `sysexits.h`.
const EXIT_USAGE: u8 = 64;

/// Parses the arguments and passes the command to `execute`, whose exit code it returns.
///
/// A wrong argument is reported on stderr with exit status 64, a wrong configuration file with exit status 78.
pub fn main(arguments: impl IntoIterator<Item = OsString>, execute: impl FnOnce(Command) -> ExitCode) -> ExitCode {
    let mut sorted = Arguments::default();
    match parse(Parser::from_iter(arguments), &mut sorted) {
        Ok(Invocation::Command(command)) => execute(*command),
        // Help that was asked for is output, not an error: it goes to stdout with status 0.
        Ok(Invocation::Print(text)) => print(&text),
        Err(CommandLineError::Usage(reason)) => {
            let help = sorted.command.map_or("--help".to_owned(), |command| format!("help {}", command.name));
            eprintln!("cpe-agent: {reason}\nTry `cpe-agent {help}`.");
            ExitCode::from(EXIT_USAGE)
        }
        Err(CommandLineError::Startup(mistakes)) => {
            mistakes.print();
            ExitCode::from(Mistakes::EXIT)
        }
    }
}

/// The purpose for which the program was called.
#[derive(Debug, PartialEq, Eq)]
enum Invocation {
    Command(Box<Command>),
    /// Prints a text, such as the help.
    Print(String),
}

/// The reason why the arguments are rejected.
#[derive(Debug, PartialEq, Eq)]
enum CommandLineError {
    /// A wrong argument, as a message for the user; exit status 64.
    Usage(String),
    /// A wrong configuration file; exit status 78.
    Startup(Mistakes),
}

impl From<String> for CommandLineError {
    fn from(reason: String) -> CommandLineError {
        CommandLineError::Usage(reason)
    }
}

/// The arguments, sorted by kind but not yet checked against the command.
#[derive(Default)]
struct Arguments {
    command: Option<&'static CommandSpec>,
    operands: Vec<String>,
    options: Options,
    /// The options in the order of the command line, without their dashes.
    given: Vec<&'static str>,
    flags: Vec<&'static str>,
    /// The options of one command alone, and each with its value as `option=value`.
    own: Vec<&'static str>,
    own_words: Vec<String>,
}

fn parse(mut parser: Parser, sorted: &mut Arguments) -> Result<Invocation, CommandLineError> {
    while let Some(argument) = parser.next().map_err(malformed)? {
        match argument {
            // These two win over the rest, so that `run --help` works however wrong the later arguments are.
            Arg::Short('h') | Arg::Long("help") => {
                return Ok(Invocation::Print(sorted.command.map_or_else(help::overview, help::of_command)));
            }
            Arg::Short('V') | Arg::Long("version") => {
                return Ok(Invocation::Print(concat!("cpe-agent ", env!("CARGO_PKG_VERSION"), "\n").to_owned()));
            }
            Arg::Long(name) => {
                // The name borrows from the parser, which is asked for the value next.
                let name = name.to_owned();
                sorted.take_option(&name, &mut parser)?;
            }
            Arg::Short(letter) => return Err(format!("there is no option -{letter}").into()),
            Arg::Value(value) => sorted.take_operand(text(value)?)?,
        }
    }
    sorted.finish()
}

impl Arguments {
    /// Stores a flag, or an option with its value. Each value is checked here, where its option can still be named in the
    /// message.
    fn take_option(&mut self, name: &str, parser: &mut Parser) -> Result<(), String> {
        if let Some(flag) = COMMANDS.iter().flat_map(CommandSpec::flags).find(|flag| *flag == name) {
            self.flags.push(flag);
            return Ok(());
        }
        if let Some(option) = COMMANDS.iter().flat_map(CommandSpec::own_options).find(|option| **option == name) {
            self.own.push(option);
            self.own_words.push(format!("{name}={}", value_of(name, parser)?));
            return Ok(());
        }
        let setting = SETTINGS.iter().find(|setting| setting.option == name);
        // `--config` names the file of the settings and is therefore no setting itself.
        if setting.is_none() && name != CONFIG {
            return Err(format!("there is no option --{name}{}", self.hint(name)));
        }
        let value = value_of(name, parser)?;
        self.given.push(setting.map_or(CONFIG, |setting| setting.option));
        let result = match setting {
            Some(setting) => self.options.add(setting, &value),
            None => self.options.set_config(&value),
        };
        result.map_err(|reason| format!("--{name}: {reason}"))
    }

    /// Stores an argument that is no option: the first one names the command.
    fn take_operand(&mut self, value: String) -> Result<(), String> {
        if self.command.is_some() {
            self.operands.push(value);
            return Ok(());
        }
        self.command = Some(CommandSpec::find(&value)?);
        Ok(())
    }

    /// Returns an option that the command does not take. One without effect is an error: ignored, it would hide a mistake such
    /// as `check --json`.
    fn foreign_option(&self, command: &CommandSpec) -> Option<&str> {
        let is_foreign =
            |name: &&&str| !command.flags().chain(command.own_options().iter().copied()).any(|known| known == **name);
        let option = self.given.iter().find(|option| !command.takes(option));
        self.flags.iter().chain(&self.own).find(is_foreign).or(option).copied()
    }

    /// Checks the arguments against the command and loads the configuration.
    fn finish(&mut self) -> Result<Invocation, CommandLineError> {
        let command = self.command.ok_or_else(|| "a command is missing".to_owned())?;
        let name = command.name;
        if let Some(option) = self.foreign_option(command) {
            return Err(format!("{name} takes no option --{option}").into());
        }
        let operands = Operands { values: take(&mut self.operands), flags: take(&mut self.flags) };
        let options = take(&mut self.options);
        let load = |options| Config::load(options).map_err(CommandLineError::Startup);
        let command = match command.parser {
            CommandParser::Local(build) => {
                let wrong = |reason| CommandLineError::Usage(format!("{name}: {reason}"));
                operands.none().map_err(wrong)?;
                build(load(options)?, &operands).map_err(wrong)?
            }
            CommandParser::Replay => {
                let file = operands.replay().map_err(|reason| format!("{name}: {reason}"))?;
                Command::Replay { config: load(options)?, file }
            }
            #[cfg(feature = "dhcp")]
            CommandParser::Dhcp => {
                operands.none().map_err(|reason| format!("{name}: {reason}"))?;
                let config = load(options)?;
                let handover =
                    Handover::parse(&self.own_words, operands.has("remove"), config.dhcp_dir, config.control);
                Command::Dhcp(handover.map_err(|reason| format!("{name}: {reason}"))?)
            }
            CommandParser::Trace => {
                let file = operands.trace().map_err(|reason| format!("{name}: {reason}"))?;
                Command::Trace { socket: load(options)?.control, file }
            }
            #[cfg(feature = "diagnostics")]
            CommandParser::Test(parse) | CommandParser::Transfer(parse) => {
                let words = operands.any();
                let test = words.and_then(|words| parse(&words)).map_err(|reason| format!("{name}: {reason}"))?;
                let is_transfer = matches!(command.parser, CommandParser::Transfer(_));
                Command::Test { config: if is_transfer { Some(load(options)?) } else { None }, test }
            }
            CommandParser::Client(parse) => {
                // The operands come before the file: they can be wrong without it, and exit status 64 says so.
                let request = parse(operands).map_err(|reason| format!("{name}: {reason}"))?;
                Command::Client { socket: load(options)?.control, request }
            }
            CommandParser::Help => {
                let operand = operands.at_most_one().map_err(|reason| format!("{name}: {reason}"))?;
                let text = match operand {
                    Some(command) => help::of_command(CommandSpec::find(&command)?),
                    None => help::overview(),
                };
                return Ok(Invocation::Print(text));
            }
        };
        Ok(Invocation::Command(Box::new(command)))
    }

    /// Returns the end of the message about an unknown option: a near one, or the options of the command.
    fn hint(&self, name: &str) -> String {
        let mut options = vec![CONFIG];
        options.extend(SETTINGS.iter().map(|setting| setting.option));
        if let Some(command) = self.command {
            options.retain(|option| command.takes(option));
            options.extend(command.flags().chain(command.own_options().iter().copied()));
        }
        options.push("help");
        hint(name, &options, "options", "--")
    }
}

/// Returns the message for an argument that the parser itself rejects.
fn malformed(error: lexopt::Error) -> String {
    match error {
        lexopt::Error::UnexpectedValue { option, .. } => format!("{option} takes no value"),
        _ => "an argument is malformed".into(),
    }
}

/// Returns the value of the option that the parser has just read.
fn value_of(name: &str, parser: &mut Parser) -> Result<String, String> {
    text(parser.value().map_err(|_| format!("--{name} needs a value"))?)
}

/// Converts an argument to text. The data model and the configuration file are UTF-8, so no other value can match them.
fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("`{}` is not UTF-8", value.display()))
}

#[cfg(test)]
mod tests;
