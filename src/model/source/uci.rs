//! UCI packages: the configuration files of OpenWrt, in the words of libuci.
//!
//! A file is a sequence of commands: `package NAME`, `config TYPE [NAME]`, `option NAME VALUE`, `list NAME VALUE`; the first
//! letter of a command suffices. A section is a row, and its options are the fields. The first mistake fails the whole package,
//! as it does for all services of the device.

use super::row::Row;
use identity::identify;
use parse::{Section, parse};

pub mod edit;
mod identity;
mod parse;

pub use identity::Identity;
pub(in crate::model) use identity::digest;

/// The fields of a section that are no options. The name of an option has no dot.
const NAME: &str = ".name";
const TYPE: &str = ".type";
/// The place among the sections of the same type, from 1.
pub const POSITION: &str = ".position";

/// The field that is the key of the row. An anonymous section has another name than key.
const KEY: &str = ".";

/// The sections of a package, in the order of the file.
#[derive(Debug)]
pub struct Sections(Vec<Section>);

impl Sections {
    /// Reads the text of a package.
    ///
    /// # Errors
    /// The text is no package; the reason begins with the line.
    pub fn read(text: &str) -> Result<Sections, String> {
        Ok(Sections(parse(text.as_bytes(), false)?.sections))
    }

    /// Returns the sections as rows; with an identity, those of its type alone.
    ///
    /// The key of a section is its name. An anonymous section has the values of the identity as key, or else its place
    /// (`@type[n]`): its name in libuci contains the place among all sections, which changes more often.
    pub fn rows(&self, identity: Option<&Identity>) -> Vec<Row> {
        let Some(identity) = identity else { return self.0.iter().map(|section| section.row.clone()).collect() };
        let is_wanted = |section: &&Section| section.row.get(TYPE) == Some(identity.section_type.as_str());
        let mut sections: Vec<Section> = self.0.iter().filter(is_wanted).cloned().collect();
        identify(&mut sections, &identity.options);
        sections.into_iter().map(|section| section.row).collect()
    }

    /// Returns the sections of a type.
    pub fn of_type<'p>(&'p self, section_type: &'p str) -> impl Iterator<Item = &'p Row> {
        self.0.iter().map(|section| &section.row).filter(move |row| row.get(TYPE) == Some(section_type))
    }
}

/// Returns the sections of the text of a package as rows; see [`Sections::rows`].
///
/// # Errors
/// The text is no package; the reason begins with the line.
pub fn rows(text: &str, identity: Option<&Identity>) -> Result<Vec<Row>, String> {
    Ok(Sections::read(text)?.rows(identity))
}

/// Returns the section that has a place, `@type[n]`, or the name that libuci gives it, `cfg…`. The places of a type count its
/// named sections too; a negative one counts from the end.
pub(super) fn find<'r>(rows: &'r [Row], name: &str) -> Option<&'r Row> {
    let sections = rows.iter().map(|row| (row.get(NAME).unwrap_or_default(), row.get(TYPE).unwrap_or_default()));
    position(&sections.collect::<Vec<_>>(), name).map(|at| &rows[at])
}

/// Returns the index of such a section among all, of which each has its name and its type.
fn position(sections: &[(&str, &str)], name: &str) -> Option<usize> {
    if name.starts_with("cfg") {
        return sections.iter().position(|(known, _)| *known == name);
    }
    let (section_type, place) = place(name)?;
    let mut found = sections.iter().enumerate().filter(|(_, section)| section.1 == section_type).map(|(at, _)| at);
    match usize::try_from(place) {
        Ok(place) => found.nth(place),
        Err(_) => found.rev().nth(place.unsigned_abs() - 1),
    }
}

/// Reads `@type[n]`.
fn place(text: &str) -> Option<(&str, isize)> {
    let (section_type, place) = text.strip_prefix('@')?.strip_suffix(']')?.rsplit_once('[')?;
    Some((section_type, place.parse().ok()?)).filter(|_| is_type(section_type))
}

/// Returns true for the place of a section.
pub(in crate::model) fn is_place(text: &str) -> bool {
    place(text).is_some()
}

/// Returns the name that a section has for libuci, which each section of a package has alone.
pub(in crate::model) fn name(row: &Row) -> Option<&str> {
    row.get(NAME)
}

/// Returns true for the name or the place of a section.
pub(in crate::model) fn is_section(text: &str) -> bool {
    is_name(text) || place(text).is_some()
}

/// Returns true for the name of a section or of an option.
pub(in crate::model) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Returns true for the name of a package, which leads to no other directory.
pub fn is_package(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Returns true for the type of a section.
pub(in crate::model) fn is_type(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns true for a field that each section has, or that may be the name of an option.
pub(in crate::model) fn is_field(text: &str) -> bool {
    is_name(text) || [KEY, NAME, TYPE, POSITION].contains(&text)
}

#[cfg(test)]
mod tests;
