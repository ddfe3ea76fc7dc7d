//! What many nodes of a model have in common, kept once.

use std::hash::Hash;

use rustc_hash::{FxBuildHasher, FxHashMap};

/// NameInterner in one text, each written once however often it occurs. They are found by what they borrow from the files.
pub(super) struct NameInterner<'t> {
    text: String,
    starts: FxHashMap<&'t str, u32>,
}

impl<'t> NameInterner<'t> {
    pub(super) fn with_capacity(names: usize) -> NameInterner<'t> {
        NameInterner { text: String::new(), starts: FxHashMap::with_capacity_and_hasher(names, FxBuildHasher) }
    }

    /// Where `name` stands in the text. Equal names, and only they, stand at the same place; but for the empty one.
    pub(super) fn intern(&mut self, name: &'t str) -> u32 {
        *self.starts.entry(name).or_insert_with(|| {
            let start = self.text.len() as u32;
            self.text.push_str(name);
            start
        })
    }

    pub(super) fn into_text(self) -> Box<str> {
        self.text.into()
    }
}

/// Things that are numbered from 0, equal ones alike.
pub(super) struct Interner<T>(FxHashMap<T, u32>);

impl<T: Eq + Hash> Interner<T> {
    pub(super) fn with_capacity(things: usize) -> Interner<T> {
        Interner(FxHashMap::with_capacity_and_hasher(things, FxBuildHasher))
    }

    pub(super) fn intern(&mut self, thing: T) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(thing).or_insert(next)
    }

    /// The things in the order of their numbers.
    pub(super) fn into_list(self) -> Box<[T]> {
        let mut things: Vec<Option<T>> = Vec::new();
        things.resize_with(self.0.len(), || None);
        self.0.into_iter().for_each(|(thing, number)| things[number as usize] = Some(thing));
        things.into_iter().flatten().collect() // every number was given once
    }
}
