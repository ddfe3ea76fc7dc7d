//! A listener and its connections: passes each request to the shared state and sends the reply.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::acs_state::SharedState;
use super::envelope::Body;
use super::http::{Gone, Request, Stream, Wire, reason};
use super::message::Message;
use super::options::AcsOptions;
use super::port;
use super::record::SentResponse;
use super::reply::{Dropped, Reply, ReplyKind};
use super::rpc::{Rpc, get_rpc_methods};

/// The interval at which an idle connection is checked.
const TICK: Duration = Duration::from_millis(100);

/// A listener of the ACS.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) options: AcsOptions,
    thread: Option<JoinHandle<()>>,
}

/// An answer that is ready to be written.
pub(super) struct Delivery {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    form: Form,
    delay: Duration,
    interim: bool,
    dribble: Option<Duration>,
    /// The end of TCP after the answer; true if the answer announces it.
    pub(super) closing: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Sized,
    Chunked,
    /// True if the answer has no `Content-Length`, as a plain 204.
    Bodiless,
    HalfOfIt,
    Raw,
    Endless,
    Nothing,
    Silence,
}

impl Listener {
    pub(super) fn open(shared: &Arc<SharedState>, options: AcsOptions) -> Listener {
        let listener = port::listen((options.address, options.port));
        let address = listener.local_addr().expect("a bound address");
        let (shared, given) = (Arc::clone(shared), options.clone());
        let thread = thread::spawn(move || listen(&listener, address, &shared, &given));
        Listener { address, options, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        let scheme = match self.options.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}{}", self.address, self.options.path)
    }

    /// Waits for the threads to end; `SharedState` must be stopping.
    pub(super) fn stop(&mut self) {
        let _ = TcpStream::connect(self.address); // wakes `accept`
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(listener: &TcpListener, address: SocketAddr, shared: &Arc<SharedState>, options: &AcsOptions) {
    let tls = options.tls.as_ref().map(super::tls::ServerTls::config);
    let mut threads = Vec::new();
    for tcp in listener.incoming() {
        if shared.lock().stopping {
            break;
        }
        let Ok(tcp) = tcp else { continue };
        let Ok(copy) = tcp.try_clone() else { continue };
        let _ = tcp.set_nodelay(true);
        let connection = shared.connected(copy);
        let (shared, options, tls) = (Arc::clone(shared), options.clone(), tls.clone());
        threads.push(thread::spawn(move || {
            serve(tcp, tls, address.port(), connection, &shared, &options);
        }));
    }
    for thread in threads {
        let _ = thread.join();
    }
}

fn serve(
    tcp: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    port: u16,
    connection: usize,
    shared: &SharedState,
    options: &AcsOptions,
) {
    let stream = match tls {
        None => Stream::Plain(tcp),
        Some(config) => match shake_hands(tcp, config) {
            Ok((stream, sni)) => {
                shared.lock().connection(connection).sni = sni;
                stream
            }
            Err(error) => return shared.handshake_failed(connection, error.to_string()),
        },
    };
    let mut wire = Wire::new(stream);
    wire.patience(Some(TICK));
    let problem = loop {
        match wire.request() {
            Ok(request) => {
                wire = match exchange(wire, shared, options, port, connection, request) {
                    Ok(wire) => wire,
                    Err(problem) => break problem,
                };
            }
            Err(Gone::TimedOut) => {
                if shared.idle(connection, options) {
                    break None;
                }
            }
            Err(Gone::Closed) => break None,
            Err(Gone::Broken(error)) => {
                // A killed CPE may leave half a request, which violates no rule.
                break (!error.contains("closed") && !error.contains("reset")).then(|| format!("RFC 7230: {error}"));
            }
            Err(Gone::Malformed(error)) => break Some(format!("RFC 7230: malformed: {error}")),
        }
    };
    shared.closed(connection, problem);
}

/// Passes a request on and writes the answer. Returns the connection if it goes on. The error is the end of the connection: with the violation, if it is one.
pub(super) fn exchange(
    mut wire: Wire,
    shared: &SharedState,
    options: &AcsOptions,
    port: u16,
    connection: usize,
    request: Request,
) -> Result<Wire, Option<String>> {
    let delivery = shared.receive(options, port, connection, request);
    let (closing, form) = (delivery.closing, delivery.form);
    match deliver(&mut wire, delivery, shared) {
        Err(_) => Err(None), // the CPE has hung up
        Ok(()) if closing.is_none() => Ok(wire),
        Ok(()) if matches!(form, Form::Nothing | Form::HalfOfIt) => {
            wire.cut();
            Err(None)
        }
        Ok(()) => {
            let more = wire.close() && closing == Some(true);
            Err(more.then(|| "R47: a request after Connection: close".into()))
        }
    }
}

pub(super) fn shake_hands(mut tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<(Stream, Option<String>)> {
    tcp.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut server = ServerConnection::new(config).map_err(io::Error::other)?;
    while server.is_handshaking() {
        server.complete_io(&mut tcp)?;
    }
    let sni = server.server_name().map(ToOwned::to_owned);
    Ok((Stream::Tls(Box::new(StreamOwned::new(server, tcp))), sni))
}

fn deliver(wire: &mut Wire, delivery: Delivery, shared: &SharedState) -> io::Result<()> {
    if !delivery.delay.is_zero() {
        shared.pause(delivery.delay);
    }
    if delivery.interim {
        wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    match delivery.form {
        Form::Nothing => Ok(()),
        Form::Silence => wait_for_hang_up(wire, shared),
        Form::Raw => wire.write_all(&delivery.body),
        Form::HalfOfIt => {
            let mut bytes = delivery.head();
            bytes.extend_from_slice(&delivery.body[..delivery.body.len() / 2]);
            wire.write_all(&bytes)
        }
        Form::Endless => {
            wire.write_all(&delivery.head())?;
            let chunk = [&b"10000\r\n"[..], &[b' '; 0x10000], b"\r\n"].concat();
            for _ in 0..0x4000 {
                wire.write_all(&chunk)?;
            }
            Ok(())
        }
        Form::Sized | Form::Chunked | Form::Bodiless => {
            let bytes = delivery.bytes();
            let Some(pause) = delivery.dribble else {
                return wire.write_all(&bytes);
            };
            for piece in bytes.chunks(bytes.len().div_ceil(16)) {
                wire.write_all(piece)?;
                shared.pause(pause);
            }
            Ok(())
        }
    }
}

fn wait_for_hang_up(wire: &mut Wire, shared: &SharedState) -> io::Result<()> {
    loop {
        match wire.request() {
            Err(Gone::TimedOut) if !shared.lock().stopping => {}
            _ => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl Delivery {
    fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if self.closing == Some(true) {
            head += "Connection: close\r\n";
        }
        match self.form {
            Form::Chunked | Form::Endless => head += "Transfer-Encoding: chunked\r\n",
            Form::Bodiless => {}
            _ => head += &format!("Content-Length: {}\r\n", self.body.len()),
        }
        head += "\r\n";
        head.into_bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        if self.form != Form::Chunked {
            bytes.extend_from_slice(&self.body);
            return bytes;
        }
        let (mut rest, mut size) = (&self.body[..], 1);
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(size.min(rest.len()));
            bytes.extend_from_slice(format!("{:X};odd=\"yes\"\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
            (rest, size) = (after, size * 3);
        }
        bytes.extend_from_slice(b"0\r\nX-Trailer: too\r\n\r\n");
        bytes
    }
}

/// Composes the HTTP answer of a reply, and its entry in the record.
pub(super) fn compose(
    options: &AcsOptions,
    reply: &Reply,
    mut headers: Vec<(String, String)>,
    id: Option<&str>,
    message: Option<&Message>,
) -> (SentResponse, Delivery) {
    let (mut what, mut details) = (reply.describe(), Vec::new());
    let mut form = match options.chunked || reply.chunked {
        true => Form::Chunked,
        false => Form::Sized,
    };
    let mut closing = reply.close.then_some(true);
    let mut status = 200;
    let mut body = Vec::new();
    match &reply.kind {
        ReplyKind::Proper | ReplyKind::Fault(_) | ReplyKind::Rpc(_) => {
            let (method, lines, xml) = envelope(options, reply, id, message);
            (what, details, body) = (method, lines, xml.into_bytes());
        }
        ReplyKind::Truncated | ReplyKind::Drop { .. } => {
            let (_, _, xml) = envelope(options, reply, id, message);
            body = xml.into_bytes();
            match &reply.kind {
                ReplyKind::Truncated => body.truncate(body.len() / 2),
                ReplyKind::Drop { after } => {
                    closing = Some(false);
                    form = match after {
                        Dropped::Nothing => Form::Nothing,
                        Dropped::HalfTheBody => Form::HalfOfIt,
                    };
                }
                _ => {}
            }
        }
        ReplyKind::Oversized(size) => {
            let (_, _, xml) = envelope(options, reply, id, message);
            let padding = size.saturating_sub(xml.len() + 9);
            body = format!("{xml}<!-- {} -->", " ".repeat(padding)).into_bytes();
        }
        ReplyKind::Empty(204) => {
            status = 204;
            form = if options.length_on_204 { Form::Sized } else { Form::Bodiless };
        }
        ReplyKind::Empty(_) | ReplyKind::NothingMore => {}
        ReplyKind::Status(code) => status = *code,
        ReplyKind::Redirect(code, url) => {
            status = *code;
            headers.push(("Location".into(), url.clone()));
            body = b"<html>go there</html>".to_vec();
        }
        ReplyKind::Unauthorized { .. } => {
            status = 401;
            body = b"<html>who are you?</html>".to_vec();
        }
        ReplyKind::Garbage(bytes) => body.clone_from(bytes),
        ReplyKind::Raw(bytes) => (form, body) = (Form::Raw, bytes.clone()),
        ReplyKind::Endless => form = Form::Endless,
        ReplyKind::Silence => form = Form::Silence,
    }
    let mut content_type = "text/xml; charset=\"utf-8\"";
    if let Some((other, encode)) = reply.encoding {
        content_type = other;
        body = encode(&String::from_utf8_lossy(&body));
    }
    if let Some(other) = &reply.body {
        body.clone_from(other);
    }
    let html = matches!(reply.kind, ReplyKind::Unauthorized { .. } | ReplyKind::Redirect(..) | ReplyKind::Status(_));
    if html && !body.is_empty() {
        headers.push(("Content-Type".into(), "text/html".into()));
    } else if !body.is_empty() || form == Form::Endless {
        headers.push(("Content-Type".into(), content_type.into()));
    }
    headers.extend(reply.headers.iter().cloned());
    let sent = !matches!(form, Form::Nothing | Form::Silence | Form::Raw);
    let answer = SentResponse { status: if sent { status } else { 0 }, headers: headers.clone(), what, details };
    let delivery = Delivery {
        status,
        headers,
        body,
        form,
        delay: reply.delay,
        interim: options.interim && sent,
        dribble: options.dribble,
        closing,
    };
    (answer, delivery)
}

/// Returns the method of a reply, its content line by line, and its XML.
fn envelope(
    options: &AcsOptions,
    reply: &Reply,
    id: Option<&str>,
    message: Option<&Message>,
) -> (String, Vec<String>, String) {
    let mut headers = Vec::new();
    if let Some(id) = id {
        headers.push(("ID".to_owned(), id.to_owned()));
    }
    if let Some(hold) = reply.hold {
        headers.push(("HoldRequests".into(), u8::from(hold).to_string()));
    }
    headers.extend(reply.soap_headers.iter().cloned());
    let rpc = reply.rpc().or_else(|| {
        // A reply that modifies the proper answer, when there is no proper answer to modify.
        let asked = message.is_some_and(Message::is_request);
        (!asked && !matches!(reply.kind, ReplyKind::Fault(_))).then(get_rpc_methods)
    });
    if let Some(xml) = rpc.as_ref().and_then(Rpc::whole_envelope) {
        let xml = xml.replace("{id}", &super::envelope::escape(id.unwrap_or_default()));
        return (reply.describe(), Vec::new(), xml);
    }
    let prefixes = options.dialect.prefixes();
    let (what, details, body) = match (rpc, &reply.kind) {
        (Some(rpc), _) => {
            let arguments = rpc.write(&prefixes);
            let method = rpc.method().to_owned();
            (method.clone(), rpc.describe(), Body::Method(method, arguments))
        }
        (None, ReplyKind::Fault(code)) => {
            (format!("fault {code}"), Vec::new(), Body::Fault(*code, "as the test wants it".into()))
        }
        (None, _) => {
            let method = message.map_or("", |message| &message.method);
            let body = response_to(options, method);
            let what = match &body {
                Body::Method(name, _) => name.clone(),
                Body::Fault(code, _) => format!("fault {code}"),
            };
            (what, Vec::new(), body)
        }
    };
    let xml = options.dialect.envelope(&options.version, &headers, &body);
    (what, details, xml)
}

/// Returns the response of a well-behaved ACS to a request of the CPE.
fn response_to(options: &AcsOptions, method: &str) -> Body {
    let response = match method {
        "Inform" => Rpc::new("InformResponse").with("MaxEnvelopes", options.max_envelopes),
        "GetRPCMethods" => {
            let methods = [
                "Inform",
                "GetRPCMethods",
                "TransferComplete",
                "AutonomousTransferComplete",
                "RequestDownload",
                "Kicked",
            ];
            Rpc::new("GetRPCMethodsResponse").with_strings("MethodList", &methods)
        }
        "Kicked" => Rpc::new("KickedResponse").with("NextURL", ""),
        "TransferComplete"
        | "AutonomousTransferComplete"
        | "RequestDownload"
        | "DUStateChangeComplete"
        | "AutonomousDUStateChangeComplete" => Rpc::new(&format!("{method}Response")),
        _ => return Body::Fault(8000, "Method not supported".into()),
    };
    let arguments = response.write(&options.dialect.prefixes());
    Body::Method(response.method().to_owned(), arguments)
}
