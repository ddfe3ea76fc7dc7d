//! Typed values: the CWMP data types and the literals that write them (R323 to R332).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::date_time::DateTime;

/// The white space of XML.
pub(in crate::model) const WHITE_SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// A CWMP data type (TR-106 A7, Appendix I).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Characters; white space is kept.
    String,
    /// 32 bits, signed.
    Int,
    /// 32 bits, unsigned.
    UnsignedInt,
    /// 64 bits, signed.
    Long,
    /// 64 bits, unsigned.
    UnsignedLong,
    /// `true` or `false`; `1` and `0` are accepted as well (R323).
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
    // In the order of the variants, since `name` uses a variant as the index.
    pub(super) const NAMES: [(&'static str, Type); 10] = [
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

    /// Returns the name in a data-model file, such as `unsignedInt`.
    pub fn name(self) -> &'static str {
        Type::NAMES[self as usize].0
    }

    /// Returns the type of this name in a data-model file.
    pub fn from_name(name: &str) -> Option<Type> {
        Type::NAMES.iter().find(|(n, _)| *n == name).map(|(_, t)| *t)
    }

    /// Returns true for the types of numbers.
    pub fn is_numeric(self) -> bool {
        matches!(self, Type::Int | Type::UnsignedInt | Type::Long | Type::UnsignedLong | Type::Decimal)
    }

    /// Returns the null value, which a parameter has if the model gives it no value.
    pub fn null(self) -> Value {
        match self {
            // The empty text has no allocation, also in a boxed form.
            Type::String | Type::Base64 | Type::HexBinary => Value::Text("".into()),
            Type::Decimal => Value::Text("0".into()),
            Type::Int | Type::Long => Value::Int(0),
            Type::UnsignedInt | Type::UnsignedLong => Value::Unsigned(0),
            Type::Boolean => Value::Boolean(false),
            Type::DateTime => Value::DateTime(DateTime::UNKNOWN),
        }
    }

    /// Returns the value that an ACS reads from a hidden parameter: the null value, but -1 for a signed number (R175).
    pub fn hidden_value(self) -> Value {
        match self {
            Type::Int | Type::Long => Value::Int(-1),
            other => other.null(),
        }
    }

    /// Reads a literal of this type. A text that is no such literal, or is out of the range of the type, is an error,
    /// which the ACS sees as fault 9007 (R324).
    pub fn parse(self, text: &str) -> Result<Value, ValueError> {
        let literal = || ValueError::Literal(self);
        // XML Schema collapses white space in every type but `string`; a pretty-printed envelope has some around values.
        let collapsed = text.trim_matches(WHITE_SPACE);
        match self {
            // The one type whose white space is part of the value.
            Type::String => Ok(Value::Text(text.into())),
            Type::Int => integer(self, collapsed, i32::MIN.into(), i32::MAX.into()).map(|n| Value::Int(n as i64)),
            Type::Long => integer(self, collapsed, i64::MIN.into(), i64::MAX.into()).map(|n| Value::Int(n as i64)),
            Type::UnsignedInt => integer(self, collapsed, 0, u32::MAX.into()).map(|n| Value::Unsigned(n as u64)),
            Type::UnsignedLong => integer(self, collapsed, 0, u64::MAX.into()).map(|n| Value::Unsigned(n as u64)),
            Type::Boolean => match collapsed {
                // R323: both spellings are literals; `Display` always writes the word.
                "1" | "true" => Ok(Value::Boolean(true)),
                "0" | "false" => Ok(Value::Boolean(false)),
                _ => Err(literal()),
            },
            Type::DateTime => DateTime::parse(collapsed).map(Value::DateTime).ok_or_else(literal),
            Type::Base64 => {
                // RFC 2045 allows line breaks within the digits, which the decoder does not.
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

/// Reads a whole number from `min` to `max`.
fn integer(kind: Type, text: &str, min: i128, max: i128) -> Result<i128, ValueError> {
    // Checked first, so that a text that is no number is an error of another kind than a number out of range.
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ValueError::Literal(kind));
    }
    // 128 bits hold every number of the 64-bit types; a longer row of digits is out of range as well (R324).
    let magnitude = digits.parse::<u64>().map(i128::from);
    match magnitude.map(|n| if text.starts_with('-') { -n } else { n }) {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        _ => Err(ValueError::Range { min: Some(min), max: Some(max) }),
    }
}

fn is_decimal(text: &str) -> bool {
    // XML Schema allows `5.` and `.5`, but no exponent and no lone dot.
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    !(whole.is_empty() && fraction.is_empty()) && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
}

/// A value of a parameter. `Display` writes the CWMP literal, unescaped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// `string`, `base64`, `hexBinary` or `decimal`: the literal, so that it reads back exactly as it was set.
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
    /// Returns the text of a [`Value::Text`]; empty for every other variant.
    pub fn as_str(&self) -> &str {
        match self {
            Value::Text(text) => text,
            _ => "",
        }
    }

    /// Writes the literal.
    ///
    /// # Errors
    /// That of the writer.
    pub fn write(&self, to: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Value::Text(text) => to.write_str(text),
            Value::Int(number) if *number < 0 => write!(to, "{number}"),
            Value::Int(number) => to.write_str(decimal(number.unsigned_abs(), &mut [0; 20])),
            Value::Unsigned(number) => to.write_str(decimal(*number, &mut [0; 20])),
            Value::Boolean(flag) => to.write_str(if *flag { "true" } else { "false" }),
            Value::DateTime(time) => write!(to, "{time}"),
        }
    }

    /// Returns the number of a [`Value::Int`] or [`Value::Unsigned`].
    pub fn as_number(&self) -> Option<i128> {
        match self {
            Value::Int(n) => Some((*n).into()),
            Value::Unsigned(n) => Some((*n).into()),
            _ => None,
        }
    }
}

/// Returns a number in decimal digits, which it writes at the end of `digits`. The formats of std cost several times as much, and a
/// read of all values has thousands of numbers.
pub(crate) fn decimal(number: u64, digits: &mut [u8; 20]) -> &str {
    let (mut at, mut left) = (digits.len(), number);
    while left > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    // Digits are ASCII.
    std::str::from_utf8(&digits[at..]).unwrap_or_default()
}

/// Returns the text of a number of the 64-bit types. `Display` of i128 would take 4 kB of the binary.
pub(crate) fn number_text(number: i128) -> String {
    match u64::try_from(number) {
        Ok(number) => number.to_string(),
        Err(_) => i64::try_from(number).unwrap_or(i64::MIN).to_string(),
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

/// The reason why a value cannot be set. It becomes a CWMP fault in `cwmp::rpc` and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// The `xsi:type` is not that of the parameter (fault 9006).
    Type {
        /// The type of the parameter.
        expected: Type,
    },
    /// The parameter is read-only (fault 9008).
    ReadOnly,
    /// The text is not a literal of this type.
    Literal(Type),
    /// The number is outside the allowed range.
    Range {
        /// Least number allowed.
        min: Option<i128>,
        /// Greatest number allowed.
        max: Option<i128>,
    },
    /// The value has fewer characters or bytes than this.
    TooShort(u32),
    /// The value has more characters or bytes than this.
    TooLong(u32),
    /// The list has more items than this.
    TooManyItems(u32),
    /// The value is not in the enumeration.
    NotInEnumeration,
    /// The value does not match the pattern.
    Pattern,
    /// A strong reference names an object or parameter that is not present (R173).
    Reference,
    /// A reference names no instance of the tables that it may refer to, which the text lists.
    ReferenceTarget(Box<str>),
    /// A rule of the data model that no facet expresses prohibits the value; the text states the rule.
    Prohibited(&'static str),
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueError::Type { expected } => write!(f, "the type does not fit, {} is needed", expected.name()),
            ValueError::ReadOnly => f.write_str("the parameter is read-only"),
            ValueError::Literal(kind) => write!(f, "not a valid {}", kind.name()),
            ValueError::Range { min: Some(min), max: Some(max) } => {
                write!(f, "not in the range {} to {}", number_text(*min), number_text(*max))
            }
            ValueError::Range { min: Some(min), .. } => write!(f, "less than {}", number_text(*min)),
            ValueError::Range { max: Some(max), .. } => write!(f, "more than {}", number_text(*max)),
            ValueError::Range { .. } => f.write_str("out of range"),
            ValueError::TooShort(least) => write!(f, "too short, at least {least} characters are needed"),
            ValueError::TooLong(most) => write!(f, "too long, at most {most} characters are allowed"),
            ValueError::TooManyItems(most) => write!(f, "too many items, at most {most} are allowed"),
            ValueError::NotInEnumeration => f.write_str("not one of the values allowed"),
            ValueError::Pattern => f.write_str("does not have the form that is needed"),
            ValueError::Reference => f.write_str("refers to an object or parameter that is not there"),
            ValueError::ReferenceTarget(tables) if tables.is_empty() => {
                f.write_str("refers to a table that this data model does not have")
            }
            ValueError::ReferenceTarget(tables) => write!(f, "is no path of an instance of {tables}"),
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
}
