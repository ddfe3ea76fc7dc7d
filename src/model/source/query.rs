//! A question to the device, and its answer.

use std::fmt;
use std::time::Duration;

use super::blob::Blob;
use super::provider::LinkState;
use super::row::Row;
use super::uci::{self, Identity};
use crate::model::facets::PatternCache;

/// One access to the device, with all placeholders filled in. Equal queries have equal answers: one RPC asks each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The kind and the place.
    pub target: Target,
    /// The seconds after which the access counts as hung.
    pub limit: u32,
    /// The seconds for which the answer may serve later requests; 0 for this one alone.
    pub age: u32,
    /// The ways in which a change of the answer is seen.
    pub watching: Watching,
}

/// The ways in which changes of an answer are seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watching {
    /// The names of the events on the bus of OpenWrt that tell of changes; empty if the object or the program tells of them itself.
    /// `None` without a word of the model.
    pub pushed: Option<Box<str>>,
    /// The seconds between two looks; 0 for those of the kind.
    pub poll: u32,
}

/// The kind and the place of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The text of a file, or the rows in it.
    File {
        /// The path.
        path: String,
        /// The regular expression of the rows.
        rows: Option<String>,
    },
    /// The output of a program.
    Exec {
        /// The program and its arguments, the verb included.
        command: Vec<String>,
        /// The text for the standard input.
        input: String,
    },
    /// The rows of a provider of the agent.
    BuiltIn {
        /// The name of the provider.
        provider: String,
        /// The argument; empty without one.
        argument: String,
    },
    /// The answer of a method on the bus of OpenWrt.
    Ubus {
        /// The name of the object.
        object: String,
        /// The method.
        method: String,
        /// The arguments by name.
        args: Vec<(String, Argument<String>)>,
        /// True if the answer of a device without the object is an empty one.
        is_optional: bool,
    },
    /// The sections of a UCI package.
    Uci {
        /// The name of the package.
        package: String,
        /// The type of the sections, and the options that tell them apart; all sections without it.
        identity: Option<Identity>,
    },
}

/// An argument of a method.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Argument<T> {
    /// A text.
    Text(T),
    /// A number.
    Whole(i64),
    /// A truth value.
    Boolean(bool),
    /// Arguments within an argument. Only reloads have it.
    Table(Vec<(String, Argument<T>)>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::File { path, .. } => write!(f, "file {path}"),
            Target::Exec { command, .. } => write!(f, "exec {}", command.join(" ")),
            Target::BuiltIn { provider, argument } if argument.is_empty() => write!(f, "builtin {provider}"),
            Target::BuiltIn { provider, argument } => write!(f, "builtin {provider} {argument}"),
            Target::Ubus { object, method, args, .. } => {
                write!(f, "ubus {object} {method}")?;
                args.iter().try_for_each(|(name, argument)| match argument {
                    Argument::Text(text) => write!(f, " {name}={text}"),
                    Argument::Whole(number) => write!(f, " {name}={number}"),
                    Argument::Boolean(flag) => write!(f, " {name}={flag}"),
                    Argument::Table(_) => write!(f, " {name}={{…}}"),
                })
            }
            Target::Uci { package, identity: None } => write!(f, "uci {package}"),
            Target::Uci { package, identity: Some(identity) } => write!(f, "uci {package} {}", identity.section_type),
        }
    }
}

/// The answer to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A text, of which excerpts are the fields.
    Text(String),
    /// Rows with named fields, in the order of the device.
    Rows(Vec<Row>),
    /// Values within each other, to which paths lead.
    Tree(Blob),
}

impl Answer {
    /// Returns the bytes of all texts.
    pub fn size(&self) -> usize {
        match self {
            Answer::Text(text) => text.len(),
            Answer::Rows(rows) => {
                let fields = rows.iter().flat_map(Row::fields);
                fields.map(|(name, text)| name.len() + text.len()).sum()
            }
            Answer::Tree(blob) => blob.size(),
        }
    }

    /// Returns the row of this key, or the section of a UCI package at this place; the first row without a key.
    pub fn row(&self, key: Option<&str>) -> Option<&Row> {
        let Answer::Rows(rows) = self else { return None };
        match key {
            Some(key) => rows.iter().find(|row| row.key == key).or_else(|| uci::find(rows, key)),
            None => rows.first(),
        }
    }
}

/// The result of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The answer, or the reason of the failure, in words.
    pub answer: Result<Answer, String>,
    /// The time that the answer took.
    pub took: Duration,
}

impl Response {
    /// Returns the response of a source that was not asked.
    pub fn failed(reason: String) -> Response {
        Response { answer: Err(reason), took: Duration::ZERO }
    }
}

/// The responses of one RPC so far. There are few: a list costs the binary less than a map.
#[derive(Debug, Default)]
pub struct Answers {
    responses: Vec<(Query, Response)>,
    /// The seconds since the Unix epoch at the begin of the RPC.
    pub(in crate::model) wall: i64,
    /// The expressions that the values of this RPC need.
    pub(in crate::model) patterns: PatternCache,
}

impl Answers {
    /// Returns no response to an RPC that begins at this time.
    pub fn at(wall: i64) -> Answers {
        Answers { wall, ..Answers::default() }
    }

    /// Returns a query with its response.
    pub fn get(&self, query: &Query) -> Option<(&Query, &Response)> {
        self.place(query).map(|place| self.asked(place))
    }

    /// Returns the place of the response to a query, which stays the same.
    pub(in crate::model) fn place(&self, query: &Query) -> Option<u32> {
        self.responses.iter().position(|(asked, _)| asked == query).map(|place| place as u32)
    }

    /// Returns the query and the response at a place.
    pub(in crate::model) fn asked(&self, place: u32) -> (&Query, &Response) {
        let (query, response) = &self.responses[place as usize];
        (query, response)
    }

    /// Adds the response to a query that has none.
    pub fn add(&mut self, query: Query, response: Response) {
        self.responses.push((query, response));
    }

    /// Returns the queries that have a response.
    pub fn into_queries(self) -> Vec<Query> {
        self.responses.into_iter().map(|(query, _)| query).collect()
    }

    /// Gives the rows of `link` this state. Returns true if one of them had another one.
    pub fn set_link_state(&mut self, state: &LinkState) -> bool {
        let mut is_other = false;
        for (query, response) in &mut self.responses {
            let is_of_links = matches!(&query.target, Target::BuiltIn { provider, .. } if provider == "link");
            if let (true, Ok(Answer::Rows(rows))) = (is_of_links, &mut response.answer)
                && let Some(row) = rows.iter_mut().find(|row| row.key == state.link)
                && row.get("status") != Some(state.status)
            {
                row.replace("status", state.status);
                is_other = true;
            }
        }
        is_other
    }

    /// Replaces the response to a query that has one.
    pub fn replace(&mut self, query: &Query, response: Response) {
        self.responses.iter_mut().filter(|(asked, _)| asked == query).for_each(|(_, held)| held.clone_from(&response));
    }
}
