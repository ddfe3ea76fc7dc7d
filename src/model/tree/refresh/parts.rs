//! Writes of values that are parts of texts: of a view, or found by a regular expression.
//!
//! Two values of one request may share a text, and a value may depend on another one, such as the address of a pool on the
//! interface. So the parts come last, each in the texts that the device has after all writes before it.

use super::fields::NoText;
use super::writes::{Planned, wrong_characters};
use super::{Above, Missing, RefreshWalk};
use crate::model::schema::Spec;
use crate::model::source::{Excerpt, Field, Form, Location, OptionForm, Place, SourceId, Template, View, Write};
use crate::model::value::Value;

/// A value that is a part of texts.
#[derive(Clone)]
pub(super) struct Part<'t> {
    /// The index of the value in the request.
    pub(super) at: usize,
    pub(super) field: &'t Field,
    pub(super) spec: &'t Spec,
    pub(super) value: &'t Value,
    pub(super) name: String,
    /// The rows around the parameter.
    pub(super) above: Vec<Above<'t>>,
}

impl<'t> Part<'t> {
    fn view(&self) -> Option<(&'static View, &'t [(SourceId, Excerpt)])> {
        match &self.field.excerpt {
            Excerpt::View(view, fields) => Some((view.get(), fields)),
            _ => None,
        }
    }

    /// Returns true if two values are set together, since one view of the same texts has both.
    fn is_with(&self, other: &Part<'_>) -> bool {
        let (Some((view, fields)), Some((other_view, other_fields))) = (self.view(), other.view()) else {
            return false;
        };
        view.family().0 == other_view.family().0 && self.above == other.above && fields[0] == other_fields[0]
    }

    /// Returns true for the value, whatever the order of a list is.
    fn is_value(&self, read: &Value) -> bool {
        let sorted = |value: &Value| {
            let text = value.to_string();
            let mut items: Vec<String> = text.split(',').map(|item| item.trim().to_owned()).collect();
            items.sort_unstable();
            items
        };
        let is_same_mac = self.field.mapping.conversion.form == Some(Form::Mac)
            && read.to_string().eq_ignore_ascii_case(&self.value.to_string());
        is_same_mac
            || *read == *self.value
            || (self.spec.is_list() && self.view().is_some() && sorted(read) == sorted(self.value))
    }
}

impl<'t> RefreshWalk<'t> {
    /// Notes the ways of the values that are parts of texts.
    pub(super) fn plan_parts(&mut self) {
        let parts = self.writes.as_mut().map(|writes| std::mem::take(&mut writes.parts)).unwrap_or_default();
        let mut failed: Vec<(usize, Planned)> = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            if parts[..at].iter().any(|earlier| earlier.is_with(part)) {
                continue;
            }
            let group: Vec<&Part<'t>> =
                parts[at..].iter().filter(|other| other.at == part.at || part.is_with(other)).collect();
            self.stand_at(part);
            if let Err(reason) = self.take_parts(part, &group) {
                failed.extend(group.iter().map(|part| (part.at, reason.clone())));
            }
        }
        for part in &parts {
            self.stand_at(part);
            let reason = failed.iter().find(|(at, _)| *at == part.at).map(|(_, reason)| reason.clone());
            let way = reason.unwrap_or_else(|| self.part_way(part).unwrap_or_else(|planned| planned));
            self.writes.iter_mut().for_each(|writes| writes.ways.push((part.at, way.clone())));
        }
    }

    /// Refuses the values that the device has already, and that another value of the request would change (R168).
    pub(super) fn refuse_overwritten(&mut self) {
        let Some(writes) = self.writes.as_mut().filter(|writes| !writes.pending.is_empty()) else { return };
        for part in std::mem::take(&mut writes.present) {
            self.stand_at(&part);
            let Ok(text) = self.field_text(part.field) else { continue };
            if !self.value(part.field, part.spec, text.as_deref()).is_ok_and(|read| part.is_value(&read))
                && let Some(writes) = &mut self.writes
                && let Some((_, way)) = writes.ways.iter_mut().find(|(at, _)| *at == part.at)
            {
                *way = Planned::Unfit("another value of the request changes the same setting".to_owned());
            }
        }
    }

    fn stand_at(&mut self, part: &Part<'t>) {
        (self.name, self.above) = (part.name.clone(), part.above.clone());
    }

    /// Puts the values of a group into the texts of the device.
    fn take_parts(&mut self, part: &Part<'t>, group: &[&Part<'t>]) -> Result<(), Planned> {
        let field = part.field;
        let mut texts = Vec::new();
        for (source, excerpt) in excerpts(field) {
            texts.push(self.part_text(source, excerpt).map_err(|_| Planned::Failed(self.failure(field)))?);
        }
        let mut literals = Vec::new();
        for part in group {
            let name = part.view().map_or("", |(view, _)| view.family().1);
            let literal = self.literal_text(part).map_err(Planned::Unfit)?;
            let allowed = part.field.mapping.allowed.as_ref().filter(|_| !literal.is_empty());
            let is_list = part.spec.is_list();
            let words = if is_list { literal.replace(',', " ") } else { literal.clone() };
            if let Some(reason) = allowed.and_then(|of| of.refusal(&words, is_list)) {
                return Err(Planned::Unfit(reason));
            }
            literals.push((name, literal));
        }
        let new = match part.view() {
            Some((view, _)) => {
                let values: Vec<(&str, &str)> = literals.iter().map(|(name, text)| (*name, text.as_str())).collect();
                view.texts(&texts, &values).map_err(Planned::Unfit)?
            }
            None if self.written_as(part).is_some() => vec![self.own_text(part, texts[0].as_deref())?],
            None => {
                let is_absent = self.value(field, part.spec, None).is_ok_and(|absent| absent == *part.value);
                let wanted = literals.pop().map(|(_, text)| text).filter(|text| !text.is_empty() && !is_absent);
                let is_list = field.mapping.conversion.form == Some(Form::Words);
                let (held, part, patterns) = (texts[0].as_deref(), wanted.as_deref(), &self.answers.patterns);
                let new = field.mapping.conversion.with_part(held, part, is_list, patterns);
                vec![new.ok_or_else(|| Planned::Unfit("the text of the device has no place for it".to_owned()))?]
            }
        };
        for (((source, excerpt), old), new) in excerpts(field).into_iter().zip(texts).zip(new) {
            let new = new.filter(|text| !text.is_empty());
            if new.as_deref() != old.as_deref() {
                let place = self.part_place(part, source, excerpt)?;
                if let Some(reason) = new.as_deref().and_then(|text| wrong_characters(text, &place)) {
                    return Err(Planned::Unfit(reason.to_owned()));
                }
                let Some(writes) = &mut self.writes else { continue };
                writes.pending.retain(|(known, _)| *known != place);
                writes.pending.push((place, new));
            }
        }
        Ok(())
    }

    /// Returns the text that `write` gives to a value.
    fn written_as(&self, part: &Part<'t>) -> Option<&'t Template> {
        let (literal, field) = (part.value.to_string(), part.field);
        let (_, text) = field.mapping.writes.iter().find(|(value, _)| **value == *literal)?;
        text.as_ref()
    }

    /// Returns the text of `write` for a value, or the present one if that is the same value.
    fn own_text(&mut self, part: &Part<'t>, held: Option<&str>) -> Result<Option<String>, Planned> {
        let is_same = self.value(part.field, part.spec, held).is_ok_and(|read| part.is_value(&read));
        let Some(template) = self.written_as(part).filter(|_| !is_same) else { return Ok(held.map(str::to_owned)) };
        let text = self.fill(template).map_err(|_| Planned::Failed(self.failure(part.field)))?;
        Ok(Some(text.into_owned()))
    }

    /// Returns the way of a value, after all texts are known.
    fn part_way(&mut self, part: &Part<'t>) -> Result<Planned, Planned> {
        let field = part.field;
        let read = match self.field_text(field) {
            Ok(text) => self.value(field, part.spec, text.as_deref()),
            Err(NoText::Failed) => return Err(Planned::Failed(self.failure(field))),
            Err(NoText::Unfit(text)) => Err(text),
        };
        if !read.is_ok_and(|read| part.is_value(&read)) {
            return Err(Planned::Unfit("the device cannot store this value".to_owned()));
        }
        let written = part.view().map_or(1, |(view, _)| view.written);
        let mut writes = Vec::new();
        for (source, excerpt) in excerpts(field).into_iter().take(written) {
            let place = self.part_place(part, source, excerpt)?;
            let pending = self.writes.as_ref().map_or(&[][..], |writes| &writes.pending);
            let Some((place, text)) = pending.iter().find(|(known, _)| *known == place).cloned() else { continue };
            let reload = self.bindings.source(source).writing.reload.as_deref().map(str::to_owned);
            writes.push(Write { name: part.name.clone(), place, text, old: None, reload, hidden: part.spec.hidden });
        }
        if writes.is_empty() {
            let reload = self.bindings.source(field.source).writing.reload.as_deref();
            return Ok(Planned::Present(reload.map(str::to_owned)));
        }
        Ok(Planned::Write(writes))
    }

    fn part_place(&mut self, part: &Part<'t>, source: SourceId, excerpt: &'t Excerpt) -> Result<Place, Planned> {
        let is_words = part.field.mapping.conversion.form == Some(Form::Words);
        let is_list = part.view().map_or(is_words, |(view, _)| view.is_list);
        self.place(source, excerpt, is_list).map_err(|_| Planned::Failed("the device does not have it".to_owned()))
    }

    /// Returns the value as a view takes it, or as it stands in a text.
    fn literal_text(&self, part: &Part<'t>) -> Result<String, String> {
        let (mut literal, conversion) = (part.value.to_string(), &part.field.mapping.conversion);
        if part.spec.is_list() {
            literal = literal.split(',').map(str::trim).collect::<Vec<_>>().join(",");
        }
        if !part.field.mapping.path.is_empty() {
            return self.keys_of(part.field, &literal);
        }
        conversion.reverse(&literal, conversion.form, None, &|text| text == literal)
    }

    /// Returns the text that an option, or the item of it that begins with one of these texts, is to have by a write of the
    /// same request; `None` without one.
    pub(super) fn pending_text(
        &mut self,
        id: SourceId,
        name: &str,
        begins: Option<&[Box<str>]>,
    ) -> Result<Option<Option<String>>, Missing> {
        // First, since it holds for each field that is only read.
        if self.writes.as_ref().is_none_or(|writes| writes.pending.is_empty()) {
            return Ok(None);
        }
        let location = &self.bindings.source(id).location;
        if !matches!(location, Location::Uci { .. } | Location::BuiltIn { .. }) {
            return Ok(None);
        }
        let key = self.row_key(id)?;
        let is_it = |place: &Place| match (place, location) {
            (Place::Uci { package, section, option, form, .. }, Location::Uci { package: of, .. }) => {
                let of_item = if let OptionForm::Item(begins) = form { Some(&**begins) } else { None };
                of_item == begins && **of == **package && key.as_deref() == Some(section) && option == name
            }
            (Place::Provided { provider, row, field, .. }, Location::BuiltIn { provider: of, .. }) => {
                *provider == of.name && key.as_deref().unwrap_or_default() == row && field == name
            }
            _ => false,
        };
        let pending = self.writes.iter().flat_map(|writes| writes.pending.iter().rev());
        Ok(pending.into_iter().find(|(place, _)| is_it(place)).map(|(_, text)| text.clone()))
    }
}

/// Returns the places of the texts of a field.
fn excerpts(field: &Field) -> Vec<(SourceId, &Excerpt)> {
    match &field.excerpt {
        Excerpt::View(_, fields) => fields.iter().map(|(source, excerpt)| (*source, excerpt)).collect(),
        excerpt => vec![(field.source, excerpt)],
    }
}
