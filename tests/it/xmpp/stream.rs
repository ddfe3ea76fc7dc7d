//! A byte stream of a test: texts are sent, and read up to a mark. It shares no code with the agent.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustls::{ClientConnection, ServerConnection, StreamOwned};

/// The limit of one wait.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) enum Stream {
    Plain(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    pub(super) fn new(socket: TcpStream) -> Stream {
        socket.set_read_timeout(Some(LIMIT)).expect("a limit");
        socket.set_nodelay(true).expect("no delay");
        Stream::Plain(socket)
    }

    pub(super) fn socket(self) -> TcpStream {
        match self {
            Stream::Plain(socket) => socket,
            _ => panic!("TLS is set up once"),
        }
    }

    /// Sends a text; false if the other side is gone.
    pub(super) fn try_send(&mut self, text: &str) -> bool {
        let stream = self.bytes();
        stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).is_ok()
    }

    pub(super) fn send(&mut self, text: &str) {
        assert!(self.try_send(text), "the other side is there");
    }

    /// Reads until the text has the mark, and returns it; `None` at the end of the stream.
    pub(super) fn try_read_to(&mut self, mark: &str) -> Option<String> {
        let mut text = String::new();
        while !text.contains(mark) {
            let mut buffer = [0; 4096];
            match self.bytes().read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(length) => text.push_str(&String::from_utf8_lossy(&buffer[..length])),
            }
        }
        Some(text)
    }

    pub(super) fn read_to(&mut self, mark: &str) -> String {
        self.try_read_to(mark).unwrap_or_else(|| panic!("the stream ended before {mark}"))
    }

    /// Returns all bytes up to the end of the stream, within the limit.
    pub(super) fn rest(&mut self) -> io::Result<String> {
        let mut text = String::new();
        self.bytes().read_to_string(&mut text).map(|_| text)
    }

    fn bytes(&mut self) -> &mut dyn Bytes {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Client(tls) => tls,
            Stream::Server(tls) => tls,
        }
    }
}

trait Bytes: Read + Write {}
impl<T: Read + Write> Bytes for T {}
