//! UCI packages as sources.

use std::path::{Path, PathBuf};

use super::read_text;
use crate::model::source::Answer;
use crate::model::source::uci::{Identity, Sections};

mod change;
pub(super) mod store;

pub(super) use change::Packages;

/// The directories of the packages. A package in the first one, which a reboot empties, overrules that in the second.
const DIRECTORIES: [&str; 2] = ["/var/run/uci", "/etc/config"];

/// The packages that the present request has read: each file is read and parsed once, whatever types of its sections are wanted.
#[derive(Default)]
pub(super) struct Configuration(Vec<(String, Result<Sections, String>)>);

impl Configuration {
    /// Returns the sections of a package. Staged changes of others (`/tmp/.uci`) are not part of it.
    pub(super) fn rows(&mut self, name: &str, identity: Option<&Identity>) -> Result<Answer, String> {
        self.package(name).map(|package| Answer::Rows(package.rows(identity)))
    }

    /// Returns a package.
    pub(super) fn package(&mut self, name: &str) -> Result<&Sections, String> {
        let at = self.0.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), read_in(DIRECTORIES, name)));
            self.0.len() - 1
        });
        self.0[at].1.as_ref().map_err(Clone::clone)
    }
}

/// Returns the files that a package may be in.
pub(super) fn files(package: &str) -> impl Iterator<Item = PathBuf> {
    DIRECTORIES.into_iter().map(move |directory| Path::new(directory).join(package))
}

fn read_in(directories: [&str; 2], package: &str) -> Result<Sections, String> {
    let [overruling, usual] = directories.map(|directory| format!("{directory}/{package}"));
    // A package that cannot be read is no reason to take another one.
    let is_there = Path::new(&overruling).try_exists().map_err(|error| format!("{overruling}: {error}"))?;
    let path = if is_there { overruling } else { usual };
    let text = read_text(&path).map_err(|error| format!("{path}: {error}"))?;
    Sections::read(&text).map_err(|reason| format!("{path}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_of_the_first_directory_overrules() {
        let (first, second) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let directories = [&first, &second].map(|directory| directory.path().to_str().expect("a name"));
        let hostname = || {
            let rows = read_in(directories, "system")?.rows(None);
            Ok::<_, String>(rows[0].get("hostname").unwrap_or_default().to_owned())
        };
        assert!(hostname().unwrap_err().contains("/system: No such file"), "a missing package is a failure");
        let write = |directory: &tempfile::TempDir, text: &str| {
            std::fs::write(directory.path().join("system"), text).expect("written");
        };
        write(&second, "config system\n\toption hostname 'usual'\n");
        assert_eq!(hostname().as_deref(), Ok("usual"));
        write(&first, "config system\n\toption hostname 'other\n");
        assert!(hostname().unwrap_err().ends_with("/system: line 2: the quote is not closed"));
        write(&first, "config system\n\toption hostname 'other'\n");
        assert_eq!(hostname().as_deref(), Ok("other"));
        // A directory that is a file is no reason to read another package.
        let inside = first.path().join("system").to_str().expect("a name").to_owned();
        assert!(read_in([&inside, directories[1]], "system").is_err());
    }
}
