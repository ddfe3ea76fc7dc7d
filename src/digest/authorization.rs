//! The `Authorization` header of a client, as a server reads it.

use super::params::{AuthItem, AuthItems, parse_extended};
use super::{Algorithm, DigestInput, QopAuth, header_octets, latin_1};

/// The credentials of one digest request. The fields are claims of the client: besides calling
/// [`Authorization::verify`], a server compares `nonce`, `realm`, `uri` and `algorithm` with its challenge and the
/// request, and `nc` with the counts it has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The user name that the client claims.
    pub username: String,
    /// The realm of the answered challenge.
    pub realm: String,
    /// The nonce of the answered challenge.
    pub nonce: String,
    /// The request target that the answer is for.
    pub uri: String,
    /// The opaque text of the challenge.
    pub opaque: Option<String>,
    /// The algorithm; MD5 if the header names none.
    pub algorithm: Algorithm,
    /// The client nonce and the nonce count; present if and only if qop is `auth`.
    pub qop_auth: Option<(String, u32)>,
    /// The client nonce, which a `-sess` algorithm has also without qop.
    cnonce: String,
    /// The nonce count as written, because it is hashed as text.
    nc: String,
    response: String,
}

impl Authorization {
    /// Reads the value of an `Authorization` header. Returns `None` if it is not a complete digest answer of a kind
    /// that this agent offers. The value is a text of [`header_text`](super::header_text).
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
            // A second scheme in one header would make the claims ambiguous.
            let AuthItem::Param(name, value) = piece else {
                return None;
            };
            match name.to_ascii_lowercase().as_str() {
                "username" => read.username = value,
                "username*" => read.username = parse_extended(&value)?,
                "realm" => read.realm = value,
                "nonce" => read.nonce = value,
                "uri" => read.uri = value,
                "opaque" => read.opaque = Some(value),
                "algorithm" => read.algorithm = Algorithm::parse(&value)?,
                "cnonce" => read.cnonce = value,
                "nc" => read.nc = value,
                "qop" => qop = Some(value),
                // RFC 7616 §3.4.1 demands lower case, but the case carries no information.
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
            // auth-int would need the body of the request, and is never offered.
            Some(_) => return None,
            None => {}
        }
        // Empty names need no rule of their own: the proof covers them.
        let complete = !read.nonce.is_empty() && !read.uri.is_empty() && !read.response.is_empty();
        complete.then_some(read)
    }

    /// Returns true if the client has proved to be `username` with `password` for a request of this method. RFC 2617 names no
    /// encoding for them, so that UTF-8 and ISO 8859-1 are accepted. The time taken does not reveal the correct part of an
    /// answer, nor its encoding.
    pub fn verify(&self, username: &str, password: &str, method: &str) -> bool {
        let claimed = header_octets(&self.username);
        let ((name, name_fits), (word, word_fits)) = (latin_1(username), latin_1(password));
        // Some clients write the name in another encoding than they hash. The name alone proves nothing.
        let named = equal_in_constant_time(username.as_bytes(), &claimed)
            | (equal_in_constant_time(&name, &claimed) & name_fits);
        let proved = self.is_response_of(username.as_bytes(), password.as_bytes(), method)
            | (self.is_response_of(&name, &word, method) & name_fits & word_fits);
        // `&` and `|` evaluate both sides, so that the time does not reveal which one is wrong.
        proved & named
    }

    /// Returns true if the response is that of this user name and password.
    fn is_response_of(&self, username: &[u8], password: &[u8], method: &str) -> bool {
        // The configured name is hashed, not the claimed one.
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
        equal_in_constant_time(expected.as_bytes(), self.response.as_bytes())
    }
}

/// Compares all bytes regardless of the first difference, so that the time reveals only the lengths.
pub(crate) fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |sum, (x, y)| sum | (x ^ y));
    // black_box keeps the compiler from ending the loop at the first difference.
    std::hint::black_box(differing) == 0 && a.len() == b.len()
}
