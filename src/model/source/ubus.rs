//! Calls on the bus of OpenWrt.

use super::path::{Step, rows};
use super::query::Argument;
use super::template::{Blank, Template};
use crate::model::source::blob::Value;

/// The arguments of a call, by name.
pub(in crate::model) type Arguments = Box<[(Box<str>, Argument<Template>)]>;

/// A call whose answer has the values.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::model) struct Call {
    /// The name of the object.
    pub(in crate::model) object: Template,
    pub(in crate::model) method: Box<str>,
    pub(in crate::model) args: Arguments,
    /// The path to the part of the answer that has the fields, or the rows.
    pub(in crate::model) part: Box<[Step<Template>]>,
    /// The member of a row that is its key; `.` for its name.
    pub(in crate::model) key: Box<str>,
    /// True if the device may lack the object.
    pub(in crate::model) is_optional: bool,
}

/// A method of the same object by which a field is set.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::model) struct SetCall {
    pub(in crate::model) method: Box<str>,
    /// The arguments but for that of the new text.
    pub(in crate::model) args: Arguments,
    /// The name of the argument that is the new text.
    pub(in crate::model) value: Box<str>,
}

impl Call {
    /// Returns true if the call is the same for all rows of a table.
    pub(super) fn is_constant(&self) -> bool {
        self.call_texts().all(Template::is_constant)
    }

    /// Returns the placeholders of the call and of the part of its answer.
    pub(in crate::model) fn blanks(&self) -> impl Iterator<Item = &Blank> {
        self.call_texts().chain(self.part.iter().flat_map(Step::texts)).flat_map(Template::blanks)
    }

    fn call_texts(&self) -> impl Iterator<Item = &Template> {
        let args = self.args.iter().filter_map(|(_, argument)| match argument {
            Argument::Text(text) => Some(text),
            Argument::Whole(_) | Argument::Boolean(_) | Argument::Table(_) => None,
        });
        std::iter::once(&self.object).chain(args)
    }

    /// Returns the row with this key in a part of the answer that has rows.
    pub(in crate::model) fn row<'a>(&self, part: Value<'a>, key: &str) -> Option<Value<'a>> {
        Some(rows(part, &self.key)?.find(|(found, _)| found == key)?.1)
    }
}

/// Returns true if a text may be the name of an object: others lead to several objects, or to none.
pub(in crate::model) fn is_object_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte))
}
