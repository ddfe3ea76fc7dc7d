//! Assigns each request to its session, and decides when a session is over.

use std::time::{Duration, Instant};

use super::acs_state::AcsState;
use super::message::Message;
use super::record::{Outcome, Session};
use super::session_state::SessionState;

/// The time that a session waits for its CPE to come back on a new TCP connection.
const RETURN_LIMIT: Duration = Duration::from_secs(5);

impl AcsState {
    /// Returns a finished session whose connections are closed too.
    pub(super) fn finished(&self, at: usize) -> Option<Session> {
        let session = self.sessions.get(at)?;
        let outcome = session.outcome.clone()?;
        let open = |number: &usize| self.connections[*number - 1].open;
        (!session.connections.iter().any(open)).then(|| Session {
            number: at + 1,
            exchanges: session.exchanges.clone(),
            outcome,
        })
    }

    /// Ends sessions whose CPE has not returned after the ACS closed TCP or redirected the CPE.
    pub(super) fn expire(&mut self, now: Instant) {
        for session in &mut self.sessions {
            if session.grace.is_some_and(|until| until < now) {
                session.end(Outcome::Abandoned("the CPE did not come back".into()));
            }
        }
    }

    fn running(&self) -> Option<usize> {
        let last = self.sessions.len().checked_sub(1)?;
        self.sessions[last].outcome.is_none().then_some(last)
    }

    pub(super) fn has_rival(&self, connection: usize) -> bool {
        let Some(session) = self.sessions.last() else {
            return false;
        };
        let redirected = session.repeat.as_ref().is_some_and(|repeat| repeat.redirect);
        let rival = |number: &usize| {
            let other = &self.connections[*number - 1];
            *number != connection && other.open && !other.closing
        };
        !redirected && session.target.is_none() && session.connections.iter().any(rival)
    }

    pub(super) fn close(&mut self, number: usize) {
        let by_us = self.connection(number).closing;
        self.connection(number).open = false;
        self.connection(number).tcp = None;
        let Some(at) = self.running() else { return };
        let session = &mut self.sessions[at];
        if session.connections.last() != Some(&number) {
            return;
        }
        match &session.repeat {
            _ if by_us => session.grace = Some(Instant::now() + RETURN_LIMIT),
            Some(repeat) if repeat.redirect => session.grace = Some(Instant::now() + RETURN_LIMIT),
            _ => session.end(Outcome::Abandoned("the CPE closed TCP".into())),
        }
    }

    /// Returns the session of a request; an Inform begins a new one.
    pub(super) fn attribute(&mut self, connection: usize, message: Option<&Message>) -> Option<usize> {
        let rival = self.has_rival(connection);
        if let Some(inform) = message.filter(|message| message.is_inform()) {
            return Some(self.attribute_inform(connection, inform, rival));
        }
        let Some(at) = self.running() else {
            self.violate("R90, R117: a request outside of a session, which Inform begins".into());
            return None;
        };
        if rival {
            self.violate("R45: a second TCP connection while the first is open".into());
        }
        self.sessions[at].joins(connection);
        Some(at)
    }

    fn attribute_inform(&mut self, connection: usize, inform: &Message, rival: bool) -> usize {
        if let Some(at) = self.running() {
            let session = &mut self.sessions[at];
            let same = session.retry_count == inform.retry_count();
            let again = session.retry.as_ref().is_some_and(|retry| retry.method == "Inform");
            if same && (again || (session.repeat.is_some() && !session.initiated)) {
                session.joins(connection);
                return at;
            }
            if session.connections.last() == Some(&connection) {
                self.violate("R90: Inform twice in a session".into());
            } else if rival {
                self.violate("R6: two sessions at once".into());
            }
            self.sessions[at].end(Outcome::Abandoned("another Inform came".into()));
        } else if rival || self.sessions.last().is_some_and(|session| session.connections.contains(&connection)) {
            self.violate("R50: a new session while TCP of the last one is open".into());
        }
        if let Some(Outcome::Failed(why)) = self.sessions.last().and_then(|c| c.outcome.as_ref())
            && inform.retry_count() == Some(0)
            && !inform.has_event("0 BOOTSTRAP")
        {
            let problem = format!("R98: RetryCount 0 after a session that failed by {why}");
            self.violate(problem);
        }
        let mut session =
            SessionState { retry_count: inform.retry_count(), inform_id: inform.id.clone(), ..SessionState::default() };
        session.joins(connection);
        self.sessions.push(session);
        self.sessions.len() - 1
    }
}
