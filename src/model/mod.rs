//! The data model of the device: what may be there, what is there, and how it changes. Knows neither XML nor CWMP.
//!
//! ```text
//! files ──raw──load──build──▶ Schema (what may be there)
//!                        └──▶ Tree   (what is there) ◀──apply── Change ◀──check── transaction
//! ```

pub mod actions;
pub mod attributes;
mod build;
pub mod date_time;
mod intern;
pub mod load;
pub mod path;
mod raw;
pub mod schema;
pub mod transaction;
pub mod tree;
pub mod value;

#[cfg(test)]
mod tests;

pub(crate) use raw::MMAP_THRESHOLD;

pub use load::{COMMAND_LINE, LoadError, Loaded, ModelFile, load};
