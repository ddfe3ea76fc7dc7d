//! A file server that can misbehave in every way that a CPE has to cope with.
//!
//! ```ignore
//! let server = FileServer::start(FileServerOptions::new().digest("u", "p"));
//! server.serves("/fw.bin", FileSpec::sized(1_000_000).drops_after(10_000).times(1));
//! … the CPE downloads server.url("/fw.bin") …
//! assert_eq!(server.ranges(), [None, Some("bytes=10000-".into())]);
//! ```
//!
//! Any path takes a PUT, unless a file under it says otherwise. When it goes, it panics if a client broke
//! a rule of HTTP.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::digest::{Challenge, basic, digest};
use super::file_delivery::serve;
use super::file_spec::FileSpec;
use super::http::{Request, Stream, Wire};
use super::listener::shake_hands;
use super::tls::ServerTls;

/// The interval at which an idle connection is checked.
const TICK: Duration = Duration::from_millis(50);

/// The options of the server, the same for all files.
#[derive(Clone)]
pub struct FileServerOptions {
    pub(super) address: IpAddr,
    pub(super) tls: Option<ServerTls>,
    pub(super) challenges: Vec<Challenge>,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) hasty: bool,
    pub(super) deaf: Option<Duration>,
    pub(super) forgetful: bool,
    pub(super) closes: bool,
}

impl FileServerOptions {
    /// Returns options for plain HTTP on 127.0.0.1 without credentials.
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

    /// Refuses a PUT by its header, before the body.
    pub fn hasty(mut self) -> FileServerOptions {
        self.hasty = true;
        self
    }

    /// Refuses a PUT this time after its header, and never reads its body.
    pub fn deaf(mut self, delay: Duration) -> FileServerOptions {
        self.deaf = Some(delay);
        self
    }

    /// Calls every nonce stale at its first use.
    pub fn forgets_nonces(mut self) -> FileServerOptions {
        self.forgetful = true;
        self
    }

    /// Closes each connection after an answer, without `Connection: close`.
    pub fn closes_silently(mut self) -> FileServerOptions {
        self.closes = true;
        self
    }
}

/// A running server.
pub struct FileServer {
    shared: Arc<SharedFiles>,
    address: SocketAddr,
    is_tls: bool,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
pub(super) struct SharedFiles {
    state: Mutex<FileServerState>,
    pub(super) changed: Condvar,
}

#[derive(Default)]
pub(super) struct FileServerState {
    pub(super) stopping: bool,
    pub(super) files: HashMap<String, FileSpec>,
    pub(super) uploads: HashMap<String, Vec<u8>>,
    pub(super) requests: Vec<Request>,
    pub(super) connections: Vec<TcpStream>,
    /// The nonces of all challenges: the challenge, and the last count that came.
    pub(super) nonces: HashMap<String, (Challenge, u32)>,
    /// The number of body bytes that came although the header was refused.
    pub(super) unwanted: usize,
    pub(super) sent: u64,
    pub(super) violations: Vec<String>,
}

impl FileServer {
    pub fn start(options: FileServerOptions) -> FileServer {
        let listener = TcpListener::bind((options.address, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let shared = Arc::new(SharedFiles::default());
        let (is_tls, given) = (options.tls.is_some(), Arc::clone(&shared));
        let thread = thread::spawn(move || listen(&listener, &given, &options));
        FileServer { shared, address, is_tls, thread: Some(thread) }
    }

    /// Serves this file under the path from now on, in place of an earlier one.
    pub fn serves(&self, path: &str, file: FileSpec) {
        self.shared.lock().files.insert(path.into(), file);
    }

    /// Returns the URL of a path, which may have a query.
    pub fn url(&self, path: &str) -> String {
        self.url_at(&self.address.to_string(), path)
    }

    /// Returns the URL of a path under another name of the host, such as `localhost`.
    pub fn url_of_host(&self, host: &str, path: &str) -> String {
        self.url_at(&format!("{host}:{}", self.address.port()), path)
    }

    fn url_at(&self, authority: &str, path: &str) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{authority}{path}")
    }

    /// Returns every request so far, in the order of their headers.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Returns the `Range` of every request so far.
    pub fn ranges(&self) -> Vec<Option<String>> {
        self.requests().iter().map(|request| request.header("Range").map(str::to_owned)).collect()
    }

    /// Waits for this number of requests.
    pub fn requested(&self, count: usize, limit: Duration) -> Vec<Request> {
        let enough = self.shared.wait(limit, |state| (state.requests.len() >= count).then(|| state.requests.clone()));
        enough.unwrap_or_else(|| panic!("not {count} requests: {:?}", self.heads()))
    }

    /// Waits until this number of body bytes was sent.
    pub fn sent(&self, bytes: u64, limit: Duration) {
        let enough = self.shared.wait(limit, |state| (state.sent >= bytes).then_some(()));
        assert!(enough.is_some(), "{bytes} bytes were not sent: {:?}", self.heads());
    }

    /// Returns the last complete upload to the path.
    pub fn uploaded(&self, path: &str) -> Option<Vec<u8>> {
        self.shared.lock().uploads.get(path).cloned()
    }

    /// Returns the number of upload bytes that came although the header was refused.
    pub fn unwanted_bytes(&self) -> usize {
        self.shared.lock().unwanted
    }

    /// Returns the number of TCP connections so far.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }

    fn heads(&self) -> Vec<String> {
        self.requests().iter().map(Request::head).collect()
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopping = true;
        for connection in &state.connections {
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        let _ = TcpStream::connect(self.address); // wakes `accept`
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let violations = std::mem::take(&mut self.shared.lock().violations);
        assert!(violations.is_empty() || thread::panicking(), "the file server is not content: {violations:#?}");
    }
}

impl SharedFiles {
    pub(super) fn lock(&self) -> MutexGuard<'_, FileServerState> {
        self.state.lock().expect("no thread of the server panics")
    }

    fn wait<T>(&self, limit: Duration, mut done: impl FnMut(&mut FileServerState) -> Option<T>) -> Option<T> {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            if let Some(value) = done(&mut state) {
                return Some(value);
            }
            let left = end.checked_duration_since(Instant::now())?;
            state = self.changed.wait_timeout(state, left).expect("no thread of the server panics").0;
        }
    }

    /// Waits for this time; returns false if the server is stopping.
    pub(super) fn pause(&self, time: Duration) -> bool {
        self.wait(time, |state| state.stopping.then_some(())).is_none()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut FileServerState)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

fn listen(listener: &TcpListener, shared: &Arc<SharedFiles>, options: &FileServerOptions) {
    let tls = options.tls.as_ref().map(ServerTls::config);
    let mut threads = Vec::new();
    for tcp in listener.incoming() {
        if shared.lock().stopping {
            break;
        }
        let Ok(tcp) = tcp else { continue };
        let Ok(copy) = tcp.try_clone() else { continue };
        let _ = tcp.set_nodelay(true);
        shared.change(|state| state.connections.push(copy));
        let (shared, options, tls) = (Arc::clone(shared), options.clone(), tls.clone());
        threads.push(thread::spawn(move || {
            let stream = match tls {
                None => Stream::Plain(tcp),
                Some(config) => match shake_hands(tcp, config) {
                    Ok((stream, _)) => stream,
                    Err(_) => return, // the client does not trust the certificate, which its log tells
                },
            };
            let wire = Wire::new(stream);
            wire.patience(Some(TICK));
            serve(wire, &shared, &options);
        }));
    }
    for thread in threads {
        let _ = thread.join();
    }
}
