//! Files as sources.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;

use super::read_text;
use crate::model::source::provider::COMMANDS;
use crate::model::source::{Answer, excerpt};

/// The time in which a program that writes a file anew fills it again.
const REFILL: Duration = Duration::from_millis(20);

/// Reads a file, or the rows in it.
pub(super) fn read(path: &str, rows: Option<&str>) -> Result<Answer, String> {
    read_beside_writers(path, rows, || std::thread::sleep(REFILL))
}

/// Reads a file, or the rows in it; `wait` gives a writer the time to fill a file that it has just emptied.
fn read_beside_writers(path: &str, rows: Option<&str>, wait: impl FnOnce()) -> Result<Answer, String> {
    let mut text = read_text(path)?;
    // A file that is written anew in its place is empty for a moment, which must not cost all instances.
    if rows.is_some() && text.is_empty() && was_just_written(path) {
        wait();
        text = read_text(path)?;
    }
    Ok(match rows {
        Some(pattern) => Answer::Rows(excerpt::rows(&text, pattern)),
        None => Answer::Text(text),
    })
}

/// Sets the whole text of a file.
pub(super) fn write(path: &str, text: &str, replaces: bool) -> io::Result<()> {
    let text = format!("{text}\n");
    if replaces {
        return replace(Path::new(path), text.as_bytes());
    }
    // Without NONBLOCK, a pipe would block the agent. The kernel takes a setting by one write.
    let options = OFlags::NONBLOCK.bits().cast_signed();
    let mut file = OpenOptions::new();
    // The file of a command is there until the device has obeyed it.
    file.create(path.starts_with(COMMANDS)).mode(0o600);
    let mut file = file.write(true).truncate(true).custom_flags(options).open(path)?;
    match file.write(text.as_bytes())? {
        written if written == text.len() => Ok(()),
        _ => Err(io::Error::other("the text was written in part only")),
    }
}

/// Puts a new file into the place of one that exists, with its mode and owner.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::other("not a file"));
    };
    let before = fs::metadata(&path)?;
    let new = directory.join(format!(".{}.cpe-new", name.to_string_lossy()));
    // A leftover of an earlier write may be a link.
    let _ = fs::remove_file(&new);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).and_then(|mut file| {
        file.write_all(text)?;
        std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))?;
        file.set_permissions(before.permissions())?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&new, &path)) {
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    fs::File::open(directory)?.sync_all()
}

/// Returns true if a regular file was written in the last second.
fn was_just_written(path: &str) -> bool {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file);
    let age = metadata.and_then(|metadata| metadata.modified().ok()?.elapsed().ok());
    age.is_some_and(|age| age < Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::MAX_SIZE;

    #[test]
    fn a_file_is_read_and_a_wrong_one_is_an_error() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let name = path.to_str().expect("a name");
        assert!(read(name, None).unwrap_err().contains("No such file"));
        std::fs::write(&path, b"a 1\nb \xFF\n").expect("written");
        assert_eq!(read(name, None), Ok(Answer::Text("a 1\nb \u{FFFD}\n".into())));
        let Ok(Answer::Rows(rows)) = read(name, Some(r"^(?<key>\S+) (?<n>\d)$")) else { panic!("rows") };
        assert_eq!((rows.len(), rows[0].key.as_str()), (1, "a"));
        std::fs::write(&path, vec![b'x'; MAX_SIZE as usize + 1]).expect("written");
        assert!(read(name, None).unwrap_err().contains("longer than 256 KiB"));
        assert!(read(directory.path().to_str().expect("a name"), None).is_err(), "a directory");
    }

    #[test]
    fn a_file_is_written_or_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let name = path.to_str().expect("a name");
        assert!(write(name, "x", false).is_err() && write(name, "x", true).is_err(), "a missing file stays missing");
        fs::write(&path, "before\n").expect("written");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).expect("rights");
        let before = fs::metadata(&path).expect("a file");
        write(name, "one", false).expect("written");
        assert_eq!(
            (fs::read_to_string(&path).as_deref().ok(), fs::metadata(&path).expect("a file").ino()),
            (Some("one\n"), before.ino())
        );
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        write(link.to_str().expect("a name"), "two", true).expect("replaced");
        let after = fs::metadata(&path).expect("a file");
        assert_eq!(fs::read_to_string(&path).expect("a text"), "two\n");
        assert!(after.ino() != before.ino() && after.mode() == before.mode());
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 2, "no file is left behind");
    }

    #[test]
    fn rows_outlast_the_moment_in_which_a_file_is_written_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        std::fs::write(&path, "").expect("emptied");
        let fill = || std::fs::write(&path, "a\n").expect("filled");
        let rows = read_beside_writers(path.to_str().expect("a name"), Some("^(?<key>.+)$"), fill);
        assert!(matches!(rows, Ok(Answer::Rows(rows)) if rows.len() == 1));
        // A file that stays empty has no rows.
        std::fs::write(&path, "").expect("emptied");
        assert_eq!(read(path.to_str().expect("a name"), Some("^(?<key>.+)$")), Ok(Answer::Rows(Vec::new())));
    }

    #[test]
    fn a_pipe_does_not_block() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        assert_eq!(read_text(path.to_str().expect("a name")).as_deref(), Ok(""), "nobody writes");
    }
}
