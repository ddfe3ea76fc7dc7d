//! One attempt at one file, against a file server with every bad habit.
#![allow(
    clippy::disallowed_methods, // tests have clocks and threads
    unreachable_pub,
    missing_docs
)]

#[path = "files/access.rs"]
mod access;
#[path = "files/attempt.rs"]
mod attempt;
#[path = "files/checks.rs"]
mod checks;
#[path = "files/download.rs"]
mod download;
#[path = "files/resume.rs"]
mod resume;
mod support;
#[path = "files/upload.rs"]
mod upload;
