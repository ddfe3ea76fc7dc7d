//! The settings of a package before changes of the agent, by which these can be taken back one by one.
//!
//! ```text
//! text ──change──▶ text ──another program──▶ text ──take back──▶ text
//!    └─────note──────┘                        │                   ▲
//!               └──▶ former settings ─────────┴───────────────────┘ where the digest is that of the change
//! ```
//!
//! A setting is an option, a whole section that was added or deleted, or the place of a section that was moved. Its digest after the
//! change tells whether another program has changed it since. The name that an anonymous section gets is none: its instance has it.

use super::patch::{lines, write_section};
use super::{Action, Change, Content, Values, contents, section_at};
use crate::model::source::uci::POSITION;
use crate::model::source::uci::parse::{Kind, Package, parse};

/// A setting before the changes of the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Former {
    /// The section after the changes: its name, or the place of an anonymous one (`@rule[0]`); empty for an anonymous one that was
    /// deleted.
    pub section: String,
    /// The option, or [`POSITION`]; empty for the section as a whole.
    pub option: String,
    /// The commands before the changes, a character for each byte: the values of others need not be UTF-8. Empty if there were none.
    /// Of a position, its number.
    pub old: String,
    /// The digest of the commands after the changes.
    pub new: u32,
    /// Of a deleted section, the one before it; empty: it was the first one.
    pub behind: String,
}

impl Former {
    /// Returns true for a section that the agent has added.
    pub(super) fn is_added(&self) -> bool {
        self.option.is_empty() && self.old.is_empty()
    }

    /// Returns true for a section that the agent has deleted.
    pub(super) fn is_deleted(&self) -> bool {
        self.option.is_empty() && !self.old.is_empty()
    }
}

/// Notes the settings that a change of the agent gives a package. `former` has those of its earlier changes. `changes` are the
/// changes of the text before, and `moved` are the names of the sections that get other places.
///
/// # Errors
/// One of the texts is no package.
pub fn note(
    former: &mut Vec<Former>,
    before: &[u8],
    after: &[u8],
    changes: &[Change],
    moved: &[&str],
) -> Result<(), String> {
    let package = parse(before, true)?;
    let (old, new) = (contents(before, &package), contents(after, &parse(after, true)?));
    let successors = successors(&old, &new, changes);
    let notes = Notes { text: before, package, old, new, successors };
    // From the last one: a section that is there again stands behind the one before it, which comes back later.
    (0..notes.old.len()).rev().for_each(|at| notes.deleted(former, at));
    notes.translate(former);
    notes.changed(former);
    notes.added(former);
    moved.iter().for_each(|name| notes.moved(former, name));
    Ok(())
}

/// Returns the index in the new text of each section of the old one. Changes leave the order of the sections without name as it is.
fn successors(old: &[Content], new: &[Content], changes: &[Change]) -> Vec<Option<usize>> {
    // The sections that are deleted (`None`), or get a name.
    let mut others: Vec<(usize, Option<&String>)> = Vec::new();
    for Change { section, action } in changes {
        let name = match action {
            Action::Delete => None,
            Action::Name(name) => Some(name),
            _ => continue,
        };
        others.extend(section_at(old, old, section).map(|at| (at, name)));
    }
    let mut anonymous = (0..new.len()).filter(|at| !new[*at].is_named);
    let named = |name: &String| new.iter().position(|section| section.is_named && section.name == *name);
    let successor = |(at, own): (usize, &Content)| match others.iter().rev().find(|(other, _)| *other == at) {
        Some((_, name)) => name.and_then(named),
        None if own.is_named => named(&own.name),
        None => anonymous.next(),
    };
    old.iter().enumerate().map(successor).collect()
}

/// A change of a package.
struct Notes<'t> {
    text: &'t [u8],
    package: Package,
    old: Vec<Content>,
    new: Vec<Content>,
    /// The index in the new text of each section of the old one.
    successors: Vec<Option<usize>>,
}

impl Notes<'_> {
    /// Notes a section, if it is deleted, with the settings that it had before all changes.
    fn deleted(&self, former: &mut Vec<Former>, at: usize) {
        if self.successors[at].is_some() {
            return;
        }
        let own = id(&self.old, at);
        let added = former.iter().position(|known| known.is_added() && known.section == own);
        let added = added.map(|place| former.remove(place));
        // Sections that stood behind it stay behind all that stand behind the section before it.
        let mut followers: Vec<Former> = former.extract_if(.., |known| known.behind == own).collect();
        self.add_deleted(former, at, added);
        former.append(&mut followers);
    }

    /// Notes a section that is deleted. `added` is the note of its addition.
    fn add_deleted(&self, former: &mut Vec<Former>, at: usize, added: Option<Former>) {
        let (own, mut section) = (id(&self.old, at), self.old[at].clone());
        let present = section_digest(&section);
        former.retain_mut(|known| {
            let is_of = known.section == own && !known.option.is_empty();
            if is_of && known.option == POSITION && known.new == place_digest(&self.old, at) {
                // It returns to this place once the section is back.
                known.new = digest(b"");
                return true;
            }
            if is_of && digest(&commands(&section, &known.option)) == known.new {
                restore(&mut section, known);
            }
            !is_of
        });
        if added.is_some_and(|added| added.new == present) {
            return;
        }
        let is_unchanged = section.is_same(&self.old[at]);
        let text = self.block(at).filter(|_| is_unchanged).map(<[u8]>::to_vec);
        let text = text.unwrap_or_else(|| {
            let mut text = Vec::new();
            write_section(&section, b"\n", &mut text);
            text
        });
        let behind = at.checked_sub(1).map(|before| id(&self.old, before)).unwrap_or_default();
        let section = if section.is_named { section.name } else { String::new() };
        former.push(Former { section, old: encode(&text), behind, ..Former::default() });
    }

    /// Returns the lines of a section; `None` if it has several pieces or shares a line.
    fn block(&self, section: usize) -> Option<&[u8]> {
        let mut own = self.package.marks.iter().filter(|mark| mark.section == section);
        let first = own.next().filter(|first| !first.is_shared)?;
        let mut end = first.lines.end;
        for mark in own {
            if mark.kind == Kind::Section || mark.is_shared {
                return None;
            }
            end = mark.lines.end;
        }
        self.text.get(first.lines.start..end)
    }

    /// Returns the section that stands before another one of the old text and is there still, as the new text has it.
    fn before(&self, at: usize) -> String {
        let before = self.successors[..at].iter().rev().find_map(|successor| *successor);
        before.map(|before| id(&self.new, before)).unwrap_or_default()
    }

    /// Gives known settings the places that their sections have in the new text.
    fn translate(&self, former: &mut [Former]) {
        for known in former {
            let at = |section: &str| section_at(&self.old, &self.old, section);
            if let Some(Some(new)) = at(&known.section).map(|at| self.successors[at]) {
                known.section = id(&self.new, new);
            }
            if let Some(at) = at(&known.behind) {
                known.behind = self.successors[at].map_or_else(|| self.before(at), |new| id(&self.new, new));
            }
            // The place of a section depends on the others.
            if known.option == POSITION
                && let Some(new) = section_at(&self.new, &self.new, &known.section)
                && let Some(old) = self.successors.iter().position(|successor| *successor == Some(new))
                && known.new == place_digest(&self.old, old)
            {
                known.new = place_digest(&self.new, new);
            }
        }
    }

    /// Notes the options that have other values.
    fn changed(&self, former: &mut Vec<Former>) {
        for (old, at) in self.old.iter().zip(&self.successors) {
            let Some(at) = at.filter(|at| self.new[*at].options != old.options) else { continue };
            let (new, own) = (&self.new[at], id(&self.new, at));
            let added = former.iter_mut().find(|known| known.is_added() && known.section == own);
            if let Some(added) = added.filter(|added| added.new == section_digest(old)) {
                added.new = section_digest(new);
                continue;
            }
            let gone = old.options.iter().filter(|values| new.values(&values.name).is_none());
            for Values { name, .. } in new.options.iter().chain(gone) {
                add(former, &own, name, &commands(old, name), &commands(new, name));
            }
        }
    }

    /// Notes the sections that are new.
    fn added(&self, former: &mut Vec<Former>) {
        for at in (0..self.new.len()).filter(|at| !self.successors.contains(&Some(*at))) {
            let new = section_digest(&self.new[at]);
            former.push(Former { section: id(&self.new, at), new, ..Former::default() });
        }
    }

    /// Notes a section that has another place among those of its type.
    fn moved(&self, former: &mut Vec<Former>, name: &str) {
        let Some(new) = section_at(&self.new, &self.new, name) else { return };
        let Some(old) = self.successors.iter().position(|successor| *successor == Some(new)) else { return };
        let after = place_digest(&self.new, new);
        if after == place_digest(&self.old, old) {
            return;
        }
        let place = self.whole_place(former, old).to_string();
        // Sections that stood behind it stay.
        let mut followers: Vec<Former> = former.extract_if(.., |known| known.behind == name).collect();
        followers.iter_mut().for_each(|known| known.behind = self.before(old));
        former.append(&mut followers);
        // One that is known has its new place already.
        let is_noted = |known: &Former| {
            known.section == name && (known.is_added() || (known.option == POSITION && known.new == after))
        };
        if former.iter().any(is_noted) {
            return;
        }
        let (section, option) = (name.to_owned(), POSITION.to_owned());
        former.retain(|known| known.section != name || known.option != POSITION);
        former.push(Former { section, option, old: place, new: after, behind: String::new() });
    }

    /// Returns the place of a section among those of its type, with the sections that the agent has deleted and without those that it
    /// has added: a section returns to its place after these.
    fn whole_place(&self, former: &[Former], at: usize) -> usize {
        let section_type = &self.old[at].section_type;
        let before = self.old[..at].iter().zip(&self.successors);
        let before: Vec<(bool, String)> =
            before.filter_map(|(old, new)| Some((old.section_type == *section_type, id(&self.new, (*new)?)))).collect();
        let is_added = |own: &str| former.iter().any(|known| known.is_added() && known.section == own);
        let added = before.iter().filter(|(is_of_type, own)| *is_of_type && is_added(own)).count();
        let is_before = |known: &&Former| {
            let is_of_type = deleted_section(known).is_some_and(|gone| gone.section_type == *section_type);
            is_of_type && (known.behind.is_empty() || before.iter().any(|(_, own)| *own == known.behind))
        };
        let deleted = former.iter().filter(|known| known.is_deleted()).filter(is_before).count();
        place(&self.old, at) - added + deleted
    }
}

/// Notes one setting.
fn add(former: &mut Vec<Former>, section: &str, option: &str, before: &[u8], after: &[u8]) {
    if before == after {
        return;
    }
    let new = digest(after);
    match former.iter_mut().find(|known| known.section == section && known.option == option) {
        Some(known) => {
            // The setting of another program takes the place of the first one.
            if known.new != digest(before) {
                known.old = encode(before);
            }
            known.new = new;
        }
        None => {
            let (section, option) = (section.to_owned(), option.to_owned());
            former.push(Former { section, option, old: encode(before), new, behind: String::new() });
        }
    }
}

/// Returns the name of a section, or the place of one without name.
pub(super) fn id(sections: &[Content], at: usize) -> String {
    let section = &sections[at];
    match section.is_named {
        true => section.name.clone(),
        false => format!("@{}[{}]", section.section_type, place(sections, at) - 1),
    }
}

/// Returns the place of a section among those of its type, from 1.
pub(super) fn place(sections: &[Content], at: usize) -> usize {
    let same = sections[..at].iter().filter(|other| other.section_type == sections[at].section_type);
    same.count() + 1
}

/// Returns the digest of the place of a section.
pub(super) fn place_digest(sections: &[Content], at: usize) -> u32 {
    digest(place(sections, at).to_string().as_bytes())
}

/// Returns the commands of an option; none if the section does not have it.
pub(super) fn commands(section: &Content, option: &str) -> Vec<u8> {
    section.values(option).map(|values| lines(values, 0, b"\n")).unwrap_or_default()
}

/// Gives an option the values that it had before.
pub(super) fn restore(section: &mut Content, known: &Former) {
    let text = [b"config a\n", decode(&known.old).as_slice()].concat();
    let read = parse(&text, true).map(|package| contents(&text, &package)).unwrap_or_default();
    let options = read.into_iter().flat_map(|section| section.options);
    section.options.retain(|values| values.name != known.option);
    section.options.extend(options.filter(|values| values.name == known.option).take(1));
}

/// Returns the content of a section that the agent has deleted; `None` for a malformed note.
pub(super) fn deleted_section(known: &Former) -> Option<Content> {
    let text = decode(&known.old);
    let mut read = parse(&text, true).map(|package| contents(&text, &package)).ok()?;
    read.pop().filter(|_| read.is_empty())
}

/// Returns the digest of a section, in which neither its name nor the order of its options counts.
pub(super) fn section_digest(section: &Content) -> u32 {
    let mut section = Content { is_named: false, ..section.clone() };
    section.options.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let mut text = Vec::new();
    write_section(&section, b"\n", &mut text);
    digest(&text)
}

/// Returns a digest: FNV-1a.
pub(super) fn digest(text: &[u8]) -> u32 {
    text.iter().fold(0x811C_9DC5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

pub(super) fn encode(text: &[u8]) -> String {
    text.iter().map(|byte| char::from(*byte)).collect()
}

pub(super) fn decode(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')).collect()
}
