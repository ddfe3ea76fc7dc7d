//! Runs the agent against acsrs, an independent ACS.
//!
//! acsrs is not part of this repository. `cargo install acsrs --version 0.5.2` builds it, and the variable `ACSRS`
//! names its binary; without it the test is skipped. It needs the `openssl` command.

mod server;

use std::path::PathBuf;
use std::time::Duration;

use self::server::{Acsrs, Api};
use crate::gateway::TR_181;
use crate::support::Agent;
use crate::support::agent::AgentBuilder;
use crate::support::skip::skip;
use serde_json::{Value, json};

const SERIAL_NUMBER: &str = "0000000001";
const PROVISIONING_CODE: &str = "Device.DeviceInfo.ProvisioningCode";
/// Markup, quotes and a letter beyond ASCII, all of which must be read back unchanged.
const CODE: &str = "acsrs & <friends> \"à\"";
/// acsrs holds an empty POST for three seconds before it ends a session.
const LIMIT: Duration = Duration::from_secs(20);

/// acsrs registers the agent, reads and writes parameters, and finds the values again after a crash.
#[test]
fn acsrs_manages_the_agent() {
    let Some(program) = std::env::var_os("ACSRS").map(PathBuf::from) else {
        skip("ACSRS does not name an acsrs to test against");
        return;
    };
    let acsrs = Acsrs::start(&program);
    a_wrong_password_is_refused(&acsrs);
    let mut agent = device(&acsrs).start();
    let mut api = registers_by_bootstrap(&acsrs, &agent);
    reads_the_whole_tree(&mut api);
    finds_what_it_set_on_bootstrap(&mut api);
    sets_a_value_and_reads_it_back(&mut api);
    sets_nothing_where_one_is_refused(&mut api);
    drop(api); // with it goes the last reason to keep the session open
    agent.wait_for_log("session finished", LIMIT);
    finds_the_value_after_a_reboot(&acsrs, &mut agent);
}

fn device(acsrs: &Acsrs) -> AgentBuilder {
    TR_181
        .load(Agent::builder(env!("CARGO_BIN_EXE_cpe-agent")))
        .set("Device.ManagementServer.URL", &acsrs.url())
        .set("Device.ManagementServer.Username", server::USERNAME)
        .set("Device.ManagementServer.Password", server::PASSWORD)
        .set("Device.ManagementServer.PeriodicInformEnable", "false")
        .fixed_ports() // acsrs would take a changed ConnectionRequestURL for a reason to set its credentials again
}

/// R60: acsrs answers wrong credentials with 403, and the session fails.
fn a_wrong_password_is_refused(acsrs: &Acsrs) {
    let agent = device(acsrs).set("Device.ManagementServer.Password", "wrong").start();
    let line = agent.wait_for_log("session failed", LIMIT);
    assert!(line.contains("403"), "{line}");
    assert_eq!(acsrs.api().ask("", &json!("List"))["List"], json!([]));
}

fn registers_by_bootstrap(acsrs: &Acsrs, agent: &Agent) -> Api {
    agent.wait_for_log("0 BOOTSTRAP", LIMIT);
    let mut api = acsrs.api();
    let known = api.wait_for_a_device(LIMIT);
    assert_eq!(known["sn"], SERIAL_NUMBER);
    assert_eq!(acsrs.events(), ["0 BOOTSTRAP", "1 BOOT"]);
    api
}

/// Reads names and values, at once and level by level: both must agree.
fn reads_the_whole_tree(api: &mut Api) {
    let all = names(api, "Device.", false);
    assert_eq!(all, names(api, "", false), "the empty path is the whole tree");
    assert_eq!(names(api, "", true), ["Device."]);
    let parameters: Vec<&String> = all.iter().filter(|name| !name.ends_with('.')).collect();
    assert!(parameters.len() >= 500, "only {} parameters", parameters.len());
    let values = values(api, &["Device."]);
    assert_eq!(values.iter().map(|(name, _)| name).collect::<Vec<_>>(), parameters);

    let mut walked = vec!["Device.".to_owned()];
    let mut next = 0;
    while let Some(name) = walked.get(next).cloned() {
        next += 1;
        if name.ends_with('.') {
            walked.extend(names(api, &name, true));
        }
    }
    walked.sort();
    let mut sorted = all;
    sorted.sort();
    assert_eq!(walked, sorted);
}

/// On first contact acsrs sets credentials for connection requests; a password reads as empty.
fn finds_what_it_set_on_bootstrap(api: &mut Api) {
    let paths = ["Username", "Password"].map(|name| format!("Device.ManagementServer.ConnectionRequest{name}"));
    let read: Vec<String> = values(api, &[&paths[0], &paths[1]]).into_iter().map(|(_, value)| value).collect();
    assert_eq!(read, ["acsrs", ""]);
}

fn sets_a_value_and_reads_it_back(api: &mut Api) {
    let set = json!([{ "name": PROVISIONING_CODE, "type": "", "value": CODE }]); // it asks for the type by itself
    let answer = api.ask(SERIAL_NUMBER, &json!({ "SetParameterValues": set }));
    assert_eq!(answer["SetParameterValues"], true, "{answer}");
    assert_eq!(code(api), CODE);
}

fn sets_nothing_where_one_is_refused(api: &mut Api) {
    let set = json!([
        { "name": PROVISIONING_CODE, "type": "xsd:string", "value": "other" },
        { "name": "Device.DeviceInfo.SerialNumber", "type": "xsd:string", "value": "other" },
    ]);
    let answer = api.ask(SERIAL_NUMBER, &json!({ "SetParameterValues": set }));
    let description = answer["Error"]["description"].as_str().unwrap_or_default();
    assert!(description.starts_with("9003"), "{answer}");
    assert_eq!(code(api), CODE);
}

fn finds_the_value_after_a_reboot(acsrs: &Acsrs, agent: &mut Agent) {
    let before = acsrs.events().len();
    agent.kill9(); // the answered values must survive a session that did not end
    let position = agent.log_position();
    agent.reboot();
    agent.wait_for_log_after(position, "1 BOOT", LIMIT);
    acsrs.wait_for_events(before + 1, LIMIT);
    assert_eq!(code(&mut acsrs.api()), CODE);
    assert_eq!(acsrs.events()[before..], ["1 BOOT"]);
    agent.wait_for_log_after(position, "session finished", LIMIT);
}

fn code(api: &mut Api) -> String {
    values(api, &[PROVISIONING_CODE]).remove(0).1
}

fn names(api: &mut Api, path: &str, next_level: bool) -> Vec<String> {
    let command = json!({ "GetParameterNames": { "name": path, "next_level": next_level } });
    let answer = api.ask(SERIAL_NUMBER, &command);
    let list = answer["GetParameterNames"].as_array().unwrap_or_else(|| panic!("{path}: {answer}"));
    list.iter().map(|entry| text(&entry["name"])).collect()
}

fn values(api: &mut Api, paths: &[&str]) -> Vec<(String, String)> {
    let paths: Vec<Value> = paths.iter().map(|path| json!({ "name": path })).collect();
    let answer = api.ask(SERIAL_NUMBER, &json!({ "GetParameterValues": paths }));
    let list = answer["GetParameterValues"].as_array().unwrap_or_else(|| panic!("{answer}"));
    list.iter().map(|entry| (text(&entry["name"]), text(&entry["value"]))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
