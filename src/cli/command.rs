//! What the program can be asked to do, and how each command is read.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use crate::config::Config;
use crate::control::{LocalTransfer, parse_assignment, parse_request_download};
use crate::secret::Secret;

/// What the program is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The daemon.
    Run(Config),
    /// Load and validate configuration and data model.
    Check(Config),
    /// Checks, from the device, what the daemon needs of the world.
    #[cfg(feature = "doctor")]
    Doctor(Config),
    /// Values of the running daemon.
    Get {
        /// Its control socket.
        control: PathBuf,
        /// At least one; a path ending in a dot is a partial path.
        paths: Vec<String>,
    },
    /// Changes values of the running daemon, all or none.
    Set {
        /// Its control socket.
        control: PathBuf,
        /// At least one path and value.
        assignments: Vec<(String, Secret)>,
    },
    /// Creates an instance.
    Add {
        /// The control socket.
        control: PathBuf,
        /// The table.
        path: String,
    },
    /// Deletes an instance.
    Delete {
        /// The control socket.
        control: PathBuf,
        /// The instance.
        path: String,
    },
    /// Starts a session.
    Inform {
        /// The control socket.
        control: PathBuf,
        /// The event code, such as `2 PERIODIC`.
        event: String,
    },
    /// Starts a transfer and waits for its end.
    Transfer {
        /// The control socket.
        control: PathBuf,
        /// What, from where or to where.
        transfer: LocalTransfer,
    },
    /// Asks the ACS for a file.
    RequestDownload {
        /// The control socket.
        control: PathBuf,
        /// What kind of file.
        file_type: String,
        /// Names and values that describe it.
        arguments: Vec<(String, String)>,
    },
    /// Tells how the daemon is doing.
    Status {
        /// The control socket.
        control: PathBuf,
        /// As JSON.
        json: bool,
    },
}

impl Command {
    /// The same command by that control socket.
    pub(super) fn through(mut self, path: PathBuf) -> Command {
        match &mut self {
            Command::Run(_) | Command::Check(_) => {}
            #[cfg(feature = "doctor")]
            Command::Doctor(_) => {}
            Command::Get { control, .. }
            | Command::Set { control, .. }
            | Command::Add { control, .. }
            | Command::Delete { control, .. }
            | Command::Inform { control, .. }
            | Command::Transfer { control, .. }
            | Command::RequestDownload { control, .. }
            | Command::Status { control, .. } => *control = path,
        }
        self
    }
}

/// What `inform` says without an event: the session that would have come anyway, only sooner.
const DEFAULT_EVENT: &str = "2 PERIODIC";

/// A command before its arguments are looked at.
pub(super) struct CommandSpec {
    pub(super) name: &'static str,
    pub(super) arguments: &'static str,
    pub(super) meaning: &'static str,
    pub(super) build: CommandParser,
}

/// How a command is made.
pub(super) enum CommandParser {
    /// Of the whole configuration.
    Daemon(fn(Config) -> Command),
    /// Of the control socket and what follows the command.
    Client(fn(PathBuf, Operands) -> Result<Command, String>),
}

pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "run",
        arguments: "",
        meaning: "the daemon, in the foreground",
        build: CommandParser::Daemon(Command::Run),
    },
    CommandSpec {
        name: "check",
        arguments: "",
        meaning: "validate configuration and data model, contact nobody",
        build: CommandParser::Daemon(Command::Check),
    },
    #[cfg(feature = "doctor")]
    CommandSpec {
        name: "doctor",
        arguments: "",
        meaning: "check name, ACS, TLS, clock, STUN and ports, one line each",
        build: CommandParser::Daemon(Command::Doctor),
    },
    CommandSpec {
        name: "get",
        arguments: " PATH...",
        meaning: "values, one path=value a line",
        build: CommandParser::Client(|control, operands| Ok(Command::Get { control, paths: operands.some()? })),
    },
    CommandSpec {
        name: "set",
        arguments: " PATH=VALUE...",
        meaning: "change values, all or none",
        build: CommandParser::Client(|control, operands| {
            let assignments = operands.some()?.iter().map(|text| parse_assignment(text)).collect::<Result<_, _>>()?;
            Ok(Command::Set { control, assignments })
        }),
    },
    CommandSpec {
        name: "add",
        arguments: " PATH.",
        meaning: "create an instance, print its number",
        build: CommandParser::Client(|control, operands| Ok(Command::Add { control, path: operands.one()? })),
    },
    CommandSpec {
        name: "delete",
        arguments: " PATH.",
        meaning: "delete an instance",
        build: CommandParser::Client(|control, operands| Ok(Command::Delete { control, path: operands.one()? })),
    },
    CommandSpec {
        name: "inform",
        arguments: " [\"EVENT\"]",
        meaning: "start a session now, with \"2 PERIODIC\" or that event code",
        build: CommandParser::Client(|control, operands| {
            let event = operands.at_most_one()?.unwrap_or_else(|| DEFAULT_EVENT.to_owned());
            Ok(Command::Inform { control, event })
        }),
    },
    CommandSpec {
        name: "download",
        arguments: " TYPE URL [OPTION=VALUE...]",
        meaning: "download a file and apply it",
        build: CommandParser::Client(|control, operands| transfer(control, operands, true)),
    },
    CommandSpec {
        name: "upload",
        arguments: " TYPE URL [OPTION=VALUE...]",
        meaning: "upload a file of the device",
        build: CommandParser::Client(|control, operands| transfer(control, operands, false)),
    },
    CommandSpec {
        name: "request-download",
        arguments: " TYPE [NAME=VALUE...]",
        meaning: "ask the ACS for a file",
        build: CommandParser::Client(|control, operands| {
            let (file_type, arguments) = parse_request_download(&operands.any()?)?;
            Ok(Command::RequestDownload { control, file_type, arguments })
        }),
    },
    CommandSpec {
        name: "status",
        arguments: " [--json]",
        meaning: "how the daemon is doing",
        build: CommandParser::Client(|control, operands| {
            let json = operands.json;
            operands.none()?;
            Ok(Command::Status { control, json })
        }),
    },
];

/// What follows a client command.
pub(super) struct Operands {
    pub(super) values: Vec<String>,
    pub(super) json: bool,
}

impl Operands {
    fn any(self) -> Result<Vec<String>, String> {
        match self.values.iter().any(String::is_empty) {
            true => Err("an argument is empty".to_owned()),
            false => Ok(self.values),
        }
    }

    pub(super) fn none(self) -> Result<(), String> {
        self.values.first().map_or(Ok(()), |value| Err(unexpected(value)))
    }

    fn at_most_one(mut self) -> Result<Option<String>, String> {
        match self.values.get(1) {
            Some(second) => Err(unexpected(second)),
            None => self.values.pop().map(not_empty).transpose(),
        }
    }

    fn one(self) -> Result<String, String> {
        self.at_most_one()?.ok_or_else(|| "a path is missing".to_owned())
    }

    fn some(self) -> Result<Vec<String>, String> {
        if self.values.is_empty() {
            return Err("a path is missing".to_owned());
        }
        Ok(self.values)
    }
}

fn not_empty(value: String) -> Result<String, String> {
    if value.is_empty() { Err("an argument is empty".to_owned()) } else { Ok(value) }
}

fn unexpected(argument: &str) -> String {
    format!("unexpected argument `{argument}`")
}

fn transfer(control: PathBuf, operands: Operands, is_download: bool) -> Result<Command, String> {
    let transfer = LocalTransfer::parse(is_download, &with_password(operands.any()?)?)?;
    Ok(Command::Transfer { control, transfer })
}

/// The longest file that is read for a password.
const MAX_PASSWORD_FILE: u64 = 4096;

/// Reads `password-file=FILE`: the password is the first line of that file, since every user can read a command line.
fn with_password(words: Vec<String>) -> Result<Vec<String>, String> {
    let read = |word: String| {
        let Some(file) = word.strip_prefix("password-file=") else { return Ok(word) };
        let mut text = String::new();
        let result = File::open(file).and_then(|open| open.take(MAX_PASSWORD_FILE).read_to_string(&mut text));
        result.map_err(|error| format!("{file} cannot be read: {error}"))?;
        Ok(format!("password={}", text.lines().next().unwrap_or_default()))
    };
    words.into_iter().map(read).collect()
}
