//! Why a data-model file cannot be loaded, and where in it.

use std::fmt;

use crate::json;

/// The text of one data-model file.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// How error messages call it: its path.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Why files cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The file, or `--set` for a factory value of the command line.
    pub file: String,
    /// Where in it (RFC 6901), or the path of the parameter.
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.pointer, self.reason)
    }
}

impl std::error::Error for LoadError {}

/// What [`LoadError::file`] says for a factory value.
pub const COMMAND_LINE: &str = "--set";

/// Where the loader is, for error messages.
pub(super) struct JsonLocation<'a> {
    pub(super) files: &'a [ModelFile],
    pub(super) pointer: String,
}

impl JsonLocation<'_> {
    /// Goes down to a member; gives what [`JsonLocation::leave`] needs.
    pub(super) fn enter(&mut self, name: &str) -> usize {
        let outside = self.pointer.len();
        self.pointer.push('/');
        json::push_escaped(&mut self.pointer, name);
        outside
    }

    /// Comes back up.
    pub(super) fn leave(&mut self, outside: usize) {
        self.pointer.truncate(outside);
    }

    pub(super) fn error_at(&self, file: usize, pointer: &str, reason: impl Into<String>) -> LoadError {
        let file = self.files.get(file).map_or("data model", |file| &file.name);
        let pointer = format!("{}{pointer}", self.pointer);
        LoadError {
            file: file.into(),
            pointer: if pointer.is_empty() { "/".into() } else { pointer },
            reason: reason.into(),
        }
    }
}
