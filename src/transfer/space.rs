//! The free space of the file system to which files are downloaded.

use std::io;
use std::path::Path;

/// The bytes that a download leaves free: the journal may be on the same file system, and on a RAM disk every byte of a
/// file takes a byte of memory.
pub(super) const RESERVE: u64 = 256 * 1024;

/// Returns the bytes that a user without privileges can still write to the file system of this directory.
pub fn free_space(dir: &Path) -> io::Result<u64> {
    let figures = rustix::fs::statvfs(dir)?;
    Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_room_of_a_directory_that_exists() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(free_space(directory.path()).expect("figures") > 0);
        assert!(free_space(&directory.path().join("missing")).is_err());
    }
}
