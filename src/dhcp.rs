//! Leases that the DHCP clients of the device received: a file for each interface, in a directory on a RAM disk.
//!
//! ```text
//! hook of a DHCP client ─▶ cpe-agent dhcp ─┬─▶ DIR/INTERFACE ──────────▶ agent, at its start and at each message
//!                                          └─▶ control socket: message ──┘
//! ```
//!
//! The file precedes the message, so that a lease is not lost that comes before the start of the agent.

#[cfg(feature = "dhcp")]
mod handover;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

#[cfg(feature = "dhcp")]
pub use self::handover::{Handover, run};
use crate::discovery::Lease;
use crate::log;
use crate::store::check_owner;

/// The most bytes of a file: the most that the command writes.
const MAX_FILE: u64 = 256 << 10;
/// The most files that are read: more than a gateway has uplinks.
const MAX_FILES: usize = 32;
/// The end of the name of a file that is being written, which no interface has: a name begins with no dot.
const TEMPORARY: &str = ".new-";

/// Reads the leases of all interfaces, in the order of their names. A file that is damaged costs only itself: it is logged,
/// and left out. A directory that is missing has no leases.
pub(crate) fn leases(directory: &Path) -> Vec<Lease> {
    let names = check_owner(directory).and_then(|()| fs::read_dir(directory)).map(|entries| {
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| !name.starts_with(TEMPORARY)).take(MAX_FILES).collect::<Vec<_>>()
    });
    let mut names = match names {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            log::warn!("the options of DHCP are not read: {}: {error}", directory.display());
            return Vec::new();
        }
    };
    names.sort();
    let read = |name: &String| {
        let lease = text(&directory.join(name)).and_then(|text| Lease::parse(name, text.lines()));
        lease.inspect_err(|reason| log::warn!("{}: {reason}", directory.join(name).display())).ok()
    };
    names.iter().filter_map(read).collect()
}

/// Reads a file. Without NONBLOCK, a pipe would block the agent.
fn text(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let options = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(options).open(file);
    let length = file.and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text)).map_err(|e| e.to_string())?;
    if length as u64 > MAX_FILE { Err(format!("longer than {} KiB", MAX_FILE >> 10)) } else { Ok(text) }
}

#[cfg(test)]
mod tests;
