//! What a client answers: `Authorization`, as a server reads it.

use super::params::{AuthItem, AuthItems};
use super::{Algorithm, DigestInput, QopAuth};

/// The credentials of one digest request. The fields are the client's claims: a server compares
/// `nonce`, `realm`, `uri` and `algorithm` with what it gave out and received, and `nc` with what it
/// has seen, besides calling [`Authorization::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Who the client says it is.
    pub username: String,
    /// The realm of the challenge it answers.
    pub realm: String,
    /// The nonce of the challenge it answers.
    pub nonce: String,
    /// The request target it answers for.
    pub uri: String,
    /// The opaque text of the challenge.
    pub opaque: Option<String>,
    /// MD5 where the header names none.
    pub algorithm: Algorithm,
    /// Present exactly where qop is `auth`.
    pub qop_auth: Option<(String, u32)>,
    /// The client nonce; a `-sess` algorithm without qop has one, too.
    cnonce: String,
    /// `nc` as it was written, since it is hashed as text.
    nc: String,
    response: String,
}

impl Authorization {
    /// Reads the value of an `Authorization` header; `None` where it is no complete digest answer of
    /// a kind this agent offers.
    pub fn parse(value: &str) -> Option<Authorization> {
        let mut pieces = AuthItems::of(value);
        match pieces.next()? {
            AuthItem::Scheme(name) if name.eq_ignore_ascii_case("digest") => {}
            _ => return None,
        }
        let mut read = Authorization {
            username: String::new(),
            realm: String::new(),
            nonce: String::new(),
            uri: String::new(),
            opaque: None,
            algorithm: Algorithm::Md5,
            qop_auth: None,
            cnonce: String::new(),
            nc: String::new(),
            response: String::new(),
        };
        let mut qop = None;
        for piece in pieces {
            let AuthItem::Param(name, value) = piece else {
                return None;
            };
            match name.to_ascii_lowercase().as_str() {
                "username" => read.username = value,
                "realm" => read.realm = value,
                "nonce" => read.nonce = value,
                "uri" => read.uri = value,
                "opaque" => read.opaque = Some(value),
                "algorithm" => read.algorithm = Algorithm::parse(&value)?,
                "cnonce" => read.cnonce = value,
                "nc" => read.nc = value,
                "qop" => qop = Some(value),
                "response" => read.response = value.to_ascii_lowercase(),
                _ => {}
            }
        }
        match qop {
            Some(qop) if qop.eq_ignore_ascii_case("auth") && !read.cnonce.is_empty() => {
                // RFC 7616 §3.4: exactly 8 hexadecimal digits.
                let is_count = read.nc.len() == 8 && !read.nc.starts_with('+');
                let nc = u32::from_str_radix(&read.nc, 16).ok().filter(|_| is_count)?;
                read.qop_auth = Some((read.cnonce.clone(), nc));
            }
            Some(_) => return None,
            None => {}
        }
        let complete = !read.nonce.is_empty() && !read.uri.is_empty() && !read.response.is_empty();
        complete.then_some(read)
    }

    /// Whether the client proved to be `username` with `password` for a request of this method. The
    /// time taken does not tell how much of the answer was right.
    pub fn verify(&self, username: &str, password: &str, method: &str) -> bool {
        let expected = DigestInput {
            algorithm: self.algorithm,
            username,
            realm: &self.realm,
            password,
            nonce: &self.nonce,
            cnonce: &self.cnonce,
            method,
            uri: &self.uri,
            qop_auth: self.qop_auth.as_ref().map(|_| QopAuth { nc: &self.nc, cnonce: &self.cnonce }),
        }
        .response();
        let proved = equal_in_constant_time(expected.as_bytes(), self.response.as_bytes());
        let named = equal_in_constant_time(username.as_bytes(), self.username.as_bytes());
        proved & named
    }
}

/// Looks at every byte whatever the first ones were; only the lengths may be told from the time.
pub(crate) fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |sum, (x, y)| sum | (x ^ y));
    std::hint::black_box(differing) == 0 && a.len() == b.len()
}
