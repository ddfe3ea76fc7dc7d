//! Connection requests over XMPP: the connection that ConnReqXMPPConnection refers to (Annex K).
//!
//! ```text
//!   parameters ─▶ apply_xmpp_settings ─▶ XmppListener, on a thread of its own ─▶ Inbox ──┬▶ 6 CONNECTION REQUEST
//!                                                                                        └▶ Status, JabberID, ConnReqJabberID
//! ```

use std::sync::Arc;
use std::time::Duration;

use super::{Agent, Disabled, tls_settings};
use crate::clock::Now;
use crate::connection_request::{Limits, XmppEvent, XmppListener};
use crate::cwmp::event::EventCode;
use crate::http::TlsSettings;
use crate::log;
use crate::xmpp::{Settings, Status};

pub(super) use crate::connection_request::XmppState;

/// The longest time for which the session of a start or of the end of a standby waits for the connection.
const SETUP: Duration = Duration::from_secs(5);

/// The connection, if one is configured.
#[derive(Default)]
pub(super) struct XmppLink {
    open: Option<(Settings, TlsSettings, XmppListener)>,
    state: Option<XmppState>,
    /// The instant of the monotonic clock until which no session starts while the connection is set up.
    awaited_until: Option<Duration>,
}

impl XmppLink {
    /// Returns the state of the connection; `None` if none is configured.
    pub(super) fn state(&self) -> Option<&XmppState> {
        self.state.as_ref()
    }

    /// Returns the instant until which no session starts; `None` if none is held back. The session that tells a boot or the end of
    /// a standby finds the connection open, and reports its address (R300).
    pub(super) fn held_until(&self, now: Now) -> Option<Duration> {
        self.awaited_until.filter(|until| *until > now.monotonic)
    }
}

impl Agent {
    /// Publishes the values of the last run.
    pub(super) fn begin_xmpp(&mut self) {
        self.device.publish_request_methods();
        self.device.republish_jabber_id();
    }

    /// Opens or closes the connection, or opens another one, as the parameters ask for. Without a reference to a connection
    /// nothing exists of it.
    pub(super) fn apply_xmpp_settings(&mut self, now: Now) {
        // R7: EnableCWMP = false forbids connection requests.
        let enabled = self.why_disabled() != Some(Disabled::Cwmp);
        let settings = self.device.xmpp_settings().filter(|_| enabled);
        // The client certificate is for the ACS alone: the account at the server has a password.
        let tls = TlsSettings { ca_file: tls_settings(&self.config).ca_file, ..TlsSettings::default() };
        let is_same = match (&settings, &self.xmpp.open) {
            (Some(wanted), Some((settings, with, _))) => wanted == settings && tls == *with,
            (wanted, open) => wanted.is_none() && open.is_none(),
        };
        if !is_same {
            // The old connection ends before the new one begins: the server knows one account.
            self.close_xmpp();
            if let Some(settings) = settings {
                self.open_xmpp(settings, tls, now);
            }
        }
        let status = self.xmpp.state.as_ref().map(|state| state.status);
        if self.device.publish_xmpp_status(status, now) {
            self.schedule_notification(now);
        }
    }

    /// Closes the connection, which the next turn opens anew if the parameters ask for it.
    pub(super) fn close_xmpp(&mut self) {
        self.xmpp = XmppLink::default();
    }

    fn open_xmpp(&mut self, settings: Settings, tls: TlsSettings, now: Now) {
        let inbox = Arc::clone(&self.inbox);
        let report = move |event: XmppEvent| match event {
            XmppEvent::Requested => inbox.request_session(None),
            XmppEvent::Changed(state) => inbox.set_xmpp(state),
        };
        let (rate, state) = (Limits::default().accepted, Arc::clone(self.listeners.state()));
        match XmppListener::start(settings.clone(), tls.clone(), rate, state, report) {
            Ok(listener) => {
                self.xmpp.open = Some((settings, tls, listener));
                self.xmpp.state = Some(XmppState::of(Status::Connecting));
                let events = &self.device.state().events;
                let is_start = events.contains(&EventCode::Boot) || events.contains(&EventCode::Wakeup);
                self.xmpp.awaited_until = is_start.then(|| now.monotonic + SETUP);
            }
            // The next turn tries again.
            Err(error) => log::error!("no connection requests over XMPP: {error}"),
        }
    }

    /// Takes over the state of the connection.
    pub(super) fn on_xmpp_changed(&mut self, state: XmppState, now: Now) {
        // The inbox may still hold the state of a connection that was closed meanwhile.
        if self.xmpp.open.is_none() {
            return;
        }
        if let Some(jabber_id) = &state.jabber_id {
            self.device.publish_jabber_id(jabber_id);
        }
        self.device.publish_xmpp_status(Some(state.status), now);
        if state.status != Status::Connecting {
            self.xmpp.awaited_until = None;
        }
        self.xmpp.state = Some(state);
        self.schedule_notification(now);
    }
}
