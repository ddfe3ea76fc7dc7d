//! Rows and fields in answers whose values lie within each other.

use std::borrow::Cow;

use super::{Missing, RefreshWalk, Rows};
use crate::model::source::blob::{Blob, Value};
use crate::model::source::path::{ITSELF, Step, each, field, find, rows};
use crate::model::source::{Argument, Call, Location, Pick, SourceId, Target, is_object_name};

/// Takes a row: its key, its digest, and the function that returns the texts of its fields.
type Add<'a, 't> = &'a mut dyn FnMut(Cow<'t, str>, u32, &dyn Fn(&str) -> Option<Cow<'t, str>>);

impl<'t> RefreshWalk<'t> {
    /// Fills in a call.
    pub(super) fn call(&mut self, call: &'t Call) -> Result<Target, Missing> {
        let object = self.fill(&call.object)?;
        // Another text would name several objects, or none.
        if !is_object_name(&object) {
            return Err(Missing::Absent);
        }
        let mut args = Vec::new();
        for (name, argument) in &call.args {
            let argument = match argument {
                Argument::Text(text) => Argument::Text(self.fill(text)?.into_owned()),
                Argument::Whole(number) => Argument::Whole(*number),
                Argument::Boolean(flag) => Argument::Boolean(*flag),
                // The loader gives no source such an argument.
                Argument::Table(_) => return Err(Missing::Absent),
            };
            args.push((name.to_string(), argument));
        }
        Ok(Target::Ubus {
            object: object.into_owned(),
            method: call.method.to_string(),
            args,
            is_optional: call.is_optional,
        })
    }

    /// Returns the parts of an answer that have the fields or rows of a call: the first one for a call without rows.
    pub(super) fn parts(&mut self, id: SourceId, call: &'t Call, blob: &'t Blob) -> Result<Vec<Value<'t>>, Missing> {
        let below = self.leave_rows(id);
        let steps: Result<Vec<Step<Cow<'t, str>>>, Missing> =
            call.part.iter().map(|step| step.map(|text| self.fill(text))).collect();
        self.above.extend(below);
        let steps = steps?;
        // A filled-in text is no path any more: the name of a link may have a dot.
        let steps: Vec<Step<&str>> = steps.iter().map(Step::as_str).collect();
        let mut parts = Vec::new();
        match self.bindings.source(id).pick {
            Pick::Row(_) => each(blob.root(), &steps, &mut |part| parts.push(part)),
            _ => parts.extend(find(blob.root(), &steps)),
        }
        Ok(parts)
    }

    /// Adds the rows of a table in an answer. Without the part that has the rows, there are none: many programs leave out an
    /// empty list.
    pub(super) fn rows_in_tree(&mut self, id: SourceId, blob: &'t Blob, add: Add<'_, 't>) -> Result<(), Rows> {
        let Location::Ubus(call) = &self.bindings.source(id).location else { return Ok(()) };
        let parts = match self.parts(id, call, blob) {
            Ok(parts) => parts,
            Err(Missing::Pending) => return Err(Rows::Open),
            // An object that the device lacks has no rows.
            Err(Missing::Absent) => Vec::new(),
            Err(Missing::Failed) => return Err(Rows::Settled),
        };
        for part in parts {
            // A scalar in place of a list is no sign that the rows are gone.
            for (key, row) in rows(part, &call.key).ok_or(Rows::Settled)? {
                let text = |name: &str| if name == ITSELF { Some(key.clone()) } else { field(row, name) };
                add(key.clone(), 0, &text);
            }
        }
        Ok(())
    }
}
