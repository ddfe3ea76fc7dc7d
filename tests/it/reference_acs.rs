//! The reference ACS itself, tested by a raw client that plays good and bad CPEs byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crate::support::digest::{Algorithm, Authorization, Secret};
use crate::support::*;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const SOON: Duration = Duration::from_secs(5);

/// The header fields that a correct CPE sends with an envelope.
const SOAP: &str = "Content-Type: text/xml; charset=utf-8\r\nSOAPAction:\r\n";

trait Channel: Read + Write {}
impl<T: Read + Write> Channel for T {}

/// A CPE that sends exactly the bytes that the test gives.
struct RawCpe {
    channel: BufReader<Box<dyn Channel>>,
    port: u16,
}

struct RawAnswer {
    status: u16,
    head: String,
    body: String,
}

impl RawAnswer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Returns the ID that the ACS gave to its request.
    fn id(&self) -> &str {
        let (_, rest) = self.body.split_once("ID").expect("an ID header");
        let (_, rest) = rest.split_once('>').expect("the end of a tag");
        rest.split_once('<').expect("an end tag").0
    }
}

impl RawCpe {
    fn connect(acs: &Acs) -> RawCpe {
        let tcp = TcpStream::connect(("127.0.0.1", acs.port())).expect("the ACS listens");
        tcp.set_read_timeout(Some(SOON)).expect("a timeout");
        RawCpe { channel: BufReader::new(Box::new(tcp)), port: acs.port() }
    }

    fn post(&mut self, headers: &str, body: &str) -> RawAnswer {
        self.post_to("/acs", headers, body)
    }

    fn post_to(&mut self, target: &str, headers: &str, body: &str) -> RawAnswer {
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        );
        self.raw(&request)
    }

    fn raw(&mut self, bytes: &str) -> RawAnswer {
        let channel = self.channel.get_mut();
        channel.write_all(bytes.as_bytes()).expect("a write");
        channel.flush().expect("a flush");
        self.answer()
    }

    fn answer(&mut self) -> RawAnswer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = self.channel.read_line(&mut head).expect("a header line");
            assert!(read > 0, "the ACS closed after {head:?}");
        }
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut answer = RawAnswer { status: status.expect("a status"), head, body: String::new() };
        if answer.status == 100 {
            return self.answer();
        }
        let mut body = Vec::new();
        if answer.header("Transfer-Encoding") == Some("chunked") {
            body = self.chunks();
        } else if let Some(length) = answer.header("Content-Length") {
            body.resize(length.parse().expect("a length"), 0);
            self.channel.read_exact(&mut body).expect("the body");
        }
        answer.body = String::from_utf8(body).expect("UTF-8");
        answer
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.channel.read_line(&mut line).expect("a chunk's size");
            let size = line.trim().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).expect("a size");
            let mut chunk = vec![0; size + 2];
            if size == 0 {
                while line != "\r\n" {
                    line.clear();
                    self.channel.read_line(&mut line).expect("a trailer");
                }
                return body;
            }
            self.channel.read_exact(&mut chunk).expect("a chunk");
            body.extend_from_slice(&chunk[..size]);
        }
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.channel.read(&mut [0]), Ok(0) | Err(_))
    }

    /// Sends Inform and the empty POST, both with these header fields.
    fn good_session(mut self, headers: &str) -> RawCpe {
        let answer = self.post(&format!("{SOAP}{headers}"), &inform_xml(0));
        assert_eq!(answer.status, 200, "{}{}", answer.head, answer.body);
        self.post(headers, "");
        self
    }
}

fn acs(options: AcsOptions) -> Acs {
    Acs::start(options.keeps_no_messages())
}

fn envelope(id: &str, content: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><soap-env:Envelope \
         xmlns:soap-env=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:soap-enc=\"http://schemas.xmlsoap.org/soap/encoding/\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\"><soap-env:Header>\
         <cwmp:ID soap-env:mustUnderstand=\"1\">{id}</cwmp:ID></soap-env:Header>\
         <soap-env:Body>{content}</soap-env:Body></soap-env:Envelope>"
    )
}

fn inform_xml(retry_count: u32) -> String {
    inform_with(&["0 BOOTSTRAP", "1 BOOT"], "2026-11-22T15:04:05+01:00", retry_count)
}

fn inform_with(events: &[&str], time: &str, retry_count: u32) -> String {
    let list: String = events
        .iter()
        .map(|code| format!("<EventStruct><EventCode>{code}</EventCode><CommandKey></CommandKey></EventStruct>"))
        .collect();
    envelope(
        "cpe-1",
        &format!(
            "<cwmp:Inform><DeviceId><Manufacturer>M</Manufacturer><OUI>00D09E</OUI>\
             <ProductClass>P</ProductClass><SerialNumber>1</SerialNumber></DeviceId>\
             <Event soap-enc:arrayType=\"cwmp:EventStruct[{}]\">{list}</Event>\
             <MaxEnvelopes>1</MaxEnvelopes><CurrentTime>{time}</CurrentTime>\
             <RetryCount>{retry_count}</RetryCount>\
             <ParameterList soap-enc:arrayType=\"cwmp:ParameterValueStruct[1]\">\
             <ParameterValueStruct><Name>Device.DeviceInfo.SoftwareVersion</Name>\
             <Value xsi:type=\"xsd:string\">1.0</Value></ParameterValueStruct></ParameterList></cwmp:Inform>",
            events.len()
        ),
    )
}

fn values_xml(id: &str, value: &str) -> String {
    envelope(
        id,
        &format!(
            "<cwmp:GetParameterValuesResponse>\
             <ParameterList soap-enc:arrayType=\"cwmp:ParameterValueStruct[1]\">\
             <ParameterValueStruct><Name>Device.Time.Enable</Name>{value}\
             </ParameterValueStruct></ParameterList></cwmp:GetParameterValuesResponse>"
        ),
    )
}

const TRUE: &str = "<Value xsi:type=\"xsd:boolean\">1</Value>";

/// Checks that the ACS has noted exactly this violation.
fn assert_violates(acs: &Acs, text: &str) {
    let violations = acs.take_violations();
    assert!(violations.iter().any(|violation| violation.contains(text)), "no {text:?} in {violations:#?}");
}

/// A correct session is recorded with all its exchanges, and without a violation.
#[test]
fn a_good_session_is_recorded_whole_and_violates_nothing() {
    let mut acs = acs(AcsOptions::new());
    acs.expects(inform().only_events(&["1 BOOT", "0 BOOTSTRAP"]).retry_count(0)).replies(inform_response());
    acs.expects(empty_post()).replies(get_parameter_values(&["Device.Time.Enable"]));
    acs.expects(response("GetParameterValues").parameter("Device.Time.Enable", "1")).replies(no_content());

    let mut cpe = RawCpe::connect(&acs);
    let answer = cpe.post(SOAP, &inform_xml(0));
    assert!(answer.body.contains("InformResponse"), "{}", answer.body);
    assert_eq!(answer.id(), "cpe-1");
    let call = cpe.post("", "");
    assert!(call.body.contains("<string>Device.Time.Enable</string>"));
    assert_eq!(cpe.post(SOAP, &values_xml(call.id(), TRUE)).status, 204);
    drop(cpe);

    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.statuses(), [200, 200, 204]);
    assert_eq!(session.connections(), [1]);
    assert_eq!(session.inform().device.serial_number, "1");
    assert_eq!(session.response("GetParameterValues").parameters.len(), 1);
    acs.wait_until_met(SOON);

    let told = crate::support::transcript::render(&session, false);
    for line in [
        "CPE ──▶ ACS  Inform  \"0 BOOTSTRAP\"  \"1 BOOT\"  retry 0",
        "CPE ◀── ACS  200  GetParameterValues",
        "Device.Time.Enable = 1",
        "CPE ◀── ACS  204  nothing more",
        "complete, 3 exchanges",
    ] {
        assert!(told.contains(line), "{line:?} is not in\n{told}");
    }
}

/// Without expectations the ACS sends its queued RPCs, and confirms TransferComplete.
#[test]
fn without_a_scenario_tasks_are_given_out_and_transfers_acknowledged() {
    let mut acs = acs(AcsOptions::new().ends_with_200());
    acs.enqueue(get_parameter_values(&[""]));
    let mut cpe = RawCpe::connect(&acs);
    cpe.post(SOAP, &inform_xml(0));
    let done = envelope(
        "t",
        "<cwmp:TransferComplete><CommandKey>k</CommandKey><FaultStruct><FaultCode>0</FaultCode>\
         <FaultString></FaultString></FaultStruct><StartTime>0001-01-01T00:00:00Z</StartTime>\
         <CompleteTime>2026-01-01T00:00:00Z</CompleteTime></cwmp:TransferComplete>",
    );
    let answer = cpe.post(SOAP, &done);
    assert!(answer.body.contains("TransferCompleteResponse"));
    let call = cpe.post("", "");
    let answer = cpe.post(SOAP, &values_xml(call.id(), TRUE));
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    drop(cpe);
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.message("TransferComplete").argument("CommandKey"), Some("k"));
}

/// An unexpected request fails the scenario, and the failure shows it.
#[test]
fn an_unexpected_request_fails_the_story_and_says_what_came() {
    let acs = acs(AcsOptions::new());
    acs.expects(inform().event("2 PERIODIC")).replies(inform_response());
    assert_eq!(RawCpe::connect(&acs).post(SOAP, &inform_xml(0)).status, 500);
    let failures = acs.take_failures().join("\n");
    for text in ["2 PERIODIC", "event \"0 BOOTSTRAP\"", "RetryCount = \"0\""] {
        assert!(failures.contains(text), "{text:?} is not in\n{failures}");
    }
}

/// An ACS with a violation, a failure or an open expectation panics when it is dropped.
#[test]
fn an_acs_that_is_not_content_panics_when_it_goes() {
    let unmet = std::panic::catch_unwind(|| {
        let acs = acs(AcsOptions::new());
        acs.expects(inform()).replies(inform_response());
    });
    assert!(unmet.is_err(), "an expectation that never came");
    let broken = std::panic::catch_unwind(|| {
        let acs = acs(AcsOptions::new());
        RawCpe::connect(&acs).post("", "");
    });
    assert!(broken.is_err(), "a violation");
}

/// Each case is a request that breaks one rule right after a good Inform, and the rule's name.
#[test]
fn http_rules_are_checked() {
    let call = |head: &str, body: &str| {
        let acs = acs(AcsOptions::new());
        let mut cpe = RawCpe::connect(&acs);
        cpe.post(SOAP, &inform_xml(0));
        cpe.raw(&format!("{}\r\n\r\n{body}", head.replace("HOST", &format!("Host: 127.0.0.1:{}", acs.port()))));
        acs
    };
    let cases = [
        ("R34", "GET /acs HTTP/1.1\r\nHOST\r\nContent-Length: 0", ""),
        ("R34", "POST /acs HTTP/1.0\r\nHOST\r\nContent-Length: 0", ""),
        ("R10", "POST /other HTTP/1.1\r\nHOST\r\nContent-Length: 0", ""),
        ("R42: no single right Content-Length", "POST /acs HTTP/1.1\r\nHOST", ""),
        ("R42: Transfer-Encoding", "POST /acs HTTP/1.1\r\nHOST\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        ("R42: Expect", "POST /acs HTTP/1.1\r\nHOST\r\nExpect: 100-continue\r\nContent-Length: 0", ""),
        ("Host", "POST /acs HTTP/1.1\r\nContent-Length: 0", ""),
        (
            "R38: an empty POST with Content-Type",
            "POST /acs HTTP/1.1\r\nHOST\r\nContent-Type: text/xml\r\nContent-Length: 0",
            "",
        ),
        ("R38: an empty POST with SOAPAction", "POST /acs HTTP/1.1\r\nHOST\r\nSOAPAction:\r\nContent-Length: 0", ""),
        ("R40", "POST /acs HTTP/1.1\r\nHOST\r\nContent-Length: 0", "POST "),
        ("R37", "POST /acs HTTP/1.1\r\nHOST\r\nSOAPAction:\r\nContent-Length: 3", "<a>"),
        ("R35", "POST /acs HTTP/1.1\r\nHOST\r\nContent-Type: text/xml\r\nSOAPAction: \"\"\r\nContent-Length: 3", "<a>"),
        ("R88", "POST /acs HTTP/1.1\r\nHOST\r\nContent-Type: text/xml\r\nSOAPAction:\r\nContent-Length: 3", "<a>"),
        ("R53", "POST /acs HTTP/1.1\r\nHOST\r\nCookie: old=1\r\nContent-Length: 0", ""),
    ];
    for (rule, head, body) in cases {
        let acs = call(head, body);
        assert_violates(&acs, rule);
    }
}

/// Each case is an Inform that breaks one rule.
#[test]
fn message_rules_are_checked() {
    let good = inform_xml(0);
    let cases = [
        ("R73", good.replace("EventStruct[2]", "EventStruct[3]")),
        ("R73", good.replace(" soap-enc:arrayType=\"cwmp:EventStruct[2]\"", "")),
        ("R73", good.replace("cwmp:EventStruct[2]", "xsd:EventStruct[2]")),
        ("R72", good.replace(" xsi:type=\"xsd:string\"", "")),
        ("R72", good.replace("xsi:type=\"xsd:string\"", "xsi:type=\"cwmp:string\"")),
        ("no literal", good.replace("xsd:string\">1.0", "xsd:int\">1.0")),
        (
            "R74",
            good.replace(
                "<MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2026-11-22T15:04:05+01:00</CurrentTime>",
                "<CurrentTime>2026-11-22T15:04:05+01:00</CurrentTime><MaxEnvelopes>1</MaxEnvelopes>",
            ),
        ),
        ("R96", good.replace("<MaxEnvelopes>1", "<MaxEnvelopes>2")),
        ("R97", inform_with(&["1 BOOT"], "2026-11-22T15:04:05", 0)),
        ("R97", inform_with(&["1 BOOT"], "yesterday", 0)),
        ("R135", inform_with(&["1 BOOT", "1 BOOT"], "2026-11-22T15:04:05Z", 0)),
        ("R93", good.replace("00D09E", "00d09e")),
        ("R95", good.replacen("<CommandKey></CommandKey>", "<CommandKey>k</CommandKey>", 1)),
        ("R77", good.replace(" soap-env:mustUnderstand=\"1\"", "")),
        ("R78", good.replace("</soap-env:Header>", "<cwmp:HoldRequests>0</cwmp:HoldRequests></soap-env:Header>")),
        ("R68", good.replace("cwmp-1-0", "cwmp-1-4")),
        ("R69", good.replace("RetryCount>", "cwmp:RetryCount>")),
        ("R39", good.replace(">M<", ">Müller<")),
        ("R82", good.replace("cwmp-1-0", "cwmp-1-2")),
    ];
    for (rule, message) in cases {
        let acs = acs(AcsOptions::new());
        let mut cpe = RawCpe::connect(&acs);
        let answer = cpe.post(SOAP, &message);
        assert_eq!(answer.status, 200, "{rule}: {}", acs.report(""));
        if rule == "R82" {
            // Inform may offer the newer version; the messages after InformResponse may not.
            assert!(acs.take_violations().is_empty());
            let later = envelope("2", "<cwmp:GetRPCMethods/>").replace("cwmp-1-0", "cwmp-1-2");
            cpe.post(SOAP, &later);
        }
        assert_violates(&acs, rule);
    }
}

/// Messages in the wrong order are violations.
#[test]
fn the_order_of_a_session_is_checked() {
    let methods = envelope("m", "<cwmp:GetRPCMethods/>");
    // The first message is no Inform.
    let one = acs(AcsOptions::new());
    assert_eq!(RawCpe::connect(&one).post("", "").status, 400);
    assert_violates(&one, "R90");
    // The CPE sends Inform twice.
    let two = acs(AcsOptions::new());
    let mut cpe = RawCpe::connect(&two);
    cpe.post(SOAP, &inform_xml(0));
    cpe.post(SOAP, &inform_xml(0));
    assert_violates(&two, "R90: Inform twice");
    // The CPE sends a request after the empty POST.
    let three = acs(AcsOptions::new());
    three.enqueue(get_rpc_methods());
    let mut cpe = RawCpe::connect(&three);
    cpe.post(SOAP, &inform_xml(0));
    cpe.post("", "");
    cpe.post(SOAP, &methods);
    let violations = three.take_violations().join("\n");
    assert!(violations.contains("R115") && violations.contains("R112"), "{violations}");
    // The CPE sends a request although the ACS holds requests; an empty POST does not end the CPE's requests then.
    let four = acs(AcsOptions::new());
    four.expects(inform()).replies(inform_response().hold_requests(true));
    let mut cpe = RawCpe::connect(&four);
    assert!(cpe.post(SOAP, &inform_xml(0)).body.contains("HoldRequests"));
    cpe.post("", "");
    assert!(four.take_violations().is_empty());
    cpe.post(SOAP, &methods);
    assert!(four.take_violations().is_empty(), "held before, not now");
    // The response has the wrong ID, and the fault a code that the RPC does not allow.
    let five = acs(AcsOptions::new());
    five.enqueue(get_parameter_values(&["Device."]));
    five.enqueue(get_rpc_methods());
    let mut cpe = RawCpe::connect(&five);
    cpe.post(SOAP, &inform_xml(0));
    cpe.post("", "");
    let call = cpe.post(SOAP, &values_xml("another", TRUE));
    assert_violates(&five, "R77");
    let fault = envelope(
        call.id(),
        "<soap-env:Fault><faultcode>Client</faultcode><faultstring>CWMP fault</faultstring><detail>\
         <cwmp:Fault><FaultCode>9005</FaultCode><FaultString>x</FaultString></cwmp:Fault></detail>\
         </soap-env:Fault>",
    );
    cpe.post(SOAP, &fault);
    assert_violates(&five, "R251");
}

/// An open TCP connection after a session, and two sessions at once, are violations.
#[test]
fn tcp_must_end_with_the_session_and_sessions_must_not_overlap() {
    let mut lingering = acs(AcsOptions::new().close_limit(Duration::from_millis(50)));
    let _cpe = RawCpe::connect(&lingering).good_session("");
    lingering.session(SOON).expect_complete();
    assert_violates(&lingering, "R50");

    let overlapping = acs(AcsOptions::new());
    let mut first = RawCpe::connect(&overlapping);
    first.post(SOAP, &inform_xml(0));
    RawCpe::connect(&overlapping).post(SOAP, &inform_xml(0));
    assert_violates(&overlapping, "R6");
}

/// A session whose connection the ACS closes goes on over the next one.
#[test]
fn a_session_goes_on_over_new_connections_where_the_acs_closes() {
    for closing in [Closing::EachAnswer, Closing::EachAnswerSilently] {
        let mut acs = acs(AcsOptions::new().closing(closing).cookie("a", "; Path=/").cookie("b", ""));
        let mut cpe = RawCpe::connect(&acs);
        let answer = cpe.post(SOAP, &inform_xml(0));
        let announced = answer.header("Connection") == Some("close");
        assert_eq!(announced, closing == Closing::EachAnswer);
        assert!(cpe.is_closed());
        let cookies: Vec<&str> = answer
            .head
            .lines()
            .filter_map(|line| line.strip_prefix("Set-Cookie: "))
            .map(|cookie| cookie.split(';').next().unwrap_or_default())
            .collect();
        assert_eq!(cookies.len(), 2, "{}", answer.head);
        let header = format!("Cookie: {}\r\n", cookies.join("; "));
        assert_eq!(RawCpe::connect(&acs).post(&header, "").status, 204);
        let session = acs.session(SOON).expect_complete();
        assert_eq!(session.connections(), [1, 2]);
    }
}

/// A cookie that does not come back is a violation.
#[test]
fn a_missing_cookie_is_noticed() {
    let acs = acs(AcsOptions::new().cookie("session", ""));
    let _cpe = RawCpe::connect(&acs).good_session("");
    assert_violates(&acs, "R52");
}

/// Basic credentials are checked, and wrong ones refused in each of the ways.
#[test]
fn basic_and_refusals() {
    let mut acs = acs(AcsOptions::like_acsrs("u", "p"));
    let answer = RawCpe::connect(&acs).post(SOAP, &inform_xml(0));
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("WWW-Authenticate"), Some("Basic realm=\"reference ACS\""));
    // "u:p" is right, "u:q" is not.
    let _cpe = RawCpe::connect(&acs).good_session("Authorization: Basic dTpw\r\n");
    drop(_cpe);
    acs.session(SOON).expect_complete();
    let wrong = format!("{SOAP}Authorization: Basic dTpx\r\n");
    assert_eq!(RawCpe::connect(&acs).post(&wrong, &inform_xml(0)).status, 403);
    acs.session(SOON).expect_failed();
}

/// Basic credentials over plain HTTP without a Basic challenge are a violation.
#[test]
fn basic_credentials_in_clear_that_nobody_asked_for_are_noticed() {
    let acs = acs(AcsOptions::new().digest("u", "p"));
    let headers = format!("{SOAP}Authorization: Basic dTpw\r\n");
    assert_eq!(RawCpe::connect(&acs).post(&headers, &inform_xml(0)).status, 401);
    assert_violates(&acs, "R58");
}

/// Answers a digest challenge with qop=auth and MD5, written out once more here.
fn digest_answer(answer: &RawAnswer, password: &str, count: u32) -> String {
    use md5::{Digest, Md5};
    let challenge = answer.header("WWW-Authenticate").expect("a challenge");
    let field = |name: &str| {
        let (_, rest) = challenge.split_once(&format!("{name}=\"")).expect(name);
        rest.split_once('"').expect("a quote").0
    };
    let hash = |text: String| crate::support::digest::hex(&Md5::digest(text.as_bytes()));
    let (realm, nonce) = (field("realm"), field("nonce"));
    let (a1, a2) = (hash(format!("u:{realm}:{password}")), hash("POST:/acs".into()));
    let response = hash(format!("{a1}:{nonce}:{count:08x}:c:auth:{a2}"));
    format!(
        "Authorization: Digest username=\"u\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"/acs\", \
         response=\"{response}\", qop=auth, nc={count:08x}, cnonce=\"c\"\r\n"
    )
}

/// A correct digest is accepted, its count checked, and a worn-out nonce renewed.
#[test]
fn digest_lets_in_the_right_one_counts_and_wears_out() {
    let mut acs = acs(AcsOptions::new().credentials("u", "p").challenge(digest().qop("auth,auth-int").nonce_uses(1)));
    let mut cpe = RawCpe::connect(&acs);
    let first = cpe.post(SOAP, &inform_xml(0));
    assert_eq!(first.status, 401);
    let headers = digest_answer(&first, "p", 1);
    assert_eq!(cpe.post(&format!("{SOAP}{headers}"), &inform_xml(0)).status, 200);
    let stale = cpe.post(&digest_answer(&first, "p", 2), "");
    assert_eq!(stale.status, 401);
    assert!(stale.head.contains("stale=true"), "{}", stale.head);
    assert_eq!(cpe.post(&digest_answer(&stale, "p", 1), "").status, 204);
    drop(cpe);
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.statuses(), [401, 200, 401, 204]);
}

/// A wrong digest is refused, and a repeated count is a violation.
#[test]
fn digest_refuses_the_wrong_one_and_notes_a_count_that_stands_still() {
    let mut wrong = acs(AcsOptions::like_genieacs("u", "p"));
    let mut cpe = RawCpe::connect(&wrong);
    let first = cpe.post(SOAP, &inform_xml(0));
    let headers = format!("{SOAP}{}", digest_answer(&first, "q", 1));
    let second = cpe.post(&headers, &inform_xml(0));
    assert_eq!((second.status, second.header("WWW-Authenticate")), (401, None));
    assert!(cpe.is_closed());
    wrong.session(SOON).expect_failed();

    let still = acs(AcsOptions::new().digest("u", "p"));
    let mut cpe = RawCpe::connect(&still);
    let first = cpe.post(SOAP, &inform_xml(0));
    cpe.post(&format!("{SOAP}{}", digest_answer(&first, "p", 1)), &inform_xml(0));
    cpe.post(&digest_answer(&first, "p", 1), "");
    assert_violates(&still, "R61: nc 1 after 1");
}

/// A nonce that is bound to its connection is refused on another one.
#[test]
fn a_nonce_bound_to_its_connection_is_worth_nothing_on_another() {
    let acs = acs(AcsOptions::like_genieacs("u", "p"));
    let mut cpe = RawCpe::connect(&acs);
    let first = cpe.post(SOAP, &inform_xml(0));
    drop(cpe);
    let headers = format!("{SOAP}{}", digest_answer(&first, "p", 1));
    let mut cpe = RawCpe::connect(&acs);
    assert_eq!(cpe.post(&headers, &inform_xml(0)).status, 401);
    assert_violates(&acs, "R47");
}

/// After a redirect to a second listener the same POST must come again.
#[test]
fn redirects_lead_through_a_second_door_and_the_post_must_be_the_same() {
    let mut acs = acs(AcsOptions::new());
    let url = acs.second_listener(AcsOptions::new().path("/there").keeps_no_messages());
    acs.expects(inform()).replies(redirect(307, &url));
    acs.expects(inform()).replies(inform_response());
    let first = RawCpe::connect(&acs).post(SOAP, &inform_xml(0));
    assert_eq!((first.status, first.header("Location")), (307, Some(url.as_str())));
    let port = url.rsplit_once(':').expect("a port").1;
    let port = port.split('/').next().unwrap_or_default();
    let port = port.parse().expect("a number");
    let mut cpe = RawCpe {
        channel: BufReader::new(Box::new(TcpStream::connect(("127.0.0.1", port)).expect("a connection"))),
        port,
    };
    assert_eq!(cpe.post_to("/there", SOAP, &inform_xml(0)).status, 200);
    assert_eq!(cpe.post_to("/there", "", "").status, 204);
    drop(cpe);
    assert_eq!(acs.session(SOON).expect_complete().statuses(), [307, 200, 204]);
}

/// Each broken reply is sent as it is described.
#[test]
fn misbehaviour_on_request() {
    let send = |reply: Reply| {
        let acs = acs(AcsOptions::new());
        acs.expects(inform()).replies(reply);
        (RawCpe::connect(&acs), acs)
    };
    let (mut cpe, mut acs) = send(status(503).retry_after(60).body(b"busy"));
    let answer = cpe.post(SOAP, &inform_xml(0));
    assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("60")));
    drop(cpe);
    acs.session(SOON).expect_failed();
    // The next session must count this failure in RetryCount.
    RawCpe::connect(&acs).post(SOAP, &inform_xml(0).replace("0 BOOTSTRAP", "2 PERIODIC"));
    assert_violates(&acs, "R98");

    let (mut cpe, _acs) = send(soap_fault(8005));
    assert!(cpe.post(SOAP, &inform_xml(0)).body.contains("<FaultCode>8005"));
    assert_eq!(cpe.post(SOAP, &inform_xml(0)).status, 200);
    assert!(_acs.take_violations().is_empty(), "the same again");

    let (mut cpe, acs) = send(soap_fault(8005));
    cpe.post(SOAP, &inform_xml(0));
    cpe.post(SOAP, &inform_xml(0).replace("1.0<", "1.1<"));
    assert_violates(&acs, "R120");

    let (mut cpe, _acs) = send(garbage(b"\x01 nonsense"));
    assert_eq!(cpe.post(SOAP, &inform_xml(0)).body, "\u{1} nonsense");

    let (mut cpe, _acs) = send(oversized(100_000));
    assert_eq!(cpe.post(SOAP, &inform_xml(0)).body.len(), 100_000);

    let (mut cpe, _acs) = send(truncated());
    let body = cpe.post(SOAP, &inform_xml(0)).body;
    assert!(crate::support::Message::parse(body.as_bytes()).is_err());

    for reply in [drop_connection(), drop_mid_body()] {
        let (cpe, mut acs) = send(reply);
        let mut tcp = cpe.channel.into_inner();
        let body = inform_xml(0);
        let head = format!(
            "POST /acs HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{SOAP}Content-Length: {}\r\n\r\n{body}",
            acs.port(),
            body.len()
        );
        tcp.write_all(head.as_bytes()).expect("a write");
        let mut all = Vec::new();
        let _ = tcp.read_to_end(&mut all);
        assert!(!String::from_utf8_lossy(&all).contains("Envelope>"));
        acs.session(SOON).expect_failed();
    }
}

/// Silence and an endless body last until the CPE closes the connection.
#[test]
fn silence_and_a_body_without_end_last_until_the_cpe_hangs_up() {
    for reply in [silence(), endless()] {
        let mut acs = acs(AcsOptions::new().ipv6());
        assert!(acs.url().starts_with("http://[::1]:"));
        acs.expects(inform()).replies(reply);
        let mut tcp = TcpStream::connect(("::1", acs.port())).expect("the ACS listens");
        tcp.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let body = inform_xml(0);
        let request = format!(
            "POST /acs HTTP/1.1\r\nHost: [::1]:{}\r\n{SOAP}Content-Length: {}\r\n\r\n{body}",
            acs.port(),
            body.len()
        );
        tcp.write_all(request.as_bytes()).expect("a write");
        let mut some = vec![0; 1_000_000];
        let _ = tcp.read_exact(&mut some);
        drop(tcp);
        acs.session(SOON).expect_failed();
    }
}

/// A challenge in the middle of a session is followed by the same POST with credentials.
#[test]
fn a_challenge_may_come_at_any_time() {
    let mut acs = acs(AcsOptions::new().digest("u", "p"));
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(unauthorized_again());
    acs.expects(empty_post()).replies(no_content());
    let mut cpe = RawCpe::connect(&acs);
    let first = cpe.post(SOAP, &inform_xml(0));
    let headers = format!("{SOAP}{}", digest_answer(&first, "p", 1));
    cpe.post(&headers, &inform_xml(0));
    let again = cpe.post(&digest_answer(&first, "p", 2), "");
    assert_eq!(again.status, 401);
    assert_eq!(cpe.post(&digest_answer(&again, "p", 1), "").status, 204);
    drop(cpe);
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.statuses(), [401, 200, 401, 204]);
}

/// The ACS's own envelopes, in every dialect, mean the same.
#[test]
fn every_dialect_says_the_same() {
    for dialect in
        [Dialect::Usual, Dialect::OddPrefixes, Dialect::DefaultNamespace, Dialect::LateDeclarations, Dialect::Chatty]
    {
        let acs = acs(AcsOptions::new()
            .dialect(dialect)
            .ids(Ids::Fixed("<&\" ä".into()))
            .chunked()
            .interim()
            .dribble(Duration::from_millis(1)));
        acs.enqueue(set_parameter_values(&[("Device.X", "boolean", "1"), ("Device.Y", "", "a<&>b")], "key"));
        let mut cpe = RawCpe::connect(&acs);
        cpe.post(SOAP, &inform_xml(0));
        let body = cpe.post("", "").body;
        let body = body.trim_start_matches('\u{feff}');
        let document = roxmltree::Document::parse(body).expect("well-formed");
        let find = |name: &str| {
            let mut nodes = document.descendants();
            nodes.find(|node| node.tag_name().name() == name).expect(name)
        };
        let call = find("SetParameterValues").tag_name().namespace();
        assert_eq!(call, Some("urn:dslforum-org:cwmp-1-0"), "{dialect:?}: {body}");
        assert_eq!(find("ID").text(), Some("<&\" ä"), "{dialect:?}");
        let key = find("ParameterKey");
        let unqualified = key.tag_name().namespace().unwrap_or_default().is_empty();
        assert!(unqualified, "{dialect:?}: {body}");
        assert_eq!(find("ParameterKey").text(), Some("key"), "{dialect:?}");
        let values: Vec<_> = document.descendants().filter(|node| node.has_tag_name("Value")).collect();
        let kind = values[0].attribute(("http://www.w3.org/2001/XMLSchema-instance", "type")).expect("a type");
        let (prefix, local) = kind.split_once(':').expect("a prefix");
        let schema = values[0].lookup_namespace_uri(Some(prefix));
        assert_eq!((schema, local), (Some("http://www.w3.org/2001/XMLSchema"), "boolean"));
        assert_eq!(values[1].text(), Some("a<&>b"), "{dialect:?}");
    }
}

fn tls_client(authority: &Authority) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
    roots.add(certificate).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

fn connect_tls(acs: &Acs, config: Arc<ClientConfig>) -> RawCpe {
    let tcp = TcpStream::connect(("127.0.0.1", acs.port())).expect("the ACS listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let client = ClientConnection::new(config, name).expect("a client");
    RawCpe { channel: BufReader::new(Box::new(StreamOwned::new(client, tcp))), port: acs.port() }
}

/// The ACS serves TLS, and a client refuses each of its flawed certificates.
#[test]
fn tls_works_and_its_flaws_are_real() {
    let authority = Authority::new("test CA");
    let mut good = acs(AcsOptions::new().tls(authority.server(Flaw::None)));
    assert!(good.url_at("localhost").starts_with("https://localhost:"));
    drop(connect_tls(&good, tls_client(&authority)).good_session(""));
    let session = good.session(SOON).expect_complete();
    assert_eq!(session.exchanges[0].sni.as_deref(), Some("localhost"));

    let stranger = Authority::new("another CA");
    let flawed = [
        authority.server(Flaw::WrongName),
        authority.server(Flaw::Expired),
        authority.server(Flaw::NotYetValid),
        authority.server(Flaw::OnlyCommonName),
        stranger.server(Flaw::None),
    ];
    for identity in flawed {
        let acs = acs(AcsOptions::new().tls(identity));
        let mut cpe = connect_tls(&acs, tls_client(&authority));
        assert!(cpe.channel.get_mut().write_all(b"POST").is_err());
        drop(cpe);
        acs.handshake_failure(1, SOON);
    }

    let picky = authority.server(Flaw::None).require_client_of(&authority);
    let acs = acs(AcsOptions::new().tls(picky));
    let mut cpe = connect_tls(&acs, tls_client(&authority));
    let _ = cpe.channel.get_mut().write_all(b"POST");
    let reason = acs.handshake_failure(1, SOON);
    assert!(reason.contains("certificate"), "{reason}");
}

/// The digest examples of the RFCs verify.
#[test]
fn the_digest_vectors_of_the_rfcs_verify() {
    let rfc_2617 = r#"Digest username="Mufasa", realm="testrealm@host.com",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", qop=auth, nc=00000001,
        cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1",
        opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
    let rfc_7616 = r#"Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html",
        algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth,
        response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
    let cases = [
        (rfc_2617, "testrealm@host.com", "Circle Of Life", Algorithm::Md5),
        (rfc_7616, "http-auth@example.org", "Circle of Life", Algorithm::Sha256),
    ];
    for (header, realm, password, algorithm) in cases {
        let Ok(Authorization::Digest(answer)) = Authorization::parse(header) else {
            panic!("a digest header");
        };
        let mut secret = Secret { username: "Mufasa", password, realm, algorithm };
        assert!(answer.verifies(&secret, "GET", b""));
        assert!(!answer.verifies(&secret, "POST", b""));
        secret.password = "Circle of Death";
        assert!(!answer.verifies(&secret, "GET", b""));
    }
}

/// One session, run in a process of its own by the test below.
#[test]
#[ignore = "the inner half of `received_messages_are_kept_for_a_schema_checker`"]
fn one_session_whose_messages_are_kept() {
    let mut acs = Acs::start(AcsOptions::new());
    drop(RawCpe::connect(&acs).good_session(""));
    acs.session(SOON).expect_complete();
}

/// Runs in a process of its own, because all tests of this process share one environment.
#[test]
fn received_messages_are_kept_for_a_schema_checker() {
    let directory = tempfile::tempdir().expect("a directory");
    let messages = directory.path().join("messages");
    let run = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "reference_acs::one_session_whose_messages_are_kept"])
        .env("CPE_AGENT_MESSAGES", &messages)
        .output()
        .expect("this program starts");
    assert!(run.status.success(), "{run:?}");
    let files: Vec<_> = std::fs::read_dir(&messages)
        .expect("a directory was made")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let [file] = &files[..] else {
        panic!("one Inform, the empty POST has no body: {files:?}");
    };
    assert_eq!(file.extension(), Some("xml".as_ref()));
    let kept = std::fs::read_to_string(file).expect("a message");
    assert_eq!(kept, inform_xml(0));
}

/// The harness starts, signals, restarts and reboots a shell in place of the agent.
#[test]
fn the_agent_harness_starts_signals_restarts_and_reboots() {
    let script = "trap 'echo bye >&2; exit 0' TERM; echo \"$@\" >&2; while :; do sleep 0.02; done";
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("agent.sh");
    std::fs::write(&program, script).expect("a script");
    let program = program.to_string_lossy().into_owned();
    let mut agent =
        Agent::builder("sh").leading_args(&[&program]).set("Device.ManagementServer.URL", "http://acs/").start();
    let line = agent.wait_for_log("--state-dir", SOON);
    assert!(line.contains("--set Device.ManagementServer.URL=http://acs/"));
    assert!(line.contains("--listen 127.0.0.1:0"), "{line}");
    assert!(agent.terminate().success());
    agent.wait_for_log("bye", SOON);
    let before = std::fs::read(agent.directory().join("boot-id")).expect("boot-id");
    agent.restart();
    assert!(agent.is_running());
    let position = agent.log_position();
    agent.reboot();
    agent.wait_for_log_after(position, "--boot-id", SOON);
    let after = std::fs::read(agent.directory().join("boot-id")).expect("boot-id");
    assert_ne!(before, after);
    agent.kill9();
    assert!(!agent.is_running());
}
