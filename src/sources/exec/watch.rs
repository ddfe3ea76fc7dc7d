//! Programs that tell of changes: each is started once, with the verb `watch`, and prints a line for each change.
//!
//! ```text
//! waiting ──retry_at──▶ running ──line──▶ a change
//!    ▲                     │ end, or a line without end
//!    └──── back-off ───────┘
//! ```
//!
//! The standard input of the program stays open until the agent ends, also by a crash: a program that reads it ends then.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use super::{PIECE, command};
use crate::change_watch::{BackOff, EventSource, SourceEvent};
use crate::log;
use crate::process::kill;
use crate::readiness::PollFlags;

/// The verb.
pub(in crate::sources) const WATCH: &str = "watch";

/// The most bytes of a line.
const MAX_LINE: usize = 4096;

/// A program with its verb.
pub(in crate::sources) struct WatchProgram {
    command: Vec<String>,
    running: Option<(Child, ChildStdout)>,
    back_off: BackOff,
    /// The bytes of the line that has not ended.
    line: usize,
    was_started: bool,
}

impl WatchProgram {
    pub(in crate::sources) fn new(command: Vec<String>) -> WatchProgram {
        WatchProgram { command, running: None, back_off: BackOff::default(), line: 0, was_started: false }
    }

    fn fail(&mut self, reason: &str, now: Duration) {
        if let Some((mut child, _)) = self.running.take() {
            kill(&mut child);
        }
        let (wait, is_first) = self.back_off.fail(now);
        // A warning for each further failure in a row would repeat the first one.
        let level = if is_first { log::Level::Warn } else { log::Level::Debug };
        log::log!(level, "exec {}: {reason}; it starts again in {} s", self.command.join(" "), wait.as_secs());
    }

    fn start(&mut self) -> Result<(), String> {
        let mut command = command(&self.command)?;
        // The agent's own standard error, as for reloads: nobody would read another pipe to its end.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let output = child.stdout.take().ok_or("it has no standard output")?;
        (self.running, self.line) = (Some((child, output)), 0);
        Ok(())
    }
}

impl EventSource for WatchProgram {
    fn on_turn(&mut self, now: Duration) -> Option<SourceEvent> {
        if self.running.is_some() || self.back_off.until() > now {
            return None;
        }
        match self.start() {
            Ok(()) => {
                self.back_off.begin(now);
                // What has changed before its start was not told.
                Some(if std::mem::replace(&mut self.was_started, true) {
                    SourceEvent::Returned
                } else {
                    SourceEvent::Changed
                })
            }
            Err(reason) => {
                self.fail(&reason, now);
                None
            }
        }
    }

    fn deadline(&self) -> Option<Duration> {
        self.running.is_none().then(|| self.back_off.until())
    }

    fn descriptor(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.running.as_ref().map(|(_, output)| (output.as_fd(), PollFlags::IN))
    }

    fn on_event(&mut self, now: Duration) -> Option<SourceEvent> {
        let (_, output) = self.running.as_mut()?;
        let mut piece = [0; PIECE];
        let reason = match output.read(&mut piece) {
            Ok(0) => "it has ended",
            Ok(length) => {
                let rest = piece[..length].iter().rev().take_while(|byte| **byte != b'\n').count();
                let has_line = rest < length;
                self.line = if has_line { rest } else { self.line + rest };
                match self.line > MAX_LINE {
                    true => "a line of more than 4 KiB",
                    false => return has_line.then_some(SourceEvent::Changed),
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return None,
            Err(_) => "its output cannot be read",
        };
        self.fail(reason, now);
        None
    }
}

impl Drop for WatchProgram {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.running {
            kill(child);
        }
    }
}
