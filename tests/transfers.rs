//! File transfers by the real binary: an ACS that asks for them, a file server that they go to, actions that leave traces.

#![allow(clippy::disallowed_methods)] // these tests have clocks and wait

#[path = "transfers/bench.rs"]
mod bench;
#[path = "transfers/downloads.rs"]
mod downloads;
#[path = "transfers/firmware.rs"]
mod firmware;
#[path = "transfers/local.rs"]
mod local;
#[path = "transfers/memory.rs"]
mod memory;
#[path = "transfers/queue.rs"]
mod queue;
mod support;
#[path = "transfers/uploads.rs"]
mod uploads;
