//! Tests of the files: what is read of a directory that holds anything.

use std::fs;

use super::*;

#[test]
fn a_damaged_file_costs_only_itself() {
    let home = tempfile::tempdir().expect("a directory");
    let directory = home.path();
    assert_eq!(leases(&directory.join("missing")), []);
    fs::write(directory.join("wan"), "requested=43\noption=43=0102\n").expect("a file");
    fs::write(directory.join("eth0"), "option6=17=00\n").expect("a file");
    fs::write(directory.join("half"), "option=43=0\n").expect("a file");
    fs::write(directory.join("binary"), [0xFF, 0]).expect("a file");
    fs::write(directory.join("long"), "\n".repeat(300 << 10)).expect("a file");
    fs::write(directory.join(".new-1"), "option=43=0102\n").expect("a file");
    fs::create_dir(directory.join("directory")).expect("a directory");
    let fifo = std::process::Command::new("mkfifo").arg(directory.join("fifo")).status().expect("mkfifo");
    assert!(fifo.success());
    let found = leases(directory);
    let names: Vec<&str> = found.iter().map(|lease| lease.interface.as_str()).filter(|name| *name != "fifo").collect();
    assert_eq!(names, ["eth0", "wan"]);
    for name in 0..100 {
        fs::write(directory.join(format!("if{name}")), "").expect("a file");
    }
    assert!(leases(directory).len() <= MAX_FILES);
    // A file in place of the directory.
    assert_eq!(leases(&directory.join("wan")), []);
}
