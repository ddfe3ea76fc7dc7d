//! The operands of the commands `download`, `upload` and `software`, with the password from its file.

use std::fs::File;
use std::io::Read as _;

use super::operands::Operands;
use crate::control::{LocalTransfer, Request, parse_software};

/// Reads the operands of a transfer.
///
/// # Errors
/// The message for the user.
pub(super) fn transfer(operands: Operands, is_download: bool) -> Result<Request, String> {
    // A password file is read by the client with the rights of its user, never by the agent with its own.
    let transfer = LocalTransfer::parse(is_download, &with_password(operands.any()?)?)?;
    Ok(Request::Transfer(Box::new(transfer)))
}

/// Reads the operands of an operation on software.
///
/// # Errors
/// The message for the user.
pub(super) fn software(operands: Operands) -> Result<Request, String> {
    Ok(Request::Software(Box::new(parse_software(&with_password(operands.any()?)?)?)))
}

/// The number of bytes that are read of a password file. A wrong name such as `/dev/zero` must not fill the memory.
const MAX_PASSWORD_FILE: u64 = 4096;

/// Replaces `password-file=FILE` by `password=` and the first line of that file.
///
/// Every user of the device can read a command line in `/proc`, so a password belongs in a file.
fn with_password(words: Vec<String>) -> Result<Vec<String>, String> {
    let read = |word: String| {
        let Some(file) = word.strip_prefix("password-file=") else { return Ok(word) };
        let mut text = String::new();
        let result = File::open(file).and_then(|open| open.take(MAX_PASSWORD_FILE).read_to_string(&mut text));
        result.map_err(|error| format!("{file} cannot be read: {error}"))?;
        // An editor ends the line with a line break, which is no part of the password.
        Ok(format!("password={}", text.lines().next().unwrap_or_default()))
    };
    words.into_iter().map(read).collect()
}
