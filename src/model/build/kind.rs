//! Builds the kinds of sources: the place of each on the device.

use super::ubus::UBUS_MEMBERS;
use super::{Built, Mistake, SchemaBuilder, pointer};
use crate::model::actions::NO_PROGRAM;
use crate::model::raw::{Object, Raw};
use crate::model::source::provider::{PROVIDERS, Shape};
use crate::model::source::{
    DEFAULT_LIMIT, Location, MAX_AGE, Pick, Provider, Source, SourceId, Template, Watching, is_object_name,
};

/// The kinds of sources; a source has exactly one of these members.
pub(super) const KINDS: [&str; 5] = ["builtin", "exec", "file", "ubus", "uci"];

/// The members that every source may have beside its kind.
pub(super) const COMMON_MEMBERS: [&str; 6] = ["age", "at", "fault", "limit", "poll", "watch"];

/// The most sources that depend on each other by placeholders, one on the next.
const MAX_DEPENDENCIES: usize = 3;

/// The bounds of `poll` in seconds: a shorter interval costs much time, and a longer one than a day is none.
const MIN_POLL: u32 = 10;
const MAX_POLL: u32 = 86_400;

impl<'a> SchemaBuilder<'a> {
    /// Reads a source, which is that of other nodes too if it is equal. `None` without a kind: a node may have `also` alone.
    pub(super) fn source(&mut self, raw: &Object<'a>) -> Built<Option<SourceId>> {
        let source = self.read_source(raw)?;
        Ok(source.map(|source| self.sources.find_equal(&source).unwrap_or_else(|| self.sources.add(source))))
    }

    /// Reads the kind and the place of a source.
    pub(super) fn read_source(&mut self, raw: &Object<'a>) -> Built<Option<Source>> {
        let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| raw.get(kind).is_some()).collect();
        let kind = match kinds[..] {
            [] => return Ok(None),
            [kind] => kind,
            _ => return Err(self.error(raw.file, &pointer(kinds[1]), format!("a second kind beside `{}`", kinds[0]))),
        };
        if !is_built(kind) {
            return Err(self.error(raw.file, &pointer(kind), "this build has no sources of this kind"));
        }
        let mut at = match self.text(raw, "at")? {
            // It is a path there.
            Some(_) if kind == "ubus" => None,
            Some(text) => Some(self.text_with_blanks(text, raw.file, "/at")?),
            None => None,
        };
        let location = match kind {
            "file" => Location::File { path: self.file(raw)?, rows: None },
            "exec" => Location::Exec { command: self.command(raw)?, fields: Vec::new() },
            "ubus" => self.call(raw)?,
            "uci" => self.package(raw)?,
            _ => self.built_in(raw, &mut at)?,
        };
        if let Some(member) = UBUS_MEMBERS.iter().find(|member| kind != "ubus" && raw.get(member).is_some()) {
            return Err(self.error(raw.file, &pointer(member), "only a `ubus` source has it"));
        }
        if at.is_some() && matches!(location, Location::File { .. }) {
            return Err(self.error(raw.file, "/at", "a file has no rows to pick from"));
        }
        let limit = self.bound(raw, "limit")?.unwrap_or(DEFAULT_LIMIT);
        if !(1..=60).contains(&limit) {
            return Err(self.error(raw.file, "/limit", "seconds from 1 to 60 are needed"));
        }
        let age = self.bound(raw, "age")?.unwrap_or_default();
        if age > MAX_AGE {
            return Err(self.error(raw.file, "/age", format!("seconds up to {MAX_AGE} are needed")));
        }
        let fault = self.flag(raw, "fault")?;
        let pick = at.map_or(Pick::Only, Pick::At);
        let (writing, watching) = (self.writing(raw, &location)?, self.watching(raw, kind)?);
        let source = Source { location, pick, limit, age, fault, watching, writing };
        if self.sources.dependencies(&source) > MAX_DEPENDENCIES {
            return Err(self.error(raw.file, "", format!("more than {MAX_DEPENDENCIES} sources depend on each other")));
        }
        Ok(Some(source))
    }

    /// Reads `watch` and `poll`.
    fn watching(&self, raw: &Object<'_>, kind: &str) -> Built<Watching> {
        let reason = match (kind, raw.get("watch")) {
            (_, None) => None,
            ("exec" | "ubus", Some(Raw::Boolean(_))) => None,
            // A star at the end stands for any rest.
            ("ubus", Some(Raw::Text(events))) if is_object_name(events.strip_suffix('*').unwrap_or(events)) => None,
            ("ubus", _) => Some("true is needed, or the name of events on the bus, which may end in `*`"),
            ("exec", _) => Some("true or false is needed"),
            _ => Some("only an `exec` or `ubus` source has it"),
        };
        if let Some(reason) = reason {
            return Err(self.error(raw.file, "/watch", reason));
        }
        let pushed = match raw.get("watch") {
            Some(Raw::Boolean(true)) => Some("".into()),
            Some(Raw::Text(events)) => Some(events.into()),
            _ => None,
        };
        let poll = self.bound(raw, "poll")?;
        if poll.is_some_and(|poll| !(MIN_POLL..=MAX_POLL).contains(&poll)) {
            return Err(self.error(raw.file, "/poll", format!("seconds from {MIN_POLL} to {MAX_POLL} are needed")));
        }
        Ok(Watching { pushed, poll: poll.unwrap_or_default() })
    }

    fn file(&mut self, raw: &Object<'a>) -> Built<Template> {
        match self.text(raw, "file")? {
            Some(path) if path.starts_with('/') => self.text_with_blanks(path, raw.file, "/file"),
            _ => Err(self.error(raw.file, "/file", "an absolute path is needed")),
        }
    }

    fn command(&self, raw: &Object<'_>) -> Built<Box<[Box<str>]>> {
        let command = self.texts(raw, "exec")?;
        match command.first() {
            Some(program) if program.starts_with('/') => Ok(command),
            _ => Err(self.error(raw.file, "/exec", NO_PROGRAM)),
        }
    }

    /// Reads a provider of the agent. Takes `at` if it is the argument of the provider.
    fn built_in(&self, raw: &Object<'_>, at: &mut Option<Template>) -> Built<Location> {
        let name = self.text(raw, "builtin")?.unwrap_or_default();
        let Some(provider) = Provider::find(name) else {
            let known: Vec<&str> = PROVIDERS.iter().map(|provider| provider.name).collect();
            let reason = format!("there is no provider `{name}`; there are {}", known.join(", "));
            return Err(self.error(raw.file, "/builtin", reason));
        };
        match (provider.shape, at.is_some()) {
            (Shape::One, true) => Err(self.error(raw.file, "/at", "this provider has one row and takes no argument")),
            (Shape::OneOf, false) => Err(self.error(raw.file, "", "this provider needs `at`")),
            (Shape::OneOf, true) => Ok(Location::BuiltIn { provider, argument: at.take() }),
            _ => Ok(Location::BuiltIn { provider, argument: None }),
        }
    }

    /// Returns the error of a source without a kind.
    pub(super) fn no_kind(&self, raw: &Object<'_>) -> Mistake {
        self.error(raw.file, "", format!("one of `{}` is needed", KINDS.join("`, `")))
    }
}

/// True if this build has a kind of sources.
pub(in crate::model) const ARE_BUILT: bool = cfg!(any(
    feature = "source-builtin",
    feature = "source-exec",
    feature = "source-file",
    feature = "source-ubus",
    feature = "source-uci"
));

/// Returns true if this build has the drivers of a kind.
fn is_built(kind: &str) -> bool {
    match kind {
        "builtin" => cfg!(feature = "source-builtin"),
        "exec" => cfg!(feature = "source-exec"),
        "ubus" => cfg!(feature = "source-ubus"),
        "uci" => cfg!(feature = "source-uci"),
        _ => cfg!(feature = "source-file"),
    }
}
