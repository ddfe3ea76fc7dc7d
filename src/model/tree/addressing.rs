//! Addressing of instances by aliases and wildcards (R317 to R322). The tree knows numbers only: a name of a request becomes
//! names with numbers, and the names of its answer get the form of the request again.
//!
//! ```text
//! Device.T.[a].X, Device.T.*.X ──visit_paths, by_number──▶ Device.T.1.X ──▶ Tree ──▶ Device.T.1.X ──NameForm──▶ Device.T.[a].X
//! ```

use std::borrow::Cow;

use super::sections::split;
use super::{Instance, Located, Scope, Table, Tree, Work};
use crate::model::change::Change;
use crate::model::path::{Path, PathError, alias, is_alias, with_any_numbers};
use crate::model::schema::{ALIAS, NodeKind, ROOT, Spec, TableSpec};
use crate::model::value::Value;

mod name_form;

pub use name_form::NameForm;

/// The kinds of addressing that the device supports beside numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addressing {
    /// True if `[alias]` may stand for the number of an instance (R317).
    pub aliases: bool,
    /// True if `*` may stand for the numbers of all instances (R322).
    pub wildcards: bool,
}

/// The instances among which an alias is searched for one step of the work of a request: a comparison costs far less than a
/// parameter of a response.
const ROWS_PER_STEP: usize = 16;

/// A function that gets the paths by numbers to which a name leads, each with the form of the names in its answer.
pub(super) type VisitPath<'v> = &'v mut dyn FnMut(&Path<'_>, &mut NameForm<'_>) -> Result<(), PathError>;

/// Returns the alias of an instance to which the ACS has given none. It follows from the number, so that it is the same in
/// all units of a model for the instances of the factory state, and needs no record (R318).
pub(super) fn own_alias(number: u32) -> String {
    format!("cpe-{number}")
}

impl Scope {
    /// Returns the number of an instance of a table whose alias is none, or that of another instance (R318).
    pub(in crate::model) fn unfit_alias(&self, spec: &TableSpec) -> Option<u32> {
        let (slot, instances) = (spec.alias?, &self.tables[spec.index as usize].instances);
        let is_unfit = |instance: &&Instance| {
            let alias = instance.scope.values[slot as usize].as_ref().map_or("", Value::as_str);
            let is_other = |other: &Instance| other.number != instance.number && other.has_alias(spec, alias);
            // The aliases of the agent differ by the number.
            alias != own_alias(instance.number) && (!is_alias(alias) || instances.iter().any(is_other))
        };
        instances.iter().find(is_unfit).map(|instance| instance.number)
    }
}

impl Table {
    /// Returns the instance with this alias.
    ///
    /// # Errors
    /// The search is beyond the bound on the work of the request: each name of a request may be one by alias.
    pub(super) fn with_alias(
        &self,
        spec: &TableSpec,
        alias: &str,
        work: &Work,
    ) -> Result<Option<&Instance>, PathError> {
        work.steps(1 + self.instances.len() / ROWS_PER_STEP)?;
        Ok(self.instances.iter().find(|instance| instance.has_alias(spec, alias)))
    }

    /// Gives an instance the alias that it had before its row went, unless another instance has got it since (R318).
    pub(super) fn return_alias(&mut self, spec: &TableSpec, number: u32, alias: Value) {
        let is_other = |instance: &Instance| instance.number != number && instance.has_alias(spec, alias.as_str());
        if !self.instances.iter().any(is_other) {
            self.set_alias(spec, number, alias);
        }
    }

    /// Gives an instance that was added another alias if the ACS has given its own one to another instance. The journal has it
    /// then, because it no longer follows from the number alone.
    pub(super) fn part_alias(&mut self, spec: &TableSpec, number: u32) {
        let (Some(slot), Some(at)) = (spec.alias, self.position(number)) else { return };
        let is_set = |instance: &Instance| instance.number != number && instance.scope.changed.contains(&slot);
        let is_taken =
            |alias: &str| self.instances.iter().any(|instance| is_set(instance) && instance.alias(spec) == Some(alias));
        if self.instances[at].scope.changed.contains(&slot) || !is_taken(&own_alias(number)) {
            return;
        }
        // Fewer instances have aliases than there are numbers to try.
        let parted = (2u32..).map(|more| format!("{}-{more}", own_alias(number))).find(|alias| !is_taken(alias));
        if let Some(alias) = parted {
            self.set_alias(spec, number, Value::Text(alias.into()));
        }
    }

    /// Gives an instance an alias that the journal holds.
    pub(super) fn set_alias(&mut self, spec: &TableSpec, number: u32, alias: Value) {
        let (Some(slot), Some(at)) = (spec.alias, self.position(number)) else { return };
        let scope = &mut self.instances[at].scope;
        scope.values[slot as usize] = Some(alias);
        if let Err(at) = scope.changed.binary_search(&slot) {
            scope.changed.insert(at, slot);
        }
    }

    /// Returns the numbers of the instances with their aliases.
    fn aliases(&self, spec: TableSpec) -> impl Iterator<Item = (u32, &str)> + Clone {
        self.instances.iter().filter_map(move |instance| Some((instance.number, instance.alias(&spec)?)))
    }
}

impl Instance {
    /// Returns true if this is the alias.
    fn has_alias(&self, spec: &TableSpec, alias: &str) -> bool {
        let slot = spec.alias.filter(|_| is_alias(alias));
        slot.and_then(|slot| self.scope.values[slot as usize].as_ref()).is_some_and(|value| value.as_str() == alias)
    }

    /// Returns the alias; `None` if the model has none here, or the device gives a text that is none.
    pub(super) fn alias(&self, spec: &TableSpec) -> Option<&str> {
        let value = self.scope.values[spec.alias? as usize].as_ref()?;
        Some(value.as_str()).filter(|text| is_alias(text))
    }

    /// Returns the alias, if the journal holds it.
    pub(super) fn stored_alias(&self, spec: &TableSpec) -> Option<Value> {
        let slot = spec.alias.filter(|slot| self.scope.changed.contains(slot))?;
        self.scope.values[slot as usize].clone()
    }
}

impl Tree {
    /// Sets the kinds of addressing that names may have.
    pub fn set_addressing(&mut self, addressing: Addressing) {
        self.addressing = addressing;
    }

    /// Returns the kinds of addressing that names may have.
    pub fn addressing(&self) -> Addressing {
        self.addressing
    }

    /// Calls `visit` with each path by numbers to which a name of a request leads: one, or any number with wildcards. The nodes
    /// below the name are named by alias in the answer if `by_alias` is true (R319).
    ///
    /// # Errors
    /// The name is not well formed, has a form that is not supported, or leads to no node; or `visit` fails.
    pub fn visit_paths(&self, name: &str, by_alias: bool, visit: VisitPath<'_>) -> Result<(), PathError> {
        match Path::parse(name) {
            Ok(path) => visit(&path, &mut NameForm::below(self, name, by_alias)),
            Err(error @ (PathError::AliasUnsupported | PathError::WildcardUnsupported)) => {
                let is_supported = (self.addressing.aliases || !name.contains('['))
                    && (self.addressing.wildcards || !name.contains('*'));
                if is_supported { self.visit_matches(name, by_alias, visit) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// Calls `visit` with each path to which a name leads, whatever kinds of addressing are supported.
    pub(super) fn visit_matches(&self, name: &str, by_alias: bool, visit: VisitPath<'_>) -> Result<(), PathError> {
        self.work.step()?;
        if name.split('.').any(|segment| segment == "*") {
            self.check_wildcards(name)?;
        }
        let mut matches =
            Matches { tree: self, by_alias, path: String::new(), written: String::new(), is_any: false, visit };
        matches.visit_below(None, name)
    }

    /// Returns a name with numbers in place of aliases.
    ///
    /// # Errors
    /// Aliases are not supported, or one is that of no instance.
    pub fn by_number<'n>(&self, name: &'n str) -> Result<Cow<'n, str>, PathError> {
        if !name.contains('[') {
            return Ok(name.into());
        }
        if name.contains('*') {
            return Err(PathError::WildcardUnsupported);
        }
        let mut found = String::new();
        self.visit_paths(name, false, &mut |path, _| {
            found.push_str(path.as_str());
            Ok(())
        })?;
        Ok(found.into())
    }

    /// Returns the table and the alias of the first instance on the way to a name that is not present and can be created with
    /// this alias; `None` if no instance is missing (R320).
    ///
    /// # Errors
    /// Aliases are not supported, or the name leads to no node.
    pub fn missing_instance<'n>(&self, name: &'n str) -> Result<Option<(String, &'n str)>, PathError> {
        let aliases = name.match_indices('[').filter(|(at, _)| name[..*at].ends_with('.'));
        for (at, _) in aliases {
            let text = name[at..].split('.').next().and_then(alias).ok_or(PathError::NoAlias)?;
            let table = self.by_number(&name[..at])?.into_owned();
            if self.numbered(&table, text)?.is_none() {
                return Ok(Some((table, text)));
            }
        }
        Ok(None)
    }

    /// Decides if a table may get another instance, and returns its path by numbers, the number of the instance, and the alias
    /// that the name demands: `Table.[alias].` (R320).
    ///
    /// # Errors
    /// The table takes no instance, its instances have no alias, or one of them has this one.
    pub fn new_instance<'n>(&self, name: &'n str) -> Result<(String, u32, Option<&'n str>), PathError> {
        let (table, text) = match name.strip_suffix("].").and_then(|rest| rest.rsplit_once('[')) {
            Some((table, text)) => (table, Some(text)),
            None => (name, None),
        };
        let table = self.by_number(table)?.into_owned();
        let number = self.check_add(&Path::parse(&table)?)?;
        match text.map(|text| (is_alias(text), text)) {
            Some((false, _)) => Err(PathError::NoAlias),
            Some((true, text)) if self.numbered(&table, text)?.is_some() => Err(PathError::AliasTaken),
            _ => Ok((table, number, text)),
        }
    }

    /// Returns the number of the instance with this alias in a table, if it has one.
    fn numbered(&self, table: &str, alias: &str) -> Result<Option<u32>, PathError> {
        if !self.addressing.aliases {
            return Err(PathError::AliasUnsupported);
        }
        let (spec, found) = self.table(&Path::parse(table)?)?;
        spec.alias.ok_or(PathError::Unknown)?;
        Ok(found.with_alias(&spec, alias, &self.work)?.map(|instance| instance.number))
    }

    /// Returns the names of the aliases among these changes that cannot be set, with the reason: they are none, or another instance
    /// of the table would have the same one after all changes (R318).
    pub fn unfit_aliases(&self, changes: &[Change]) -> Result<Vec<(String, PathError)>, PathError> {
        let mut set = Vec::new();
        for change in changes {
            let Change::Set(name, value) = change else { continue };
            let Some((table, number)) = name.strip_suffix(ALIAS).and_then(split) else { continue };
            let (spec, found) = self.table(&Path::parse(table)?)?;
            if spec.alias.is_some() {
                set.push((name, table, number, value.as_str(), found.aliases(spec)));
            }
        }
        let mut unfit = Vec::new();
        for (name, table, number, alias, present) in &set {
            self.work.steps(set.len() + present.clone().count())?;
            let is_set = |other: u32| set.iter().any(|(_, of, at, ..)| (*of, *at) == (*table, other));
            let is_taken = set.iter().any(|(_, of, at, text, _)| (*of, *text) == (*table, *alias) && at != number)
                || present.clone().any(|(other, text)| text == *alias && other != *number && !is_set(other));
            if !is_alias(alias) {
                unfit.push(((*name).clone(), PathError::NoAlias));
            } else if is_taken {
                unfit.push(((*name).clone(), PathError::AliasTaken));
            }
        }
        Ok(unfit)
    }

    /// Decides if a name with wildcards may have matches: it ends below an instance, and the model has such a node, whether or
    /// not an instance is present (R322).
    fn check_wildcards(&self, name: &str) -> Result<(), PathError> {
        let example = with_any_numbers(name);
        let names = example.strip_suffix('.').unwrap_or(&example);
        if name.trim_end_matches('.').ends_with('*') {
            return Err(PathError::WildcardUnsupported);
        }
        // The schema has nodes for tables, and not for their instances.
        let last = names.rsplit('.').next().unwrap_or_default();
        let names =
            if last.bytes().all(|byte| byte.is_ascii_digit()) { &names[..names.len() - last.len()] } else { names };
        let node = self.schema.node_at(names).ok_or(PathError::Unknown)?;
        let is_parameter = matches!(self.schema.node(node).kind, NodeKind::Parameter { .. });
        if is_parameter == name.ends_with('.') { Err(PathError::Unknown) } else { Ok(()) }
    }

    /// Returns a reference with numbers in place of the aliases in it, as far as they are those of instances.
    pub(super) fn reference_by_number<'n>(&self, spec: &Spec, text: &'n str) -> Cow<'n, str> {
        if !self.addressing.aliases || !text.contains('[') {
            return text.into();
        }
        let by_number = |item: &str| {
            let path = self.absolute(item.trim());
            self.by_number(&path).map_or_else(|_| item.to_owned(), Cow::into_owned)
        };
        match spec.is_list() {
            true => text.split(',').map(by_number).collect::<Vec<String>>().join(",").into(),
            false => by_number(text).into(),
        }
    }

    /// Returns the root object.
    pub(super) fn root(&self) -> Result<Located<'_>, PathError> {
        match self.schema.node(ROOT).kind {
            NodeKind::Object(children) => Ok(Located::Object(children, &self.root)),
            // The builder accepts an object only as the root.
            _ => Err(PathError::Unknown),
        }
    }
}

/// The matches of one name, on the way from the root to each of them.
struct Matches<'t, 'v> {
    tree: &'t Tree,
    by_alias: bool,
    /// The way so far by numbers, and as the answer names it.
    path: String,
    written: String,
    /// True below a wildcard.
    is_any: bool,
    visit: VisitPath<'v>,
}

impl<'t> Matches<'t, '_> {
    /// Visits all matches below a node; `None` is the node above the root.
    fn visit_below(&mut self, above: Option<Located<'t>>, rest: &str) -> Result<(), PathError> {
        let mut located = above;
        let mut rest = rest;
        while !rest.is_empty() {
            let (segment, after) = rest.split_at(rest.find('.').map_or(rest.len(), |dot| dot + 1));
            let name = segment.strip_suffix('.').unwrap_or(segment);
            let found = match located {
                None if name == self.tree.root_name() => self.tree.root(),
                None => Err(PathError::Unknown),
                Some(Located::Table(spec, scope)) if name == "*" => {
                    return self.visit_all(&spec, &scope.tables[spec.index as usize], after);
                }
                Some(above) => self.tree.step(above, name),
            };
            let found = match found {
                // The model has the node, and this instance does not have that one.
                Err(_) if self.is_any => return Ok(()),
                found => found?,
            };
            match found {
                Located::Instance(_, instance) => self.push(instance, &segment[name.len()..], name),
                _ => [&mut self.path, &mut self.written].into_iter().for_each(|text| text.push_str(segment)),
            }
            (located, rest) = (Some(found), after);
        }
        let path = Path::parse(&self.path)?;
        let mut form = NameForm::below(self.tree, "", self.by_alias);
        form.set_written(&self.written);
        (self.visit)(&path, &mut form)
    }

    fn visit_all(&mut self, spec: &TableSpec, table: &'t Table, rest: &str) -> Result<(), PathError> {
        self.is_any = true;
        let (path, written) = (self.path.len(), self.written.len());
        for instance in &table.instances {
            self.tree.work.step()?;
            let alias = instance.alias(spec).filter(|_| self.by_alias).map(|alias| format!("[{alias}]"));
            self.push(instance, ".", &alias.unwrap_or_else(|| instance.number.to_string()));
            self.visit_below(Some(Located::Instance(*spec, instance)), rest)?;
            self.path.truncate(path);
            self.written.truncate(written);
        }
        Ok(())
    }

    /// Appends an instance to the way.
    fn push(&mut self, instance: &Instance, dot: &str, written: &str) {
        self.path.extend([&instance.number.to_string(), dot]);
        self.written.extend([written, dot]);
    }
}
