//! Interning: equal names and equal descriptions of a model are stored once.
//!
//! The model of a gateway has thousands of parameters and a few hundred distinct names, and the device has little
//! memory.

use std::hash::Hash;

use rustc_hash::{FxBuildHasher, FxHashMap};

/// Names side by side in one text, each written once. The map that finds them borrows its keys from the files.
pub(super) struct NameInterner<'t> {
    text: String,
    starts: FxHashMap<&'t str, u32>,
}

impl<'t> NameInterner<'t> {
    pub(super) fn with_capacity(names: usize) -> NameInterner<'t> {
        NameInterner { text: String::new(), starts: FxHashMap::with_capacity_and_hasher(names, FxBuildHasher) }
    }

    /// Returns the offset of `name` in the text, which it appends if it is new.
    ///
    /// Two names have the same offset only if they are equal; the empty name is the exception.
    pub(super) fn intern(&mut self, name: &'t str) -> u32 {
        *self.starts.entry(name).or_insert_with(|| {
            let start = self.text.len() as u32;
            self.text.push_str(name);
            start
        })
    }

    /// Returns the text to which the offsets refer.
    pub(super) fn into_text(self) -> Box<str> {
        self.text.into()
    }
}

/// Values numbered from 0, in which equal values have the same number.
pub(super) struct Interner<T>(FxHashMap<T, u32>);

impl<T: Eq + Hash> Interner<T> {
    pub(super) fn with_capacity(things: usize) -> Interner<T> {
        Interner(FxHashMap::with_capacity_and_hasher(things, FxBuildHasher))
    }

    /// Returns the number of `thing`, which is the next free one if it is new.
    pub(super) fn intern(&mut self, thing: T) -> u32 {
        // The number of a new value; `entry` drops the value if the map has an equal one.
        let next = self.0.len() as u32;
        *self.0.entry(thing).or_insert(next)
    }

    /// Returns the values in the order of their numbers.
    pub(super) fn into_list(self) -> Box<[T]> {
        let mut things: Vec<Option<T>> = Vec::new();
        things.resize_with(self.0.len(), || None);
        self.0.into_iter().for_each(|(thing, number)| things[number as usize] = Some(thing));
        // Each number was given to one value, so `flatten` drops none.
        things.into_iter().flatten().collect()
    }
}
