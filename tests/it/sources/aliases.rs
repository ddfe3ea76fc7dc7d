//! Aliases of instances that are rows of the device (R318, R320).

use super::Device;
use crate::gateway::TR_181;
use crate::support::{AcsOptions, ManualAcs, get_parameter_values, set_parameter_values};

const PORTS: &str = "Device.X_00D09E_Port.";
const CLIENTS: &str = "Device.X_00D09E_Client.";

/// Returns two tables with aliases: ports that stay, and clients that come and go.
fn overlay(device: &Device) -> String {
    let alias = r#""Alias": { "type": "string", "access": "readWrite", "maxLength": 64 }"#;
    format!(
        r#"{{ "Device": {{
            "X_00D09E_Port": {{ "source": {{ "file": "{}", "rows": "^(?<key>[a-z0-9]+) (?<state>up|down)$" }},
              "{{i}}": {{ {alias}, "Name": {{ "type": "string", "source": "key" }} }} }},
            "X_00D09E_Client": {{ "source": {{ "exec": ["{}"], "numbers": "loose" }},
              "{{i}}": {{ {alias}, "Age": {{ "type": "unsignedInt", "source": "age" }} }} }} }} }}"#,
        device.path("ports"),
        device.path("clients"),
    )
}

/// R318: an alias follows its row over other rows, restarts, and a row that goes and comes back.
#[test]
fn an_alias_follows_its_row() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    device.write("overlay.json", &overlay(&device));
    let mut agent = TR_181.gateway_at(&acs.url()).data_model(device.path("overlay.json")).start();
    acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]);
    agent.reboot();
    acs.expect_session(&["1 BOOT"], |_, session| {
        assert_eq!(session.value(&format!("{PORTS}2.Alias")), "cpe-2");
        assert_eq!(session.value(&format!("{CLIENTS}[cpe-1].Age")), "5");
        session.set(&format!("{PORTS}[cpe-2].Alias"), "string", "uplink");
        session.set(&format!("{CLIENTS}[cpe-2].Alias"), "string", "boss");
        let taken = (&*format!("{CLIENTS}1.Alias"), "string", "boss");
        session.refuses(&set_parameter_values(&[taken], ""), 9003);
        // Only AddObject and the device make rows.
        session.set("Device.ManagementServer.AutoCreateInstances", "boolean", "true");
        let new = (&*format!("{PORTS}[new].Alias"), "string", "new");
        session.refuses(&set_parameter_values(&[new], ""), 9003);
    });
    device.write("ports", "lan9 up\nlan2 up\nlan1 up\n");
    device.write("clients.txt", "zoe 1\nbert 7\n");
    agent.crash_and_restart();
    agent.wait_for_control();
    assert_eq!(agent.value(&format!("{PORTS}[uplink].Name")), "lan2");
    assert_eq!(agent.value(&format!("{CLIENTS}[boss].Age")), "7");
    // The client goes, also from a wildcard, and comes back.
    device.write("clients.txt", "zoe 1\n");
    assert!(!agent.command(&["get", &format!("{CLIENTS}[boss].Age")]).status.success());
    assert!(!agent.succeeds(&["get", &format!("{CLIENTS}*.Alias")]).contains("boss"));
    device.write("clients.txt", "zoe 1\nbert 8\n");
    assert_eq!(agent.value(&format!("{CLIENTS}[boss].Age")), "8");
    device.write("clients.txt", "zoe 1\n");
    agent.succeeds(&["get", CLIENTS]);
    agent.crash_and_restart();
    agent.wait_for_control();
    agent.succeeds(&["get", CLIENTS]);
    device.write("clients.txt", "yan 2\nzoe 1\nbert 9\n");
    assert_eq!(agent.value(&format!("{CLIENTS}[boss].Age")), "9");
    agent.succeeds(&["inform"]);
    acs.expect_session(&["2 PERIODIC"], |_, session| {
        let ages = session.succeeds(&get_parameter_values(&[&format!("{CLIENTS}*.Age")]));
        let mut values: Vec<&str> = ages.parameters.iter().map(|parameter| parameter.value.as_str()).collect();
        values.sort_unstable();
        assert_eq!(values, ["1", "2", "9"]);
    });
}
