//! Tests of the command line: the command that each line means, and the message for each wrong line.

use super::*;
use crate::control::{GetForm, GetRequest, Request, SetRequest};
use std::path::Path;

fn parse_line(line: &[&str]) -> Result<Invocation, CommandLineError> {
    let arguments = ["cpe-agent"].iter().chain(line).map(OsString::from);
    super::parse(Parser::from_iter(arguments), &mut Arguments::default())
}

fn command(line: &[&str]) -> Command {
    match parse_line(line) {
        Ok(Invocation::Command(command)) => *command,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn refused(line: &[&str]) -> String {
    match parse_line(line) {
        Err(CommandLineError::Usage(reason)) => reason,
        other => panic!("{line:?}: {other:?}"),
    }
}

#[test]
fn run_and_check_take_every_option_anywhere() {
    let Command::Run(config) = command(&["--state-dir=a", "run", "--set", "Device.A=1", "--set=Device.B=x=y"]) else {
        panic!("run")
    };
    assert_eq!(config.state_dir, Path::new("a"));
    assert_eq!(config.factory_values, [("Device.A".into(), "1".into()), ("Device.B".into(), "x=y".into())]);
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
    assert!(
        matches!(command(&line), Command::Check { config, device: None } if config.listen.to_string() == "[::1]:0")
    );
}

/// The command that sends `request` to the agent behind `socket`.
fn client(socket: &str, request: Request) -> Command {
    Command::Client { socket: socket.into(), request }
}

#[test]
fn commands_to_the_daemon_carry_its_socket_and_their_arguments() {
    let paths = vec!["Device.".to_owned(), "Device.A".to_owned()];
    let value = GetRequest { paths: vec!["A".to_owned()], form: GetForm::Value, secret: true };
    let assignments = vec![("Device.A".to_owned(), "-1=".into()), ("Device.B".to_owned(), "".into())];
    for (line, request) in [
        (&["get", "Device.", "Device.A"][..], Request::Get(GetRequest { paths, ..GetRequest::default() })),
        (&["get", "--value", "A", "--secret"], Request::Get(value)),
        (&["set", "Device.A=-1=", "Device.B="], Request::Set(SetRequest { assignments, is_printed: false })),
        (&["add", "Device.T."], Request::Add("Device.T.".to_owned())),
        (&["delete", "Device.T.1."], Request::Delete("Device.T.1.".to_owned())),
        (&["inform"], Request::Inform("2 PERIODIC".to_owned())),
        (&["inform", "6 CONNECTION REQUEST"], Request::Inform("6 CONNECTION REQUEST".to_owned())),
        (&["status"], Request::Status { json: false }),
        (&["--json", "status"], Request::Status { json: true }),
        (&["status", "--check"], Request::Check),
    ] {
        assert_eq!(command(line), client("/var/run/cpe-agent.sock", request), "{line:?}");
    }
    assert_eq!(command(&["status", "--control", "x.sock"]), client("x.sock", Request::Status { json: false }));
}

#[test]
fn the_socket_may_come_from_the_file() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("config.json");
    std::fs::write(&file, r#"{"control": "from-file", "log": "debug"}"#).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let status = Request::Status { json: false };
    assert_eq!(command(&["status", "--config", file]), client("from-file", status.clone()));
    assert_eq!(command(&["status", "--config", file, "--control=x"]), client("x", status));
    std::fs::write(file, "{\"nonsense\": 1}").expect("a file");
    let Err(CommandLineError::Startup(error)) = parse_line(&["status", "--config", file]) else {
        panic!("a wrong file")
    };
    assert!(error.to_string().starts_with(&format!("{file}: /nonsense: there is no such key")), "{error}");
    // A wrong line is reported even if the file is wrong, too.
    assert_eq!(refused(&["get", "--config", file]), "get: a path is missing");
}

#[test]
fn what_is_wrong_is_told_in_words() {
    let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
    let list = format!("; the commands are {}", names.join(", "));
    for (line, reason) in [
        (&[][..], "a command is missing"),
        (&["--control", "x"], "a command is missing"),
        (&["dance"], &format!("there is no command `dance`{list}")),
        (&[""], &format!("there is no command ``{list}")),
        (&["statsu"], "there is no command `statsu`; did you mean `status`?"),
        (&["help", "stats"], "there is no command `stats`; did you mean `status`?"),
        (&["help", "get", "set"], "help: unexpected argument `set`"),
        (&["help", "--log", "info"], "help takes no option --log"),
        (&["run", "now"], "run: unexpected argument `now`"),
        (&["check", "a.json"], "check: unexpected argument `a.json`"),
        (
            &["get", "--nonsense"],
            "there is no option --nonsense; the options are --config, --control, --json, --value, --secret, --help",
        ),
        (&["status", "--x=1"], "there is no option --x; the options are --config, --control, --json, --check, --help"),
        (&["run", "--stateDir=1"], "there is no option --stateDir; did you mean `--state-dir`?"),
        (&["run", "-x"], "there is no option -x"),
        (&["run", "--listen"], "--listen needs a value"),
        (&["run", "--config"], "--config needs a value"),
        (&["run", "--config="], "--config: a file name is expected"),
        (&["run", "--listen", "7547"], "--listen: `7547` is not ADDR:PORT, such as 0.0.0.0:7547 or [::]:7547"),
        (&["run", "--udp-listen", "a:b"], "--udp-listen: `a:b` is not ADDR:PORT, such as 0.0.0.0:7547 or [::]:7547"),
        (&["run", "--log", "loud"], "--log: `loud` is not error, warn, info, debug or trace"),
        (&["run", "--log-to", "file"], "--log-to: `file` is not stderr or syslog"),
        (&["run", "--set", "Device.A"], "--set: `Device.A` is not PATH=VALUE"),
        (&["run", "--set", "=1"], "--set: `=1` is not PATH=VALUE"),
        (&["run", "--state-dir", ""], "--state-dir: a file name is expected"),
        (&["run", "--json"], "run takes no option --json"),
        (&["get", "Device.", "--check"], "get takes no option --check"),
        (&["status", "--check", "--json"], "status: --json and --check exclude each other"),
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
        (&["trace"], "trace: a file is needed"),
        (&["trace", "f", "size=0"], "trace: size: `0` is not a number of bytes"),
        (&["trace", "f", "all"], "trace: `all` is not size=BYTES"),
        (&["trace", "f", "--set", "Device.A=1"], "trace takes no option --set"),
        (&["status", "all"], "status: unexpected argument `all`"),
        (&["status", "--json=yes"], "--json takes no value"),
        (&["status", "--state-dir", "x"], "status takes no option --state-dir"),
    ] {
        assert_eq!(refused(line), reason, "{line:?}");
    }
}

/// Neither TLS nor the configuration has a meaning for these tests.
#[cfg(feature = "diagnostics")]
#[test]
fn a_test_without_tls_takes_no_option() {
    for name in ["ping", "traceroute", "lookup"] {
        for option in ["ca-file", "client-cert", "config", "control"] {
            let line = [name, "host", &format!("--{option}"), "x"];
            assert_eq!(refused(&line), format!("{name} takes no option --{option}"));
        }
    }
}

/// A replay takes the options of `run`; a build without it names the feature.
#[test]
fn replay_needs_its_feature() {
    if cfg!(feature = "replay") {
        let Command::Replay { config, file } = command(&["replay", "f", "--data-model", "m"]) else { panic!("replay") };
        assert_eq!((config.data_model, file), (vec!["m".into()], "f".into()));
        assert_eq!(refused(&["replay"]), "replay: a file is missing");
    } else {
        assert!(refused(&["replay", "f"]).contains("this build lacks the cargo feature `replay`"));
    }
}

#[cfg(not(feature = "doctor"))]
#[test]
fn a_build_without_doctor_names_its_feature() {
    assert_eq!(refused(&["doctor"]), refused(&["help", "doctor"]));
    assert!(refused(&["doctor"]).contains("this build lacks the cargo feature `doctor`"));
}

#[test]
fn arguments_that_are_not_utf_8_are_refused() {
    use std::os::unix::ffi::OsStringExt;
    let odd = OsString::from_vec(vec![b'a', 0xff]);
    let arguments = ["cpe-agent".into(), "get".into(), odd];
    let refused = super::parse(Parser::from_iter(arguments), &mut Arguments::default());
    assert_eq!(refused, Err(CommandLineError::Usage("`a\u{fffd}` is not UTF-8".to_owned())));
}

fn printed(line: &[&str]) -> String {
    match parse_line(line) {
        Ok(Invocation::Print(text)) => text,
        other => panic!("{line:?}: {other:?}"),
    }
}

#[test]
fn help_names_every_command_option_and_default() {
    let help = printed(&["--help"]);
    assert_eq!(printed(&["help"]), help);
    assert_eq!(printed(&["-h", "run"]), help);
    assert_eq!(printed(&["--version"]), format!("cpe-agent {}\n", env!("CARGO_PKG_VERSION")));
    for command in COMMANDS {
        assert!(help.contains(&format!("  cpe-agent {}{} ", command.name, command.arguments)), "{}", command.name);
    }
    for setting in SETTINGS {
        assert!(help.contains(&format!("--{} {} ", setting.option, setting.value)), "{}", setting.option);
        assert!(setting.default.is_none_or(|default| help.contains(default)), "{}", setting.option);
    }
    assert!(help.contains("--config FILE"));
}

#[test]
fn each_command_explains_itself_and_lists_its_own_options() {
    for command in COMMANDS {
        let help = printed(&["help", command.name]);
        assert_eq!(printed(&[command.name, "--help"]), help);
        assert_eq!(printed(&["--log", "info", command.name, "-h", "--nonsense"]), help);
        let usage = format!("Usage: cpe-agent {}{}\n\n", command.name, command.arguments);
        assert!(
            help.starts_with(&usage) && help.contains(command.details.lines().next().unwrap_or_default()),
            "{help}"
        );
        for setting in SETTINGS {
            let shown = help.contains(&format!("\n  --{} {} ", setting.option, setting.value));
            assert_eq!(shown, command.takes(setting.option), "{help}");
        }
        for line in help.lines().chain(printed(&["help"]).lines()) {
            assert!(line.len() <= 100, "{line}");
        }
    }
    assert!(printed(&["help", "get"]).contains("\n  Print values, one path=value a line.\n"));
}
