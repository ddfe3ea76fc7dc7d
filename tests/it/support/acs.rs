//! The reference ACS as a test holds it.

use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use super::desk::Desk;
use super::door::Door;
use super::options::AcsOptions;
use super::record::{Exchange, Session};
use super::reply::Reply;
use super::rpc::Rpc;
use super::scenario::Matcher;

/// An ACS on a port of its own. When it goes, it panics if the CPE broke a rule, if a request was not
/// what the test expected, or if an expected one never came.
pub struct Acs {
    desk: Arc<Desk>,
    doors: Vec<Door>,
    taken: usize,
}

/// An expectation that still waits for its reply.
#[must_use = "say what the ACS replies"]
pub struct Expectation<'a> {
    acs: &'a Acs,
    matcher: Matcher,
    standing: bool,
}

impl Expectation<'_> {
    /// What the ACS answers when the expected request comes.
    pub fn replies(self, reply: impl Into<Reply>) {
        let mut state = self.acs.desk.lock();
        let step = (self.matcher, reply.into());
        match self.standing {
            true => state.standing.push(step),
            false => state.script.push_back(step),
        }
    }
}

impl Acs {
    pub fn start(options: AcsOptions) -> Acs {
        let desk = Arc::new(Desk::default());
        let door = Door::open(&desk, options);
        Acs { desk, doors: vec![door], taken: 0 }
    }

    /// The ACS URL.
    pub fn url(&self) -> String {
        self.doors[0].url()
    }

    /// The ACS URL under another host name, such as `localhost`.
    pub fn url_at(&self, host: &str) -> String {
        let address = self.doors[0].address.to_string();
        self.url().replace(&address, &format!("{host}:{}", self.port()))
    }

    pub fn port(&self) -> u16 {
        self.doors[0].address.port()
    }

    /// Opens another listener with manners of its own on the same sessions, as a target for redirects;
    /// returns its URL.
    pub fn second_door(&mut self, options: AcsOptions) -> String {
        let door = Door::open(&self.desk, options);
        let url = door.url();
        self.doors.push(door);
        url
    }

    /// The next request that no earlier expectation waits for, in order.
    pub fn expects(&self, matcher: Matcher) -> Expectation<'_> {
        Expectation { acs: self, matcher, standing: false }
    }

    /// Every such request while no expectation is queued, the earliest rule first.
    pub fn whenever(&self, matcher: Matcher) -> Expectation<'_> {
        Expectation { acs: self, matcher, standing: true }
    }

    /// Drops all that [`Acs::whenever`] said.
    pub fn back_to_good_manners(&self) {
        self.desk.lock().standing.clear();
    }

    /// Queues an RPC for whenever the CPE has nothing to say, in this session or the next.
    pub fn enqueue(&self, rpc: Rpc) {
        self.desk.lock().tasks.push_back(rpc);
    }

    /// Drops the RPCs that no session has taken yet.
    pub fn forget_tasks(&self) {
        self.desk.lock().tasks.clear();
    }

    /// Lets violations pass whose text contains this.
    pub fn allow_violation(&self, text: &str) {
        let mut state = self.desk.lock();
        state.violations.retain(|known| !known.contains(text));
        state.allowed.push(text.into());
    }

    /// Takes the violations noted so far.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.desk.lock().violations)
    }

    /// Takes the failed expectations so far.
    pub fn take_failures(&self) -> Vec<String> {
        std::mem::take(&mut self.desk.lock().failures)
    }

    /// The next session that has ended, its TCP connections with it, in the order they began.
    pub fn session(&mut self, limit: Duration) -> Session {
        let session = self.session_within(limit);
        session
            .unwrap_or_else(|| panic!("{}", self.report(&format!("no end of session {} in {limit:?}", self.taken + 1))))
    }

    /// The same, where none may come.
    pub fn session_within(&mut self, limit: Duration) -> Option<Session> {
        let at = self.taken;
        let desk = Arc::clone(&self.desk);
        let found = desk.wait(limit, |state| match state.failures.is_empty() {
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

    /// Waits until every expectation was met.
    pub fn story_told(&self, limit: Duration) {
        let done = self.desk.wait(limit, |state| {
            let failed = !state.failures.is_empty();
            (state.script.is_empty() || failed).then_some(!failed)
        });
        assert_eq!(done, Some(true), "{}", self.report("the story was not told to its end"));
    }

    /// Waits until so many requests have come, those without a session included.
    pub fn requests(&self, count: usize, limit: Duration) -> Vec<Exchange> {
        let enough = self.desk.wait(limit, |state| {
            let courses = state.courses.iter();
            let all = courses.flat_map(|course| &course.exchanges);
            let all: Vec<Exchange> = all.chain(&state.strays).cloned().collect();
            (all.len() >= count).then_some(all)
        });
        enough.unwrap_or_else(|| panic!("{}", self.report(&format!("not {count} requests"))))
    }

    /// Passes this time and panics if a request came meanwhile.
    pub fn quiet_for(&self, time: Duration) {
        let count = |state: &super::desk::State| {
            let exchanges = state.courses.iter().map(|course| course.exchanges.len());
            exchanges.sum::<usize>() + state.strays.len()
        };
        let before = count(&self.desk.lock());
        let came = self.desk.wait(time, |state| (count(state) != before).then_some(()));
        assert!(came.is_none(), "{}", self.report("a request that should not come"));
    }

    /// How many TCP connections have come.
    pub fn connections(&self) -> usize {
        self.desk.lock().connections.len()
    }

    /// Waits for so many TCP connections to have come, whatever became of them.
    pub fn connected(&self, count: usize, limit: Duration) {
        let enough = self.desk.wait(limit, |state| (state.connections.len() >= count).then_some(()));
        assert!(enough.is_some(), "{}", self.report("too few connections"));
    }

    /// Waits for the failure of TLS handshake number `number`, counted from 1, and says why it failed.
    pub fn handshake_failure(&self, number: usize, limit: Duration) -> String {
        let error = self.desk.wait(limit, |state| {
            let errors = state.connections.iter();
            errors.filter_map(|connection| connection.handshake_error.clone()).nth(number - 1)
        });
        error.unwrap_or_else(|| panic!("{}", self.report("no failed handshake")))
    }

    /// What happened so far, for the failure of a test.
    pub fn report(&self, headline: &str) -> String {
        let state = self.desk.lock();
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
        for (at, course) in state.courses.iter().enumerate() {
            text += &format!("session {} ({:?})\n", at + 1, course.outcome);
            for exchange in &course.exchanges {
                text += &format!("  {}\n", exchange.describe());
            }
        }
        for exchange in &state.strays {
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
        let mut state = self.desk.lock();
        state.stopping = true;
        for tcp in state.connections.iter().filter_map(|connection| connection.tcp.as_ref()) {
            let _ = tcp.shutdown(Shutdown::Both);
        }
        drop(state);
        self.desk.tell();
        for door in &mut self.doors {
            door.shut();
        }
    }
}

impl Drop for Acs {
    fn drop(&mut self) {
        self.stop();
        let state = self.desk.lock();
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
