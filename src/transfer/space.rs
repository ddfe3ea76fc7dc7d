//! Room on the file system that files are downloaded to.

use std::io;
use std::path::Path;

/// Left free for others: the journal may live on the same file system, and on a RAM disk a byte of file is a byte of
/// memory.
pub(super) const RESERVE: u64 = 256 * 1024;

/// Bytes that may still be written to the file system of this directory, by a user without privileges.
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
