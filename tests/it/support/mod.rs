//! The project's own reference ACS, and the harness that runs the real `cpe-agent` binary against it.
//!
//! Nothing here uses the `cpe_agent` library: digest, SOAP and HTTP are written a second time, so that
//! the ACS checks the agent instead of mirroring its mistakes.
//!
//! ```text
//!   scenario.rs   expected requests, in order          reply.rs      the ACS's replies, proper and broken
//!        │                                                  │
//!        └────────────► acs_state.rs ◄──────────────────────┘   one lock: scenario, sessions, violations
//!                            ▲   │ rules.rs      the requests that a CPE may send, and their order
//!                            │   │ attribution.rs, session_state.rs     the session of a request, and its progress
//!                            │   │ access.rs     401 and the credentials that answer it
//!                            │   ▼
//!   acs.rs ─── listener.rs: a listener, a thread for each connection; http.rs, tls.rs
//!                            │
//!   fleet.rs        an ACS for several gateways at the same time, each with a state of its own
//!   manual_acs.rs   an ACS that the test drives step by step, without scenario or thread
//!   message.rs (reads the CPE's envelopes)     schema_check.rs (checks them against the schema)
//!   envelope.rs, rpc.rs (write the ACS's)      record.rs, transcript.rs (the exchanges, for people)
//!
//!   file_server.rs ── file_spec.rs    a file server, and the files it serves, with their faults
//!        └── file_delivery.rs, file_access.rs    its answers, and its access control
//!   stun_server.rs    the STUN server of an ACS; nat.rs, a NAT before it
//!   connection_request.rs    the ACS's side of a connection request; flood.rs, attackers
//! ```

pub mod access;
pub mod acs;
pub mod acs_state;
pub mod agent;
pub mod attribution;
pub mod connection_request;
pub mod digest;
pub mod envelope;
pub mod fake_clock;
pub mod file_access;
pub mod file_delivery;
pub mod file_server;
pub mod file_spec;
pub mod fleet;
pub mod flood;
pub mod http;
pub mod listener;
pub mod manual_acs;
pub mod message;
pub mod mount;
#[cfg(feature = "diagnostics")]
pub mod name_server;
pub mod nat;
pub mod network;
pub mod options;
pub mod port;
pub mod record;
pub mod reply;
pub mod rpc;
pub mod rules;
pub mod scenario;
pub mod schema_check;
pub mod session_state;
pub mod skip;
pub mod stopwatch;
pub mod stun_server;
pub mod tls;
pub mod transcript;

pub use acs::Acs;
pub use agent::Agent;
pub use connection_request::Caller;
pub use digest::{Algorithm, Challenge, basic, digest, other_scheme};
pub use envelope::Dialect;
pub use file_server::{FileServer, FileServerOptions};
pub use file_spec::{FileSpec, pattern};
pub use fleet::Fleet;
pub use flood::Flood;
pub use manual_acs::{AcsSession, ManualAcs};
pub use message::Message;
pub use mount::Mount;
pub use nat::{Mapping, Nat};
pub use options::{AcsOptions, Closing, Ids};
pub use record::Session;
pub use reply::{
    Reply, drop_connection, drop_mid_body, empty_200, endless, garbage, inform_response, no_content, nothing_more,
    oversized, raw, redirect, silence, soap_fault, status, truncated, unauthorized_again,
};
pub use rpc::{
    Rpc, add_object, cancel_transfer, delete_object, download, factory_reset, get_all_queued_transfers,
    get_parameter_attributes, get_parameter_names, get_parameter_values, get_queued_transfers, get_rpc_methods,
    raw_envelope, raw_rpc, reboot, schedule_download, schedule_inform, set_parameter_attributes, set_parameter_values,
    upload,
};
pub use scenario::{anything, empty_post, fault, inform, response};
pub use stun_server::{StunRequest, StunServer};
pub use tls::{Authority, Flaw, ServerTls, params};
#[allow(unused_imports, reason = "the examples show sessions")]
pub use transcript::{narrated, transcript};
