//! The way back of a package that another program has changed since: settings that are those of the agent still get their former
//! values, and all others stay.

use super::former::{Former, commands, decode, deleted_section, digest, encode, place, restore, section_digest};
use super::order::begin;
use super::patch::export;
use super::{Content, MAX_TEXT, Reason, contents, is_same, move_sections, section_at, written};
use crate::model::source::uci::POSITION;
use crate::model::source::uci::parse::{Package, parse};

/// Takes the settings of the agent in a package back. Returns the new text, and the settings that another program has changed since,
/// such as `wan.mtu`.
///
/// # Errors
/// The reason why the text stays as it is, such as a mistake in it.
pub fn take_back(text: &[u8], former: &[Former]) -> Result<(Vec<u8>, Vec<String>), Reason> {
    let package = parse(text, true).map_err(Reason::Broken)?;
    let present = contents(text, &package);
    let (mut wanted, mut stays) = (present.clone(), Vec::new());
    for known in former.iter().filter(|known| known.option != POSITION && !known.is_deleted()) {
        if !set_back(&present, &mut wanted, known) {
            stays.push(name(known));
        }
    }
    let mut moves: Vec<(&str, usize)> = Vec::new();
    // In reverse order, since the place before a move counts behind those of the earlier ones.
    for known in former.iter().rev().filter(|known| known.option == POSITION) {
        let at = section_at(&present, &present, &known.section);
        let place = at.map(|at| place(&present, at).to_string()).unwrap_or_default();
        match known.old.parse() {
            Ok(old) if digest(place.as_bytes()) == known.new => moves.push((&known.section, old)),
            _ if place == known.old => {}
            _ => stays.push(name(known)),
        }
    }
    let mut new = written(text, &package, &present, &wanted)?;
    // The sections of the text by their places in the present one: each that comes back moves those behind it on.
    let mut origins: Vec<Option<usize>> = wanted.iter().map(|section| section.origin).collect();
    // In reverse order, as `note` has it: of two that stood behind the same section, the later one comes first.
    for known in former.iter().rev().filter(|known| known.is_deleted()) {
        let at = match section_at(&present, &present, &known.behind) {
            _ if known.behind.is_empty() => 0,
            // One that the agent has added has gone: the section before it counts.
            Some(at) => {
                let place = |at| origins.iter().position(|origin| *origin == Some(at));
                (0..=at).rev().find_map(place).map_or(0, |at| at + 1)
            }
            // The one before it has gone too.
            None => origins.len(),
        };
        match insert(&new, known, at)? {
            Inserted::Text(text) => {
                new = text;
                origins.insert(at, None);
            }
            Inserted::Present => {}
            Inserted::Other => stays.push(name(known)),
        }
    }
    for moved in moves {
        new = move_sections(&new, &[moved])?;
    }
    if new.len() > MAX_TEXT { Err(Reason::TooLarge) } else { Ok((new, stays)) }
}

/// Returns the name of a setting, for the log.
fn name(known: &Former) -> String {
    match known.option.trim_start_matches('.') {
        "" => known.section.clone(),
        option => format!("{}.{option}", known.section),
    }
}

/// Gives one setting its former value. Returns false if another program has changed it.
fn set_back(present: &[Content], wanted: &mut Vec<Content>, known: &Former) -> bool {
    let at = section_at(present, wanted, &known.section);
    let Some(at) = at else { return known.is_added() };
    if known.is_added() {
        let is_own = section_digest(&wanted[at]) == known.new;
        if is_own {
            wanted.remove(at);
        }
        return is_own;
    }
    let commands = commands(&wanted[at], &known.option);
    let is_own = digest(&commands) == known.new;
    if is_own {
        restore(&mut wanted[at], known);
    }
    is_own || encode(&commands) == known.old
}

/// The result of a section that is to come back.
enum Inserted {
    Text(Vec<u8>),
    /// The package has the section.
    Present,
    /// The package has another section of this name.
    Other,
}

/// Puts a deleted section at a place among all sections.
fn insert(text: &[u8], known: &Former, at: usize) -> Result<Inserted, Reason> {
    let package = parse(text, true).map_err(Reason::Broken)?;
    let present = contents(text, &package);
    let mut block = decode(&known.old);
    let Some(gone) = deleted_section(known) else { return Ok(Inserted::Other) };
    if present.iter().any(|section| section.is_same(&gone)) {
        return Ok(Inserted::Present);
    }
    if gone.is_named && present.iter().any(|section| section.is_named && section.name == gone.name) {
        return Ok(Inserted::Other);
    }
    if !block.ends_with(b"\n") {
        block.push(b'\n');
    }
    let place = place_of(text, &package, at);
    let mut wanted = present;
    wanted.insert(at.min(wanted.len()), gone);
    let (head, tail) = text.split_at(place);
    let gap: &[u8] = if head.is_empty() || head.ends_with(b"\n") { b"\n" } else { b"\n\n" };
    let new = match at {
        0 => [head, &block, b"\n", tail].concat(),
        _ => [head, gap, &block, tail].concat(),
    };
    let holds = |new: &Vec<u8>| parse(new, true).is_ok_and(|package| is_same(&contents(new, &package), &wanted));
    let new = Some(new).filter(holds).or_else(|| Some(export(&wanted)).filter(holds));
    new.map(Inserted::Text).ok_or(Reason::Unequal)
}

/// Returns the place in the text of a section that is to be inserted.
fn place_of(text: &[u8], package: &Package, at: usize) -> usize {
    let end = |before: usize| package.marks.iter().rev().find(|mark| mark.section == before).map(|mark| mark.lines.end);
    match at.checked_sub(1) {
        Some(before) => end(before).unwrap_or(text.len()),
        None => package.marks.first().map_or(text.len(), |mark| begin(text, mark.lines.start)),
    }
}

#[cfg(test)]
mod tests;
