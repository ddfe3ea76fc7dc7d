//! The old text of a package, which stays beside it until the ACS has been reached with the new one.
//!
//! ```text
//!   network ──link──▶ .network.cpe-old ──link──▶ .network.cpe-new ──rename──▶ network
//!            a change                 the way back               commit
//! ```
//!
//! A link copies no data. Each step of the way back is that of a change, so that a power cut leaves all or nothing of it.

use rustix::fs::linkat;

use super::*;
use crate::log;

/// The way back of a package.
pub(crate) enum Old {
    /// The whole old text; `None` if the package has it.
    Staged(Option<Staged>),
    /// Another program has changed the package since, or the old text is lost.
    Foreign(Locked),
}

impl PackageStore {
    /// Removes the files beside packages that no record names: staged ones, except those of the packages in `staged`, and old texts,
    /// except those of the packages in `old`.
    pub(crate) fn clean(&self, staged: &[&str], old: &[&str]) {
        // Without the directory, the device has no packages.
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            for (end, keep) in [(STAGED, staged), (OLD, old)] {
                let beside = name.strip_prefix('.').and_then(|name| name.strip_suffix(end));
                let path = match beside {
                    Some(package) if is_package(package) && !keep.contains(&package) => entry.path(),
                    // The file is beside the target of a link.
                    None if is_link && is_package(name) && !keep.contains(&name) => match entry.path().canonicalize() {
                        Ok(target) => target.with_file_name(format!(".{name}{end}")),
                        Err(_) => continue,
                    },
                    _ => continue,
                };
                match step().and_then(|()| fs::remove_file(&path)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => log::warn!("{}", fail(&path, error).text),
                    _ => {}
                }
            }
        }
    }
}

impl Locked {
    /// Gives the text of the package a second name beside it.
    pub(super) fn keep_old(&self) -> io::Result<()> {
        self.link(&self.name, &self.beside(OLD), &self.text)
    }

    /// Prepares the way back to the old text with this sum, which needs only a rename then.
    ///
    /// # Errors
    /// The old text cannot be read or linked; another attempt may succeed.
    pub(crate) fn stage_old(self, sums: &Sums) -> Result<Old, Failure> {
        let present = md5_sum(&self.text);
        if present == sums.old {
            return Ok(Old::Staged(None));
        }
        let path = self.path.clone();
        let old = match self.read_beside(OLD) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            old => old.map_err(|error| fail(&path, error))?,
        };
        if present != sums.new || md5_sum(&old) != sums.old {
            return Ok(Old::Foreign(self));
        }
        let staged = Staged { locked: self, sums: Sums { old: present, new: sums.old.clone() }, keeps_old: false };
        let (from, to) = (staged.locked.beside(OLD), staged.locked.beside(STAGED));
        staged.locked.link(from.as_ref(), &to, &old).map_err(|error| fail(&path, error))?;
        staged.locked.sync()?;
        Ok(Old::Staged(Some(staged)))
    }

    /// Gives a file in the directory of the package a second name. A file system without links gets a copy of its text.
    pub(super) fn link(&self, from: &Path, to: &str, text: &[u8]) -> io::Result<()> {
        step()?;
        // A start without journal may have left a file.
        let _ = unlinkat(&self.directory, to, AtFlags::empty());
        match linkat(&self.directory, from, &self.directory, to, AtFlags::empty()) {
            Ok(()) => Ok(()),
            Err(error) => {
                log::debug!("{}: no second name: {error}; its text is copied", self.path.display());
                self.write(to, text)
            }
        }
    }
}
