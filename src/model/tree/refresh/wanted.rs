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

    /// Returns true if a path is wanted itself, or with everything below an object above it.
    pub(super) fn covers(&self, name: &str) -> bool {
        let has = |path: &str| self.paths.binary_search_by(|wanted| wanted.as_str().cmp(path)).is_ok();
        has("") || has(name) || name.match_indices('.').any(|(dot, _)| has(&name[..=dot]))
    }

    /// Returns true if something at or below a node is wanted. The path of an object ends in a dot.
    pub(super) fn touches(&self, name: &str) -> bool {
        let at = self.paths.partition_point(|wanted| wanted.as_str() < name);
        self.paths.get(at).is_some_and(|wanted| wanted.starts_with(name)) || self.covers(name)
    }
}
