//! A file server that can misbehave in every way that a CPE has to cope with.
//!
//! ```ignore
//! let server = FileServer::start(FileServerOptions::new().digest("u", "p"));
//! server.serves("/fw.bin", Served::sized(1_000_000).drops_after(10_000).times(1));
//! … the CPE downloads server.url("/fw.bin") …
//! assert_eq!(server.ranges(), [None, Some("bytes=10000-".into())]);
//! ```
//!
//! Any path takes a PUT, unless something is served there that says otherwise. When it goes, it panics if a client broke
//! a rule of HTTP.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::access::random_hex;
use super::digest::{Authorization, Challenge, Kind, Secret, basic, digest};
use super::door::shake_hands;
use super::http::{Gone, Request, Stream, Wire, reason};
use super::served::{Content, Framing, Ranges, Served, ServedKind};
use super::tls::ServerTls;

/// The tick at which an idle connection is looked at.
const TICK: Duration = Duration::from_millis(50);
/// What is written at a time.
const PIECE: usize = 64 * 1024;

/// How the server is set up, whatever it serves.
#[derive(Clone)]
pub struct FileServerOptions {
    address: IpAddr,
    tls: Option<ServerTls>,
    challenges: Vec<Challenge>,
    username: String,
    password: String,
    hasty: bool,
    deaf: Option<Duration>,
    forgetful: bool,
    closes: bool,
}

impl FileServerOptions {
    /// Plain HTTP on 127.0.0.1, open to everybody.
    pub fn new() -> FileServerOptions {
        FileServerOptions {
            address: Ipv4Addr::LOCALHOST.into(),
            tls: None,
            challenges: Vec::new(),
            username: String::new(),
            password: String::new(),
            hasty: false,
            deaf: None,
            forgetful: false,
            closes: false,
        }
    }

    pub fn tls(mut self, tls: ServerTls) -> FileServerOptions {
        self.tls = Some(tls);
        self
    }

    pub fn ipv6(mut self) -> FileServerOptions {
        self.address = Ipv6Addr::LOCALHOST.into();
        self
    }

    pub fn basic(self, username: &str, password: &str) -> FileServerOptions {
        self.challenges(&[basic()], username, password)
    }

    pub fn digest(self, username: &str, password: &str) -> FileServerOptions {
        self.challenges(&[digest()], username, password)
    }

    pub fn challenges(mut self, challenges: &[Challenge], username: &str, password: &str) -> FileServerOptions {
        self.challenges = challenges.to_vec();
        (self.username, self.password) = (username.into(), password.into());
        self
    }

    /// Answers a PUT by its header, before the body, where the answer is no.
    pub fn hasty(mut self) -> FileServerOptions {
        self.hasty = true;
        self
    }

    /// Answers a PUT so long after its header, where the answer is no, and never reads its body.
    pub fn deaf(mut self, delay: Duration) -> FileServerOptions {
        self.deaf = Some(delay);
        self
    }

    /// Finds every nonce stale the first time that it comes.
    pub fn forgets_nonces(mut self) -> FileServerOptions {
        self.forgetful = true;
        self
    }

    /// Closes each connection behind an answer, without saying so.
    pub fn closes_silently(mut self) -> FileServerOptions {
        self.closes = true;
        self
    }
}

/// A running server.
pub struct FileServer {
    desk: Arc<Desk>,
    address: SocketAddr,
    is_tls: bool,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    served: HashMap<String, Served>,
    uploads: HashMap<String, Vec<u8>>,
    requests: Vec<Request>,
    connections: Vec<TcpStream>,
    handshake_errors: Vec<String>,
    /// Nonces given out: their challenge, and the last count that came.
    nonces: HashMap<String, (Challenge, u32)>,
    /// Bytes of bodies that came though the answer to the header was no.
    unwanted: usize,
    sent: u64,
    violations: Vec<String>,
}

impl FileServer {
    pub fn start(options: FileServerOptions) -> FileServer {
        let listener = TcpListener::bind((options.address, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let desk = Arc::new(Desk::default());
        let (is_tls, given) = (options.tls.is_some(), Arc::clone(&desk));
        let thread = thread::spawn(move || listen(&listener, &given, &options));
        FileServer { desk, address, is_tls, thread: Some(thread) }
    }

    /// From now on, this is what is under that path: anew, or in place of what was there.
    pub fn serves(&self, path: &str, served: Served) {
        self.desk.lock().served.insert(path.into(), served);
    }

    /// The URL of a path, which may have a query.
    pub fn url(&self, path: &str) -> String {
        self.url_at(&self.address.to_string(), path)
    }

    /// The same under another name of the host, such as `localhost`.
    pub fn url_of_host(&self, host: &str, path: &str) -> String {
        self.url_at(&format!("{host}:{}", self.address.port()), path)
    }

    fn url_at(&self, authority: &str, path: &str) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{authority}{path}")
    }

    /// Every request so far, in the order of their headers.
    pub fn requests(&self) -> Vec<Request> {
        self.desk.lock().requests.clone()
    }

    /// The `Range` of every request so far.
    pub fn ranges(&self) -> Vec<Option<String>> {
        self.requests().iter().map(|request| request.header("Range").map(str::to_owned)).collect()
    }

    /// Waits for so many requests.
    pub fn requested(&self, count: usize, limit: Duration) -> Vec<Request> {
        let enough = self.desk.wait(limit, |state| (state.requests.len() >= count).then(|| state.requests.clone()));
        enough.unwrap_or_else(|| panic!("not {count} requests: {:?}", self.heads()))
    }

    /// Waits until so many bytes of bodies were sent.
    pub fn sent(&self, bytes: u64, limit: Duration) {
        let enough = self.desk.wait(limit, |state| (state.sent >= bytes).then_some(()));
        assert!(enough.is_some(), "{bytes} bytes were not sent: {:?}", self.heads());
    }

    /// What was last put to that path, completely.
    pub fn uploaded(&self, path: &str) -> Option<Vec<u8>> {
        self.desk.lock().uploads.get(path).cloned()
    }

    /// Bytes of uploads that came though the answer to their header was no.
    pub fn unwanted_bytes(&self) -> usize {
        self.desk.lock().unwanted
    }

    /// How many TCP connections have come.
    pub fn connections(&self) -> usize {
        self.desk.lock().connections.len()
    }

    /// Why TLS handshakes failed.
    pub fn handshake_errors(&self) -> Vec<String> {
        self.desk.lock().handshake_errors.clone()
    }

    fn heads(&self) -> Vec<String> {
        self.requests().iter().map(Request::head).collect()
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        let mut state = self.desk.lock();
        state.stopping = true;
        for connection in &state.connections {
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        self.desk.told.notify_all();
        let _ = TcpStream::connect(self.address); // wakes `accept`
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let violations = std::mem::take(&mut self.desk.lock().violations);
        assert!(violations.is_empty() || thread::panicking(), "the file server is not content: {violations:#?}");
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of the server panics")
    }

    fn wait<T>(&self, limit: Duration, mut done: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            if let Some(value) = done(&mut state) {
                return Some(value);
            }
            let left = end.checked_duration_since(Instant::now())?;
            state = self.told.wait_timeout(state, left).expect("no thread of the server panics").0;
        }
    }

    /// Passes the time; false where the server is stopping.
    fn pause(&self, time: Duration) -> bool {
        self.wait(time, |state| state.stopping.then_some(())).is_none()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.told.notify_all();
    }
}

fn listen(listener: &TcpListener, desk: &Arc<Desk>, options: &FileServerOptions) {
    let tls = options.tls.as_ref().map(ServerTls::config);
    let mut threads = Vec::new();
    for tcp in listener.incoming() {
        if desk.lock().stopping {
            break;
        }
        let Ok(tcp) = tcp else { continue };
        let Ok(copy) = tcp.try_clone() else { continue };
        let _ = tcp.set_nodelay(true);
        desk.change(|state| state.connections.push(copy));
        let (desk, options, tls) = (Arc::clone(desk), options.clone(), tls.clone());
        threads.push(thread::spawn(move || {
            let stream = match tls {
                None => Stream::Plain(tcp),
                Some(config) => match shake_hands(tcp, config) {
                    Ok((stream, _)) => stream,
                    Err(error) => return desk.change(|state| state.handshake_errors.push(error.to_string())),
                },
            };
            let wire = Wire::new(stream);
            wire.patience(Some(TICK));
            serve(wire, &desk, &options);
        }));
    }
    for thread in threads {
        let _ = thread.join();
    }
}

/// What becomes of the connection behind an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Keep,
    Close,
    /// No farewell of TLS either.
    Cut,
    /// What is left of the body is counted.
    Drain,
}

fn serve(mut wire: Wire, desk: &Desk, options: &FileServerOptions) {
    loop {
        let request = match wire.head() {
            Ok(request) => request,
            Err(Gone::TimedOut) if !desk.lock().stopping => continue,
            Err(Gone::Malformed(problem)) => return desk.lock().violations.push(problem),
            Err(_) => return,
        };
        let next = answer(&mut wire, desk, options, request);
        match next {
            Ok(Next::Keep) if !options.closes => {}
            Ok(Next::Keep | Next::Close) => {
                wire.close();
                return;
            }
            Ok(Next::Drain) => {
                let count = wire.drain();
                return desk.change(|state| state.unwanted += count);
            }
            Ok(Next::Cut) | Err(_) => return wire.cut(),
        }
    }
}

/// The client is gone, or it is time to go.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Over {
        Over
    }
}

impl From<Gone> for Over {
    fn from(_: Gone) -> Over {
        Over
    }
}

fn answer(wire: &mut Wire, desk: &Desk, options: &FileServerOptions, mut request: Request) -> Result<Next, Over> {
    let path = request.target.split('?').next().unwrap_or_default().to_owned();
    let (refusal, served, at) = {
        let mut state = desk.lock();
        if request.header("Expect").is_some() {
            state.violations.push("R42: Expect breaks servers".into());
        }
        state.requests.push(request.clone());
        let refusal = state.refuse(options, &request);
        let served = state.served.get(&path).cloned();
        if let (Some(next), None) = (served.as_ref().and_then(|served| served.next.clone()), &refusal) {
            state.served.insert(path.clone(), *next);
        }
        (refusal, served, state.requests.len() - 1)
    };
    desk.told.notify_all();
    let refusal = refusal.or_else(|| match &served {
        Some(Served { kind: ServedKind::Status(code, body), headers, .. }) => {
            Some(head(*code, headers, &format!("Content-Length: {}\r\n", body.len())) + &String::from_utf8_lossy(body))
        }
        None if request.method == "GET" => Some(head(404, &[], "Content-Length: 0\r\n")),
        _ => None,
    });
    let has_body = request.header("Content-Length").is_some_and(|length| length != "0");
    if let (Some(refusal), true, true) = (&refusal, options.hasty, has_body) {
        wire.write_all(refusal.as_bytes())?;
        return Ok(Next::Drain);
    }
    if let (Some(refusal), Some(delay), true) = (&refusal, options.deaf, has_body) {
        desk.pause(delay);
        wire.write_all(refusal.as_bytes())?;
        return stall(desk);
    }
    if let (None, Some(trouble), true) =
        (&refusal, served.as_ref().and_then(|served| served.trouble.as_ref()), has_body)
        && trouble.happens()
    {
        wire.part_of_body(usize::try_from(trouble.after).expect("a small part"))?;
        return if trouble.stalls { stall(desk) } else { Ok(Next::Cut) };
    }
    wire.body_of(&mut request)?;
    desk.lock().requests[at].body.clone_from(&request.body);
    if let Some(refusal) = refusal {
        wire.write_all(refusal.as_bytes())?;
        return Ok(Next::Keep);
    }
    match (request.method.as_str(), served) {
        ("PUT", None | Some(Served { kind: ServedKind::Content(_), .. })) => take(wire, desk, path, request),
        (_, Some(served)) => give(wire, desk, &served, &request),
        (method, None) => {
            desk.lock().violations.push(format!("a {method} request"));
            Err(Over)
        }
    }
}

fn take(wire: &mut Wire, desk: &Desk, path: String, request: Request) -> Result<Next, Over> {
    let mut status = 201;
    desk.change(|state| {
        if state.uploads.insert(path, request.body).is_some() {
            status = 204;
        }
    });
    let length = if status == 204 { "" } else { "Content-Length: 0\r\n" };
    wire.write_all(head(status, &[], length).as_bytes())?;
    Ok(Next::Keep)
}

fn give(wire: &mut Wire, desk: &Desk, served: &Served, request: &Request) -> Result<Next, Over> {
    let content = match &served.kind {
        ServedKind::Content(content) => content,
        ServedKind::Raw(bytes) => {
            wire.write_all(bytes)?;
            return Ok(Next::Close);
        }
        ServedKind::Silence | ServedKind::Status(..) => return stall(desk),
    };
    let size = content.size();
    let (status, first, end, range) = match asked_range(served, request) {
        None => (200, 0, size, String::new()),
        Some(_) if served.ranges == Ranges::Refused => {
            let length = format!("Content-Range: bytes */{size}\r\nContent-Length: 0\r\n");
            wire.write_all(head(416, &[], &length).as_bytes())?;
            return Ok(Next::Keep);
        }
        Some(first) if first >= size => {
            let length = format!("Content-Range: bytes */{size}\r\nContent-Length: 0\r\n");
            wire.write_all(head(416, &[], &length).as_bytes())?;
            return Ok(Next::Keep);
        }
        Some(first) => {
            let first = if served.ranges == Ranges::Wrong { first.saturating_sub(1) } else { first };
            let end = match served.ranges {
                Ranges::Rationed(bytes) => size.min(first + bytes),
                _ => size,
            };
            (206, first, end, format!("Content-Range: bytes {first}-{}/{size}\r\n", end - 1))
        }
    };
    let length = match served.framing {
        Framing::Sized => format!("Content-Length: {}\r\n", served.announced.unwrap_or(end - first)),
        Framing::Chunked | Framing::Endless => "Transfer-Encoding: chunked\r\n".into(),
        Framing::UntilClose => String::new(),
    };
    wire.write_all(head(status, &served.headers, &format!("Accept-Ranges: bytes\r\n{range}{length}")).as_bytes())?;
    give_body(wire, desk, served, content, first..end)
}

fn give_body(
    wire: &mut Wire,
    desk: &Desk,
    served: &Served,
    content: &Content,
    range: std::ops::Range<u64>,
) -> Result<Next, Over> {
    let trouble = served.trouble.as_ref().filter(|trouble| trouble.happens());
    let stop_at = trouble.map(|trouble| range.start + trouble.after);
    let (mut at, mut odd) = (range.start, 1);
    while at < range.end || served.framing == Framing::Endless {
        let most = stop_at.map_or(u64::MAX, |stop| stop - at);
        if most == 0 {
            let stalls = trouble.is_some_and(|trouble| trouble.stalls);
            return if stalls { stall(desk) } else { Ok(Next::Cut) };
        }
        let mut length = served.trickle.map_or(PIECE, |(length, _)| length);
        if served.framing == Framing::Chunked {
            odd = (odd * 3).min(PIECE);
            length = length.min(odd);
        }
        let left = if served.framing == Framing::Endless { u64::MAX } else { range.end - at };
        let length = (length as u64).min(most).min(left);
        let from = if served.framing == Framing::Endless { at % content.size().max(1) } else { at };
        let piece = content.piece(from, usize::try_from(length).expect("at most a piece"));
        at += piece.len() as u64;
        match served.framing {
            Framing::Chunked | Framing::Endless => {
                let size = format!("{:x};odd=\"yes\"\r\n", piece.len());
                wire.write_all(&[size.as_bytes(), &piece, b"\r\n"].concat())?;
            }
            Framing::Sized | Framing::UntilClose => wire.write_all(&piece)?,
        }
        desk.change(|state| state.sent += piece.len() as u64);
        if served.trickle.is_some_and(|(_, pause)| !desk.pause(pause)) || desk.lock().stopping {
            return Err(Over);
        }
    }
    match served.framing {
        Framing::Chunked => {
            wire.write_all(b"0\r\nX-Trailer: too\r\n\r\n")?;
            Ok(Next::Keep)
        }
        Framing::UntilClose => Ok(Next::Close),
        // It cannot keep what it has promised.
        _ if served.announced.is_some() => Ok(Next::Close),
        _ => Ok(Next::Keep),
    }
}

/// The first byte that is asked for, where the request asks for a range, and of this very file.
fn asked_range(served: &Served, request: &Request) -> Option<u64> {
    let range = request.header("Range")?;
    if served.ranges == Ranges::Ignored {
        return None;
    }
    if let Some(condition) = request.header("If-Range") {
        let is_ours = |(name, value): &(String, String)| {
            (name.eq_ignore_ascii_case("ETag") || name.eq_ignore_ascii_case("Last-Modified")) && value == condition
        };
        if !served.headers.iter().any(is_ours) {
            return None;
        }
    }
    range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

fn stall(desk: &Desk) -> Result<Next, Over> {
    while desk.pause(Duration::from_secs(1)) {}
    Err(Over)
}

fn head(status: u16, headers: &[(String, String)], more: &str) -> String {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head + more + "\r\n"
}

impl State {
    /// A 401, where the request has not the right credentials.
    fn refuse(&mut self, options: &FileServerOptions, request: &Request) -> Option<String> {
        let authorization = request.header("Authorization").map(Authorization::parse);
        let is_stale = match authorization {
            _ if options.challenges.is_empty() => return None,
            Some(Ok(authorization)) => match self.judge(options, request, &authorization) {
                Verdict::Granted => return None,
                Verdict::Refused { is_stale } => is_stale,
            },
            Some(Err(problem)) => {
                self.violations.push(problem);
                false
            }
            None => false,
        };
        let mut headers = Vec::new();
        for challenge in &options.challenges {
            let nonce = random_hex();
            headers.push(("WWW-Authenticate".to_owned(), challenge.header(&nonce, is_stale)));
            self.nonces.insert(nonce, (challenge.clone(), 0));
        }
        let body = "<html>who are you?</html>";
        Some(head(401, &headers, &format!("Content-Length: {}\r\n", body.len())) + body)
    }

    fn judge(&mut self, options: &FileServerOptions, request: &Request, authorization: &Authorization) -> Verdict {
        const REFUSED: Verdict = Verdict::Refused { is_stale: false };
        let answer = match authorization {
            Authorization::Basic { username, password } => {
                if !options.challenges.iter().any(|challenge| matches!(challenge.kind, Kind::Basic)) {
                    self.violations.push("R58: the password in clear text, though nobody asked for it".into());
                }
                let is_right = *username == options.username && *password == options.password;
                return if is_right { Verdict::Granted } else { REFUSED };
            }
            Authorization::Digest(answer) => answer,
        };
        let Some((challenge, last)) = self.nonces.get_mut(answer.get("nonce").unwrap_or_default()) else {
            return Verdict::Refused { is_stale: true };
        };
        let Kind::Digest { algorithm, .. } = challenge.kind else { return REFUSED };
        self.violations.extend(answer.problems(&challenge.kind, &request.target));
        let secret =
            Secret { username: &options.username, password: &options.password, realm: &challenge.realm, algorithm };
        if !answer.verifies(&secret, &request.method, &[]) {
            return REFUSED;
        }
        let count = answer.count().unwrap_or_default();
        if answer.get("qop").is_some() && count <= *last {
            self.violations.push(format!("R61: nc {count} after {last}"));
        }
        *last = count;
        match options.forgetful && count == 1 && self.nonces.len() == 1 {
            true => Verdict::Refused { is_stale: true },
            false => Verdict::Granted,
        }
    }
}

enum Verdict {
    Granted,
    Refused { is_stale: bool },
}
