//! The position of the loader in the data-model files, and the mistakes that it finds there.

use std::cell::RefCell;

use crate::json;
use crate::mistake::{Mistake, Mistakes};

/// The text of one data-model file.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// The name in error messages: the path of the file.
    pub name: String,
    /// The content of the file.
    pub text: String,
}

/// The value of [`Mistake::file`] for a factory value of the command line.
pub const COMMAND_LINE: &str = "--set";

/// The position of the loader in the files, for error messages.
pub(super) struct JsonLocation<'a> {
    pub(super) files: &'a [ModelFile],
    pub(super) pointer: String,
    pub(super) mistakes: &'a RefCell<Mistakes>,
}

impl JsonLocation<'_> {
    /// Returns the position of a member of the top level, in the same list of mistakes.
    pub(super) fn child(&self, name: &str) -> JsonLocation<'_> {
        JsonLocation { files: self.files, pointer: format!("/{name}"), mistakes: self.mistakes }
    }

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

    /// Returns the mistake at `pointer` below this position, in the file of this number.
    pub(super) fn error_at(&self, file: usize, pointer: &str, reason: impl Into<String>) -> Mistake {
        let file = self.files.get(file).map_or("data model", |file| &file.name);
        let pointer = format!("{}{pointer}", self.pointer);
        // The pointer to the whole document is empty (RFC 6901 §5), which a message would not show.
        Mistake {
            file: file.into(),
            pointer: if pointer.is_empty() { "/".into() } else { pointer },
            reason: reason.into(),
        }
    }

    /// Returns the value that was read; keeps the mistake instead, if there is one, so that the loader goes on.
    #[inline(never)] // dozens of calls, each of which would have the code of the mistake
    pub(super) fn note<T>(&self, read: Result<T, Mistake>) -> Option<T> {
        read.map_err(|mistake| self.mistakes.borrow_mut().push(mistake)).ok()
    }

    /// Keeps a mistake at `pointer` below this position, after which the loader goes on.
    pub(super) fn reject_at(&self, file: usize, pointer: &str, reason: &str) {
        self.mistakes.borrow_mut().push(self.error_at(file, pointer, reason));
    }

    /// Returns true if no mistake was found so far.
    pub(super) fn is_clean(&self) -> bool {
        self.mistakes.borrow().count() == 0
    }
}
