//! Who the device is.

use super::Device;

impl Device {
    /// Who the device is, as Inform tells (R93).
    pub fn identity(&self) -> DeviceId {
        let text = |name: &str| {
            let name = format!("{}.DeviceInfo.{name}", self.tree.root_name());
            self.tree.get(&name).map(|value| value.to_string()).unwrap_or_default()
        };
        DeviceId {
            manufacturer: text("Manufacturer"),
            oui: text("ManufacturerOUI"),
            product_class: text("ProductClass"),
            serial_number: text("SerialNumber"),
        }
    }

    /// The user name towards the ACS: the configured one, or else that of R62.
    pub fn acs_username(&self) -> String {
        match self.management_server_text("Username") {
            configured if !configured.is_empty() => configured,
            _ => self.identity().username(),
        }
    }

    /// The version of the firmware that runs, as the model has it.
    pub fn software_version(&self) -> String {
        let name = format!("{}.DeviceInfo.SoftwareVersion", self.tree.root_name());
        self.tree.get(&name).map(|value| value.to_string()).unwrap_or_default()
    }
}

/// Manufacturer, OUI, product class and serial number (TR-069 A6 Table 39).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceId {
    /// For display only.
    pub manufacturer: String,
    /// Six hexadecimal digits.
    pub oui: String,
    /// May be empty.
    pub product_class: String,
    /// Unique within the OUI and product class.
    pub serial_number: String,
}

impl DeviceId {
    /// `OUI-ProductClass-SerialNumber`, escaped, or `OUI-SerialNumber` without product class (R62).
    pub fn username(&self) -> String {
        let mut name = self.oui.clone();
        for part in [&self.product_class, &self.serial_number] {
            if part.is_empty() {
                continue;
            }
            name.push('-');
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
