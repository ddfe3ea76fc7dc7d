//! `cpe-agent`: a small, synchronous TR-069 (CWMP) CPE agent for embedded gateways.
//!
//! Bytes of the ACS pass down through these layers, become changes of the data model, and the response passes up again.
//! A module imports only from layers below it. `ARCHITECTURE.md` has the map, the threads, the errors and a glossary.
//!
//! ```text
//! main.rs  cli  check  doctor           arguments in, exit status out
//! agent                                 the agent thread, which owns everything that can change
//! config                                configuration file and options
//! ──────────────────────────────────── drivers: sockets, files, processes, threads
//! acs  transfer  http  connection_request  control  store  process  log_output  time_zone  …
//! ──────────────────────────────────── protocol: no socket, no file, no clock, no thread
//! cwmp  schedule  stun  digest  url
//! ──────────────────────────────────── model: knows neither XML nor CWMP
//! model
//! ──────────────────────────────────── for every layer
//! secret  json  foreign_text  log  clock::Now
//! ```
//!
//! Time, random bytes and storage are arguments: the layers below the drivers get the time as [`clock::Now`], and never
//! touch a file, so that a test can run them without waiting.
//!
//! # Citations
//!
//! `R145` in a comment is the requirement **R145** of `docs/requirements.md`, where its text and its source stand. Table
//! H1 (events), table R1 (fault codes), table A1 (RPCs) and table Z1 (ManagementServer) stand there too. `A6 §3.7.1.5` is
//! a section of TR-069 Amendment 6 Corrigendum 1, and `T8` its Table 8. `tests/conformance.md` names the tests of each
//! requirement.

pub mod acs;
pub mod agent;
mod awaited;
mod change_watch;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connection_request;
pub mod control;
pub mod cwmp;
pub mod dhcp;
#[cfg(feature = "diagnostics")]
pub mod diagnostics;
pub mod digest;
pub mod discovery;
#[cfg(feature = "doctor")]
pub mod doctor;
mod foreign_text;
pub mod http;
mod json;
mod log;
pub mod log_output;
mod mailbox;
pub mod mistake;
pub mod model;
mod output;
mod poll_thread;
pub mod process;
mod readiness;
#[cfg(feature = "replay")]
pub mod replay;
pub mod schedule;
pub mod secret;
pub mod socket_options;
mod sources;
pub mod store;
pub mod stun;
mod suggest;
mod thread;
pub mod time_zone;
pub mod trace;
pub mod transfer;
pub mod url;
#[cfg(feature = "xmpp")]
mod xmpp;
