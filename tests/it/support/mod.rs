//! The project's own reference ACS, and the harness that runs the real `cpe-agent` binary against it.
//!
//! Nothing here uses the `cpe_agent` library: digest, SOAP and HTTP are written a second time, so that
//! the ACS checks the agent instead of mirroring its mistakes.
//!
//! ```text
//!   scenario.rs   what a test expects, in order        reply.rs      what the ACS answers (or breaks)
//!        │                                                  │
//!        └───────────────► desk.rs ◄────────────────────────┘   one lock: scenario, sessions, violations
//!                            ▲   │ rules.rs      what a CPE may send, and when
//!                            │   │ attribution.rs, course.rs     which session, and how far it has come
//!                            │   │ access.rs     401 and the credentials that answer it
//!                            │   ▼
//!   acs.rs ─── door.rs: a listener, a thread for each connection; http.rs, tls.rs
//!                            │
//!   line.rs      an ACS led by hand, without scenario or thread
//!   message.rs (reads the CPE's envelopes)     shape.rs (holds them against the schema's shape)
//!   envelope.rs, rpc.rs (write the ACS's)      record.rs, transcript.rs (what happened, for people)
//!
//!   stun_server.rs    the STUN server of an ACS, on its own
//!   file_server.rs ── served.rs    a file server, and what it serves with which bad habits
//!        └── file_delivery.rs, file_access.rs    what it answers, and to whom
//!   stun_server.rs    the STUN server of an ACS; nat.rs, a NAT before it     connection_request.rs    how an ACS asks
//!   flood.rs          those who mean no good
//! ```
#![allow(
    dead_code,       // each test file compiles this module and uses a part of it
    unused_imports,
    unreachable_pub,
    missing_docs,
    clippy::disallowed_methods // the harness is a driver: it has clocks and threads
)]

pub mod access;
pub mod acs;
pub mod agent;
pub mod attribution;
pub mod connection_request;
pub mod course;
pub mod desk;
pub mod digest;
pub mod door;
pub mod envelope;
pub mod file_access;
pub mod file_delivery;
pub mod file_server;
pub mod flood;
pub mod http;
pub mod line;
pub mod message;
pub mod mount;
pub mod nat;
pub mod options;
pub mod port;
pub mod record;
pub mod reply;
pub mod rpc;
pub mod rules;
pub mod scenario;
pub mod served;
pub mod shape;
pub mod stun_server;
pub mod tls;
pub mod transcript;

pub use acs::Acs;
pub use agent::Agent;
pub use connection_request::Caller;
pub use digest::{Algorithm, Challenge, basic, digest, other_scheme};
pub use envelope::Dialect;
pub use file_server::{FileServer, FileServerOptions};
pub use flood::Flood;
pub use line::{Call, Line};
pub use message::Message;
pub use mount::Mount;
pub use nat::{Mapping, Nat};
pub use options::{AcsOptions, Closing, Ids, Refusal};
pub use record::{Exchange, Outcome, Session};
pub use reply::{
    Reply, answer, drop_connection, drop_mid_body, empty_200, endless, garbage, inform_response, no_content,
    nothing_more, oversized, raw, redirect, silence, soap_fault, status, truncated, unauthorized_again,
};
pub use rpc::{
    Rpc, add_object, cancel_transfer, delete_object, download, factory_reset, get_all_queued_transfers,
    get_parameter_attributes, get_parameter_names, get_parameter_values, get_queued_transfers, get_rpc_methods,
    raw_envelope, raw_rpc, reboot, schedule_download, schedule_inform, set_parameter_attributes, set_parameter_values,
    upload,
};
pub use scenario::{Matcher, anything, empty_post, fault, inform, request, response};
pub use served::{Served, pattern};
pub use stun_server::{StunRequest, StunServer};
pub use tls::{Authority, Flaw, ServerTls};
pub use transcript::{narrated, transcript};
