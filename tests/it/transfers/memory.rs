//! A large file costs no more memory than a small one.

use std::fs;
use std::time::Duration;

use super::gateway::*;
use crate::support::{FileSpec, download};

const SMALL: u64 = 2 << 20;
const LARGE: u64 = 200 << 20;

/// The greatest difference between two runs, by allocator and stacks.
const NOISE: u64 = 256 << 10;

/// Returns the anonymous memory of a process in bytes: allocations and stacks.
fn anonymous(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or("0 kB");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") << 10
}

/// Returns the most memory that the agent has while it downloads, checks and applies a file of this size.
fn most_memory(size: u64) -> u64 {
    let action = format!("\"download\": {{ \"{CONFIG}\": {{ {} }} }}", shell("wc -c < {file} > size"));
    let gateway = TransferGateway::new(&action);
    gateway.files.serves("/f", FileSpec::sized(size));
    gateway.ask(&[download(CONFIG, &gateway.files.url("/f")).with("CommandKey", "k")]);
    let pid = gateway.agent.pid();
    let mut most = 0;
    while gateway.traces("size").is_empty() {
        most = most.max(anonymous(pid));
        std::thread::sleep(Duration::from_millis(1));
    }
    gateway.ends_with(0);
    assert_eq!(gateway.traces("size")[0].trim(), size.to_string());
    assert_eq!(gateway.left_behind(), 0);
    most.max(anonymous(pid))
}

/// The file is never held in memory.
#[test]
fn memory_does_not_grow_with_the_file() {
    let (small, large) = (most_memory(SMALL), most_memory(LARGE));
    println!("2 MB: {} kB, 200 MB: {} kB of anonymous memory", small >> 10, large >> 10);
    assert!(small > 0 && large < small + NOISE, "{large} bytes, and {small} for a small file");
}
