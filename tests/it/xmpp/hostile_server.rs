//! A server that does what no server should, one thing with each connection.

use std::collections::VecDeque;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::stream::Stream;

pub(super) const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
     id='1' from='xmpp.example' version='1.0'>";
pub(super) const STARTTLS: &str =
    "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";
pub(super) const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
pub(super) const BIND: &str = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>";
pub(super) const ADDRESS: &str = "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>cpe@xmpp.example/gateway</jid></bind></iq>";

pub(super) fn mechanisms(names: &[&str]) -> String {
    let list: String = names.iter().map(|name| format!("<mechanism>{name}</mechanism>")).collect();
    let list = format!("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{list}</mechanisms>");
    format!("<stream:features>{list}</stream:features>")
}

pub(super) fn sasl(name: &str, message: &str) -> String {
    let message = BASE64_STANDARD.encode(message);
    format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{message}</{name}>")
}

/// A connection of the agent, as a step of a test has it.
pub(super) struct Peer {
    pub(super) stream: Stream,
    tls: Arc<ServerConfig>,
}

/// What the server does with one connection; the text is the reason that the agent must give.
pub(super) type Step = (&'static str, Box<dyn FnOnce(Peer) + Send>);

impl Peer {
    /// Answers up to the features behind TLS, and returns the stream with the header of the agent read.
    pub(super) fn secured(mut self) -> Peer {
        self.stream.read_to("<stream:stream");
        self.stream.send(&format!("{HEADER}{STARTTLS}"));
        self.stream.read_to("<starttls");
        self.stream.send(PROCEED);
        let tls = ServerConnection::new(Arc::clone(&self.tls)).expect("a server");
        self.stream = Stream::Server(Box::new(StreamOwned::new(tls, self.stream.socket())));
        self.stream.read_to("<stream:stream");
        self
    }

    /// Answers up to the address.
    pub(super) fn ready(self) -> Peer {
        let mut peer = self.secured();
        peer.stream.send(&format!("{HEADER}{}", mechanisms(&["PLAIN"])));
        peer.stream.read_to("</auth>");
        peer.stream.send(&sasl("success", ""));
        peer.stream.read_to("<stream:stream");
        peer.stream.send(&format!("{HEADER}{BIND}"));
        peer.stream.read_to("</iq>");
        peer.stream.send(ADDRESS);
        peer
    }

    /// Returns the first message of SCRAM, and its nonce.
    pub(super) fn scram(&mut self) -> String {
        self.stream.send(&format!("{HEADER}{}", mechanisms(&["SCRAM-SHA-256"])));
        let auth = self.stream.read_to("</auth>");
        let message = auth.split('>').nth(1).and_then(|rest| rest.split('<').next()).expect("a message");
        let message = BASE64_STANDARD.decode(message).expect("Base64");
        let message = String::from_utf8(message).expect("a text");
        message.split("r=").nth(1).expect("a nonce").to_owned()
    }
}

/// Starts a server that does each step with one connection, and then closes further ones. Returns its port.
pub(super) fn start(tls: Arc<ServerConfig>, steps: Vec<Step>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let steps: Mutex<VecDeque<Step>> = Mutex::new(steps.into());
    std::thread::spawn(move || {
        for socket in listener.incoming().filter_map(Result::ok) {
            let step = steps.lock().expect("no panic").pop_front();
            let tls = Arc::clone(&tls);
            if let Some((_, step)) = step {
                std::thread::spawn(move || step(Peer { stream: Stream::new(socket), tls }));
            }
        }
    });
    port
}

/// Waits until the other side has closed the connection.
pub(super) fn await_end(mut peer: Peer) {
    let _ = peer.stream.rest(); // a reset is an end, too
}
