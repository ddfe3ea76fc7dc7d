//! The echo service of UDPEchoConfig: opened and closed as its parameters say. Without it there is neither thread nor socket.

use std::sync::Arc;
use std::time::Duration;

use super::super::Agent;
use crate::clock::Now;
use crate::diagnostics::{EchoService, EchoSettings};
use crate::log;

/// The pause before the next attempt to open a port that another program holds.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// The parameters of the service, whose change opens it anew.
const PARAMETERS: [&str; 4] = ["SourceIPAddress", "UDPPort", "EchoPlusEnabled", "Interface"];

/// The echo service, and the parameters by which it runs.
#[derive(Default)]
pub(super) struct EchoState {
    service: Option<EchoService>,
    /// The texts of the parameters that were applied last; empty while the service is disabled.
    applied: Vec<String>,
    /// The instant of the next attempt to open the port, on the monotonic clock.
    retry_at: Option<Duration>,
}

impl EchoState {
    /// Returns the instant of the next attempt to open the port.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.retry_at
    }
}

impl Agent {
    /// Opens, closes or opens anew the echo service if its parameters have changed.
    pub(super) fn apply_echo_settings(&mut self, now: Now) {
        let object = self.device.echo_object();
        let text = |name: &str| self.device.tree().get(&format!("{object}{name}")).map(|value| value.to_string());
        let is_enabled = matches!(text("Enable").as_deref(), Some("true" | "1"));
        let mut wanted = Vec::new();
        if is_enabled {
            PARAMETERS.iter().for_each(|name| wanted.push(text(name).unwrap_or_default()));
        }
        let echo = &mut self.tests.echo;
        let is_new = echo.applied != wanted;
        if !is_new && echo.retry_at.is_none_or(|retry_at| now.monotonic < retry_at) {
            return;
        }
        echo.retry_at = None;
        // The old service has closed its port before the new one opens it.
        echo.service = None;
        echo.applied = wanted.clone();
        let [source, port, plus, interface] = &wanted[..] else { return log::info!("no echo service") };
        let (Ok(source), Ok(port @ 1..)) = (source.parse(), port.parse::<u16>()) else {
            return log::warn!("{object}Enable: no echo service without SourceIPAddress and UDPPort");
        };
        let is_plus = matches!(plus.as_str(), "true" | "1");
        let devices = self.devices_of(interface, now);
        let settings = EchoSettings { source, port, is_plus, devices };
        self.start_echo_service(&settings, is_new, now);
    }

    fn start_echo_service(&mut self, settings: &EchoSettings, is_new: bool, now: Now) {
        let counters = Arc::default();
        match EchoService::start(settings, Arc::clone(&counters)) {
            Ok(service) => {
                log::info!("echo service at UDP port {} for {}", settings.port, settings.source);
                self.device.set_echo_counters(counters);
                self.tests.echo.service = Some(service);
            }
            Err(error) => {
                // A port may stay taken for years.
                let level = if is_new { log::Level::Error } else { log::Level::Debug };
                log::log!(level, "no echo service at UDP port {}: {error}", settings.port);
                self.tests.echo.retry_at = Some(now.monotonic + RETRY_INTERVAL);
            }
        }
    }
}
