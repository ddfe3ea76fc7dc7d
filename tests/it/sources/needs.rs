//! Objects that only some devices have: `needs`.

use std::fs;

use super::*;

const QUEUES: &str = "Device.X_00D09E_Queue.";
const COUNT: &str = "Device.X_00D09E_QueueNumberOfEntries";

/// Returns an overlay with a table that needs the file `sqm`, which has its rows too.
fn overlay(device: &Device) -> String {
    let sqm = device.path("sqm");
    format!(
        r#"{{ "Device": {{ "X_00D09E_QueueNumberOfEntries": {{ "type": "unsignedInt", "counts": "X_00D09E_Queue" }},
            "X_00D09E_Queue": {{ "needs": "{sqm}", "source": {{ "file": "{sqm}", "rows": "^(?<key>[a-z0-9]+)$" }},
              "{{i}}": {{ "Name": {{ "type": "string", "source": "key" }},
                "Note": {{ "type": "string", "access": "readWrite" }} }} }} }} }}"#
    )
}

/// Sends SIGHUP and waits for its end.
fn reload(agent: &Agent) {
    let position = agent.log_position();
    agent.signal("HUP");
    agent.wait_for_log_after(position, "the configuration was read again", Duration::from_secs(20));
}

#[test]
fn an_object_that_the_device_lacks_is_left_out_until_it_is_there() {
    let (acs, device) = (ManualAcs::start(AcsOptions::new()), Device::new());
    device.write("sqm", "eth0\neth1\n");
    device.write("overlay.json", &overlay(&device));
    let builder = TR_181.gateway_at(&acs.url()).data_model(device.path("overlay.json"));
    let mut agent = builder.clone().start();
    acs.expect_events(&["0 BOOTSTRAP", "1 BOOT"]);
    agent.reboot();
    acs.expect_session(&["1 BOOT"], |_, session| {
        assert_eq!(session.value(COUNT), "2");
        session.set(&format!("{QUEUES}2.Note"), "string", "uplink");
    });
    assert!(!agent.log().contains("is left out"), "{}", agent.log());

    // Without the package, the ACS finds neither the table nor its count, and no source fails.
    fs::remove_file(device.path("sqm")).expect("removed");
    agent.reboot();
    let notice = format!("{QUEUES} is left out: {} is missing", device.path("sqm"));
    acs.expect_session(&["1 BOOT"], |_, session| {
        let all = session.succeeds(&get_parameter_names("Device.", false));
        assert!(all.names.iter().all(|entry| !entry.name.contains("X_00D09E_Queue")), "{:?}", all.names);
        session.refuses(&get_parameter_values(&[COUNT]), 9005);
        session.refuses(&get_parameter_values(&[&format!("{QUEUES}2.Note")]), 9005);
        session.succeeds(&get_parameter_values(&["Device."]));
    });
    assert!(agent.log().contains(&notice), "{}", agent.log());
    let status = agent.succeeds(&["status"]);
    assert!(!status.contains("source fails"), "{status}");
    assert_eq!(agent.succeeds(&["source", QUEUES]), format!("{notice}\n"));
    assert!(agent.succeeds(&["source", "Device."]).starts_with(&format!("{notice}\n")));
    let json: Json = serde_json::from_str(&agent.succeeds(&["source", "--json", QUEUES])).expect("JSON");
    assert_eq!(json[0]["error"], notice.as_str());
    let checked = String::from_utf8(builder.run_to_end("check").stdout).expect("text");
    assert!(checked.contains(&format!("left out       {notice}\n")), "{checked}");

    // R217: the object returns with its instances, and with what was set in it, after SIGHUP too.
    agent.restart();
    agent.wait_for_control();
    device.write("sqm", "eth1\n");
    reload(&agent);
    assert_eq!(agent.value(&format!("{QUEUES}2.Note")), "uplink");
    assert_eq!(agent.value(&format!("{QUEUES}2.Name")), "eth1");
    assert_eq!(agent.value(COUNT), "1");
    fs::remove_file(device.path("sqm")).expect("removed");
    let position = agent.log_position();
    reload(&agent);
    agent.wait_for_log_after(position, &notice, Duration::from_secs(20));
    assert!(!agent.command(&["get", QUEUES]).status.success());
}
