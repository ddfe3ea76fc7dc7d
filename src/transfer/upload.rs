//! PUT: a file of this device to the file server (R241).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::fs::OFlags;
use ureq_proto::http::Method;

use super::error::{FaultContext, TransferError};
use super::file_request::FileRequest;
use super::file_server::FileServer;
use super::progress::Progress;
use crate::http::{BodyStream, HttpError, RequestBody};

/// Sends the file `from` to the URL, and returns once the server has confirmed that it has the whole file. `from` must
/// be a regular file and no link.
///
/// The size is taken at the start: of a log that grows during the upload, the part that existed then is sent. A broken
/// upload is not resumed, since HTTP has no means for it.
pub fn upload(
    request: &FileRequest,
    from: &Path,
    progress: &Progress,
    stop: &Arc<AtomicBool>,
) -> Result<(), TransferError> {
    let mut outgoing = OutgoingFile::open(from, progress)
        .map_err(|error| TransferError::of_disk(FaultContext::Upload, "reading the file to be uploaded", &error))?;
    let mut server =
        FileServer::open(request, &request.url, stop).map_err(|error| FaultContext::Upload.error(error))?;
    let fields = [("Content-Type", "application/octet-stream")];
    let result = server.request(&Method::PUT, &fields, Some(RequestBody::Stream(&mut outgoing)));
    // A failure of the disk takes precedence: the server only sees a request that ends early.
    match (result, outgoing.failure) {
        (_, Some(failure)) => {
            Err(TransferError::of_disk(FaultContext::Upload, "reading the file to be uploaded", &failure))
        }
        (Ok(response), None) => {
            match response.status {
                // Other statuses of success, such as 202, do not confirm that the file is stored.
                200 | 201 | 204 => Ok(()),
                code => Err(server
                    .error(FaultContext::Upload, HttpError::Status { code, retry_after: None, text: String::new() })),
            }
        }
        (Err(error), None) => Err(server.error(FaultContext::Upload, error)),
    }
}

/// The file that is being sent.
#[derive(Debug)]
struct OutgoingFile<'a> {
    file: File,
    length: u64,
    progress: &'a Progress,
    /// The failure of our own disk. It is kept here because the HTTP client only reports an error of its own kind.
    failure: Option<io::Error>,
}

impl OutgoingFile<'_> {
    fn open<'a>(from: &Path, progress: &'a Progress) -> io::Result<OutgoingFile<'a>> {
        // NOFOLLOW: a link could lead to a file with secrets. NONBLOCK: to open a pipe without a writer would wait for
        // ever.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(from)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        progress.begins_at(0, Some(metadata.len()));
        Ok(OutgoingFile { file, length: metadata.len(), progress, failure: None })
    }

    /// Keeps a failure of the disk, and returns the error that ends the request.
    fn failed(&mut self, error: io::Error) -> HttpError {
        let text = HttpError::Io(error.to_string());
        self.failure = Some(error);
        text
    }
}

impl BodyStream for OutgoingFile<'_> {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&mut self, piece: &mut [u8]) -> Result<usize, HttpError> {
        loop {
            match self.file.read(piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
                Ok(length) => return Ok(length),
            }
        }
    }

    fn sent(&mut self, bytes: usize) {
        self.progress.advance(bytes as u64);
    }

    fn rewind(&mut self) -> Result<(), HttpError> {
        self.progress.begins_at(0, Some(self.length));
        self.file.rewind().map_err(|error| self.failed(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_nothing_but_regular_files() {
        let directory = tempfile::tempdir().expect("a directory");
        let progress = Progress::new();
        let file = directory.path().join("config");
        std::fs::write(&file, "abc").expect("a file");
        assert_eq!(OutgoingFile::open(&file, &progress).expect("a regular file").length, 3);
        assert_eq!(progress.moved().total, Some(3));

        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        for other in [&link, directory.path(), Path::new("/dev/null"), &directory.path().join("missing")] {
            assert!(OutgoingFile::open(other, &progress).is_err(), "{}", other.display());
        }
    }
}
