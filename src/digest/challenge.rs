//! The `WWW-Authenticate` header of a server, with its challenges.

use std::fmt;

use super::params::{AuthItem, AuthItems, Quoted, extended};
use super::{Algorithm, DigestInput, QopAuth, header_text};

/// A challenge that this agent can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Basic: the user name and the password in clear text.
    Basic,
    /// Digest: a proof of the password.
    Digest(DigestChallenge),
}

/// A digest challenge with an algorithm and a quality of protection that this agent supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestChallenge {
    /// The realm, which is shown to the user and is a part of the key.
    pub realm: String,
    /// The nonce of the server, returned unchanged.
    pub nonce: String,
    /// The opaque text of the server, returned unchanged.
    pub opaque: Option<String>,
    /// The algorithm. `None` if the challenge names none: it is MD5 then, and the answer names none either.
    pub algorithm: Option<Algorithm>,
    /// True if qop `auth` was offered; otherwise the answer follows RFC 2069.
    pub qop_auth: bool,
    /// True if the last answer was right apart from its old nonce.
    pub stale: bool,
    /// True if the server takes a user name in UTF-8 (`charset` of RFC 7616 §3.3), and so knows `username*`.
    pub charset_utf8: bool,
}

/// Returns all challenges of a header value that can be answered, in order. The value is a text of
/// [`header_text`](super::header_text). Unknown schemes, unknown algorithms, and a
/// digest with no other qop than `auth-int` are skipped.
pub fn challenges(value: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut open: Option<ChallengeBuilder> = None;
    for piece in AuthItems::of(value) {
        match (piece, &mut open) {
            (AuthItem::Scheme(name), _) => {
                // RFC 9110 §11.6.1: one header may hold several challenges, and a scheme ends the one before it.
                found.extend(open.take().and_then(ChallengeBuilder::finish));
                open = ChallengeBuilder::begin(name);
            }
            (AuthItem::Param(name, value), Some(draft)) => draft.param(name, value),
            (AuthItem::Param(..), None) | (AuthItem::Token68(_), _) => {}
        }
    }
    found.extend(open.and_then(ChallengeBuilder::finish));
    found
}

/// Returns the `nextnonce` of an `Authentication-Info` header value (RFC 7616 §3.5).
pub fn next_nonce(value: &str) -> Option<String> {
    AuthItems::of(value).find_map(|item| match item {
        AuthItem::Param(name, nonce) if name.eq_ignore_ascii_case("nextnonce") && !nonce.is_empty() => Some(nonce),
        _ => None,
    })
}

/// Returns the challenge to answer: digest before Basic, SHA-256 before MD5, and the first among equals.
pub fn strongest(challenges: impl IntoIterator<Item = Challenge>) -> Option<Challenge> {
    let rank = |challenge: &Challenge| match challenge {
        Challenge::Basic => None,
        Challenge::Digest(digest) => Some(digest.algorithm.unwrap_or(Algorithm::Md5)),
    };
    // Only a stronger challenge replaces the first, since a server lists its preferred one first (RFC 7616 §3.7).
    challenges.into_iter().reduce(|best, next| if rank(&next) > rank(&best) { next } else { best })
}

impl DigestChallenge {
    /// Returns the value of the `Authorization` header that answers this challenge, as text for
    /// [`header_octets`](super::header_octets).
    ///
    /// `nc` counts the requests with this nonce, from 1. `cnonce` is the client nonce: hex or another text without
    /// special characters. With a `-sess` algorithm it must stay the same as long as the nonce (RFC 7616 §3.4.2).
    pub fn answer(&self, username: &str, password: &str, method: &str, uri: &str, cnonce: &str, nc: u32) -> String {
        let nc = format!("{nc:08x}");
        let algorithm = self.algorithm.unwrap_or(Algorithm::Md5);
        let response = DigestInput {
            algorithm,
            username: username.as_bytes(),
            realm: &self.realm,
            password: password.as_bytes(),
            nonce: &self.nonce,
            cnonce,
            method,
            uri,
            qop_auth: self.qop_auth.then_some(QopAuth { nc: &nc, cnonce }),
        }
        .response();

        // `username*` exists for names that a quoted text cannot hold everywhere; a server of RFC 2617 does not know it.
        let username = match self.charset_utf8 && !username.is_ascii() {
            true => format!("username*={}", extended(username)),
            false => format!("username={}", Quoted(&header_text(username.as_bytes()))),
        };
        let mut header = format!(
            "Digest {username}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            Quoted(&self.realm),
            Quoted(&self.nonce),
            Quoted(uri)
        );
        // Named only if the challenge names it: a server of RFC 2069 does not know the parameter.
        if let Some(algorithm) = self.algorithm {
            header += &format!(", algorithm={algorithm}");
        }
        if let Some(opaque) = &self.opaque {
            header += &format!(", opaque={}", Quoted(opaque));
        }
        // Not quoted: some servers reject `qop` and `nc` in quotes (RFC 7616 §3.4).
        if self.qop_auth {
            header += &format!(", qop=auth, nc={nc}, cnonce={}", Quoted(cnonce));
        // The key of a `-sess` algorithm depends on the client nonce, so that the server needs it without qop too.
        } else if algorithm.is_session() {
            header += &format!(", cnonce={}", Quoted(cnonce));
        }
        header
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Challenge::Basic => f.write_str("Basic realm=\"\""),
            Challenge::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Writes the value of the `WWW-Authenticate` header.
impl fmt::Display for DigestChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest realm={}, nonce={}", Quoted(&self.realm), Quoted(&self.nonce))?;
        if self.qop_auth {
            f.write_str(", qop=\"auth\"")?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", Quoted(opaque))?;
        }
        if let Some(algorithm) = self.algorithm {
            write!(f, ", algorithm={algorithm}")?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        if self.charset_utf8 {
            f.write_str(", charset=UTF-8")?;
        }
        Ok(())
    }
}

/// A challenge whose parameters are still being read.
enum ChallengeBuilder {
    Basic,
    Digest {
        realm: Option<String>,
        nonce: Option<String>,
        opaque: Option<String>,
        algorithm: Option<String>,
        qop: Option<String>,
        stale: bool,
        charset_utf8: bool,
    },
}

impl ChallengeBuilder {
    /// Returns the builder for a known scheme.
    fn begin(scheme: &str) -> Option<ChallengeBuilder> {
        if scheme.eq_ignore_ascii_case("basic") {
            Some(ChallengeBuilder::Basic)
        } else if scheme.eq_ignore_ascii_case("digest") {
            Some(ChallengeBuilder::Digest {
                realm: None,
                nonce: None,
                opaque: None,
                algorithm: None,
                qop: None,
                stale: false,
                charset_utf8: false,
            })
        } else {
            None
        }
    }

    /// Records a parameter of the challenge.
    fn param(&mut self, name: &str, value: String) {
        let ChallengeBuilder::Digest { realm, nonce, opaque, algorithm, qop, stale, charset_utf8 } = self else {
            return;
        };
        match name.to_ascii_lowercase().as_str() {
            "realm" => *realm = Some(value),
            "nonce" => *nonce = Some(value),
            "opaque" => *opaque = Some(value),
            "algorithm" => *algorithm = Some(value),
            "qop" => *qop = Some(value),
            "stale" => *stale = value.eq_ignore_ascii_case("true"),
            "charset" => *charset_utf8 = value.eq_ignore_ascii_case("utf-8"),
            _ => {}
        }
    }

    /// Returns the challenge, if it is complete and can be answered.
    fn finish(self) -> Option<Challenge> {
        let ChallengeBuilder::Digest { realm, nonce, opaque, algorithm, qop, stale, charset_utf8 } = self else {
            return Some(Challenge::Basic);
        };
        // An unknown algorithm cannot be answered, while a missing one means MD5.
        let algorithm = match algorithm {
            Some(name) => Some(Algorithm::parse(&name)?),
            None => None,
        };
        let qop = qop.unwrap_or_default();
        let mut offered = qop.split(',').map(str::trim).filter(|q| !q.is_empty());
        let qop_auth = offered.clone().any(|q| q.eq_ignore_ascii_case("auth"));
        // auth-int alone would need a hash of the body (R61 demands auth only); no qop at all is RFC 2069.
        if !qop_auth && offered.next().is_some() {
            return None;
        }
        Some(Challenge::Digest(DigestChallenge {
            // A missing realm is hashed as an empty one. Without a nonce there is no answer.
            realm: realm.unwrap_or_default(),
            nonce: nonce?,
            opaque,
            algorithm,
            qop_auth,
            stale,
            charset_utf8,
        }))
    }
}
