//! The mistakes in the configuration and the data model: each with its file, its JSON pointer and the reason.

use std::fmt;
use std::path::Path;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file, or an option of the command line such as `--set`.
    pub file: String,
    /// The JSON pointer into the file (RFC 6901), or the path of a parameter; empty for the file as a whole.
    pub pointer: String,
    /// The reason, in words.
    pub reason: String,
}

impl Mistake {
    /// Creates a mistake at `pointer` in `file`.
    pub fn new(file: &Path, pointer: &str, reason: &str) -> Mistake {
        Mistake { file: file.display().to_string(), pointer: pointer.to_owned(), reason: reason.to_owned() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        // The empty pointer is the whole file; a second colon would look like a mistake.
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.reason)
    }
}

/// All mistakes of one run, with which the agent must not start: exit status [`Mistakes::EXIT`].
///
/// `Display` writes one line for a log: the first mistake, and the number of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes {
    kept: Vec<Mistake>,
    /// The number of mistakes that are not kept.
    more: usize,
}

impl Mistakes {
    /// The number of mistakes that are kept; the rest is counted. A wrong file may have one for each of its bytes.
    pub const MAX_KEPT: usize = 50;

    /// The exit status of the agent: `EX_CONFIG` of `sysexits.h`, by which a supervisor can tell that another
    /// start would fail as well.
    pub const EXIT: u8 = 78;

    /// Adds a mistake, or counts it if there are many.
    pub fn push(&mut self, mistake: Mistake) {
        match self.kept.len() < Mistakes::MAX_KEPT {
            true => self.kept.push(mistake),
            false => self.more += 1,
        }
    }

    /// Returns the number of mistakes, including those that were only counted.
    pub fn count(&self) -> usize {
        self.kept.len() + self.more
    }

    /// Returns the mistakes that were kept, in the order of their discovery.
    pub fn list(&self) -> &[Mistake] {
        &self.kept
    }

    /// Returns the mistakes that were kept, for a caller that completes them.
    pub fn list_mut(&mut self) -> &mut [Mistake] {
        &mut self.kept
    }

    /// Returns an error if there is a mistake.
    pub fn check(self) -> Result<(), Mistakes> {
        if self.count() == 0 { Ok(()) } else { Err(self) }
    }

    /// Prints each mistake on stderr, in a line of its own.
    pub fn print(&self) {
        self.kept.iter().for_each(|mistake| eprintln!("cpe-agent: {mistake}"));
        if self.more > 0 {
            eprintln!("cpe-agent: and {} more", self.more);
        }
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Mistakes {
        Mistakes { kept: vec![mistake], more: 0 }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.kept.first() {
            write!(f, "{first}")?;
        }
        match self.count() {
            0 | 1 => Ok(()),
            count => write!(f, " (and {} more, which `cpe-agent check` lists)", count - 1),
        }
    }
}

impl std::error::Error for Mistakes {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_reads_file_pointer_reason() {
        let mistake = Mistake::new(Path::new("model.json"), "/Device/X", "no type");
        assert_eq!(mistake.to_string(), "model.json: /Device/X: no type");
        assert_eq!(Mistake::new(Path::new("model.json"), "", "is empty").to_string(), "model.json: is empty");
    }

    #[test]
    fn many_mistakes_are_counted() {
        let mistake = |number: usize| Mistake::new(Path::new("f"), "", &number.to_string());
        let mut mistakes = Mistakes::from(mistake(0));
        assert_eq!(mistakes.to_string(), "f: 0");
        (1..Mistakes::MAX_KEPT + 7).for_each(|number| mistakes.push(mistake(number)));
        assert_eq!((mistakes.list().len(), mistakes.count()), (Mistakes::MAX_KEPT, Mistakes::MAX_KEPT + 7));
        assert_eq!(mistakes.to_string(), "f: 0 (and 56 more, which `cpe-agent check` lists)");
    }
}
