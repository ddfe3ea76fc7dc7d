//! The failure of a transfer: a fault code for the ACS, and a sentence for its operator.

use std::fmt;
use std::io;

use crate::cwmp::fault::FaultCode;
use crate::http::HttpError;

/// The longest `FaultString` of TransferComplete, in characters (R238).
const MAX_SENTENCE: usize = 256;

/// The failure of a transfer, or of a check of a file. `Display` is a sentence of at most 256 characters for the operator
/// of the ACS, without secrets, so that it fits into the FaultString of TransferComplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferError {
    fault: FaultCode,
    sentence: String,
    kind: FailureKind,
}

/// The prospects of another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureKind {
    /// The stop flag ended the attempt.
    Stopped,
    /// A later attempt may succeed.
    Transient,
    /// Every later attempt fails as well, until the file, the credentials or the URL change.
    Permanent,
}

impl TransferError {
    /// Returns the fault code for TransferComplete: one of 9001, 9002, 9010 to 9012, 9015 to 9019 (R238).
    pub fn fault(&self) -> FaultCode {
        self.fault
    }

    /// Returns true if the stop flag ended the attempt. Such an end is not reported: the transfer was cancelled, or goes on
    /// after the next start of the agent.
    pub fn is_stopped(&self) -> bool {
        self.kind == FailureKind::Stopped
    }

    /// Returns true if another attempt would fail as well: the file is missing or corrupted, or the credentials are
    /// rejected. Such an error ends a ScheduleDownload in its first window (R245).
    pub fn is_permanent(&self) -> bool {
        self.kind == FailureKind::Permanent
    }

    /// Returns an error that may disappear by itself.
    pub(super) fn transient(fault: FaultCode, sentence: impl Into<String>) -> TransferError {
        TransferError { fault, sentence: shortened(sentence.into()), kind: FailureKind::Transient }
    }

    /// Returns an error that lasts until an operator changes the file, the credentials or the URL.
    pub(super) fn permanent(fault: FaultCode, sentence: impl Into<String>) -> TransferError {
        TransferError { kind: FailureKind::Permanent, ..TransferError::transient(fault, sentence) }
    }

    /// Returns the failure of our own disk, which is full or broken; `action` names the step that failed.
    pub(super) fn of_disk(context: FaultContext, action: &str, error: &io::Error) -> TransferError {
        // A full disk is no fault of the agent: the operator can choose a smaller file. Any other error is internal.
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                TransferError::transient(
                    context.failure(),
                    format!("{action}: the device has no room left for the file"),
                )
            }
            _ => TransferError::transient(FaultCode::InternalError, format!("{action}: {error}")),
        }
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for TransferError {}

/// The direction and progress of a transfer, on which the fault code depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultContext {
    /// A download without a received byte.
    Download,
    /// A download of which a part was received.
    PartialDownload,
    /// An upload.
    Upload,
}

impl FaultContext {
    /// Returns the general fault code of the direction.
    pub(super) fn failure(self) -> FaultCode {
        match self {
            FaultContext::Download | FaultContext::PartialDownload => FaultCode::DownloadFailure,
            FaultContext::Upload => FaultCode::UploadFailure,
        }
    }

    /// Returns the failure that a failed exchange with the file server means.
    ///
    /// | cause | download | upload |
    /// |---|---|---|
    /// | unknown host, no connection, no TLS, a timeout or a lost connection before the first byte | 9015 | 9011 |
    /// | the same after a part of the file was received | 9017 | 9011 |
    /// | credentials rejected, missing, or withheld from an insecure server | 9012 | 9012 |
    /// | any other status than success: the server responds, but does not provide the file | 9016 | 9011 |
    /// | a redirect without a valid target, a compressed file, a response that is not HTTP | 9010 | 9011 |
    ///
    /// 9014 to 9019 refine 9010, a failed download, and no code refines 9011 (R252).
    pub(super) fn error(self, error: HttpError) -> TransferError {
        use FaultCode::{FileInaccessible, FileServerAuthentication, FileServerUnreachable};
        let sentence = error.to_string();
        let refined = |fault| if self == FaultContext::Upload { FaultCode::UploadFailure } else { fault };
        match error {
            // The fault code is never sent, since a stopped attempt is not reported.
            HttpError::Stopped => TransferError {
                fault: FaultCode::RequestDenied,
                sentence: "the transfer was stopped".into(),
                kind: FailureKind::Stopped,
            },
            HttpError::Resolve { .. } | HttpError::Connect { .. } => {
                TransferError::transient(refined(self.contact_lost()), sentence)
            }
            // A rejected certificate is 9015: operators read 9012 as "wrong user name or password".
            HttpError::Tls(_) => TransferError::transient(refined(FileServerUnreachable), sentence),
            HttpError::Timeout(_) | HttpError::Closed | HttpError::Io(_) => {
                TransferError::transient(refined(self.contact_lost()), sentence)
            }
            HttpError::Authentication { .. }
            | HttpError::InsecureBasic
            | HttpError::LeftTls
            | HttpError::UnusableCredentials => TransferError::permanent(FileServerAuthentication, sentence),
            HttpError::NoCredentials => TransferError::permanent(
                FileServerAuthentication,
                "the file server asks for a user name, and none was given",
            ),
            HttpError::Status { code, .. } => {
                let sentence = format!("the file server answered with HTTP status {code}{}", meaning(code));
                // These statuses describe the server's load of the moment; all others describe the request.
                match code {
                    408 | 425 | 429 | 500.. => TransferError::transient(refined(FileInaccessible), sentence),
                    _ => TransferError::permanent(refined(FileInaccessible), sentence),
                }
            }
            HttpError::Url(_) | HttpError::Redirect(_) | HttpError::Compressed(_) => {
                TransferError::permanent(self.failure(), sentence)
            }
            _ => TransferError::transient(self.failure(), sentence),
        }
    }

    /// Returns the code of a server that cannot be reached, or can no longer be reached.
    fn contact_lost(self) -> FaultCode {
        match self {
            FaultContext::PartialDownload => FaultCode::DownloadIncomplete,
            FaultContext::Download | FaultContext::Upload => FaultCode::FileServerUnreachable,
        }
    }
}

/// Returns the meaning of the statuses that a file server is likely to send.
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

/// Shortens a sentence to [`MAX_SENTENCE`] characters and replaces control characters, which may come from the server.
fn shortened(sentence: String) -> String {
    let is_fine = |c: char| !c.is_control();
    if sentence.len() <= MAX_SENTENCE && sentence.chars().all(is_fine) {
        return sentence;
    }
    // XML 1.0 forbids most control characters: one of them would make the whole TransferComplete invalid.
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
        [FaultContext::Download, FaultContext::PartialDownload, FaultContext::Upload]
            .map(|context| context.error(error.clone()).fault().number())
    }

    /// R252.
    #[test]
    fn each_failure_has_its_code() {
        let text = String::new;
        for (error, expected) in [
            (HttpError::Resolve { host: text(), reason: text() }, [9015, 9017, 9011]),
            (HttpError::Connect { addr: text(), reason: text(), unreached: true }, [9015, 9017, 9011]),
            (HttpError::Tls(text()), [9015, 9015, 9011]),
            (HttpError::Timeout("waiting"), [9015, 9017, 9011]),
            (HttpError::Closed, [9015, 9017, 9011]),
            (HttpError::Io(text()), [9015, 9017, 9011]),
            (HttpError::Authentication { text: String::new() }, [9012, 9012, 9012]),
            (HttpError::Status { code: 404, retry_after: None, text: String::new() }, [9016, 9016, 9011]),
            (HttpError::Redirect(text()), [9010, 9010, 9011]),
            (HttpError::Compressed("gzip"), [9010, 9010, 9011]),
            (HttpError::Protocol(text()), [9010, 9010, 9011]),
        ] {
            assert_eq!(codes(&error), expected, "{error:?}");
        }
    }

    /// A transient error may disappear by the next window of a ScheduleDownload (R245).
    #[test]
    fn says_whether_another_attempt_may_succeed() {
        let permanent = |error| FaultContext::Download.error(error).is_permanent();
        let status = |code| HttpError::Status { code, retry_after: None, text: String::new() };
        assert!(
            permanent(status(404))
                && permanent(status(403))
                && permanent(HttpError::Authentication { text: String::new() })
        );
        assert!(!permanent(status(503)) && !permanent(status(429)) && !permanent(HttpError::Closed));
        let stopped = FaultContext::Upload.error(HttpError::Stopped);
        assert!(stopped.is_stopped() && !stopped.is_permanent());
    }

    #[test]
    fn the_disk_has_codes_of_its_own() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let broken = io::Error::other("input/output error");
        let codes =
            |context| [&full, &broken].map(|error| TransferError::of_disk(context, "writing", error).fault().number());
        assert_eq!(codes(FaultContext::PartialDownload), [9010, 9002]);
        assert_eq!(codes(FaultContext::Upload), [9011, 9002]);
    }

    #[test]
    fn sentences_fit_into_a_fault_string() {
        let error = TransferError::transient(FaultCode::DownloadFailure, "ü".repeat(300));
        assert_eq!(error.to_string().chars().count(), 256);
        let error = TransferError::transient(FaultCode::DownloadFailure, "two\r\nlines");
        assert_eq!(error.to_string(), "two  lines");
    }
}
