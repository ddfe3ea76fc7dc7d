//! Actions: the commands by which the device reboots, resets itself, and handles files. They are the object `actions` of
//! a data-model file.

mod diagnostic;
mod software;

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

pub use self::diagnostic::TestAction;
use self::diagnostic::test_actions;
pub use self::software::SoftwareAction;
use self::software::software_action;
use super::raw::{Number, Raw};
use crate::json::escape;
use crate::suggest::hint;

/// The reason against a command that is run without a search by PATH.
pub(super) const NO_PROGRAM: &str = "a list is needed that begins with the absolute path of a program";

/// The actions of a device with their placeholders, such as `{file}` and `{commandKey}`, not yet substituted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// The command that restarts the device (R223).
    pub reboot: Option<CommandLine>,
    /// The command that returns the device to its factory state (R226).
    pub factory_reset: Option<CommandLine>,
    /// The command that makes the DHCP clients of the device ask for their options anew (R18).
    pub discover: Option<CommandLine>,
    /// The actions that apply a downloaded file, by file type (R228).
    pub download: Vec<(String, FileAction)>,
    /// The actions that make a file to be uploaded, by file type (R241).
    pub upload: Vec<(String, FileAction)>,
    /// The programs that run the diagnostic tests of the vendor, by the path of the object with its dot.
    pub diagnostics: Vec<(String, TestAction)>,
    /// The program that changes the software of the device (R347).
    pub software: Option<SoftwareAction>,
}

/// A program and its arguments, which run without a shell.
pub type CommandLine = Vec<String>;

/// The action that applies a downloaded file, or makes a file to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAction {
    /// The command that applies or makes the file.
    pub run: CommandLine,
    /// The longest time that each command may run before it is killed with its process group.
    pub time_limit: Duration,
    /// True if the device restarts after the command of a download.
    pub reboots: bool,
    /// The command that runs after the restart of a download, or after an interruption. Its exit status is 0 if the file
    /// is in use and the device works.
    pub verify: Option<CommandLine>,
    /// True if a downloaded file is checked against the SHA-256 sum at `URL.sha256`.
    pub sha256: bool,
    /// The Ed25519 key that must have signed a downloaded file; the signature is at `URL.sig`.
    pub ed25519: Option<SigningKey>,
}

/// The public half of an Ed25519 key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SigningKey {
    /// The 32 bytes of the key.
    Raw([u8; 32]),
    /// The full path of the file that holds the key.
    File(String),
}

/// The time limit of a command without `timeLimit` in the model. Writing firmware to a slow flash takes minutes.
const TIME_LIMIT: Duration = Duration::from_secs(900);

const COMMAND_KEY: &str = "{commandKey}";
const FILE: &str = "{file}";
const INSTANCE: &str = "{instance}";

/// The placeholders of an action that applies a downloaded file.
const DOWNLOAD_PLACEHOLDERS: &[&str] = &[COMMAND_KEY, FILE];

/// The placeholders of an action that makes a file.
const UPLOAD_PLACEHOLDERS: &[&str] = &[COMMAND_KEY, FILE, INSTANCE];

/// The placeholders of the other commands.
const DEVICE_PLACEHOLDERS: &[&str] = &[COMMAND_KEY];

/// Returns the command with `{commandKey}` substituted.
pub fn with_command_key(command: &[String], key: &str) -> CommandLine {
    substitute_all(command, &[(COMMAND_KEY, key)])
}

/// Returns the command with `{file}`, `{commandKey}` and, for an upload, `{instance}` substituted. Without an instance,
/// `{instance}` becomes the empty text.
pub fn with_file(command: &[String], file: &str, key: &str, instance: Option<u32>) -> CommandLine {
    let instance = instance.map(|number| number.to_string()).unwrap_or_default();
    substitute_all(command, &[(FILE, file), (COMMAND_KEY, key), (INSTANCE, &instance)])
}

/// Substitutes the placeholders in every argument.
fn substitute_all(command: &[String], values: &[(&str, &str)]) -> CommandLine {
    command.iter().map(|argument| substitute(argument, values)).collect()
}

/// Substitutes the placeholders in one argument. A substituted text never makes the argument an option: a `-` at the
/// beginning is preceded by a space, unless the argument itself begins with one.
fn substitute(mut rest: &str, values: &[(&str, &str)]) -> String {
    let is_option = rest.starts_with('-');
    // One pass from start to end: a substituted text is not searched again, so that a CommandKey that reads `{file}`,
    // which the ACS chooses, stays as it is.
    let mut filled = String::with_capacity(rest.len());
    let next = |rest: &str| {
        let found = values.iter().filter_map(|(name, value)| Some((rest.find(name)?, name.len(), *value)));
        found.min_by_key(|(at, ..)| *at)
    };
    while let Some((at, length, value)) = next(rest) {
        filled.push_str(&rest[..at]);
        filled.push_str(value);
        rest = &rest[at + length..];
    }
    filled.push_str(rest);
    // The ACS chooses the CommandKey. A program must not take `--force` there for an option, and takes a text that begins
    // with a space for an operand.
    if filled.starts_with('-') && !is_option {
        filled.insert(0, ' ');
    }
    filled
}

/// The JSON pointer from the top of the file, and the reason.
type ReadError = (String, String);

impl FileAction {
    /// Returns true if the command receives the name of the file.
    pub fn names_file(&self) -> bool {
        self.run.iter().any(|argument| argument.contains(FILE))
    }
}

impl Actions {
    /// Reads the object `actions`, and returns its mistakes. Every member must be known, since an action that is misspelt
    /// would never run.
    pub(super) fn read(raw: &Raw<'_>) -> (Actions, Vec<ReadError>) {
        let mut actions = Actions::default();
        let mut mistakes = Vec::new();
        for (name, value) in members(raw, "/actions", &mut mistakes) {
            let at = format!("/actions/{}", escape(name));
            match name {
                "reboot" => actions.reboot = command_line(&value, &at, DEVICE_PLACEHOLDERS, &mut mistakes),
                "factoryReset" => {
                    actions.factory_reset = command_line(&value, &at, DEVICE_PLACEHOLDERS, &mut mistakes);
                }
                "discover" => actions.discover = command_line(&value, &at, &[], &mut mistakes),
                "download" => actions.download = file_actions(&value, &at, FileActionKind::Download, &mut mistakes),
                "upload" => actions.upload = file_actions(&value, &at, FileActionKind::Upload, &mut mistakes),
                "diagnostics" => actions.diagnostics = test_actions(&value, &at, &mut mistakes),
                "software" => actions.software = software_action(&value, &at, &mut mistakes),
                // A misspelt action would never run, and its RPC would be refused without a visible reason.
                _ => {
                    let known = ["reboot", "factoryReset", "discover", "download", "upload", "diagnostics", "software"];
                    mistakes.push((at, format!("not an action{}", hint(name, &known, "actions", ""))));
                }
            }
        }
        (actions, mistakes)
    }

    /// Returns the action that applies a downloaded file of this type.
    pub fn download_action(&self, file_type: &str) -> Option<&FileAction> {
        self.download.iter().find(|(name, _)| name == file_type).map(|(_, action)| action)
    }

    /// Returns the program that runs the test of an object, given by its path with the dot.
    pub fn diagnostic(&self, object: &str) -> Option<&TestAction> {
        self.diagnostics.iter().find(|(path, _)| path == object).map(|(_, action)| action)
    }

    /// Returns the action that makes a file of this type, and the instance that the type names: without an action of its
    /// own, `3 Vendor Configuration File 2` is made by that of `3 Vendor Configuration File` with instance 2 (R241).
    pub fn upload_action(&self, file_type: &str) -> Option<(&FileAction, Option<u32>)> {
        let find = |wanted: &str| self.upload.iter().find(|(name, _)| name == wanted).map(|(_, action)| action);
        if let Some(action) = find(file_type) {
            return Some((action, None));
        }
        // An instance number has neither a leading zero nor a sign, both of which `parse` accepts.
        let (family, instance) = file_type.rsplit_once(' ')?;
        let instance = instance.parse().ok().filter(|number| *number > 0 && !instance.starts_with(['0', '+']))?;
        let is_numbered = family == "3 Vendor Configuration File" || family == "4 Vendor Log File";
        find(family).filter(|_| is_numbered).map(|action| (action, Some(instance)))
    }
}

/// The two kinds of file actions, which differ in their members and placeholders.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FileActionKind {
    Download,
    Upload,
}

/// Returns the members of an object; none if it is not an object.
fn members<'t>(raw: &Raw<'t>, at: &str, mistakes: &mut Vec<ReadError>) -> Vec<(&'t str, Raw<'t>)> {
    match raw {
        Raw::Object(object) => object.members().collect(),
        other => {
            mistakes.push((at.into(), format!("an object is needed, not {}", other.json_type())));
            Vec::new()
        }
    }
}

/// Returns the value that was read; adds the mistake instead, if there is one.
fn note<T>(read: Result<T, ReadError>, mistakes: &mut Vec<ReadError>) -> Option<T> {
    read.map_err(|mistake| mistakes.push(mistake)).ok()
}

/// Reads a command: a list of strings with the program first, and placeholders of `known` only.
fn command_line(raw: &Raw<'_>, at: &str, known: &[&str], mistakes: &mut Vec<ReadError>) -> Option<CommandLine> {
    let arguments: Option<CommandLine> = match raw {
        Raw::List(items) => {
            items.items().map(|item| if let Raw::Text(text) = item { Some(text.to_owned()) } else { None }).collect()
        }
        _ => None,
    };
    // An empty program name cannot be started; the mistake shows at load time instead of at the first Reboot.
    let Some(arguments) = arguments.filter(|arguments| arguments.first().is_some_and(|program| !program.is_empty()))
    else {
        mistakes.push((at.to_owned(), "a list of strings is needed: the program and its arguments".to_owned()));
        return None;
    };
    // A placeholder that is not substituted would reach the command as text, and the mistake would show in the field only.
    for (number, argument) in arguments.iter().enumerate() {
        let reason = match placeholders(argument).find(|name| !known.contains(name)) {
            None => continue,
            Some(name) if UPLOAD_PLACEHOLDERS.contains(&name) => format!("there is no `{name}` in this action"),
            Some(name) => format!("`{name}` is no placeholder; `{{file}}` and `{{commandKey}}` are"),
        };
        mistakes.push((format!("{at}/{number}"), reason));
    }
    Some(arguments)
}

/// Returns the parts of an argument that look like placeholders: words in braces, except for shell variables, `${…}`.
fn placeholders(argument: &str) -> impl Iterator<Item = &str> {
    argument.match_indices('{').filter_map(move |(start, _)| {
        let word = &argument[start + 1..];
        let length = word.find(|c: char| !c.is_ascii_alphanumeric()).filter(|length| *length > 0)?;
        let is_closed = word[length..].starts_with('}') && !argument[..start].ends_with('$');
        is_closed.then(|| &argument[start..start + length + 2])
    })
}

/// Reads the file actions of one kind, by file type.
fn file_actions(
    raw: &Raw<'_>,
    at: &str,
    kind: FileActionKind,
    mistakes: &mut Vec<ReadError>,
) -> Vec<(String, FileAction)> {
    let mut actions = Vec::new();
    for (file_type, value) in members(raw, at, mistakes) {
        let at = format!("{at}/{}", escape(file_type));
        // An ACS can never request a file type that the schema of CWMP forbids.
        if !is_file_type(file_type) {
            let reason = "a file type is needed, such as `1 Firmware Upgrade Image` or `X OUI name`";
            mistakes.push((at.clone(), reason.into()));
        }
        actions.push((file_type.to_string(), file_action(&value, &at, kind, mistakes)));
    }
    actions
}

/// Returns true if the schema of CWMP allows the text as a file type: a number and words, or `X`, a vendor and a name
/// (R228). The first word is separated from the rest by one space.
pub fn is_file_type(text: &str) -> bool {
    let mut words = text.split(' ');
    let is_number = |word: &str| !word.starts_with('0') && !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let is_plain = text.chars().count() <= 64 && !text.chars().any(char::is_control);
    match words.next() {
        Some("X") => is_plain && words.next().is_some_and(|oui| !oui.is_empty()) && words.next().is_some(),
        Some(number) => {
            is_plain && is_number(number) && words.clone().count() > 0 && words.all(|word| !word.is_empty())
        }
        None => false,
    }
}

/// Reads one file action.
fn file_action(raw: &Raw<'_>, at: &str, kind: FileActionKind, mistakes: &mut Vec<ReadError>) -> FileAction {
    let mut action = FileAction {
        run: Vec::new(),
        time_limit: TIME_LIMIT,
        reboots: false,
        verify: None,
        sha256: false,
        ed25519: None,
    };
    let of_file = if kind == FileActionKind::Download { DOWNLOAD_PLACEHOLDERS } else { UPLOAD_PLACEHOLDERS };
    let mut has_run = false;
    for (name, value) in members(raw, at, mistakes) {
        let at = format!("{at}/{}", escape(name));
        match name {
            "run" => {
                has_run = true;
                action.run = command_line(&value, &at, of_file, mistakes).unwrap_or_default();
            }
            "timeLimit" => action.time_limit = note(seconds(&value, at), mistakes).unwrap_or_default(),
            "reboots" | "verify" | "sha256" | "ed25519" if kind == FileActionKind::Upload => {
                mistakes.push((at, "not a member of an upload".into()));
            }
            "reboots" => action.reboots = note(flag(&value, at), mistakes).unwrap_or_default(),
            // The file is removed once it was applied, so that `{file}` has no meaning after the restart.
            "verify" => action.verify = command_line(&value, &at, DEVICE_PLACEHOLDERS, mistakes),
            "sha256" => action.sha256 = note(flag(&value, at), mistakes).unwrap_or_default(),
            "ed25519" => action.ed25519 = note(public_key(&value, at), mistakes),
            _ => {
                let known = ["run", "timeLimit", "reboots", "verify", "sha256", "ed25519"];
                let known = if kind == FileActionKind::Download { &known[..] } else { &known[..2] };
                mistakes.push((at, format!("not a member of an action{}", hint(name, known, "members", ""))));
            }
        }
    }
    if !has_run && matches!(raw, Raw::Object(_)) {
        mistakes.push((at.into(), "`run` is missing".into()));
    }
    action
}

fn flag(raw: &Raw<'_>, at: String) -> Result<bool, ReadError> {
    match raw {
        Raw::Boolean(flag) => Ok(*flag),
        _ => Err((at, "true or false is needed".into())),
    }
}

/// Reads a time limit of 1 s to a day.
fn seconds(raw: &Raw<'_>, at: String) -> Result<Duration, ReadError> {
    let number = match raw {
        Raw::Number(Number::Integer(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    number
        // A limit of zero would kill each command at once; one of weeks would block all later transfers.
        .filter(|seconds| (1..=86_400).contains(seconds))
        .map(Duration::from_secs)
        .ok_or((at, "a number of seconds is needed, a day at most".into()))
}

/// Reads an Ed25519 key: in base64, or the full path of its file.
fn public_key(raw: &Raw<'_>, at: String) -> Result<SigningKey, ReadError> {
    let Raw::Text(text) = raw else { return Err((at, KEY_NEEDED.into())) };
    // A text of 44 digits that begins with a slash may be base64 as well; 32 decoded bytes decide for the key.
    let key = BASE64_STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    match key {
        Some(key) => Ok(SigningKey::Raw(key)),
        None if text.starts_with('/') => Ok(SigningKey::File((*text).to_owned())),
        None => Err((at, KEY_NEEDED.into())),
    }
}

const KEY_NEEDED: &str = "an Ed25519 public key is needed: its 32 bytes in base64, or the full path of its file";

#[cfg(test)]
mod tests {
    use super::*;

    /// A CommandKey that looks like a placeholder stays as the ACS wrote it.
    #[test]
    fn placeholders_are_filled_in_once() {
        let command = ["a {file} {commandKey}{file}".to_owned(), "{instance}-${file}".to_owned()];
        let filled = with_file(&command, "/x", "{file}{commandKey}", Some(3));
        assert_eq!(filled, ["a /x {file}{commandKey}/x", "3-$/x"]);
        assert_eq!(with_command_key(&command, "k")[0], "a {file} k{file}");
    }

    #[test]
    fn no_substituted_text_becomes_an_option() {
        let command =
            ["{commandKey}", "{instance}{commandKey}", "--key={commandKey}", "-k{commandKey}", "a{commandKey}"];
        let command = command.map(str::to_owned);
        let filled = with_file(&command, "/x", "--force", None);
        assert_eq!(filled, [" --force", " --force", "--key=--force", "-k--force", "a--force"]);
        assert_eq!(with_command_key(&command[..1], "k-1"), ["k-1"]);
    }

    #[test]
    fn file_types_are_those_of_the_schema() {
        for good in ["1 Firmware Upgrade Image", "3 Vendor Configuration File", "X 00D09E a b", "10 x"] {
            assert!(is_file_type(good), "{good}");
        }
        let long = format!("1 {}", "x".repeat(63));
        for bad in ["", "1", "firmware", "01 x", "1  x", "1 x ", "X", "X 00D09E", "1 a\nb", long.as_str()] {
            assert!(!is_file_type(bad), "{bad:?}");
        }
    }
}
