//! The counters of the echo service (UDPEchoConfig), which its thread counts and the ACS reads.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Device;
use crate::cwmp::diagnostics::echo_object;
use crate::model::date_time::DateTime;

/// The counters of the echo service since it was enabled. They begin anew after 2^32.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EchoCounters {
    /// The requests of the configured host.
    pub packets_received: u32,
    /// The responses.
    pub packets_responded: u32,
    /// The bytes of the requests with the header of UDP.
    pub bytes_received: u32,
    /// The bytes of the responses with the header of UDP.
    pub bytes_responded: u32,
    /// The requests without a response, for UDP Echo Plus.
    pub failures: u32,
    /// The time of the first and the last request since the Unix epoch.
    pub first: Option<Duration>,
    /// The time of the last request since the Unix epoch.
    pub last: Option<Duration>,
}

impl EchoCounters {
    /// Counts a request of `size` bytes at a time since the Unix epoch.
    pub fn receive(&mut self, size: u32, at: Duration) {
        self.packets_received = self.packets_received.wrapping_add(1);
        self.bytes_received = self.bytes_received.wrapping_add(size);
        self.first.get_or_insert(at);
        self.last = Some(at);
    }

    /// Counts a response.
    pub fn respond(&mut self, size: u32) {
        self.packets_responded = self.packets_responded.wrapping_add(1);
        self.bytes_responded = self.bytes_responded.wrapping_add(size);
    }

    /// Returns the values by the names in the object.
    fn values(&self) -> [(&'static str, String); 6] {
        let time = |time: Option<Duration>| time.map_or(DateTime::UNKNOWN.to_string(), DateTime::utc_to_microsecond);
        [
            ("PacketsReceived", self.packets_received.to_string()),
            ("PacketsResponded", self.packets_responded.to_string()),
            ("BytesReceived", self.bytes_received.to_string()),
            ("BytesResponded", self.bytes_responded.to_string()),
            ("TimeFirstPacketReceived", time(self.first)),
            ("TimeLastPacketReceived", time(self.last)),
        ]
    }
}

/// The counters, shared with the thread of the service.
pub(super) type SharedCounters = Arc<Mutex<EchoCounters>>;

impl Device {
    /// Returns the path of UDPEchoConfig with its dot.
    pub fn echo_object(&self) -> &'static str {
        echo_object(&self.tree)
    }

    /// Shows these counters in UDPEchoConfig from now on.
    pub fn set_echo_counters(&mut self, counters: Arc<Mutex<EchoCounters>>) {
        self.echo = Some(counters);
    }

    /// Gives the parameters of the echo service the counts of this moment. Costs nothing where the service has never run.
    pub(super) fn show_echo_counters(&mut self) {
        let Some(counters) = &self.echo else { return };
        let values = counters.lock().unwrap_or_else(PoisonError::into_inner).values();
        for (name, text) in values {
            self.set_runtime_value(&format!("{}{name}", self.echo_object()), &text);
        }
    }
}
