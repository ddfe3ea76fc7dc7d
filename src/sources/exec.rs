//! Programs as sources.
//!
//! ```text
//! start ──▶ up to 8 run side by side, the others wait ──▶ finish: one poll(2) over all their pipes ──▶ answers
//! ```
//!
//! The agent writes a line for each field to the standard input of a program, which writes a line with the value of each field
//! to its standard output. `docs/data-model.md` describes both. No shell runs, and no text of the device or of the ACS is an
//! argument.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::lines;
use crate::clock::Clock;
use crate::model::source::{Answer, Query, Response, Target};
use crate::process::kill;
use crate::readiness::{Interest, PollFlags, wait};

#[cfg(feature = "diagnostics")]
mod run;
#[cfg(feature = "source-exec")]
pub(super) mod watch;

#[cfg(feature = "diagnostics")]
pub(crate) use run::run_program;

/// The verbs by which a program changes the device, or checks a change.
pub(super) const CHECK: &str = "check";
pub(super) const SET: &str = "set";
pub(super) const ADD: &str = "add";
pub(super) const DELETE: &str = "delete";
const CHANGES: [&str; 4] = [CHECK, SET, ADD, DELETE];

/// The most programs that run at the same time.
const MAX_RUNNING: usize = 8;

/// The most bytes that a program may write to its standard output.
const MAX_OUTPUT: usize = 256 * 1024;

/// The most bytes of the last line of the standard error that the log shows.
const MAX_ERROR: usize = 200;

/// The most bytes of one write to a pipe: a pipe that is ready takes as many without blocking (PIPE_BUF).
const PIECE: usize = 4096;

/// The longest wait between two looks at the state of the programs. A program whose child keeps the pipe open ends unnoticed by
/// poll(2).
const LOOK: Duration = Duration::from_millis(20);

/// The environment of a program: that of the agent depends on how it was started.
const ENVIRONMENT: [(&str, &str); 2] = [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C")];

/// The exit status by which a program refuses.
const REFUSED: i32 = 77;

/// The begin of the reason by which a program refuses as a whole.
pub(super) const REFUSES: &str = "it refuses";

/// The programs of one round of questions.
pub(super) struct Programs<'q> {
    clock: Clock,
    /// The instant of the monotonic clock at which the whole request has used up its time.
    deadline: Duration,
    waiting: VecDeque<(usize, &'q Query)>,
    running: Vec<Program>,
    responses: Vec<(usize, Response)>,
}

/// A program that runs.
struct Program {
    /// The number of the question.
    number: usize,
    child: Child,
    /// The rest of the standard input.
    input: VecDeque<u8>,
    /// True if the output is refusals, and no rows.
    is_change: bool,
    output: Vec<u8>,
    errors: Vec<u8>,
    /// The instants of the monotonic clock at which the program was started, and at which it counts as hung.
    began: Duration,
    deadline: Duration,
}

impl<'q> Programs<'q> {
    /// Starts the programs of these questions.
    pub(super) fn start(queries: &'q [Query], clock: Clock, deadline: Duration) -> Programs<'q> {
        let is_program = |(_, query): &(usize, &Query)| matches!(query.target, Target::Exec { .. });
        let waiting = queries.iter().enumerate().filter(is_program).collect();
        let mut programs = Programs { clock, deadline, waiting, running: Vec::new(), responses: Vec::new() };
        programs.start_waiting();
        programs
    }

    fn start_waiting(&mut self) {
        while self.running.len() < MAX_RUNNING
            && let Some((number, query)) = self.waiting.pop_front()
        {
            let Target::Exec { command, input } = &query.target else { continue };
            let limit = Duration::from_secs(query.limit.into());
            let began = self.clock.now().monotonic;
            let deadline = self.deadline.min(began + limit);
            match start(command) {
                Ok(child) => self.running.push(Program {
                    number,
                    child,
                    input: input.bytes().collect(),
                    is_change: command.last().is_some_and(|verb| CHANGES.contains(&verb.as_str())),
                    output: Vec::new(),
                    errors: Vec::new(),
                    began,
                    deadline,
                }),
                Err(reason) => self.responses.push((number, Response::failed(reason))),
            }
        }
    }

    /// Waits until all programs have answered, used up their time, or the agent is to end.
    pub(super) fn finish(&mut self, stop: &AtomicBool) -> Vec<(usize, Response)> {
        while !self.running.is_empty() {
            let now = self.clock.now().monotonic;
            let is_stopping = stop.load(Ordering::Relaxed);
            let responses = &mut self.responses;
            self.running.retain_mut(|program| match program.look(now, is_stopping) {
                Some(answer) => {
                    responses.push((program.number, Response { answer, took: now.saturating_sub(program.began) }));
                    false
                }
                None => true,
            });
            self.start_waiting();
            self.exchange();
        }
        std::mem::take(&mut self.responses)
    }

    /// Waits for the pipes and moves what they hold.
    fn exchange(&mut self) {
        let mut interests: Vec<Interest<'_>> = Vec::new();
        for Program { child, .. } in &self.running {
            interests.extend(child.stdin.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::OUT)));
            interests.extend(child.stdout.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)));
            interests.extend(child.stderr.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN)));
        }
        if self.running.is_empty() {
            return;
        }
        let mut ready = wait(&interests, Some(LOOK)).into_iter();
        drop(interests);
        let mut is_ready = || ready.next().is_some_and(|flags| !flags.is_empty());
        for program in &mut self.running {
            let Program { child, input, output, errors, .. } = program;
            if child.stdin.is_some() && is_ready() {
                feed(child, input);
            }
            if child.stdout.is_some() && is_ready() {
                take(&mut child.stdout, output, MAX_OUTPUT);
            }
            if child.stderr.is_some() && is_ready() {
                take(&mut child.stderr, errors, MAX_OUTPUT);
                let surplus = errors.len().saturating_sub(MAX_ERROR);
                errors.drain(..surplus);
            }
        }
    }
}

impl Program {
    /// Returns the answer of a program that has ended or must end; `None` while it runs.
    fn look(&mut self, now: Duration, is_stopping: bool) -> Option<Result<Answer, String>> {
        let reason = match self.child.try_wait() {
            _ if self.output.len() > MAX_OUTPUT => format!("more than {} KiB of output", MAX_OUTPUT >> 10),
            Ok(Some(status)) => {
                // A child of the program may keep the pipe open: what the program itself wrote is there by now.
                drain(&mut self.child.stdout, &mut self.output);
                drain(&mut self.child.stderr, &mut self.errors);
                return Some(self.answer(status));
            }
            Ok(None) if is_stopping => "the agent is stopping".to_owned(),
            Ok(None) if now >= self.deadline => "it hangs, and was killed".to_owned(),
            Ok(None) => return None,
            Err(error) => error.to_string(),
        };
        kill(&mut self.child);
        Some(Err(reason))
    }

    fn answer(&self, status: ExitStatus) -> Result<Answer, String> {
        let last = String::from_utf8_lossy(&self.errors);
        let last = last.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.map(|line| format!(": {}", line.escape_debug())).unwrap_or_default();
        match (status.code(), status.signal()) {
            (Some(0), _) if self.is_change => Ok(Answer::Text(String::from_utf8_lossy(&self.output).into_owned())),
            (Some(0), _) => lines::parse(&self.output).map(Answer::Rows),
            (Some(REFUSED), _) => Err(format!("{REFUSES}{last}")),
            (Some(code), _) => Err(format!("exit status {code}{last}")),
            (None, signal) => Err(format!("ended by signal {}{last}", signal.unwrap_or(0))),
        }
    }
}

/// Starts a program with pipes.
fn start(words: &[String]) -> Result<Child, String> {
    let mut command = command(words)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|error| error.to_string())
}

/// Returns the command of a program, in a process group of its own.
fn command(command: &[String]) -> Result<Command, String> {
    let Some((program, arguments)) = command.split_first() else { return Err("no program".to_owned()) };
    let metadata = fs::metadata(program).map_err(|error| error.to_string())?;
    // Whoever can write the program would run as the agent, which is root.
    if metadata.mode() & 0o022 != 0 {
        return Err("the program can be written by its group or by others".to_owned());
    }
    let mut command = Command::new(program);
    command.args(arguments).process_group(0).current_dir("/").env_clear().envs(ENVIRONMENT);
    Ok(command)
}

/// Writes a piece of the input, and closes the pipe behind the last one.
fn feed(child: &mut Child, input: &mut VecDeque<u8>) {
    let Some(pipe) = &mut child.stdin else { return };
    let (piece, _) = input.as_slices();
    let written = match pipe.write(&piece[..piece.len().min(PIECE)]) {
        Ok(written) => written,
        // The program has closed its input: some need none.
        Err(_) => input.len(),
    };
    input.drain(..written);
    if input.is_empty() {
        child.stdin = None;
    }
}

/// Reads a piece of a pipe, and drops a pipe that has ended.
fn take<R: Read>(pipe: &mut Option<R>, into: &mut Vec<u8>, limit: usize) {
    let mut piece = [0; PIECE];
    match pipe.as_mut().map(|pipe| pipe.read(&mut piece)) {
        Some(Ok(length)) if length > 0 && into.len() <= limit => into.extend_from_slice(&piece[..length]),
        Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
        _ => *pipe = None,
    }
}

/// Reads what a pipe holds, without waiting for its end.
fn drain<R: Read + AsFd>(pipe: &mut Option<R>, into: &mut Vec<u8>) {
    while let Some(open) = pipe
        && !wait(&[(open.as_fd(), PollFlags::IN)], Some(Duration::ZERO))[0].is_empty()
        && into.len() <= MAX_OUTPUT
    {
        take(pipe, into, MAX_OUTPUT);
    }
}

#[cfg(test)]
mod tests;
