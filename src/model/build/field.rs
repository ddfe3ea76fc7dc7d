//! Builds fields: the values of sources that parameters have.

use super::ubus::wrong_field;
use super::{ARE_BUILT, Built, SchemaBuilder, pointer};
use crate::model::expression;
use crate::model::raw::{Number, Object, Raw};
use crate::model::schema::Spec;
use crate::model::source::{
    Conversion, Excerpt, Field, Form, Item, Location, Mapping, RowPath, SourceId, TextMap, VIEWS, ViewId, uci,
};
use crate::model::value::Type;

/// The members of a field; its own source may have `at` and `limit` beside its kind.
pub(super) const FIELD_MEMBERS: [&str; 32] = [
    "field", "view", "fields", "prefix", "line", "word", "match", "absent", "map", "as", "scale", "path", "file",
    "exec", "builtin", "ubus", "uci", "args", "method", "optional", "at", "limit", "age", "fault", "set", "can",
    "reload", "poll", "watch", "write", "allow", "bytes",
];

impl<'a> SchemaBuilder<'a> {
    /// Reads the `source` of a parameter. Returns true if it has one: the parameter is then writable only if the agent can set it
    /// on the device.
    pub(super) fn field(&mut self, raw: &Object<'a>, spec: &mut Spec) -> bool {
        let Some(source) = raw.get("source").filter(|_| !self.sources.is_broken()) else { return false };
        if !ARE_BUILT {
            self.reject(raw.file, "/source", "this build has no sources: every value is kept by the agent itself");
            return false;
        }
        let outside = self.location.enter("source");
        let read = self.read_field(&source, raw.file, spec);
        self.location.leave(outside);
        let field = self.note(read);
        spec.writable &= field.as_ref().is_some_and(|field| self.is_settable(&source, field, spec));
        self.sources.fields.extend(field);
        true
    }

    fn read_field(&mut self, source: &Raw<'a>, file: usize, spec: &Spec) -> Built<Field> {
        // The agent itself obeys these parameters, and not the device.
        // The devices of the LAN are facts of the device (R339).
        let mut names = self.location.pointer.split('/').skip(2);
        if names.next() == Some("ManagementServer") && names.next() != Some("ManageableDevice") {
            return Err(self.error(file, "", "the agent itself keeps the parameters of ManagementServer"));
        }
        if spec.counted_table.is_some() {
            return Err(self.error(file, "", "it counts instances, so that it has no source"));
        }
        match source {
            Raw::Text(name) => {
                let (source, name) = self.named_field(name, file, "")?;
                let mapping = self.sources.mapping(Mapping::default());
                Ok(Field { node: self.node, source, excerpt: Excerpt::Name(name.into()), mapping })
            }
            Raw::Object(source) => self.field_object(source, spec),
            other => {
                let reason = format!("the name of a field or an object is needed, not {}", other.json_type());
                Err(self.error(file, "", reason))
            }
        }
    }

    fn field_object(&mut self, raw: &Object<'a>, spec: &Spec) -> Built<Field> {
        self.check_members(raw, &FIELD_MEMBERS);
        let own = self.source(raw)?;
        if own.is_none()
            && let Some(member) =
                ["args", "method", "optional", "at", "limit", "age", "fault", "can", "reload", "poll", "watch"]
                    .iter()
                    .find(|member| raw.get(member).is_some())
        {
            return Err(self.error(raw.file, &pointer(member), "only a source of its own has it"));
        }
        let (source, excerpt) = self.excerpt(raw, own)?;
        let conversion = self.conversion(raw, spec)?;
        let absent = match self.text(raw, "absent")? {
            None => None,
            Some(text) => {
                let value = spec.parse_with(text, self.patterns);
                Some(value.map_err(|reason| self.error(raw.file, "/absent", reason.to_string()))?)
            }
        };
        let path = self.row_paths(raw)?;
        let writes = self.written_texts(raw, spec)?;
        let (allowed, call) = (self.allowed(raw)?, self.set_call(raw, source)?);
        let mapping = self.sources.mapping(Mapping { absent, conversion, writes, allowed, path, call });
        Ok(Field { node: self.node, source, excerpt, mapping })
    }

    /// Reads the part of the answer that the value is, and the source of that answer.
    fn excerpt(&mut self, raw: &Object<'a>, own: Option<SourceId>) -> Built<(SourceId, Excerpt)> {
        let (name, view) = (self.text(raw, "field")?, self.text(raw, "view")?);
        let (line, word) = (self.text(raw, "line")?, self.bound(raw, "word")?);
        if let Some(view) = view {
            return self.view(raw, view, own);
        }
        if raw.get("fields").is_some() {
            return Err(self.error(raw.file, "/fields", "only a `view` has several fields"));
        }
        if let Some(name) = name {
            if let Some(member) = ["line", "word"].iter().find(|member| raw.get(member).is_some()) {
                return Err(self.error(raw.file, &pointer(member), "a field has a name, and is no part of a text"));
            }
            let (source, name) = match own {
                Some(own) => (own, name),
                None => self.named_field(name, raw.file, "/field")?,
            };
            self.check_field(source, name, raw.file, "/field")?;
            let excerpt = self.named_excerpt(raw, source, name, true)?;
            return Ok((source, excerpt));
        }
        let Some(source) = own.or_else(|| self.sources.find(None)) else {
            return Err(self.error(raw.file, "", "no source above; a source of its own or `field` is needed"));
        };
        if !matches!(self.sources.location(source), Location::File { .. }) {
            return Err(self.error(raw.file, "", "`field` is needed: the name of the value in the source"));
        }
        let number = word.map(|word| u16::try_from(word).ok().filter(|word| *word > 0));
        if number == Some(None) {
            return Err(self.error(raw.file, "/word", "a number from 1 to 65535 is needed"));
        }
        let is_whole = line.is_none() && word.is_none() && raw.get("match").is_some();
        let part = Excerpt::Text { line: line.map(Into::into), word: number.flatten() };
        Ok((source, if is_whole { Excerpt::Whole } else { part }))
    }

    /// Reads the fields of a view.
    fn view(&mut self, raw: &Object<'a>, name: &str, own: Option<SourceId>) -> Built<(SourceId, Excerpt)> {
        if let Some(member) = ["field", "line", "word"].iter().find(|member| raw.get(member).is_some()) {
            return Err(self.error(raw.file, &pointer(member), "a view has `fields`"));
        }
        let Some(id) = ViewId::find(name) else {
            let known: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
            let reason = format!("there is no view `{name}`; there are {}", known.join(", "));
            return Err(self.error(raw.file, "/view", reason));
        };
        let view = id.get();
        let names = self.texts(raw, "fields")?;
        if !(view.least..=view.fields.len()).contains(&names.len()) {
            let (needed, optional) = view.fields.split_at(view.least);
            let or =
                if optional.is_empty() { String::new() } else { format!(", and may have {}", optional.join(", ")) };
            let reason = format!("`{name}` needs the fields {}{or}", needed.join(", "));
            return Err(self.error(raw.file, "/fields", reason));
        }
        let mut fields = Vec::new();
        for name in &names {
            let (source, name) = match own {
                Some(own) if !name.contains(':') => (own, &**name),
                _ => self.named_field(name, raw.file, "/fields")?,
            };
            self.check_field(source, name, raw.file, "/fields")?;
            let excerpt = self.named_excerpt(raw, source, name, fields.is_empty())?;
            fields.push((source, excerpt));
        }
        // There is at least one.
        Ok((fields[0].0, Excerpt::View(id, fields.into())))
    }

    /// Returns a field of this name, or with `prefix` an item in it.
    fn named_excerpt(&self, raw: &Object<'_>, source: SourceId, name: &str, may_be_item: bool) -> Built<Excerpt> {
        let begins = self.texts(raw, "prefix")?;
        if begins.is_empty() || !may_be_item {
            return Ok(Excerpt::Name(name.into()));
        }
        if !matches!(self.sources.location(source), Location::Uci { .. }) || !uci::is_name(name) {
            return Err(self.error(raw.file, "/prefix", "only an option of a `uci` has it"));
        }
        Ok(Excerpt::Item(Box::new(Item { name: name.into(), begins })))
    }

    /// Finds the source of a field by its text: `field` of the nearest source above, or `source:field` of a named one.
    fn named_field<'t>(&mut self, text: &'t str, file: usize, at: &str) -> Built<(SourceId, &'t str)> {
        let (source, name) = match text.split_once(':') {
            Some((source, name)) => (Some(source), name),
            None => (None, text),
        };
        let Some(id) = self.sources.find(source) else {
            let reason = match source {
                Some(source) => format!("no source `{source}` in an `also` above"),
                None => "no source above".to_owned(),
            };
            return Err(self.error(file, at, reason));
        };
        self.check_field(id, name, file, at)?;
        Ok((id, name))
    }

    /// Rejects a name that the source does not have, as far as the builder knows.
    pub(super) fn check_field(&mut self, id: SourceId, name: &str, file: usize, at: &str) -> Built<()> {
        let reason = match self.sources.location(id) {
            Location::BuiltIn { provider, .. } if !provider.fields.contains(&name) => {
                format!("`{}` has no field `{name}`; it has {}", provider.name, provider.fields.join(", "))
            }
            Location::File { rows: None, .. } => "a file has no fields; `line`, `word` or `match` is needed".to_owned(),
            Location::File { rows: Some(pattern), .. } if !has_group(pattern, name) => {
                format!("the expression of the rows has no group `{name}`")
            }
            Location::Ubus(_) if wrong_field(name).is_some() => wrong_field(name).unwrap_or_default(),
            Location::Exec { .. } if name.is_empty() || name.contains(char::is_control) => "not a name".to_owned(),
            Location::Uci { .. } if !uci::is_field(name) => {
                "not the name of an option, nor `.`, `.name`, `.type` or `.position`".to_owned()
            }
            _ => {
                self.sources.ask_program(id, name);
                return Ok(());
            }
        };
        Err(self.error(file, at, reason))
    }

    /// Reads `match`, `map`, `as` and `scale`.
    fn conversion(&self, raw: &Object<'_>, spec: &Spec) -> Built<Conversion> {
        let pattern = self.text(raw, "match")?;
        let wrong = match pattern.map(regex_lite::Regex::new) {
            Some(Err(error)) => Some(expression::reason(&error)),
            Some(Ok(regex)) if regex.captures_len() < 2 => {
                Some("the expression needs a group in parentheses, which is the value".to_owned())
            }
            _ => None,
        };
        if let Some(reason) = wrong {
            return Err(self.error(raw.file, "/match", reason));
        }
        let mut map = TextMap::default();
        match raw.get("map") {
            None => {}
            Some(Raw::Object(object)) => {
                for (text, value) in object.members() {
                    let at = format!("/map{}", pointer(text));
                    let Raw::Text(value) = value else { return Err(self.error(raw.file, &at, "a string is needed")) };
                    // With a form or a scale behind it, the value is not yet the literal.
                    if raw.get("as").is_none() && raw.get("scale").is_none() && raw.get("path").is_none() {
                        spec.parse_with(value, self.patterns)
                            .map_err(|reason| self.error(raw.file, &at, spec.explain(&reason, value)))?;
                    }
                    if !map.push(text, value) {
                        return Err(self.error(raw.file, &at, "a text has no NUL"));
                    }
                }
            }
            Some(_) => return Err(self.error(raw.file, "/map", "an object is needed: device text to value")),
        }
        let form = match self.text(raw, "as")? {
            None => None,
            Some(name) => match Form::NAMES.iter().find(|(known, _)| *known == name) {
                Some((_, form)) => Some(*form),
                None => {
                    let known: Vec<&str> = Form::NAMES.iter().map(|(name, _)| *name).collect();
                    return Err(self.error(raw.file, "/as", format!("one of {} is needed", known.join(", "))));
                }
            },
        };
        Ok(Conversion { pattern: pattern.map(Into::into), map, form, scale: self.scale(raw, spec)? })
    }

    fn scale(&self, raw: &Object<'_>, spec: &Spec) -> Built<Option<(i64, i64)>> {
        let Some(value) = raw.get("scale") else { return Ok(None) };
        let numbers: Vec<i64> = match value {
            Raw::List(items) => items
                .items()
                .filter_map(|item| match item {
                    Raw::Number(Number::Integer(number)) => i64::try_from(number).ok().filter(|number| *number > 0),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        let is_number =
            !matches!(spec.kind, Type::String | Type::Boolean | Type::DateTime | Type::Base64 | Type::HexBinary);
        match numbers[..] {
            [_, _] if !is_number => Err(self.error(raw.file, "/scale", "only a number has a scale")),
            [times, per] => Ok(Some((times, per))),
            _ => Err(self.error(raw.file, "/scale", "two positive whole numbers are needed: times and per")),
        }
    }

    /// Reads `path`: the tables whose rows the value may name.
    fn row_paths(&mut self, raw: &Object<'_>) -> Built<Box<[RowPath]>> {
        let paths: Box<[Box<str>]> = match raw.get("path") {
            None => return Ok(Box::default()),
            Some(Raw::Text(path)) => [path.into()].into(),
            Some(_) => self.texts(raw, "path")?,
        };
        let mut found = Vec::new();
        for path in &paths {
            let Some(path) = RowPath::parse(path) else {
                let reason = "the path of a table with `*` for its instances is needed, such as `Device.WiFi.Radio.*`";
                return Err(self.error(raw.file, "/path", reason));
            };
            let pointer = self.location.pointer.clone();
            self.sources.paths.push((raw.file, pointer, path.table().into(), path.name().into()));
            found.push(path);
        }
        Ok(found.into())
    }
}

/// Returns true if a regular expression, which the builder has compiled before, has a group of this name.
fn has_group(pattern: &str, name: &str) -> bool {
    regex_lite::Regex::new(pattern).is_ok_and(|regex| regex.capture_names().flatten().any(|group| group == name))
}
