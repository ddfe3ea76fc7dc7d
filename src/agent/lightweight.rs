//! Lightweight notifications: datagrams to the ACS for changed values, at once or at an interval (R306, R307).
//!
//! A datagram has no response and is not repeated. The name of the host is resolved on a thread of its own, which then sends.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Agent, random};
use crate::clock::Now;
use crate::cwmp::device::LightweightSettings;
use crate::cwmp::lightweight::datagrams;
use crate::http::look_up;
use crate::log;
use crate::schedule::Periodic;

/// The least time between two notifications: changes often come several at a time, and a storm of them must not become one of
/// datagrams.
const GAP: Duration = Duration::from_millis(200);

/// The time of notifications.
#[derive(Default)]
pub(super) struct LightweightNotifier {
    /// The interval of passive notifications, while some wait.
    trigger: Periodic,
    /// True while a thread resolves the name of the host.
    is_busy: Arc<AtomicBool>,
    /// The instant of the monotonic clock before which none is sent.
    not_before: Duration,
    /// True if a notification waits for that instant.
    waits: bool,
}

impl LightweightNotifier {
    /// Returns the instant of the next notification, as far as it is known.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.trigger.deadline().into_iter().chain(self.waits.then_some(self.not_before)).min()
    }
}

impl Agent {
    /// Sends the notifications that are due. No session runs.
    pub(super) fn poll_lightweight(&mut self, now: Now) {
        let pending = &self.device.state().lightweight;
        let settings = (!pending.is_empty()).then(|| self.device.lightweight_settings()).flatten();
        let notifier = &mut self.lightweight;
        notifier.trigger.set(settings.as_ref().and_then(|settings| settings.trigger), now);
        let Some(settings) = settings else {
            notifier.waits = false;
            // R307: without a protocol, a change is not reported later either.
            if !pending.is_empty() {
                self.device.state_mut().lightweight.clear();
            }
            return;
        };
        let is_active = |name: &String| {
            self.device.tree().parameter(name).is_ok_and(|p| p.attributes().notification.is_active_lightweight())
        };
        notifier.waits |= notifier.trigger.poll(now) || pending.iter().any(is_active);
        if !notifier.waits || now.monotonic < notifier.not_before {
            return;
        }
        notifier.not_before = now.monotonic.saturating_add(GAP);
        // One look-up at a time: a resolver that hangs must not cost a thread for each change.
        if !self.is_enabled() || self.lightweight.is_busy.swap(true, Ordering::Relaxed) {
            return;
        }
        self.send_lightweight(&settings, now);
        self.lightweight.waits = false;
        self.device.state_mut().lightweight.clear();
    }

    fn send_lightweight(&self, settings: &LightweightSettings, now: Now) {
        let names = self.device.state().lightweight.iter();
        let nonce = || format!("{:016x}", random());
        let datagrams = datagrams(&self.device, names, &settings.host, now, nonce);
        log::debug!("lightweight notification: {} datagrams to {}", datagrams.len(), settings.host);
        let is_busy = Arc::clone(&self.lightweight.is_busy);
        let send = move |found: io::Result<Vec<SocketAddr>>| {
            if let Err(error) = found.and_then(|addresses| send(&addresses, &datagrams)) {
                log::debug!("lightweight notification: {error}");
            }
            is_busy.store(false, Ordering::Relaxed);
        };
        if let Err(error) = look_up(&settings.host, settings.port, Box::new(send)) {
            log::debug!("lightweight notification: {error}");
            self.lightweight.is_busy.store(false, Ordering::Relaxed);
        }
    }
}

/// Sends datagrams to the first of the addresses.
fn send(addresses: &[SocketAddr], datagrams: &[Vec<u8>]) -> io::Result<()> {
    let Some(address) = addresses.first() else { return Ok(()) };
    let local: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(local)?;
    datagrams.iter().try_for_each(|datagram| socket.send_to(datagram, address).map(drop))
}
