//! The configuration: the defaults, overlaid by a JSON file, overlaid by the command line.

mod options;
mod setting;

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::options::OptionValue;
use self::setting::{Setting, ValueForm, path};
use crate::json::escape;
use crate::log_output::Destination;
use crate::mistake::{Mistake, Mistakes};
use crate::model::value::number_text;
use crate::model::{Number, Raw, Tape};
use crate::secret::Secret;
use crate::suggest::hint;
use ::log::LevelFilter;

pub use self::options::Options;
#[cfg(feature = "dhcp")]
pub(crate) use self::setting::DHCP_DIR;
pub(crate) use self::setting::{CONFIG, CONTROL, SETTINGS};

/// The largest configuration file, in bytes. A real one has a few hundred; the limit catches a wrong path.
const MAX_FILE: u64 = 1024 * 1024;

/// The origin of a factory value that is not in the file, for error messages.
const COMMAND_LINE: &str = "--set";

/// The configuration of `run` and `check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The data-model files; a later file overlays the earlier ones.
    pub data_model: Vec<PathBuf>,
    /// The data-model files that may be missing, laid over `data_model` in their order.
    pub optional_data_model: Vec<PathBuf>,
    /// The factory values that replace those of the model: full path and value, each path once.
    pub factory_values: Vec<(String, Secret)>,
    /// The directory of the journal, which must survive a reboot.
    pub state_dir: PathBuf,
    /// The directory of files during their transfer; `state_dir` if absent.
    pub transfer_dir: Option<PathBuf>,
    /// The local address for connection requests over HTTP; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The local address for connection requests over UDP, and the source of STUN binding requests.
    pub udp_listen: SocketAddr,
    /// The path of the control socket.
    pub control: PathBuf,
    /// The directory in which the command `dhcp` leaves the options of DHCP; the ACS is not discovered if absent.
    pub dhcp_dir: Option<PathBuf>,
    /// The file whose content changes with each boot of the device, which tells a reboot from a restart of the agent.
    pub boot_id: PathBuf,
    /// The PEM file of the root certificates for the ACS and file servers; the roots of the system if absent (R30).
    pub ca_file: Option<PathBuf>,
    /// The PEM file of the client certificate (R33); present only together with `client_key`.
    pub client_cert: Option<PathBuf>,
    /// The PEM file of the client key; present only together with `client_cert`.
    pub client_key: Option<PathBuf>,
    /// The file of the metrics, which the agent writes anew while it runs; none if absent.
    pub metrics: Option<PathBuf>,
    /// The longest silence of the ACS before a session fails (R48).
    pub acs_timeout: Duration,
    /// The least severe level that is logged.
    pub log: LevelFilter,
    /// The destination of the log.
    pub log_to: Destination,
    /// The command line, for [`Config::reload`].
    options: Options,
}

impl Config {
    /// Overlays the defaults with the file that `options` names, if any, and the result with `options`.
    ///
    /// # Errors
    /// Returns all mistakes of the file.
    pub fn load(options: Options) -> Result<Config, Mistakes> {
        let mut config = Config::default();
        let mut mistakes = Mistakes::default();
        if let Some(file) = &options.config {
            config.read_file(file, &mut mistakes);
        }
        for (setting, value) in &options.values {
            config.overlay(setting, value);
        }
        // Checked last: the certificate may come from the file and its key from the command line.
        if config.client_cert.is_some() != config.client_key.is_some() {
            mistakes.push(config.half_an_identity(&options));
        }
        mistakes.check()?;
        // Kept whole, so that a reload is the same command line on another file.
        config.options = options;
        Ok(config)
    }

    /// Returns the error of a client certificate without its key, or of a key without its certificate. The error names the
    /// half that is given as the user wrote it: as an option, or as a key of the file.
    fn half_an_identity(&self, options: &Options) -> Mistake {
        let (given, missing) = match self.client_cert {
            Some(_) => (("client-cert", "clientCert"), ("client-key", "clientKey")),
            None => (("client-key", "clientKey"), ("client-cert", "clientCert")),
        };
        match &options.config {
            Some(file) if !options.values.iter().any(|(setting, _)| setting.option == given.0) => {
                let reason = format!("`{}` is missing, and is needed together with it", missing.1);
                Mistake::new(file, &format!("/{}", given.1), &reason)
            }
            _ => {
                let reason = format!("--{} is missing, and is needed together with it", missing.0);
                Mistake::new(Path::new(&format!("--{}", given.0)), "", &reason)
            }
        }
    }

    /// Returns the names of the data-model files, for messages. An optional file that is missing is marked.
    pub fn model_names(&self) -> String {
        let names = self.data_model.iter().map(|file| file.display().to_string());
        let optional = self.optional_data_model.iter().map(|file| match file.exists() {
            true => file.display().to_string(),
            false => format!("{} (missing)", file.display()),
        });
        names.chain(optional).collect::<Vec<_>>().join(", ")
    }

    /// Returns true if DHCP may name the ACS.
    pub fn allows_discovery(&self) -> bool {
        cfg!(feature = "dhcp") && self.dhcp_dir.is_some()
    }

    /// Reads the file again and overlays it with the same command line, for SIGHUP.
    pub fn reload(&self) -> Result<Config, Mistakes> {
        Config::load(self.options.clone())
    }

    /// Keeps the paths of `running` that cannot change while the agent runs. Returns the keys of those that the file
    /// changes.
    pub fn keep_fixed_paths(&mut self, running: &Config) -> Vec<&'static str> {
        // The lock of the state directory and the control socket are held for the whole run, and the boot identifier was
        // compared at start.
        let paths = [
            // The key as the file writes it, for the log.
            ("stateDir", &mut self.state_dir, &running.state_dir),
            ("control", &mut self.control, &running.control),
            ("bootId", &mut self.boot_id, &running.boot_id),
        ];
        let changed = paths.into_iter().filter(|(_, new, old)| new != old);
        let kept = changed.map(|(key, new, old)| {
            new.clone_from(old);
            key
        });
        let mut kept: Vec<&'static str> = kept.collect();
        // Files of a transfer that was interrupted lie in the present directory.
        if self.transfer_dir != running.transfer_dir {
            self.transfer_dir.clone_from(&running.transfer_dir);
            kept.push("transferDir");
        }
        kept
    }

    /// Returns the error of a factory value, with the file or the command line as its origin.
    pub fn factory_value_error(&self, path: &str, reason: &str) -> Mistake {
        match self.factory_value_file(path) {
            Some(file) => Mistake::new(file, &format!("/set/{}", escape(path)), reason),
            None => Mistake::new(Path::new(COMMAND_LINE), path, reason),
        }
    }

    /// Returns the origin of a factory value: the configuration file, or `--set`.
    pub fn factory_value_origin(&self, path: &str) -> &Path {
        self.factory_value_file(path).unwrap_or(Path::new(COMMAND_LINE))
    }

    /// Returns the configuration file if the factory value is in it and not on the command line.
    pub fn factory_value_file(&self, path: &str) -> Option<&Path> {
        let is_option = |(_, value): &(_, OptionValue)| matches!(value, OptionValue::Set(name, _) if name == path);
        self.options.config.as_deref().filter(|_| !self.options.values.iter().any(is_option))
    }

    /// Overlays this configuration with a file, and adds the mistakes of the file.
    fn read_file(&mut self, file: &Path, mistakes: &mut Mistakes) {
        let mut reject = |pointer: &str, reason: &str| mistakes.push(Mistake::new(file, pointer, reason));
        let text = match read(file) {
            Ok(text) => text,
            Err(reason) => return reject("", &reason),
        };
        let tape = match Tape::read(&text, 0) {
            Ok(tape) => tape,
            Err(reason) => return reject("", &reason),
        };
        tape.duplicates().iter().for_each(|pointer| reject(pointer, "given twice"));
        let object = match tape.root() {
            Raw::Object(object) => object,
            other => return reject("", &format!("an object is expected, not {}", other.json_type())),
        };
        for (key, value) in object.members() {
            let pointer = format!("/{}", escape(key));
            match SETTINGS.iter().find(|setting| setting.key == key) {
                Some(setting) => self.read_member(setting, &value, &pointer, &mut reject),
                // By which editors find the schema of the file.
                None if key == "$schema" => {}
                // An unknown key is an error: a misspelt one would silently leave the default.
                None => {
                    let keys: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
                    reject(&pointer, &format!("there is no such key{}", hint(key, &keys, "keys", "")));
                }
            }
        }
    }

    /// Reads one member of the file, which is at `pointer`.
    fn read_member(&mut self, setting: &Setting, value: &Raw<'_>, pointer: &str, reject: &mut dyn FnMut(&str, &str)) {
        match (setting.form, value) {
            // The text of the number goes through the same check as that of the option. No number is a fraction.
            (ValueForm::Number(set), Raw::Number(number)) => {
                let text = if let Number::Integer(number) = number { number_text(*number) } else { String::new() };
                set(self, &text).unwrap_or_else(|reason| reject(pointer, &reason));
            }
            (ValueForm::Text(set) | ValueForm::Number(set), value) => {
                let read = string(value).and_then(|text| set(self, text));
                read.unwrap_or_else(|reason| reject(pointer, &reason));
            }
            (ValueForm::Files(list), Raw::List(items)) => {
                let files = list(self);
                files.clear();
                for (at, item) in items.items().enumerate() {
                    match string(&item).and_then(path) {
                        Ok(file) => files.push(file),
                        Err(reason) => reject(&format!("{pointer}/{at}"), &reason),
                    }
                }
                // An empty list would start an agent without a data model.
                if setting.default.is_some() && items.items().next().is_none() {
                    reject(pointer, "at least one file is needed");
                }
            }
            (ValueForm::Files(_), value) => {
                reject(pointer, &format!("a list of strings is expected, not {}", value.json_type()));
            }
            (ValueForm::Set, Raw::Object(members)) => {
                for (name, value) in members.members() {
                    let below = format!("{pointer}/{}", escape(name));
                    match string(&value) {
                        _ if name.is_empty() => reject(&below, "a path is expected"),
                        Ok(text) => self.factory_values.push((name.to_owned(), text.into())),
                        Err(reason) => reject(&below, &reason),
                    }
                }
            }
            (ValueForm::Set, value) => {
                reject(pointer, &format!("an object of strings is expected, not {}", value.json_type()));
            }
        }
    }

    /// Overlays a setting with an option, which [`Options::add`] has checked.
    fn overlay(&mut self, setting: &Setting, value: &OptionValue) {
        match (setting.form, value) {
            (ValueForm::Text(set) | ValueForm::Number(set), OptionValue::Text(text)) => {
                let checked = set(self, text);
                debug_assert!(checked.is_ok(), "checked when the option was taken");
            }
            (ValueForm::Files(list), OptionValue::Files(files)) => list(self).clone_from(files),
            (_, OptionValue::Set(name, value)) => {
                // The option replaces the value of the file, and a later option the earlier one.
                self.factory_values.retain(|(earlier, _)| earlier != name);
                self.factory_values.push((name.clone(), value.clone()));
            }
            (_, OptionValue::Files(_) | OptionValue::Text(_)) => {}
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        let mut config = Config {
            data_model: vec![PathBuf::from("/etc/cpe-agent/data-model.json")],
            optional_data_model: Vec::new(),
            factory_values: Vec::new(),
            state_dir: PathBuf::new(),
            transfer_dir: None,
            listen: SocketAddr::from(([0, 0, 0, 0], 0)),
            udp_listen: SocketAddr::from(([0, 0, 0, 0], 0)),
            control: PathBuf::new(),
            dhcp_dir: None,
            boot_id: PathBuf::new(),
            ca_file: None,
            client_cert: None,
            client_key: None,
            metrics: None,
            acs_timeout: Duration::ZERO,
            log: LevelFilter::Info,
            log_to: Destination::Stderr,
            options: Options::default(),
        };
        // The defaults are those of the table, which `--help` prints, so that the two cannot differ.
        for setting in SETTINGS {
            if let (ValueForm::Text(set) | ValueForm::Number(set), Some(default)) = (setting.form, setting.default) {
                let valid = set(&mut config, default);
                debug_assert!(valid.is_ok(), "the default of {}", setting.key);
            }
        }
        config
    }
}

/// Reads a configuration file of at most [`MAX_FILE`] bytes.
fn read(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let opened = File::open(file).map_err(|error| format!("cannot be opened: {error}"))?;
    // One byte above the limit, which tells a file of the full size from a larger one.
    let length = opened.take(MAX_FILE + 1).read_to_string(&mut text);
    let length = length.map_err(|error| format!("cannot be read: {error}"))?;
    if length as u64 > MAX_FILE { Err("is larger than 1 MiB".to_owned()) } else { Ok(text) }
}

fn string<'t>(value: &Raw<'t>) -> Result<&'t str, String> {
    match value {
        Raw::Text(text) => Ok(text),
        other => Err(format!("a string is expected, not {}", other.json_type())),
    }
}

#[cfg(test)]
mod tests;
