//! Texts with placeholders: `{key}` and `{parent}`, the keys of the row and of the row above it, and `{source:field}`, a field
//! of another source; the source `row` is that of the row itself.

use std::borrow::Cow;

use super::SourceId;

/// A text of a data-model file, in which placeholders are filled in for each access. A filled-in text is never parsed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model) struct Template(Piece);

// Nearly all texts are one piece, which needs no list of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Blank(Blank),
    /// Several pieces, none of which is a list.
    List(Box<[Piece]>),
}

/// A placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model) enum Blank {
    /// The key of the row to which the parameter belongs.
    Key,
    /// The key of the row above that one.
    Parent,
    /// A field of another source.
    Field(SourceId, Box<str>),
}

impl Template {
    /// Reads a text; `find` returns the placeholder of a name, or the reason why there is none. A brace that no name follows
    /// is text.
    pub(in crate::model) fn parse(
        text: &str,
        find: &mut dyn FnMut(&str) -> Result<Blank, String>,
    ) -> Result<Template, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else { break };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            pieces.push(Piece::Blank(find(name)?));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Template(match pieces.len() {
            0 => Piece::Text(Box::default()),
            1 => pieces.remove(0),
            _ => Piece::List(pieces.into()),
        }))
    }

    /// Returns the text with each placeholder replaced by the result of `fill`.
    pub(in crate::model) fn fill<'t, E>(
        &'t self,
        fill: &mut dyn FnMut(&'t Blank) -> Result<Cow<'t, str>, E>,
    ) -> Result<Cow<'t, str>, E> {
        self.0.fill(fill)
    }

    /// Returns true if the text has no placeholder.
    pub(in crate::model) fn is_constant(&self) -> bool {
        self.blanks().next().is_none()
    }

    /// Returns true if the template is this text, without a placeholder.
    pub(in crate::model) fn is_text(&self, text: &str) -> bool {
        matches!(&self.0, Piece::Text(piece) if **piece == *text)
    }

    /// Returns the placeholders.
    pub(in crate::model) fn blanks(&self) -> impl Iterator<Item = &Blank> {
        let pieces = if let Piece::List(pieces) = &self.0 { pieces } else { std::slice::from_ref(&self.0) };
        pieces.iter().filter_map(|piece| if let Piece::Blank(blank) = piece { Some(blank) } else { None })
    }
}

impl Piece {
    fn fill<'t, E>(&'t self, fill: &mut dyn FnMut(&'t Blank) -> Result<Cow<'t, str>, E>) -> Result<Cow<'t, str>, E> {
        match self {
            Piece::Text(text) => Ok(Cow::Borrowed(text)),
            Piece::Blank(blank) => fill(blank),
            Piece::List(pieces) => {
                let mut text = Cow::default();
                for piece in pieces {
                    text += piece.fill(fill)?;
                }
                Ok(text)
            }
        }
    }
}
