//! The names in answers: those of the request, and below them numbers or aliases (R319).

use std::borrow::Cow;

use super::super::{Located, Parameter, Tree};
use crate::model::path::MAX_LENGTH;
use crate::model::value::Value;

/// The form in which an answer names what a name of the request leads to: the nodes of that name as the request has written
/// them, and the instances below by number or by alias (R319).
pub struct NameForm<'t> {
    tree: &'t Tree,
    by_alias: bool,
    /// The name as the request has written it; empty if its form is that of the tree.
    written: String,
    /// The last object by numbers and in this form: the parameters of an object follow each other.
    object: (String, String),
}

impl<'t> NameForm<'t> {
    /// Returns the form of names that answer no name of a request.
    pub fn new(tree: &'t Tree, by_alias: bool) -> NameForm<'t> {
        NameForm::below(tree, "", by_alias)
    }

    /// Returns the form of the answer to a name without aliases, as the request has written it.
    pub fn below(tree: &'t Tree, written: &str, by_alias: bool) -> NameForm<'t> {
        // The name is that of the tree, unless aliases appear below it.
        let written = if by_alias { written.to_owned() } else { String::new() };
        NameForm { tree, by_alias, written, object: Default::default() }
    }

    /// Sets the name as the request has written it.
    pub(super) fn set_written(&mut self, written: &str) {
        written.clone_into(&mut self.written);
    }

    /// Returns the form of a name. The number stays where an alias would make the name longer than a name may be (R176).
    pub fn of<'n>(&mut self, name: &'n str) -> Cow<'n, str> {
        if !self.by_alias && self.written.is_empty() {
            return name.into();
        }
        let (object, rest) = name.split_at(name.rfind('.').map_or(0, |dot| dot + 1));
        if self.object.0 != object {
            self.object = (object.to_owned(), self.tree.respelled(object, &self.written, self.by_alias));
        }
        let text = format!("{}{rest}", self.object.1);
        if text.len() > MAX_LENGTH { name.into() } else { text.into() }
    }

    /// Returns the value of a reference in this form; `None` for a value that is the same in all forms. A weak reference that
    /// the ACS may set keeps its text (R321).
    pub fn value(&self, parameter: &Parameter<'_>) -> Option<Value> {
        let spec = parameter.spec;
        let reference = spec.reference.as_ref().filter(|_| self.by_alias && !spec.hidden)?;
        if spec.writable && !reference.strong {
            return None;
        }
        let text = parameter.stored().to_string();
        let item = |item: &str| {
            let path = self.tree.absolute(item.trim());
            let spelled = self.tree.respelled(&path, "", true);
            match item.trim().starts_with('.') {
                true => spelled[self.tree.root_name().len()..].to_owned(),
                false => spelled,
            }
        };
        let text = text.split(',').map(item).collect::<Vec<String>>().join(",");
        // Aliases may make the value longer than the model allows.
        spec.parse(&text).ok()
    }
}

impl Tree {
    /// Returns a path by numbers in another form: its first nodes as in `written`, and the instances below by alias if
    /// `by_alias` is true.
    fn respelled(&self, path: &str, written: &str, by_alias: bool) -> String {
        let mut text = String::with_capacity(path.len());
        let mut written = written.split('.').filter(|segment| !segment.is_empty());
        let mut located = self.root();
        for (position, segment) in path.split_inclusive('.').enumerate() {
            let name = segment.strip_suffix('.').unwrap_or(segment);
            if position > 0 {
                located = located.and_then(|above| self.step(above, name));
            }
            let alias = match located {
                Ok(Located::Instance(spec, instance)) if by_alias => instance.alias(&spec),
                _ => None,
            };
            match (written.next(), alias) {
                (Some(written), _) => text.push_str(written),
                (None, Some(alias)) => text.extend(["[", alias, "]"]),
                (None, None) => text.push_str(name),
            }
            text.push_str(&segment[name.len()..]);
        }
        text
    }
}
