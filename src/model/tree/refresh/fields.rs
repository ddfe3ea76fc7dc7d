//! The values of parameters in the answers of their sources.

use std::borrow::Cow;
use std::time::Duration;

use super::{Answered, Missing, Mode, ParameterPlace, Reading, RefreshWalk, RowNames, Scope};
use crate::model::facets::PatternCache;
use crate::model::schema::{NodeId, Spec};
use crate::model::source::{Excerpt, Field, MAX_FIELDS, Query, Response, RowPath, SourceId};
use crate::model::value::{Type, Value, ValueError};

/// The reason why a field has no text.
pub(super) enum NoText {
    /// A source has failed.
    Failed,
    /// A view does not understand this text.
    Unfit(String),
}

impl<'t> RefreshWalk<'t> {
    /// Asks for the value of a parameter of the present node, or notes its reading once the answers are there.
    pub(super) fn parameter(&mut self, id: NodeId, slot: u32, spec: &'t Spec, scope: &'t Scope) {
        let Some(field) = self.next_field(id) else { return };
        if self.writes.is_some() {
            return self.named(id, |walk| walk.plan_write(field, spec));
        }
        self.ask_for_writes(field);
        // All tables are asked for in one round.
        for path in &field.mapping.path {
            self.settle_table(path.table());
            self.look_at_names(path);
        }
        if self.readings.is_none() {
            return self.ask_for_field(field);
        }
        // The first reading counts even if it is the default: a later one is a change then.
        let held = scope.values[slot as usize].as_ref();
        // A placeholder may stand for something that the device does not have, such as the interface of a link that is
        // down: then the field is absent.
        match self.field_text(field) {
            // Most values stay as they are, and need no check against the facets again.
            Ok(text) if self.mode != Mode::Explain && self.is_held(field, spec, text.as_deref(), held) => {}
            text => self.named(id, |walk| walk.note_reading(id, field, spec, held, text)),
        }
    }

    /// Notes the reading of the parameter at `self.name`.
    fn note_reading(
        &mut self,
        id: NodeId,
        field: &'t Field,
        spec: &Spec,
        held: Option<&Value>,
        text: Result<Option<Cow<'t, str>>, NoText>,
    ) {
        let (text, value) = match text {
            Ok(text) => {
                // Each reason may contain the text, which may be a password.
                let shown = |reason| if spec.hidden { "its text is no value".to_owned() } else { reason };
                let value = self.value(field, spec, text.as_deref()).map_err(shown);
                (text.map(Cow::into_owned), value)
            }
            Err(NoText::Unfit(text)) if spec.hidden => (Some(text), Err("its text is no value".to_owned())),
            Err(NoText::Unfit(text)) => {
                let reason = format!("`{text}` has another form than the view needs");
                (Some(text), Err(reason))
            }
            Err(NoText::Failed) => {
                let reason = self.failure(field);
                // The last value stays.
                if self.mode != Mode::Explain {
                    return;
                }
                (None, Err(reason))
            }
        };
        let is_explained = self.mode == Mode::Explain || value.is_err();
        if is_explained || value.as_ref().ok() != held {
            // The first request has thousands of values, and none of them is to be explained.
            let answered = if is_explained { self.answered(field.source).next() } else { None };
            let query = answered.map(|(query, _)| query.target.to_string());
            let took = answered.map_or(Duration::ZERO, |(_, response)| response.took);
            let text = text.filter(|_| is_explained);
            let place = ParameterPlace { node: id, steps: self.steps.clone() };
            let reading = Reading { name: self.name.clone(), place, query, text, value, took };
            self.readings.get_or_insert_default().push(reading);
        }
    }

    /// Returns the field whose value a parameter has.
    fn next_field(&mut self, id: NodeId) -> Option<&'t Field> {
        let (at, field) = match self.bindings.fields.get(self.next_field) {
            Some(field) if field.node == id => (self.next_field, field),
            _ => self.bindings.field_at(id)?,
        };
        self.next_field = at + 1;
        Some(field)
    }

    /// Asks for the answers that the text of a field needs. The text itself is taken once, when all answers are there.
    fn ask_for_field(&mut self, field: &'t Field) {
        match &field.excerpt {
            Excerpt::View(_, fields) => fields.iter().for_each(|(source, _)| self.ask_for(*source)),
            _ => self.ask_for(field.source),
        }
    }

    /// Returns the text of the device that is the value, which it asks for if it is not there; `None` if the device has none.
    pub(super) fn field_text(&mut self, field: &'t Field) -> Result<Option<Cow<'t, str>>, NoText> {
        let text = match &field.excerpt {
            Excerpt::View(view, fields) => {
                let mut texts = [const { None }; MAX_FIELDS];
                for ((source, excerpt), text) in fields.iter().zip(&mut texts) {
                    *text = self.part_text(*source, excerpt)?;
                }
                view.get().of(&texts).map_err(NoText::Unfit)?.map(Cow::Owned)
            }
            excerpt => self.part_text(field.source, excerpt)?,
        };
        Ok(text.and_then(|text| field.mapping.conversion.part(text, &self.answers.patterns)))
    }

    pub(super) fn part_text(&mut self, source: SourceId, excerpt: &'t Excerpt) -> Result<Option<Cow<'t, str>>, NoText> {
        match self.text(source, excerpt) {
            Ok(text) => Ok(text),
            Err(Missing::Failed) => Err(NoText::Failed),
            Err(Missing::Absent | Missing::Pending) => Ok(None),
        }
    }

    /// Returns the reason for which a field has no answer. Notes it, if the request fails with it.
    pub(super) fn failure(&mut self, field: &Field) -> String {
        let failed = field.sources().find_map(|source| self.failed_answer(source));
        let (query, reason) = match failed {
            Some((query, reason)) => (query.target.to_string(), reason.clone()),
            None => (self.name.clone(), "a source on which it depends fails".to_owned()),
        };
        if field.sources().any(|source| self.bindings.source(source).fault) {
            self.fault.get_or_insert_with(|| format!("{query}: {reason}"));
        }
        reason
    }

    /// Returns the question of a source that has failed, and the reason: that for its fields, or that for its rows.
    fn failed_answer(&mut self, id: SourceId) -> Option<(&'t Query, &'t String)> {
        self.answered(id).find_map(|(query, response)| Some((query, response.answer.as_ref().err()?)))
    }

    /// Returns the answers of a source: that with its fields, and that with its rows.
    fn answered(&mut self, id: SourceId) -> impl Iterator<Item = Answered<'t>> + use<'t> {
        // The rows of a program are asked for in a table alone.
        let rows = self.rows_program(id).and_then(|query| self.answers.get(&query));
        [self.answer(id).ok(), rows].into_iter().flatten()
    }

    /// Notes a source that does not give the rows of the table at `self.name`: no parameter may be there to tell of it.
    pub(super) fn note_failed_rows(&mut self, table: NodeId, id: SourceId) {
        let failed = self
            .answered(id)
            .find_map(|(query, Response { answer, took })| Some((query, answer.as_ref().err()?, took)));
        if let Some((query, reason, took)) = failed {
            let place = ParameterPlace { node: table, steps: self.steps.clone() };
            let (query, value) = (Some(query.target.to_string()), Err(reason.clone()));
            let reading = Reading { name: self.name.clone(), place, query, text: None, value, took: *took };
            self.readings.get_or_insert_default().push(reading);
        }
    }

    /// Returns the value for a text of the device; `None` stands for a field that it does not have.
    pub(super) fn value(&self, field: &Field, spec: &Spec, text: Option<&str>) -> Result<Value, String> {
        let Some(text) = text else {
            return Ok(field.mapping.absent.clone().unwrap_or_else(|| spec.wire_type().null()));
        };
        let literal = self.literal(field, spec, text)?;
        parse(spec, &literal, &self.answers.patterns).map_err(|error| error.to_string())
    }

    /// Returns true if a parameter has the value for a text already.
    fn is_held(&self, field: &Field, spec: &Spec, text: Option<&str>, held: Option<&Value>) -> bool {
        match (text, held) {
            (Some(text), Some(Value::Text(held))) => {
                self.literal(field, spec, text).is_ok_and(|literal| *literal == **held)
            }
            (Some(text), Some(held)) => {
                self.literal(field, spec, text).is_ok_and(|literal| spec.kind.parse(&literal).as_ref() == Ok(held))
            }
            (None, Some(held)) => match &field.mapping.absent {
                Some(absent) => absent == held,
                None => spec.wire_type().null() == *held,
            },
            (_, None) => false,
        }
    }

    /// Returns the literal for a text of the device.
    fn literal<'a>(&self, field: &'a Field, spec: &Spec, text: &'a str) -> Result<Cow<'a, str>, String> {
        let literal = match field.mapping.path.is_empty() {
            true => field.mapping.conversion.apply(text, spec.wire_type(), self.answers.wall)?,
            false => self.instances_of(field, text).into(),
        };
        let is_allowed =
            |c: char| !matches!(c, '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\u{FFFE}' | '\u{FFFF}');
        // XML 1.0 cannot carry the others.
        if literal.bytes().all(|byte| matches!(byte, b' '..=b'~')) || literal.chars().all(is_allowed) {
            return Ok(literal);
        }
        let allowed = |c| if is_allowed(c) { c } else { char::REPLACEMENT_CHARACTER };
        Ok(literal.chars().map(allowed).collect::<String>().into())
    }

    /// Asks for the names of the instances to which a path may lead, and notes them once in a round.
    pub(super) fn look_at_names(&mut self, path: &'t RowPath) {
        if path.name().is_empty() {
            return;
        }
        if let Some(known) = self.names.iter().find(|known| known.path == path) {
            self.open += u32::from(known.is_open);
            return;
        }
        let open = self.open;
        let Some(target) = self.target(path.table()) else { return };
        let Some(binding) = target.binding else { return };
        let node = target.spec.children.range().find(|id| self.schema.name(*id) == path.name());
        let Some(field) = node.and_then(|node| self.bindings.field(node)) else { return };
        let (table, above, mut names) = (target.table(), std::mem::take(&mut self.above), Vec::new());
        for instance in &table.instances {
            self.above.clear();
            if let Some(key) = table.key(instance.number) {
                self.enter_row(key, binding.source);
            }
            if self.readings.is_none() {
                self.ask_for_field(field);
            } else if let Ok(Some(name)) = self.field_text(field) {
                names.push((name, instance.number));
            }
        }
        self.above = above;
        self.names.push(RowNames { path, names, is_open: self.open > open });
    }

    /// Returns the paths of the instances whose rows have these keys, separated by commas. A key without a row is left out.
    fn instances_of(&self, field: &Field, text: &str) -> String {
        let paths = text.split([',', ' ']).filter(|key| !key.is_empty()).filter_map(|key| {
            field.mapping.path.iter().find_map(|path| {
                let key = key.strip_prefix(path.begin())?;
                let number = if path.name().is_empty() {
                    self.known_target(path.table())?.table().number_of(key)?
                } else {
                    let known = self.names.iter().find(|known| known.path == path)?;
                    known.names.iter().find(|(name, _)| *name == key)?.1
                };
                Some(format!("{}{number}", path.table()))
            })
        });
        paths.collect::<Vec<_>>().join(",")
    }
}

/// Reads a literal. A text of the device that is too long is cut at the last whole character: most of it is more than nothing.
pub(super) fn parse(spec: &Spec, literal: &str, patterns: &PatternCache) -> Result<Value, ValueError> {
    match spec.parse_with(literal, patterns) {
        Err(ValueError::TooLong(most)) if spec.kind == Type::String && !spec.is_list() => {
            spec.parse_with(&literal.chars().take(most as usize).collect::<String>(), patterns)
        }
        result => result,
    }
}
