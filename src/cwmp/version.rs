//! The versions of CWMP, their namespaces, and the negotiation of the version of a session.
//!
//! ```text
//!   version   namespace                   the offered list is in
//!   1.0       urn:dslforum-org:cwmp-1-0   the namespace of Inform
//!   1.1       urn:dslforum-org:cwmp-1-1   the namespace of Inform
//!   1.2, 1.3  urn:dslforum-org:cwmp-1-2   the namespace of Inform
//!   1.4       urn:dslforum-org:cwmp-1-2   SupportedCWMPVersions in the header of Inform
//! ```

use crate::foreign_text::Quoted;
use std::fmt;

/// A version of the CPE WAN Management Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// TR-069 Amendment 1.
    V1_0,
    /// TR-069 Amendment 2.
    V1_1,
    /// TR-069 Amendment 3.
    V1_2,
    /// TR-069 Amendment 4.
    V1_3,
    /// TR-069 Amendments 5 and 6.
    V1_4,
}

/// The versions that an Inform offers, unless the ACS has rejected it before.
pub const ALL: &[Version] = &[Version::V1_0, Version::V1_1, Version::V1_2, Version::V1_3, Version::V1_4];

/// The version that an Inform offers to an ACS that seems to support 1.0 only (R84).
pub const OLDEST: &[Version] = &[Version::V1_0];

/// A CWMP namespace up to its last digit.
const NAMESPACE_STEM: &str = "urn:dslforum-org:cwmp-1-";

impl Version {
    /// Returns the namespace of the messages (R68). Versions 1.3 and 1.4 use that of 1.2.
    pub fn namespace(self) -> &'static str {
        match self {
            Version::V1_0 => "urn:dslforum-org:cwmp-1-0",
            Version::V1_1 => "urn:dslforum-org:cwmp-1-1",
            Version::V1_2 | Version::V1_3 | Version::V1_4 => "urn:dslforum-org:cwmp-1-2",
        }
    }

    /// Returns the version of a namespace: the oldest of those that share it (R82). `None` for another namespace.
    ///
    /// `cwmp-1-3` to `cwmp-1-9` do not exist, yet servers in the field write some of them. They count as `cwmp-1-2`, the
    /// newest that exists.
    pub fn from_namespace(namespace: &str) -> Option<Version> {
        match namespace.strip_prefix(NAMESPACE_STEM)? {
            "0" => Some(Version::V1_0),
            "1" => Some(Version::V1_1),
            "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" => Some(Version::V1_2),
            _ => None,
        }
    }

    /// Parses `1.0` to `1.4`, with optional white space around it; `None` for another text.
    pub fn parse(text: &str) -> Option<Version> {
        // An ACS that indents its messages writes white space around the value of the header.
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        ALL.iter().copied().find(|version| version.as_str() == text)
    }

    /// Returns the version as the SOAP headers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::V1_0 => "1.0",
            Version::V1_1 => "1.1",
            Version::V1_2 => "1.2",
            Version::V1_3 => "1.3",
            Version::V1_4 => "1.4",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns the version of Inform itself: the newest that is offered (R82).
pub fn newest(offered: &[Version]) -> Version {
    offered.iter().copied().max().unwrap_or(Version::V1_0)
}

/// Returns the value of the header `SupportedCWMPVersions` of Inform; `None` if the newest offered version is older than
/// 1.4, since such a CPE must not send the header (R81).
pub fn supported_header(offered: &[Version]) -> Option<String> {
    if newest(offered) < Version::V1_4 {
        return None;
    }
    let list: Vec<&str> = offered.iter().map(|version| version.as_str()).collect();
    Some(list.join(","))
}

/// Returns the version for the rest of the session (R82): the one that the ACS names in `UseCWMPVersion`, or else
/// `response`, the one of the namespace of its InformResponse.
///
/// # Errors
/// `UseCWMPVersion` names a version that was not offered. The caller must end the session by closing the connection.
pub fn negotiate(
    use_version: Option<&str>,
    response: Version,
    offered: &[Version],
) -> Result<Version, VersionNotOffered> {
    if let Some(text) = use_version {
        return Version::parse(text)
            .filter(|version| offered.contains(version))
            // Shortened, since the text of the ACS may be of any length and `status` keeps it.
            .ok_or_else(|| VersionNotOffered(text.chars().take(16).collect()));
    }
    // An ACS may answer in a newer namespace than the offered ones. It must then be content with the newest offered
    // version: the CPE sends no element that an ACS of that version does not know.
    let usable = offered.iter().copied().filter(|&known| known <= response);
    Ok(usable.max().unwrap_or(Version::V1_0))
}

/// The error of an ACS that chose a version which was not offered; holds its text, shortened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionNotOffered(String);

impl fmt::Display for VersionNotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ACS chose CWMP version {}, which was not offered", Quoted(&self.0))
    }
}

impl std::error::Error for VersionNotOffered {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_their_namespaces() {
        for &version in ALL {
            assert_eq!(Version::parse(version.as_str()), Some(version));
            let shared = Version::from_namespace(version.namespace());
            assert_eq!(shared, Some(version.min(Version::V1_2)));
        }
        assert!(Version::V1_0 < Version::V1_1 && Version::V1_3 < Version::V1_4);
        assert_eq!(Version::parse(" 1.2\n"), Some(Version::V1_2));
        assert_eq!(Version::parse("1.5"), None);
        for minor in 3..=9 {
            let nonstandard = Version::from_namespace(&format!("urn:dslforum-org:cwmp-1-{minor}"));
            assert_eq!(nonstandard, Some(Version::V1_2));
        }
        assert_eq!(Version::from_namespace("urn:dslforum-org:cwmp-1-10"), None);
        assert_eq!(Version::from_namespace("urn:dslforum-org:cwmp-1-"), None);
        assert_eq!(Version::from_namespace("urn:dslforum-org:cwmp-2-0"), None);
    }

    /// R81: a CPE older than 1.4 must not send the header.
    #[test]
    fn only_version_1_4_announces_its_list() {
        assert_eq!(supported_header(ALL).as_deref(), Some("1.0,1.1,1.2,1.3,1.4"));
        assert_eq!(supported_header(&ALL[..4]), None);
        assert_eq!(supported_header(OLDEST), None);
    }

    /// R82, R83.
    #[test]
    fn the_acs_chooses() {
        use Version::*;
        assert_eq!(negotiate(Some("1.4"), V1_2, ALL), Ok(V1_4));
        assert_eq!(negotiate(Some("1.1"), V1_2, ALL), Ok(V1_1));
        assert_eq!(negotiate(None, V1_0, ALL), Ok(V1_0));
        assert_eq!(negotiate(None, V1_1, ALL), Ok(V1_1));
        assert_eq!(negotiate(None, V1_2, ALL), Ok(V1_2));
        assert_eq!(negotiate(None, V1_2, OLDEST), Ok(V1_0));
        assert!(negotiate(Some("1.4"), V1_2, OLDEST).is_err());
        let error = negotiate(Some("2.0"), V1_2, ALL).unwrap_err();
        assert!(error.to_string().contains("2.0"));
    }

    /// R84: after a session that a 1.0 ACS may have failed, Inform offers 1.0 alone.
    #[test]
    fn reverting_to_the_oldest() {
        assert_eq!(newest(OLDEST).namespace(), "urn:dslforum-org:cwmp-1-0");
        assert_eq!(newest(ALL), Version::V1_4);
    }
}
