//! Sessions of the real agent with the reference ACS: the messages, their order, and the end of a session.

use crate::gateway::{BOOT, BOOTSTRAP, Model, PASSWORD, SOON, USERNAME};
use crate::support::{
    Acs, AcsOptions, Dialect, Ids, Reply, anything, drop_connection, empty_200, empty_post, fault, garbage,
    get_parameter_values, get_rpc_methods, inform, inform_response, no_content, nothing_more, oversized, raw_envelope,
    raw_rpc, response, set_parameter_values, soap_fault, status, truncated,
};

/// R90, R91, R94, R96, R98, R116, R117: every message of the simplest session.
fn the_first_contact(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(0)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    let agent = model.gateway(&acs).start();
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.connections().len(), 1, "R45");
    let inform = session.inform();
    let device = &inform.device;
    let told = [&device.manufacturer, &device.oui, &device.product_class, &device.serial_number];
    assert_eq!(told, ["Example", "00D09E", "HomeGateway", "0000000001"], "R93");
    assert_eq!(inform.version, "1-2", "R68");
    let versions = ("SupportedCWMPVersions".to_owned(), "1.0,1.1,1.2,1.3,1.4".to_owned());
    assert!(inform.headers.contains(&versions), "R81: {:?}", inform.headers);
    agent.wait_for_log("session finished", SOON);
    acs.quiet_for(std::time::Duration::from_millis(300));
}
both_models!(the_first_contact);

/// R43, R77, R96: the different notations of servers have the same meaning.
fn manners_of_servers_that_make_no_difference(model: &'static Model) {
    let manners = [
        AcsOptions::new().ends_with_200(),
        AcsOptions::new().length_on_204(),
        AcsOptions::new().max_envelopes(100),
        AcsOptions::new().ids(Ids::Omitted),
        AcsOptions::new().ids(Ids::OfInform),
        AcsOptions::new().ids(Ids::Fixed("  <&\"'> \u{e4}\u{4e2d} ".into())),
        AcsOptions::new().ids(Ids::Fixed("x".repeat(1000))),
        AcsOptions::new().ids(Ids::Fixed(String::new())),
    ];
    for options in manners {
        run_simple_session(model, options);
    }
}
both_models!(manners_of_servers_that_make_no_difference);

/// R67, R69, R75: the namespace of an element counts, not its prefix.
fn every_dialect_of_soap(model: &'static Model) {
    let dialects = [
        Dialect::Usual,
        Dialect::OddPrefixes,
        Dialect::DefaultNamespace,
        Dialect::LateDeclarations,
        Dialect::Chatty,
        Dialect::UndeclaredPrefixes,
    ];
    for dialect in dialects {
        run_simple_session(model, AcsOptions::new().dialect(dialect));
        run_simple_session(model, AcsOptions::new().dialect(dialect).version("1-2"));
    }
}
both_models!(every_dialect_of_soap);

/// Runs a session with a read, a write and a read of the written value.
fn run_simple_session(model: &'static Model, options: AcsOptions) {
    let name = model.at("Time.NTPServer1");
    let mut acs = Acs::start(options);
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(get_rpc_methods());
    acs.expects(response("GetRPCMethods")).replies(set_parameter_values(&[(name, "string", "a<&>\u{e4}b")], "key"));
    acs.expects(response("SetParameterValues")).replies(get_parameter_values(&[name]));
    acs.expects(response("GetParameterValues").parameter(name, "a<&>\u{e4}b")).replies(Reply::from(get_rpc_methods()));
    acs.expects(response("GetRPCMethods")).replies(nothing_more());
    let _agent = model.gateway(&acs).start();
    acs.session(SOON).expect_complete();
}

/// R82, R83: the rest of the session has the version of the InformResponse.
fn the_acs_chooses_the_version(model: &'static Model) {
    for (namespace, header, expected) in [
        ("1-0", None, "1-0"),
        ("1-1", None, "1-1"),
        ("1-2", None, "1-2"),
        ("1-0", Some("1.1"), "1-1"),
        ("1-2", Some("1.0"), "1-0"),
        ("1-2", Some("1.4"), "1-2"),
        ("1-3", None, "1-2"), // does not exist, but GenieACS writes it (R341)
    ] {
        let mut acs = Acs::start(AcsOptions::new().version(namespace));
        let reply = inform_response();
        let reply = header.map_or(reply.clone(), |version| reply.use_cwmp_version(version));
        acs.expects(inform()).replies(reply);
        acs.expects(empty_post()).replies(get_rpc_methods());
        acs.expects(response("GetRPCMethods")).replies(no_content());
        if header == Some("1.1") {
            acs.allow_violation("R82"); // this ACS writes its envelopes in an older namespace than it chose
        }
        let _agent = model.gateway(&acs).start();
        let session = acs.session(SOON).expect_complete();
        assert_eq!(session.response("GetRPCMethods").version, expected, "{namespace} {header:?}");
    }
}
both_models!(the_acs_chooses_the_version);

/// R82: a version that was not offered ends the session at once.
fn a_version_that_was_not_offered(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response().use_cwmp_version("2.0"));
    let agent = model.gateway(&acs).start();
    let session = acs.session(SOON).expect_failed();
    assert_eq!(session.exchanges.len(), 1);
    agent.wait_for_log("session failed: the ACS chose CWMP version", SOON);
}
both_models!(a_version_that_was_not_offered);

/// R84: an ACS of 2004 refuses unknown elements, each server in its own way; the retry is in 1.0.
fn an_acs_that_knows_version_1_0_only(model: &'static Model) {
    for refusal in [status(400), status(500), soap_fault(8000), soap_fault(8003), garbage(b"<what/>")] {
        let mut acs = Acs::start(AcsOptions::new());
        acs.expects(inform().only_events(&[BOOTSTRAP, BOOT])).replies(refusal);
        acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(1)).replies(inform_response());
        acs.expects(empty_post()).replies(get_rpc_methods());
        acs.expects(response("GetRPCMethods")).replies(no_content());
        let _agent = model.gateway(&acs).start();
        assert_eq!(acs.session(SOON).expect_failed().inform().version, "1-2");
        let retry = acs.session(SOON).expect_complete();
        assert_eq!(retry.inform().version, "1-0");
        let supported = retry.inform().headers.iter().any(|(name, _)| name == "SupportedCWMPVersions");
        assert!(!supported, "R81: not before 1.4");
        assert_eq!(retry.response("GetRPCMethods").version, "1-0");
    }
}
both_models!(an_acs_that_knows_version_1_0_only);

/// R84: a failure that says nothing of versions, such as a broken connection, changes nothing; the next refusal does.
fn an_old_acs_is_not_forgotten_when_it_breaks(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    for reply in [soap_fault(8003), drop_connection(), soap_fault(8003), inform_response()] {
        acs.expects(inform()).replies(reply);
    }
    let _agent = model.gateway(&acs).start();
    let mut versions: Vec<String> =
        (0..3).map(|_| acs.session(SOON).expect_failed().inform().version.clone()).collect();
    versions.push(acs.session(SOON).expect_complete().inform().version.clone());
    assert_eq!(versions, ["1-2", "1-0", "1-0", "1-2"]);
}
both_models!(an_old_acs_is_not_forgotten_when_it_breaks);

/// R113, R114, R117, R118: an empty answer does not end the session while requests were held.
fn hold_requests(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response().hold_requests(true));
    acs.expects(empty_post()).replies(get_rpc_methods().hold_requests(true));
    acs.expects(response("GetRPCMethods")).replies(get_rpc_methods().hold_requests(false));
    acs.expects(response("GetRPCMethods")).replies(no_content());
    acs.expects(empty_post()).replies(get_rpc_methods());
    acs.expects(response("GetRPCMethods")).replies(no_content());
    let _agent = model.gateway(&acs).start();
    acs.session(SOON).expect_complete();
}
both_models!(hold_requests);

/// R120: fault 8005 makes the agent repeat the identical Inform three times and no fourth time.
fn fault_8005_asks_for_the_same_again(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    for _ in 0..3 {
        acs.expects(inform().retry_count(0)).replies(soap_fault(8005));
    }
    acs.expects(inform().retry_count(0)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    let _agent = model.gateway(&acs).start();
    assert_eq!(acs.session(SOON).expect_complete().exchanges.len(), 5);
}
both_models!(fault_8005_asks_for_the_same_again);

/// A request that is answered by fault 8005 again and again fails the session.
fn fault_8005_once_too_often(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    for _ in 0..4 {
        acs.expects(inform().retry_count(0)).replies(soap_fault(8005));
    }
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(1)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    let _agent = model.gateway(&acs).start();
    assert_eq!(acs.session(SOON).expect_failed().exchanges.len(), 4);
    acs.session(SOON).expect_complete();
}
both_models!(fault_8005_once_too_often);

/// R92, R109: any other fault to Inform fails the session, and the retry sends its events again.
fn other_faults_to_inform(model: &'static Model) {
    let codes = [8000, 8001, 8002, 8003, 8004, 8006, 8800];
    let mut acs = Acs::start(AcsOptions::new());
    for (count, code) in (0..).zip(&codes) {
        acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(count)).replies(soap_fault(*code));
    }
    let agent = model.gateway(&acs).start();
    for code in codes {
        let session = acs.session(SOON).expect_failed();
        assert_eq!(session.exchanges.len(), 1);
        agent.wait_for_log(&format!("session failed: the ACS refused Inform with fault {code}"), SOON);
    }
}
both_models!(other_faults_to_inform);

/// R88, R118: an answer that is no InformResponse fails the session; no request follows it.
fn answers_to_inform_that_are_none(model: &'static Model) {
    let soap = "xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:c=\"urn:dslforum-org:cwmp-1-0\"";
    let answer = "<c:InformResponse><MaxEnvelopes>1</MaxEnvelopes></c:InformResponse>";
    let envelope = |body: &str| garbage(format!("<s:Envelope {soap}>{body}</s:Envelope>").as_bytes());
    let soap_1_2 = soap.replace("schemas.xmlsoap.org/soap/envelope/", "www.w3.org/2003/05/soap-envelope");
    let bombs = format!(
        "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><s:Envelope {soap}><s:Body>&b;{answer}</s:Body></s:Envelope>"
    );
    let cases: Vec<(&str, Reply)> = vec![
        ("no XML", garbage(b"\x01 nonsense")),
        ("no UTF-8", garbage(b"<a>\xff</a>")),
        ("HTML", garbage(b"<!doctype html><html><body>Hello</body></html>")),
        ("XML cut in the middle", truncated()),
        ("nothing with 200", empty_200()),
        ("nothing with 204", no_content()),
        ("a request", get_rpc_methods().into()),
        ("no Body", envelope("")),
        ("an empty Body", envelope("<s:Body/>")),
        ("two Bodies", envelope(&format!("<s:Body>{answer}</s:Body><s:Body>{answer}</s:Body>"))),
        ("another response", envelope("<s:Body><c:TransferCompleteResponse/></s:Body>")),
        ("a foreign namespace", envelope(&format!("<s:Body>{}</s:Body>", answer.replace("c:", "s:")))),
        ("SOAP 1.2", garbage(format!("<s:Envelope {soap_1_2}><s:Body>{answer}</s:Body></s:Envelope>").as_bytes())),
        ("a fault without detail", envelope("<s:Body><s:Fault><faultcode>s:Server</faultcode></s:Fault></s:Body>")),
        ("entities", garbage(bombs.as_bytes())),
        ("deep nesting", envelope(&format!("<s:Body>{}{}</s:Body>", "<a>".repeat(20_000), "</a>".repeat(20_000)))),
    ];
    for (what, reply) in cases {
        let mut acs = Acs::start(AcsOptions::new());
        acs.expects(inform()).replies(reply);
        let agent = model.gateway(&acs).start();
        let session = acs.session(SOON).expect_failed();
        assert_eq!(session.exchanges.len(), 1, "{what}");
        agent.wait_for_log("session failed: the ", SOON);
    }
}
both_models!(answers_to_inform_that_are_none);

/// R86, R88: such an answer in the middle of a session fails it too, and the agent sends no fault to a message that is
/// no request.
fn answers_in_the_middle_that_are_none(model: &'static Model) {
    let unasked = |method: &str| Reply::from(raw_rpc(&format!("{method}Response"), ""));
    let cases = [
        ("garbage", garbage(b"nonsense")),
        ("XML cut in the middle", truncated()),
        ("a response that answers nothing", unasked("TransferComplete")),
        ("a second InformResponse", unasked("Inform")),
        ("a fault that answers nothing", soap_fault(8001)),
        ("status 400", status(400)),
    ];
    for (what, reply) in cases {
        let mut acs = Acs::start(AcsOptions::new());
        acs.expects(inform()).replies(inform_response());
        acs.expects(empty_post()).replies(reply);
        // The events were delivered, so that the retry reports only its RetryCount (R109, R134).
        acs.expects(inform().only_events(&[]).retry_count(1)).replies(inform_response());
        acs.expects(empty_post()).replies(no_content());
        let _agent = model.gateway(&acs).start();
        let session = acs.session(SOON);
        assert_eq!(session.exchanges.len(), 2, "{what}: {}", session.describe());
        acs.session(SOON).expect_complete();
    }
}
both_models!(answers_in_the_middle_that_are_none);

/// R71: a large request is answered.
fn a_large_request(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(oversized(40_000));
    acs.expects(response("GetRPCMethods")).replies(oversized(2_000_000));
    acs.expects(response("GetRPCMethods")).replies(no_content());
    let _agent = model.gateway(&acs).start();
    acs.session(SOON).expect_complete();
}
both_models!(a_large_request);

/// R4, R76, R77: a request that cannot be served is answered with a fault, and the session goes on.
fn requests_that_are_refused(model: &'static Model) {
    let unknown_header = "<soap-env:Envelope xmlns:soap-env=\"http://schemas.xmlsoap.org/soap/envelope/\" \
        xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\" xmlns:x=\"urn:example\"><soap-env:Header>\
        <cwmp:ID soap-env:mustUnderstand=\"1\">{id}</cwmp:ID><x:Price soap-env:mustUnderstand=\"0\">1</x:Price>\
        </soap-env:Header><soap-env:Body><cwmp:GetRPCMethods/></soap-env:Body></soap-env:Envelope>";
    let without_level = format!("<ParameterPath>{}</ParameterPath>", model.at(""));
    let bad_level = format!("{without_level}<NextLevel>perhaps</NextLevel>");
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(raw_rpc("X_EXAMPLE-COM_Dance", "<Tempo>120</Tempo>"));
    acs.expects(fault(9000)).replies(raw_rpc("getparametervalues", ""));
    acs.expects(fault(9000)).replies(raw_rpc("GetParameterValues", ""));
    acs.expects(fault(9003)).replies(raw_rpc("GetParameterNames", &without_level));
    acs.expects(fault(9003)).replies(raw_rpc("GetParameterNames", &bad_level));
    acs.expects(fault(9003)).replies(raw_rpc("SetParameterValues", "<ParameterKey/>"));
    acs.expects(fault(9003)).replies(raw_envelope(
        "X_00000C_ShowStatus",
        &unknown_header.replace("<cwmp:GetRPCMethods/>", "<v:X_00000C_ShowStatus xmlns:v=\"http://vendor.example/\"/>"),
    ));
    acs.expects(fault(9000))
        .replies(raw_envelope("Reboot", &unknown_header.replace("<cwmp:GetRPCMethods/>", "<Reboot/>")));
    acs.expects(fault(9000)).replies(raw_rpc("SetParameterValues", "<ParameterList href=\"#id0\"/><ParameterKey/>"));
    acs.expects(fault(9003)).replies(raw_rpc("SetParameterValues", "<ParameterList>x</ParameterList><ParameterKey/>"));
    acs.expects(fault(9003)).replies(raw_envelope("GetRPCMethods", unknown_header));
    acs.expects(response("GetRPCMethods")).replies(no_content());
    let _agent = model.gateway(&acs).start();
    acs.session(SOON).expect_complete();
}
both_models!(requests_that_are_refused);

/// R5: the list of methods has exactly the methods that are answered.
fn the_list_of_methods_is_true(model: &'static Model) {
    let known = [
        "GetRPCMethods",
        "SetParameterValues",
        "GetParameterValues",
        "GetParameterNames",
        "SetParameterAttributes",
        "GetParameterAttributes",
        "AddObject",
        "DeleteObject",
        "Reboot",
        "Download",
        "Upload",
        "ScheduleInform",
        "ScheduleDownload",
        "CancelTransfer",
        "ChangeDUState",
        "SetVouchers",
        "GetOptions",
    ];
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(get_rpc_methods());
    for method in known {
        acs.enqueue(raw_rpc(method, "")); // without its arguments
    }
    let _agent = model.gateway(&acs).start();
    let session = acs.session(SOON).expect_complete();
    let listed = &session.response("GetRPCMethods").methods;
    let answers: Vec<_> = session.messages().skip(2).collect(); // after Inform and the list
    assert_eq!(answers.len(), known.len());
    for (method, answer) in known.iter().zip(answers) {
        let refused = answer.fault.as_ref().is_some_and(|fault| answer.is_fault() && fault.code == 9000);
        let is_listed = listed.iter().any(|name| name == method);
        assert_eq!(is_listed, !refused, "{method}: {answer}");
    }
}
both_models!(the_list_of_methods_is_true);

/// A session may have many exchanges.
fn a_long_session(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::like_genieacs(USERNAME, PASSWORD));
    for _ in 0..300 {
        acs.enqueue(get_parameter_values(&[model.at("DeviceInfo.UpTime"), model.at("ManagementServer.")]));
    }
    let _agent = model.gateway(&acs).start();
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.responses("GetParameterValues").len(), 300);
    assert_eq!(session.connections().len(), 1);
}
both_models!(a_long_session);

/// R125, R126, R98, R131: every kind of failure increments the retry count, and a success resets it.
fn retries_are_counted_until_one_succeeds(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    let failures: [Reply; 3] = [status(500), drop_connection(), soap_fault(8002)];
    for (count, failure) in (0..).zip(failures) {
        acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(count)).replies(failure);
    }
    acs.expects(inform().only_events(&[BOOTSTRAP, BOOT]).retry_count(3)).replies(inform_response());
    acs.expects(anything()).replies(no_content());
    acs.expects(inform().only_events(&[BOOT]).retry_count(0)).replies(inform_response());
    acs.expects(anything()).replies(no_content());
    let mut agent = model.gateway(&acs).start();
    let mut last = None;
    for _ in 0..3 {
        let session = acs.session(SOON).expect_failed();
        let began = session.exchanges[0].at;
        if let Some(before) = last.replace(began) {
            // m = 1 s, k = 1: one second, no more.
            let wait = began - before;
            assert!(wait.as_millis() >= 1000, "{wait:?}");
            assert!(wait.as_millis() < 3000, "{wait:?}");
        }
    }
    acs.session(SOON).expect_complete();
    agent.wait_for_log("session finished", SOON);
    agent.reboot();
    acs.session(SOON).expect_complete();
}
both_models!(retries_are_counted_until_one_succeeds);

/// R4, R70, R77: an envelope with two requests, or with none, is answered with a fault that has its ID; neither request is
/// executed, and the session goes on, so that the ACS does not send the same in each session again.
fn an_envelope_without_exactly_one_request(model: &'static Model) {
    let envelope = |body: &str| {
        format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:c=\"urn:dslforum-org:cwmp-1-0\">\
             <s:Header><c:ID s:mustUnderstand=\"1\">{{id}}</c:ID></s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )
    };
    let name = model.at("Time.NTPServer1");
    let two = format!(
        "<c:DeleteObject><ObjectName>x.</ObjectName><ParameterKey/></c:DeleteObject><c:SetParameterValues><ParameterList><P>\
         <Name>{name}</Name><Value>changed</Value></P></ParameterList><ParameterKey/></c:SetParameterValues>"
    );
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(raw_envelope("SetParameterValues", &envelope(&two)));
    acs.expects(fault(9003)).replies(raw_envelope("GetRPCMethods", &envelope("")));
    acs.expects(fault(9003)).replies(get_parameter_values(&[name]));
    acs.expects(response("GetParameterValues").parameter(name, "0.pool.ntp.org")).replies(nothing_more());
    let agent = model.gateway(&acs).start();
    acs.session(SOON).expect_complete();
    agent.wait_for_log("the envelope holds more than one RPC", SOON);
    agent.wait_for_log("session finished", SOON);
}
both_models!(an_envelope_without_exactly_one_request);
