//! Reads the data-model files that the configuration names: at a start, after SIGHUP, and for `check`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use crate::config::Config;
use crate::log;
use crate::mistake::{Mistake, Mistakes};
use crate::model::{COMMAND_LINE, Loaded, MMAP_THRESHOLD, ModelFile, load};

/// The largest optional file, in bytes: a RAM disk shares the memory of the device with the agent.
const MAX_OPTIONAL: u64 = 1024 * 1024;

/// Loads the data-model files of the configuration, with its factory values. An optional file that is missing is left out.
///
/// # Errors
/// Returns all mistakes, each with the file, the position in it and the reason.
pub fn load_model(config: &Config) -> Result<Loaded, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut files = Vec::with_capacity(config.data_model.len());
    for path in &config.data_model {
        match read_text(path) {
            Ok(text) => files.push(ModelFile { name: path.display().to_string(), text }),
            Err(error) => mistakes.push(unreadable(path, &error)),
        }
    }
    for path in &config.optional_data_model {
        match read_optional(path) {
            Ok(text) => files.push(ModelFile { name: path.display().to_string(), text }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                log::debug!("{}: the optional data-model file is missing", path.display());
            }
            Err(error) => mistakes.push(unreadable(path, &error)),
        }
    }
    // The other files are not checked: without the one that is missing, their overlays do not fit.
    mistakes.check()?;
    load(&files, &config.factory_values, &|path| Path::new(path).exists()).map_err(|mut mistakes| {
        // The model does not know whether a factory value is in the configuration file or on the command line.
        for mistake in mistakes.list_mut().iter_mut().filter(|mistake| mistake.file == COMMAND_LINE) {
            *mistake = config.factory_value_error(&mistake.pointer, &mistake.reason);
        }
        mistakes
    })
}

/// Loads the data model for a start, which leaves out each optional file with a mistake: a device that does not start is
/// not manageable, and its ACS could not correct the file. Returns the first mistake of each such file too.
///
/// # Errors
/// Returns the mistakes of the other files, and of the factory values.
pub(super) fn load_at_start(config: &Config) -> Result<(Loaded, Vec<String>), Mistakes> {
    // A model of all files is the usual case, which costs one load.
    match load_model(config) {
        Ok(loaded) => return Ok((loaded, Vec::new())),
        Err(mistakes) if config.optional_data_model.is_empty() => return Err(mistakes),
        Err(_) => {}
    }
    let mut left_out = Vec::new();
    let mut tried = config.clone();
    tried.optional_data_model.clear();
    let mut last = load_model(&tried)?;
    for file in &config.optional_data_model {
        tried.optional_data_model.push(file.clone());
        match load_model(&tried) {
            Ok(loaded) => last = loaded,
            Err(mistakes) => {
                tried.optional_data_model.pop();
                mistakes.list().iter().for_each(|mistake| log::error!("{mistake}; the file is left out"));
                left_out.push(mistakes.to_string());
            }
        }
    }
    Ok((last, left_out))
}

/// Returns the error of a file that cannot be read.
fn unreadable(path: &Path, error: &io::Error) -> Mistake {
    // Without packages and in a clone, the default file is missing: the first mistake of a new user.
    let hint = match error.kind() == io::ErrorKind::NotFound && path == Config::default().data_model[0] {
        true => "; --data-model names another file, such as data-model/tr-181.json of the source",
        false => "",
    };
    Mistake::new(path, "", &format!("cannot be read: {error}{hint}"))
}

/// Reads a file whose text is dropped once it is parsed.
fn read_text(path: &Path) -> io::Result<String> {
    // A block of this size is mapped by itself and goes back to the kernel when it is freed. A smaller one would leave a
    // hole in the heap that the values parsed from it keep open.
    let mut text = String::with_capacity(MMAP_THRESHOLD);
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Reads an optional file. It may lie in a directory for all users, such as `/tmp`: only a file of root or of the agent's own
/// user is read, because the commands of its `actions` run as the agent.
fn read_optional(path: &Path) -> io::Result<String> {
    // Without NONBLOCK, a pipe would block the agent.
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if ![0, rustix::process::geteuid().as_raw()].contains(&found.uid()) || found.mode() & 0o022 != 0 {
        return Err(io::Error::other("it belongs to another user or is writable by others"));
    }
    let mut text = String::with_capacity(MMAP_THRESHOLD);
    // One byte above the limit, which tells a file of the full size from a larger one.
    if file.take(MAX_OPTIONAL + 1).read_to_string(&mut text)? as u64 > MAX_OPTIONAL {
        return Err(io::Error::other("larger than 1 MiB"));
    }
    Ok(text)
}
