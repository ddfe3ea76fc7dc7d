//! GET: a file from the file server to our disk (R227).
//!
//! ```text
//!          ┌──────────── broken connection, while each brings new bytes ────┐
//!          ▼                                                                 │
//!   ask for the file, or for the rest of it ──▶ 200, or 206 that fits ──▶ receive ──▶ all here: fsync
//!          ▲                                     │ another file, 416
//!          └──────────── start over ─────────────┘
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ureq_proto::http::{Method, header};

use super::error::{FaultContext, TransferError};
use super::file_request::FileRequest;
use super::file_server::FileServer;
use super::progress::Progress;
use super::space::{DISK_RESERVE, Room};
use super::version::FileVersion;
use crate::cwmp::fault::FaultCode;
use crate::http::{HttpError, ResponseHead};
use crate::log;

/// The number of connections in a row without a new byte after which the attempt fails. With pauses of 1, 2, 4, 8 and
/// 16 seconds between them, a server has half a minute to restart, and a DSL line to be set up again.
const MAX_FRUITLESS: u32 = 6;
/// The longest pause, in multiples of the first one.
const MAX_PAUSE: u32 = 16;
/// The number of bytes that are read and written at a time.
const PIECE: usize = 8 * 1024;
/// The number of bytes between two checks of the free space: a part of the reserve, so that it is never used up.
const CHECK_EVERY: u64 = DISK_RESERVE / 4;

/// A downloaded file that is complete and synced to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// The size of the file in bytes.
    pub size: u64,
}

/// Downloads a file to `into`, which must be in a directory that only the agent uses. An earlier file of that name is
/// removed; no link is followed. On success the file is complete, synced to disk, and readable for its owner only
/// (0600). On failure no file is left.
///
/// `expected_size` is FileSize of the request, 0 if it is unknown. It serves only if the server does not send the size,
/// and a wrong one alone is no failure (R235).
///
/// A response with a compression fails, unless it is that of the stored file, as [`is_stored_compressed`] decides.
pub fn download(
    request: &FileRequest,
    into: &Path,
    expected_size: u64,
    progress: &Progress,
    stop: &Arc<AtomicBool>,
) -> Result<Downloaded, TransferError> {
    let server = FileServer::open(request, &request.url, stop).map_err(|error| FaultContext::Download.error(error))?;
    let partial = PartialFile::create(into)
        .map_err(|error| TransferError::of_disk(FaultContext::Download, "creating the file", &error))?;
    progress.begins_at(0, (expected_size > 0).then_some(expected_size));
    let download = Download { request, server, partial, version: None, expected_size, progress, best: 0 };
    let size = download.run()?;
    if expected_size > 0 && size != expected_size {
        log::warn!("the file has {size} bytes, but FileSize is {expected_size}");
    }
    Ok(Downloaded { size })
}

/// A download in progress.
struct Download<'a> {
    request: &'a FileRequest,
    server: FileServer<'a>,
    partial: PartialFile,
    /// The version of the file that the received part belongs to.
    version: Option<FileVersion>,
    expected_size: u64,
    progress: &'a Progress,
    /// The largest length that the file ever had. Only a connection that exceeds it has brought new bytes.
    best: u64,
}

/// A reason for which a connection did not complete the file.
enum Interruption {
    /// The connection broke; another one may bring the rest.
    Broken(TransferError),
    /// The attempt has failed.
    Failed(TransferError),
}

impl Download<'_> {
    /// Connects until the file is complete, as long as the connections bring new bytes.
    fn run(mut self) -> Result<u64, TransferError> {
        let mut fruitless = 0;
        while let Err(interruption) = self.fetch() {
            let error = match interruption {
                Interruption::Failed(error) => return Err(error),
                Interruption::Broken(error) => error,
            };
            fruitless = if self.partial.length > self.best { 0 } else { fruitless + 1 };
            self.best = self.best.max(self.partial.length);
            // An attempt that fails before the first byte counts as failed at once (R232): the ACS decides whether to
            // try again, and may know a better URL by then.
            if self.best == 0 || fruitless >= MAX_FRUITLESS {
                return Err(error);
            }
            log::info!("{error}; connecting again");
            // A redirect may have led to an address that is valid for one request only.
            self.server.hang_up();
            // The pauses grow, so that a server that is restarting is not flooded by its own devices.
            let pause = self.request.limits.pause * (1 << fruitless).min(MAX_PAUSE);
            self.server.pause(pause).map_err(|error| FaultContext::PartialDownload.error(error))?;
        }
        let length = self.partial.length;
        self.partial.complete().map_err(|error| disk_error(&error))?;
        Ok(length)
    }

    /// Fetches the rest of the file, or the whole file, over one connection.
    fn fetch(&mut self) -> Result<(), Interruption> {
        let offset = self.partial.length;
        let known = self.version.clone().filter(|version| offset > 0 && version.can_be_resumed());
        // `If-Range` makes the server send the whole file if it has changed. Without it, the two halves of a file that
        // was replaced in between would be joined.
        let range = format!("bytes={offset}-");
        let mut fields: Vec<(&str, &str)> = Vec::new();
        if let Some(version) = &known {
            fields.push(("Range", &range));
            fields.extend(version.validator().map(|validator| ("If-Range", validator)));
        }
        let mut response = self.server.request(&Method::GET, &fields, None).map_err(|error| self.interrupted(error))?;
        match (response.status, known) {
            (200, _) => self.begin(FileVersion::of(&response.headers, response.length()))?,
            (206, Some(known)) => match known.continued_by(&response.headers, offset) {
                Some(version) => self.resume(version),
                None => return Err(self.changed()),
            },
            // The file on the server is now shorter than the part that we have.
            (416, Some(_)) => return Err(self.changed()),
            (code, _) => {
                return Err(self.interrupted(HttpError::Status { code, retry_after: None, text: String::new() }));
            }
        }
        if let Some(coding) = response.compression() {
            self.check_compression(coding, &response)?;
        }
        self.receive(&mut response)
    }

    /// Fails unless the compression is that of the file as the ACS means it.
    fn check_compression(&self, coding: &'static str, response: &ResponseHead) -> Result<(), Interruption> {
        let content_type = response.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let total = self.version.as_ref().and_then(|version| version.total);
        let has_announced_size = total.is_some_and(|total| total == self.expected_size && total > 0);
        if !has_announced_size && !is_stored_compressed(coding, content_type.unwrap_or_default(), &self.server) {
            return Err(self.interrupted(HttpError::Compressed(coding)));
        }
        log::warn!("the file server sends the file with Content-Encoding {coding}; it is stored as it comes");
        Ok(())
    }

    /// Starts over: the server sends the file from its first byte.
    fn begin(&mut self, version: FileVersion) -> Result<(), Interruption> {
        self.partial.restart().map_err(|error| Interruption::Failed(disk_error(&error)))?;
        self.resume(version);
        Ok(())
    }

    /// Goes on: the server sends the file from the first missing byte.
    fn resume(&mut self, version: FileVersion) {
        let expected = (self.expected_size > 0).then_some(self.expected_size);
        self.progress.begins_at(self.partial.length, version.total.or(expected));
        self.version = Some(version);
    }

    /// Notes that the received part belongs to a file that the server no longer has, so that the next connection asks for
    /// the whole file.
    fn changed(&mut self) -> Interruption {
        self.version = None;
        let sentence = "the file has changed on the server while it was downloaded";
        Interruption::Broken(TransferError::transient(FaultCode::DownloadIncomplete, sentence))
    }

    /// Writes the body of the response to the file.
    fn receive(&mut self, response: &mut ResponseHead) -> Result<(), Interruption> {
        let total = self.version.as_ref().and_then(|version| version.total);
        // FileSize may be wrong (R235), so that it counts only if the server sends no size.
        let size = total.unwrap_or(self.expected_size);
        self.check_room(size.saturating_sub(self.partial.length))?;
        self.server.begin_receiving();
        let mut piece = [0; PIECE];
        let mut check_at = self.partial.length.saturating_add(CHECK_EVERY);
        loop {
            let length = self.server.read(response, &mut piece).map_err(|error| self.interrupted(error))?;
            if length == 0 {
                break;
            }
            self.partial.append(&piece[..length]).map_err(|error| Interruption::Failed(disk_error(&error)))?;
            self.progress.advance(length as u64);
            // Other programs write to the same file system, so that a check at the start alone is not enough. One for
            // each piece would cost as many system calls as the download itself.
            if self.partial.length >= check_at {
                check_at = self.partial.length.saturating_add(CHECK_EVERY);
                self.check_room(0)?;
            }
        }
        match total {
            Some(total) if self.partial.length < total => {
                Err(self.interrupted(HttpError::Io("the answer was cut short".into())))
            }
            // The surplus bytes cannot be told from those of the file, so that the whole is useless.
            Some(total) if self.partial.length > total => {
                let sentence = format!("the server sent more than the {total} bytes that the file has");
                Err(Interruption::Failed(TransferError::transient(FaultCode::DownloadFailure, sentence)))
            }
            _ => Ok(()),
        }
    }

    /// Fails unless so many more bytes fit on the file system and leave a reserve to other programs.
    fn check_room(&self, bytes: u64) -> Result<(), Interruption> {
        // Without the figures, a full disk shows in the write that fails.
        let Ok(room) = Room::of(self.partial.directory()) else { return Ok(()) };
        let Err(reason) = room.check(bytes) else { return Ok(()) };
        let sentence = format!("the file does not fit on the device: {reason}");
        Err(Interruption::Failed(TransferError::transient(FaultCode::DownloadFailure, sentence)))
    }

    /// Decides whether the download can go on after a failed exchange.
    fn interrupted(&self, error: HttpError) -> Interruption {
        let may_be_resumed = match &error {
            HttpError::Closed | HttpError::Io(_) | HttpError::Timeout(_) => true,
            HttpError::Connect { .. } | HttpError::Resolve { .. } | HttpError::Tls(_) => true,
            HttpError::Status { code, .. } => *code >= 500 || *code == 429,
            _ => false,
        };
        // A failure before the first part has a fault code of its own: 9015 instead of 9017 (R252).
        let has_begun = self.best > 0 || self.partial.length > 0 || self.version.is_some();
        if !has_begun {
            return Interruption::Failed(self.server.error(FaultContext::Download, error));
        }
        let is_over = self.server.is_over();
        let error = self.server.error(FaultContext::PartialDownload, error);
        if !may_be_resumed || is_over {
            return Interruption::Failed(error);
        }
        let of_total = self.progress.moved().total.map(|total| format!(" of {total}")).unwrap_or_default();
        let sentence = format!("the download ended after {}{of_total} bytes: {error}", self.partial.length);
        Interruption::Broken(TransferError::transient(error.fault(), sentence))
    }
}

/// Returns true if a file that comes with this `Content-Encoding` is itself compressed, by its name or its type. By RFC 7231
/// §3.1.2.2 the field says that the file was compressed for the transfer; but many servers derive it from the extension
/// `.gz` of the stored file, whose type includes the compression and needs no field. To store a file that a proxy has
/// compressed would hand `fw.bin` in a wrong form to its action.
fn is_stored_compressed(coding: &str, content_type: &str, server: &FileServer<'_>) -> bool {
    let coding = coding.trim_start_matches("x-");
    let extensions: &[&str] = match coding {
        "gzip" => &["gz", "tgz"],
        "compress" => &["z", "taz"],
        "zstd" => &["zst"],
        coding => &[coding],
    };
    let mut words = content_type.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| word.eq_ignore_ascii_case(coding)) || server.names_file_with(extensions)
}

/// Returns the failure of a download whose file cannot be written.
fn disk_error(error: &io::Error) -> TransferError {
    TransferError::of_disk(FaultContext::PartialDownload, "writing the file", error)
}

/// A file that is not complete yet. It is removed with the value unless it was completed.
#[derive(Debug)]
struct PartialFile {
    file: File,
    path: PathBuf,
    length: u64,
    is_complete: bool,
}

impl PartialFile {
    fn create(path: &Path) -> io::Result<PartialFile> {
        // The path is removed and created anew, so that a symbolic link there is removed and its target stays intact.
        // `create_new` fails if another program puts a link there in between.
        remove(path)?;
        // Mode 0600: a vendor configuration file may contain passwords.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(PartialFile { file, path: path.to_owned(), length: 0, is_complete: false })
    }

    /// Writes the next bytes of the file.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length = self.length.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// Drops all bytes, since the server starts over.
    fn restart(&mut self) -> io::Result<()> {
        if self.length > 0 {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.length = 0;
        }
        Ok(())
    }

    /// Makes the file and its name durable.
    fn complete(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        // The name is data of the directory: without this sync, a power cut could leave a journal that names a file
        // which is not there.
        File::open(self.directory())?.sync_all()?;
        self.is_complete = true;
        Ok(())
    }

    /// Returns the directory of the file.
    fn directory(&self) -> &Path {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.is_complete
            && let Err(error) = remove(&self.path)
        {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Removes a file; a missing one is no error.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_partial_file_is_private_and_gone_unless_completed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let mut partial = PartialFile::create(&path).expect("a file");
        partial.append(b"abc").expect("room");
        assert_eq!(fs::metadata(&path).expect("the file").mode() & 0o777, 0o600);
        drop(partial);
        assert!(!path.exists());

        let mut partial = PartialFile::create(&path).expect("a file");
        partial.append(b"abcdef").expect("room");
        partial.restart().expect("a shorter file");
        partial.append(b"xy").expect("room");
        partial.complete().expect("a synced file");
        assert_eq!(fs::read(&path).expect("the file"), b"xy");
    }

    #[test]
    fn a_link_in_its_place_is_removed_and_not_followed() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, secret) = (directory.path().join("file"), directory.path().join("secret"));
        fs::write(&secret, "keep").expect("a file");
        symlink(&secret, &path).expect("a link");
        let mut partial = PartialFile::create(&path).expect("a file of its own");
        partial.append(b"overwritten").expect("room");
        partial.complete().expect("a synced file");
        assert_eq!(fs::read(&secret).expect("the other file"), b"keep");
        assert!(!fs::symlink_metadata(&path).expect("the file").is_symlink());
    }

    /// A write may fail with ENOSPC although the check of the free space succeeded (R235).
    #[test]
    fn a_disk_that_fills_up_is_9010() {
        let file = OpenOptions::new().write(true).open("/dev/full").expect("the full device");
        let path = PathBuf::from("/nonexistent/file");
        let mut partial = PartialFile { file, path, length: 0, is_complete: true };
        let error = disk_error(&partial.append(b"x").expect_err("no room"));
        assert_eq!(error.fault().number(), 9010);
        assert_eq!(error.to_string(), "writing the file: the device has no room left for the file");
    }
}
