//! States of links that were over before the device was read: a link that went down and is up again has changed (R212).

use crate::clock::Now;
use crate::cwmp::device::Device;
use crate::cwmp::device::notification::{digest, is_watched};
use crate::cwmp::event::{Event, EventCode};
use crate::model::source::provider::LinkState;
use crate::model::source::{Answers, Query};
use crate::model::tree::{Mode, Reading, Settled, Wanted};

impl Device {
    /// Reads watched values from the device, and notes a change of those that had another one in a state of a link that is over.
    /// Returns the questions that were asked for them.
    pub fn refresh_watched(&mut self, wanted: &Wanted, states: Vec<LinkState>, now: Now) -> Vec<Query> {
        self.sources.link_states = states;
        self.refresh_and_list(wanted, now)
    }

    /// Notes a change of the watched values that had others in a state that is over.
    pub(super) fn take_link_states(&mut self, wanted: &Wanted, answers: &mut Answers) {
        for state in std::mem::take(&mut self.sources.link_states) {
            if answers.set_link_state(&state) {
                let plan = self.tree.plan(wanted, answers, Mode::SameInstances, &mut Settled::default());
                plan.readings.into_iter().for_each(|reading| self.note_passed_value(&reading));
            }
        }
    }

    fn note_passed_value(&mut self, reading: &Reading) {
        let (Ok(value), Ok(parameter)) = (&reading.value, self.tree.parameter(&reading.name)) else { return };
        let is_pinned = self.sources.pins.iter().any(|pinned| pinned.name == reading.name);
        let is_other = digest(value) != digest(&parameter.stored());
        // R101: an Inform with 0 BOOTSTRAP is the first one for this ACS.
        if is_other && is_watched(&parameter) && !is_pinned && !self.state.events.contains(&EventCode::Bootstrap) {
            self.state.changed.insert(reading.name.clone());
            self.state.events.raise(Event::new(EventCode::ValueChange));
        }
    }
}
