//! A STUN server of RFC 3489 and TR-069 Annex G on loopback. It honours RESPONSE-ADDRESS, demands and checks
//! MESSAGE-INTEGRITY, records its requests, and misbehaves on demand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sha1::{Digest as _, Sha1};

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_RESPONSE: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const MAPPED_ADDRESS: u16 = 0x0001;
const RESPONSE_ADDRESS: u16 = 0x0002;
const SOURCE_ADDRESS: u16 = 0x0004;
const CHANGED_ADDRESS: u16 = 0x0005;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const CONNECTION_REQUEST_BINDING: u16 = 0xC001;
const BINDING_CHANGE: u16 = 0xC002;

/// The interval at which a listening thread checks whether to end.
const TICK: Duration = Duration::from_millis(20);

/// The behaviour of the server; the default is a correct server without a password.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Sends the answer to RESPONSE-ADDRESS where there is one, as stund does and coturn does not.
    pub honours_response_address: bool,
    /// User name and password without which the answer is 401.
    pub credentials: Option<(String, String)>,
    /// Signs its answers with this password instead.
    pub signs_with: Option<String>,
    /// Sends answers without MESSAGE-INTEGRITY, even if it demands one.
    pub unsigned: bool,
    /// The mapped address that it reports in place of the true one.
    pub lie: Option<SocketAddr>,
    /// Answers after this time.
    pub delay: Duration,
    /// Drops this number of the next requests.
    pub drop_next: u32,
    /// Answers nothing at all.
    pub silent: bool,
    /// Answers every request with this error.
    pub error: Option<u16>,
    /// Sends an answer with another transaction id before the right one.
    pub wrong_transaction_first: bool,
    /// Sends invalid bytes before the right answer.
    pub garbage_first: bool,
    /// Sends an answer with a wrong address from the other port before the right one.
    pub foreign_source_first: bool,
    /// The number of copies of each answer.
    pub copies: u32,
}

impl Default for Behaviour {
    fn default() -> Behaviour {
        Behaviour {
            honours_response_address: true,
            credentials: None,
            signs_with: None,
            unsigned: false,
            lie: None,
            delay: Duration::ZERO,
            drop_next: 0,
            silent: false,
            error: None,
            wrong_transaction_first: false,
            garbage_first: false,
            foreign_source_first: false,
            copies: 0,
        }
    }
}

/// A datagram that the server has received, if it is a STUN message.
#[derive(Clone, Debug)]
pub struct StunRequest {
    pub from: SocketAddr,
    /// True if the datagram came to the second port.
    pub to_second_port: bool,
    pub bytes: Vec<u8>,
    pub transaction: [u8; 16],
    /// The attributes in their order.
    pub attributes: Vec<(u16, Vec<u8>)>,
}

impl StunRequest {
    fn parse(bytes: &[u8], from: SocketAddr, to_second_port: bool) -> Option<StunRequest> {
        let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
        if word(0)? != BINDING_REQUEST || usize::from(word(2)?) + 20 != bytes.len() {
            return None;
        }
        let mut attributes = Vec::new();
        let mut at = 20;
        while at < bytes.len() {
            let length = usize::from(word(at + 2)?);
            attributes.push((word(at)?, bytes.get(at + 4..at + 4 + length)?.to_vec()));
            at += 4 + length; // RFC 3489 has no padding: an attribute that needs it is a violation
        }
        let transaction = bytes[4..20].try_into().ok()?;
        Some(StunRequest { from, to_second_port, bytes: bytes.to_vec(), transaction, attributes })
    }

    pub fn attribute(&self, kind: u16) -> Option<&[u8]> {
        self.attributes.iter().find(|(found, _)| *found == kind).map(|(_, value)| value.as_slice())
    }

    /// Returns USERNAME without its padding.
    pub fn username(&self) -> Option<String> {
        self.attribute(USERNAME).map(|name| String::from_utf8_lossy(name).trim_end_matches(' ').to_owned())
    }

    pub fn connection_request_binding(&self) -> bool {
        self.attribute(CONNECTION_REQUEST_BINDING).is_some()
    }

    pub fn binding_change(&self) -> bool {
        self.attribute(BINDING_CHANGE).is_some()
    }

    pub fn response_address(&self) -> Option<SocketAddr> {
        self.attribute(RESPONSE_ADDRESS).and_then(read_address)
    }

    pub fn is_signed(&self) -> bool {
        self.attribute(MESSAGE_INTEGRITY).is_some()
    }

    pub fn is_signed_with(&self, password: &str) -> bool {
        let text = self.bytes.len().saturating_sub(24);
        self.attribute(MESSAGE_INTEGRITY) == Some(&signature(&self.bytes[..text], password))
    }

    /// Returns the violations of Annex G and RFC 3489.
    fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |right: bool, words: &str| {
            if !right {
                found.push(format!("{words}: {:02x?}", self.bytes));
            }
        };
        let kinds: Vec<u16> = self.attributes.iter().map(|(kind, _)| *kind).collect();
        let binding = self.attribute(CONNECTION_REQUEST_BINDING);
        check(self.bytes.len() <= 200, "R296: longer than 200 bytes");
        check(self.attributes.iter().all(|(_, value)| value.len() % 4 == 0), "R276: not a multiple of 4");
        check(binding.is_none_or(|value| value == b"dslforum.org/TR-111 "), "R274: CONNECTION-REQUEST-BINDING");
        check(self.attribute(BINDING_CHANGE).is_none_or(<[u8]>::is_empty), "R275: BINDING-CHANGE with a value");
        check(!self.binding_change() || binding.is_some(), "R275: BINDING-CHANGE alone");
        check(binding.is_none() || self.response_address().is_none(), "R280: RESPONSE-ADDRESS from the primary port");
        check(!self.is_signed() || kinds.last() == Some(&MESSAGE_INTEGRITY), "R279: MESSAGE-INTEGRITY is not last");
        check(!self.is_signed() || kinds.contains(&USERNAME), "R277: MESSAGE-INTEGRITY without USERNAME");
        found
    }
}

/// The server: two ports of 127.0.0.1, each of which answers.
pub struct StunServer {
    shared: Arc<SharedState>,
    threads: Vec<JoinHandle<()>>,
}

struct SharedState {
    sockets: [UdpSocket; 2],
    behaviour: Mutex<Behaviour>,
    requests: Mutex<Vec<StunRequest>>,
    violations: Mutex<Vec<String>>,
    stopping: AtomicBool,
}

impl StunServer {
    pub fn start() -> StunServer {
        StunServer::start_with(Behaviour::default())
    }

    pub fn start_with(behaviour: Behaviour) -> StunServer {
        StunServer::bind(SocketAddr::from(([127, 0, 0, 1], 0)), behaviour)
    }

    /// Starts a server on this address; its second port is any other one.
    pub fn bind(address: SocketAddr, behaviour: Behaviour) -> StunServer {
        let open = |address: SocketAddr| {
            let socket = UdpSocket::bind(address).expect("a free port");
            socket.set_read_timeout(Some(TICK)).expect("a read timeout");
            socket
        };
        let shared = Arc::new(SharedState {
            sockets: [open(address), open(SocketAddr::new(address.ip(), 0))],
            behaviour: Mutex::new(behaviour),
            requests: Mutex::default(),
            violations: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let listen = |second: bool| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.listen(second))
        };
        let threads = vec![listen(false), listen(true)];
        StunServer { shared, threads }
    }

    pub fn address(&self) -> SocketAddr {
        self.shared.sockets[0].local_addr().expect("a bound socket")
    }

    pub fn second_address(&self) -> SocketAddr {
        self.shared.sockets[1].local_addr().expect("a bound socket")
    }

    /// Sets the behaviour from now on.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut lock(&self.shared.behaviour));
    }

    /// Returns all requests so far.
    pub fn requests(&self) -> Vec<StunRequest> {
        lock(&self.shared.requests).clone()
    }

    /// Returns the violations of Annex G by clients.
    pub fn violations(&self) -> Vec<String> {
        lock(&self.shared.violations).clone()
    }

    /// Sends from its port, as an ACS sends UDP connection requests: only that passes a NAT.
    pub fn send(&self, bytes: &[u8], to: SocketAddr) {
        self.shared.send(0, bytes, to);
    }

    /// Waits until a request has come for which the condition holds.
    pub fn wait_for(&self, words: &str, holds: impl Fn(&StunRequest) -> bool) -> StunRequest {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(request) = self.requests().into_iter().find(&holds) {
                return request;
            }
            assert!(Instant::now() < end, "{words} never came: {:?}", self.requests());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for StunServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl SharedState {
    fn listen(self: &Arc<SharedState>, second: bool) {
        let mut buffer = [0; 2048];
        while !self.stopping.load(Ordering::Relaxed) {
            let Ok((length, from)) = self.sockets[usize::from(second)].recv_from(&mut buffer) else { continue };
            match StunRequest::parse(&buffer[..length], from, second) {
                Some(request) => self.receive(request),
                None => lock(&self.violations).push(format!("not a Binding Request: {:02x?}", &buffer[..length])),
            }
        }
    }

    fn receive(self: &Arc<SharedState>, request: StunRequest) {
        lock(&self.violations).extend(request.violations());
        lock(&self.requests).push(request.clone());
        let behaviour = {
            let mut behaviour = lock(&self.behaviour);
            if behaviour.drop_next > 0 {
                behaviour.drop_next -= 1;
                return;
            }
            behaviour.clone()
        };
        if behaviour.silent {
            return;
        }
        if behaviour.delay.is_zero() {
            self.answer(&request, &behaviour);
            return;
        }
        let shared = Arc::clone(self);
        thread::spawn(move || {
            thread::sleep(behaviour.delay);
            shared.answer(&request, &behaviour);
        });
    }

    fn answer(&self, request: &StunRequest, behaviour: &Behaviour) {
        let port = usize::from(request.to_second_port);
        if behaviour.garbage_first {
            self.send(port, b"\x00\x01\x00\x04garbage that looks like STUN", request.from);
        }
        if let Some(code) = behaviour.error.or_else(|| refusal(request, behaviour)) {
            // RFC 3489 §8.1: an error is sent to the source address of the request.
            self.send(port, &error(request, code), request.from);
            return;
        }
        let to = request.response_address().filter(|_| behaviour.honours_response_address).unwrap_or(request.from);
        if behaviour.wrong_transaction_first {
            let mut other = request.clone();
            other.transaction[15] ^= 1;
            self.send(port, &self.response(&other, port, lie(), behaviour), to);
        }
        if behaviour.foreign_source_first {
            self.send(1 - port, &self.response(request, port, lie(), behaviour), to);
        }
        let response = self.response(request, port, behaviour.lie.unwrap_or(request.from), behaviour);
        for _ in 0..=behaviour.copies {
            self.send(port, &response, to);
        }
    }

    fn response(&self, request: &StunRequest, port: usize, mapped: SocketAddr, behaviour: &Behaviour) -> Vec<u8> {
        let address = |port: usize| self.sockets[port].local_addr().expect("a bound socket");
        let attributes = [
            (MAPPED_ADDRESS, write_address(mapped)),
            (SOURCE_ADDRESS, write_address(address(port))),
            (CHANGED_ADDRESS, write_address(address(1 - port))),
        ];
        let demanded = behaviour.credentials.as_ref().map(|(_, password)| password);
        let password = behaviour.signs_with.as_ref().or(demanded).filter(|_| !behaviour.unsigned);
        message(BINDING_RESPONSE, request.transaction, &attributes, password.map(String::as_str))
    }

    fn send(&self, port: usize, bytes: &[u8], to: SocketAddr) {
        let _ = self.sockets[port].send_to(bytes, to);
    }
}

/// RFC 3489 §8.1: 401 without a signature, 430 for another name, 431 for another password.
fn refusal(request: &StunRequest, behaviour: &Behaviour) -> Option<u16> {
    let (username, password) = behaviour.credentials.as_ref()?;
    if !request.is_signed() {
        return Some(401);
    }
    if request.username().as_ref() != Some(username) {
        return Some(430);
    }
    (!request.is_signed_with(password)).then_some(431)
}

fn error(request: &StunRequest, code: u16) -> Vec<u8> {
    let mut value = vec![0, 0, (code / 100) as u8, (code % 100) as u8];
    value.extend_from_slice(b"Because.");
    message(BINDING_ERROR, request.transaction, &[(ERROR_CODE, value)], None)
}

/// Returns an address of TEST-NET-1, which no host has.
fn lie() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 66], 666))
}

fn message(kind: u16, transaction: [u8; 16], attributes: &[(u16, Vec<u8>)], password: Option<&str>) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in attributes {
        body.extend_from_slice(&kind.to_be_bytes());
        body.extend_from_slice(&(value.len() as u16).to_be_bytes());
        body.extend_from_slice(value);
    }
    let length = body.len() + password.map_or(0, |_| 24);
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(length as u16).to_be_bytes());
    bytes.extend_from_slice(&transaction);
    bytes.extend_from_slice(&body);
    if let Some(password) = password {
        let tag = signature(&bytes, password);
        bytes.extend_from_slice(&MESSAGE_INTEGRITY.to_be_bytes());
        bytes.extend_from_slice(&20_u16.to_be_bytes());
        bytes.extend_from_slice(&tag);
    }
    bytes
}

/// Computes MESSAGE-INTEGRITY by RFC 3489 §11.2.8 and RFC 2104, independently of the agent's code.
fn signature(text: &[u8], password: &str) -> [u8; 20] {
    let mut key = [0; 64];
    match password.len() {
        0..=64 => key[..password.len()].copy_from_slice(password.as_bytes()),
        _ => key[..20].copy_from_slice(&Sha1::digest(password.as_bytes())),
    }
    let mut padded = text.to_vec();
    while !padded.len().is_multiple_of(64) {
        padded.push(0);
    }
    let with = |pad: u8, text: &[u8]| {
        let mut hash = Sha1::new();
        hash.update(key.map(|byte| byte ^ pad));
        hash.update(text);
        hash.finalize()
    };
    with(0x5c, &with(0x36, &padded)).into()
}

fn write_address(address: SocketAddr) -> Vec<u8> {
    let mut value = vec![0, if address.is_ipv4() { 1 } else { 2 }];
    value.extend_from_slice(&address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => value.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => value.extend_from_slice(&ip.octets()),
    }
    value
}

fn read_address(value: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes([*value.get(2)?, *value.get(3)?]);
    let ip = match (value.get(1)?, value.len()) {
        (1, 8) => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(&value[4..]).ok()?)),
        (2, 20) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&value[4..]).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
