//! Tests of the reports on ended transfers: TransferComplete, AutonomousTransferComplete, RequestDownload.

use super::*;

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
