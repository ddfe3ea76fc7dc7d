//! Which session a request belongs to, and when a session is over.

use std::time::{Duration, Instant};

use super::course::Course;
use super::desk::State;
use super::message::Message;
use super::record::{Outcome, Session};

/// How long a session waits for its CPE to come back on a new TCP connection.
const RETURN_LIMIT: Duration = Duration::from_secs(5);

impl State {
    /// A finished session, once its connections are closed too.
    pub(super) fn finished(&self, at: usize) -> Option<Session> {
        let course = self.courses.get(at)?;
        let outcome = course.outcome.clone()?;
        let open = |number: &usize| self.connections[*number - 1].open;
        (!course.connections.iter().any(open)).then(|| Session {
            number: at + 1,
            exchanges: course.exchanges.clone(),
            outcome,
        })
    }

    /// Ends sessions whose CPE never came back after the ACS closed TCP or redirected it.
    pub(super) fn expire(&mut self, now: Instant) {
        for course in &mut self.courses {
            if course.grace.is_some_and(|until| until < now) {
                course.end(Outcome::Abandoned("the CPE did not come back".into()));
            }
        }
    }

    fn running(&self) -> Option<usize> {
        let last = self.courses.len().checked_sub(1)?;
        self.courses[last].outcome.is_none().then_some(last)
    }

    pub(super) fn has_rival(&self, connection: usize) -> bool {
        let Some(course) = self.courses.last() else {
            return false;
        };
        let redirected = course.repeat.as_ref().is_some_and(|repeat| repeat.redirect);
        let rival = |number: &usize| {
            let other = &self.connections[*number - 1];
            *number != connection && other.open && !other.closing
        };
        !redirected && course.target.is_none() && course.connections.iter().any(rival)
    }

    pub(super) fn close(&mut self, number: usize) {
        let by_us = self.connection(number).closing;
        self.connection(number).open = false;
        self.connection(number).tcp = None;
        let Some(at) = self.running() else { return };
        let course = &mut self.courses[at];
        if course.connections.last() != Some(&number) {
            return;
        }
        match &course.repeat {
            _ if by_us => course.grace = Some(Instant::now() + RETURN_LIMIT),
            Some(repeat) if repeat.redirect => course.grace = Some(Instant::now() + RETURN_LIMIT),
            _ => course.end(Outcome::Abandoned("the CPE closed TCP".into())),
        }
    }

    /// The session that a request belongs to; an Inform begins one.
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
        self.courses[at].joins(connection);
        Some(at)
    }

    fn attribute_inform(&mut self, connection: usize, inform: &Message, rival: bool) -> usize {
        if let Some(at) = self.running() {
            let course = &mut self.courses[at];
            let same = course.retry_count == inform.retry_count();
            let again = course.retry.as_ref().is_some_and(|retry| retry.method == "Inform");
            if same && (again || (course.repeat.is_some() && !course.initiated)) {
                course.joins(connection);
                return at;
            }
            if course.connections.last() == Some(&connection) {
                self.violate("R90: Inform twice in a session".into());
            } else if rival {
                self.violate("R6: two sessions at once".into());
            }
            self.courses[at].end(Outcome::Abandoned("another Inform came".into()));
        } else if rival || self.courses.last().is_some_and(|course| course.connections.contains(&connection)) {
            self.violate("R50: a new session while TCP of the last one is open".into());
        }
        if let Some(Outcome::Failed(why)) = self.courses.last().and_then(|c| c.outcome.as_ref())
            && inform.retry_count() == Some(0)
            && !inform.has_event("0 BOOTSTRAP")
        {
            let problem = format!("R98: RetryCount 0 after a session that failed by {why}");
            self.violate(problem);
        }
        let mut course =
            Course { retry_count: inform.retry_count(), inform_id: inform.id.clone(), ..Course::default() };
        course.joins(connection);
        self.courses.push(course);
        self.courses.len() - 1
    }
}
