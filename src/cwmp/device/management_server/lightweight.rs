//! The settings of lightweight notification (Annex M).

use super::{Device, parameter};
use crate::schedule::PeriodicSettings;
use crate::url::Url;

/// The port of lightweight notifications in models without UDPLightweightNotificationPort (R306).
const DEFAULT_PORT: u16 = 7547;

/// The destination of lightweight notifications, and the time of the passive ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightweightSettings {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The interval at which passive notifications are sent; `None` if they only go with active ones.
    pub trigger: Option<PeriodicSettings>,
}

impl Device {
    /// Returns true if the model has lightweight notification over UDP (R199).
    pub fn has_lightweight_notification(&self) -> bool {
        self.lists_udp(parameter::LIGHTWEIGHT_SUPPORTED)
    }

    /// Returns the settings of lightweight notification; `None` if it is turned off (R306, R307).
    pub fn lightweight_settings(&self) -> Option<LightweightSettings> {
        if !self.has_lightweight_notification() || !self.lists_udp(parameter::LIGHTWEIGHT_USED) {
            return None;
        }
        let host = match self.management_server_text(parameter::LIGHTWEIGHT_HOST) {
            host if host.is_empty() => Url::parse(&self.acs_url()).ok()?.host().to_string(),
            host => host,
        };
        let port = self.number(parameter::LIGHTWEIGHT_PORT).and_then(|port| port.try_into().ok());
        let port = port.filter(|port| *port > 0).unwrap_or(DEFAULT_PORT);
        let has_interval = self.number(parameter::LIGHTWEIGHT_INTERVAL).is_some_and(|seconds| seconds > 0);
        let trigger = has_interval.then(|| self.interval(parameter::LIGHTWEIGHT_INTERVAL, parameter::LIGHTWEIGHT_TIME));
        Some(LightweightSettings { host, port, trigger: trigger.flatten() })
    }

    fn lists_udp(&self, parameter: &str) -> bool {
        self.management_server_text(parameter).split(',').any(|protocol| protocol.trim() == "UDP")
    }
}
