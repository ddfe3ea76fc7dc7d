//! The error of a data-model file that cannot be loaded: file, JSON pointer and reason.

use std::fmt;

use crate::json;

/// The text of one data-model file.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// The name in error messages: the path of the file.
    pub name: String,
    /// The content of the file.
    pub text: String,
}

/// A data-model file, or a factory value, that cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The file, or `--set` for a factory value of the command line.
    pub file: String,
    /// The JSON pointer into the file (RFC 6901), or the path of the parameter.
    pub pointer: String,
    /// The reason, in words.
    pub reason: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.pointer, self.reason)
    }
}

impl std::error::Error for LoadError {}

/// The value of [`LoadError::file`] for a factory value of the command line.
pub const COMMAND_LINE: &str = "--set";

/// The position of the loader in the files, for error messages.
pub(super) struct JsonLocation<'a> {
    pub(super) files: &'a [ModelFile],
    pub(super) pointer: String,
}

impl JsonLocation<'_> {
    /// Extends the pointer by a member. Returns the length that [`JsonLocation::leave`] restores.
    pub(super) fn enter(&mut self, name: &str) -> usize {
        let outside = self.pointer.len();
        self.pointer.push('/');
        json::push_escaped(&mut self.pointer, name);
        outside
    }

    /// Shortens the pointer to the length that [`JsonLocation::enter`] returned.
    pub(super) fn leave(&mut self, outside: usize) {
        self.pointer.truncate(outside);
    }

    /// Returns the error at `pointer` below this position, in the file of this number.
    pub(super) fn error_at(&self, file: usize, pointer: &str, reason: impl Into<String>) -> LoadError {
        let file = self.files.get(file).map_or("data model", |file| &file.name);
        let pointer = format!("{}{pointer}", self.pointer);
        // The pointer to the whole document is empty (RFC 6901 §5), which a message would not show.
        LoadError {
            file: file.into(),
            pointer: if pointer.is_empty() { "/".into() } else { pointer },
            reason: reason.into(),
        }
    }
}
