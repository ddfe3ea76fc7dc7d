//! The reasons why a text of the data model is no regular expression.

/// Parts of the errors of regex-lite, whose own messages are no words for a user, and the reasons. The first one found
/// counts.
const REASONS: [(&str, &str); 11] = [
    ("look-around", "it looks ahead or behind, which is not supported"),
    ("backreferences", "it refers back to a group, which is not supported"),
    ("not supported", "it has a class of characters of a kind that is not supported"),
    ("group name", "the name of a group is missing, malformed or given twice"),
    ("flag", "the flags behind `(?` are malformed"),
    ("')'", "a parenthesis has no partner"),
    ("class", "a class of characters in brackets is malformed"),
    ("repetition", "a repetition is malformed, or there is nothing to repeat"),
    ("hexadecimal", "a character behind a backslash has no meaning"),
    ("decimal", "a repetition is malformed, or there is nothing to repeat"),
    ("e", "a character behind a backslash has no meaning"),
];

/// Returns the reason why a text is no regular expression.
pub(super) fn reason(error: &regex_lite::Error) -> String {
    let text = error.to_string();
    let is_large = ["nesting", "too many", "exhausted", "limit"].iter().any(|word| text.contains(word));
    let known = REASONS.iter().find(|(part, _)| !is_large && text.contains(part));
    format!("not a regular expression: {}", known.map_or("it is too large", |(_, reason)| reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_in_words() {
        let deep = "(".repeat(500);
        for (text, expected) in [
            ("a(?=b)", "it looks ahead or behind, which is not supported"),
            (r"(a)\1", "it refers back to a group, which is not supported"),
            (r"\pL", "it has a class of characters of a kind that is not supported"),
            ("[a&&b]", "it has a class of characters of a kind that is not supported"),
            ("(?<1>a)", "the name of a group is missing, malformed or given twice"),
            ("(?<a>b)(?<a>b)", "the name of a group is missing, malformed or given twice"),
            ("(?z)a", "the flags behind `(?` are malformed"),
            ("(a", "a parenthesis has no partner"),
            ("a)", "a parenthesis has no partner"),
            ("[a", "a class of characters in brackets is malformed"),
            ("[b-a]", "a class of characters in brackets is malformed"),
            ("*", "a repetition is malformed, or there is nothing to repeat"),
            ("a{2,1}", "a repetition is malformed, or there is nothing to repeat"),
            ("a{x}", "a repetition is malformed, or there is nothing to repeat"),
            (r"\y", "a character behind a backslash has no meaning"),
            (r"\xZZ", "a character behind a backslash has no meaning"),
            (r"\", "a character behind a backslash has no meaning"),
            (&deep, "it is too large"),
            ("(((a{99}){99}){99}){99}", "it is too large"),
        ] {
            let error = regex_lite::Regex::new(text).expect_err("no regular expression");
            assert_eq!(reason(&error), format!("not a regular expression: {expected}"), "{text}: {error}");
        }
    }
}
