//! Changes of a UCI package, which leave the rest of its text as it is, byte for byte.
//!
//! ```text
//! text ──parse──▶ content ──changes──▶ wanted content
//!   │                └───────┬────────────────┘
//!   └──────patches◀──────differences          no patch is possible: `uci export` of the wanted content
//!             └──▶ new text ──parse──▶ content, which must be the wanted one
//! ```
//!
//! A value is replaced in its place, a new option stands behind the last command of its section, and a removed one takes its
//! lines along. Comments and the order of the commands stay. A changed section that has several pieces, or shares a line with
//! another command by a `;`, has no such places: the whole package is then written as libuci writes it.

use std::fmt;

use super::parse::{Kind, MAX_OPTIONS, MAX_SECTIONS, Package, parse, unquoted};
use super::{NAME, TYPE, is_name, is_package, position};

mod former;
mod order;
mod patch;
mod take_back;

pub use former::{Former, note};
pub use order::move_sections;
pub use take_back::take_back;

/// The most bytes of a package. The agent reads no longer one.
pub const MAX_TEXT: usize = 256 * 1024;

/// A change of one section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The section: its name, or for an anonymous one its place (`@rule[0]`) or its name in libuci (`cfg…`). The last two
    /// count in the text before all changes.
    pub section: String,
    /// The change.
    pub action: Action,
}

/// The change of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Gives an option, by its name, a value. An empty value deletes the option.
    Set(String, String),
    /// Gives a list, by its name, these items. Empty items are left out, and a list without items is deleted.
    SetList(String, Vec<String>),
    /// Replaces the first item of a list that begins with one of these texts, or adds it to the list; `None` removes it.
    SetItem(String, Vec<String>, Option<String>),
    /// Adds an item to a list that does not have it. A list that is missing is created, and an option becomes a list.
    AddItem(String, String),
    /// Removes all items of a list that are equal to this one.
    RemoveItem(String, String),
    /// Deletes an option or a list.
    Unset(String),
    /// Creates the section at the end of the package: its type, and options with their values.
    Add(String, Vec<(String, String)>),
    /// Deletes the section. Comments right above the next section stay.
    Delete,
    /// Gives an anonymous section a name, by which later changes find it too.
    Name(String),
}

/// A refused change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The index of the change; `None` if the package as a whole is the reason.
    pub change: Option<usize>,
    /// The reason.
    pub reason: Reason,
}

/// The reason of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The text is no package; the mistake with its line.
    Broken(String),
    /// The name of a section or an option, or a type, has other characters than letters, digits and `_` (in a type: `-`).
    Name,
    /// A value has a control character.
    Value,
    /// The package has no such section.
    Missing,
    /// A section of this name is there, or the section that is to get a name has one.
    Exists,
    /// The package would have more than 4,096 sections, 512 options of a section, or 256 KiB.
    TooLarge,
    /// The new text does not have the wanted content: a fault of the agent.
    Unequal,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Broken(reason) => reason,
            Reason::Name => "not a name for UCI",
            Reason::Value => "UCI values have no control characters",
            Reason::Missing => "no such section",
            Reason::Exists => "the section has a name, or another one has this name",
            Reason::TooLarge => "the package would be too large",
            Reason::Unequal => "the new text cannot be read as intended",
        })
    }
}

impl Action {
    /// Checks the names and the values, which needs no text.
    ///
    /// # Errors
    /// [`Reason::Name`] or [`Reason::Value`].
    pub fn check(&self) -> Result<(), Reason> {
        // A control character begins a line, an argument or a comment in the files that scripts of the device write from the value.
        let is_plain = |value: &String| !value.bytes().any(|byte| byte < 0x20 || byte == 0x7F);
        let (is_named, is_valid) = match self {
            Action::Set(option, value) | Action::AddItem(option, value) | Action::RemoveItem(option, value) => {
                (is_name(option), is_plain(value))
            }
            Action::SetList(option, items) => (is_name(option), items.iter().all(is_plain)),
            Action::SetItem(option, _, item) => (is_name(option), item.iter().all(is_plain)),
            Action::Unset(name) | Action::Name(name) => (is_name(name), true),
            Action::Add(section_type, options) => (
                is_package(section_type) && options.iter().all(|(option, _)| is_name(option)),
                options.iter().all(|(_, value)| is_plain(value)),
            ),
            Action::Delete => (true, true),
        };
        match (is_named, is_valid) {
            (false, _) => Err(Reason::Name),
            (_, false) => Err(Reason::Value),
            _ => Ok(()),
        }
    }
}

/// Carries out changes, one after the other, and returns the new text. It is the old text if they change nothing.
///
/// # Errors
/// The reason why the changes cannot be carried out, with the first change that is refused. [`Action::check`] finds the
/// refusals for names and values of all changes.
pub fn edit(text: &[u8], changes: &[Change]) -> Result<Vec<u8>, Refusal> {
    let fail = |reason| Refusal { change: None, reason };
    let package = parse(text, true).map_err(|reason| fail(Reason::Broken(reason)))?;
    let before = contents(text, &package);
    let mut wanted = before.clone();
    for (number, change) in changes.iter().enumerate() {
        let applied = change.action.check().and_then(|()| apply(&before, &mut wanted, change));
        applied.map_err(|reason| Refusal { change: Some(number), reason })?;
    }
    written(text, &package, &before, &wanted).map_err(fail)
}

/// Returns the text with the wanted content. It is the old text if the content is the same.
fn written(text: &[u8], package: &Package, before: &[Content], wanted: &[Content]) -> Result<Vec<u8>, Reason> {
    if is_same(before, wanted) {
        return Ok(text.to_vec());
    }
    if wanted.len() > MAX_SECTIONS || wanted.iter().any(|section| section.options.len() > MAX_OPTIONS) {
        return Err(Reason::TooLarge);
    }
    // A text that is read back otherwise would break the device: a patch behind an unfinished last line, for example.
    let holds = |new: &Vec<u8>| parse(new, true).is_ok_and(|package| is_same(&contents(new, &package), wanted));
    let patched = patch::patch(text, &package.marks, before, wanted).filter(holds);
    let new = match patched {
        Some(new) => new,
        None => Some(patch::export(wanted)).filter(holds).ok_or(Reason::Unequal)?,
    };
    if new.len() > MAX_TEXT { Err(Reason::TooLarge) } else { Ok(new) }
}

/// The content of a section.
#[derive(Clone, Debug)]
struct Content {
    section_type: String,
    /// The name; that of libuci for an anonymous section.
    name: String,
    is_named: bool,
    /// The index of the section in the text before all changes; `None` for a new one.
    origin: Option<usize>,
    options: Vec<Values>,
}

/// The values of an option, or of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Values {
    name: String,
    is_list: bool,
    /// The only value of an option, or the items. They are bytes, since those of others need not be UTF-8.
    items: Vec<Vec<u8>>,
}

/// Returns the sections of a package with all values.
fn contents(text: &[u8], package: &Package) -> Vec<Content> {
    let sections = package.sections.iter().enumerate().map(|(at, section)| Content {
        section_type: section.row.get(TYPE).unwrap_or_default().to_owned(),
        name: section.row.get(NAME).unwrap_or_default().to_owned(),
        is_named: section.is_named,
        origin: Some(at),
        options: Vec::new(),
    });
    let mut contents: Vec<Content> = sections.collect();
    for mark in package.marks.iter().filter(|mark| mark.kind != Kind::Section) {
        let name = String::from_utf8_lossy(&unquoted(&text[mark.name.clone()])).into_owned();
        let value = unquoted(&text[mark.value.clone()]);
        // libuci ignores an empty option and an empty item.
        if value.is_empty() {
            continue;
        }
        let options = &mut contents[mark.section].options;
        let is_list = mark.kind == Kind::Item;
        match options.iter_mut().find(|known| known.name == name) {
            Some(known) if is_list => {
                known.is_list = true;
                known.items.push(value);
            }
            Some(known) => (known.is_list, known.items) = (false, vec![value]),
            None => options.push(Values { name, is_list, items: vec![value] }),
        }
    }
    contents
}

/// Returns true for equal sections in the same order. The order of the options does not count.
fn is_same(one: &[Content], other: &[Content]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.is_same(other))
}

impl Content {
    fn is_same(&self, other: &Content) -> bool {
        self.section_type == other.section_type
            && self.is_named == other.is_named
            // The name of an anonymous section depends on its place.
            && (!self.is_named || self.name == other.name)
            && self.options.len() == other.options.len()
            && self.options.iter().all(|values| other.values(&values.name) == Some(values))
    }

    fn values(&self, option: &str) -> Option<&Values> {
        self.options.iter().find(|values| values.name == option)
    }

    /// Gives an option these values, unless it has them.
    fn set(&mut self, option: &str, is_list: bool, mut items: Vec<Vec<u8>>) {
        items.retain(|item| !item.is_empty());
        if items.is_empty() {
            self.options.retain(|values| values.name != option);
            return;
        }
        match self.options.iter_mut().find(|values| values.name == option) {
            // A list of one item and an option have the same value for a reader: a write would change nothing.
            Some(values) if values.items == items => {}
            Some(values) => (values.is_list, values.items) = (is_list, items),
            None => self.options.push(Values { name: option.to_owned(), is_list, items }),
        }
    }
}

/// Carries out one change on the content.
fn apply(before: &[Content], wanted: &mut Vec<Content>, change: &Change) -> Result<(), Reason> {
    let is_taken = |wanted: &[Content], name: &str| wanted.iter().any(|known| known.is_named && known.name == name);
    if let Action::Add(section_type, options) = &change.action {
        if !is_name(&change.section) {
            return Err(Reason::Name);
        }
        if is_taken(wanted, &change.section) {
            return Err(Reason::Exists);
        }
        let (section_type, name) = (section_type.clone(), change.section.clone());
        let mut section = Content { section_type, name, is_named: true, origin: None, options: Vec::new() };
        options.iter().for_each(|(option, value)| section.set(option, false, vec![value.clone().into_bytes()]));
        wanted.push(section);
        return Ok(());
    }
    let at = section_at(before, wanted, &change.section).ok_or(Reason::Missing)?;
    if let Action::Name(name) = &change.action
        && (wanted[at].is_named || is_taken(wanted, name))
    {
        return Err(Reason::Exists);
    }
    let section = &mut wanted[at];
    let items =
        |section: &Content, option: &str| section.values(option).map(|values| values.items.clone()).unwrap_or_default();
    match &change.action {
        Action::Set(option, value) => section.set(option, false, vec![value.clone().into_bytes()]),
        Action::SetList(option, items) => {
            section.set(option, true, items.iter().map(|item| item.clone().into_bytes()).collect());
        }
        Action::SetItem(option, begins, item) => {
            let mut items = items(section, option);
            let place = items.iter().position(|known| begins.iter().any(|begin| known.starts_with(begin.as_bytes())));
            let item = item.clone().map(String::into_bytes);
            match (place, item) {
                (Some(at), Some(item)) => items[at] = item,
                (Some(at), None) => drop(items.remove(at)),
                (None, item) => items.extend(item),
            }
            section.set(option, true, items);
        }
        Action::AddItem(option, item) => {
            let mut items = items(section, option);
            if !items.iter().any(|known| known == item.as_bytes()) {
                items.push(item.clone().into_bytes());
            }
            section.set(option, true, items);
        }
        Action::RemoveItem(option, item) => {
            let mut items = items(section, option);
            items.retain(|known| known != item.as_bytes());
            section.set(option, true, items);
        }
        Action::Unset(option) => section.set(option, false, Vec::new()),
        Action::Name(name) => (section.name, section.is_named) = (name.clone(), true),
        Action::Delete => drop(wanted.remove(at)),
        Action::Add(..) => {}
    }
    Ok(())
}

/// Returns the index of a section by its present name, or by its place or name in the text before all changes.
fn section_at(before: &[Content], wanted: &[Content], name: &str) -> Option<usize> {
    if let Some(at) = wanted.iter().position(|section| section.is_named && section.name == name) {
        return Some(at);
    }
    let sections = before.iter().map(|section| (section.name.as_str(), section.section_type.as_str()));
    let origin = position(&sections.collect::<Vec<_>>(), name)?;
    wanted.iter().position(|section| section.origin == Some(origin))
}

#[cfg(test)]
mod tests;
