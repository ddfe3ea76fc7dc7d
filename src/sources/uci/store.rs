//! Writing UCI packages, beside the programs of libuci that do the same.
//!
//! ```text
//!   begin ──▶ Locked ──stage──▶ Staged ──commit──▶ Committed ──put_back──▶ the old text
//!                │                 │
//!               drop              drop: the staged file goes, and the lock
//! ```
//!
//! The caller journals the sums of each staged package before its commit. At the next start [`PackageStore::recover`] completes
//! the commits that a power cut has interrupted, and [`PackageStore::clean`] removes files without a record. `store/old.rs` has the
//! old text that is kept until a change is confirmed.
//!
//! The lock is that of libuci: `flock` on the file of the package. A commit of libuci replaces the file and leaves the lock on
//! the old one, so that whoever gets the lock looks whether its file still has the name.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};

use super::DIRECTORIES;
use crate::digest::md5_sum;
use crate::log;
use crate::model::source::Row;
use crate::model::source::uci::edit::MAX_TEXT;
use crate::model::source::uci::{Identity, is_package, rows};
use failure::fail;
pub(crate) use failure::{Cause, Failure};
pub(crate) use old::Old;
#[cfg(test)]
use simulation::step;

mod failure;
mod old;
#[cfg(test)]
mod simulation;

/// The time for which the lock of another program is waited for.
const LOCK_LIMIT: Duration = Duration::from_secs(2);
/// The time between two attempts to lock.
const LOCK_POLL: Duration = Duration::from_millis(10);
/// The end of the name of a staged file, which is `.PACKAGE.cpe-new`. libuci ignores names with a dot.
const STAGED: &str = ".cpe-new";
/// The end of the name of the file with the old text, until the change is confirmed.
const OLD: &str = ".cpe-old";

/// The packages of the device.
#[derive(Clone, Debug)]
pub(crate) struct PackageStore {
    /// The directory whose packages overrule, and are gone after a reboot.
    overruling: PathBuf,
    directory: PathBuf,
    /// Set when the agent is to end, which no lock may delay.
    stop: Arc<AtomicBool>,
}

/// The sums of the text of a package before and after a change, for the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) old: String,
    pub(crate) new: String,
}

/// The state of a package whose commit was journalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// The file has the new text.
    Present,
    /// The file had the old text, and has the new one by this call.
    Completed,
    /// The file has the old text, and the new one is lost.
    Lost,
    /// Another program has changed the file, which stays as it is.
    Foreign,
}

/// A package that other programs cannot change until the value is dropped. The text may have passwords, so that neither this
/// type nor the next ones can be printed.
pub(crate) struct Locked {
    store: PackageStore,
    package: String,
    /// The path of the package. It may be a symbolic link.
    path: PathBuf,
    /// The directory of the file, which differs from that of the path behind a symbolic link.
    directory: File,
    /// The name of the file in that directory.
    name: PathBuf,
    /// The file, with the lock.
    file: File,
    text: Vec<u8>,
}

/// A package whose new text needs only a rename.
pub(crate) struct Staged {
    locked: Locked,
    sums: Sums,
    /// True if the old text was kept for this change, so that it is removed with the change.
    keeps_old: bool,
}

/// A package that was changed.
pub(crate) struct Committed {
    store: PackageStore,
    package: String,
    old: Vec<u8>,
    new: String,
    keeps_old: bool,
}

/// Stands before each step that changes the file system. Tests make it fail.
#[cfg(not(test))]
fn step() -> io::Result<()> {
    Ok(())
}

impl PackageStore {
    /// Creates the store of this device. `stop` ends the wait for a lock.
    pub(crate) fn new(stop: Arc<AtomicBool>) -> PackageStore {
        let [overruling, directory] = DIRECTORIES.map(PathBuf::from);
        PackageStore { overruling, directory, stop }
    }

    /// Locks a package and reads it. Waits at most two seconds for another program.
    pub(crate) fn begin(&self, package: &str) -> Result<Locked, Failure> {
        let path = self.overruling.join(package);
        if is_package(package) && path.try_exists().map_err(|error| fail(&path, error))? {
            let text = format!("{} overrules this package, and is gone after a reboot", path.display());
            return Err(Failure { cause: Cause::Refused, text });
        }
        self.lock(package)
    }

    /// Completes the commit of a package with these sums, after a start.
    ///
    /// # Errors
    /// The package cannot be locked, read or replaced; another attempt may succeed.
    pub(crate) fn recover(&self, package: &str, sums: &Sums) -> Result<Recovery, Failure> {
        let locked = self.lock(package)?;
        let present = md5_sum(&locked.text);
        let recovery = match () {
            () if present == sums.new => Recovery::Present,
            () if present != sums.old => Recovery::Foreign,
            () => match locked.read_beside(STAGED) {
                Ok(text) if md5_sum(&text) == sums.new => {
                    locked.rename()?;
                    locked.sync()?;
                    return Ok(Recovery::Completed);
                }
                _ => Recovery::Lost,
            },
        };
        locked.discard(STAGED);
        // The caller forgets the sums, so that no later start repeats a rename that is not durable yet.
        locked.sync()?;
        Ok(recovery)
    }

    /// Locks a package and reads it.
    fn lock(&self, package: &str) -> Result<Locked, Failure> {
        let path = self.directory.join(package);
        if !is_package(package) {
            return Err(fail(&path, io::Error::other("not the name of a package")));
        }
        let mut waited = Duration::ZERO;
        loop {
            let (directory, name, file) = open(&path).map_err(|error| fail(&path, error))?;
            let is_locked = match file.try_lock() {
                Ok(()) => true,
                Err(fs::TryLockError::WouldBlock) => false,
                Err(fs::TryLockError::Error(error)) => return Err(fail(&path, error)),
            };
            // Another program may have replaced the file between the opening and the lock.
            if is_locked && is_at(&path, &file).map_err(|error| fail(&path, error))? {
                let text = read(&file).map_err(|error| fail(&path, error))?;
                let (store, package) = (self.clone(), package.to_owned());
                return Ok(Locked { store, package, path, directory, name, file, text });
            }
            if waited >= LOCK_LIMIT || self.stop.load(Ordering::Relaxed) {
                return Err(fail(&path, io::Error::other("another program has locked the package")));
            }
            std::thread::sleep(LOCK_POLL);
            waited += LOCK_POLL;
        }
    }
}

/// Opens the directory and the file of a package, behind symbolic links.
fn open(path: &Path) -> io::Result<(File, PathBuf, File)> {
    let target = path.canonicalize()?;
    let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(io::ErrorKind::IsADirectory.into());
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = File::from(rustix::fs::open(parent, flags, Mode::empty())?);
    let file = open_at(&directory, name.as_ref(), OFlags::RDONLY)?;
    Ok((directory, name.into(), file))
}

/// Opens a regular file in a directory.
fn open_at(directory: &File, name: &Path, flags: OFlags) -> io::Result<File> {
    // Without NONBLOCK, a pipe would block the agent.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// Returns true if this file has the name.
fn is_at(path: &Path, file: &File) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    file.take(MAX_TEXT as u64 + 1).read_to_end(&mut text)?;
    let reason = || io::Error::other(format!("longer than {} KiB", MAX_TEXT >> 10));
    if text.len() > MAX_TEXT { Err(reason()) } else { Ok(text) }
}

impl Locked {
    /// Returns the text of the package.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns the sections of the package as rows, as its reader does.
    ///
    /// # Errors
    /// The text is no package; the reason begins with the path and the line.
    pub(crate) fn rows(&self, identity: Option<&Identity>) -> Result<Vec<Row>, String> {
        rows(&String::from_utf8_lossy(&self.text), identity)
            .map_err(|reason| format!("{}: {reason}", self.path.display()))
    }

    /// Writes the new text beside the file, durably, and keeps the old one beside it if asked to. Returns `None`, and unlocks the
    /// package, if it has this text already.
    pub(crate) fn stage(self, text: &[u8], keeps_old: bool) -> Result<Option<Staged>, Failure> {
        if text == self.text {
            return Ok(None);
        }
        let sums = Sums { old: md5_sum(&self.text), new: md5_sum(text) };
        // The files go when the value is dropped, also after a failure.
        let staged = Staged { locked: self, sums, keeps_old };
        staged.locked.check_name()?;
        let fail = |error| fail(&staged.locked.path, error);
        staged.locked.write(&staged.locked.beside(STAGED), text).map_err(fail)?;
        if keeps_old {
            staged.locked.keep_old().map_err(fail)?;
        }
        // A power cut after the commit point must not lose the name of the staged file.
        staged.locked.sync()?;
        Ok(Some(staged))
    }

    /// Returns the name of a file beside the package.
    fn beside(&self, end: &str) -> String {
        format!(".{}{end}", self.package)
    }

    fn write(&self, name: &str, text: &[u8]) -> io::Result<()> {
        step()?;
        // A start without journal may have left a file.
        let _ = unlinkat(&self.directory, name, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mut file = open_at(&self.directory, name.as_ref(), flags)?;
        step()?;
        file.write_all(text)?;
        step()?;
        let (old, new) = (self.file.metadata()?, file.metadata()?);
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
        step()?;
        file.sync_all()
    }

    /// Reads a file beside the package.
    fn read_beside(&self, end: &str) -> io::Result<Vec<u8>> {
        open_at(&self.directory, self.beside(end).as_ref(), OFlags::RDONLY).and_then(|file| read(&file))
    }

    /// Fails if another program has replaced the file in spite of the lock.
    fn check_name(&self) -> Result<(), Failure> {
        match is_at(&self.path, &self.file) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let text = format!("{}: another program has changed the package", self.path.display());
                Err(Failure { cause: Cause::Changed, text })
            }
            Err(error) => Err(fail(&self.path, error)),
        }
    }

    /// Renames the staged file to the name of the package.
    fn rename(&self) -> Result<(), Failure> {
        step()
            .and_then(|()| Ok(renameat(&self.directory, self.beside(STAGED), &self.directory, &self.name)?))
            .map_err(|error| fail(&self.path, error))
    }

    /// Makes the names of the directory durable.
    fn sync(&self) -> Result<(), Failure> {
        step().and_then(|()| self.directory.sync_all()).map_err(|error| fail(&self.path, error))
    }

    /// Removes a file beside the package, if there is one.
    fn discard(&self, end: &str) {
        let removed = step().and_then(|()| Ok(unlinkat(&self.directory, self.beside(end), AtFlags::empty())?));
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => log::warn!("{}", fail(&self.path, error).text),
            _ => {}
        }
    }
}

impl Staged {
    /// Returns the name of the package.
    pub(crate) fn package(&self) -> &str {
        &self.locked.package
    }

    /// Returns the sums of the old and the new text.
    pub(crate) fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Replaces the file by the staged one, durably, and unlocks the package.
    ///
    /// # Errors
    /// The package has its old text, or that of another program ([`Cause::Changed`]). The failure says so if the old text
    /// could not be put back.
    pub(crate) fn commit(mut self) -> Result<Committed, Failure> {
        self.locked.check_name()?;
        self.locked.rename()?;
        let old = std::mem::take(&mut self.locked.text);
        let (store, package) = (self.locked.store.clone(), self.locked.package.clone());
        let keeps_old = std::mem::take(&mut self.keeps_old);
        let committed = Committed { store, package, old, new: self.sums.new.clone(), keeps_old };
        let Err(mut failure) = self.locked.sync() else { return Ok(committed) };
        drop(self);
        if let Err(second) = committed.put_back() {
            failure.text = format!("{}; the old text could not be put back: {}", failure.text, second.text);
        }
        Err(failure)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.locked.discard(STAGED);
        if self.keeps_old {
            self.locked.discard(OLD);
        }
    }
}

impl Committed {
    /// Gives the package its old text again, since the commit of another package has failed.
    ///
    /// # Errors
    /// The new text stays, or that of another program ([`Cause::Changed`]).
    pub(crate) fn put_back(self) -> Result<(), Failure> {
        let locked = self.store.lock(&self.package)?;
        if md5_sum(&locked.text) != self.new {
            let text = format!("{}: another program has changed the package", locked.path.display());
            return Err(Failure { cause: Cause::Changed, text });
        }
        let Some(mut staged) = locked.stage(&self.old, false)? else { return Ok(()) };
        // The text that is kept is that of the file again.
        staged.keeps_old = self.keeps_old;
        staged.locked.rename()?;
        staged.locked.sync()
    }
}

#[cfg(test)]
mod tests;
