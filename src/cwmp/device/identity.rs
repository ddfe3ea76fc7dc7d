//! The identity of the device: manufacturer, OUI, product class, serial number and firmware version.

use super::{Author, Device};
use crate::clock::Now;
use crate::log;
use crate::model::change::Change;
use crate::model::tree::{Reading, Tree, Wanted};
use crate::model::value::Value;

/// The parameters of DeviceInfo that identify the device. Another value of one of them is another device to the ACS.
const IDENTITY: [&str; 4] = ["Manufacturer", "ManufacturerOUI", "ProductClass", "SerialNumber"];

/// Returns true if a parameter identifies the device.
pub(super) fn is_identity(tree: &Tree, name: &str) -> bool {
    let inside = name.strip_prefix(tree.root_name()).and_then(|rest| rest.strip_prefix(".DeviceInfo."));
    inside.is_some_and(|parameter| IDENTITY.contains(&parameter))
}

impl Device {
    /// Returns the identity that Inform sends as DeviceId (R93).
    pub fn identity(&self) -> DeviceId {
        DeviceId {
            manufacturer: self.device_info("Manufacturer"),
            oui: self.device_info("ManufacturerOUI"),
            product_class: self.device_info("ProductClass"),
            serial_number: self.device_info("SerialNumber"),
        }
    }

    /// Returns the version of the running firmware, as the data model states it.
    pub fn software_version(&self) -> String {
        self.device_info("SoftwareVersion")
    }

    pub(super) fn is_identity(&self, name: &str) -> bool {
        is_identity(&self.tree, name)
    }

    /// Returns the names of the parameters that identify the device.
    pub(in crate::cwmp) fn identity_names(&self) -> impl Iterator<Item = String> {
        IDENTITY.iter().map(|parameter| format!("{}.DeviceInfo.{parameter}", self.tree.root_name()))
    }

    /// Reads the identity from its sources, also from those that rest after failures. Returns the names of the parameters
    /// whose source gives no value.
    pub fn read_identity(&mut self, now: Now) -> Vec<String> {
        self.sources.wake();
        let wanted = Wanted::values(self.identity_names().collect());
        let is_missing = |reading: &Reading| reading.value.as_ref().map_or(true, |value| value.to_string().is_empty());
        self.explain(&wanted, now).into_iter().filter(is_missing).map(|reading| reading.name).collect()
    }

    /// Takes over a part of the identity from its source, and stores it: without it, a source that fails at the next start
    /// would make another device of this one. An empty text changes nothing.
    pub(super) fn take_identity(&mut self, name: &str, value: Value, now: Now) {
        if value.to_string().is_empty() {
            return;
        }
        if let Err(error) = self.apply(vec![Change::Set(name.to_owned(), value)], Author::Other, now) {
            log::warn!("{name}: {error}");
        }
    }

    /// Returns the text of a parameter of DeviceInfo; empty in a model without it.
    fn device_info(&self, parameter: &str) -> String {
        let name = format!("{}.DeviceInfo.{parameter}", self.tree.root_name());
        self.tree.get(&name).map(|value| value.to_string()).unwrap_or_default()
    }
}

/// The identity of a device towards the ACS (TR-069 A6 Table 39).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceId {
    /// The name of the manufacturer, for display only.
    pub manufacturer: String,
    /// The organisation of the manufacturer: six hexadecimal digits.
    pub oui: String,
    /// The class of products within which the serial number is unique; may be empty.
    pub product_class: String,
    /// The serial number, unique within the OUI and the product class.
    pub serial_number: String,
}

impl DeviceId {
    /// Returns `OUI-ProductClass-SerialNumber`, or `OUI-SerialNumber` without a product class: the default user name
    /// towards the ACS (R62).
    pub fn username(&self) -> String {
        let mut name = self.oui.clone();
        for part in [&self.product_class, &self.serial_number] {
            if part.is_empty() {
                continue;
            }
            name.push('-');
            // A hyphen within a part is escaped, too. Otherwise two devices could get the same name: `A-B` with serial
            // number `1`, and `A` with serial number `B-1`.
            for byte in part.bytes() {
                match byte {
                    b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => name.push(byte.into()),
                    _ => name.push_str(&format!("%{byte:02X}")),
                }
            }
        }
        name
    }
}
