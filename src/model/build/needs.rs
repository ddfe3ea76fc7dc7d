//! Reads `needs`: the paths without which a device does not have an object.

use super::{Built, SchemaBuilder};
use crate::model::raw::{Object, Raw};
use crate::model::schema::Omitted;

/// The objects that the agent itself needs.
const ALWAYS_THERE: [&str; 3] = ["", "DeviceInfo", "ManagementServer"];

impl SchemaBuilder<'_> {
    /// Reads `needs` of an object or table. Returns true if the device does not have it.
    pub(super) fn omit(&mut self, raw: &Object<'_>) -> bool {
        let Some(paths) = self.note(self.needed_paths(raw)) else { return false };
        let Some(missing) = paths.into_iter().find(|path| !(self.is_there)(path)) else { return false };
        // The names of nodes need no escapes in a pointer.
        let path = format!("{}.", self.location.pointer[1..].replace('/', "."));
        // An object within one that is left out is left out with it.
        if !self.omitted.iter().any(|omitted| path.starts_with(&omitted.path)) {
            self.omitted.push(Omitted { path, missing: missing.into() });
        }
        true
    }

    fn needed_paths(&self, raw: &Object<'_>) -> Built<Vec<Box<str>>> {
        let paths = match raw.get("needs") {
            None => return Ok(Vec::new()),
            Some(Raw::Text(path)) => vec![path.into()],
            Some(_) => self.texts(raw, "needs")?.into_vec(),
        };
        let wrong = |reason| Err(self.error(raw.file, "/needs", reason));
        let object = self.location.pointer.splitn(3, '/').nth(2).unwrap_or_default();
        if ALWAYS_THERE.contains(&object) {
            return wrong("the agent needs this object on every device");
        }
        match paths.is_empty() || paths.iter().any(|path| !path.starts_with('/')) {
            true => wrong("an absolute path is needed, or a list of them"),
            false => Ok(paths),
        }
    }
}
