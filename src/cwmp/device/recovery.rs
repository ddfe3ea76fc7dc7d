//! The end of a change of the device: the work that a crash has interrupted, and the reloads that are owed.

use super::changing::{DeviceChange, is_same_setting};
use super::{Author, Confirmation, Device, RenamedRow, Sources, Unfinished};
use crate::clock::Now;
use crate::log;
use crate::model::change::Change;
use crate::model::reloads::Reload;
use crate::model::source::{Place, Write};

impl Device {
    /// Finishes or undoes a change that a crash has interrupted, before anything is read from the device. `boot` is the present boot.
    pub fn recover(&mut self, boot: Option<&str>, now: Now) {
        // A model without sources costs no look at the packages of the device.
        if !self.tree.has_sources() && self.unfinished == Unfinished::default() {
            return;
        }
        let Some(mut drivers) = self.sources.drivers.take() else { return };
        drivers.begin();
        let notices = self.finish_renames(&mut *drivers);
        let undo = std::mem::take(&mut self.unfinished.undo);
        let is_interrupted = !undo.is_empty();
        if is_interrupted {
            log::warn!("a change of the device was interrupted: the values before it are set again");
            set_all(&mut *drivers, undo);
        }
        if self.count_start() || is_interrupted {
            let work = self.unfinished.clone();
            if let Err(error) = self.store_work(work, now) {
                log::warn!("{error}");
            }
        }
        drivers.end();
        self.sources.drivers = Some(drivers);
        // All services have started with the new files, unless these took their places only now. Without the number of the boot, a
        // reload too many is better than none.
        if boot.is_some_and(|boot| boot != self.unfinished.boot) && notices.is_empty() {
            self.unfinished.owed.clear();
        }
        self.sources.inherited.clone_from(&self.unfinished.owed);
        if !self.unfinished.tentative.is_empty() {
            log::warn!(
                "a request was interrupted before its values were set: the instances that it created are deleted"
            );
            self.remove_rows(now);
        }
    }

    /// Finishes the renames of a change that a crash has interrupted. Those whose package another program has locked stay in the
    /// record, and are tried again before the next change and the next reload. Returns notices.
    pub(super) fn finish_renames(&mut self, drivers: &mut dyn Sources) -> Vec<String> {
        let notices = drivers.recover(&self.unfinished.staged, self.confirmation().map_or(&[], Confirmation::files));
        notices.iter().for_each(|notice| log::warn!("{notice}"));
        if !drivers.is_undecided() {
            self.unfinished.staged.clear();
        }
        notices
    }

    /// Finishes the renames of an interrupted change before another one begins, which would forget its files.
    ///
    /// # Errors
    /// Another program has still locked a package.
    pub(super) fn finish_interrupted(&mut self, drivers: &mut dyn Sources) -> Result<(), &'static str> {
        if !self.unfinished.staged.is_empty() {
            self.finish_renames(drivers);
        }
        match self.unfinished.staged.is_empty() {
            true => Ok(()),
            false => Err("an interrupted change still waits for a lock"),
        }
    }

    /// Returns the changes that undo changes of values that the agent keeps, and the former keys of rows that get others.
    pub(super) fn opposite(&self, kept: &[Change], renamed: &[Change]) -> Vec<Change> {
        let opposite = |change: &Change| match change {
            Change::Add(table, number) | Change::Row(table, number, ..) => {
                Some(Change::Delete(format!("{table}{number}.")))
            }
            Change::Set(name, _) => {
                self.tree.parameter(name).ok().map(|parameter| Change::Set(name.clone(), parameter.stored().clone()))
            }
            _ => None,
        };
        let mut undo: Vec<Change> = kept.iter().filter_map(opposite).collect();
        let is_deleted =
            |path: &str| kept.iter().any(|change| matches!(change, Change::Delete(gone) if path.starts_with(gone)));
        if !renamed.is_empty() || kept.iter().any(|change| matches!(change, Change::Delete(_))) {
            // R217: the instance gets its number again, with everything in it.
            let is_lost = |change: &Change| match change {
                Change::Row(table, number, ..) => {
                    let is_row = |row: &Change| matches!(row, Change::Row(of, at, ..) if (of, at) == (table, number));
                    renamed.iter().any(is_row) || is_deleted(&format!("{table}{number}."))
                }
                change => is_deleted(change.name()),
            };
            undo.extend(self.tree.changes_from_factory().into_iter().filter(is_lost));
        }
        undo
    }

    /// Takes a change back whose files could not be renamed. The values on the device are read again by the next request.
    pub(super) fn revert(&mut self, undo: Vec<Change>, names: &[String], before: Unfinished, now: Now) {
        self.sources.pins.retain(|pinned| !names.contains(&pinned.name));
        // Values of an instance that comes back with them are no values of the tree yet.
        let change = DeviceChange { bound: Vec::new(), rows: undo, work: before };
        if let Err(error) = self.apply_with(Vec::new(), Some(change), Author::Acs, now) {
            log::warn!("{error}");
        }
    }

    /// Returns the names of the reloads that are owed.
    pub fn owed_reloads(&self) -> &[String] {
        &self.unfinished.owed
    }

    /// Returns the reload of this name.
    pub fn reload(&self, name: &str) -> Reload {
        self.reloads.get(name)
    }

    /// Returns the event that stands behind all others in the queue of procd.
    pub fn last_event(&self) -> Reload {
        self.reloads.last_event()
    }

    /// Notes that a reload begins, and writes the values once more that another program has overwritten since: libuci loses the
    /// changes of two programs that commit at the same time. A change from here on owes the reload anew.
    pub fn begin_reload(&mut self, name: &str, now: Now) {
        self.unfinished.owed.retain(|owed| owed != name);
        self.unfinished.running = Some(name.to_owned());
        // A reload that restarts the agent itself would otherwise run at each start, without end.
        self.unfinished.is_last = self.sources.inherited.iter().any(|inherited| inherited == name);
        if self.unfinished.is_last {
            self.sources.inherited.retain(|inherited| inherited != name);
            if let Err(error) = self.store_work(self.unfinished.clone(), now) {
                log::warn!("{error}");
            }
        }
        if !self.unfinished.staged.is_empty()
            && let Some(mut drivers) = self.sources.drivers.take()
        {
            self.finish_renames(&mut *drivers);
            self.sources.drivers = Some(drivers);
        }
        let is_of_reload = |write: &&Write| write.place.is_staged() && write.reload.as_deref() == Some(name);
        let writes: Vec<Write> = self.sources.pins.iter().filter(is_of_reload).cloned().collect();
        let Some(drivers) = self.sources.drivers.as_mut().filter(|_| !writes.is_empty()) else { return };
        drivers.begin();
        match drivers.prepare(&writes, None) {
            Ok(prepared) if prepared.staged.is_empty() => drivers.discard(),
            Ok(prepared) => {
                let packages: Vec<&str> = prepared.staged.iter().map(|file| file.package.as_str()).collect();
                log::warn!("another program has overwritten values in {}: they are written again", packages.join(", "));
                if let Err(reason) = drivers.commit() {
                    log::warn!("{reason}");
                }
            }
            Err(refused) => {
                let reasons: Vec<&str> = refused.iter().map(|refusal| refusal.text.as_str()).collect();
                log::warn!("the values for the reload {name} could not be checked: {}", reasons.join("; "));
            }
        }
        drivers.end();
    }

    /// Returns the reloads that these writes need, each once.
    pub(super) fn reloads_of(&self, writes: &[Write]) -> Vec<Reload> {
        let mut names: Vec<&str> = writes.iter().filter_map(|write| write.reload.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| self.reloads.get(name)).collect()
    }

    /// Runs the reloads that must have ended before the answer. One that fails stays owed.
    pub(super) fn reload_before_answer(&mut self, drivers: &mut dyn Sources, reloads: &[Reload]) {
        for reload in reloads.iter().filter(|reload| reload.at_answer) {
            match drivers.reload(reload) {
                Ok(()) => self.unfinished.owed.retain(|owed| *owed != reload.name),
                Err(reason) => log::warn!("reload {}: {reason}; it is repeated after the session", reload.name),
            }
        }
    }

    /// Notes the end of the reload that ran; one that is tried again is owed.
    pub fn end_reload(&mut self, is_repeated: bool) {
        self.unfinished.is_last = false;
        if let Some(name) = self.unfinished.running.take().filter(|_| is_repeated) {
            self.unfinished.owe(&name);
        }
    }

    /// Keeps the values that were set until the reload has run and settled, whichever the device has meanwhile (R170).
    pub(super) fn pin(&mut self, writes: &[Write], renamed: &[RenamedRow]) {
        // One setting of the device may be two parameters: the later value is the one that counts.
        let is_old = |pinned: &Write| {
            writes.iter().any(|write| write.name == pinned.name || is_same_setting(&write.place, &pinned.place))
        };
        self.sources.pins.retain(|pinned| !is_old(pinned));
        for write in writes {
            // The place of a section depends on the others, so that the device alone knows it.
            if !write.place.is_row()
                && !write.place.is_position()
                && write.reload.as_deref().is_some_and(|reload| self.unfinished.owes(reload))
            {
                let mut pinned = write.clone();
                if let Place::Uci { package, identity, section, .. } = &mut pinned.place {
                    // The key before may be that of another section, which had the same identity.
                    let is_row = |row: &&RenamedRow| {
                        (&row.package, &row.identity, &row.old) == (&*package, &*identity, &*section)
                    };
                    if let Some(row) = renamed.iter().find(is_row) {
                        section.clone_from(&row.new);
                    }
                }
                self.sources.pins.push(pinned);
            }
        }
    }

    /// Returns the texts of the values that wait for their reload.
    pub(super) fn pinned_values(&self) -> Vec<(String, String)> {
        let value = |pinned: &Write| {
            let parameter = self.tree.parameter(&pinned.name).ok()?;
            Some((pinned.name.clone(), parameter.with_value(ToString::to_string)))
        };
        self.sources.pins.iter().filter_map(value).collect()
    }

    /// Gives a new model the values that wait for their reload (R170): nothing reads them from the device until then.
    pub(super) fn keep_pinned_values(&mut self, pinned: Vec<(String, String)>) {
        for (name, text) in pinned {
            let value = self.tree.parameter(&name).ok().and_then(|parameter| parameter.spec.parse(&text).ok());
            if let Some(value) = value {
                // Cannot fail: the parameter was found above.
                let _ = self.tree.set_runtime_value(&name, value);
            }
        }
    }

    /// Notes that the device is back after all reloads: its values count again.
    pub fn reloads_settled(&mut self) {
        self.sources.pins.clear();
    }

    /// Returns the unfinished work as JSON if the journal holds another one.
    pub(super) fn unwritten_work(&self) -> Option<String> {
        (self.unfinished != self.written_work).then(|| self.unfinished.to_json().to_string())
    }
}

/// Sets texts once more that the device held. One that is refused does not keep the others from it.
pub(super) fn set_all(drivers: &mut dyn Sources, mut writes: Vec<Write>) {
    // The program that has used up the time of the request must not cost the others theirs (R164).
    drivers.begin();
    while !writes.is_empty() {
        let mut refused: Vec<usize> = Vec::new();
        for refusal in drivers.set(&writes) {
            log::warn!("{}: it could not be set back: {}", writes[refusal.write].name, refusal.text);
            refused.push(refusal.write);
        }
        if refused.is_empty() {
            return;
        }
        let mut at = 0..;
        writes.retain(|_| at.next().is_some_and(|at| !refused.contains(&at)));
    }
}
