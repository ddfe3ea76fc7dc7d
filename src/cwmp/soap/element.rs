//! The elements of a received message, and the arguments in them.

use std::borrow::Cow;
use std::fmt;

use super::reference::{References, is_blank};
use super::{ENCODING, INSTANCE, SCHEMA, UNDECLARED};
use crate::cwmp::fault::{Fault, FaultCode};

/// The white space characters of XML.
pub(super) const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// An element: an RPC, an argument, a structure or a member of an array.
///
/// Arguments are found by local name in any namespace: they should have none (R69), but some servers qualify them.
/// Their order does not matter (R74), and unknown elements, comments and processing instructions are skipped (R75).
/// An argument that is a reference is replaced by the element that it names (SOAP 1.1 §5.2.1).
#[derive(Clone, Copy, Debug)]
pub struct Element<'a>(roxmltree::Node<'a, 'a>, &'a References);

impl<'a> Element<'a> {
    pub(super) fn new(node: roxmltree::Node<'a, 'a>, references: &'a References) -> Element<'a> {
        Element(node, references)
    }

    /// Returns the local name.
    pub fn name(&self) -> &'a str {
        self.0.tag_name().name()
    }

    /// Returns the namespace, if there is one.
    pub fn namespace(&self) -> Option<&'a str> {
        // `xmlns=""` removes the namespace.
        self.0.tag_name().namespace().filter(|name| !name.is_empty())
    }

    /// Returns true if the element has that name in that namespace, or behind a prefix without a known meaning.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.name() == name && self.namespace().is_some_and(|own| own == namespace || own == UNDECLARED)
    }

    /// Returns the child elements in order.
    pub fn children(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let Element(node, references) = *self;
        node.children().filter(roxmltree::Node::is_element).map(|node| Element(node, references))
    }

    /// Returns the value of an attribute in that namespace, or behind a prefix without a known meaning: if `x:nil` or
    /// `x:mustUnderstand` were skipped, a request that is not understood could succeed.
    pub(super) fn attribute(&self, namespace: &str, name: &str) -> Option<&'a str> {
        self.0.attribute((namespace, name)).or_else(|| self.0.attribute((UNDECLARED, name)))
    }

    /// Returns the first descendant with that local name, at any depth.
    pub(super) fn descendant(&self, name: &str) -> Option<Element<'a>> {
        let mut below = self.0.descendants().skip(1);
        let found = below.find(|node| node.is_element() && node.tag_name().name() == name)?;
        Some(Element(found, self.1))
    }

    /// Returns true if the element has an `id`, by which a reference may name it.
    pub(super) fn has_id(&self) -> bool {
        self.0.has_attribute("id")
    }

    /// Returns true if a text stands in the element itself, beside its child elements.
    pub(super) fn has_text(&self) -> bool {
        self.0.children().any(|child| child.is_text() && !is_blank(child))
    }

    /// Returns the element itself; or the one that it stands for, if it is a reference.
    ///
    /// # Errors
    /// Returns an error with `name`, if the reference cannot be resolved.
    pub fn resolved(self, name: &'static str) -> Result<Element<'a>, ArgumentError> {
        let Some(href) = self.0.attribute("href") else { return Ok(self) };
        let target = self.1.target(self.0, href).ok_or(ArgumentError::Unresolved(name))?;
        Ok(Element(target, self.1))
    }

    /// Returns the argument of that name, if there is one.
    ///
    /// # Errors
    /// Returns an error if there are two, since the valid one is unknown, or if it is a reference that cannot be resolved.
    pub fn find(&self, name: &'static str) -> Result<Option<Element<'a>>, ArgumentError> {
        let mut found = self.children().filter(|child| child.name() == name);
        let first = found.next();
        match found.next() {
            Some(_) => Err(ArgumentError::Repeated(name)),
            None => first.map(|argument| argument.resolved(name)).transpose(),
        }
    }

    /// Returns the argument of that name.
    ///
    /// # Errors
    /// Returns an error if it is missing or repeated.
    pub fn argument(&self, name: &'static str) -> Result<Element<'a>, ArgumentError> {
        self.find(name)?.ok_or(ArgumentError::Missing(name))
    }

    /// Returns the text of the element with its white space (R160): its text and CDATA sections in order. Returns
    /// `None` if it contains an element.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        let mut whole = Cow::Borrowed("");
        for node in self.0.children() {
            match node.text() {
                _ if node.is_element() => return None,
                Some(text) if node.is_text() && whole.is_empty() => whole = Cow::Borrowed(text),
                Some(text) if node.is_text() => whole.to_mut().push_str(text),
                _ => {} // a comment or a processing instruction
            }
        }
        Some(whole)
    }

    /// Returns the text of the argument of that name.
    ///
    /// # Errors
    /// Returns an error if the argument is missing, repeated, not a text, or longer than `max` characters.
    pub fn string(&self, name: &'static str, max: usize) -> Result<Cow<'a, str>, ArgumentError> {
        self.optional_string(name, max)?.ok_or(ArgumentError::Missing(name))
    }

    /// Returns the text of the argument of that name; `None` if it is missing.
    ///
    /// # Errors
    /// Returns an error if the argument is repeated, not a text, or longer than `max` characters.
    pub fn optional_string(&self, name: &'static str, max: usize) -> Result<Option<Cow<'a, str>>, ArgumentError> {
        let Some(argument) = self.find(name)? else { return Ok(None) };
        let text = argument.text().ok_or(ArgumentError::NotText(name))?;
        // The schema limits characters, not bytes; counting ends at the limit.
        match text.chars().nth(max) {
            Some(_) => Err(ArgumentError::TooLong(name, max)),
            None => Ok(Some(text)),
        }
    }

    /// Returns the boolean in the argument of that name: `0`, `1`, `true` or `false` (R323).
    ///
    /// # Errors
    /// Returns an error if the argument is missing, repeated, or not a boolean.
    pub fn boolean(&self, name: &'static str) -> Result<bool, ArgumentError> {
        let text = self.argument(name)?.text();
        let text = text.ok_or(ArgumentError::NotText(name))?;
        boolean(&text).ok_or(ArgumentError::NotBoolean(name))
    }

    /// Returns the number in the argument of that name, 0 to 4294967295.
    ///
    /// # Errors
    /// Returns an error if the argument is missing, repeated, or no such number.
    pub fn unsigned_int(&self, name: &'static str) -> Result<u32, ArgumentError> {
        let number = self.integer(name)?;
        u32::try_from(number).map_err(|_| ArgumentError::NotInRange(name))
    }

    /// Returns the number in the argument of that name, -2147483648 to 2147483647.
    ///
    /// # Errors
    /// Returns an error if the argument is missing, repeated, or no such number.
    pub fn int(&self, name: &'static str) -> Result<i32, ArgumentError> {
        let number = self.integer(name)?;
        i32::try_from(number).map_err(|_| ArgumentError::NotInRange(name))
    }

    /// Returns an integer as XML Schema writes it: with an optional sign, `+` included, and leading zeros.
    fn integer(&self, name: &'static str) -> Result<i64, ArgumentError> {
        let text = self.argument(name)?.text();
        let text = text.ok_or(ArgumentError::NotText(name))?;
        let digits = text.trim_matches(SPACE);
        // i64 holds the values of both types, so that a number out of range is told apart from other text.
        digits.parse().map_err(|_| ArgumentError::NotANumber(name))
    }

    /// Returns the members of the array in the argument of that name: all elements in it. The type and the number in
    /// `arrayType` and the names of the members are ignored, because servers write them wrong.
    ///
    /// # Errors
    /// Returns an error if the argument is missing or repeated, if it is nil or contains text, or if a reference in it
    /// cannot be resolved.
    pub fn members(&self, name: &'static str) -> Result<impl Iterator<Item = Element<'a>> + use<'a>, ArgumentError> {
        let array = self.argument(name)?;
        // An array that was not understood must not count as an empty one, which would be a success without effect.
        if array.is_nil() || array.has_text() {
            return Err(ArgumentError::NotArray(name));
        }
        let members: Vec<_> = array.children().map(|member| member.resolved(name)).collect::<Result<_, _>>()?;
        Ok(members.into_iter())
    }

    /// Returns the members of an array that must have at least one.
    ///
    /// # Errors
    /// Returns an error if the argument is missing, repeated, or empty.
    pub fn nonempty_members(
        &self,
        name: &'static str,
    ) -> Result<impl Iterator<Item = Element<'a>> + use<'a>, ArgumentError> {
        let mut members = self.members(name)?.peekable();
        match members.peek() {
            Some(_) => Ok(members),
            None => Err(ArgumentError::Empty(name)),
        }
    }

    /// Returns true if the element has no value, by `xsi:nil`.
    pub fn is_nil(&self) -> bool {
        self.attribute(INSTANCE, "nil").and_then(boolean) == Some(true)
    }

    /// Returns the type in the attribute `xsi:type`, if there is one.
    pub fn xsi_type(&self) -> Option<XsiType<'a>> {
        let text = self.attribute(INSTANCE, "type")?.trim_matches(SPACE);
        let (prefix, local) = match text.split_once(':') {
            Some((prefix, local)) => (Some(prefix), local),
            None => (None, text),
        };
        if local.is_empty() {
            return None;
        }
        // Servers in the field use undeclared prefixes, which count as XML Schema's.
        Some(match self.0.lookup_namespace_uri(prefix) {
            None | Some("" | SCHEMA | ENCODING | UNDECLARED) => XsiType::BuiltIn(local),
            Some(earlier) if is_schema_draft(earlier) => XsiType::BuiltIn(local),
            Some(_) => XsiType::Foreign(local),
        })
    }
}

/// Returns true for the drafts of XML Schema from the time of SOAP 1.1, which old toolkits still send.
fn is_schema_draft(namespace: &str) -> bool {
    let drafts = ["1999", "2000/10"];
    let year = namespace.strip_prefix("http://www.w3.org/");
    let year = year.and_then(|rest| rest.strip_suffix("/XMLSchema"));
    year.is_some_and(|year| drafts.contains(&year))
}

/// Returns a boolean as XML Schema writes it.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim_matches(SPACE) {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// The type of a value, with its prefix resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XsiType<'a> {
    /// A type of XML Schema or of the SOAP encoding, such as `string` or `base64Binary`.
    BuiltIn(&'a str),
    /// A type of another namespace.
    Foreign(&'a str),
}

/// An argument that violates the schema of CWMP: fault 9003 (R76).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentError {
    /// The argument is missing.
    Missing(&'static str),
    /// The argument is present twice.
    Repeated(&'static str),
    /// The array has no members, and needs one.
    Empty(&'static str),
    /// The argument contains elements instead of a text.
    NotText(&'static str),
    /// The argument is nil or contains text instead of members.
    NotArray(&'static str),
    /// The argument is, or contains, a reference that cannot be resolved.
    Unresolved(&'static str),
    /// The text has more characters than the schema allows.
    TooLong(&'static str, usize),
    /// The text is not a boolean.
    NotBoolean(&'static str),
    /// The text is not an integer.
    NotANumber(&'static str),
    /// The integer is out of the range of its type.
    NotInRange(&'static str),
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArgumentError::Missing(name) => write!(f, "{name} is missing"),
            ArgumentError::Repeated(name) => write!(f, "{name} is there more than once"),
            ArgumentError::Empty(name) => write!(f, "{name} is empty"),
            ArgumentError::NotText(name) => write!(f, "{name} holds elements, not a text"),
            ArgumentError::NotArray(name) => write!(f, "{name} is not an array"),
            ArgumentError::Unresolved(name) => write!(f, "{name} holds a reference that cannot be resolved"),
            ArgumentError::TooLong(name, max) => {
                write!(f, "{name} is longer than {max} characters")
            }
            ArgumentError::NotBoolean(name) => write!(f, "{name} is not 0, 1, true or false"),
            ArgumentError::NotANumber(name) => write!(f, "{name} is not an integer"),
            ArgumentError::NotInRange(name) => write!(f, "{name} is out of range"),
        }
    }
}

impl std::error::Error for ArgumentError {}

impl From<ArgumentError> for Fault {
    fn from(error: ArgumentError) -> Fault {
        Fault::because(FaultCode::InvalidArguments, error.to_string())
    }
}

#[cfg(test)]
mod tests;
