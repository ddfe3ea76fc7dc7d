//! The content that the file server serves under a path, and the faults with which it serves it.
//!
//! ```ignore
//! server.serves("/fw.bin", FileSpec::sized(2_000_000).etag("\"1\"").drops_after(500_000).times(3));
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The content under a path. A file is served whole, with its length and `Accept-Ranges`, unless the spec says
/// otherwise.
#[derive(Clone, Debug)]
pub struct FileSpec {
    pub(super) kind: FileSpecKind,
    pub(super) framing: Framing,
    /// A false `Content-Length`.
    pub(super) announced: Option<u64>,
    pub(super) ranges: Ranges,
    /// Further header fields, such as `ETag` and `Last-Modified`.
    pub(super) headers: Vec<(String, String)>,
    /// The size of each piece in bytes, and the pause after it.
    pub(super) trickle: Option<(usize, Duration)>,
    pub(super) trouble: Option<Trouble>,
    /// The content for the next request, if another one replaces this.
    pub(super) next: Option<Box<FileSpec>>,
}

#[derive(Clone, Debug)]
pub(super) enum FileSpecKind {
    Content(Content),
    /// Any status, with this body.
    Status(u16, Vec<u8>),
    /// These bytes in place of a response, then the end of the connection.
    Raw(Vec<u8>),
    /// No answer, although the request is read.
    Silence,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Bytes(Arc<Vec<u8>>),
    /// [`pattern`], made while it is sent.
    Pattern(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Sized,
    Chunked,
    UntilClose,
    /// Chunks without end.
    Endless,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ranges {
    Honoured,
    /// Answers every range with 200 and the whole file.
    Ignored,
    /// Answers every range with 416.
    Refused,
    /// Answers with 206 and the requested range shifted by a byte.
    Wrong,
    /// Answers with 206 and at most this number of bytes.
    Rationed(u64),
}

/// An interruption after a number of body bytes, and the number of times that it happens.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) after: u64,
    pub(super) stalls: bool,
    left: Arc<AtomicU32>,
}

impl Trouble {
    /// Returns true if the interruption happens this time too, and counts it.
    pub(super) fn happens(&self) -> bool {
        let take = |left: u32| left.checked_sub(1);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
    }
}

impl FileSpec {
    /// Returns a file with this content.
    pub fn file(content: impl Into<Vec<u8>>) -> FileSpec {
        FileSpec::of(FileSpecKind::Content(Content::Bytes(Arc::new(content.into()))))
    }

    /// Returns a file of this size, filled with [`pattern`]; it takes no memory.
    pub fn sized(size: u64) -> FileSpec {
        FileSpec::of(FileSpecKind::Content(Content::Pattern(size)))
    }

    /// Returns a path that answers with this status.
    pub fn status(code: u16) -> FileSpec {
        FileSpec::of(FileSpecKind::Status(code, b"<html>sorry</html>".to_vec()))
    }

    /// Returns a path that redirects.
    pub fn redirect(code: u16, location: &str) -> FileSpec {
        FileSpec::status(code).header("Location", location)
    }

    /// Answers with these bytes in place of HTTP, and closes the connection.
    pub fn raw(bytes: &[u8]) -> FileSpec {
        FileSpec::of(FileSpecKind::Raw(bytes.to_vec()))
    }

    /// Reads the request and never answers.
    pub fn silence() -> FileSpec {
        FileSpec::of(FileSpecKind::Silence)
    }

    fn of(kind: FileSpecKind) -> FileSpec {
        FileSpec {
            kind,
            framing: Framing::Sized,
            announced: None,
            ranges: Ranges::Honoured,
            headers: Vec::new(),
            trickle: None,
            trouble: None,
            next: None,
        }
    }

    /// Sends the file in chunks of odd sizes, without a length.
    pub fn chunked(mut self) -> FileSpec {
        self.framing = Framing::Chunked;
        self
    }

    /// Sends the file without a length; the end of the connection is its end.
    pub fn until_close(mut self) -> FileSpec {
        self.framing = Framing::UntilClose;
        self
    }

    /// Sends the file in chunks, over and over.
    pub fn endless(mut self) -> FileSpec {
        self.framing = Framing::Endless;
        self
    }

    /// Announces a `Content-Length` that is not that of the file.
    pub fn announces(mut self, length: u64) -> FileSpec {
        self.announced = Some(length);
        self
    }

    pub fn etag(self, etag: &str) -> FileSpec {
        self.header("ETag", etag)
    }

    /// Sends a `Last-Modified` well before now.
    pub fn last_modified(self, date: &str) -> FileSpec {
        self.header("Last-Modified", date).header("Date", "Fri, 13 Nov 2026 12:00:00 GMT")
    }

    pub fn header(mut self, name: &str, value: &str) -> FileSpec {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Answers a range with 200 and the whole file.
    pub fn ignores_ranges(mut self) -> FileSpec {
        self.ranges = Ranges::Ignored;
        self
    }

    /// Answers every range with 416.
    pub fn refuses_ranges(mut self) -> FileSpec {
        self.ranges = Ranges::Refused;
        self
    }

    /// Answers a range with another one.
    pub fn misplaces_ranges(mut self) -> FileSpec {
        self.ranges = Ranges::Wrong;
        self
    }

    /// Answers a range with at most this number of its bytes.
    pub fn rations_ranges(mut self, bytes: u64) -> FileSpec {
        self.ranges = Ranges::Rationed(bytes);
        self
    }

    /// Sends pieces of this number of bytes with a pause after each.
    pub fn trickles(mut self, bytes: usize, pause: Duration) -> FileSpec {
        self.trickle = Some((bytes, pause));
        self
    }

    /// Closes each connection after this number of body bytes, also those of an upload.
    pub fn drops_after(self, bytes: u64) -> FileSpec {
        self.trouble(bytes, false)
    }

    /// Stops sending after this number of body bytes, or stops reading an upload.
    pub fn stalls_after(self, bytes: u64) -> FileSpec {
        self.trouble(bytes, true)
    }

    fn trouble(mut self, after: u64, stalls: bool) -> FileSpec {
        self.trouble = Some(Trouble { after, stalls, left: Arc::new(AtomicU32::new(u32::MAX)) });
        self
    }

    /// Replaces this content from the second request on.
    pub fn then(mut self, next: FileSpec) -> FileSpec {
        self.next = Some(Box::new(next));
        self
    }

    /// Limits the number of times that the interruption happens.
    pub fn times(self, count: u32) -> FileSpec {
        if let Some(trouble) = &self.trouble {
            trouble.left.store(count, Ordering::SeqCst);
        }
        self
    }
}

impl Content {
    pub(super) fn size(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Pattern(size) => *size,
        }
    }

    /// Returns the bytes from `at` on, at most `length`.
    pub(super) fn piece(&self, at: u64, length: usize) -> Vec<u8> {
        let length = length.min(usize::try_from(self.size().saturating_sub(at)).unwrap_or(length));
        match self {
            Content::Bytes(bytes) => {
                let at = usize::try_from(at).expect("it is in memory");
                bytes.get(at..at + length).unwrap_or_default().to_vec()
            }
            Content::Pattern(_) => (at..at + length as u64).map(byte_at).collect(),
        }
    }
}

/// Returns the content of [`FileSpec::sized`], in which no piece is repeated, so that a misplaced piece is noticed.
pub fn pattern(size: u64) -> Vec<u8> {
    (0..size).map(byte_at).collect()
}

fn byte_at(at: u64) -> u8 {
    (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32).to_le_bytes()[0]
}
