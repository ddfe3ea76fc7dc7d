//! The room for a downloaded file: that of the file system, and on a RAM disk that of the memory as well.

use std::fs;
use std::io;
use std::path::Path;

/// The bytes that a download leaves free on the file system: the journal may be on the same one.
pub(super) const DISK_RESERVE: u64 = 256 * 1024;

/// The bytes of memory that a download to a RAM disk leaves available: the agent, the action and the other programs need
/// them, and a kernel with less begins to thrash.
const MEMORY_RESERVE: u64 = 2 * 1024 * 1024;

/// The file systems whose files lie in memory, by their magic numbers in `linux/magic.h`: tmpfs and ramfs.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// The room for a file at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// The free bytes of the file system; `None` if it has no limit of its own.
    disk: Option<u64>,
    /// The bytes of memory that programs can still get; `None` for a file system that takes no memory.
    memory: Option<u64>,
}

impl Room {
    /// Returns the room in a directory.
    pub(super) fn of(directory: &Path) -> io::Result<Room> {
        let kind = rustix::fs::statfs(directory)?;
        // The type of the field differs between the platforms, and is 32 bits with a sign on some of them.
        let is_in_memory = IN_MEMORY.contains(&(kind.f_type as u64 & 0xffff_ffff));
        // ramfs, and tmpfs without a size, count no blocks: 0 there does not mean that the disk is full.
        let has_limit = !is_in_memory || kind.f_blocks > 0;
        let disk = if has_limit { Some(free_space(directory)?) } else { None };
        let memory = is_in_memory.then(|| fs::read_to_string("/proc/meminfo").ok()).flatten();
        Ok(Room { disk, memory: memory.and_then(|text| available_memory(&text)) })
    }

    /// Fails with the reason if so many more bytes do not fit and leave the reserve to other programs.
    pub(super) fn check(self, bytes: u64) -> Result<(), String> {
        for (free, reserve, place) in [
            (self.memory, MEMORY_RESERVE, "of memory, in which the transfer directory lies"),
            (self.disk, DISK_RESERVE, "on the file system"),
        ] {
            if let Some(free) = free.filter(|free| bytes.saturating_add(reserve) > *free) {
                // Without a size, the room is checked again and again while bytes arrive.
                let wanted = if bytes == 0 { "more".into() } else { bytes.to_string() };
                let text =
                    format!("{wanted} bytes are to come, {free} are free {place}, and {reserve} of them stay reserved");
                return Err(text);
            }
        }
        Ok(())
    }
}

/// Returns the size of the largest file that a download to this directory may have; `None` without a limit.
pub fn room_for_file(directory: &Path) -> io::Result<Option<u64>> {
    let Room { disk, memory } = Room::of(directory)?;
    let left = [(memory, MEMORY_RESERVE), (disk, DISK_RESERVE)];
    Ok(left.into_iter().filter_map(|(free, reserve)| Some(free?.saturating_sub(reserve))).min())
}

/// Returns the bytes that a user without privileges can still write to the file system of this directory.
pub fn free_space(dir: &Path) -> io::Result<u64> {
    let figures = rustix::fs::statvfs(dir)?;
    Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
}

/// Returns the bytes of memory that programs can get without swapping, from the content of `/proc/meminfo`.
fn available_memory(meminfo: &str) -> Option<u64> {
    let kilobytes = |name| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()
    };
    // Kernels before 3.14 do not estimate it. The caches count as well, since the kernel drops them first.
    let available =
        kilobytes("MemAvailable").or_else(|| Some(kilobytes("MemFree")?.saturating_add(kilobytes("Cached")?)));
    available.map(|available| available.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_room_of_a_directory_that_exists() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(free_space(directory.path()).expect("figures") > 0);
        let free = free_space(directory.path()).expect("figures");
        assert!(room_for_file(directory.path()).expect("figures").is_some_and(|room| room <= free));
        assert!(free_space(&directory.path().join("missing")).is_err());
        assert!(Room::of(&directory.path().join("missing")).is_err());
        // `/dev` and `/dev/shm` are tmpfs wherever the tests run; `/proc` takes no memory.
        assert!(Room::of(Path::new("/dev/shm")).expect("figures").memory.is_some_and(|bytes| bytes > 0));
        assert!(Room::of(Path::new("/proc")).expect("figures").memory.is_none());
    }

    /// A gateway of 32 MB: 23 MB are free on its RAM disk, and 7.9 MB in its memory.
    #[test]
    fn the_lesser_of_disk_and_memory_counts() {
        let room = Room { disk: Some(23_000_000), memory: Some(7_900_000) };
        assert!(room.check(3_000_000).is_ok());
        assert_eq!(
            room.check(12_000_000).expect_err("no room"),
            "12000000 bytes are to come, 7900000 are free of memory, in which the transfer directory lies, and 2097152 of \
             them stay reserved"
        );
        assert!(room.check(7_900_000 - MEMORY_RESERVE).is_ok() && room.check(7_900_001 - MEMORY_RESERVE).is_err());
        let disk = Room { memory: None, ..room };
        assert!(disk.check(12_000_000).is_ok());
        assert_eq!(
            disk.check(u64::MAX).expect_err("no room"),
            "18446744073709551615 bytes are to come, 23000000 are free on the file system, and 262144 of them stay \
             reserved"
        );
        assert!(disk.check(0).is_ok());
        let full = Room { disk: Some(200_000), memory: None };
        assert!(full.check(0).is_err_and(|reason| reason.starts_with("more bytes are to come, 200000 are free on")));
        assert!(Room { disk: Some(1_000_000), memory: Some(u64::MAX) }.check(900_000).is_err());
        assert!(Room { disk: None, memory: None }.check(u64::MAX).is_ok());
    }

    #[test]
    fn available_memory_is_read_from_any_kernel() {
        let new = "MemTotal:   27000 kB\nMemFree:   900 kB\nMemAvailable:    7900 kB\nCached:  5000 kB\n";
        assert_eq!(available_memory(new), Some(7900 * 1024));
        assert_eq!(available_memory("MemFree:  900 kB\nSwapCached: 1 kB\nCached:  5000 kB\n"), Some(5900 * 1024));
        for damaged in ["", "MemAvailable:\n", "MemAvailable: x kB\n", "MemFree: 3 kB\n"] {
            assert_eq!(available_memory(damaged), None, "{damaged:?}");
        }
    }
}
