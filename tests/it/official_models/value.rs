//! Does a factory value meet the constraints that stand beside it? A reading of its own, not the agent's.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// The compiled patterns: some stand at dozens of parameters.
pub(crate) type Patterns = BTreeMap<String, regex_lite::Regex>;

/// Returns the value of a type for which the model gives none.
pub(crate) fn null(kind: &str) -> &'static str {
    match kind {
        "boolean" => "false",
        "dateTime" => "0001-01-01T00:00:00Z",
        "string" | "base64" | "hexBinary" => "",
        _ => "0",
    }
}

/// Returns the problem of a value, if there is one.
pub(crate) fn problem(parameter: &Map<String, Value>, value: &str, patterns: &mut Patterns) -> Option<String> {
    if parameter.get("list") != Some(&Value::Bool(true)) {
        return item_problem(parameter, value, patterns);
    }
    let items: Vec<&str> = value.split(',').filter(|_| !value.is_empty()).collect();
    if number(parameter, "maxItems").is_some_and(|max| items.len() as i128 > max) {
        return Some("has too many items".into());
    }
    items.iter().find_map(|item| item_problem(parameter, item, patterns))
}

fn item_problem(parameter: &Map<String, Value>, value: &str, patterns: &mut Patterns) -> Option<String> {
    let kind = text(parameter, "type").unwrap_or_default();
    let Some(measure) = measure(kind, value) else {
        return Some(format!("is no {kind}"));
    };
    let (low, high) = match measure {
        Measure::Number(_) => ("min", "max"),
        Measure::Length(_) => ("minLength", "maxLength"),
    };
    let (Measure::Number(size) | Measure::Length(size)) = measure;
    if number(parameter, low).is_some_and(|low| size < low) || number(parameter, high).is_some_and(|high| size > high) {
        return Some(format!("is outside {low} and {high}"));
    }
    if let Some(Value::Array(allowed)) = parameter.get("enum")
        && !allowed.iter().any(|item| item.as_str() == Some(value))
    {
        return Some("is not in the enumeration".into());
    }
    let pattern = text(parameter, "pattern")?;
    let compiled = patterns.entry(pattern.to_owned()).or_insert_with(|| {
        regex_lite::Regex::new(&format!("^(?:{pattern})$")).expect("a pattern that regex-lite takes")
    });
    (!compiled.is_match(value)).then(|| "does not match the pattern".into())
}

enum Measure {
    Number(i128),
    Length(i128),
}

/// Returns the number or the length to which the facets apply; `None` for a text that is no literal of the type.
fn measure(kind: &str, value: &str) -> Option<Measure> {
    let within = |low: i128, high: i128| {
        let number = value.parse().ok().filter(|number| (low..=high).contains(number))?;
        Some(Measure::Number(number))
    };
    match kind {
        "int" => within(i32::MIN.into(), i32::MAX.into()),
        "unsignedInt" => within(0, u32::MAX.into()),
        "long" => within(i64::MIN.into(), i64::MAX.into()),
        "unsignedLong" => within(0, u64::MAX.into()),
        "boolean" if !matches!(value, "true" | "false") => None,
        "dateTime" => {
            let shape = regex_lite::Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$").expect("a valid expression");
            shape.is_match(value).then_some(Measure::Length(0))
        }
        "base64" => Some(Measure::Length(STANDARD.decode(value).ok()?.len() as i128)),
        "hexBinary" => {
            let hex = value.len().is_multiple_of(2) && value.bytes().all(|byte| byte.is_ascii_hexdigit());
            hex.then_some(Measure::Length(value.len() as i128 / 2))
        }
        _ => Some(Measure::Length(value.chars().count() as i128)),
    }
}

/// A member that is a string.
pub(crate) fn text<'a>(parameter: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    parameter.get(name)?.as_str()
}

/// A member that is a number.
pub(crate) fn number(parameter: &Map<String, Value>, name: &str) -> Option<i128> {
    parameter.get(name)?.as_i64().map(i128::from)
}
