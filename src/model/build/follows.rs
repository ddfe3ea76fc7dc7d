//! Builds the tables that follow another one: they have its rows with its numbers, and its sources.

use super::source::Frame;
use super::{Built, SchemaBuilder, pointer};
use crate::model::path::instance_number;
use crate::model::raw::Object;
use crate::model::schema::{NodeId, Omitted};
use crate::model::source::TableBinding;

/// A table with a source, which other tables can follow.
pub(super) struct Leader<'a> {
    path: String,
    frame: Frame<'a>,
    /// True if its rows come and go by themselves.
    loose: bool,
}

impl<'a> SchemaBuilder<'a> {
    /// Returns the path of the node whose `source` is read. The names of nodes need no escapes in a pointer.
    fn path_above(&self) -> String {
        let pointer = self.location.pointer.trim_end_matches("/source");
        format!("{}.", pointer[1..].replace('/', "."))
    }

    /// Notes the sources of a table for those that follow it. Those within another table have rows of their own for each row of it.
    pub(super) fn lead(&mut self, frame: Frame<'a>, node: NodeId) {
        let path = self.path_above();
        if self.sources.depth() == 0 && !path.contains("{i}") {
            let loose = self.sources.tables.iter().any(|(table, binding)| *table == node && binding.loose);
            self.sources.leaders.push(Leader { path, frame, loose });
        }
    }

    /// Reads a source with `follows`. Returns the sources for the parameters below it.
    pub(super) fn follow(&mut self, source: &Object<'a>, table: &Object<'a>, node: NodeId) -> Built<Frame<'a>> {
        let wrong = |reason: String| Err(self.error(source.file, "/follows", reason));
        let other = source.members().find(|(name, _)| !["follows", "also"].contains(name));
        if let Some((name, _)) = other {
            let reason = "a table that follows another one has the rows and the source of that";
            return Err(self.error(source.file, &pointer(name), reason));
        }
        if self.sources.depth() > 0 {
            return wrong("a table within a table with a source cannot follow another one".to_owned());
        }
        let path = format!("{}.", self.text(source, "follows")?.unwrap_or_default().trim_end_matches('.'));
        let Some(leader) = self.sources.leaders.iter().find(|leader| leader.path == path) else {
            return wrong(format!(
                "`{path}` is no table with a source that comes before this one and is in no other table"
            ));
        };
        if let Some((number, _)) = table.members().find(|(name, _)| instance_number(name).is_some()) {
            return wrong(format!(
                "the instances are those of `{path}`, and an overlay removes the instance {number} by `null`"
            ));
        }
        let frame = leader.frame.clone();
        if let Some(own) = frame.own {
            let follows = Some(path.as_str().into());
            let binding = TableBinding {
                source: own,
                conditions: Box::default(),
                loose: leader.loose,
                pins: Box::default(),
                follows,
                add: None,
            };
            self.sources.tables.push((node, binding));
        }
        // Without the rows of the other table it has none.
        if let Some(omitted) = self.omitted.iter().find(|omitted| path.starts_with(&omitted.path)) {
            let (path, missing) = (self.path_above(), omitted.missing.clone());
            self.nodes[node as usize].is_omitted = true;
            self.omitted.push(Omitted { path, missing });
        }
        Ok(frame)
    }
}
