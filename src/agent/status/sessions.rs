//! The rows of the sessions: the running one, the last one with its causes, the next one, and the counts.

use std::time::Duration;

use serde_json::Value as Json;

use super::next_session::SessionCause;
use super::rows::StatusRows;
use super::{NextSession, StatusView, format_span, listed, with_space};
use crate::agent::last_session::LastSession;
use crate::clock::Now;

impl StatusView<'_> {
    pub(super) fn add_running_session(&self, rows: &mut StatusRows) {
        let Some(began) = self.status.running else { return rows.add_member("session", Json::Null) };
        // "running for" and not a time of day: an operator wants to know whether the session hangs.
        let running = self.since(began);
        rows.add_member("session.began", self.local(began));
        rows.add("session.seconds", "session", running.as_secs(), format!("running for {}", format_span(running)));
    }

    pub(super) fn add_last_session(&self, rows: &mut StatusRows) {
        let Some((session, ended)) = &self.status.last else {
            rows.add("lastSession", "last session", Json::Null, "none yet");
            return self.add_failures(rows);
        };
        let (began, ago, took) = (self.began(session, *ended), self.since(*ended), session.took);
        let shown = began.as_ref().map_or_else(String::new, |at| format!("{}, ", with_space(at)));
        let seconds = format!("{}.{:03}", took.as_secs(), took.subsec_millis());
        rows.add_line("last session", format!("{shown}{} ago, took {seconds} s", format_span(ago)));
        rows.add_member("lastSession.began", began);
        rows.add_member("lastSession.secondsAgo", ago.as_secs());
        rows.add_member("lastSession.milliseconds", u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        rows.add("lastSession.events", "  events", session.events.clone(), listed(&session.events));
        let error = session.error.as_ref().map(ToString::to_string);
        let result = error.as_ref().map_or_else(|| "success".to_owned(), |error| format!("failed: {error}"));
        // A member of its own, so that a shell script need not tell null from a text.
        rows.add_member("lastSession.ok", error.is_none());
        rows.add("lastSession.error", "  result", error, result);
        self.add_failures(rows);
    }

    pub(super) fn add_next_session(&self, rows: &mut StatusRows) {
        let at = match self.status.next {
            NextSession::At(at, _) => Some(at),
            NextSession::Now => Some(self.now.monotonic),
            NextSession::Unplanned | NextSession::Disabled(_) => None,
        };
        let wait = at.map(|at| at.saturating_sub(self.now.monotonic).as_secs());
        rows.add("nextSession.cause", "next session", self.status.next.name(), self.next_session());
        rows.add_member("nextSession.at", at.and_then(|at| self.local(at)));
        rows.add_member("nextSession.inSeconds", wait);
    }

    /// Returns the text about the next session.
    fn next_session(&self) -> String {
        let (at, cause) = match self.status.next {
            NextSession::Unplanned => return "none planned".into(),
            NextSession::Disabled(why) => return format!("none: {}", why.reason()),
            // During a session, a new one is due after it and not at this moment.
            NextSession::Now if self.status.running.is_some() => return "as soon as this one ends".into(),
            NextSession::Now => return "now".into(),
            NextSession::At(at, cause) => (at, cause),
        };
        // These are the words for people; `name` has those for programs.
        let cause = match cause {
            SessionCause::Retry => format!("retry {}", self.status.retry_count),
            SessionCause::Notification => "a value has changed".into(),
            SessionCause::Periodic => "periodic".into(),
            SessionCause::Heartbeat => "heartbeat".into(),
            SessionCause::Scheduled => "the ACS has asked for it".into(),
            SessionCause::Restart => "unless the device has restarted by then".into(),
            SessionCause::Identity => "or once the sources give the identity".into(),
        };
        format!("{}: {cause}", self.instant_ahead(at))
    }

    /// Adds the counts, the last success, and the first cause of a series of failures.
    pub(super) fn add_sessions(&self, rows: &mut StatusRows) {
        let (log, totals) = (&self.status.sessions, &self.status.totals);
        let text = format!(
            "{} succeeded, {} failed since the start; {} and {} in all",
            log.succeeded, log.failed, totals.succeeded, totals.failed
        );
        rows.add("sessions.succeeded", "sessions", log.succeeded, text);
        rows.add_member("sessions.failed", log.failed);
        rows.add_member("sessions.everSucceeded", totals.succeeded);
        rows.add_member("sessions.everFailed", totals.failed);
        let (at, ago) = self.last_success();
        rows.add_member("sessions.lastSuccess", at);
        rows.add_member("sessions.lastSuccessSecondsAgo", ago);
    }

    /// Adds the causes of a series of failures, below the result of the last session.
    fn add_failures(&self, rows: &mut StatusRows) {
        let Some(series) = &self.status.sessions.failures else { return rows.add_member("failures", Json::Null) };
        let first = series.first.to_string();
        // One failure is its own first cause.
        if series.count > 1 {
            let when = self.instant_ago(series.began);
            rows.add_line("  first cause", format!("{when}, {} failures since: {first}", series.count));
        }
        let success = match self.last_success() {
            (Some(at), Some(ago)) => format!("{}, {} ago", with_space(&at), format_span(Duration::from_secs(ago))),
            (None, Some(ago)) => format!("{} ago", format_span(Duration::from_secs(ago))),
            _ if self.status.totals.succeeded > 0 => "at an unknown time".into(),
            _ => "none yet".into(),
        };
        rows.add_line("  success", success);
        rows.add_member("failures.count", series.count);
        rows.add_member("failures.began", self.local(series.began));
        rows.add_member("failures.secondsAgo", self.since(series.began).as_secs());
        rows.add_member("failures.firstError", first);
    }

    /// Returns the local time of the last success and the seconds since then. The journal knows a success before the start
    /// by the wall clock only.
    fn last_success(&self) -> (Option<String>, Option<u64>) {
        if let Some(at) = self.status.sessions.last_success {
            return (self.local(at), Some(self.since(at).as_secs()));
        }
        let wall = self.status.totals.last_success.filter(|_| self.now.clock_is_set());
        let ago = wall.and_then(|wall| u64::try_from(self.now.wall.saturating_sub(wall)).ok());
        (wall.map(|wall| self.local_wall(wall)), ago)
    }

    /// Returns the local time at which a session began.
    fn began(&self, session: &LastSession, ended: Duration) -> Option<String> {
        let then = Now { wall: session.began, ..self.now };
        match self.now.clock_is_set() && then.clock_is_set() {
            // By the clock at that time, so that each query returns the same.
            true => Some(self.local_wall(session.began)),
            // The clock was set after the session, and only the monotonic clock knows its distance.
            false => self.local(ended.saturating_sub(session.took)),
        }
    }
}
