//! Conversions: the text of the device becomes a literal of CWMP.

use std::borrow::Cow;

use crate::model::date_time::DateTime;
use crate::model::facets::PatternCache;
use crate::model::value::Type;

/// The way from the text of the device to a literal: `match`, `map`, then `as`, then `scale`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::model) struct Conversion {
    /// A regular expression that finds the value in the text.
    pub(in crate::model) pattern: Option<Box<str>>,
    /// Texts of the device with their values, in order; a text may end in `*`, which stands for any rest.
    pub(in crate::model) map: TextMap,
    /// The form of the text on the device.
    pub(in crate::model) form: Option<Form>,
    /// The factor and the divisor of a number.
    pub(in crate::model) scale: Option<(i64, i64)>,
}

/// Pairs of texts. They stand in one text, each behind a NUL: a model has hundreds of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::model) struct TextMap(Box<str>);

impl TextMap {
    /// Adds a pair. Returns false if it has a NUL.
    pub(in crate::model) fn push(&mut self, text: &str, value: &str) -> bool {
        let is_plain = !text.contains('\0') && !value.contains('\0');
        if is_plain {
            self.0 = [&self.0, text, "\0", value, "\0"].concat().into();
        }
        is_plain
    }

    /// Returns true without a pair.
    pub(in crate::model) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the pairs, in the order in which they were added.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut texts = self.0.split_terminator('\0');
        std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
    }
}

/// The form of a text on the device: the member `as`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Form {
    /// `0`/`1`, `off`/`on`, `no`/`yes`, `false`/`true`, `disabled`/`enabled`.
    Boolean,
    /// As `Boolean`, negated.
    NotBoolean,
    /// A number, whose fraction is dropped.
    Whole,
    /// `12h`, `45m`, `7d`, `30s`, `infinite`: seconds, -1 for no end.
    Duration,
    /// The length of a prefix: a netmask in dots.
    Netmask,
    /// A MAC address: upper case with colons.
    Mac,
    /// Seconds since 1970: a dateTime.
    Epoch,
    /// Seconds from now on: a dateTime. A negative number has no end.
    Remaining,
    /// The two letters of a country: with the space for all surroundings.
    Country,
    /// Text in hexadecimal digits after `0x`, as numbers in sysfs are.
    Hex,
    /// Words with white space between them: a list with commas.
    Words,
}

impl Form {
    /// The names in a data-model file.
    pub(in crate::model) const NAMES: [(&'static str, Form); 11] = [
        ("boolean", Form::Boolean),
        ("!boolean", Form::NotBoolean),
        ("whole", Form::Whole),
        ("duration", Form::Duration),
        ("netmask", Form::Netmask),
        ("mac", Form::Mac),
        ("epoch", Form::Epoch),
        ("remaining", Form::Remaining),
        ("country", Form::Country),
        ("hex", Form::Hex),
        ("words", Form::Words),
    ];
}

impl Conversion {
    /// Returns the part of a text that is the value: the first group of the expression, or the whole match where that group has
    /// no part in it. `None` without a match.
    pub(in crate::model) fn part<'a>(&self, text: Cow<'a, str>, patterns: &PatternCache) -> Option<Cow<'a, str>> {
        let Some(pattern) = &self.pattern else { return Some(text) };
        // The loader has compiled it, so that it is valid.
        let regex = patterns.compile_part(pattern).ok()?;
        let captures = regex.captures(&text)?;
        captures.get(1).or(captures.get(0)).map(|found| found.as_str().to_owned().into())
    }

    /// Returns the literal for a text that the device gave at `wall`. An error is the reason why there is none.
    pub(in crate::model) fn apply<'a>(&'a self, text: &'a str, kind: Type, wall: i64) -> Result<Cow<'a, str>, String> {
        let mut literal = Cow::Borrowed(self.mapped(text));
        if let Some(form) = self.form {
            let formed = form.literal(&literal, wall);
            literal = formed.ok_or_else(|| format!("`{text}` has another form than the model says"))?.into();
        }
        if let Some((times, per)) = self.scale {
            let (number, parts) = decimal(&literal).ok_or_else(|| format!("`{text}` is no number"))?;
            literal = (number.saturating_mul(times) / per.saturating_mul(parts)).to_string().into();
        }
        // A counter of 64 bits goes on in a parameter of 32: TR-181 lets it wrap.
        if kind == Type::UnsignedInt
            && let Ok(number) = literal.parse::<u64>()
            && number > u32::MAX.into()
        {
            literal = (number as u32).to_string().into();
        }
        Ok(literal)
    }

    /// Returns the value of the first entry of the map that fits, or the text itself.
    fn mapped<'t>(&'t self, text: &'t str) -> &'t str {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(begin) => text.starts_with(begin),
            None => text == pattern,
        };
        if self.map.is_empty() {
            return text;
        }
        self.map.iter().find(|(pattern, _)| fits(pattern)).map_or(text, |(_, value)| value)
    }
}

impl Form {
    fn literal(self, text: &str, wall: i64) -> Option<String> {
        match self {
            Form::Boolean => Some(boolean(text)?.to_string()),
            Form::NotBoolean => Some((!boolean(text)?).to_string()),
            Form::Whole => Some(text.split('.').next()?.to_owned()),
            Form::Duration => duration(text).map(|seconds| seconds.to_string()),
            Form::Netmask => netmask(text),
            Form::Mac => mac(text),
            Form::Epoch => text.parse().ok().map(|seconds| DateTime::from_unix(seconds, 0).to_string()),
            Form::Remaining => match text.parse::<i64>().ok()? {
                ..0 => Some("9999-12-31T23:59:59Z".to_owned()),
                seconds => Some(DateTime::from_unix(wall.saturating_add(seconds), 0).to_string()),
            },
            Form::Country => {
                let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
                is_code.then(|| format!("{text} "))
            }
            Form::Hex => {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                u64::from_str_radix(digits, 16).ok().map(|number| number.to_string())
            }
            Form::Words => Some(text.split_whitespace().collect::<Vec<_>>().join(",")),
        }
    }
}

/// Reads a number with or without a fraction: the number without the point, and the power of ten by which it is too large.
fn decimal(text: &str) -> Option<(i64, i64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = &fraction[..fraction.len().min(6)];
    // A sign within the number is none.
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((format!("{whole}{digits}").parse().ok()?, 10_i64.pow(digits.len() as u32))).filter(|_| is_plain)
}

/// Reads a truth value in one of the words of the device.
pub(in crate::model) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "on" | "yes" | "true" | "enabled" => Some(true),
        "0" | "off" | "no" | "false" | "disabled" => Some(false),
        _ => None,
    }
}

fn duration(text: &str) -> Option<i64> {
    if text == "infinite" {
        return Some(-1);
    }
    let (number, unit) = match text.char_indices().last()? {
        (at, 's') => (&text[..at], 1),
        (at, 'm') => (&text[..at], 60),
        (at, 'h') => (&text[..at], 3600),
        (at, 'd') => (&text[..at], 86400),
        (at, 'w') => (&text[..at], 604_800),
        _ => (text, 1),
    };
    number.parse::<u32>().ok().map(|number| i64::from(number) * unit)
}

fn netmask(text: &str) -> Option<String> {
    super::view::mask(text).map(|mask| std::net::Ipv4Addr::from(mask).to_string())
}

fn mac(text: &str) -> Option<String> {
    let digits: Vec<&str> = text.split([':', '-']).collect();
    let is_byte = |byte: &&str| byte.len() == 2 && byte.bytes().all(|b| b.is_ascii_hexdigit());
    (digits.len() == 6 && digits.iter().all(is_byte)).then(|| digits.join(":").to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(form: &str, text: &str) -> Option<String> {
        let (_, form) = Form::NAMES.iter().find(|(name, _)| *name == form).expect("a form");
        form.literal(text, 1_000_000_000)
    }

    #[test]
    fn each_form_has_its_literals() {
        for (form, text, expected) in [
            ("boolean", "on", "true"),
            ("boolean", "disabled", "false"),
            ("!boolean", "1", "false"),
            ("whole", "12345.67", "12345"),
            ("duration", "12h", "43200"),
            ("duration", "infinite", "-1"),
            ("duration", "90", "90"),
            ("netmask", "24", "255.255.255.0"),
            ("netmask", "255.255.0.0", "255.255.0.0"),
            ("netmask", "0", "0.0.0.0"),
            ("netmask", "32", "255.255.255.255"),
            ("mac", "00-1a-2B-3c-4d-5e", "00:1A:2B:3C:4D:5E"),
            ("epoch", "0", "1970-01-01T00:00:00Z"),
            ("remaining", "3600", "2001-09-09T02:46:40Z"),
            ("remaining", "-1", "9999-12-31T23:59:59Z"),
            ("remaining", "9223372036854775807", "9999-12-31T23:59:59Z"),
            ("country", "DE", "DE "),
            ("hex", "0x8100", "33024"),
            ("words", " a  b\tc ", "a,b,c"),
        ] {
            assert_eq!(literal(form, text).as_deref(), Some(expected), "{form} {text}");
        }
    }

    #[test]
    fn another_form_is_no_value() {
        for (form, text) in [
            ("boolean", "maybe"),
            ("duration", "soon"),
            ("duration", ""),
            ("netmask", "33"),
            ("netmask", "255.0.255.0"),
            ("mac", "00:11:22"),
            ("mac", "00:11:22:33:44:5g"),
            ("epoch", "x"),
            ("remaining", "soon"),
            ("country", "00"),
            ("country", "D"),
            ("hex", "0xzz"),
        ] {
            assert_eq!(literal(form, text), None, "{form} {text}");
        }
    }

    #[test]
    fn the_map_comes_before_the_form_and_the_scale() {
        let mut map = TextMap::default();
        assert!(map.push("up*", "1") && map.push("down", "0") && !map.push("a\0", "2"));
        let conversion = Conversion { map, form: Some(Form::Boolean), ..Conversion::default() };
        assert_eq!(conversion.apply("upper", Type::Boolean, 0).as_deref(), Ok("true"));
        assert_eq!(conversion.apply("down", Type::Boolean, 0).as_deref(), Ok("false"));
        assert!(conversion.apply("dormant", Type::Boolean, 0).is_err());
        let kilobytes = Conversion { scale: Some((1, 1024)), ..Conversion::default() };
        assert_eq!(kilobytes.apply("4096", Type::UnsignedInt, 0).as_deref(), Ok("4"));
        assert!(kilobytes.apply("4 kB", Type::UnsignedInt, 0).is_err());
        let tenths = Conversion { scale: Some((10, 1)), ..Conversion::default() };
        for (text, expected) in [("12.5", "125"), ("-3.25", "-32"), ("7", "70"), ("8.0000001", "80")] {
            assert_eq!(tenths.apply(text, Type::Int, 0).as_deref(), Ok(expected), "{text}");
        }
        assert!(["1.-5", "1.5x", ".", "", "1.2.3"].iter().all(|text| tenths.apply(text, Type::Int, 0).is_err()));
        let huge = Conversion { scale: Some((1000, 1)), ..Conversion::default() };
        assert_eq!(huge.apply(&i64::MAX.to_string(), Type::Long, 0), Ok(i64::MAX.to_string().into()));
    }

    #[test]
    fn a_value_is_the_first_group_of_an_expression() {
        let part = |pattern: &str, text: &str| {
            let conversion = Conversion { pattern: Some(pattern.into()), ..Conversion::default() };
            conversion.part(text.to_owned().into(), &PatternCache::default()).map(Cow::into_owned)
        };
        assert_eq!(part("rev=([0-9]+)", "a\nrev=17\n").as_deref(), Some("17"));
        assert_eq!(part("[0-9]+", "a 17").as_deref(), Some("17"));
        assert_eq!(part("x", "a"), None);
        assert_eq!(part("a(b)?", "a"), Some("a".to_owned()), "a group that takes no part");
        assert_eq!(Conversion::default().part("a".into(), &PatternCache::default()).as_deref(), Some("a"));
    }

    #[test]
    fn a_counter_of_64_bits_wraps_at_32() {
        let plain = Conversion::default();
        assert_eq!(plain.apply("4294967297", Type::UnsignedInt, 0).as_deref(), Ok("1"));
        assert_eq!(plain.apply("4294967297", Type::UnsignedLong, 0).as_deref(), Ok("4294967297"));
        assert_eq!(
            plain.apply("-1", Type::UnsignedInt, 0).as_deref(),
            Ok("-1"),
            "the type of the parameter refuses it"
        );
    }
}
