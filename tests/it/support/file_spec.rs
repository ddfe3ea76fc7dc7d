//! The content that the file server serves under a path, and the faults with which it serves it.
//!
//! ```ignore
//! server.serves("/fw.bin", Served::sized(2_000_000).etag("\"1\"").drops_after(500_000).times(3));
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
    /// A piece of so many bytes, and a pause behind each.
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
    /// Bytes instead of an answer, and the end of the connection.
    Raw(Vec<u8>),
    /// The request is read, and never answered.
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
    /// 200 with the whole file, for every range.
    Ignored,
    /// 416 for every range.
    Refused,
    /// 206 with the requested range shifted by a byte.
    Wrong,
    /// 206, of so many bytes at most.
    Rationed(u64),
}

/// An interruption after so many bytes of the body, and the number of times that it happens.
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
    /// A file.
    pub fn file(content: impl Into<Vec<u8>>) -> FileSpec {
        FileSpec::of(FileSpecKind::Content(Content::Bytes(Arc::new(content.into()))))
    }

    /// A file of that size, filled with [`pattern`]; costs no memory.
    pub fn sized(size: u64) -> FileSpec {
        FileSpec::of(FileSpecKind::Content(Content::Pattern(size)))
    }

    /// No file, but that status.
    pub fn status(code: u16) -> FileSpec {
        FileSpec::of(FileSpecKind::Status(code, b"<html>sorry</html>".to_vec()))
    }

    /// A redirect.
    pub fn redirect(code: u16, location: &str) -> FileSpec {
        FileSpec::status(code).header("Location", location)
    }

    /// Answers with these bytes in place of HTTP, and closes the connection.
    pub fn raw(bytes: &[u8]) -> FileSpec {
        FileSpec::of(FileSpecKind::Raw(bytes.to_vec()))
    }

    /// Takes the request and never says anything.
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

    /// Without a length; the end of the connection is the end of the file.
    pub fn until_close(mut self) -> FileSpec {
        self.framing = Framing::UntilClose;
        self
    }

    /// Sends the file in chunks, over and over.
    pub fn endless(mut self) -> FileSpec {
        self.framing = Framing::Endless;
        self
    }

    /// A `Content-Length` that is not that of the file.
    pub fn announces(mut self, length: u64) -> FileSpec {
        self.announced = Some(length);
        self
    }

    pub fn etag(self, etag: &str) -> FileSpec {
        self.header("ETag", etag)
    }

    /// A date that is well before now.
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

    /// Answers a range with so many bytes of it at most.
    pub fn rations_ranges(mut self, bytes: u64) -> FileSpec {
        self.ranges = Ranges::Rationed(bytes);
        self
    }

    /// Pieces of so many bytes with a pause behind each.
    pub fn trickles(mut self, bytes: usize, pause: Duration) -> FileSpec {
        self.trickle = Some((bytes, pause));
        self
    }

    /// Closes each connection behind so many bytes of its body; of an upload, too.
    pub fn drops_after(self, bytes: u64) -> FileSpec {
        self.trouble(bytes, false)
    }

    /// Says nothing more behind so many bytes of a body; reads no more of an upload.
    pub fn stalls_after(self, bytes: u64) -> FileSpec {
        self.trouble(bytes, true)
    }

    fn trouble(mut self, after: u64, stalls: bool) -> FileSpec {
        self.trouble = Some(Trouble { after, stalls, left: Arc::new(AtomicU32::new(u32::MAX)) });
        self
    }

    /// From the second request on, this is there instead.
    pub fn then(mut self, next: FileSpec) -> FileSpec {
        self.next = Some(Box::new(next));
        self
    }

    /// The trouble comes only so many times.
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

    /// The bytes from `at` on, so many of them as there are up to `length`.
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

/// The content of [`FileSpec::sized`]: no two places look alike.
pub fn pattern(size: u64) -> Vec<u8> {
    (0..size).map(byte_at).collect()
}

fn byte_at(at: u64) -> u8 {
    (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32).to_le_bytes()[0]
}
