//! Software modules on the protocol's side: the operations of ChangeDUState, their progress, and their results (R347 to R356).
//!
//! ```text
//!                 ┌─ interrupted ─┐
//!                 ▼               │
//!   accepted ─▶ Waiting ──▶ Fetching ──▶ Fetched ──▶ Running ──────────▶ Finished ──▶ gone, once the ACS has confirmed
//!                 │ └── without a file ──────────────▶ ▲ │                  ▲         the report of the whole request
//!                 │                                      └─ interrupted ─▶ Interrupted: the tables tell the result
//!                 └── refused by the tables, or too late ───────────────────┘
//! ```
//!
//! Each arrow but the one to Fetched is a record of the journal, written before the next step begins. One operation is at work at a
//! time, in the order of the requests. A program that has begun is never run again: an update that is repeated could go back to an
//! older version, and an installation could fail as a duplicate of itself.

mod foreign;
mod inventory;
mod outcome;
mod queue;
mod record;
mod state;

pub use inventory::{Inventory, Unit};
pub(crate) use inventory::{key_of, software_modules};
pub use outcome::{OutputRow, admit};
use outcome::{outcome, outcome_of_interrupted};
pub use queue::{UnitQueue, UnitQueueFull, UnitStep};
pub(crate) use state::{check_state_request, execution_unit};

use std::time::Duration;

use super::transfer::Failure;
use crate::secret::Secret;

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the operation of that name
pub enum OperationKind {
    Install,
    Update,
    Uninstall,
    Start,
    Stop,
}

impl OperationKind {
    /// The kinds with their names in messages and in the journal, and the verbs for the program.
    const NAMES: [(OperationKind, &str, &str); 5] = [
        (OperationKind::Install, "Install", "install"),
        (OperationKind::Update, "Update", "update"),
        (OperationKind::Uninstall, "Uninstall", "uninstall"),
        (OperationKind::Start, "Start", "start"),
        (OperationKind::Stop, "Stop", "stop"),
    ];

    /// Returns the name for messages, `status` and the journal.
    pub fn name(self) -> &'static str {
        // Every variant is in the list, so that the empty name never occurs.
        OperationKind::NAMES.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// Returns the verb that the program gets.
    pub fn verb(self) -> &'static str {
        OperationKind::NAMES.iter().find(|(kind, ..)| *kind == self).map_or("", |(.., verb)| verb)
    }

    /// Returns the kind with this name.
    pub fn from_name(name: &str) -> Option<OperationKind> {
        OperationKind::NAMES.iter().find(|(_, known, _)| *known == name).map(|(kind, ..)| *kind)
    }
}

/// The arguments of an operation, as requested. An argument that is missing is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The kind.
    pub kind: OperationKind,
    /// The UUID of the deployment unit.
    pub uuid: String,
    /// The version of the deployment unit, which tells several apart.
    pub version: String,
    /// The URL of the file.
    pub url: String,
    /// The user name for the file server.
    pub username: String,
    /// The password for the file server.
    pub password: Secret,
    /// The ExecutionEnvRef; of Start and Stop the key of the execution unit.
    pub target: String,
}

impl Operation {
    /// Returns an operation without arguments.
    pub fn new(kind: OperationKind) -> Operation {
        let empty = String::new;
        Operation {
            kind,
            uuid: empty(),
            version: empty(),
            url: empty(),
            username: empty(),
            password: Secret::default(),
            target: empty(),
        }
    }
}

/// The source of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requester {
    /// The ACS, by ChangeDUState with this CommandKey.
    Acs(String),
    /// A local command: an autonomous change.
    Local,
    /// A value of RequestedState, which no message reports.
    Value,
}

/// The operations of one request, in the order of their results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitRequest {
    id: u32,
    requester: Requester,
    jobs: Vec<UnitJob>,
    /// The instant of the request in seconds since the Unix epoch; `None` if it is unknown.
    accepted: Option<i64>,
    /// The instant of the monotonic clock after which no operation begins.
    expires: Duration,
}

/// An operation and its progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitJob {
    id: u32,
    operation: Operation,
    stage: UnitStage,
    /// The number of attempts to fetch the file.
    attempts: u32,
    /// The StartTime in seconds since the Unix epoch; `None` if it is unknown.
    began: Option<i64>,
}

/// The progress of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum UnitStage {
    Waiting,
    Fetching,
    /// The file is here. The journal keeps the operation as Fetching, because a restart loses the file.
    Fetched,
    /// The program runs; with the units that it was to change.
    Running(Vec<Unit>),
    /// The agent was restarted while the program ran.
    Interrupted(Vec<Unit>),
    Finished(UnitReport),
}

/// The end of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitReport {
    /// One result for each unit that the operation has concerned, at least one.
    pub results: Vec<UnitResult>,
    /// The CompleteTime in seconds since the Unix epoch; `None` if it is unknown.
    pub complete: Option<i64>,
}

/// The result of an operation for one deployment unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitResult {
    /// The unit, as the tables have it after the operation, or had it before.
    pub unit: Unit,
    /// The CurrentState.
    pub state: UnitState,
    /// The failure; `None` on success.
    pub failure: Option<Failure>,
}

/// The CurrentState of a deployment unit in a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names of the schema
pub enum UnitState {
    Installed,
    Uninstalled,
    Failed,
}

impl UnitState {
    /// Returns the word of the schema.
    pub fn name(self) -> &'static str {
        match self {
            UnitState::Installed => "Installed",
            UnitState::Uninstalled => "Uninstalled",
            UnitState::Failed => "Failed",
        }
    }

    fn from_name(name: &str) -> UnitState {
        let all = [UnitState::Installed, UnitState::Uninstalled];
        all.into_iter().find(|state| state.name() == name).unwrap_or(UnitState::Failed)
    }
}

impl UnitRequest {
    /// Returns the number of the request, which no other request of this run has.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the source of the request.
    pub fn requester(&self) -> &Requester {
        &self.requester
    }

    /// Returns the operations in the order of the request.
    pub fn jobs(&self) -> &[UnitJob] {
        &self.jobs
    }

    /// Returns true if each operation has ended.
    pub fn is_finished(&self) -> bool {
        self.jobs.iter().all(|job| job.report().is_some())
    }
}

impl UnitJob {
    /// Returns the number of the operation.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the arguments.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// Returns the number of the present attempt to fetch the file.
    pub fn attempt(&self) -> u32 {
        self.attempts
    }

    /// Returns the StartTime in seconds since the Unix epoch; `None` if it is unknown.
    pub fn began(&self) -> Option<i64> {
        self.began
    }

    /// Returns the end; `None` while the operation goes on.
    pub fn report(&self) -> Option<&UnitReport> {
        match &self.stage {
            UnitStage::Finished(report) => Some(report),
            _ => None,
        }
    }

    /// Returns the units that the program was to change.
    pub fn units_before(&self) -> &[Unit] {
        match &self.stage {
            UnitStage::Running(units) | UnitStage::Interrupted(units) => units,
            _ => &[],
        }
    }

    /// Returns the first failure among the results.
    pub fn failure(&self) -> Option<&Failure> {
        self.report()?.results.iter().find_map(|result| result.failure.as_ref())
    }

    /// Returns the stage in words, for `status`.
    pub fn state_name(&self) -> &'static str {
        match &self.stage {
            UnitStage::Waiting => "waiting",
            UnitStage::Fetching => "fetching",
            UnitStage::Fetched => "fetched",
            UnitStage::Running(_) => "running",
            UnitStage::Interrupted(_) => "interrupted",
            UnitStage::Finished(_) if self.failure().is_some() => "failed",
            UnitStage::Finished(_) => "done",
        }
    }
}

#[cfg(test)]
mod tests;
