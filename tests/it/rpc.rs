//! What the ACS asks for and what becomes of it, over restarts, crashes and reboots of the real agent, with both shipped
//! data models.

mod attributes;
mod gateway;
mod inform;
mod objects;
mod reboot;
mod reset;
mod schedule;
