//! The text of changed packages: patches of the old text, or the whole package anew.

use std::ops::Range;

use super::{Content, Values};
use crate::model::source::uci::is_package;
use crate::model::source::uci::parse::{Kind, Mark, unquoted};

/// A place in the old text, and the text that replaces it.
struct Patch {
    place: Range<usize>,
    text: Vec<u8>,
    /// True for whole lines, which begin behind a line end.
    has_lines: bool,
}

/// Returns the text with the wanted content; `None` if a changed section has several pieces or shares a line.
pub(super) fn patch(text: &[u8], marks: &[Mark], before: &[Content], wanted: &[Content]) -> Option<Vec<u8>> {
    let mut patcher = Patcher { text, line_end: line_end(text), patches: Vec::new() };
    let mut groups: Vec<Vec<&Mark>> = vec![Vec::new(); before.len()];
    marks.iter().for_each(|mark| groups[mark.section].push(mark));
    for (at, (old, own)) in before.iter().zip(groups).enumerate() {
        let new = wanted.iter().find(|section| section.origin == Some(at));
        if new.is_some_and(|new| new.is_same(old)) {
            continue;
        }
        let pieces = own.iter().filter(|mark| mark.kind == Kind::Section).count();
        if pieces != 1 || own.iter().any(|mark| mark.is_shared) {
            return None;
        }
        match new {
            Some(new) => patcher.change_section(&own, old, new),
            None => {
                let end = own[own.len() - 1].lines.end;
                let next = marks.get(marks.partition_point(|mark| mark.lines.start < end));
                patcher.remove_section(own[0].lines.start..end, next.map(|mark| mark.lines.start));
            }
        }
    }
    for new in wanted.iter().filter(|section| section.origin.is_none()) {
        let mut added = patcher.line_end.to_vec();
        write_section(new, patcher.line_end, &mut added);
        patcher.insert(text.len(), added);
    }
    Some(patcher.finish())
}

/// Returns the package as libuci writes it.
pub(super) fn export(sections: &[Content]) -> Vec<u8> {
    let mut text = Vec::new();
    for section in sections {
        text.push(b'\n');
        write_section(section, b"\n", &mut text);
    }
    text.push(b'\n');
    text
}

pub(super) fn write_section(section: &Content, line_end: &[u8], text: &mut Vec<u8>) {
    text.extend(b"config ");
    let section_type = section.section_type.as_bytes();
    // A type of others may have a `#`, which begins a comment.
    if is_package(&section.section_type) {
        text.extend(section_type)
    } else {
        text.extend(quoted(section_type))
    }
    if section.is_named {
        text.push(b' ');
        text.extend(quoted(section.name.as_bytes()));
    }
    text.extend(line_end);
    for values in &section.options {
        text.extend(lines(values, 0, line_end));
    }
}

/// Returns the lines of an option, or of a list from this item on.
pub(super) fn lines(values: &Values, first: usize, line_end: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for item in &values.items[first..] {
        text.push(b'\t');
        text.extend(command(values, item));
        text.extend(line_end);
    }
    text
}

/// Returns the command of one value.
fn command(values: &Values, item: &[u8]) -> Vec<u8> {
    let keyword = if values.is_list { "list" } else { "option" };
    let mut text = format!("{keyword} {} ", values.name).into_bytes();
    text.extend(quoted(item));
    text
}

/// Returns a word in single quotes, in which only the quote itself has a meaning.
fn quoted(word: &[u8]) -> Vec<u8> {
    let mut text = vec![b'\''];
    for byte in word {
        if *byte == b'\'' { text.extend(br"'\''") } else { text.push(*byte) }
    }
    text.push(b'\'');
    text
}

/// Returns the line end that the first line has.
fn line_end(text: &[u8]) -> &'static [u8] {
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    if text[..end].ends_with(b"\r") { b"\r\n" } else { b"\n" }
}

struct Patcher<'t> {
    text: &'t [u8],
    line_end: &'static [u8],
    patches: Vec<Patch>,
}

impl Patcher<'_> {
    fn change_section(&mut self, own: &[&Mark], old: &Content, new: &Content) {
        if old.is_named != new.is_named {
            let (place, mut text) = match own[0].value.is_empty() {
                true => (own[0].name.end..own[0].name.end, vec![b' ']),
                false => (own[0].value.clone(), Vec::new()),
            };
            text.extend(quoted(new.name.as_bytes()));
            self.replace(place, text);
        }
        let of = |option: &str| -> Vec<&Mark> {
            let is_its = |mark: &&&Mark| unquoted(&self.text[mark.name.clone()]) == option.as_bytes();
            own.iter().skip(1).filter(is_its).copied().collect()
        };
        let gone = old.options.iter().filter(|values| new.values(&values.name).is_none());
        let changed = new.options.iter().filter(|values| old.values(&values.name) != Some(values));
        let gone: Vec<Vec<&Mark>> = gone.map(|values| of(&values.name)).collect();
        let changed: Vec<(&Values, Vec<&Mark>)> = changed.map(|values| (values, of(&values.name))).collect();
        for marks in gone {
            self.remove(&marks);
        }
        for (values, marks) in changed {
            if marks.is_empty() {
                let end = own[own.len() - 1].lines.end;
                self.insert(end, lines(values, 0, self.line_end));
            } else {
                self.change_option(&marks, values);
            }
        }
    }

    /// Gives an option that has commands other values.
    fn change_option(&mut self, marks: &[&Mark], values: &Values) {
        let is_full = |mark: &&&Mark| !unquoted(&self.text[mark.value.clone()]).is_empty();
        let full: Vec<&Mark> = marks.iter().filter(is_full).copied().collect();
        if let Some(last) = full.last().filter(|last| !values.is_list && last.kind == Kind::Option) {
            self.rewrite(last, values, &values.items[0]);
        } else if values.is_list && !full.is_empty() && full.iter().all(|mark| mark.kind == Kind::Item) {
            self.change_list(&full, values);
        } else {
            // The first command becomes that of the first value, and the others go.
            self.rewrite(marks[0], values, &values.items[0]);
            self.insert(marks[0].lines.end, lines(values, 1, self.line_end));
            self.remove(&marks[1..]);
        }
    }

    /// Changes the commands of a list between the items at both ends that stay.
    fn change_list(&mut self, marks: &[&Mark], values: &Values) {
        let (mut old, mut new) = (0..marks.len(), 0..values.items.len());
        let present: Vec<Vec<u8>> = marks.iter().map(|mark| unquoted(&self.text[mark.value.clone()])).collect();
        while !old.is_empty() && !new.is_empty() && present[old.start] == values.items[new.start] {
            (old.start, new.start) = (old.start + 1, new.start + 1);
        }
        while !old.is_empty() && !new.is_empty() && present[old.end - 1] == values.items[new.end - 1] {
            (old.end, new.end) = (old.end - 1, new.end - 1);
        }
        while !old.is_empty() && !new.is_empty() {
            self.rewrite(marks[old.start], values, &values.items[new.start]);
            (old.start, new.start) = (old.start + 1, new.start + 1);
        }
        self.remove(&marks[old.clone()]);
        let place = if old.start == 0 { marks[0].lines.start } else { marks[old.start - 1].lines.end };
        let added = Values { items: values.items[new].to_vec(), ..values.clone() };
        self.insert(place, lines(&added, 0, self.line_end));
    }

    /// Gives a command another value, and the keyword of these values.
    fn rewrite(&mut self, mark: &Mark, values: &Values, item: &[u8]) {
        let is_list = mark.kind == Kind::Item;
        let (place, text) = match (is_list == values.is_list, mark.value.is_empty()) {
            (true, false) => (mark.value.clone(), quoted(item)),
            (_, true) => (mark.start..mark.name.end, command(values, item)),
            (_, false) => (mark.start..mark.value.end, command(values, item)),
        };
        self.replace(place, text);
    }

    /// Removes the lines of commands.
    fn remove(&mut self, marks: &[&Mark]) {
        marks.iter().for_each(|mark| self.replace(mark.lines.clone(), Vec::new()));
    }

    /// Inserts lines.
    fn insert(&mut self, place: usize, lines: Vec<u8>) {
        if !lines.is_empty() {
            self.patches.push(Patch { place: place..place, text: lines, has_lines: true });
        }
    }

    fn replace(&mut self, place: Range<usize>, text: Vec<u8>) {
        self.patches.push(Patch { place, text, has_lines: false });
    }

    /// Removes a section with the blank lines behind it, and with comments behind it that a blank line parts from the next
    /// section.
    fn remove_section(&mut self, mut place: Range<usize>, next: Option<usize>) {
        let is_blank = |line: &[u8]| line.trim_ascii().is_empty();
        let (mut end, mut has_gap) = (place.end, false);
        for line in self.text[place.end..next.unwrap_or(self.text.len())].split_inclusive(|byte| *byte == b'\n') {
            if has_gap && !is_blank(line) {
                break;
            }
            has_gap |= is_blank(line);
            end += line.len();
        }
        if has_gap || next.is_none() {
            place.end = end;
        }
        // At the end of the package, the blank line above goes instead of one below.
        if place.end == self.text.len() {
            let above = self.text[..place.start].split_inclusive(|byte| *byte == b'\n').next_back();
            place.start -= above.filter(|line| is_blank(line)).map_or(0, <[u8]>::len);
        }
        self.replace(place, Vec::new());
    }

    /// Returns the text with all patches.
    fn finish(mut self) -> Vec<u8> {
        self.patches.sort_by_key(|patch| patch.place.start);
        let (mut text, mut at) = (Vec::new(), 0);
        for patch in self.patches {
            if patch.place.start > at {
                text.extend(&self.text[at..patch.place.start]);
            }
            if patch.has_lines && text.last().is_some_and(|byte| *byte != b'\n') {
                text.extend(self.line_end);
            }
            text.extend(patch.text);
            // The blank line between two removed sections belongs to both.
            at = at.max(patch.place.end);
        }
        text.extend(&self.text[at..]);
        text
    }
}
