//! Unfinished work on the device, which the journal holds: files that wait for their rename, reloads that are owed, and texts to
//! be set back.
//!
//! ```text
//! set ──▶ staged, owed, undo: in the record of the change ──▶ the device follows ──▶ cleared by the next record
//! ```
//!
//! The work has no record for its end alone: all of it can be done twice.

use serde_json::Value as Json;

use super::Confirmation;
use crate::json;
use crate::model::source::{Argument, Place, Write};

/// The work that a crash may interrupt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// The boot of the device in which reloads became owed: another boot has started all services anew.
    pub boot: String,
    /// The files of the last change.
    pub staged: Vec<StagedFile>,
    /// The names of the reloads that are owed, each once.
    pub owed: Vec<String>,
    /// The name of the reload that runs. To the journal it is owed until its end.
    pub running: Option<String>,
    /// True if that reload is not repeated by the next start.
    pub is_last: bool,
    /// The texts to be set back, of a change that is not decided yet.
    pub undo: Vec<Write>,
    /// The changes that wait for a contact with the ACS.
    pub confirmation: Option<Confirmation>,
    /// The rows that a request has created whose values are not decided yet, as paths of instances.
    pub tentative: Vec<String>,
}

/// A file whose new text is written beside it, and whose rename follows the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFile {
    /// The name of the UCI package.
    pub package: String,
    /// The digest of the text before.
    pub old: String,
    /// The digest of the text after the rename.
    pub new: String,
}

impl Unfinished {
    /// Notes that a reload is owed.
    pub fn owe(&mut self, reload: &str) {
        if !self.owes(reload) {
            self.owed.push(reload.to_owned());
        }
    }

    /// Returns true if a reload is owed.
    pub fn owes(&self, reload: &str) -> bool {
        self.owed.iter().any(|owed| owed == reload)
    }

    /// Returns the form in the journal. The names of the members are part of the file format and must stay.
    pub(super) fn to_json(&self) -> Json {
        let mut owed = self.owed.iter().chain(self.running.as_ref().filter(|_| !self.is_last));
        let mut json = json::object([
            ("boot", self.boot.as_str().into()),
            ("staged", files_to_json(&self.staged)),
            ("owed", json::list_of_texts(&mut owed)),
            ("undo", undo_list(&self.undo)),
        ]);
        if let Some(open) = &self.confirmation {
            json["confirmation"] = open.to_json();
        }
        if !self.tentative.is_empty() {
            json["tentative"] = json::list_of_texts(&mut self.tentative.iter());
        }
        json
    }

    /// Reads the form of the journal. Malformed parts are left out.
    pub(super) fn from_json(json: &Json) -> Unfinished {
        Unfinished {
            boot: json::text(json.get("boot")).unwrap_or_default(),
            staged: files_from_json(json.get("staged")),
            owed: json::texts(json.get("owed")),
            running: None,
            is_last: false,
            undo: undo_from_list(json.get("undo")),
            confirmation: json.get("confirmation").map(Confirmation::from_json),
            tentative: json::texts(json.get("tentative")),
        }
    }
}

/// Returns the form of files in the journal.
fn files_to_json(files: &[StagedFile]) -> Json {
    files.iter().map(|file| json::list_of_texts(&mut [&file.package, &file.old, &file.new].into_iter())).collect()
}

/// Reads the form of files in the journal. Malformed ones are left out.
fn files_from_json(json: Option<&Json>) -> Vec<StagedFile> {
    let file = |file: &Json| {
        let text = |at: usize| json::text(file.get(at));
        Some(StagedFile { package: text(0)?, old: text(1)?, new: text(2)? })
    };
    json::items(json).iter().filter_map(file).collect()
}

/// Returns the form in the journal of the texts to be set back.
pub(super) fn undo_list(writes: &[Write]) -> Json {
    writes.iter().filter_map(undo_to_json).collect()
}

/// Reads the form of [`undo_list`]. Malformed parts are left out.
pub(super) fn undo_from_list(json: Option<&Json>) -> Vec<Write> {
    json::items(json).iter().filter_map(undo_from_json).collect()
}

/// Returns the text that a field held, with its place; `None` for one that a rename sets.
fn undo_to_json(write: &Write) -> Option<Json> {
    let old = write.old.as_deref()?;
    let mut list = vec![write.name.as_str().into(), old.into()];
    match &write.place {
        Place::Exec { command, limit, row, field, .. } => {
            list.extend([json::list_of_texts(&mut command.iter()), (*limit).into()]);
            list.extend([row.as_deref().into(), field.as_str().into()]);
        }
        Place::File { path, replaces } => list.extend([path.as_str().into(), (*replaces).into()]),
        Place::Ubus { object, method, args, value, limit } => {
            let call = [("object", object), ("method", method), ("value", value)];
            list.push(json::object(call.map(|(name, text)| (name, text.as_str().into()))));
            list.extend([args.iter().filter_map(argument_to_json).collect(), (*limit).into()]);
        }
        _ => return None,
    }
    Some(Json::Array(list))
}

/// Reads the form of a text in the journal, with the text to be set in both places.
fn undo_from_json(json: &Json) -> Option<Write> {
    let text = |at: usize| json::text(json.get(at));
    let number = |at: usize| json::number(json.get(at));
    let place = match json.get(2)? {
        Json::Array(command) => Place::Exec {
            command: command.iter().map(|argument| argument.as_str().map(str::to_owned)).collect::<Option<_>>()?,
            limit: number(3)?,
            row: text(4),
            field: text(5)?,
            has_check: false,
        },
        Json::Object(call) => {
            let member = |name: &str| json::text(call.get(name));
            let args = json.get(3)?.as_array()?.iter().map(argument_from_json).collect::<Option<_>>()?;
            let (object, method, value) = (member("object")?, member("method")?, member("value")?);
            Place::Ubus { object, method, args, value, limit: number(4)? }
        }
        _ => Place::File { path: text(2)?, replaces: json.get(3)?.as_bool()? },
    };
    Some(Write { name: text(0)?, place, text: text(1), old: text(1), reload: None, hidden: true })
}

/// Returns the form of an argument in the journal: its name, and a text, a number or a truth value.
fn argument_to_json((name, argument): &(String, Argument<String>)) -> Option<Json> {
    let argument = match argument {
        Argument::Text(text) => text.as_str().into(),
        Argument::Whole(number) => (*number).into(),
        Argument::Boolean(flag) => (*flag).into(),
        // No method that sets a field has one.
        Argument::Table(_) => return None,
    };
    Some(Json::Array(vec![name.as_str().into(), argument]))
}

fn argument_from_json(json: &Json) -> Option<(String, Argument<String>)> {
    let argument = match json.get(1)? {
        Json::String(text) => Argument::Text(text.clone()),
        Json::Bool(flag) => Argument::Boolean(*flag),
        number => Argument::Whole(number.as_i64()?),
    };
    Some((json.get(0)?.as_str()?.to_owned(), argument))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gives_the_work_back() {
        let exec = Place::Exec {
            command: vec!["/bin/led".into(), "x".into()],
            limit: 5,
            row: None,
            field: "mode".into(),
            has_check: false,
        };
        let file = Place::File { path: "/proc/x".into(), replaces: false };
        let bus = Place::Ubus {
            object: "led".into(),
            method: "set".into(),
            args: vec![
                ("name".into(), Argument::Text("power".into())),
                ("at".into(), Argument::Whole(3)),
                ("now".into(), Argument::Boolean(true)),
            ],
            value: "mode".into(),
            limit: 5,
        };
        let undo = |place: &Place| Write {
            name: "Device.X".into(),
            place: place.clone(),
            text: Some("new".into()),
            old: Some("old".into()),
            reload: None,
            hidden: false,
        };
        let work = Unfinished {
            boot: "b".into(),
            staged: vec![StagedFile { package: "network".into(), old: "1".into(), new: "2".into() }],
            owed: vec!["network".into()],
            running: Some("wireless".into()),
            is_last: false,
            undo: vec![undo(&exec), undo(&file), undo(&bus)],
            confirmation: None,
            tentative: vec!["Device.T.1.".into()],
        };
        let read = Unfinished::from_json(&work.to_json());
        assert_eq!((&read.boot, &read.staged), (&work.boot, &work.staged));
        assert_eq!(read.owed, ["network", "wireless"]);
        assert_eq!(read.tentative, work.tentative);
        assert_eq!(read.undo.iter().map(|write| &write.place).collect::<Vec<_>>(), [&exec, &file, &bus]);
        assert!(read.undo.iter().all(|write| write.text.as_deref() == Some("old")));
        for text in ["null", "{}", r#"{"staged":[1,[]],"owed":[5],"undo":[null,["a"],["a","b",["c"]]]}"#] {
            let json = serde_json::from_str(text).expect("JSON");
            assert_eq!(Unfinished::from_json(&json), Unfinished::default(), "{text}");
        }
    }
}
