//! The lines of `set -`, which `get` has printed: those that ask for a change, and those that do not.

use crate::cwmp::device::Device;

/// A line that `get` has printed, against the value of today.
pub(super) enum Printed {
    /// The parameter has this value.
    Present,
    /// The parameter has another value, or its row has gone, and no client can set it.
    ReadOnly,
    /// The value is to be set.
    Other,
}

/// Compares a line that `get` has printed with the parameter.
pub(super) fn compare(device: &Device, path: &str, text: &str) -> Printed {
    let tree = device.tree();
    match tree.parameter(path) {
        // `get` prints hidden values empty, unless it is asked for them.
        Ok(known) if known.spec.hidden && text.is_empty() || known.stored().to_string() == text => Printed::Present,
        _ if tree.schema().description(path).is_some_and(|spec| !spec.writable) => Printed::ReadOnly,
        _ => Printed::Other,
    }
}
