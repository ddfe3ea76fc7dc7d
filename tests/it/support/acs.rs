//! The reference ACS as a test holds it.

use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use super::acs_state::SharedState;
use super::listener::Listener;
use super::options::AcsOptions;
use super::record::{Exchange, Session};
use super::reply::Reply;
use super::rpc::Rpc;
use super::scenario::Matcher;

/// The reference ACS, on a port of its own. Dropping it panics if the CPE broke a rule, if a request was not the
/// expected one, or if an expected request never came.
pub struct Acs {
    shared: Arc<SharedState>,
    listeners: Vec<Listener>,
    taken: usize,
}

/// An expectation whose reply is not set yet.
#[must_use = "say what the ACS replies"]
pub struct Expectation<'a> {
    acs: &'a Acs,
    matcher: Matcher,
    standing: bool,
}

impl Expectation<'_> {
    /// Sets the reply to the expected request.
    pub fn replies(self, reply: impl Into<Reply>) {
        let mut state = self.acs.shared.lock();
        let step = (self.matcher, reply.into());
        match self.standing {
            true => state.standing.push(step),
            false => state.script.push_back(step),
        }
    }
}

impl Acs {
    pub fn start(options: AcsOptions) -> Acs {
        let shared = Arc::new(SharedState::default());
        let listener = Listener::open(&shared, options);
        Acs { shared, listeners: vec![listener], taken: 0 }
    }

    /// Returns the ACS of one gateway of a [`Fleet`](super::fleet::Fleet), which has no listener of its own.
    pub(super) fn of_gateway(shared: Arc<SharedState>) -> Acs {
        Acs { shared, listeners: Vec::new(), taken: 0 }
    }

    /// Returns the ACS URL.
    pub fn url(&self) -> String {
        self.listeners[0].url()
    }

    /// Returns the ACS URL with another host name, such as `localhost`.
    pub fn url_at(&self, host: &str) -> String {
        let address = self.listeners[0].address.to_string();
        self.url().replace(&address, &format!("{host}:{}", self.port()))
    }

    pub fn port(&self) -> u16 {
        self.listeners[0].address.port()
    }

    /// Opens another listener with options of its own for the same sessions, as a target of redirects; returns its URL.
    pub fn second_listener(&mut self, options: AcsOptions) -> String {
        let listener = Listener::open(&self.shared, options);
        let url = listener.url();
        self.listeners.push(listener);
        url
    }

    /// Expects the next request that no earlier expectation covers.
    pub fn expects(&self, matcher: Matcher) -> Expectation<'_> {
        Expectation { acs: self, matcher, standing: false }
    }

    /// Sets a rule for every request of this kind that comes while no expectation is queued; the earliest matching rule
    /// counts.
    pub fn always(&self, matcher: Matcher) -> Expectation<'_> {
        Expectation { acs: self, matcher, standing: true }
    }

    /// Queues an RPC for the next empty POST of the CPE, in this session or a later one.
    pub fn enqueue(&self, rpc: Rpc) {
        self.shared.lock().tasks.push_back(rpc);
    }

    /// Drops the RPCs that no session has taken yet.
    pub fn forget_tasks(&self) {
        self.shared.lock().tasks.clear();
    }

    /// Allows violations whose text contains this.
    pub fn allow_violation(&self, text: &str) {
        let mut state = self.shared.lock();
        state.violations.retain(|known| !known.contains(text));
        state.allowed.push(text.into());
    }

    /// Returns the violations that were noted so far, and forgets them.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().violations)
    }

    /// Returns the expectations that have failed so far, and forgets them.
    pub fn take_failures(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().failures)
    }

    /// Waits for the next session to end, with its TCP connections; sessions come in the order of their Informs.
    pub fn session(&mut self, limit: Duration) -> Session {
        let session = self.session_within(limit);
        session
            .unwrap_or_else(|| panic!("{}", self.report(&format!("no end of session {} in {limit:?}", self.taken + 1))))
    }

    /// Waits for the next session like [`Acs::session`]; returns `None` if no session ends in time.
    pub fn session_within(&mut self, limit: Duration) -> Option<Session> {
        let at = self.taken;
        let shared = Arc::clone(&self.shared);
        let found = shared.wait(limit, |state| match state.failures.is_empty() {
            true => state.finished(at).map(Some),
            false => Some(None),
        });
        match found {
            Some(Some(session)) => {
                self.taken += 1;
                Some(session)
            }
            Some(None) => panic!("{}", self.report("the CPE did not do what was expected")),
            None => None,
        }
    }

    /// Waits until every expectation is met.
    pub fn wait_until_met(&self, limit: Duration) {
        let done = self.shared.wait(limit, |state| {
            let failed = !state.failures.is_empty();
            (state.script.is_empty() || failed).then_some(!failed)
        });
        assert_eq!(done, Some(true), "{}", self.report("some expected request has not come"));
    }

    /// Waits until this number of requests has come, including requests without a session.
    pub fn requests(&self, count: usize, limit: Duration) -> Vec<Exchange> {
        let enough = self.shared.wait(limit, |state| {
            let sessions = state.sessions.iter();
            let all = sessions.flat_map(|session| &session.exchanges);
            let all: Vec<Exchange> = all.chain(&state.unattributed).cloned().collect();
            (all.len() >= count).then_some(all)
        });
        enough.unwrap_or_else(|| panic!("{}", self.report(&format!("not {count} requests"))))
    }

    /// Waits for this time, and panics if a request comes.
    pub fn quiet_for(&self, time: Duration) {
        let count = |state: &super::acs_state::AcsState| {
            let exchanges = state.sessions.iter().map(|session| session.exchanges.len());
            exchanges.sum::<usize>() + state.unattributed.len()
        };
        let before = count(&self.shared.lock());
        let came = self.shared.wait(time, |state| (count(state) != before).then_some(()));
        assert!(came.is_none(), "{}", self.report("a request that should not come"));
    }

    /// Returns the number of TCP connections so far.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }

    /// Waits for the failure of TLS handshake number `number`, counted from 1; returns the reason.
    pub fn handshake_failure(&self, number: usize, limit: Duration) -> String {
        let error = self.shared.wait(limit, |state| {
            let errors = state.connections.iter();
            errors.filter_map(|connection| connection.handshake_error.clone()).nth(number - 1)
        });
        error.unwrap_or_else(|| panic!("{}", self.report("no failed handshake")))
    }

    /// Describes all sessions, failures and violations so far, for the message of a failed test.
    pub fn report(&self, headline: &str) -> String {
        let state = self.shared.lock();
        let mut text = format!("{headline}\n");
        for failure in &state.failures {
            text += &format!("{failure}\n");
        }
        for (expected, reply) in &state.script {
            text += &format!("still expected: {} -> {}\n", expected.describe(), reply.describe());
        }
        for violation in &state.violations {
            text += &format!("violation: {violation}\n");
        }
        for (at, session) in state.sessions.iter().enumerate() {
            text += &format!("session {} ({:?})\n", at + 1, session.outcome);
            for exchange in &session.exchanges {
                text += &format!("  {}\n", exchange.describe());
            }
        }
        for exchange in &state.unattributed {
            text += &format!("outside of a session: {}\n", exchange.describe());
        }
        for connection in &state.connections {
            if let Some(error) = &connection.handshake_error {
                text += &format!("failed TLS handshake: {error}\n");
            }
        }
        text
    }

    fn stop(&mut self) {
        let mut state = self.shared.lock();
        state.stopping = true;
        for tcp in state.connections.iter().filter_map(|connection| connection.tcp.as_ref()) {
            let _ = tcp.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.notify();
        for listener in &mut self.listeners {
            listener.stop();
        }
    }
}

impl Drop for Acs {
    fn drop(&mut self) {
        self.stop();
        let state = self.shared.lock();
        let fine = state.failures.is_empty() && state.violations.is_empty() && state.script.is_empty();
        drop(state);
        if fine {
            return;
        }
        let report = self.report("the reference ACS is not content:");
        if std::thread::panicking() {
            eprintln!("{report}");
        } else {
            panic!("{report}");
        }
    }
}
