//! STUN as TR-069 Annex G uses it: which public address leads to the port that receives UDP connection
//! requests, and how often that way must be walked for the NAT to keep it open (R269 to R287).
//!
//! ```text
//!    settings, addresses, datagrams, time ──▶ Binding ── deadline() ──▶ the driver sleeps until then
//!                                               ▲  └──── poll(now) ───▶ Action, one at a time
//!                                               └─ random bytes
//!
//!    Off ──enabled──▶ Retrying ◀──────────── no server answers, or none is known ─────────┐
//!                        │ in time, or resolved                                           │
//!                        ▼                                                                │
//!       ┌──────────▶ Exchanging: ask (0xC001) ── answer, the same address ──┐             │
//!       │                │    │                                             │             │
//!       │   a new address│    └── 9.5 s of silence, refusal ── next server ─┼─ (none) ────┘
//!       │                ▼                                                  │
//!       │            Exchanging: announce (0xC001 + 0xC002) ── answer ──────┤
//!       │                                                                   ▼
//!       ├────── the period is over ──────────────────────────────────── Idle
//!       │                                                                   │ the time to measure is over
//!       └────── answered, or 9.5 s of silence ──── Exchanging: probe ◀──────┘
//!                                                  from the secondary port
//! ```
//!
//! A request that is answered with 401 is sent once more, signed (R277). How long to rest is the matter of
//! `keep_alive.rs`, the bytes that of [`message`]. Nothing here has a socket, a clock or a thread.

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
