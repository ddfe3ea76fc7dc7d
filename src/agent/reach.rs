//! How the ACS reaches the agent: the listener for connection requests, and the address that the ACS is told of.
//!
//! ```text
//! HttpListener ──accepted──▶ `requested` ──▶ Agent: 6 CONNECTION REQUEST, as soon as no session runs
//! connection to the ACS ──our address──▶ ConnectionRequestURL
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::{Agent, Wake};
use crate::clock::Now;
use crate::connection_request::{Gate, HttpListener, Limits, Settings, connection_request_url};

/// How long a port that could not be had is left alone.
const LISTEN_AGAIN: Duration = Duration::from_secs(30);

/// The listener and what it shares with the agent.
pub(super) struct Reach {
    gate: Arc<Gate>,
    waker: SyncSender<Wake>,
    /// Whether a request was accepted that no session has answered yet.
    requested: Arc<AtomicBool>,
    http: Option<HttpListener>,
    /// When a port that could not be had is tried again.
    listen_at: Option<Duration>,
    /// Our address towards the ACS.
    address: Option<IpAddr>,
}

impl Reach {
    pub(super) fn new(waker: SyncSender<Wake>) -> Reach {
        Reach { gate: Arc::default(), waker, requested: Arc::default(), http: None, listen_at: None, address: None }
    }

    /// Whether the ACS has asked for a session since this was last called.
    pub(super) fn take_request(&self) -> bool {
        self.requested.swap(false, Ordering::AcqRel)
    }

    /// When to try again to listen.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.listen_at
    }

    fn listen(&mut self, at: SocketAddr, now: Now) {
        if self.listen_at.is_some_and(|again| now.monotonic < again) {
            return;
        }
        self.listen_at = None;
        let (requested, waker) = (Arc::clone(&self.requested), self.waker.clone());
        let wake = move || {
            requested.store(true, Ordering::Release);
            // Where the channel is full, the agent has enough to wake up for.
            let _ = waker.try_send(Wake::Requested);
        };
        match HttpListener::start(at, Limits::default(), Arc::clone(&self.gate), wake) {
            Ok(listener) => {
                log::info!("connection requests at {}", listener.local_addr());
                self.http = Some(listener);
            }
            Err(error) => {
                log::error!("no connection requests at {at}: {error}");
                self.listen_at = Some(now.monotonic + LISTEN_AGAIN);
            }
        }
    }

    /// What the ACS is told; empty while it cannot reach us (R267).
    fn url(&self, path: &str) -> Option<String> {
        let Some(listener) = &self.http else { return Some(String::new()) };
        let bound = listener.local_addr();
        let address = if bound.ip().is_unspecified() { self.address? } else { bound.ip() };
        Some(connection_request_url(SocketAddr::new(address, bound.port()), path))
    }
}

impl Agent<'_> {
    /// Takes over the parameters that say who may reach the agent, and opens or closes the port (R7, R267).
    pub(super) fn follow_listeners(&mut self, now: Now) {
        let settings = Settings {
            username: self.device.management_server_text("ConnectionRequestUsername"),
            password: self.device.management_server_text("ConnectionRequestPassword").into(),
            path: self.device.state().request_path.clone(),
        };
        if *self.reach.gate.settings() != settings {
            self.reach.gate.replace(settings);
        }
        let enabled = self.is_enabled() && self.device.management_server_flag("HTTPConnectionRequestEnable", true);
        let was_open = self.reach.http.is_some();
        if !enabled {
            self.reach.http = None;
            self.reach.listen_at = None;
        } else if !was_open {
            self.reach.listen(self.config.listen, now);
        }
        if was_open != self.reach.http.is_some() {
            self.tell_address();
        }
    }

    /// Our address towards the ACS, as the connection to it shows (R266).
    pub(super) fn follow_address(&mut self, address: IpAddr) {
        if self.reach.address != Some(address) {
            self.reach.address = Some(address);
            self.tell_address();
        }
    }

    fn tell_address(&mut self) {
        if let Some(url) = self.reach.url(&self.device.state().request_path) {
            let name = self.device.management_server_name("ConnectionRequestURL");
            self.device.provide(&name, &url);
        }
    }
}
