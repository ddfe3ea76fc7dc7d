//! The part of an answer that has the fields of a source for the present row.

use std::borrow::Cow;

use super::{Answered, Missing, RefreshWalk};
use crate::model::source::blob::Value;
use crate::model::source::excerpt::item;
use crate::model::source::path::{ITSELF, field};
use crate::model::source::{Answer, Blank, Excerpt, Location, Pick, Response, Row, SourceId, uci};

/// The findings of a round on a source.
#[derive(Clone, Copy, Default)]
pub(super) struct Known<'t> {
    /// The answer, of a source whose query is the same for all rows.
    answer: Option<Result<Answered<'t>, Missing>>,
    /// The part for the innermost row, with the number of its visit, or [`ALL_VISITS`].
    part: Option<(u32, Result<RowFields<'t>, Missing>)>,
    /// The table whose rows need no further question to the source, by the source of the rows.
    asked: Option<Option<SourceId>>,
}

/// The number for a part that is the same for all rows.
const ALL_VISITS: u32 = u32::MAX;

/// The part of an answer that has the fields.
#[derive(Clone, Copy)]
enum RowFields<'t> {
    /// The device has none.
    Nothing,
    /// A text, of which excerpts are the fields.
    Text(&'t str),
    Row(&'t Row),
    /// A value, with the key of the row that it is.
    Value(Option<Value<'t>>, Option<&'t str>),
}

impl<'t> RefreshWalk<'t> {
    /// Returns the text that is a value or a part of it; `None` if the device has none.
    pub(super) fn text(&mut self, id: SourceId, excerpt: &'t Excerpt) -> Result<Option<Cow<'t, str>>, Missing> {
        match excerpt {
            Excerpt::Name(name) => self.field(id, name),
            Excerpt::Item(of) => {
                let (name, begins, fields) = (&of.name, &of.begins, self.row_fields(id)?);
                if let Some(text) = self.pending_text(id, name, Some(begins))? {
                    return Ok(text.map(Cow::Owned));
                }
                Ok(fields.field(name).and_then(|text| match text {
                    Cow::Borrowed(text) => item(text, begins).map(Cow::Borrowed),
                    Cow::Owned(text) => item(&text, begins).map(|item| Cow::Owned(item.to_owned())),
                }))
            }
            _ => match self.row_fields(id)? {
                RowFields::Text(text) => Ok(excerpt.of(text).map(Cow::Borrowed)),
                _ => Ok(None),
            },
        }
    }

    /// Returns the text of a field, or the text that it is to have by a write of the same request.
    pub(super) fn field(&mut self, id: SourceId, name: &str) -> Result<Option<Cow<'t, str>>, Missing> {
        let fields = self.row_fields(id)?;
        Ok(self.pending_text(id, name, None)?.map_or_else(|| fields.field(name), |text| text.map(Cow::Owned)))
    }

    /// Asks for the answer of a source, and for the values of the placeholders of its row and of the part with its fields.
    pub(super) fn ask_for(&mut self, id: SourceId) {
        let table = self.above.last().map(|row| row.source);
        if self.known[id as usize].asked == Some(table) {
            return;
        }
        let open = self.open;
        // The missing answers are asked for by now.
        let _ = self.row_fields(id);
        if self.bindings.scope(id).is_asked_once {
            self.known[id as usize].asked = Some(table);
            self.open = open;
        } else {
            self.row_questions += 1;
        }
    }

    fn row_fields(&mut self, id: SourceId) -> Result<RowFields<'t>, Missing> {
        let visit = self.above.last().map_or(0, |row| row.visit);
        let part = match self.known[id as usize].part {
            // A write of the same request may lead to another row.
            Some((at, part)) if (at == visit || at == ALL_VISITS) && self.writes.is_none() => part,
            _ => {
                let part = self.find_row_fields(id);
                let visits = if self.bindings.scope(id).has_one_part { ALL_VISITS } else { visit };
                self.known[id as usize].part = Some((visits, part));
                part
            }
        };
        self.open += u32::from(matches!(part, Err(Missing::Pending)));
        part
    }

    fn find_row_fields(&mut self, id: SourceId) -> Result<RowFields<'t>, Missing> {
        let (_, Response { answer: Ok(answer), .. }) = self.answer(id)? else { return Err(Missing::Failed) };
        let key = self.row_key(id)?;
        match (answer, &self.bindings.source(id).location) {
            (Answer::Text(text), _) => Ok(RowFields::Text(text)),
            (Answer::Rows(_), _) => Ok(answer.row(key.as_deref()).map_or(RowFields::Nothing, RowFields::Row)),
            (Answer::Tree(blob), Location::Ubus(call)) => {
                let parts = self.parts(id, call, blob)?;
                let Some(first) = parts.first() else { return Ok(RowFields::Nothing) };
                // The row of a call is that of the instance, so that its key is a text of the tree.
                let key = if let Some(Cow::Borrowed(key)) = key { Some(key) } else { None };
                let value = key.map_or(Some(*first), |key| parts.iter().find_map(|part| call.row(*part, key)));
                Ok(RowFields::Value(value, key))
            }
            (Answer::Tree(_), _) => Ok(RowFields::Nothing),
        }
    }

    /// Returns the answer of a source with its query, which it asks if it was not asked before.
    pub(super) fn answer(&mut self, id: SourceId) -> Result<Answered<'t>, Missing> {
        if let Some(answer) = self.known[id as usize].answer {
            return answer;
        }
        // A plan of writes has no former steps.
        let former = self.settled.answers.get(id as usize).copied().flatten();
        let place = match former {
            Some(place) => Ok(place),
            None => self.query(id).and_then(|query| self.answers.place(&query).ok_or_else(|| self.ask(query))),
        };
        let answer = place.map(|place| self.answers.asked(place));
        if self.bindings.scope(id).is_constant {
            self.known[id as usize].answer = Some(answer);
            self.settled.answers.get_mut(id as usize).into_iter().for_each(|former| *former = place.ok());
        }
        answer
    }

    /// Returns the key of the row in the answer that has the fields; `None` in a source with one row.
    pub(super) fn row_key(&mut self, id: SourceId) -> Result<Option<Cow<'t, str>>, Missing> {
        let source = self.bindings.source(id);
        match (&source.pick, &source.location) {
            (Pick::Only, _) => Ok(None),
            (Pick::At(at), Location::Uci { package, .. }) => {
                at.fill(&mut |blank| self.section(blank, package)).map(Some)
            }
            (Pick::At(at), _) => self.fill(at).map(Some),
            (Pick::Row(depth), _) => self.row_above(*depth).map(|row| Some(row.key.into())),
        }
    }

    /// Returns the text of a placeholder as the name of a section. The key of an anonymous section that is made of options
    /// is none.
    fn section(&mut self, blank: &'t Blank, package: &str) -> Result<Cow<'t, str>, Missing> {
        let text = self.blank(blank)?;
        let levels = match blank {
            Blank::Key => 1,
            Blank::Parent => 2,
            Blank::Field(..) => return Ok(text),
        };
        let table = self.row_above(self.above.len() - levels)?.source;
        let is_here =
            matches!(&self.bindings.source(table).location, Location::Uci { package: of, .. } if **of == *package);
        let Some(Ok((_, Response { answer: Ok(answer), .. }))) = is_here.then(|| self.answer(table)) else {
            return Ok(text);
        };
        Ok(answer.row(Some(&text)).and_then(uci::name).map_or(text, Cow::Borrowed))
    }
}

impl<'t> RowFields<'t> {
    /// Returns the text of a field.
    fn field(self, name: &str) -> Option<Cow<'t, str>> {
        match self {
            RowFields::Row(row) => row.get(name).map(Cow::Borrowed),
            RowFields::Value(_, Some(key)) if name == ITSELF => Some(key.into()),
            RowFields::Value(value, _) => field(value?, name),
            RowFields::Nothing | RowFields::Text(_) => None,
        }
    }
}
