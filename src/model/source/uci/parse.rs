//! The parser of UCI packages. For the editor, it notes the places of the commands in the text.

use std::borrow::Cow;
use std::ops::Range;

use super::{NAME, POSITION, TYPE, is_name, is_package, is_type};
use crate::foreign_text::{lossy, owned_lossy};
use crate::model::source::row::Row;

/// The most sections of a package, and the most options of a section. Real packages have some hundred sections; the limits
/// bound the memory and the work.
pub(super) const MAX_SECTIONS: usize = 4096;
pub(super) const MAX_OPTIONS: usize = 512;

/// A section of a package.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// The options, and the name, type and position of the section.
    pub(super) row: Row,
    /// False for an anonymous section.
    pub(super) is_named: bool,
}

/// The kind of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `config`
    Section,
    /// `option`
    Option,
    /// `list`
    Item,
}

/// The places of a command in the text.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) kind: Kind,
    /// The index of the section to which the command belongs.
    pub(super) section: usize,
    /// The first byte of the command, behind the indentation.
    pub(super) start: usize,
    /// The type of a section, or the name of an option, with its quotes.
    pub(super) name: Range<usize>,
    /// The name of a section, or the value of an option, with its quotes; empty if it is missing.
    pub(super) value: Range<usize>,
    /// The lines of the command, with the last line end.
    pub(super) lines: Range<usize>,
    /// True if a `;` ends a command on these lines.
    pub(super) is_shared: bool,
}

/// The content of a package.
pub(super) struct Package {
    /// The sections, in the order of the file.
    pub(super) sections: Vec<Section>,
    /// The commands, in the order of the file; empty unless they were asked for.
    pub(super) marks: Vec<Mark>,
}

/// Reads a package, and with `has_marks` the places of its commands.
///
/// # Errors
/// The text is no package; the reason begins with the line.
pub(super) fn parse(bytes: &[u8], has_marks: bool) -> Result<Package, String> {
    let mut parser = Parser { has_marks, ..Parser::new(bytes) };
    match parser.package() {
        Ok(()) => Ok(Package { sections: parser.sections, marks: parser.marks }),
        Err(reason) => {
            let line = 1 + bytes[..parser.at].iter().filter(|byte| **byte == b'\n').count();
            Err(format!("line {line}: {reason}"))
        }
    }
}

/// Returns a word without its quotes. The text is that of the word alone.
pub(super) fn unquoted(text: &[u8]) -> Vec<u8> {
    Parser::new(text).word().unwrap_or_default()
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
    /// True if the places of the commands are noted.
    has_marks: bool,
    marks: Vec<Mark>,
    /// The first byte of the present command.
    start: usize,
    /// The place of the last word.
    word: Range<usize>,
    /// True if a `;` has ended a command of the present line.
    is_shared: bool,
}

impl<'t> Parser<'t> {
    fn new(bytes: &'t [u8]) -> Parser<'t> {
        Parser {
            bytes,
            at: 0,
            is_parted: false,
            sections: Vec::new(),
            section: 0,
            places: Vec::new(),
            has_marks: false,
            marks: Vec::new(),
            start: 0,
            word: 0..0,
            is_shared: false,
        }
    }

    fn package(&mut self) -> Result<(), Reason> {
        // libuci appends the next line to the text before a NUL: the file is broken in each case.
        if let Some(at) = self.bytes.iter().position(|byte| *byte == 0) {
            self.at = at;
            return Err("a NUL byte");
        }
        while self.at < self.bytes.len() {
            let (start, first) = (self.at, self.marks.len());
            self.is_shared = false;
            self.line()?;
            self.at += 1;
            for mark in &mut self.marks[first..] {
                mark.lines = start..self.at.min(self.bytes.len());
                mark.is_shared = self.is_shared;
            }
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
            self.start = self.at;
            while !matches!(self.peek(), None | Some(b'\n' | b' ' | b'\t')) {
                self.at += 1;
            }
            match &self.bytes[self.start..self.at] {
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
        let name = self.text()?;
        if !is_package(&name) {
            return Err("not the name of a package");
        }
        self.end()
    }

    /// Reads the rest of `config`: a new section, or a further piece of a section.
    fn section(&mut self) -> Result<(), Reason> {
        let section_type = self.text()?;
        let type_place = self.word.clone();
        let name = self.text()?;
        let name_place = self.word.clone();
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
            self.mark(Kind::Section, type_place, name_place);
            return Ok(());
        }
        if self.sections.len() >= MAX_SECTIONS {
            return Err("more than 4096 sections");
        }
        self.section = self.sections.len();
        let section = self.new_section(&section_type, &name);
        self.sections.push(section);
        self.mark(Kind::Section, type_place, name_place);
        Ok(())
    }

    fn new_section(&mut self, section_type: &str, name: &str) -> Section {
        let place = counter(&mut self.places, section_type);
        let is_named = !name.is_empty();
        let mut row = if is_named { Row::new(name) } else { Row::new(format!("@{section_type}[{place}]")) };
        *place += 1;
        match is_named {
            true => row.set(NAME, name),
            false => row.set(NAME, anonymous_name(self.sections.len() + 1, section_type)),
        }
        row.set_number(POSITION, *place as u64);
        row.set(TYPE, section_type);
        Section { row, is_named }
    }

    /// Reads the rest of `option` or `list`. The later option counts; an item of a list is added to the present ones.
    fn option(&mut self, is_list: bool) -> Result<(), Reason> {
        let name = self.text()?;
        let name_place = self.word.clone();
        let value = self.text()?;
        let value_place = self.word.clone();
        if !is_name(&name) {
            return Err("not the name of an option");
        }
        self.end()?;
        let Some(section) = self.sections.get_mut(self.section) else { return Err("no section before it") };
        let row = &mut section.row;
        // libuci ignores an empty option, and an empty item is none among others.
        let is_taken = value.is_empty() || (is_list && row.append(&name, &value));
        if !is_taken {
            // The name, the type and the position of the section are fields too.
            if row.fields().len() >= MAX_OPTIONS + [NAME, TYPE, POSITION].len() && row.get(&name).is_none() {
                return Err("more than 512 options of one section");
            }
            row.replace(&name, &value);
        }
        self.mark(if is_list { Kind::Item } else { Kind::Option }, name_place, value_place);
        Ok(())
    }

    /// Notes the places of a command. Those of its lines are known at their end.
    fn mark(&mut self, kind: Kind, name: Range<usize>, value: Range<usize>) {
        if self.has_marks {
            let (section, start) = (self.section, self.start);
            self.marks.push(Mark { kind, section, start, name, value, lines: 0..0, is_shared: false });
        }
    }

    /// Reads the end of a command.
    fn end(&mut self) -> Result<(), Reason> {
        self.skip_blanks();
        self.is_parted = self.peek() == Some(b';');
        if self.word()?.is_empty() { Ok(()) } else { Err("a word too many") }
    }

    /// Reads a word as a text. Bytes that are no UTF-8 become U+FFFD.
    fn text(&mut self) -> Result<Cow<'t, str>, Reason> {
        match self.plain_word() {
            Some(word) => Ok(lossy(word)),
            None => self.word().map(|word| owned_lossy(word).into()),
        }
    }

    /// Reads a word that stands in the text as it is, bare or in simple quotes; `None` for any other.
    fn plain_word(&mut self) -> Option<&'t [u8]> {
        self.skip_blanks();
        let rest = &self.bytes[self.at..];
        let is_quoted = rest.first() == Some(&b'\'');
        let inside = if is_quoted { &rest[1..] } else { rest };
        let is_end = |byte: &u8| if is_quoted { *byte == b'\'' } else { *byte == b'\n' || is_blank(*byte) };
        let word = &inside[..inside.iter().position(is_end)?];
        let length = if is_quoted { word.len() + 2 } else { word.len() };
        let is_last = rest.get(length).is_none_or(|byte| *byte == b'\n' || is_blank(*byte));
        let is_special = |byte: &u8| matches!(byte, b'\'' | b'"' | b'\\' | b'#' | b';');
        if !is_last || (!is_quoted && word.iter().any(is_special)) {
            return None;
        }
        self.word = self.at..self.at + length;
        self.at += length;
        Some(word)
    }

    /// Reads a word; an empty one at the end of the command.
    fn word(&mut self) -> Result<Vec<u8>, Reason> {
        self.skip_blanks();
        let start = self.at;
        if self.peek() == Some(b';') {
            self.at += 1;
            self.is_shared = true;
            self.word = start..start;
            return Ok(Vec::new());
        }
        let (mut word, mut is_bare, mut end) = (Vec::new(), true, None);
        while let Some(byte) = self.peek() {
            match byte {
                b'\'' | b'"' => self.quoted(byte, &mut word)?,
                b'\\' => self.backslash(&mut word),
                // libuci ends a bare word by a NUL in place of the `;`, and reads the line no further.
                b'#' | b';' if byte == b'#' || is_bare => {
                    end = Some(self.at);
                    self.skip_line();
                }
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
        self.word = start..end.unwrap_or(self.at);
        Ok(word)
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

/// Returns the counter of a text, which begins at 0.
pub(super) fn counter<'c>(counters: &'c mut Vec<(String, usize)>, text: &str) -> &'c mut usize {
    let at = counters.iter().position(|(known, _)| known == text).unwrap_or_else(|| {
        counters.push((text.to_owned(), 0));
        counters.len() - 1
    });
    &mut counters[at].1
}

/// Returns the name that libuci gives an anonymous section; `number` is its place among all sections, from 1.
pub(super) fn anonymous_name(number: usize, section_type: &str) -> String {
    let hash = section_type.bytes().fold(5381u16, |hash, byte| hash.wrapping_mul(33).wrapping_add(byte.into()));
    format!("cfg{number:02x}{hash:04x}")
}
