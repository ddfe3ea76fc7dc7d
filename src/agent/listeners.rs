//! Listeners for connection requests, and the addresses at which the ACS reaches them.
//!
//! ```text
//! HttpListener ──accepted request──┐
//! UdpListener ───accepted request──┴▶ Inbox ──▶ Agent: 6 CONNECTION REQUEST, as soon as no session runs
//!   └─ STUN ─────public address──────▶ Inbox ──▶ UDPConnectionRequestAddress, NATDetected
//! connection to the ACS, UDP thread ──local address──▶ ConnectionRequestURL
//! ```

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::inbox::Inbox;
use super::status::ListenerStatus;
use super::{Agent, Disabled};
use crate::clock::Now;
use crate::connection_request::{
    AccessSettings, HttpListener, Limits, ListenerState, ReplayWindow, UdpConfig, UdpEvent, UdpListener,
    connection_request_url, local_addr_towards,
};
use crate::cwmp::device::PublishedAddress;
use crate::cwmp::event::{Event, EventCode};
use crate::log::{self, Level};
use crate::stun::PublishedBinding;

/// The pause before the next attempt to open a port that another program holds.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// The listeners, and the state that they share with the agent.
pub(super) struct Listeners {
    state: Arc<ListenerState>,
    inbox: Arc<Inbox>,
    http: RetryingListener<HttpListener>,
    udp: RetryingListener<UdpListener>,
    /// The configuration that the UDP listener received last.
    udp_config: UdpConfig,
    /// The address of this device towards the ACS.
    address: Option<IpAddr>,
    /// The address of the ACS at the last connection.
    acs_address: Option<SocketAddr>,
    /// The instants at which the ACS last received a new value of each limited notification, on the monotonic clock.
    reported_at: [Option<Duration>; 2],
    /// True if the state has a replay window that is not stored yet.
    has_new_window: bool,
}

/// A listener that is open, closed, or closed and to be opened again later.
struct RetryingListener<L> {
    listener: Option<L>,
    retry_at: Option<Duration>,
    /// The error of the last attempt to open it, as text.
    failure: Option<String>,
}

impl<L> RetryingListener<L> {
    const CLOSED: RetryingListener<L> = RetryingListener { listener: None, retry_at: None, failure: None };

    /// Tries to open the listener unless it is open or its pause has not passed. Returns true if it tried.
    fn open(&mut self, words: &str, at: SocketAddr, now: Now, start: impl FnOnce() -> io::Result<L>) -> bool {
        if self.listener.is_some() || self.retry_at.is_some_and(|again| now.monotonic < again) {
            return false;
        }
        match start() {
            Ok(listener) => *self = RetryingListener { listener: Some(listener), ..RetryingListener::CLOSED },
            Err(error) => {
                let level = self.on_failure(&error, now);
                log::log!(level, "no connection requests over {words} at {at}: {error}");
            }
        }
        true
    }

    /// Records a failed attempt. Returns the level of its log line: an error repeated by each attempt is logged once only,
    /// since a port may stay taken for years.
    fn on_failure(&mut self, error: &io::Error, now: Now) -> Level {
        self.retry_at = Some(now.monotonic + RETRY_INTERVAL);
        let failure = Some(error.to_string());
        // Another error is another cause, which the operator has not seen yet.
        if self.failure == failure {
            return Level::Debug;
        }
        self.failure = failure;
        Level::Error
    }

    /// Closes the listener. Returns true if it was open.
    fn close(&mut self) -> bool {
        mem::replace(self, RetryingListener::CLOSED).listener.is_some()
    }
}

impl Listeners {
    pub(super) fn new(inbox: Arc<Inbox>) -> Listeners {
        Listeners {
            state: Arc::default(),
            inbox,
            http: RetryingListener::CLOSED,
            udp: RetryingListener::CLOSED,
            udp_config: UdpConfig::default(),
            address: None,
            acs_address: None,
            reported_at: [None; 2],
            has_new_window: false,
        }
    }

    /// Notes the start and the end of a session.
    pub(super) fn set_in_session(&self, is_in_session: bool) {
        self.state.set_in_session(is_in_session);
    }

    /// Returns the settings and the counters that all ways of a connection request share.
    #[cfg(feature = "xmpp")]
    pub(super) fn state(&self) -> &Arc<ListenerState> {
        &self.state
    }

    /// Returns the instant of the next attempt to open a port.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.http.retry_at.into_iter().chain(self.udp.retry_at).min()
    }

    /// Returns the open ports and their counters, for `status`.
    pub(super) fn listener_status(&self) -> ListenerStatus {
        ListenerStatus {
            state: Arc::clone(&self.state),
            http: self.http.listener.as_ref().map(HttpListener::local_addr),
            udp: self.udp.listener.as_ref().map(UdpListener::local_addr),
            stun: self.udp.listener.as_ref().map(UdpListener::stun),
        }
    }

    /// Tries to open the HTTP port if it is closed. Returns true if it tried, with or without success.
    fn open_http(&mut self, at: SocketAddr, now: Now) -> bool {
        let (inbox, state) = (Arc::clone(&self.inbox), Arc::clone(&self.state));
        // R259: it runs on the thread of the listener, which must not wait for the agent.
        let accepted = move || inbox.request_session(None);
        let start = || HttpListener::start(at, Limits::default(), state, accepted);
        let tried = self.http.open("HTTP", at, now, start);
        if let (true, Some(listener)) = (tried, &self.http.listener) {
            log::info!("connection requests at {}", listener.local_addr());
        }
        tried
    }

    /// Opens the UDP port if it is closed. `window` keeps copies of earlier requests out (R292).
    fn open_udp(&mut self, at: SocketAddr, window: ReplayWindow, now: Now) {
        let (inbox, state) = (Arc::clone(&self.inbox), Arc::clone(&self.state));
        let report = move |event: UdpEvent| match event {
            UdpEvent::Requested(window) => inbox.request_session(Some(window)),
            UdpEvent::Published(binding) => inbox.set_udp_address(binding),
            UdpEvent::Address(address) => inbox.set_address(address),
        };
        let udp_config = self.udp_config.clone();
        let start = || UdpListener::start(at, Limits::default().accepted, state, window, udp_config, report);
        let tried = self.udp.open("UDP", at, now, start);
        if let (true, Some(listener)) = (tried, &self.udp.listener) {
            log::info!("UDP connection requests at {}", listener.local_addr());
        }
    }

    /// Hands a changed configuration to the UDP listener.
    fn set_config(&mut self, udp_config: UdpConfig) {
        if self.udp_config != udp_config {
            self.udp_config = udp_config;
            if let Some(listener) = &self.udp.listener {
                listener.set_config(self.udp_config.clone());
            }
        }
    }

    /// Closes the ports. The next turn opens them at the addresses of the current configuration.
    pub(super) fn close(&mut self) {
        self.http.close();
        self.udp.close();
    }

    /// Returns the ConnectionRequestURL: empty while the port is closed (R267), `None` while the local address is unknown.
    fn url(&self, path: &str) -> Option<String> {
        let Some(listener) = &self.http.listener else { return Some(String::new()) };
        let bound = listener.local_addr();
        // A port on all addresses is reached at the one that the route to the ACS begins with.
        let address = if bound.ip().is_unspecified() { self.address? } else { bound.ip() };
        if bound.is_ipv4() && address.to_canonical().is_ipv6() {
            // The ACS is reached over IPv6, and the listener has an IPv4 port only: a URL would lead nowhere.
            return Some(String::new());
        }
        Some(connection_request_url(SocketAddr::new(address, bound.port()), path))
    }
}

impl Agent {
    /// Applies the parameters that grant access to the agent, and opens or closes the ports (R7, R267, R288).
    pub(super) fn apply_listener_settings(&mut self, now: Now) {
        let settings = AccessSettings {
            username: self.device.connection_request_username(),
            password: self.device.connection_request_password(),
            path: self.device.state().request_path.clone(),
        };
        let before = self.listeners.state.settings();
        if *before != settings {
            // A window window belongs to one pair of credentials: another ACS counts its timestamps in its own way. The
            // first settings after a start keep the window of the last run, or copies of old requests would be accepted.
            if *before != AccessSettings::default() && !before.same_credentials(&settings) {
                self.device.state_mut().last_udp_request = None;
            }
            self.listeners.state.replace(settings);
        }
        self.listeners.set_config(UdpConfig { stun: self.device.stun_settings(), acs: self.listeners.acs_address });
        // R7: EnableCWMP = false closes both ports. An empty URL of the ACS does not.
        let enabled = self.why_disabled() != Some(Disabled::Cwmp);
        let http_enabled = enabled && self.device.is_http_connection_request_enabled();
        let changed = match http_enabled {
            true => self.listeners.open_http(self.config.listen, now),
            false => self.listeners.http.close(),
        };
        // R288: the UDP port is open without STUN, too, since there may be no NAT between ACS and device.
        if enabled {
            let window = self.device.state().last_udp_request;
            let window =
                window.map_or_else(ReplayWindow::default, |(timestamp, id)| ReplayWindow { timestamp, id: Some(id) });
            self.listeners.open_udp(self.config.udp_listen, window, now);
        } else {
            self.listeners.udp.close();
        }
        // An address that was published before the restart leads nowhere while another program holds the port.
        if self.listeners.udp.listener.is_none() && self.device.state().udp_address != PublishedAddress::default() {
            self.publish_udp_address(PublishedAddress::default());
            // With CWMP disabled, no session could report the change.
            if enabled {
                self.schedule_notification(now);
            }
        }
        if changed {
            // R267: the URL becomes empty, too, if a port was closed for another one that cannot be opened.
            self.publish_url();
            self.schedule_notification(now);
        }
    }

    /// Takes over the address of this device towards the ACS (R266).
    pub(super) fn on_address_changed(&mut self, address: IpAddr, now: Now) {
        self.set_address(address);
        self.schedule_notification(now);
    }

    /// Takes over the public address of the UDP port (R285).
    pub(super) fn on_udp_address_changed(&mut self, published: PublishedBinding, now: Now) {
        // The inbox may still hold an address of a port that was closed meanwhile: nothing is reached there any more.
        if self.listeners.udp.listener.is_none() {
            return;
        }
        self.publish_udp_address(PublishedAddress {
            address: published.address_text(),
            nat_detected: published.nat_detected,
        });
        self.schedule_notification(now);
    }

    /// Requests a session for the ACS that asked for one (R260, R262, R295).
    pub(super) fn on_connection_request(&mut self, replay_window: Option<ReplayWindow>) {
        if let Some(ReplayWindow { timestamp, id: Some(id) }) = replay_window {
            self.device.state_mut().last_udp_request = Some((timestamp, id));
            self.listeners.has_new_window = true;
        }
        self.raise(Event::new(EventCode::ConnectionRequest));
        self.acs_asked = true;
    }

    /// Stores the replay window, before the Inform or the next sleep: a session that starts at once connects meanwhile, which takes
    /// as long as the flash. R292: copies of the request may arrive after a crash, too, and must not be accepted then.
    pub(super) fn store_window(&mut self) {
        if std::mem::take(&mut self.listeners.has_new_window) {
            self.save();
        }
    }

    /// Takes over both addresses of a connection to the ACS. The session that is about to start reports them, so that no
    /// notification is scheduled.
    pub(super) fn on_connected(&mut self, acs_address: Option<SocketAddr>, ours: Option<SocketAddr>) {
        self.listeners.acs_address = acs_address.or(self.listeners.acs_address);
        if let Some(ours) = ours {
            self.set_address(ours.ip());
        }
    }

    /// Determines the local addresses towards the ACS and the STUN server anew (R266, R284). It asks the routing table and
    /// sends nothing; without a route the address stays as it is.
    pub(super) fn refresh_addresses(&mut self, now: Now) {
        if let Some(ours) = self.listeners.acs_address.and_then(local_addr_towards) {
            self.set_address(ours);
            self.schedule_notification(now);
        }
        if let Some(listener) = &self.listeners.udp.listener {
            listener.set_config(self.listeners.udp_config.clone());
        }
    }

    /// Stores the local address, and publishes the URL with it if it changed (R266).
    fn set_address(&mut self, address: IpAddr) {
        if self.listeners.address != Some(address) {
            self.listeners.address = Some(address);
            self.publish_url();
        }
    }

    /// Sets ConnectionRequestURL, unless the local address is not known yet.
    fn publish_url(&mut self) {
        if let Some(url) = self.listeners.url(&self.device.state().request_path) {
            self.device.publish_connection_request_url(&url);
        }
    }

    /// Sets UDPConnectionRequestAddress and NATDetected (R285). The values are stored: after a restart they are the best
    /// guess until the STUN server has answered.
    fn publish_udp_address(&mut self, published: PublishedAddress) {
        log::debug!("UDP connection requests arrive at {}", published.address);
        self.device.publish_udp_address(published);
    }

    /// Schedules a session for pending active notifications (R134, R198). A new value of a parameter with a limit, and no other
    /// value, waits for the end of that time after its last report (R287, R340).
    pub(super) fn schedule_notification(&mut self, now: Now) {
        if self.device.state().retry_count > 0 {
            // The pending retry reports the values, too. A session before it would break the retry interval (R128).
            return;
        }
        let limited = self.device.limited_notifications();
        let due = |name: &str| {
            let known = limited.iter().zip(self.listeners.reported_at).find(|((limited, _), _)| limited == name);
            let free_at = known.and_then(|((_, limit), at)| Some(at?.saturating_add(*limit)));
            now.monotonic.max(free_at.unwrap_or_default())
        };
        if let Some(at) = self.device.pending_notifications().map(due).min() {
            self.schedule.notification.session_wanted(at);
        }
    }

    /// Returns, for each limited notification, true if the next Inform reports a new value.
    pub(super) fn limited_reports(&self) -> [bool; 2] {
        let changed = &self.device.state().changed;
        self.device.limited_notifications().map(|(name, _)| changed.contains(&name))
    }

    /// Records which of the limited notifications that were pending before a session the ACS has received.
    pub(super) fn note_limited_reports(&mut self, before: [bool; 2], now: Now) {
        let after = self.limited_reports();
        for (at, reported_at) in self.listeners.reported_at.iter_mut().enumerate() {
            if before[at] && !after[at] {
                *reported_at = Some(now.monotonic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_port_that_stays_taken_does_not_fill_the_log() {
        let mut listener: RetryingListener<()> = RetryingListener::CLOSED;
        let at = |seconds| Now { monotonic: Duration::from_secs(seconds), wall: 0 };
        let [taken, forbidden] = [ErrorKind::AddrInUse, ErrorKind::PermissionDenied].map(io::Error::from);
        assert_eq!(
            [0, 30, 60].map(|now| listener.on_failure(&taken, at(now))),
            [Level::Error, Level::Debug, Level::Debug]
        );
        assert_eq!(listener.retry_at, Some(at(90).monotonic));
        assert_eq!(listener.on_failure(&forbidden, at(90)), Level::Error);
        let port = SocketAddr::from(([127, 0, 0, 1], 0));
        assert!(!listener.open("UDP", port, at(91), || Ok(())), "not yet");
        assert!(listener.open("UDP", port, at(120), || Ok(())) && listener.close());
        assert_eq!(listener.on_failure(&taken, at(121)), Level::Error, "logged again");
    }
    /// R255, R266.
    #[test]
    fn the_url_has_an_address_where_somebody_listens() {
        let mut listeners = Listeners::new(Arc::default());
        assert_eq!(listeners.url("/p").as_deref(), Some(""), "closed");
        assert!(listeners.open_http(([0, 0, 0, 0], 0).into(), Now { monotonic: Duration::ZERO, wall: 0 }));
        assert_eq!(listeners.url("/p"), None, "not known yet");
        listeners.address = Some([192, 0, 2, 1].into());
        let url = listeners.url("/p").unwrap();
        assert!(url.starts_with("http://192.0.2.1:") && url.ends_with("/p"), "{url}");
        listeners.address = Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into());
        assert_eq!(listeners.url("/p").as_deref(), Some(""), "a port for IPv4 only");
    }
}
