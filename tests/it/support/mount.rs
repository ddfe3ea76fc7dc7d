//! File systems: one that can fail, full or read-only; and files that lie over others for one agent alone.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::agent::AgentBuilder;
use super::skip::skip;

/// A separate file system for the state, if the test may mount one.
#[derive(Debug)]
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts an empty file system; records the test as skipped if mounting is not allowed.
    pub fn at(path: PathBuf, options: &str) -> Option<Mount> {
        fs::create_dir_all(&path).expect("a directory");
        let mounted = mount(&["-t", "tmpfs", "-o", options, "none"], &path);
        if !mounted {
            skip("no right to mount a file system, which root has");
        }
        mounted.then(|| Mount(path))
    }

    /// Remounts the file system: `ro` or `rw`.
    pub fn change(&self, how: &str) {
        assert!(mount(&["-o", &format!("remount,{how}")], &self.0), "remount,{how}");
    }

    /// Fills the file system to the last byte.
    pub fn fill(&self) {
        let mut filler = fs::File::create(self.0.join("filler")).expect("a file");
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    /// Deletes the file that [`Mount::fill`] wrote.
    pub fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).expect("the filler");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str], path: &Path) -> bool {
    let output = Command::new("mount").args(arguments).arg(path).output();
    output.is_ok_and(|output| output.status.success())
}

/// Returns an agent in a separate mount namespace, in which these files or directories cover others. Returns `None`,
/// and records the test as skipped, if a namespace is not allowed.
pub fn with_mounts(agent: AgentBuilder, mounts: &[(&Path, &str)]) -> Option<AgentBuilder> {
    let is_there = |(_, place): &(&Path, &str)| Path::new(place).exists();
    if !may_mount() || !mounts.iter().all(is_there) {
        skip("no right to a mount namespace, which root has");
        return None;
    }
    let bind = |(own, place): &(&Path, &str)| format!("mount --bind {} {place}; ", own.display());
    let script = format!("set -e; {}exec \"$@\"", mounts.iter().map(bind).collect::<String>());
    Some(agent.by(&["unshare", "--mount", "sh", "-c", &script, "sh"]))
}

fn may_mount() -> bool {
    Command::new("unshare").args(["--mount", "true"]).output().is_ok_and(|output| output.status.success())
}
