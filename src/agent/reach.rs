//! How the ACS reaches the agent: the listeners for connection requests, and the addresses that the ACS is told of.
//!
//! ```text
//! HttpListener ──accepted─────────────┐
//! UdpListener ───accepted─────────────┴▶ News ──▶ Agent: 6 CONNECTION REQUEST, as soon as no session runs
//!   └─ STUN ─────the public address──────▶ News ──▶ UDPConnectionRequestAddress, NATDetected
//! connection to the ACS, and the UDP thread ──our address──▶ ConnectionRequestURL
//! ```
//!
//! The listeners never wait for the agent: what they have is kept in [`News`], the latest of each kind.

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::status::WaysIn;
use super::{Agent, Wake};
use crate::clock::Now;
use crate::connection_request::{
    Course, Gate, HttpListener, Limits, Replay, Report, Settings, UdpListener, connection_request_url,
};
use crate::cwmp::device::PublishedAddress;
use crate::cwmp::event::{Event, EventCode};
use crate::stun::{KeepAlivePeriods, Published, Server, Settings as StunSettings};
use crate::url::Url;

/// How long a port that could not be had is left alone.
const LISTEN_AGAIN: Duration = Duration::from_secs(30);

const URL: &str = "ConnectionRequestURL";
const UDP_ADDRESS: &str = "UDPConnectionRequestAddress";

/// The listeners and what they share with the agent.
pub(super) struct Reach {
    gate: Arc<Gate>,
    waker: SyncSender<Wake>,
    news: Arc<Mutex<News>>,
    http: Door<HttpListener>,
    udp: Door<UdpListener>,
    /// What the UDP listener was told to do.
    course: Course,
    /// Our address towards the ACS.
    address: Option<IpAddr>,
    /// An address of the ACS.
    acs: Option<SocketAddr>,
    /// When the ACS last heard of another UDPConnectionRequestAddress, on the monotonic clock.
    udp_address_told: Option<Duration>,
}

/// What the listeners have found out since the agent looked last.
#[derive(Default)]
struct News {
    /// Whether a request was accepted that no session has answered yet.
    requested: bool,
    /// The last request that was accepted over UDP.
    replay: Option<Replay>,
    published: Option<Published>,
    address: Option<IpAddr>,
}

/// A listener, or none and when to try again.
struct Door<L> {
    listener: Option<L>,
    again_at: Option<Duration>,
}

impl<L> Door<L> {
    const CLOSED: Door<L> = Door { listener: None, again_at: None };

    /// Opens it where it is closed; whether it was opened.
    fn open(&mut self, words: &str, at: SocketAddr, now: Now, start: impl FnOnce() -> io::Result<L>) -> bool {
        if self.listener.is_some() || self.again_at.is_some_and(|again| now.monotonic < again) {
            return false;
        }
        match start() {
            Ok(listener) => *self = Door { listener: Some(listener), again_at: None },
            Err(error) => {
                log::error!("no connection requests over {words} at {at}: {error}");
                self.again_at = Some(now.monotonic + LISTEN_AGAIN);
            }
        }
        self.listener.is_some()
    }

    /// Closes it; whether it was open.
    fn close(&mut self) -> bool {
        mem::replace(self, Door::CLOSED).listener.is_some()
    }
}

impl Reach {
    pub(super) fn new(waker: SyncSender<Wake>) -> Reach {
        Reach {
            gate: Arc::default(),
            waker,
            news: Arc::default(),
            http: Door::CLOSED,
            udp: Door::CLOSED,
            course: Course::default(),
            address: None,
            acs: None,
            udp_address_told: None,
        }
    }

    /// When to try again to listen.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.http.again_at.into_iter().chain(self.udp.again_at).min()
    }

    pub(super) fn ways_in(&self) -> WaysIn {
        WaysIn {
            gate: Arc::clone(&self.gate),
            http: self.http.listener.as_ref().map(HttpListener::local_addr),
            udp: self.udp.listener.as_ref().map(UdpListener::local_addr),
            stun: self.udp.listener.as_ref().map(UdpListener::stun),
        }
    }

    /// How a listener hands over what it has.
    fn reporter(&self) -> impl Fn(&mut dyn FnMut(&mut News)) + Send + 'static {
        let (news, waker) = (Arc::clone(&self.news), self.waker.clone());
        move |edit| {
            edit(&mut read(&news));
            // Where the channel is full, the agent has enough to wake up for.
            let _ = waker.try_send(Wake::News);
        }
    }

    /// Whether the port was opened just now.
    fn open_http(&mut self, at: SocketAddr, now: Now) -> bool {
        let (report, gate) = (self.reporter(), Arc::clone(&self.gate));
        let accepted = move || report(&mut |news| news.requested = true);
        let start = || HttpListener::start(at, Limits::default(), gate, accepted);
        let opened = self.http.open("HTTP", at, now, start);
        if let (true, Some(listener)) = (opened, &self.http.listener) {
            log::info!("connection requests at {}", listener.local_addr());
        }
        opened
    }

    fn open_udp(&mut self, at: SocketAddr, replay: Replay, now: Now) {
        let (report, gate) = (self.reporter(), Arc::clone(&self.gate));
        let report = move |found: Report| {
            report(&mut |news| match found {
                Report::Requested(replay) => (news.requested, news.replay) = (true, Some(replay)),
                Report::Published(published) => news.published = Some(published),
                Report::Address(address) => news.address = Some(address),
            });
        };
        let start = || UdpListener::start(at, Limits::default().accepted, gate, replay, report);
        let opened = self.udp.open("UDP", at, now, start);
        if let (true, Some(listener)) = (opened, &self.udp.listener) {
            log::info!("UDP connection requests at {}", listener.local_addr());
            listener.set_course(self.course.clone());
        }
    }

    fn set_course(&mut self, course: Course) {
        if self.course != course {
            self.course = course;
            if let Some(listener) = &self.udp.listener {
                listener.set_course(self.course.clone());
            }
        }
    }

    /// What the ACS is told; empty while it cannot reach us (R267).
    fn url(&self, path: &str) -> Option<String> {
        let Some(listener) = &self.http.listener else { return Some(String::new()) };
        let bound = listener.local_addr();
        let address = if bound.ip().is_unspecified() { self.address? } else { bound.ip() };
        Some(connection_request_url(SocketAddr::new(address, bound.port()), path))
    }
}

/// A panic elsewhere leaves nothing half done: each member is replaced as a whole.
fn read(news: &Mutex<News>) -> MutexGuard<'_, News> {
    news.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Agent<'_> {
    /// Takes over the parameters that say who may reach the agent, and opens or closes the ports (R7, R267, R288).
    pub(super) fn follow_listeners(&mut self, now: Now) {
        let settings = Settings {
            username: self.device.management_server_text("ConnectionRequestUsername"),
            password: self.device.management_server_text("ConnectionRequestPassword").into(),
            path: self.device.state().request_path.clone(),
        };
        if *self.reach.gate.settings() != settings {
            self.reach.gate.replace(settings);
        }
        self.reach.set_course(Course { stun: self.stun_settings(), acs: self.reach.acs });
        let enabled = self.is_enabled();
        let http_enabled = enabled && self.device.management_server_flag("HTTPConnectionRequestEnable", true);
        let changed = match http_enabled {
            true => self.reach.open_http(self.config.listen, now),
            false => self.reach.http.close(),
        };
        if enabled {
            let replay = self.device.state().last_udp_request;
            let replay = replay.map_or_else(Replay::default, |(timestamp, id)| Replay { timestamp, id: Some(id) });
            self.reach.open_udp(self.config.udp_listen, replay, now);
        } else if self.reach.udp.close() {
            self.publish_udp_address(PublishedAddress::default());
        }
        if changed {
            self.tell_url(now);
        }
    }

    /// R271, R282.
    fn stun_settings(&self) -> StunSettings {
        let number = |name: &str| self.device.management_server_number(name);
        let host = match self.device.management_server_text("STUNServerAddress") {
            host if host.is_empty() => {
                Url::parse(&self.device.management_server_text("URL")).map_or(host, |url| url.host().to_string())
            }
            host => host,
        };
        let usual = KeepAlivePeriods::default();
        let minimum = number("STUNMinimumKeepAlivePeriod").and_then(|seconds| u32::try_from(seconds).ok());
        let maximum = number("STUNMaximumKeepAlivePeriod").and_then(|seconds| i32::try_from(seconds).ok());
        StunSettings {
            enabled: self.device.management_server_flag("STUNEnable", false),
            server: Server {
                host,
                port: number("STUNServerPort").and_then(|port| port.try_into().ok()).unwrap_or(3478),
            },
            username: self.device.management_server_text("STUNUsername"),
            password: self.device.management_server_text("STUNPassword").into(),
            periods: match (minimum, maximum) {
                (None, None) => usual,
                (minimum, maximum) => KeepAlivePeriods::new(minimum.unwrap_or(30), maximum.unwrap_or(-1)),
            },
        }
    }

    /// Takes what the listeners have found out.
    pub(super) fn take_news(&mut self, now: Now) {
        let news = mem::take(&mut *read(&self.reach.news));
        if let Some(address) = news.address {
            self.follow_address(address, now);
        }
        if let Some(published) = news.published {
            self.publish_udp_address(PublishedAddress {
                address: published.address_text(),
                nat_detected: published.nat_detected,
            });
            self.notify(now);
        }
        if let Some(Replay { timestamp, id: Some(id) }) = news.replay {
            // R292: in the journal with the end of the session that follows.
            self.device.state_mut().last_udp_request = Some((timestamp, id));
        }
        if news.requested {
            self.raise(Event::new(EventCode::ConnectionRequest)); // R260, R262, R295: one session, however many asked
        }
    }

    /// The ACS and our address towards it, as the connection to it shows.
    pub(super) fn follow_connection(&mut self, acs: Option<SocketAddr>, ours: Option<SocketAddr>, now: Now) {
        self.reach.acs = acs.or(self.reach.acs);
        if let Some(ours) = ours {
            self.follow_address(ours.ip(), now);
        }
    }

    /// R266.
    fn follow_address(&mut self, address: IpAddr, now: Now) {
        if self.reach.address != Some(address) {
            self.reach.address = Some(address);
            self.tell_url(now);
        }
    }

    fn tell_url(&mut self, now: Now) {
        if let Some(url) = self.reach.url(&self.device.state().request_path) {
            let name = self.device.management_server_name(URL);
            self.device.provide(&name, &url);
            self.notify(now);
        }
    }

    /// R285. It is kept for the next start, when it is the best guess until the STUN server has answered.
    fn publish_udp_address(&mut self, published: PublishedAddress) {
        log::debug!("UDP connection requests reach us at {}", published.address);
        self.device.publish_udp_address(published);
    }

    /// A session for what the ACS is to be told at once (R134, R198). Another UDPConnectionRequestAddress, and nothing
    /// else, waits as long after the last one as UDPConnectionRequestAddressNotificationLimit says, in the models that
    /// have it (R287).
    pub(super) fn notify(&mut self, now: Now) {
        if self.device.state().retry_count > 0 {
            return; // the retry tells it
        }
        let udp_address = self.device.management_server_name(UDP_ADDRESS);
        let limit = self.device.management_server_number("UDPConnectionRequestAddressNotificationLimit");
        let limit = Duration::from_secs(limit.and_then(|seconds| seconds.try_into().ok()).unwrap_or(0));
        let free_at = self.reach.udp_address_told.map_or(Duration::ZERO, |told| told.saturating_add(limit));
        let due = |name: &str| if name == udp_address { now.monotonic.max(free_at) } else { now.monotonic };
        if let Some(at) = self.device.news().map(due).min() {
            self.schedule.notification.changed(at);
        }
    }

    /// Whether the Inform of this session tells another UDPConnectionRequestAddress.
    pub(super) fn tells_udp_address(&self) -> bool {
        self.device.state().changed.contains(&self.device.management_server_name(UDP_ADDRESS))
    }

    /// It has been told.
    pub(super) fn udp_address_was_told(&mut self, now: Now) {
        self.reach.udp_address_told = Some(now.monotonic);
    }
}
