//! The configuration: defaults, under a JSON file, under the command line.

mod options;
mod setting;
mod startup_error;

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::log::LevelFilter;
use serde_json::Value;

use self::options::OptionValue;
use self::setting::{Setting, ValueForm, path};
use crate::json::{JsonType, escape};
use crate::log::Destination;
use crate::secret::Secret;

pub use self::options::Options;
pub(crate) use self::setting::{CONTROL, SETTINGS};
pub use self::startup_error::StartupError;

/// A configuration file is a few hundred bytes; what is larger is none.
const MAX_FILE: u64 = 1024 * 1024;

/// Where a factory value comes from that is not in the file.
const COMMAND_LINE: &str = "--set";

/// Everything that `run` and `check` can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Data-model files; a later file is laid over the earlier ones.
    pub data_model: Vec<PathBuf>,
    /// Factory values laid over the model: full path and value, no path twice.
    pub factory_values: Vec<(String, Secret)>,
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
            config.overlay(setting, value);
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
    pub fn keep_fixed_paths(&mut self, running: &Config) -> Vec<&'static str> {
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
    pub fn factory_value_error(&self, path: &str, reason: &str) -> StartupError {
        match self.factory_value_file(path) {
            Some(file) => StartupError::new(file, &format!("/set/{}", escape(path)), reason),
            None => StartupError::new(Path::new(COMMAND_LINE), path, reason),
        }
    }

    /// Where a factory value was given: the file, or `--set`.
    pub fn factory_value_origin(&self, path: &str) -> &Path {
        self.factory_value_file(path).unwrap_or(Path::new(COMMAND_LINE))
    }

    /// The configuration file, where that is what gives this factory value.
    pub fn factory_value_file(&self, path: &str) -> Option<&Path> {
        let is_option = |(_, value): &(_, OptionValue)| matches!(value, OptionValue::Set(name, _) if name == path);
        self.options.config.as_deref().filter(|_| !self.options.values.iter().any(is_option))
    }

    fn read_file(&mut self, file: &Path) -> Result<(), StartupError> {
        let error = |pointer: &str, reason: String| StartupError::new(file, pointer, &reason);
        let text = read(file).map_err(|reason| error("", reason))?;
        let value: Value = serde_json::from_str(&text).map_err(|reason| error("", reason.to_string()))?;
        let Value::Object(members) = value else {
            return Err(error("", format!("an object is expected, not {}", JsonType::from(&value))));
        };
        for (key, value) in &members {
            let pointer = format!("/{}", escape(key));
            let setting = SETTINGS.iter().find(|setting| setting.key == key);
            let setting = setting.ok_or_else(|| error(&pointer, "there is no such key".to_owned()))?;
            self.read_member(setting, value).map_err(|(below, reason)| error(&format!("{pointer}{below}"), reason))?;
        }
        Ok(())
    }

    /// Fails with the pointer below the member, and the reason.
    fn read_member(&mut self, setting: &Setting, value: &Value) -> Result<(), (String, String)> {
        match setting.form {
            ValueForm::Text(set) => {
                let text = string(value).map_err(|reason| (String::new(), reason))?;
                set(self, text).map_err(|reason| (String::new(), reason))
            }
            ValueForm::Number(set) => {
                let number = value.as_number().map(ToString::to_string);
                let text = number.as_deref().map_or_else(|| string(value), Ok);
                text.and_then(|text| set(self, text)).map_err(|reason| (String::new(), reason))
            }
            ValueForm::DataModel => {
                let Value::Array(items) = value else {
                    return Err((
                        String::new(),
                        format!("a list of strings is expected, not {}", JsonType::from(value)),
                    ));
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
            ValueForm::Set => {
                let Value::Object(members) = value else {
                    return Err((
                        String::new(),
                        format!("an object of strings is expected, not {}", JsonType::from(value)),
                    ));
                };
                for (name, value) in members {
                    let below = || format!("/{}", escape(name));
                    if name.is_empty() {
                        return Err((below(), "a path is expected".to_owned()));
                    }
                    let value = string(value).map_err(|reason| (below(), reason))?;
                    self.factory_values.push((name.clone(), value.into()));
                }
                Ok(())
            }
        }
    }

    /// Lays an option over what the file said. The value has been checked by [`Options::add`].
    fn overlay(&mut self, setting: &Setting, value: &OptionValue) {
        match (setting.form, value) {
            (ValueForm::Text(set) | ValueForm::Number(set), OptionValue::Text(text)) => {
                let checked = set(self, text);
                debug_assert!(checked.is_ok(), "checked when the option was taken");
            }
            (_, OptionValue::DataModel(files)) => self.data_model.clone_from(files),
            (_, OptionValue::Set(name, value)) => {
                self.factory_values.retain(|(earlier, _)| earlier != name);
                self.factory_values.push((name.clone(), value.clone()));
            }
            (ValueForm::DataModel | ValueForm::Set, OptionValue::Text(_)) => {}
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        let mut config = Config {
            data_model: vec![PathBuf::from("/etc/cpe-agent/data-model.json")],
            factory_values: Vec::new(),
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
            if let (ValueForm::Text(set) | ValueForm::Number(set), Some(default)) = (setting.form, setting.default) {
                let valid = set(&mut config, default);
                debug_assert!(valid.is_ok(), "the default of {}", setting.key);
            }
        }
        config
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
    value.as_str().ok_or_else(|| format!("a string is expected, not {}", JsonType::from(value)))
}

#[cfg(test)]
mod tests;
