//! Requests that no friendly ACS sends.

use super::gateway::*;
use crate::support::{get_rpc_methods, raw_rpc};
use crate::transfers::QUIET;

/// R349: a request is taken as a whole or not at all, and never costs more than the queue.
#[test]
fn hostile_requests_are_refused() {
    let gateway = SoftwareGateway::new();
    let many = vec![uninstall(UUID); 33];
    let thousands: String = (0..10_000).map(|_| "<Operations/>").collect();
    let typed: String = vec![operation("Update", &[]); 10_000].concat();
    let members: String = (0..10_000).map(|_| "<InstallOpStruct/>").collect();
    gateway.base.agent.succeeds(&["inform"]);
    gateway.base.acs.expect_session(&["2 PERIODIC"], |_, session| {
        session.refuses(&change(&many, "k"), 9004);
        session.refuses(&raw_rpc("ChangeDUState", &thousands), 9004);
        session.refuses(&raw_rpc("ChangeDUState", &typed), 9004);
        session.refuses(&raw_rpc("ChangeDUState", &format!("<Operations>{members}</Operations>")), 9004);
        session.refuses(&raw_rpc("ChangeDUState", "<CommandKey>k</CommandKey>"), 9001);
        session.refuses(&change(&[uninstall(UUID)], &"k".repeat(33)), 9001);
        session.succeeds(&get_rpc_methods());
    });
    gateway.base.acs.expect_no_session(QUIET);
    // Arguments that break the schema fail their operation alone.
    let url = format!("http://h/{}", "x".repeat(64 << 10));
    let results = gateway.done(&[
        install(&url),
        operation("Uninstall", &[]),
        operation("Paint", &[("URL", "http://h/")]),
        "<Operations><a><b>text</b></a></Operations>".to_owned(),
        operation("Install", &[("URL", "nonsense")]),
        operation("Uninstall", &[("UUID", &"6".repeat(60))]),
        operation("Uninstall", &[("UUID", UUID), ("Version", &"1".repeat(33))]),
        operation("Install", &[("URL", "http://h/\u{1F600}"), ("UUID", "{}")]),
    ]);
    let codes: Vec<u16> = results.iter().map(|result| result.code).collect();
    assert_eq!(codes, [9003, 9003, 9003, 9003, 9003, 9022, 9003, 9022]);
    assert!(gateway.base.traces("trace").is_empty());
    // An array whose members have the types as names, as some servers write it, and a sequence in one request.
    let xml = format!(
        "<Operations><UninstallOpStruct><UUID>{UUID}</UUID></UninstallOpStruct><UpdateOpStruct/></Operations>{}\
         <CommandKey>k</CommandKey>",
        uninstall(OTHER)
    );
    gateway.base.ask(&[raw_rpc("ChangeDUState", &xml)]);
    assert_eq!(gateway.report().iter().map(|result| result.code).collect::<Vec<_>>(), [9028, 0, 9028]);
}

/// R350: operations on one unit, several times in a request, have a result each, and so have requests with the same key.
#[test]
fn repeated_operations_have_results_of_their_own() {
    let gateway = SoftwareGateway::new();
    let url = gateway.serves("/unit", &["name=htop", "version=1.0"]);
    let update = || operation("Update", &[("UUID", UUID)]);
    let lower = uninstall(&UUID.to_lowercase());
    let upper = uninstall(&UUID.to_uppercase());
    let all = [install(&url), install(&url), update(), update(), upper, lower, update(), install(&url), install(&url)];
    assert_eq!(gateway.codes(&all), [0, 9026, 0, 0, 0, 9028, 9028, 0, 9026]);
    assert_eq!(gateway.units(), ["htop"]);
    gateway.base.ask(&[
        change(&[uninstall(UUID)], "k"),
        change(&[install(&url)], "k"),
        change(&[uninstall(OTHER)], "k"),
    ]);
    // R135: each request has an event of its own.
    let (mut codes, mut events) = (Vec::new(), 0);
    while codes.len() < 3 {
        let (inform, requests, mut session) = gateway.base.acs.next_session();
        session.end_session();
        events += inform.sorted_events().iter().filter(|event| *event == "M ChangeDUState/k").count();
        assert!(requests.iter().all(|report| report.argument("CommandKey") == Some("k")));
        codes.extend(requests.iter().flat_map(results).map(|result| result.code));
    }
    assert_eq!((codes, events), (vec![0, 0, 9028], 3));
    assert_eq!(gateway.units(), ["htop"]);
    gateway.base.acs.expect_no_session(QUIET);
}
