//! What the journal needs of a directory, so that tests can make every step of it fail.

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
    /// Opens a file that exists.
    fn open(&mut self, name: &str) -> io::Result<Self::File>;
    /// Gives a file another name, in place of what had it.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Gives a file a second name.
    fn link(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; not there is as good as removed.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Makes names durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file open for appending.
pub(super) trait DiskFile {
    /// Appends all of it, or fails having appended some.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes content and length durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file.
    fn set_len(&mut self, length: u64) -> io::Result<()>;
}

/// A real directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    writable: bool,
}

impl Directory {
    pub(super) fn new(path: &Path) -> Directory {
        Directory { path: path.to_owned(), writable: true }
    }

    /// A view that refuses every change, for a directory that we hold no lock of.
    pub(super) fn read_only(path: &Path) -> Directory {
        Directory { path: path.to_owned(), writable: false }
    }

    /// Creates the directory, for its owner only, with what leads to it. Answers with a word of
    /// warning where one that exists is open to others.
    pub(super) fn prepare(path: &Path) -> io::Result<Option<String>> {
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            // The new name must not be lost with a power cut. What cannot be synced here will
            // fail again, and be told, at the first append.
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                let _ = File::open(parent).and_then(|parent| parent.sync_all());
            }
            return Ok(None);
        }
        let others = fs::metadata(path)?.mode() & 0o077;
        if others == 0 {
            return Ok(None);
        }
        // A package may have made it with other rights; where there is nothing in it yet, it is
        // made right. Otherwise it may be anything, `/etc` by a slip, and is left alone: the
        // files in it are for their owner only in any case.
        let empty = fs::read_dir(path)?.next().is_none();
        if empty && fs::set_permissions(path, fs::Permissions::from_mode(0o700)).is_ok() {
            return Ok(None);
        }
        Ok(Some(format!("the state directory {} is open to other users; `chmod 700` it", path.display())))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::ReadOnlyFilesystem.into()) }
    }
}

/// How files of the state directory are opened for writing: for their owner only.
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
        // Removed, not truncated: the file may still be known under another name.
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
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }
}
