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

/// R238 to R240: TransferComplete follows InformResponse, before the empty POST; only its response confirms it.
#[test]
fn the_end_of_a_transfer_is_told() {
    let mut acs = session_after(|device| {
        finish(device, transfer_request(Origin::Download, "first", CONFIG), None);
        finish(device, transfer_request(Origin::Upload, "second", "2 Vendor Log File"), Some(failure()));
    });
    let inform = acs.posted();
    let expected = "<EventStruct><EventCode>7 TRANSFER COMPLETE</EventCode><CommandKey></CommandKey></EventStruct>\
        <EventStruct><EventCode>M Download</EventCode><CommandKey>first</CommandKey></EventStruct>\
        <EventStruct><EventCode>M Upload</EventCode><CommandKey>second</CommandKey></EventStruct>";
    assert!(inform.contains(expected), "{inform}"); // R240
    let first = acs.reply(&inform_response(""));
    let expected = "<cwmp:TransferComplete><CommandKey>first</CommandKey><FaultStruct><FaultCode>0</FaultCode>\
        <FaultString></FaultString></FaultStruct><StartTime>2026-11-22T15:06:40Z</StartTime>\
        <CompleteTime>2026-11-22T15:06:40Z</CompleteTime></cwmp:TransferComplete>";
    assert!(first.contains(expected), "{first}"); // R238
    assert_eq!(events(&acs).len(), 3);
    let second = acs.reply(&response_to("TransferComplete"));
    let expected = "<CommandKey>second</CommandKey><FaultStruct><FaultCode>9011</FaultCode>\
        <FaultString>the server hung up &lt;&amp;&gt;</FaultString></FaultStruct>";
    assert!(second.contains(expected) && second.contains("<CompleteTime>0001-01-01T00:00:00Z<"), "{second}");
    assert_eq!(events(&acs), ["7 TRANSFER COMPLETE/", "M Upload/second"]);
    let (restored, _) = device(&acs.journal.records());
    assert_eq!(restored.state().transfers.iter().count(), 1); // R239: stored before the next message
    acs.reply(&response_to("TransferComplete"));
    assert_eq!((acs.output == Output::Post(Vec::new()), events(&acs)), (true, Vec::new())); // R114, R145
    acs.reply("");
    assert_eq!(acs.output, Output::End(Ok(())));
}

/// R121, R239: after a fault or an empty reply, the next session repeats the report; this one goes on with the others.
#[test]
fn what_is_not_confirmed_is_told_again() {
    for answer in [fault(8002), String::new()] {
        let mut acs = session_after(|device| {
            finish(device, transfer_request(Origin::Download, "same", CONFIG), None);
            finish(device, transfer_request(Origin::Download, "same", CONFIG), Some(failure()));
        });
        assert_eq!(acs.posted().matches("<EventCode>M Download</EventCode>").count(), 2); // R135
        let first = acs.reply(&inform_response(""));
        let second = acs.reply(&answer);
        assert!(first.contains("<FaultCode>0<") && second.contains("<FaultCode>9017<"), "{second}");
        acs.reply(&response_to("TransferComplete"));
        assert_eq!(acs.output, Output::Post(Vec::new()));
        acs.reply("");
        assert_eq!(acs.output, Output::End(Ok(())));
        acs.device.state_mut().events.session_ended();
        assert_eq!(events(&acs), ["7 TRANSFER COMPLETE/", "M Download/same"]);
        let Scenario { device, journal, .. } = acs;
        let mut acs = Scenario::start(device, journal, version::ALL);
        let again = acs.reply(&inform_response(""));
        assert!(again.contains("<FaultCode>0<"), "{again}");
        acs.reply(&response_to("TransferComplete"));
        assert_eq!(acs.device.state().transfers.iter().count(), 0);
    }
}

/// R120: the CPE repeats the identical request, three times at most.
#[test]
fn fault_8005_asks_for_the_same_again() {
    let mut acs = session_after(|device| _ = finish(device, transfer_request(Origin::Download, "k", CONFIG), None));
    let report = acs.reply(&inform_response(""));
    for _ in 0..3 {
        assert_eq!(acs.reply(&fault(8005)), report);
    }
    acs.reply(&fault(8005));
    assert_eq!(acs.output, Output::End(Err(SessionError::TooManyRetries)));
    assert_eq!(acs.device.state().transfers.iter().count(), 1);
}

/// R113: reports that the ACS holds back follow when it no longer does.
#[test]
fn requests_that_are_held() {
    let mut acs = session_after(|device| {
        finish(device, transfer_request(Origin::Download, "a", CONFIG), None);
        finish(device, transfer_request(Origin::Download, "b", CONFIG), None);
    });
    let hold = "<c:HoldRequests>1</c:HoldRequests>";
    acs.reply(&inform_response(hold));
    assert_eq!(acs.output, Output::Post(Vec::new()));
    assert!(acs.reply(&envelope(hold, "<c:GetRPCMethods/>")).contains("GetRPCMethodsResponse"));
    let report = acs.reply("");
    assert!(report.contains("<CommandKey>a</CommandKey>"), "{report}");
    acs.reply(&envelope(hold, "<c:TransferCompleteResponse/>"));
    assert_eq!(acs.output, Output::Post(Vec::new()));
    assert!(acs.reply("").contains("<CommandKey>b</CommandKey>"));
    acs.reply(&response_to("TransferComplete"));
    assert_eq!(acs.output, Output::Post(Vec::new()));
}

/// The response of another method ends the session; a request in place of the response is answered. Neither confirms the
/// report.
#[test]
fn other_answers_to_a_report() {
    let mut acs = session_after(|device| _ = finish(device, transfer_request(Origin::Download, "a", CONFIG), None));
    acs.reply(&inform_response(""));
    acs.reply(&response_to("AutonomousTransferComplete"));
    assert!(matches!(acs.output, Output::End(Err(SessionError::Unexpected(_)))), "{:?}", acs.output); // R145
    assert_eq!(acs.device.state().transfers.iter().count(), 1);

    let mut acs = session_after(|device| _ = finish(device, transfer_request(Origin::Download, "a", CONFIG), None));
    acs.reply(&inform_response(""));
    assert!(acs.call("GetRPCMethods", "").contains("GetRPCMethodsResponse"));
    acs.reply("");
    assert_eq!(acs.output, Output::Post(Vec::new())); // R118
    assert_eq!(acs.device.state().transfers.iter().count(), 1);
}

/// R247: transfers that the policy selects are reported with event 10 and a method of its own.
#[test]
fn autonomous_transfers() {
    let mut acs = session_after(|device| {
        finish(device, transfer_request(Origin::LocalDownload, "", CONFIG), None); // filtered by its result
        finish(device, transfer_request(Origin::LocalDownload, "", FIRMWARE), Some(failure())); // and this by its type
        finish(device, transfer_request(Origin::LocalUpload, "", "3 Vendor Configuration File 2"), Some(failure()));
        finish(device, transfer_request(Origin::LocalDownload, "", CONFIG), Some(failure()));
    });
    assert_eq!(events(&acs), ["10 AUTONOMOUS TRANSFER COMPLETE/"]);
    let first = acs.reply(&inform_response(""));
    let expected = "<cwmp:AutonomousTransferComplete><AnnounceURL></AnnounceURL>\
        <TransferURL>http://h/f?&lt;&amp;&gt;</TransferURL><IsDownload>0</IsDownload>\
        <FileType>6 Vendor Configuration File 2</FileType><FileSize>0</FileSize><TargetFileName>t</TargetFileName>\
        <FaultStruct><FaultCode>9011</FaultCode>";
    assert!(first.contains(expected), "{first}");
    let second = acs.reply(&response_to("AutonomousTransferComplete"));
    assert!(second.contains("<FaultCode>9017</FaultCode>"), "{second}");
    assert_eq!(events(&acs), ["10 AUTONOMOUS TRANSFER COMPLETE/"]);
    acs.reply(&response_to("AutonomousTransferComplete"));
    assert_eq!((events(&acs).len(), acs.device.state().transfers.iter().count()), (0, 0));
    assert_eq!(acs.output, Output::Post(Vec::new()));
}

/// A report that gives way to other transfers takes its event with it.
#[test]
fn an_autonomous_report_that_gives_way() {
    let acs = session_after(|device| {
        finish(device, transfer_request(Origin::LocalDownload, "", CONFIG), Some(failure()));
        assert!(device.state().events.contains(&EventCode::AutonomousTransferComplete));
        for _ in 0..TransferQueue::CAPACITY {
            let request = transfer_request(Origin::Download, "later", CONFIG);
            device.change_transfers(NOW, |t| t.add(request, Timing::delayed(3600, NOW))).unwrap().unwrap();
        }
    });
    assert_eq!(events(&acs).len(), 0);
}

/// R144, R248: RequestDownload; a refused one is dropped.
#[test]
fn downloads_that_the_device_wishes_for() {
    for (answer, is_known) in [(response_to("RequestDownload"), true), (fault(8000), false)] {
        let mut acs = session_after(|device| {
            let download =
                DownloadRequest { file_type: "2 Web Content".into(), arguments: vec![("Model".into(), "<A>".into())] };
            assert!(device.change_transfers(NOW, |transfers| transfers.request_download(download)).unwrap());
        });
        assert!(acs.posted().contains("<EventCode>9 REQUEST DOWNLOAD</EventCode>"));
        let call = acs.reply(&inform_response(""));
        let expected = "<cwmp:RequestDownload><FileType>2 Web Content</FileType>\
            <FileTypeArg soap-enc:arrayType=\"cwmp:ArgStruct[1]\"><ArgStruct><Name>Model</Name><Value>&lt;A&gt;</Value>\
            </ArgStruct></FileTypeArg></cwmp:RequestDownload>";
        assert!(call.contains(expected), "{call}");
        acs.reply(&answer);
        assert_eq!(acs.output, Output::Post(Vec::new()), "{is_known}");
        assert_eq!((events(&acs).len(), acs.device.state().transfers.download_requests().len()), (0, 0));
    }
}

/// R139: another ACS gets no reports of earlier transfers; a transfer that is still to be done stays.
#[test]
fn another_acs_hears_nothing_of_it() {
    let (mut device, _) = device(&[]);
    finish(&mut device, transfer_request(Origin::Download, "done", CONFIG), None);
    let timing = Timing::delayed(60, NOW);
    device
        .change_transfers(NOW, |t| t.add(transfer_request(Origin::Download, "later", CONFIG), timing))
        .unwrap()
        .unwrap();
    device.state_mut().bootstrap("http://other/".into());
    device.save(NOW).unwrap();
    let left: Vec<_> = device.state().transfers.iter().map(|t| t.request().command_key.as_str()).collect();
    assert_eq!(left, ["later"]);
    assert!(!device.state().events.contains(&EventCode::TransferComplete));
}

/// R83: an ACS of CWMP 1.0 gets a fault code of that version.
#[test]
fn an_old_acs_gets_the_plain_code() {
    let (mut device, journal) = device(&[]);
    finish(&mut device, transfer_request(Origin::Download, "k", CONFIG), Some(failure()));
    let mut acs = Scenario::start(device, journal, version::OLDEST);
    let report = acs.reply(&inform_response("").replace("cwmp-1-2", "cwmp-1-0"));
    assert!(report.contains("<FaultCode>9010</FaultCode>"), "{report}");
}

/// R303: a session with HEARTBEAT carries no reports.
#[test]
fn a_heartbeat_tells_of_no_transfer() {
    let mut acs = session_after(|device| {
        finish(device, transfer_request(Origin::Download, "k", CONFIG), None);
        device.state_mut().events.raise(EventCode::Heartbeat);
    });
    assert!(!acs.posted().contains("TRANSFER COMPLETE"));
    acs.reply(&inform_response(""));
    assert_eq!(acs.output, Output::Post(Vec::new()));
    assert_eq!(acs.device.state().transfers.iter().count(), 1);
}
