//! The operands and flags of a command, and the number of them that it accepts.

use std::path::PathBuf;

use crate::control::TraceFile;

/// The arguments after the name of a client command.
pub(super) struct Operands {
    pub(super) values: Vec<String>,
    /// The flags that were given, all of which the command accepts.
    pub(super) flags: Vec<&'static str>,
}

/// The number of operands that a command accepts. Each function returns a message for the user if there are others.
impl Operands {
    /// Returns true if the flag of this name was given.
    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    /// Returns the file of a trace that is to be recorded.
    pub(super) fn trace(self) -> Result<TraceFile, String> {
        TraceFile::parse(&self.any()?)
    }

    /// Returns the file of a trace that is to be replayed.
    pub(super) fn replay(self) -> Result<PathBuf, String> {
        // A gateway needs no replay, and its flash is small.
        if !cfg!(feature = "replay") {
            return Err(
                "this build lacks the cargo feature `replay`; copy the trace to a machine with a full build".into()
            );
        }
        self.at_most_one()?.map(PathBuf::from).ok_or_else(|| "a file is missing".to_owned())
    }

    /// Returns any number of operands, none of them empty.
    pub(super) fn any(self) -> Result<Vec<String>, String> {
        // An empty word is an unset variable of a shell script, never a file type or a URL.
        match self.values.iter().any(String::is_empty) {
            true => Err("an argument is empty".to_owned()),
            false => Ok(self.values),
        }
    }

    /// Returns an error if there is an operand.
    pub(super) fn none(&self) -> Result<(), String> {
        self.values.first().map_or(Ok(()), |value| Err(unexpected(value)))
    }

    /// Returns the operand, if there is one.
    pub(super) fn at_most_one(mut self) -> Result<Option<String>, String> {
        match self.values.get(1) {
            Some(second) => Err(unexpected(second)),
            None => self.values.pop().map(not_empty).transpose(),
        }
    }

    /// Returns the only operand, which is a path.
    pub(super) fn one(self) -> Result<String, String> {
        self.at_most_one()?.ok_or_else(|| "a path is missing".to_owned())
    }

    /// Returns one or more operands. An empty path is allowed here: it names the whole tree (R166).
    pub(super) fn some(self) -> Result<Vec<String>, String> {
        if self.values.is_empty() {
            return Err("a path is missing".to_owned());
        }
        Ok(self.values)
    }
}

fn not_empty(value: String) -> Result<String, String> {
    if value.is_empty() { Err("an argument is empty".to_owned()) } else { Ok(value) }
}

fn unexpected(argument: &str) -> String {
    format!("unexpected argument `{argument}`")
}
