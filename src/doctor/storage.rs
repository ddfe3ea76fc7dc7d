//! The write test of the state directory and of the transfer directory, and the room that is left in both.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::effective_state::EffectiveState;
use super::finding::Finding;
use crate::agent::check_transfer_directory;
use crate::config::Config;
use crate::store::{self, Room};
use crate::transfer::room_for_file;

const STATE: &str = "state dir";
const TRANSFERS: &str = "transfer dir";
/// The number of files below which a file system is nearly full: a rewrite of the journal makes one beside the old one.
const FEW_INODES: u64 = 16;

/// Checks both directories. That of transfers is needed only by a data model with actions for files.
pub(super) fn check(config: &Config, state: &EffectiveState) -> Vec<Finding> {
    let mut findings = vec![state_directory(&config.state_dir, state.is_durable())];
    let actions = state.actions();
    if !actions.download.is_empty() || !actions.upload.is_empty() {
        findings.push(transfers(config.transfer_dir.as_deref().unwrap_or(&config.state_dir)));
    }
    findings
}

/// Checks the state directory. `is_durable` is true if the running agent uses it, perhaps as another user.
fn state_directory(path: &Path, is_durable: bool) -> Finding {
    match store::check_owner(path) {
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied
                && !is_durable
                && rustix::process::geteuid().is_root() =>
        {
            let text = format!("{}: {error}; an agent of this user does not use it", path.display());
            Finding::failed(STATE, text)
        }
        _ => directory(STATE, path, assess_state),
    }
}

/// Checks a directory; `assess` turns the room of a directory that can be written into a finding.
fn directory(subject: &'static str, path: &Path, assess: fn(&Path, Room) -> Finding) -> Finding {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(metadata) if is_foreign(metadata.uid()) => {
            let text = format!("{shown} belongs to the user {}: run doctor as that user", metadata.uid());
            Finding::skipped(subject, text)
        }
        Ok(_) => match store::probe(path) {
            Ok(room) => assess(path, room),
            Err(error) => Finding::failed(subject, format!("{shown} cannot be written: {error}")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => missing(subject, path),
        Err(error) => Finding::failed(subject, format!("{shown} cannot be used: {error}")),
    }
}

/// Returns true if this process cannot test a directory of that user: the agent runs as its owner, and not as this user.
fn is_foreign(owner: u32) -> bool {
    let user = rustix::process::geteuid();
    !user.is_root() && owner != user.as_raw()
}

/// Checks that the agent can create a directory, in the nearest parent that exists.
fn missing(subject: &'static str, path: &Path) -> Finding {
    let shown = path.display();
    // The parent of a relative name such as `state` is the empty path, which stands for the working directory.
    let parents =
        path.ancestors().skip(1).map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    let parent = parents.into_iter().find(|parent| parent.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::access(parent, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        Ok(()) => Finding::ok(subject, format!("{shown} is missing; the agent creates it")),
        Err(error) => {
            let reason = io::Error::from(error);
            Finding::failed(subject, format!("{shown} cannot be created in {}: {reason}", parent.display()))
        }
    }
}

fn assess_state(path: &Path, room: Room) -> Finding {
    let shown = path.display();
    let inodes = room.inodes.map_or_else(String::new, |inodes| format!(", {inodes} inodes"));
    let Some(free) = room.free else { return Finding::ok(STATE, format!("{shown}: write test passed{inodes}")) };
    let left = format!("{} kB{inodes} free", free >> 10);
    let needed = room.needed.div_ceil(1024);
    match () {
        () if free < room.needed => {
            let text = format!("{shown}: {left}; the agent stores no record with less than {needed} kB");
            Finding::failed(STATE, text)
        }
        () if free < 2 * room.needed || room.inodes.is_some_and(|inodes| inodes < FEW_INODES) => {
            Finding::warning(STATE, format!("{shown}: write test passed, but only {left}; {needed} kB are needed"))
        }
        () => Finding::ok(STATE, format!("{shown}: write test passed, {left}")),
    }
}

/// Checks the directory of files in transfer.
fn transfers(path: &Path) -> Finding {
    // A directory of another user is that of an agent which runs as that user, and follows the rules for it.
    let is_ours = fs::metadata(path).is_ok_and(|metadata| metadata.uid() == rustix::process::geteuid().as_raw());
    if let Err(error) = if is_ours { check_transfer_directory(path) } else { Ok(()) } {
        return Finding::failed(TRANSFERS, format!("{}/transfers: {error}", path.display()));
    }
    directory(TRANSFERS, path, |path, _| {
        let shown = path.display();
        match room_for_file(path) {
            Ok(None) => Finding::ok(TRANSFERS, format!("{shown}: write test passed")),
            Ok(Some(0)) => Finding::failed(TRANSFERS, format!("{shown}: no room for a file beside the reserve")),
            Ok(Some(bytes)) => {
                Finding::ok(TRANSFERS, format!("{shown}: write test passed, room for a file of {} kB", bytes >> 10))
            }
            Err(error) => Finding::failed(TRANSFERS, format!("{shown}: the room is unknown: {error}")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict;

    #[test]
    fn little_room_is_told() {
        let verdict = |free, inodes| assess_state(Path::new("/d"), Room { free, needed: 30_000, inodes }).verdict;
        assert_eq!(verdict(Some(29_999), None), Verdict::Failed);
        assert_eq!(verdict(Some(59_999), None), Verdict::Warning);
        assert_eq!(verdict(Some(60_000), None), Verdict::Ok);
        assert_eq!(verdict(Some(60_000), Some(15)), Verdict::Warning);
        assert_eq!(verdict(None, None), Verdict::Ok);
        let full = assess_state(Path::new("/d"), Room { free: Some(2048), needed: 30_000, inodes: Some(3) });
        assert_eq!(full.text, "/d: 2 kB, 3 inodes free; the agent stores no record with less than 30 kB");
    }

    #[test]
    fn a_directory_of_another_user_is_refused_unless_the_agent_uses_it() {
        if !rustix::process::geteuid().is_root() {
            return; // only root can give a directory to another user
        }
        let home = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::chown(home.path(), Some(12345), None).expect("another owner");
        let refused = state_directory(home.path(), false);
        assert_eq!(refused.verdict, Verdict::Failed);
        assert!(refused.text.contains("another user, with the number 12345"), "{}", refused.text);
        assert_eq!(state_directory(home.path(), true).verdict, Verdict::Ok);
    }

    #[test]
    fn a_directory_that_is_missing_is_not_created() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a/b");
        assert_eq!(directory(STATE, &path, assess_state).verdict, Verdict::Ok);
        assert!(!home.path().join("a").exists());
        fs::write(home.path().join("file"), "").expect("a file");
        assert_eq!(directory(STATE, &home.path().join("file/x"), assess_state).verdict, Verdict::Failed);
        assert_eq!(directory(STATE, &home.path().join("file"), assess_state).verdict, Verdict::Failed);
    }
}
