//! A server that follows a script: bytes in, bytes out.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt::{self, Timeout};

/// A step of the server on one connection; the steps are done in order.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Reads a request, then sends these bytes.
    Respond(String),
    /// Reads a request and sends no response.
    Take,
    /// Reads a request, then sends these bytes in pieces of this size with a pause after each.
    Dribble(String, usize, Duration),
    /// Sends bytes without having received a request.
    Say(String),
    /// Reads nothing for a while, so that the request fills the buffers of the connection.
    Pause(Duration),
    /// Closes at once; without this step, the server waits for the client to close.
    Close,
}

/// Returns the step that reads a request and responds with these bytes.
pub(super) fn respond(bytes: impl Into<String>) -> Step {
    Step::Respond(bytes.into())
}

/// Returns a response of 200 with a body.
pub(super) fn ok(body: &str) -> Step {
    respond(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

/// Returns a response with a status and header lines, without a body.
pub(super) fn status(line: &str, headers: &[&str]) -> Step {
    let headers: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
    respond(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n{headers}\r\n"))
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The number of its connection, from 0.
    pub(super) connection: usize,
    /// Request line and header fields.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    thread: JoinHandle<Vec<Request>>,
}

impl Server {
    /// Starts a server that serves the connections one after the other.
    pub(super) fn start(script: Vec<Vec<Step>>) -> Server {
        Server::start_with(script, |stream| stream)
    }

    /// Starts a server that wraps each connection, for example in TLS.
    #[expect(clippy::disallowed_methods, reason = "the other side of the test")]
    pub(super) fn start_with<S: Read + Write>(
        script: Vec<Vec<Step>>,
        wrap: impl Fn(TcpStream) -> S + Send + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // A client that never connects must fail the test instead of blocking it.
        sockopt::set_socket_timeout(&listener, Timeout::Recv, Some(Duration::from_secs(20))).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::Builder::new()
            .spawn(move || {
                let mut requests = Vec::new();
                for (connection, steps) in script.into_iter().enumerate() {
                    let (stream, _) = listener.accept().expect("the client connects");
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    stream.set_nodelay(true).unwrap();
                    serve(&mut wrap(stream), connection, steps, &mut requests);
                }
                requests
            })
            .unwrap();
        Server { address, thread }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/acs?x=1", self.address)
    }

    /// Returns all requests, once the script has ended.
    pub(super) fn requests(self) -> Vec<Request> {
        self.thread.join().unwrap()
    }
}

fn serve(stream: &mut (impl Read + Write), connection: usize, steps: Vec<Step>, requests: &mut Vec<Request>) {
    let mut take = |stream: &mut _| {
        if let Some(request) = read_request(stream, connection) {
            requests.push(request);
        }
    };
    for step in steps {
        match step {
            Step::Respond(bytes) => {
                take(stream);
                let _ = stream.write_all(bytes.as_bytes());
                let _ = stream.flush();
            }
            Step::Take => take(stream),
            Step::Dribble(bytes, size, pause) => {
                take(stream);
                for piece in bytes.as_bytes().chunks(size) {
                    if stream.write_all(piece).is_err() {
                        break;
                    }
                    thread::sleep(pause);
                }
            }
            Step::Say(bytes) => {
                let _ = stream.write_all(bytes.as_bytes());
                let _ = stream.flush();
            }
            Step::Pause(time) => thread::sleep(time),
            Step::Close => return,
        }
    }
    // A request beyond the script is recorded as well, so that a test that counts the requests fails.
    take(stream);
}

/// Reads a request; `None` if the client closes instead.
fn read_request(stream: &mut impl Read, connection: usize) -> Option<Request> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Ok(_) => return None,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    let mut request = Request { connection, head: String::from_utf8(head).unwrap(), body: Vec::new() };
    let length = request.header("Content-Length")?.parse().unwrap();
    request.body = vec![0; length];
    stream.read_exact(&mut request.body).ok()?;
    Some(request)
}
