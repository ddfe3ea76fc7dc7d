//! Overlays: the tape of several files, of which a later one changes parts of the earlier ones.

use super::tape::{Tape, Token};
use super::{Removed, is_node};

impl<'f> Tape<'f> {
    /// Returns the tape of these files with another one over them: nodes member by member; a member that describes a node is
    /// replaced. `null` removes either. `removed` takes the paths of nodes that are removed.
    pub(in crate::model) fn overlaid(&self, over: &Tape<'f>, removed: &mut Removed) -> Tape<'f> {
        let mut texts = over.texts.clone();
        texts[..self.texts.len()].copy_from_slice(&self.texts);
        let out = Tape::with_room(texts, self.tokens.len() + over.tokens.len());
        let mut overlay = Overlay { base: self, over, out, removed };
        overlay.out.unescaped = format!("{}{}", self.unescaped, over.unescaped);
        overlay.value(0, 0);
        overlay.out
    }
}

/// The writer of a tape from two others.
struct Overlay<'o, 'f> {
    base: &'o Tape<'f>,
    over: &'o Tape<'f>,
    out: Tape<'f>,
    removed: &'o mut Removed,
}

impl Overlay<'_, '_> {
    /// Writes a value of the base, overlaid with another one: objects member by member, any other value is replaced.
    ///
    /// A text that overlays an object is its member `value`: the short form of a parameter.
    fn value(&mut self, base: u32, over: u32) {
        match (self.base.tokens[base as usize], self.over.tokens[over as usize]) {
            // An error in the object is reported for the last file: the earlier ones loaded without it.
            (Token::Object { .. }, Token::Object { file, .. }) => {
                self.object(file, |overlay| overlay.members(base, over))
            }
            // A vendor writes `"URL": "http://…"` to change the default of a parameter and nothing else.
            (Token::Object { file, .. }, Token::Text { .. } | Token::Unescaped { .. }) => {
                self.object(file, |overlay| overlay.short_form(base, over));
            }
            _ => self.copy_over(over),
        }
    }

    fn object(&mut self, file: u16, members: impl FnOnce(&mut Self)) {
        let at = self.out.tokens.len();
        self.out.tokens.push(Token::Object { file, length: 0 });
        members(self);
        self.out.tokens[at] = Token::Object { file, length: (self.out.tokens.len() - at - 1) as u32 };
    }

    fn members(&mut self, base: u32, over: u32) {
        let (base, over) = (self.base.content(base), self.over.content(over));
        let is_null = |at: u32| matches!(self.over.tokens[at as usize], Token::Null);
        // Without a member to remove, the null is kept: the reader of the name refuses it as misspelt, unless it is an instance.
        let is_gone = |name: &&str| is_node(name) && over.position(name).is_some_and(is_null);
        let gone: Vec<&str> = base.names().map(|at| self.base.text(at)).filter(is_gone).collect();
        self.removed.paths.extend(gone.iter().map(|name| format!("{}{name}", self.removed.place)));
        for at in base.names() {
            let (name, start) = (self.base.text(at), self.out.tokens.len());
            match over.position(name) {
                Some(value) if matches!(self.over.tokens[value as usize], Token::Null) => continue,
                Some(value) => {
                    self.copy_base(at);
                    // A list such as `enum` is replaced as a whole, since an overlay could not remove an item otherwise.
                    if is_node(name) { self.node(name, at + 1, value) } else { self.copy_over(value) }
                }
                None => {
                    self.copy_base(at);
                    self.copy_base(at + 1);
                }
            }
            self.take_back_counter(start, &gone);
        }
        for at in over.names().filter(|at| base.position(self.over.text(*at)).is_none()) {
            let start = self.out.tokens.len();
            self.copy_over(at);
            self.copy_over(at + 1);
            self.take_back_counter(start, &gone);
        }
    }

    fn node(&mut self, name: &str, base: u32, over: u32) {
        let length = self.removed.place.len();
        self.removed.place.push_str(name);
        self.removed.place.push('.');
        self.value(base, over);
        self.removed.place.truncate(length);
    }

    /// Takes back the member that was written last if it counts the instances of a table that is gone.
    fn take_back_counter(&mut self, start: usize, gone: &[&str]) {
        let value = self.out.value(start as u32 + 1);
        if gone.iter().any(|table| value.counts(table)) {
            self.out.tokens.truncate(start);
        }
    }

    fn short_form(&mut self, base: u32, text: u32) {
        let members = self.base.content(base);
        let value = members.position("value");
        for at in members.names() {
            self.copy_base(at);
            if value == Some(at + 1) { self.copy_over(text) } else { self.copy_base(at + 1) }
        }
        if value.is_none() {
            let start = self.out.unescaped.len() as u32;
            self.out.unescaped.push_str("value");
            self.out.tokens.push(Token::Unescaped { start, length: 5 });
            self.copy_over(text);
        }
    }

    fn copy_base(&mut self, at: u32) {
        self.out.tokens.extend_from_slice(&self.base.tokens[at as usize..self.base.end_of(at) as usize]);
    }

    fn copy_over(&mut self, at: u32) {
        let moved = |token: &Token| match *token {
            Token::Unescaped { start, length } => {
                Token::Unescaped { start: start + self.base.unescaped.len() as u32, length }
            }
            other => other,
        };
        self.out.tokens.extend(self.over.tokens[at as usize..self.over.end_of(at) as usize].iter().map(moved));
    }
}
