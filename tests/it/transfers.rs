//! File transfers by the real binary: an ACS that asks for them, a file server that they go to, actions that leave traces.

mod downloads;
mod firmware;
mod gateway;
mod local;
mod memory;
mod queue;
mod uploads;

pub(crate) use gateway::{QUIET, TransferGateway, until};
