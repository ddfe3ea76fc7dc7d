//! The values of `set -`: the output of `get`, read from standard input.

use std::io::{self, Read};

use serde_json::Value as Json;

use crate::control::parse_assignment;
use crate::json::syntax_error;
use crate::secret::Secret;

/// The most bytes of standard input: twice the longest output of `get`.
const MAX_INPUT: u64 = 8 << 20;

/// Reads parameters and their values from standard input, in either form that `get` writes. Returns a message for the user if
/// there is something else.
pub(super) fn read_from_stdin() -> Result<Vec<(String, Secret)>, String> {
    let mut text = String::new();
    let read = io::stdin().lock().take(MAX_INPUT + 1).read_to_string(&mut text);
    match read {
        Err(error) => Err(format!("standard input cannot be read: {error}")),
        Ok(length) if length as u64 > MAX_INPUT => Err(format!("standard input has more than {} MiB", MAX_INPUT >> 20)),
        Ok(_) => parse(&text),
    }
}

fn parse(text: &str) -> Result<Vec<(String, Secret)>, String> {
    let assignments = match text.trim_start().starts_with('{') {
        true => parse_json(text)?,
        false => text.lines().filter(|line| !line.is_empty()).map(parse_line).collect::<Result<_, _>>()?,
    };
    match assignments.is_empty() {
        true => Err("standard input has no PATH=VALUE".into()),
        false => Ok(assignments),
    }
}

/// Reads an object of names and values. A number and a boolean count as their texts.
fn parse_json(text: &str) -> Result<Vec<(String, Secret)>, String> {
    let json: Json =
        serde_json::from_str(text).map_err(|error| format!("standard input is not JSON: {}", syntax_error(&error)))?;
    let members = json.as_object().into_iter().flatten();
    let assignment = |(name, value): (&String, &Json)| match value {
        Json::String(text) => Ok((name.clone(), text.as_str().into())),
        Json::Number(_) | Json::Bool(_) => Ok((name.clone(), value.to_string().into())),
        _ => Err(format!("{name}: neither a text, a number nor a boolean")),
    };
    members.map(assignment).collect()
}

/// Reads a line of `get`.
fn parse_line(line: &str) -> Result<(String, Secret), String> {
    let (name, value) = parse_assignment(line)?;
    let value =
        unescape(value.expose()).ok_or_else(|| format!("{name}: a backslash is followed by no escape of get"))?;
    Ok((name, value.into()))
}

/// Returns a value without the escapes of `get`; `None` if there is another one.
fn unescape(text: &str) -> Option<String> {
    let mut value = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        value.push_str(before);
        let mut characters = after.chars();
        let escaped = match characters.next()? {
            '\\' => '\\',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (digits, end) = characters.as_str().strip_prefix('{')?.split_once('}')?;
                characters = end.chars();
                char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
            }
            _ => return None,
        };
        value.push(escaped);
        rest = characters.as_str();
    }
    value.push_str(rest);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(String, String)>, String> {
        parse(text).map(|list| list.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect())
    }

    fn pairs(list: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        Ok(list.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn both_forms_of_get_are_read() {
        let expected = [("Device.A", "a\nb\\c\u{1b}\t\r=ü"), ("Device.B", "")];
        assert_eq!(parsed("Device.A=a\\nb\\\\c\\u{1b}\\t\\r=ü\n\nDevice.B=\n"), pairs(&expected));
        let json = "\n{ \"Device.A\": \"a\\nb\\\\c\\u001b\\t\\r=ü\", \"Device.B\": \"\" }";
        assert_eq!(parsed(json), pairs(&expected));
        assert_eq!(parsed("{\"a\":true,\"b\":-1}"), pairs(&[("a", "true"), ("b", "-1")]));
    }

    #[test]
    fn other_input_is_refused() {
        for (text, reason) in [
            ("", "standard input has no PATH=VALUE"),
            ("{}", "standard input has no PATH=VALUE"),
            ("Device.A\n", "`Device.A` is not PATH=VALUE"),
            ("A=\\x", "A: a backslash is followed by no escape of get"),
            ("A=a\\", "A: a backslash is followed by no escape of get"),
            ("A=\\u{d800}", "A: a backslash is followed by no escape of get"),
            ("A=\\u{1b", "A: a backslash is followed by no escape of get"),
            ("{\n \"A\": 1", "standard input is not JSON: line 2, column 7: the text ends too early"),
            ("{\"A\":[]}", "A: neither a text, a number nor a boolean"),
            ("{\"A\":null}", "A: neither a text, a number nor a boolean"),
        ] {
            assert_eq!(parsed(text), Err(reason.to_owned()), "{text}");
        }
    }
}
