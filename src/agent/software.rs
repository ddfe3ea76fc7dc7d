//! Operations on the software of the device: starts the steps that the queue decides on, and hands their results back to it.
//!
//! ```text
//! UnitQueue ──UnitStep──▶ the tables of the device ──▶ journal ──▶ TransferWorker ──▶ a thread: transfer::download, the program
//!     ▲                                                              │
//!     └──── poll_software ◀── Wake::StepFinished ◀── Inbox ◀─────────┘
//! ```
//!
//! The worker is that of file transfers: it runs one step at a time, so that no program changes the software while a file is
//! applied. The tables are read before and after each operation. What the ACS reads in a result is what it finds in them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Agent;
use super::transfers::job;
use super::transfers::step::{JobId, JobProgress, StepResult};
use crate::clock::Now;
use crate::cwmp::device::JournalError;
use crate::cwmp::fault::FaultCode;
use crate::cwmp::software::{Inventory, Operation, OperationKind, OutputRow, UnitJob, UnitStep, admit};
use crate::cwmp::transfer::Failure;
use crate::log;
use crate::model::actions::SoftwareAction;

/// The interval of the looks for units that other programs have changed.
const COMPARISON: Duration = Duration::from_secs(900);

impl Agent {
    /// Hands finished steps of transfers and operations to their queues, and starts the next one.
    pub(super) fn poll_worker(&mut self, now: Now) {
        self.poll_transfers(now);
        self.poll_software(now);
        self.compare_units(now);
    }

    /// Looks for units that other programs have changed, at the start, after a reload and at the interval, while the ACS wants to
    /// know of them (R356).
    fn compare_units(&mut self, now: Now) {
        if !self.device.reports_autonomous_units() {
            self.comparison_at = None;
            if self.device.state().units.knows_units() {
                self.device.state_mut().units.forget_units();
            }
            return;
        }
        let is_due = self.comparison_at.is_none_or(|at| at <= now.monotonic);
        // The end of an operation notes what it has changed.
        if !is_due || !self.device.state().units.is_idle() {
            return;
        }
        self.comparison_at = Some(now.monotonic.saturating_add(COMPARISON));
        let inventory = self.device.read_inventory(now);
        if let Err(error) = self.device.change_units(now, |units| units.compare(&inventory, now)) {
            log::error!("cannot store which units the device has: {error}");
        }
        self.request_report_session();
    }

    /// Hands a finished step to the queue, and starts the next one. No session runs.
    pub(super) fn poll_software(&mut self, now: Now) {
        let is_at_work = self.worker.job.as_ref().is_some_and(|job| matches!(job.id, JobId::Unit(_)));
        if self.device.state().units.is_idle() && !is_at_work {
            return;
        }
        let polled = self.take_software_result(now).and_then(|()| self.next_software_step(now));
        if let Err(error) = polled {
            self.postpone_transfers(&error, now);
        }
        self.request_report_session();
    }

    /// Hands the result of the last step to the queue, unless the pause after a journal error still runs.
    fn take_software_result(&mut self, now: Now) -> Result<(), JournalError> {
        let Some(job) = self.worker.job.as_ref().filter(|_| now.monotonic >= self.worker.retry_at) else {
            return Ok(());
        };
        let (JobId::Unit(id), Some(result)) = (job.id, job.result.clone()) else { return Ok(()) };
        match result {
            StepResult::Moved(Ok(_)) => self.device.change_units(now, |units| units.fetched(id))?,
            StepResult::Moved(Err(failure)) => self.end_operation(id, Err(failure), now)?,
            StepResult::Ran(ended) => self.end_operation(id, ended, now)?,
            StepResult::Applied(_) | StepResult::Verified(_) | StepResult::Stopped => {}
        }
        self.worker.job = None;
        Ok(())
    }

    fn next_software_step(&mut self, now: Now) -> Result<(), JournalError> {
        let is_held = now.monotonic < self.worker.retry_at || self.stop.load(Ordering::Relaxed);
        // Each pass ends an operation or starts a step, so that the loop ends with the queue.
        while !is_held && self.worker.is_free() {
            let action = self.device.actions().software.clone();
            let Some(step) = self.device.state().units.next_step(action.as_ref()) else { break };
            // A reboot waits for the end of an interrupted operation, which therefore must not wait for the reboot.
            let may_begin = !self.is_restarting() && !self.device.state().transfers.blocks_reboots();
            if !may_begin && !matches!(step, UnitStep::Judge(_)) {
                break;
            }
            self.software_step(step, action, now)?;
        }
        self.worker.tidy_up(self.device.state());
        Ok(())
    }

    fn software_step(&mut self, step: UnitStep, action: Option<SoftwareAction>, now: Now) -> Result<(), JournalError> {
        let (UnitStep::Fetch(id) | UnitStep::Run(id) | UnitStep::Judge(id)) = step;
        let Some(job) = self.device.state().units.job(id).cloned() else { return Ok(()) };
        let inventory = self.device.read_inventory(now);
        if let UnitStep::Judge(_) = step {
            return self.device.change_units(now, |units| units.judge(id, &inventory, now));
        }
        let late = self.device.state().units.lateness(id, now);
        let refused = late.map_or_else(|| admit(job.operation(), &inventory), Err);
        let (units, action) = match (refused, action) {
            (Ok(units), Some(action)) => (units, action),
            (Err(failure), _) => return self.end_with(id, &inventory, Err(failure), now),
            (_, None) => {
                // New firmware may come with another model, while the queue stays.
                let failure = Failure::permanent(FaultCode::RequestDenied, "the device no longer changes its software");
                return self.end_with(id, &inventory, Err(failure), now);
            }
        };
        let Operation { kind, .. } = job.operation();
        if let UnitStep::Fetch(_) = step {
            return match self.device.change_units(now, |units| units.begin_fetch(id, now))? {
                Ok(()) => {
                    self.fetch_unit(id, now);
                    Ok(())
                }
                Err(failure) => self.end_with(id, &inventory, Err(failure), now),
            };
        }
        log::info!("software operation {id} ({}) begins", kind.name());
        let keys: Vec<String> = units.iter().map(|unit| unit.key.clone()).collect();
        self.device.change_units(now, |units_of_queue| units_of_queue.begin_run(id, units, now))?;
        self.run_program(&job, &action, keys.join("\n"), &inventory, now);
        Ok(())
    }

    /// Ends an operation by the tables as they are now.
    fn end_operation(&mut self, id: u32, ended: Result<Vec<OutputRow>, Failure>, now: Now) -> Result<(), JournalError> {
        let inventory = self.device.read_inventory(now);
        self.end_with(id, &inventory, ended, now)
    }

    fn end_with(
        &mut self,
        id: u32,
        inventory: &Inventory,
        ended: Result<Vec<OutputRow>, Failure>,
        now: Now,
    ) -> Result<(), JournalError> {
        self.device.change_units(now, |units| units.end(id, inventory, ended, now))
    }

    fn fetch_unit(&mut self, id: u32, now: Now) {
        let Some(job) = self.device.state().units.job(id) else { return };
        let (operation, attempt) = (job.operation(), job.attempt());
        log::info!("software operation {id} ({}): fetching the file", operation.kind.name());
        let request = self.file_request(&operation.url, &operation.username, &operation.password, now);
        let prepared = self.worker.prepare_file(JobId::Unit(id));
        let work = move |progress: &JobProgress| match prepared {
            Ok(file) => job::fetch(&request, &file, progress),
            Err(error) => job::no_directory(FaultCode::SystemResourcesExceeded, &error),
        };
        let not_started = |failure| StepResult::Moved(Err(failure));
        self.worker.start((JobId::Unit(id), attempt), now, not_started, Box::new(work));
    }

    fn run_program(&mut self, job: &UnitJob, action: &SoftwareAction, keys: String, inventory: &Inventory, now: Now) {
        let (id, operation) = (job.id(), job.operation());
        let mut command = action.run.clone();
        command.push(operation.kind.verb().to_owned());
        let is_state = matches!(operation.kind, OperationKind::Start | OperationKind::Stop);
        let (unit, target) = match is_state {
            true => (operation.target.clone(), String::new()),
            false => (keys, inventory.environment_key(&operation.target).to_owned()),
        };
        let has_file = !action.fetches && !operation.url.is_empty();
        let file = self.worker.file(JobId::Unit(id)).to_string_lossy().into_owned();
        let mut environment = vec![
            ("UNIT_KEY", unit),
            ("UNIT_UUID", operation.uuid.clone()),
            ("UNIT_VERSION", operation.version.clone()),
            ("UNIT_ENVIRONMENT", target),
            ("UNIT_URL", operation.url.clone()),
        ];
        if has_file {
            environment.push(("UNIT_FILE", file));
        }
        if action.fetches {
            environment.push(("UNIT_USERNAME", operation.username.clone()));
            environment.push(("UNIT_PASSWORD", operation.password.expose().to_owned()));
        }
        // A build for a device without transfers may lack the directory; without the lock, the program runs all the same.
        let _ = self.worker.prepare_directory();
        let (limit, lock, attempt) = (action.time_limit, self.worker.action_lock(), job.attempt());
        let work = move |progress: &JobProgress| job::run_operation(&command, limit, lock.ok(), &environment, progress);
        let not_started = |failure| StepResult::Ran(Err(failure));
        self.worker.start((JobId::Unit(id), attempt), now, not_started, Box::new(work));
    }
}
