//! Parameter and object names as the ACS writes them (TR-069 A6 §A.2.2).

use std::borrow::Cow;
use std::fmt;

/// The longest name in characters (`string(256)`, R176).
pub const MAX_LENGTH: usize = 256;

/// The longest alias of an instance in characters (R318).
pub const MAX_ALIAS: usize = 64;

/// A well-formed name: a full parameter name (`Device.A.B`) or a partial path (`Device.A.`, or the empty string for the
/// whole tree), with numbers for the instances. A [`Tree`](super::tree::Tree) decides if a parameter or object of that name
/// is present, and finds the numbers for a name with aliases or wildcards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a>(&'a str);

impl<'a> Path<'a> {
    /// Checks length and syntax, and rejects aliases (R317) and instance wildcards (R322): a path is one of numbers.
    pub fn parse(text: &'a str) -> Result<Path<'a>, PathError> {
        // The limit counts characters. Names are ASCII as a rule, so the bytes decide without a pass over the text.
        if text.len() > MAX_LENGTH && text.chars().count() > MAX_LENGTH {
            return Err(PathError::TooLong);
        }
        let names = text.strip_suffix('.').unwrap_or(text);
        // The empty path has no segment to check; `split` would yield one empty segment and reject it.
        if !text.is_empty() {
            names.split('.').try_for_each(check_segment)?;
        }
        Ok(Path(text))
    }

    /// Returns true if the name stands for a part of the tree rather than for one parameter.
    pub fn is_partial(&self) -> bool {
        self.0.is_empty() || self.0.ends_with('.')
    }

    /// Returns the name as it was written.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// Returns the node names in order, without the dot at the end. The empty path has none.
    pub(super) fn segments(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let names = self.0.strip_suffix('.').unwrap_or(self.0);
        names.split('.').filter(|segment| !segment.is_empty())
    }
}

fn check_segment(segment: &str) -> Result<(), PathError> {
    if segment.starts_with('[') {
        return Err(PathError::AliasUnsupported);
    }
    if segment == "*" {
        return Err(PathError::WildcardUnsupported);
    }
    if instance_number(segment).is_some() || is_name(segment) {
        return Ok(());
    }
    Err(PathError::Syntax)
}

/// Returns true if `text` may name an object or a parameter: a letter or `_`, then letters, digits, `_` and `-`.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Returns the alias that a segment `[alias]` writes (R317, R318).
pub(super) fn alias(segment: &str) -> Option<&str> {
    segment.strip_prefix('[')?.strip_suffix(']').filter(|text| is_alias(text))
}

/// Returns true if `text` may be the alias of an instance: a letter, then letters, digits, `_` and `-` (R318).
pub(super) fn is_alias(text: &str) -> bool {
    text.len() <= MAX_ALIAS && is_name(text) && !text.starts_with('_')
}

/// Returns a name with a number in place of each alias and each wildcard, for rules that hold for all instances alike.
pub fn with_any_numbers(name: &str) -> Cow<'_, str> {
    if !name.contains(['[', '*']) {
        return name.into();
    }
    let number = |segment| if segment == "*" || alias(segment).is_some() { "1" } else { segment };
    name.split('.').map(number).collect::<Vec<&str>>().join(".").into()
}

/// Returns the instance number that `text` writes: 1 or greater, without leading zeros.
pub(super) fn instance_number(text: &str) -> Option<u32> {
    // A leading zero would give one instance two names.
    if text.starts_with(|c: char| ('1'..='9').contains(&c)) && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    None
}

/// The reason why a name cannot be used. It becomes a CWMP fault in `cwmp::rpc` and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// More than 256 characters.
    TooLong,
    /// The text is not a sequence of names and instance numbers separated by dots.
    Syntax,
    /// `[alias]` in place of an instance number, where only numbers are accepted.
    AliasUnsupported,
    /// `*` in place of an instance number, where it is not accepted.
    WildcardUnsupported,
    /// The alias is that of another instance.
    AliasTaken,
    /// The text is no alias.
    NoAlias,
    /// No parameter or object of that name is present.
    Unknown,
    /// A partial path where a full parameter name is needed.
    NotAParameter,
    /// A full parameter name where only a partial path makes sense.
    NotAnObject,
    /// The object is no table to which instances can be added.
    NotCreatable,
    /// The object is no instance that can be deleted.
    NotDeletable,
    /// The table is full (`maxEntries`, or no instance number is left).
    TableFull,
    /// The request visits or creates more parameters and objects than one request may.
    TooMuchWork,
    /// The agent stops before the request is done.
    Stopping,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathError::TooLong => "the name is longer than 256 characters",
            PathError::Syntax => "the name is not well formed",
            PathError::AliasUnsupported => "alias-based addressing is not supported",
            PathError::WildcardUnsupported => "an instance wildcard is not accepted here",
            PathError::AliasTaken => "another instance has this alias",
            PathError::NoAlias => "an alias is a letter, then letters, digits, `_` and `-`, 64 characters at most",
            PathError::Unknown => "no such parameter or object",
            PathError::NotAParameter => "a full parameter name is needed here",
            PathError::NotAnObject => "a partial path is needed here",
            PathError::NotCreatable => "no instance can be added here",
            PathError::NotDeletable => "this is no instance that can be deleted",
            PathError::TableFull => "the table takes no more instances",
            PathError::TooMuchWork => "the request covers more parameters than one request may",
            PathError::Stopping => "the agent is stopping",
        })
    }
}

impl std::error::Error for PathError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_partial_paths_parse() {
        for text in ["", "Device.", "Device.Hosts.Host.12.", "Device.X_00D09E_Led.Mode", "Device"] {
            assert_eq!(Path::parse(text).map(|p| p.as_str()), Ok(text));
        }
        assert!(Path::parse("").unwrap().is_partial());
        assert!(Path::parse("Device.").unwrap().is_partial());
        assert!(!Path::parse("Device.URL").unwrap().is_partial());
    }

    #[test]
    fn malformed_names_are_refused() {
        for text in [
            ".",
            "..",
            "Device..",
            ".Device",
            "Device.Host.0.",
            "Device.Host.01.",
            "Device. ",
            "Dévice.",
            "Device.{i}.",
        ] {
            assert_eq!(Path::parse(text), Err(PathError::Syntax), "{text}");
        }
        assert_eq!(Path::parse("Device.Host.[a]."), Err(PathError::AliasUnsupported));
        assert_eq!(Path::parse("Device.Host.*.Active"), Err(PathError::WildcardUnsupported));
        assert_eq!(Path::parse("Device.Host.99999999999."), Err(PathError::Syntax));
    }

    #[test]
    fn the_length_is_bounded() {
        let longest = format!("Device.{}", "a".repeat(249)); // R176
        assert!(Path::parse(&longest).is_ok());
        assert_eq!(Path::parse(&format!("{longest}a")), Err(PathError::TooLong));
    }
}
