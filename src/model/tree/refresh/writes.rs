//! Writes: the texts that the device must hold, so that parameters have other values.

use std::borrow::Cow;

use super::fields::parse;
use super::parts::Part;
use super::{Answers, Missing, Mode, RefreshWalk, Tree, Wanted};
use crate::model::schema::Spec;
use crate::model::source::{
    Argument, Blank, Excerpt, Field, Form, Location, OptionForm, Pick, Place, Response, SetCall, Source, SourceId,
    Template, Write, is_object_name, provider, uci,
};
use crate::model::value::{Type, Value, WHITE_SPACE};

/// The way by which a parameter gets a value on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    /// The device has the value already, or needs nothing for it. The name is that of the reload which may still be owed for it.
    Present(Option<String>),
    /// The device must hold texts.
    Write(Vec<Write>),
    /// No text of the device stands for the value (fault 9007).
    Unfit(String),
    /// The source does not answer (fault 9002).
    Failed(String),
}

/// The values of a request, and the ways found so far.
pub(super) struct WriteWalk<'t> {
    values: &'t [(&'t str, &'t Value)],
    /// The ways, each with the index of its value.
    pub(super) ways: Vec<(usize, Planned)>,
    /// The texts that sections are to have, as found so far.
    pub(super) pending: Vec<(Place, Option<String>)>,
    /// The values that are parts of texts: their ways follow from the texts of all others.
    pub(super) parts: Vec<Part<'t>>,
    /// The values that the device has already. Another value of the request may take their text away.
    pub(super) present: Vec<Part<'t>>,
}

impl Tree {
    /// Returns the ways by which parameters get values on the device, each with the index of its value. The answers are those of a
    /// refresh for a change; a parameter whose row has gone has no way.
    pub fn plan_writes(&self, values: &[(&str, &Value)], answers: &Answers) -> Vec<(usize, Planned)> {
        let Some(bindings) = self.schema.bindings.as_ref().filter(|_| self.has_sources()) else { return Vec::new() };
        let wanted = Wanted::values(values.iter().map(|(name, _)| (*name).to_owned()).collect());
        let mut walk = RefreshWalk::new(self, bindings, &wanted, answers, Mode::SameInstances);
        walk.readings = Some(Vec::new());
        walk.writes =
            Some(WriteWalk { values, ways: Vec::new(), pending: Vec::new(), parts: Vec::new(), present: Vec::new() });
        walk.walk();
        walk.plan_parts();
        walk.refuse_overwritten();
        walk.writes.map(|writes| writes.ways).unwrap_or_default()
    }
}

impl<'t> RefreshWalk<'t> {
    /// Asks for the answers that the written texts of a field need.
    pub(super) fn ask_for_writes(&mut self, field: &'t Field) {
        if self.wanted.changes {
            let of_call =
                field.mapping.call.iter().flat_map(|call| &call.args).filter_map(|(_, argument)| match argument {
                    Argument::Text(text) => Some(text),
                    _ => None,
                });
            for template in field.mapping.writes.iter().filter_map(|(_, text)| text.as_ref()).chain(of_call) {
                // The answer is asked for; its text is of no use yet.
                let _ = self.fill(template);
            }
        }
    }

    /// Notes the way by which the parameter at `self.name` gets its value.
    pub(super) fn plan_write(&mut self, field: &'t Field, spec: &'t Spec) {
        let Some(WriteWalk { values, .. }) = self.writes.as_ref() else { return };
        let Some(at) = values.iter().position(|(name, _)| *name == self.name) else { return };
        let value = values[at].1;
        for path in &field.mapping.path {
            self.target(path.table());
            self.look_at_names(path);
        }
        let part = Part { at, field, spec, value, name: self.name.clone(), above: self.above.clone() };
        if field.is_part() {
            self.writes.iter_mut().for_each(|writes| writes.parts.push(part.clone()));
            return;
        }
        let planned = self.way(field, spec, value).unwrap_or_else(|planned| planned);
        let Some(writes) = &mut self.writes else { return };
        match &planned {
            Planned::Write(planned) => {
                writes.pending.extend(planned.iter().map(|write| (write.place.clone(), write.text.clone())));
            }
            Planned::Present(_) => writes.present.push(part),
            Planned::Unfit(_) | Planned::Failed(_) => {}
        }
        writes.ways.push((at, planned));
    }

    fn way(&mut self, field: &'t Field, spec: &Spec, value: &Value) -> Result<Planned, Planned> {
        let missing = || Planned::Failed("the device does not have it".to_owned());
        if let Ok((_, Response { answer: Err(reason), .. })) = self.answer(field.source) {
            return Err(Planned::Failed(reason.clone()));
        }
        let held = self.text(field.source, &field.excerpt).map_err(|_| missing())?;
        let source = self.bindings.source(field.source);
        let reload = source.writing.reload.as_deref().map(str::to_owned);
        let is_same = |read: Result<Value, String>| {
            let same_case = |read: &Value| match field.mapping.conversion.form {
                Some(Form::Mac) => read.to_string().eq_ignore_ascii_case(&value.to_string()),
                _ => false,
            };
            read.is_ok_and(|read| read == *value || same_case(&read))
        };
        if is_same(self.value(field, spec, held.as_deref())) {
            return Ok(Planned::Present(reload));
        }
        let text = match self.written_text(field, spec, value, held.as_deref()) {
            Ok(Some(text)) => Some(text).filter(|text| !text.is_empty()),
            Ok(None) => return Ok(Planned::Present(None)),
            Err(reason) => return Err(Planned::Unfit(reason)),
        };
        let is_list = field.mapping.conversion.form == Some(Form::Words)
            || (!field.mapping.path.is_empty() && text.as_deref().is_some_and(|text| text.contains(' ')));
        let place = match &field.mapping.call {
            Some(call) => self.call_place(field.source, call),
            None => self.place(field.source, &field.excerpt, is_list),
        };
        let place = place.map_err(|_| missing())?;
        // A program may take an empty text; a section has no empty option.
        let text = if place.is_staged() { text } else { Some(text.unwrap_or_default()) };
        if let Some(reason) = text.as_deref().and_then(|text| wrong_characters(text, &place)) {
            return Err(Planned::Unfit(reason.to_owned()));
        }
        let is_list = field.mapping.conversion.form == Some(Form::Words);
        if let Some(reason) =
            text.as_deref().zip(field.mapping.allowed.as_ref()).and_then(|(text, of)| of.refusal(text, is_list))
        {
            return Err(Planned::Unfit(reason));
        }
        // A value that would read as another one is no success: a fraction is lost, or two values have the same text.
        let read_back = text.as_deref().filter(|text| !text.is_empty() || !place.is_staged());
        if !is_same(self.value(field, spec, read_back)) {
            return Err(Planned::Unfit("the device cannot store this value".to_owned()));
        }
        let (name, old) = (self.name.clone(), self.old_text(field, spec, held.as_deref()));
        Ok(Planned::Write(vec![Write { name, place, text, old, reload, hidden: spec.hidden }]))
    }

    /// Returns the text by which the device gets its present value back: a method may take other words than those that are read.
    fn old_text(&self, field: &Field, spec: &Spec, held: Option<&str>) -> Option<String> {
        let present = field.mapping.call.as_ref().and_then(|_| self.value(field, spec, held).ok()?.to_string().into());
        let written = present.and_then(|present| {
            let (_, text) = field.mapping.writes.iter().find(|(value, _)| **value == *present)?;
            text.as_ref()?.fill(&mut |_| Err(())).ok()
        });
        written.as_deref().or(held).map(str::to_owned)
    }

    /// Returns the text for a value; `None` if nothing is written for it.
    fn written_text(
        &mut self,
        field: &'t Field,
        spec: &Spec,
        value: &Value,
        held: Option<&str>,
    ) -> Result<Option<String>, String> {
        let literal = value.to_string();
        if let Some((_, text)) = field.mapping.writes.iter().find(|(value, _)| **value == *literal) {
            let Some(template) = text else { return Ok(None) };
            let text = self.fill(template);
            return text
                .map(|text| Some(text.into_owned()))
                .map_err(|_| "the device does not have what its text is made of".to_owned());
        }
        if !field.mapping.path.is_empty() {
            return self.keys_of(field, &literal).map(Some);
        }
        let is_value = |text: &str| parse(spec, text, &self.answers.patterns).is_ok_and(|mapped| mapped == *value);
        // Without a form, a truth value has the words of the device, which a list of words for its map replaces.
        let by_type =
            (spec.wire_type() == Type::Boolean && field.mapping.conversion.map.is_empty()).then_some(Form::Boolean);
        let form = field.mapping.conversion.form.or(by_type);
        field.mapping.conversion.reverse(&literal, form, held, &is_value).map(Some)
    }

    /// Returns the keys of the rows that are the instances of these paths, with spaces between them.
    pub(super) fn keys_of(&self, field: &Field, literal: &str) -> Result<String, String> {
        let is_package = matches!(self.bindings.source(field.source).location, Location::Uci { .. });
        let key = |path: &str| {
            let path = path.trim().trim_end_matches('.');
            let (table, number) = path.rsplit_once('.')?;
            let number: u32 = number.parse().ok()?;
            let known = field.mapping.path.iter().find(|known| known.table().trim_end_matches('.') == table)?;
            let text = if known.name().is_empty() {
                // Another section cannot refer to one without a name.
                self.known_target(known.table())?.table().key(number).filter(|key| !is_package || uci::is_name(key))?
            } else {
                let known = self.names.iter().find(|names| names.path == known)?;
                &known.names.iter().find(|(_, of)| *of == number)?.0
            };
            Some(format!("{}{text}", known.begin()))
        };
        let paths = literal.split(',').filter(|path| !path.trim_matches(WHITE_SPACE).is_empty());
        let keys: Option<Vec<String>> = paths.map(key).collect();
        keys.map(|keys| keys.join(" ")).ok_or_else(|| "not the path of an instance that the device knows".to_owned())
    }

    /// Returns the place of a field on the device.
    pub(super) fn place(&mut self, id: SourceId, excerpt: &'t Excerpt, is_list: bool) -> Result<Place, Missing> {
        let source = self.bindings.source(id);
        let name = excerpt.name().unwrap_or_default();
        let key = self.row_key(id)?.map(Cow::into_owned);
        Ok(match &source.location {
            Location::Uci { package, identity } => Place::Uci {
                package: package.to_string(),
                identity: self.section_of_row(source).map_or_else(|| identity.clone(), |(_, identity)| identity),
                section: key.ok_or(Missing::Absent)?,
                option: name.to_owned(),
                form: match excerpt {
                    Excerpt::Item(item) => OptionForm::Item(item.begins.clone()),
                    _ if is_list => OptionForm::List,
                    _ => OptionForm::Whole,
                },
                number: match source.pick {
                    Pick::Row(depth) => self.row_number(depth),
                    _ => self.section_of_row(source).and_then(|(depth, _)| self.row_number(depth)),
                },
            },
            Location::Exec { command, .. } => Place::Exec {
                command: command.iter().map(|argument| argument.to_string()).collect(),
                limit: source.limit,
                row: key,
                field: name.to_owned(),
                has_check: source.writing.checks,
            },
            Location::File { path, .. } => {
                let path = self.file_path(id, path)?;
                Place::File { path, replaces: source.writing.replaces }
            }
            Location::BuiltIn { provider, .. } if provider.name == provider::COMMAND => {
                let interface = key.filter(|key| uci::is_name(key)).ok_or(Missing::Absent)?;
                Place::File { path: format!("{}.{name}.{interface}", provider::COMMANDS), replaces: false }
            }
            Location::BuiltIn { provider, .. } => {
                // The builder makes no other parameter writable.
                let (package, _) = provider::written(provider.name).ok_or(Missing::Absent)?;
                let row = key.unwrap_or_default();
                Place::Provided { package: package.to_owned(), provider: provider.name, row, field: name.to_owned() }
            }
            // `way` sets these by their own method.
            Location::Ubus(_) => return Err(Missing::Absent),
        })
    }

    /// Returns the method by which a field of an object on the bus is set.
    fn call_place(&mut self, id: SourceId, set: &'t SetCall) -> Result<Place, Missing> {
        let source = self.bindings.source(id);
        let Location::Ubus(call) = &source.location else { return Err(Missing::Absent) };
        let object = self.fill(&call.object)?.into_owned();
        if !is_object_name(&object) {
            return Err(Missing::Absent);
        }
        let mut args = Vec::new();
        for (name, argument) in &set.args {
            let argument = match argument {
                Argument::Text(text) => Argument::Text(self.fill(text)?.into_owned()),
                Argument::Whole(number) => Argument::Whole(*number),
                Argument::Boolean(flag) => Argument::Boolean(*flag),
                // The builder reads none.
                Argument::Table(_) => continue,
            };
            args.push((name.to_string(), argument));
        }
        let (method, value) = (set.method.to_string(), set.value.to_string());
        Ok(Place::Ubus { object, method, args, value, limit: source.limit })
    }

    /// Returns the depth of the table whose rows have the sections of this source, by a placeholder for the field `section`, and
    /// what tells the sections apart.
    fn section_of_row(&self, source: &Source) -> Option<(usize, Option<uci::Identity>)> {
        let Pick::At(at) = &source.pick else { return None };
        at.blanks().find_map(|blank| match blank {
            Blank::Field(of, name) if **name == *"section" => {
                let rows = self.bindings.source(*of);
                let Pick::Row(depth) = rows.pick else { return None };
                rows.sections().map(|(_, identity)| (depth, identity))
            }
            _ => None,
        })
    }

    /// Returns the number of the instance of a table with rows on the way to the present parameter, counted from the outermost.
    fn row_number(&self, depth: usize) -> Option<u32> {
        let dots = self.name.match_indices('.').map(|(dot, _)| dot);
        let is_table = |dot: &usize| self.schema.bound_table(&self.name[..*dot]).is_some();
        let table = dots.filter(is_table).nth(depth)?;
        self.name[table + 1..].split('.').next()?.parse().ok()
    }

    /// Fills in the path of a file, whose texts are about the row above for the rows themselves.
    fn file_path(&mut self, id: SourceId, path: &'t Template) -> Result<String, Missing> {
        let below = self.leave_rows(id);
        let path = self.fill_path(path);
        self.above.extend(below);
        path.map(Cow::into_owned)
    }
}

/// Returns the reason for which a text cannot be written there.
pub(super) fn wrong_characters(text: &str, place: &Place) -> Option<&'static str> {
    // A script of the device that reads the option makes another line of the text behind a line end.
    let is_control = |c: char| c < ' ' || c == '\x7F';
    match place {
        Place::Uci { .. } | Place::Provided { .. } if text.contains(is_control) => {
            Some("a control character, which the device cannot store")
        }
        Place::Exec { .. } | Place::Ubus { .. } | Place::File { .. } if text.contains('\0') => {
            Some("a NUL, which the device cannot store")
        }
        _ => None,
    }
}
