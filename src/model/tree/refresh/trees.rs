//! Rows and fields in answers whose values lie within each other.

use std::borrow::Cow;

use super::{Missing, RefreshWalk, Rows};
use crate::model::source::blob::{Blob, Value};
use crate::model::source::path::{ITSELF, Step, find, parse, rows};
use crate::model::source::{Argument, Call, Excerpt, Location, SourceId, Target, is_object_name};

/// Takes a row: its key, its digest, and the function that returns the texts of its fields.
type Add<'a, 't> = &'a mut dyn FnMut(Cow<'t, str>, u32, &dyn Fn(&str) -> Option<Cow<'t, str>>);

impl<'t> RefreshWalk<'t> {
    /// Fills in a call.
    pub(super) fn call(&mut self, call: &Call) -> Result<Target, Missing> {
        let object = self.fill(&call.object)?;
        // Another text would name several objects, or none.
        if !is_object_name(&object) {
            return Err(Missing::Absent);
        }
        let mut args = Vec::new();
        for (name, argument) in &call.args {
            let argument = match argument {
                Argument::Text(text) => Argument::Text(self.fill(text)?),
                Argument::Whole(number) => Argument::Whole(*number),
                Argument::Boolean(flag) => Argument::Boolean(*flag),
                // The loader gives no source such an argument.
                Argument::Table(_) => return Err(Missing::Absent),
            };
            args.push((name.to_string(), argument));
        }
        Ok(Target::Ubus { object, method: call.method.to_string(), args, is_optional: call.is_optional })
    }

    /// Returns the part of an answer that has the fields or rows of a call; `None` if the answer lacks it.
    pub(super) fn part(&mut self, id: SourceId, call: &Call, blob: &'t Blob) -> Result<Option<Value<'t>>, Missing> {
        let below = self.leave_rows(id);
        let steps: Result<Vec<Step<String>>, Missing> =
            call.part.iter().map(|step| step.map(|text| self.fill(text))).collect();
        self.above.extend(below);
        let steps = steps?;
        // A filled-in text is no path any more: the name of a link may have a dot.
        let steps: Vec<Step<&str>> = steps.iter().map(Step::as_str).collect();
        Ok(find(blob.root(), &steps))
    }

    /// Returns the text of a field in an answer.
    pub(super) fn text_in_tree(
        &mut self,
        id: SourceId,
        blob: &'t Blob,
        key: Option<&str>,
        excerpt: &Excerpt,
    ) -> Result<Option<String>, Missing> {
        let (Location::Ubus(call), Excerpt::Name(field)) = (&self.bindings.source(id).location, excerpt) else {
            return Ok(None);
        };
        Ok(self.part(id, call, blob)?.and_then(|part| call.field(part, key, field)))
    }

    /// Adds the rows of a table in an answer. Without the part that has the rows, there are none: many programs leave out an
    /// empty list.
    pub(super) fn rows_in_tree(&mut self, id: SourceId, blob: &'t Blob, add: Add<'_, 't>) -> Result<(), Rows> {
        let Location::Ubus(call) = &self.bindings.source(id).location else { return Ok(()) };
        let part = match self.part(id, call, blob) {
            Ok(Some(part)) => part,
            Ok(None) => return Ok(()),
            Err(Missing::Pending) => return Err(Rows::Open),
            Err(Missing::Absent | Missing::Failed) => return Err(Rows::Settled),
        };
        // A scalar in place of a list is no sign that the rows are gone.
        for (key, row) in rows(part, &call.key).ok_or(Rows::Settled)? {
            let text = |field: &str| match field {
                ITSELF => Some(key.clone()),
                field => find(row, &parse(field).ok()?)?.text(),
            };
            add(key.clone(), 0, &text);
        }
        Ok(())
    }
}
