//! What the ACS asks for and what becomes of it, over restarts, crashes and reboots of the real agent, with both shipped
//! data models.
#![allow(clippy::disallowed_methods)] // tests have clocks and wait for what takes its time

#[path = "rpc/attributes.rs"]
mod attributes;
mod gateway;
#[path = "rpc/inform.rs"]
mod inform;
#[path = "rpc/objects.rs"]
mod objects;
#[path = "rpc/reboot.rs"]
mod reboot;
#[path = "rpc/reset.rs"]
mod reset;
#[path = "rpc/schedule.rs"]
mod schedule;
mod support;
#[path = "rpc/visit.rs"]
mod visit;
