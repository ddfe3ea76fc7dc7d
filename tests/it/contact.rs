//! The sessions that the real agent starts, their causes, and the actions that follow them.

mod default_connection;
mod delay_reboot;
mod heartbeats;
mod late_network;
mod lightweight;
mod retry_after;
mod scenarios;
mod standby;
