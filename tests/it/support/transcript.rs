//! A recorded session as a sequence that a person can follow.
//!
//! ```text
//! session 1
//!   CPE ──▶ ACS  Inform  "0 BOOTSTRAP" "1 BOOT"  retry 0
//!                  Device.DeviceInfo.SoftwareVersion = 1.0.0
//!                  … and 5 more
//!   CPE ◀── ACS  200  InformResponse
//! ```

use std::io::IsTerminal as _;

use super::message::Message;
use super::record::{Exchange, Outcome, Session};

/// The number of names or values that a report of the tests shows.
const SHOWN: usize = 8;
const WIDTH: usize = 100;

const GREEN: &str = "32";
const BLUE: &str = "36";
const RED: &str = "31";
const DIM: &str = "2";
const BOLD: &str = "1";

/// Renders a session with all its values, in colour if standard output is a terminal.
#[allow(dead_code, reason = "the examples show sessions")]
pub fn transcript(session: &Session) -> String {
    tell(session, &[], std::io::stdout().is_terminal(), usize::MAX)
}

/// Renders a session with or without colour.
pub fn render(session: &Session, colour: bool) -> String {
    tell(session, &[], colour, SHOWN)
}

/// Renders a session with remarks. A remark stands before the answer of the ACS to which it belongs, such as
/// `GetParameterValues` or `401`; the remarks are in the order of the session. The text is in colour if standard output
/// is a terminal.
#[allow(dead_code, reason = "the examples show sessions")]
pub fn narrated(session: &Session, remarks: &[(&str, &str)]) -> String {
    tell(session, remarks, std::io::stdout().is_terminal(), SHOWN)
}

fn tell(session: &Session, remarks: &[(&str, &str)], colour: bool, shown: usize) -> String {
    let mut page = Page { text: String::new(), colour, shown };
    page.line(&format!("session {}", session.number));
    let mut remarks = remarks.iter().peekable();
    let mut connection = 0;
    for exchange in &session.exchanges {
        if connection != 0 && connection != exchange.connection {
            page.note("(a new TCP connection)");
        }
        connection = exchange.connection;
        page.request(exchange);
        let is_meant = |about: &str| about == exchange.answer.what || about == exchange.answer.status.to_string();
        if let Some((_, remark)) = remarks.next_if(|(about, _)| is_meant(about)) {
            page.remark(remark);
        }
        page.answer(exchange);
    }
    let end = match &session.outcome {
        Outcome::Complete => page.paint(GREEN, "complete"),
        Outcome::Failed(why) => page.paint(RED, &format!("failed: {why}")),
        Outcome::Abandoned(why) => page.paint(RED, &format!("abandoned: {why}")),
    };
    let time = session.duration().as_secs_f64() * 1000.0;
    page.line(&format!("  {end}, {} exchanges in {time:.1} ms", session.exchanges.len()));
    page.text
}

struct Page {
    text: String,
    colour: bool,
    /// The number of names or values that are shown; the rest is counted.
    shown: usize,
}

impl Page {
    fn request(&mut self, exchange: &Exchange) {
        let arrow = self.paint(BLUE, "CPE ──▶ ACS");
        let credentials = match exchange.request.header("Authorization") {
            None => String::new(),
            Some(header) => {
                let scheme = header.split(' ').next().unwrap_or_default();
                self.paint(DIM, &format!("  ({scheme} credentials)"))
            }
        };
        let (what, details) = match &exchange.message {
            Some(message) => (headline(message), details(message)),
            None if exchange.request.body.is_empty() => ("empty POST".to_owned(), Vec::new()),
            None => ("something unreadable".to_owned(), Vec::new()),
        };
        self.line(&format!("  {arrow}  {what}{credentials}"));
        // A message that the CPE repeats after a 401 or a redirect is shown once.
        if exchange.was_taken() {
            self.details(&details);
        }
    }

    fn answer(&mut self, exchange: &Exchange) {
        let answer = &exchange.answer;
        let arrow = self.paint(GREEN, "CPE ◀── ACS");
        let status = match answer.status {
            0 => self.paint(RED, "(no answer)"),
            code @ 400.. => self.paint(RED, &code.to_string()),
            code => code.to_string(),
        };
        let what = match answer.status {
            204 => "nothing more".to_owned(),
            401 => "Unauthorized".to_owned(),
            _ => answer.what.clone(),
        };
        self.line(&format!("  {arrow}  {status}  {what}"));
        self.details(&answer.details);
        for (name, value) in &answer.headers {
            if name == "WWW-Authenticate" || name == "Location" || name == "Retry-After" {
                self.note(&format!("{name}: {value}"));
            }
        }
    }

    fn details(&mut self, lines: &[String]) {
        // One line that says "and 1 more" would take no less room than the line itself.
        let shown = if lines.len() <= self.shown.saturating_add(1) { lines.len() } else { self.shown };
        for line in &lines[..shown] {
            self.note(line);
        }
        if shown < lines.len() {
            self.note(&format!("… and {} more", lines.len() - shown));
        }
    }

    fn remark(&mut self, text: &str) {
        self.line("");
        for line in text.lines() {
            let line = self.paint(BOLD, line.trim());
            self.line(&format!("  {line}"));
        }
    }

    fn note(&mut self, text: &str) {
        // A reader of all values needs each of them whole.
        let width = if self.shown == usize::MAX { usize::MAX } else { WIDTH };
        let mut short: String = text.chars().take(width).collect();
        if text.chars().count() > width {
            short.push('…');
        }
        let short = short.replace(['\n', '\r'], " ");
        let line = self.paint(DIM, &short);
        self.line(&format!("                 {line}"));
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        match self.colour {
            true => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

fn headline(message: &Message) -> String {
    let mut words = message.method.clone();
    for event in &message.events {
        words += &format!("  {:?}", event.code);
        if !event.command_key.is_empty() {
            words += &format!(" ({})", event.command_key);
        }
    }
    if let Some(count) = message.retry_count() {
        words += &format!("  retry {count}");
    }
    if let Some(fault) = message.fault.as_ref().filter(|_| message.is_fault()) {
        words += &format!("  {} {}", fault.code, fault.text);
    }
    words
}

fn details(message: &Message) -> Vec<String> {
    let mut lines = Vec::new();
    if !message.is_inform() {
        let arguments = message.arguments.iter();
        lines.extend(arguments.map(|(name, value)| format!("{name} = {value}")));
    }
    let parameters = message.parameters.iter();
    lines.extend(parameters.map(|entry| format!("{} = {}", entry.name, entry.value)));
    lines.extend(message.names.iter().map(|entry| match entry.writable {
        true => format!("{} (writable)", entry.name),
        false => entry.name.clone(),
    }));
    lines.extend(message.attributes.iter().map(|entry| {
        format!("{}: notification {}, access list {:?}", entry.name, entry.notification, entry.access_list)
    }));
    lines.extend(message.methods.iter().cloned());
    for transfer in &message.transfers {
        let fields: Vec<String> = transfer.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        lines.push(fields.join(", "));
    }
    if let Some(fault) = &message.fault {
        if !message.is_fault() {
            lines.push(format!("FaultCode = {} {}", fault.code, fault.text));
        }
        let parameters = fault.parameters.iter();
        lines.extend(parameters.map(|(name, code, text)| format!("{name}: {code} {text}")));
    }
    lines
}
