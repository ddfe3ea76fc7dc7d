//! The keys of anonymous sections, and the digests by which these are found under another key.

use super::parse::{Section, counter};
use super::{NAME, Row};

/// The most characters of a key that is made of options.
pub(super) const MAX_KEY: usize = 128;

/// The options that tell the anonymous sections of a type apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The type of the sections.
    pub section_type: String,
    /// The names of the options.
    pub options: Vec<String>,
}

/// Gives anonymous sections the values of options as keys. Of several with equal values, each further one has its number.
pub(super) fn identify(sections: &mut [Section], options: &[String]) {
    let mut numbers = Vec::new();
    for at in 0..sections.len() {
        if sections[at].is_named {
            continue;
        }
        let row = &sections[at].row;
        let values: Vec<&str> = options.iter().map(|option| row.get(option).unwrap_or_default()).collect();
        if values.iter().all(|value| value.is_empty()) {
            continue;
        }
        let base: String = values.join(",").chars().take(MAX_KEY).collect();
        let number = counter(&mut numbers, &base);
        sections[at].row.key = loop {
            *number += 1;
            let key = if *number == 1 { base.clone() } else { format!("{base}#{number}") };
            if !sections.iter().any(|section| section.row.key == key) {
                break key;
            }
        };
    }
}

/// Returns a digest of the options of an anonymous section, whose key is not its name: the sum of those of the options, which
/// may stand in any order. 0 for a section with a name.
pub(in crate::model) fn digest(row: &Row) -> u32 {
    if row.get(NAME).is_none_or(|name| name == row.key) {
        return 0;
    }
    let options = row.fields().filter(|(name, _)| !name.starts_with('.'));
    let sum = options.fold(0, |sum: u32, (name, value)| {
        // FNV-1a; no name and no value has a byte 0.
        let bytes = name.bytes().chain([0]).chain(value.bytes());
        let hash = bytes.fold(0x811C_9DC5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        sum.wrapping_add(hash)
    });
    sum.max(1)
}
