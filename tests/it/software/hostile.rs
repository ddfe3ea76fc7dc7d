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
