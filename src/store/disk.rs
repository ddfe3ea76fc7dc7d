//! The file operations of the journal as a trait, so that tests can make each of them fail.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A directory of files.
pub(super) trait Disk {
    /// A file open for appending.
    type File: DiskFile;
    /// Opens a file for reading from its start.
    fn read(&mut self, name: &str) -> io::Result<Box<dyn BufRead + '_>>;
    /// Creates a file anew, empty.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;
    /// Opens a file that exists, for appending.
    fn open(&mut self, name: &str) -> io::Result<Self::File>;
    /// Renames a file, in place of the file that has the new name.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Gives a file a second name.
    fn link(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; a missing file is no error.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Makes the names of the directory durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Returns false if the name belongs to another file than this open one, or to none: a program has removed it.
    fn holds(&self, name: &str, file: &Self::File) -> bool;
    /// Returns the bytes that can still be written; `None` if the file system does not report them.
    fn free(&self) -> Option<u64>;
}

/// A file open for appending.
pub(super) trait DiskFile {
    /// Appends all bytes; a failed call may have appended some of them.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes the content and the length durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Truncates the file to this length.
    fn set_len(&mut self, length: u64) -> io::Result<()>;
}

/// A real directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    writable: bool,
}

impl Directory {
    /// Creates a view of a directory that this process has locked.
    pub(super) fn new(path: &Path) -> Directory {
        Directory { path: path.to_owned(), writable: true }
    }

    /// Creates a view that rejects every change, for a directory without a lock by this process.
    pub(super) fn read_only(path: &Path) -> Directory {
        Directory { path: path.to_owned(), writable: false }
    }

    /// Creates the directory, with mode 0700, and its missing parents. Returns a warning if the directory exists and is
    /// open to other users; fails if it belongs to a user other than root and the agent's.
    pub(super) fn prepare(path: &Path) -> io::Result<Option<String>> {
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            // A power cut must not lose the new name. If the sync fails here, the first append fails as well and
            // reports it.
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                let _ = File::open(parent).and_then(|parent| parent.sync_all());
            }
            return Ok(None);
        }
        check_owner(path)?;
        let others = fs::metadata(path)?.mode() & 0o077;
        if others == 0 {
            return Ok(None);
        }
        // A package may have created the directory with other rights, which an empty one gets corrected. A directory
        // with files may be any, such as `/etc` by mistake, and keeps its rights; the files of the store are for their
        // owner only in any case.
        let empty = fs::read_dir(path)?.next().is_none();
        if empty && fs::set_permissions(path, fs::Permissions::from_mode(0o700)).is_ok() {
            return Ok(None);
        }
        Ok(Some(format!("the state directory {} is open to other users; `chmod 700` it", path.display())))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Fails if this view is read-only.
    fn writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::ReadOnlyFilesystem.into()) }
    }
}

/// Fails if a state directory belongs to a user other than root and that of this process.
pub fn check_owner(path: &Path) -> io::Result<()> {
    // The link as well as the directory: in a directory such as `/tmp`, another user could lead the agent to a
    // directory of its choice, or read and replace the stored state.
    for metadata in [fs::symlink_metadata(path)?, fs::metadata(path)?] {
        let owner = metadata.uid();
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            let text = format!("it belongs to another user, with the number {owner}");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
    }
    Ok(())
}

/// Returns the options for files of the state directory: they are for their owner only, since they hold passwords.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

impl Disk for Directory {
    type File = File;

    fn read(&mut self, name: &str) -> io::Result<Box<dyn BufRead + '_>> {
        Ok(Box::new(BufReader::new(File::open(self.path(name))?)))
    }

    fn create(&mut self, name: &str) -> io::Result<File> {
        // Removed, not truncated: the file may have a second name, `journal.old`, which must keep its content.
        self.remove(name)?;
        private().append(true).create_new(true).open(self.path(name))
    }

    fn open(&mut self, name: &str) -> io::Result<File> {
        self.writable()?;
        private().append(true).open(self.path(name))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        fs::rename(self.path(from), self.path(to))
    }

    fn link(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        fs::hard_link(self.path(from), self.path(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.writable()?;
        match fs::remove_file(self.path(name)) {
            // A power cut may have removed the file already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn holds(&self, name: &str, file: &File) -> bool {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        match (fs::metadata(self.path(name)), file.metadata()) {
            (Ok(named), Ok(open)) => identity(named) == identity(open),
            (Err(error), _) => error.kind() != io::ErrorKind::NotFound,
            // An error of the file itself shows again, with its reason, in the write that follows.
            _ => true,
        }
    }

    fn free(&self) -> Option<u64> {
        let figures = rustix::fs::statvfs(&self.path).ok()?;
        // Some file systems in user space report no size at all, which does not mean that they are full.
        (figures.f_blocks > 0).then(|| figures.f_bavail.saturating_mul(figures.f_frsize))
    }
}

/// Returns true if a write failed for want of room: on the file system, in a quota, or below a limit on the size of files.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        // `fdatasync` writes the length as well, and spares the flash the time of the last change.
        self.sync_data()
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }
}
