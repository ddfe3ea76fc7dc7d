//! Masks the secrets in an envelope, for a trace that a person reads.
//!
//! ```text
//!   bytes ──▶ Document ──▶ the elements whose content is secret ──▶ text of the message, an element a line, without them
//! ```
//!
//! The decision is made on the parsed elements, and the text comes from the bytes of the message: prefixes, types and
//! attributes stay as they were sent. Comments and processing instructions are left out.

use std::collections::BTreeSet;

use roxmltree::Node;

use super::ENVELOPE;
use super::element::SPACE;
use super::envelope::{EnvelopeError, Message};
use crate::cwmp::rpc;
use crate::secret::MASK;
use crate::url::without_secrets;

/// The entries of the header whose content is shown.
const PLAIN_ENTRIES: [&str; 6] =
    ["ID", "HoldRequests", "NoMoreRequests", "SessionTimeout", "SupportedCWMPVersions", "UseCWMPVersion"];

/// The words that mark the name of a parameter or argument as that of a secret, in lower case.
const SECRET_WORDS: [&str; 7] = ["password", "passphrase", "passwd", "secret", "presharedkey", "wepkey", "privatekey"];

/// Returns the text of a message, an element a line, with [`MASK`] in place of secrets. `charset` is that of the header
/// field `Content-Type`. `is_hidden` returns true for the name of a parameter that is hidden or unknown.
///
/// Secret are the values of hidden and unknown parameters, arguments and parameters whose name says password or key, unknown
/// entries of the header, all arguments of unknown methods, and user information and query of each URL.
///
/// # Errors
/// Returns an error for a message that is no envelope. No part of it can be shown, since its secrets cannot be found.
pub fn masked(bytes: &[u8], charset: Option<&str>, is_hidden: &dyn Fn(&str) -> bool) -> Result<String, EnvelopeError> {
    let message = Message::decode(bytes, charset)?;
    let document = message.document()?;
    let root = document.xml().root_element();
    // The places of secrets are known in an envelope only.
    if root.tag_name() != (ENVELOPE, "Envelope").into() {
        return Err(EnvelopeError::NotAnEnvelope);
    }
    let secrets = Secrets::find(document.xml(), is_hidden);
    let elements = document.xml().descendants().filter(Node::is_element);
    // The scanner below meets the start tags in the same order.
    let mut replacements = Vec::new();
    for (number, node) in elements.enumerate() {
        replacements.extend(secrets.replacement(node).map(|text| (number, text)));
    }
    replacements.reverse();
    Ok(Scanner::new(replacements).run(message.text()))
}

/// Returns true if a name says that its value is a secret.
pub fn is_secret_name(name: &str) -> bool {
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| last.contains(word))
}

/// The elements of a message whose content is secret.
struct Secrets {
    /// True for a secret, by the number of the node.
    whole: Vec<bool>,
}

impl Secrets {
    fn find(document: &roxmltree::Document<'_>, is_hidden: &dyn Fn(&str) -> bool) -> Secrets {
        let mut whole = vec![false; document.descendants().count()];
        // A reference may stand for the secret (SOAP 1.1 §5.2.1): the element with its id is one as well.
        let mut ids: BTreeSet<String> = BTreeSet::new();
        for node in document.descendants().filter(|node| node.is_element() && is_secret(*node, is_hidden)) {
            whole[node.id().get_usize()] = true;
            ids.extend(node.attribute("href").map(|href| href.trim_start_matches('#').to_owned()));
        }
        if !ids.is_empty() {
            let is_named = |node: &Node<'_, '_>| node.attribute("id").is_some_and(|id| ids.contains(id));
            // The agent follows one step of a reference, and a trace must not show what further steps lead to.
            let leads_on = document.descendants().any(|node| is_named(&node) && node.has_attribute("href"));
            for node in document.descendants() {
                whole[node.id().get_usize()] |= is_named(&node) || leads_on && node.has_attribute("id");
            }
        }
        Secrets { whole }
    }

    /// Returns the text that replaces the content of an element, in the form of XML.
    fn replacement(&self, node: Node<'_, '_>) -> Option<String> {
        if self.whole[node.id().get_usize()] {
            return Some(MASK.to_owned());
        }
        // Only an element with nothing but text can be replaced by one. Comments may divide it.
        let text = (!node.children().any(|child| child.is_element())).then(|| node.children())?;
        let text: String = text.filter(Node::is_text).filter_map(|child| child.text()).collect();
        let shown = without_secrets(&text)?;
        Some(shown.replace('&', "&amp;").replace('<', "&lt;"))
    }
}

/// Returns true if the content of an element is a secret.
fn is_secret(node: Node<'_, '_>, is_hidden: &dyn Fn(&str) -> bool) -> bool {
    let name = node.tag_name().name();
    let Some(parent) = node.parent_element() else { return false };
    if is_secret_name(name) {
        return true;
    }
    match parent.tag_name().name() {
        _ if parent.parent_element().is_none() => !["Header", "Body"].contains(&name),
        // A security token, for example.
        "Header" if is_in_envelope(parent) => !PLAIN_ENTRIES.contains(&name),
        "Body" if is_in_envelope(parent) => !is_known(name),
        _ if name == "Value" => {
            let named = parent.children().find(|child| child.tag_name().name() == "Name");
            // Without a readable name, the parameter is unknown.
            let text = named.map(|named| named.text().unwrap_or_default().trim_matches(SPACE));
            text.is_some_and(|name| is_hidden(name) || is_secret_name(name))
        }
        _ => false,
    }
}

fn is_in_envelope(node: Node<'_, '_>) -> bool {
    let is_envelope = |parent: Node<'_, '_>| parent.tag_name() == (ENVELOPE, "Envelope").into();
    node.parent_element().is_some_and(is_envelope)
}

/// Returns true for an element of the body whose arguments are known: a method of CWMP, its response, a fault, or the target
/// of a reference, whose own elements decide.
fn is_known(name: &str) -> bool {
    let method = name.strip_suffix("Response").unwrap_or(name);
    rpc::is_defined(method) || matches!(name, "Fault" | "multiRef")
}

/// The kind of the last token that was written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    /// The XML declaration, or nothing.
    Head,
    Start,
    End,
    Text,
}

/// A pass over the text of a well-formed message.
struct Scanner {
    /// The elements whose content is replaced, by the numbers of their start tags; the next one is the last.
    replacements: Vec<(usize, String)>,
    out: String,
    /// The number of start tags so far.
    elements: usize,
    depth: usize,
    last: Token,
    /// White space behind the last tag, which is written only if it is the content of an element.
    blank: String,
    /// The element whose content is replaced: its depth, and the replacement.
    replaced: Option<(usize, String)>,
    /// True if the replaced element has content.
    has_content: bool,
}

impl Scanner {
    fn new(replacements: Vec<(usize, String)>) -> Scanner {
        Scanner {
            replacements,
            out: String::new(),
            elements: 0,
            depth: 0,
            last: Token::Head,
            blank: String::new(),
            replaced: None,
            has_content: false,
        }
    }

    fn run(mut self, text: &str) -> String {
        let mut rest = text;
        while !rest.is_empty() {
            let length = token_length(rest);
            let (token, after) = rest.split_at(length);
            self.token(token);
            rest = after;
        }
        self.out
    }

    fn token(&mut self, token: &str) {
        if token.starts_with("</") {
            self.end_tag(token);
        } else if token.starts_with("<![CDATA[") {
            self.text(token);
        } else if token.starts_with("<?xml ") && self.out.is_empty() {
            self.out.push_str(token);
        } else if token.starts_with("<!") || token.starts_with("<?") {
            // A comment is no part of the message, and may hold anything.
        } else if token.starts_with('<') {
            self.start_tag(token);
        } else {
            self.text(token);
        }
    }

    fn start_tag(&mut self, tag: &str) {
        let is_next = self.replacements.last().is_some_and(|(number, _)| *number == self.elements);
        let replacement = if is_next { self.replacements.pop().map(|(_, text)| text) } else { None };
        self.elements += 1;
        let is_empty = tag.ends_with("/>");
        if self.replaced.is_some() {
            self.has_content = true;
        } else {
            self.blank.clear();
            if self.last != Token::Text {
                self.new_line();
            }
            self.out.push_str(tag);
            self.last = if is_empty { Token::End } else { Token::Start };
            if let Some(replacement) = replacement.filter(|_| !is_empty) {
                self.replaced = Some((self.depth, replacement));
                self.has_content = false;
            }
        }
        self.depth += usize::from(!is_empty);
    }

    fn end_tag(&mut self, tag: &str) {
        self.depth = self.depth.saturating_sub(1);
        match self.replaced.take() {
            Some((depth, replacement)) if depth == self.depth => {
                if self.has_content {
                    self.out.push_str(&replacement);
                }
            }
            Some(inside) => {
                self.replaced = Some(inside);
                return;
            }
            None => match self.last {
                Token::Start => self.out.push_str(&self.blank),
                Token::End => self.new_line(),
                Token::Head | Token::Text => {}
            },
        }
        self.blank.clear();
        self.out.push_str(tag);
        self.last = Token::End;
    }

    fn text(&mut self, text: &str) {
        if self.replaced.is_some() {
            self.has_content = true;
        } else if self.last != Token::Text && text.trim_matches(SPACE).is_empty() {
            self.blank.push_str(text);
        } else if self.depth > 0 {
            self.out.push_str(&std::mem::take(&mut self.blank));
            self.out.push_str(text);
            self.last = Token::Text;
        }
    }

    fn new_line(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }
}

/// Returns the length of the first token: a tag, another piece of markup, or the text before the next one.
fn token_length(text: &str) -> usize {
    let to = |end: &str| text.find(end).map_or(text.len(), |at| at + end.len());
    if !text.starts_with('<') {
        return text.find('<').unwrap_or(text.len());
    }
    if text.starts_with("<!--") {
        return to("-->");
    }
    if text.starts_with("<![CDATA[") {
        return to("]]>");
    }
    if text.starts_with("<?") {
        return to("?>");
    }
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests;
