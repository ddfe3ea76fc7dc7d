//! The order of the sections of a package, which is the precedence of the rules of a firewall.

use super::patch::export;
use super::{Content, Reason, contents, is_same};
use crate::model::source::uci::parse::{Kind, Mark, parse};

/// Moves sections, by their names, to places among the sections of their type, counted from 1. A place beyond them is the last one.
/// Comments right above a section move with it, and the rest of the text stays as it is.
///
/// # Errors
/// The reason why the sections cannot be moved, such as one that is missing.
pub fn move_sections(text: &[u8], moves: &[(&str, usize)]) -> Result<Vec<u8>, Reason> {
    let package = parse(text, true).map_err(Reason::Broken)?;
    let before = contents(text, &package);
    let wanted = reordered(&before, moves).ok_or(Reason::Missing)?;
    if is_same(&before, &wanted) {
        return Ok(text.to_vec());
    }
    let holds = |new: &Vec<u8>| parse(new, true).is_ok_and(|package| is_same(&contents(new, &package), &wanted));
    let moved = rearranged(text, &package.marks, &wanted).filter(holds);
    moved.or_else(|| Some(export(&wanted)).filter(holds)).ok_or(Reason::Unequal)
}

/// Returns the sections in the new order.
fn reordered(before: &[Content], moves: &[(&str, usize)]) -> Option<Vec<Content>> {
    let (mut wanted, mut moved) = (before.to_vec(), Vec::new());
    for (name, place) in moves {
        let at = wanted.iter().position(|section| section.is_named && section.name == *name)?;
        moved.push((*place, wanted.remove(at)));
    }
    // A section that comes in at a lower place moves those behind it on, which have their places afterwards.
    moved.sort_by_key(|(place, _)| *place);
    for (place, section) in moved {
        let of_type = |(at, other): (usize, &Content)| (other.section_type == section.section_type).then_some(at);
        let mut others = wanted.iter().enumerate().filter_map(of_type);
        let at = match others.clone().nth(place.saturating_sub(1)) {
            Some(at) => at,
            None => others.next_back().map_or(section.origin?, |last| last + 1),
        };
        wanted.insert(at.min(wanted.len()), section);
    }
    Some(wanted)
}

/// Returns the text with the sections in this order; `None` if a section has several pieces or shares a line with another one.
fn rearranged(text: &[u8], marks: &[Mark], wanted: &[Content]) -> Option<Vec<u8>> {
    let heads: Vec<&Mark> = marks.iter().filter(|mark| mark.kind == Kind::Section).collect();
    if heads.len() != wanted.len() || heads.iter().any(|mark| mark.is_shared) {
        return None;
    }
    let mut begins: Vec<usize> = heads.iter().map(|mark| begin(text, mark.lines.start)).collect();
    let head = &text[..*begins.first()?];
    begins.push(text.len());
    let mut new = head.to_vec();
    for section in wanted {
        let at = section.origin?;
        let block = text.get(begins[at]..begins[at + 1])?;
        new.extend(block);
        // The last section of the text has no blank line behind it.
        if begins[at + 1] == text.len() && !std::ptr::eq(section, wanted.last()?) {
            let missing: &[u8] = if block.ends_with(b"\n") { b"\n" } else { b"\n\n" };
            new.extend(missing);
        }
    }
    Some(new)
}

/// Returns the begin of the comments right above a line.
pub(super) fn begin(text: &[u8], line: usize) -> usize {
    let above = text[..line].split_inclusive(|byte| *byte == b'\n').rev();
    let comments = above.take_while(|line| line.trim_ascii_start().starts_with(b"#"));
    line - comments.map(<[u8]>::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# head\n\nconfig zone 'z'\n\toption name 'lan'\n\n# first\nconfig rule 'a'\n\toption x '1'\n\n\
        config rule 'b'\n\toption x '2'\n\n# third\n#\tof them\nconfig rule 'c'\n\toption x '3'\n";

    fn moved(text: &str, moves: &[(&str, usize)]) -> Result<String, Reason> {
        move_sections(text.as_bytes(), moves).map(|new| String::from_utf8(new).expect("a text"))
    }

    /// Returns the names of the rules after moves.
    fn names(moves: &[(&str, usize)]) -> String {
        let text = moved(TEXT, moves).expect("moved");
        let name = |line: &str| line.strip_prefix("config rule '").map(|rest| rest.replace('\'', ""));
        text.lines().filter_map(name).collect()
    }

    #[test]
    fn a_section_has_its_place_among_those_of_its_type() {
        for (moves, expected) in [
            (&[("c", 1)][..], "cab"),
            (&[("a", 2)], "bac"),
            (&[("a", 3)], "bca"),
            (&[("a", 99)], "bca"),
            (&[("b", 2)], "abc"),
            (&[("c", 1), ("a", 3)], "cba"),
            (&[("a", 3), ("b", 2)], "cba"),
            (&[("c", 2), ("b", 1)], "bca"),
            (&[("b", 1), ("a", 1)], "abc"),
        ] {
            assert_eq!(names(moves), expected, "{moves:?}");
        }
        assert_eq!(moved(TEXT, &[("z", 7)]).as_deref(), Ok(TEXT), "the only one of its type");
        assert_eq!(moved(TEXT, &[("d", 1)]), Err(Reason::Missing));
    }

    #[test]
    fn comments_move_and_the_rest_stays() {
        assert_eq!(
            moved(TEXT, &[("c", 1)]).as_deref(),
            Ok(
                "# head\n\nconfig zone 'z'\n\toption name 'lan'\n\n# third\n#\tof them\nconfig rule 'c'\n\toption x '3'\n\n\
                # first\nconfig rule 'a'\n\toption x '1'\n\nconfig rule 'b'\n\toption x '2'\n\n"
            )
        );
        let unfinished = "config rule 'a'\nconfig rule 'b'\n\toption x '2'";
        assert_eq!(
            moved(unfinished, &[("b", 1)]).as_deref(),
            Ok("config rule 'b'\n\toption x '2'\n\nconfig rule 'a'\n")
        );
        // A section in two pieces has no place in the text.
        let pieces = "config rule 'a'\n\toption x '1'\nconfig rule 'b'\nconfig rule 'a'\n\toption y '2'\n";
        let exported = moved(pieces, &[("b", 1)]).expect("moved");
        assert!(
            exported.find("rule 'b'") < exported.find("rule 'a'") && exported.contains("option y '2'"),
            "{exported}"
        );
    }
}
