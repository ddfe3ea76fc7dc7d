//! What the arguments are taken for, and what is refused.

use super::*;
use std::path::Path;

fn parse_line(line: &[&str]) -> Result<Invocation, ArgumentError> {
    parse(["cpe-agent"].iter().chain(line).map(OsString::from))
}

fn command(line: &[&str]) -> Command {
    match parse_line(line) {
        Ok(Invocation::Command(command)) => *command,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn refused(line: &[&str]) -> String {
    match parse_line(line) {
        Err(ArgumentError::Usage(reason)) => reason,
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
    assert!(matches!(command(&line), Command::Check(config) if config.listen.to_string() == "[::1]:0"));
}

#[test]
fn commands_to_the_daemon_carry_its_socket_and_their_arguments() {
    let control = PathBuf::from("/var/run/cpe-agent.sock");
    let paths = vec!["Device.".to_owned(), "Device.A".to_owned()];
    assert_eq!(command(&["get", "Device.", "Device.A"]), Command::Get { control: control.clone(), paths });
    let assignments = vec![("Device.A".to_owned(), "-1=".into()), ("Device.B".to_owned(), "".into())];
    assert_eq!(command(&["set", "Device.A=-1=", "Device.B="]), Command::Set { control: control.clone(), assignments });
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
    let Err(ArgumentError::Startup(error)) = parse_line(&["status", "--config", file]) else { panic!("a wrong file") };
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
        (&["run", "--udp-listen", "a:b"], "--udp-listen: `a:b` is not ADDR:PORT, such as 0.0.0.0:7547 or [::]:7547"),
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
    assert_eq!(refused, Err(ArgumentError::Usage("`a\u{fffd}` is not UTF-8".to_owned())));
}

#[test]
fn help_names_every_command_option_and_default() {
    assert_eq!(parse_line(&["run", "--help"]), Ok(Invocation::Help));
    assert_eq!(parse_line(&["-h"]), Ok(Invocation::Help));
    assert_eq!(parse_line(&["--version"]), Ok(Invocation::Version));
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
