//! An ACS that the test drives by hand: one connection, one request at a time, no thread.
//!
//! For tests that must know exactly how far the agent has come when they act on it, for example when they kill it, and
//! for measurements, where [`Acs`](super::Acs) keeps too many of the messages. Most tests need no single steps:
//! [`ManualAcs::expect_session`] takes the session to the point where the CPE takes requests, and ends it.
//!
//! ```ignore
//! let acs = ManualAcs::start(AcsOptions::new());
//! acs.expect_session(&["1 BOOT"], |inform, session| {
//!     session.succeeds(&reboot("key"));
//! });
//!
//! let mut session = acs.accept(LIMIT).expect("a session"); // the same, step by step
//! let inform = session.recv().expect("an Inform");
//! session.confirm_inform();
//! assert!(session.recv().expect("the empty POST").method.is_empty());
//! session.succeeds(&reboot("key"));
//! session.end_session();
//! ```

use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use super::acs_state::keep_message;
use super::agent::patience;
use super::envelope::{Body, Dialect};
use super::http::{Gone, Stream, Wire};
use super::message::Message;
use super::options::AcsOptions;
use super::port;
use super::rpc::{Rpc, get_parameter_values, set_parameter_values};

/// The time that the agent may take for a response, or to begin a session that the test expects.
const LIMIT: Duration = Duration::from_secs(60);

/// The interval at which the listener is polled. Short, because a storm kills the agent some microseconds later.
const POLL_INTERVAL: Duration = Duration::from_micros(200);

/// An ACS on a port of its own. It checks the form of every message, but not the order: the test does that.
pub struct ManualAcs {
    listener: TcpListener,
    options: AcsOptions,
}

/// A session, from the side of the ACS.
pub struct AcsSession {
    wire: Wire,
    address: IpAddr,
    inform_id: String,
    requests: u32,
    keeps_messages: bool,
}

impl ManualAcs {
    /// Listens. Of the options only the address, the port, the path and the keeping of messages count: this ACS is plain
    /// HTTP without authentication.
    pub fn start(options: AcsOptions) -> ManualAcs {
        assert!(options.challenges.is_empty() && options.tls.is_none(), "the manual ACS has neither TLS nor passwords");
        let listener = port::listen((options.address, options.port));
        listener.set_nonblocking(true).expect("a listener that does not block");
        ManualAcs { listener, options }
    }

    /// Returns the ACS URL.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.listener.local_addr().expect("an address"), self.options.path)
    }

    /// Returns the port that the ACS listens on.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("an address").port()
    }

    /// Waits for the next connection; returns `None` if none comes in time.
    pub fn accept(&self, limit: Duration) -> Option<AcsSession> {
        let deadline = Instant::now() + limit;
        loop {
            match self.listener.accept() {
                Ok((tcp, _)) => {
                    tcp.set_nonblocking(false).expect("a connection that blocks");
                    tcp.set_nodelay(true).expect("a connection without delay");
                    let address = tcp.local_addr().expect("an address").ip();
                    let wire = Wire::new(Stream::Plain(tcp));
                    wire.patience(Some(patience(LIMIT)));
                    return Some(AcsSession {
                        wire,
                        address,
                        inform_id: String::new(),
                        requests: 0,
                        keeps_messages: self.options.keeps_messages,
                    });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                    thread::sleep(POLL_INTERVAL);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("no connection: {error}"),
            }
        }
    }

    /// Drops the connections that wait to be accepted. They come from an agent that was killed, and a test would take
    /// one of them for the session of the next agent.
    pub fn clear(&self) {
        while self.listener.accept().is_ok() {}
    }

    /// Waits for the next session and takes it to its empty POST: confirms the Inform, and answers each request of the
    /// CPE, such as TransferComplete. Returns the Inform, those requests, and the session.
    pub fn next_session(&self) -> (Message, Vec<Message>, AcsSession) {
        let mut session = self.accept(patience(LIMIT)).expect("a session");
        let inform = session.recv().expect("an Inform");
        assert!(inform.is_inform(), "{}", inform.xml); // R90
        session.confirm_inform();
        let mut requests = Vec::new();
        loop {
            let message = session.recv().expect("a request, or the empty POST");
            if message.method.is_empty() {
                return (inform, requests, session); // R114, R116
            }
            session.respond(&message);
            requests.push(message);
        }
    }

    /// Expects a session with just these events, written `M Reboot/key` where an event has a CommandKey, and without a
    /// request of the CPE. Runs `steps` once the CPE takes requests, and ends the session.
    pub fn expect_session<R>(&self, events: &[&str], steps: impl FnOnce(&Message, &mut AcsSession) -> R) -> R {
        let (inform, requests, mut session) = self.next_session();
        assert_eq!(inform.sorted_events(), sorted(events)); // R94, R95, R135
        assert!(requests.is_empty(), "{requests:?}");
        let result = steps(&inform, &mut session);
        session.end_session();
        assert!(session.is_closed()); // R50
        result
    }

    /// Expects a session with just these events, in which the ACS requests nothing.
    pub fn expect_events(&self, events: &[&str]) {
        self.expect_session(events, |_, _| {});
    }

    /// Expects a session with these events in which the CPE makes a single request, such as TransferComplete; returns
    /// that request.
    pub fn expect_request(&self, events: &[&str]) -> Message {
        let (inform, mut requests, mut session) = self.next_session();
        session.end_session();
        assert_eq!(inform.sorted_events(), sorted(events)); // R240
        assert_eq!(requests.len(), 1, "{}", inform.xml); // R239: once
        requests.remove(0)
    }

    /// Waits for this time, and panics if a session comes.
    pub fn expect_no_session(&self, time: Duration) {
        assert!(self.accept(time).is_none(), "a session that should not come");
    }
}

fn sorted(events: &[&str]) -> Vec<String> {
    let mut events: Vec<String> = events.iter().map(|event| (*event).to_owned()).collect();
    events.sort();
    events
}

impl AcsSession {
    /// Returns the address of the ACS that the agent has connected to.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Receives the next POST and checks its form; the empty POST is a message without a method. Returns `None` if the
    /// agent has closed the connection.
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

    /// Receives a response if it comes within this time.
    pub fn recv_within(&mut self, limit: Duration) -> Option<Message> {
        self.wire.patience(Some(limit));
        match self.wire.request() {
            Ok(request) => Message::parse(&request.body).ok(),
            Err(_) => None,
        }
    }

    /// Sends InformResponse.
    pub fn confirm_inform(&mut self) {
        let body = Body::Method("InformResponse".into(), "<MaxEnvelopes>1</MaxEnvelopes>".into());
        let id = self.inform_id.clone();
        self.write_envelope(&id, &body);
    }

    /// Sends the response to a request of the CPE, such as TransferComplete.
    pub fn respond(&mut self, message: &Message) {
        let id = message.id.clone().unwrap_or_default();
        self.write_envelope(&id, &Body::Method(format!("{}Response", message.method), String::new()));
    }

    /// Sends a fault in place of the response to a request of the CPE.
    pub fn refuse(&mut self, message: &Message, code: u16) {
        let id = message.id.clone().unwrap_or_default();
        self.write_envelope(&id, &Body::Fault(code, "not now".into()));
    }

    /// Sends a request of the ACS.
    pub fn send(&mut self, rpc: &Rpc) {
        self.requests += 1;
        let arguments = rpc.write(&Dialect::default().prefixes());
        let id = format!("request-{}", self.requests);
        self.write_envelope(&id, &Body::Method(rpc.method().into(), arguments));
    }

    /// Sends a request of the ACS and receives the response or the fault; `None` if the agent has closed the connection.
    pub fn call(&mut self, rpc: &Rpc) -> Option<Message> {
        self.send(rpc);
        let answer = self.recv()?;
        assert_eq!(answer.id, Some(format!("request-{}", self.requests)), "the response to another request"); // R77
        Some(answer)
    }

    /// Sends a request and expects its response.
    pub fn succeeds(&mut self, rpc: &Rpc) -> Message {
        let answer = self.call(rpc).expect("a response");
        assert_eq!(answer.method, format!("{}Response", rpc.method()), "{}", answer.xml);
        answer
    }

    /// Sends a request and expects a fault with this code.
    pub fn refuses(&mut self, rpc: &Rpc, code: u16) -> Message {
        let answer = self.call(rpc).expect("a fault");
        let found = answer.fault.as_ref().map(|fault| fault.code);
        assert_eq!(found, Some(code), "{rpc:?}: {}", answer.xml);
        answer
    }

    /// Sets one parameter, whose type is written as in `xsi:type` without the prefix.
    pub fn set(&mut self, name: &str, kind: &str, value: &str) {
        let answer = self.succeeds(&set_parameter_values(&[(name, kind, value)], ""));
        assert_eq!(answer.argument("Status"), Some("0")); // R169
    }

    /// Reads one parameter.
    pub fn value(&mut self, name: &str) -> String {
        let answer = self.succeeds(&get_parameter_values(&[name]));
        answer.value(name).unwrap_or_else(|| panic!("no {name}")).to_owned()
    }

    /// Sends 204: the ACS has no further request, so that the session is over.
    pub fn end_session(&mut self) {
        let _ = self.wire.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
    }

    /// Waits for the agent's next step, and returns true if it closes the connection, as it must at the end of a
    /// session (R50).
    pub fn is_closed(&mut self) -> bool {
        matches!(self.wire.request(), Err(Gone::Closed))
    }

    fn write_envelope(&mut self, id: &str, body: &Body) {
        let headers = [("ID".to_owned(), id.to_owned())];
        let xml = Dialect::default().envelope("1-2", &headers, body);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
            xml.len()
        );
        // An agent that was killed takes nothing more. That is no error here: the next `recv` shows it.
        let _ = self.wire.write_all((head + &xml).as_bytes());
    }
}
