//! A change of a tree, and its form in the journal.
//!
//! ```text
//! Tree::check_set, check_add, check_delete ──▶ Change ──(journal)──▶ Tree::apply
//! ```
//!
//! The changes are written to the journal after the decision and before [`Tree::apply`] and the response, so that a
//! power cut cannot undo a change that was confirmed to the ACS (R171).

use serde_json::Value as Json;

use super::attributes::{Attributes, Notification};
use super::facets::PatternCache;
use super::tree::Tree;
use super::value::Value;

/// A change that a [`Tree`] can apply. Names are full and well formed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Gives the parameter of this name a value.
    Set(String, Value),
    /// Adds the instance of this number to a table, given by its path with the dot.
    Add(String, u32),
    /// Deletes an instance, given by its path with the dot, and everything in it.
    Delete(String),
    /// Gives the parameter of this name attributes.
    Attributes(String, Attributes),
    /// Marks the instance numbers of a table up to this one as used (R218).
    LastNumber(String, u32),
    /// Marks the instance numbers of a table from the first to the last as given to instances that were added (R217).
    Given(String, u32, u32),
    /// Makes the row of the device with this key the instance of this number, which it creates if it is not present. The last
    /// number is the digest of an anonymous row, by which it is found under another key; 0 without one.
    Row(String, u32, Box<str>, u32),
    /// Marks the instance numbers of a table up to this one as used after the next restart. Until then the numbers go on.
    Reserve(String, u32),
}

impl Change {
    /// Returns the name of the parameter, or the path of the table or instance, that is changed.
    pub fn name(&self) -> &str {
        match self {
            Change::Set(name, _) | Change::Attributes(name, _) => name,
            Change::Add(path, _) | Change::Delete(path) | Change::LastNumber(path, _) | Change::Given(path, ..) => path,
            Change::Row(path, ..) | Change::Reserve(path, _) => path,
        }
    }
}

impl Change {
    /// Returns the form in the journal: a JSON list whose first item names the variant.
    pub fn to_json(&self) -> Json {
        // One character for each variant: a journal of a large model has thousands of changes.
        let mut list: Vec<Json> = Vec::with_capacity(5);
        list.push(
            match self {
                Change::Set(..) => "=",
                Change::Add(..) => "+",
                Change::Delete(_) => "-",
                Change::Attributes(..) => "@",
                // The journal is read at a start, where both mean the same.
                Change::LastNumber(..) | Change::Reserve(..) | Change::Given(..) => "#",
                Change::Row(..) => "*",
            }
            .into(),
        );
        list.push(self.name().into());
        match self {
            Change::Set(_, value) => list.push(value.to_string().into()),
            Change::Add(_, number) | Change::LastNumber(_, number) | Change::Reserve(_, number) => {
                list.push((*number).into());
            }
            Change::Delete(_) => {}
            // The number of CWMP, which `from_number` reads back.
            Change::Attributes(_, attributes) => {
                list.extend([(attributes.notification as u8).into(), attributes.subscriber.into()]);
            }
            // An older agent reads it as `LastNumber`.
            Change::Given(_, first, last) => list.extend([(*last).into(), (*first).into()]),
            Change::Row(_, number, key, digest) => {
                list.extend([(*number).into(), (&**key).into()]);
                // An older agent does not read the digest.
                list.extend((*digest != 0).then(|| Json::from(*digest)));
            }
        }
        Json::Array(list)
    }

    /// Reads a change from the journal and checks it against the present model, which may lack the parameter or have
    /// another type for it since an update of its files. The error is the reason, for the log.
    pub fn from_json(json: &Json, tree: &Tree, patterns: &PatternCache) -> Result<Change, String> {
        let field = |at: usize| json.get(at).ok_or("incomplete");
        let text = |at: usize| field(at)?.as_str().ok_or("not a string");
        let number = |at: usize| field(at)?.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or("not a number");
        let name = text(1)?.to_owned();
        match text(0)? {
            "=" => {
                // The journal holds the literal only, so that the type of today decides how it reads.
                let parameter = tree.parameter(&name).map_err(|e| format!("{name}: {e}"))?;
                let value = parameter.spec.parse_with(text(2)?, patterns).map_err(|e| format!("{name}: {e}"))?;
                Ok(Change::Set(name, value))
            }
            "+" if tree.schema().bound_table(&name).is_some() => {
                Err(format!("{name}: its instances are rows of a source"))
            }
            "+" => Ok(Change::Add(name, number(2)?)),
            "*" if tree.schema().bound_table(&name).is_none() => Err(format!("{name}: the table has no source")),
            "*" => Ok(Change::Row(name, number(2)?, text(3)?.into(), number(4).unwrap_or_default())),
            "-" => Ok(Change::Delete(name)),
            "@" => {
                let notification = Notification::from_number(number(2)?.into()).ok_or("not a notification")?;
                Ok(Change::Attributes(
                    name,
                    Attributes { notification, subscriber: field(3)?.as_bool().ok_or("not a boolean")? },
                ))
            }
            // The names of "+", "-", "@" and "#" are checked when the change is applied.
            "#" if json.get(3).is_none() => Ok(Change::LastNumber(name, number(2)?)),
            "#" if (1..=number(2)?).contains(&number(3)?) => Ok(Change::Given(name, number(3)?, number(2)?)),
            _ => Err("unknown change".into()),
        }
    }
}
