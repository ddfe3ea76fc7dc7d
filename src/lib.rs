//! `cpe-agent`: a small, synchronous TR-069 (CWMP) CPE agent for embedded gateways.
//!
//! A house with four floors. Data enters at the roof as bytes, goes down to become meaning, and comes up as bytes
//! again. A room imports only from floors below it.
//!
//! ```text
//! main.rs  cli  config  check  doctor   arguments in, exit code out
//! agent                    the one thread that owns everything that can change
//! ──────────────────────── drivers: sockets, files, processes, threads
//! acs  connection_request  control  transfer  process  readiness  store  log  output  thread  clock  time_zone
//! ──────────────────────── protocol: no socket, no file, no clock, no thread
//! cwmp  schedule  digest  stun  url
//! ──────────────────────── model: knows neither XML nor CWMP
//! model
//! ──────────────────────── what any floor may use
//! secret  clock::Now
//! ```
//!
//! Time, chance and storage are handed in: what is below the drivers is given the time as [`clock::Now`], random bytes
//! as arguments, and never touches a file.

pub mod acs;
pub mod agent;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connection_request;
pub mod control;
pub mod cwmp;
pub mod digest;
#[cfg(feature = "doctor")]
pub mod doctor;
mod json;
pub mod log;
pub mod model;
mod output;
pub mod process;
mod readiness;
pub mod schedule;
pub mod secret;
pub mod store;
pub mod stun;
mod thread;
pub mod time_zone;
pub mod transfer;
pub mod url;
