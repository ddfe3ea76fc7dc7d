//! Several transfers, their list, their windows, and how they are cancelled.

use std::time::Duration;

use super::bench::*;
use crate::support::{
    Message, Rpc, Served, cancel_transfer, download, get_all_queued_transfers, get_queued_transfers, schedule_download,
};

fn actions() -> String {
    format!("\"download\": {{ \"{CONFIG}\": {{ {} }} }}", keeps_its_file())
}

/// Key and state of each transfer in a list.
fn states(list: &Message) -> Vec<(String, String)> {
    let field = |transfer: &[(String, String)], name: &str| {
        transfer.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).expect("a field")
    };
    list.transfers.iter().map(|transfer| (field(transfer, "CommandKey"), field(transfer, "State"))).collect()
}

/// A download that never comes to its end by itself.
fn endless(bench: &Bench, key: &str) -> Rpc {
    bench.files.serves("/endless", Served::sized(1 << 30).trickles(1000, Duration::from_millis(5)));
    download(CONFIG, &bench.files.url("/endless")).with("CommandKey", key)
}

/// R233, R243, R246: sessions go on while a file moves; status tells how far it is; what is cancelled is not told.
#[test]
fn sessions_go_on_while_a_file_moves() {
    let bench = Bench::new(&actions());
    bench.files.serves("/f", Served::sized(100));
    let behind = download(CONFIG, &bench.files.url("/f")).with("CommandKey", "behind").with("DelaySeconds", 1);
    bench.ask(&[endless(&bench, "slow"), behind]);
    until("bytes", || bench.status()["transfers"][0]["bytes"].as_u64() > Some(2000));
    let transfer = bench.status()["transfers"][0].clone();
    assert_eq!((&transfer["state"], &transfer["commandKey"]), (&"moving".into(), &"slow".into()));
    assert_eq!(transfer["totalBytes"], 1 << 30);
    assert!(transfer["bytesPerSecond"].as_u64() > Some(0) && transfer["secondsLeft"].as_u64() > Some(0), "{transfer}");
    let text = bench.agent.succeeds(&["status"]);
    assert!(text.contains("Download (slow): moving, 3 Vendor Configuration File, http://"), "{text}");

    bench.agent.succeeds(&["inform"]);
    bench.visit(&["2 PERIODIC"], |call| {
        let list = call.ask(&get_all_queued_transfers()).expect("a list");
        let expected = [("slow".to_owned(), "2".to_owned()), ("behind".to_owned(), "1".to_owned())];
        assert_eq!(states(&list), expected); // R243
        assert_eq!(states(&call.ask(&get_queued_transfers()).expect("a list")), expected);
        for key in ["slow", "nobody"] {
            let answer = call.ask(&cancel_transfer(key)).expect("an answer");
            assert_eq!(answer.method, "CancelTransferResponse", "{}", answer.xml); // R246
        }
    });
    let report = bench.told(&["7 TRANSFER COMPLETE", "M Download/behind"]); // R246: and not of the other
    assert_eq!(code_of(&report), 0);
    bench.stays_quiet();
    assert_eq!(bench.left_behind(), 0);
}

/// R246: what is being applied cannot be cancelled.
#[test]
fn what_is_being_applied_goes_on() {
    let script = "echo began >> began; while [ -e began ] && [ ! -e go ]; do sleep 0.01; done; echo done >> applies";
    let bench = Bench::new(&format!("\"download\": {{ \"{CONFIG}\": {{ {} }} }}", shell(script)));
    bench.files.serves("/f", Served::sized(100));
    bench.ask(&[download(CONFIG, &bench.files.url("/f")).with("CommandKey", "k")]);
    bench.waits_for_trace("began");
    bench.agent.succeeds(&["inform"]);
    bench.visit(&["2 PERIODIC"], |call| {
        let answer = call.ask(&cancel_transfer("k")).expect("an answer");
        assert_eq!(answer.fault.as_ref().map(|fault| fault.code), Some(9021), "{}", answer.xml); // R246
    });
    std::fs::write(bench.place.path().join("go"), "").expect("a file");
    bench.ends_with(0);
    assert_eq!(bench.traces("applies").len(), 1);
}

/// R233: sixteen of them, kept over a reboot, each told once.
#[test]
fn a_full_queue_outlives_a_reboot() {
    let mut bench = Bench::new(&actions());
    bench.files.serves("/f", Served::sized(100));
    let rpc = |key: usize| {
        download(CONFIG, &bench.files.url("/f")).with("CommandKey", format!("k{key}")).with("DelaySeconds", 3)
    };
    bench.agent.succeeds(&["inform"]);
    bench.visit(&["2 PERIODIC"], |call| {
        for key in 0..16 {
            assert_eq!(call.ask(&rpc(key)).expect("an answer").method, "DownloadResponse");
        }
        let full = call.ask(&rpc(16)).expect("an answer");
        assert_eq!(full.fault.map(|fault| fault.code), Some(9004)); // R233
    });
    bench.agent.kill9();
    bench.agent.reboot();
    let mut told = Vec::new();
    while told.len() < 16 {
        let (inform, reports, mut call) = bench.calls();
        call.dismiss();
        let events = events_of(&inform);
        for report in &reports {
            let key = report.argument("CommandKey").expect("a key").to_owned();
            assert!(code_of(report) == 0 && events.contains(&format!("M Download/{key}")), "{}", report.xml);
            told.push(key);
        }
    }
    told.sort();
    told.dedup();
    assert_eq!((told.len(), bench.traces("applies").len()), (16, 16));
    bench.stays_quiet();
}

/// R244, R245: within its window, told as a scheduled download.
#[test]
fn a_scheduled_download() {
    let bench = Bench::new(&actions());
    bench.files.serves("/f", Served::status(503).times(1).then(Served::sized(100)));
    let rpc = schedule_download(CONFIG, &bench.files.url("/f"), &[(1, 600, "2 Immediately", "", 2)]);
    bench.ask(&[rpc.with("CommandKey", "k")]);
    let report = bench.told(&["7 TRANSFER COMPLETE", "M ScheduleDownload/k"]); // R245
    assert_eq!(code_of(&report), 0, "{}", report.xml);
    assert_eq!((bench.traces("applies").len(), bench.files.requests().len()), (1, 2)); // R245: tried again in it
    bench.stays_quiet();
}

/// R245: never applied outside a window.
#[test]
fn a_window_that_passes() {
    let bench = Bench::new(&actions());
    bench.files.serves("/endless", Served::sized(1 << 30).trickles(1000, Duration::from_millis(5)));
    let windows = [(0, 1, "1 At Any Time", "", -1), (2, 3, "3 When Idle", "", -1)];
    let rpc = schedule_download(CONFIG, &bench.files.url("/endless"), &windows);
    bench.ask(&[rpc.with("CommandKey", "k")]);
    let report = bench.told(&["7 TRANSFER COMPLETE", "M ScheduleDownload/k"]);
    assert_eq!(code_of(&report), 9020, "{}", report.xml);
    until("the end of the file", || bench.left_behind() == 0); // its thread may be a moment behind
    assert_eq!((bench.traces("applies").len(), bench.files.requests().len()), (0, 2));
}
