//! Drives one session with the ACS: connects, moves messages between connection and [`Session`], acts on the end.
//!
//! ```text
//! connect ──▶ Session::start ──▶ Output::Post ──▶ POST to the ACS ──▶ Session::reply ──┐
//!                                   ▲                                                  │
//!                                   └──────────────────────────────────────────────────┤
//!                          retry, follow-up session, journal ◀── Output::End ◀─────────┘
//! ```
//!
//! The session thread connects and posts. Meanwhile the agent thread executes the commands that do not wait for the end of
//! the session: an ACS that is silent must not silence the device towards its operator.

use std::sync::Arc;

use super::last_session::LastSession;
use super::session_thread::{Exchange, SessionThread};
use super::{Agent, random};
use crate::acs::{self, AcsConnection, Response};
use crate::change_watch::ChangeWatch;
use crate::clock::Now;
use crate::cwmp::device::KeptAddress;
use crate::cwmp::event::EventCode;
use crate::cwmp::session::{Output, Session, SessionConfig};
use crate::cwmp::session_error::SessionError;
use crate::cwmp::version::{self, Version};
use crate::http::{HttpError, PreferredAddress};
use crate::log;
use crate::model::date_time::DateTime;
use crate::url::Url;

/// Properties of the ACS at a URL that earlier sessions have found. They are not stored, and are dropped when the URL
/// changes.
#[derive(Debug, Default)]
pub(super) struct AcsQuirks {
    pub(super) url: String,
    /// True if the ACS seems to know CWMP 1.0 only (R84).
    only_oldest: bool,
    /// True if the ACS asks for Basic authentication: over TLS the first request then carries the credentials (R58).
    wants_basic: bool,
    /// True if the ACS closes TCP connections without `Connection: close`.
    closes_silently: bool,
}

impl Agent {
    /// Runs one session, then schedules the retry or the follow-up session and stores the state.
    pub(super) fn run_session(&mut self) {
        let began = self.clock.now();
        self.refresh_inform_values();
        self.schedule.retry.started();
        let url = self.device.acs_url();
        let connection = self.reach_acs(&url, began);
        self.reset_instance_mode(began);
        (self.session_wanted, self.acs_asked) = (false, false);
        self.schedule.notification.session_started();
        let reports = self.limited_reports();
        let offered = if self.acs_quirks.only_oldest { version::OLDEST } else { version::ALL };
        let config = SessionConfig { current_time: self.current_time(), offered, stop: Arc::clone(&self.stop) };
        let (session, first) = Session::start(&config, &mut self.device);
        let events: Vec<String> = self.device.state().events.announced().map(|event| event.code.to_string()).collect();
        // Url's Display leaves out user information and query, which may hold secrets. An invalid URL is not logged: the
        // error of the session names the defect.
        let shown = Url::parse(&url).map(|url| url.to_string());
        if let Ok(url) = &shown {
            let number = self.device.state().totals.number();
            log::info!("session with {url}: {} (number {number})", events.join(", "));
        }
        self.trace_session(shown.as_deref().unwrap_or("-"), &events);
        let (session, result) = match connection {
            Ok(thread) => self.exchange(&thread, session, first),
            Err(error) => (session, Err(error.into())),
        };
        self.device.state_mut().events.session_ended();
        self.note_limited_reports(reports, self.clock.now());
        self.trace_end(result.as_ref().err());
        match &result {
            Ok(()) => self.succeeded(),
            Err(error) => self.failed(error, &session),
        }
        // The counts precede the record of the session's end, which takes them along.
        let ended = self.clock.now();
        self.sessions.add(result.as_ref().err(), ended.monotonic);
        self.device.state_mut().totals.count(result.is_ok(), ended);
        self.request_follow_up(session.version());
        self.save();
        self.compact();
        let took = self.clock.now().monotonic.saturating_sub(began.monotonic);
        self.last_session = Some(LastSession { began: began.wall, took, events, error: result.err() });
    }

    /// Connects to the ACS. Takes over what the connection shows, and what has come from the listeners meanwhile.
    fn reach_acs(&mut self, url: &str, began: Now) -> Result<SessionThread, HttpError> {
        if self.acs_quirks.url != url {
            self.acs_quirks = AcsQuirks { url: url.to_owned(), ..AcsQuirks::default() };
            self.discovery.note_connection(None, began);
        }
        let connection = self.connect(self.acs_settings(began.clock_is_set()));
        self.discovery.note_connection(connection.as_ref().err(), self.clock.now());
        if let Ok((_, exchange)) = &connection {
            let kept = exchange.remote.zip(exchange.list).map(|(remote, list)| KeptAddress { ip: remote.ip(), list });
            self.device.state_mut().totals.address = kept;
            self.on_connected(exchange.remote, exchange.local);
            if Url::parse(url).is_ok_and(|url| url.is_tls()) {
                self.confirm_contact(false);
            }
        }
        // A request that arrived while the connection was made is answered by this very Inform. GenieACS sends one over
        // HTTP and one over UDP at the same time, and must not get two sessions for them (R262).
        for wake in self.inbox.take_listener_updates() {
            self.handle(wake);
        }
        self.store_window();
        connection.map(|(thread, _)| thread)
    }

    /// Resets what the last ACS has chosen for its own sessions, before `0 BOOTSTRAP`.
    fn reset_instance_mode(&mut self, now: Now) {
        if self.device.state().events.contains(&EventCode::Bootstrap)
            && let Err(error) = self.device.reset_instance_mode(&self.config.factory_values, now)
        {
            log::error!("{error}");
        }
    }

    /// Opens the connection, prepared for the known properties of the ACS. It precedes the Inform, since its local
    /// address is part of the ConnectionRequestURL that the Inform reports.
    fn connect(&mut self, settings: acs::AcsSettings) -> Result<(SessionThread, Exchange), HttpError> {
        let mut connection = AcsConnection::open(settings)?;
        if self.is_tracing() {
            connection.record_responses();
        }
        if self.acs_quirks.wants_basic {
            connection.assume_basic();
        }
        if self.acs_quirks.closes_silently {
            connection.expect_silent_close();
        }
        if let Some(KeptAddress { ip, list }) = self.device.state().totals.address {
            connection.prefer_address(PreferredAddress { ip, list: Some(list) });
        }
        let thread = SessionThread::start(connection, Arc::clone(&self.inbox))
            .map_err(|error| HttpError::Io(format!("no thread can be started: {error}")))?;
        self.store_window();
        let mut exchange = self.await_exchange();
        std::mem::replace(&mut exchange.result, Ok(Response::default()))?;
        Ok((thread, exchange))
    }

    /// Waits for the result of the session thread. Meanwhile executes the commands that do not wait for the end of the
    /// session; the control socket passes on a few of them at a time, so that they delay the session little.
    fn await_exchange(&mut self) -> Exchange {
        loop {
            let (commands, exchange) = self.inbox.wait_in_session();
            for command in commands {
                self.execute(command, self.clock.now());
            }
            if let Some(exchange) = exchange {
                return exchange;
            }
        }
    }

    /// Requests another session for all that the last one did not report: events that were raised while it ran (R134), and
    /// value changes that a HEARTBEAT session leaves out (R303).
    pub(super) fn request_follow_up(&mut self, version: Version) {
        let state = self.device.state();
        self.session_wanted |= state.events.is_due(state.session_context(version));
        self.schedule_notification(self.clock.now());
    }

    /// Posts the messages of the session and hands it the responses, until it ends. Records the properties of the ACS that
    /// the connection has shown.
    fn exchange(
        &mut self,
        thread: &SessionThread,
        mut session: Session,
        mut output: Output,
    ) -> (Session, Result<(), SessionError>) {
        loop {
            output = match output {
                Output::End(result) => return (session, result),
                Output::Post(body) => {
                    self.trace_request(&body);
                    thread.post(body);
                    let exchange = self.await_exchange();
                    self.trace_responses(&exchange);
                    self.acs_quirks.wants_basic = exchange.is_basic;
                    self.acs_quirks.closes_silently = exchange.closes_silently;
                    session.recycle(exchange.posted);
                    match exchange.result {
                        Ok(reply) => {
                            let (charset, now) = (reply.charset.as_deref(), self.clock.now());
                            let (next, output) = session.reply(&reply.body, charset, &mut self.device, now);
                            session = next;
                            // Before the requests of the ACS, whose changes another session confirms.
                            if session.is_initiated() {
                                self.confirm_contact(true);
                            }
                            self.report_to_watchers();
                            self.stop_outdated_test();
                            // A session may be long: the journal must not grow until its end.
                            self.compact();
                            output
                        }
                        Err(error) => return (session, Err(error.into())),
                    }
                }
            };
        }
    }

    /// Ends the retries.
    fn succeeded(&mut self) {
        log::info!("session finished");
        self.schedule.retry.succeeded();
        self.note_first_acs();
        self.network_watch = None;
        // R130: a success resets the count, which the next Inform carries as RetryCount.
        self.device.state_mut().retry_count = 0;
    }

    /// Schedules the next attempt.
    fn failed(&mut self, error: &SessionError, session: &Session) {
        let now = self.clock.now();
        // R22: the next attempt may start with any address again, since another one may work.
        self.device.state_mut().totals.address = None;
        let wait = self.schedule.retry.failed(now, self.device.retry_policy(), error.retry_after(), random());
        self.device.state_mut().retry_count = self.schedule.retry.count();
        if !session.is_initiated() && suggests_oldest(error) {
            // R84: try CWMP 1.0 next. If 1.0 was already offered, the version was not the cause: offer all of them again.
            self.acs_quirks.only_oldest = !self.acs_quirks.only_oldest;
        }
        log::warn!("session failed: {error}; next attempt in {} s", wait.as_secs());
        self.watch_network(error.lacks_network());
    }

    /// Opens or closes the watch for a change of the network, which brings the retry of a failed session forward. It stays
    /// open during that retry, so that no change is missed. A change during the first session that fails is missed, whose
    /// retry comes within seconds (R127).
    fn watch_network(&mut self, lacks_network: bool) {
        self.schedule.retry.set_lacked_network(lacks_network);
        if !lacks_network {
            self.network_watch = None;
        } else if self.network_watch.is_none() {
            let inbox = Arc::clone(&self.inbox);
            let started = ChangeWatch::of_network(Box::new(move || inbox.network_changed()));
            // Without a watch the retry comes at its time.
            self.network_watch =
                started.inspect_err(|error| log::debug!("changes of the network are not seen: {error}")).ok();
        }
    }

    /// Brings the retry of a session forward that failed for want of a network.
    pub(super) fn on_network_changed(&mut self, now: Now) {
        if let Some(wait) = self.schedule.retry.network_changed(now, random()) {
            log::info!("the network has changed: next attempt in {} ms", wait.as_millis() as u64);
        }
    }

    /// Returns the CurrentTime of the Inform: local time with its offset to UTC, or the time since boot while the clock is
    /// not set (R97).
    fn current_time(&self) -> DateTime {
        let now = self.clock.now();
        if now.clock_is_set() {
            DateTime::from_unix(now.wall, self.zone.offset_minutes(now.wall))
        } else {
            DateTime::since_boot(now.monotonic)
        }
    }

    /// Rewrites the journal if it has grown. Callers do so between two messages or after a reply, since a rewrite takes
    /// longer than an append.
    pub(super) fn compact(&mut self) {
        let mut store = self.store.borrow_mut();
        if !store.wants_compaction() {
            return;
        }
        match store.compact(&self.device.snapshot()) {
            Ok(()) => self.device.rewritten(),
            Err(error) => log::warn!("cannot rewrite the journal, which keeps growing: {error}"),
        }
    }
}

/// Returns true if an ACS that knows only CWMP 1.0 may have caused the failure by rejecting a newer namespace (R84).
fn suggests_oldest(error: &SessionError) -> bool {
    match error {
        SessionError::InformFault { .. } | SessionError::Soap(_) | SessionError::Version(_) => true,
        SessionError::UnexpectedEmpty | SessionError::NoInformResponse => true,
        // Status 401, 402, 403 and 404 concern credentials and the URL, and 5xx from 502 on a proxy or an overload.
        SessionError::Http(HttpError::Status { code, .. }) => matches!(code, 400 | 405..=499 | 500 | 501),
        _ => false,
    }
}
