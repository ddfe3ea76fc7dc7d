//! Dumps of rtnetlink: a request, and the messages of its answer.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::foreign_text::lossy;
use crate::readiness::{PollFlags, wait};

/// The length of a message header.
const HEADER: usize = 16;

/// NLM_F_REQUEST with NLM_F_DUMP.
const DUMP: u16 = 0x1 | 0x300;

/// NLM_F_DUMP_INTR: the list has changed while it was written.
const INTERRUPTED: u16 = 0x10;

/// NLMSG_ERROR and NLMSG_DONE.
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// The number of the request, which its answer repeats.
const SEQUENCE: u32 = 1;

/// The most bytes of an answer; a routing table of the whole Internet is larger.
const MAX_ANSWER: usize = 4 << 20;

/// The room for one part of an answer; the kernel writes at most 32 KiB at once.
const PART: usize = 32 << 10;

/// The wait for one part, which the kernel makes at once.
const WAIT: Duration = Duration::from_secs(1);

/// The most attempts at a list that changes while it is written.
const ATTEMPTS: usize = 3;

/// One message of an answer.
pub(super) struct Message<'a> {
    /// The fixed part, such as `struct ifinfomsg`.
    pub(super) fixed: &'a [u8],
    /// The attributes behind it.
    pub(super) attributes: AttributeList<'a>,
}

/// The attributes of a message, or those nested in one of them.
#[derive(Clone, Copy)]
pub(super) struct AttributeList<'a>(&'a [u8]);

impl<'a> AttributeList<'a> {
    /// Reads nested attributes.
    pub(super) fn nested(bytes: &'a [u8]) -> AttributeList<'a> {
        AttributeList(bytes)
    }

    /// Returns the bytes of the first attribute of this type.
    pub(super) fn get(self, wanted: u16) -> Option<&'a [u8]> {
        let mut rest = self.0;
        while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
            let length = usize::from(length);
            let content = rest.get(4..length)?;
            // The two upper bits are flags.
            if kind & 0x3FFF == wanted {
                return Some(content);
            }
            rest = rest.get(length.next_multiple_of(4)..)?;
        }
        None
    }

    /// Returns a number of 32 bits.
    pub(super) fn u32(self, wanted: u16) -> Option<u32> {
        u32_at(self.get(wanted)?, 0)
    }

    /// Returns a text, which ends with NUL.
    pub(super) fn text(self, wanted: u16) -> Option<String> {
        let bytes = self.get(wanted)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Some(lossy(&bytes[..end]).into_owned())
    }
}

/// Returns the number of 16 bits at a place, in the byte order of the machine.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Returns the number of 32 bits at a place, in the byte order of the machine.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Returns the number of 64 bits at a place, in the byte order of the machine.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// The lists that the present request has read, since several providers need the same, and the socket for all of them.
#[derive(Default)]
pub(super) struct Dumps {
    socket: Option<OwnedFd>,
    lists: Vec<(u16, u8, Result<Vec<u8>, String>)>,
}

impl Dumps {
    /// Returns the bytes of a list, as [`Dumps::read`] does.
    pub(super) fn get(&mut self, kind: u16, family: u8, fixed: usize) -> Result<&[u8], String> {
        let known = self.lists.iter().position(|(known, of, _)| (*known, *of) == (kind, family));
        let at = known.unwrap_or_else(|| {
            let answer = self.read(kind, family, fixed);
            self.lists.push((kind, family, answer));
            self.lists.len() - 1
        });
        self.lists[at].2.as_deref().map_err(Clone::clone)
    }

    /// Asks for a list, and returns the bytes of the answer. `family` is the first byte of the fixed part, which has `fixed` bytes.
    pub(super) fn read(&mut self, kind: u16, family: u8, fixed: usize) -> Result<Vec<u8>, String> {
        for _ in 0..ATTEMPTS {
            let socket = match self.socket.take() {
                Some(socket) => socket,
                None => open().map_err(|error| error.to_string())?,
            };
            let answer = dump(&socket, kind, family, fixed)?;
            // A socket whose answer was not read to its end would give the rest to the next question.
            self.socket = Some(socket);
            if !is_interrupted(&answer) {
                return Ok(answer);
            }
        }
        Err("the list changes all the time".to_owned())
    }
}

fn open() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // No protocol means protocol 0, which is NETLINK_ROUTE.
    rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)
}

fn dump(socket: &OwnedFd, kind: u16, family: u8, fixed: usize) -> Result<Vec<u8>, String> {
    let mut request = Vec::with_capacity(HEADER + fixed);
    request.extend(((HEADER + fixed) as u32).to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(DUMP.to_ne_bytes());
    request.extend(SEQUENCE.to_ne_bytes());
    request.extend(0u32.to_ne_bytes());
    request.push(family);
    request.resize(HEADER + fixed, 0);
    rustix::net::send(socket, &request, SendFlags::empty()).map_err(|error| error.to_string())?;
    read_answer(socket)
}

fn read_answer(socket: &OwnedFd) -> Result<Vec<u8>, String> {
    let mut answer = Vec::new();
    loop {
        let start = answer.len();
        answer.reserve(PART);
        match rustix::net::recv(socket, spare_capacity(&mut answer), RecvFlags::empty()) {
            Ok(_) => {
                if answer.len() > MAX_ANSWER {
                    return Err(format!("longer than {} MiB", MAX_ANSWER >> 20));
                }
                let last = raw_messages(&answer[start..]).find(|(kind, ..)| matches!(*kind, ERROR | DONE));
                match last.map(|(kind, _, body)| (kind, u32_at(body, 0).unwrap_or_default())) {
                    None => {}
                    Some((DONE, _)) => {
                        answer.shrink_to_fit();
                        return Ok(answer);
                    }
                    Some((_, code)) => {
                        return Err(std::io::Error::from_raw_os_error((code as i32).wrapping_neg()).to_string());
                    }
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if !wait(&[(socket.as_fd(), PollFlags::IN)], Some(WAIT))[0].is_empty() => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Returns type, flags and body of each message.
fn raw_messages(bytes: &[u8]) -> impl Iterator<Item = (u16, u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = u32_at(rest, 0)? as usize;
        let (kind, flags) = (u16_at(rest, 4)?, u16_at(rest, 6)?);
        let body = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, flags, body))
    })
}

fn is_interrupted(answer: &[u8]) -> bool {
    raw_messages(answer).any(|(_, flags, _)| flags & INTERRUPTED != 0)
}

/// Returns the messages of one type, whose fixed part has `fixed` bytes.
pub(super) fn messages(answer: &[u8], kind: u16, fixed: usize) -> Box<dyn Iterator<Item = Message<'_>> + '_> {
    // Boxed, since each of its callers would bring a copy of the loop.
    Box::new(raw_messages(answer).filter(move |(found, ..)| *found == kind).filter_map(move |(_, _, body)| {
        Some(Message { fixed: body.get(..fixed)?, attributes: AttributeList(body.get(fixed.next_multiple_of(4)..)?) })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_has_a_loopback_link() {
        let mut dumps = Dumps::default();
        let answer = dumps.read(18, 0, 16).expect("an answer");
        let names: Vec<String> = messages(&answer, 16, 16).filter_map(|link| link.attributes.text(3)).collect();
        assert!(names.iter().any(|name| name == "lo"), "{names:?}");
        assert!(dumps.read(0x7FFF, 0, 16).is_err(), "a type that the kernel does not know");
        assert!(dumps.read(18, 0, 16).is_ok(), "a question after one that has failed");
    }

    /// Each truncation and each changed byte of an answer ends in messages or in none, and never in a panic.
    #[test]
    fn a_damaged_answer_is_no_panic() {
        let answer = Dumps::default().read(18, 0, 16).expect("an answer");
        let read = |bytes: &[u8]| {
            for message in messages(bytes, 16, 16) {
                let _ = (message.attributes.text(3), message.attributes.u32(4), message.attributes.get(0x3FFF));
                let nested = message.attributes.get(18).map(AttributeList::nested);
                let _ = nested.and_then(|nested| nested.text(1));
            }
            is_interrupted(bytes)
        };
        let length = answer.len().min(3000);
        (0..length).for_each(|end| {
            read(&answer[..end]);
        });
        let mut damaged = answer[..length].to_vec();
        for at in 0..length {
            for byte in [0, 1, 0x7F, 0xFF] {
                let kept = std::mem::replace(&mut damaged[at], byte);
                read(&damaged);
                damaged[at] = kept;
            }
        }
    }
}
