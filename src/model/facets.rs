//! Facets: the restrictions of a value beyond its type (R325 to R331). The word is that of XML Schema.

use std::cell::RefCell;
use std::rc::Rc;

use regex_lite::Regex;

use super::value::{Type, Value, ValueError, WHITE_SPACE};

/// The longest value in bytes where the model sets no bound: each value is stored in the journal and kept in memory, and
/// one SetParameterValues may bring megabytes.
const DEFAULT_MAX_LENGTH: u32 = 64 * 1024;

/// The restrictions that the values of one parameter meet beyond their type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facets {
    /// The fewest characters (R325); for `base64` and `hexBinary` the fewest decoded bytes (R327). In a list, of each item.
    pub min_length: Option<u32>,
    /// The most characters or bytes, counted as for `min_length`.
    pub max_length: Option<u32>,
    /// The least number.
    pub min: Option<i128>,
    /// The greatest number.
    pub max: Option<i128>,
    /// The texts allowed, case-sensitive (R331); empty if every text is allowed. In a list, those of each item.
    pub enumeration: Box<[Box<str>]>,
    /// A regular expression that the whole text, or each item of a list, matches.
    pub pattern: Option<Box<str>>,
    /// True if the value is a comma-separated list (R328).
    pub list: bool,
    /// The most items of a list.
    pub max_items: Option<u32>,
}

impl Facets {
    /// Reads a literal of `kind`, or a list of such literals, and checks it against the facets.
    pub(super) fn parse(&self, kind: Type, text: &str, patterns: &PatternCache) -> Result<Value, ValueError> {
        let bound = if self.list { self.max_length.and(self.max_items) } else { self.max_length };
        if bound.is_none() {
            check_default_length(text)?;
        }
        // A list is a string on the wire, so that the text is kept as it was set, with the white space around its commas.
        if self.list {
            self.check_list(kind, text, patterns)?;
            return Ok(Value::Text(text.into()));
        }
        let value = kind.parse(text)?;
        self.check(kind, &value, patterns)?;
        Ok(value)
    }

    fn check_list(&self, kind: Type, text: &str, patterns: &PatternCache) -> Result<(), ValueError> {
        // The empty list has no item; `split` would yield one, which is no literal of a numeric type.
        if text.trim_matches(WHITE_SPACE).is_empty() {
            return Ok(());
        }
        let mut count = 0;
        for item in text.split(',') {
            count += 1;
            let value = kind.parse(item.trim_matches(WHITE_SPACE))?;
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
        // Numbers are compared by value: `07` of the model allows the literal `7`.
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
        // Decimals are kept as text.
        let (below, above) = match (kind, value.as_number()) {
            (Type::Decimal, _) => whole_numbers_around(value.as_str()),
            (_, Some(number)) => (number, number),
            (_, None) => return Ok(()),
        };
        match self.min.is_none_or(|min| below >= min) && self.max.is_none_or(|max| above <= max) {
            true => Ok(()),
            false => Err(ValueError::Range { min: self.min, max: self.max }),
        }
    }

    fn check_length(&self, kind: Type, value: &Value) -> Result<(), ValueError> {
        let Value::Text(text) = value else { return Ok(()) };
        if self.min_length.is_none() && self.max_length.is_none() {
            return Ok(());
        }
        // R327: sizes of encoded types count the bytes, not the digits.
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

/// Returns the greatest whole number up to a decimal, and the least one from it on. The bounds of a range are whole numbers,
/// so that these two tell exactly whether the decimal is within it. The parser of `f64` would take 17 kB of the binary.
fn whole_numbers_around(decimal: &str) -> (i128, i128) {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let digits = whole.trim_start_matches(['+', '-']);
    // More digits than 64 bits hold are beyond every bound.
    let towards_zero = if digits.is_empty() { 0 } else { digits.parse::<u64>().map_or(i128::MAX, i128::from) };
    let has_fraction = fraction.bytes().any(|digit| digit != b'0');
    let away_from_zero = towards_zero.saturating_add(has_fraction.into());
    if whole.starts_with('-') { (-away_from_zero, -towards_zero) } else { (towards_zero, away_from_zero) }
}

/// Checks the length of a value for which the model sets no bound.
pub(super) fn check_default_length(text: &str) -> Result<(), ValueError> {
    if text.len() > DEFAULT_MAX_LENGTH as usize { Err(ValueError::TooLong(DEFAULT_MAX_LENGTH)) } else { Ok(()) }
}

/// The compiled regular expressions of `pattern` facets, and those of `match` in sources.
///
/// A compiled pattern takes kilobytes, so a [`Facets`] holds its pattern as text. The loader, the start of the agent and
/// each request keep this cache for as long as they run: they check many values by few patterns.
#[derive(Debug, Default)]
pub struct PatternCache(RefCell<Vec<(Box<str>, Rc<Regex>)>>);

impl PatternCache {
    /// Returns the compiled pattern, anchored at both ends as XML Schema demands.
    pub(super) fn compile(&self, pattern: &str) -> Result<Rc<Regex>, regex_lite::Error> {
        self.compile_part(&format!("^(?:{pattern})$"))
    }

    /// Returns the compiled expression that finds a part of a text.
    pub(super) fn compile_part(&self, expression: &str) -> Result<Rc<Regex>, regex_lite::Error> {
        if let Some((_, regex)) = self.0.borrow().iter().find(|(known, _)| **known == *expression) {
            return Ok(Rc::clone(regex));
        }
        let regex = Rc::new(Regex::new(expression)?);
        self.0.borrow_mut().push((expression.into(), Rc::clone(&regex)));
        Ok(regex)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(facets: &Facets, kind: Type, text: &str) -> Result<Value, ValueError> {
        facets.parse(kind, text, &PatternCache::default())
    }

    #[test]
    fn a_value_without_a_bound_has_the_default_one() {
        let long = "x".repeat(DEFAULT_MAX_LENGTH as usize);
        let longer = format!("{long}x");
        let too_long = Err(ValueError::TooLong(DEFAULT_MAX_LENGTH));
        let of_items = Facets { list: true, max_length: Some(70_000), ..Facets::default() };
        for facets in [Facets::default(), of_items.clone()] {
            assert!(parse(&facets, Type::String, &long).is_ok());
            assert_eq!(parse(&facets, Type::String, &longer), too_long);
        }
        let more = Facets { max_length: Some(70_000), ..Facets::default() };
        for facets in [more, Facets { max_items: Some(2), ..of_items }] {
            assert!(parse(&facets, Type::String, &longer).is_ok(), "the model allows more");
        }
    }

    #[test]
    fn lengths_count_characters_and_decoded_bytes() {
        let facets = Facets { min_length: Some(2), max_length: Some(3), ..Facets::default() };
        assert!(parse(&facets, Type::String, "äöü").is_ok()); // R325
        assert_eq!(parse(&facets, Type::String, "äöüß"), Err(ValueError::TooLong(3)));
        assert!(parse(&facets, Type::Base64, "TWE=").is_ok()); // R327: two bytes
        assert_eq!(parse(&facets, Type::Base64, "TQ=="), Err(ValueError::TooShort(2)));
        assert_eq!(parse(&facets, Type::HexBinary, "00112233"), Err(ValueError::TooLong(3)));
    }

    #[test]
    fn a_decimal_is_compared_by_its_value() {
        let facets = Facets { min: Some(-1), max: Some(3), ..Facets::default() };
        for good in ["3", "3.", "3.000", "-1", "-1.0", "-.5", ".5", "+2.999", "-0", "0003"] {
            assert!(parse(&facets, Type::Decimal, good).is_ok(), "{good}");
        }
        for wrong in
            ["3.000000000000000000000000001", "-1.01", "-2", "4", "99999999999999999999", "-99999999999999999999"]
        {
            let error = ValueError::Range { min: facets.min, max: facets.max };
            assert_eq!(parse(&facets, Type::Decimal, wrong), Err(error), "{wrong}");
        }
        let open = Facets { min: Some(u64::MAX.into()), ..Facets::default() };
        assert!(parse(&open, Type::Decimal, "18446744073709551615.5").is_ok());
        assert!(parse(&open, Type::Decimal, "18446744073709551614.5").is_err());
        assert!(parse(&open, Type::Decimal, "99999999999999999999").is_ok());
    }

    #[test]
    fn a_list_is_held_against_the_facets_item_by_item() {
        let enumeration: Box<[Box<str>]> = ["a".into(), "b".into()].into();
        let facets = Facets { list: true, max_items: Some(2), enumeration, ..Facets::default() };
        for good in ["", "a", "a,b", "a, b"] {
            assert_eq!(parse(&facets, Type::String, good).map(|v| v.to_string()), Ok(good.to_owned())); // R328
        }
        // The white space of XML alone surrounds an item.
        for wrong in ["a,c", "A", "a,B", "a b", "\u{85}", "a,\u{a0}b"] {
            assert_eq!(parse(&facets, Type::String, wrong), Err(ValueError::NotInEnumeration), "{wrong}"); // R331
        }
        assert_eq!(parse(&facets, Type::String, "a,b,a"), Err(ValueError::TooManyItems(2)));
        let numbers = Facets { list: true, max: Some(9), ..Facets::default() };
        assert!(parse(&numbers, Type::UnsignedInt, "1,9").is_ok());
        assert!(parse(&numbers, Type::UnsignedInt, "1,10").is_err());
    }

    #[test]
    fn a_pattern_holds_for_the_whole_text() {
        let facets = Facets { pattern: Some("[0-9A-F]{6}|none".into()), ..Facets::default() };
        assert!(parse(&facets, Type::String, "00D09E").is_ok());
        assert!(parse(&facets, Type::String, "none").is_ok());
        assert_eq!(parse(&facets, Type::String, "00D09E0"), Err(ValueError::Pattern));
    }

    /// The literals `1`, `01` and `+1` are one number.
    #[test]
    fn a_number_is_held_against_enumeration_and_pattern() {
        let enumeration: Box<[Box<str>]> = ["1".into(), "07".into()].into();
        let facets = Facets { enumeration, ..Facets::default() };
        for good in ["1", " 01", "+7"] {
            assert!(parse(&facets, Type::UnsignedInt, good).is_ok(), "{good}");
        }
        assert_eq!(parse(&facets, Type::UnsignedInt, "2"), Err(ValueError::NotInEnumeration));
        assert_eq!(parse(&Facets { list: true, ..facets }, Type::Int, "1,2"), Err(ValueError::NotInEnumeration));
        let facets = Facets { enumeration: ["true".into()].into(), ..Facets::default() };
        assert!(parse(&facets, Type::Boolean, "1").is_ok());
        assert_eq!(parse(&facets, Type::Boolean, "0"), Err(ValueError::NotInEnumeration));
        let facets = Facets { pattern: Some("[0-9]{2}".into()), ..Facets::default() };
        assert!(parse(&facets, Type::Int, "10").is_ok());
        assert_eq!(parse(&facets, Type::Int, "9"), Err(ValueError::Pattern));
    }
}
