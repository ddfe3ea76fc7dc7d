//! The command line: arguments in, a [`Command`] or a word on what is wrong out.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::{Arg, Parser};

use crate::config::{CONTROL, Config, Options, SETTINGS, StartupError};
use crate::control::{LocalTransfer, assignment, wish};
use crate::secret::Secret;

/// `EX_USAGE`.
const EXIT_USAGE: u8 = 64;
/// What `inform` says without an event: the session that would have come anyway, only sooner.
const DEFAULT_EVENT: &str = "2 PERIODIC";

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

/// Parses the arguments and hands the command to `carry_out`; what is wrong with them is told on
/// stderr, with status 64 or 78.
pub fn main(arguments: impl IntoIterator<Item = OsString>, carry_out: impl FnOnce(Command) -> ExitCode) -> ExitCode {
    match parse(arguments) {
        Ok(Parsed::Command(command)) => carry_out(*command),
        Ok(Parsed::Help) => {
            print!("{}", help());
            ExitCode::SUCCESS
        }
        Ok(Parsed::Version) => {
            println!("cpe-agent {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Err(Refusal::Usage(reason)) => {
            eprintln!("cpe-agent: {reason}\nTry `cpe-agent --help`.");
            ExitCode::from(EXIT_USAGE)
        }
        Err(Refusal::Startup(error)) => {
            eprintln!("cpe-agent: {error}");
            ExitCode::from(StartupError::EXIT)
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Command(Box<Command>),
    Help,
    Version,
}

#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// Status 64.
    Usage(String),
    /// Status 78.
    Startup(StartupError),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Refusal {
        Refusal::Usage(reason)
    }
}

/// A command before its arguments are looked at.
struct Form {
    name: &'static str,
    arguments: &'static str,
    meaning: &'static str,
    build: Build,
}

/// How a command is made.
enum Build {
    /// Of the whole configuration.
    Daemon(fn(Config) -> Command),
    /// Of the control socket and what follows the command.
    Client(fn(PathBuf, Operands) -> Result<Command, String>),
}

/// What follows a client command.
struct Operands {
    values: Vec<String>,
    json: bool,
}

const COMMANDS: &[Form] = &[
    Form { name: "run", arguments: "", meaning: "the daemon, in the foreground", build: Build::Daemon(Command::Run) },
    Form {
        name: "check",
        arguments: "",
        meaning: "validate configuration and data model, contact nobody",
        build: Build::Daemon(Command::Check),
    },
    #[cfg(feature = "doctor")]
    Form {
        name: "doctor",
        arguments: "",
        meaning: "check name, ACS, TLS, clock, STUN and ports, one line each",
        build: Build::Daemon(Command::Doctor),
    },
    Form {
        name: "get",
        arguments: " PATH...",
        meaning: "values, one path=value a line",
        build: Build::Client(|control, operands| Ok(Command::Get { control, paths: operands.some()? })),
    },
    Form {
        name: "set",
        arguments: " PATH=VALUE...",
        meaning: "change values, all or none",
        build: Build::Client(|control, operands| {
            let assignments = operands.some()?.iter().map(|text| assignment(text)).collect::<Result<_, _>>()?;
            Ok(Command::Set { control, assignments })
        }),
    },
    Form {
        name: "add",
        arguments: " PATH.",
        meaning: "create an instance, print its number",
        build: Build::Client(|control, operands| Ok(Command::Add { control, path: operands.one()? })),
    },
    Form {
        name: "delete",
        arguments: " PATH.",
        meaning: "delete an instance",
        build: Build::Client(|control, operands| Ok(Command::Delete { control, path: operands.one()? })),
    },
    Form {
        name: "inform",
        arguments: " [\"EVENT\"]",
        meaning: "start a session now, with \"2 PERIODIC\" or that event code",
        build: Build::Client(|control, operands| {
            let event = operands.at_most_one()?.unwrap_or_else(|| DEFAULT_EVENT.to_owned());
            Ok(Command::Inform { control, event })
        }),
    },
    Form {
        name: "download",
        arguments: " TYPE URL [OPTION=VALUE...]",
        meaning: "download a file and apply it",
        build: Build::Client(|control, operands| {
            Ok(Command::Transfer { control, transfer: LocalTransfer::parse(true, &with_password(operands.any()?)?)? })
        }),
    },
    Form {
        name: "upload",
        arguments: " TYPE URL [OPTION=VALUE...]",
        meaning: "upload a file of the device",
        build: Build::Client(|control, operands| {
            Ok(Command::Transfer { control, transfer: LocalTransfer::parse(false, &with_password(operands.any()?)?)? })
        }),
    },
    Form {
        name: "request-download",
        arguments: " TYPE [NAME=VALUE...]",
        meaning: "ask the ACS for a file",
        build: Build::Client(|control, operands| {
            let (file_type, arguments) = wish(&operands.any()?)?;
            Ok(Command::RequestDownload { control, file_type, arguments })
        }),
    },
    Form {
        name: "status",
        arguments: " [--json]",
        meaning: "how the daemon is doing",
        build: Build::Client(|control, operands| {
            let json = operands.json;
            operands.none()?;
            Ok(Command::Status { control, json })
        }),
    },
];

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

impl Operands {
    fn any(self) -> Result<Vec<String>, String> {
        match self.values.iter().any(String::is_empty) {
            true => Err("an argument is empty".to_owned()),
            false => Ok(self.values),
        }
    }

    fn none(self) -> Result<(), String> {
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

/// What stands on the command line, still without meaning as a whole.
#[derive(Default)]
struct Line {
    command: Option<&'static Form>,
    operands: Vec<String>,
    options: Options,
    /// The first option that only `run`, `check` and `doctor` take.
    daemon_option: Option<&'static str>,
    json: bool,
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, Refusal> {
    let mut parser = Parser::from_iter(arguments);
    let mut line = Line::default();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Parsed::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Parsed::Version),
            Arg::Long("json") => line.json = true,
            Arg::Long(name) => {
                let name = name.to_owned();
                line.take_option(&name, &mut parser)?;
            }
            Arg::Short(letter) => return Err(format!("there is no option -{letter}").into()),
            Arg::Value(value) => line.take_operand(text(value)?)?,
        }
    }
    line.finish().map(|command| Parsed::Command(Box::new(command)))
}

impl Line {
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

    fn finish(self) -> Result<Command, Refusal> {
        let command = self.command.ok_or_else(|| "a command is missing".to_owned())?;
        let name = command.name;
        if self.json && name != "status" {
            return Err(format!("{name} takes no option --json").into());
        }
        let operands = Operands { values: self.operands, json: self.json };
        let load = |options| Config::load(options).map_err(Refusal::Startup);
        match command.build {
            Build::Daemon(build) => {
                operands.none().map_err(|reason| format!("{name}: {reason}"))?;
                Ok(build(load(self.options)?))
            }
            Build::Client(build) => {
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

impl Command {
    /// The same command by that control socket.
    fn through(mut self, path: PathBuf) -> Command {
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

fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("`{}` is not UTF-8", value.display()))
}

fn help() -> String {
    let mut text = "cpe-agent: TR-069 (CWMP) CPE agent\n\nUsage:\n".to_owned();
    // Writing to a String cannot fail.
    for command in COMMANDS {
        let usage = format!("{}{}", command.name, command.arguments);
        let _ = writeln!(text, "  cpe-agent {usage:<20}  {}", command.meaning);
    }
    text.push_str("\nA PATH ending in a dot is an object with all that is below it.\n");
    text.push_str("get to status talk to the running daemon and take --control and --config.\n");
    if cfg!(feature = "doctor") {
        text.push_str("doctor takes the options of run, sends the ACS one GET outside of any session, and changes\n");
        text.push_str("nothing; lines begin with ok, warning, skipped or FAILED, and one FAILED makes status 1.\n");
    }
    text.push_str(
        "get writes a line end in a value as \\n, and so every backslash as \\\\; hidden values are empty.\n",
    );
    text.push_str("set, add and delete are refused where the ACS has taken `Subscriber` off a parameter's access\n");
    text.push_str("list. While a session runs, all but status wait for its end, two minutes at most. inform is done\n");
    text.push_str("when the event is accepted; status tells how the session went. download and upload wait for the\n");
    text.push_str(
        "end of the transfer; OPTION is username, password, password-file (its first line is the password),\n",
    );
    text.push_str("and for downloads size (in bytes) and target.\n");
    text.push_str("\nOptions. Each is also a key of the JSON file, and wins over it; the key of --state-dir is\n");
    text.push_str("stateDir, and so on. --data-model and --set may be repeated; the first --data-model replaces\n");
    text.push_str("the default. --set gives factory values: needed at every start, and below what the ACS or `set`\n");
    text.push_str("has changed. Every user can read a command line: passwords belong in the file.\n");
    let _ = writeln!(text, "  {:<24}  the JSON file", "--config FILE");
    for setting in SETTINGS {
        let usage = format!("--{} {}", setting.option, setting.value);
        let _ = write!(text, "  {usage:<24}  {}", setting.meaning);
        if let Some(default) = setting.default {
            let _ = write!(text, " [{default}]");
        }
        text.push('\n');
    }
    let _ = writeln!(text, "  {:<24}  this text", "-h, --help");
    let _ = writeln!(text, "  {:<24}  the version", "-V, --version");
    text.push_str("\nSIGHUP has the daemon read file, data model and TLS files again; a wrong one changes nothing.\n");
    text.push_str("\nExit status: 0 done, 1 failed, 64 bad usage, 78 bad configuration or data model.\n");
    text.push_str("\nThe ACS is given by the data model, by \"set\" in the JSON file, or here:\n");
    text.push_str("  cpe-agent run --set Device.ManagementServer.URL=https://acs.example.com/\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parse_line(line: &[&str]) -> Result<Parsed, Refusal> {
        parse(["cpe-agent"].iter().chain(line).map(OsString::from))
    }

    fn command(line: &[&str]) -> Command {
        match parse_line(line) {
            Ok(Parsed::Command(command)) => *command,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    fn refused(line: &[&str]) -> String {
        match parse_line(line) {
            Err(Refusal::Usage(reason)) => reason,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn run_and_check_take_every_option_anywhere() {
        let Command::Run(config) = command(&["--state-dir=a", "run", "--set", "Device.A=1", "--set=Device.B=x=y"])
        else {
            panic!("run")
        };
        assert_eq!(config.state_dir, Path::new("a"));
        assert_eq!(config.set, [("Device.A".into(), "1".into()), ("Device.B".into(), "x=y".into())]);
        let values = [
            ("FILE", "f"),
            ("DIR", "d"),
            ("PATH=VALUE", "Device.A=1"),
            ("ADDR:PORT", "[::1]:0"),
            ("SECONDS", "5"),
            ("LEVEL", "debug"),
            ("WHERE", "syslog"),
        ];
        let mut line = vec!["check".to_owned()];
        for setting in SETTINGS {
            let (_, value) = values.iter().find(|(form, _)| *form == setting.value).expect("a known form");
            line.extend([format!("--{}", setting.option), (*value).to_owned()]);
        }
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        assert!(matches!(command(&line), Command::Check(config) if config.listen.to_string() == "[::1]:0"));
    }

    #[test]
    fn commands_to_the_daemon_carry_its_socket_and_their_arguments() {
        let control = PathBuf::from("/var/run/cpe-agent.sock");
        let paths = vec!["Device.".to_owned(), "Device.A".to_owned()];
        assert_eq!(command(&["get", "Device.", "Device.A"]), Command::Get { control: control.clone(), paths });
        let assignments = vec![("Device.A".to_owned(), "-1=".into()), ("Device.B".to_owned(), "".into())];
        assert_eq!(
            command(&["set", "Device.A=-1=", "Device.B="]),
            Command::Set { control: control.clone(), assignments }
        );
        let path = "Device.T.".to_owned();
        assert_eq!(command(&["add", "Device.T."]), Command::Add { control: control.clone(), path });
        let path = "Device.T.1.".to_owned();
        assert_eq!(command(&["delete", "Device.T.1."]), Command::Delete { control: control.clone(), path });
        let event = "2 PERIODIC".to_owned();
        assert_eq!(command(&["inform"]), Command::Inform { control: control.clone(), event });
        let event = "6 CONNECTION REQUEST".to_owned();
        assert_eq!(command(&["inform", "6 CONNECTION REQUEST"]), Command::Inform { control: control.clone(), event });
        assert_eq!(command(&["status"]), Command::Status { control: control.clone(), json: false });
        assert_eq!(command(&["--json", "status"]), Command::Status { control, json: true });
        let control = PathBuf::from("x.sock");
        assert_eq!(command(&["status", "--control", "x.sock"]), Command::Status { control, json: false });
    }

    #[test]
    fn the_socket_may_come_from_the_file() {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("config.json");
        std::fs::write(&file, r#"{"control": "from-file", "log": "debug"}"#).expect("a file");
        let file = file.to_str().expect("UTF-8");
        let control = PathBuf::from("from-file");
        assert_eq!(command(&["status", "--config", file]), Command::Status { control, json: false });
        let control = PathBuf::from("x");
        assert_eq!(command(&["status", "--config", file, "--control=x"]), Command::Status { control, json: false });
        std::fs::write(file, "{\"nonsense\": 1}").expect("a file");
        let Err(Refusal::Startup(error)) = parse_line(&["status", "--config", file]) else { panic!("a wrong file") };
        assert_eq!(error.to_string(), format!("{file}: /nonsense: there is no such key"));
        // A wrong line is told as such, whatever the file says.
        assert_eq!(refused(&["get", "--config", file]), "get: a path is missing");
    }

    #[test]
    fn what_is_wrong_is_told_in_words() {
        for (line, reason) in [
            (&[][..], "a command is missing"),
            (&["--control", "x"], "a command is missing"),
            (&["start"], "there is no command `start`"),
            (&[""], "there is no command ``"),
            (&["run", "now"], "run: unexpected argument `now`"),
            (&["check", "a.json"], "check: unexpected argument `a.json`"),
            (&["run", "--nonsense"], "there is no option --nonsense"),
            (&["run", "--nonsense=1"], "there is no option --nonsense"),
            (&["run", "-x"], "there is no option -x"),
            (&["run", "--listen"], "--listen needs a value"),
            (&["run", "--config"], "--config needs a value"),
            (&["run", "--config="], "--config: a file name is expected"),
            (&["run", "--listen", "7547"], "--listen: `7547` is not ADDR:PORT, such as 0.0.0.0:7547 or [::]:7547"),
            (
                &["run", "--udp-listen", "a:b"],
                "--udp-listen: `a:b` is not ADDR:PORT, such as 0.0.0.0:7547 or [::]:7547",
            ),
            (&["run", "--log", "loud"], "--log: `loud` is not error, warn, info, debug or trace"),
            (&["run", "--log-to", "file"], "--log-to: `file` is not stderr or syslog"),
            (&["run", "--set", "Device.A"], "--set: `Device.A` is not PATH=VALUE"),
            (&["run", "--set", "=1"], "--set: `=1` is not PATH=VALUE"),
            (&["run", "--state-dir", ""], "--state-dir: a file name is expected"),
            (&["run", "--json"], "run takes no option --json"),
            (&["get"], "get: a path is missing"),
            (&["get", "Device.", "--log", "info"], "get takes no option --log"),
            (&["set"], "set: a path is missing"),
            (&["set", "Device.A"], "set: `Device.A` is not PATH=VALUE"),
            (&["add"], "add: a path is missing"),
            (&["add", "Device.A.", "Device.B."], "add: unexpected argument `Device.B.`"),
            (&["delete"], "delete: a path is missing"),
            (&["delete", ""], "delete: an argument is empty"),
            (&["inform", "2", "PERIODIC"], "inform: unexpected argument `PERIODIC`"),
            (&["inform", ""], "inform: an argument is empty"),
            (&["status", "all"], "status: unexpected argument `all`"),
            (&["status", "--json=yes"], "unexpected argument for option '--json': \"yes\""),
            (&["status", "--state-dir", "x"], "status takes no option --state-dir"),
        ] {
            assert_eq!(refused(line), reason, "{line:?}");
        }
    }

    #[test]
    fn arguments_that_are_not_utf_8_are_refused() {
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(vec![b'a', 0xff]);
        let refused = parse(["cpe-agent".into(), "get".into(), odd]);
        assert_eq!(refused, Err(Refusal::Usage("`a\u{fffd}` is not UTF-8".to_owned())));
    }

    #[test]
    fn help_names_every_command_option_and_default() {
        assert_eq!(parse_line(&["run", "--help"]), Ok(Parsed::Help));
        assert_eq!(parse_line(&["-h"]), Ok(Parsed::Help));
        assert_eq!(parse_line(&["--version"]), Ok(Parsed::Version));
        let help = help();
        for command in COMMANDS {
            assert!(help.contains(&format!("  cpe-agent {}{} ", command.name, command.arguments)), "{}", command.name);
        }
        for setting in SETTINGS {
            assert!(help.contains(&format!("--{} {} ", setting.option, setting.value)), "{}", setting.option);
            assert!(setting.default.is_none_or(|default| help.contains(default)), "{}", setting.option);
        }
        assert!(help.contains("--config FILE"));
        for line in help.lines() {
            assert!(line.len() <= 100, "{line}");
        }
    }
}
