//! `status` for programs: the JSON against its schema, the exit status of `status --check`, and the file of `--metrics`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::gateway::{PASSWORD, SOON, USERNAME, gateway, gateway_at};
use crate::support::port::closed_address;
use crate::support::{Acs, AcsOptions, Agent, StunServer, garbage, inform, silence, status as http_status};

const MANAGEMENT: &str = "Device.ManagementServer";

fn status(agent: &Agent) -> Json {
    serde_json::from_str(&agent.succeeds(&["status", "--json"])).expect("JSON")
}

/// Waits until the status satisfies a condition, and returns it.
fn status_with(agent: &Agent, what: &str, holds: impl Fn(&Json) -> bool) -> Json {
    let deadline = Instant::now() + SOON;
    loop {
        let json = status(agent);
        if holds(&json) {
            return json;
        }
        assert!(Instant::now() < deadline, "{what} did not come:\n{json:#}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns exit status, stdout and stderr of `status --check`.
fn check(agent: &Agent) -> (Option<i32>, String, String) {
    let output = agent.command(&["status", "--check"]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Panics unless `status --check` fails with one line that has these words.
fn is_unwell(agent: &Agent, words: &str) {
    let (code, stdout, stderr) = check(agent);
    assert_eq!((code, stdout.as_str(), stderr.lines().count()), (Some(1), "", 1), "{stderr}");
    assert!(stderr.starts_with("cpe-agent: ") && stderr.contains(words), "{words} is not in {stderr}");
}

mod schema {
    use super::*;

    /// The keywords that `docs/status.schema.json` uses; another one would not be checked here.
    const KEYWORDS: [&str; 11] = [
        "$schema",
        "title",
        "description",
        "type",
        "required",
        "properties",
        "items",
        "enum",
        "minimum",
        "format",
        "const",
    ];

    pub(super) fn read() -> Json {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/status.schema.json");
        serde_json::from_str(&fs::read_to_string(file).expect("the schema")).expect("JSON")
    }

    fn kind(value: &Json) -> &'static str {
        match value {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(number) if number.is_u64() || number.is_i64() => "integer",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }

    /// Checks a value, and also that the schema has every member of it: an undocumented member is an error here.
    pub(super) fn check(schema: &Json, value: &Json, at: &str) {
        let keywords = schema.as_object().unwrap_or_else(|| panic!("{at} is not in the schema: {value}"));
        for keyword in keywords.keys() {
            assert!(KEYWORDS.contains(&keyword.as_str()), "{at}: {keyword}");
        }
        assert!(schema["description"].is_string() || schema["type"] == "integer" || schema["type"] == "string", "{at}");
        let types = match &schema["type"] {
            Json::Array(types) => types.clone(),
            Json::Null => Vec::new(),
            one => vec![one.clone()],
        };
        assert!(types.is_empty() || types.iter().any(|known| known == kind(value)), "{at}: {value} is no {types:?}");
        if let Some(known) = schema["enum"].as_array() {
            assert!(known.contains(value), "{at}: {value} is none of {known:?}");
        }
        if let (Some(least), Some(number)) = (schema["minimum"].as_i64(), value.as_i64()) {
            assert!(number >= least, "{at}: {number}");
        }
        if let (Some("date-time"), Some(text)) = (schema["format"].as_str(), value.as_str()) {
            let is_time = text.len() >= 20 && text.as_bytes()[10] == b'T' && text.starts_with("20");
            assert!(is_time, "{at}: {text}");
        }
        for name in schema["required"].as_array().into_iter().flatten().filter(|_| value.is_object()) {
            assert!(value.get(name.as_str().expect("a name")).is_some(), "{at}: {name} is missing in {value}");
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            check(&schema["properties"][name], member, &format!("{at}.{name}"));
        }
        for item in value.as_array().into_iter().flatten() {
            check(&schema["items"], item, &format!("{at}[]"));
        }
    }
}

/// Panics unless the status of the agent is described by the schema; returns it.
fn is_described(json: Json) -> Json {
    schema::check(&schema::read(), &json, "$");
    json
}

/// The schema describes the status in every state of sessions, with the first and the last cause of failures.
#[test]
fn the_schema_describes_every_state() {
    let mut acs = Acs::start(AcsOptions::new());
    let page = "<html><h1>Unknown\r\n device</h1>\u{1b}[31m</html>";
    acs.expects(inform()).replies(http_status(403).body(page.as_bytes()));
    acs.expects(inform()).replies(garbage(b"this is no SOAP"));
    acs.expects(inform()).replies(silence());
    let stun = StunServer::start();
    let agent = gateway(&acs)
        .set(&format!("{MANAGEMENT}.STUNEnable"), "true")
        .set(&format!("{MANAGEMENT}.STUNServerAddress"), &stun.address().ip().to_string())
        .set(&format!("{MANAGEMENT}.STUNServerPort"), &stun.address().port().to_string())
        .args(&["--acs-timeout", "2"])
        .start();
    let failures = |count: u64| move |json: &Json| json["failures"]["count"] == count;
    let first = is_described(status_with(&agent, "a failure", failures(1)));
    let cause = "the server answered with HTTP status 403: \"Unknown device [31m\"";
    assert_eq!((&first["lastSession"]["error"], &first["failures"]["firstError"]), (&cause.into(), &cause.into()));
    is_unwell(&agent, &format!("the last session failed: {cause}"));
    agent.succeeds(&["inform"]);
    let second = is_described(status_with(&agent, "another failure", failures(2)));
    assert_eq!(second["failures"]["firstError"], cause);
    let last = second["lastSession"]["error"].as_str().expect("a cause");
    assert!(last.starts_with("the reply of the ACS is not valid SOAP"), "{last}");
    let text = agent.succeeds(&["status"]);
    assert!(text.contains(&format!("2 failures since: {cause}\n")), "{text}");
    assert!(text.contains("\n  success      none yet\n"), "{text}");

    agent.succeeds(&["inform"]);
    is_described(status_with(&agent, "a running session", |json| json["session"].is_object()));
    status_with(&agent, "a third failure", failures(3));
    agent.succeeds(&["inform"]);
    let well = is_described(status_with(&agent, "a success", |json| json["lastSession"]["ok"] == true));
    assert_eq!(well["failures"], Json::Null);
    let counts = ["succeeded", "failed", "everSucceeded", "everFailed"].map(|name| well["sessions"][name].as_u64());
    assert_eq!(counts, [1, 3, 1, 3].map(Some));
    assert!(well["sessions"]["lastSuccess"].is_string() && well["sessions"]["lastSuccessSecondsAgo"].is_u64());
    is_described(status_with(&agent, "a binding", |json| json["stun"]["state"] == "answers"));
    let (code, stdout, stderr) = check(&agent);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.starts_with("the last session succeeded ") && stdout.lines().count() == 1, "{stdout}");
    acs.take_failures();
    acs.take_violations();
    while acs.session_within(Duration::ZERO).is_some() {}
}

/// Transfers, and a device whose sessions are disabled.
#[test]
fn the_schema_describes_transfers_and_a_disabled_agent() {
    let directory = tempfile::tempdir().expect("a directory");
    let actions = directory.path().join("actions.json");
    let model = r#"{"actions": {"upload": {"2 Vendor Log File": {"run": ["sh", "-c", "echo log > {file}"]}}}}"#;
    fs::write(&actions, model).expect("a file");
    let agent = gateway_at("http://127.0.0.1:1/")
        .data_model(&actions)
        .set(&format!("{MANAGEMENT}.EnableCWMP"), "false")
        .args(&["--acs-timeout", "2"])
        .start();
    let idle = is_described(status_with(&agent, "a status", |json| json["device"]["oui"].is_string()));
    assert_eq!((&idle["lastSession"], &idle["nextSession"]["cause"]), (&Json::Null, &"disabled".into()));
    is_unwell(&agent, "EnableCWMP is false: no session is started");
    let url = format!("http://{}/log", closed_address());
    assert!(!agent.command(&["upload", "2 Vendor Log File", &url]).status.success());
    let ended = |json: &Json| json["endedTransfers"].as_array().is_some_and(|list| !list.is_empty());
    is_described(status_with(&agent, "the end of the transfer", ended));
}

/// A refused reload is counted, with its reason, until a better configuration is accepted.
#[test]
fn a_refused_reload_is_told() {
    let acs = Acs::start(AcsOptions::new().digest(USERNAME, PASSWORD));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("config.json");
    fs::write(&file, "{}").expect("a file");
    let agent = gateway(&acs).args(&["--config".as_ref(), file.as_os_str()]).start();
    status_with(&agent, "a success", |json| json["lastSession"]["ok"] == true);
    fs::write(&file, "{\"nonsense\": 1}").expect("a file");
    agent.signal("HUP");
    let refused = is_described(status_with(&agent, "a refusal", |json| json["reloads"]["refused"] == 1));
    assert_eq!(refused["reloads"]["ok"], false);
    let reason = refused["reloads"]["lastReason"].as_str().expect("a reason");
    assert!(reason.contains("config.json: /nonsense: there is no such key"), "{reason}");
    is_unwell(&agent, "the last reload was refused: ");
    assert!(agent.succeeds(&["status"]).contains("\nreloads        1 refused, the last "));
    fs::write(&file, "{}").expect("a file");
    agent.signal("HUP");
    is_described(status_with(&agent, "a reload", |json| json["reloads"]["accepted"] == 1));
    assert_eq!(check(&agent).0, Some(0));
}

/// `status --check` needs no agent to give its answer.
#[test]
fn without_an_agent_a_check_fails() {
    let agent = gateway_at("http://127.0.0.1:1/").not_started();
    is_unwell(&agent, "the agent is not running");
}

/// The counts survive a restart, which writes them with an orderly stop.
#[test]
fn the_counts_survive_a_restart() {
    let mut acs = Acs::start(AcsOptions::new());
    let mut agent = gateway(&acs).fixed_ports().start();
    acs.session(SOON).expect_complete();
    status_with(&agent, "a success", |json| json["lastSession"]["ok"] == true);
    // This session changes nothing, and no record is written for it.
    let journal = |agent: &Agent| fs::metadata(agent.state_dir().join("journal")).expect("a journal").len();
    agent.succeeds(&["inform"]);
    acs.session(SOON).expect_complete();
    let before = status_with(&agent, "another success", |json| json["sessions"]["succeeded"] == 2);
    assert_eq!(before["sessions"]["everSucceeded"], 2);
    agent.restart();
    let after = status_with(&agent, "a status", |json| json["device"]["oui"].is_string());
    assert_eq!(after["sessions"]["succeeded"], 0);
    assert_eq!(after["sessions"]["everSucceeded"], 2);
    assert!(after["sessions"]["lastSuccess"].is_string(), "{after:#}");
    let length = journal(&agent);
    agent.restart();
    assert_eq!(journal(&agent), length, "a stop after no session writes nothing");
}

mod metrics {
    use super::*;

    fn value(text: &str, name: &str) -> Option<String> {
        text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_owned()))
    }

    fn eventually(file: &Path, holds: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let text = fs::read_to_string(file).unwrap_or_default();
            if holds(&text) {
                return text;
            }
            assert!(Instant::now() < deadline, "{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Checks the lines against the text format of Prometheus: each metric has a type, and its samples follow at once.
    fn is_well_formed(text: &str) {
        let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let mut metric = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a help");
                assert!(is_name(name) && help.ends_with('.'), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                assert_eq!(kind, if name.ends_with("_total") { "counter" } else { "gauge" }, "{line}");
                metric = name;
            } else {
                let (sample, value) = line.rsplit_once(' ').expect("a value");
                assert_eq!(sample.split('{').next(), Some(metric), "{line}");
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
    }

    /// The file is written at the start and after a session, and is removed at the end.
    #[test]
    fn the_file_follows_the_sessions_and_ends_with_the_agent() {
        let mut acs = Acs::start(AcsOptions::new());
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("cpe-agent.prom");
        let mut agent = gateway(&acs).args(&["--metrics".as_ref(), file.as_os_str()]).start();
        acs.session(SOON).expect_complete();
        let success = "cpe_agent_sessions_total{result=\"success\"}";
        let text = eventually(&file, |text| value(text, success).as_deref() == Some("1"));
        is_well_formed(&text);
        assert_eq!(value(&text, "cpe_agent_well").as_deref(), Some("1"));
        assert_eq!(value(&text, "cpe_agent_last_session_success").as_deref(), Some("1"));
        assert!(text.contains("cpe_agent_connection_requests_total{transport=\"http\",outcome=\"accepted\"} 0\n"));
        let files = || fs::read_dir(directory.path()).expect("a directory").count();
        assert_eq!(files(), 1);
        assert!(agent.terminate().success());
        assert_eq!(files(), 0);
        // The document names every metric.
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let page = fs::read_to_string(root.join("docs/monitoring.md")).expect("the document");
        for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
            assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/monitoring.md");
        }
    }

    /// A file that cannot be written is no reason to stop, and the log names it once.
    #[test]
    fn a_file_that_cannot_be_written_harms_no_session() {
        let mut acs = Acs::start(AcsOptions::new());
        let agent = gateway(&acs).args(&["--metrics", "/proc/no-such-directory/cpe-agent.prom"]).start();
        acs.session(SOON).expect_complete();
        agent.succeeds(&["inform"]);
        acs.session(SOON).expect_complete();
        let text = "the metrics cannot be written to /proc/no-such-directory/cpe-agent.prom";
        assert_eq!(agent.log().matches(text).count(), 1);
    }
}
