//! One question to a name server over UDP, and over TCP if the answer does not fit a datagram.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::message::{Answer, Question, Unusable};
use crate::http::{HttpError, IoLimits, Tcp, without_errno};
use crate::socket_options::SocketOptions;

/// The longest datagram that is read, in bytes: more than the 512 of RFC 1035, because some servers send more unasked.
const MAX_DATAGRAM: usize = 4096;

/// The error of a server that cannot be reached, or whose port nothing serves.
const UNAVAILABLE: &str = "Error_DNSServerNotAvailable";

/// The reason why a question has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The test was stopped.
    Stopped,
    /// The name of the error in the data model, and the reason in words.
    Failed(&'static str, String),
}

impl NoAnswer {
    fn timeout() -> NoAnswer {
        NoAnswer::Failed("Error_Timeout", "no answer in time".into())
    }

    fn malformed() -> NoAnswer {
        NoAnswer::Failed("Error_Other", "the answer of the name server cannot be read".into())
    }
}

/// Asks a question, until the end of `limits`. Calls `first` when the first answer has come.
pub(super) fn ask(
    question: &Question,
    server: SocketAddr,
    options: &SocketOptions,
    limits: &IoLimits,
    first: &mut dyn FnMut(),
) -> Result<Answer, NoAnswer> {
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
) -> Result<Answer, NoAnswer> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A new socket has a random port, which an attacker must guess beside the id. A connected one receives nothing of another
    // address, and the notice that the port of the server is closed.
    let socket = UdpSocket::bind((any, 0)).map_err(unavailable)?;
    options.apply(&socket, server.is_ipv4()).map_err(unavailable)?;
    socket.connect(server).map_err(unavailable)?;
    socket.send(&question.encode()).map_err(unavailable)?;
    let mut is_malformed = false;
    let mut datagram = [0; MAX_DATAGRAM];
    loop {
        limits.check().map_err(|_| NoAnswer::Stopped)?;
        if limits.is_over() {
            return Err(if is_malformed { NoAnswer::malformed() } else { NoAnswer::timeout() });
        }
        socket.set_read_timeout(Some(limits.tick())).map_err(unavailable)?;
        match socket.recv(&mut datagram) {
            Ok(length) => match question.read(&datagram[..length]) {
                Ok(answer) => return Ok(answer),
                // An answer to another question may be a forged one, behind which the right one comes.
                Err(Unusable::Foreign) => {}
                Err(Unusable::Malformed) => is_malformed = true,
            },
            Err(error) if is_wait(&error) => {}
            Err(error) => return Err(unavailable(error)),
        }
    }
}

fn over_tcp(
    question: &Question,
    server: SocketAddr,
    options: &SocketOptions,
    limits: &IoLimits,
) -> Result<Answer, NoAnswer> {
    let mut tcp = Tcp::connect_addr(server, options, limits, limits.remaining()).map_err(|error| match error {
        HttpError::Stopped => NoAnswer::Stopped,
        _ if limits.is_over() => NoAnswer::timeout(),
        error => NoAnswer::Failed(UNAVAILABLE, error.to_string()),
    })?;
    let request = question.encode();
    let mut exchange = || {
        // The length stands in front (RFC 1035 §4.2.2); a question is shorter than 300 bytes.
        tcp.write_all(&[&(request.len() as u16).to_be_bytes(), &request[..]].concat())?;
        let mut length = [0; 2];
        tcp.read_exact(&mut length)?;
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        tcp.read_exact(&mut message)?;
        io::Result::Ok(message)
    };
    match exchange() {
        Ok(message) => match question.read(&message) {
            Ok(answer) if !answer.truncated => Ok(answer),
            _ => Err(NoAnswer::malformed()),
        },
        Err(_) if limits.check().is_err() => Err(NoAnswer::Stopped),
        Err(_) if limits.is_over() => Err(NoAnswer::timeout()),
        Err(error) => Err(unavailable(error)),
    }
}

/// Returns true for the end of a wait.
fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn unavailable(error: io::Error) -> NoAnswer {
    NoAnswer::Failed(UNAVAILABLE, without_errno(&error))
}
