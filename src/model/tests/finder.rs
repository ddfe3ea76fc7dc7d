//! Parameters by one name after the other.

use super::super::path::{MAX_LENGTH, Path, PathError};
use super::super::tree::Parameter;
use super::gateway;

/// Names in any order, of any kind, give what each of them gives alone.
#[test]
fn finds_what_a_search_from_the_root_finds() {
    let tree = gateway();
    let long = format!("Device.Hosts.{}", "x".repeat(MAX_LENGTH));
    let names = [
        "Device.DeviceInfo.SoftwareVersion",
        "Device.DeviceInfo.ManufacturerOUI",
        "Device.DeviceInfo.ManufacturerOUI.",
        "Device.DeviceInfo.Absent",
        "Device.DeviceInfo.",
        "Device.DeviceInfo",
        "Device.DeviceInfo..",
        "Device.Hosts.HostNumberOfEntries",
        "Device.Hosts.Host",
        "Device.Hosts.Host.",
        "Device.Hosts.Host.1.Active",
        "Device.Hosts.Host.1.Address.1.IP",
        "Device.Hosts.Host.7.Active",
        "Device.Hosts.Host.7.Address",
        "Device.Hosts.Host.2.Active",
        "Device.Hosts.Host.*.Active",
        &long,
        "",
        ".",
        "Device",
        "Device.",
        "Other.DeviceInfo.SoftwareVersion",
    ];
    for first in names {
        for second in names {
            let mut finder = tree.finder();
            for name in [first, second, second] {
                let found = visited(|visit| finder.visit(name, visit));
                let expected = visited(|visit| tree.visit_values(&Path::parse(name)?, visit));
                assert_eq!(found, expected, "{name} behind {first}");
            }
        }
    }
}

type Visit<'v> = &'v mut dyn FnMut(&Parameter<'_>);

fn visited(walk: impl FnOnce(Visit<'_>) -> Result<(), PathError>) -> Result<Vec<(String, String)>, PathError> {
    let mut found = Vec::new();
    walk(&mut |parameter| found.push((parameter.name.to_owned(), parameter.value().to_string())))?;
    Ok(found)
}
