//! Values of the device: asks the sources that a request needs, and takes over rows and values.
//!
//! ```text
//! refresh ──▶ Tree::plan ──▶ queries ──▶ Sources ──▶ answers ──▶ Tree::plan ──▶ rows ──▶ journal ──▶ … ──▶ values
//! ```
//!
//! A source that fails costs its own values only: the tree keeps the last ones, and its instances stay as they are.

use std::time::Duration;

mod link_states;
mod stack;

use super::refusals;
use super::{Device, KeptFile, Prepared, Refusal, StagedFile, WayBack};
use crate::clock::Now;
use crate::cwmp::device::Author;
use crate::log;
use crate::model::change::Change;
use crate::model::reloads::Reload;
use crate::model::source::provider::LinkState;
use crate::model::source::{Answer, Answers, Query, Response, Write};
use crate::model::tree::{Mode, Reading, Settled, Wanted};

/// The most rounds of questions for one request: sources depend on each other three deep, and tables add a round each.
const MAX_ROUNDS: usize = 12;

/// The rest of a source after two failures in a row; it doubles up to the longest.
const FIRST_REST: Duration = Duration::from_secs(60);
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);

/// The most failing sources, and the most parameters with unfit values, that the agent remembers.
const MAX_REMEMBERED: usize = 256;

/// The most answers that serve later requests, and the most bytes of each.
const MAX_KEPT: usize = 16;
const MAX_KEPT_SIZE: usize = 64 * 1024;

/// The drivers of the sources.
pub trait Sources {
    /// Begins a request. The time for all questions of the request counts from here.
    fn begin(&mut self);

    /// Asks all questions at the same time. Returns a response for each question.
    fn ask(&mut self, queries: &[Query]) -> Vec<Response>;

    /// Ends the request, and closes the connections that were open for it alone.
    fn end(&mut self) {}

    /// Checks texts, and writes those of files beside the files that they will replace. Nothing that the device uses has changed. The
    /// files are locked until [`Sources::commit`] or [`Sources::discard`]. With `kept`, the files are to go back one day: their texts
    /// before are kept beside them too, and their settings are returned. `kept` are the files for which this is so already.
    ///
    /// # Errors
    /// All refusals; then nothing is prepared.
    fn prepare(&mut self, writes: &[Write], _kept: Option<&[KeptFile]>) -> Result<Prepared, Vec<Refusal>> {
        refusals::refuse_all(writes).map(|()| Prepared::default())
    }

    /// Checks texts without any preparation. Returns the refusals.
    fn check(&mut self, _writes: &[Write]) -> Vec<Refusal> {
        Vec::new()
    }

    /// Sets the texts of programs and single files. Returns the refusals; some of the other texts may be set then.
    fn set(&mut self, writes: &[Write]) -> Vec<Refusal> {
        refusals::refuse_all(writes).err().unwrap_or_default()
    }

    /// Puts the prepared files into their places.
    ///
    /// # Errors
    /// The reason; the files have their former texts then.
    fn commit(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Removes the prepared files.
    fn discard(&mut self) {}

    /// Prepares the way back of these files. A file that another program has changed since gets only those of the former settings that
    /// the agent has set.
    ///
    /// # Errors
    /// The reason for which nothing is prepared; another attempt may succeed.
    fn prepare_old(&mut self, files: &[KeptFile]) -> Result<WayBack, String> {
        let names = || files.iter().map(|file| file.package.clone());
        let stays = names().map(|package| format!("uci {package}: the device cannot be changed")).collect();
        Ok(WayBack { staged: Vec::new(), merged: names().collect(), stays })
    }

    /// Puts prepared files into their places that a crash has left, if a record names them, and removes others, as well as all kept
    /// texts but those of `kept`. Returns notices for the log.
    fn recover(&mut self, _staged: &[StagedFile], _kept: &[KeptFile]) -> Vec<String> {
        Vec::new()
    }

    /// Returns true if another program held the lock of a prepared file at the last [`Sources::recover`]: the file still waits.
    fn is_undecided(&self) -> bool {
        false
    }

    /// Runs a reload to its end.
    ///
    /// # Errors
    /// The reason of the failure.
    fn reload(&mut self, _reload: &Reload) -> Result<(), String> {
        Err("the device has no reloads".to_owned())
    }
}

/// The sources of a device, and their failures.
#[derive(Default)]
pub(super) struct SourceState {
    pub(super) drivers: Option<Box<dyn Sources>>,
    failures: Vec<(Query, SourceFailure)>,
    /// The parameters whose device text is no value, with the reason; each is logged once.
    unfit: Vec<(String, String)>,
    /// The answers of a refresh for a change, from which the change is planned.
    pub(super) answers: Answers,
    /// The writes whose reload has not settled.
    pub(super) pins: Vec<Write>,
    /// The reloads that were owed at the start, and have not run since.
    pub(super) inherited: Vec<String>,
    /// True if a source that fails may rest.
    rests: bool,
    /// The answers that may serve later requests, each with the instant of the monotonic clock until which it may.
    kept: Vec<(Query, Response, Duration)>,
    /// The failure without which the present request would have its values.
    fault: Option<String>,
    /// The states of links that the present reading takes into account.
    link_states: Vec<LinkState>,
}

/// A source that fails.
#[derive(Clone, Debug)]
pub struct SourceFailure {
    /// The reason of the last failure.
    pub reason: String,
    /// The instant of the first failure in a row, on the monotonic clock.
    pub since: Duration,
    /// The number of failures in a row.
    pub count: u32,
    /// The instant of the monotonic clock until which the source is not asked.
    rests_until: Duration,
}

impl Device {
    /// Gives the device the drivers of its sources.
    pub fn set_sources(&mut self, drivers: Box<dyn Sources>) {
        self.sources.drivers = Some(drivers);
    }

    /// Returns the failing sources, in words, each with its failure.
    pub fn source_failures(&self) -> impl Iterator<Item = (String, &SourceFailure)> {
        self.sources.failures.iter().map(|(query, failure)| (query.target.to_string(), failure))
    }

    /// Returns the parameters whose text on the device is no value of theirs, each with the reason.
    pub fn unfit_values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources.unfit.iter().map(|(name, reason)| (name.as_str(), reason.as_str()))
    }

    /// Lets the next request ask also the sources that rest after failures.
    pub fn wake_sources(&mut self) {
        self.sources.wake();
    }

    /// Makes the next request ask the device for everything, also where an answer may serve later requests.
    pub fn forget_kept_answers(&mut self) {
        self.sources.forget_answers();
    }

    /// Reads values and instances from the device. A model without sources costs nothing. Returns the failure of a source without
    /// which a request for the values fails.
    pub fn refresh(&mut self, wanted: &Wanted, now: Now) -> Option<String> {
        self.refresh_and_list(wanted, now);
        self.sources.fault.take()
    }

    /// Reads values and instances from the device. Returns the questions that were asked for them.
    pub fn refresh_and_list(&mut self, wanted: &Wanted, now: Now) -> Vec<Query> {
        self.ask_device(wanted, Mode::Refresh, now).1
    }

    /// Reads values from the device, and returns how each came about. The tree has them afterwards.
    pub fn explain(&mut self, wanted: &Wanted, now: Now) -> Vec<Reading> {
        self.ask_device(wanted, Mode::Explain, now).0
    }

    /// Returns the values, and the questions that were asked for them.
    fn ask_device(&mut self, wanted: &Wanted, mode: Mode, now: Now) -> (Vec<Reading>, Vec<Query>) {
        self.show_echo_counters();
        if !self.tree.has_sources() {
            return Default::default();
        }
        if let Some(drivers) = &mut self.sources.drivers {
            drivers.begin();
        }
        let mut answers = Answers::at(now.wall);
        // A change is tried although the source rests.
        self.sources.rests = !wanted.is_change();
        self.sources.fault = None;
        // A change, and the command `source`, need the values of this moment.
        if mode == Mode::Explain || wanted.is_change() {
            self.sources.forget_answers();
        }
        let readings = self.gather(wanted, mode, &mut answers, now);
        self.sources.rests = true;
        if let Some(drivers) = &mut self.sources.drivers {
            drivers.end();
        }
        if wanted.is_change() {
            self.sources.answers = answers;
            return (readings, Vec::new());
        }
        self.sources.answers = Answers::default();
        if mode == Mode::Refresh && !self.sources.link_states.is_empty() {
            self.take_link_states(wanted, &mut answers);
        }
        (readings, answers.into_queries())
    }

    /// Asks in rounds until nothing is missing, and takes over rows and values. Returns the values.
    fn gather(&mut self, wanted: &Wanted, mut mode: Mode, answers: &mut Answers, now: Now) -> Vec<Reading> {
        let mut settled = Settled::default();
        for _ in 0..MAX_ROUNDS {
            let mut plan = self.tree.plan(wanted, answers, mode, &mut settled);
            self.sources.fault = self.sources.fault.take().or(plan.fault.take());
            if plan.queries.is_empty() && plan.rows.is_empty() {
                self.take_readings(&plan.readings, now);
                return plan.readings;
            }
            let stack = stack::take_query(&mut plan.queries);
            // The stack follows from values that all other answers may change.
            if let Some(query) = stack.filter(|_| plan.queries.is_empty() && plan.rows.is_empty()) {
                self.ask_model(query, mode, answers, now);
                continue;
            }
            self.ask(&plan.queries, answers, now);
            if !plan.rows.is_empty() && !self.take_rows(plan.rows.kept, plan.rows.loose, now) {
                mode = Mode::SameInstances;
            }
        }
        Vec::new()
    }

    /// Answers the question for the stack of the interfaces from the model, after the layers have their values.
    fn ask_model(&mut self, query: Query, mode: Mode, answers: &mut Answers, now: Now) {
        // A model in which the layers follow from the stack would go round in circles.
        answers.add(query.clone(), Response::failed("it depends on itself".to_owned()));
        self.gather(&stack::layers(), mode, answers, now);
        let names = stack::names(&self.tree);
        self.gather(&Wanted::values(names.clone()), mode, answers, now);
        let answer = Ok(Answer::Rows(stack::rows(&self.tree, &names)));
        answers.replace(&query, Response { answer, took: Duration::ZERO });
    }

    /// Asks those sources that do not rest, and notes failures and recoveries.
    fn ask(&mut self, queries: &[Query], answers: &mut Answers, now: Now) {
        let mut asked = Vec::new();
        let rests = self.sources.rests;
        self.sources.kept.retain(|(_, _, until)| now.monotonic < *until);
        for query in queries {
            if let Some((_, response, _)) = self.sources.kept.iter().find(|(kept, ..)| kept == query) {
                answers.add(query.clone(), response.clone());
                continue;
            }
            match self.sources.failure(query) {
                Some(failure) if rests && now.monotonic < failure.rests_until => {
                    answers.add(query.clone(), Response::failed(failure.reason.clone()));
                }
                _ => asked.push(query.clone()),
            }
        }
        let Some(drivers) = self.sources.drivers.as_mut().filter(|_| !asked.is_empty()) else {
            // Only a device without drivers has questions that it cannot ask.
            asked.into_iter().for_each(|query| answers.add(query, Response::failed("nobody to ask".to_owned())));
            return;
        };
        let responses = drivers.ask(&asked);
        for (query, response) in asked.into_iter().zip(responses) {
            self.sources.note(&query, &response.answer, now);
            self.sources.keep(&query, &response, now);
            answers.add(query, response);
        }
    }

    /// Makes the rows of the device instances. Returns false if the journal cannot store them.
    fn take_rows(&mut self, kept: Vec<Change>, loose: Vec<Change>, now: Now) -> bool {
        if !kept.is_empty()
            && let Err(error) = self.apply(kept, Author::Other, now)
        {
            log::warn!("new instances of the device are left out: {error}");
            return false;
        }
        let mut state = std::mem::take(&mut self.state);
        self.note_value_changes(&loose, &mut state);
        self.drop_unwatched_changes(&loose, &mut state);
        self.state = state;
        for change in &loose {
            // Cannot fail: each change was decided on this very tree.
            let _ = self.tree.apply(change);
        }
        true
    }

    /// Gives parameters their values on the device. One that does not fit costs only itself.
    fn take_readings(&mut self, readings: &[Reading], now: Now) {
        for reading in readings {
            match &reading.value {
                Ok(_) if self.sources.pins.iter().any(|pinned| pinned.name == reading.name) => {}
                Ok(value) if self.is_identity(&reading.name) => self.take_identity(&reading.name, value.clone(), now),
                Ok(value) => {
                    self.sources.unfit.retain(|(name, _)| *name != reading.name);
                    self.set_provided_in(&reading.place, &reading.name, value.clone(), |parameter| {
                        parameter.has_value()
                    });
                }
                Err(reason) if reading.text.is_some() => self.sources.note_unfit(&reading.name, reason),
                Err(_) => {}
            }
        }
    }
}

impl SourceState {
    fn failure(&mut self, query: &Query) -> Option<&mut SourceFailure> {
        self.failures.iter_mut().find(|(failing, _)| failing == query).map(|(_, failure)| failure)
    }

    /// Ends the rest of all sources, so that the next request asks them.
    pub(super) fn wake(&mut self) {
        for (_, failure) in &mut self.failures {
            // The count decides on the next rest, which must not become longer by attempts in close succession.
            failure.count = failure.count.min(1);
            failure.rests_until = Duration::ZERO;
        }
    }

    fn note(&mut self, query: &Query, result: &Result<Answer, String>, now: Now) {
        let Err(reason) = result else {
            if let Some(at) = self.failures.iter().position(|(failing, _)| failing == query) {
                let (_, failure) = self.failures.remove(at);
                log::info!("{}: the source answers again, after {} failures", query.target, failure.count);
            }
            return;
        };
        if self.failure(query).is_none() {
            if self.failures.len() >= MAX_REMEMBERED {
                return;
            }
            log::warn!("{}: {reason}; its last values stay", query.target);
            let first =
                SourceFailure { reason: String::new(), since: now.monotonic, count: 0, rests_until: Duration::ZERO };
            self.failures.push((query.clone(), first));
        }
        // It is in the list by now.
        let Some(failure) = self.failure(query) else { return };
        failure.count = failure.count.saturating_add(1);
        failure.reason.clone_from(reason);
        // A source that hangs would cost each request its limit.
        if failure.count >= 2 {
            let doublings = (failure.count - 2).min(4);
            failure.rests_until = now.monotonic + (FIRST_REST * 2u32.pow(doublings)).min(LONGEST_REST);
        }
    }

    /// Keeps an answer for later requests, if the model lets it serve them. That before a change is old afterwards.
    fn keep(&mut self, query: &Query, response: &Response, now: Now) {
        let is_small = response.answer.as_ref().is_ok_and(|answer| answer.size() <= MAX_KEPT_SIZE);
        if query.age > 0 && self.rests && is_small && self.kept.len() < MAX_KEPT {
            let until = now.monotonic + Duration::from_secs(query.age.into());
            self.kept.push((query.clone(), response.clone(), until));
        }
    }

    /// Makes the next request ask the device for everything.
    pub(super) fn forget_answers(&mut self) {
        self.kept.clear();
    }

    fn note_unfit(&mut self, name: &str, reason: &str) {
        let is_known = self.unfit.iter().any(|(unfit, _)| unfit == name);
        if self.unfit.len() < MAX_REMEMBERED && !is_known {
            self.unfit.push((name.to_owned(), reason.to_owned()));
            log::warn!("{name}: the value on the device does not fit: {reason}; the last value stays");
        }
    }
}

#[cfg(test)]
mod tests;
