//! Reads the data-model files that the configuration names: at a start, after SIGHUP, and for `check`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::config::Config;
use crate::mistake::{Mistake, Mistakes};
use crate::model::{COMMAND_LINE, Loaded, MMAP_THRESHOLD, ModelFile, load};

/// Loads the data-model files of the configuration, with its factory values.
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
    // The other files are not checked: without the one that is missing, their overlays do not fit.
    mistakes.check()?;
    load(&files, &config.factory_values).map_err(|mut mistakes| {
        // The model does not know whether a factory value is in the configuration file or on the command line.
        for mistake in mistakes.list_mut().iter_mut().filter(|mistake| mistake.file == COMMAND_LINE) {
            *mistake = config.factory_value_error(&mistake.pointer, &mistake.reason);
        }
        mistakes
    })
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
