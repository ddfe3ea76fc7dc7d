//! Checks of the actions that the loader cannot make: keys, and the device on which the check runs.
//!
//! An action that can work on no device is a mistake. A program or a key file that this device lacks is a warning, since
//! the check may run on the machine on which an image is built, and a file may exist later.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::config::Config;
use crate::cwmp::diagnostics::STATE;
use crate::json::escape;
use crate::mistake::{Mistake, Mistakes};
use crate::model::Loaded;
use crate::model::actions::{Actions, FileAction, SigningKey};
use crate::process;
use crate::suggest::hint;
use crate::transfer::PublicKey;

/// The file types that TR-069 defines for Download (R228).
const DOWNLOAD_TYPES: &[&str] = &[
    "1 Firmware Upgrade Image",
    "2 Web Content",
    "3 Vendor Configuration File",
    "4 Tone File",
    "5 Ringer File",
    "6 Stored Firmware Image",
];

/// The file types that TR-069 defines for Upload, without the number of an instance (R241).
const UPLOAD_TYPES: &[&str] =
    &["1 Vendor Configuration File", "2 Vendor Log File", "3 Vendor Configuration File", "4 Vendor Log File"];

/// Checks that each action can work.
///
/// `check` refuses a model that fails, and so does a reload. The daemon only logs the mistakes: without the one action the
/// device can still be managed.
///
/// # Errors
/// Returns all mistakes.
pub fn check_actions(config: &Config, loaded: &Loaded) -> Result<(), Mistakes> {
    // The actions do not record which file they are from, so that the mistake names all of them.
    let mut mistakes = Mistakes::default();
    let mut reject = |direction: &str, file_type: &str, member: &str, reason: &str| {
        let pointer = format!("/actions/{direction}/{}/{member}", escape(file_type));
        mistakes.push(Mistake::new(Path::new(&config.model_names()), &pointer, reason));
    };
    for (file_type, action) in &loaded.actions.upload {
        // Its name is chosen for each transfer, so that no command can know it otherwise.
        if !action.names_file() {
            reject("upload", file_type, "run", "`{file}` is missing: the command cannot write the file to be uploaded");
        }
    }
    for (file_type, action) in &loaded.actions.download {
        if let Some(SigningKey::Raw(bytes)) = &action.ed25519
            && let Err(reason) = PublicKey::parse(bytes)
        {
            reject("download", file_type, "ed25519", &reason);
        }
    }
    // A device without WiFi has no object of a scan, and no use for its action.
    let is_omitted = |object: &str| loaded.tree.schema().omitted().iter().any(|one| object.starts_with(&one.path));
    for (object, _) in loaded.actions.diagnostics.iter().filter(|(object, _)| !is_omitted(object)) {
        let state = format!("{object}{STATE}");
        if !loaded.tree.parameter(&state).is_ok_and(|parameter| parameter.spec.writable) {
            let pointer = format!("/actions/diagnostics/{}", escape(object));
            let reason = format!("the data model has no writable {state}");
            mistakes.push(Mistake::new(Path::new(&config.model_names()), &pointer, &reason));
        }
    }
    mistakes.check()
}

/// Returns the actions that cannot work on this device as it is, each with the reason: a program that cannot be started, a
/// key that cannot be read.
pub fn unusable_actions(actions: &Actions) -> Vec<String> {
    let mut unusable = Vec::new();
    let commands =
        [("reboot", &actions.reboot), ("factoryReset", &actions.factory_reset), ("discover", &actions.discover)];
    for (name, command) in commands {
        unusable.extend(command.iter().filter_map(|command| missing_program(name, command)));
    }
    for (object, action) in &actions.diagnostics {
        unusable.extend(missing_program(&format!("diagnostics `{object}`"), &action.run));
    }
    unusable.extend(actions.software.iter().filter_map(|action| missing_program("software", &action.run)));
    for (kind, list) in [("download", &actions.download), ("upload", &actions.upload)] {
        for (file_type, action) in list {
            let name = format!("{kind} `{file_type}`");
            unusable.extend(missing_program(&name, &action.run));
            unusable.extend(action.verify.iter().filter_map(|command| missing_program(&name, command)));
            if let Some(SigningKey::File(file)) = &action.ed25519
                && let Err(reason) = PublicKey::load(Path::new(file))
            {
                unusable.push(format!("{name}: every file is refused, since the key {reason}"));
            }
        }
    }
    unusable
}

/// Returns warnings about unusual actions, which may work nevertheless.
pub fn unusual_actions(actions: &Actions) -> Vec<String> {
    let mut warnings = Vec::new();
    for (kind, list, known) in
        [("download", &actions.download, DOWNLOAD_TYPES), ("upload", &actions.upload, UPLOAD_TYPES)]
    {
        for (file_type, action) in list {
            let name = format!("{kind} `{file_type}`");
            warnings.extend(unknown_type(&name, file_type, known));
            warnings.extend(of_file(&name, kind == "download", action));
        }
    }
    warnings
}

/// Returns a warning about software modules of which the action or the object is missing: the ACS would see no unit of its
/// operations, or could not change those that it sees.
pub fn software_mismatch(loaded: &Loaded) -> Option<String> {
    let table = format!("{}.SoftwareModules.DeploymentUnit.", loaded.tree.root_name());
    match (&loaded.actions.software, loaded.tree.exists(&table)) {
        (Some(_), false) => Some(format!("software: the data model has no {table}, in which the ACS reads the units")),
        (None, true) => Some(format!("{table} has no action `software`, so that the ACS cannot change the units")),
        _ => None,
    }
}

/// Returns a warning about a file type that no standard defines: an ACS may never ask for it.
fn unknown_type(name: &str, file_type: &str, known: &[&str]) -> Option<String> {
    // An upload may name an instance: `3 Vendor Configuration File 2`.
    let is_instance = |rest: &str| rest.strip_prefix(' ').is_some_and(|number| number.parse::<u32>().is_ok());
    let is_known =
        |known: &&str| file_type.strip_prefix(*known).is_some_and(|rest| rest.is_empty() || is_instance(rest));
    let is_defined = file_type.starts_with("X ") || known.iter().any(is_known);
    (!is_defined).then(|| format!("{name}: TR-069 has no such file type{}", hint(file_type, known, "types", "")))
}

/// Returns a warning about a program that cannot be started on this device.
fn missing_program(name: &str, command: &[String]) -> Option<String> {
    let reason = process::find_program(command.first()?).err()?;
    Some(format!("{name}: {reason}"))
}

/// Returns warnings about the file of an action, and about the file of its key.
fn of_file(name: &str, is_download: bool, action: &FileAction) -> Vec<String> {
    let mut warnings = Vec::new();
    if is_download && !action.names_file() {
        warnings.push(format!("{name}: `run` has no `{{file}}`, so that the command does not know the file"));
    }
    if let Some(SigningKey::File(file)) = &action.ed25519
        && fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o022 != 0)
    {
        warnings.push(format!("{name}: users other than the owner of {file} can replace the key"));
    }
    warnings
}
