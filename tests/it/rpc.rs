//! The requests of the ACS and their effects, over restarts, crashes and reboots of the real agent, with both shipped
//! data models.

mod aliases;
mod attributes;
pub(crate) mod gateway;
mod inform;
mod instance_numbers;
mod objects;
mod reboot;
mod reset;
mod schedule;
mod work;
