//! Files as sources.

use super::read_text;
use crate::model::source::{Answer, excerpt};

/// Reads a file, or the rows in it.
pub(super) fn read(path: &str, rows: Option<&str>) -> Result<Answer, String> {
    let text = read_text(path)?;
    Ok(match rows {
        Some(pattern) => Answer::Rows(excerpt::rows(&text, pattern)),
        None => Answer::Text(text),
    })
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
    fn a_pipe_does_not_block() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        assert_eq!(read_text(path.to_str().expect("a name")).as_deref(), Ok(""), "nobody writes");
    }
}
