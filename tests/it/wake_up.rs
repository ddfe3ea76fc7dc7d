//! The ACS wakes the real agent, with both shipped models.

mod port;
mod scenarios;
