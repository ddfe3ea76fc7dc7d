//! The queries of sources: placeholders filled in, and the fields that a program is asked for.

use super::{Above, Answered, Missing, RefreshWalk};
use crate::model::source::path::Step;
use crate::model::source::{
    Answer, Blank, Excerpt, Location, Pick, Query, Response, Source, SourceId, Target, Template, uci,
};

impl<'t> RefreshWalk<'t> {
    /// Returns the query whose answer has the rows of a table.
    pub(super) fn rows_query(&mut self, id: SourceId) -> Result<Query, Missing> {
        let source = self.bindings.source(id);
        match &source.location {
            Location::Exec { command, .. } => Ok(program(command, "list", String::new(), source)),
            _ => self.query(id),
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
    pub(super) fn leave_rows(&mut self, id: SourceId) -> Vec<Above> {
        match self.bindings.source(id).pick {
            Pick::Row(depth) => self.above.split_off(depth.min(self.above.len())),
            _ => Vec::new(),
        }
    }

    fn query_above(&mut self, id: SourceId) -> Result<Query, Missing> {
        let source = self.bindings.source(id);
        let target = match &source.location {
            Location::File { path, rows } => {
                Target::File { path: self.fill_path(path)?, rows: rows.as_deref().map(str::to_owned) }
            }
            Location::BuiltIn { provider, argument } => {
                let argument = argument.as_ref().map_or(Ok(String::new()), |argument| self.fill(argument))?;
                Target::BuiltIn { provider: provider.name.to_owned(), argument }
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

    /// Returns the key of the row in the answer that has the fields; `None` in a source with one row.
    pub(super) fn row_key(&mut self, id: SourceId) -> Result<Option<String>, Missing> {
        let source = self.bindings.source(id);
        match (&source.pick, &source.location) {
            (Pick::Only, _) => Ok(None),
            (Pick::At(at), Location::Uci { package, .. }) => {
                at.fill(&mut |blank| self.section(blank, package)).map(Some)
            }
            (Pick::At(at), _) => self.fill(at).map(Some),
            (Pick::Row(depth), _) => self.row_above(*depth).map(|row| Some(row.key.clone())),
        }
    }

    /// Returns the text of a placeholder as the name of a section. The key of an anonymous section that is made of options
    /// is none.
    fn section(&mut self, blank: &Blank, package: &str) -> Result<String, Missing> {
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
        Ok(answer.row(Some(&text)).and_then(uci::name).map_or(text, str::to_owned))
    }

    fn row_above(&self, depth: usize) -> Result<&Above, Missing> {
        self.above.get(depth).ok_or(Missing::Absent)
    }

    /// Returns the lines that ask a program for its fields: of all rows that it has listed, in a table.
    fn program_input(&mut self, id: SourceId, fields: &[Box<str>]) -> Result<String, Missing> {
        let rows: Vec<String> = match &self.bindings.source(id).pick {
            Pick::Only => vec![String::new()],
            Pick::At(at) => vec![column(&self.fill(at)?)],
            Pick::Row(_) => {
                let list = self.rows_query(id)?;
                match self.answers.get(&list).map(|(_, response)| &response.answer) {
                    None => return Err(self.ask(list)),
                    Some(Ok(Answer::Rows(rows))) => rows.iter().map(|row| column(&row.key)).collect(),
                    Some(_) => return Err(Missing::Failed),
                }
            }
        };
        let lines = rows.iter().flat_map(|row| fields.iter().map(move |field| format!("{row}{field}\n")));
        Ok(lines.collect())
    }

    /// Fills in a text.
    pub(super) fn fill(&mut self, template: &Template) -> Result<String, Missing> {
        template.fill(&mut |blank| self.blank(blank))
    }

    /// Fills in the path of a file, in which no text may lead to another directory.
    pub(super) fn fill_path(&mut self, template: &Template) -> Result<String, Missing> {
        template.fill(&mut |blank| {
            let text = self.blank(blank)?;
            let leads_away = text.is_empty() || text.contains(['/', '\0']) || text == "." || text == "..";
            if leads_away { Err(Missing::Absent) } else { Ok(text) }
        })
    }

    fn blank(&mut self, blank: &Blank) -> Result<String, Missing> {
        let key = |walk: &Self, levels: usize| {
            let depth = walk.above.len().checked_sub(levels).ok_or(Missing::Absent)?;
            walk.row_above(depth).map(|row| row.key.clone())
        };
        match blank {
            Blank::Key => key(self, 1),
            Blank::Parent => key(self, 2),
            Blank::Field(source, name) => self.text(*source, &Excerpt::Name(name.clone()))?.ok_or(Missing::Absent),
        }
    }

    /// Returns the text of a field in the answer of its source, which it asks for if it is not there.
    pub(super) fn text(&mut self, id: SourceId, excerpt: &Excerpt) -> Result<Option<String>, Missing> {
        match self.answer(id)? {
            (_, Response { answer: Err(_), .. }) => Err(Missing::Failed),
            (_, Response { answer: Ok(answer), .. }) => {
                let key = self.row_key(id)?;
                if let Some(text) = self.pending_text(id, key.as_deref(), excerpt) {
                    return Ok(text);
                }
                if let Answer::Tree(blob) = answer {
                    return self.text_in_tree(id, blob, key.as_deref(), excerpt);
                }
                Ok(excerpt.of(answer, key.as_deref()))
            }
        }
    }

    /// Asks for the answer of a source, and for the values of the placeholders of its row and of the part with its fields.
    pub(super) fn ask_for(&mut self, id: SourceId) {
        let Ok((_, Response { answer: Ok(answer), .. })) = self.answer(id) else { return };
        let source = self.bindings.source(id);
        if let Pick::At(at) = &source.pick
            && !at.is_constant()
        {
            // The missing answers are asked for by now.
            let _ = self.fill(at);
        }
        if let (Answer::Tree(blob), Location::Ubus(call)) = (answer, &source.location)
            && call.part.iter().flat_map(Step::texts).any(|text| !text.is_constant())
        {
            let _ = self.parts(id, call, blob);
        }
    }

    /// Notes a query for the next round.
    pub(super) fn ask(&mut self, query: Query) -> Missing {
        if !self.queries.contains(&query) {
            self.queries.push(query);
        }
        Missing::Pending
    }

    /// Returns the answer of a source with its query, which it asks if it was not asked before.
    pub(super) fn answer(&mut self, id: SourceId) -> Result<Answered<'t>, Missing> {
        if let Some((_, known)) = self.answered.iter().find(|(answered, _)| *answered == id) {
            return Ok(*known);
        }
        if self.asked.contains(&id) {
            return Err(Missing::Pending);
        }
        let query = self.query(id)?;
        let is_constant = self.bindings.source(id).is_constant();
        let Some(answered) = self.answers.get(&query) else {
            if is_constant {
                self.asked.push(id);
            }
            return Err(self.ask(query));
        };
        // Without placeholders, all rows have the same query: a table of 256 rows would build it thousands of times.
        if is_constant {
            self.answered.push((id, answered));
        }
        Ok(answered)
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
