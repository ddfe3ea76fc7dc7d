//! Conversions the other way: a literal of CWMP becomes the text of the device.

use super::convert::{Conversion, Form};
use crate::model::date_time::DateTime;
use crate::model::facets::PatternCache;

impl Conversion {
    /// Returns the text of the device for a literal: `scale`, `as` and `map` reversed, in this order. `is_value` tells whether a
    /// value of the map is the literal in another form. `held` is the text that the device holds.
    ///
    /// # Errors
    /// The reason why no text of the device stands for the literal.
    pub(in crate::model) fn reverse(
        &self,
        literal: &str,
        form: Option<Form>,
        held: Option<&str>,
        is_value: &dyn Fn(&str) -> bool,
    ) -> Result<String, String> {
        let mut text = literal.to_owned();
        if let Some((times, per)) = self.scale {
            let number: i64 = text.parse().map_err(|_| "not a whole number".to_owned())?;
            text = (number.saturating_mul(per) / times).to_string();
        }
        let is_plain = form.is_none() && self.scale.is_none();
        if let Some(form) = form {
            text = form.text(&text, held).ok_or("the device has no form for this value")?;
        }
        if self.map.is_empty() {
            return Ok(text);
        }
        // An entry that ends in `*` stands for many texts, of which none is the one to write.
        let fits = |value: &str| value == text || (is_plain && is_value(value));
        let entry = self.map.iter().find(|(device, value)| !device.ends_with('*') && fits(value));
        entry.map(|(device, _)| device.to_string()).ok_or_else(|| "the device has no text for this value".to_owned())
    }
}

impl Conversion {
    /// Returns the text of the device in which the expression finds this part; without an expression, the part is the text.
    /// `None` stands for a part, or a text, that is not there. The outer `None`: there is no such text.
    pub(in crate::model) fn with_part(
        &self,
        held: Option<&str>,
        part: Option<&str>,
        is_list: bool,
        patterns: &PatternCache,
    ) -> Option<Option<String>> {
        let Some(pattern) = &self.pattern else { return Some(part.map(str::to_owned)) };
        let regex = patterns.compile_part(pattern).ok()?;
        let place = held.and_then(|held| Some((held, regex.captures(held)?.get(1)?.range())));
        let replaced =
            |part: &str| place.as_ref().map(|(held, at)| [&held[..at.start], part, &held[at.end..]].concat());
        let Some(part) = part else {
            // Only the item is removed, unless another one would then have its place.
            let Some(rest) = replaced("") else { return Some(held.map(str::to_owned)) };
            return Some(Some(rest.trim().to_owned()).filter(|rest| is_list && !rest.is_empty()));
        };
        let appended = held.filter(|_| is_list).map(|held| format!("{held} {part}"));
        let texts = [replaced(part), Some(part.to_owned()), appended];
        let is_found = |text: &String| self.part(text.as_str().into(), patterns).as_deref() == Some(part);
        texts.into_iter().flatten().find(is_found).map(Some)
    }
}

impl Form {
    /// Returns the text of the device for a literal; `None` if there is none.
    fn text(self, literal: &str, held: Option<&str>) -> Option<String> {
        match self {
            Form::Boolean => Some(word(literal == "true", held).to_owned()),
            Form::NotBoolean => Some(word(literal != "true", held).to_owned()),
            Form::Whole | Form::Mac => Some(literal.to_owned()),
            Form::Duration if literal == "-1" => Some("infinite".to_owned()),
            Form::Duration => literal.parse::<u32>().ok().map(|seconds| seconds.to_string()),
            Form::Netmask => {
                let mask = u32::from(literal.parse::<std::net::Ipv4Addr>().ok()?);
                Some(mask.leading_ones().to_string())
            }
            Form::Epoch => DateTime::parse(literal).map(|time| time.unix().to_string()),
            Form::Remaining => None,
            Form::Country => Some(literal.get(..2)?.to_owned()),
            Form::Hex => {
                literal.parse::<u64>().ok().map(|number| match held.is_some_and(|held| !held.starts_with("0x")) {
                    true => format!("{number:x}"),
                    false => format!("0x{number:x}"),
                })
            }
            Form::Words => {
                let items: Vec<&str> = literal.split(',').map(str::trim).collect();
                Some(items.join(" "))
            }
        }
    }
}

/// Returns the word for a truth value, of the pair of words that the device uses.
fn word(flag: bool, held: Option<&str>) -> &'static str {
    let pairs = [["0", "1"], ["off", "on"], ["no", "yes"], ["false", "true"], ["disabled", "enabled"]];
    let pair = pairs.iter().find(|pair| held.is_some_and(|held| pair.contains(&held))).unwrap_or(&pairs[0]);
    pair[usize::from(flag)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::source::convert::TextMap;

    fn text(form: Form, literal: &str, held: Option<&str>) -> Option<String> {
        form.text(literal, held)
    }

    #[test]
    fn each_form_has_a_text_for_its_literals() {
        for (form, literal, held, expected) in [
            (Form::Boolean, "true", None, "1"),
            (Form::Boolean, "false", Some("on"), "off"),
            (Form::Boolean, "true", Some("disabled"), "enabled"),
            (Form::NotBoolean, "true", None, "0"),
            (Form::NotBoolean, "false", Some("no"), "yes"),
            (Form::Duration, "43200", Some("12h"), "43200"),
            (Form::Duration, "-1", None, "infinite"),
            (Form::Netmask, "255.255.255.0", None, "24"),
            (Form::Netmask, "0.0.0.0", None, "0"),
            (Form::Epoch, "1970-01-01T00:00:10Z", None, "10"),
            (Form::Hex, "33024", None, "0x8100"),
            (Form::Hex, "33024", Some("88"), "8100"),
            (Form::Words, "a, b,c", None, "a b c"),
            (Form::Country, "DE ", None, "DE"),
        ] {
            assert_eq!(text(form, literal, held).as_deref(), Some(expected), "{form:?} {literal}");
        }
        assert_eq!(text(Form::Duration, "soon", None), None);
        assert_eq!(text(Form::Netmask, "x", None), None);
    }

    #[test]
    fn the_map_is_read_the_other_way() {
        let map = |pairs: &[(&str, &str)]| {
            let mut map = TextMap::default();
            assert!(pairs.iter().all(|(device, value)| map.push(device, value)));
            map
        };
        let of_modes = [("psk*", "WPA"), ("psk2", "WPA2"), ("psk2+ccmp", "WPA2"), ("none", "None")];
        let conversion = Conversion { map: map(&of_modes), ..Conversion::default() };
        let reverse = |literal: &str| conversion.reverse(literal, None, None, &|_| false);
        assert_eq!(reverse("WPA2").as_deref(), Ok("psk2"), "the first entry");
        assert!(reverse("WPA").is_err(), "no text of many is the one");
        assert!(reverse("WPA3").is_err());
        let scaled = Conversion { scale: Some((1, 1024)), ..Conversion::default() };
        assert_eq!(scaled.reverse("4", None, None, &|_| false).as_deref(), Ok("4096"));
        assert!(scaled.reverse("x", None, None, &|_| false).is_err());
        // The values of the map may be literals in another form.
        let conversion = Conversion { map: map(&[("auto", "1"), ("manual", "0")]), ..Conversion::default() };
        assert_eq!(conversion.reverse("true", None, None, &|value| value == "1").as_deref(), Ok("auto"));
    }
}
