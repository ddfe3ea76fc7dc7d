//! The transfer directory: only the agent's user may change it, and every removal is relative to the checked directory.

use std::fs::{self, DirBuilder, File, ReadDir};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::log;

/// The name of the directory below the configured one. It holds transferred files and the lock file only.
const NAME: &str = "transfers";

/// The directory of the transferred files. It may be missing, and may belong to another user: every operation checks it.
#[derive(Debug)]
pub(super) struct TransferDirectory(PathBuf);

impl TransferDirectory {
    /// Names the directory below `parent`. Touches no file.
    pub(super) fn below(parent: &Path) -> TransferDirectory {
        TransferDirectory(parent.join(NAME))
    }

    /// Returns the path of a file in the directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Creates the directory, and fails if other users can change the files in it: a file may be installed as firmware.
    pub(super) fn prepare(&self) -> io::Result<()> {
        // For a link or a file of that name, the error is AlreadyExists, and the check rejects it.
        match DirBuilder::new().recursive(true).mode(0o700).create(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self.open().map(drop),
        }
    }

    /// Lists the directory.
    pub(super) fn list(&self) -> io::Result<ReadDir> {
        self.open()?;
        fs::read_dir(&self.0)
    }

    /// Opens a file for reading.
    pub(super) fn read(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDONLY)
    }

    /// Opens a file for writing, and creates it if it is missing.
    pub(super) fn open_or_create(&self, name: &str) -> io::Result<File> {
        self.open_file(name, OFlags::RDWR | OFlags::CREATE)
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(self.open()?, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Removes a file. A file that is missing already is no error. In a directory that others can change, no file is
    /// removed: it may be any, behind a link.
    pub(super) fn remove(&self, name: impl AsRef<Path>) {
        let name = name.as_ref();
        let Ok(directory) = self.open() else { return };
        match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
            Err(error) if error != Errno::NOENT => {
                log::warn!("cannot remove {}: {error}", self.0.join(name).display())
            }
            _ => {}
        }
    }

    /// Opens the directory, unless other users can change the files in it, or put another one in its place.
    fn open(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = File::from(rustix::fs::open(&self.0, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOTDIR | Errno::LOOP => io::Error::other("there is a link or a file in its place"),
            error => error.into(),
        })?);
        // By std, since `fstat` of rustix crashes on big-endian MIPS.
        let found = directory.metadata()?;
        let user = rustix::process::geteuid().as_raw();
        if found.uid() != user || found.mode() & 0o022 != 0 {
            return Err(io::Error::other("the directory belongs to another user or is writable by others"));
        }
        // Downloads and actions use the path. The owner of the directory above could replace the checked one meanwhile,
        // and so could everybody where that directory is writable by all without the sticky bit. `symlink_metadata`
        // looks at a link in its place, and `metadata` at its target.
        let parent = self.0.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        for above in [fs::symlink_metadata(parent)?, fs::metadata(parent)?] {
            let is_open = !above.is_symlink() && above.mode() & 0o002 != 0 && above.mode() & 0o1000 == 0;
            if is_open || ![0, user].contains(&above.uid()) {
                return Err(io::Error::other("the directory above it belongs to another user or is writable by all"));
            }
        }
        Ok(directory)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    }

    #[test]
    fn no_file_behind_a_link_is_touched() {
        let home = tempfile::tempdir().expect("a directory");
        let precious = home.path().join("precious");
        fs::create_dir(&precious).expect("a directory");
        fs::write(precious.join("1"), "keep").expect("a file");
        symlink(&precious, home.path().join(NAME)).expect("a link");
        let directory = TransferDirectory::below(home.path());
        let reason = directory.prepare().expect_err("a link").to_string();
        assert!(reason.contains("a link"), "{reason}");
        assert!(directory.list().is_err() && directory.read("1").is_err());
        assert!(directory.open_or_create("new").is_err());
        directory.remove("1");
        assert_eq!(fs::read_dir(&precious).expect("a directory").count(), 1);
    }

    #[test]
    fn a_directory_that_others_can_replace_is_rejected() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = TransferDirectory::below(home.path());
        for (above, own, is_accepted) in [
            (0o700, 0o700, true),
            (0o1777, 0o700, true),
            (0o777, 0o700, false),
            (0o755, 0o770, false),
            (0o755, 0o702, false),
            (0o755, 0o755, true),
        ] {
            let _ = directory.prepare();
            set_mode(&home.path().join(NAME), own);
            set_mode(home.path(), above);
            fs::write(directory.path("1"), "x").expect("a file");
            assert_eq!(directory.prepare().is_ok(), is_accepted, "{above:o} {own:o}");
            directory.remove("1");
            assert_eq!(directory.path("1").exists(), !is_accepted, "{above:o} {own:o}");
        }
    }
}
