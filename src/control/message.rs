//! What goes over the control socket: one request line, one answer line.
//!
//! A request is a JSON list of the words of the command: `["set","Device.X=1"]`, `["status","--json"]`. An answer is
//! `{"output":"…"}`, the text that the command prints, or `{"error":"…"}`, why it failed.

use serde_json::{Value, json};

use crate::secret::Secret;

/// A command to the running daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Values of parameters and of parts of the tree.
    Get(Vec<String>),
    /// New values: path and value, which may be a password.
    Set(Vec<(String, Secret)>),
    /// A new instance of this table.
    Add(String),
    /// This instance goes.
    Delete(String),
    /// A session with this event code.
    Inform(String),
    /// How the daemon is doing.
    Status {
        /// As JSON rather than for people.
        json: bool,
    },
}

/// What the command prints, or why it failed.
pub type Answer = Result<String, String>;

impl Request {
    /// The request line, with its line end.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut words: Vec<String> = vec![self.name().to_owned()];
        match self {
            Request::Get(paths) => words.extend(paths.iter().cloned()),
            Request::Set(assignments) => {
                words.extend(assignments.iter().map(|(path, value)| format!("{path}={}", value.expose())))
            }
            Request::Add(argument) | Request::Delete(argument) | Request::Inform(argument) => {
                words.push(argument.clone());
            }
            Request::Status { json } => words.extend(json.then(|| JSON.to_owned())),
        }
        line(&json!(words))
    }

    /// Reads a request line, with or without its line end; fails with words for the answer.
    ///
    /// A list of strings is read without recursion, so that no nesting can exhaust a small stack.
    pub(super) fn parse(line: &[u8]) -> Result<Request, String> {
        let words: Vec<String> = serde_json::from_slice(line)
            .map_err(|error| format!("the request is not a JSON list of words: {error}"))?;
        let mut words = words.into_iter();
        let name = words.next().ok_or("the request is empty")?;
        let arguments: Vec<String> = words.collect();
        match (name.as_str(), arguments.as_slice()) {
            ("get", [_, ..]) => Ok(Request::Get(arguments)),
            ("set", [_, ..]) => {
                arguments.iter().map(|text| assignment(text)).collect::<Result<_, _>>().map(Request::Set)
            }
            ("add", [table]) => Ok(Request::Add(table.clone())),
            ("delete", [instance]) => Ok(Request::Delete(instance.clone())),
            ("inform", [event]) => Ok(Request::Inform(event.clone())),
            ("status", []) => Ok(Request::Status { json: false }),
            ("status", [option]) if option == JSON => Ok(Request::Status { json: true }),
            ("get" | "set" | "add" | "delete" | "inform" | "status", _) => {
                Err(format!("{name} does not take {} arguments", arguments.len()))
            }
            _ => Err("there is no such command".to_owned()),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Request::Get(_) => "get",
            Request::Set(_) => "set",
            Request::Add(_) => "add",
            Request::Delete(_) => "delete",
            Request::Inform(_) => "inform",
            Request::Status { .. } => "status",
        }
    }
}

const JSON: &str = "--json";

/// Reads `PATH=VALUE`; the value may be empty and may hold further `=`.
pub(crate) fn assignment(text: &str) -> Result<(String, Secret), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.into())),
        _ => Err(format!("`{text}` is not PATH=VALUE")),
    }
}

/// The answer line, with its line end.
pub(super) fn encode_answer(answer: &Answer) -> Vec<u8> {
    line(&match answer {
        Ok(output) => json!({ "output": output }),
        Err(reason) => json!({ "error": reason }),
    })
}

/// Reads an answer line; none where it is no answer.
pub(super) fn parse_answer(line: &[u8]) -> Option<Answer> {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(line) else { return None };
    match (members.remove("output"), members.remove("error")) {
        (Some(Value::String(output)), None) => Some(Ok(output)),
        (None, Some(Value::String(reason))) => Some(Err(reason)),
        _ => None,
    }
}

fn line(json: &Value) -> Vec<u8> {
    // JSON escapes every line end inside a text.
    let mut line = json.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_make_the_round_trip() {
        let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        for request in [
            Request::Get(texts(&["Device.", "", "ünï \"\\\n\0"])),
            Request::Set(vec![("Device.A".into(), "x=y\nz".into()), ("Device.B".into(), "".into())]),
            Request::Add("Device.T.".into()),
            Request::Delete("Device.T.1.".into()),
            Request::Inform("6 CONNECTION REQUEST".into()),
            Request::Status { json: false },
            Request::Status { json: true },
        ] {
            let line = request.encode();
            assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1, "one line");
            assert_eq!(Request::parse(&line), Ok(request));
        }
    }

    #[test]
    fn what_is_no_request_is_told_in_words() {
        for line in [
            "",
            "\n",
            "get",
            "{}",
            "null",
            "[]",
            "[1]",
            "[[]]",
            "[\"\"]",
            "[\"reboot\"]",
            "[\"get\"]",
            "[\"set\"]",
            "[\"set\",\"Device.A\"]",
            "[\"set\",\"=1\"]",
            "[\"add\"]",
            "[\"add\",\"a.\",\"b.\"]",
            "[\"delete\"]",
            "[\"inform\"]",
            "[\"status\",\"all\"]",
            "[\"get\",\"a\"",
            "[\"get\",\"a\"] x",
            "\u{1}",
        ] {
            assert!(Request::parse(line.as_bytes()).is_err(), "{line}");
        }
        assert!(Request::parse(b"[\"get\",\"\xff\"]").is_err());
        // Nesting costs no stack.
        assert!(Request::parse("[".repeat(200_000).as_bytes()).is_err());
        assert!(Request::parse("[{\"a\":".repeat(50_000).as_bytes()).is_err());
    }

    #[test]
    fn answers_make_the_round_trip() {
        for answer in [Ok("a=1\nb=\n".to_owned()), Ok(String::new()), Err("no such parameter".to_owned())] {
            assert_eq!(parse_answer(&encode_answer(&answer)), Some(answer));
        }
        for line in ["", "[]", "{}", "{\"output\":1}", "{\"error\":null}", "{\"output\":\"\",\"error\":\"\"}", "{"] {
            assert_eq!(parse_answer(line.as_bytes()), None, "{line}");
        }
    }
}
