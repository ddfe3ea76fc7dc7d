//! The command `check`: loads and validates the configuration and the data model, prints a summary and warnings, and
//! connects to no server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path as FilePath, PathBuf};
use std::process::ExitCode;

use serde_json::Value as Json;

use crate::agent::{
    check_acs_settings, check_actions, check_device, load_model, software_mismatch, unusable_actions, unusual_actions,
};
#[cfg(feature = "tls")]
use crate::clock::{Clock, Now};
use crate::config::Config;
use crate::cwmp::device::management_server::{self, parameter};
use crate::cwmp::diagnostics::{echo_object, object_of_state, test_at};
#[cfg(feature = "tls")]
use crate::http::{self, Certificate};
use crate::mistake::Mistakes;
use crate::model::Loaded;
#[cfg(feature = "tls")]
use crate::model::date_time::DateTime;
use crate::model::path::Path;
use crate::output::print;
use crate::secret::Secret;
use crate::store::{Store, no_state};
use crate::url::Url;

/// The parameters that identify a device, with their example values in the shipped data models.
const EXAMPLES: [(&str, &str); 2] =
    [("DeviceInfo.ManufacturerOUI", "00D09E"), ("DeviceInfo.SerialNumber", "0000000001")];

/// Prints the summary, or the mistakes that would keep the agent from starting. With `device`, true for JSON, also reads all
/// values that have a source, and lists those that fail. Returns the exit status.
pub fn run(config: &Config, device: Option<bool>) -> ExitCode {
    match load_checked(config) {
        Ok(loaded) => {
            let (mut text, mut is_well) = (String::new(), true);
            if device != Some(true) {
                text = describe(&loaded, config);
                text.extend(warnings(&loaded, config).into_iter().map(|warning| format!("warning: {warning}\n")));
            }
            if let Some(json) = device {
                let (list, has_all) = check_device(loaded, json);
                text += &list;
                is_well = has_all;
            }
            let printed = print(&text);
            if is_well { printed } else { ExitCode::FAILURE }
        }
        Err(mistakes) => {
            mistakes.print();
            ExitCode::from(Mistakes::EXIT)
        }
    }
}

/// Loads the data model and makes all checks of a reload.
fn load_checked(config: &Config) -> Result<Loaded, Mistakes> {
    let loaded = load_model(config)?;
    let mut mistakes = Mistakes::default();
    for check in [check_acs_settings, check_actions] {
        if let Err(found) = check(config, &loaded) {
            found.list().iter().for_each(|mistake| mistakes.push(mistake.clone()));
        }
    }
    mistakes.check().map(|()| loaded)
}

/// Returns the summary of the loaded files, one line for each item.
fn describe(loaded: &Loaded, config: &Config) -> String {
    let tree = &loaded.tree;
    let root = tree.root_name();
    let text = |name: &str| text(loaded, name);
    let mut parameters = 0;
    if let Ok(everything) = Path::parse("") {
        // The empty path names the whole tree, so that it cannot be unknown.
        let _ = tree.visit_values(&everything, &mut |_| parameters += 1);
    }
    let actions = &loaded.actions;
    let mut found: Vec<String> = Vec::new();
    found.extend(actions.reboot.is_some().then(|| "reboot".into()));
    found.extend(actions.factory_reset.is_some().then(|| "factoryReset".into()));
    found.extend(actions.discover.is_some().then(|| "discover".into()));
    found.extend(actions.download.iter().map(|(file_type, _)| format!("download `{file_type}`")));
    found.extend(actions.diagnostics.iter().map(|(object, _)| format!("diagnostics `{object}`")));
    found.extend(actions.software.is_some().then(|| "software".into()));
    found.extend(actions.upload.iter().map(|(file_type, _)| format!("upload `{file_type}`")));
    let lines = [
        ("data model", config.model_names()),
        ("root", format!("{root}.")),
        ("parameters", parameters.to_string()),
        ("manufacturer", text("DeviceInfo.Manufacturer")),
        ("OUI", text("DeviceInfo.ManufacturerOUI")),
        ("product class", text("DeviceInfo.ProductClass")),
        ("serial number", text("DeviceInfo.SerialNumber")),
        ("software", text("DeviceInfo.SoftwareVersion")),
        // `Url` prints neither user information nor query, either of which may hold a key.
        ("ACS", acs_url(loaded).map(|url| url.to_string()).unwrap_or_default()),
        ("actions", if found.is_empty() { "none".into() } else { found.join(", ") }),
        ("state", config.state_dir.display().to_string()),
    ];
    let omitted = tree.schema().omitted().iter().map(|omitted| ("left out", omitted.notice()));
    lines.into_iter().chain(omitted).map(|(name, value)| format!("{name:<14} {value}\n")).collect()
}

/// Returns warnings: conditions under which the agent starts, and which an operator should correct.
fn warnings(loaded: &Loaded, config: &Config) -> Vec<String> {
    let mut warnings: Vec<String> =
        config.factory_values.iter().filter_map(|(name, value)| exposed(name, value, loaded, config)).collect();
    let files: Vec<&PathBuf> = config.data_model.iter().chain(&config.optional_data_model).collect();
    warnings.extend(files.iter().flat_map(|file| exposed_by_model(file, loaded)));
    let root = loaded.tree.root_name();
    // The ACS identifies a device by OUI and serial number (R93): two devices with the same ones are one to it.
    for (name, example) in EXAMPLES {
        let value = text(loaded, name);
        if value.is_empty() {
            warnings.push(format!("{root}.{name} is empty: the ACS cannot tell this device from others"));
        } else if value == example {
            warnings.push(format!(
                "{root}.{name} is the example of the shipped data model: other devices may have the same"
            ));
        }
    }
    let url = management_server::full_name(&loaded.tree, parameter::URL);
    if text(loaded, "ManagementServer.URL").is_empty() && !loaded.tree.schema().is_bound_parameter(&url) {
        // R17: such a device may learn the URL later, and is silent until then.
        let until = if config.allows_discovery() { "DHCP gives one" } else { "a value is set" };
        warnings.push(format!("{url} is empty: the agent contacts no ACS until {until}"));
    }
    warnings.extend(examples_left(&files, loaded));
    warnings.extend(tests_of_nobody(loaded));
    // The agent starts nevertheless: a device that cannot store must still be manageable.
    warnings.extend(Store::check_owner(&config.state_dir).err().map(|error| no_state(&error)));
    warnings.extend(loaded.warnings.iter().cloned());
    warnings.extend(unusable_actions(&loaded.actions));
    warnings.extend(unusual_actions(&loaded.actions));
    warnings.extend(software_mismatch(loaded));
    // The URL is valid, so that the agent starts; every session of it would fail.
    let needs_tls = acs_url(loaded).is_some_and(|url| url.is_tls());
    if needs_tls && !cfg!(feature = "tls") {
        warnings.push("the URL of the ACS is https, and this build has no TLS".into());
    }
    #[cfg(feature = "tls")]
    warnings.extend(config.client_cert.as_deref().and_then(|file| outdated(file, Clock::new().now())));
    warnings
}

/// Returns a warning if the client certificate has expired, or is not valid yet (R33): every server would reject it.
#[cfg(feature = "tls")]
fn outdated(file: &FilePath, now: Now) -> Option<String> {
    let certificates = http::certificates(file).ok()?;
    let Certificate { not_before, not_after, .. } = Certificate::parse(certificates.first()?)?;
    let is_valid = (not_before.unix()..=not_after.unix()).contains(&now.wall);
    let clock = DateTime::from_unix(now.wall, 0);
    (now.clock_is_set() && !is_valid).then(|| {
        let file = file.display();
        format!("the client certificate in {file} is valid {not_before} to {not_after}, and the clock shows {clock}")
    })
}

/// Returns the ACS URL of the factory state; `None` if it is empty or invalid.
fn acs_url(loaded: &Loaded) -> Option<Url> {
    let name = management_server::full_name(&loaded.tree, parameter::URL);
    Url::parse(&loaded.tree.get(&name)?.to_string()).ok()
}

/// Returns a warning if every user of the device can read a factory value that is a password.
fn exposed(name: &str, value: &Secret, loaded: &Loaded, config: &Config) -> Option<String> {
    if value.expose().is_empty() || !is_hidden(name, loaded) {
        return None;
    }
    match config.factory_value_file(name) {
        // `ps` shows the command line of every process to every user.
        None => Some(format!("every user can read {name} off the command line: it belongs in the file of --config")),
        Some(file) => is_readable_by_all(file).then(|| held_openly(file, name)),
    }
}

/// Returns a warning for each password of the ManagementServer object in a data-model file that every user of the device
/// can read.
fn exposed_by_model(file: &FilePath, loaded: &Loaded) -> Vec<String> {
    let model = if is_readable_by_all(file) { read_model(file) } else { Json::Null };
    let root = loaded.tree.root_name();
    let members = model[root]["ManagementServer"].as_object().into_iter().flatten();
    let given = members.filter(|(_, member)| member["value"].as_str().is_some_and(|text| !text.is_empty()));
    let names = given.map(|(name, _)| format!("{root}.ManagementServer.{name}"));
    names.filter(|name| is_hidden(name, loaded)).map(|name| held_openly(file, &name)).collect()
}

/// Returns the JSON of a data-model file. The file is read again: the loaded model has the members of all files without their
/// origin, and no `examples`.
fn read_model(file: &FilePath) -> Json {
    let text = fs::read_to_string(file).ok();
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Returns a warning that names the examples which the factory state still has; `None` without any.
fn examples_left(files: &[&PathBuf], loaded: &Loaded) -> Option<String> {
    // As every list, that of a later file replaces the earlier one.
    let list = files.iter().rev().find_map(|file| read_model(file).get("examples").cloned())?;
    let texts = list.as_array().into_iter().flatten().filter_map(Json::as_str);
    let left: String = texts.filter_map(|example| is_left(example, loaded)).map(|line| format!("\n  {line}")).collect();
    (!left.is_empty()).then(|| {
        format!("the factory state has examples of the data model, which an overlay replaces or removes:{left}")
    })
}

/// Returns a warning for each diagnostic test that neither the agent nor a program runs (R308), and for an echo service that
/// this build lacks.
fn tests_of_nobody(loaded: &Loaded) -> Vec<String> {
    let (tree, mut warnings) = (&loaded.tree, Vec::new());
    let Ok(everything) = Path::parse("") else { return warnings };
    // Cannot fail: the empty path names the whole tree.
    let _ = tree.visit_values(&everything, &mut |parameter| {
        if let Some(object) = object_of_state(parameter.name)
            && parameter.spec.writable
            && test_at(tree, &loaded.actions, object).is_none()
        {
            warnings.push(format!(
                "{object} is a diagnostic test that the device does not run: every request for it is refused"
            ));
        }
    });
    let echo = echo_object(tree);
    if !cfg!(feature = "diagnostics") && tree.parameter(&format!("{echo}Enable")).is_ok() {
        warnings.push(format!(
            "{echo} is an echo service that the device does not run: nothing answers once it is enabled"
        ));
    }
    warnings
}

/// Returns the line of an example that is left: `PATH=VALUE` for a parameter that has still the value and no source, a path
/// for a table that has instances.
fn is_left(example: &str, loaded: &Loaded) -> Option<String> {
    let tree = &loaded.tree;
    let Some((name, value)) = example.split_once('=') else {
        let mut instances = 0;
        // An overlay may have removed the table, and a source makes instances at run time only.
        let _ = tree.visit_names(&Path::parse(example).ok()?, true, &mut |_, _| instances += 1);
        let plural = if instances == 1 { "" } else { "s" };
        return (instances > 0).then(|| format!("{example} with {instances} instance{plural}"));
    };
    let is_same = tree.get(name).is_some_and(|now| now.to_string() == value);
    (is_same && !tree.schema().is_bound_parameter(name)).then(|| example.to_owned())
}

/// Returns true if a parameter is hidden, as passwords are (R334).
fn is_hidden(name: &str, loaded: &Loaded) -> bool {
    loaded.tree.parameter(name).is_ok_and(|parameter| parameter.spec.hidden)
}

/// Returns true if the group or all users may read a file.
fn is_readable_by_all(file: &FilePath) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

/// Returns the warning for a file.
fn held_openly(file: &FilePath, name: &str) -> String {
    format!("{} holds {name}, and users other than its owner can read it", file.display())
}

/// Returns the value of a parameter, named without the root; empty if the parameter is missing.
fn text(loaded: &Loaded, name: &str) -> String {
    let name = format!("{}.{name}", loaded.tree.root_name());
    loaded.tree.get(&name).map(|value| value.to_string()).unwrap_or_default()
}
