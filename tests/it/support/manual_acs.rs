//! An ACS that is led by hand, step by step: one connection, one request at a time, no thread.
//!
//! For tests that must know just how far the agent has come when they do something to it, such as killing it, and for
//! measurements, where [`Acs`](super::Acs) keeps too much of what it saw.
//!
//! ```ignore
//! let mut session = acs.accept(LIMIT).expect("a session");
//! let inform = session.recv().expect("an Inform");
//! session.confirm_inform();
//! assert!(session.recv().expect("the empty POST").method.is_empty());
//! let response = session.call(&get_rpc_methods()).expect("a response");
//! session.end_session();
//! ```

use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use super::acs_state::keep_message;
use super::envelope::{Body, Dialect};
use super::http::{Gone, Stream, Wire};
use super::message::Message;
use super::port;
use super::rpc::Rpc;

/// How long the agent may think about an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the listener is looked at.
const LOOK: Duration = Duration::from_micros(200);

/// The place where the agent calls.
pub struct ManualAcs {
    listener: TcpListener,
    keeps_messages: bool,
}

/// One session.
pub struct AcsSession {
    wire: Wire,
    address: IpAddr,
    inform_id: String,
    asked: u32,
    keeps_messages: bool,
}

impl ManualAcs {
    pub fn start() -> ManualAcs {
        ManualAcs::start_at("127.0.0.1:0")
    }

    /// At all addresses of this host, and at a port that stays free while the ACS is away.
    pub fn start_everywhere() -> ManualAcs {
        ManualAcs::start_at(&format!("0.0.0.0:{}", port::of_its_own()))
    }

    /// At this address and port.
    pub fn start_at(address: &str) -> ManualAcs {
        let listener = port::listen(address);
        listener.set_nonblocking(true).expect("a listener that does not block");
        ManualAcs { listener, keeps_messages: false }
    }

    /// Keeps what it hears for the schema checker, where `CPE_AGENT_MESSAGES` says.
    pub fn keeping_messages(mut self) -> ManualAcs {
        self.keeps_messages = true;
        self
    }

    /// The ACS URL.
    pub fn url(&self) -> String {
        format!("http://{}/acs", self.listener.local_addr().expect("an address"))
    }

    /// The port of the ACS.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("an address").port()
    }

    /// The next connection; `None` where none comes in time.
    pub fn accept(&self, limit: Duration) -> Option<AcsSession> {
        let deadline = Instant::now() + limit;
        loop {
            match self.listener.accept() {
                Ok((tcp, _)) => {
                    tcp.set_nonblocking(false).expect("a connection that blocks");
                    tcp.set_nodelay(true).expect("a connection without delay");
                    let address = tcp.local_addr().expect("an address").ip();
                    let wire = Wire::new(Stream::Plain(tcp));
                    wire.patience(Some(PATIENCE));
                    return Some(AcsSession {
                        wire,
                        address,
                        inform_id: String::new(),
                        asked: 0,
                        keeps_messages: self.keeps_messages,
                    });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => thread::sleep(LOOK),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("no connection: {error}"),
            }
        }
    }

    /// Forgets the connections that wait: they are of an agent that was killed.
    pub fn clear(&self) {
        while self.listener.accept().is_ok() {}
    }
}

impl AcsSession {
    /// Where the agent has called.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The next request, whole and held against the shape of its kind; the empty POST has no method. `None` where the
    /// agent is gone.
    pub fn recv(&mut self) -> Option<Message> {
        let request = match self.wire.request() {
            Ok(request) => request,
            Err(Gone::Closed | Gone::Broken(_)) => return None,
            Err(gone) => panic!("{gone:?}"),
        };
        if request.body.is_empty() {
            return Some(Message::default());
        }
        if self.keeps_messages {
            keep_message(&request.body);
        }
        let message = Message::parse(&request.body).unwrap_or_else(|problem| panic!("{problem}"));
        assert!(message.problems.is_empty(), "{:?}\n{}", message.problems, message.xml);
        if message.is_inform() {
            self.inform_id = message.id.clone().unwrap_or_default();
        }
        Some(message)
    }

    /// InformResponse.
    pub fn confirm_inform(&mut self) {
        let body = Body::Method("InformResponse".into(), "<MaxEnvelopes>1</MaxEnvelopes>".into());
        let id = self.inform_id.clone();
        self.write_envelope(&id, &body);
    }

    /// The response to a call of the agent's, such as TransferComplete.
    pub fn respond(&mut self, message: &Message) {
        let id = message.id.clone().unwrap_or_default();
        self.write_envelope(&id, &Body::Method(format!("{}Response", message.method), String::new()));
    }

    /// A fault in answer to a call of the agent's.
    pub fn refuse(&mut self, message: &Message, code: u16) {
        let id = message.id.clone().unwrap_or_default();
        self.write_envelope(&id, &Body::Fault(code, "not now".into()));
    }

    /// A request of the ACS.
    pub fn send(&mut self, rpc: &Rpc) {
        self.asked += 1;
        let arguments = rpc.write(&Dialect::default().prefixes());
        let id = format!("line-{}", self.asked);
        self.write_envelope(&id, &Body::Method(rpc.method().into(), arguments));
    }

    /// A request of the ACS, and what the agent answers.
    pub fn call(&mut self, rpc: &Rpc) -> Option<Message> {
        self.send(rpc);
        let answer = self.recv()?;
        assert_eq!(answer.id, Some(format!("line-{}", self.asked)), "the answer to another request"); // R77
        Some(answer)
    }

    /// Nothing more to say.
    pub fn end_session(&mut self) {
        let _ = self.wire.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
    }

    /// Whether the agent hangs up, as it must when a session is over (R50).
    pub fn is_closed(&mut self) -> bool {
        matches!(self.wire.request(), Err(Gone::Closed))
    }

    /// An agent that was killed takes no answer; what follows shows that.
    fn write_envelope(&mut self, id: &str, body: &Body) {
        let headers = [("ID".to_owned(), id.to_owned())];
        let xml = Dialect::default().envelope("1-2", &headers, body);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
            xml.len()
        );
        let _ = self.wire.write_all((head + &xml).as_bytes());
    }
}
