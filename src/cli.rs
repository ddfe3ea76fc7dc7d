//! The command line: turns the arguments into a [`Command`], or into a message that names the wrong argument.
//!
//! ```text
//!   arguments ──▶ Arguments ──┬─▶ run, check, doctor ──▶ Config          ──▶ Command::Run, Check, Doctor
//!                             └─▶ get … status       ──▶ socket, Request ──▶ Command::Client
//! ```
//!
//! The commands stand in one table (`command.rs`), and so do the options (`config/setting.rs`). The parser and the help
//! text both read these tables, so that a new row needs no second edit.

mod command;
mod help;

use std::ffi::OsString;
use std::process::ExitCode;

use lexopt::{Arg, Parser};

pub use self::command::Command;
use self::command::{COMMANDS, CommandParser, CommandSpec, Operands};
use self::help::help;
use crate::config::{CONTROL, Config, Options, SETTINGS, StartupError};
use crate::output::print;

/// The exit status for a wrong command line: `EX_USAGE` of `sysexits.h`.
const EXIT_USAGE: u8 = 64;

/// Parses the arguments and passes the command to `execute`, whose exit code it returns.
///
/// A wrong argument is reported on stderr with exit status 64, a wrong configuration file with exit status 78.
pub fn main(arguments: impl IntoIterator<Item = OsString>, execute: impl FnOnce(Command) -> ExitCode) -> ExitCode {
    match parse(arguments) {
        Ok(Invocation::Command(command)) => execute(*command),
        // Help that was asked for is output, not an error: it goes to stdout with status 0.
        Ok(Invocation::Help) => print(&help()),
        Ok(Invocation::Version) => print(concat!("cpe-agent ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(CommandLineError::Usage(reason)) => {
            eprintln!("cpe-agent: {reason}\nTry `cpe-agent --help`.");
            ExitCode::from(EXIT_USAGE)
        }
        Err(CommandLineError::Startup(error)) => {
            eprintln!("cpe-agent: {error}");
            ExitCode::from(StartupError::EXIT)
        }
    }
}

/// The purpose for which the program was called.
#[derive(Debug, PartialEq, Eq)]
enum Invocation {
    Command(Box<Command>),
    Help,
    Version,
}

/// The reason why the arguments are rejected.
#[derive(Debug, PartialEq, Eq)]
enum CommandLineError {
    /// A wrong argument, as a message for the user; exit status 64.
    Usage(String),
    /// A wrong configuration file; exit status 78.
    Startup(StartupError),
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
    /// The first option that only `run`, `check` and `doctor` accept.
    daemon_option: Option<&'static str>,
    json: bool,
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, CommandLineError> {
    let mut parser = Parser::from_iter(arguments);
    let mut sorted = Arguments::default();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            // These two win over the rest, so that `run --help` works however wrong the other arguments are.
            Arg::Short('h') | Arg::Long("help") => return Ok(Invocation::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Invocation::Version),
            Arg::Long("json") => sorted.json = true,
            Arg::Long(name) => {
                // The name borrows from the parser, which is asked for the value next.
                let name = name.to_owned();
                sorted.take_option(&name, &mut parser)?;
            }
            Arg::Short(letter) => return Err(format!("there is no option -{letter}").into()),
            Arg::Value(value) => sorted.take_operand(text(value)?)?,
        }
    }
    sorted.finish().map(|command| Invocation::Command(Box::new(command)))
}

impl Arguments {
    /// Stores the value of an option. Each value is checked here, where its option can still be named in the message.
    fn take_option(&mut self, name: &str, parser: &mut Parser) -> Result<(), String> {
        let setting = SETTINGS.iter().find(|setting| setting.option == name);
        // `--config` names the file of the settings and is therefore no setting itself.
        if setting.is_none() && name != "config" {
            return Err(format!("there is no option --{name}"));
        }
        let value = parser.value().map_err(|_| format!("--{name} needs a value"))?;
        let value = text(value)?;
        let result = match setting {
            Some(setting) => {
                if setting.option != CONTROL {
                    self.daemon_option.get_or_insert(setting.option);
                }
                self.options.add(setting, &value)
            }
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
        let command = COMMANDS.iter().find(|command| command.name == value);
        self.command = Some(command.ok_or_else(|| format!("there is no command `{value}`"))?);
        Ok(())
    }

    /// Checks the arguments against the command and loads the configuration.
    fn finish(self) -> Result<Command, CommandLineError> {
        let command = self.command.ok_or_else(|| "a command is missing".to_owned())?;
        let name = command.name;
        // An option without effect is an error: ignored, it would hide a mistake such as `check --json`.
        if self.json && name != "status" {
            return Err(format!("{name} takes no option --json").into());
        }
        let operands = Operands { values: self.operands, json: self.json };
        let load = |options| Config::load(options).map_err(CommandLineError::Startup);
        match command.parser {
            CommandParser::Local(build) => {
                operands.none().map_err(|reason| format!("{name}: {reason}"))?;
                Ok(build(load(self.options)?))
            }
            CommandParser::Client(parse) => {
                if let Some(option) = self.daemon_option {
                    return Err(format!("{name} takes no option --{option}").into());
                }
                // The operands come before the file: they can be wrong without it, and exit status 64 says so.
                let request = parse(operands).map_err(|reason| format!("{name}: {reason}"))?;
                Ok(Command::Client { socket: load(self.options)?.control, request })
            }
        }
    }
}

/// Converts an argument to text. The data model and the configuration file are UTF-8, so no other value can match them.
fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("`{}` is not UTF-8", value.display()))
}

#[cfg(test)]
mod tests;
