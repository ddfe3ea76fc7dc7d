//! Builds the sources of UCI packages.

use super::{Built, SchemaBuilder};
use crate::model::raw::Object;
use crate::model::source::uci::{Identity, is_field, is_name, is_package, is_section, is_type};
use crate::model::source::{Condition, Location, SourceId, Template};

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
            return Err(self.error(source.file, "/where", format!("{field:?} is not the name of an option")));
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
