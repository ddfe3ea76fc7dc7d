//! What commands say on stdout.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Prints the whole of what a command has to say; fails where it cannot be written.
///
/// A pipe whose reader has seen enough, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("cpe-agent: the answer cannot be printed: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
