//! The integration tests: the real agent against the reference ACS, and the library's parts against raw sockets.
//!
//! All suites are modules of this one program, so that `support` is compiled and linked once. A suite is chosen by the
//! name of its module: `cargo test --test it session::`.

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
mod doctor;
mod documents;
mod failing_storage;
mod files;
mod http;
mod layers;
mod life;
mod nat;
mod official_models;
mod packages;
mod parameters;
mod periodic;
mod persistence;
mod program;

mod redirects;
mod reference_acs;
mod rpc;
mod session;
mod storm;
mod stun;
mod tls;
mod transfer_storm;
mod transfers;
mod udp_wake_up;
mod under_attack;
mod wake_up;
