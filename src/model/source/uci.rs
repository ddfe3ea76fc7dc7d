//! UCI packages: the configuration files of OpenWrt, in the words of libuci.
//!
//! A file is a sequence of commands: `package NAME`, `config TYPE [NAME]`, `option NAME VALUE`, `list NAME VALUE`; the first
//! letter of a command suffices. A section is a row, and its options are the fields. The first mistake fails the whole package,
//! as it does for all services of the device.

use super::query::Row;
use identity::identify;

mod identity;

pub use identity::Identity;
pub(in crate::model) use identity::digest;

/// The most sections of a package, and the most options of a section. Real packages have some hundred sections; the limits
/// bound the memory and the work.
const MAX_SECTIONS: usize = 4096;
const MAX_OPTIONS: usize = 512;

/// The fields of a section that are no options. The name of an option has no dot.
const NAME: &str = ".name";
const TYPE: &str = ".type";
const POSITION: &str = ".position";

/// Returns the sections of a package as rows, in the order of the file; with an identity, those of its type alone.
///
/// The key of a section is its name. An anonymous section has the values of the identity as key, or else its place
/// (`@type[n]`): its name in libuci contains the place among all sections, which changes more often.
///
/// # Errors
/// The text is no package; the reason begins with the line.
pub fn rows(text: &str, identity: Option<&Identity>) -> Result<Vec<Row>, String> {
    let mut parser = Parser {
        bytes: text.as_bytes(),
        at: 0,
        is_parted: false,
        sections: Vec::new(),
        section: 0,
        places: Vec::new(),
    };
    let mut sections = match parser.package() {
        Ok(()) => parser.sections,
        Err(reason) => {
            let line = 1 + parser.bytes[..parser.at].iter().filter(|byte| **byte == b'\n').count();
            return Err(format!("line {line}: {reason}"));
        }
    };
    if let Some(identity) = identity {
        sections.retain(|section| section.row.get(TYPE) == Some(identity.section_type.as_str()));
        identify(&mut sections, &identity.options);
    }
    Ok(sections.into_iter().map(|section| section.row).collect())
}

/// Returns the counter of a text, which begins at 0.
fn counter<'c>(counters: &'c mut Vec<(String, usize)>, text: &str) -> &'c mut usize {
    let at = counters.iter().position(|(known, _)| known == text).unwrap_or_else(|| {
        counters.push((text.to_owned(), 0));
        counters.len() - 1
    });
    &mut counters[at].1
}

/// Returns the section that has a place, `@type[n]`, or the name that libuci gives it, `cfg…`. The places of a type count its
/// named sections too; a negative one counts from the end.
pub(super) fn find<'r>(rows: &'r [Row], name: &str) -> Option<&'r Row> {
    if name.starts_with("cfg") {
        return rows.iter().find(|row| row.get(NAME) == Some(name));
    }
    let (section_type, place) = place(name)?;
    let mut sections = rows.iter().filter(|row| row.get(TYPE) == Some(section_type));
    match usize::try_from(place) {
        Ok(place) => sections.nth(place),
        Err(_) => sections.rev().nth(place.unsigned_abs() - 1),
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
pub(in crate::model) fn is_package(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Returns true for the type of a section.
pub(in crate::model) fn is_type(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns true for a field that each section has, or that may be the name of an option.
pub(in crate::model) fn is_field(text: &str) -> bool {
    is_name(text) || [NAME, TYPE, POSITION].contains(&text)
}

struct Section {
    row: Row,
    is_named: bool,
}

/// The reason why a text is no package. It has no part of the text, which may be a password.
type Reason = &'static str;

struct Parser<'t> {
    bytes: &'t [u8],
    /// The place of the next byte.
    at: usize,
    /// True if a `;` has ended the last command.
    is_parted: bool,
    sections: Vec<Section>,
    /// The index of the section to which options belong.
    section: usize,
    /// The number of sections of each type.
    places: Vec<(String, usize)>,
}

impl Parser<'_> {
    fn package(&mut self) -> Result<(), Reason> {
        // libuci appends the next line to what stands before a NUL: the file is broken in each case.
        if let Some(at) = self.bytes.iter().position(|byte| *byte == 0) {
            self.at = at;
            return Err("a NUL byte");
        }
        while self.at < self.bytes.len() {
            self.line()?;
            self.at += 1;
        }
        Ok(())
    }

    /// Reads the commands of a line, up to its end.
    fn line(&mut self) -> Result<(), Reason> {
        self.skip_blanks();
        self.is_parted = false;
        loop {
            while matches!(self.peek(), Some(b' ' | b'\t')) {
                self.at += 1;
            }
            let start = self.at;
            while !matches!(self.peek(), None | Some(b'\n' | b' ' | b'\t')) {
                self.at += 1;
            }
            match &self.bytes[start..self.at] {
                // For libuci, the line end behind a `;` is a word.
                [] if !self.is_parted || self.peek().is_none() => return Ok(()),
                [b'#', ..] => {
                    self.skip_line();
                    return Ok(());
                }
                b"p" | b"package" => self.package_name()?,
                b"c" | b"config" => self.section()?,
                b"o" | b"option" => self.option(false)?,
                b"l" | b"list" => self.option(true)?,
                _ => return Err("not a command; `config`, `option`, `list` or `package` is needed"),
            }
        }
    }

    /// Reads the rest of `package`. The name of the file counts, as for libuci.
    fn package_name(&mut self) -> Result<(), Reason> {
        let name = self.word()?;
        if !is_package(&name) {
            return Err("not the name of a package");
        }
        self.end()
    }

    /// Reads the rest of `config`: a new section, or a further piece of a section.
    fn section(&mut self) -> Result<(), Reason> {
        let (section_type, name) = (self.word()?, self.word()?);
        if !is_type(&section_type) {
            return Err("not the type of a section");
        }
        if !name.is_empty() && !is_name(&name) {
            return Err("not the name of a section");
        }
        self.end()?;
        let known = self.sections.iter().position(|section| !name.is_empty() && section.row.get(NAME) == Some(&name));
        if let Some(known) = known {
            if self.sections[known].row.get(TYPE) != Some(&section_type) {
                return Err("a section of another type has this name");
            }
            self.section = known;
            return Ok(());
        }
        if self.sections.len() >= MAX_SECTIONS {
            return Err("more than 4096 sections");
        }
        self.section = self.sections.len();
        let section = self.new_section(section_type, name);
        self.sections.push(section);
        Ok(())
    }

    fn new_section(&mut self, section_type: String, name: String) -> Section {
        let place = counter(&mut self.places, &section_type);
        let is_named = !name.is_empty();
        let mut row = if is_named { Row::new(name.as_str()) } else { Row::new(format!("@{section_type}[{place}]")) };
        *place += 1;
        let name = if is_named { name } else { anonymous_name(self.sections.len() + 1, &section_type) };
        row.set(NAME, name);
        row.set(POSITION, place.to_string());
        row.set(TYPE, section_type);
        Section { row, is_named }
    }

    /// Reads the rest of `option` or `list`. The later option counts; an item of a list is added to what is there.
    fn option(&mut self, is_list: bool) -> Result<(), Reason> {
        let (name, value) = (self.word()?, self.word()?);
        if !is_name(&name) {
            return Err("not the name of an option");
        }
        self.end()?;
        let Some(section) = self.sections.get_mut(self.section) else { return Err("no section before it") };
        let fields = &mut section.row.fields;
        match fields.iter().position(|(known, _)| *known == name) {
            // libuci ignores an empty option, and an empty item is none among others.
            _ if value.is_empty() => {}
            Some(at) if is_list => {
                fields[at].1.push(' ');
                fields[at].1.push_str(&value);
            }
            Some(at) => fields[at].1 = value,
            None if fields.len() >= MAX_OPTIONS => return Err("more than 512 options of one section"),
            None => fields.push((name, value)),
        }
        Ok(())
    }

    /// Reads the end of a command.
    fn end(&mut self) -> Result<(), Reason> {
        self.skip_blanks();
        self.is_parted = self.peek() == Some(b';');
        if self.word()?.is_empty() { Ok(()) } else { Err("a word too many") }
    }

    /// Reads a word; an empty one at the end of the command.
    fn word(&mut self) -> Result<String, Reason> {
        self.skip_blanks();
        if self.peek() == Some(b';') {
            self.at += 1;
            return Ok(String::new());
        }
        let (mut word, mut is_bare) = (Vec::new(), true);
        while let Some(byte) = self.peek() {
            match byte {
                b'\'' | b'"' => self.quoted(byte, &mut word)?,
                b'\\' => self.backslash(&mut word),
                b'#' => self.skip_line(),
                // libuci ends a bare word by a NUL in place of the `;`, and reads the line no further.
                b';' if is_bare => self.skip_line(),
                b';' | b'\n' => break,
                _ if is_blank(byte) => break,
                _ => {
                    word.push(byte);
                    self.at += 1;
                    continue;
                }
            }
            is_bare = false;
        }
        // The specials are all ASCII, so that no character has lost a part.
        Ok(String::from_utf8(word).unwrap_or_default())
    }

    /// Reads a piece of a word in quotes, which may hold line ends.
    fn quoted(&mut self, quote: u8, word: &mut Vec<u8>) -> Result<(), Reason> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => {
                    self.at = start;
                    return Err("the quote is not closed");
                }
                Some(byte) if byte == quote => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') if quote == b'"' => self.backslash(word),
                Some(byte) => {
                    word.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    /// Reads a backslash: it joins the next line, or takes the next byte as it is.
    fn backslash(&mut self, word: &mut Vec<u8>) {
        self.at += 1;
        match self.bytes[self.at..] {
            [b'\n', ..] => self.at += 1,
            [b'\r', b'\n', ..] => self.at += 2,
            [byte, ..] => {
                word.push(byte);
                self.at += 1;
            }
            [] => {}
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }
}

/// Returns true for white space within a line.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0B | 0x0C)
}

/// Returns the name that libuci gives an anonymous section; `number` is its place among all sections, from 1.
fn anonymous_name(number: usize, section_type: &str) -> String {
    let hash = section_type.bytes().fold(5381u16, |hash, byte| hash.wrapping_mul(33).wrapping_add(byte.into()));
    format!("cfg{number:02x}{hash:04x}")
}

#[cfg(test)]
mod tests;
