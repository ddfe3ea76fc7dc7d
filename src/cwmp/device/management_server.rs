//! The parameters of the ManagementServer object that the agent obeys or publishes: their names, and a typed accessor
//! for each. No other file reads one of them by its name, so that this list is complete.

mod connection_requests;
mod lightweight;
mod standby;

use std::time::Duration;

pub use self::lightweight::LightweightSettings;
use super::Device;
use crate::discovery::{Gateway, OFFERED};
use crate::model::change::Change;
use crate::model::tree::{Addressing, Tree};
use crate::model::value::{Type, Value};
use crate::schedule::{PeriodicSettings, RetryPolicy};
use crate::secret::Secret;

/// The port of a STUN server in models without STUNServerPort, which IANA has assigned (R271).
pub(crate) const DEFAULT_STUN_PORT: u16 = 3478;

/// The names of the parameters, without `Device.ManagementServer.` before them.
pub(crate) mod parameter {
    // Contact with the ACS.

    /// False forbids sessions and connection requests (R7).
    pub(crate) const ENABLE_CWMP: &str = "EnableCWMP";
    /// The URL of the ACS; empty until the device learns it (R10).
    pub(crate) const URL: &str = "URL";
    /// The user name towards the ACS (R62).
    pub(crate) const USERNAME: &str = "Username";
    /// The password towards the ACS.
    pub(crate) const PASSWORD: &str = "Password";
    /// The key that the last successful SetParameterValues, AddObject or DeleteObject carried (R157).
    pub(crate) const PARAMETER_KEY: &str = "ParameterKey";
    /// The table of parameters that the ACS requests in each Inform (R108).
    pub(crate) const INFORM_PARAMETER: &str = "InformParameter.";

    // Addressing of instances.

    /// True if paths may name instances by alias; fixed in the model (R317).
    pub(crate) const ALIAS_BASED_ADDRESSING: &str = "AliasBasedAddressing";
    /// True if paths may have wildcards; fixed in the model (R322).
    pub(crate) const INSTANCE_WILDCARDS_SUPPORTED: &str = "InstanceWildcardsSupported";
    /// `InstanceAlias` names instances by alias where the agent chooses (R319).
    pub(crate) const INSTANCE_MODE: &str = "InstanceMode";
    /// True lets SetParameterValues create the instances of unknown aliases (R320).
    pub(crate) const AUTO_CREATE_INSTANCES: &str = "AutoCreateInstances";

    // Schedule of sessions.

    /// True starts a session in each interval (R149).
    pub(crate) const PERIODIC_INFORM_ENABLE: &str = "PeriodicInformEnable";
    /// The interval in seconds.
    pub(crate) const PERIODIC_INFORM_INTERVAL: &str = "PeriodicInformInterval";
    /// An instant with which the intervals are in phase (R150, R151).
    pub(crate) const PERIODIC_INFORM_TIME: &str = "PeriodicInformTime";
    /// True starts a session with `14 HEARTBEAT` in each interval (R302).
    pub(crate) const HEARTBEAT_ENABLE: &str = "HeartbeatPolicy.Enable";
    /// The interval of heartbeats in seconds.
    pub(crate) const HEARTBEAT_INTERVAL: &str = "HeartbeatPolicy.ReportingInterval";
    /// An instant with which the heartbeats are in phase.
    pub(crate) const HEARTBEAT_TIME: &str = "HeartbeatPolicy.InitiationTime";
    /// The minimum wait before the first retry, in seconds (R126).
    pub(crate) const RETRY_MINIMUM_WAIT: &str = "CWMPRetryMinimumWaitInterval";
    /// The factor between two retries, in thousandths (R126).
    pub(crate) const RETRY_MULTIPLIER: &str = "CWMPRetryIntervalMultiplier";
    /// The minimum time between sessions for active notifications, in seconds (R210).
    pub(crate) const NOTIFICATION_THROTTLE: &str = "DefaultActiveNotificationThrottle";

    // Lightweight notification (Annex M).

    /// The protocols of the device, separated by commas; without `UDP` it has no lightweight notification (R199).
    pub(crate) const LIGHTWEIGHT_SUPPORTED: &str = "LightweightNotificationProtocolsSupported";
    /// The protocols that the ACS has chosen; empty turns lightweight notification off (R307).
    pub(crate) const LIGHTWEIGHT_USED: &str = "LightweightNotificationProtocolsUsed";
    /// The interval in seconds at which passive notifications are sent; 0 for none (R307).
    pub(crate) const LIGHTWEIGHT_INTERVAL: &str = "LightweightNotificationTriggerInterval";
    /// An instant with which the intervals are in phase.
    pub(crate) const LIGHTWEIGHT_TIME: &str = "LightweightNotificationTriggerTime";
    /// The host that gets the datagrams; if empty, that of the ACS (R306).
    pub(crate) const LIGHTWEIGHT_HOST: &str = "UDPLightweightNotificationHost";
    /// The port that gets the datagrams (R306).
    pub(crate) const LIGHTWEIGHT_PORT: &str = "UDPLightweightNotificationPort";

    // Standby (Annex L).

    /// The longest standby in seconds that is not reported, -1 for any (R305).
    pub(crate) const STANDBY_DURATION: &str = "StandbyPolicy.CRUnawarenessMaxDuration";
    /// The most missed periodic contacts that are not reported, -1 for any (R305).
    pub(crate) const STANDBY_PERIODIC: &str = "StandbyPolicy.MaxMissedPeriodic";
    /// True reports a missed contact of ScheduleInform (R305).
    pub(crate) const STANDBY_SCHEDULED: &str = "StandbyPolicy.NotifyMissedScheduled";

    // Reboots.

    /// The instant of a planned reboot (R156).
    pub(crate) const SCHEDULE_REBOOT: &str = "ScheduleReboot";
    /// The delay of a planned reboot in seconds, -1 for none (R156).
    pub(crate) const DELAY_REBOOT: &str = "DelayReboot";

    // Connection requests.

    /// The address of the HTTP listener, published by the agent (R255).
    pub(crate) const CONNECTION_REQUEST_URL: &str = "ConnectionRequestURL";
    /// The user name that a connection request must carry (R256).
    pub(crate) const CONNECTION_REQUEST_USERNAME: &str = "ConnectionRequestUsername";
    /// The password that a connection request must prove (R256).
    pub(crate) const CONNECTION_REQUEST_PASSWORD: &str = "ConnectionRequestPassword";
    /// False closes the HTTP listener (R267).
    pub(crate) const HTTP_CONNECTION_REQUEST_ENABLE: &str = "HTTPConnectionRequestEnable";
    /// The address of the UDP listener, published by the agent (R285).
    pub(crate) const UDP_CONNECTION_REQUEST_ADDRESS: &str = "UDPConnectionRequestAddress";
    /// The minimum time between notifications of that address, in seconds (R287).
    pub(crate) const UDP_NOTIFICATION_LIMIT: &str = "UDPConnectionRequestAddressNotificationLimit";
    /// True if that address is the one of a NAT, published by the agent (R285).
    pub(crate) const NAT_DETECTED: &str = "NATDetected";
    /// True keeps a binding in the NAT open with the help of a STUN server (R271).
    pub(crate) const STUN_ENABLE: &str = "STUNEnable";
    /// The host of the STUN server; if empty, that of the ACS (R271).
    pub(crate) const STUN_SERVER_ADDRESS: &str = "STUNServerAddress";
    /// The port of the STUN server.
    pub(crate) const STUN_SERVER_PORT: &str = "STUNServerPort";
    /// The user name for signed STUN requests (R277).
    pub(crate) const STUN_USERNAME: &str = "STUNUsername";
    /// The password for signed STUN requests (R277).
    pub(crate) const STUN_PASSWORD: &str = "STUNPassword";
    /// The minimum time between two STUN requests, in seconds (R282).
    pub(crate) const STUN_MINIMUM_PERIOD: &str = "STUNMinimumKeepAlivePeriod";
    /// The maximum time between two STUN requests, in seconds, -1 for none (R282).
    pub(crate) const STUN_MAXIMUM_PERIOD: &str = "STUNMaximumKeepAlivePeriod";

    /// The XMPP connection over which requests come (R297).
    #[cfg(feature = "xmpp")]
    pub(crate) const XMPP_CONNECTION: &str = "ConnReqXMPPConnection";
    /// The senders of requests over it; empty for all (R298).
    #[cfg(feature = "xmpp")]
    pub(crate) const ALLOWED_JABBER_IDS: &str = "ConnReqAllowedJabberIDs";
    /// The address of the agent on that connection, published by the agent (R300).
    pub(crate) const JABBER_ID: &str = "ConnReqJabberID";
    /// The ways of a connection request, published by the agent (R301).
    pub(crate) const REQUEST_METHODS: &str = "SupportedConnReqMethods";

    // Gateway association (Annex F).

    /// The number of devices on the LAN that belong to TR-069 (R339).
    pub(crate) const MANAGEABLE_DEVICES: &str = "ManageableDeviceNumberOfEntries";
    /// The minimum time between notifications of that number, in seconds (R340).
    pub(crate) const MANAGEABLE_DEVICE_LIMIT: &str = "ManageableDeviceNotificationLimit";

    // Transfers that the ACS has not requested (R247).

    /// True reports such transfers to the ACS.
    pub(crate) const AUTONOMOUS_ENABLE: &str = "AutonomousTransferCompletePolicy.Enable";
    /// `Upload`, `Download` or `Both`.
    pub(crate) const AUTONOMOUS_TRANSFER_TYPE: &str = "AutonomousTransferCompletePolicy.TransferTypeFilter";
    /// `Success`, `Failure` or `Both`.
    pub(crate) const AUTONOMOUS_RESULT_TYPE: &str = "AutonomousTransferCompletePolicy.ResultTypeFilter";
    /// The file types to report, separated by commas.
    pub(crate) const AUTONOMOUS_FILE_TYPE: &str = "AutonomousTransferCompletePolicy.FileTypeFilter";
    /// True reports changes of software that the ACS has not requested.
    pub(crate) const UNITS_ENABLE: &str = "DUStateChangeComplPolicy.Enable";
    /// The operations to report, separated by commas.
    pub(crate) const UNITS_OPERATION_TYPE: &str = "DUStateChangeComplPolicy.OperationTypeFilter";
    /// `Success`, `Failure` or `Both`.
    pub(crate) const UNITS_RESULT_TYPE: &str = "DUStateChangeComplPolicy.ResultTypeFilter";
    /// The fault codes to report, separated by commas.
    pub(crate) const UNITS_FAULT_CODE: &str = "DUStateChangeComplPolicy.FaultCodeFilter";
}

/// The parameters that the agent publishes; the ACS and the journal never set them.
pub(super) const PUBLISHED: [&str; 5] = [
    parameter::CONNECTION_REQUEST_URL,
    parameter::UDP_CONNECTION_REQUEST_ADDRESS,
    parameter::NAT_DETECTED,
    parameter::JABBER_ID,
    parameter::REQUEST_METHODS,
];

/// Returns the full name of a parameter of the ManagementServer object.
pub(crate) fn full_name(tree: &Tree, parameter: &str) -> String {
    format!("{}.ManagementServer.{parameter}", tree.root_name())
}

/// Returns the name of a parameter below `ManagementServer.`; `None` for a parameter of another object.
pub(crate) fn short_name<'n>(tree: &Tree, name: &'n str) -> Option<&'n str> {
    name.strip_prefix(tree.root_name())?.strip_prefix(".ManagementServer.")
}

/// Returns the kinds of addressing that a model supports beside numbers (R317, R322). A model without
/// InstanceWildcardsSupported, as TR-098, has wildcards together with aliases.
pub(super) fn addressing(tree: &Tree) -> Addressing {
    let flag = |parameter| tree.get(&full_name(tree, parameter)).map(|value| value == Value::Boolean(true));
    let aliases = flag(parameter::ALIAS_BASED_ADDRESSING).unwrap_or_default();
    Addressing { aliases, wildcards: flag(parameter::INSTANCE_WILDCARDS_SUPPORTED).unwrap_or(aliases) }
}

/// Returns the full names of the parameters with the identity of the gateway that DHCP has told, in the order of
/// [`Gateway`]. The agent publishes them, too.
pub(super) fn gateway_names(tree: &Tree) -> [String; 3] {
    ["ManufacturerOUI", "SerialNumber", "ProductClass"].map(|name| format!("{}.GatewayInfo.{name}", tree.root_name()))
}

/// Contact with the ACS.
impl Device {
    /// Returns true unless EnableCWMP is false, which forbids sessions and connection requests (R7).
    pub fn is_cwmp_enabled(&self) -> bool {
        self.flag(parameter::ENABLE_CWMP, true)
    }

    /// Returns the URL of the ACS; empty if the device knows none yet.
    pub fn acs_url(&self) -> String {
        self.management_server_text(parameter::URL)
    }

    /// Returns the user name towards the ACS: the configured one, or else the one that is made of the identity (R62).
    pub fn acs_username(&self) -> String {
        match self.management_server_text(parameter::USERNAME) {
            configured if !configured.is_empty() => configured,
            _ => self.identity().username(),
        }
    }

    /// Returns the password towards the ACS.
    pub fn acs_password(&self) -> Secret {
        self.management_server_text(parameter::PASSWORD).into()
    }

    /// Returns the change that a request with this ParameterKey makes, an empty one too (R157); `None` in a model
    /// without the parameter.
    pub(in crate::cwmp) fn parameter_key(&self, key: &str) -> Option<Change> {
        let name = self.management_server_name(parameter::PARAMETER_KEY);
        self.tree.parameter(&name).ok()?;
        Some(Change::Set(name, Type::String.parse(key).ok()?))
    }

    /// Returns the full name of the table InformParameter (R108).
    pub(in crate::cwmp) fn inform_parameter_table(&self) -> String {
        self.management_server_name(parameter::INFORM_PARAMETER)
    }
}

/// Addressing of instances.
impl Device {
    /// Returns true if the agent names instances by alias where no name of a request decides (R319).
    pub(in crate::cwmp) fn names_by_alias(&self) -> bool {
        self.tree.addressing().aliases && self.management_server_text(parameter::INSTANCE_MODE) == "InstanceAlias"
    }

    /// Returns true if SetParameterValues creates the instances of unknown aliases (R320).
    pub(in crate::cwmp) fn creates_instances(&self) -> bool {
        self.tree.addressing().aliases && self.flag(parameter::AUTO_CREATE_INSTANCES, false)
    }
}

/// The schedule of sessions and reboots.
impl Device {
    /// Returns the settings of periodic Informs; `None` if they are disabled (R149).
    pub fn periodic_settings(&self) -> Option<PeriodicSettings> {
        self.flag(parameter::PERIODIC_INFORM_ENABLE, false)
            .then(|| self.interval(parameter::PERIODIC_INFORM_INTERVAL, parameter::PERIODIC_INFORM_TIME))
            .flatten()
    }

    /// Returns the settings of heartbeats; `None` if they are disabled (R302).
    pub fn heartbeat_settings(&self) -> Option<PeriodicSettings> {
        self.flag(parameter::HEARTBEAT_ENABLE, false)
            .then(|| self.interval(parameter::HEARTBEAT_INTERVAL, parameter::HEARTBEAT_TIME))
            .flatten()
    }

    fn interval(&self, interval: &str, reference: &str) -> Option<PeriodicSettings> {
        let interval = u32::try_from(self.number(interval)?).ok()?;
        let reference = match self.management_server(reference) {
            Some(Value::DateTime(time)) if !time.is_unknown() && !time.is_since_boot() => Some(time.unix()),
            // Without a date the device chooses the phase, so that not all devices of a network contact the ACS in
            // the same second (R151, R152).
            _ => None,
        };
        let local_phase = self.state.periodic_phase.into();
        // A model may allow 0, and an interval of 0 would start sessions without a pause.
        Some(PeriodicSettings { interval: interval.max(1), reference, local_phase })
    }

    /// Returns the policy for retries of a failed session (R126), with the defaults where the model has no parameter.
    pub fn retry_policy(&self) -> RetryPolicy {
        let number = |name: &str| self.number(name).and_then(|n| u32::try_from(n).ok());
        let default = RetryPolicy::default();
        RetryPolicy {
            minimum_wait: number(parameter::RETRY_MINIMUM_WAIT).unwrap_or(default.minimum_wait),
            multiplier: number(parameter::RETRY_MULTIPLIER).unwrap_or(default.multiplier),
        }
    }

    /// Returns the minimum time between two sessions for active notifications (R210).
    pub fn notification_throttle(&self) -> Duration {
        self.seconds(parameter::NOTIFICATION_THROTTLE)
    }

    /// Returns ScheduleReboot, the instant of a planned reboot; `None` in a model without it (R156).
    pub fn schedule_reboot(&self) -> Option<Value> {
        self.management_server(parameter::SCHEDULE_REBOOT)
    }

    /// Returns DelayReboot, the delay of a planned reboot in seconds; -1 for none (R156).
    pub fn delay_reboot(&self) -> i64 {
        self.number(parameter::DELAY_REBOOT).unwrap_or(-1)
    }

    /// Returns the change that cancels DelayReboot, as each reboot does (R156); `None` if no delay is set.
    pub fn cancel_delay_reboot(&self) -> Option<Change> {
        let name = self.management_server_name(parameter::DELAY_REBOOT);
        (self.delay_reboot() >= 0).then_some(Change::Set(name, Value::Int(-1)))
    }
}

/// Discovery of the ACS by DHCP.
impl Device {
    /// Returns the full names of the parameters that an offer of DHCP has values for, in the order of
    /// [`Offer::values`](crate::discovery::Offer::values).
    pub(crate) fn offered_names(&self) -> [String; OFFERED] {
        let root = self.tree.root_name();
        [
            self.management_server_name(parameter::URL),
            format!("{root}.DeviceInfo.ProvisioningCode"),
            self.management_server_name(parameter::RETRY_MINIMUM_WAIT),
            self.management_server_name(parameter::RETRY_MULTIPLIER),
        ]
    }

    /// Publishes the identity of the gateway that DHCP has told, in a model with GatewayInfo (Annex F).
    pub(crate) fn publish_gateway(&mut self, gateway: &Gateway) {
        for (name, text) in gateway_names(&self.tree).iter().zip(gateway) {
            self.set_runtime_value(name, text.as_deref().unwrap_or_default());
        }
    }
}

/// Access by name.
impl Device {
    /// Returns the full name of a parameter of the ManagementServer object.
    pub(crate) fn management_server_name(&self, parameter: &str) -> String {
        full_name(&self.tree, parameter)
    }

    /// Returns the text of a parameter of the ManagementServer object, a hidden one too; empty in a model without it.
    pub(crate) fn management_server_text(&self, parameter: &str) -> String {
        self.management_server(parameter).map(|value| value.to_string()).unwrap_or_default()
    }

    fn management_server(&self, parameter: &str) -> Option<Value> {
        // Several each turn: a search by the full name would take a third of the time of a session.
        self.tree.get_below_root("ManagementServer", parameter)
    }

    fn number(&self, parameter: &str) -> Option<i64> {
        self.management_server(parameter)?.as_number().and_then(|n| n.try_into().ok())
    }

    fn seconds(&self, parameter: &str) -> Duration {
        let seconds = self.number(parameter).and_then(|seconds| u64::try_from(seconds).ok());
        Duration::from_secs(seconds.unwrap_or(0))
    }

    pub(super) fn flag(&self, parameter: &str, absent: bool) -> bool {
        self.management_server(parameter).map_or(absent, |value| value == Value::Boolean(true))
    }
}
