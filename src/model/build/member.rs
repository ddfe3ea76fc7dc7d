//! Reads single members of a node, and rejects those that the node cannot have.

use super::{Built, SchemaBuilder, field::FIELD_MEMBERS, parameter::PARAMETER_MEMBERS, pointer};
use crate::model::raw::{Number, Object, Raw, is_node};
use crate::suggest::hint;

/// The members that an object may have beside its nodes.
pub(super) const OBJECT_MEMBERS: &[&str] = &["access", "needs", "source"];

/// The members that a table may have beside its template and its instances.
pub(super) const TABLE_MEMBERS: &[&str] = &["access", "maxEntries", "needs", "source"];

impl SchemaBuilder<'_> {
    /// Rejects members that are neither nodes nor in `known`.
    pub(super) fn check_members(&self, raw: &Object<'_>, known: &[&str]) {
        for (name, _) in raw.members().filter(|(name, _)| !is_node(name) && !known.contains(name)) {
            // An overlay that means a parameter of an earlier file, but names another node, declares an object: the
            // message names the two likely causes.
            let reason = if known == OBJECT_MEMBERS && PARAMETER_MEMBERS.contains(&name) {
                format!(
                    "this node has no `type`, so it is an object, which takes no `{name}`; is its name misspelt, \
                     or does the file that declares it come later?"
                )
            } else if known.contains(&"also") && FIELD_MEMBERS.contains(&name) {
                "only the source of a parameter has it; is the `type` of this node missing?".to_owned()
            } else {
                format!("an unknown member{}", hint(name, known, "members", ""))
            };
            self.reject(raw.file, &pointer(name), &reason);
        }
    }

    /// Reads `access`; read-only by default.
    pub(super) fn writable(&self, raw: &Object<'_>) -> Built<bool> {
        match self.text(raw, "access")? {
            None | Some("readOnly") => Ok(false),
            Some("readWrite") => Ok(true),
            Some(_) => Err(self.error(raw.file, "/access", "`readOnly` or `readWrite` is needed")),
        }
    }

    /// Reads a string.
    pub(super) fn text<'t>(&self, raw: &Object<'t>, member: &str) -> Built<Option<&'t str>> {
        match raw.get(member) {
            None => Ok(None),
            Some(Raw::Text(text)) => Ok(Some(text)),
            Some(other) => {
                Err(self.error(raw.file, &pointer(member), format!("a string is needed, not {}", other.json_type())))
            }
        }
    }

    /// Reads a list of strings; empty by default.
    pub(super) fn texts(&self, raw: &Object<'_>, member: &str) -> Built<Box<[Box<str>]>> {
        // The tape has no pointer to single items, so that the error names the list.
        let wrong = || self.error(raw.file, &pointer(member), "a list of strings is needed");
        match raw.get(member) {
            None => Ok(Box::default()),
            Some(Raw::List(items)) => items
                .items()
                .map(|item| if let Raw::Text(text) = item { Ok(text.into()) } else { Err(wrong()) })
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    /// Reads a boolean; false by default.
    pub(super) fn flag(&self, raw: &Object<'_>, member: &str) -> Built<bool> {
        match raw.get(member) {
            None => Ok(false),
            Some(Raw::Boolean(flag)) => Ok(flag),
            Some(other) => Err(self.error(
                raw.file,
                &pointer(member),
                format!("true or false is needed, not {}", other.json_type()),
            )),
        }
    }

    /// Reads a whole number.
    pub(super) fn number(&self, raw: &Object<'_>, member: &str) -> Built<Option<i128>> {
        match raw.get(member) {
            None => Ok(None),
            // A fraction or an exponent is no bound: the values themselves are whole numbers or decimals as text.
            Some(Raw::Number(Number::Integer(number))) => Ok(Some(number)),
            Some(other) => Err(self.error(
                raw.file,
                &pointer(member),
                format!("a whole number is needed, not {}", other.json_type()),
            )),
        }
    }

    /// Reads a whole number of 32 bits, such as a length.
    pub(super) fn bound(&self, raw: &Object<'_>, member: &str) -> Built<Option<u32>> {
        match self.number(raw, member)?.map(u32::try_from) {
            None => Ok(None),
            Some(Ok(bound)) => Ok(Some(bound)),
            Some(Err(_)) => Err(self.error(raw.file, &pointer(member), "not a whole number from 0 to 4294967295")),
        }
    }
}
