//! Lists the tests that this machine could not run, each with its reason, at the end of `cargo test`.
//!
//! No test by itself: cargo runs the test programs in the order of their names, so that this one comes after `it`, whose
//! tests record what they leave out (`tests/it/support/skip.rs`).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn main() {
    // `cargo test -- --list` asks every program for its tests.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped");
    let record = directory.join(std::os::unix::process::parent_id().to_string());
    let text = fs::read_to_string(record).unwrap_or_default();
    // Records of runs that ended before this program are out of date.
    let _ = fs::remove_dir_all(&directory);
    let skipped: BTreeSet<&str> = text.lines().collect();
    if skipped.is_empty() {
        println!("\nThis machine has run every test that was asked for.\n");
        return;
    }
    println!("\nLeft out on this machine, in whole or in part:");
    for line in skipped {
        println!("  {line}");
    }
    println!();
}
