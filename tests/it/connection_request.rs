//! The listeners as the Internet meets them: raw sockets against `HttpListener` and `UdpListener`.

mod abuse;
mod http;
mod udp;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cpe_agent::connection_request::{AccessSettings, HttpListener, Limits, ListenerState, Rate, RequestOutcome};
use cpe_agent::digest::{Challenge, DigestChallenge, challenges};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

const PATH: &str = "/0123456789abcdef";
/// The tolerance for a busy machine.
const SLACK: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_secs(10);

/// A listener, its state, and the number of its wake-ups of the agent.
struct Scene {
    listener: HttpListener,
    state: Arc<ListenerState>,
    wakes: Arc<AtomicUsize>,
}

fn settings() -> AccessSettings {
    AccessSettings { username: "acs".into(), password: "secret".into(), path: PATH.into() }
}

/// Returns limits for correct requests that no test reaches by accident.
fn generous() -> Limits {
    let rate = Rate { burst: 1_000_000, every: Duration::from_micros(1) };
    Limits { accepted: rate, accepted_per_network: rate, ..Limits::default() }
}

impl Scene {
    fn new() -> Scene {
        Scene::with(generous(), (Ipv4Addr::LOCALHOST, 0).into())
    }

    fn with(limits: Limits, address: SocketAddr) -> Scene {
        let state = Arc::new(ListenerState::new(settings()));
        let wakes = Arc::new(AtomicUsize::new(0));
        let wake = {
            let wakes = Arc::clone(&wakes);
            move || {
                wakes.fetch_add(1, Ordering::SeqCst);
            }
        };
        let listener = HttpListener::start(address, limits, Arc::clone(&state), wake).expect("a listener");
        Scene { listener, state, wakes }
    }

    fn connect(&self) -> Client {
        Client::connect(self.listener.local_addr())
    }

    fn wakes(&self) -> usize {
        self.wakes.load(Ordering::SeqCst)
    }

    fn count(&self, outcome: RequestOutcome) -> u32 {
        self.state.http.count(outcome)
    }

    /// Waits for the wake-ups: each follows its response, which the client may see first.
    fn waits_for_wakes(&self, number: usize) {
        eventually("a wake-up", || self.wakes() >= number);
        assert_eq!(self.wakes(), number);
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come");
        thread::sleep(Duration::from_millis(5));
    }
}

struct Client(TcpStream);

#[derive(Debug)]
struct HttpResponse {
    status: u16,
    text: String,
}

impl Client {
    fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("connects");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        Client(stream)
    }

    /// Connects from another address of this machine.
    fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Client {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&socket, &SocketAddr::from((source, 0))).expect("an address of our own");
        connect(&socket, &address).expect("connects");
        Client(socket.into())
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("sends");
    }

    /// Receives the header of a response, which has no body.
    fn receive(&mut self) -> io::Result<HttpResponse> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match self.0.read(&mut byte)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                _ => head.push(byte[0]),
            }
        }
        let text = String::from_utf8(head).expect("ASCII");
        assert!(text.contains("\r\nContent-Length: 0\r\n"), "{text}");
        Ok(HttpResponse { status: text[9..12].parse().expect("a status"), text })
    }

    fn asks(&mut self, request: impl AsRef<[u8]>) -> HttpResponse {
        self.send(request);
        self.receive().expect("an answer")
    }

    fn gets(&mut self, path: &str, authorization: Option<&str>) -> HttpResponse {
        let field = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
        self.asks(format!("GET {path} HTTP/1.1\r\nHost: h\r\n{field}\r\n"))
    }

    /// Returns true if the listener closes the connection without another byte.
    fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(length) => length == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// Sends a complete connection request on this connection.
    fn wakes(&mut self) -> io::Result<u16> {
        let request = |field: &str| format!("GET {PATH} HTTP/1.1\r\nHost: h\r\n{field}\r\n");
        self.0.write_all(request("").as_bytes())?;
        let challenge = self.receive()?.challenge();
        self.0.write_all(request(&format!("Authorization: {}\r\n", right(&challenge))).as_bytes())?;
        Ok(self.receive()?.status)
    }
}

impl HttpResponse {
    fn field(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.text.lines().find_map(|line| line.strip_prefix(prefix.as_str()))
    }

    fn challenge(&self) -> DigestChallenge {
        assert_eq!(self.status, 401, "{}", self.text);
        match challenges(self.field("WWW-Authenticate").expect("a challenge")).remove(0) {
            Challenge::Digest(digest) => digest,
            Challenge::Basic => panic!("{}", self.text),
        }
    }
}

fn right(challenge: &DigestChallenge) -> String {
    challenge.answer("acs", "secret", "GET", PATH, "0a4f113b", 1)
}
