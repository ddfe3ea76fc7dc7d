//! One change of a tree, and how the journal writes it.
//!
//! ```text
//! Tree::check_set, check_add, check_delete ──▶ Change ──(journal)──▶ Tree::apply
//! ```
//!
//! The changes are written to the journal between the decision and [`Tree::apply`], so that nothing is promised that a
//! power cut could take back.

use serde_json::{Value as Json, json};

use super::attributes::{Attributes, Notification};
use super::tree::Tree;
use super::value::Value;

/// One change that a [`Tree`] can carry out; names are full and well formed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A parameter gets a value.
    Set(String, Value),
    /// A table (its path, with the dot) gets an instance.
    Add(String, u32),
    /// An instance (its path, with the dot) goes, with everything in it.
    Delete(String),
    /// A parameter gets attributes.
    Attributes(String, Attributes),
    /// Numbers up to this one were given in a table.
    LastNumber(String, u32),
}

impl Change {
    /// What is changed: a parameter, a table or an instance.
    pub fn name(&self) -> &str {
        match self {
            Change::Set(name, _) | Change::Attributes(name, _) => name,
            Change::Add(path, _) | Change::Delete(path) | Change::LastNumber(path, _) => path,
        }
    }
}

/// How the journal writes a change, and how it is read back.
impl Change {
    /// A JSON list whose first item says what is changed.
    pub fn to_json(&self) -> Json {
        match self {
            Change::Set(name, value) => json!(["=", name, value.to_string()]),
            Change::Add(table, number) => json!(["+", table, number]),
            Change::Delete(instance) => json!(["-", instance]),
            Change::Attributes(name, attributes) => {
                json!(["@", name, attributes.notification as u8, attributes.subscriber])
            }
            Change::LastNumber(table, last) => json!(["#", table, last]),
        }
    }

    /// Reads a change against the model of today: it may have lost the parameter, or have a new type for it.
    pub fn from_json(json: &Json, tree: &Tree) -> Result<Change, String> {
        let field = |at: usize| json.get(at).ok_or("incomplete");
        let text = |at: usize| field(at)?.as_str().ok_or("not a string");
        let number = |at: usize| field(at)?.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or("not a number");
        let name = text(1)?.to_owned();
        match text(0)? {
            "=" => {
                let parameter = tree.parameter(&name).map_err(|e| format!("{name}: {e}"))?;
                let value = parameter.spec.parse(text(2)?).map_err(|e| format!("{name}: {e}"))?;
                Ok(Change::Set(name, value))
            }
            "+" => Ok(Change::Add(name, number(2)?)),
            "-" => Ok(Change::Delete(name)),
            "@" => {
                let notification = Notification::from_number(number(2)?.into()).ok_or("not a notification")?;
                Ok(Change::Attributes(
                    name,
                    Attributes { notification, subscriber: field(3)?.as_bool().ok_or("not a boolean")? },
                ))
            }
            "#" => Ok(Change::LastNumber(name, number(2)?)),
            _ => Err("unknown change".into()),
        }
    }
}
