//! File transfers as the protocol sees them: what was asked for, how far it has come, and what is to be reported
//! (TR-069 A6 §A.3.2.8, §A.3.3.2, §A.4.1).
//!
//! ```text
//!                   ┌── interrupted, failed within a window ──┐
//!                   ▼                                         │
//!   asked for ──▶ Waiting ──▶ Moving ──▶ Moved ──▶ Applying ──┼──▶ Rebooting ──▶ Verifying
//!                   │ too late   │ failed  │ window over   │   └── of an upload, or without a reboot ──┐   │
//!                   └────────────┴─────────┴───────────────┴──────────────────────────▶ Finished ◀─────┴───┘
//!                                                                      told, and confirmed by the ACS ──▶ gone
//! ```
//!
//! Each arrow is one record of the journal, written before anything of what follows happens. A kill or a power cut
//! finds the transfer where the journal has it:
//!
//! | in the journal | may have happened | what the next start does |
//! |---|---|---|
//! | Waiting | nothing | waits on |
//! | Moving, Moved | a part of the file, or all of it, was moved | moves it again from its start: nothing was applied; after five interruptions it has failed |
//! | Applying | the action has not begun, runs, or has ended | never runs it again; see below |
//! | Rebooting | the action has succeeded | waits for the reboot, and judges after it |
//! | Verifying | the verify action runs, which changes nothing | runs it again |
//! | Finished | the ACS was told, and may have confirmed | tells it again until it is known to have confirmed |
//!
//! An interrupted Applying is judged by what can be seen. Where the model has a `verify` action, that decides. Without
//! one: a firmware is in use where `SoftwareVersion` is another than before (9018 where it is not); any other file whose
//! action reboots is, when the device has rebooted; all else is 9002.

mod admission;
mod file_type;
mod queue;
mod record;
mod timing;
mod url;

pub use admission::admit;
pub use file_type::{filter_includes, reported_file_type};
pub use queue::{DeviceContext, DownloadRequest, TransferOutcome, TransferQueue, TransferQueueFull, TransferStep};
pub use timing::{Timing, Window, WindowError};
pub use url::check_url;

use std::time::Duration;

use super::event::{Event, EventCode};
use super::fault::FaultCode;
use crate::secret::Secret;

/// The file type by which a device gets a new firmware (R228).
pub const FIRMWARE: &str = "1 Firmware Upgrade Image";

/// Who has asked for a transfer, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The ACS, by Download.
    Download,
    /// The ACS, by Upload.
    Upload,
    /// The ACS, by ScheduleDownload.
    ScheduleDownload,
    /// Somebody at the device: an autonomous transfer (R247).
    LocalDownload,
    /// The same in the other direction.
    LocalUpload,
}

impl Origin {
    const NAMES: [(Origin, &str); 5] = [
        (Origin::Download, "Download"),
        (Origin::Upload, "Upload"),
        (Origin::ScheduleDownload, "ScheduleDownload"),
        (Origin::LocalDownload, "local download"),
        (Origin::LocalUpload, "local upload"),
    ];

    /// In words, for log, journal and `status`.
    pub fn name(self) -> &'static str {
        // Proof: each is in the list.
        Origin::NAMES.iter().find(|(origin, _)| *origin == self).map_or("", |(_, name)| name)
    }

    fn from_name(name: &str) -> Option<Origin> {
        Origin::NAMES.iter().find(|(_, known)| *known == name).map(|(origin, _)| *origin)
    }

    /// Whether the file comes to the device.
    pub fn is_download(self) -> bool {
        !matches!(self, Origin::Upload | Origin::LocalUpload)
    }

    /// Whether the ACS has not asked for it.
    pub fn is_autonomous(self) -> bool {
        matches!(self, Origin::LocalDownload | Origin::LocalUpload)
    }

    /// The event of its end, beside `7 TRANSFER COMPLETE` (R240); none for an autonomous transfer.
    pub fn method_event(self) -> Option<EventCode> {
        match self {
            Origin::Download => Some(EventCode::MDownload),
            Origin::Upload => Some(EventCode::MUpload),
            Origin::ScheduleDownload => Some(EventCode::MScheduleDownload),
            Origin::LocalDownload | Origin::LocalUpload => None,
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRequest {
    /// By whom.
    pub origin: Origin,
    /// What the ACS calls it; empty for an autonomous transfer.
    pub command_key: String,
    /// As the RPC names it.
    pub file_type: String,
    /// Where the file is, or is to go.
    pub url: String,
    /// For the file server.
    pub username: String,
    /// For the file server.
    pub password: Secret,
    /// In bytes; 0 for unknown (R235).
    pub file_size: u32,
    /// Not looked at, only told back (R236).
    pub target_file_name: String,
}

/// Why a transfer failed, as it is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One that TransferComplete may carry (R238).
    pub code: FaultCode,
    /// For the operator of the ACS, 256 characters at most.
    pub text: String,
    /// Whether another attempt would fail as well, so that later windows are not waited for (R245).
    pub is_permanent: bool,
}

/// The longest FaultString (R238).
const MAX_FAULT_STRING: usize = 256;

impl Failure {
    /// A failure that no other attempt would mend.
    pub fn permanent(code: FaultCode, text: impl Into<String>) -> Failure {
        let text: String = text.into().chars().take(MAX_FAULT_STRING).collect();
        Failure { code, text, is_permanent: true }
    }

    /// A failure that may pass.
    pub fn transient(code: FaultCode, text: impl Into<String>) -> Failure {
        Failure { is_permanent: false, ..Failure::permanent(code, text) }
    }

    /// With a code that the report of such a transfer may have (R238, R252).
    fn with_reportable_code(self, origin: Origin) -> Failure {
        use FaultCode::*;
        let code = match (origin.is_download(), self.code) {
            (_, RequestDenied | InternalError | FileServerAuthentication | Vendor(_)) => self.code,
            (true, DownloadFailure | MulticastGroup | FileServerUnreachable | FileInaccessible) => self.code,
            (true, DownloadIncomplete | FileCorrupted | FileNotAuthentic | OutsideTimeWindow) => self.code,
            (true, _) => DownloadFailure,
            (false, _) => UploadFailure,
        };
        Failure { code, ..self }
    }
}

/// How far a transfer has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// Its time has not come, or another is on.
    Waiting,
    /// The file is on its way.
    Moving,
    /// The file is here, complete and checked; where the journal says Moving, still.
    Moved,
    /// The action runs.
    Applying(ApplyRecord),
    /// The action has succeeded, or was interrupted, and the device is to go down.
    Rebooting {
        before: ApplyRecord,
        /// The agent was killed while the action ran.
        interrupted: bool,
        /// The agent has restarted the device itself; or, where it was interrupted, the action has ended.
        is_last_wait: bool,
        /// Until when the device is waited for, on the monotonic clock.
        until: Duration,
    },
    /// The device has restarted, or the agent has; whether the file is in use is yet to be found out.
    Verifying { runs: bool },
    /// To be told.
    Finished(TransferReport),
}

/// What the device was like when an action began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ApplyRecord {
    /// SoftwareVersion.
    version: String,
    reboots: bool,
}

/// What TransferComplete tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferReport {
    /// None where the file was moved and is in use.
    pub failure: Option<Failure>,
    /// When it was done, in seconds since the Unix epoch, if that is known.
    pub complete: Option<i64>,
}

/// A transfer on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    id: u32,
    request: TransferRequest,
    timing: Timing,
    stage: Stage,
    /// How often it was begun.
    attempts: u32,
    /// How often it was interrupted while it was on.
    interruptions: u32,
    /// When it first began to move, in seconds since the Unix epoch, if that is known.
    began: Option<i64>,
    /// Bytes of the file, once it was moved.
    moved: Option<u64>,
}

/// Table of §A.4.1.7: what GetAllQueuedTransfers says of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the numbers of the standard
pub enum QueuedState {
    NotStarted = 1,
    InProgress = 2,
    Finishing = 3,
}

impl Transfer {
    /// Its number, never given to another one while the device lives.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What was asked for.
    pub fn request(&self) -> &TransferRequest {
        &self.request
    }

    /// Which of its attempts this is.
    pub fn attempt(&self) -> u32 {
        self.attempts
    }

    /// What is to be told; none while it is not finished.
    pub fn report(&self) -> Option<&TransferReport> {
        match &self.stage {
            Stage::Finished(report) => Some(report),
            _ => None,
        }
    }

    /// When it began, in seconds since the Unix epoch, if that is known.
    pub fn began(&self) -> Option<i64> {
        self.began
    }

    /// Bytes of the file as they were moved; what was announced where it was not.
    pub fn size(&self) -> u32 {
        self.moved.map_or(self.request.file_size, |bytes| u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    /// Returns true while the file is being moved.
    pub fn is_moving(&self) -> bool {
        self.stage == Stage::Moving
    }

    /// For GetQueuedTransfers and GetAllQueuedTransfers (R243).
    pub fn queued_state(&self) -> QueuedState {
        match &self.stage {
            Stage::Waiting => QueuedState::NotStarted,
            Stage::Moving | Stage::Moved | Stage::Applying(_) => QueuedState::InProgress,
            Stage::Rebooting { .. } | Stage::Verifying { .. } | Stage::Finished(_) => QueuedState::Finishing,
        }
    }

    /// For `status`.
    pub fn state_name(&self) -> &'static str {
        match &self.stage {
            Stage::Waiting => "waiting",
            Stage::Moving => "moving",
            Stage::Moved => "moved",
            Stage::Applying(_) => "applying",
            Stage::Rebooting { .. } => "rebooting",
            Stage::Verifying { .. } => "verifying",
            Stage::Finished(TransferReport { failure: None, .. }) => "done",
            Stage::Finished(_) => "failed",
        }
    }

    /// The event that tells of it, beside 7 or 10.
    pub fn method_event(&self) -> Option<Event> {
        let code = self.request.origin.method_event()?;
        Some(Event::of_command(code, self.request.command_key.clone()))
    }
}

#[cfg(test)]
mod tests;
