//! The XMPP connection of the data model: its settings, and the values that the agent publishes (Annex K).

use std::time::Duration;

use super::Device;
use super::management_server::parameter;
use crate::clock::Now;
use crate::model::date_time::DateTime;
use crate::model::path::Path;
use crate::model::value::Value;
use crate::xmpp::{Account, RetryPolicy, Server, Settings, Status};

/// The interval of keep-alives that KeepAliveInterval = -1 leaves to the device: the shortest that RFC 6120 §4.6.4
/// recommends.
const KEEP_ALIVE: Duration = Duration::from_secs(300);
/// The values of ServerConnectAlgorithm with which the servers are those of the DNS, and those of the table.
const DNS_SRV: &str = "DNS-SRV";
const SERVER_TABLE: &str = "ServerTable";
/// The date of a change while the clock is not set (R32).
const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";

impl Device {
    /// Returns the settings of the connection for connection requests; `None` unless ConnReqXMPPConnection refers to one
    /// that is enabled (R297).
    pub(crate) fn xmpp_settings(&self) -> Option<Settings> {
        let path = self.xmpp_path()?;
        if !self.is_enabled(&path) {
            return None;
        }
        let text = |name: &str| self.text_at(&path, name);
        let number = |name: &str, absent: u32| self.number_at(&path, name).unwrap_or(absent);
        let default = RetryPolicy::default();
        let algorithm = text("ServerConnectAlgorithm");
        Some(Settings {
            account: Account {
                username: text("Username"),
                password: text("Password").into(),
                domain: text("Domain"),
                resource: text("Resource"),
            },
            is_discovered: algorithm == DNS_SRV,
            servers: if algorithm == SERVER_TABLE { self.xmpp_servers(&path) } else { Vec::new() },
            retry: RetryPolicy {
                attempts: number("ServerConnectAttempts", default.attempts),
                initial: number("ServerRetryInitialInterval", default.initial),
                multiplier: number("ServerRetryIntervalMultiplier", default.multiplier),
                max: number("ServerRetryMaxInterval", default.max),
            },
            keep_alive: match self.number_at::<i64>(&path, "KeepAliveInterval").unwrap_or(-1) {
                0 => None,
                seconds => Some(u64::try_from(seconds).map_or(KEEP_ALIVE, Duration::from_secs)),
            },
            allowed: listed(&self.management_server_text(parameter::ALLOWED_JABBER_IDS)),
        })
    }

    /// Publishes the status of each connection: `used` for the one that ConnReqXMPPConnection refers to. Also empties
    /// ConnReqJabberID where no connection is used (R300). Returns true if a value has changed.
    pub(crate) fn publish_xmpp_status(&mut self, used: Option<Status>, now: Now) -> bool {
        let path = self.xmpp_path();
        let mut changed = false;
        for connection in self.instances_of(&format!("{}.XMPP.Connection.", self.tree.root_name())) {
            let status = match used {
                Some(status) if path.as_ref() == Some(&connection) => status,
                _ if self.is_enabled(&connection) => Status::Dormant,
                _ => Status::Disabled,
            };
            changed |= self.publish_status_of(&connection, status, now);
        }
        if used.is_none() && !self.state.jabber_id.is_empty() {
            self.publish_jabber_id("");
            changed = true;
        }
        changed
    }

    /// Publishes the address that the server has given, and keeps it for the next start (R300).
    pub(crate) fn publish_jabber_id(&mut self, jabber_id: &str) {
        if self.state.jabber_id != jabber_id {
            self.state.jabber_id = jabber_id.to_owned();
        }
        self.republish_jabber_id();
    }

    /// Publishes the last address that the server has given: the best guess until the connection is open again.
    pub(crate) fn republish_jabber_id(&mut self) {
        let jabber_id = self.state.jabber_id.clone();
        // A device without a connection stores no digest of the empty address either.
        if self.management_server_text(parameter::JABBER_ID) != jabber_id {
            self.set_runtime_value(&self.management_server_name(parameter::JABBER_ID), &jabber_id);
        }
        if let Some(path) = self.xmpp_path() {
            self.set_runtime_value(&format!("{path}.JabberID"), &jabber_id);
        }
    }

    /// Adds XMPP to SupportedConnReqMethods in a model with connections (R301).
    pub(crate) fn publish_request_methods(&mut self) {
        let name = self.management_server_name(parameter::REQUEST_METHODS);
        let methods = self.management_server_text(parameter::REQUEST_METHODS);
        let has_connections = self.tree.exists(&format!("{}.XMPP.Connection.", self.tree.root_name()));
        if has_connections && !methods.is_empty() && !listed(&methods).iter().any(|method| method == "XMPP") {
            self.set_runtime_value(&name, &format!("{methods},XMPP"));
        }
    }

    /// Publishes Status, TLSEstablished, and the instant of a change. Returns true if the status has changed.
    fn publish_status_of(&mut self, connection: &str, status: Status, now: Now) -> bool {
        if self.text_at(connection, "Status") == status.name() {
            return false;
        }
        let since =
            if now.clock_is_set() { DateTime::from_unix(now.wall, 0).to_string() } else { UNKNOWN_TIME.to_owned() };
        let secured = if status == Status::Enabled { "true" } else { "false" };
        for (name, text) in [("Status", status.name()), ("TLSEstablished", secured), ("LastChangeDate", since.as_str())]
        {
            self.set_runtime_value(&format!("{connection}.{name}"), text);
        }
        true
    }

    /// Returns the servers of the table that are enabled.
    fn xmpp_servers(&self, connection: &str) -> Vec<Server> {
        let servers = self.instances_of(&format!("{connection}.Server."));
        let enabled = servers.iter().filter(|server| self.is_enabled(server));
        let servers = enabled.map(|server| Server {
            host: self.text_at(server, "ServerAddress"),
            port: self.number_at(server, "Port").unwrap_or(Server::PORT),
            priority: self.number_at(server, "Priority").unwrap_or(0),
            weight: self.number_at(server, "Weight").unwrap_or(0), // -1 leaves it to the device
        });
        servers.filter(|server| !server.host.is_empty()).collect()
    }

    /// Returns the path of the connection for connection requests, without the dot.
    fn xmpp_path(&self) -> Option<String> {
        let path = self.management_server_text(parameter::XMPP_CONNECTION);
        let path = path.trim_end_matches('.');
        (!path.is_empty() && self.tree.exists_instance(&format!("{path}."))).then(|| path.to_owned())
    }

    fn is_enabled(&self, object: &str) -> bool {
        self.tree.get(&format!("{object}.Enable")) == Some(Value::Boolean(true))
    }

    fn text_at(&self, object: &str, name: &str) -> String {
        self.tree.get(&format!("{object}.{name}")).map(|value| value.to_string()).unwrap_or_default()
    }

    fn number_at<N: TryFrom<i128>>(&self, object: &str, name: &str) -> Option<N> {
        self.tree.get(&format!("{object}.{name}"))?.as_number()?.try_into().ok()
    }

    /// Returns the paths of the instances of a table, without their dots.
    fn instances_of(&self, table: &str) -> Vec<String> {
        let mut instances = Vec::new();
        let mut add = |name: &str, _| instances.extend(name.strip_suffix('.').map(str::to_owned));
        // A model without the table has no instance.
        let _ = Path::parse(table).map(|path| self.tree.visit_names(&path, true, &mut add));
        instances
    }
}

fn listed(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}
