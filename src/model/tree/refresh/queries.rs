//! The queries of sources: placeholders filled in, and the fields that a program is asked for.

use std::borrow::Cow;

use super::{Above, Answered, Missing, RefreshWalk};
use crate::model::source::{Answer, Blank, Location, Pick, Query, Source, SourceId, Target, Template};

impl<'t> RefreshWalk<'t> {
    /// Returns the answer that has the rows of a table, with its query, which it asks if it was not asked before.
    pub(super) fn rows_answer(&mut self, id: SourceId) -> Result<Answered<'t>, Missing> {
        match self.rows_program(id) {
            Some(query) => self.answers.get(&query).ok_or_else(|| self.ask(query)),
            None => self.answer(id),
        }
    }

    /// Returns the query whose answer has the rows of a table, if it is not that whose answer has the fields.
    pub(super) fn rows_program(&self, id: SourceId) -> Option<Query> {
        let source = self.bindings.source(id);
        match &source.location {
            Location::Exec { command, .. } => Some(program(command, "list", String::new(), source)),
            _ => None,
        }
    }

    /// Returns the query whose answer has the fields of a source.
    pub(super) fn query(&mut self, id: SourceId) -> Result<Query, Missing> {
        let below = self.leave_rows(id);
        let query = self.query_above(id);
        self.above.extend(below);
        query
    }

    /// Takes off the rows that a source gives itself, and those below: its own texts are about the row above.
    /// The caller puts them back.
    pub(super) fn leave_rows(&mut self, id: SourceId) -> Vec<Above<'t>> {
        match self.bindings.source(id).pick {
            Pick::Row(depth) => self.above.split_off(depth.min(self.above.len())),
            _ => Vec::new(),
        }
    }

    fn query_above(&mut self, id: SourceId) -> Result<Query, Missing> {
        let source = self.bindings.source(id);
        let target = match &source.location {
            Location::File { path, rows } => {
                Target::File { path: self.fill_path(path)?.into_owned(), rows: rows.as_deref().map(str::to_owned) }
            }
            Location::BuiltIn { provider, argument } => {
                let argument = argument.as_ref().map_or(Ok(Cow::default()), |argument| self.fill(argument))?;
                Target::BuiltIn { provider: provider.name.to_owned(), argument: argument.into_owned() }
            }
            Location::Uci { package, identity } => {
                Target::Uci { package: package.to_string(), identity: identity.clone() }
            }
            Location::Exec { command, fields } => {
                let input = self.program_input(id, fields)?;
                return Ok(program(command, "get", input, source));
            }
            Location::Ubus(call) => self.call(call)?,
        };
        Ok(Query { target, limit: source.limit, age: source.age, watching: source.watching.clone() })
    }

    pub(super) fn row_above(&self, depth: usize) -> Result<Above<'t>, Missing> {
        self.above.get(depth).copied().ok_or(Missing::Absent)
    }

    /// Returns the lines that ask a program for its fields: of all rows that it has listed, in a table.
    fn program_input(&mut self, id: SourceId, fields: &[Box<str>]) -> Result<String, Missing> {
        let rows: Vec<String> = match &self.bindings.source(id).pick {
            Pick::Only => vec![String::new()],
            Pick::At(at) => vec![column(&self.fill(at)?)],
            Pick::Row(_) => match &self.rows_answer(id)?.1.answer {
                Ok(Answer::Rows(rows)) => rows.iter().map(|row| column(&row.key)).collect(),
                _ => return Err(Missing::Failed),
            },
        };
        let lines = rows.iter().flat_map(|row| fields.iter().map(move |field| format!("{row}{field}\n")));
        Ok(lines.collect())
    }

    /// Fills in a text.
    pub(super) fn fill(&mut self, template: &'t Template) -> Result<Cow<'t, str>, Missing> {
        template.fill(&mut |blank| self.blank(blank))
    }

    /// Fills in the path of a file, in which no text may lead to another directory.
    pub(super) fn fill_path(&mut self, template: &'t Template) -> Result<Cow<'t, str>, Missing> {
        template.fill(&mut |blank| {
            let text = self.blank(blank)?;
            let leads_away = text.is_empty() || text.contains(['/', '\0']) || text == "." || text == "..";
            if leads_away { Err(Missing::Absent) } else { Ok(text) }
        })
    }

    pub(super) fn blank(&mut self, blank: &'t Blank) -> Result<Cow<'t, str>, Missing> {
        let levels = match blank {
            Blank::Key => 1,
            Blank::Parent => 2,
            Blank::Field(source, name) => return self.field(*source, name)?.ok_or(Missing::Absent),
        };
        let depth = self.above.len().checked_sub(levels).ok_or(Missing::Absent)?;
        self.row_above(depth).map(|row| row.key.into())
    }

    /// Notes a query for the next round.
    pub(super) fn ask(&mut self, query: Query) -> Missing {
        if !self.queries.contains(&query) {
            self.queries.push(query);
        }
        Missing::Pending
    }
}

fn program(command: &[Box<str>], verb: &str, input: String, source: &Source) -> Query {
    let command = command.iter().map(|argument| argument.to_string()).chain([verb.to_owned()]).collect();
    let target = Target::Exec { command, input };
    Query { target, limit: source.limit, age: source.age, watching: source.watching.clone() }
}

/// Returns a key as a column of the text that a program reads.
fn column(key: &str) -> String {
    format!("{}\t", key.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n"))
}
