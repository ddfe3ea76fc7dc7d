//! The reasons for which a stream ends.

use std::fmt;

use roxmltree::Node;

use crate::foreign_text::one_line;

/// The longest text of a server in an error, in characters.
const MAX_WORDS: usize = 100;

/// The reason for which a stream ends. `Display` holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamError {
    /// The server offers no TLS.
    NoTls,
    /// The server offers no mechanism that the agent has.
    NoMechanism,
    /// The authentication has failed.
    Authentication(String),
    /// The server has sent what it must not send.
    Protocol(String),
    /// The server has closed the stream, with its reason.
    Closed(String),
    /// The server has closed the stream without a reason.
    Ended,
}

impl StreamError {
    /// Returns the error that the server has sent.
    pub(super) fn of(error: Node<'_, '_>) -> StreamError {
        StreamError::Closed(condition(error))
    }

    /// Returns the error for an element that must not stand in its place.
    pub(super) fn unexpected(stanza: Node<'_, '_>) -> StreamError {
        StreamError::Protocol(format!("an unexpected element {}", words(stanza.tag_name().name())))
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::NoTls => f.write_str("the XMPP server offers no TLS"),
            StreamError::NoMechanism => {
                f.write_str("the XMPP server offers none of SCRAM-SHA-256, SCRAM-SHA-1 and PLAIN")
            }
            StreamError::Authentication(reason) => write!(f, "the authentication at the XMPP server failed: {reason}"),
            StreamError::Protocol(reason) => write!(f, "the XMPP server has sent {reason}"),
            StreamError::Closed(reason) => write!(f, "the XMPP server has closed the stream with {reason}"),
            StreamError::Ended => f.write_str("the XMPP server has closed the stream"),
        }
    }
}

/// Returns the name of the condition in an error, with the words of the server.
pub(super) fn condition(error: Node<'_, '_>) -> String {
    let mut parts = error.children().filter(Node::is_element);
    let name = parts.clone().find(|part| part.tag_name().name() != "text");
    let name = name.map_or_else(|| "no condition".to_owned(), |part| words(part.tag_name().name()));
    match parts.find(|part| part.tag_name().name() == "text").and_then(|part| part.text()) {
        Some(text) => format!("{name} ({})", words(text)),
        None => name,
    }
}

/// Returns a text of the server for an error.
pub(super) fn words(text: &str) -> String {
    one_line(text, MAX_WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_and_their_words() {
        for (error, expected) in [
            ("<e><not-authorized xmlns='x'/></e>", "not-authorized"),
            ("<e><text>no\n  more</text><conflict/></e>", "conflict (no more)"),
            ("<e/>", "no condition"),
        ] {
            let document = roxmltree::Document::parse(error).expect("well-formed");
            assert_eq!(condition(document.root_element()), expected);
        }
    }
}
