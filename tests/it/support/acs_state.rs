//! The state of the ACS, all under one lock: every request is received here, checked against the rules and the
//! scenario, and given its reply, so that a test sees everything in order.

use std::collections::{HashMap, VecDeque};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::access::{Nonce, Verdict};
use super::http::Request;
use super::listener::Delivery;
use super::message::Message;
use super::options::{AcsOptions, Closing, Refusal};
use super::record::{Exchange, Outcome, SentResponse};
use super::reply::{self, Reply, ReplyKind};
use super::rpc::Rpc;
use super::rules;
use super::scenario::Matcher;
use super::session_state::SessionState;

/// The interval at which a wait checks conditions that no event announces.
const TICK: Duration = Duration::from_millis(20);

/// The state that all listeners and connections of an ACS share.
#[derive(Default)]
pub(super) struct SharedState {
    state: Mutex<AcsState>,
    changed: Condvar,
}

/// The state behind the lock.
#[derive(Default)]
pub(super) struct AcsState {
    pub(super) script: VecDeque<(Matcher, Reply)>,
    pub(super) standing: Vec<(Matcher, Reply)>,
    pub(super) tasks: VecDeque<Rpc>,
    pub(super) sessions: Vec<SessionState>,
    pub(super) unattributed: Vec<Exchange>,
    pub(super) connections: Vec<Connection>,
    pub(super) nonces: HashMap<String, Nonce>,
    pub(super) violations: Vec<String>,
    pub(super) failures: Vec<String>,
    pub(super) allowed: Vec<String>,
    pub(super) stopping: bool,
    /// Counts the IDs of the ACS's requests.
    pub(super) requests: u64,
}

/// A TCP connection.
pub(super) struct Connection {
    /// The handle by which the ACS aborts the connection; `None` once it is closed.
    pub(super) tcp: Option<TcpStream>,
    pub(super) open: bool,
    /// True if the ACS has announced or decided that it closes the connection.
    pub(super) closing: bool,
    /// True if correct credentials have come over it.
    pub(super) granted: bool,
    /// True if the ACS has sent a 401 over it.
    pub(super) challenged: bool,
    pub(super) sni: Option<String>,
    /// The error of the TLS handshake, if it failed.
    pub(super) handshake_error: Option<String>,
}

impl SharedState {
    pub(super) fn lock(&self) -> MutexGuard<'_, AcsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `found` returns a value; returns `None` at the end of the limit.
    pub(super) fn wait<T>(&self, limit: Duration, mut found: impl FnMut(&mut AcsState) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            state.expire(Instant::now());
            if let Some(it) = found(&mut state) {
                return Some(it);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self.doze(state, left.min(TICK));
        }
    }

    /// Sleeps for a delay that the test asked for, unless the ACS stops.
    pub(super) fn pause(&self, time: Duration) {
        self.wait(time, |state| state.stopping.then_some(()));
    }

    pub(super) fn notify(&self) {
        self.changed.notify_all();
    }

    pub(super) fn connected(&self, tcp: TcpStream) -> usize {
        let mut state = self.lock();
        state.connections.push(Connection {
            tcp: Some(tcp),
            open: true,
            closing: false,
            granted: false,
            challenged: false,
            sni: None,
            handshake_error: None,
        });
        self.notify();
        state.connections.len()
    }

    /// Notes that a connection has ended; `problem` is a violation to note, if there was one.
    pub(super) fn closed(&self, connection: usize, problem: Option<String>) {
        let mut state = self.lock();
        if let Some(problem) = problem {
            state.violate(problem);
        }
        state.close(connection);
        self.notify();
    }

    pub(super) fn handshake_failed(&self, connection: usize, error: String) {
        let mut state = self.lock();
        state.connection(connection).handshake_error = Some(error);
        state.connection(connection).open = false;
        state.connection(connection).tcp = None;
        self.notify();
    }

    /// Checks a connection on which no request comes; returns true if it must be closed now.
    pub(super) fn idle(&self, connection: usize, options: &AcsOptions) -> bool {
        let mut state = self.lock();
        let overdue = state.sessions.iter().any(|session| {
            session.connections.contains(&connection)
                && session.ended_at.is_some_and(|at| at.elapsed() > options.close_limit)
        });
        if overdue {
            state.violate("R50: TCP kept open after the session's end".into());
        }
        overdue || state.stopping
    }

    /// Records a request and decides its answer.
    pub(super) fn receive(&self, options: &AcsOptions, port: u16, connection: usize, request: Request) -> Delivery {
        if options.keeps_messages && !request.body.is_empty() {
            keep_message(&request.body);
        }
        let mut state = self.settled(connection);
        let message = match request.body.is_empty() {
            true => Ok(None),
            false => Message::parse(&request.body).map(Some),
        };
        let session = state.attribute(connection, message.as_ref().ok().and_then(Option::as_ref));
        for problem in rules::http(&request, port) {
            state.violate(problem);
        }
        let exchange = Exchange {
            connection,
            at: Instant::now(),
            sni: state.connection(connection).sni.clone(),
            message: message.clone().ok().flatten(),
            request,
            answer: SentResponse::default(),
        };
        let delivery = match session {
            None => state.turn_away(options, exchange),
            Some(at) => state.proceed(options, at, exchange, message),
        };
        self.notify();
        delivery
    }

    /// Locks the state. First waits for the other connection of the CPE, if the CPE has just closed it, because the
    /// thread of that connection may see the end a moment later.
    fn settled(&self, connection: usize) -> MutexGuard<'_, AcsState> {
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut state = self.lock();
        while state.has_rival(connection) && Instant::now() < deadline {
            state = self.doze(state, TICK);
        }
        state
    }

    fn doze<'a>(&self, state: MutexGuard<'a, AcsState>, time: Duration) -> MutexGuard<'a, AcsState> {
        let (state, _) = self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner);
        state
    }
}

impl AcsState {
    pub(super) fn connection(&mut self, number: usize) -> &mut Connection {
        &mut self.connections[number - 1] // numbers are given out by `connected` only
    }

    pub(super) fn violate(&mut self, what: String) {
        let known = self.allowed.iter().any(|allowed| what.contains(allowed));
        if !self.stopping && !known {
            let session = self.sessions.len();
            self.violations.push(format!("session {session}: {what}"));
        }
    }

    /// Answers a request without a session as GenieACS does.
    fn turn_away(&mut self, options: &AcsOptions, mut exchange: Exchange) -> Delivery {
        self.connection(exchange.connection).closing = true;
        let reply = reply::status(400).body(b"Invalid session").close();
        let (answer, mut delivery) = super::listener::compose(options, &reply, Vec::new(), None, None);
        exchange.answer = answer;
        self.unattributed.push(exchange);
        delivery.closing = Some(true);
        delivery
    }

    /// Handles a request of a session: checks cookies, credentials and order, then follows the scenario.
    fn proceed(
        &mut self,
        options: &AcsOptions,
        at: usize,
        exchange: Exchange,
        message: Result<Option<Message>, String>,
    ) -> Delivery {
        for problem in rules::in_session(&mut self.sessions[at], options, &exchange.request) {
            self.violate(problem);
        }
        let outstanding = self.sessions[at].outstanding.clone();
        let verdict = self.authorize(options, &exchange);
        let reply = match verdict {
            Verdict::Refused { wrong, stale } => self.refuse(options, at, wrong, stale),
            Verdict::Granted => match &message {
                Err(problem) => {
                    self.violate(format!("R88: {problem}"));
                    reply::status(400).body(problem.as_bytes())
                }
                Ok(message) => {
                    for problem in rules::order(&mut self.sessions[at], message.as_ref()) {
                        self.violate(problem);
                    }
                    self.choose(message.as_ref())
                }
            },
        };
        if matches!(reply.kind, ReplyKind::Unauthorized { .. } | ReplyKind::Redirect(..)) {
            self.sessions[at].outstanding = outstanding; // the same POST will come again
        }
        self.send(options, at, exchange, &reply)
    }

    /// Chooses the reply: that of the scenario, of a standing rule, or of a correct ACS, in this order.
    fn choose(&mut self, message: Option<&Message>) -> Reply {
        if let Some((expected, reply)) = self.script.pop_front() {
            let misses = expected.misses(message);
            if misses.is_empty() {
                return reply;
            }
            let received = message.map_or_else(|| "the empty POST".to_owned(), ToString::to_string);
            self.failures.push(format!(
                "expected: {}\n  missing: {}\nreceived: {received}",
                expected.describe(),
                misses.join("; "),
            ));
            self.script.clear();
            return reply::status(500).body(b"not what the test expects");
        }
        self.standing
            .iter()
            .find(|(matcher, _)| matcher.misses(message).is_empty())
            .map_or_else(reply::answer, |(_, reply)| reply.clone())
    }

    fn refuse(&mut self, options: &AcsOptions, at: usize, wrong: bool, stale: bool) -> Reply {
        if wrong {
            let why = "wrong credentials".to_owned();
            self.sessions[at].end(Outcome::Failed(why));
        }
        match options.refusal {
            Refusal::Forbidden if wrong => reply::status(403),
            Refusal::BareAndClose if wrong => reply::status(401).close(),
            _ if stale => reply::unauthorized_again().stale(),
            _ => reply::unauthorized_again(),
        }
    }

    /// Turns a reply into bytes and updates the session by it.
    fn send(&mut self, options: &AcsOptions, at: usize, mut exchange: Exchange, reply: &Reply) -> Delivery {
        let reply = self.resolve(options, reply, exchange.message.as_ref());
        let mut headers = Vec::new();
        if let ReplyKind::Unauthorized { stale } = reply.kind {
            headers = self.challenge(options, exchange.connection, stale);
            self.connection(exchange.connection).challenged = true;
        }
        self.set_cookies(options, at, &reply, &mut headers);
        let id = self.id_for(options, at, &reply, exchange.message.as_ref());
        let message = exchange.message.as_ref();
        let (answer, mut delivery) = super::listener::compose(options, &reply, headers, id.as_deref(), message);
        exchange.answer = answer;
        self.sessions[at].after(options, &reply, &exchange, id);
        let ended = self.sessions[at].outcome.is_some();
        let refused = exchange.answer.status == 401;
        delivery.closing = match options.closing {
            _ if reply.close => Some(true),
            Closing::EachAnswer => Some(true),
            Closing::LastAnswer if ended => Some(true),
            Closing::EachAnswerSilently if !ended => Some(false),
            Closing::Each401 if refused => Some(true),
            Closing::Each401Silently if refused => Some(false),
            _ => delivery.closing,
        };
        if delivery.closing.is_some() {
            self.connection(exchange.connection).closing = true;
        }
        self.sessions[at].exchanges.push(exchange);
        delivery
    }

    /// Resolves "the proper answer" to the next queued RPC, or to an empty answer.
    fn resolve(&mut self, options: &AcsOptions, reply: &Reply, message: Option<&Message>) -> Reply {
        let mut reply = reply.clone();
        let asked = message.is_some_and(Message::is_request);
        if matches!(reply.kind, ReplyKind::Proper) && !asked {
            reply.kind = match self.tasks.pop_front() {
                Some(rpc) => ReplyKind::Rpc(rpc),
                None => ReplyKind::NothingMore,
            };
        }
        if matches!(reply.kind, ReplyKind::NothingMore) {
            reply.kind = ReplyKind::Empty(if options.empty_200 { 200 } else { 204 });
        }
        reply
    }

    fn set_cookies(&mut self, options: &AcsOptions, at: usize, reply: &Reply, headers: &mut Vec<(String, String)>) {
        let session = &mut self.sessions[at];
        let refused = matches!(reply.kind, ReplyKind::Unauthorized { .. });
        if !session.cookies_sent && (!refused || options.cookies_on_401) {
            session.cookies_sent = true;
            for (name, attributes) in &options.cookies {
                let value = super::access::random_hex();
                headers.push(("Set-Cookie".into(), format!("{name}={}-{value}{attributes}", at + 1)));
            }
        }
        for (name, value) in headers.iter().chain(&reply.headers) {
            if name.eq_ignore_ascii_case("Set-Cookie") {
                session.remember_cookie(value, options.tls.is_some());
            }
        }
    }

    /// Returns the `cwmp:ID` of the answer: the CPE's for a response, a new one for a request.
    fn id_for(&mut self, options: &AcsOptions, at: usize, reply: &Reply, message: Option<&Message>) -> Option<String> {
        use super::options::Ids;
        if reply.rpc().is_none() {
            return message.and_then(|message| message.id.clone());
        }
        self.requests += 1;
        match &options.ids {
            Ids::Fresh => Some(format!("acs-{}", self.requests)),
            Ids::OfInform => self.sessions[at].inform_id.clone(),
            Ids::Omitted => None,
            Ids::Fixed(id) => Some(id.clone()),
        }
    }
}

/// Writes a received body where `CPE_AGENT_MESSAGES` says, for a schema checker.
pub(super) fn keep_message(body: &[u8]) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Some(directory) = std::env::var_os("CPE_AGENT_MESSAGES") else {
        return;
    };
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let name = format!("{}-{time}-{count}.xml", std::process::id());
    let directory = std::path::PathBuf::from(directory);
    std::fs::create_dir_all(&directory)
        .and_then(|()| std::fs::write(directory.join(name), body))
        .expect("CPE_AGENT_MESSAGES names a directory that can be written");
}
