//! A single attempt to transfer a file, against a file server with every kind of fault.

mod access;
mod attempt;
mod checks;
mod download;
mod resume;
mod upload;
