//! Several transfers, their list, their windows, and how they are cancelled.

use std::time::Duration;

use super::gateway::*;
use crate::support::{
    FileSpec, Message, Rpc, cancel_transfer, download, get_all_queued_transfers, get_queued_transfers,
    schedule_download,
};

fn actions() -> String {
    format!("\"download\": {{ \"{CONFIG}\": {{ {} }} }}", keeps_its_file())
}

/// Returns key and state of each transfer in a list.
fn states(list: &Message) -> Vec<(String, String)> {
    let field = |transfer: &[(String, String)], name: &str| {
        transfer.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).expect("a field")
    };
    list.transfers.iter().map(|transfer| (field(transfer, "CommandKey"), field(transfer, "State"))).collect()
}

/// Starts a download that does not end by itself.
fn endless(gateway: &TransferGateway, key: &str) -> Rpc {
    gateway.files.serves("/endless", FileSpec::sized(1 << 30).trickles(1000, Duration::from_millis(5)));
    download(CONFIG, &gateway.files.url("/endless")).with("CommandKey", key)
}

/// R233, R243, R246: sessions go on while a file is transferred; status shows the progress; a cancelled transfer is not
/// told.
#[test]
fn sessions_go_on_while_a_file_moves() {
    let gateway = TransferGateway::new(&actions());
    gateway.files.serves("/f", FileSpec::sized(100));
    let behind = download(CONFIG, &gateway.files.url("/f")).with("CommandKey", "behind").with("DelaySeconds", 1);
    gateway.ask(&[endless(&gateway, "slow"), behind]);
    until("bytes", || gateway.status()["transfers"][0]["bytes"].as_u64() > Some(2000));
    let transfer = gateway.status()["transfers"][0].clone();
    assert_eq!((&transfer["state"], &transfer["commandKey"]), (&"moving".into(), &"slow".into()));
    assert_eq!(transfer["totalBytes"], 1 << 30);
    assert!(transfer["bytesPerSecond"].as_u64() > Some(0) && transfer["secondsLeft"].as_u64() > Some(0), "{transfer}");
    let text = gateway.agent.succeeds(&["status"]);
    assert!(text.contains("Download (slow): moving, 3 Vendor Configuration File, http://"), "{text}");

    gateway.agent.succeeds(&["inform"]);
    gateway.acs.expect_session(&["2 PERIODIC"], |_, session| {
        let list = session.call(&get_all_queued_transfers()).expect("a list");
        let expected = [("slow".to_owned(), "2".to_owned()), ("behind".to_owned(), "1".to_owned())];
        assert_eq!(states(&list), expected); // R243
        assert_eq!(states(&session.call(&get_queued_transfers()).expect("a list")), expected);
        for key in ["slow", "nobody"] {
            let answer = session.call(&cancel_transfer(key)).expect("an answer");
            assert_eq!(answer.method, "CancelTransferResponse", "{}", answer.xml); // R246
        }
    });
    let report = gateway.acs.expect_request(&["7 TRANSFER COMPLETE", "M Download/behind"]); // R246: and not of the other
    assert_eq!(code_of(&report), 0);
    gateway.acs.expect_no_session(QUIET);
    assert_eq!(gateway.left_behind(), 0);
}

/// R246: a transfer that is being applied cannot be cancelled.
#[test]
fn what_is_being_applied_goes_on() {
    let script = "echo began >> began; while [ -e began ] && [ ! -e go ]; do sleep 0.01; done; echo done >> applies";
    let gateway = TransferGateway::new(&format!("\"download\": {{ \"{CONFIG}\": {{ {} }} }}", shell(script)));
    gateway.files.serves("/f", FileSpec::sized(100));
    gateway.ask(&[download(CONFIG, &gateway.files.url("/f")).with("CommandKey", "k")]);
    gateway.waits_for_trace("began");
    gateway.agent.succeeds(&["inform"]);
    gateway.acs.expect_session(&["2 PERIODIC"], |_, session| {
        let answer = session.call(&cancel_transfer("k")).expect("an answer");
        assert_eq!(answer.fault.as_ref().map(|fault| fault.code), Some(9021), "{}", answer.xml); // R246
    });
    std::fs::write(gateway.place.path().join("go"), "").expect("a file");
    gateway.ends_with(0);
    assert_eq!(gateway.traces("applies").len(), 1);
}

/// R233: sixteen transfers survive a reboot, and each is reported once.
#[test]
fn a_full_queue_outlives_a_reboot() {
    let mut gateway = TransferGateway::new(&actions());
    gateway.files.serves("/f", FileSpec::sized(100));
    let rpc = |key: usize| {
        download(CONFIG, &gateway.files.url("/f")).with("CommandKey", format!("k{key}")).with("DelaySeconds", 3)
    };
    gateway.agent.succeeds(&["inform"]);
    gateway.acs.expect_session(&["2 PERIODIC"], |_, session| {
        for key in 0..16 {
            assert_eq!(session.call(&rpc(key)).expect("an answer").method, "DownloadResponse");
        }
        let full = session.call(&rpc(16)).expect("an answer");
        assert_eq!(full.fault.map(|fault| fault.code), Some(9004)); // R233
    });
    gateway.agent.kill9();
    gateway.agent.reboot();
    let mut told = Vec::new();
    while told.len() < 16 {
        let (inform, reports, mut session) = gateway.acs.next_session();
        session.end_session();
        let events = inform.sorted_events();
        for report in &reports {
            let key = report.argument("CommandKey").expect("a key").to_owned();
            assert!(code_of(report) == 0 && events.contains(&format!("M Download/{key}")), "{}", report.xml);
            told.push(key);
        }
    }
    told.sort();
    told.dedup();
    assert_eq!((told.len(), gateway.traces("applies").len()), (16, 16));
    gateway.acs.expect_no_session(QUIET);
}

/// R244, R245: a scheduled download runs within its window, and is reported as one.
#[test]
fn a_scheduled_download() {
    let gateway = TransferGateway::new(&actions());
    gateway.files.serves("/f", FileSpec::status(503).times(1).then(FileSpec::sized(100)));
    let rpc = schedule_download(CONFIG, &gateway.files.url("/f"), &[(1, 600, "2 Immediately", "", 2)]);
    gateway.ask(&[rpc.with("CommandKey", "k")]);
    let report = gateway.acs.expect_request(&["7 TRANSFER COMPLETE", "M ScheduleDownload/k"]); // R245
    assert_eq!(code_of(&report), 0, "{}", report.xml);
    assert_eq!((gateway.traces("applies").len(), gateway.files.requests().len()), (1, 2)); // R245: tried again in it
    gateway.acs.expect_no_session(QUIET);
}

/// R245: a file is never applied outside a window.
#[test]
fn a_window_that_passes() {
    let gateway = TransferGateway::new(&actions());
    gateway.files.serves("/endless", FileSpec::sized(1 << 30).trickles(1000, Duration::from_millis(5)));
    let windows = [(0, 1, "1 At Any Time", "", -1), (2, 3, "3 When Idle", "", -1)];
    let rpc = schedule_download(CONFIG, &gateway.files.url("/endless"), &windows);
    gateway.ask(&[rpc.with("CommandKey", "k")]);
    let report = gateway.acs.expect_request(&["7 TRANSFER COMPLETE", "M ScheduleDownload/k"]);
    assert_eq!(code_of(&report), 9020, "{}", report.xml);
    until("the end of the file", || gateway.left_behind() == 0); // its thread may be a moment behind
    assert_eq!((gateway.traces("applies").len(), gateway.files.requests().len()), (0, 2));
}
