//! File transfers on the protocol's side: the request, its progress, and the report to the ACS (TR-069 A6 §A.3.2.8,
//! §A.3.3.2, §A.4.1).
//!
//! ```text
//!                   ┌── interrupted, failed within a window ──┐
//!                   ▼                                         │
//!   requested ──▶ Waiting ──▶ Moving ──▶ Moved ──▶ Applying ──┼──▶ Rebooting ──▶ Verifying
//!                   │ too late   │ failed  │ window over   │   └── of an upload, or without a reboot ──┐   │
//!                   └────────────┴─────────┴───────────────┴──────────────────────────▶ Finished ◀─────┴───┘
//!                                                                   reported, and confirmed by the ACS ──▶ gone
//! ```
//!
//! Each arrow but the one to Moved is a record of the journal, written before the next step begins. After a kill or a power cut, the
//! transfer resumes from its stage in the journal:
//!
//! | in the journal | possibly done | action of the next start |
//! |---|---|---|
//! | Waiting | nothing | keeps waiting |
//! | Moving, Moved | a part of the file, or all of it, was moved | moves it again from its start: nothing was applied; fails after five interruptions |
//! | Applying | the action has not begun, runs, or has ended | never runs it again; see below |
//! | Rebooting | the action has succeeded | waits for the reboot, then decides whether the file is in use |
//! | Verifying | the verify action runs, which changes nothing | runs it again |
//! | Finished | the ACS has the report, and may have confirmed it | reports again until the ACS has confirmed |
//!
//! The result of an interrupted Applying follows from the state of the device. A `verify` action of the model decides.
//! Without one, firmware is in use if `SoftwareVersion` has changed (9018 if not), and any other file with a rebooting
//! action is in use once the device has rebooted; every other case fails with 9002.

mod admission;
mod file_type;
mod queue;
mod record;
mod timing;
mod url;

pub use admission::admit;
pub use file_type::{filter_includes, reported_file_type};
pub use queue::{DeviceContext, DownloadRequest, TransferOutcome, TransferQueue, TransferQueueFull, TransferStep};
pub(super) use record::{failure_from_json, failure_to_json};
pub use timing::{Timing, Window, WindowError};
pub use url::check_url;

use std::time::Duration;

use super::event::{Event, EventCode};
use super::fault::FaultCode;
use crate::secret::Secret;

/// The file type that carries new firmware (R228).
pub const FIRMWARE: &str = "1 Firmware Upgrade Image";

/// The RPC or local command that requested a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The ACS, by Download.
    Download,
    /// The ACS, by Upload.
    Upload,
    /// The ACS, by ScheduleDownload.
    ScheduleDownload,
    /// A local download command: an autonomous transfer (R247).
    LocalDownload,
    /// A local upload command: an autonomous transfer (R247).
    LocalUpload,
}

impl Origin {
    // The journal stores these names, so that changing one loses the transfers of an older journal.
    const NAMES: [(Origin, &str); 5] = [
        (Origin::Download, "Download"),
        (Origin::Upload, "Upload"),
        (Origin::ScheduleDownload, "ScheduleDownload"),
        (Origin::LocalDownload, "local download"),
        (Origin::LocalUpload, "local upload"),
    ];

    /// Returns the name for log, journal and `status`.
    pub fn name(self) -> &'static str {
        // Every variant is in the list, so that the empty name never occurs.
        Origin::NAMES.iter().find(|(origin, _)| *origin == self).map_or("", |(_, name)| name)
    }

    fn from_name(name: &str) -> Option<Origin> {
        Origin::NAMES.iter().find(|(_, known)| *known == name).map(|(origin, _)| *origin)
    }

    /// Returns true if the file moves to the device.
    pub fn is_download(self) -> bool {
        !matches!(self, Origin::Upload | Origin::LocalUpload)
    }

    /// Returns true if the transfer was not requested by the ACS.
    pub fn is_autonomous(self) -> bool {
        matches!(self, Origin::LocalDownload | Origin::LocalUpload)
    }

    /// Returns the method event of the report, beside `7 TRANSFER COMPLETE` (R240); `None` for an autonomous transfer.
    pub fn method_event(self) -> Option<EventCode> {
        match self {
            Origin::Download => Some(EventCode::MDownload),
            Origin::Upload => Some(EventCode::MUpload),
            Origin::ScheduleDownload => Some(EventCode::MScheduleDownload),
            Origin::LocalDownload | Origin::LocalUpload => None,
        }
    }
}

/// The arguments of a transfer, as requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRequest {
    /// The source of the request.
    pub origin: Origin,
    /// The CommandKey of the ACS; empty for an autonomous transfer.
    pub command_key: String,
    /// The FileType argument, such as `1 Firmware Upgrade Image`.
    pub file_type: String,
    /// The source of a download, or the destination of an upload.
    pub url: String,
    /// The user name for the file server; empty for none.
    pub username: String,
    /// The password for the file server.
    pub password: Secret,
    /// The announced size in bytes; 0 for unknown (R235).
    pub file_size: u32,
    /// The TargetFileName, which is only reported back (R236).
    pub target_file_name: String,
}

/// The reason for a failed transfer, as the report carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The fault code; [`Failure::with_reportable_code`] limits it to those of TransferComplete (R238).
    pub code: FaultCode,
    /// The FaultString, at most 256 characters.
    pub text: String,
    /// True if another attempt would fail as well, so that no later window is used (R245).
    pub is_permanent: bool,
}

/// The maximum length of FaultString in characters (R238).
const MAX_FAULT_STRING: usize = 256;

impl Failure {
    /// Returns a failure that another attempt would repeat.
    pub fn permanent(code: FaultCode, text: impl Into<String>) -> Failure {
        // Characters, not bytes: R238 counts characters, and a cut inside a character would be invalid UTF-8.
        let text: String = text.into().chars().take(MAX_FAULT_STRING).collect();
        Failure { code, text, is_permanent: true }
    }

    /// Returns a failure that another attempt may avoid.
    pub fn transient(code: FaultCode, text: impl Into<String>) -> Failure {
        Failure { is_permanent: false, ..Failure::permanent(code, text) }
    }

    /// Returns the failure with a code that the report may carry in its direction (R238, R252).
    fn with_reportable_code(self, origin: Origin) -> Failure {
        use FaultCode::*;
        let code = match (origin.is_download(), self.code) {
            (_, RequestDenied | InternalError | FileServerAuthentication | Vendor(_)) => self.code,
            (true, DownloadFailure | MulticastGroup | FileServerUnreachable | FileInaccessible) => self.code,
            (true, DownloadIncomplete | FileCorrupted | FileNotAuthentic | OutsideTimeWindow) => self.code,
            // 9013 is a fault of the response alone (R229, R237); a report calls it 9010.
            (true, _) => DownloadFailure,
            // 9010 and its refinements 9014 to 9019 belong to downloads (R252).
            (false, _) => UploadFailure,
        };
        Failure { code, ..self }
    }
}

/// The progress of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TransferStage {
    /// The transfer waits for its time, or for another transfer to end.
    Waiting,
    /// The file is being moved.
    Moving,
    /// The file is here, complete and checked. The journal keeps it as Moving, because a restart loses it.
    Moved,
    /// The action of the model runs on the file.
    Applying(ApplyRecord),
    /// The action has succeeded or was interrupted, and the device is about to reboot.
    Rebooting {
        before: ApplyRecord,
        /// True if the agent was killed while the action ran.
        interrupted: bool,
        /// True if nothing but the reboot itself is awaited: the agent has run the reboot command, or the interrupted
        /// action has ended.
        is_last_wait: bool,
        /// The end of the wait, on the monotonic clock.
        until: Duration,
    },
    /// The device or the agent has restarted, and the `verify` action decides whether the file is in use.
    Verifying { runs: bool },
    /// The transfer is over, and its report awaits the confirmation of the ACS.
    Finished(TransferReport),
}

/// The state of the device before an action began, kept to judge the result after a reboot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ApplyRecord {
    /// The value of SoftwareVersion.
    version: String,
    /// True if the action ends with a reboot.
    reboots: bool,
}

/// The content of TransferComplete or AutonomousTransferComplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferReport {
    /// The failure; `None` if the file was moved and is in use.
    pub failure: Option<Failure>,
    /// The CompleteTime in seconds since the Unix epoch; `None` if it is unknown.
    pub complete: Option<i64>,
}

/// A transfer in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    id: u32,
    request: TransferRequest,
    timing: Timing,
    stage: TransferStage,
    /// The number of attempts so far.
    attempts: u32,
    /// The number of interruptions in the current stage, by a kill or a power cut.
    interruptions: u32,
    /// The StartTime of the first attempt in seconds since the Unix epoch; `None` if it is unknown.
    began: Option<i64>,
    /// The size of the file in bytes, once it was moved.
    moved: Option<u64>,
}

/// The State of a transfer in GetAllQueuedTransfers (§A.4.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names of the standard
pub enum QueuedState {
    NotStarted = 1,
    InProgress = 2,
    Finishing = 3,
}

impl Transfer {
    /// Returns the number of the transfer, which no other transfer ever gets.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the arguments of the request.
    pub fn request(&self) -> &TransferRequest {
        &self.request
    }

    /// Returns the number of the current attempt, from 1; 0 before the first.
    pub fn attempt(&self) -> u32 {
        self.attempts
    }

    /// Returns the report; `None` while the transfer is not finished.
    pub fn report(&self) -> Option<&TransferReport> {
        match &self.stage {
            TransferStage::Finished(report) => Some(report),
            _ => None,
        }
    }

    /// Returns the StartTime in seconds since the Unix epoch; `None` if it is unknown.
    pub fn began(&self) -> Option<i64> {
        self.began
    }

    /// Returns the size of the moved file in bytes, or else the announced size.
    pub fn size(&self) -> u32 {
        self.moved.map_or(self.request.file_size, |bytes| u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    /// Returns true while the file is being moved.
    pub fn is_moving(&self) -> bool {
        self.stage == TransferStage::Moving
    }

    /// Returns the State for GetQueuedTransfers and GetAllQueuedTransfers (R243).
    pub fn queued_state(&self) -> QueuedState {
        match &self.stage {
            TransferStage::Waiting => QueuedState::NotStarted,
            TransferStage::Moving | TransferStage::Moved | TransferStage::Applying(_) => QueuedState::InProgress,
            TransferStage::Rebooting { .. } | TransferStage::Verifying { .. } | TransferStage::Finished(_) => {
                QueuedState::Finishing
            }
        }
    }

    /// Returns the stage in words, for `status`.
    pub fn state_name(&self) -> &'static str {
        match &self.stage {
            TransferStage::Waiting => "waiting",
            TransferStage::Moving => "moving",
            TransferStage::Moved => "moved",
            TransferStage::Applying(_) => "applying",
            TransferStage::Rebooting { .. } => "rebooting",
            TransferStage::Verifying { .. } => "verifying",
            TransferStage::Finished(TransferReport { failure: None, .. }) => "done",
            TransferStage::Finished(_) => "failed",
        }
    }

    /// Returns the method event of the report with its CommandKey, beside event 7; `None` for an autonomous transfer.
    pub fn method_event(&self) -> Option<Event> {
        let code = self.request.origin.method_event()?;
        Some(Event::of_command(code, self.request.command_key.clone()))
    }
}

#[cfg(test)]
mod tests;
