//! The lines that `doctor` prints.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// A line is for a person; what a server says may be longer.
const MAX_TEXT: usize = 500;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is as it should be.
    Ok,
    /// The agent needs it, and it does not work.
    Failed,
    /// It works, or the agent can do without; somebody should have a look.
    Warning,
    /// It was not looked at.
    Skipped,
}

/// One line.
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
        // Some of it comes from the network: it stays on its line, and moves no cursor.
        let plain = self.text.chars().map(|c| if c.is_control() { ' ' } else { c });
        let text: String = plain.take(MAX_TEXT).collect();
        write!(f, "{verdict:<8} {:<14} {text}", self.subject)
    }
}

/// Prints each line as it is found, since the next may take seconds.
#[derive(Debug, Default)]
pub(super) struct FindingPrinter {
    has_failed: bool,
}

impl FindingPrinter {
    pub(super) fn add(&mut self, finding: Finding) {
        self.has_failed |= finding.verdict == Verdict::Failed;
        // Where nobody reads any more, the exit status still tells.
        let _ = writeln!(io::stdout().lock(), "{finding}");
    }

    pub(super) fn extend(&mut self, findings: Vec<Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

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
        assert_eq!(Finding::failed("TLS", "a\r\n\x1b[2Jb").to_string(), "FAILED   TLS            a   [2Jb");
        let long = Finding::skipped("STUN", "ü".repeat(10 * MAX_TEXT)).to_string();
        assert_eq!(long.chars().filter(|c| *c == 'ü').count(), MAX_TEXT);
    }
}
