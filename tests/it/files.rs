//! One attempt at one file, against a file server with every bad habit.

mod access;
mod attempt;
mod checks;
mod download;
mod resume;
mod upload;
