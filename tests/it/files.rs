//! One attempt at one file, against a file server with every bad habit.
#![allow(
    clippy::disallowed_methods, // tests have clocks and threads
    unreachable_pub,
    missing_docs
)]

mod access;
mod attempt;
mod checks;
mod download;
mod resume;
mod upload;
