//! Typed values: the CWMP data types (R323 to R332), the literals that write them, and what a value must meet.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use regex_lite::Regex;
use rustc_hash::FxHashMap;

use super::date_time::DateTime;

/// A CWMP data type (TR-106 A7, Appendix I).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Characters, white space kept.
    String,
    /// 32 bits, signed.
    Int,
    /// 32 bits, unsigned.
    UnsignedInt,
    /// 64 bits, signed.
    Long,
    /// 64 bits, unsigned.
    UnsignedLong,
    /// `true` or `false`; `1` and `0` are taken too.
    Boolean,
    /// An instant or a time since boot.
    DateTime,
    /// Bytes in Base64.
    Base64,
    /// Bytes in hexadecimal digits.
    HexBinary,
    /// A decimal fraction.
    Decimal,
}

impl Type {
    const NAMES: [(&'static str, Type); 10] = [
        ("string", Type::String),
        ("int", Type::Int),
        ("unsignedInt", Type::UnsignedInt),
        ("long", Type::Long),
        ("unsignedLong", Type::UnsignedLong),
        ("boolean", Type::Boolean),
        ("dateTime", Type::DateTime),
        ("base64", Type::Base64),
        ("hexBinary", Type::HexBinary),
        ("decimal", Type::Decimal),
    ];

    /// The name in a data-model file, such as `unsignedInt`.
    pub fn name(self) -> &'static str {
        Type::NAMES[self as usize].0
    }

    /// The type that a data-model file names so.
    pub fn from_name(name: &str) -> Option<Type> {
        Type::NAMES.iter().find(|(n, _)| *n == name).map(|(_, t)| *t)
    }

    /// The value of a parameter that has none.
    pub fn null(self) -> Value {
        match self {
            Type::String | Type::Base64 | Type::HexBinary => Value::Text("".into()),
            Type::Decimal => Value::Text("0".into()),
            Type::Int | Type::Long => Value::Int(0),
            Type::UnsignedInt | Type::UnsignedLong => Value::Unsigned(0),
            Type::Boolean => Value::Boolean(false),
            Type::DateTime => Value::DateTime(DateTime::UNKNOWN),
        }
    }

    /// What a hidden parameter reads as: null, which in a signed number is -1 (R175).
    pub fn hidden_value(self) -> Value {
        match self {
            Type::Int | Type::Long => Value::Int(-1),
            other => other.null(),
        }
    }

    /// Reads a literal of this type. Text that is none, or is out of the type's range, is fault 9007.
    pub fn parse(self, text: &str) -> Result<Value, ValueError> {
        let literal = || ValueError::Literal(self);
        let collapsed = text.trim_matches([' ', '\t', '\r', '\n']); // whiteSpace=collapse of XML Schema
        match self {
            Type::String => Ok(Value::Text(text.into())),
            Type::Int => integer(self, collapsed, i32::MIN.into(), i32::MAX.into()).map(|n| Value::Int(n as i64)),
            Type::Long => integer(self, collapsed, i64::MIN.into(), i64::MAX.into()).map(|n| Value::Int(n as i64)),
            Type::UnsignedInt => integer(self, collapsed, 0, u32::MAX.into()).map(|n| Value::Unsigned(n as u64)),
            Type::UnsignedLong => integer(self, collapsed, 0, u64::MAX.into()).map(|n| Value::Unsigned(n as u64)),
            Type::Boolean => match collapsed {
                "1" | "true" => Ok(Value::Boolean(true)), // R323
                "0" | "false" => Ok(Value::Boolean(false)),
                _ => Err(literal()),
            },
            Type::DateTime => DateTime::parse(collapsed).map(Value::DateTime).ok_or_else(literal),
            Type::Base64 => {
                let text: String = collapsed.chars().filter(|c| !c.is_ascii_whitespace()).collect();
                BASE64.decode(&text).map_err(|_| literal())?;
                Ok(Value::Text(text.into()))
            }
            Type::HexBinary
                if collapsed.len().is_multiple_of(2) && collapsed.bytes().all(|b| b.is_ascii_hexdigit()) =>
            {
                Ok(Value::Text(collapsed.into()))
            }
            Type::Decimal if is_decimal(collapsed) => Ok(Value::Text(collapsed.into())),
            Type::HexBinary | Type::Decimal => Err(literal()),
        }
    }
}

fn integer(kind: Type, text: &str, min: i128, max: i128) -> Result<i128, ValueError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ValueError::Literal(kind));
    }
    match text.parse::<i128>() {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        _ => Err(ValueError::Range { min: Some(min), max: Some(max) }), // R324
    }
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    !(whole.is_empty() && fraction.is_empty()) && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
}

/// A value of a parameter. `Display` writes the CWMP literal, unescaped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// `string`, `base64`, `hexBinary`, `decimal`: the literal, so that it reads back just as it was set.
    Text(Box<str>),
    /// `int` and `long`.
    Int(i64),
    /// `unsignedInt` and `unsignedLong`.
    Unsigned(u64),
    /// `boolean`.
    Boolean(bool),
    /// `dateTime`.
    DateTime(DateTime),
}

impl Value {
    /// The text of a `string`; empty for every other type.
    pub fn as_str(&self) -> &str {
        match self {
            Value::Text(text) => text,
            _ => "",
        }
    }

    /// A number of either sign, where this is one.
    pub fn as_number(&self) -> Option<i128> {
        match self {
            Value::Int(n) => Some((*n).into()),
            Value::Unsigned(n) => Some((*n).into()),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Int(n) => n.fmt(f),
            Value::Unsigned(n) => n.fmt(f),
            Value::Boolean(b) => f.write_str(if *b { "true" } else { "false" }),
            Value::DateTime(t) => t.fmt(f),
        }
    }
}

/// What a value of one parameter must meet beyond its type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facets {
    /// Fewest characters; of the decoded bytes for `base64` and `hexBinary` (R327). Per item of a list.
    pub min_length: Option<u32>,
    /// Most characters, counted alike.
    pub max_length: Option<u32>,
    /// Least number.
    pub min: Option<i128>,
    /// Greatest number.
    pub max: Option<i128>,
    /// The texts allowed, case-sensitive (R331). Per item of a list. Empty: any.
    pub enumeration: Box<[Box<str>]>,
    /// A regular expression that the whole text (item) must match.
    pub pattern: Option<Box<str>>,
    /// A comma-separated list (R328).
    pub list: bool,
    /// Most items of a list.
    pub max_items: Option<u32>,
}

impl Facets {
    /// Reads a literal of `kind` (or a list of them) and holds it against the facets.
    pub fn parse(&self, kind: Type, text: &str) -> Result<Value, ValueError> {
        self.parse_with(kind, text, &PatternCache::default())
    }

    /// The same with patterns that may have been compiled before.
    pub(super) fn parse_with(&self, kind: Type, text: &str, patterns: &PatternCache) -> Result<Value, ValueError> {
        if self.list {
            self.check_list(kind, text, patterns)?;
            return Ok(Value::Text(text.into()));
        }
        let value = kind.parse(text)?;
        self.check(kind, &value, patterns)?;
        Ok(value)
    }

    fn check_list(&self, kind: Type, text: &str, patterns: &PatternCache) -> Result<(), ValueError> {
        if text.trim().is_empty() {
            return Ok(());
        }
        let mut count = 0;
        for item in text.split(',') {
            count += 1;
            let value = kind.parse(item.trim())?;
            self.check(kind, &value, patterns)?;
        }
        match self.max_items {
            Some(most) if count > most => Err(ValueError::TooManyItems(most)),
            _ => Ok(()),
        }
    }

    fn check(&self, kind: Type, value: &Value, patterns: &PatternCache) -> Result<(), ValueError> {
        self.check_range(kind, value)?;
        self.check_length(kind, value)?;
        let is_value = |allowed: &str| match value {
            Value::Text(text) => *allowed == **text,
            _ => kind.parse(allowed).is_ok_and(|allowed| allowed == *value),
        };
        if !self.enumeration.is_empty() && !self.enumeration.iter().any(|allowed| is_value(allowed)) {
            return Err(ValueError::NotInEnumeration);
        }
        match &self.pattern {
            Some(pattern) if !patterns.compile(pattern).is_ok_and(|regex| regex.is_match(&value.to_string())) => {
                Err(ValueError::Pattern)
            }
            _ => Ok(()),
        }
    }

    fn check_range(&self, kind: Type, value: &Value) -> Result<(), ValueError> {
        if self.min.is_none() && self.max.is_none() {
            return Ok(());
        }
        let error = ValueError::Range { min: self.min, max: self.max };
        if kind == Type::Decimal {
            let number: f64 = value.as_str().parse().map_err(|_| ValueError::Literal(kind))?;
            let inside =
                self.min.is_none_or(|min| number >= min as f64) && self.max.is_none_or(|max| number <= max as f64);
            return if inside { Ok(()) } else { Err(error) };
        }
        match value.as_number() {
            Some(n) if self.min.is_some_and(|min| n < min) || self.max.is_some_and(|max| n > max) => Err(error),
            _ => Ok(()),
        }
    }

    fn check_length(&self, kind: Type, value: &Value) -> Result<(), ValueError> {
        let Value::Text(text) = value else { return Ok(()) };
        if self.min_length.is_none() && self.max_length.is_none() {
            return Ok(());
        }
        let length = match kind {
            Type::Base64 => text.len() / 4 * 3 - text.bytes().rev().take_while(|b| *b == b'=').count(),
            Type::HexBinary => text.len() / 2,
            _ => text.chars().count(),
        };
        match (self.min_length, self.max_length) {
            (Some(least), _) if length < least as usize => Err(ValueError::TooShort(least)),
            (_, Some(most)) if length > most as usize => Err(ValueError::TooLong(most)),
            _ => Ok(()),
        }
    }
}

/// The regular expressions of `pattern` facets. They are compiled again and again, since each takes kilobytes; whoever
/// has many values to check keeps this meanwhile, in which each is compiled once.
#[derive(Debug, Default)]
pub(super) struct PatternCache(RefCell<FxHashMap<Box<str>, Rc<Regex>>>);

impl PatternCache {
    /// Anchored at both ends as XML Schema has it.
    pub(super) fn compile(&self, pattern: &str) -> Result<Rc<Regex>, regex_lite::Error> {
        if let Some(regex) = self.0.borrow().get(pattern) {
            return Ok(Rc::clone(regex));
        }
        let regex = Rc::new(Regex::new(&format!("^(?:{pattern})$"))?);
        self.0.borrow_mut().insert(pattern.into(), Rc::clone(&regex));
        Ok(regex)
    }
}

/// Why a value cannot be set. It becomes a CWMP fault in `cwmp::rpc` and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// The `xsi:type` does not fit the parameter (9006).
    Type {
        /// What the parameter is.
        expected: Type,
    },
    /// The parameter is not writable (9008).
    ReadOnly,
    /// The text is no literal of the type.
    Literal(Type),
    /// The number is outside the allowed range.
    Range {
        /// Least number allowed.
        min: Option<i128>,
        /// Greatest number allowed.
        max: Option<i128>,
    },
    /// Fewer characters or bytes than this.
    TooShort(u32),
    /// More characters or bytes than this.
    TooLong(u32),
    /// More list items than this.
    TooManyItems(u32),
    /// None of the texts allowed.
    NotInEnumeration,
    /// Does not match the pattern.
    Pattern,
    /// A strong reference to what is not there (R173).
    Reference,
    /// Prohibited by a rule of the data model that no facet expresses; the text says which.
    Prohibited(&'static str),
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueError::Type { expected } => write!(f, "the type does not fit, {} is needed", expected.name()),
            ValueError::ReadOnly => f.write_str("the parameter is read-only"),
            ValueError::Literal(kind) => write!(f, "not a valid {}", kind.name()),
            ValueError::Range { min: Some(min), max: Some(max) } => write!(f, "not in the range {min} to {max}"),
            ValueError::Range { min: Some(min), .. } => write!(f, "less than {min}"),
            ValueError::Range { max: Some(max), .. } => write!(f, "more than {max}"),
            ValueError::Range { .. } => f.write_str("out of range"),
            ValueError::TooShort(least) => write!(f, "too short, at least {least} characters are needed"),
            ValueError::TooLong(most) => write!(f, "too long, at most {most} characters are allowed"),
            ValueError::TooManyItems(most) => write!(f, "too many items, at most {most} are allowed"),
            ValueError::NotInEnumeration => f.write_str("not one of the values allowed"),
            ValueError::Pattern => f.write_str("does not have the form that is needed"),
            ValueError::Reference => f.write_str("refers to an object or parameter that is not there"),
            ValueError::Prohibited(rule) => f.write_str(rule),
        }
    }
}

impl std::error::Error for ValueError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(kind: Type, text: &str) -> Option<String> {
        kind.parse(text).ok().map(|value| value.to_string())
    }

    #[test]
    fn literals_of_every_type() {
        let cases = [
            (Type::String, " a\n", Some(" a\n")),
            (Type::Int, "-2147483648", Some("-2147483648")),
            (Type::Int, "+7", Some("7")),
            (Type::Int, "2147483648", None), // R324
            (Type::Int, "1.0", None),
            (Type::Int, "", None),
            (Type::UnsignedInt, "4294967295", Some("4294967295")),
            (Type::UnsignedInt, "-1", None),
            (Type::Long, "-9223372036854775808", Some("-9223372036854775808")),
            (Type::UnsignedLong, "18446744073709551615", Some("18446744073709551615")),
            (Type::UnsignedLong, "18446744073709551616", None),
            (Type::Boolean, "1", Some("true")), // R323
            (Type::Boolean, " false ", Some("false")),
            (Type::Boolean, "True", None),
            (Type::DateTime, "2026-11-22T15:04:05Z", Some("2026-11-22T15:04:05Z")),
            (Type::DateTime, "2026-11-22", None),
            (Type::Base64, "TWFu", Some("TWFu")),
            (Type::Base64, "TWF", None),
            (Type::HexBinary, "0aFF", Some("0aFF")),
            (Type::HexBinary, "0aF", None),
            (Type::Decimal, "-1.50", Some("-1.50")),
            (Type::Decimal, "1e5", None),
        ];
        for (kind, text, expected) in cases {
            assert_eq!(canonical(kind, text).as_deref(), expected, "{kind:?} {text}");
        }
    }

    #[test]
    fn every_type_has_its_name_and_its_null_value() {
        for (name, kind) in Type::NAMES {
            assert_eq!((Type::from_name(name), kind.name()), (Some(kind), name));
            assert!(kind.parse(&kind.null().to_string()).is_ok() || kind == Type::String);
        }
        let hidden = [Type::String, Type::UnsignedInt, Type::Int, Type::Long, Type::Boolean, Type::DateTime];
        let read = hidden.map(|kind| kind.hidden_value().to_string());
        assert_eq!(read, ["", "0", "-1", "-1", "false", "0001-01-01T00:00:00Z"]); // R175
    }

    #[test]
    fn lengths_count_characters_and_decoded_bytes() {
        let facets = Facets { min_length: Some(2), max_length: Some(3), ..Facets::default() };
        assert!(facets.parse(Type::String, "äöü").is_ok()); // R325
        assert_eq!(facets.parse(Type::String, "äöüß"), Err(ValueError::TooLong(3)));
        assert!(facets.parse(Type::Base64, "TWE=").is_ok()); // R327: two bytes
        assert_eq!(facets.parse(Type::Base64, "TQ=="), Err(ValueError::TooShort(2)));
        assert_eq!(facets.parse(Type::HexBinary, "00112233"), Err(ValueError::TooLong(3)));
    }

    #[test]
    fn a_list_is_held_against_the_facets_item_by_item() {
        let enumeration: Box<[Box<str>]> = ["a".into(), "b".into()].into();
        let facets = Facets { list: true, max_items: Some(2), enumeration, ..Facets::default() };
        for good in ["", "a", "a,b", "a, b"] {
            assert_eq!(facets.parse(Type::String, good).map(|v| v.to_string()), Ok(good.to_owned())); // R328
        }
        for wrong in ["a,c", "A", "a,B", "a b"] {
            assert_eq!(facets.parse(Type::String, wrong), Err(ValueError::NotInEnumeration), "{wrong}"); // R331
        }
        assert_eq!(facets.parse(Type::String, "a,b,a"), Err(ValueError::TooManyItems(2)));
        let numbers = Facets { list: true, max: Some(9), ..Facets::default() };
        assert!(numbers.parse(Type::UnsignedInt, "1,9").is_ok());
        assert!(numbers.parse(Type::UnsignedInt, "1,10").is_err());
    }

    #[test]
    fn a_pattern_holds_for_the_whole_text() {
        let facets = Facets { pattern: Some("[0-9A-F]{6}|none".into()), ..Facets::default() };
        assert!(facets.parse(Type::String, "00D09E").is_ok());
        assert!(facets.parse(Type::String, "none").is_ok());
        assert_eq!(facets.parse(Type::String, "00D09E0"), Err(ValueError::Pattern));
    }

    /// Whatever literal writes it.
    #[test]
    fn a_number_is_held_against_enumeration_and_pattern() {
        let enumeration: Box<[Box<str>]> = ["1".into(), "07".into()].into();
        let facets = Facets { enumeration, ..Facets::default() };
        for good in ["1", " 01", "+7"] {
            assert!(facets.parse(Type::UnsignedInt, good).is_ok(), "{good}");
        }
        assert_eq!(facets.parse(Type::UnsignedInt, "2"), Err(ValueError::NotInEnumeration));
        assert_eq!(Facets { list: true, ..facets }.parse(Type::Int, "1,2"), Err(ValueError::NotInEnumeration));
        let facets = Facets { enumeration: ["true".into()].into(), ..Facets::default() };
        assert!(facets.parse(Type::Boolean, "1").is_ok());
        assert_eq!(facets.parse(Type::Boolean, "0"), Err(ValueError::NotInEnumeration));
        let facets = Facets { pattern: Some("[0-9]{2}".into()), ..Facets::default() };
        assert!(facets.parse(Type::Int, "10").is_ok());
        assert_eq!(facets.parse(Type::Int, "9"), Err(ValueError::Pattern));
    }
}
