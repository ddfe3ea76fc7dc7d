//! The findings of `doctor`, one line each.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::foreign_text::one_line;

/// The longest text of a line, in characters: a text from a server may have any length.
const MAX_TEXT: usize = 500;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The part works.
    Ok,
    /// The part does not work, and the agent needs it.
    Failed,
    /// The part works or is not needed, but an operator should look at it.
    Warning,
    /// The part was not checked.
    Skipped,
}

/// A line of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) subject: &'static str,
    pub(super) text: String,
}

impl Finding {
    pub(super) fn ok(subject: &'static str, text: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Ok, subject, text: text.into() }
    }

    pub(super) fn failed(subject: &'static str, text: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Failed, subject, text: text.into() }
    }

    pub(super) fn warning(subject: &'static str, text: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Warning, subject, text: text.into() }
    }

    pub(super) fn skipped(subject: &'static str, text: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Skipped, subject, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Failed => "FAILED",
            Verdict::Warning => "warning",
            Verdict::Skipped => "skipped",
        };
        // A part of the text comes from the network. A control character could end the line or move the cursor of the
        // terminal.
        write!(f, "{verdict:<8} {:<14} {}", self.subject, one_line(&self.text, MAX_TEXT))
    }
}

/// Prints each finding at once, since the next one may take seconds, and keeps the exit status.
#[derive(Debug, Default)]
pub(super) struct FindingPrinter {
    has_failed: bool,
}

impl FindingPrinter {
    /// Prints a finding.
    pub(super) fn add(&mut self, finding: Finding) {
        self.has_failed |= finding.verdict == Verdict::Failed;
        // A closed pipe is no reason to stop: the exit status still tells the result.
        let _ = writeln!(io::stdout().lock(), "{finding}");
    }

    /// Prints several findings.
    pub(super) fn extend(&mut self, findings: Vec<Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    /// Returns status 1 if one of the findings is a failure.
    pub(super) fn exit_code(&self) -> ExitCode {
        if self.has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_its_verdict_and_stays_one() {
        assert_eq!(Finding::ok("clock", "set").to_string(), "ok       clock          set");
        assert_eq!(Finding::failed("TLS", "a\r\n\x1b[2Jb").to_string(), "FAILED   TLS            a [2Jb");
        let long = Finding::skipped("STUN", "ü".repeat(10 * MAX_TEXT)).to_string();
        assert_eq!(long.chars().filter(|c| *c == 'ü').count(), MAX_TEXT);
    }
}
