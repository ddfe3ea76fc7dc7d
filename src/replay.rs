//! The command `replay`: plays the sessions of a trace against a fresh agent, and shows where its messages differ.
//!
//! ```text
//! file ──▶ Trace ──▶ for each session: events of its Inform ──▶ Device
//!                     ScriptedAcs (loopback) ◀──▶ AcsConnection ◀──▶ Session ◀──▶ Device, journal in a temporary directory
//!                     messages of the session ──▶ difference ──▶ stdout
//! ```
//!
//! The fresh agent has the data model, the state and the sessions of the real one, and nothing else: no listener, no transfer
//! and no action. A trace may hold a Reboot, a Download or the URL of a real ACS, and none of them may have an effect on the
//! device where the developer replays it.

mod difference;
mod scripted_acs;
mod stimulus;
mod test_device;
mod trace_file;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use self::difference::difference;
use self::test_device::TestDevice;
use self::trace_file::{Exchange, Reply, Trace, TracedSession};
use crate::config::Config;
use crate::cwmp::soap::{Document, EnvelopeBody, Message};
use crate::mistake::Mistakes;
use crate::output::print;

/// The encoding of a trace, whatever that of the recorded messages was.
const UTF_8: Option<&str> = Some("utf-8");

/// The largest trace that is read, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// Replays a trace and prints the differences. Returns the exit status: 0 without a difference, 1 with one and for an
/// unreadable trace, 78 for a wrong data model.
pub fn run(config: &Config, file: &Path) -> ExitCode {
    let trace = match read(file) {
        Ok(trace) => trace,
        Err(reason) => {
            eprintln!("cpe-agent: {}: {reason}", file.display());
            return ExitCode::FAILURE;
        }
    };
    let mut report = Report::default();
    match report.replay(config, &trace) {
        Ok(()) => {}
        Err(Failure::Model(mistakes)) => {
            mistakes.print();
            return ExitCode::from(Mistakes::EXIT);
        }
        Err(Failure::Other(reason)) => {
            eprintln!("cpe-agent: {reason}");
            return ExitCode::FAILURE;
        }
    }
    let printed = print(&report.finish());
    if report.differing == 0 && report.messages > 0 { printed } else { ExitCode::FAILURE }
}

fn read(file: &Path) -> Result<Trace, String> {
    let size = fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE {
        return Err(format!("is larger than {} MiB", MAX_FILE >> 20));
    }
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    Trace::read(&String::from_utf8_lossy(&bytes))
}

/// The reason for which a trace cannot be replayed at all.
enum Failure {
    /// The configuration or the data model is wrong.
    Model(Mistakes),
    Other(String),
}

/// The text for the developer, and what it counts.
#[derive(Default)]
struct Report {
    text: String,
    sessions: usize,
    messages: usize,
    differing: usize,
}

impl Report {
    fn replay(&mut self, config: &Config, trace: &Trace) -> Result<(), Failure> {
        let mut device = TestDevice::new(config, trace)?;
        device.take_notes().iter().for_each(|note| self.note(note));
        for (number, session) in trace.sessions.iter().enumerate() {
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(self.text, "session {} (line {}): {}", number + 1, session.line, session.events);
            if let Some(reason) = why_not(session) {
                self.note(&reason);
                continue;
            }
            self.sessions += 1;
            self.session(session, &mut device)?;
        }
        Ok(())
    }

    fn note(&mut self, note: &str) {
        let _ = writeln!(self.text, "  note: {note}");
    }

    /// Replays one session and compares its messages and its end.
    fn session(&mut self, session: &TracedSession, device: &mut TestDevice) -> Result<(), Failure> {
        let (replayed, left_out): (Vec<&Exchange>, Vec<&Exchange>) =
            session.exchanges.iter().partition(|exchange| !is_report(&exchange.request));
        for exchange in left_out {
            self.note(&format!("line {}: a replay makes no transfer, and leaves its report out", exchange.line));
        }
        let outcome = device.run(&replayed).map_err(Failure::Other)?;
        device.take_notes().iter().for_each(|note| self.note(note));
        for (number, exchange) in replayed.iter().enumerate() {
            self.messages += 1;
            let recorded = device.comparable(exchange.request.as_bytes());
            match outcome.messages.get(number) {
                _ if exchange.is_left_out => {
                    self.note(&format!("line {}: the message is not in the trace", exchange.line))
                }
                None => self.differs(exchange.line, &recorded, "    (the replay has ended before)\n"),
                Some(message) => {
                    if let Some(lines) = difference(&recorded, &device.comparable(message)) {
                        self.differs(exchange.line, &recorded, &lines);
                    }
                }
            }
        }
        let line = session.exchanges.last().map_or(session.line, |exchange| exchange.line);
        for message in outcome.messages.iter().skip(replayed.len()) {
            self.messages += 1;
            self.differs(
                line,
                &device.comparable(message),
                "    (the replay sends this message, and the trace lacks it)\n",
            );
        }
        self.compare_end(session, outcome.error.as_deref());
        Ok(())
    }

    fn compare_end(&mut self, session: &TracedSession, error: Option<&str>) {
        // A recording that was stopped within the session has no end to compare.
        let Some(recorded) = &session.end else { return };
        // Without a message of the ACS, the text tells of the network or of a body that is not in the trace.
        let has_message = |reply: &Reply| matches!(reply.status, 200 | 204) && !reply.is_left_out;
        let has_response = session.exchanges.last().and_then(|last| last.replies.last()).is_some_and(has_message);
        let is_same = match (recorded, error) {
            (Some(recorded), Some(error)) => !has_response || recorded == error,
            (recorded, error) => recorded.is_none() && error.is_none(),
        };
        if !is_same {
            self.differing += 1;
            let shown = |error: Option<&str>| error.map_or("ok".to_owned(), |error| format!("failed: {error}"));
            let _ = writeln!(self.text, "  end of the session\n    - {}", shown(recorded.as_deref()));
            let _ = writeln!(self.text, "    + {}", shown(error));
        }
    }

    fn differs(&mut self, line: usize, message: &str, lines: &str) {
        self.differing += 1;
        let _ = write!(self.text, "  line {line}: {}\n{lines}", name_of(message));
    }

    /// Returns the whole text, with the sum as its last line.
    fn finish(&self) -> String {
        let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        let counted = format!("{} in {}", plural(self.messages, "message"), plural(self.sessions, "session"));
        match (self.messages, self.differing) {
            (0, _) => format!("{}no message was replayed\n", self.text),
            (_, 0) => format!("{}{counted}: no difference\n", self.text),
            (_, differing) => {
                format!("{}{counted}: {}; - recorded, + replayed\n", self.text, plural(differing, "difference"))
            }
        }
    }
}

/// Returns the reason for which a session cannot be replayed.
fn why_not(session: &TracedSession) -> Option<String> {
    let is_gone = |exchange: &Exchange| exchange.replies.iter().any(|reply| reply.is_left_out && !reply.is_unreadable);
    let reason = match session.exchanges.first() {
        _ if session.has_gap => "the reader of the trace was too slow, and messages are missing",
        None => "it has no message",
        Some(first) if name_of(&first.request) != "Inform" => "its first message is no Inform",
        _ if session.exchanges.iter().any(is_gone) => "a message of the ACS was too long for the trace",
        _ => return None,
    };
    Some(format!("not replayed: {reason}"))
}

/// Returns the name of the RPC in a message, for the developer.
fn name_of(message: &str) -> String {
    if message.is_empty() {
        return "empty POST".into();
    }
    let decoded = Message::decode(message.as_bytes(), UTF_8);
    let document = decoded.as_ref().map(Message::document);
    match document.as_ref().map(|document| document.as_ref().map(Document::envelope)) {
        Ok(Ok(Ok(envelope))) => match envelope.body {
            EnvelopeBody::Rpc { name, .. } | EnvelopeBody::Foreign { name } => name.to_owned(),
            EnvelopeBody::Fault(_) => "Fault".into(),
            EnvelopeBody::Invalid { error, .. } => error.to_string(),
        },
        _ => "a text that is no message".into(),
    }
}

/// Returns true for a request of the CPE that reports a transfer.
fn is_report(message: &str) -> bool {
    matches!(&*name_of(message), "TransferComplete" | "AutonomousTransferComplete" | "RequestDownload")
}
