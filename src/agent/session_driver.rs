//! One session with the ACS, from the TCP connection to what follows from its end.

use std::net::SocketAddr;

use super::last_session::LastSession;
use super::{Agent, random};
use crate::acs::{self, AcsConnection};
use crate::cwmp::session::{Output, Session, SessionConfig};
use crate::cwmp::session_error::SessionError;
use crate::cwmp::version::{self, Version};
use crate::http::HttpError;
use crate::model::date_time::DateTime;
use crate::url::Url;

/// What earlier sessions have taught about the ACS at a URL; forgotten with the URL, and when the agent ends.
#[derive(Debug, Default)]
pub(super) struct AcsQuirks {
    url: String,
    /// It seems to speak CWMP 1.0 only (R84).
    only_oldest: bool,
    /// It asks for Basic: over TLS the credentials go out with the first request (R58).
    wants_basic: bool,
    /// It closes TCP connections without saying so.
    closes_silently: bool,
    /// Which of its addresses was good the last time (R22).
    address: Option<SocketAddr>,
}

impl Agent {
    /// Holds one session, and decides what comes after it.
    pub(super) fn run_session(&mut self) {
        let began = self.clock.now();
        self.schedule.retry.started();
        let url = self.device.acs_url();
        if self.acs_quirks.url != url {
            self.acs_quirks = AcsQuirks { url: url.clone(), ..AcsQuirks::default() };
        }
        let connection = self.connect(self.acs_settings(began.clock_is_set()));
        if let Ok(connection) = &connection {
            self.acs_quirks.address = connection.remote_addr();
            self.on_connected(connection.remote_addr(), connection.local_addr());
        }
        // What has come until now is told by this very Inform: GenieACS asks over HTTP and UDP at once (R262).
        for wake in self.inbox.take_listener_updates() {
            self.handle(wake);
        }
        self.session_wanted = false;
        self.schedule.notification.session_started();
        let reports_udp_address = self.reports_udp_address();
        let offered = if self.acs_quirks.only_oldest { version::OLDEST } else { version::ALL };
        let config = SessionConfig { current_time: self.current_time(), offered };
        let (session, first) = Session::start(&config, &mut self.device);
        let events: Vec<String> = self.device.state().events.announced().map(|event| event.code.to_string()).collect();
        // Neither user information nor a query belongs in the log. What is wrong with one is told by the failure.
        if let Ok(url) = Url::parse(&url) {
            log::info!("session with {url}: {}", events.join(", "));
        }
        let (session, result) = match connection {
            Ok(connection) => self.drive(connection, session, first),
            Err(error) => (session, Err(error.into())),
        };
        self.device.state_mut().events.session_ended();
        if reports_udp_address && !self.reports_udp_address() {
            self.udp_address_was_reported(self.clock.now());
        }
        match &result {
            Ok(()) => self.succeeded(),
            Err(error) => self.failed(error, &session),
        }
        self.request_follow_up(session.version());
        self.save();
        self.compact();
        let took = self.clock.now().monotonic.saturating_sub(began.monotonic);
        self.last_session = Some(LastSession { began: began.wall, took, events, error: result.err() });
    }

    /// Opens the connection as the ACS is known to need it, before Inform is written: the address that it has on our
    /// side is the one at which the ACS reaches us.
    fn connect(&self, settings: acs::AcsSettings) -> Result<AcsConnection, HttpError> {
        let mut connection = AcsConnection::open(settings)?;
        if self.acs_quirks.wants_basic {
            connection.assume_basic();
        }
        if self.acs_quirks.closes_silently {
            connection.expect_silent_close();
        }
        if let Some(address) = self.acs_quirks.address {
            connection.prefer_address(address);
        }
        connection.connect()?;
        Ok(connection)
    }

    /// Holds the conversation, and notes what it teaches.
    fn drive(
        &mut self,
        mut connection: AcsConnection,
        session: Session,
        first: Output,
    ) -> (Session, Result<(), SessionError>) {
        let end = self.exchange(&mut connection, session, first);
        self.acs_quirks.wants_basic = connection.is_basic();
        self.acs_quirks.closes_silently = connection.closes_silently();
        end
    }

    /// What the session has not told needs one of its own: events that came while it ran (R134), and what it left
    /// aside for a HEARTBEAT (R303).
    pub(super) fn request_follow_up(&mut self, version: Version) {
        let state = self.device.state();
        self.session_wanted |= state.events.is_due(state.session_context(version));
        self.schedule_notification(self.clock.now());
    }

    /// Posts what the session says and hands it the answers, until it ends.
    fn exchange(
        &mut self,
        connection: &mut AcsConnection,
        mut session: Session,
        mut output: Output,
    ) -> (Session, Result<(), SessionError>) {
        loop {
            output = match output {
                Output::End(result) => return (session, result),
                Output::Post(body) => match connection.post(&body) {
                    Ok(reply) => {
                        let (next, output) = session.reply(&reply.body, &mut self.device, self.clock.now());
                        session = next;
                        output
                    }
                    Err(error) => return (session, Err(error.into())),
                },
            };
        }
    }

    fn succeeded(&mut self) {
        log::info!("session done");
        self.schedule.retry.succeeded();
        self.device.state_mut().retry_count = 0; // R130
    }

    fn failed(&mut self, error: &SessionError, session: &Session) {
        let now = self.clock.now();
        self.acs_quirks.address = None; // R22: another may do better
        let wait = self.schedule.retry.failed(now, self.device.retry_policy(), error.retry_after(), random());
        self.device.state_mut().retry_count = self.schedule.retry.count();
        if !session.is_initiated() && suggests_oldest(error) {
            self.acs_quirks.only_oldest = !self.acs_quirks.only_oldest; // R84: and where it was that already, it was not the reason
        }
        log::warn!("session failed: {error}; next attempt in {} s", wait.as_secs());
    }

    /// R97: local time with its offset to UTC, or the time since boot while the date is not known.
    fn current_time(&self) -> DateTime {
        let now = self.clock.now();
        if now.clock_is_set() {
            DateTime::from_unix(now.wall, self.zone.offset_minutes(now.wall))
        } else {
            DateTime::since_boot(now.monotonic)
        }
    }

    /// Rewrites the journal where it has grown, now that nobody waits for an answer.
    pub(super) fn compact(&mut self) {
        let mut store = self.store.borrow_mut();
        if !store.wants_compaction() {
            return;
        }
        match store.compact(&self.device.snapshot()) {
            Ok(()) => self.device.rewritten(),
            Err(error) => log::warn!("the journal could not be rewritten and keeps growing: {error}"),
        }
    }
}

/// R84: whether an ACS that knows only CWMP 1.0 would fail like this.
fn suggests_oldest(error: &SessionError) -> bool {
    match error {
        SessionError::InformFault { .. } | SessionError::Soap(_) | SessionError::Version(_) => true,
        SessionError::UnexpectedEmpty | SessionError::NoInformResponse => true,
        SessionError::Http(HttpError::Status { code, .. }) => matches!(code, 400 | 405..=499 | 500 | 501),
        _ => false,
    }
}
