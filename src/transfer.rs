//! Moves one file between the device and a file server: one attempt at a Download or an Upload (R227 to R242).
//!
//! ```text
//!   download ──▶ FileServer ──▶ a file, complete and on disk ──▶ verify ──▶ ready for its action
//!      ▲  broken │ connection
//!      └─ Range ─┘               (as long as each connection brings new bytes, within the attempt's limit)
//!
//!   upload   ──▶ FileServer ──▶ 200, 201 or 204
//!
//!   FileServer   the limits of an attempt                        (file_server.rs)
//!    └─ HttpClient  401, redirects, which connection to use        (../http)
//! ```
//!
//! A file is streamed in pieces of a few kilobytes and never held in memory. Every wait has an end: the silence that a
//! server is allowed, the limit of the whole attempt, and the stop flag.
//!
//! A failed attempt is reported and not repeated (R232). Resuming behind a broken connection is no repetition: the
//! attempt has not failed yet.

mod download;
mod error;
mod file_request;
mod file_server;
mod progress;
mod signature;
mod space;
mod upload;
mod verify;
mod version;

pub use download::{Downloaded, download};
pub use error::TransferError;
pub use file_request::{FileRequest, TransferLimits};
pub use progress::{Moved, Progress};
pub use signature::{PublicKey, Signature};
pub use space::{free_space, room_for_file};
pub use upload::upload;
pub use verify::{Checks, Sha256Sum, fetch_companion, verify, verify_sha256, verify_signature};
