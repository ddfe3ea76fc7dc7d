//! The protocol of the control socket: one request line and one result line.
//!
//! A request is a JSON list of the words of the command: `["set","Device.X=1"]`, `["status","--json"]`. A result is
//! `{"output":"…"}` with the text that the command prints, or `{"error":"…"}` with the reason of the failure. After
//! `["trace"]` and `["watch",…]`, further lines of the same form follow.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::get_request::GetRequest;
use super::local_transfer::LocalTransfer;
use super::software;
use crate::cwmp::software::Operation;
use crate::json::object;
use crate::secret::Secret;

/// The longest time that a request waits for the end of a session. Server and client agree on it here.
pub(super) const WAIT_LIMIT: Duration = Duration::from_secs(120);

/// A command to the running agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Reads parameters and partial paths.
    Get(GetRequest),
    /// Reads from the device how parameters come by their values.
    Source {
        /// The parameters and partial paths.
        paths: Vec<String>,
        /// True for JSON, false for text.
        json: bool,
    },
    /// Sets parameters.
    Set(SetRequest),
    /// Creates an instance of this table.
    Add(String),
    /// Deletes this instance.
    Delete(String),
    /// Starts a session with this event code.
    Inform(String),
    /// Starts an autonomous transfer (R247).
    Transfer(Box<LocalTransfer>),
    /// Starts an autonomous operation on software (R356).
    Software(Box<Operation>),
    /// Asks the ACS for a download (R248): the file type, and arguments of name and value.
    RequestDownload(String, Vec<(String, String)>),
    /// Reads the files with the options of the DHCP clients.
    Dhcp,
    /// Records sessions from now on, until the client leaves.
    Trace,
    /// Reports changes of parameters and below partial paths, until the client leaves.
    Watch(Vec<String>),
    /// Tells that the services have reloaded.
    Applied,
    /// Reads the state of the agent.
    Status {
        /// True for JSON, false for text.
        json: bool,
    },
    /// Reads the health of the agent: a line, or an error if an operator should look at it.
    Check,
}

/// The most characters of a user name, password or file name, and of a value of RequestDownload (TR-069 A6 T33, T68).
pub(super) const MAX_VALUE: usize = 256;
/// The most characters of the name of an argument of RequestDownload (R248).
const MAX_NAME: usize = 64;
/// The most arguments of RequestDownload (R248).
const MAX_ARGUMENTS: usize = 16;

/// Reads `TYPE [NAME=VALUE…]`. Returns the file type and the arguments, or a message for the user.
pub(crate) fn parse_request_download(words: &[String]) -> Result<(String, Vec<(String, String)>), String> {
    let (file_type, arguments) = words.split_first().ok_or("a file type is needed")?;
    if arguments.len() > MAX_ARGUMENTS {
        return Err(format!("at most {MAX_ARGUMENTS} arguments are allowed"));
    }
    let argument = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            match name.chars().count() <= MAX_NAME && value.chars().count() <= MAX_VALUE {
                true => Ok((name.to_owned(), value.to_owned())),
                false => Err(format!("a name has at most {MAX_NAME} characters, and a value {MAX_VALUE}")),
            }
        }
        _ => Err(format!("`{text}` is not NAME=VALUE")),
    };
    Ok((file_type.clone(), arguments.iter().map(argument).collect::<Result<_, _>>()?))
}

/// The word before assignments that `get` has printed.
const PRINTED: &str = "-";

/// Values for parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRequest {
    /// The paths and the values. A value may be a password.
    pub assignments: Vec<(String, Secret)>,
    /// True for the output of `get`, in which hidden values are empty: such a value stays as it is.
    pub is_printed: bool,
}

/// The result of a request: the text that the command prints, or the reason of the failure.
pub type CommandResult = Result<String, String>;

impl Request {
    /// Returns true if the request waits for the end of a running session. Those that only read, and the request for a
    /// session, do not.
    pub(super) fn waits_for_session(&self) -> bool {
        matches!(
            self,
            Request::Set(_)
                | Request::Add(_)
                | Request::Delete(_)
                | Request::Transfer(_)
                | Request::Software(_)
                | Request::RequestDownload(..)
        )
    }

    /// Returns the request line with its line end.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut words: Vec<String> = vec![self.name().to_owned()];
        match self {
            Request::Get(get) => words.extend(get.words()),
            Request::Watch(paths) => words.extend(paths.iter().cloned()),
            Request::Source { paths, json } => {
                words.extend(json.then(|| JSON.to_owned()));
                words.extend(paths.iter().cloned());
            }
            Request::Set(set) => {
                words.extend(set.is_printed.then(|| PRINTED.to_owned()));
                words.extend(set.assignments.iter().map(|(path, value)| format!("{path}={}", value.expose())));
            }
            Request::Add(argument) | Request::Delete(argument) | Request::Inform(argument) => {
                words.push(argument.clone());
            }
            Request::Transfer(transfer) => words.extend(transfer.words()),
            Request::Software(operation) => words.extend(software::words(operation)),
            Request::RequestDownload(file_type, arguments) => {
                words.push(file_type.clone());
                words.extend(arguments.iter().map(|(name, value)| format!("{name}={value}")));
            }
            Request::Dhcp | Request::Trace | Request::Applied => {}
            Request::Status { json } => words.extend(json.then(|| JSON.to_owned())),
            Request::Check => words.push(CHECK.to_owned()),
        }
        encode_line(&words.into())
    }

    /// Reads a request line, with or without its line end. Returns a message for the client if it is wrong.
    pub(super) fn parse(line: &[u8]) -> Result<Request, String> {
        // A list of strings is read without recursion, so that deep nesting cannot exhaust the small stack of the thread.
        let words: Vec<String> = read_json(line).ok_or_else(|| "the request is not a JSON list of words".to_owned())?;
        let mut words = words.into_iter();
        let name = words.next().ok_or("the request is empty")?;
        let arguments: Vec<String> = words.collect();
        match (name.as_str(), arguments.as_slice()) {
            ("get", [_, ..]) => GetRequest::parse(&arguments).map(Request::Get).ok_or("get: a path is missing".into()),
            ("source", [option, _, ..]) if option == JSON => {
                Ok(Request::Source { paths: arguments[1..].to_vec(), json: true })
            }
            ("source", [_, ..]) => Ok(Request::Source { paths: arguments, json: false }),
            ("set", [first, rest @ ..]) if first != PRINTED || !rest.is_empty() => {
                let is_printed = first == PRINTED;
                let words = arguments.iter().skip(is_printed.into());
                let assignments = words.map(|text| parse_assignment(text)).collect::<Result<_, _>>()?;
                Ok(Request::Set(SetRequest { assignments, is_printed }))
            }
            ("add", [table]) => Ok(Request::Add(table.clone())),
            ("delete", [instance]) => Ok(Request::Delete(instance.clone())),
            ("inform", [event]) => Ok(Request::Inform(event.clone())),
            ("download" | "upload", _) => {
                LocalTransfer::parse(name == "download", &arguments).map(|transfer| Request::Transfer(transfer.into()))
            }
            ("software", _) => software::parse(&arguments).map(|operation| Request::Software(operation.into())),
            ("request-download", _) => parse_request_download(&arguments)
                .map(|(file_type, arguments)| Request::RequestDownload(file_type, arguments)),
            ("dhcp", []) => Ok(Request::Dhcp),
            ("trace", []) => Ok(Request::Trace),
            ("applied", []) => Ok(Request::Applied),
            ("watch", [_, ..]) => Ok(Request::Watch(arguments)),
            ("status", []) => Ok(Request::Status { json: false }),
            ("status", [option]) if option == JSON => Ok(Request::Status { json: true }),
            ("status", [option]) if option == CHECK => Ok(Request::Check),
            // The commands above with another number of arguments.
            ("get" | "source" | "set" | "add" | "delete" | "inform" | "dhcp" | "trace" | "watch" | "status", _) => {
                Err(format!("{name} does not take {} arguments", arguments.len()))
            }
            _ => Err("there is no such command".to_owned()),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Request::Get(_) => "get",
            Request::Source { .. } => "source",
            Request::Set(_) => "set",
            Request::Add(_) => "add",
            Request::Delete(_) => "delete",
            Request::Inform(_) => "inform",
            Request::Transfer(transfer) if transfer.is_download => "download",
            Request::Transfer(_) => "upload",
            Request::Software(_) => "software",
            Request::RequestDownload(..) => "request-download",
            Request::Dhcp => "dhcp",
            Request::Trace => "trace",
            Request::Applied => "applied",
            Request::Watch(_) => "watch",
            Request::Status { .. } | Request::Check => "status",
        }
    }
}

/// The argument of `get`, `status` and `source` that asks for JSON.
pub(super) const JSON: &str = "--json";
/// The argument of `status` that asks for the health.
const CHECK: &str = "--check";

/// Reads `PATH=VALUE`. The value may be empty, and everything after the first `=` belongs to it.
pub(crate) fn parse_assignment(text: &str) -> Result<(String, Secret), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.into())),
        _ => Err(format!("`{text}` is not PATH=VALUE")),
    }
}

/// Returns the result line with its line end.
pub(super) fn encode_result(result: &CommandResult) -> Vec<u8> {
    encode_line(&match result {
        Ok(output) => object([("output", output.as_str().into())]),
        Err(reason) => object([("error", reason.as_str().into())]),
    })
}

/// Reads a result line; `None` if it has another form.
pub(super) fn parse_result(line: &[u8]) -> Option<CommandResult> {
    let Some(Value::Object(mut members)) = read_json(line) else { return None };
    match (members.remove("output"), members.remove("error")) {
        (Some(Value::String(output)), None) => Some(Ok(output)),
        (None, Some(Value::String(reason))) => Some(Err(reason)),
        // With both members the result would be ambiguous.
        _ => None,
    }
}

/// Reads a line; `None` if it is not JSON of this form.
fn read_json<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    // Not `from_slice`, which would be a second JSON parser in the binary, of 10 kB: all other JSON is read from a `str`.
    serde_json::from_str(str::from_utf8(line).ok()?).ok()
}

fn encode_line(json: &Value) -> Vec<u8> {
    // JSON escapes each line end within a text, so that the only one is the end of the line.
    let mut line = json.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::super::get_request::GetForm;
    use super::*;

    #[test]
    fn requests_make_the_round_trip() {
        let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let assignments = || vec![("Device.A".into(), "x=y\nz".into()), ("Device.B".into(), "".into())];
        let set = |is_printed| Request::Set(SetRequest { assignments: assignments(), is_printed });
        for request in [
            Request::Get(GetRequest { paths: texts(&["Device.", "", "ünï \"\\\n\0"]), ..Default::default() }),
            Request::Get(GetRequest { paths: texts(&["A", "--json"]), form: GetForm::Value, secret: true }),
            Request::Get(GetRequest { paths: texts(&[""]), form: GetForm::Json, secret: false }),
            set(false),
            set(true),
            Request::Add("Device.T.".into()),
            Request::Delete("Device.T.1.".into()),
            Request::Inform("6 CONNECTION REQUEST".into()),
            Request::Transfer(Box::new(LocalTransfer {
                is_download: true,
                file_type: "1 Firmware Upgrade Image".into(),
                url: "http://h/f?a=b".into(),
                username: "u=v".into(),
                password: "p".into(),
                size: 7,
                target: "t".into(),
            })),
            Request::Transfer(Box::new(LocalTransfer {
                file_type: "X a b".into(),
                url: "u".into(),
                ..Default::default()
            })),
            Request::RequestDownload("2 Web Content".into(), vec![("a".into(), "b=c".into())]),
            Request::Dhcp,
            Request::Trace,
            Request::Applied,
            Request::Watch(texts(&["Device.", "A"])),
            Request::Status { json: false },
            Request::Status { json: true },
            Request::Check,
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
            "[\"get\",\"--json\"]",
            "[\"set\"]",
            "[\"set\",\"Device.A\"]",
            "[\"set\",\"=1\"]",
            "[\"add\"]",
            "[\"add\",\"a.\",\"b.\"]",
            "[\"delete\"]",
            "[\"inform\"]",
            "[\"download\",\"1 x\"]",
            "[\"download\",\"1 x\",\"u\",\"size=x\"]",
            "[\"upload\",\"1 x\",\"u\",\"size=1\"]",
            "[\"upload\",\"1 x\",\"u\",\"v\"]",
            "[\"request-download\"]",
            "[\"request-download\",\"1 x\",\"=v\"]",
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
    fn results_make_the_round_trip() {
        for result in [Ok("a=1\nb=\n".to_owned()), Ok(String::new()), Err("no such parameter".to_owned())] {
            assert_eq!(parse_result(&encode_result(&result)), Some(result));
        }
        for line in ["", "[]", "{}", "{\"output\":1}", "{\"error\":null}", "{\"output\":\"\",\"error\":\"\"}", "{"] {
            assert_eq!(parse_result(line.as_bytes()), None, "{line}");
        }
    }
}
