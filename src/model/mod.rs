//! The data model of the device: its schema, its instances and values, and changes of these. It knows neither XML nor
//! CWMP.
//!
//! ```text
//! files ──raw──load──build──▶ Schema  (names, types, access, facets)
//!                        └──▶ Tree    (instances and values) ◀──apply── Change ◀──check── RPC, control socket
//! ```

pub mod actions;
pub mod attributes;
mod build;
pub mod change;
pub mod date_time;
mod expression;
pub mod facets;
mod intern;
mod load;
mod load_error;
pub mod path;
mod raw;
pub mod reloads;
pub mod schema;
pub mod source;
pub mod tree;
pub mod value;

#[cfg(test)]
mod tests;

// The reader of the files reserves as much for a text, which is freed as a whole as well.
pub(crate) use raw::MMAP_THRESHOLD;
// The configuration file is read as the data-model files are.
pub(crate) use raw::{Number, Raw, Tape};

pub use load::{Loaded, load};
pub use load_error::{COMMAND_LINE, ModelFile};
