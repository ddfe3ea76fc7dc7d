//! Paths into an answer: names joined by `.`; `[3]` for an item of an array; `[member=text]` for the first item or member
//! whose member has this text; `*` for any member, and `name*` for any whose name begins so; `[*]` and `[*member=text]` for all
//! items or members.

use std::borrow::Cow;

use super::blob::Value;

/// The most steps of a path.
const MAX_STEPS: usize = 16;

/// The most elements of an array or table that count.
const MAX_ROWS: usize = 4096;

/// The name that stands for a row itself instead of one of its members.
pub(in crate::model) const ITSELF: &str = ".";

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model) enum Step<T> {
    /// The member of this name.
    Name(T),
    /// The item at this place, counted from 0.
    Index(usize),
    /// The first element whose member has this text.
    With(T, T),
    /// The members whose names begin so, all of them with an empty text: the first one in which the rest of the path leads to a
    /// value.
    Begin(T),
    /// All elements, or those whose member has this text.
    Each(Option<(T, T)>),
}

impl<T> Step<T> {
    /// Returns the step with other texts.
    pub(in crate::model) fn map<'s, U, E>(&'s self, mut with: impl FnMut(&'s T) -> Result<U, E>) -> Result<Step<U>, E> {
        Ok(match self {
            Step::Name(name) => Step::Name(with(name)?),
            Step::Index(index) => Step::Index(*index),
            Step::With(member, text) => Step::With(with(member)?, with(text)?),
            Step::Begin(begin) => Step::Begin(with(begin)?),
            Step::Each(None) => Step::Each(None),
            Step::Each(Some((member, text))) => Step::Each(Some((with(member)?, with(text)?))),
        })
    }

    /// Returns the texts.
    pub(in crate::model) fn texts(&self) -> impl Iterator<Item = &T> {
        let (one, other) = match self {
            Step::Name(name) | Step::Begin(name) => (Some(name), None),
            Step::With(member, text) | Step::Each(Some((member, text))) => (Some(member), Some(text)),
            Step::Index(_) | Step::Each(None) => (None, None),
        };
        one.into_iter().chain(other)
    }
}

impl Step<Cow<'_, str>> {
    /// Returns the step with borrowed texts.
    pub(in crate::model) fn as_str(&self) -> Step<&str> {
        match self {
            Step::Name(name) => Step::Name(&**name),
            Step::Index(index) => Step::Index(*index),
            Step::With(member, text) => Step::With(&**member, &**text),
            Step::Begin(begin) => Step::Begin(&**begin),
            Step::Each(which) => Step::Each(which.as_ref().map(|(member, text)| (&**member, &**text))),
        }
    }
}

/// Reads a path. The text of a step may hold placeholders, in whose braces no character divides.
///
/// # Errors
/// The text is no path; the reason is for the author of the model.
pub(in crate::model) fn parse(text: &str) -> Result<Vec<Step<&str>>, String> {
    let mut steps = Vec::new();
    let mut rest = text;
    loop {
        if let Some(inside) = rest.strip_prefix('[') {
            let end = find_outside_braces(inside, &[']']).ok_or("`[` without `]`")?;
            steps.push(selection(&inside[..end])?);
            rest = &inside[end + 1..];
        } else {
            let end = find_outside_braces(rest, &['.', '[']).unwrap_or(rest.len());
            match &rest[..end] {
                "" => return Err("a path is names joined by `.`, `[3]`, `[member=text]` or `*`".to_owned()),
                name => steps.push(name.strip_suffix('*').map_or(Step::Name(name), Step::Begin)),
            }
            rest = &rest[end..];
        }
        if steps.len() > MAX_STEPS {
            return Err(format!("a path of more than {MAX_STEPS} steps"));
        }
        match rest.strip_prefix('.') {
            Some(behind) if behind.starts_with('[') => return Err("`.` stands before `[`".to_owned()),
            Some(behind) => rest = behind,
            None if rest.is_empty() => return Ok(steps),
            None if rest.starts_with('[') => {}
            None => return Err("`.` is needed behind `]`".to_owned()),
        }
    }
}

/// Reads the text between brackets.
fn selection(text: &str) -> Result<Step<&str>, String> {
    let each = text.strip_prefix('*');
    match each.unwrap_or(text).split_once('=') {
        Some((member, text)) if !member.is_empty() => {
            Ok(if each.is_some() { Step::Each(Some((member, text))) } else { Step::With(member, text) })
        }
        _ if text == "*" => Ok(Step::Each(None)),
        _ => text.parse().map(Step::Index).map_err(|_| format!("`[{text}]` is neither a number nor `[member=text]`")),
    }
}

fn find_outside_braces(text: &str, wanted: &[char]) -> Option<usize> {
    let mut is_inside = false;
    text.char_indices().find_map(|(at, character)| {
        match character {
            '{' => is_inside = true,
            '}' => is_inside = false,
            _ => {}
        }
        (!is_inside && wanted.contains(&character)).then_some(at)
    })
}

/// Returns the text of a field: that to which a path leads that the loader has read, or that of the value itself.
pub(in crate::model) fn field<'a>(value: Value<'a>, path: &str) -> Option<Cow<'a, str>> {
    match path {
        ITSELF => value.text(),
        // Most fields are members, and need no list of steps.
        _ if !path.contains(['.', '[', '*']) => value.member(path)?.text(),
        _ => text(value, &parse(path).ok()?),
    }
}

/// Returns the text to which a path leads: with `[*]` those of all elements, with spaces between them.
pub(in crate::model) fn text<'a>(value: Value<'a>, path: &[Step<&str>]) -> Option<Cow<'a, str>> {
    if !path.iter().any(|step| matches!(step, Step::Each(_))) {
        return find(value, path)?.text();
    }
    let mut texts = Vec::new();
    each(value, path, &mut |found| texts.extend(found.text()));
    (!texts.is_empty()).then(|| texts.join(" ").into())
}

/// Returns true for equal texts. The objects of the bus do not agree on the case of a MAC address.
fn is_same(held: &str, text: &str) -> bool {
    let is_mac = || held.len() == 17 && held.bytes().skip(2).step_by(3).all(|byte| byte == b':');
    held == text || (held.eq_ignore_ascii_case(text) && is_mac())
}

/// Visits all values to which a path leads, where a step fits several elements. Its length bounds the recursion.
pub(in crate::model) fn each<'a>(value: Value<'a>, path: &[Step<&str>], visit: &mut dyn FnMut(Value<'a>)) {
    let Some((step, rest)) = path.split_first() else { return visit(value) };
    let fits = |name: &[u8], element: Value<'_>| match step {
        Step::With(member, text) | Step::Each(Some((member, text))) => {
            element.member(member).and_then(Value::text).is_some_and(|held| is_same(&held, text))
        }
        Step::Begin(begin) => name.starts_with(begin.as_bytes()),
        _ => true,
    };
    match (step, value) {
        (Step::Name(_) | Step::Index(_), _) => {
            find(value, &path[..1]).into_iter().for_each(|next| each(next, rest, visit));
        }
        (Step::Begin(_), Value::Array(_)) => {}
        _ => value
            .elements()
            .into_iter()
            .flatten()
            .filter(|(name, element)| fits(name, *element))
            .for_each(|(_, next)| each(next, rest, visit)),
    }
}

/// Returns the value to which a path leads. Its length bounds the recursion.
pub(in crate::model) fn find<'a>(value: Value<'a>, path: &[Step<&str>]) -> Option<Value<'a>> {
    let Some((step, rest)) = path.split_first() else { return Some(value) };
    let next = match (step, value) {
        (Step::Name(name), _) => value.member(name)?,
        (Step::Index(index), Value::Array(mut items)) => items.nth(*index)?.1,
        (Step::With(member, text), _) => {
            let fits = |(_, element): &(&[u8], Value<'_>)| {
                element.member(member).and_then(Value::text).is_some_and(|held| is_same(&held, text))
            };
            value.elements()?.find(fits)?.1
        }
        (Step::Begin(begin), Value::Table(mut members)) => {
            return members
                .find_map(|(name, member)| find(member, rest).filter(|_| name.starts_with(begin.as_bytes())));
        }
        _ => return None,
    };
    find(next, rest)
}

/// Returns the rows in an array or table, each with its key: the text of `member`, or with `.` the name of the row, in an
/// array its own text. `None` if the value has no elements.
pub(in crate::model) fn rows<'a>(
    value: Value<'a>,
    member: &str,
) -> Option<impl Iterator<Item = (Cow<'a, str>, Value<'a>)>> {
    let is_array = matches!(value, Value::Array(_));
    Some(value.elements()?.take(MAX_ROWS).filter_map(move |(name, row)| {
        let key = match member {
            ITSELF if is_array => row.text()?,
            ITSELF => String::from_utf8_lossy(name),
            member => row.member(member)?.text()?,
        };
        Some((key, row))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::source::blob::{ARRAY, Blob, TABLE, TEXT, put_element};

    fn text(name: &str, text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_element(&mut bytes, TEXT, name, format!("{text}\0").as_bytes());
        bytes
    }

    fn nest(kind: u8, name: &str, inner: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_element(&mut bytes, kind, name, &inner.concat());
        bytes
    }

    fn dump() -> Blob {
        let interface = |name: &str, address: &str| {
            let addresses = nest(ARRAY, "ipv4-address", &[nest(TABLE, "", &[text("address", address)])]);
            nest(TABLE, "", &[text("interface", name), addresses])
        };
        let list = nest(ARRAY, "interface", &[interface("lan", "192.168.1.1"), interface("wan.7", "192.0.2.1")]);
        let servers = nest(ARRAY, "dns-server", &[text("", "9.9.9.9"), text("", "1.1.1.1")]);
        Blob::new(&[servers, list].concat()).unwrap()
    }

    #[test]
    fn a_path_leads_to_a_value() {
        let dump = dump();
        let at = |path: &str| find(dump.root(), &parse(path).unwrap()).and_then(Value::text).map(Cow::into_owned);
        assert_eq!(at("interface[0].interface").as_deref(), Some("lan"));
        assert_eq!(at("interface[interface=wan.7].ipv4-address[0].address").as_deref(), Some("192.0.2.1"));
        assert_eq!(at("*[interface=lan].ipv4-address[0].address").as_deref(), Some("192.168.1.1"));
        assert_eq!(at("*[1]").as_deref(), Some("1.1.1.1"), "the first member in which the rest is a value");
        assert_eq!(at("dns-server").as_deref(), Some("9.9.9.9 1.1.1.1"));
        for nothing in
            ["interface", "interface[2]", "interface[interface=x]", "interface.lan", "dns-server[0].x", "x.y", "*.x"]
        {
            assert_eq!(at(nothing), None, "{nothing}");
        }
        assert_eq!(at("dns*[1]").as_deref(), Some("1.1.1.1"));
        assert_eq!(at("dhcp*[1]"), None);
        let station = nest(TABLE, "", &[text("mac", "02:00:00:00:00:AB"), text("name", "A")]);
        let stations = Blob::new(&nest(ARRAY, "results", &[station])).unwrap();
        let at = |path: &str| find(stations.root(), &parse(path).unwrap()).and_then(Value::text).is_some();
        // Objects of the bus do not agree on the case.
        assert!(at("results[mac=02:00:00:00:00:ab].name") && !at("results[name=a].mac"));
    }

    #[test]
    fn a_path_may_lead_to_several_values() {
        let dump = dump();
        let at = |path: &str| field(dump.root(), path).map(Cow::into_owned);
        assert_eq!(at("interface[*].interface").as_deref(), Some("lan wan.7"));
        assert_eq!(at("interface[*].ipv4*[*].address").as_deref(), Some("192.168.1.1 192.0.2.1"));
        assert_eq!(at("interface[*interface=wan.7].ipv4-address[0].address").as_deref(), Some("192.0.2.1"));
        assert_eq!(at("dns-server[*]").as_deref(), Some("9.9.9.9 1.1.1.1"));
        assert_eq!(at("dns-server").as_deref(), Some("9.9.9.9 1.1.1.1"));
        for nothing in ["interface[*]", "interface[*interface=x].interface", "dns-server[*].x", "x[*]"] {
            assert_eq!(at(nothing), None, "{nothing}");
        }
        let mut parts = 0;
        each(dump.root(), &parse("*[interface=lan].ipv4*").unwrap(), &mut |_| parts += 1);
        assert_eq!(parts, 1);
    }

    #[test]
    fn rows_have_keys() {
        let dump = dump();
        let keys = |path: &str, member: &str| {
            let part = find(dump.root(), &parse(path).unwrap()).unwrap();
            rows(part, member).map(|rows| rows.map(|(key, _)| key.into_owned()).collect::<Vec<_>>())
        };
        assert_eq!(keys("interface", "interface").unwrap(), ["lan", "wan.7"]);
        assert_eq!(keys("dns-server", ".").unwrap(), ["9.9.9.9", "1.1.1.1"]);
        assert_eq!(keys("interface[0]", ".").unwrap(), ["interface", "ipv4-address"]);
        assert!(keys("interface", ".").unwrap().is_empty(), "a table in an array has no name");
        assert!(keys("interface", "none").unwrap().is_empty());
        assert_eq!(keys("dns-server[0]", "."), None);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = vec!["a"; MAX_STEPS + 1].join(".");
        for wrong in [
            "", ".", "a.", ".a", "a..b", "a[", "a[]", "a[=x]", "a[*=x]", "a[-1]", "a[x]", "a[1]b", "a.[1]", "a[1",
            &long,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse("{a.b[}.c").unwrap(), [Step::Name("{a.b[}"), Step::Name("c")]);
        assert_eq!(parse("[m={a]}]").unwrap(), [Step::With("m", "{a]}")]);
    }
}
