//! What the agent must not start with.

use std::fmt;
use std::path::{Path, PathBuf};

/// A configuration or data model that the agent must not start with: exit status 78.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartupError {
    /// The file that is wrong.
    pub file: PathBuf,
    /// JSON pointer (RFC 6901) to the place in it; empty for the file as a whole.
    pub pointer: String,
    /// What is wrong, in words.
    pub reason: String,
}

impl StartupError {
    /// The exit status that tells of it: `EX_CONFIG`.
    pub const EXIT: u8 = 78;

    /// An error at `pointer` in `file`.
    pub fn new(file: &Path, pointer: &str, reason: &str) -> StartupError {
        StartupError { file: file.to_owned(), pointer: pointer.to_owned(), reason: reason.to_owned() }
    }
}

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for StartupError {}
