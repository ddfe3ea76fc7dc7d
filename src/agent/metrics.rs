//! The file of `--metrics`: written anew while the agent runs, at a bounded rate, and removed at its end.
//!
//! The file is replaced by a rename, so that a reader never sees a part of it. It is not synced: metrics need not survive a
//! power cut, and the file belongs on a RAM disk.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Agent;
use crate::clock::Now;
use crate::log;

/// The least time between two writes. A device with many connection requests must not write for each.
const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// The most time between two writes: the time of the file shows a collector that the agent lives, and the counters change
/// without the agent thread.
const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// The state of the file.
#[derive(Debug, Default)]
pub(super) struct MetricsFile {
    /// The file that holds the metrics; `None` until the first write.
    path: Option<PathBuf>,
    /// The instant of the last attempt, on the monotonic clock; `None` before the first.
    attempted: Option<Duration>,
    /// True if the agent has done something since then.
    is_stale: bool,
    /// The reason why the last attempt failed.
    error: Option<String>,
}

impl MetricsFile {
    /// Notes that the metrics have changed.
    pub(super) fn outdate(&mut self) {
        self.is_stale = true;
    }

    /// Returns the instant of the next write.
    fn due(&self) -> Duration {
        let wait = if self.is_stale { MIN_INTERVAL } else { MAX_INTERVAL };
        self.attempted.map_or(Duration::ZERO, |attempted| attempted.saturating_add(wait))
    }

    /// Replaces the file. An error is logged once, and the next attempt comes in a minute.
    fn write(&mut self, path: &Path, text: &str, now: Duration) {
        self.attempted = Some(now);
        self.is_stale = false;
        if self.path.as_deref().is_some_and(|written| written != path) {
            self.remove();
        }
        let error = replace(path, text).err().map(|error| error.to_string());
        match &error {
            None => self.path = Some(path.to_owned()),
            known if *known == self.error => {}
            Some(reason) => log::warn!("the metrics cannot be written to {}: {reason}", path.display()),
        }
        self.error = error;
    }

    /// Removes the file: its values are out of date.
    pub(super) fn remove(&mut self) {
        if let Some(path) = self.path.take() {
            // A file that stays behind shows its age by its time.
            let _ = fs::remove_file(path);
        }
    }
}

impl Agent {
    /// Writes the metrics, if a file is configured and the next write is due.
    pub(super) fn write_metrics(&mut self, now: Now) {
        match self.metrics_deadline() {
            None => self.metrics.remove(),
            Some(due) if due > now.monotonic => {}
            Some(_) => {
                let text = self.latest_status.metrics();
                if let Some(path) = &self.config.metrics {
                    self.metrics.write(path, &text, now.monotonic);
                }
            }
        }
    }

    /// Returns the instant of the next write; `None` without a configured file.
    pub(super) fn metrics_deadline(&self) -> Option<Duration> {
        self.config.metrics.as_ref().map(|_| self.metrics.due())
    }
}

/// Writes a file beside the named one, and renames it. The collector of another user reads it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    // The collector reads the names that end in `.prom` only.
    name.push(".tmp");
    let temporary = Path::new(&name);
    // A file that an earlier agent has left, or a link: never opened, so that no other file is overwritten.
    let _ = fs::remove_file(temporary);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o644).open(temporary).and_then(|mut file| {
        file.set_permissions(Permissions::from_mode(0o644))?; // whatever the umask
        file.write_all(text.as_bytes())?;
        fs::rename(temporary, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_bounded() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.prom");
        let mut file = MetricsFile::default();
        let at = Duration::from_secs;
        assert_eq!(file.due(), Duration::ZERO);
        file.write(&path, "a 1\n", at(100));
        assert_eq!(file.due(), at(160));
        file.outdate();
        assert_eq!(file.due(), at(110));
        assert_eq!(fs::read_to_string(&path).expect("a file"), "a 1\n");
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o644);
        // Another file after a reload.
        let other = home.path().join("b.prom");
        file.write(&other, "a 2\n", at(110));
        assert!(!path.exists() && other.exists());
        file.remove();
        assert_eq!(fs::read_dir(home.path()).expect("a directory").count(), 0);
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_replaced() {
        let home = tempfile::tempdir().expect("a directory");
        let (path, secret) = (home.path().join("a.prom"), home.path().join("secret"));
        fs::write(&secret, "mine").expect("written");
        for name in ["a.prom", "a.prom.tmp"] {
            std::os::unix::fs::symlink(&secret, home.path().join(name)).expect("a link");
        }
        replace(&path, "a 1\n").expect("written");
        assert_eq!(fs::read_to_string(&secret).expect("a file"), "mine");
        assert!(fs::symlink_metadata(&path).expect("a file").is_file());
    }

    #[test]
    fn a_failure_leaves_no_file_and_is_no_end() {
        let home = tempfile::tempdir().expect("a directory");
        let mut file = MetricsFile::default();
        file.write(&home.path().join("missing/a.prom"), "a 1\n", Duration::ZERO);
        assert!(file.error.is_some() && file.path.is_none());
        let directory = home.path().join("d");
        fs::create_dir_all(directory.join("x")).expect("a directory");
        file.write(&directory, "a 1\n", Duration::ZERO);
        assert!(file.error.is_some());
        assert_eq!(fs::read_dir(home.path()).expect("a directory").count(), 1);
    }
}
