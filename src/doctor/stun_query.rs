//! One question to a STUN server, from a socket of the doctor: unsigned first, and signed after a 401, as the agent asks
//! (R276, R277). The messages are those of the agent; the socket, the ids and the waits are not.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use rand::RngCore;
use rand::rngs::OsRng;

use crate::clock::Clock;
use crate::secret::Secret;
use crate::stun::ServerState;
use crate::stun::message::{BindingRequest, Message, MessageKind, TransactionId};

/// The time after which the question is repeated.
const INTERVAL: Duration = Duration::from_millis(500);
/// The longest answer that is read, in bytes: more than a packet of Ethernet.
const MAX_ANSWER: usize = 2048;

/// The questions to a server with these credentials.
pub(super) struct StunQuery<'a> {
    /// STUNUsername; empty for none.
    pub(super) username: &'a str,
    /// STUNPassword; empty for none.
    pub(super) password: &'a Secret,
    pub(super) clock: &'a Clock,
}

/// The answer of a server.
enum Answer {
    /// The address of the socket as the server sees it.
    Mapped(SocketAddr),
    /// An error response with this code.
    Refused(u16),
}

impl StunQuery<'_> {
    /// Returns the address of the socket as the server sees it, or the reason of the failure. Waits for `limit` at most, and
    /// once more for the answer to a signed request.
    pub(super) fn ask(&self, socket: &UdpSocket, server: SocketAddr, limit: Duration) -> Result<SocketAddr, String> {
        let can_sign = !self.username.is_empty() && !self.password.expose().is_empty();
        match self.exchange(socket, server, limit, None)? {
            Answer::Refused(401) if can_sign => match self.exchange(socket, server, limit, Some(self.password))? {
                Answer::Mapped(address) => Ok(address),
                Answer::Refused(code) => Err(ServerState::Refuses(code).to_string()),
            },
            Answer::Mapped(address) => Ok(address),
            Answer::Refused(401) => {
                Err("the STUN server asks for credentials (error 401), and STUNUsername or STUNPassword is empty"
                    .into())
            }
            Answer::Refused(code) => Err(ServerState::Refuses(code).to_string()),
        }
    }

    /// Sends one request, with repetitions, until its answer arrives.
    fn exchange(
        &self,
        socket: &UdpSocket,
        server: SocketAddr,
        limit: Duration,
        password: Option<&Secret>,
    ) -> Result<Answer, String> {
        let mut id = [0; 16];
        OsRng.try_fill_bytes(&mut id).map_err(|error| format!("no random bytes: {error}"))?;
        let request = BindingRequest {
            transaction: TransactionId(id),
            // The doctor binds nothing: the port for connection requests is that of the agent.
            connection_request_binding: false,
            binding_change: false,
            response_address: None,
            username: self.username,
            password,
        };
        let (bytes, began) = (request.encode(), self.clock.now().monotonic);
        let (end, mut next, mut failure) = (began + limit, began, None);
        loop {
            let now = self.clock.now().monotonic;
            if now >= end {
                let silence = || format!("no answer in {} s", limit.as_secs());
                return Err(failure.map_or_else(silence, str::to_owned));
            }
            if now >= next {
                socket.send_to(&bytes, server).map_err(|error| error.to_string())?;
                next = now + INTERVAL;
            }
            // A wait of zero is an error of the socket, and one of less than a tick is none.
            let wait = next.min(end).saturating_sub(now).max(Duration::from_millis(1));
            socket.set_read_timeout(Some(wait)).map_err(|error| error.to_string())?;
            let mut buffer = [0; MAX_ANSWER];
            // The end of the wait, or a notice that the port of the server is closed: the request is repeated.
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            if from == server {
                match read(&buffer[..length], request.transaction, password) {
                    Ok(Some(answer)) => return Ok(answer),
                    Ok(None) => {}
                    Err(reason) => failure = Some(reason),
                }
            }
        }
    }
}

/// Reads a datagram. Returns `None` if it answers another request, and the reason if it is no usable answer.
fn read(bytes: &[u8], id: TransactionId, password: Option<&Secret>) -> Result<Option<Answer>, &'static str> {
    let message = Message::parse(bytes).map_err(|_| "the answer is not STUN")?;
    match message.kind {
        _ if message.transaction != id => Ok(None),
        MessageKind::Error => Ok(message.error_code.map(Answer::Refused)),
        MessageKind::Request => Ok(None),
        // R278: the agent takes no answer to a signed request whose signature is wrong.
        MessageKind::Response if password.is_some_and(|password| !message.is_signed_with(password)) => {
            Err("the answer is not signed with STUNPassword")
        }
        MessageKind::Response if message.unknown_mandatory.is_some() => Err("the answer has an unknown attribute"),
        MessageKind::Response => match message.mapped_address {
            Some(address) => Ok(Some(Answer::Mapped(address))),
            None => Err("the answer contains no address"),
        },
    }
}
