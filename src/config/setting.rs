//! The one list of what can be set: the option, the key of the file, the text of `--help` and what a value must look like
//! stand side by side.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ::log::LevelFilter;

use super::Config;
use crate::log::Destination;

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
    pub(crate) form: ValueForm,
}

impl PartialEq for Setting {
    fn eq(&self, other: &Setting) -> bool {
        self.key == other.key
    }
}

impl Eq for Setting {}

/// What a setting takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValueForm {
    /// One string, and where it goes.
    Text(fn(&mut Config, &str) -> Result<(), String>),
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
        form: ValueForm::DataModel,
    },
    Setting {
        option: "set",
        key: "set",
        value: "PATH=VALUE",
        default: None,
        meaning: "factory value laid over the model, at every start",
        form: ValueForm::Set,
    },
    Setting {
        option: "state-dir",
        key: "stateDir",
        value: "DIR",
        default: Some("/var/lib/cpe-agent"),
        meaning: "everything that must survive a reboot",
        form: ValueForm::Text(|config, text| path(text).map(|path| config.state_dir = path)),
    },
    Setting {
        option: "transfer-dir",
        key: "transferDir",
        value: "DIR",
        default: None,
        meaning: "files on their way; the state directory if absent",
        form: ValueForm::Text(|config, text| path(text).map(|path| config.transfer_dir = Some(path))),
    },
    Setting {
        option: "listen",
        key: "listen",
        value: "ADDR:PORT",
        default: Some("[::]:7547"),
        meaning: "connection requests over HTTP; port 0: any",
        form: ValueForm::Text(|config, text| address(text).map(|address| config.listen = address)),
    },
    Setting {
        option: "udp-listen",
        key: "udpListen",
        value: "ADDR:PORT",
        default: Some("0.0.0.0:7547"),
        meaning: "connection requests over UDP, and STUN",
        form: ValueForm::Text(|config, text| address(text).map(|address| config.udp_listen = address)),
    },
    Setting {
        option: CONTROL,
        key: "control",
        value: "FILE",
        default: Some("/var/run/cpe-agent.sock"),
        meaning: "the control socket",
        form: ValueForm::Text(|config, text| path(text).map(|path| config.control = path)),
    },
    Setting {
        option: "boot-id",
        key: "bootId",
        value: "FILE",
        default: Some("/proc/sys/kernel/random/boot_id"),
        meaning: "changed content: the device rebooted",
        form: ValueForm::Text(|config, text| path(text).map(|path| config.boot_id = path)),
    },
    Setting {
        option: "ca-file",
        key: "caFile",
        value: "FILE",
        default: None,
        meaning: "PEM roots instead of the system's",
        form: ValueForm::Text(|config, text| path(text).map(|path| config.ca_file = Some(path))),
    },
    Setting {
        option: "client-cert",
        key: "clientCert",
        value: "FILE",
        default: None,
        meaning: "PEM certificate to identify with",
        form: ValueForm::Text(|config, text| path(text).map(|path| config.client_cert = Some(path))),
    },
    Setting {
        option: "client-key",
        key: "clientKey",
        value: "FILE",
        default: None,
        meaning: "PEM key of that certificate",
        form: ValueForm::Text(|config, text| path(text).map(|path| config.client_key = Some(path))),
    },
    Setting {
        option: "acs-timeout",
        key: "acsTimeout",
        value: "SECONDS",
        default: Some("30"),
        meaning: "how long to wait for the ACS; 30 at least by TR-069",
        form: ValueForm::Number(|config, text| seconds(text).map(|seconds| config.acs_timeout = seconds)),
    },
    Setting {
        option: "log",
        key: "log",
        value: "LEVEL",
        default: Some("info"),
        meaning: "error, warn, info, debug or trace",
        form: ValueForm::Text(|config, text| level(text).map(|level| config.log = level)),
    },
    Setting {
        option: "log-to",
        key: "logTo",
        value: "WHERE",
        default: Some("stderr"),
        meaning: "stderr or syslog",
        form: ValueForm::Text(|config, text| destination(text).map(|to| config.log_to = to)),
    },
];

/// The one setting that commands to the running daemon take too.
pub(crate) const CONTROL: &str = "control";

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
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
