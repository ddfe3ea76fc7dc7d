//! STUN as TR-069 Annex G uses it: the public address that leads to the port of UDP connection requests, and the
//! interval of keep-alives that hold the NAT's binding open (R269 to R287).
//!
//! ```text
//!    settings, addresses, datagrams, time ──▶ Binding ── deadline() ──▶ the driver sleeps until then
//!                                               ▲  └──── poll(now) ───▶ Action, one at a time
//!                                               └─ random bytes
//!
//!    Off ──enabled──▶ Retrying ◀──────────── no server answers, or none is known ─────────┐
//!                        │ in time, or resolved                                           │
//!                        ▼                                                                │
//!       ┌──────────▶ Exchanging: bind (0xC001) ─ answer, the same address ──┐             │
//!       │                │    │                                             │             │
//!       │   a new address│    └── 9.5 s of silence, refusal ── next server ─┼─ (none) ────┘
//!       │                ▼                                                  │
//!       │            Exchanging: announce (0xC001 + 0xC002) ── answer ──────┤
//!       │                                                                   ▼
//!       ├────── the interval is over ────────────────────────────────── Idle
//!       │                                                                   │ the time to measure is over
//!       └────── answered, or 9.5 s of silence ──── Exchanging: probe ◀──────┘
//!                                                  from the secondary port
//! ```
//!
//! A request that is answered with 401 is sent once more, signed (R277). The length of the idle time is decided in
//! `keep_alive.rs`, and the bytes are written in [`message`]. This module has no socket, clock or thread.

mod binding;
mod exchange;
mod keep_alive;
pub mod message;
mod settings;
mod status;

pub use binding::Binding;
pub use keep_alive::{KeepAlivePeriods, Search};
pub use settings::{Action, Port, StunServerName, StunSettings};
pub use status::{PublishedBinding, ServerState, StunCounters, StunStatus};
