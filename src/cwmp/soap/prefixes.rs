//! Declarations for namespace prefixes that a server uses without declaring them, such as `xsi:type` in a message without
//! `xmlns:xsi`.
//!
//! The XML parser refuses such a message. It is then parsed once more, with the missing declarations in its root
//! element. A prefix that is declared deeper in the message keeps that declaration there.

use super::element::SPACE;
use super::{ENCODING, ENVELOPE, INSTANCE, SCHEMA, UNDECLARED, limits};
use crate::cwmp::version::Version;

/// The maximum number of prefixes in a message that is completed.
const MAX_PREFIXES: usize = 32;

/// Returns the document with a declaration for each prefix that its root does not declare. Returns `None` if the document
/// uses too many prefixes, or if its markup is malformed.
pub(super) fn declared(document: &str) -> Option<String> {
    let mut used: Vec<&str> = Vec::new();
    let mut in_root: Vec<&str> = Vec::new();
    let mut root_end = 0;
    let mut at = 0;
    while let Some(offset) = document[at..].find('<') {
        at += offset;
        let rest = &document[at..];
        if let Some((start, end)) = limits::delimiters(rest) {
            at += limits::length_to(rest, start.len(), end)?;
            continue;
        }
        let is_root = root_end == 0;
        at += visit_names(rest, &mut |name, end| {
            if is_root && root_end == 0 {
                root_end = at + end;
            }
            match name.split_once(':') {
                Some(("xmlns", declared)) if is_root => in_root.push(declared),
                Some(("xmlns" | "xml" | "", _)) | None => {}
                Some((prefix, _)) if used.len() <= MAX_PREFIXES && !used.contains(&prefix) => used.push(prefix),
                Some(_) => {}
            }
        })?;
    }
    if used.len() > MAX_PREFIXES {
        return None;
    }
    used.retain(|prefix| !in_root.contains(prefix));
    let declarations = used.iter().map(|prefix| format!(" xmlns:{prefix}=\"{}\"", namespace(prefix)));
    let declarations: String = declarations.collect();
    let mut completed = String::with_capacity(document.len() + declarations.len());
    completed.push_str(&document[..root_end]);
    completed.push_str(&declarations);
    completed.push_str(&document[root_end..]);
    Some(completed)
}

/// Calls `visit` with the name of the element and of each attribute in the start tag that begins the text, and with the
/// end of the name in the text. Returns the length of the tag; `None` if it is malformed.
fn visit_names<'t>(tag: &'t str, visit: &mut dyn FnMut(&'t str, usize)) -> Option<usize> {
    let after_space = |at: usize| tag.len() - tag[at..].trim_start_matches(SPACE).len();
    let mut at = 1;
    loop {
        let length = tag[at..].find([' ', '\t', '\r', '\n', '=', '/', '>', '<', '"', '\''])?;
        if length > 0 {
            visit(&tag[at..at + length], at + length);
        }
        let next = after_space(at + length);
        match tag.as_bytes().get(next)? {
            b'>' => return Some(next + 1),
            b'/' => at = next + 1,
            b'=' => {
                let value = after_space(next + 1);
                let quote = tag[value..].chars().next().filter(|first| "\"'".contains(*first))?;
                at = after_space(value + 1 + tag[value + 1..].find(quote)? + 1);
            }
            _ if length == 0 => return None,
            _ => at = next,
        }
    }
}

/// Returns the namespace that servers mean by an undeclared prefix; a neutral one for an unknown prefix.
fn namespace(prefix: &str) -> &'static str {
    match prefix.to_ascii_lowercase().as_str() {
        "soap" | "soap-env" | "soapenv" => ENVELOPE,
        "soap-enc" | "soapenc" => ENCODING,
        "xsi" => INSTANCE,
        "xsd" => SCHEMA,
        "cwmp" => Version::V1_0.namespace(),
        _ => UNDECLARED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_prefix_is_declared_once_in_the_root() {
        let document = "<?xml version='1.0'?><!-- <x:no/> --><s:E\n xmlns:s='u' a='b:c'><![CDATA[<y:no>]]>\
            <P xsi:type='z:no' SOAP-ENC:arrayType = \"<w:no\"/><q:r xmlns:q='v' xml:lang='en'>v:no</q:r ><P xsi:nil='1'/></s:E>";
        let completed = declared(document).unwrap();
        let expected = format!(
            " xmlns:xsi=\"{INSTANCE}\" xmlns:SOAP-ENC=\"{ENCODING}\" xmlns:q=\"{UNDECLARED}\"\n xmlns:s='u' a='b:c'"
        );
        assert!(completed.contains(&expected), "{completed}");
        assert_eq!(completed.replacen(expected.trim_end_matches("\n xmlns:s='u' a='b:c'"), "", 1), document);
    }

    #[test]
    fn malformed_markup_is_left_alone() {
        for text in ["<a", "<a b:c", "<a b:c=>", "<a b:c='", "<a b:c='1' \"/>", "<a><!-- </a>", "<a =b:c></a>"] {
            assert_eq!(declared(text), None, "{text}");
        }
    }

    #[test]
    fn the_number_of_prefixes_is_limited() {
        let with = |count: usize| (0..count).map(|n| format!("<p{n}:a/>")).collect::<String>();
        assert!(declared(&format!("<r>{}</r>", with(MAX_PREFIXES))).is_some());
        assert_eq!(declared(&format!("<r>{}</r>", with(MAX_PREFIXES + 1))), None);
    }
}
