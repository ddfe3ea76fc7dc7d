//! Records the tests that this machine cannot run, so that `tests/skipped.rs` lists them at the end of `cargo test`.

use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that names the record to a test program which a test starts.
const RECORD: &str = "CPE_AGENT_SKIPPED";

/// Notes that the running test, or a part of it, is left out, and the reason.
pub fn skip(reason: impl Display) {
    let thread = std::thread::current();
    let line = format!("{}: {reason}\n", thread.name().unwrap_or("a test"));
    // Not eprintln: libtest captures it, and shows it only if the test fails.
    let _ = write!(std::io::stderr(), "SKIPPED: {line}");
    let record = record();
    let opened = fs::create_dir_all(record.parent().unwrap_or(Path::new("."))).and_then(|()| {
        OpenOptions::new().create(true).append(true).open(&record) // tests append at the same time
    });
    if let Ok(mut file) = opened {
        let _ = file.write_all(line.as_bytes());
    }
}

/// Notes that a tool is missing. Where `CPE_AGENT_TOOLS` is `required`, that fails the test instead.
pub fn skip_for_lack_of(tool: impl Display) {
    let required = std::env::var_os("CPE_AGENT_TOOLS").is_some_and(|tools| tools == "required");
    assert!(!required, "{tool} is missing");
    skip(format!("{tool} is missing"));
}

/// Returns true, and records that a part of the test is left out, if the agent runs in an emulator, which lacks this ability.
pub fn emulator_lacks(ability: &str) -> bool {
    let is_emulated = super::agent::is_replaced();
    if is_emulated {
        skip(format_args!("the emulator lacks {ability}"));
    }
    is_emulated
}

/// Lets a test program that a test starts write to the same record.
pub fn share_record(command: &mut Command) -> &mut Command {
    command.env(RECORD, record())
}

/// The record of one run of `cargo test`, told from others by the process that started this program: cargo.
fn record() -> PathBuf {
    let of_this_run = || {
        let directory = option_env!("CARGO_TARGET_TMPDIR").unwrap_or("target/tmp"); // examples are compiled without it
        Path::new(directory).join("skipped").join(std::os::unix::process::parent_id().to_string())
    };
    std::env::var_os(RECORD).map_or_else(of_this_run, PathBuf::from)
}
