//! Standard output: prints the result of a command.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Prints the whole text and returns success, or reports on stderr that it cannot be written and returns failure.
pub(crate) fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // A pipe whose reader has ended is no failure: `cpe-agent get Device. | head -1` must return success.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("cpe-agent: the output cannot be written: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
