//! Connection requests over XMPP, and the answers to them (R298, R299).

use roxmltree::Node;

use super::{escaped, namespace};
use crate::digest::equal_in_constant_time;
use crate::secret::Secret;

/// A connection request of the form of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionRequest {
    iq: Iq,
    username: String,
    password: Secret,
}

/// The attributes of an `iq` that its answer repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Iq {
    pub(super) id: String,
    /// The full address of the sender; empty for the server of the connection.
    pub(super) from: String,
}

/// The reason for which a request gets an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A session runs, the rate is exceeded, the sender is not allowed, or nothing serves the namespace.
    ServiceUnavailable,
    /// The user name or the password is wrong.
    NotAuthorized,
    /// The request does not have the form of the schema.
    BadRequest,
}

impl Iq {
    /// Returns the attributes of an `iq` that wants an answer; `None` without an id, by which no answer would find its request.
    pub(super) fn of(node: Node<'_, '_>) -> Option<Iq> {
        let text = |name| node.attribute(name).unwrap_or_default().to_owned();
        let iq = Iq { id: text("id"), from: text("from") };
        (!iq.id.is_empty()).then_some(iq)
    }

    fn answer(&self, kind: &str, content: &str) -> String {
        let to = match self.from.as_str() {
            "" => String::new(),
            from => format!(" to='{}'", escaped(from)),
        };
        format!("<iq type='{kind}' id='{}'{to}>{content}</iq>", escaped(&self.id))
    }

    /// Returns the error that answers the `iq`.
    pub(super) fn refused(&self, refusal: Refusal) -> String {
        let (kind, condition) = match refusal {
            Refusal::ServiceUnavailable => ("cancel", "service-unavailable"),
            Refusal::NotAuthorized => ("auth", "not-authorized"),
            Refusal::BadRequest => ("modify", "bad-request"),
        };
        let error = format!("<error type='{kind}'><{condition} xmlns='{}'/></error>", namespace::STANZAS);
        self.answer("error", &error)
    }
}

impl ConnectionRequest {
    /// Reads the request in an `iq`.
    ///
    /// # Errors
    /// The answer to an `iq` with any other content.
    pub(super) fn read(iq: Iq, node: Node<'_, '_>) -> Result<ConnectionRequest, (Iq, Refusal)> {
        let mut content = node.children().filter(Node::is_element);
        let is_request = |node: &Node<'_, '_>| is(*node, "connectionRequest");
        let (Some(request), None, Some("get")) =
            (content.next().filter(is_request), content.next(), node.attribute("type"))
        else {
            return Err((iq, Refusal::ServiceUnavailable));
        };
        let fields: Vec<Node<'_, '_>> = request.children().filter(Node::is_element).take(3).collect();
        match fields.as_slice() {
            [username, password]
                if is(*username, "username")
                    && is(*password, "password")
                    && request.children().filter(Node::is_text).all(is_blank)
                    && fields.iter().all(|field| field.children().all(|child| child.is_text())) =>
            {
                let text = |node: &Node<'_, '_>| node.text().unwrap_or_default().to_owned();
                Ok(ConnectionRequest { iq, username: text(username), password: text(password).into() })
            }
            _ => Err((iq, Refusal::BadRequest)),
        }
    }

    /// Returns the full address of the sender; empty for the server of the connection.
    pub(crate) fn from(&self) -> &str {
        &self.iq.from
    }

    /// Returns true if ConnReqAllowedJabberIDs has the sender, or is empty (R298).
    pub(crate) fn is_allowed(&self, allowed: &[String]) -> bool {
        allowed.is_empty() || allowed.iter().any(|entry| covers(entry, &self.iq.from))
    }

    /// Returns true if both credentials are right. An empty password is no password (R268).
    pub(crate) fn has_credentials(&self, username: &str, password: &Secret) -> bool {
        let equal = |a: &str, b: &str| equal_in_constant_time(a.as_bytes(), b.as_bytes());
        // Both are compared, so that the time does not show which one is wrong.
        let same = equal(&self.username, username) & equal(self.password.expose(), password.expose());
        same && !password.expose().is_empty()
    }

    /// Returns the answer to a request that is accepted.
    pub(crate) fn accepted(&self) -> String {
        self.iq.answer("result", "")
    }

    /// Returns the answer to a request that is refused.
    pub(crate) fn refused(&self, refusal: Refusal) -> String {
        self.iq.refused(refusal)
    }
}

/// Returns true if a text between elements is white space.
fn is_blank(text: Node<'_, '_>) -> bool {
    text.text().unwrap_or_default().trim().is_empty()
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.has_tag_name((namespace::CONNECTION_REQUEST, name))
}

/// Returns true if an entry of the list stands for an address: an entry without a resource stands for all resources.
fn covers(entry: &str, address: &str) -> bool {
    let parts = |jid: &str| match jid.split_once('/') {
        Some((bare, resource)) => (bare.to_lowercase(), Some(resource.to_owned())),
        None => (jid.to_lowercase(), None),
    };
    // RFC 7622: local part and domain have no upper case, and the resource has.
    let ((bare, resource), (sender, sent_by)) = (parts(entry), parts(address));
    bare == sender && !bare.is_empty() && (resource.is_none() || resource == sent_by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(iq: &str) -> Result<ConnectionRequest, (Iq, Refusal)> {
        let document = roxmltree::Document::parse(iq).expect("well-formed");
        let node = document.root_element();
        ConnectionRequest::read(Iq::of(node).expect("an id"), node)
    }

    fn request(content: &str) -> String {
        format!("<iq type='get' id='1' from='acs@x/y'>{content}</iq>")
    }

    /// The form of GenieACS, and one with a prefix.
    #[test]
    fn the_forms_of_a_request() {
        for content in [
            "<connectionRequest xmlns=\"urn:broadband-forum-org:cwmp:xmppConnReq-1-0\">\
             <username>u&amp;</username><password>p</password></connectionRequest>",
            "<c:connectionRequest xmlns:c='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'>\n <c:username>u&amp;</c:username>\
             <c:password>p</c:password>\n</c:connectionRequest>",
        ] {
            let request = read(&request(content)).expect("a request");
            assert!(request.has_credentials("u&", &"p".into()));
            assert!(!request.has_credentials("u", &"p".into()) && !request.has_credentials("u&", &"q".into()));
            assert_eq!(request.accepted(), "<iq type='result' id='1' to='acs@x/y'></iq>");
            assert!(!format!("{request:?}").contains("\"p\""));
        }
        let empty = "<connectionRequest xmlns='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'><username/><password/>\
                     </connectionRequest>";
        assert!(!read(&request(empty)).expect("a request").has_credentials("", &"".into()), "R268");
    }

    #[test]
    fn other_content_gets_an_error() {
        let within = |content: &str| {
            let element = "connectionRequest xmlns='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'";
            request(&format!("<{element}>{content}</connectionRequest>"))
        };
        for (iq, refusal) in [
            (within(""), Refusal::BadRequest),
            (within("<username/>"), Refusal::BadRequest),
            (within("<password/><username/>"), Refusal::BadRequest),
            (within("<username/><password/><password/>"), Refusal::BadRequest),
            (within("<username xmlns='x'/><password/>"), Refusal::BadRequest),
            (within("<username>u<a/></username><password>p</password>"), Refusal::BadRequest),
            (within("<username/>p<password/>"), Refusal::BadRequest),
            (within("<username/><password/>").replace("get", "set"), Refusal::ServiceUnavailable),
            (within("").replace("1-0", "1-1"), Refusal::ServiceUnavailable),
            (request("<ping xmlns='urn:xmpp:ping'/>"), Refusal::ServiceUnavailable),
            (request(""), Refusal::ServiceUnavailable),
        ] {
            assert_eq!(read(&iq).map_err(|(_, refusal)| refusal), Err(refusal), "{iq}");
        }
        let (iq, refusal) = read("<iq type='get' id='&lt;&apos;'/>").expect_err("no request");
        let expected = "<iq type='error' id='&lt;&apos;'><error type='cancel'><service-unavailable \
                        xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";
        assert_eq!(iq.refused(refusal), expected);
    }

    #[test]
    fn allowed_senders() {
        for (entry, address, expected) in [
            ("acs@x", "acs@x/1", true),
            ("acs@x", "ACS@X/1", true),
            ("acs@x", "acs@x", true),
            ("acs@x/1", "acs@x/1", true),
            ("acs@x/1", "acs@x/2", false),
            ("acs@x/a", "acs@x/A", false),
            ("acs@x/1", "acs@x", false),
            ("acs@x", "other@x/acs@x", false),
            ("acs@x", "acs@xy/1", false),
            ("", "", false),
        ] {
            assert_eq!(covers(entry, address), expected, "{entry} {address}");
        }
    }
}
