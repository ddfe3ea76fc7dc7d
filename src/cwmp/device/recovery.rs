//! The end of a change of the device: the work that a crash has interrupted, and the reloads that are owed.

use super::Device;
use crate::clock::Now;
use crate::model::reloads::Reload;
use crate::model::source::Write;

impl Device {
    /// Finishes or undoes a change that a crash has interrupted, before anything is read from the device. `boot` is the present boot.
    pub fn recover(&mut self, boot: Option<&str>, now: Now) {
        let Some(mut drivers) = self.sources.drivers.take() else { return };
        drivers.begin();
        for notice in drivers.recover(&std::mem::take(&mut self.unfinished.staged)) {
            log::warn!("{notice}");
        }
        let undo = std::mem::take(&mut self.unfinished.undo);
        if !undo.is_empty() {
            log::warn!("a change of the device was interrupted: the values before it are set again");
            for refusal in drivers.set(&undo) {
                log::warn!("{}: it could not be set back: {}", undo[refusal.write].name, refusal.text);
            }
            let work = self.unfinished.clone();
            if let Err(error) = self.store_work(work, now) {
                log::warn!("{error}");
            }
        }
        drivers.end();
        self.sources.drivers = Some(drivers);
        // All services have started with the new files.
        if boot != Some(self.unfinished.boot.as_str()) {
            self.unfinished.owed.clear();
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

    /// Notes that a reload begins, and writes the values once more that another program has overwritten since: libuci loses the
    /// changes of two programs that commit at the same time. A change from here on owes the reload anew.
    pub fn begin_reload(&mut self, name: &str) {
        self.unfinished.owed.retain(|owed| owed != name);
        self.unfinished.running = Some(name.to_owned());
        let is_of_reload = |write: &&Write| write.place.is_staged() && write.reload.as_deref() == Some(name);
        let writes: Vec<Write> = self.sources.pins.iter().filter(is_of_reload).cloned().collect();
        let Some(drivers) = self.sources.drivers.as_mut().filter(|_| !writes.is_empty()) else { return };
        drivers.begin();
        match drivers.prepare(&writes) {
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

    /// Notes the end of the reload that ran; one that is tried again is owed.
    pub fn end_reload(&mut self, is_repeated: bool) {
        if let Some(name) = self.unfinished.running.take().filter(|_| is_repeated) {
            self.unfinished.owe(&name);
        }
    }

    /// Notes that the device is back after all reloads: what it says counts again.
    pub fn reloads_settled(&mut self) {
        self.sources.pins.clear();
    }

    /// Returns the unfinished work as JSON if the journal holds another one.
    pub(super) fn unwritten_work(&self) -> Option<String> {
        (self.unfinished != self.written_work).then(|| self.unfinished.to_json().to_string())
    }
}
