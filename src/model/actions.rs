//! What only the device can do: the `actions` object of a data-model file.

use super::raw::{Object, Raw};

/// The command lines of a device's actions, as the model gives them; `{file}` and `{commandKey}` are not filled in yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// Restarts the device.
    pub reboot: Option<CommandLine>,
    /// Brings the device back to its factory state.
    pub factory_reset: Option<CommandLine>,
    /// By file type.
    pub download: Vec<(String, FileAction)>,
    /// By file type.
    pub upload: Vec<(String, FileAction)>,
}

/// A program and its arguments; run without a shell.
pub type CommandLine = Vec<String>;

/// What is done with a file that was downloaded, or to make one that is to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAction {
    /// The command.
    pub run: CommandLine,
    /// Whether the device restarts when it has run.
    pub reboots: bool,
}

const COMMAND_KEY: &str = "{commandKey}";

/// The placeholders of an action that has to do with a file.
const OF_FILE: &[&str] = &[COMMAND_KEY, "{file}"];

/// Those of any other.
const OF_DEVICE: &[&str] = &[COMMAND_KEY];

/// The command with `{commandKey}` filled in.
pub fn with_command_key(command: &[String], key: &str) -> CommandLine {
    command.iter().map(|argument| argument.replace(COMMAND_KEY, key)).collect()
}

/// JSON pointer below `actions`' parent, and the reason.
type ReadError = (String, String);

impl Actions {
    pub(super) fn read(raw: &Raw<'_>) -> Result<Actions, ReadError> {
        let mut actions = Actions::default();
        for (name, value) in object(raw, "/actions")?.members() {
            let at = format!("/actions/{}", super::load::escape(name));
            match name {
                "reboot" => actions.reboot = Some(command_line(&value, &at, OF_DEVICE)?),
                "factoryReset" => actions.factory_reset = Some(command_line(&value, &at, OF_DEVICE)?),
                "download" => actions.download = file_actions(&value, &at)?,
                "upload" => actions.upload = file_actions(&value, &at)?,
                _ => return Err((at, "not an action".into())),
            }
        }
        Ok(actions)
    }
}

fn object<'r, 't>(raw: &'r Raw<'t>, at: &str) -> Result<&'r Object<'t>, ReadError> {
    match raw {
        Raw::Object(object) => Ok(object),
        other => Err((at.into(), format!("an object is needed, not {}", other.kind()))),
    }
}

fn command_line(raw: &Raw<'_>, at: &str, known: &[&str]) -> Result<CommandLine, ReadError> {
    let wrong = || (at.to_owned(), "a list of strings is needed: the program and its arguments".to_owned());
    let Raw::List(items) = raw else { return Err(wrong()) };
    let arguments: Option<CommandLine> =
        items.items().map(|item| if let Raw::Text(text) = item { Some(text.to_owned()) } else { None }).collect();
    let arguments = arguments.filter(|arguments| arguments.first().is_some_and(|program| !program.is_empty()));
    let arguments = arguments.ok_or_else(wrong)?;
    for (number, argument) in arguments.iter().enumerate() {
        let reason = match placeholders(argument).find(|name| !known.contains(name)) {
            None => continue,
            Some(name) if OF_FILE.contains(&name) => format!("there is no `{name}` in this action"),
            Some(name) => format!("`{name}` is no placeholder; `{{file}}` and `{{commandKey}}` are"),
        };
        return Err((format!("{at}/{number}"), reason));
    }
    Ok(arguments)
}

/// What looks like a placeholder: a word in braces, unless it is a variable of a shell.
fn placeholders(argument: &str) -> impl Iterator<Item = &str> {
    argument.match_indices('{').filter_map(move |(start, _)| {
        let word = &argument[start + 1..];
        let length = word.find(|c: char| !c.is_ascii_alphanumeric()).filter(|length| *length > 0)?;
        let is_closed = word[length..].starts_with('}') && !argument[..start].ends_with('$');
        is_closed.then(|| &argument[start..start + length + 2])
    })
}

fn file_actions(raw: &Raw<'_>, at: &str) -> Result<Vec<(String, FileAction)>, ReadError> {
    let mut actions = Vec::new();
    for (file_type, value) in object(raw, at)?.members() {
        let at = format!("{at}/{}", super::load::escape(file_type));
        actions.push((file_type.to_string(), file_action(object(&value, &at)?, &at)?));
    }
    Ok(actions)
}

fn file_action(raw: &Object<'_>, at: &str) -> Result<FileAction, ReadError> {
    let mut action = FileAction { run: Vec::new(), reboots: false };
    for (name, value) in raw.members() {
        let at = format!("{at}/{}", super::load::escape(name));
        match (name, value) {
            ("run", value) => action.run = command_line(&value, &at, OF_FILE)?,
            ("reboots", Raw::Boolean(reboots)) => action.reboots = reboots,
            ("reboots", _) => return Err((at, "true or false is needed".into())),
            _ => return Err((at, "not a member of an action".into())),
        }
    }
    if action.run.is_empty() { Err((at.into(), "`run` is missing".into())) } else { Ok(action) }
}
