//! The RPCs of file transfers, and the calls that tell of their ends.

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

/// The arguments of a call: those of Download, each with another value where the test says so.
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

/// Those of ScheduleDownload with these windows: start, end, mode, retries.
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

fn order(origin: Origin, key: &str, file_type: &str) -> TransferRequest {
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

/// Lets the device finish a transfer, well or not.
fn finish(device: &mut Device, order: TransferRequest, failure: Option<Failure>) -> u32 {
    let id = device.change_transfers(NOW, |t| t.add(order, Timing::delayed(0, NOW))).unwrap().unwrap();
    assert_eq!(device.next_transfer_step(true, true, NOW), Ok(Some(TransferStep::Move(id))));
    let result = failure.map_or(Ok(9), Err);
    device.change_transfers(NOW, |transfers| transfers.move_ended(id, 1, result, NOW)).unwrap();
    if device.next_transfer_step(true, true, NOW) == Ok(Some(TransferStep::Apply(id))) {
        device.change_transfers(NOW, |transfers| transfers.apply_ended(id, Ok(()), NOW)).unwrap();
    }
    id
}

/// A session of a device that has done something, past its InformResponse.
fn told(prepare: impl FnOnce(&mut Device)) -> Scenario {
    let (mut device, journal) = device(&[]);
    prepare(&mut device);
    Scenario::of(device, journal, version::ALL)
}

fn confirmed(method: &str) -> String {
    envelope("", &format!("<c:{method}Response/>"))
}

fn events(scenario: &Scenario) -> Vec<String> {
    let text = |event: &Event| format!("{}/{}", event.code, event.command_key);
    scenario.device.state().events.pending().map(text).collect()
}

#[test]
fn a_download_is_queued_and_answered_with_1() {
    let mut acs = Scenario::serving();
    let answer = acs.call("Download", &arguments(&[])); // R227, R230
    let expected = "<cwmp:DownloadResponse><Status>1</Status><StartTime>0001-01-01T00:00:00Z</StartTime>\
        <CompleteTime>0001-01-01T00:00:00Z</CompleteTime></cwmp:DownloadResponse>";
    assert_eq!(answer, expected);
    assert_eq!(code(&acs.call("Download", &arguments(&[]))), 0); // R236: the same once more is another one
    let (restored, _) = device(&acs.journal.records());
    let orders: Vec<&TransferRequest> = restored.state().transfers.iter().map(|transfer| transfer.request()).collect();
    assert_eq!(orders.len(), 2); // R233
    assert_eq!((orders[0].url.as_str(), orders[0].password.expose()), ("http://h/f?a=1&b=2", "p"));
    acs.journal.fail(true);
    assert_eq!(code(&acs.call("Download", &arguments(&[]))), 9002); // R171: not kept, not promised
    assert_eq!(acs.device.state().transfers.iter().count(), 2);
}

/// R228, R229, R237.
#[test]
fn a_download_that_is_refused() {
    let mut acs = Scenario::serving();
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

/// R241, R242.
#[test]
fn uploads() {
    let mut acs = Scenario::serving();
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
    let mut acs = Scenario::serving();
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
    let mut acs = Scenario::serving();
    acs.call("Download", &arguments(&[("CommandKey", "a&lt;"), ("DelaySeconds", "60")]));
    acs.call("Upload", &arguments(&[("CommandKey", "b"), ("FileType", "3 Vendor Configuration File 2")]));
    let local = order(Origin::LocalDownload, "", FIRMWARE);
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
    assert_eq!(code(&acs.call("CancelTransfer", "<CommandKey>b</CommandKey>")), 9021); // it is to be told already
}

/// R238 to R240: right after InformResponse, before the empty POST; confirmed by nothing else than its response.
#[test]
fn the_end_of_a_transfer_is_told() {
    let mut acs = told(|device| {
        finish(device, order(Origin::Download, "first", CONFIG), None);
        finish(device, order(Origin::Upload, "second", "2 Vendor Log File"), Some(failure()));
    });
    let inform = acs.posted();
    let expected = "<EventStruct><EventCode>7 TRANSFER COMPLETE</EventCode><CommandKey></CommandKey></EventStruct>\
        <EventStruct><EventCode>M Download</EventCode><CommandKey>first</CommandKey></EventStruct>\
        <EventStruct><EventCode>M Upload</EventCode><CommandKey>second</CommandKey></EventStruct>";
    assert!(inform.contains(expected), "{inform}"); // R240
    let first = acs.acs(&inform_response(""));
    let expected = "<cwmp:TransferComplete><CommandKey>first</CommandKey><FaultStruct><FaultCode>0</FaultCode>\
        <FaultString></FaultString></FaultStruct><StartTime>2026-11-22T15:06:40Z</StartTime>\
        <CompleteTime>2026-11-22T15:06:40Z</CompleteTime></cwmp:TransferComplete>";
    assert!(first.contains(expected), "{first}"); // R238
    assert_eq!(events(&acs).len(), 3);
    let second = acs.acs(&confirmed("TransferComplete"));
    let expected = "<CommandKey>second</CommandKey><FaultStruct><FaultCode>9011</FaultCode>\
        <FaultString>the server hung up &lt;&amp;&gt;</FaultString></FaultStruct>";
    assert!(second.contains(expected) && second.contains("<CompleteTime>0001-01-01T00:00:00Z<"), "{second}");
    assert_eq!(events(&acs), ["7 TRANSFER COMPLETE/", "M Upload/second"]);
    let (restored, _) = device(&acs.journal.records());
    assert_eq!(restored.state().transfers.iter().count(), 1); // R239: the journal has it before the next word
    acs.acs(&confirmed("TransferComplete"));
    assert_eq!((acs.output == Output::Post(Vec::new()), events(&acs)), (true, Vec::new())); // R114, R145
    acs.acs("");
    assert_eq!(acs.output, Output::End(Ok(())));
}

/// R121, R239: a fault, or no answer at all, and it is told in the next session; the others still in this one.
#[test]
fn what_is_not_confirmed_is_told_again() {
    for answer in [fault(8002), String::new()] {
        let mut acs = told(|device| {
            finish(device, order(Origin::Download, "same", CONFIG), None);
            finish(device, order(Origin::Download, "same", CONFIG), Some(failure()));
        });
        assert_eq!(acs.posted().matches("<EventCode>M Download</EventCode>").count(), 2); // R135
        let first = acs.acs(&inform_response(""));
        let second = acs.acs(&answer);
        assert!(first.contains("<FaultCode>0<") && second.contains("<FaultCode>9017<"), "{second}");
        acs.acs(&confirmed("TransferComplete"));
        assert_eq!(acs.output, Output::Post(Vec::new()));
        acs.acs("");
        assert_eq!(acs.output, Output::End(Ok(())));
        acs.device.state_mut().events.session_ended();
        assert_eq!(events(&acs), ["7 TRANSFER COMPLETE/", "M Download/same"]);
        let Scenario { device, journal, .. } = acs;
        let mut acs = Scenario::of(device, journal, version::ALL);
        let again = acs.acs(&inform_response(""));
        assert!(again.contains("<FaultCode>0<"), "{again}");
        acs.acs(&confirmed("TransferComplete"));
        assert_eq!(acs.device.state().transfers.iter().count(), 0);
    }
}

/// R120: the very same request, three times at most.
#[test]
fn fault_8005_asks_for_the_same_again() {
    let mut acs = told(|device| _ = finish(device, order(Origin::Download, "k", CONFIG), None));
    let report = acs.acs(&inform_response(""));
    for _ in 0..3 {
        assert_eq!(acs.acs(&fault(8005)), report);
    }
    acs.acs(&fault(8005));
    assert_eq!(acs.output, Output::End(Err(SessionError::TooManyRetries)));
    assert_eq!(acs.device.state().transfers.iter().count(), 1);
}

/// R113: an ACS that holds our requests hears of it when it no longer does.
#[test]
fn requests_that_are_held() {
    let mut acs = told(|device| {
        finish(device, order(Origin::Download, "a", CONFIG), None);
        finish(device, order(Origin::Download, "b", CONFIG), None);
    });
    let hold = "<c:HoldRequests>1</c:HoldRequests>";
    acs.acs(&inform_response(hold));
    assert_eq!(acs.output, Output::Post(Vec::new()));
    assert!(acs.acs(&envelope(hold, "<c:GetRPCMethods/>")).contains("GetRPCMethodsResponse"));
    let report = acs.acs("");
    assert!(report.contains("<CommandKey>a</CommandKey>"), "{report}");
    acs.acs(&envelope(hold, "<c:TransferCompleteResponse/>"));
    assert_eq!(acs.output, Output::Post(Vec::new()));
    assert!(acs.acs("").contains("<CommandKey>b</CommandKey>"));
    acs.acs(&confirmed("TransferComplete"));
    assert_eq!(acs.output, Output::Post(Vec::new()));
}

/// The response to something else confirms nothing; a request instead of one is answered, and nothing confirmed.
#[test]
fn other_answers_to_a_report() {
    let mut acs = told(|device| _ = finish(device, order(Origin::Download, "a", CONFIG), None));
    acs.acs(&inform_response(""));
    acs.acs(&confirmed("AutonomousTransferComplete"));
    assert!(matches!(acs.output, Output::End(Err(SessionError::Unexpected(_)))), "{:?}", acs.output); // R145
    assert_eq!(acs.device.state().transfers.iter().count(), 1);

    let mut acs = told(|device| _ = finish(device, order(Origin::Download, "a", CONFIG), None));
    acs.acs(&inform_response(""));
    assert!(acs.call("GetRPCMethods", "").contains("GetRPCMethodsResponse"));
    acs.acs("");
    assert_eq!(acs.output, Output::Post(Vec::new())); // R118
    assert_eq!(acs.device.state().transfers.iter().count(), 1);
}

/// R247: what the policy lets through, event 10 with its own call.
#[test]
fn autonomous_transfers() {
    let mut acs = told(|device| {
        finish(device, order(Origin::LocalDownload, "", CONFIG), None); // filtered by its result
        finish(device, order(Origin::LocalDownload, "", FIRMWARE), Some(failure())); // and this by its type
        finish(device, order(Origin::LocalUpload, "", "3 Vendor Configuration File 2"), Some(failure()));
        finish(device, order(Origin::LocalDownload, "", CONFIG), Some(failure()));
    });
    assert_eq!(events(&acs), ["10 AUTONOMOUS TRANSFER COMPLETE/"]);
    let first = acs.acs(&inform_response(""));
    let expected = "<cwmp:AutonomousTransferComplete><AnnounceURL></AnnounceURL>\
        <TransferURL>http://h/f?&lt;&amp;&gt;</TransferURL><IsDownload>0</IsDownload>\
        <FileType>6 Vendor Configuration File 2</FileType><FileSize>0</FileSize><TargetFileName>t</TargetFileName>\
        <FaultStruct><FaultCode>9011</FaultCode>";
    assert!(first.contains(expected), "{first}");
    let second = acs.acs(&confirmed("AutonomousTransferComplete"));
    assert!(second.contains("<FaultCode>9017</FaultCode>"), "{second}");
    assert_eq!(events(&acs), ["10 AUTONOMOUS TRANSFER COMPLETE/"]);
    acs.acs(&confirmed("AutonomousTransferComplete"));
    assert_eq!((events(&acs).len(), acs.device.state().transfers.iter().count()), (0, 0));
    assert_eq!(acs.output, Output::Post(Vec::new()));
}

/// An event whose report has given way to other transfers goes with it.
#[test]
fn an_autonomous_report_that_gives_way() {
    let acs = told(|device| {
        finish(device, order(Origin::LocalDownload, "", CONFIG), Some(failure()));
        assert!(device.state().events.contains(&EventCode::AutonomousTransferComplete));
        for _ in 0..TransferQueue::CAPACITY {
            let order = order(Origin::Download, "later", CONFIG);
            device.change_transfers(NOW, |t| t.add(order, Timing::delayed(3600, NOW))).unwrap().unwrap();
        }
    });
    assert_eq!(events(&acs).len(), 0);
}

/// R248; R144: a wish that is refused is dropped.
#[test]
fn downloads_that_the_device_wishes_for() {
    for (answer, is_known) in [(confirmed("RequestDownload"), true), (fault(8000), false)] {
        let mut acs = told(|device| {
            let wish =
                DownloadRequest { file_type: "2 Web Content".into(), arguments: vec![("Model".into(), "<A>".into())] };
            assert!(device.change_transfers(NOW, |transfers| transfers.request_download(wish)).unwrap());
        });
        assert!(acs.posted().contains("<EventCode>9 REQUEST DOWNLOAD</EventCode>"));
        let call = acs.acs(&inform_response(""));
        let expected = "<cwmp:RequestDownload><FileType>2 Web Content</FileType>\
            <FileTypeArg soap-enc:arrayType=\"cwmp:ArgStruct[1]\"><ArgStruct><Name>Model</Name><Value>&lt;A&gt;</Value>\
            </ArgStruct></FileTypeArg></cwmp:RequestDownload>";
        assert!(call.contains(expected), "{call}");
        acs.acs(&answer);
        assert_eq!(acs.output, Output::Post(Vec::new()), "{is_known}");
        assert_eq!((events(&acs).len(), acs.device.state().transfers.download_requests().len()), (0, 0));
    }
}

/// R139: with the events of before, what they tell of goes; what is yet to be done stays.
#[test]
fn another_acs_hears_nothing_of_it() {
    let (mut device, _) = device(&[]);
    finish(&mut device, order(Origin::Download, "done", CONFIG), None);
    let timing = Timing::delayed(60, NOW);
    device.change_transfers(NOW, |t| t.add(order(Origin::Download, "later", CONFIG), timing)).unwrap().unwrap();
    device.state_mut().bootstrap("http://other/".into());
    device.save(NOW).unwrap();
    let left: Vec<_> = device.state().transfers.iter().map(|t| t.request().command_key.as_str()).collect();
    assert_eq!(left, ["later"]);
    assert!(!device.state().events.contains(&EventCode::TransferComplete));
}

/// R83: an ACS of CWMP 1.0 gets the code that it knows.
#[test]
fn an_old_acs_gets_the_plain_code() {
    let (mut device, journal) = device(&[]);
    finish(&mut device, order(Origin::Download, "k", CONFIG), Some(failure()));
    let mut acs = Scenario::of(device, journal, version::OLDEST);
    let report = acs.acs(&inform_response("").replace("cwmp-1-2", "cwmp-1-0"));
    assert!(report.contains("<FaultCode>9010</FaultCode>"), "{report}");
}

/// R303: a heartbeat goes alone.
#[test]
fn a_heartbeat_tells_of_no_transfer() {
    let mut acs = told(|device| {
        finish(device, order(Origin::Download, "k", CONFIG), None);
        device.state_mut().events.raise(EventCode::Heartbeat);
    });
    assert!(!acs.posted().contains("TRANSFER COMPLETE"));
    acs.acs(&inform_response(""));
    assert_eq!(acs.output, Output::Post(Vec::new()));
    assert_eq!(acs.device.state().transfers.iter().count(), 1);
}
