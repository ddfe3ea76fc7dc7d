//! The configuration: defaults, under a JSON file, under the command line.
//!
//! `SETTINGS` is the one list of what can be set: the option, the key of the file, the text of
//! `--help` and what a value must look like stand side by side.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::log::LevelFilter;
use serde_json::Value;

use crate::control::assignment;
use crate::log::Destination;
use crate::secret::Secret;

/// A configuration file is a few hundred bytes; what is larger is none.
const MAX_FILE: u64 = 1024 * 1024;

/// Everything that `run` and `check` can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Data-model files; a later file is laid over the earlier ones.
    pub data_model: Vec<PathBuf>,
    /// Factory values laid over the model: full path and value, no path twice.
    pub set: Vec<(String, Secret)>,
    /// Where everything lives that must survive a reboot.
    pub state_dir: PathBuf,
    /// Where files lie while they are transferred; `state_dir` where absent.
    pub transfer_dir: Option<PathBuf>,
    /// Where connection requests over HTTP arrive; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where connection requests over UDP arrive, and from where STUN binding requests leave.
    pub udp_listen: SocketAddr,
    /// The control socket.
    pub control: PathBuf,
    /// Changed content of this file means that the device rebooted.
    pub boot_id: PathBuf,
    /// PEM roots that may sign the ACS and file servers; the system's where absent.
    pub ca_file: Option<PathBuf>,
    /// PEM certificate of the client; never without `client_key`.
    pub client_cert: Option<PathBuf>,
    /// PEM key of the client; never without `client_cert`.
    pub client_key: Option<PathBuf>,
    /// How long the ACS may be silent before a session is given up.
    pub acs_timeout: Duration,
    /// What is logged.
    pub log: LevelFilter,
    /// Where it is logged.
    pub log_to: Destination,
    /// What it was made from, so that it can be read again.
    options: Options,
}

impl Config {
    /// Lays the file that `options` names, if any, over the defaults, and `options` over that.
    pub fn load(options: Options) -> Result<Config, StartupError> {
        let mut config = Config::default();
        let file = options.config.clone();
        if let Some(file) = &file {
            config.read_file(file)?;
        }
        for (setting, value) in &options.values {
            config.lay_over(setting, value);
        }
        if config.client_cert.is_some() != config.client_key.is_some() {
            let pointer = if config.client_key.is_none() { "/clientKey" } else { "/clientCert" };
            let file = file.unwrap_or_else(|| PathBuf::from("command line"));
            return Err(StartupError::new(&file, pointer, "clientCert and clientKey are needed together"));
        }
        config.options = options;
        Ok(config)
    }

    /// Reads the file again, under the same command line (SIGHUP).
    pub fn reload(&self) -> Result<Config, StartupError> {
        Config::load(self.options.clone())
    }

    /// Keeps the places that a running agent cannot leave as `running` has them; gives the keys of those that were to
    /// change.
    pub fn keep_places(&mut self, running: &Config) -> Vec<&'static str> {
        let places = [
            ("stateDir", &mut self.state_dir, &running.state_dir),
            ("control", &mut self.control, &running.control),
            ("bootId", &mut self.boot_id, &running.boot_id),
        ];
        let moved = places.into_iter().filter(|(_, new, old)| new != old);
        let kept = moved.map(|(key, new, old)| {
            new.clone_from(old);
            key
        });
        let mut kept: Vec<&'static str> = kept.collect();
        if self.transfer_dir != running.transfer_dir {
            self.transfer_dir.clone_from(&running.transfer_dir);
            kept.push("transferDir");
        }
        kept
    }

    /// An error in a factory value, named by its path: where it was given, the file or the command line.
    pub fn error_in_set(&self, path: &str, reason: &str) -> StartupError {
        let origin = self.origin_of_set(path);
        let is_file = self.options.config.as_deref() == Some(origin);
        let pointer = if is_file { format!("/set/{}", escaped(path)) } else { path.to_owned() };
        StartupError::new(origin, &pointer, reason)
    }

    /// Where a factory value was given: the file, or `--set`.
    pub fn origin_of_set(&self, path: &str) -> &Path {
        let is_option = |(_, value): &(_, OptionValue)| matches!(value, OptionValue::Set(name, _) if name == path);
        match &self.options.config {
            Some(file) if !self.options.values.iter().any(is_option) => file,
            _ => Path::new("--set"),
        }
    }

    fn read_file(&mut self, file: &Path) -> Result<(), StartupError> {
        let error = |pointer: &str, reason: String| StartupError::new(file, pointer, &reason);
        let text = read(file).map_err(|reason| error("", reason))?;
        let value: Value = serde_json::from_str(&text).map_err(|reason| error("", reason.to_string()))?;
        let Value::Object(members) = value else {
            return Err(error("", format!("an object is expected, not {}", kind(&value))));
        };
        for (key, value) in &members {
            let pointer = format!("/{}", escaped(key));
            let setting = SETTINGS.iter().find(|setting| setting.key == key);
            let setting = setting.ok_or_else(|| error(&pointer, "there is no such key".to_owned()))?;
            self.read_member(setting, value).map_err(|(below, reason)| error(&format!("{pointer}{below}"), reason))?;
        }
        Ok(())
    }

    /// Fails with the pointer below the member, and the reason.
    fn read_member(&mut self, setting: &Setting, value: &Value) -> Result<(), (String, String)> {
        match setting.form {
            Form::One(set) => {
                let text = string(value).map_err(|reason| (String::new(), reason))?;
                set(self, text).map_err(|reason| (String::new(), reason))
            }
            Form::Number(set) => {
                let number = value.as_number().map(ToString::to_string);
                let text = number.as_deref().map_or_else(|| string(value), Ok);
                text.and_then(|text| set(self, text)).map_err(|reason| (String::new(), reason))
            }
            Form::DataModel => {
                let Value::Array(items) = value else {
                    return Err((String::new(), format!("a list of strings is expected, not {}", kind(value))));
                };
                if items.is_empty() {
                    return Err((String::new(), "at least one file is needed".to_owned()));
                }
                let paths = items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| string(item).and_then(path).map_err(|reason| (format!("/{at}"), reason)));
                self.data_model = paths.collect::<Result<_, _>>()?;
                Ok(())
            }
            Form::Set => {
                let Value::Object(members) = value else {
                    return Err((String::new(), format!("an object of strings is expected, not {}", kind(value))));
                };
                for (name, value) in members {
                    let below = || format!("/{}", escaped(name));
                    if name.is_empty() {
                        return Err((below(), "a path is expected".to_owned()));
                    }
                    let value = string(value).map_err(|reason| (below(), reason))?;
                    self.set.push((name.clone(), value.into()));
                }
                Ok(())
            }
        }
    }

    /// Lays an option over what the file said. The value has been checked by [`Options::add`].
    fn lay_over(&mut self, setting: &Setting, value: &OptionValue) {
        match (setting.form, value) {
            (Form::One(set) | Form::Number(set), OptionValue::One(text)) => {
                let checked = set(self, text);
                debug_assert!(checked.is_ok(), "checked when the option was taken");
            }
            (_, OptionValue::DataModel(files)) => self.data_model.clone_from(files),
            (_, OptionValue::Set(name, value)) => {
                self.set.retain(|(earlier, _)| earlier != name);
                self.set.push((name.clone(), value.clone()));
            }
            (Form::DataModel | Form::Set, OptionValue::One(_)) => {}
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        let mut config = Config {
            data_model: vec![PathBuf::from("/etc/cpe-agent/data-model.json")],
            set: Vec::new(),
            state_dir: PathBuf::new(),
            transfer_dir: None,
            listen: SocketAddr::from(([0, 0, 0, 0], 0)),
            udp_listen: SocketAddr::from(([0, 0, 0, 0], 0)),
            control: PathBuf::new(),
            boot_id: PathBuf::new(),
            ca_file: None,
            client_cert: None,
            client_key: None,
            acs_timeout: Duration::ZERO,
            log: LevelFilter::Info,
            log_to: Destination::Stderr,
            options: Options::default(),
        };
        for setting in SETTINGS {
            if let (Form::One(set) | Form::Number(set), Some(default)) = (setting.form, setting.default) {
                let valid = set(&mut config, default);
                debug_assert!(valid.is_ok(), "the default of {}", setting.key);
            }
        }
        config
    }
}

/// One thing that can be set, as option and as key.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The option without its dashes.
    pub(crate) option: &'static str,
    /// The key of the JSON file.
    pub(crate) key: &'static str,
    /// What follows the option, for `--help`.
    pub(crate) value: &'static str,
    pub(crate) default: Option<&'static str>,
    /// One line for `--help`.
    pub(crate) meaning: &'static str,
    pub(crate) form: Form,
}

/// What a setting takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// One string, and where it goes.
    One(fn(&mut Config, &str) -> Result<(), String>),
    /// The same for a number, which need not be a string in the file.
    Number(fn(&mut Config, &str) -> Result<(), String>),
    /// The list of data-model files.
    DataModel,
    /// The factory values.
    Set,
}

/// Everything that can be set, in the order of `--help`.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        option: "data-model",
        key: "dataModel",
        value: "FILE",
        default: Some("/etc/cpe-agent/data-model.json"),
        meaning: "data model; later ones are laid over",
        form: Form::DataModel,
    },
    Setting {
        option: "set",
        key: "set",
        value: "PATH=VALUE",
        default: None,
        meaning: "factory value laid over the model, at every start",
        form: Form::Set,
    },
    Setting {
        option: "state-dir",
        key: "stateDir",
        value: "DIR",
        default: Some("/var/lib/cpe-agent"),
        meaning: "everything that must survive a reboot",
        form: Form::One(|config, text| path(text).map(|path| config.state_dir = path)),
    },
    Setting {
        option: "transfer-dir",
        key: "transferDir",
        value: "DIR",
        default: None,
        meaning: "files on their way; the state directory if absent",
        form: Form::One(|config, text| path(text).map(|path| config.transfer_dir = Some(path))),
    },
    Setting {
        option: "listen",
        key: "listen",
        value: "ADDR:PORT",
        default: Some("[::]:7547"),
        meaning: "connection requests over HTTP; port 0: any",
        form: Form::One(|config, text| address(text).map(|address| config.listen = address)),
    },
    Setting {
        option: "udp-listen",
        key: "udpListen",
        value: "ADDR:PORT",
        default: Some("0.0.0.0:7547"),
        meaning: "connection requests over UDP, and STUN",
        form: Form::One(|config, text| address(text).map(|address| config.udp_listen = address)),
    },
    Setting {
        option: CONTROL,
        key: "control",
        value: "FILE",
        default: Some("/var/run/cpe-agent.sock"),
        meaning: "the control socket",
        form: Form::One(|config, text| path(text).map(|path| config.control = path)),
    },
    Setting {
        option: "boot-id",
        key: "bootId",
        value: "FILE",
        default: Some("/proc/sys/kernel/random/boot_id"),
        meaning: "changed content: the device rebooted",
        form: Form::One(|config, text| path(text).map(|path| config.boot_id = path)),
    },
    Setting {
        option: "ca-file",
        key: "caFile",
        value: "FILE",
        default: None,
        meaning: "PEM roots instead of the system's",
        form: Form::One(|config, text| path(text).map(|path| config.ca_file = Some(path))),
    },
    Setting {
        option: "client-cert",
        key: "clientCert",
        value: "FILE",
        default: None,
        meaning: "PEM certificate to identify with",
        form: Form::One(|config, text| path(text).map(|path| config.client_cert = Some(path))),
    },
    Setting {
        option: "client-key",
        key: "clientKey",
        value: "FILE",
        default: None,
        meaning: "PEM key of that certificate",
        form: Form::One(|config, text| path(text).map(|path| config.client_key = Some(path))),
    },
    Setting {
        option: "acs-timeout",
        key: "acsTimeout",
        value: "SECONDS",
        default: Some("30"),
        meaning: "how long to wait for the ACS; 30 at least by TR-069",
        form: Form::Number(|config, text| seconds(text).map(|seconds| config.acs_timeout = seconds)),
    },
    Setting {
        option: "log",
        key: "log",
        value: "LEVEL",
        default: Some("info"),
        meaning: "error, warn, info, debug or trace",
        form: Form::One(|config, text| level(text).map(|level| config.log = level)),
    },
    Setting {
        option: "log-to",
        key: "logTo",
        value: "WHERE",
        default: Some("stderr"),
        meaning: "stderr or syslog",
        form: Form::One(|config, text| destination(text).map(|to| config.log_to = to)),
    },
];

/// The one setting that commands to the running daemon take too.
pub(crate) const CONTROL: &str = "control";

/// What the command line says, checked one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    config: Option<PathBuf>,
    values: Vec<(&'static Setting, OptionValue)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum OptionValue {
    One(String),
    DataModel(Vec<PathBuf>),
    Set(String, Secret),
}

impl Options {
    /// `--config FILE`; the last one counts.
    pub(crate) fn set_config(&mut self, text: &str) -> Result<(), String> {
        self.config = Some(path(text)?);
        Ok(())
    }

    /// Takes the value of an option, or says what is wrong with it.
    pub(crate) fn add(&mut self, setting: &'static Setting, text: &str) -> Result<(), String> {
        let value = match setting.form {
            Form::One(set) | Form::Number(set) => {
                set(&mut Config::default(), text)?;
                OptionValue::One(text.to_owned())
            }
            Form::DataModel => {
                let file = path(text)?;
                // The options make one list, which replaces that of the file.
                let list = self.values.iter_mut().find_map(|(_, value)| match value {
                    OptionValue::DataModel(files) => Some(files),
                    _ => None,
                });
                if let Some(files) = list {
                    files.push(file);
                    return Ok(());
                }
                OptionValue::DataModel(vec![file])
            }
            Form::Set => {
                let (name, value) = assignment(text)?;
                OptionValue::Set(name, value)
            }
        };
        self.values.push((setting, value));
        Ok(())
    }
}

impl PartialEq for Setting {
    fn eq(&self, other: &Setting) -> bool {
        self.key == other.key
    }
}

impl Eq for Setting {}

/// A configuration or data model that the agent must not start with: exit status 78.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartupError {
    /// The file that is wrong.
    pub file: PathBuf,
    /// JSON pointer (RFC 6901) to the place in it; empty for the file as a whole.
    pub pointer: String,
    /// What is wrong, in words.
    pub reason: String,
}

impl StartupError {
    /// The exit status that tells of it: `EX_CONFIG`.
    pub const EXIT: u8 = 78;

    /// An error at `pointer` in `file`.
    pub fn new(file: &Path, pointer: &str, reason: &str) -> StartupError {
        StartupError { file: file.to_owned(), pointer: pointer.to_owned(), reason: reason.to_owned() }
    }
}

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for StartupError {}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("a file name is expected".to_owned());
    }
    Ok(PathBuf::from(text))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not ADDR:PORT, such as 0.0.0.0:7547 or [::]:7547"))
}

fn level(text: &str) -> Result<LevelFilter, String> {
    match text {
        "error" => Ok(LevelFilter::Error),
        "warn" => Ok(LevelFilter::Warn),
        "info" => Ok(LevelFilter::Info),
        "debug" => Ok(LevelFilter::Debug),
        "trace" => Ok(LevelFilter::Trace),
        _ => Err(format!("`{text}` is not error, warn, info, debug or trace")),
    }
}

/// R48, R119 demand 30 s; less is for tests.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err("a number of seconds from 1 to 3600 is expected".to_owned()),
    }
}

fn destination(text: &str) -> Result<Destination, String> {
    match text {
        "stderr" => Ok(Destination::Stderr),
        "syslog" => Ok(Destination::Syslog),
        _ => Err(format!("`{text}` is not stderr or syslog")),
    }
}

fn read(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let opened = File::open(file).map_err(|error| format!("cannot be opened: {error}"))?;
    let length = opened.take(MAX_FILE + 1).read_to_string(&mut text);
    let length = length.map_err(|error| format!("cannot be read: {error}"))?;
    if length as u64 > MAX_FILE { Err("is larger than 1 MiB".to_owned()) } else { Ok(text) }
}

fn string(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("a string is expected, not {}", kind(value)))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A name as it stands in a JSON pointer (RFC 6901 §3).
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(option: &str) -> &'static Setting {
        SETTINGS.iter().find(|setting| setting.option == option).expect("a setting")
    }

    fn options(pairs: &[(&str, &str)]) -> Options {
        let mut options = Options::default();
        for (option, value) in pairs {
            options.add(setting(option), value).expect("a valid option");
        }
        options
    }

    /// Loads `text` as the configuration file under these options.
    fn load(text: &str, pairs: &[(&str, &str)]) -> Result<Config, (String, String)> {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("config.json");
        std::fs::write(&file, text).expect("a file");
        let mut options = options(pairs);
        options.set_config(file.to_str().expect("UTF-8")).expect("a path");
        Config::load(options).map_err(|error| {
            assert_eq!(error.file, file);
            (error.pointer, error.reason)
        })
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, Secret)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
    }

    #[test]
    fn a_factory_value_is_not_shown() {
        let mut options = Options::default();
        let setting = SETTINGS.iter().find(|setting| setting.option == "set").expect("the setting");
        options.add(setting, "Device.ManagementServer.Password=hunter2").expect("an assignment");
        let shown = format!("{:?}", Config::load(options).expect("a configuration"));
        assert!(shown.contains("ManagementServer.Password") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn the_defaults_are_those_of_the_interface() {
        let config = Config::load(Options::default()).expect("defaults");
        assert_eq!(config.data_model, [PathBuf::from("/etc/cpe-agent/data-model.json")]);
        assert!(config.set.is_empty());
        assert_eq!(config.state_dir, Path::new("/var/lib/cpe-agent"));
        assert_eq!(config.listen.to_string(), "[::]:7547");
        assert_eq!(config.udp_listen.to_string(), "0.0.0.0:7547");
        assert_eq!(config.control, Path::new("/var/run/cpe-agent.sock"));
        assert_eq!(config.boot_id, Path::new("/proc/sys/kernel/random/boot_id"));
        assert_eq!((&config.ca_file, &config.client_cert, &config.client_key), (&None, &None, &None));
        assert_eq!((config.log, config.log_to), (LevelFilter::Info, Destination::Stderr));
    }

    #[test]
    fn every_default_of_the_table_is_the_one_in_force() {
        for setting in SETTINGS {
            let Some(default) = setting.default else {
                continue;
            };
            let said = Config::load(options(&[(setting.option, default)])).expect("a valid default");
            let plain = Config { options: said.options.clone(), ..Config::default() };
            assert_eq!(said, plain, "{}", setting.key);
        }
    }

    #[test]
    fn a_key_is_its_option_in_camel_case() {
        for setting in SETTINGS {
            let mut key = String::new();
            for (at, word) in setting.option.split('-').enumerate() {
                let (first, rest) = word.split_at(1);
                key.push_str(&if at == 0 { first.to_owned() } else { first.to_uppercase() });
                key.push_str(rest);
            }
            assert_eq!(setting.key, key);
        }
    }

    const EVERYTHING: &str = r#"{
        "dataModel": ["a.json", "b.json"], "set": {"Device.A": "1", "Device.B": ""},
        "stateDir": "state", "transferDir": "files", "listen": "127.0.0.1:0", "udpListen": "[::1]:1", "control": "sock",
        "bootId": "boot", "caFile": "ca.pem", "clientCert": "cert.pem", "clientKey": "key.pem",
        "acsTimeout": "60", "log": "trace", "logTo": "syslog" }"#;

    #[test]
    fn the_file_has_every_key() {
        let config = load(EVERYTHING, &[]).expect("a valid file");
        assert_eq!(config.data_model, [PathBuf::from("a.json"), PathBuf::from("b.json")]);
        assert_eq!(config.set, pairs(&[("Device.A", "1"), ("Device.B", "")]));
        assert_eq!((config.state_dir.as_path(), config.control.as_path()), (Path::new("state"), Path::new("sock")));
        assert_eq!(config.transfer_dir.as_deref(), Some(Path::new("files")));
        assert_eq!((config.listen.port(), config.udp_listen.to_string().as_str()), (0, "[::1]:1"));
        assert_eq!((config.boot_id, config.ca_file), (PathBuf::from("boot"), Some(PathBuf::from("ca.pem"))));
        assert_eq!((config.client_cert, config.client_key), (Some("cert.pem".into()), Some("key.pem".into())));
        assert_eq!((config.log, config.log_to), (LevelFilter::Trace, Destination::Syslog));
        assert_eq!(config.acs_timeout, Duration::from_secs(60));
        let Ok(Value::Object(members)) = serde_json::from_str(EVERYTHING) else { panic!("JSON") };
        assert!(SETTINGS.iter().all(|setting| members.contains_key(setting.key)));
    }

    #[test]
    fn a_number_needs_no_quotes_in_the_file() {
        let config = load(r#"{"acsTimeout": 45}"#, &[]).expect("a valid file");
        assert_eq!(config.acs_timeout, Duration::from_secs(45));
    }

    #[test]
    fn an_option_wins_over_the_file() {
        let said = [
            ("data-model", "c.json"),
            ("data-model", "d.json"),
            ("set", "Device.A=2"),
            ("set", "Device.C=x=y"),
            ("set", "Device.C=z"),
            ("state-dir", "other"),
            ("listen", "10.0.0.1:80"),
            ("log", "error"),
            ("log", "warn"),
        ];
        let config = load(EVERYTHING, &said).expect("a valid file");
        // The list replaces that of the file; single values are laid over it.
        assert_eq!(config.data_model, [PathBuf::from("c.json"), PathBuf::from("d.json")]);
        assert_eq!(config.set, pairs(&[("Device.B", ""), ("Device.A", "2"), ("Device.C", "z")]));
        assert_eq!((config.state_dir, config.listen.port()), (PathBuf::from("other"), 80));
        assert_eq!((config.log, config.log_to), (LevelFilter::Warn, Destination::Syslog));
    }

    #[test]
    fn what_is_wrong_in_the_file_is_named_by_pointer_and_reason() {
        for (text, pointer, reason) in [
            ("", "", "EOF while parsing a value at line 1 column 0"),
            ("{\"log\": \"info\",}", "", "trailing comma at line 1 column 16"),
            ("[]", "", "an object is expected, not a list"),
            ("{\"a/b~c\": 1}", "/a~1b~0c", "there is no such key"),
            ("{\"state-dir\": \"x\"}", "/state-dir", "there is no such key"),
            ("{\"stateDir\": 1}", "/stateDir", "a string is expected, not a number"),
            ("{\"stateDir\": \"\"}", "/stateDir", "a file name is expected"),
            ("{\"caFile\": null}", "/caFile", "a string is expected, not null"),
            ("{\"dataModel\": \"a\"}", "/dataModel", "a list of strings is expected, not a string"),
            ("{\"dataModel\": []}", "/dataModel", "at least one file is needed"),
            ("{\"dataModel\": [\"a\", true]}", "/dataModel/1", "a string is expected, not a boolean"),
            ("{\"dataModel\": [\"\"]}", "/dataModel/0", "a file name is expected"),
            ("{\"set\": [\"a\"]}", "/set", "an object of strings is expected, not a list"),
            ("{\"set\": {\"Device.A\": 1}}", "/set/Device.A", "a string is expected, not a number"),
            ("{\"set\": {\"\": \"1\"}}", "/set/", "a path is expected"),
            ("{\"listen\": \"7547\"}", "/listen", "`7547` is not ADDR:PORT, such as 0.0.0.0:7547 or [::]:7547"),
            ("{\"udpListen\": \"::1\"}", "/udpListen", "`::1` is not ADDR:PORT, such as 0.0.0.0:7547 or [::]:7547"),
            ("{\"acsTimeout\": 0}", "/acsTimeout", "a number of seconds from 1 to 3600 is expected"),
            ("{\"acsTimeout\": 2.5}", "/acsTimeout", "a number of seconds from 1 to 3600 is expected"),
            ("{\"acsTimeout\": true}", "/acsTimeout", "a string is expected, not a boolean"),
            ("{\"log\": \"INFO\"}", "/log", "`INFO` is not error, warn, info, debug or trace"),
            ("{\"logTo\": \"file\"}", "/logTo", "`file` is not stderr or syslog"),
            ("{\"clientCert\": \"c\"}", "/clientKey", "clientCert and clientKey are needed together"),
            ("{\"clientKey\": \"k\"}", "/clientCert", "clientCert and clientKey are needed together"),
        ] {
            assert_eq!(load(text, &[]), Err((pointer.to_owned(), reason.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let mut options = Options::default();
        options.set_config("/nowhere/config.json").expect("a path");
        let error = Config::load(options).expect_err("no such file").to_string();
        assert!(error.starts_with("/nowhere/config.json: cannot be opened: "), "{error}");
        let (pointer, reason) = load(&" ".repeat(MAX_FILE as usize + 1), &[]).expect_err("too large");
        assert_eq!((pointer.as_str(), reason.as_str()), ("", "is larger than 1 MiB"));
        let deep = load(&"[".repeat(100_000), &[]).expect_err("too deep").1;
        assert!(deep.contains("recursion limit"), "{deep}");
    }

    #[test]
    fn no_damage_to_the_file_panics() {
        for end in (0..EVERYTHING.len()).step_by(3) {
            assert!(load(&EVERYTHING[..end], &[]).is_err(), "cut at {end}");
        }
        for at in 0..EVERYTHING.len() {
            let mut text = EVERYTHING.as_bytes().to_vec();
            text[at] ^= 1;
            if let Ok(text) = String::from_utf8(text) {
                let _ = load(&text, &[]);
            }
        }
    }

    #[test]
    fn a_certificate_may_come_from_the_file_and_its_key_from_an_option() {
        assert!(load("{\"clientCert\": \"c\"}", &[("client-key", "k")]).is_ok());
        let error = Config::load(options(&[("client-key", "k")])).expect_err("no certificate");
        assert_eq!(error.to_string(), "command line: /clientCert: clientCert and clientKey are needed together");
    }

    #[test]
    fn options_are_checked_when_they_are_taken() {
        for (option, value) in [
            ("listen", "localhost:80"),
            ("listen", "0.0.0.0:65536"),
            ("udp-listen", ":7547"),
            ("log", ""),
            ("log-to", "/dev/null"),
            ("set", "Device.A"),
            ("set", "=1"),
            ("data-model", ""),
            ("state-dir", "a\0b"),
        ] {
            assert!(Options::default().add(setting(option), value).is_err(), "--{option} {value:?}");
        }
    }

    #[test]
    fn reading_again_takes_the_file_anew_under_the_same_options() {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("config.json");
        std::fs::write(&file, r#"{"log": "warn", "control": "a"}"#).expect("a file");
        let mut options = options(&[("control", "b")]);
        options.set_config(file.to_str().expect("UTF-8")).expect("a path");
        let config = Config::load(options).expect("a valid file");
        assert_eq!((config.log, config.control.as_path()), (LevelFilter::Warn, Path::new("b")));
        std::fs::write(&file, r#"{"log": "debug", "control": "c"}"#).expect("a file");
        let again = config.reload().expect("a valid file");
        assert_eq!((again.log, again.control.as_path()), (LevelFilter::Debug, Path::new("b")));
        std::fs::write(&file, "{").expect("a file");
        assert!(config.reload().is_err());
    }

    #[test]
    fn what_a_running_agent_cannot_leave_is_kept() {
        let running = load(r#"{"stateDir": "a", "control": "b"}"#, &[]).expect("a valid file");
        let mut again = load(r#"{"stateDir": "c", "control": "b", "log": "warn"}"#, &[]).expect("a valid file");
        assert_eq!(again.keep_places(&running), ["stateDir"]);
        assert_eq!((again.state_dir.as_path(), again.log), (Path::new("a"), LevelFilter::Warn));
        assert!(again.keep_places(&running).is_empty());
    }

    #[test]
    fn a_startup_error_reads_file_pointer_reason() {
        let error = StartupError::new(Path::new("model.json"), "/Device/X", "no type");
        assert_eq!(error.to_string(), "model.json: /Device/X: no type");
        assert_eq!(StartupError::new(Path::new("model.json"), "", "is empty").to_string(), "model.json: is empty");
    }
}
