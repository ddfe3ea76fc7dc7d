//! The changes of one package, for all texts of a request.

use super::{Group, Stop, refusal};
use crate::cwmp::device::RenamedRow;
use crate::cwmp::fault::FaultCode;
use crate::model::source::uci::edit::{Action, Change, Reason, move_sections};
use crate::model::source::uci::{Identity, POSITION, rows};
use crate::model::source::{Answer, OptionForm, Place, Row, Write};
use crate::sources::uci::store::{Cause, Failure, Locked};

/// The changes of a package.
#[derive(Default)]
pub(super) struct Edits {
    pub(super) changes: Vec<Change>,
    /// The indexes of the writes that the changes are for.
    pub(super) writes: Vec<usize>,
    /// The sections that get other places, with the indexes of their writes.
    moves: Vec<(usize, String, usize)>,
    /// The identities of the sections that get a name.
    identities: Vec<Option<Identity>>,
    /// The name of a new section.
    pub(super) added: Option<String>,
    /// The names of the sections, once they are needed.
    names: Option<Vec<String>>,
}

impl Edits {
    /// Returns the changes by which sections have the texts of a group.
    pub(super) fn of(package: &str, locked: &Locked, group: &Group<'_>) -> Result<Edits, Stop> {
        let (mut edits, mut missing) = (Edits::default(), Vec::new());
        // Tables that tell their sections apart in the same way share the rows.
        let mut read: Vec<(Option<&Identity>, Answer)> = Vec::new();
        for (at, Write { place, text: value, .. }) in group {
            let (identity, section) = match place {
                Place::Uci { identity, section, .. } | Place::OldSection { identity, section, .. } => {
                    (identity, section)
                }
                Place::NewSection { section_type, name, options, .. } => {
                    edits.add(locked, section_type, name, options, *at);
                    continue;
                }
                _ => continue,
            };
            let identity = identity.as_ref();
            if !read.iter().any(|(known, _)| *known == identity) {
                let broken = |reason| {
                    let text = format!("uci {package}: {reason}");
                    Stop::Failed(Failure { cause: Cause::Failed, text })
                };
                read.push((identity, Answer::Rows(locked.rows(identity).map_err(broken)?)));
            }
            let answer = read.iter().find(|(known, _)| *known == identity).map(|(_, answer)| answer);
            let Some(row) = answer.and_then(|answer| answer.row(Some(section))) else {
                let text = format!("uci {package}: there is no section `{section}`");
                missing.push(refusal(*at, FaultCode::InternalError, &text));
                continue;
            };
            let name = row.get(".name").unwrap_or_default().to_owned();
            let Place::Uci { option, form, number, .. } = place else {
                edits.push(*at, name, Action::Delete);
                continue;
            };
            if let Some(number) = number.filter(|_| row.key != name) {
                edits.name(locked, identity, row, number, *at);
            }
            if *option == *POSITION {
                let place = value.as_deref().and_then(|place| place.parse().ok()).unwrap_or(usize::MAX);
                edits.moves.push((*at, edits.name_of(&name), place));
                continue;
            }
            let action = action(option, form, value.as_deref());
            let is_other =
                |change: &Change| change.section == name && setting_of(&change.action) == setting_of(&action);
            match edits.changes.iter().find(|change| is_other(change)) {
                None => edits.push(*at, name, action),
                Some(same) if same.action == action => {}
                // R168: two names of a section lead to the same option.
                Some(_) => {
                    let text = format!("uci {package}: another value is given to the same setting");
                    missing.push(refusal(*at, FaultCode::InvalidParameterValue, &text));
                }
            }
        }
        if missing.is_empty() { Ok(edits) } else { Err(Stop::Refused(missing)) }
    }

    /// Returns the text of the package with the sections at their new places.
    ///
    /// # Errors
    /// The reason, with the indexes of the writes.
    pub(super) fn moved(&self, text: Vec<u8>) -> Result<Vec<u8>, (Vec<usize>, Reason)> {
        if self.moves.is_empty() {
            return Ok(text);
        }
        let moves: Vec<(&str, usize)> = self.moves.iter().map(|(_, name, place)| (name.as_str(), *place)).collect();
        move_sections(&text, &moves).map_err(|reason| (self.moves.iter().map(|(at, ..)| *at).collect(), reason))
    }

    /// Returns the name that a section has after the changes.
    fn name_of(&self, section: &str) -> String {
        let given = self.changes.iter().find_map(|change| match &change.action {
            Action::Name(name) if change.section == section => Some(name),
            _ => None,
        });
        given.map_or(section, |name| name).to_owned()
    }

    fn push(&mut self, write: usize, section: String, action: Action) {
        self.changes.push(Change { section, action });
        self.writes.push(write);
    }

    /// Gives an anonymous section a name, so that its instance stays the same whatever is set in it.
    fn name(&mut self, locked: &Locked, identity: Option<&Identity>, row: &Row, number: u32, write: usize) {
        let anonymous = row.get(".name").unwrap_or_default();
        let is_named = |change: &Change| change.section == anonymous && matches!(change.action, Action::Name(_));
        if self.changes.iter().any(is_named) {
            return;
        }
        let section_type = row.get(".type").unwrap_or_default().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let name = self.free_name(locked, &format!("cpe_{section_type}_{number}"));
        self.push(write, anonymous.to_owned(), Action::Name(name));
        for identity in [None, identity.cloned()] {
            if !self.identities.contains(&identity) {
                self.identities.push(identity);
            }
        }
    }

    /// Adds a section, and notes its name.
    fn add(&mut self, locked: &Locked, section_type: &str, name: &str, options: &[(String, String)], write: usize) {
        let name = self.free_name(locked, name);
        self.push(write, name.clone(), Action::Add(section_type.to_owned(), options.to_vec()));
        self.added = Some(name);
    }

    /// Returns a name that no section of the package has: this one, or one with a further number.
    fn free_name(&mut self, locked: &Locked, base: &str) -> String {
        let name = |row: &Row| row.get(".name").map(str::to_owned);
        // A package with a mistake refuses the change later.
        let read = || locked.rows(None).unwrap_or_default().iter().filter_map(name).collect();
        let sections = self.names.get_or_insert_with(read);
        let is_taken = |name: &str| {
            let is_new = |change: &Change| match &change.action {
                Action::Name(given) => given == name,
                Action::Add(..) => change.section == name,
                _ => false,
            };
            sections.iter().any(|section| section == name) || self.changes.iter().any(is_new)
        };
        let mut others = (2u32..).map(|other| format!("{base}_{other}"));
        let first = std::iter::once(base.to_owned());
        first.chain(&mut others).find(|name| !is_taken(name)).unwrap_or_else(|| base.to_owned())
    }

    /// Returns the rows that have got a name. The tables find the others by their options if their keys change.
    pub(super) fn renamed_rows(&self, package: &str, locked: &Locked, new: &[u8]) -> Vec<RenamedRow> {
        let new = String::from_utf8_lossy(new);
        let mut renamed = Vec::new();
        for identity in &self.identities {
            let (before, after) = (locked.rows(identity.as_ref()), rows(&new, identity.as_ref()));
            let (Ok(before), Ok(after)) = (before, after) else { continue };
            // The changes leave the number and the order of the sections as they are.
            let is_named = |(old, new): &(Row, Row)| old.key != new.key && new.get(".name") == Some(&new.key);
            for (old, new) in before.into_iter().zip(after).filter(is_named) {
                let package = package.to_owned();
                renamed.push(RenamedRow { package, identity: identity.clone(), old: old.key, new: new.key });
            }
        }
        renamed
    }
}

/// Returns the change by which an option has a text.
fn action(option: &str, form: &OptionForm, text: Option<&str>) -> Action {
    let option = option.to_owned();
    match (form, text) {
        (OptionForm::Item(begins), text) => {
            let item = text.map(|text| format!("{}{text}", begins.first().map_or("", |begin| begin)));
            Action::SetItem(option, begins.iter().map(|begin| begin.to_string()).collect(), item)
        }
        (_, None) => Action::Unset(option),
        (OptionForm::List, Some(text)) => Action::SetList(option, text.split_whitespace().map(str::to_owned).collect()),
        (OptionForm::Whole, Some(text)) => Action::Set(option, text.to_owned()),
    }
}

/// Returns the name of the option that a change sets, and the begins of the item that it sets in a list.
fn setting_of(action: &Action) -> Option<(&String, &[String])> {
    match action {
        Action::Set(option, _) | Action::SetList(option, _) | Action::Unset(option) => Some((option, &[])),
        Action::SetItem(option, begins, _) => Some((option, begins)),
        _ => None,
    }
}
