//! The part of the model that a request needs from the device.

/// The part of the model that a request needs.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The full names and partial paths, ascending.
    paths: Vec<String>,
    /// True if the request needs values, and not the instances alone.
    pub(super) values: bool,
    /// True if the values are to be changed.
    pub(super) changes: bool,
}

impl Wanted {
    /// Returns the values at and below these paths, and the instances on the way to them.
    pub fn values(mut paths: Vec<String>) -> Wanted {
        paths.sort_unstable();
        Wanted { paths, values: true, changes: false }
    }

    /// Returns the values that are to be changed, with all that their change needs.
    pub fn changes(paths: Vec<String>) -> Wanted {
        Wanted { changes: true, ..Wanted::values(paths) }
    }

    /// Returns the instances at and below these paths.
    pub fn instances(paths: Vec<String>) -> Wanted {
        Wanted { values: false, ..Wanted::values(paths) }
    }

    /// Returns true if the values are to be changed.
    pub fn is_change(&self) -> bool {
        self.changes
    }

    /// Returns true if a path is wanted itself. The empty one stands for the whole model.
    pub(super) fn has(&self, path: &str) -> bool {
        self.paths.binary_search_by(|wanted| wanted.as_str().cmp(path)).is_ok()
    }

    /// Returns true if something below an object is wanted. The path of an object ends in a dot.
    pub(super) fn has_below(&self, object: &str) -> bool {
        let at = self.paths.partition_point(|wanted| wanted.as_str() < object);
        self.paths.get(at).is_some_and(|wanted| wanted.starts_with(object))
    }
}
