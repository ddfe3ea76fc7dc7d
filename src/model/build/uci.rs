//! Builds the sources of UCI packages.

use super::{Built, SchemaBuilder, pointer};
use crate::foreign_text::Quoted;
use crate::model::raw::{Object, Raw};
use crate::model::source::uci::{Identity, is_field, is_name, is_package, is_section, is_type};
use crate::model::source::{Condition, Location, NewRow, NewSection, SourceId, Template};

impl<'a> SchemaBuilder<'a> {
    /// Reads the package of a source, and checks its `at`. The source of a table has `rows` instead.
    pub(super) fn package(&self, raw: &Object<'_>) -> Built<Location> {
        let package = self.text(raw, "uci")?.filter(|name| is_package(name));
        let Some(package) = package else {
            return Err(self.error(raw.file, "/uci", "the name of a package is needed, such as `network`"));
        };
        match self.text(raw, "at")? {
            Some(at) if !at.contains('{') && !is_section(at) => {
                return Err(self.error(raw.file, "/at", "the name of a section or `@type[n]` is needed"));
            }
            None if raw.get("rows").is_none() => {
                let reason =
                    "`at` is needed: the name of a section or `@type[n]`; a table needs `rows`: a type of sections";
                return Err(self.error(raw.file, "", reason));
            }
            _ => {}
        }
        Ok(Location::Uci { package: package.into(), identity: None })
    }

    /// Reads `add` and `name` of a table: the section that becomes a new row.
    pub(super) fn new_section(
        &mut self,
        source: &Object<'a>,
        id: SourceId,
        conditions: &[Condition],
    ) -> Built<Option<NewRow>> {
        let wrong = |member: &str, reason: String| Err(self.error(source.file, &pointer(member), reason));
        let name = self.text(source, "name")?;
        let add = match source.get("add") {
            None if self.sources.source_of(id).writing.adds => return Ok(Some(NewRow::Program)),
            None if name.is_some() => return wrong("name", "only a table with `add` has it".to_owned()),
            None => return Ok(None),
            Some(Raw::Object(add)) => add,
            Some(_) => return wrong("add", "an object is needed: options with their values".to_owned()),
        };
        let rows = self.sources.source_of(id);
        let is_package = matches!(rows.location, Location::Uci { .. });
        let sections = rows.sections().filter(|_| !is_package || rows.writing.sets);
        let Some((_, identity)) = sections else {
            return wrong(
                "add",
                "only a `uci` that can be set, and the providers of sections such as `route` have it".to_owned(),
            );
        };
        let of_provider = identity.map(|identity| identity.section_type).filter(|_| !is_package).unwrap_or_default();
        let section_type = self.text(source, "rows")?.unwrap_or(&of_provider);
        let plain = section_type.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let name = name.map_or_else(|| format!("cpe_{plain}_{{number}}"), str::to_owned);
        if !name.contains("{number}") || !is_name(&name.replace("{number}", "1")) {
            return wrong("name", "the name of a section with `{number}` in it is needed".to_owned());
        }
        let mut options: Vec<(Box<str>, Template)> = Vec::new();
        for (option, value) in add.members() {
            let Raw::Text(value) = value else { return wrong("add", format!("a string is needed for `{option}`")) };
            if !is_name(option) || value.contains(|c: char| c < ' ' || c == '\x7F') {
                return wrong("add", format!("`{option}` is no option with a value"));
            }
            options.push((option.into(), self.text_with_blanks(value, source.file, "/add")?));
        }
        // A section that is no row would be added for nothing. The fields of a provider are no options.
        let meets = |(field, texts): &&Condition| {
            let option = options.iter().find(|(option, _)| **option == **field).map(|(_, value)| value);
            let is_it = |wanted: &Template| match option {
                Some(value) => value == wanted || wanted.is_text("*"),
                None if **field == *".type" => wanted.is_text(section_type),
                None => wanted.fill(&mut |_| Err(())).is_ok_and(|wanted| wanted.is_empty()),
            };
            texts.iter().any(is_it)
        };
        if let Some((field, _)) = conditions.iter().filter(|_| is_package).find(|condition| !meets(condition)) {
            return wrong("add", format!("`{field}` is needed as in `where`: the new section would be no row"));
        }
        let options = options.into();
        Ok(Some(NewRow::Section(Box::new(NewSection {
            section_type: section_type.into(),
            name: name.into(),
            options,
        }))))
    }

    /// Adds the type of the sections to the conditions of a table whose rows are sections of a package, and reads `identity`.
    pub(super) fn sections(
        &mut self,
        source: &Object<'a>,
        id: SourceId,
        conditions: Box<[Condition]>,
    ) -> Built<Box<[Condition]>> {
        let options = self.texts(source, "identity")?;
        if !matches!(self.sources.location(id), Location::Uci { .. }) {
            return match source.get("identity") {
                Some(_) => Err(self.error(source.file, "/identity", "only a `uci` has it")),
                None => Ok(conditions),
            };
        }
        let wrong_rows = || self.error(source.file, "/rows", "a type of sections is needed, such as `wifi-iface`");
        let section_type = self.text(source, "rows")?.filter(|text| is_type(text)).ok_or_else(wrong_rows)?;
        let template = Template::parse(section_type, &mut |_| Err(String::new())).map_err(|_| wrong_rows())?;
        if let Some(field) = conditions.iter().map(|(field, _)| field).find(|field| !is_field(field)) {
            return Err(self.error(source.file, "/where", format!("{} is not the name of an option", Quoted(field))));
        }
        if source.get("identity").is_some() {
            if options.is_empty() || !options.iter().all(|option| is_name(option)) {
                return Err(self.error(source.file, "/identity", "names of options are needed"));
            }
            let options = options.iter().map(|option| option.to_string()).collect();
            if let Location::Uci { identity, .. } = self.sources.location_mut(id) {
                *identity = Some(Identity { section_type: section_type.to_owned(), options });
            }
        }
        let of_type = (".type".into(), [template].into());
        Ok([of_type].into_iter().chain(conditions).collect())
    }
}
