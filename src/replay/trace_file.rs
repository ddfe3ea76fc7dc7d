//! Reads the text of a trace (`docs/trace.md`).

use crate::trace::{BODY, FIELD, FIRST_LINE, LEFT_OUT};

/// The content of a trace.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) models: Vec<String>,
    /// The factory values of the configuration: name and value.
    pub(super) factory_values: Vec<(String, String)>,
    /// The stored changes, as the journal writes them.
    pub(super) changes: Vec<String>,
    pub(super) runtime_values: Vec<(String, String)>,
    pub(super) sessions: Vec<TracedSession>,
}

/// A session of a trace.
#[derive(Debug)]
pub(super) struct TracedSession {
    /// The number of its first line.
    pub(super) line: usize,
    pub(super) events: String,
    pub(super) exchanges: Vec<Exchange>,
    /// The end: `Some(None)` for a success, `Some` with the error otherwise; `None` if the recording was stopped before.
    pub(super) end: Option<Option<String>>,
    /// True if messages of it are missing.
    pub(super) has_gap: bool,
}

/// A message of the CPE with the responses to it.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) line: usize,
    /// The message; empty for the empty POST.
    pub(super) request: String,
    /// True if a line stands in place of the message.
    pub(super) is_left_out: bool,
    /// Challenges and redirects, and the final response; empty if none came.
    pub(super) replies: Vec<Reply>,
}

/// A response of the ACS.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// The header fields, `name: value` each.
    pub(super) fields: Vec<String>,
    pub(super) body: String,
    /// True if a line stands in place of the message.
    pub(super) is_left_out: bool,
    /// True if that line says that the message is no XML: any text that is none has the same effect.
    pub(super) is_unreadable: bool,
}

impl Trace {
    /// Reads a trace. The error names the line.
    pub(super) fn read(text: &str) -> Result<Trace, String> {
        let mut trace = Trace::default();
        let mut lines = text.split('\n').enumerate();
        match lines.next() {
            Some((_, first)) if first.trim_end() == FIRST_LINE => {}
            _ => return Err(format!("is no trace: the first line is not `{FIRST_LINE}`")),
        }
        for (at, line) in lines {
            trace.line(at + 1, line).map_err(|reason| format!("line {}: {reason}", at + 1))?;
        }
        trace.sessions.iter_mut().flat_map(|session| &mut session.exchanges).for_each(Exchange::finish);
        Ok(trace)
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if let Some(part) = line.strip_prefix(BODY) {
            let exchange = self.exchange("a message")?;
            let message = exchange.replies.last_mut().map_or(&mut exchange.request, |reply| &mut reply.body);
            // The line end stands before a line, so that the last one has none.
            message.push_str(part);
            message.push('\n');
            return Ok(());
        }
        if let Some(field) = line.strip_prefix(FIELD) {
            let reply = self.exchange("a header field")?.replies.last_mut();
            reply.ok_or("a header field stands before its response")?.fields.push(field.trim_end().to_owned());
            return Ok(());
        }
        let line = line.trim_end();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let pair = || rest.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        match word {
            "" | "version" | "date" => {}
            _ if word.starts_with('#') => {}
            "model" => self.models.push(rest.to_owned()),
            "set" => self.factory_values.push(pair().ok_or("NAME=VALUE is expected")?),
            "value" => self.runtime_values.push(pair().ok_or("NAME=VALUE is expected")?),
            "stored" => self.changes.push(rest.to_owned()),
            "session" => {
                let events = rest.splitn(3, ' ').nth(2).unwrap_or_default().to_owned();
                let exchanges = Vec::new();
                self.sessions.push(TracedSession { line: number, events, exchanges, end: None, has_gap: false });
            }
            ">" => {
                let exchange =
                    Exchange { line: number, request: String::new(), is_left_out: false, replies: Vec::new() };
                self.session()?.exchanges.push(exchange);
            }
            "<" => {
                let status = rest.split(' ').nth(1).and_then(|status| status.parse().ok());
                let status = status.ok_or("the time and the status of the response are expected")?;
                let (fields, body) = (Vec::new(), String::new());
                let reply = Reply { status, fields, body, is_left_out: false, is_unreadable: false };
                self.exchange("a response")?.replies.push(reply);
            }
            "end" => {
                let result = rest.split_once(' ').map_or("", |(_, result)| result);
                self.session()?.end = Some(result.strip_prefix("failed: ").map(str::to_owned));
            }
            "lost" => {
                if let Some(session) = self.sessions.last_mut() {
                    session.has_gap = true;
                }
            }
            _ => return Err(format!("`{}` is no word of a trace", word.chars().take(40).collect::<String>())),
        }
        Ok(())
    }

    fn session(&mut self) -> Result<&mut TracedSession, String> {
        self.sessions.last_mut().ok_or_else(|| "it stands before the first session".to_owned())
    }

    fn exchange(&mut self, what: &str) -> Result<&mut Exchange, String> {
        let exchange = self.session()?.exchanges.last_mut();
        exchange.ok_or_else(|| format!("{what} stands before the first request of its session"))
    }
}

impl Exchange {
    /// Removes the last line end of each message, and recognises the lines that stand in place of one.
    fn finish(&mut self) {
        self.request.pop();
        self.is_left_out = self.request.starts_with(LEFT_OUT);
        for reply in &mut self.replies {
            reply.body.pop();
            reply.is_left_out = reply.body.starts_with(LEFT_OUT);
            reply.is_unreadable = reply.is_left_out && !reply.body.contains(crate::trace::TOO_LONG);
        }
    }
}
