//! The sources of values, for people: the command `source`, and `check --device`.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::commands::{MAX_OUTPUT, OneLine, path_error_text};
use crate::clock::{Clock, Now};
use crate::control::CommandResult;
use crate::cwmp::device::{Device, Growth, JournalError, JournalWriter};
use crate::json::object;
use crate::model::Loaded;
use crate::model::schema::{Omitted, Spec};
use crate::model::tree::{Reading, Wanted};
use crate::sources::DeviceSources;

/// Returns how the parameters at and below these paths come by their values.
pub(super) fn describe(device: &mut Device, paths: &[String], json: bool, now: Now) -> CommandResult {
    let numbered = device.numbered(paths.to_vec(), now);
    let readings = device.explain(&Wanted::values(numbered), now);
    let (mut text, mut entries) = (String::new(), Vec::new());
    for reading in readings.iter().filter(|reading| reading.is_table()) {
        let entry = Entry { name: &reading.name, value: None, spec: None, reading: Some(reading) };
        if json { entries.push(entry.json()) } else { entry.write(&mut text) }
    }
    for path_text in paths {
        let error_text = |error| path_error_text(device, path_text, error);
        let mut is_omitted = false;
        for omitted in device.tree().schema().omitted() {
            is_omitted |= path_text.starts_with(&omitted.path);
            if is_omitted || omitted.path.starts_with(path_text.as_str()) {
                if json { entries.push(omitted_json(omitted)) } else { text += &format!("{}\n", omitted.notice()) }
            }
        }
        if is_omitted {
            continue;
        }
        let visited = device.tree().visit_paths(path_text, false, &mut |path, form| {
            device.tree().visit_values(path, &mut |parameter| {
                if text.len() > MAX_OUTPUT {
                    return;
                }
                let reading = readings.iter().find(|reading| reading.name == parameter.name);
                let (name, value) = (form.of(parameter.name), parameter.value().to_string());
                let entry = Entry { name: &name, value: Some(&value), spec: Some(parameter.spec), reading };
                if json { entries.push(entry.json()) } else { entry.write(&mut text) }
            })
        });
        visited.map_err(error_text)?;
        if text.len() > MAX_OUTPUT {
            return Err(format!("the answer would be longer than {} MiB; ask for less at once", MAX_OUTPUT >> 20));
        }
    }
    Ok(if json { format!("{}\n", Json::Array(entries)) } else { text })
}

fn omitted_json(omitted: &Omitted) -> Json {
    let mut json = object(["source", "text", "value", "writable", "milliseconds"].map(|name| (name, Json::Null)));
    json["name"] = omitted.path.as_str().into();
    json["error"] = omitted.notice().into();
    json
}

/// A parameter with its value and the way of that value, or a table whose rows are unknown.
struct Entry<'a> {
    name: &'a str,
    /// `None` of a table.
    value: Option<&'a str>,
    spec: Option<&'a Spec>,
    /// `None` if the value is the agent's own.
    reading: Option<&'a Reading>,
}

impl Entry<'_> {
    fn json(&self) -> Json {
        let text = |text: Option<&str>| text.map_or(Json::Null, Json::from);
        let reading = self.reading;
        object([
            ("name", self.name.into()),
            ("source", text(reading.map_or(self.computed(), |reading| reading.query.as_deref()))),
            ("text", text(self.shown_text())),
            ("value", text(self.value)),
            ("writable", self.is_writable().into()),
            ("milliseconds", reading.map_or(Json::Null, |reading| (reading.took.as_millis() as u64).into())),
            ("error", text(self.error())),
        ])
    }

    /// Writes a line with the value, and a line for each part of its way.
    fn write(&self, text: &mut String) {
        let mut line = |label: &str, content: &str| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{label}").and_then(|()| write!(OneLine(text), "{content}"));
            text.push('\n');
        };
        line(self.name, &self.value.map(|value| format!("={value}")).unwrap_or_default());
        match self.reading {
            None => line("  source  ", self.computed().unwrap_or("kept by the agent")),
            Some(reading) => {
                let took = format!(" ({} ms)", reading.took.as_millis() as u64);
                let source =
                    reading.query.as_ref().map_or("not on this device".to_owned(), |query| query.clone() + &took);
                line("  source  ", &source);
                if self.is_writable() {
                    line("  access  ", "readWrite");
                }
                self.shown_text().iter().for_each(|shown| line("  text    ", shown));
                self.error().iter().for_each(|error| line("  error   ", error));
            }
        }
    }

    fn is_writable(&self) -> bool {
        self.spec.is_some_and(|spec| spec.writable)
    }

    /// Returns the way of a value that the agent does not keep.
    fn computed(&self) -> Option<&'static str> {
        self.spec?.is_count().then_some("number of instances")
    }

    /// Returns the text of the device, unless the parameter is hidden.
    fn shown_text(&self) -> Option<&str> {
        self.reading.filter(|_| self.spec.is_some_and(|spec| !spec.hidden))?.text.as_deref()
    }

    fn error(&self) -> Option<&str> {
        self.reading.and_then(|reading| reading.value.as_ref().err()).map(String::as_str)
    }
}

/// Reads everything that has a source once. Returns the list of the failures, and true if there is none.
pub fn check_device(loaded: Loaded, json: bool) -> (String, bool) {
    let clock = Clock::new();
    let (mut device, _) = Device::restore(loaded, &[], Box::new(DiscardingJournal), clock.now());
    device.set_sources(Box::new(DeviceSources::new(clock, std::sync::Arc::default())));
    let readings = device.explain(&Wanted::values(vec![String::new()]), clock.now());
    let failed: Vec<&Reading> = readings.iter().filter(|reading| reading.value.is_err()).collect();
    let (mut text, mut entries) = (String::new(), Vec::new());
    for reading in &failed {
        // A table is no parameter.
        let parameter = device.tree().parameter(&reading.name).ok();
        let value = parameter.as_ref().map(|parameter| parameter.value().to_string());
        let spec = parameter.map(|parameter| parameter.spec);
        let entry = Entry { name: &reading.name, value: value.as_deref(), spec, reading: Some(reading) };
        if json { entries.push(entry.json()) } else { entry.write(&mut text) }
    }
    if json {
        return (format!("{}\n", Json::Array(entries)), failed.is_empty());
    }
    let read = readings.iter().filter(|reading| !reading.is_table()).count();
    let _ = writeln!(text, "{read} values were read from the device; {} failed or do not fit", failed.len());
    (text, failed.is_empty())
}

/// A journal that keeps nothing: `check` changes nothing on the device.
struct DiscardingJournal;

impl JournalWriter for DiscardingJournal {
    fn append(&mut self, _: &str, _: Growth) -> Result<(), JournalError> {
        Ok(())
    }
}
