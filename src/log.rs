//! The macros that log: those of the crate `log`, each compiled to one call of a function.
//!
//! The macros of the crate write target, module and place of the record at each use, which the log of the agent does not show:
//! 60 bytes each on MIPS. A module uses these by `use crate::log;`.

use std::fmt;

pub(crate) use ::log::Level;
use ::log::Record;

/// The target of the agent's own records, by which `log_output` tells them from those of libraries.
pub(crate) const TARGET: &str = "cpe_agent";

/// Returns true if records of this level are written.
pub(crate) fn is_enabled(level: Level) -> bool {
    level <= ::log::max_level()
}

/// Writes a record.
pub(crate) fn write(level: Level, text: fmt::Arguments<'_>) {
    if is_enabled(level) {
        ::log::logger().log(&Record::builder().level(level).target(TARGET).args(text).build());
    }
}

/// Writes a record of the level that the first argument gives.
macro_rules! log {
    ($level:expr, $($text:tt)+) => { $crate::log::write($level, ::std::format_args!($($text)+)) };
}
pub(crate) use log;

/// Writes an error.
macro_rules! error {
    ($($text:tt)+) => { $crate::log::log!($crate::log::Level::Error, $($text)+) };
}
pub(crate) use error;

/// Writes a warning. The name `warn` is that of a built-in attribute, and can only be given by the import.
macro_rules! warning {
    ($($text:tt)+) => { $crate::log::log!($crate::log::Level::Warn, $($text)+) };
}
pub(crate) use warning as warn;

/// Writes a record about the course of things.
macro_rules! info {
    ($($text:tt)+) => { $crate::log::log!($crate::log::Level::Info, $($text)+) };
}
pub(crate) use info;

/// Writes a record for developers. Without the level its arguments are not evaluated.
macro_rules! debug {
    ($($text:tt)+) => {
        if $crate::log::is_enabled($crate::log::Level::Debug) {
            $crate::log::log!($crate::log::Level::Debug, $($text)+)
        }
    };
}
pub(crate) use debug;
