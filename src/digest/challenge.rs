//! What a server asks for: `WWW-Authenticate`.

use std::fmt;

use super::params::{AuthItem, AuthItems, Quoted};
use super::{Algorithm, DigestInput, QopAuth};

/// A challenge this agent can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// User name and password in clear text.
    Basic,
    /// Proof of the password.
    Digest(DigestChallenge),
}

/// A digest challenge with an algorithm and a quality of protection this agent knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestChallenge {
    /// Shown to the client, part of the key.
    pub realm: String,
    /// The server's nonce, echoed as it came.
    pub nonce: String,
    /// Echoed as it came, where it came.
    pub opaque: Option<String>,
    /// `None` where the challenge names none: then it is MD5, and the answer names none either.
    pub algorithm: Option<Algorithm>,
    /// qop `auth` was offered; otherwise the answer is the one of RFC 2069.
    pub qop_auth: bool,
    /// The last answer was right but for its old nonce.
    pub stale: bool,
}

/// All challenges of one header value that can be answered, in order. Unknown schemes, unknown
/// algorithms and a digest that offers nothing but `auth-int` are left out.
pub fn challenges(value: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut open: Option<ChallengeBuilder> = None;
    for piece in AuthItems::of(value) {
        match (piece, &mut open) {
            (AuthItem::Scheme(name), _) => {
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

/// The challenge to answer: digest before Basic, SHA-256 before MD5, the first among equals.
pub fn strongest(challenges: impl IntoIterator<Item = Challenge>) -> Option<Challenge> {
    let rank = |challenge: &Challenge| match challenge {
        Challenge::Basic => None,
        Challenge::Digest(digest) => Some(digest.algorithm.unwrap_or(Algorithm::Md5)),
    };
    challenges.into_iter().reduce(|best, next| if rank(&next) > rank(&best) { next } else { best })
}

impl DigestChallenge {
    /// The value of the `Authorization` header that answers this challenge.
    ///
    /// `nc` counts the requests sent with this nonce, from 1. `cnonce` is the client's nonce: hex or
    /// another text that needs no escape; with a `-sess` algorithm it must stay the same as long as
    /// the nonce does (RFC 7616 §3.4.2).
    pub fn answer(&self, username: &str, password: &str, method: &str, uri: &str, cnonce: &str, nc: u32) -> String {
        let nc = format!("{nc:08x}");
        let algorithm = self.algorithm.unwrap_or(Algorithm::Md5);
        let response = DigestInput {
            algorithm,
            username,
            realm: &self.realm,
            password,
            nonce: &self.nonce,
            cnonce,
            method,
            uri,
            qop_auth: self.qop_auth.then_some(QopAuth { nc: &nc, cnonce }),
        }
        .response();

        let mut header = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            Quoted(username),
            Quoted(&self.realm),
            Quoted(&self.nonce),
            Quoted(uri)
        );
        if let Some(algorithm) = self.algorithm {
            header += &format!(", algorithm={algorithm}");
        }
        if let Some(opaque) = &self.opaque {
            header += &format!(", opaque={}", Quoted(opaque));
        }
        // Unquoted: `qop` and `nc` in quotes are refused by some servers (RFC 7616 §3.4).
        if self.qop_auth {
            header += &format!(", qop=auth, nc={nc}, cnonce={}", Quoted(cnonce));
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

/// The value of the `WWW-Authenticate` header.
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
        Ok(())
    }
}

/// A challenge while its parameters arrive.
enum ChallengeBuilder {
    Basic,
    Digest {
        realm: Option<String>,
        nonce: Option<String>,
        opaque: Option<String>,
        algorithm: Option<String>,
        qop: Option<String>,
        stale: bool,
    },
}

impl ChallengeBuilder {
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
            })
        } else {
            None
        }
    }

    fn param(&mut self, name: &str, value: String) {
        let ChallengeBuilder::Digest { realm, nonce, opaque, algorithm, qop, stale } = self else {
            return;
        };
        match name.to_ascii_lowercase().as_str() {
            "realm" => *realm = Some(value),
            "nonce" => *nonce = Some(value),
            "opaque" => *opaque = Some(value),
            "algorithm" => *algorithm = Some(value),
            "qop" => *qop = Some(value),
            "stale" => *stale = value.eq_ignore_ascii_case("true"),
            _ => {}
        }
    }

    fn finish(self) -> Option<Challenge> {
        let ChallengeBuilder::Digest { realm, nonce, opaque, algorithm, qop, stale } = self else {
            return Some(Challenge::Basic);
        };
        let algorithm = match algorithm {
            Some(name) => Some(Algorithm::parse(&name)?),
            None => None,
        };
        let qop = qop.unwrap_or_default();
        let mut offered = qop.split(',').map(str::trim).filter(|q| !q.is_empty());
        let qop_auth = offered.clone().any(|q| q.eq_ignore_ascii_case("auth"));
        if !qop_auth && offered.next().is_some() {
            return None;
        }
        Some(Challenge::Digest(DigestChallenge {
            realm: realm.unwrap_or_default(),
            nonce: nonce?,
            opaque,
            algorithm,
            qop_auth,
            stale,
        }))
    }
}
