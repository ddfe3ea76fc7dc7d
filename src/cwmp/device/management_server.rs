//! The parameters by which the protocol itself is driven.

use super::Device;
use crate::model::value::Value;

impl Device {
    /// The full name of a parameter of the ManagementServer object.
    pub fn management_server_name(&self, parameter: &str) -> String {
        format!("{}.ManagementServer.{parameter}", self.tree.root_name())
    }

    /// A parameter of the ManagementServer object, hidden ones too.
    pub fn management_server(&self, parameter: &str) -> Option<Value> {
        self.tree.get(&self.management_server_name(parameter))
    }

    /// A text of the ManagementServer object; empty where the model has no such parameter.
    pub fn management_server_text(&self, parameter: &str) -> String {
        self.management_server(parameter).map(|value| value.to_string()).unwrap_or_default()
    }

    /// A number of the ManagementServer object, where the model has it.
    pub fn management_server_number(&self, parameter: &str) -> Option<i64> {
        self.management_server(parameter)?.as_number().and_then(|n| n.try_into().ok())
    }

    /// Whether a flag of the ManagementServer object is set; `absent` where the model has no such parameter.
    pub fn management_server_flag(&self, parameter: &str, absent: bool) -> bool {
        self.management_server(parameter).map_or(absent, |value| value == Value::Boolean(true))
    }
}
