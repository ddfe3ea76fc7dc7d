//! The table of commands: the name, the arguments, the help texts and the parser of each.

mod table;

use std::path::PathBuf;

pub(super) use self::table::COMMANDS;
use super::operands::Operands;
#[cfg(feature = "dhcp")]
use crate::config::DHCP_DIR;
use crate::config::{CONFIG, CONTROL, Config};
use crate::control::{Request, TraceFile};
#[cfg(feature = "dhcp")]
use crate::dhcp::Handover;
#[cfg(feature = "diagnostics")]
use crate::diagnostics::LocalTest;
use crate::suggest::hint;

/// A command of the program, with everything that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Runs the agent in the foreground.
    Run(Config),
    /// Validates the configuration and the data model.
    Check {
        /// The configuration.
        config: Config,
        /// True for JSON and false for text, if the sources of the device are read as well.
        device: Option<bool>,
    },
    /// Checks, from the device, that the ACS and the services around it can be reached.
    #[cfg(feature = "doctor")]
    Doctor(Config),
    /// Hands the options that a DHCP client received to the agent.
    #[cfg(feature = "dhcp")]
    Dhcp(Handover),
    /// Records the sessions of the running agent.
    Trace {
        /// The path of the control socket.
        socket: PathBuf,
        /// The file of the trace.
        file: TraceFile,
    },
    /// Plays a trace against a fresh agent.
    Replay {
        /// The configuration, whose data model takes precedence over that of the trace.
        config: Config,
        /// The file of the trace.
        file: PathBuf,
    },
    /// Runs a diagnostic test without the agent.
    #[cfg(feature = "diagnostics")]
    Test {
        /// The configuration, whose options of TLS a transfer uses.
        config: Option<Config>,
        /// The test.
        test: LocalTest,
    },
    /// Sends a request to the running agent.
    Client {
        /// The path of the control socket.
        socket: PathBuf,
        /// The request.
        request: Request,
    },
}

/// A row of the table of commands.
pub(super) struct CommandSpec {
    pub(super) name: &'static str,
    /// The operands and flags as the help text shows them, with a space in front; empty if the command takes none. A word
    /// that begins with `[--`, such as `[--json]`, makes the parser accept that flag.
    pub(super) arguments: &'static str,
    /// The line of `--help`, without an upper-case letter and a full stop.
    pub(super) meaning: &'static str,
    /// The text of `help COMMAND` below that line: lines of at most 98 characters. Empty if the meaning says everything.
    pub(super) details: &'static str,
    pub(super) parser: CommandParser,
}

/// The function that makes a command from its arguments.
pub(super) enum CommandParser {
    /// Makes the command from the whole configuration and the flags, or returns a message for the user. Operands are an error.
    Local(fn(Config, &Operands) -> Result<Command, String>),
    /// Makes a diagnostic test from the operands, which has the options of TLS as well, or returns a message for the user.
    #[cfg(feature = "diagnostics")]
    Transfer(fn(&[String]) -> Result<LocalTest, String>),
    /// Makes the request to the running agent from the operands, or returns a message for the user.
    Client(fn(Operands) -> Result<Request, String>),
    /// Reads the options of DHCP.
    #[cfg(feature = "dhcp")]
    Dhcp,
    /// Makes a diagnostic test from the operands alone, or returns a message for the user.
    #[cfg(feature = "diagnostics")]
    Test(fn(&[String]) -> Result<LocalTest, String>),
    /// Reads the file of a trace that is to be recorded.
    Trace,
    /// Reads the file of a trace that is to be replayed.
    Replay,
    /// Prints the help text, in full or of the command that the operand names.
    Help,
}

impl CommandSpec {
    /// Returns the command of this name. The error lists the commands.
    pub(super) fn find(name: &str) -> Result<&'static CommandSpec, String> {
        let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
        let found = COMMANDS.iter().find(|command| command.name == name);
        found.ok_or_else(|| match name {
            // A build for a gateway may lack it; with the feature it is in the table.
            "dhcp" => "dhcp: this build lacks the cargo feature `dhcp`".into(),
            "doctor" => "doctor: this build lacks the cargo feature `doctor` (cross/build --doctor)".into(),
            "ping" | "traceroute" | "lookup" | "speed" => {
                format!("{name}: this build lacks the cargo feature `diagnostics`")
            }
            _ => format!("there is no command `{name}`{}", hint(name, &names, "commands", "")),
        })
    }

    /// Returns the flags that the command accepts, without their dashes.
    pub(super) fn flags(&self) -> impl Iterator<Item = &'static str> {
        self.arguments.split(' ').filter_map(|word| word.strip_prefix("[--")?.strip_suffix(']'))
    }

    /// Returns the options with a value that the command alone accepts, without their dashes.
    pub(super) fn own_options(&self) -> &'static [&'static str] {
        match self.parser {
            #[cfg(feature = "dhcp")]
            CommandParser::Dhcp => &["interface", "option", "option6", "requested"],
            _ => &[],
        }
    }

    /// Returns true if the command accepts an option of the configuration.
    pub(super) fn takes(&self, option: &str) -> bool {
        match self.parser {
            CommandParser::Local(_) | CommandParser::Replay => true,
            #[cfg(feature = "diagnostics")]
            CommandParser::Transfer(_) => [CONFIG, "ca-file", "client-cert", "client-key"].contains(&option),
            CommandParser::Client(_) | CommandParser::Trace => option == CONFIG || option == CONTROL,
            #[cfg(feature = "dhcp")]
            CommandParser::Dhcp => [CONFIG, CONTROL, DHCP_DIR].contains(&option),
            #[cfg(feature = "diagnostics")]
            CommandParser::Test(_) => false,
            CommandParser::Help => false,
        }
    }
}
