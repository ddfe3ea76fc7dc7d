//! The integration tests: the real agent against the reference ACS, and the library's parts against raw sockets.
//!
//! All suites are modules of this one program, so that `support` is compiled and linked once. A suite is chosen by the
//! name of its module: `cargo test --test it session::`.
#![allow(clippy::disallowed_methods, reason = "tests drive the agent from outside: they have clocks and threads")]
#![cfg_attr(
    not(all(feature = "tls", feature = "doctor")),
    allow(dead_code, unused_imports, reason = "tests of TLS and of the command doctor use the rest of `support`")
)]
#![allow(unreachable_pub, reason = "`support` and `gateway` are shared with the examples and the benches")]

#[macro_use]
mod both_models;
mod gateway;
mod support;

mod acsrs;
mod addresses;
mod after_2038;
mod authentication;
mod conformance;
mod connection_request;
mod contact;
mod control;
#[cfg(feature = "diagnostics")]
mod diagnostics;
mod discovery;
mod doctor;
mod documents;
mod emulated;
mod example_acs;
mod failing_storage;
mod files;
mod http;
mod layers;
mod life;
#[cfg(feature = "diagnostics")]
mod lookup;
mod mistakes;
mod model_generator;
mod monitoring;
mod nat;
mod official_models;
mod optional_model;
mod packages;
mod parameters;
mod periodic;
mod persistence;
mod program;

mod redirects;
mod reference_acs;
mod rpc;
mod schemas;
mod session;
mod software;
mod sources;
#[cfg(feature = "diagnostics")]
mod speed;
mod storm;
mod stun;
mod tls;
mod trace;
mod transfer_storm;
mod transfers;
mod udp_wake_up;
mod under_attack;
mod wake_up;
#[cfg(feature = "xmpp")]
mod xmpp;
