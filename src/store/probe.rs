//! A write test of a state directory, for a command that runs beside an agent.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::disk::private;
use super::journal::{JOURNAL, SLACK};

/// The name of the file that the test writes and removes. No other part of the store reads it.
const PROBE: &str = "write-test";
/// The bytes that the test writes: a block of most file systems, so that a full one refuses them.
const PROBE_SIZE: usize = 4096;

/// The room of a state directory that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The bytes that can still be written; `None` if the file system does not report them.
    pub free: Option<u64>,
    /// The free bytes below which the agent stores no record, since the journal could not be rewritten any more.
    pub needed: u64,
    /// The files that can still be created; `None` if the file system has no limit of its own.
    pub inodes: Option<u64>,
}

/// Writes, syncs and removes a file in a directory, and returns its room. The journal is not touched.
///
/// # Errors
/// The file cannot be written.
pub fn probe(directory: &Path) -> io::Result<Room> {
    let figures = rustix::fs::statvfs(directory)?;
    let path = directory.join(PROBE);
    // A test that was killed has left its file.
    let _ = fs::remove_file(&path);
    let written = private().write(true).create_new(true).open(&path).and_then(|mut file| {
        file.write_all(&[0; PROBE_SIZE])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    written.and(removed)?;
    let journal = fs::metadata(directory.join(JOURNAL)).map_or(0, |metadata| metadata.len());
    Ok(Room {
        free: (figures.f_blocks > 0).then(|| figures.f_bavail.saturating_mul(figures.f_frsize)),
        // The rule of the journal, for a record of the size of the test.
        needed: journal.saturating_add(SLACK).saturating_add(2 * PROBE_SIZE as u64),
        inodes: (figures.f_files > 0).then_some(figures.f_favail),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_leaves_no_file() {
        let home = tempfile::tempdir().expect("a directory");
        fs::write(home.path().join(JOURNAL), [0; 1000]).expect("a file");
        fs::write(home.path().join(PROBE), "left behind").expect("a file");
        let room = probe(home.path()).expect("a directory that can be written");
        assert_eq!(room.needed, 1000 + SLACK + 8192);
        assert!(room.free.is_some_and(|free| free > 0));
        assert_eq!(fs::read_dir(home.path()).expect("a directory").count(), 1);
        probe(&home.path().join("missing")).expect_err("no directory");
    }
}
