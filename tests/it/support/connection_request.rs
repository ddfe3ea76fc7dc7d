//! The ACS's side of a connection request: over HTTP as GenieACS does it, or as a signed datagram.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;

/// The credentials that the ACS has set as ConnectionRequestUsername and ConnectionRequestPassword.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    pub username: &'a str,
    pub password: &'a str,
}

impl Caller<'_> {
    /// Sends a request without credentials, then one with credentials on the same connection. Returns the last status.
    pub fn requests(&self, url: &str) -> u16 {
        self.try_request(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// Requests a session like [`Caller::requests`]; returns an error if the connection fails.
    pub fn try_request(&self, url: &str) -> io::Result<u16> {
        let authority = authority(url);
        let mut stream = TcpStream::connect(authority)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let (status, challenge) = get(&mut stream, url, "")?;
        if status != 401 {
            return Ok(status);
        }
        let (nonce, realm, opaque) = (part(&challenge, "nonce"), part(&challenge, "realm"), part(&challenge, "opaque"));
        let path = &url[url.find(authority).expect("its authority") + authority.len()..];
        let Caller { username, password } = self;
        let (ha1, ha2) = (md5(&format!("{username}:{realm}:{password}")), md5(&format!("GET:{path}")));
        let response = md5(&format!("{ha1}:{nonce}:00000001:abc:auth:{ha2}"));
        let authorization = format!(
            "Authorization: Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{path}\", \
             qop=auth, opaque=\"{opaque}\", nc=00000001, cnonce=\"abc\", response=\"{response}\"\r\n"
        );
        Ok(get(&mut stream, url, &authorization)?.0)
    }

    /// Returns a UDP connection request as GenieACS writes it (R290).
    pub fn datagram(&self, to: &str, ts: u64, id: u64) -> Vec<u8> {
        let Caller { username, password } = self;
        let mut mac = Hmac::<Sha1>::new_from_slice(password.as_bytes()).expect("a key of any length");
        mac.update(format!("{ts}{id}{username}XTGRWIPC6D3IPXS3").as_bytes());
        let signature = hex(&mac.finalize().into_bytes());
        let query = format!("ts={ts}&id={id}&un={username}&cn=XTGRWIPC6D3IPXS3&sig={signature}");
        format!("GET http://{to}?{query} HTTP/1.1\r\nHost: {to}\r\n\r\n").into_bytes()
    }
}

/// Returns host and port of an http URL.
pub fn authority(url: &str) -> &str {
    url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).expect("an http URL")
}

/// Sends a GET for this URL; returns the status and the header of the response.
fn get(stream: &mut TcpStream, url: &str, authorization: &str) -> io::Result<(u16, String)> {
    let (authority, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("an http URL");
    // In one piece: Nagle's algorithm holds back a second one.
    stream.write_all(format!("GET /{path} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        answer.push(byte[0]);
    }
    let head = String::from_utf8(answer).map_err(|_| io::ErrorKind::InvalidData)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((status, head))
}

/// Returns a quoted field of the challenge in the header of a response.
fn part<'a>(head: &'a str, name: &str) -> &'a str {
    head.split(&format!("{name}=\"")).nth(1).and_then(|rest| rest.split('"').next()).expect("a digest challenge")
}

fn md5(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
