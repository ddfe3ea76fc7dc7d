//! Discovery of the ACS by DHCP (TR-069 A6 §3.1): what the DHCP clients of the device received, and the decision whether the
//! agent uses it.
//!
//! ```text
//! words of `cpe-agent dhcp` ─▶ Lease ─▶ file of src/dhcp.rs ─▶ Lease ─▶ option.rs ─▶ Offer ─▶ Discovered::takes_url ─▶ URL
//! ```

mod lease;
mod option;

use serde_json::Value as Json;

pub(crate) use self::lease::Lease;
pub(crate) use self::option::{Gateway, OFFERED, Offer, gateway, offer};

/// The position of the URL in [`Offer::values`] and in [`Discovered::values`].
pub(crate) const URL: usize = 0;

/// The time without a connection to the ACS after which DHCP may name another one, in seconds (R20).
pub(crate) const UNREACHABLE: u64 = 300;

/// The result of the discovery, which survives restarts and ends with a factory reset (R18).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// True if the first ACS since the last factory reset was found by DHCP.
    pub is_first: bool,
    /// The values that the agent took from DHCP last, in the order of [`OFFERED`]; empty for none. A parameter that has
    /// another value since was set by the ACS or by a user.
    pub values: [String; OFFERED],
}

/// The facts about the URL in use on which the decision depends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UrlInUse<'a> {
    /// The URL; empty if the device has none.
    pub(crate) url: &'a str,
    /// True if it is the default of the data model, not set by the configuration or by any other writer.
    pub(crate) is_default: bool,
    /// True if a session with an ACS has succeeded since the last factory reset.
    pub(crate) was_contacted: bool,
    /// True if the ACS was unreachable for [`UNREACHABLE`] seconds.
    pub(crate) is_unreachable: bool,
}

impl Discovered {
    /// Returns true if the URL in use came from DHCP, which authenticates nobody.
    pub(crate) fn gave(&self, url: &str) -> bool {
        !url.is_empty() && self.values[URL] == url
    }

    /// Returns true if a URL of DHCP takes the place of the URL in use.
    pub(crate) fn takes_url(&self, used: UrlInUse<'_>) -> bool {
        // R17: without a URL DHCP is asked. A URL of DHCP itself follows the lease.
        used.url.is_empty()
            || self.gave(used.url)
            || match self.is_first {
                // R18: even if the ACS or a user has set another URL since.
                true => used.is_unreachable,
                // R9, R19: a default counts only until an ACS was found by it.
                false => used.is_default && !used.was_contacted,
            }
    }

    /// Encodes the result for the journal.
    pub(crate) fn to_json(&self) -> Json {
        let values = self.values.iter().map(|text| Json::from(text.as_str()));
        Json::Array(std::iter::once(Json::Bool(self.is_first)).chain(values).collect())
    }

    /// Decodes the result. A malformed one is none.
    pub(crate) fn from_json(json: &Json) -> Discovered {
        let Some([Json::Bool(is_first), values @ ..]) = json.as_array().map(Vec::as_slice) else {
            return Discovered::default();
        };
        let text = |at: usize| values.get(at).and_then(Json::as_str).unwrap_or_default().to_owned();
        Discovered { is_first: *is_first, values: std::array::from_fn(text) }
    }
}

#[cfg(test)]
mod tests;
