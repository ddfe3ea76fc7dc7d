//! The largest requests on a large data model: those that are served, and those beyond the bound on the work of a request.

use std::fmt::Write;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::gateway::{Model, SOON, TR_181};
use crate::support::stopwatch::Stopwatch;
use crate::support::{
    AcsOptions, Agent, ManualAcs, add_object, delete_object, get_parameter_attributes, get_parameter_names,
    get_parameter_values, set_parameter_attributes, set_parameter_values,
};

/// The instances of the outer table, and those in each of them: with one parameter each, 11,250 parameters.
const OUTER: u32 = 250;
const INNER: u32 = 45;

/// Returns a gateway with a large table of tables, with this number of entries in InformParameter, and with a further overlay.
fn large_gateway(model: &'static Model, acs: &ManualAcs, entries: u32, more: &str) -> (Agent, TempDir) {
    let instances = |count: u32, content: &str| {
        (1..=count).fold(String::new(), |mut text, n| {
            write!(text, ", \"{n}\": {{ {content} }}").expect("a String");
            text
        })
    };
    let parameter = r#""P": { "type": "string", "access": "readWrite", "pattern": "[a-z]*" }"#;
    let inner = instances(INNER, "");
    let outer = instances(OUTER, &format!(r#""U": {{ {} }}"#, inner.trim_start_matches(',')));
    let enabled = instances(entries, r#""Enable": "true""#);
    let overlay = format!(
        r#"{{ "{root}": {{
            "ManagementServer": {{ "InformParameter": {{ {enabled} }} }},
            "X_Large": {{ "T": {{ "access": "readWrite",
                "{{i}}": {{ "U": {{ "access": "readWrite", "{{i}}": {{ {parameter} }} }} }} {outer} }} }} }} }}"#,
        root = model.root,
        enabled = enabled.trim_start_matches(','),
    );
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("overlay.json");
    std::fs::write(&file, overlay).expect("a file");
    let further = place.path().join("further.json");
    std::fs::write(&further, more).expect("a file");
    let agent = model.gateway_at(&acs.url()).data_model(&file).data_model(&further).start();
    (agent, place)
}

/// R195, R196: 4,900 entries that each cover 11,250 parameters and more are served in the time of one walk. 5,000 entries
/// are beyond the limit on the markup of a message.
#[test]
fn the_largest_requests() {
    let model = &TR_181;
    let acs = ManualAcs::start(AcsOptions::new());
    let (_agent, _place) = large_gateway(model, &acs, 0, "{}");
    let root = model.at("");
    let table = model.at("X_Large.T.");
    acs.expect_session(&["0 BOOTSTRAP", "1 BOOT"], |_, session| {
        let began = Stopwatch::start();
        session.succeeds(&set_parameter_attributes(&vec![(root, Some(1), None); 4900]));
        println!("SetParameterAttributes of 4,900 entries: {:?}", began.elapsed());
        assert!(began.is_within(Duration::from_secs(20)), "{:?}", began.elapsed());
        let names: Vec<String> =
            (1..=OUTER).flat_map(|t| (1..=10).map(move |u| format!("{table}{t}.U.{u}.P"))).collect();
        let values: Vec<_> = names.iter().map(|name| (name.as_str(), "string", "abc")).collect();
        let began = Instant::now();
        session.succeeds(&set_parameter_values(&values, ""));
        println!("SetParameterValues of {} entries with a pattern: {:?}", values.len(), began.elapsed());
        let listed = session.succeeds(&get_parameter_names(table, false)).names.len();
        assert_eq!(listed as u32, 1 + OUTER * (2 + INNER * 2), "R187");
        let added = session.succeeds(&add_object(table, ""));
        let instance = format!("{table}{}.", added.argument("InstanceNumber").expect("a number"));
        session.succeeds(&delete_object(&instance, ""));
    });
}

/// R108: patterns that together match more than one request may visit are refused with 9004, and an Inform goes out
/// without them.
fn patterns_beyond_the_bound(model: &'static Model) {
    let acs = ManualAcs::start(AcsOptions::new());
    let (mut agent, _place) = large_gateway(model, &acs, 32, "{}");
    let pattern = model.at("X_Large.T.*.U.*.P");
    let names: Vec<String> =
        (1..=32).map(|n| model.at(&format!("ManagementServer.InformParameter.{n}.ParameterName")).to_owned()).collect();
    let values: Vec<_> = names.iter().map(|name| (name.as_str(), "string", pattern)).collect();
    acs.expect_session(&["0 BOOTSTRAP", "1 BOOT"], |_, session| {
        session.refuses(&set_parameter_values(&values, "all"), 9004); // R216
        assert_eq!(session.value(&names[0]), "", "R164");
        for part in values.chunks(16) {
            session.succeeds(&set_parameter_values(part, "half"));
        }
    });
    agent.reboot();
    acs.expect_session(&["1 BOOT"], |inform, _| {
        assert!(inform.value(model.at("X_Large.T.1.U.1.P")).is_some());
    });
    agent.wait_for_log("the rest is left out", SOON);
    assert!(agent.terminate().success());
}
both_models!(patterns_beyond_the_bound);

/// Returns the resident memory of the agent in kilobytes.
fn resident(agent: &Agent) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a line");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

/// R322: as many wildcards as a message holds, over large tables of the agent and of the device, are refused in bounded time and
/// memory, and the next request is answered.
#[test]
fn thousands_of_wildcards_are_bounded() {
    let acs = ManualAcs::start(AcsOptions::new());
    let place = tempfile::tempdir().expect("a temporary directory");
    let rows: String = (0..4096).map(|row| format!("row{row} value{row}\n")).collect();
    std::fs::write(place.path().join("rows"), rows).expect("a file");
    let overlay = format!(
        r#"{{ "Device": {{ "X_00D09E_Rows": {{ "source": {{ "file": "{}", "rows": "^(?<key>[a-z0-9]+) (?<text>.*)$" }},
            "maxEntries": 4096, "{{i}}": {{ "Text": {{ "type": "string", "source": "text" }} }} }} }} }}"#,
        place.path().join("rows").display()
    );
    let (agent, _large) = large_gateway(&TR_181, &acs, 0, &overlay);
    acs.expect_session(&["0 BOOTSTRAP", "1 BOOT"], |_, session| {
        let before = resident(&agent);
        for (name, code) in [
            ("Device.X_00D09E_Rows.*.Text", 9004),
            ("Device.X_Large.T.*.U.*.P", 9004),
            ("Device.X_Large.T.*.U.[none].P", 9004),
            ("Device.X_00D09E_Rows.[none].Text", 9004),
            ("Device.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*", 9005),
        ] {
            let names = vec![name; 14_000];
            for rpc in [get_parameter_values(&names), get_parameter_attributes(&names)] {
                let began = Stopwatch::start();
                session.refuses(&rpc, code);
                assert!(began.is_within(Duration::from_secs(10)), "{name}: {:?}", began.elapsed());
            }
        }
        // The answer to a single one is as long as the table.
        assert_eq!(session.succeeds(&get_parameter_values(&["Device.X_00D09E_Rows.*.Text"])).parameters.len(), 4096);
        let more = resident(&agent) - before;
        assert!(more < 12 << 10, "{more} kB");
    });
}
