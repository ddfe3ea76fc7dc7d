//! The table of commands: the name, the arguments, the line of the help text and the parser of each.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use crate::config::Config;
use crate::control::{LocalTransfer, Request, parse_assignment, parse_request_download};

/// A command of the program, with everything that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Runs the agent in the foreground.
    Run(Config),
    /// Validates the configuration and the data model.
    Check(Config),
    /// Checks, from the device, that the ACS and the services around it can be reached.
    #[cfg(feature = "doctor")]
    Doctor(Config),
    /// Sends a request to the running agent.
    Client {
        /// The path of the control socket.
        socket: PathBuf,
        /// The request.
        request: Request,
    },
}

/// The event code of `inform` without an argument: the session that would come anyway, only sooner.
const DEFAULT_EVENT: &str = "2 PERIODIC";

/// A row of the table of commands.
pub(super) struct CommandSpec {
    pub(super) name: &'static str,
    /// The operands as the help text shows them, with a space in front; empty if the command takes none.
    pub(super) arguments: &'static str,
    /// The line of the help text.
    pub(super) meaning: &'static str,
    pub(super) parser: CommandParser,
}

/// The function that makes a command from its arguments.
pub(super) enum CommandParser {
    /// Makes the command from the whole configuration. Operands are an error.
    Local(fn(Config) -> Command),
    /// Makes the request to the running agent from the operands, or returns a message for the user.
    Client(fn(Operands) -> Result<Request, String>),
}

/// All commands, in the order of the help text.
pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "run",
        arguments: "",
        meaning: "run the agent in the foreground",
        parser: CommandParser::Local(Command::Run),
    },
    CommandSpec {
        name: "check",
        arguments: "",
        meaning: "validate the configuration and the data model; contact no server",
        // The same configuration as for `run`, so that `check` accepts a file if and only if `run` does.
        parser: CommandParser::Local(Command::Check),
    },
    #[cfg(feature = "doctor")]
    CommandSpec {
        name: "doctor",
        arguments: "",
        meaning: "check name, ACS, TLS, clock, STUN and ports, one line each",
        parser: CommandParser::Local(Command::Doctor),
    },
    CommandSpec {
        name: "get",
        arguments: " PATH...",
        meaning: "print values, one path=value a line",
        // No path is checked here: only the agent has the data model.
        parser: CommandParser::Client(|operands| Ok(Request::Get(operands.some()?))),
    },
    CommandSpec {
        name: "set",
        arguments: " PATH=VALUE...",
        meaning: "change values, all or none",
        // Only the form is checked here; the agent checks the values against the data types of the model.
        parser: CommandParser::Client(|operands| {
            let assignments = operands.some()?.iter().map(|text| parse_assignment(text)).collect::<Result<_, _>>()?;
            Ok(Request::Set(assignments))
        }),
    },
    CommandSpec {
        name: "add",
        arguments: " PATH.",
        meaning: "create an instance and print its number",
        parser: CommandParser::Client(|operands| Ok(Request::Add(operands.one()?))),
    },
    CommandSpec {
        name: "delete",
        arguments: " PATH.",
        meaning: "delete an instance",
        parser: CommandParser::Client(|operands| Ok(Request::Delete(operands.one()?))),
    },
    CommandSpec {
        name: "inform",
        arguments: " [\"EVENT\"]",
        meaning: "start a session now, with \"2 PERIODIC\" or the given event code",
        parser: CommandParser::Client(|operands| {
            Ok(Request::Inform(operands.at_most_one()?.unwrap_or_else(|| DEFAULT_EVENT.to_owned())))
        }),
    },
    CommandSpec {
        name: "download",
        arguments: " TYPE URL [OPTION=VALUE...]",
        meaning: "download a file and apply it",
        parser: CommandParser::Client(|operands| transfer(operands, true)),
    },
    CommandSpec {
        name: "upload",
        arguments: " TYPE URL [OPTION=VALUE...]",
        meaning: "upload a file of the device",
        parser: CommandParser::Client(|operands| transfer(operands, false)),
    },
    CommandSpec {
        name: "request-download",
        arguments: " TYPE [NAME=VALUE...]",
        meaning: "ask the ACS for a file",
        parser: CommandParser::Client(|operands| {
            // The agent checks the same limits again: other programs write to its socket, too.
            let (file_type, arguments) = parse_request_download(&operands.any()?)?;
            Ok(Request::RequestDownload(file_type, arguments))
        }),
    },
    CommandSpec {
        name: "status",
        arguments: " [--json]",
        meaning: "print the state of the agent",
        parser: CommandParser::Client(|operands| {
            // `none` consumes the operands, so the flag is read first.
            let json = operands.json;
            operands.none()?;
            Ok(Request::Status { json })
        }),
    },
];

/// The arguments after the name of a client command.
pub(super) struct Operands {
    pub(super) values: Vec<String>,
    /// True if `--json` was given; only `status` accepts it.
    pub(super) json: bool,
}

/// The number of operands that a command accepts. Each function returns a message for the user if there are others.
impl Operands {
    /// Returns any number of operands, none of them empty.
    fn any(self) -> Result<Vec<String>, String> {
        // An empty word is an unset variable of a shell script, never a file type or a URL.
        match self.values.iter().any(String::is_empty) {
            true => Err("an argument is empty".to_owned()),
            false => Ok(self.values),
        }
    }

    /// Returns an error if there is an operand.
    pub(super) fn none(self) -> Result<(), String> {
        self.values.first().map_or(Ok(()), |value| Err(unexpected(value)))
    }

    /// Returns the operand, if there is one.
    fn at_most_one(mut self) -> Result<Option<String>, String> {
        match self.values.get(1) {
            Some(second) => Err(unexpected(second)),
            None => self.values.pop().map(not_empty).transpose(),
        }
    }

    /// Returns the only operand, which is a path.
    fn one(self) -> Result<String, String> {
        self.at_most_one()?.ok_or_else(|| "a path is missing".to_owned())
    }

    /// Returns one or more operands. An empty path is allowed here: it names the whole tree (R166).
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

fn transfer(operands: Operands, is_download: bool) -> Result<Request, String> {
    // A password file is read by the client with the rights of its user, never by the agent with its own.
    let transfer = LocalTransfer::parse(is_download, &with_password(operands.any()?)?)?;
    Ok(Request::Transfer(Box::new(transfer)))
}

/// The number of bytes that are read of a password file. A wrong name such as `/dev/zero` must not fill the memory.
const MAX_PASSWORD_FILE: u64 = 4096;

/// Replaces `password-file=FILE` by `password=` and the first line of that file.
///
/// Every user of the device can read a command line in `/proc`, so a password belongs in a file.
fn with_password(words: Vec<String>) -> Result<Vec<String>, String> {
    let read = |word: String| {
        let Some(file) = word.strip_prefix("password-file=") else { return Ok(word) };
        let mut text = String::new();
        let result = File::open(file).and_then(|open| open.take(MAX_PASSWORD_FILE).read_to_string(&mut text));
        result.map_err(|error| format!("{file} cannot be read: {error}"))?;
        // An editor ends the line with a line break, which is no part of the password.
        Ok(format!("password={}", text.lines().next().unwrap_or_default()))
    };
    words.into_iter().map(read).collect()
}
