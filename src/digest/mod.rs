//! HTTP authentication for both sides: Digest of RFC 2617 and RFC 7616, and Basic.
//!
//! ```text
//!            server                                     client
//!   Challenge::Display  ──── WWW-Authenticate ────▶  challenges() ▶ strongest()
//!   Authorization::parse ◀──── Authorization ──────  DigestChallenge::answer()
//!   Authorization::verify
//! ```
//!
//! A header value is a text with one character for each octet ([`header_text`]). The standards name no encoding for a realm,
//! so that it is hashed and echoed octet by octet, as it came.
//!
//! Nothing here has a clock or a random number: the caller passes the client nonce and the nonce count, stores the
//! server's nonces, and decides on their lifetime. R61 demands MD5 and MD5-sess with qop `auth` or none; SHA-256 is
//! supported as well.

mod authorization;
mod challenge;
mod hmac;
mod params;

pub use authorization::Authorization;
pub(crate) use authorization::equal_in_constant_time;
pub use challenge::{Challenge, DigestChallenge, challenges, next_nonce, strongest};
pub use hmac::hmac_sha1;

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use sha2::Sha256;

/// The `algorithm` of a challenge, declared from weak to strong, so that `max` finds the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// `MD5`, the default of a challenge without an algorithm.
    Md5,
    /// `MD5-sess`: the key depends on the client nonce.
    Md5Sess,
    /// `SHA-256` (RFC 7616).
    Sha256,
    /// `SHA-256-sess` (RFC 7616): the key depends on the client nonce.
    Sha256Sess,
}

impl Algorithm {
    /// Returns the algorithm of that name, in any case; `None` for an unknown one.
    pub fn parse(name: &str) -> Option<Algorithm> {
        [Algorithm::Md5, Algorithm::Md5Sess, Algorithm::Sha256, Algorithm::Sha256Sess]
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// Returns the name as in the header.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
        }
    }

    /// Returns true if the key depends on the client nonce of the first request after the challenge.
    pub fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess)
    }

    /// Returns the hash over the parts joined by colons, in lower-case hex.
    fn hash(self, parts: &[&[u8]]) -> String {
        match self {
            Algorithm::Md5 | Algorithm::Md5Sess => hash::<Md5>(parts),
            Algorithm::Sha256 | Algorithm::Sha256Sess => hash::<Sha256>(parts),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Returns the text of a header value: one character for each octet, as in ISO 8859-1. No value is invalid.
pub fn header_text(octets: &[u8]) -> String {
    octets.iter().copied().map(char::from).collect()
}

/// Returns the octets of a header value from its text. A character above U+00FF, which no header value has, becomes `?`.
pub fn header_octets(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect()
}

/// Returns a text in ISO 8859-1, for the side of a peer that does not know UTF-8, and true if the text has no other character.
/// A text with another one costs the same work, so that the time does not tell the two apart.
pub(crate) fn latin_1(text: &str) -> (Vec<u8>, bool) {
    (header_octets(text), text.chars().fold(true, |fits, c| fits & (u32::from(c) < 0x100)))
}

/// Returns the value of an `Authorization` header for Basic (RFC 7617).
pub fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
}

/// The parameters that a client adds for qop `auth`.
struct QopAuth<'a> {
    nc: &'a str,
    cnonce: &'a str,
}

/// The input of a digest, the same on both sides. User name and password are in the encoding of the client, which is UTF-8 on
/// our side; the rest are texts of a header.
struct DigestInput<'a> {
    algorithm: Algorithm,
    username: &'a [u8],
    realm: &'a str,
    password: &'a [u8],
    nonce: &'a str,
    /// The client nonce, used by the `-sess` algorithms only.
    cnonce: &'a str,
    method: &'a str,
    uri: &'a str,
    /// The parameters of qop `auth`; `None` without qop, as in RFC 2069.
    qop_auth: Option<QopAuth<'a>>,
}

impl DigestInput<'_> {
    /// Returns the `response` parameter (RFC 7616 §3.4.1).
    fn response(&self) -> String {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let [realm, nonce, cnonce, uri] = [self.realm, self.nonce, self.cnonce, self.uri].map(header_octets);
        let mut key = hash(&[self.username, &realm, self.password]);
        // RFC 7616 §3.4.2: the session key is bound to the first nonce and client nonce.
        if self.algorithm.is_session() {
            key = hash(&[key.as_bytes(), &nonce, &cnonce]);
        }
        // With qop auth and without qop, the body is not covered.
        let request = hash(&[self.method.as_bytes(), &uri]);
        match &self.qop_auth {
            Some(with) => {
                let [nc, cnonce] = [with.nc, with.cnonce].map(header_octets);
                hash(&[key.as_bytes(), &nonce, &nc, &cnonce, b"auth", request.as_bytes()])
            }
            None => hash(&[key.as_bytes(), &nonce, request.as_bytes()]),
        }
    }
}

/// Returns the MD5 sum of a text, in lower-case hex. Such a sum tells texts apart, but not forged ones.
pub fn md5_sum(text: &[u8]) -> String {
    hash::<Md5>(&[text])
}

/// Returns the hash over the parts joined by colons, in lower-case hex.
fn hash<D: Digest>(parts: &[&[u8]]) -> String {
    let mut hasher = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    let sum = hasher.finalize();
    let mut hex = String::with_capacity(sum.len() * 2);
    for byte in sum.as_slice() {
        for nibble in [byte >> 4, byte & 0xf] {
            hex.push(char::from_digit(nibble.into(), 16).unwrap_or('0')); // a nibble is below 16
        }
    }
    hex
}

#[cfg(test)]
mod tests;
