//! The changes that are worth a record, and those that have an effect beyond their value.

use super::management_server::parameter;
use super::{Author, Device, DeviceState};
use crate::model::change::Change;

impl Device {
    /// Returns true if DelayReboot was set since the last call, even to the value that it had: the delay begins anew
    /// with each session that sets it (R156).
    pub fn take_delay_reboot(&mut self) -> bool {
        std::mem::take(&mut self.delay_reboot_set)
    }

    /// Returns true if the change is worth a record.
    pub(super) fn is_change(&self, change: &Change, author: Author) -> bool {
        match change {
            // A default that the ACS sets explicitly is stored, too. Otherwise a later firmware with another default
            // would silently replace the value that the ACS has chosen (R171).
            // A parameter that is not present is that of an instance that the same record creates.
            Change::Set(name, value) => self.tree.parameter(name).map_or(true, |parameter| {
                let pins = author == Author::Acs && parameter.spec.writable && !parameter.is_changed();
                pins || parameter.stored() != *value
            }),
            Change::Attributes(name, attributes) => {
                self.tree.parameter(name).is_ok_and(|p| p.attributes() != *attributes)
            }
            _ => true,
        }
    }

    pub(super) fn sets_delay_reboot(&self, changes: &[Change]) -> bool {
        let delay = self.management_server_name(parameter::DELAY_REBOOT);
        changes.iter().any(|change| matches!(change, Change::Set(name, _) if *name == delay))
    }

    /// Raises `0 BOOTSTRAP` if the changes set another ACS URL.
    pub(super) fn detect_other_acs(&self, changes: &[Change], state: &mut DeviceState) {
        let url = self.management_server_name(parameter::URL);
        // The last entry wins, as it does in the tree.
        let set = changes.iter().rev().find_map(|change| match change {
            Change::Set(name, value) if *name == url => Some(value.to_string()),
            _ => None,
        });
        // The current URL, set once more, gets a record (R171) and yet is no other ACS: a BOOTSTRAP would discard all
        // undelivered events (R137, R139).
        if let Some(url) = set.filter(|url| *url != self.acs_url()) {
            state.bootstrap(url);
        }
    }
}
