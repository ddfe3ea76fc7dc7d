//! The rows of tables: the questions for them, and the changes that the answers mean.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ptr;

use super::{Missing, Mode, RefreshWalk, Response, RowChanges, Scope};
use crate::model::path::Path;
use crate::model::schema::TableSpec;
use crate::model::source::{Answer, Location, TableBinding, uci};
use crate::model::tree::rows::FoundRow;
use crate::model::tree::{Located, Table};

/// The state of the rows of a table in this round.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// The instances are the rows of the device, or the last ones that it gave.
    Settled,
    /// An answer or a change must come first.
    Open,
}

/// A table of a scope that this round has looked at.
pub(super) type SeenTable<'t> = (&'t TableBinding, &'t Scope, Rows);

/// A table to which a path leads.
#[derive(Clone, Copy)]
pub(super) struct Target<'t> {
    /// The rows that the instances are; `None` in a table without source.
    pub(super) binding: Option<&'t TableBinding>,
    pub(super) spec: TableSpec,
    /// The scope that has the instances, which is that of an instance for a table in one.
    pub(super) scope: &'t Scope,
}

impl<'t> Target<'t> {
    pub(super) fn table(&self) -> &'t Table {
        &self.scope.tables[self.spec.index as usize]
    }
}

impl<'t> RefreshWalk<'t> {
    /// Asks for the rows of the table at `self.name`, and notes the changes that they mean, once in a round: a parameter that counts
    /// the instances, a reference to one of them, and a value in one of them all need the rows.
    pub(super) fn settle(&mut self, binding: &'t TableBinding, spec: &TableSpec, scope: &'t Scope) -> Rows {
        let rows = self.seen(binding, scope).unwrap_or_else(|| {
            let rows = self.look_at_rows(binding, spec, scope);
            self.tables.push((binding, scope, rows));
            rows
        });
        self.open += u32::from(rows == Rows::Open);
        self.row_questions += u32::from(!ptr::eq(scope, &self.tree.root));
        rows
    }

    /// Returns the state of the rows of a table, if this round has looked at it or need not.
    fn seen(&self, binding: &TableBinding, scope: &Scope) -> Option<Rows> {
        if self.readings.is_some() || self.mode == Mode::SameInstances {
            return Some(Rows::Settled);
        }
        let is_same = |(of, within, _): &&SeenTable<'_>| ptr::eq(*of, binding) && ptr::eq(*within, scope);
        self.tables.iter().find(is_same).map(|(.., rows)| *rows)
    }

    fn look_at_rows(&mut self, binding: &'t TableBinding, spec: &TableSpec, scope: &'t Scope) -> Rows {
        let table = &scope.tables[spec.index as usize];
        if let Some(path) = &binding.follows {
            if self.settle_table(path) == Rows::Open {
                return Rows::Open;
            }
            let Some(leader) = self.target(path) else { return Rows::Settled };
            return self.add_changes(self.tree.following_changes(&self.name, table, leader.table(), binding));
        }
        let rows = match self.rows_answer(binding.source) {
            Ok((query, Response { answer: Err(reason), .. })) => {
                if self.bindings.source(binding.source).fault {
                    self.fault.get_or_insert_with(|| format!("{}: {reason}", query.target));
                }
                return Rows::Settled;
            }
            Ok((_, Response { answer: Ok(answer), .. })) => self.matching_rows(answer, binding),
            Err(Missing::Pending) => return Rows::Open,
            // An object that the device may lack has no rows without a name.
            Err(Missing::Absent) if self.bindings.source(binding.source).is_optional() => Ok(Vec::new()),
            // Without an answer, no instance comes or goes.
            Err(Missing::Absent | Missing::Failed) => return Rows::Settled,
        };
        match rows {
            Ok(rows) if table.has_rows(&rows) => Rows::Settled,
            Ok(mut rows) => {
                let mut seen = HashSet::new();
                rows.retain(|row| seen.insert(row.key.clone()));
                let most = spec.max_entries as usize;
                self.add_changes(self.tree.row_changes(&self.name, table, &rows, most, binding))
            }
            Err(rows) => rows,
        }
    }

    fn add_changes(&mut self, changes: RowChanges) -> Rows {
        if changes.is_empty() {
            return Rows::Settled;
        }
        self.rows.kept.extend(changes.kept);
        self.rows.loose.extend(changes.loose);
        Rows::Open
    }

    /// Returns the rows that meet the conditions of the table; the state of the rows while a placeholder waits for an answer, or if
    /// the answer can have no rows.
    fn matching_rows(&mut self, answer: &'t Answer, binding: &'t TableBinding) -> Result<Vec<FoundRow<'t>>, Rows> {
        let mut conditions = Vec::new();
        for (field, templates) in &binding.conditions {
            // A filled-in text is no pattern.
            let is_any = templates.iter().any(|template| template.is_text("*"));
            let mut texts: Vec<Cow<'t, str>> = Vec::new();
            for template in templates {
                match self.fill(template) {
                    Ok(text) => texts.push(text),
                    Err(Missing::Absent) => {}
                    Err(Missing::Failed) => return Err(Rows::Settled),
                    Err(Missing::Pending) => return Err(Rows::Open),
                }
            }
            conditions.push((&**field, texts, is_any));
        }
        let mut found = Vec::with_capacity(if let Answer::Rows(rows) = answer { rows.len() } else { 0 });
        let mut add = |key: Cow<'t, str>, digest: u32, text: &dyn Fn(&str) -> Option<Cow<'t, str>>| {
            let meets = |(field, texts, is_any): &(&str, Vec<Cow<'_, str>>, bool)| {
                let found = text(field).unwrap_or_default();
                (*is_any && !found.is_empty()) || texts.contains(&found)
            };
            if !key.is_empty() && conditions.iter().all(meets) {
                found.push(FoundRow { key, digest });
            }
        };
        match answer {
            Answer::Text(_) => {}
            Answer::Rows(rows) => {
                let is_uci = matches!(self.bindings.source(binding.source).location, Location::Uci { .. });
                for row in rows {
                    let digest = if is_uci { uci::digest(row) } else { 0 };
                    add(row.key.as_str().into(), digest, &|field| row.get(field).map(Cow::Borrowed));
                }
            }
            Answer::Tree(blob) => self.rows_in_tree(binding.source, blob, &mut add)?,
        }
        Ok(found)
    }

    /// Asks for the rows of the table at a path, for references to them and for the tables that follow it.
    pub(super) fn settle_table(&mut self, path: &'t str) -> Rows {
        let Some(target) = self.target(path) else { return Rows::Settled };
        let Some(binding) = target.binding else { return Rows::Settled };
        // Most references are to a table that this round has looked at, which needs no name.
        if self.seen(binding, target.scope).is_some() {
            return self.settle(binding, &target.spec, target.scope);
        }
        let (name, above) = (std::mem::replace(&mut self.name, path.to_owned()), std::mem::take(&mut self.above));
        let rows = self.settle(binding, &target.spec, target.scope);
        (self.name, self.above) = (name, above);
        rows
    }

    /// Returns the table at a path of the model.
    pub(super) fn target(&mut self, path: &'t str) -> Option<Target<'t>> {
        // Fields share their mappings, so that most equal paths are one text.
        if let Some((_, target)) = self.targets.iter().find(|(known, _)| ptr::eq(*known, path) || *known == path) {
            return *target;
        }
        let target = self.table_at(path);
        self.targets.push((path, target));
        target
    }

    /// Returns the table at a path that was looked at before.
    pub(super) fn known_target(&self, path: &str) -> Option<Target<'t>> {
        self.targets.iter().find(|(known, _)| *known == path)?.1
    }

    fn table_at(&self, path: &str) -> Option<Target<'t>> {
        let Ok(Located::Table(spec, scope)) = self.tree.locate(&Path::parse(path).ok()?) else { return None };
        let binding = self.schema.bound_table(path).and_then(|node| self.bindings.table(node));
        Some(Target { binding, spec, scope })
    }
}
