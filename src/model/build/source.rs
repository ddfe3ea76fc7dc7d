//! Builds sources: the access of a node, and the field of a parameter.

use std::rc::Rc;

use super::follows::Leader;
use super::kind::{COMMON_MEMBERS, KINDS};
use super::ubus::UBUS_MEMBERS;
use super::writing::WRITING_MEMBERS;
use super::{ARE_BUILT, Built, JsonLocation, SchemaBuilder, pointer};
use crate::model::expression;
use crate::model::path::instance_number;
use crate::model::raw::{Object, Raw};
use crate::model::schema::NodeId;
use crate::model::source::provider::Shape;
use crate::model::source::{
    Bindings, Blank, Condition, Field, Location, Mapping, Pick, Source, SourceId, TableBinding, Template,
};

/// The members of the source of an object or table alone.
pub(super) const SOURCE_MEMBERS: [&str; 8] = ["rows", "where", "also", "follows", "identity", "numbers", "add", "name"];

/// The name in placeholders of the nearest source above: `{row:device}` is a field of the row itself.
const ROW: &str = "row";

/// The sources under construction.
#[derive(Default)]
pub(super) struct SourceBuilder<'a> {
    sources: Vec<Source>,
    mappings: Vec<Rc<Mapping>>,
    pub(super) tables: Vec<(NodeId, TableBinding)>,
    /// The tables that others can follow.
    pub(super) leaders: Vec<Leader<'a>>,
    pub(super) fields: Vec<Field>,
    /// The sources that the nodes above have, the outermost first.
    frames: Vec<Frame<'a>>,
    /// The tables of references to rows, and the parameters that name them, with file and pointer, for a check at the end.
    pub(super) paths: Vec<(usize, String, Box<str>, Box<str>)>,
    /// True while the rows of a table are read, which belong to the row above.
    above: bool,
}

/// The sources of one node, for the parameters below it.
#[derive(Clone, Default)]
pub(super) struct Frame<'a> {
    pub(super) own: Option<SourceId>,
    /// The sources of `also`, by name.
    named: Vec<(&'a str, SourceId)>,
    /// True if the node is a table with rows, whose keys fill `{key}`.
    is_table: bool,
    /// True if the source of the node is wrong.
    is_broken: bool,
}

impl SourceBuilder<'_> {
    /// Returns all sources; `None` without any.
    pub(super) fn finish(mut self) -> Option<Box<Bindings>> {
        if self.sources.is_empty() {
            return None;
        }
        self.tables.sort_unstable_by_key(|(node, _)| *node);
        self.fields.sort_unstable_by_key(|field| field.node);
        Some(Box::new(Bindings::new(self.sources, self.tables, self.fields)))
    }

    /// Returns true if the source of a node above is wrong.
    pub(super) fn is_broken(&self) -> bool {
        self.frames.iter().any(|frame| frame.is_broken)
    }

    /// Returns true if the table of this node can get new rows.
    pub(super) fn can_add(&self, node: NodeId) -> bool {
        self.tables.iter().any(|(table, binding)| *table == node && binding.add.is_some())
    }

    /// Returns true if the table of this node has rows.
    pub(super) fn has_table(&self, node: NodeId) -> bool {
        self.tables.iter().any(|(table, _)| *table == node)
    }

    /// Returns the number of tables with rows around the present node.
    pub(super) fn depth(&self) -> usize {
        self.frames.iter().filter(|frame| frame.is_table).count()
    }

    /// Returns the nearest source above, or that of `name` in an `also`.
    pub(super) fn find(&self, name: Option<&str>) -> Option<SourceId> {
        self.frames.iter().rev().find_map(|frame| match name {
            None => frame.own,
            Some(name) => frame.named.iter().find(|(known, _)| *known == name).map(|(_, id)| *id),
        })
    }

    /// Notes that a parameter takes a field from a program, which the program must be asked for by name.
    pub(super) fn ask_program(&mut self, id: SourceId, name: &str) {
        if let Location::Exec { fields, .. } = self.location_mut(id)
            && !fields.iter().any(|field| **field == *name)
        {
            fields.push(name.into());
        }
    }

    /// Adds a source.
    pub(super) fn add(&mut self, source: Source) -> SourceId {
        self.sources.push(source);
        (self.sources.len() - 1) as SourceId
    }

    /// Returns a way to values, which is that of other fields too if it is equal.
    pub(super) fn mapping(&mut self, mapping: Mapping) -> Rc<Mapping> {
        let at = self.mappings.iter().position(|known| **known == mapping).unwrap_or_else(|| {
            self.mappings.push(Rc::new(mapping));
            self.mappings.len() - 1
        });
        Rc::clone(&self.mappings[at])
    }

    /// Returns the source that is equal to this one.
    pub(super) fn find_equal(&self, source: &Source) -> Option<SourceId> {
        self.sources.iter().position(|known| known == source).map(|at| at as SourceId)
    }

    pub(super) fn source_of(&self, id: SourceId) -> &Source {
        &self.sources[id as usize]
    }

    pub(super) fn location(&self, id: SourceId) -> &Location {
        &self.sources[id as usize].location
    }

    pub(super) fn location_mut(&mut self, id: SourceId) -> &mut Location {
        &mut self.sources[id as usize].location
    }

    /// Returns the number of sources that one depends on by placeholders, one on the next. The builder refuses a placeholder
    /// for a source that comes later, so that there is no circle.
    pub(super) fn dependencies(&self, source: &Source) -> usize {
        let deepest = |blanks: &mut dyn Iterator<Item = &Blank>| {
            let depth = |blank: &Blank| match blank {
                Blank::Field(on, _) => Some(1 + self.dependencies(self.source_of(*on))),
                _ => None,
            };
            blanks.filter_map(depth).max()
        };
        let of = |template: &Template| deepest(&mut template.blanks());
        let place = match &source.location {
            Location::File { path, .. } => of(path),
            Location::BuiltIn { argument, .. } => argument.as_ref().and_then(of),
            Location::Exec { .. } | Location::Uci { .. } => None,
            Location::Ubus(call) => deepest(&mut call.blanks()),
        };
        let at = if let Pick::At(at) = &source.pick { of(at) } else { None };
        place.max(at).unwrap_or(0)
    }
}

impl<'a> SchemaBuilder<'a> {
    /// Enters a node: reads its `source`, if it has one, for all nodes below it. Returns true if it has one, after which
    /// [`SchemaBuilder::leave_source`] must follow.
    pub(super) fn enter_source(&mut self, raw: &Object<'a>, table: Option<NodeId>) -> bool {
        let source = match raw.get("source") {
            None => return false,
            Some(source) => source,
        };
        if !ARE_BUILT {
            self.reject(raw.file, "/source", "this build has no sources: every value is kept by the agent itself");
            return false;
        }
        let (outside, frames) = (self.location.enter("source"), self.sources.frames.len());
        let read = if self.sources.is_broken() { Ok(()) } else { self.node_source(&source, raw, table) };
        let is_good = self.note(read).is_some();
        self.sources.above = false;
        self.location.leave(outside);
        // The sources below a wrong one are not checked: most mistakes there would be its consequences.
        self.sources.frames.truncate(frames + usize::from(is_good));
        if self.sources.frames.len() == frames {
            let frame = Frame { is_table: table.is_some(), is_broken: true, ..Frame::default() };
            table.iter().for_each(|node| self.lead(frame.clone(), *node));
            self.sources.frames.push(frame);
        }
        true
    }

    /// Reads the `source` of an object or table into a new frame.
    fn node_source(&mut self, source: &Raw<'a>, raw: &Object<'a>, table: Option<NodeId>) -> Built<()> {
        let Raw::Object(source) = source else {
            return Err(self.error(raw.file, "", format!("an object is needed, not {}", source.json_type())));
        };
        let known = [&KINDS[..], &COMMON_MEMBERS, &SOURCE_MEMBERS, &UBUS_MEMBERS, &WRITING_MEMBERS];
        self.check_members(source, &known.concat());
        let of_tables = ["rows", "where", "identity", "numbers", "key", "follows", "add", "name"];
        let of_tables = of_tables.iter().find(|member| source.get(member).is_some());
        if let (None, Some(member)) = (table, of_tables) {
            return Err(self.error(source.file, &pointer(member), "only the source of a table has it"));
        }
        // The rows and their conditions belong to the row above, and the sources of `also` to the row itself.
        self.sources.above = table.is_some();
        let frame = match table {
            Some(node) if source.get("follows").is_some() => self.follow(source, raw, node)?,
            Some(node) => Frame { own: Some(self.rows(source, raw, node)?), is_table: true, ..Frame::default() },
            None => Frame { own: self.source(source)?, ..Frame::default() },
        };
        self.sources.above = false;
        let has_own = frame.own.is_some() || frame.is_broken;
        self.sources.frames.push(frame);
        match source.get("also") {
            Some(also) => self.named_sources(source, also)?,
            None if !has_own => return Err(self.no_kind(source)),
            None => {}
        }
        // Not yet in its own table.
        if let Some(node) = table
            && let Some(frame) = self.sources.frames.pop()
        {
            self.lead(frame.clone(), node);
            self.sources.frames.push(frame);
        }
        Ok(())
    }

    /// Leaves a node that [`SchemaBuilder::enter_source`] has entered.
    pub(super) fn leave_source(&mut self) {
        self.sources.frames.pop();
    }

    /// Reads the sources of `also` into the present frame.
    fn named_sources(&mut self, source: &Object<'a>, also: Raw<'a>) -> Built<()> {
        let Raw::Object(also) = also else {
            return Err(self.error(source.file, "/also", "an object is needed, with a source for each name"));
        };
        let outside = self.location.enter("also");
        for (name, value) in also.members() {
            let Raw::Object(value) = value else {
                return Err(self.error(also.file, &pointer(name), "a source is an object"));
            };
            if name == ROW {
                return Err(self.error(
                    also.file,
                    &pointer(name),
                    "the name of the source to which the `also` belongs",
                ));
            }
            let inside = self.location.enter(name);
            self.check_members(&value, &[&KINDS[..], &COMMON_MEMBERS, &UBUS_MEMBERS, &WRITING_MEMBERS].concat());
            let Some(id) = self.source(&value)? else { return Err(self.no_kind(&value)) };
            // The frame was pushed by the caller.
            if let Some(frame) = self.sources.frames.last_mut() {
                frame.named.push((name, id));
            }
            self.location.leave(inside);
        }
        self.location.leave(outside);
        Ok(())
    }

    /// Reads the source of a table, and the pins of its instances. Returns the source.
    fn rows(&mut self, source: &Object<'a>, table: &Object<'a>, node: NodeId) -> Built<SourceId> {
        let Some(of_rows) = self.read_source(source)? else { return Err(self.no_kind(source)) };
        if source.get("at").is_some() {
            return Err(self.error(source.file, "/at", "a table has all rows; `where` selects some"));
        }
        let id = self.sources.add(Source { pick: Pick::Row(self.sources.depth()), ..of_rows });
        self.rows_member(source, id)?;
        let loose = match self.text(source, "numbers")? {
            None | Some("kept") => false,
            Some("loose") => true,
            Some(_) => return Err(self.error(source.file, "/numbers", "`kept` or `loose` is needed")),
        };
        let conditions = self.conditions(source)?;
        self.check_conditions(source, id, &conditions)?;
        let conditions = self.sections(source, id, conditions)?;
        let mut pins: Vec<(u32, Box<str>)> = Vec::new();
        // A number is never misspelt: an overlay may remove an instance that the model below it lacks.
        for (name, value) in table.members().filter(|(_, value)| !matches!(value, Raw::Null)) {
            let Some(number) = instance_number(name) else { continue };
            let key = if let Raw::Object(instance) = &value { self.pin(instance) } else { None };
            let Some(key) = key else {
                let reason = "the instances of this table are rows of its source: an instance has a \
                              `\"source\": { \"key\": … }` and nothing else, or an overlay removes it by `null`";
                // The pointer leads from the `source` of the table back to the instance.
                let table_pointer = self.location.pointer.trim_end_matches("/source").to_owned();
                let location = JsonLocation { pointer: table_pointer, ..self.location };
                return Err(location.error_at(table.file, &pointer(name), reason));
            };
            if let Some((other, _)) = pins.iter().find(|(_, pinned)| *pinned == key) {
                let reason = format!("the instance {other} is the row `{key}` already");
                let table_pointer = self.location.pointer.trim_end_matches("/source").to_owned();
                let location = JsonLocation { pointer: table_pointer, ..self.location };
                return Err(location.error_at(table.file, &format!("{}/source/key", pointer(name)), reason));
            }
            pins.push((number, key));
        }
        pins.sort_unstable();
        let add = self.new_section(source, id, &conditions)?;
        let binding = TableBinding { source: id, conditions, loose, pins: pins.into(), follows: None, add };
        self.sources.tables.push((node, binding));
        Ok(id)
    }

    /// Reads the key of an instance that is the row with that key; `None` if the instance is another one.
    fn pin(&self, instance: &Object<'_>) -> Option<Box<str>> {
        let mut members = instance.members();
        let (Some(("source", Raw::Object(source))), None) = (members.next(), members.next()) else { return None };
        let mut members = source.members();
        match (members.next(), members.next()) {
            (Some(("key", Raw::Text(key))), None) => Some(key.into()),
            _ => None,
        }
    }

    /// Reads `rows`: the regular expression of a file, which no other kind has.
    fn rows_member(&mut self, source: &Object<'a>, id: SourceId) -> Built<()> {
        if matches!(self.sources.location(id), Location::Ubus(_)) {
            return self.rows_of_call(source, id);
        }
        let given = self.text(source, "rows")?;
        let is_single =
            matches!(self.sources.location(id), Location::BuiltIn { provider, .. } if provider.shape != Shape::Rows);
        if matches!(self.sources.location(id), Location::Exec { .. }) && self.sources.depth() > 0 {
            return Err(self.error(source.file, "/exec", "a table within a table cannot have its rows from a program"));
        }
        if is_single {
            return Err(self.error(source.file, "/builtin", "this provider has one row, which is no table"));
        }
        let wrong = match (&self.sources.location(id), given) {
            (Location::File { .. }, None) => Some(
                "a file needs `rows`: a regular expression with named groups, of which `key` is the key".to_owned(),
            ),
            (Location::File { .. }, Some(pattern)) => match regex_lite::Regex::new(pattern) {
                Ok(regex) if regex.capture_names().flatten().any(|name| name == "key") => None,
                Ok(_) => Some("the expression has no group `key`".to_owned()),
                Err(error) => Some(expression::reason(&error)),
            },
            (Location::Uci { .. }, _) => None,
            (_, Some(_)) => Some("only `file`, `ubus` and `uci` have `rows`".to_owned()),
            (_, None) => None,
        };
        if let Some(reason) = wrong {
            return Err(self.error(source.file, "/rows", reason));
        }
        if let Location::File { rows, .. } = self.sources.location_mut(id) {
            *rows = given.map(Into::into);
        }
        Ok(())
    }

    /// Reads `where`.
    fn conditions(&mut self, source: &Object<'a>) -> Built<Box<[Condition]>> {
        let Some(raw) = source.get("where") else { return Ok(Box::default()) };
        let Raw::Object(object) = raw else {
            return Err(self.error(source.file, "/where", "an object is needed, with texts for each field"));
        };
        let outside = self.location.enter("where");
        let mut conditions = Vec::new();
        for (field, _) in object.members() {
            let texts: Box<[Box<str>]> = match object.get(field) {
                Some(Raw::Text(text)) => [text.into()].into(),
                _ => self.texts(&object, field)?,
            };
            let templates: Built<Box<[Template]>> =
                texts.iter().map(|text| self.text_with_blanks(text, object.file, &pointer(field))).collect();
            conditions.push((field.into(), templates?));
        }
        self.location.leave(outside);
        Ok(conditions.into())
    }

    /// Refuses a condition on a field that no row ever has: the table would stay empty.
    fn check_conditions(&mut self, source: &Object<'a>, id: SourceId, conditions: &[Condition]) -> Built<()> {
        if matches!(self.sources.location(id), Location::BuiltIn { .. } | Location::File { .. }) {
            for (field, _) in conditions {
                self.check_field(id, field, source.file, &format!("/where{}", pointer(field)))?;
            }
        }
        Ok(())
    }

    /// Reads a text with placeholders.
    pub(super) fn text_with_blanks(&self, text: &str, file: usize, member: &str) -> Built<Template> {
        let (depth, above) = (self.sources.depth(), self.sources.above);
        let mut find = |name: &str| match name {
            "parent" if above && depth > 0 => Ok(Blank::Key),
            "key" if !above && depth > 0 => Ok(Blank::Key),
            "parent" if !above && depth > 1 => Ok(Blank::Parent),
            "key" | "parent" => Err(format!("`{{{name}}}`: no table above it has a source")),
            _ => {
                let (source, field) = name.split_once(':').ok_or_else(|| format!("`{{{name}}}` is no placeholder"))?;
                // `row` is the source that the row itself is from.
                let named = Some(source).filter(|name| *name != ROW);
                let id = self.sources.find(named).ok_or_else(|| format!("no source `{source}` above"))?;
                Ok(Blank::Field(id, field.into()))
            }
        };
        Template::parse(text, &mut find).map_err(|reason| self.error(file, member, reason))
    }
}
