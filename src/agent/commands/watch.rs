//! The clients of `cpe-agent watch`: changes of values as they come.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::Agent;
use super::{OneLine, path_error_text};
use crate::clock::Now;
use crate::control::{Responder, ResultStream};
use crate::cwmp::device::Device;
use crate::model::tree::Wanted;

/// The most clients at a time: each costs memory for the values that it knows.
const MAX_WATCHERS: usize = 4;

/// The clients that watch values.
#[derive(Default)]
pub(in crate::agent) struct Watchers(Vec<Watcher>);

/// A client that watches values.
struct Watcher {
    client: ResultStream,
    paths: Vec<String>,
    /// The values that the client knows, by name.
    known: BTreeMap<String, String>,
    /// True if it was too slow for the last difference.
    is_behind: bool,
}

impl Watchers {
    /// Returns all paths that clients watch. Forgets the clients that have left.
    pub(in crate::agent) fn paths(&mut self) -> Vec<String> {
        self.0.retain(|watcher| watcher.client.is_open());
        // Of a path with wildcards or aliases, everything below the first table: its instances may be others by then.
        let path = |path: &String| path.split(['*', '[']).next().unwrap_or_default().to_owned();
        self.0.iter().flat_map(|watcher| watcher.paths.iter().map(path)).collect()
    }

    /// Sends each client the values that have changed. Returns true if there are some.
    fn report(&mut self, device: &Device) -> bool {
        let mut has_changed = false;
        for watcher in &mut self.0 {
            let present = values(device, &watcher.paths);
            if present != watcher.known {
                has_changed = true;
                // A client that is too slow gets the difference to what it knows later.
                watcher.is_behind = !watcher.client.send(difference(&watcher.known, &present));
                if !watcher.is_behind {
                    watcher.known = present;
                }
            }
        }
        has_changed
    }

    /// Returns true if a client does not know all changes yet.
    pub(in crate::agent) fn are_behind(&self) -> bool {
        self.0.iter().any(|watcher| watcher.is_behind)
    }
}

impl Agent {
    /// Starts to report changes to a client.
    pub(in crate::agent) fn start_watch(&mut self, paths: Vec<String>, reply: Responder, now: Now) {
        if self.values.watchers.0.len() >= MAX_WATCHERS {
            return reply.send(Err(format!("{MAX_WATCHERS} clients watch already")));
        }
        for text in &paths {
            let tree = self.device.tree();
            let checked = tree.visit_paths(text, false, &mut |path, _| tree.check_values_path(path));
            if let Err(error) = checked {
                return reply.send(Err(path_error_text(&self.device, text, error)));
            }
        }
        let numbered = self.device.numbered(paths.clone(), now);
        self.device.refresh(&Wanted::values(numbered), now);
        let known = values(&self.device, &paths);
        let client = reply.into_stream();
        // The client has read the present values as soon as this arrives, so that it misses no change.
        client.send(String::new());
        self.values.watchers.0.push(Watcher { client, paths, known, is_behind: false });
        self.values.outdate();
    }

    /// Reports changes to the clients of `watch`. Returns true if there are some.
    pub(in crate::agent) fn report_to_watchers(&mut self) -> bool {
        // Most of the time there is no such client.
        !self.values.watchers.0.is_empty() && self.values.watchers.report(&self.device)
    }
}

/// Returns the values below paths by their names; hidden ones are empty.
fn values(device: &Device, paths: &[String]) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let tree = device.tree();
    for path in paths {
        // An instance that is gone has no values.
        let _ = tree.visit_paths(path, false, &mut |path, form| {
            tree.visit_values(path, &mut |parameter| {
                let text =
                    if parameter.spec.hidden { String::new() } else { parameter.with_value(ToString::to_string) };
                values.insert(form.of(parameter.name).into_owned(), text);
            })
        });
    }
    values
}

/// Returns a line for each difference: `path=value` of a new or another value, `path` alone of a parameter that is gone.
fn difference(known: &BTreeMap<String, String>, present: &BTreeMap<String, String>) -> String {
    let mut lines = String::new();
    for name in known.keys().filter(|name| !present.contains_key(*name)) {
        lines.push_str(name);
        lines.push('\n');
    }
    for (name, value) in present.iter().filter(|(name, value)| known.get(*name) != Some(value)) {
        lines.push_str(name);
        lines.push('=');
        // Writing to a String cannot fail.
        let _ = OneLine(&mut lines).write_str(value);
        lines.push('\n');
    }
    lines
}
