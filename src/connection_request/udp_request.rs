//! UDP connection requests: their form (R290), their signature (R291), and which of them count (R292, R293).
//!
//! ```text
//! GET http://203.0.113.7:50123?ts=1120673700&id=1234&un=CPE57689&cn=XTGRWIPC6D3IPXS3&sig=F749…8552 HTTP/1.1
//! ```

use std::borrow::Cow;

use super::AccessSettings;
use super::outcome::UdpOutcome;
use crate::digest::{equal_in_constant_time, hmac_sha1};

/// The most header fields; none of them means anything.
const MAX_FIELDS: usize = 32;

/// A datagram that has the form of a connection request. Nothing in it has been compared with anything yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpRequest<'a> {
    timestamp: (u64, Field<'a>),
    id: (u64, Field<'a>),
    username: Field<'a>,
    cnonce: Field<'a>,
    signature: [u8; 20],
}

/// What is known of the last request that was accepted. It must be kept until the device reboots at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayWindow {
    /// Its `ts`, whatever the unit: FreeACS sends milliseconds (R294). 0 where there was none.
    pub timestamp: u64,
    /// Its `id`.
    pub id: Option<u64>,
}

impl ReplayWindow {
    /// Accepts a request that is right in all respects; any other leaves no trace.
    pub fn accept(&mut self, request: &UdpRequest<'_>, settings: &AccessSettings) -> Result<(), UdpOutcome> {
        let (timestamp, id) = (request.timestamp.0, request.id.0);
        if timestamp <= self.timestamp {
            return Err(UdpOutcome::OldTimestamp); // R293: copies end here
        }
        if self.id == Some(id) {
            return Err(UdpOutcome::RepeatedId);
        }
        if !request.username.is(settings.username.as_bytes()) {
            return Err(UdpOutcome::WrongUsername);
        }
        if !request.is_signed_by(settings) {
            return Err(UdpOutcome::WrongSignature);
        }
        *self = ReplayWindow { timestamp, id: Some(id) };
        Ok(())
    }
}

impl<'a> UdpRequest<'a> {
    /// Reads a datagram. Host, path and body mean nothing and may be missing (R290, R296).
    pub fn parse(datagram: &'a [u8]) -> Result<UdpRequest<'a>, UdpOutcome> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(datagram) {
            Ok(httparse::Status::Complete(_)) if request.version == Some(1) => {}
            _ => return Err(UdpOutcome::Malformed),
        }
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Err(UdpOutcome::Malformed);
        };
        if method != "GET" {
            return Err(UdpOutcome::WrongMethod);
        }
        UdpRequest::from_query(target).ok_or(UdpOutcome::Malformed)
    }

    /// The five parameters, each once, in any order; others are passed over.
    fn from_query(target: &'a str) -> Option<UdpRequest<'a>> {
        let (_, query) = target.split_once('?')?;
        let query = query.split('#').next()?;
        let mut found = [None; 5];
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(at) = ["ts", "id", "un", "cn", "sig"].iter().position(|known| *known == name) else {
                continue;
            };
            // Which of two would count is anybody's guess.
            if found[at].replace(Field(value)).is_some() {
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

    /// R291. The user name has been found right, so that it does not matter here how it was written.
    fn is_signed_by(&self, settings: &AccessSettings) -> bool {
        let key = settings.password.expose().as_bytes();
        let (timestamp, id) = (self.timestamp.1.decoded(), self.id.1.decoded());
        let is_signature_over = |cnonce: &[u8]| {
            let expected = hmac_sha1(key, &[&timestamp, &id, settings.username.as_bytes(), cnonce]);
            equal_in_constant_time(&expected, &self.signature)
        };
        let signed = is_signature_over(&self.cnonce.decoded()) | is_signature_over(self.cnonce.0.as_bytes());
        signed && !key.is_empty() // R268
    }
}

/// The value of a parameter, as it stands in the URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field<'a>(&'a str);

impl<'a> Field<'a> {
    /// Whether it means this text; some servers do not encode it (R296).
    fn is(self, text: &[u8]) -> bool {
        *self.decoded() == *text || self.0.as_bytes() == text
    }

    fn number(self) -> Option<u64> {
        let digits = self.decoded();
        let digits = str::from_utf8(&digits).ok()?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    }

    /// 40 hexadecimal digits of either case.
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

    /// Decoded as application/x-www-form-urlencoded. A `%` that begins no escape stands for itself.
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
                    rest = &after[2..]; // both digits are there
                }
                (b'+', None) => decoded.push(b' '),
                (byte, None) => decoded.push(*byte),
            }
        }
        Cow::Owned(decoded)
    }
}

/// The byte that two digits stand for.
fn hexadecimal(pair: &[u8]) -> Option<u8> {
    let [high, low] = pair else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTOR: &str = "GET http://203.0.113.7:50123?ts=1120673700&id=1234&un=CPE57689&cn=XTGRWIPC6D3IPXS3\
                          &sig=F749EE6D9E3BC469FB709EAD2A75EE7535F58552 HTTP/1.1\r\nHost: 203.0.113.7:50123\r\n\r\n";

    fn settings(username: &str, password: &str) -> AccessSettings {
        AccessSettings { username: username.into(), password: password.into(), path: "/p".into() }
    }

    fn cpe() -> AccessSettings {
        settings("CPE57689", "password")
    }

    /// A request signed for these texts, written into the URI as it is given beside.
    fn signed(ts: &str, id: &str, un: (&str, &str), cn: (&str, &str)) -> String {
        let signature = hmac_sha1(b"password", &[ts.as_bytes(), id.as_bytes(), un.0.as_bytes(), cn.0.as_bytes()]);
        let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("GET /?sig={signature}&cn={}&un={}&id={id}&ts={ts} HTTP/1.1\r\n\r\n", cn.1, un.1)
    }

    fn request(ts: u64, id: u64) -> String {
        signed(&ts.to_string(), &id.to_string(), ("CPE57689", "CPE57689"), ("x", "x"))
    }

    fn accept(replay: &mut ReplayWindow, datagram: &str, settings: &AccessSettings) -> Result<(), UdpOutcome> {
        let before = *replay;
        let result = UdpRequest::parse(datagram.as_bytes()).and_then(|request| replay.accept(&request, settings));
        assert_eq!(result.is_err(), *replay == before, "nothing that is refused leaves a trace (R292)");
        result
    }

    fn accepts(datagram: &str, settings: &AccessSettings) -> Result<(), UdpOutcome> {
        accept(&mut ReplayWindow::default(), datagram, settings)
    }

    /// R291.
    #[test]
    fn the_test_vector_is_accepted_in_either_case() {
        assert_eq!(accepts(VECTOR, &cpe()), Ok(()));
        let signature = "F749EE6D9E3BC469FB709EAD2A75EE7535F58552";
        assert_eq!(accepts(&VECTOR.replace(signature, &signature.to_lowercase()), &cpe()), Ok(()));
    }

    /// R290, R296.
    #[test]
    fn is_lenient_where_servers_differ() {
        for (from, to) in [
            ("Host: 203.0.113.7:50123\r\n", ""),
            ("50123?", "50123/?"),
            ("http://203.0.113.7:50123?", "/?"),
            ("id=1234&", "more=less&id=1234&"),
            ("&id=1234", ""),
            ("un=CPE57689", "un=%43PE5768%39"),
            ("ts=1120673700", "ts=%31120673700"),
            ("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\nbody"),
        ] {
            let mut datagram = VECTOR.replace(from, to);
            if from == "&id=1234" {
                datagram = datagram.replace("http://203.0.113.7:50123?", "http://[2001:db8::1]:80?id=1234&");
            }
            assert_eq!(accepts(&datagram, &cpe()), Ok(()), "{datagram}");
        }
    }

    /// R291: decoded values are signed; R296: some servers do not encode.
    #[test]
    fn values_are_decoded_and_taken_as_they_stand() {
        for (un, written) in [
            ("a b", "a+b"),
            ("a b", "a%20b"),
            ("é&=", "%C3%A9%26%3d"),
            ("a+b", "a+b"),
            ("a%20b", "a%20b"),
            ("50%", "50%"),
        ] {
            let settings = settings(un, "password");
            assert_eq!(accepts(&signed("1", "2", (un, written), ("c", "c")), &settings), Ok(()), "{un} {written}");
        }
        for (cn, written) in [("a b", "a+b"), ("a+b", "a+b"), ("+/=", "%2B%2F%3D"), ("", ""), ("%zz%", "%zz%")] {
            let datagram = signed("1", "2", ("CPE57689", "CPE57689"), (cn, written));
            assert_eq!(accepts(&datagram, &cpe()), Ok(()), "{cn} {written}");
        }
    }

    /// R290, R292.
    #[test]
    fn refuses_what_is_no_such_request() {
        for (from, to, why) in [
            ("GET", "POST", UdpOutcome::WrongMethod),
            ("GET", "get", UdpOutcome::WrongMethod),
            ("HTTP/1.1", "HTTP/1.0", UdpOutcome::Malformed),
            (" HTTP/1.1", "", UdpOutcome::Malformed),
            ("\r\n\r\n", "\r\n", UdpOutcome::Malformed),
            ("ts=1120673700&", "", UdpOutcome::Malformed),
            ("id=1234&", "", UdpOutcome::Malformed),
            ("un=CPE57689&", "", UdpOutcome::Malformed),
            ("&cn=XTGRWIPC6D3IPXS3", "", UdpOutcome::Malformed),
            ("ts=1120673700", "ts=1120673700&ts=1120673700", UdpOutcome::Malformed),
            ("ts=1", "ts=-1", UdpOutcome::Malformed),
            ("ts=1", "ts=+1", UdpOutcome::Malformed),
            ("ts=1120673700", "ts=", UdpOutcome::Malformed),
            ("id=1234", "id=12x4", UdpOutcome::Malformed),
            ("id=1234", "id=18446744073709551616", UdpOutcome::Malformed),
            ("8552 ", "85522 ", UdpOutcome::Malformed),
            ("8552 ", "85 ", UdpOutcome::Malformed),
            ("8552 ", "855g ", UdpOutcome::Malformed),
            ("ts=1120673700", "ts=0", UdpOutcome::OldTimestamp),
            ("CPE57689", "CPE57688", UdpOutcome::WrongUsername),
            ("CPE57689", "cpe57689", UdpOutcome::WrongUsername),
            ("8552 ", "8553 ", UdpOutcome::WrongSignature),
            ("1120673700", "1120673701", UdpOutcome::WrongSignature),
            ("id=1234", "id=01234", UdpOutcome::WrongSignature),
            ("XTGR", "XTGr", UdpOutcome::WrongSignature),
        ] {
            assert_eq!(accepts(&VECTOR.replacen(from, to, 1), &cpe()), Err(why), "{from} -> {to}");
        }
        for nothing in ["", "G", "GET / HTTP/1.1\r\n\r\n", "GET /? HTTP/1.1\r\n\r\n"] {
            assert_eq!(accepts(nothing, &cpe()), Err(UdpOutcome::Malformed));
        }
    }

    /// R268: nobody gets in with the signature of an empty key.
    #[test]
    fn an_empty_password_refuses_all() {
        let signature = hmac_sha1(b"", &[b"1", b"2", b"u", b"c"]);
        let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        let datagram = format!("GET /?ts=1&id=2&un=u&cn=c&sig={signature} HTTP/1.1\r\n\r\n");
        assert_eq!(accepts(&datagram, &settings("u", "")), Err(UdpOutcome::WrongSignature));
    }

    /// R292, R293.
    #[test]
    fn copies_count_once_and_time_goes_on() {
        let mut replay = ReplayWindow::default();
        let mut sent = |ts, id| accept(&mut replay, &request(ts, id), &cpe());
        assert_eq!(sent(100, 1), Ok(()));
        assert_eq!(sent(100, 1), Err(UdpOutcome::OldTimestamp), "a copy");
        assert_eq!(sent(100, 2), Err(UdpOutcome::OldTimestamp), "another in the same second");
        assert_eq!(sent(99, 3), Err(UdpOutcome::OldTimestamp));
        assert_eq!(sent(101, 1), Err(UdpOutcome::RepeatedId));
        assert_eq!(sent(101, 2), Ok(()));
        assert_eq!(sent(102, 1), Ok(()), "only the last id counts");
        // R296: milliseconds, past what 32 bits hold, and all of 64.
        assert_eq!(sent(1_700_000_000_123, u64::from(u32::MAX) + 1), Ok(()));
        assert_eq!(sent(u64::MAX, u64::MAX), Ok(()));
        assert_eq!(sent(u64::MAX, 5), Err(UdpOutcome::OldTimestamp));
    }

    /// R292: a request that somebody has tampered with does not lock out the right one.
    #[test]
    fn what_is_refused_does_not_move_the_window() {
        let mut replay = ReplayWindow { timestamp: 50, id: Some(9) };
        for wrong in [
            request(1000, 1).replace("sig=", "sig=0").replacen("&cn", "&x", 1),
            request(1000, 1).replace("un=CPE57689", "un=other"),
            request(1000, 1).replace("cn=x", "cn=y"),
            request(1000, 9),
            request(50, 1),
        ] {
            assert!(accept(&mut replay, &wrong, &cpe()).is_err());
        }
        assert_eq!(replay, ReplayWindow { timestamp: 50, id: Some(9) });
        assert_eq!(accept(&mut replay, &request(51, 1), &cpe()), Ok(()));
    }

    #[test]
    fn survives_every_damaged_byte_and_every_cut() {
        let whole = VECTOR.as_bytes();
        let mut replay = ReplayWindow::default();
        for at in 0..whole.len() {
            assert!(UdpRequest::parse(&whole[..at]).is_err());
            for byte in 0..=255 {
                let mut damaged = whole.to_vec();
                damaged[at] = byte;
                if let Ok(request) = UdpRequest::parse(&damaged) {
                    let _ = replay.accept(&request, &cpe());
                }
            }
        }
        // Whatever was changed about host, header or case, the request was the same one.
        assert_eq!(replay, ReplayWindow { timestamp: 1_120_673_700, id: Some(1234) });
    }
}
