//! Builds the ways in which the agent sets values on the device.

use super::{Built, SchemaBuilder, pointer};
use crate::model::expression;
use crate::model::raw::{Object, Raw};
use crate::model::schema::Spec;
use crate::model::source::uci::{POSITION, is_name};
use crate::model::source::{Allowed, Excerpt, Field, Location, Pick, SourceId, Writing, WrittenTexts, provider};
use crate::model::value::Type;
use crate::suggest::hint;

/// The members of a source that tell how it is set.
pub(super) const WRITING_MEMBERS: [&str; 3] = ["can", "reload", "set"];

/// The verbs that a program may have.
const VERBS: [&str; 6] = ["get", "list", "check", "set", "add", "delete"];

impl<'a> SchemaBuilder<'a> {
    /// Reads `set`, `can` and `reload` of a source.
    pub(super) fn writing(&self, raw: &Object<'_>, location: &Location) -> Built<Writing> {
        let mut writing = Writing::default();
        match (location, raw.get("set")) {
            (Location::Uci { package, .. }, set) => {
                writing.sets = !matches!(set, Some(Raw::Boolean(false)));
                writing.reload = Some(package.clone());
            }
            (Location::BuiltIn { provider, .. }, None) => {
                let written = provider::written(provider.name);
                writing.sets = written.is_some() || provider.name == provider::COMMAND;
                writing.reload = written.map(|(package, _)| package.into());
            }
            (_, None | Some(Raw::Boolean(false))) => {}
            (Location::File { .. }, Some(Raw::Text("write"))) => writing.sets = true,
            (Location::File { .. }, Some(Raw::Text("replace"))) => (writing.sets, writing.replaces) = (true, true),
            (Location::File { .. }, Some(_)) => {
                return Err(self.error(raw.file, "/set", "`write`, `replace` or false is needed"));
            }
            // The field has the method, which sets nothing else of the answer.
            (Location::Ubus(_), Some(Raw::Object(_))) if raw.get("field").is_some() => {}
            (_, Some(_)) => return Err(self.error(raw.file, "/set", "false is needed, or no `set`")),
        }
        if matches!((location, raw.get("set")), (Location::Uci { .. }, Some(set)) if !matches!(set, Raw::Boolean(_))) {
            return Err(self.error(raw.file, "/set", "true or false is needed"));
        }
        match location {
            Location::Exec { .. } => {
                let verbs = self.texts(raw, "can")?;
                if let Some(verb) = verbs.iter().find(|verb| !VERBS.contains(&&***verb)) {
                    let reason = format!("`{verb}` is not a verb{}", hint(verb, &VERBS, "verbs", ""));
                    return Err(self.error(raw.file, "/can", reason));
                }
                let can = |verb: &str| verbs.iter().any(|known| **known == *verb);
                let wrong = match () {
                    () if !verbs.is_empty() && !can("get") => Some("`get` is needed: every value is read"),
                    () if can("add") != can("delete") => Some("`add` and `delete` go together"),
                    () if can("add") && raw.get("at").is_some() => Some("only the program of a table has `add`"),
                    () if can("check") && !can("set") => Some("`check` is of no use without `set`"),
                    () => None,
                };
                if let Some(reason) = wrong {
                    return Err(self.error(raw.file, "/can", reason));
                }
                writing.sets = can("set") && !matches!(raw.get("set"), Some(Raw::Boolean(false)));
                (writing.checks, writing.adds) = (can("check"), can("add"));
            }
            _ if raw.get("can").is_some() => return Err(self.error(raw.file, "/can", "only an `exec` source has it")),
            _ => {}
        }
        if let Some(name) = self.text(raw, "reload")? {
            let is_package = matches!(location, Location::Uci { package, .. } if **package == *name);
            writing.reload = match name {
                "none" => None,
                name if is_package || self.reloads.has(name) => Some(name.into()),
                name => return Err(self.error(raw.file, "/reload", format!("no `{name}` in `reloads`"))),
            };
        }
        Ok(writing)
    }

    /// Reads `write` of a field: the texts for values that are not the reverse of its conversion.
    pub(super) fn written_texts(&self, raw: &Object<'_>, spec: &Spec) -> Built<WrittenTexts> {
        let write = match raw.get("write") {
            None => return Ok(Box::default()),
            Some(Raw::Object(write)) => write,
            Some(_) => {
                return Err(self.error(raw.file, "/write", "an object is needed: value to device text, or null"));
            }
        };
        let mut texts = Vec::new();
        for (value, text) in write.members() {
            let at = format!("/write{}", pointer(value));
            // A value in its usual form is found among the literals of requests.
            let value = spec.parse(value).map_err(|reason| self.error(raw.file, &at, reason.to_string()))?;
            let text = match text {
                Raw::Null => None,
                Raw::Text(text) => Some(self.text_with_blanks(text, raw.file, &at)?),
                _ => return Err(self.error(raw.file, &at, "a string or null is needed")),
            };
            texts.push((value.to_string().into(), text));
        }
        Ok(texts.into())
    }

    /// Reads `allow` and `bytes` of a field: the texts that the device takes.
    pub(super) fn allowed(&self, raw: &Object<'_>) -> Built<Option<Box<Allowed>>> {
        let (pattern, bytes) = (self.text(raw, "allow")?, self.bound(raw, "bytes")?);
        if let Some(Err(error)) = pattern.map(regex_lite::Regex::new) {
            return Err(self.error(raw.file, "/allow", expression::reason(&error)));
        }
        let is_free = pattern.is_none() && bytes.is_none();
        Ok((!is_free).then(|| Box::new(Allowed { pattern: pattern.map(Into::into), bytes })))
    }

    /// Returns true if the agent can set a field on the device. Notes a text for a script of the device that no rule restricts.
    pub(super) fn is_settable(&mut self, raw: &Raw<'_>, field: &Field, spec: &Spec) -> bool {
        let is_forbidden = matches!(raw, Raw::Object(raw) if matches!(raw.get("set"), Some(Raw::Boolean(false))));
        let source = self.sources.source_of(field.source);
        let is_package = matches!(source.location, Location::Uci { .. });
        let is_provided = |provider: &str, field: &str| {
            provider == provider::COMMAND
                || provider::written(provider).is_some_and(|(_, fields)| fields.contains(&field))
        };
        let is_option = |(id, excerpt): &(SourceId, Excerpt)| {
            let source = self.sources.source_of(*id);
            let is_field = |name| match &source.location {
                Location::Uci { .. } => is_name(name),
                Location::BuiltIn { provider, .. } => is_provided(provider.name, name),
                _ => false,
            };
            source.writing.sets && excerpt.name().is_some_and(is_field)
        };
        let is_whole = match (&source.location, &field.excerpt) {
            (_, Excerpt::View(view, fields)) => fields[..view.get().written].iter().all(is_option),
            // The section of a row can be moved.
            (Location::Uci { .. }, Excerpt::Name(option)) if **option == *POSITION => {
                matches!(source.pick, Pick::Row(_))
            }
            (Location::Uci { .. }, Excerpt::Name(option)) => is_name(option),
            (Location::Uci { .. }, Excerpt::Item(item)) => is_name(&item.name),
            (Location::BuiltIn { provider, .. }, Excerpt::Name(name)) => is_provided(provider.name, name),
            (Location::Exec { .. }, Excerpt::Name(_)) => true,
            (Location::Ubus(_), Excerpt::Name(_)) => field.mapping.call.is_some(),
            (Location::File { rows: None, .. }, Excerpt::Text { line: None, word: None }) => true,
            _ => false,
        };
        let has_place = field.mapping.conversion.pattern.is_none() || is_package;
        let can_set = source.writing.sets || field.mapping.call.is_some();
        let is_settable = is_whole && can_set && !is_forbidden && has_place;
        let facets = spec.facets.as_ref();
        let is_free = facets.is_none_or(|facets| facets.pattern.is_none() && facets.enumeration.is_empty())
            && field.mapping.conversion.map.is_empty()
            && field.mapping.conversion.form.is_none()
            && field.mapping.allowed.as_ref().is_none_or(|allowed| allowed.pattern.is_none())
            && field.mapping.path.is_empty();
        // A script of the device may split the text at its spaces, and make an argument of each part.
        if spec.writable && is_settable && is_package && spec.kind == Type::String && is_free {
            self.warnings.push(format!(
                "{}: the ACS may set any text, which scripts of the device read; give its source an `allow`, or it an `enum`, a `pattern` or a `map`",
                self.location.pointer.trim_start_matches('/').replace('/', ".")
            ));
        }
        is_settable
    }
}
