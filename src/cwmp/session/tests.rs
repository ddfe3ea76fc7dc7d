//! Sessions as scenarios of replies of the ACS and messages of the CPE.

use super::*;
use crate::cwmp::device::Author;
use crate::cwmp::event::EventCode;
use crate::cwmp::testing::*;

const EMPTY_POST: Output = Output::Post(Vec::new());

#[test]
fn a_session_without_requests_ends_after_the_empty_post() {
    let mut scenario = Scenario::with_events(&["0 BOOTSTRAP", "1 BOOT"]);
    let inform = scenario.posted();
    assert!(inform.contains("<EventCode>0 BOOTSTRAP</EventCode><CommandKey></CommandKey>"), "{inform}");
    assert!(inform.contains("<EventCode>1 BOOT</EventCode>"));
    scenario.reply(&inform_response(""));
    assert_eq!(scenario.output, EMPTY_POST); // R114; exactly one, on which FreeACS relies (R345)
    scenario.reply("");
    assert_eq!(scenario.output, Output::End(Ok(()))); // R117
}

/// The whole Inform, byte for byte (R90 to R102).
#[test]
fn inform_is_as_the_standard_writes_it() {
    let scenario = Scenario::with_events(&["1 BOOT"]);
    let expected = concat!(
        r#"<?xml version="1.0" encoding="UTF-8"?>"#,
        "\n",
        r#"<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/""#,
        r#" xmlns:soap-enc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema""#,
        r#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cwmp="urn:dslforum-org:cwmp-1-2">"#,
        r#"<soap:Header><cwmp:ID soap:mustUnderstand="1">1</cwmp:ID>"#,
        r#"<cwmp:SupportedCWMPVersions soap:mustUnderstand="0">1.0,1.1,1.2,1.3,1.4</cwmp:SupportedCWMPVersions>"#,
        r#"</soap:Header><soap:Body><cwmp:Inform>"#,
        r#"<DeviceId><Manufacturer>Example &amp; Sons</Manufacturer><OUI>00D09E</OUI>"#,
        r#"<ProductClass>Home-Gateway</ProductClass><SerialNumber>0001</SerialNumber></DeviceId>"#,
        r#"<Event soap-enc:arrayType="cwmp:EventStruct[1]"><EventStruct><EventCode>1 BOOT</EventCode>"#,
        r#"<CommandKey></CommandKey></EventStruct></Event><MaxEnvelopes>1</MaxEnvelopes>"#,
        r#"<CurrentTime>2026-11-22T15:04:05+01:00</CurrentTime><RetryCount>0</RetryCount>"#,
        r#"<ParameterList soap-enc:arrayType="cwmp:ParameterValueStruct[3]">"#,
        r#"<ParameterValueStruct><Name>Device.DeviceInfo.SoftwareVersion</Name>"#,
        r#"<Value xsi:type="xsd:string">1.0.0</Value></ParameterValueStruct>"#,
        r#"<ParameterValueStruct><Name>Device.DeviceInfo.ProvisioningCode</Name>"#,
        r#"<Value xsi:type="xsd:string"></Value></ParameterValueStruct>"#,
        r#"<ParameterValueStruct><Name>Device.ManagementServer.ParameterKey</Name>"#,
        r#"<Value xsi:type="xsd:string"></Value></ParameterValueStruct></ParameterList>"#,
        "</cwmp:Inform></soap:Body></soap:Envelope>\n",
    );
    assert_eq!(scenario.posted(), expected);
}

#[test]
fn what_inform_told_is_delivered_when_its_response_has_come() {
    let mut scenario = Scenario::with_events(&["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!(scenario.device.state().events.pending().count(), 2); // not removed before the response
    scenario.reply(&inform_response(""));
    assert_eq!(scenario.device.state().events.pending().count(), 0);
    let (restored, _) = device(&scenario.journal.records());
    assert_eq!(restored.state().events.pending().count(), 0);
}

#[test]
fn requests_are_answered_in_the_very_next_post() {
    let mut scenario = Scenario::past_inform();
    let names = "<ParameterNames><string>Device.DeviceInfo.SerialNumber</string></ParameterNames>";
    let answer = scenario.call("GetParameterValues", names); // R112
    assert!(answer.starts_with("<cwmp:GetParameterValuesResponse>"), "{answer}");
    let answer = scenario.call("GetRPCMethods", "");
    assert!(answer.starts_with("<cwmp:GetRPCMethodsResponse>"), "{answer}");
    scenario.reply("");
    assert_eq!(scenario.output, Output::End(Ok(())));
}

/// R117: a script that prints an empty line has nothing to send, in whichever encoding and behind whichever mark.
#[test]
fn white_space_in_any_encoding_is_an_empty_reply() {
    for body in [&b"\r\n"[..], b"\xEF\xBB\xBF\n", b"\xFF\xFE\r\0\n\0", b"\xFE\xFF\0 "] {
        let mut scenario = Scenario::past_inform();
        scenario.reply_bytes(body);
        assert_eq!(scenario.output, Output::End(Ok(())), "{body:x?}");
    }
}

#[test]
fn the_id_of_a_request_is_echoed_with_its_white_space() {
    let mut scenario = Scenario::past_inform();
    let message = scenario.reply(&call("GetRPCMethods", ""));
    assert!(message.contains(r#"<cwmp:ID soap:mustUnderstand="1"> a&lt;b </cwmp:ID>"#), "{message}"); // R77
    let message = scenario.reply(&envelope("", "<c:GetRPCMethods/>"));
    assert!(!message.contains("cwmp:ID"), "{message}");
}

#[test]
fn a_method_that_is_not_there_is_fault_9000_and_the_session_goes_on() {
    let mut scenario = Scenario::past_inform();
    let answer = scenario.call("MakeCoffee", "<Cups>2</Cups>"); // R4
    assert!(answer.contains("<faultcode>soap:Server</faultcode>") || answer.contains("<faultcode>Server</faultcode>"));
    assert!(answer.contains("<faultstring>CWMP fault</faultstring>"), "{answer}"); // R85
    assert!(answer.contains("<FaultCode>9000</FaultCode>"), "{answer}");
    scenario.reply("");
    assert_eq!(scenario.output, Output::End(Ok(())));
}

/// R4: a request of another namespace, or of none, is a method that the device does not have, even if its name is
/// known; the session goes on.
#[test]
fn a_request_outside_the_cwmp_namespaces_is_fault_9000() {
    let mut scenario = Scenario::past_inform();
    let id = r#"<c:ID S:mustUnderstand="1">7</c:ID>"#;
    for request in [
        r#"<x:X_00000C_ShowStatus xmlns:x="http://vendor.example/"/>"#,
        r#"<x:FactoryReset xmlns:x="http://vendor.example/"/>"#,
        "<Reboot><CommandKey>k</CommandKey></Reboot>",
        r#"<Reboot/><x:Other xmlns:x="http://vendor.example/"/>"#,
    ] {
        let answer = scenario.reply(&envelope(id, request));
        assert!(answer.contains("<FaultCode>9000</FaultCode>"), "{request}: {answer}");
        assert!(answer.contains(r#"<cwmp:ID soap:mustUnderstand="1">7</cwmp:ID>"#), "{answer}"); // R77
        assert!(!scenario.device.state().reboot, "{request}");
    }
    // R75: beside a CWMP request, the element of another namespace is skipped.
    let answer = scenario.reply(&envelope(id, r#"<x:Other xmlns:x="http://vendor.example/"/><c:GetRPCMethods/>"#));
    assert!(answer.contains("<cwmp:GetRPCMethodsResponse>"), "{answer}");
    scenario.reply("");
    assert_eq!(scenario.output, Output::End(Ok(())));
}

/// R117: white space, or an envelope with an empty body, ends a session as an empty reply does.
#[test]
fn a_session_ended_by_an_almost_empty_reply() {
    for last in [" \r\n", "\n", &envelope("", "")] {
        let mut scenario = Scenario::past_inform();
        scenario.reply(last);
        assert_eq!(scenario.output, Output::End(Ok(())), "{last:?}");
    }
    for reply in ["\n", &envelope("", "")] {
        let mut scenario = Scenario::with_events(&["1 BOOT"]);
        scenario.reply(reply);
        assert!(matches!(scenario.output, Output::End(Err(_))), "{reply:?}"); // R118: it confirms no Inform
    }
}

/// R4, R70, R76, R77: an envelope with a request, and not with exactly one message, is answered with fault 9003 and its ID;
/// the session goes on, and nothing of it is executed.
#[test]
fn a_request_in_an_envelope_without_exactly_one_message() {
    let id = r#"<c:ID S:mustUnderstand="1">7</c:ID>"#;
    let reboot = "<c:Reboot><CommandKey>k</CommandKey></c:Reboot>";
    for (body, reason) in [
        (format!("{reboot}<c:GetRPCMethods/>"), "more than one RPC"),
        (format!("{reboot}{reboot}"), "more than one RPC"),
        (format!("{reboot}<c:TransferCompleteResponse/>"), "more than one RPC"),
        (format!("{reboot}</S:Body><S:Body>"), "more than one Body"),
        (format!("</S:Body><S:Body>{reboot}"), "more than one Body"),
        (format!("</S:Body><S:Header/><S:Body>{reboot}"), "more than one Header"),
        (
            format!("{reboot}</S:Body><S:Header><c:UseCWMPVersion><x/></c:UseCWMPVersion></S:Header><S:Body>"),
            "more than one Header",
        ),
        ("reboot".into(), "a text in place of"),
        ("".into(), "no CWMP message"),
        ("</S:Body><Body>".into(), "no body"),
    ] {
        let mut scenario = Scenario::past_inform();
        let message = envelope(id, &body);
        let message = if reason == "no body" { message.replace("S:Body", "Body") } else { message };
        let answer = scenario.reply(&message);
        assert!(answer.contains("<FaultCode>9003</FaultCode>") && answer.contains(reason), "{body}: {answer}");
        assert!(answer.contains(r#"<cwmp:ID soap:mustUnderstand="1">7</cwmp:ID>"#), "{body}: {answer}");
        assert!(!scenario.device.state().reboot, "{body}");
        let answer = scenario.call("GetRPCMethods", "");
        assert!(answer.starts_with("<cwmp:GetRPCMethodsResponse>"), "{body}: {answer}");
        scenario.reply("");
        assert_eq!(scenario.output, Output::End(Ok(())), "{body}");
    }
    // An ID that cannot be read is not repeated.
    let mut scenario = Scenario::past_inform();
    let answer = scenario.reply(&envelope("<c:ID><x/></c:ID>", reboot));
    assert!(answer.contains("<FaultCode>9003</FaultCode>") && !answer.contains("cwmp:ID"), "{answer}");
}

/// R117: an ACS that has no message for the CPE, and says so again in reply to the fault, ends the session.
#[test]
fn an_envelope_without_a_message_is_refused_once() {
    let id = r#"<c:ID S:mustUnderstand="1">7</c:ID>"#;
    let mut scenario = Scenario::past_inform();
    assert!(scenario.reply(&envelope(id, "")).contains("9003"));
    scenario.reply(&envelope(id, ""));
    assert_eq!(scenario.output, Output::End(Ok(())));
    let mut scenario = Scenario::past_inform();
    assert!(scenario.reply(&envelope("", "OK")).contains("9003"));
    scenario.reply(&envelope("", "OK"));
    assert!(matches!(scenario.output, Output::End(Err(SessionError::Soap(_)))), "{:?}", scenario.output);
}

/// R86, R88: an envelope with two replies, or with a fault beside a request, is not answered.
#[test]
fn two_messages_with_a_reply_are_not_answered() {
    let fails = |mut scenario: Scenario, body: &str| {
        scenario.reply(&envelope("", body));
        assert!(matches!(scenario.output, Output::End(Err(SessionError::Soap(_)))), "{body}: {:?}", scenario.output);
    };
    for body in ["<c:XResponse/><c:XResponse/>", "<S:Fault/><c:Reboot/>", "<c:Reboot/><c:Fault/>"] {
        fails(Scenario::past_inform(), body);
    }
    for body in ["<c:InformResponse/><c:InformResponse/>", "<c:InformResponse/><c:Reboot/>", "OK"] {
        fails(Scenario::with_events(&["1 BOOT"]), body);
    }
}

/// White space before an envelope, and text after it, change nothing.
#[test]
fn what_stands_around_an_envelope() {
    for (before, after) in [("\r\n ", ""), ("", "\0"), ("\n", "\r\n\0\0"), ("", "Warning: x = 1")] {
        let mut scenario = Scenario::past_inform();
        let message = scenario.reply(&format!("{before}{}{after}", call("GetRPCMethods", "")));
        assert!(message.contains("GetRPCMethodsResponse"), "{before:?} {after:?}: {:?}", scenario.output);
    }
}

/// R86: a response of another namespace answers no request of the CPE, and is not answered.
#[test]
fn a_response_outside_the_cwmp_namespaces_confirms_nothing() {
    let mut scenario = Scenario::with_events(&["1 BOOT"]);
    scenario.reply(&envelope("", "<InformResponse><MaxEnvelopes>1</MaxEnvelopes></InformResponse>"));
    assert_eq!(scenario.output, Output::End(Err(SessionError::NoInformResponse)));
    let mut scenario = Scenario::past_inform();
    scenario.reply(&envelope("", r#"<x:ShowStatusResponse xmlns:x="http://vendor.example/"/>"#));
    assert!(matches!(scenario.output, Output::End(Err(SessionError::Unexpected(_)))), "{:?}", scenario.output);
}

/// R88: a response with an unknown header fails the session; a request with one is answered with a SOAP fault.
#[test]
fn a_header_that_is_not_understood() {
    let header = r#"<o:Route xmlns:o="urn:other" S:mustUnderstand="1">x</o:Route>"#;
    let mut scenario = Scenario::with_events(&["2 PERIODIC"]);
    scenario.reply(&inform_response(header));
    let refused = SessionError::Soap("header Route not understood".into());
    assert_eq!(scenario.output, Output::End(Err(refused)));
    assert!(!scenario.is_initiated());

    let mut scenario = Scenario::past_inform();
    let answer = scenario.reply(&envelope(header, "<c:GetRPCMethods/>"));
    assert!(answer.contains("<faultcode>soap:MustUnderstand</faultcode>"), "{answer}");
}

/// The error that `status` keeps of a failed session has a limited length, even if the ACS sends a long name.
#[test]
fn a_long_name_is_not_kept_whole() {
    let long = "x".repeat(100_000);
    for body in [envelope("", &format!("<c:{long}Response/>")), format!("<{long}></y>")] {
        let mut scenario = Scenario::past_inform();
        scenario.reply(&body);
        let Output::End(Err(error)) = &scenario.output else { panic!("{:?}", scenario.output) };
        assert!(error.to_string().len() < 400, "{}", error.to_string().len());
    }
}

#[test]
fn a_heartbeat_goes_alone_and_tells_no_changes() {
    let (mut device, journal) = device(&[]);
    let name = "Device.DeviceInfo.ProvisioningCode";
    let value = crate::model::value::Type::String.parse("x").expect("a text");
    let change = crate::model::change::Change::Set(name.into(), value);
    device.apply(vec![change], Author::Other, NOW).expect("stored");
    device.state_mut().events.raise(EventCode::Heartbeat);
    let mut scenario = Scenario::start(device, journal, version::ALL);
    let inform = scenario.posted();
    assert!(inform.contains("14 HEARTBEAT") && !inform.contains("4 VALUE CHANGE"), "{inform}"); // R303
    scenario.reply(&inform_response(""));
    assert!(scenario.device.state().changed.contains(name));
    assert!(scenario.device.state().events.contains(&EventCode::ValueChange));
}

#[test]
fn requests_held_do_not_end_the_session() {
    let hold = r#"<c:HoldRequests S:mustUnderstand="1">1</c:HoldRequests>"#;
    let mut scenario = Scenario::with_events(&["2 PERIODIC"]);
    scenario.reply(&inform_response(hold));
    assert_eq!(scenario.output, EMPTY_POST);
    scenario.reply(""); // the first empty POST was sent while requests were held, so that it does not count (R115)
    assert_eq!(scenario.output, EMPTY_POST);
    scenario.reply("");
    assert_eq!(scenario.output, Output::End(Ok(())));
}

#[test]
fn inform_answered_by_nothing_or_by_something_else_fails_the_session() {
    let ends = |reply: &str| {
        let mut scenario = Scenario::with_events(&["1 BOOT"]);
        scenario.reply(reply);
        assert_eq!(scenario.device.state().events.pending().count(), 1); // still undelivered (R109)
        match scenario.output {
            Output::End(Err(error)) => error,
            other => panic!("{reply}: {other:?}"),
        }
    };
    assert_eq!(ends(""), SessionError::UnexpectedEmpty); // R118
    assert_eq!(ends(&call("GetRPCMethods", "")), SessionError::NoInformResponse);
    assert!(matches!(ends(&fault(8003)), SessionError::InformFault { code: 8003, .. })); // R92
    assert!(matches!(ends("<html>"), SessionError::Soap(_))); // R88
    assert!(matches!(ends("<html/>"), SessionError::Soap(_)));
    let words = |reply: &str| ends(reply).to_string().split_once(": ").expect("a reason").1.to_owned();
    assert_eq!(words("<html><h1>Log in</h1></html>"), "the message is no SOAP envelope: \"Log in\"");
    assert!(words("<!DOCTYPE html><title>Portal</title>").ends_with(": \"Portal\""));
    assert!(words("Warning: out of memory").ends_with(": \"Warning: out of memory\""));
    // The words of a damaged envelope may be passwords.
    assert!(!words("<s:Envelope><Value>hunter2</Value>").contains("hunter2"));
    assert!(matches!(ends(&inform_response("<c:UseCWMPVersion>9.9</c:UseCWMPVersion>")), SessionError::Version(_))); // R82
}

#[test]
fn fault_8005_asks_for_the_same_inform_three_times_at_most() {
    let mut scenario = Scenario::with_events(&["1 BOOT"]);
    let inform = scenario.posted();
    for _ in 0..3 {
        assert_eq!(scenario.reply(&fault(8005)), inform); // R120: identical
    }
    scenario.reply(&fault(8005));
    assert_eq!(scenario.output, Output::End(Err(SessionError::TooManyRetries)));
}

#[test]
fn a_response_or_a_fault_that_answers_nothing_is_not_answered() {
    for message in [fault(8001), envelope("", "<c:TransferCompleteResponse/>"), inform_response("")] {
        let mut scenario = Scenario::past_inform();
        scenario.reply(&message); // R86
        assert!(matches!(scenario.output, Output::End(Err(SessionError::Unexpected(_)))), "{message}");
    }
}

#[test]
fn malformed_messages_fail_the_session() {
    for message in ["not XML", "<a/>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"] {
        let mut scenario = Scenario::past_inform();
        scenario.reply(message);
        assert!(matches!(scenario.output, Output::End(Err(SessionError::Soap(_)))), "{message}"); // R88
    }
}

#[test]
fn an_acs_of_version_1_0_is_answered_in_its_namespace() {
    let mut scenario = Scenario::with_events(&["1 BOOT"]);
    scenario.reply(&inform_response("").replace("cwmp-1-2", "cwmp-1-0"));
    let message = scenario.reply(&call("GetRPCMethods", "").replace("cwmp-1-2", "cwmp-1-0"));
    assert!(message.contains(r#"xmlns:cwmp="urn:dslforum-org:cwmp-1-0""#), "{message}"); // R82, R83
}

#[test]
fn a_retry_for_a_version_1_0_acs_offers_nothing_newer() {
    let (mut device, journal) = device(&[]);
    device.state_mut().events.raise(EventCode::Boot);
    let scenario = Scenario::start(device, journal, version::OLDEST);
    let inform = scenario.posted();
    assert!(inform.contains("cwmp-1-0") && !inform.contains("SupportedCWMPVersions"), "{inform}"); // R84, R81
}

#[test]
fn a_header_that_must_be_understood_is_told_not_to_be() {
    let mut scenario = Scenario::past_inform();
    let header = r#"<x:Encrypted xmlns:x="urn:x" S:mustUnderstand="1">1</x:Encrypted>"#;
    let message = scenario.reply(&envelope(header, "<c:GetRPCMethods/>"));
    assert!(message.contains("MustUnderstand"), "{message}");
}

/// A damaged message may fail the session, but must not stop the agent: each truncation, and many flipped bytes.
#[test]
fn damaged_messages_never_panic() {
    let set = call(
        "SetParameterValues",
        r#"<ParameterList e:arrayType="c:ParameterValueStruct[1]"><ParameterValueStruct>
           <Name>Device.ManagementServer.PeriodicInformInterval</Name><Value i:type="x:unsignedInt">60</Value>
           </ParameterValueStruct></ParameterList><ParameterKey>k</ParameterKey>"#,
    );
    for length in 0..set.len() {
        Scenario::past_inform().reply(&set[..length]);
    }
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..2000 {
        let mut bytes = set.clone().into_bytes();
        for _ in 0..2 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = (seed % bytes.len() as u64) as usize;
            bytes[at] = (seed >> 40) as u8;
        }
        Scenario::past_inform().reply_bytes(&bytes);
    }
}

/// R92: after its end, a session still distinguishes a rejected Inform from a failure after InformResponse.
#[test]
fn a_session_that_has_ended_still_knows_whether_it_was_initiated() {
    let mut refused = Scenario::with_events(&["1 BOOT"]);
    refused.reply(&fault(8000));
    assert!(matches!(refused.output, Output::End(Err(_))) && !refused.is_initiated());
    let mut broken = Scenario::past_inform();
    assert!(broken.is_initiated());
    broken.reply("no XML");
    assert!(matches!(broken.output, Output::End(Err(_))) && broken.is_initiated());
}
