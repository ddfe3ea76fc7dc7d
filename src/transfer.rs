//! Moves one file between the device and a file server: one attempt at a Download or an Upload (R227 to R242).
//!
//! ```text
//!   download ──▶ FileServer ──▶ a file, complete and on disk ──▶ verify ──▶ ready for its action
//!      ▲  broken │ connection
//!      └─ Range ─┘               (as long as it comes further, within the attempt's limit)
//!
//!   upload   ──▶ FileServer ──▶ 200, 201 or 204
//!
//!   FileServer   401, redirects, which connection to use          (file_server.rs)
//!    └─ HttpConnection ─ Stream ─ Tcp                                       (the ACS's: acs/)
//! ```
//!
//! A file is streamed in pieces of a few kilobytes and never held in memory. Everything ends: each wait by the silence
//! that a server is allowed, a whole attempt by its limit, both at once by the stop flag. What cannot be interrupted is
//! the system's resolver, which has limits of its own.
//!
//! R232: an attempt that failed is reported and not repeated. Going on behind a broken connection is no repetition:
//! nothing has failed until the attempt has.

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
pub use space::free_space;
pub use upload::upload;
pub use verify::{Checks, Sha256Sum, fetch_companion, verify, verify_sha256, verify_signature};
