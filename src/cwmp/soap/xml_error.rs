//! The reasons for which a message is not well-formed XML, in words for the operator of the ACS.

use roxmltree::Error;

/// Returns the reason, behind line and column if the parser knows them. It quotes names of the message at full length.
pub(super) fn reason(error: &Error) -> String {
    use Error as E;
    let what = match error {
        E::UnexpectedCloseTag(open, close, _) => &*format!("the element `{open}` is closed by `{close}`"),
        E::DuplicatedAttribute(name, _) => &*format!("the attribute `{name}` is given twice"),
        E::DuplicatedNamespace(name, _) => &*format!("the prefix `{name}` is declared twice"),
        E::UnknownEntityReference(name, _) => &*format!("`&{name};` is not defined"),
        E::NonXmlChar(c, _) => &*format!("XML does not allow the character U+{:04X}", u32::from(*c)),
        E::MalformedEntityReference(_) => "`&` stands alone, and is written `&amp;` in a text",
        E::InvalidAttributeValue(_) => "`<` stands in an attribute, and is written `&lt;` there",
        E::InvalidComment(_) => "`--` stands in a comment",
        E::InvalidCharacterData(_) => "`]]>` stands in a text",
        E::UnexpectedDeclaration(_) => "an XML declaration does not stand at the beginning",
        E::InvalidName(_) => "a name is malformed",
        E::InvalidXmlPrefixUri(_)
        | E::UnexpectedXmlUri(_)
        | E::UnexpectedXmlnsUri(_)
        | E::InvalidElementNamePrefix(_) => "the prefix `xml` or `xmlns` has another meaning",
        E::NoRootNode => return "it has no complete element".into(),
        E::UnclosedRootNode | E::UnexpectedEndOfStream => return "it ends too early".into(),
        E::NodesLimitReached | E::AttributesLimitReached | E::NamespacesLimitReached => {
            return "it has too many parts".into();
        }
        _ => "a character stands where XML does not allow it",
    };
    let at = error.pos();
    format!("line {}, column {}: {what}", at.row, at.col)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_its_place_and_no_words_of_the_parser() {
        for (text, expected) in [
            ("<a>\n<b></c></a>", "line 2, column 4: the element `b` is closed by `c`"),
            ("<a b='1' b='2'/>", "line 1, column 10: the attribute `b` is given twice"),
            ("<a>&x;</a>", "line 1, column 4: `&x;` is not defined"),
            ("<a>a & b</a>", "line 1, column 6: `&` stands alone, and is written `&amp;` in a text"),
            ("<a>\u{1}</a>", "line 1, column 4: XML does not allow the character U+0001"),
            ("<a><?xml version='1.0'?></a>", "line 1, column 4: an XML declaration does not stand at the beginning"),
            ("<a b=c/>", "line 1, column 6: a character stands where XML does not allow it"),
            ("<a>", "it ends too early"),
            ("<a", "it has no complete element"),
            ("", "it has no complete element"),
        ] {
            let error = roxmltree::Document::parse(text).expect_err("not well-formed");
            assert_eq!(reason(&error), expected, "{text}");
        }
    }
}
