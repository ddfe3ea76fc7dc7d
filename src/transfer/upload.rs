//! PUT: a file of ours to the file server (R241).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::fs::OFlags;
use ureq_proto::http::Method;

use super::error::{TransferError, TransferStage};
use super::file_request::FileRequest;
use super::file_server::FileServer;
use super::progress::Progress;
use crate::http::{BodyStream, HttpError, RequestBody};

/// Sends the file `from`, which must be a regular file and no link, to the URL; returns once the server has confirmed
/// that it has it.
///
/// The size is taken at the start: a log that grows meanwhile is sent as long as it was then. An upload that breaks is
/// not resumed: HTTP has no way to.
pub fn upload(
    request: &FileRequest,
    from: &Path,
    progress: &Progress,
    stop: &Arc<AtomicBool>,
) -> Result<(), TransferError> {
    let mut outgoing = OutgoingFile::open(from, progress)
        .map_err(|error| TransferError::of_disk(TransferStage::Upload, "reading the file to be uploaded", &error))?;
    let mut server =
        FileServer::open(request, &request.url, stop).map_err(|error| TransferStage::Upload.error(error))?;
    let fields = [("Content-Type", "application/octet-stream")];
    let result = server.request(&Method::PUT, &fields, Some(RequestBody::Stream(&mut outgoing)));
    match (result, outgoing.failure) {
        (_, Some(failure)) => {
            Err(TransferError::of_disk(TransferStage::Upload, "reading the file to be uploaded", &failure))
        }
        (Ok(answer), None) => match answer.status {
            200 | 201 | 204 => Ok(()),
            code => Err(server.error(TransferStage::Upload, HttpError::Status { code, retry_after: None })),
        },
        (Err(error), None) => Err(server.error(TransferStage::Upload, error)),
    }
}

/// The file on its way.
#[derive(Debug)]
struct OutgoingFile<'a> {
    file: File,
    length: u64,
    progress: &'a Progress,
    /// Our disk failed, not the server.
    failure: Option<io::Error>,
}

impl OutgoingFile<'_> {
    fn open<'a>(from: &Path, progress: &'a Progress) -> io::Result<OutgoingFile<'a>> {
        // Neither a link to somebody's secrets nor a pipe that never gives a byte.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(from)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        progress.begins_at(0, Some(metadata.len()));
        Ok(OutgoingFile { file, length: metadata.len(), progress, failure: None })
    }

    fn failed(&mut self, error: io::Error) -> HttpError {
        let words = HttpError::Io(error.to_string());
        self.failure = Some(error);
        words
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
