//! Sections of UCI packages that become rows, or are rows no more, on behalf of a request.

use super::{Located, Tree};
use crate::model::path::Path;
use crate::model::schema::{NodeId, NodeKind, ROOT};
use crate::model::source::uci::Identity;
use crate::model::source::{Location, NewRow, NewSection, Place, Source, TableBinding, Template, Write};

impl Tree {
    /// Returns the section that the row of a new instance is; `None` in a table without a source.
    pub fn plan_add(&self, table: &str, number: u32) -> Option<Write> {
        let binding = self.binding(table)?;
        let NewRow::Section(section) = binding.add.as_ref()? else {
            let (command, limit) = self.program_of(binding)?;
            return Some(self.section_write(binding, format!("{table}{number}."), Place::NewRow { command, limit }));
        };
        let NewSection { section_type, name, options } = &**section;
        let above = self.row_around(table).unwrap_or_default();
        let text = |value: &Template| value.fill(&mut |_| Ok::<_, ()>(above.into())).unwrap_or_default().into_owned();
        let place = Place::NewSection {
            package: self.sections_of(binding)?.0,
            section_type: section_type.to_string(),
            name: name.replace("{number}", &number.to_string()),
            options: options.iter().map(|(option, value)| (option.to_string(), text(value))).collect(),
        };
        Some(self.section_write(binding, format!("{table}{number}."), place))
    }

    /// Returns the section that the row of an instance is, which is to be deleted; `None` in a table without a source.
    pub fn plan_delete(&self, instance: &str) -> Option<Write> {
        let (table, number) = split(instance)?;
        let binding = self.binding(table)?;
        let key = self.key(table, number)?.to_owned();
        let place = match (self.sections_of(binding), self.program_of(binding)) {
            (Some((package, identity)), _) => Place::OldSection { package, identity, section: key },
            (None, Some((command, limit))) => Place::OldRow { command, limit, row: key },
            _ => return None,
        };
        Some(self.section_write(binding, instance.to_owned(), place))
    }

    /// Returns the key of the row that an instance is; `None` in a table without a source.
    pub fn row_key(&self, instance: &str) -> Option<&str> {
        let (table, number) = split(instance)?;
        let Ok(Located::Table(spec, scope)) = self.locate(&Path::parse(table).ok()?) else { return None };
        scope.tables[spec.index as usize].key(number)
    }

    /// Returns true if an instance is present.
    pub fn exists_instance(&self, instance: &str) -> bool {
        let located = Path::parse(instance).and_then(|path| self.locate(&path));
        matches!(located, Ok(Located::Instance(..)))
    }

    /// Returns the paths of the tables that have the rows of this one.
    pub fn followers(&self, table: &str) -> Vec<String> {
        let mut paths = Vec::new();
        self.followers_in(ROOT, String::new(), table, &mut paths);
        paths
    }

    fn followers_in(&self, node: NodeId, above: String, leader: &str, paths: &mut Vec<String>) {
        let path = format!("{above}{}.", self.schema.name(node));
        match self.schema.node(node).kind {
            // No table within a table follows another one.
            NodeKind::Table(_) => {
                let bindings = self.schema.bindings.as_ref();
                let binding = bindings.and_then(|bindings| bindings.table(node));
                if binding.is_some_and(|binding| binding.follows.as_deref() == Some(leader)) {
                    paths.push(path);
                }
            }
            NodeKind::Object(children) => {
                children.range().for_each(|child| self.followers_in(child, path.clone(), leader, paths));
            }
            NodeKind::Parameter { .. } => {}
        }
    }

    /// Returns the greatest number that a pin gives to a row of a table.
    pub(super) fn last_pin(&self, table: &str) -> u32 {
        self.binding(table).and_then(|binding| binding.pins.last()).map_or(0, |(number, _)| *number)
    }

    pub(super) fn binding(&self, table: &str) -> Option<&TableBinding> {
        let node = self.schema.bound_table(table)?;
        self.schema.bindings.as_ref()?.table(node)
    }

    /// Returns the program whose rows a table has, with its limit.
    fn program_of(&self, binding: &TableBinding) -> Option<(Vec<String>, u32)> {
        let source = self.schema.bindings.as_ref()?.source(binding.source);
        let Location::Exec { command, .. } = &source.location else { return None };
        Some((command.iter().map(|argument| argument.to_string()).collect(), source.limit))
    }

    fn sections_of(&self, binding: &TableBinding) -> Option<(String, Option<Identity>)> {
        self.schema.bindings.as_ref()?.source(binding.source).sections()
    }

    /// Returns the key of the row that an instance of a table is.
    fn key(&self, table: &str, number: u32) -> Option<&str> {
        let Ok(Located::Table(spec, scope)) = self.locate(&Path::parse(table).ok()?) else { return None };
        scope.tables[spec.index as usize].key(number)
    }

    /// Returns the key of the nearest row that holds a table.
    fn row_around(&self, table: &str) -> Option<&str> {
        let inside = &table[..table.trim_end_matches('.').rfind('.')? + 1];
        let mut above = inside.match_indices('.').map(|(dot, _)| &inside[..=dot]).rev();
        above.find_map(|instance| split(instance).and_then(|(table, number)| self.key(table, number)))
    }

    fn section_write(&self, binding: &TableBinding, name: String, place: Place) -> Write {
        let bindings = self.schema.bindings.as_ref();
        let reload = match bindings.map(|bindings| bindings.source(binding.source)) {
            // The rows of a provider are in a package without a source.
            Some(Source { location: Location::BuiltIn { .. }, .. }) => place.package().map(str::to_owned),
            source => source.and_then(|source| source.writing.reload.as_deref()).map(str::to_owned),
        };
        Write { name, place, text: None, old: None, reload, hidden: false }
    }
}

/// Returns the path of the table and the number of an instance.
pub(super) fn split(instance: &str) -> Option<(&str, u32)> {
    let inside = instance.strip_suffix('.')?;
    let dot = inside.rfind('.')? + 1;
    Some((&inside[..dot], inside[dot..].parse().ok()?))
}
