//! The settings of connection requests, and of the NAT before the device.

use std::time::Duration;

use super::{DEFAULT_STUN_PORT, Device, parameter};
use crate::secret::Secret;
use crate::stun::{KeepAlivePeriods, StunServerName, StunSettings};
use crate::url::Url;

impl Device {
    /// Returns the user name that a connection request must carry.
    pub fn connection_request_username(&self) -> String {
        self.management_server_text(parameter::CONNECTION_REQUEST_USERNAME)
    }

    /// Returns the password that a connection request must prove.
    pub fn connection_request_password(&self) -> Secret {
        self.management_server_text(parameter::CONNECTION_REQUEST_PASSWORD).into()
    }

    /// Returns true unless HTTPConnectionRequestEnable is false, which closes the HTTP listener (R267).
    pub fn is_http_connection_request_enabled(&self) -> bool {
        self.flag(parameter::HTTP_CONNECTION_REQUEST_ENABLE, true)
    }

    /// Publishes the URL of the HTTP listener; empty while the ACS cannot reach it (R267).
    pub fn publish_connection_request_url(&mut self, url: &str) {
        let name = self.management_server_name(parameter::CONNECTION_REQUEST_URL);
        self.set_runtime_value(&name, url);
    }

    /// Returns the full name of UDPConnectionRequestAddress.
    pub fn udp_address_name(&self) -> String {
        self.management_server_name(parameter::UDP_CONNECTION_REQUEST_ADDRESS)
    }

    /// Returns the parameters with a minimum time between two notifications of each, and that time; zero in a model without
    /// the limit, as Device:2 has none for UDPConnectionRequestAddress (R287, R340).
    pub fn limited_notifications(&self) -> [(String, Duration); 2] {
        let of = |name, limit| (self.management_server_name(name), self.seconds(limit));
        [
            of(parameter::UDP_CONNECTION_REQUEST_ADDRESS, parameter::UDP_NOTIFICATION_LIMIT),
            of(parameter::MANAGEABLE_DEVICES, parameter::MANAGEABLE_DEVICE_LIMIT),
        ]
    }

    /// Returns the STUN settings (R271, R282). Without STUNServerAddress the server is the host of the ACS.
    pub fn stun_settings(&self) -> StunSettings {
        let host = match self.management_server_text(parameter::STUN_SERVER_ADDRESS) {
            host if host.is_empty() => Url::parse(&self.acs_url()).map_or(host, |url| url.host().to_string()),
            host => host,
        };
        let port = self.number(parameter::STUN_SERVER_PORT).and_then(|port| port.try_into().ok());
        let minimum = self.number(parameter::STUN_MINIMUM_PERIOD).and_then(|seconds| u32::try_from(seconds).ok());
        let maximum = self.number(parameter::STUN_MAXIMUM_PERIOD).and_then(|seconds| i32::try_from(seconds).ok());
        StunSettings {
            enabled: self.flag(parameter::STUN_ENABLE, false),
            server: StunServerName { host, port: port.unwrap_or(DEFAULT_STUN_PORT) },
            username: self.management_server_text(parameter::STUN_USERNAME),
            password: self.management_server_text(parameter::STUN_PASSWORD).into(),
            periods: match (minimum, maximum) {
                (None, None) => KeepAlivePeriods::default(),
                (minimum, maximum) => KeepAlivePeriods::new(minimum.unwrap_or(30), maximum.unwrap_or(-1)),
            },
        }
    }
}
