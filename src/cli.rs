//! The command line: arguments in, a [`Command`] or a word on what is wrong out.

mod command;
mod help;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::{Arg, Parser};

pub use self::command::Command;
use self::command::{COMMANDS, CommandParser, CommandSpec, Operands};
use self::help::help;
use crate::config::{CONTROL, Config, Options, SETTINGS, StartupError};
use crate::output::print;

/// `EX_USAGE`.
const EXIT_USAGE: u8 = 64;

/// Parses the arguments and hands the command to `carry_out`; what is wrong with them is told on
/// stderr, with status 64 or 78.
pub fn main(arguments: impl IntoIterator<Item = OsString>, carry_out: impl FnOnce(Command) -> ExitCode) -> ExitCode {
    match parse(arguments) {
        Ok(Invocation::Command(command)) => carry_out(*command),
        Ok(Invocation::Help) => print(&help()),
        Ok(Invocation::Version) => print(concat!("cpe-agent ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(ArgumentError::Usage(reason)) => {
            eprintln!("cpe-agent: {reason}\nTry `cpe-agent --help`.");
            ExitCode::from(EXIT_USAGE)
        }
        Err(ArgumentError::Startup(error)) => {
            eprintln!("cpe-agent: {error}");
            ExitCode::from(StartupError::EXIT)
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Invocation {
    Command(Box<Command>),
    Help,
    Version,
}

#[derive(Debug, PartialEq, Eq)]
enum ArgumentError {
    /// Status 64.
    Usage(String),
    /// Status 78.
    Startup(StartupError),
}

impl From<String> for ArgumentError {
    fn from(reason: String) -> ArgumentError {
        ArgumentError::Usage(reason)
    }
}

/// What stands on the command line, still without meaning as a whole.
#[derive(Default)]
struct Arguments {
    command: Option<&'static CommandSpec>,
    operands: Vec<String>,
    options: Options,
    /// The first option that only `run`, `check` and `doctor` take.
    daemon_option: Option<&'static str>,
    json: bool,
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, ArgumentError> {
    let mut parser = Parser::from_iter(arguments);
    let mut line = Arguments::default();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Invocation::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Invocation::Version),
            Arg::Long("json") => line.json = true,
            Arg::Long(name) => {
                let name = name.to_owned();
                line.take_option(&name, &mut parser)?;
            }
            Arg::Short(letter) => return Err(format!("there is no option -{letter}").into()),
            Arg::Value(value) => line.take_operand(text(value)?)?,
        }
    }
    line.finish().map(|command| Invocation::Command(Box::new(command)))
}

impl Arguments {
    fn take_option(&mut self, name: &str, parser: &mut Parser) -> Result<(), String> {
        let setting = SETTINGS.iter().find(|setting| setting.option == name);
        if setting.is_none() && name != "config" {
            return Err(format!("there is no option --{name}"));
        }
        let value = parser.value().map_err(|_| format!("--{name} needs a value"))?;
        let value = text(value)?;
        let taken = match setting {
            Some(setting) => {
                if setting.option != CONTROL {
                    self.daemon_option.get_or_insert(setting.option);
                }
                self.options.add(setting, &value)
            }
            None => self.options.set_config(&value),
        };
        taken.map_err(|reason| format!("--{name}: {reason}"))
    }

    fn take_operand(&mut self, value: String) -> Result<(), String> {
        if self.command.is_some() {
            self.operands.push(value);
            return Ok(());
        }
        let command = COMMANDS.iter().find(|command| command.name == value);
        self.command = Some(command.ok_or_else(|| format!("there is no command `{value}`"))?);
        Ok(())
    }

    fn finish(self) -> Result<Command, ArgumentError> {
        let command = self.command.ok_or_else(|| "a command is missing".to_owned())?;
        let name = command.name;
        if self.json && name != "status" {
            return Err(format!("{name} takes no option --json").into());
        }
        let operands = Operands { values: self.operands, json: self.json };
        let load = |options| Config::load(options).map_err(ArgumentError::Startup);
        match command.build {
            CommandParser::Daemon(build) => {
                operands.none().map_err(|reason| format!("{name}: {reason}"))?;
                Ok(build(load(self.options)?))
            }
            CommandParser::Client(build) => {
                if let Some(option) = self.daemon_option {
                    return Err(format!("{name} takes no option --{option}").into());
                }
                // The arguments first: they can be wrong whatever the file says.
                let made = build(PathBuf::new(), operands).map_err(|reason| format!("{name}: {reason}"))?;
                Ok(made.through(load(self.options)?.control))
            }
        }
    }
}

fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("`{}` is not UTF-8", value.display()))
}

#[cfg(test)]
mod tests;
