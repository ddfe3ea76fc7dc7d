//! The command `check`: loads and validates, tells what was found, contacts nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;

use crate::agent::{check_contact, load_model};
use crate::config::{Config, StartupError};
use crate::model::Loaded;
use crate::model::path::Path;
use crate::url::Url;

/// OUI and serial number of the shipped data models.
const EXAMPLE: [&str; 2] = ["00D09E", "0000000001"];

/// Prints what the configuration and the data model say, or what is wrong with them.
pub fn run(config: &Config) -> ExitCode {
    let checked = load_model(config).and_then(|loaded| check_contact(config, &loaded).map(|()| loaded));
    match checked {
        Ok(loaded) => {
            print!("{}", describe(&loaded, config));
            for warning in warnings(&loaded, config) {
                println!("warning: {warning}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cpe-agent: {error}");
            ExitCode::from(StartupError::EXIT)
        }
    }
}

/// What stands behind an action that nothing asks for yet.
fn describe(loaded: &Loaded, config: &Config) -> String {
    let tree = &loaded.tree;
    let root = tree.root_name();
    let text = |name: &str| text(loaded, name);
    let mut parameters = 0;
    if let Ok(everything) = Path::parse("") {
        // The empty path is always there.
        let _ = tree.visit_values(&everything, &mut |_| parameters += 1);
    }
    let files: Vec<String> = config.data_model.iter().map(|file| file.display().to_string()).collect();
    let actions = &loaded.actions;
    let mut found: Vec<String> = Vec::new();
    found.extend(actions.reboot.is_some().then(|| "reboot".into()));
    found.extend(actions.factory_reset.is_some().then(|| "factoryReset".into()));
    found.extend(actions.download.iter().map(|(file_type, _)| format!("download `{file_type}`")));
    found.extend(actions.upload.iter().map(|(file_type, _)| format!("upload `{file_type}`")));
    let lines = [
        ("data model", files.join(", ")),
        ("root", format!("{root}.")),
        ("parameters", parameters.to_string()),
        ("manufacturer", text("DeviceInfo.Manufacturer")),
        ("OUI", text("DeviceInfo.ManufacturerOUI")),
        ("product class", text("DeviceInfo.ProductClass")),
        ("serial number", text("DeviceInfo.SerialNumber")),
        ("software", text("DeviceInfo.SoftwareVersion")),
        // Without user information and query, either of which may hold a key.
        ("ACS", Url::parse(&text("ManagementServer.URL")).map(|url| url.to_string()).unwrap_or_default()),
        ("actions", if found.is_empty() { "none".into() } else { found.join(", ") }),
        ("state", config.state_dir.display().to_string()),
    ];
    lines.iter().map(|(name, value)| format!("{name:<14} {value}\n")).collect()
}

/// What the agent can start with, though it will not do.
fn warnings(loaded: &Loaded, config: &Config) -> Vec<String> {
    let mut warnings: Vec<String> = config.set.iter().filter_map(|(name, _)| exposed(name, loaded, config)).collect();
    for name in ["DeviceInfo.ManufacturerOUI", "DeviceInfo.SerialNumber"] {
        if text(loaded, name).is_empty() {
            let root = loaded.tree.root_name();
            warnings.push(format!("{root}.{name} is empty: the ACS cannot tell this device from others"));
        }
    }
    let identity = ["DeviceInfo.ManufacturerOUI", "DeviceInfo.SerialNumber"].map(|name| text(loaded, name));
    if identity == EXAMPLE {
        warnings.push("the identity is that of the shipped data model: the ACS takes all such devices for one".into());
    }
    let needs_tls = Url::parse(&text(loaded, "ManagementServer.URL")).is_ok_and(|url| url.is_tls());
    if needs_tls && !cfg!(feature = "tls") {
        warnings.push("the URL of the ACS is https, and this build has no TLS".into());
    }
    warnings
}

/// A secret where every user of the device can read it.
fn exposed(name: &str, loaded: &Loaded, config: &Config) -> Option<String> {
    if !loaded.tree.parameter(name).is_ok_and(|parameter| parameter.spec.hidden) {
        return None;
    }
    match config.file_of_set(name) {
        None => Some(format!("every user can read {name} off the command line: it belongs in the file of --config")),
        Some(file) => {
            let mode = fs::metadata(file).ok()?.permissions().mode();
            (mode & 0o044 != 0)
                .then(|| format!("{} holds {name}, and others than its owner can read it", file.display()))
        }
    }
}

/// The value of a parameter, named without the root; empty where there is none.
fn text(loaded: &Loaded, name: &str) -> String {
    let name = format!("{}.{name}", loaded.tree.root_name());
    loaded.tree.get(&name).map(|value| value.to_string()).unwrap_or_default()
}
