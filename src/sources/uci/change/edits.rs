//! The changes of one package, for all texts of a request.

use super::{Group, Stop, code_of, refusal};
use crate::cwmp::device::{Refusal, RenamedRow};
use crate::cwmp::fault::FaultCode;
use crate::model::source::uci::edit::{Action, Change, Reason, edit, move_sections};
use crate::model::source::uci::{Identity, POSITION, rows};
use crate::model::source::{Answer, OptionForm, Place, Row, Write};
#[cfg(feature = "source-builtin")]
use crate::sources::openwrt;
use crate::sources::uci::store::{Cause, Failure, Locked};

/// The type of the sections that make links, and their option with the name of the link.
const DEVICE: &str = "device";
const NAME: &str = "name";

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
                let sections = locked.rows(identity).map_err(|reason| broken(package, &reason))?;
                read.push((identity, Answer::Rows(sections)));
            }
            let answer = read.iter().find(|(known, _)| *known == identity).map(|(_, answer)| answer);
            let Some(row) = answer.and_then(|answer| answer.row(Some(section)).or_else(|| link(answer, section)))
            else {
                // R220: a row that the device has by itself, such as a route of the kernel, is no instance that can be deleted.
                let code = match place {
                    Place::OldSection { .. } => FaultCode::InvalidParameterName,
                    _ => FaultCode::InternalError,
                };
                let text = format!("uci {package}: there is no section `{section}`");
                missing.push(refusal(*at, code, &text));
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
            let change = Change { section: name, action: action(option, form, value.as_deref()) };
            missing.extend(edits.push_all(*at, package, Ok(vec![change])));
        }
        if missing.is_empty() { Ok(edits) } else { Err(Stop::Refused(missing)) }
    }

    /// Returns the changes by which fields of providers have the texts of a group, in a text of the package that has all other texts.
    #[cfg(feature = "source-builtin")]
    pub(super) fn of_providers(package: &str, text: &[u8], group: &Group<'_>) -> Result<Edits, Stop> {
        let (mut edits, mut refused) = (Edits::default(), Vec::new());
        let mut sections = None;
        for (at, Write { place, text: value, .. }) in group {
            let Place::Provided { provider, row, field, .. } = place else { continue };
            if sections.is_none() {
                let read = rows(&String::from_utf8_lossy(text), None).map_err(|reason| broken(package, &reason))?;
                sections = Some(read);
            }
            let sections = sections.as_deref().unwrap_or_default();
            let changes = openwrt::set(provider, row, field, value.as_deref(), sections);
            refused.extend(edits.push_all(*at, package, changes));
        }
        if refused.is_empty() { Ok(edits) } else { Err(Stop::Refused(refused)) }
    }

    /// Returns the text of a package after the changes.
    pub(super) fn applied(&self, package: &str, group: &Group<'_>, text: &[u8]) -> Result<Vec<u8>, Stop> {
        edit(text, &self.changes).map_err(|refused| {
            let at = refused.change.and_then(|change| self.writes.get(change)).copied();
            let concerned = group.iter().filter(|(write, _)| at.is_none_or(|at| at == *write));
            let text = format!("uci {package}: {}", refused.reason);
            Stop::Refused(concerned.map(|(write, _)| refusal(*write, code_of(&refused.reason), &text)).collect())
        })
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

    /// Returns the names of the sections that get other places.
    pub(super) fn moved_sections(&self) -> Vec<&str> {
        self.moves.iter().map(|(_, name, _)| name.as_str()).collect()
    }

    /// Returns the name that a section has after the changes.
    fn name_of(&self, section: &str) -> String {
        let given = self.changes.iter().find_map(|change| match &change.action {
            Action::Name(name) if change.section == section => Some(name),
            _ => None,
        });
        given.map_or(section, |name| name).to_owned()
    }

    /// Adds the changes for a write, if there is no reason against it. Returns a refusal then, and where one of them gives a setting
    /// another text than an earlier one.
    fn push_all(&mut self, write: usize, package: &str, changes: Result<Vec<Change>, String>) -> Option<Refusal> {
        let refuse =
            |reason: &str| Some(refusal(write, FaultCode::InvalidParameterValue, &format!("uci {package}: {reason}")));
        let changes = match changes {
            Ok(changes) => changes,
            Err(reason) => return refuse(&reason),
        };
        for Change { section, action } in changes {
            let setting = setting_of(&action);
            let is_other = |change: &&Change| {
                change.section == section && setting.is_some() && setting_of(&change.action) == setting
            };
            match (self.changes.iter().find(is_other), action) {
                (Some(same), action) if same.action == action => {}
                // R168: two names of a section lead to the same option.
                (Some(_), _) => return refuse("another value is given to the same setting"),
                // Several fields of a provider may need the section.
                (None, Action::Add(section_type, options)) => match self.added_options(&section) {
                    None => self.push(write, section, Action::Add(section_type, options)),
                    // Two links whose names differ in other characters than letters and digits.
                    Some(known) if known.first() != options.first() => {
                        return refuse("another link of the request needs a section of the same name");
                    }
                    Some(_) => options
                        .into_iter()
                        .for_each(|(option, text)| self.push(write, section.clone(), Action::Set(option, text))),
                },
                (None, action) => self.push(write, section, action),
            }
        }
        None
    }

    /// Returns the options with which a change creates this section, of which the first one tells its link.
    fn added_options(&self, section: &str) -> Option<&[(String, String)]> {
        self.changes.iter().find_map(|change| match &change.action {
            Action::Add(_, options) if change.section == section => Some(&options[..]),
            _ => None,
        })
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
        let mut options = options.to_vec();
        // netifd knows a link by this option, and the key of the row is the name of the section.
        if section_type == DEVICE && !options.iter().any(|(option, _)| option == NAME) {
            options.insert(0, (NAME.to_owned(), name.clone()));
        }
        self.push(write, name.clone(), Action::Add(section_type.to_owned(), options));
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

/// Returns the section of a bridge or VLAN, whose row has the name of the link as key.
fn link<'a>(sections: &'a Answer, name: &str) -> Option<&'a Row> {
    let Answer::Rows(rows) = sections else { return None };
    rows.iter().find(|row| row.get(".type") == Some(DEVICE) && row.get(NAME) == Some(name))
}

fn broken(package: &str, reason: &str) -> Stop {
    Stop::Failed(Failure { cause: Cause::Failed, text: format!("uci {package}: {reason}") })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Two links get no common section, which would be that of one of them alone.
    #[test]
    fn links_with_like_names_have_no_common_section() {
        let mut edits = Edits::default();
        let mut set = |write: usize, link: &str, option: &str| {
            let options = [("name", link), (option, "10")].map(|(option, text)| (option.to_owned(), text.to_owned()));
            let action = Action::Add("device".into(), options.into());
            edits.push_all(write, "network", Ok(vec![Change { section: "cpe_device_lan_1".into(), action }]))
        };
        assert_eq!(set(0, "lan.1", "speed"), None);
        assert_eq!(set(1, "lan.1", "duplex"), None);
        assert_eq!(set(2, "lan_1", "speed").map(|refusal| refusal.write), Some(2));
        assert_eq!(edits.writes, [0, 1, 1]);
    }
}
