//! One question to a name server over UDP, and over TCP if the answer does not fit a datagram.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketType, connect, recv, send};

use super::message::{Answer, Question, Unusable};
use crate::diagnostics::{Failure, socket};
use crate::http::{HttpError, IoLimits, Tcp, without_errno};
use crate::readiness::{PollFlags, wait};
use crate::socket_options::SocketOptions;

/// The longest datagram that is read, in bytes: more than the 512 of RFC 1035, because some servers send more unasked.
const MAX_DATAGRAM: usize = 4096;

/// The error of a server that cannot be reached, or whose port nothing serves.
const UNAVAILABLE: &str = "Error_DNSServerNotAvailable";

/// Asks a question, until the end of `limits`. Calls `first` when the first answer has come.
pub(super) fn ask(
    question: &Question,
    server: SocketAddr,
    options: &SocketOptions,
    limits: &IoLimits,
    first: &mut dyn FnMut(),
) -> Result<Answer, Box<Failure>> {
    let answer = over_udp(question, server, options, limits)?;
    first();
    match answer.truncated {
        true => over_tcp(question, server, options, limits),
        false => Ok(answer),
    }
}

fn over_udp(
    question: &Question,
    server: SocketAddr,
    options: &SocketOptions,
    limits: &IoLimits,
) -> Result<Answer, Box<Failure>> {
    // A new socket has a random port, which an attacker must guess beside the id. A connected one receives nothing of another
    // address, and the notice that the port of the server is closed.
    let socket = socket::open(options, server.ip(), SocketType::DGRAM, None).map_err(unavailable)?;
    connect(&socket, &server).map_err(unavailable)?;
    send(&socket, &question.encode(), SendFlags::NOSIGNAL).map_err(unavailable)?;
    let mut is_malformed = false;
    let mut datagram = vec![0; MAX_DATAGRAM];
    loop {
        check(limits)?;
        if limits.is_over() {
            return Err(if is_malformed { malformed() } else { timeout() });
        }
        wait(&[(socket.as_fd(), PollFlags::IN)], Some(limits.tick()));
        match recv(&socket, &mut datagram[..], RecvFlags::DONTWAIT) {
            Ok((length, _)) => match question.read(&datagram[..length]) {
                Ok(answer) => return Ok(answer),
                // An answer to another question may be a forged one, behind which the right one comes.
                Err(Unusable::Foreign) => {}
                Err(Unusable::Malformed) => is_malformed = true,
            },
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(unavailable(error)),
        }
    }
}

fn over_tcp(
    question: &Question,
    server: SocketAddr,
    options: &SocketOptions,
    limits: &IoLimits,
) -> Result<Answer, Box<Failure>> {
    let mut tcp = Tcp::connect_addr(server, options, limits, limits.remaining()).map_err(|error| match error {
        HttpError::Stopped => Failure::stopped(),
        _ if limits.is_over() => timeout(),
        error => Failure::of(UNAVAILABLE, format_args!("{error}")),
    })?;
    let message = query(&mut tcp, &question.encode()).map_err(|error| match check(limits) {
        Err(stopped) => stopped,
        Ok(()) if limits.is_over() => timeout(),
        Ok(()) => Failure::of(UNAVAILABLE, format_args!("{}", without_errno(&error))),
    })?;
    question.read(&message).ok().filter(|answer| !answer.truncated).ok_or_else(malformed)
}

/// Sends a question over TCP and reads the answer, each behind its length (RFC 1035 §4.2.2).
fn query(tcp: &mut Tcp, question: &[u8]) -> io::Result<Vec<u8>> {
    let length = question.len() as u16; // shorter than 300 bytes
    tcp.write_all(&[&length.to_be_bytes(), question].concat())?;
    let mut length = [0; 2];
    tcp.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    tcp.read_exact(&mut message)?;
    Ok(message)
}

fn check(limits: &IoLimits) -> Result<(), Box<Failure>> {
    limits.check().map_err(|_| Failure::stopped())
}

fn timeout() -> Box<Failure> {
    Failure::of("Error_Timeout", format_args!("no answer in time"))
}

fn malformed() -> Box<Failure> {
    Failure::other(format_args!("the answer of the name server cannot be read"))
}

fn unavailable(error: Errno) -> Box<Failure> {
    Failure::of(UNAVAILABLE, format_args!("{}", without_errno(&error.into())))
}
