//! UDP connection requests: the form (R290), the signature (R291) and the replay window (R292, R293).
//!
//! ```text
//! GET http://203.0.113.7:50123?ts=1120673700&id=1234&un=CPE57689&cn=XTGRWIPC6D3IPXS3&sig=F749…8552 HTTP/1.1
//! ```

use std::borrow::Cow;

use super::AccessSettings;
use super::outcome::RequestOutcome;
use crate::digest::{equal_in_constant_time, hmac_sha1, latin_1};
use crate::http::header_length;

/// A datagram that has the form of a connection request. Neither its user name nor its signature was checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpRequest<'a> {
    timestamp: (u64, QueryValue<'a>),
    id: (u64, QueryValue<'a>),
    username: QueryValue<'a>,
    cnonce: QueryValue<'a>,
    signature: [u8; 20],
}

/// The last accepted request, which rejects all older ones. It must be kept at least until the device reboots (R292).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayWindow {
    /// The `ts` of the request; 0 if there was none. The unit is that of the ACS: FreeACS sends milliseconds (R294).
    pub timestamp: u64,
    /// The `id` of the request.
    pub id: Option<u64>,
}

impl ReplayWindow {
    /// Accepts a valid request and moves the window. Any other request leaves the window as it is, so that a forged one
    /// cannot lock out the ACS (R292).
    pub fn accept(&mut self, request: &UdpRequest<'_>, settings: &AccessSettings) -> Result<(), RequestOutcome> {
        let (timestamp, id) = (request.timestamp.0, request.id.0);
        if timestamp <= self.timestamp {
            // An ACS sends each request several times, and the copies end here (R293).
            return Err(RequestOutcome::OldTimestamp);
        }
        if self.id == Some(id) {
            return Err(RequestOutcome::RepeatedId);
        }
        // As over HTTP, a server may have the user name in ISO 8859-1.
        let (latin_1, fits) = latin_1(&settings.username);
        if !(request.username.is(settings.username.as_bytes()) || fits && request.username.is(&latin_1)) {
            return Err(RequestOutcome::WrongUsername);
        }
        // The signature comes last because it is the most expensive check.
        if !request.is_signed_by(settings) {
            return Err(RequestOutcome::WrongSignature);
        }
        *self = ReplayWindow { timestamp, id: Some(id) };
        Ok(())
    }
}

impl<'a> UdpRequest<'a> {
    /// Parses a datagram. Host, path and body have no meaning and may be missing (R290, R296). The header fields are not read,
    /// so that folded ones (RFC 7230 §3.2.4) do no harm; only their end must be there.
    pub fn parse(datagram: &'a [u8]) -> Result<UdpRequest<'a>, RequestOutcome> {
        let header = header_length(datagram, 0).map(|length| &datagram[..length]).unwrap_or_default();
        let mut request = httparse::Request::new(&mut []);
        // Without the fields, the request is incomplete once its first line is read.
        let begin = header.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or_default();
        let line = header[begin..].split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        match request.parse(line) {
            Ok(httparse::Status::Partial) if request.version == Some(1) => {}
            _ => return Err(RequestOutcome::Malformed),
        }
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Err(RequestOutcome::Malformed);
        };
        if method != "GET" {
            return Err(RequestOutcome::WrongMethod);
        }
        UdpRequest::from_query(target).ok_or(RequestOutcome::Malformed)
    }

    /// Reads the five parameters, each once and in any order. Other parameters are ignored.
    fn from_query(target: &'a str) -> Option<UdpRequest<'a>> {
        let (_, query) = target.split_once('?')?;
        let query = query.split('#').next()?;
        let mut found = [None; 5];
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(at) = ["ts", "id", "un", "cn", "sig"].iter().position(|known| *known == name) else {
                continue;
            };
            // With two values the ACS may have signed either one, so the request is rejected.
            if found[at].replace(QueryValue(value)).is_some() {
                return None;
            }
        }
        let [timestamp, id, username, cnonce, signature] = found;
        let (timestamp, id) = (timestamp?, id?);
        Some(UdpRequest {
            timestamp: (timestamp.number()?, timestamp),
            id: (id.number()?, id),
            username: username?,
            cnonce: cnonce?,
            signature: signature?.signature()?,
        })
    }

    /// Returns true if the signature matches (R291). The user name was compared before, so the configured one is used.
    fn is_signed_by(&self, settings: &AccessSettings) -> bool {
        let (username, key) = (settings.username.as_str(), settings.password.expose());
        let (timestamp, id, cnonce) = (self.timestamp.1.decoded(), self.id.1.decoded(), self.cnonce.decoded());
        let is_signature_by = |username: &[u8], key: &[u8], cnonce: &[u8]| {
            let expected = hmac_sha1(key, &[&timestamp, &id, username, cnonce]);
            equal_in_constant_time(&expected, &self.signature)
        };
        // Some servers sign the `cn` as it stands in the URI and not decoded (R296). All are computed in any case, so that the
        // time does not depend on the first.
        let is_signed_as = |username: &[u8], key: &[u8]| {
            is_signature_by(username, key, &cnonce) | is_signature_by(username, key, self.cnonce.0.as_bytes())
        };
        let ((name, name_fits), (word, word_fits)) = (latin_1(username), latin_1(key));
        let signed =
            is_signed_as(username.as_bytes(), key.as_bytes()) | (is_signed_as(&name, &word) & name_fits & word_fits);
        // The signature of an empty key could be computed by any host (R268).
        signed && !key.is_empty()
    }
}

/// The value of a query parameter as it stands in the URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct QueryValue<'a>(&'a str);

impl<'a> QueryValue<'a> {
    /// Returns true if the value means this text, encoded or not, since some servers do not encode it (R296).
    fn is(self, text: &[u8]) -> bool {
        *self.decoded() == *text || self.0.as_bytes() == text
    }

    fn number(self) -> Option<u64> {
        let digits = self.decoded();
        // `parse` would accept a plus sign, too.
        let digits = str::from_utf8(&digits).ok()?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    }

    /// Decodes 40 hexadecimal digits of either case (R291).
    fn signature(self) -> Option<[u8; 20]> {
        let digits = self.decoded();
        let mut bytes = [0; 20];
        if digits.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hexadecimal(pair)?;
        }
        Some(bytes)
    }

    /// Decodes application/x-www-form-urlencoded. A `%` without two digits stands for itself.
    fn decoded(self) -> Cow<'a, [u8]> {
        let text = self.0.as_bytes();
        if !text.iter().any(|byte| b"%+".contains(byte)) {
            return Cow::Borrowed(text);
        }
        let mut decoded = Vec::with_capacity(text.len());
        let mut rest = text;
        while let [byte, after @ ..] = rest {
            rest = after;
            let escaped = if *byte == b'%' { after.get(..2).and_then(hexadecimal) } else { None };
            match (byte, escaped) {
                (_, Some(escaped)) => {
                    decoded.push(escaped);
                    // Both digits exist, since they were just decoded.
                    rest = &after[2..];
                }
                (b'+', None) => decoded.push(b' '),
                (byte, None) => decoded.push(*byte),
            }
        }
        Cow::Owned(decoded)
    }
}

/// Returns the byte of two hexadecimal digits.
fn hexadecimal(pair: &[u8]) -> Option<u8> {
    let [high, low] = pair else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests;
