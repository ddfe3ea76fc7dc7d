//! The RPCs of file transfers, and the requests of the CPE that report their ends.

use super::code;
use crate::cwmp::device::Device;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::fault::FaultCode;
use crate::cwmp::session::Output;
use crate::cwmp::session_error::SessionError;
use crate::cwmp::testing::*;
use crate::cwmp::transfer::{
    DownloadRequest, FIRMWARE, Failure, Origin, Timing, TransferQueue, TransferRequest, TransferStep,
};
use crate::cwmp::version;

const CONFIG: &str = "3 Vendor Configuration File";
const URL: &str = "http://h/f?a=1&amp;b=2";

/// Returns the arguments of Download, with other values for some of them.
fn arguments(changed: &[(&str, &str)]) -> String {
    let usual = [
        ("CommandKey", "key"),
        ("FileType", CONFIG),
        ("URL", URL),
        ("Username", "u"),
        ("Password", "p"),
        ("FileSize", "7"),
        ("TargetFileName", "t"),
        ("DelaySeconds", "0"),
        ("SuccessURL", ""),
        ("FailureURL", ""),
    ];
    let value = |name: &str, usual| changed.iter().find(|(n, _)| *n == name).map_or(usual, |(_, value)| *value);
    usual.iter().map(|(name, usual)| format!("<{name}>{}</{name}>", value(name, usual))).collect()
}

/// Returns the arguments of ScheduleDownload with these windows: start, end, mode, retries.
fn scheduled(windows: &[(&str, &str, &str, &str)]) -> String {
    let window = |(start, end, mode, retries): &(&str, &str, &str, &str)| {
        format!(
            "<TimeWindowStruct><WindowStart>{start}</WindowStart><WindowEnd>{end}</WindowEnd><WindowMode>{mode}</WindowMode>\
             <UserMessage/><MaxRetries>{retries}</MaxRetries></TimeWindowStruct>"
        )
    };
    let list: String = windows.iter().map(window).collect();
    format!("{}<TimeWindowList>{list}</TimeWindowList>", arguments(&[]))
}

fn transfer_request(origin: Origin, key: &str, file_type: &str) -> TransferRequest {
    TransferRequest {
        origin,
        command_key: key.into(),
        file_type: file_type.into(),
        url: "http://h/f?<&>".into(),
        username: String::new(),
        password: "".into(),
        file_size: 0,
        target_file_name: "t".into(),
    }
}

fn failure() -> Failure {
    Failure::transient(FaultCode::DownloadIncomplete, "the server hung up <&>")
}

/// Adds a transfer and runs it to its end: a success, or this failure.
fn finish(device: &mut Device, request: TransferRequest, failure: Option<Failure>) -> u32 {
    let id = device.change_transfers(NOW, |t| t.add(request, Timing::delayed(0, NOW))).unwrap().unwrap();
    assert_eq!(device.next_transfer_step(true, true, NOW), Ok(Some(TransferStep::Move(id))));
    let result = failure.map_or(Ok(9), Err);
    device.change_transfers(NOW, |transfers| transfers.move_ended(id, 1, result, NOW)).unwrap();
    if device.next_transfer_step(true, true, NOW) == Ok(Some(TransferStep::Apply(id))) {
        device.change_transfers(NOW, |transfers| transfers.apply_ended(id, Ok(()), NOW)).unwrap();
    }
    id
}

/// Starts a session of a device that `prepare` has changed.
fn session_after(prepare: impl FnOnce(&mut Device)) -> Scenario {
    let (mut device, journal) = device(&[]);
    prepare(&mut device);
    Scenario::start(device, journal, version::ALL)
}

fn response_to(method: &str) -> String {
    envelope("", &format!("<c:{method}Response/>"))
}

fn events(scenario: &Scenario) -> Vec<String> {
    let text = |event: &Event| format!("{}/{}", event.code, event.command_key);
    scenario.device.state().events.pending().map(text).collect()
}

#[test]
fn a_download_is_queued_and_answered_with_1() {
    let mut acs = Scenario::past_inform();
    let answer = acs.call("Download", &arguments(&[])); // R227, R230
    let expected = "<cwmp:DownloadResponse><Status>1</Status><StartTime>0001-01-01T00:00:00Z</StartTime>\
        <CompleteTime>0001-01-01T00:00:00Z</CompleteTime></cwmp:DownloadResponse>";
    assert_eq!(answer, expected);
    assert_eq!(code(&acs.call("Download", &arguments(&[]))), 0); // R236: an equal request is a second transfer
    let (restored, _) = device(&acs.journal.records());
    let requests: Vec<&TransferRequest> =
        restored.state().transfers.iter().map(|transfer| transfer.request()).collect();
    assert_eq!(requests.len(), 2); // R233
    assert_eq!((requests[0].url.as_str(), requests[0].password.expose()), ("http://h/f?a=1&b=2", "p"));
    acs.journal.fail(true);
    assert_eq!(code(&acs.call("Download", &arguments(&[]))), 9002); // R171: a transfer that cannot be stored is rejected
    assert_eq!(acs.device.state().transfers.iter().count(), 2);
}

/// Arguments without effect may be missing.
#[test]
fn a_download_without_some_arguments() {
    let mut acs = Scenario::past_inform();
    let mut short = arguments(&[("CommandKey", "")]);
    for name in ["CommandKey", "SuccessURL", "FailureURL"] {
        short = short.replace(&format!("<{name}></{name}>"), "");
    }
    assert!(!short.contains("CommandKey") && !short.contains("SuccessURL") && !short.contains("FailureURL"), "{short}");
    assert_eq!(code(&acs.call("Download", &short)), 0);
    assert_eq!(code(&acs.call("Download", &short.replace("URL>", "Url>"))), 9003);
}

/// R228, R229, R237.
#[test]
fn a_download_that_is_refused() {
    let mut acs = Scenario::past_inform();
    for (changed, fault) in [
        (("FileType", "2 Web Content"), 9003),
        (("FileType", "3 Vendor Configuration File "), 9003),
        (("URL", "http://user:pass@h/f"), 9003),
        (("URL", "/f"), 9003),
        (("URL", "ftp://h/f"), 9013),
        (("DelaySeconds", "-1"), 9003),
        (("FileSize", "x"), 9003),
        (("CommandKey", "123456789012345678901234567890123"), 9003),
    ] {
        assert_eq!(code(&acs.call("Download", &arguments(&[changed]))), fault, "{changed:?}");
    }
    assert_eq!(code(&acs.call("Upload", &arguments(&[("FileType", "2 Vendor Log File")]))), 0);
    for _ in 1..TransferQueue::CAPACITY {
        assert_eq!(code(&acs.call("Download", &arguments(&[]))), 0);
    }
    assert_eq!(code(&acs.call("Download", &arguments(&[]))), 9004); // R233
    assert_eq!(code(&acs.call("Upload", &arguments(&[("FileType", "2 Vendor Log File")]))), 9004); // R242
}

/// R229, R237: what no request to a file server can carry is refused at once, and not after a success.
#[test]
fn control_characters_are_refused() {
    let mut acs = Scenario::past_inform();
    for (name, value) in [
        ("URL", "http://h/f&#13;&#10;X: y"),
        ("URL", "http://h/f\tg"),
        ("Username", "u&#10;"),
        ("Username", "u\x7f"),
        ("Password", "p&#13;q"),
    ] {
        assert_eq!(code(&acs.call("Download", &arguments(&[(name, value)]))), 9003, "{name} {value}");
        let upload = [("FileType", "2 Vendor Log File"), (name, value)];
        assert_eq!(code(&acs.call("Upload", &arguments(&upload))), 9003, "{name} {value}");
        let window = [("0", "60", "1 At Any Time", "0")];
        let scheduled = scheduled(&window).replace(&arguments(&[]), &arguments(&[(name, value)]));
        assert_eq!(code(&acs.call("ScheduleDownload", &scheduled)), 9003, "{name} {value}");
    }
    assert_eq!(code(&acs.call("Download", &arguments(&[("URL", "\n  http://h/f\n")]))), 0);
    assert_eq!(code(&acs.call("Download", &arguments(&[("Username", "M\u{fc}ller\u{20ac}")]))), 0);
}

/// R241, R242.
#[test]
fn uploads() {
    let mut acs = Scenario::past_inform();
    let answer = acs.call("Upload", &arguments(&[("FileType", "2 Vendor Log File")]));
    assert!(answer.starts_with("<cwmp:UploadResponse><Status>1</Status>"), "{answer}");
    for (file_type, fault) in [
        ("3 Vendor Configuration File 2", 0),
        ("3 Vendor Configuration File 1", 9003), // no such instance
        ("1 Vendor Configuration File", 9003),
        ("4 Vendor Log File 1", 9003),
    ] {
        assert_eq!(code(&acs.call("Upload", &arguments(&[("FileType", file_type)]))), fault, "{file_type}");
    }
    assert_eq!(code(&acs.call("Upload", &arguments(&[("FileType", "2 Vendor Log File"), ("URL", "ftp://h/")]))), 9013);
    let userinfo = [("FileType", "2 Vendor Log File"), ("URL", "http://u@h/")];
    assert_eq!(code(&acs.call("Upload", &arguments(&userinfo))), 9003);
}

/// R244, R245.
#[test]
fn scheduled_downloads() {
    let mut acs = Scenario::past_inform();
    let any = "1 At Any Time";
    let answer =
        acs.call("ScheduleDownload", &scheduled(&[("0", "10", any, "-1"), ("10", "20", "2 Immediately", "3")]));
    assert_eq!(answer, "<cwmp:ScheduleDownloadResponse></cwmp:ScheduleDownloadResponse>");
    assert_eq!(code(&acs.call("ScheduleDownload", &scheduled(&[("5", "6", "3 When Idle", "0")]))), 0);
    for windows in [
        &[][..],
        &[("5", "5", any, "0")],
        &[("0", "10", any, "0"), ("9", "20", any, "0")],
        &[("0", "1", any, "0"), ("1", "2", any, "0"), ("2", "3", any, "0")],
        &[("0", "10", "4 Confirmation Needed", "0")],
        &[("0", "10", "1 at any time", "0")],
        &[("0", "10", any, "-2")],
        &[("x", "10", any, "0")],
    ] {
        assert_eq!(code(&acs.call("ScheduleDownload", &scheduled(windows))), 9003, "{windows:?}");
    }
    assert_eq!(acs.device.state().transfers.iter().count(), 2);
}

/// R243, R246.
#[test]
fn the_queue_is_listed_and_cancelled() {
    let mut acs = Scenario::past_inform();
    acs.call("Download", &arguments(&[("CommandKey", "a&lt;"), ("DelaySeconds", "60")]));
    acs.call("Upload", &arguments(&[("CommandKey", "b"), ("FileType", "3 Vendor Configuration File 2")]));
    let local = transfer_request(Origin::LocalDownload, "", FIRMWARE);
    acs.device.change_transfers(NOW, |transfers| transfers.add(local, Timing::delayed(0, NOW))).unwrap().unwrap();
    let list = acs.call("GetAllQueuedTransfers", "");
    let expected = "<cwmp:GetAllQueuedTransfersResponse>\
        <TransferList soap-enc:arrayType=\"cwmp:AllQueuedTransferStruct[3]\">\
        <AllQueuedTransferStruct><CommandKey>a&lt;</CommandKey><State>1</State><IsDownload>1</IsDownload>\
        <FileType>3 Vendor Configuration File</FileType><FileSize>7</FileSize><TargetFileName>t</TargetFileName>\
        </AllQueuedTransferStruct>\
        <AllQueuedTransferStruct><CommandKey>b</CommandKey><State>1</State><IsDownload>0</IsDownload>\
        <FileType>6 Vendor Configuration File 2</FileType><FileSize>0</FileSize><TargetFileName></TargetFileName>\
        </AllQueuedTransferStruct>\
        <AllQueuedTransferStruct><CommandKey></CommandKey><State>1</State><IsDownload>1</IsDownload>\
        <FileType>1 Firmware Upgrade Image</FileType><FileSize>0</FileSize><TargetFileName>t</TargetFileName>\
        </AllQueuedTransferStruct></TransferList></cwmp:GetAllQueuedTransfersResponse>";
    assert_eq!(list, expected);
    let list = acs.call("GetQueuedTransfers", "");
    assert!(list.contains("cwmp:QueuedTransferStruct[2]") && list.contains("<State>1</State>"), "{list}");
    for key in ["a&lt;", "unknown", ""] {
        let answer = acs.call("CancelTransfer", &format!("<CommandKey>{key}</CommandKey>"));
        assert_eq!(answer, "<cwmp:CancelTransferResponse></cwmp:CancelTransferResponse>");
    }
    assert_eq!(acs.device.state().transfers.iter().count(), 2);
    let last = acs.device.state().transfers.iter().next().unwrap().id();
    assert_eq!(acs.device.next_transfer_step(true, true, NOW), Ok(Some(TransferStep::Move(last))));
    acs.device.change_transfers(NOW, |transfers| transfers.move_ended(last, 1, Err(failure()), NOW)).unwrap();
    assert_eq!(code(&acs.call("CancelTransfer", "<CommandKey>b</CommandKey>")), 9021); // its report is pending already
}

mod reports;
