//! One question to a name server and its answer: the messages of RFC 1035, without socket and clock.
//!
//! No byte of an answer is trusted: each read is checked against the end of the message, and a compression pointer must
//! lead backwards, so that a row of pointers ends.

#[cfg(feature = "xmpp")]
mod service;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[cfg(feature = "xmpp")]
pub(crate) use self::service::Service;

/// The types of a record (RFC 1035 §3.2.2, RFC 3596 §2.1).
pub(super) const A: u16 = 1;
const CNAME: u16 = 5;
pub(super) const PTR: u16 = 12;
pub(super) const AAAA: u16 = 28;
/// The servers of a service (RFC 2782).
#[cfg(feature = "xmpp")]
pub(super) const SRV: u16 = 33;

/// The class of the Internet.
const INTERNET: u16 = 1;

/// The flags of a header: a response, its opcode, an authoritative and a truncated answer, recursion desired.
const RESPONSE: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const AUTHORITATIVE: u16 = 0x0400;
const TRUNCATED: u16 = 0x0200;
const RECURSION: u16 = 0x0100;

/// The length of the header of a message.
const HEADER: usize = 12;
/// The longest name on the wire, and the longest label in it (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;
const MAX_LABEL: usize = 63;
/// The most compression pointers of one name: more than it has labels. A chain of thousands would cost time at each record.
const MAX_POINTERS: usize = 128;
/// The most aliases that are followed from the name of the question to its addresses.
const MAX_ALIASES: usize = 16;
/// The most addresses that are kept: as many as `IPAddresses` may list.
pub(super) const MAX_ADDRESSES: usize = 10;

/// Response codes (RFC 1035 §4.1.1): the server has a problem, and the name does not exist.
pub(super) const SERVER_FAILURE: u8 = 2;
pub(super) const NO_SUCH_NAME: u8 = 3;

/// A question for the addresses of a name, or for the name of an address.
#[derive(Debug)]
pub(super) struct Question {
    id: u16,
    /// The name as it is sent, in lower case: each label with its length in front.
    name: Vec<u8>,
    kind: u16,
}

/// The answer to a question.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The response code: 0 without an error.
    pub(super) code: u8,
    pub(super) authoritative: bool,
    /// True if records are missing, which the same question over TCP brings.
    pub(super) truncated: bool,
    pub(super) addresses: Vec<IpAddr>,
    /// The name that a record of type PTR gives, if it is one of a host.
    pub(super) host: Option<String>,
    #[cfg(feature = "xmpp")]
    pub(super) services: Vec<Service>,
}

/// The reason why a message is no usable answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// The message answers no question, or another one: that of an attacker, or a late answer.
    Foreign,
    /// The message answers the question, and its records cannot be read.
    Malformed,
}

impl Question {
    /// Returns the question for the records of type `kind`; `None` if the text is no name of the DNS.
    pub(super) fn new(host: &str, kind: u16, id: u16) -> Option<Question> {
        let mut name = Vec::new();
        for label in host.strip_suffix('.').unwrap_or(host).split('.') {
            if label.is_empty() || label.len() > MAX_LABEL {
                return None;
            }
            name.push(label.len() as u8); // at most MAX_LABEL
            name.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        name.push(0);
        (name.len() <= MAX_NAME).then_some(Question { id, name, kind })
    }

    /// Returns the message, which asks the server to follow up the question at other servers.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(HEADER + self.name.len() + 4);
        for word in [self.id, RECURSION, 1, 0, 0, 0] {
            message.extend(word.to_be_bytes());
        }
        message.extend(&self.name);
        message.extend(self.kind.to_be_bytes());
        message.extend(INTERNET.to_be_bytes());
        message
    }

    /// Reads an answer and checks it against the question.
    pub(super) fn read(&self, message: &[u8]) -> Result<Answer, Unusable> {
        let word = |at| u16_at(message, at).ok_or(Unusable::Foreign);
        let flags = word(2)?;
        if word(0)? != self.id || flags & (RESPONSE | OPCODE) != RESPONSE {
            return Err(Unusable::Foreign);
        }
        let code = (flags & 0xF) as u8;
        let mut rest = HEADER;
        match word(4)? {
            // A server that cannot read the question repeats none.
            0 if code != 0 => {}
            1 => rest = self.repeated_at(message, rest).ok_or(Unusable::Foreign)?,
            _ => return Err(Unusable::Foreign),
        }
        let (authoritative, truncated) = (flags & AUTHORITATIVE != 0, flags & TRUNCATED != 0);
        let mut answer = Answer { code, authoritative, truncated, ..Answer::default() };
        // A truncated answer may end in the middle of a record, and is asked for again as a whole.
        if !truncated {
            self.find(message, rest, word(6)?, &mut answer).ok_or(Unusable::Malformed)?;
        }
        Ok(answer)
    }

    /// Returns the place behind the question of an answer; `None` if that is another one.
    fn repeated_at(&self, message: &[u8], at: usize) -> Option<usize> {
        let (name, at) = name_at(message, at)?;
        let is_same = name == self.name && u16_at(message, at)? == self.kind && u16_at(message, at + 2)? == INTERNET;
        is_same.then_some(at + 4)
    }

    /// Adds the records of the name, and of the names that it is an alias of. Records of other names are ignored: the question was
    /// not about them. Returns `None` if the records cannot be read.
    fn find(&self, message: &[u8], start: usize, count: u16, found: &mut Answer) -> Option<()> {
        let mut owner = self.name.clone();
        for _ in 0..MAX_ALIASES {
            let (mut at, mut alias) = (start, None);
            for _ in 0..count {
                let (name, fixed) = name_at(message, at)?;
                let (kind, class) = (u16_at(message, fixed)?, u16_at(message, fixed + 2)?);
                let data_at = fixed + 10;
                let end = data_at + usize::from(u16_at(message, fixed + 8)?);
                let data = message.get(data_at..end)?;
                at = end;
                if class != INTERNET || name != owner {
                    continue;
                }
                match kind {
                    PTR if kind == self.kind && found.host.is_none() => {
                        found.host = name_at(message, data_at).and_then(|(name, _)| host(&name));
                    }
                    #[cfg(feature = "xmpp")]
                    SRV if kind == self.kind && found.services.len() < MAX_ADDRESSES => {
                        found.services.extend(Service::read(message, data_at..end));
                    }
                    A | AAAA if kind == self.kind && found.addresses.len() < MAX_ADDRESSES => {
                        found.addresses.push(address(data)?);
                    }
                    CNAME => alias = Some(name_at(message, data_at)?.0),
                    _ => {}
                }
            }
            match alias {
                Some(alias) if found.has_no_record() => owner = alias,
                _ => break,
            }
        }
        Some(())
    }
}

impl Answer {
    fn has_no_record(&self) -> bool {
        #[cfg(feature = "xmpp")]
        if !self.services.is_empty() {
            return false;
        }
        self.addresses.is_empty() && self.host.is_none()
    }
}

/// Reads the data of a record of type A or AAAA.
fn address(data: &[u8]) -> Option<IpAddr> {
    match data.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into()),
        _ => None,
    }
}

/// Returns a name as text; `None` if it is empty, or has other bytes than those of host names: the text is shown to people.
fn host(name: &[u8]) -> Option<String> {
    let (mut text, mut rest) = (String::new(), name);
    while let [length, behind @ ..] = rest
        && *length > 0
    {
        let (label, behind) = behind.split_at_checked((*length).into())?;
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let label = std::str::from_utf8(label).ok().filter(|label| label.as_bytes().iter().all(is_plain))?;
        text.push_str(if text.is_empty() { "" } else { "." });
        text.push_str(label);
        rest = behind;
    }
    (!text.is_empty()).then_some(text)
}

fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

/// Reads a name, in lower case and without compression, and returns it with the place behind it.
fn name_at(message: &[u8], start: usize) -> Option<(Vec<u8>, usize)> {
    let (mut name, mut at, mut behind, mut lowest) = (Vec::new(), start, None, start);
    let mut pointers = 0;
    loop {
        let length = *message.get(at)?;
        match length >> 6 {
            0 => {
                let label = message.get(at..=at + usize::from(length))?;
                name.extend(label.iter().map(u8::to_ascii_lowercase));
                at += label.len();
                if name.len() > MAX_NAME {
                    return None;
                }
                if length == 0 {
                    return Some((name, behind.unwrap_or(at)));
                }
            }
            3 => {
                let target = usize::from(u16_at(message, at)? & 0x3FFF);
                // Each pointer leads before all that was read of the name, so that there is no loop.
                pointers += 1;
                if target >= lowest || pointers > MAX_POINTERS {
                    return None;
                }
                behind.get_or_insert(at + 2);
                (at, lowest) = (target, target);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
