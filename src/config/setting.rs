//! The table of all settings: the option, the key of the file, the text of `--help` and the check of the value side by
//! side. A new setting is one row here and one field of [`Config`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ::log::LevelFilter;

use super::Config;
use crate::log_output::Destination;

/// A setting of the configuration, given as an option or as a key of the file.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The option without its dashes.
    pub(crate) option: &'static str,
    /// The key of the JSON file.
    pub(crate) key: &'static str,
    /// The placeholder of the value in `--help`.
    pub(crate) value: &'static str,
    /// The value without an option and a key.
    pub(crate) default: Option<&'static str>,
    /// The line of `--help`.
    pub(crate) meaning: &'static str,
    /// The form of the value, and the function that checks and stores it.
    pub(crate) form: ValueForm,
}

// By hand: a comparison of the functions in `form` has no meaning, and the key identifies the row.
impl PartialEq for Setting {
    fn eq(&self, other: &Setting) -> bool {
        self.key == other.key
    }
}

impl Eq for Setting {}

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValueForm {
    /// A string, with the function that checks it and stores it.
    Text(fn(&mut Config, &str) -> Result<(), String>),
    /// A number, which the file may write without quotes, with such a function.
    Number(fn(&mut Config, &str) -> Result<(), String>),
    /// A list of files, of which each option gives one, with the function that returns the list of a configuration.
    Files(fn(&mut Config) -> &mut Vec<PathBuf>),
    /// The factory values, of which each option gives one.
    Set,
}

/// All settings, in the order of `--help`.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        option: "data-model",
        key: "dataModel",
        value: "FILE",
        default: Some("/etc/cpe-agent/data-model.json"),
        meaning: "data model; later files overlay it",
        form: ValueForm::Files(|config| &mut config.data_model),
    },
    Setting {
        option: "optional-data-model",
        key: "optionalDataModel",
        value: "FILE",
        default: None,
        // A file that the device writes after its boot, such as on a RAM disk.
        meaning: "overlay that may be missing, after those of --data-model",
        form: ValueForm::Files(|config| &mut config.optional_data_model),
    },
    Setting {
        option: "set",
        key: "set",
        value: "PATH=VALUE",
        default: None,
        meaning: "factory value in place of the model's, at every start",
        form: ValueForm::Set,
    },
    Setting {
        option: "state-dir",
        key: "stateDir",
        value: "DIR",
        // Packages for systems with /var in memory, such as OpenWrt, set a directory on the flash.
        default: Some("/var/lib/cpe-agent"),
        meaning: "the journal, which must survive a reboot",
        form: ValueForm::Text(|config, text| path(text).map(|path| config.state_dir = path)),
    },
    Setting {
        option: "transfer-dir",
        key: "transferDir",
        value: "DIR",
        default: None,
        meaning: "files in transfer; the state directory if absent",
        form: ValueForm::Text(|config, text| path(text).map(|path| config.transfer_dir = Some(path))),
    },
    Setting {
        option: "listen",
        key: "listen",
        value: "ADDR:PORT",
        // The port that IANA has assigned to CWMP. An IPv6 socket accepts IPv4 as well.
        default: Some("[::]:7547"),
        meaning: "connection requests over HTTP; port 0: any",
        form: ValueForm::Text(|config, text| address(text).map(|address| config.listen = address)),
    },
    Setting {
        option: "udp-listen",
        key: "udpListen",
        value: "ADDR:PORT",
        // IPv4 only: STUN (Annex G) serves gateways behind a NAT, which IPv6 has not.
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
        option: DHCP_DIR,
        key: "dhcpDir",
        value: "DIR",
        // DHCP authenticates nobody: whether it may name the ACS is for the device to decide.
        default: None,
        meaning: "options of DHCP, on a RAM disk; allows discovery",
        form: ValueForm::Text(|config, text| path(text).map(|path| config.dhcp_dir = Some(path))),
    },
    Setting {
        option: "boot-id",
        key: "bootId",
        value: "FILE",
        // The kernel draws it at random with each boot.
        default: Some("/proc/sys/kernel/random/boot_id"),
        meaning: "changed content: the device rebooted",
        form: ValueForm::Text(|config, text| path(text).map(|path| config.boot_id = path)),
    },
    Setting {
        option: "ca-file",
        key: "caFile",
        value: "FILE",
        default: None,
        meaning: "PEM certificates to trust instead of the system's",
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
        meaning: "longest wait for the ACS; TR-069 demands 30 at least",
        // A number: the file may write `30` as well as `"30"`.
        form: ValueForm::Number(|config, text| seconds(text).map(|seconds| config.acs_timeout = seconds)),
    },
    Setting {
        option: "metrics",
        key: "metrics",
        value: "FILE",
        default: None,
        // Each write of a file on the flash would wear it out.
        meaning: "metrics for Prometheus, on a RAM disk",
        form: ValueForm::Text(|config, text| path(text).map(|path| config.metrics = Some(path))),
    },
    Setting {
        option: "log",
        key: "log",
        value: "LEVEL",
        // The levels below are for a search for errors: they would fill the log of a device in the field.
        default: Some("info"),
        meaning: "one of error, warn, info, debug and trace",
        form: ValueForm::Text(|config, text| level(text).map(|level| config.log = level)),
    },
    Setting {
        option: "log-to",
        key: "logTo",
        value: "WHERE",
        default: Some("stderr"),
        meaning: "one of stderr and syslog",
        form: ValueForm::Text(|config, text| destination(text).map(|to| config.log_to = to)),
    },
];

/// The option of the file of the settings, which every command with a configuration has.
pub(crate) const CONFIG: &str = "config";

/// The option of the control socket, which the commands to a running agent have as well.
pub(crate) const CONTROL: &str = "control";

/// The option of the directory with the options of DHCP, which the command `dhcp` has as well.
pub(crate) const DHCP_DIR: &str = "dhcp-dir";

/// Reads a file name.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    // The operating system cannot open a name with a NUL byte; an empty name is a variable of a script that was not set.
    if text.is_empty() || text.contains('\0') {
        return Err("a file name is expected".to_owned());
    }
    Ok(PathBuf::from(text))
}

/// Reads an address with its port. A name is not resolved, since DNS may be unavailable when the agent starts.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not ADDR:PORT, such as 0.0.0.0:7547 or [::]:7547"))
}

/// Reads a log level, in lower case as `--help` writes it.
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

/// Reads the time limit of the ACS, 1 s to an hour.
fn seconds(text: &str) -> Result<Duration, String> {
    // TR-069 demands 30 s at least (R48, R119). Less is allowed for tests, which would take minutes otherwise.
    match text.parse() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err("a number of seconds from 1 to 3600 is expected".to_owned()),
    }
}

/// Reads the destination of the log.
fn destination(text: &str) -> Result<Destination, String> {
    match text {
        "stderr" => Ok(Destination::Stderr),
        "syslog" => Ok(Destination::Syslog),
        _ => Err(format!("`{text}` is not stderr or syslog")),
    }
}
