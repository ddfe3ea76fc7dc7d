//! The command `check`: loads and validates, tells what was found, contacts nobody.

use std::process::ExitCode;

use crate::agent::load_model;
use crate::config::{Config, StartupError};
use crate::model::Loaded;
use crate::model::path::Path;

/// Prints what the configuration and the data model say, or what is wrong with them.
pub fn run(config: &Config) -> ExitCode {
    match load_model(config) {
        Ok(loaded) => {
            print!("{}", describe(&loaded, config));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cpe-agent: {error}");
            ExitCode::from(StartupError::EXIT)
        }
    }
}

fn describe(loaded: &Loaded, config: &Config) -> String {
    let tree = &loaded.tree;
    let root = tree.root_name();
    let text = |name: &str| tree.get(&format!("{root}.{name}")).map(|value| value.to_string()).unwrap_or_default();
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
        ("ACS", text("ManagementServer.URL")),
        ("actions", if found.is_empty() { "none".into() } else { found.join(", ") }),
        ("state", config.state_dir.display().to_string()),
    ];
    lines.iter().map(|(name, value)| format!("{name:<14} {value}\n")).collect()
}
