//! The queue of operations that the ACS has not confirmed yet, and the next step of the first one.

use std::fmt;
use std::time::Duration;

use super::outcome::is_uuid;
use super::{
    Inventory, Operation, OperationKind, OutputRow, Requester, Unit, UnitJob, UnitReport, UnitRequest, UnitResult,
    UnitStage, outcome, outcome_of_interrupted,
};
use crate::clock::Now;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::fault::FaultCode;
use crate::cwmp::transfer::Failure;
use crate::log;
use crate::model::actions::SoftwareAction;

/// The time within which an operation must begin (R249).
pub(super) const START_LIMIT: Duration = Duration::from_secs(3600);

/// The number of interruptions of a download after which it is given up, because it may be the cause of the restarts.
const MAX_ATTEMPTS: u32 = 5;

/// The number of outcomes kept for local commands that wait for their operation.
const MAX_OUTCOMES: usize = 16;

/// The operations without a confirmed report, oldest first.
#[derive(Clone, Debug, Default)]
pub struct UnitQueue {
    pub(super) requests: Vec<UnitRequest>,
    pub(super) last_id: u32,
    /// The numbers of the last requests that ended, each with its failure.
    outcomes: Vec<(u32, Option<String>)>,
    /// The units at the last comparison, while the ACS wants to know of changes by other programs.
    pub(super) known: Option<Vec<Unit>>,
}

/// The error of a full queue: fault 9004 (R249).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitQueueFull;

impl fmt::Display for UnitQueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} operations on deployment units can wait", UnitQueue::CAPACITY)
    }
}

/// The next step of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitStep {
    /// Downloads the file of the operation with this number.
    Fetch(u32),
    /// Runs the program.
    Run(u32),
    /// Reads the tables, which tell the result of an interrupted operation.
    Judge(u32),
}

impl UnitQueue {
    /// The maximum number of operations, unconfirmed ones included: twice the number that a device must accept at once (R249).
    pub const CAPACITY: usize = 32;

    /// Adds a request. An operation that cannot be executed comes with its failure, which becomes its result. Returns the number of
    /// the request. The oldest reports of local commands make room, so that an ACS that never confirms one cannot stop all
    /// operations.
    ///
    /// # Errors
    /// There is no room for all of the operations; then none is accepted.
    pub fn add(
        &mut self,
        requester: Requester,
        operations: Vec<(Operation, Option<Failure>)>,
        now: Now,
    ) -> Result<u32, UnitQueueFull> {
        if !self.make_room(operations.len()) {
            return Err(UnitQueueFull);
        }
        let mut jobs = Vec::new();
        for (operation, failure) in operations {
            let mut job =
                UnitJob { id: self.next_id(), operation, stage: UnitStage::Waiting, attempts: 0, began: None };
            if let Some(failure) = failure.or_else(|| invalid_uuid(&job.operation)) {
                let results = outcome(&job.operation, &[], &Inventory::empty(), Err(failure));
                job.stage = UnitStage::Finished(UnitReport { results, complete: None });
            }
            jobs.push(job);
        }
        let id = jobs.first().map_or(0, |job| job.id);
        let accepted = now.clock_is_set().then_some(now.wall);
        let expires = now.monotonic.saturating_add(START_LIMIT);
        self.requests.push(UnitRequest { id, requester, jobs, accepted, expires });
        self.note_finished(id);
        Ok(id)
    }

    /// Drops the oldest reports of local commands for this number of operations. Returns false if they do not fit nevertheless.
    pub(super) fn make_room(&mut self, operations: usize) -> bool {
        let has_room = self.has_room(operations);
        while has_room
            && self.count(|_| true) + operations > UnitQueue::CAPACITY
            && let Some(at) = self.requests.iter().position(UnitRequest::gives_way)
        {
            self.requests.remove(at);
        }
        has_room
    }

    /// Returns the number of a new operation. 0 is the number of none.
    pub(super) fn next_id(&mut self) -> u32 {
        self.last_id = self.last_id.wrapping_add(1).max(1);
        self.last_id
    }

    /// Forgets the units: the ACS no longer wants to know of changes by other programs.
    pub fn forget_units(&mut self) {
        self.known = None;
    }

    /// Returns true if a comparison has noted the units.
    pub fn knows_units(&self) -> bool {
        self.known.is_some()
    }

    /// Returns true if this number of operations can be added.
    pub fn has_room(&self, operations: usize) -> bool {
        self.count(|request| !request.gives_way()) + operations <= UnitQueue::CAPACITY
    }

    fn count(&self, counts: impl Fn(&UnitRequest) -> bool) -> usize {
        self.requests.iter().filter(|request| counts(request)).map(|request| request.jobs.len()).sum()
    }

    /// Returns true if no operation is left to be executed.
    pub fn is_idle(&self) -> bool {
        self.current().is_none()
    }

    /// Returns the requests, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &UnitRequest> {
        self.requests.iter()
    }

    /// Returns the request with that number.
    pub fn request(&self, id: u32) -> Option<&UnitRequest> {
        self.requests.iter().find(|request| request.id == id)
    }

    /// Returns the operation with that number.
    pub fn job(&self, id: u32) -> Option<&UnitJob> {
        self.requests.iter().flat_map(|request| &request.jobs).find(|job| job.id == id)
    }

    /// Returns the requests whose report the ACS has to get.
    pub fn finished(&self) -> impl Iterator<Item = &UnitRequest> {
        self.requests.iter().filter(|request| request.is_finished())
    }

    /// Returns the outcomes of the last requests, oldest first.
    pub fn outcomes(&self) -> &[(u32, Option<String>)] {
        &self.outcomes
    }

    /// Returns true while a program changes the software, or may do so since before the start of the agent.
    pub fn blocks_reboots(&self) -> bool {
        self.current().is_some_and(|(_, job)| matches!(job.stage, UnitStage::Running(_) | UnitStage::Interrupted(_)))
    }

    /// Returns true if the file of the operation may still be read.
    pub fn needs_file(&self, id: u32) -> bool {
        self.job(id).is_some_and(|job| {
            matches!(
                job.stage,
                UnitStage::Fetching | UnitStage::Fetched | UnitStage::Running(_) | UnitStage::Interrupted(_)
            )
        })
    }

    /// Returns true if the download goes on.
    pub fn should_continue(&self, id: u32) -> bool {
        self.job(id).is_some_and(|job| matches!(job.stage, UnitStage::Fetching | UnitStage::Running(_)))
    }

    /// Returns the first operation that has not ended.
    fn current(&self) -> Option<(&UnitRequest, &UnitJob)> {
        let unfinished = |request| -> Option<_> {
            let request: &UnitRequest = request;
            Some((request, request.jobs.iter().find(|job| job.report().is_none())?))
        };
        self.requests.iter().find_map(unfinished)
    }

    /// Returns the next step of the operation that is due; `None` while a step runs, or if none is left. Changes nothing.
    pub fn next_step(&self, action: Option<&SoftwareAction>) -> Option<UnitStep> {
        let (_, job) = self.current()?;
        let operation = &job.operation;
        let fetches = action.is_some_and(|action| !action.fetches) && !operation.url.is_empty();
        match &job.stage {
            UnitStage::Waiting if fetches => Some(UnitStep::Fetch(job.id)),
            UnitStage::Waiting | UnitStage::Fetched => Some(UnitStep::Run(job.id)),
            UnitStage::Interrupted(_) => Some(UnitStep::Judge(job.id)),
            UnitStage::Fetching | UnitStage::Running(_) | UnitStage::Finished(_) => None,
        }
    }

    /// Returns the failure of an operation that has not begun in time (R249).
    pub fn lateness(&self, id: u32, now: Now) -> Option<Failure> {
        let (request, job) = self.current()?;
        let is_late = job.id == id && job.stage == UnitStage::Waiting && now.monotonic >= request.expires;
        let text = "the operation could not begin within an hour of its request";
        is_late.then(|| Failure::permanent(FaultCode::RequestDenied, text))
    }

    /// Begins to download the file. Returns a failure after too many interruptions.
    pub fn begin_fetch(&mut self, id: u32, now: Now) -> Result<(), Failure> {
        let Some(job) = self.job_mut(id) else { return Ok(()) };
        job.began = job.began.or(now.clock_is_set().then_some(now.wall));
        if job.attempts >= MAX_ATTEMPTS {
            let text = format!("the agent was restarted {MAX_ATTEMPTS} times while the file was fetched");
            return Err(Failure::permanent(FaultCode::DownloadIncomplete, text));
        }
        job.attempts += 1;
        job.stage = UnitStage::Fetching;
        Ok(())
    }

    /// Records that the file is here. Not a record of the journal: a restart fetches it again.
    pub fn fetched(&mut self, id: u32) {
        if let Some(job) = self.job_mut(id).filter(|job| job.stage == UnitStage::Fetching) {
            job.stage = UnitStage::Fetched;
        }
    }

    /// Begins to run the program, which is to change these units.
    pub fn begin_run(&mut self, id: u32, units: Vec<Unit>, now: Now) {
        if let Some(job) = self.job_mut(id) {
            job.began = job.began.or(now.clock_is_set().then_some(now.wall));
            job.stage = UnitStage::Running(units);
        }
    }

    /// Ends an operation: with the output of its program, or with the failure of one of its steps.
    pub fn end(&mut self, id: u32, inventory: &Inventory, ended: Result<Vec<OutputRow>, Failure>, now: Now) {
        if let Some(job) = self.job(id).filter(|job| job.report().is_none()) {
            let results = outcome(&job.operation, job.units_before(), inventory, ended);
            self.finish(id, results, inventory, now);
        }
    }

    /// Ends an operation whose program was interrupted, by the state of the device.
    pub fn judge(&mut self, id: u32, inventory: &Inventory, now: Now) {
        if let Some(job) = self.job(id) {
            let results = outcome_of_interrupted(&job.operation, job.units_before(), inventory);
            self.finish(id, results, inventory, now);
        }
    }

    fn finish(&mut self, id: u32, results: Vec<UnitResult>, inventory: &Inventory, now: Now) {
        if self.known.is_some() {
            // A change of its own is none by another program.
            self.note_units(inventory);
        }
        let Some(job) = self.job_mut(id) else { return };
        let complete = now.clock_is_set().then_some(now.wall);
        job.stage = UnitStage::Finished(UnitReport { results, complete });
        let name = job.operation.kind.name();
        match job.failure() {
            None => log::info!("software operation {id} ({name}) is done"),
            Some(failure) => {
                log::warn!("software operation {id} ({name}) failed: {} {}", failure.code.number(), failure.text);
            }
        }
        let request = self.requests.iter().find(|request| request.jobs.iter().any(|job| job.id == id));
        if let Some(request) = request.map(UnitRequest::id) {
            self.note_finished(request);
        }
    }

    /// Notes the outcome of a request that has ended, and drops one that nobody gets a report of.
    fn note_finished(&mut self, id: u32) {
        let Some(request) = self.request(id).filter(|request| request.is_finished()) else { return };
        let failure = request.jobs.iter().find_map(UnitJob::failure).map(|failure| failure.text.clone());
        if self.outcomes.len() >= MAX_OUTCOMES {
            self.outcomes.remove(0);
        }
        self.outcomes.push((id, failure));
        self.requests.retain(|request| request.id != id || request.requester != Requester::Value);
    }

    /// Continues after a start of the agent: a download begins again, and the tables tell the result of a program.
    pub fn resume(&mut self) {
        for job in self.requests.iter_mut().flat_map(|request| &mut request.jobs) {
            job.stage = match std::mem::replace(&mut job.stage, UnitStage::Waiting) {
                UnitStage::Fetching | UnitStage::Fetched | UnitStage::Waiting => UnitStage::Waiting,
                UnitStage::Running(units) | UnitStage::Interrupted(units) => UnitStage::Interrupted(units),
                finished @ UnitStage::Finished(_) => finished,
            };
        }
    }

    /// Removes a request after the ACS has confirmed its report.
    pub fn confirmed(&mut self, id: u32) {
        self.requests.retain(|request| request.id != id || !request.is_finished());
    }

    /// Drops all reports, as BOOTSTRAP discards the events that announce them (R139).
    pub fn forget_reports(&mut self) {
        self.requests.retain(|request| !request.is_finished());
    }

    /// Drops the results of local commands that the ACS has not asked for (R356).
    pub fn forget_autonomous(&mut self, is_reported: impl Fn(OperationKind, &UnitResult) -> bool) {
        for request in self.requests.iter_mut().filter(|request| request.requester == Requester::Local) {
            for job in &mut request.jobs {
                if let UnitStage::Finished(report) = &mut job.stage {
                    report.results.retain(|result| is_reported(job.operation.kind, result));
                }
            }
        }
        let is_empty = |job: &UnitJob| job.report().is_some_and(|report| report.results.is_empty());
        self.requests.retain(|request| !request.jobs.iter().all(is_empty));
    }

    /// Returns the events with a CommandKey that announce the reports.
    pub fn method_events(&self) -> impl Iterator<Item = Event> {
        self.finished().filter_map(UnitRequest::method_event)
    }

    /// Returns true if the report of a local command waits for the ACS.
    pub fn has_autonomous_report(&self) -> bool {
        self.finished().any(|request| request.requester == Requester::Local)
    }

    fn job_mut(&mut self, id: u32) -> Option<&mut UnitJob> {
        self.requests.iter_mut().flat_map(|request| &mut request.jobs).find(|job| job.id == id)
    }
}

impl UnitRequest {
    /// Returns true for the report of a local command.
    fn gives_way(&self) -> bool {
        self.requester == Requester::Local && self.is_finished()
    }

    /// Returns `M ChangeDUState` with the CommandKey; `None` for a request that is not of the ACS.
    pub fn method_event(&self) -> Option<Event> {
        match &self.requester {
            Requester::Acs(key) => Some(Event::of_command(EventCode::MChangeDuState, key.clone())),
            Requester::Local | Requester::Value => None,
        }
    }
}

fn invalid_uuid(operation: &Operation) -> Option<Failure> {
    let code = FaultCode::InvalidUuid;
    (!operation.uuid.is_empty() && !is_uuid(&operation.uuid)).then(|| Failure::permanent(code, code.text()))
}
