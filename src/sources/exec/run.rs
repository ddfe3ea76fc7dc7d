//! A program that runs once with fields as its input, as a source does.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::Programs;
use crate::clock::Clock;
use crate::model::source::{Answer, Query, Target, Watching};
use crate::sources::lines::escape;

/// Runs a program: writes `FIELD⇥VALUE` lines to it, and returns the fields of its output. Those of a row have the key of the row
/// in front of them, with a dot. The program is killed at the limit in seconds, and once `stop` is set.
///
/// # Errors
/// The reason for which there is no output.
pub(crate) fn run_program<'f>(
    command: &[String],
    fields: impl Iterator<Item = &'f (String, String)>,
    limit: u32,
    stop: &AtomicBool,
) -> Result<Vec<(String, String)>, String> {
    let input: String = fields.map(|(field, value)| format!("{}\t{}\n", escape(field), escape(value))).collect();
    let query = Query {
        target: Target::Exec { command: command.to_vec(), input },
        limit,
        age: 0,
        watching: Watching::default(),
    };
    let response = Programs::start(&[query], Clock::new(), Duration::MAX).finish(stop).pop();
    let rows = match response.map(|(_, response)| response.answer) {
        Some(Ok(Answer::Rows(rows))) => rows,
        Some(Ok(_)) | None => return Err("it has no output".to_owned()),
        Some(Err(reason)) => return Err(reason),
    };
    let mut found = Vec::new();
    for row in rows {
        for (field, value) in row.fields() {
            let name = if row.key.is_empty() { field.to_owned() } else { format!("{}.{field}", row.key) };
            found.push((name, value.to_owned()));
        }
    }
    Ok(found)
}
