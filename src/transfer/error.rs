//! Why a transfer failed: a fault code for the ACS, and a sentence for its operator.

use std::fmt;
use std::io;

use crate::cwmp::fault::FaultCode;
use crate::http::HttpError;

/// `FaultString` of TransferComplete (R238).
const MAX_SENTENCE: usize = 256;

/// Why a transfer, or a check of a file, failed. `Display` is a sentence of at most 256 characters for the operator
/// of the ACS, without secrets; it fits into the FaultString of TransferComplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferError {
    fault: FaultCode,
    sentence: String,
    kind: FailureKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureKind {
    Stopped,
    /// Another attempt may succeed.
    Transient,
    /// Another attempt will fail as this one did, until somebody changes something.
    Permanent,
}

impl TransferError {
    /// The code for TransferComplete: one of 9001, 9002, 9010 to 9012, 9015 to 9019 (R238).
    pub fn fault(&self) -> FaultCode {
        self.fault
    }

    /// Whether it was ended by the stop flag. That is no failure to be reported: the transfer was cancelled, or goes
    /// on when the agent runs again.
    pub fn is_stopped(&self) -> bool {
        self.kind == FailureKind::Stopped
    }

    /// Whether another attempt would fail as well, by what is known: a file that is not there, refused credentials, a
    /// corrupted file. R245: such an error ends a ScheduleDownload in its first window.
    pub fn is_permanent(&self) -> bool {
        self.kind == FailureKind::Permanent
    }

    /// An error that may pass by itself.
    pub(super) fn transient(fault: FaultCode, sentence: impl Into<String>) -> TransferError {
        TransferError { fault, sentence: shortened(sentence.into()), kind: FailureKind::Transient }
    }

    /// An error that needs somebody to change something.
    pub(super) fn permanent(fault: FaultCode, sentence: impl Into<String>) -> TransferError {
        TransferError { kind: FailureKind::Permanent, ..TransferError::transient(fault, sentence) }
    }

    /// Our own disk failed us: full, or broken.
    pub(super) fn of_disk(stage: TransferStage, what: &str, error: &io::Error) -> TransferError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                TransferError::transient(stage.failure(), format!("{what}: the device has no room left for the file"))
            }
            _ => TransferError::transient(FaultCode::InternalError, format!("{what}: {error}")),
        }
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for TransferError {}

/// Which way a file goes, and how far it has come: what the code of a fault depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransferStage {
    /// A download of which nothing has come yet.
    Download,
    /// A download of which a part is here.
    PartialDownload,
    Upload,
}

impl TransferStage {
    /// The code that says no more than that it failed.
    pub(super) fn failure(self) -> FaultCode {
        match self {
            TransferStage::Download | TransferStage::PartialDownload => FaultCode::DownloadFailure,
            TransferStage::Upload => FaultCode::UploadFailure,
        }
    }

    /// What the failed exchange with the file server comes to.
    ///
    /// | what happened | download | upload |
    /// |---|---|---|
    /// | no such host, no connection, no TLS, silence or a lost connection before the file began | 9015 | 9011 |
    /// | the same once a part of the file was here | 9017 | 9011 |
    /// | credentials refused, or not told to a stranger | 9012 | 9012 |
    /// | any other status than success: the server is there, the file is not to be had | 9016 | 9011 |
    /// | a redirect that leads nowhere, an answer that is no HTTP | 9010 | 9011 |
    ///
    /// R252: 9014 to 9019 refine 9010, a failed download, and nothing refines 9011. A certificate that does not
    /// convince is 9015 and not 9012, which operators read as "wrong user name or password".
    pub(super) fn error(self, error: HttpError) -> TransferError {
        use FaultCode::{FileInaccessible, FileServerAuthentication, FileServerUnreachable};
        let sentence = error.to_string();
        let refined = |fault| if self == TransferStage::Upload { FaultCode::UploadFailure } else { fault };
        match error {
            HttpError::Stopped => TransferError {
                fault: FaultCode::RequestDenied,
                sentence: "the transfer was stopped".into(),
                kind: FailureKind::Stopped,
            },
            HttpError::Resolve { .. } | HttpError::Connect { .. } => {
                TransferError::transient(refined(self.contact_lost()), sentence)
            }
            HttpError::Tls(_) => TransferError::transient(refined(FileServerUnreachable), sentence),
            HttpError::Timeout(_) | HttpError::Closed | HttpError::Io(_) => {
                TransferError::transient(refined(self.contact_lost()), sentence)
            }
            HttpError::Authentication | HttpError::InsecureBasic => {
                TransferError::permanent(FileServerAuthentication, sentence)
            }
            HttpError::NoCredentials => TransferError::permanent(
                FileServerAuthentication,
                "the file server asks for a user name, and none was given",
            ),
            HttpError::Status { code, .. } => {
                let sentence = format!("the file server answered with HTTP status {code}{}", meaning(code));
                match code {
                    408 | 425 | 429 | 500.. => TransferError::transient(refined(FileInaccessible), sentence),
                    _ => TransferError::permanent(refined(FileInaccessible), sentence),
                }
            }
            HttpError::Url(_) | HttpError::Redirect(_) => TransferError::permanent(self.failure(), sentence),
            _ => TransferError::transient(self.failure(), sentence),
        }
    }

    fn contact_lost(self) -> FaultCode {
        match self {
            TransferStage::PartialDownload => FaultCode::DownloadIncomplete,
            TransferStage::Download | TransferStage::Upload => FaultCode::FileServerUnreachable,
        }
    }
}

/// The statuses that a file server is likely to answer.
fn meaning(status: u16) -> &'static str {
    match status {
        403 => " (forbidden)",
        404 => " (not found)",
        405 => " (method not allowed)",
        409 => " (conflict)",
        410 => " (gone)",
        411 => " (length required)",
        413 => " (too large)",
        416 => " (range not satisfiable)",
        500 => " (internal server error)",
        502 => " (bad gateway)",
        503 => " (service unavailable)",
        507 => " (insufficient storage)",
        _ => "",
    }
}

/// At most [`MAX_SENTENCE`] characters, none of them a control character.
fn shortened(sentence: String) -> String {
    let is_fine = |c: char| !c.is_control();
    if sentence.len() <= MAX_SENTENCE && sentence.chars().all(is_fine) {
        return sentence;
    }
    let clean: Vec<char> = sentence.chars().map(|c| if is_fine(c) { c } else { ' ' }).collect();
    match clean.len() > MAX_SENTENCE {
        true => clean[..MAX_SENTENCE - 1].iter().chain(&['…']).collect(),
        false => clean.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(error: &HttpError) -> [u16; 3] {
        [TransferStage::Download, TransferStage::PartialDownload, TransferStage::Upload]
            .map(|stage| stage.error(error.clone()).fault().number())
    }

    /// R252.
    #[test]
    fn each_failure_has_its_code() {
        let text = String::new;
        for (error, expected) in [
            (HttpError::Resolve { host: text(), reason: text() }, [9015, 9017, 9011]),
            (HttpError::Connect { addr: text(), reason: text() }, [9015, 9017, 9011]),
            (HttpError::Tls(text()), [9015, 9015, 9011]),
            (HttpError::Timeout("waiting"), [9015, 9017, 9011]),
            (HttpError::Closed, [9015, 9017, 9011]),
            (HttpError::Io(text()), [9015, 9017, 9011]),
            (HttpError::Authentication, [9012, 9012, 9012]),
            (HttpError::Status { code: 404, retry_after: None }, [9016, 9016, 9011]),
            (HttpError::Redirect(text()), [9010, 9010, 9011]),
            (HttpError::Protocol(text()), [9010, 9010, 9011]),
        ] {
            assert_eq!(codes(&error), expected, "{error:?}");
        }
    }

    /// What another window may mend, and what not.
    #[test]
    fn says_whether_another_attempt_may_succeed() {
        let permanent = |error| TransferStage::Download.error(error).is_permanent();
        let status = |code| HttpError::Status { code, retry_after: None };
        assert!(permanent(status(404)) && permanent(status(403)) && permanent(HttpError::Authentication));
        assert!(!permanent(status(503)) && !permanent(status(429)) && !permanent(HttpError::Closed));
        let stopped = TransferStage::Upload.error(HttpError::Stopped);
        assert!(stopped.is_stopped() && !stopped.is_permanent());
    }

    #[test]
    fn the_disk_has_codes_of_its_own() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let broken = io::Error::other("input/output error");
        let codes =
            |stage| [&full, &broken].map(|error| TransferError::of_disk(stage, "writing", error).fault().number());
        assert_eq!(codes(TransferStage::PartialDownload), [9010, 9002]);
        assert_eq!(codes(TransferStage::Upload), [9011, 9002]);
    }

    #[test]
    fn sentences_fit_into_a_fault_string() {
        let error = TransferError::transient(FaultCode::DownloadFailure, "ü".repeat(300));
        assert_eq!(error.to_string().chars().count(), 256);
        let error = TransferError::transient(FaultCode::DownloadFailure, "two\r\nlines");
        assert_eq!(error.to_string(), "two  lines");
    }
}
