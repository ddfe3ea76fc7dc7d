//! The features that a server offers: its mechanisms of authentication.

use roxmltree::Node;

use crate::xmpp::namespace;
use crate::xmpp::scram::Hash;

/// A mechanism of authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    Scram(Hash),
    Plain,
}

/// The mechanisms from the best to the weakest.
const MECHANISMS: [(Mechanism, &str); 3] = [
    (Mechanism::Scram(Hash::Sha256), "SCRAM-SHA-256"),
    (Mechanism::Scram(Hash::Sha1), "SCRAM-SHA-1"),
    (Mechanism::Plain, "PLAIN"),
];

impl Mechanism {
    /// Returns the best mechanism of those that the server offers.
    pub(super) fn best(features: Node<'_, '_>) -> Option<Mechanism> {
        let list = features.children().find(|feature| feature.has_tag_name((namespace::SASL, "mechanisms")))?;
        let offers = |name: &str| list.children().any(|offer| offer.is_element() && offer.text() == Some(name));
        MECHANISMS.iter().find(|(_, name)| offers(name)).map(|(mechanism, _)| *mechanism)
    }

    pub(super) fn name(self) -> &'static str {
        MECHANISMS.iter().find(|(mechanism, _)| *mechanism == self).map_or("", |(_, name)| name)
    }
}
