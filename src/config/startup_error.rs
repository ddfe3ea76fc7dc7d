//! The error that keeps the agent from starting: file, JSON pointer and reason.

use std::fmt;
use std::path::{Path, PathBuf};

/// A mistake in the configuration or the data model, with which the agent must not start: exit status 78.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartupError {
    /// The file with the mistake.
    pub file: PathBuf,
    /// JSON pointer (RFC 6901) to the place in it; empty for the file as a whole.
    pub pointer: String,
    /// The reason, in words.
    pub reason: String,
}

impl StartupError {
    /// The exit status of the agent: `EX_CONFIG` of `sysexits.h`, by which a supervisor can tell that another
    /// start would fail as well.
    pub const EXIT: u8 = 78;

    /// Creates an error at `pointer` in `file`.
    pub fn new(file: &Path, pointer: &str, reason: &str) -> StartupError {
        StartupError { file: file.to_owned(), pointer: pointer.to_owned(), reason: reason.to_owned() }
    }
}

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        // The empty pointer is the whole file; a second colon would look like a mistake.
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for StartupError {}
