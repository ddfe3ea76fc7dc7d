use super::*;
use crate::cwmp::fault::{FaultCode, ParameterFault};
use crate::cwmp::soap::{EnvelopeBody, Message};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn escape(value: &str) -> String {
    let mut out = Vec::new();
    XmlEscaper(&mut out).write_str(value).unwrap();
    text(out)
}

const OPENING: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soap:Envelope \
    xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" \
    xmlns:soap-enc=\"http://schemas.xmlsoap.org/soap/encoding/\" \
    xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
    xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" ";

/// R39: special characters are escaped.
#[test]
fn escaping() {
    assert_eq!(escape("plain text, 0-9~"), "plain text, 0-9~");
    assert_eq!(escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&apos;");
    assert_eq!(escape("\t\n\r\x7F"), "\t\n&#13;&#127;");
    assert_eq!(escape("é€\u{85}𝄞x"), "&#233;&#8364;&#133;&#119070;x");
    assert_eq!(escape("\0\x08\x1F\u{FFFE}\u{FFFF}\u{FFFD}"), "&#65533;".repeat(6));
    assert_eq!(escape("\u{10FFFF}\u{10000}\u{E000}"), "&#1114111;&#65536;&#57344;");
    assert_eq!(escape(""), "");
}

/// All texts are read back unchanged, apart from characters that XML cannot hold.
#[test]
fn escaped_text_is_read_back() {
    for first in (0..=0x2FFF).chain(0xD7F0..0xE010).chain(0xFFF0..0x10010).filter_map(char::from_u32) {
        let value = format!("a{first}b{first}{first}");
        let mut message = EnvelopeWriter::new(Version::V1_2, &EnvelopeHeader::with_id(Some(&value)), "Test");
        message.text("Value", &value);
        let bytes = message.finish();
        assert!(bytes.is_ascii());
        let message = Message::decode(&bytes, None).unwrap();
        let document = message.document().unwrap();
        let envelope = document.envelope().unwrap();
        let illegal = |c| matches!(c, '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\u{FFFE}' | '\u{FFFF}');
        let expected = value.replace(illegal, "\u{FFFD}");
        let EnvelopeBody::Rpc { element, .. } = envelope.body else {
            panic!("no RPC");
        };
        assert_eq!(element.string("Value", 9).unwrap(), expected);
        assert_eq!(envelope.id.unwrap(), expected);
    }
}

/// R67, R69, R74, R77, R80, R81, R89: the whole text of an Inform.
#[test]
fn an_inform() {
    let header = EnvelopeHeader { id: Some("<1>"), supported_versions: version::ALL, session_timeout: Some(60) };
    let mut inform = EnvelopeWriter::new(Version::V1_4, &header, "Inform");
    inform.element("DeviceId", |id| {
        id.text("Manufacturer", "A & B");
        id.text("OUI", "00D09E");
        id.text("ProductClass", "");
        id.text("SerialNumber", "1");
    });
    inform.array("Event", "cwmp:EventStruct", |events| {
        events.element(|event| {
            event.text("EventCode", "1 BOOT");
            event.text("CommandKey", "");
        });
    });
    inform.text("MaxEnvelopes", 1);
    inform.text("CurrentTime", "2026-11-22T15:04:05+01:00");
    inform.text("RetryCount", 0);
    inform.array("ParameterList", "cwmp:ParameterValueStruct", |list| {
        list.parameter_value("Device.DeviceInfo.HardwareVersion", "string", &Value::Text("1.0".into()));
        list.parameter_value("Device.X", "base64", &Value::Text("AAAA".into()));
        assert_eq!(list.count(), 2);
    });
    let expected = String::from(OPENING)
        + "xmlns:cwmp=\"urn:dslforum-org:cwmp-1-2\"><soap:Header>\
        <cwmp:ID soap:mustUnderstand=\"1\">&lt;1&gt;</cwmp:ID>\
        <cwmp:SessionTimeout soap:mustUnderstand=\"0\">60</cwmp:SessionTimeout>\
        <cwmp:SupportedCWMPVersions soap:mustUnderstand=\"0\">1.0,1.1,1.2,1.3,1.4\
        </cwmp:SupportedCWMPVersions></soap:Header><soap:Body><cwmp:Inform><DeviceId>\
        <Manufacturer>A &amp; B</Manufacturer><OUI>00D09E</OUI><ProductClass></ProductClass>\
        <SerialNumber>1</SerialNumber></DeviceId>\
        <Event soap-enc:arrayType=\"cwmp:EventStruct[1]\"><EventStruct>\
        <EventCode>1 BOOT</EventCode><CommandKey></CommandKey></EventStruct></Event>\
        <MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2026-11-22T15:04:05+01:00</CurrentTime>\
        <RetryCount>0</RetryCount>\
        <ParameterList soap-enc:arrayType=\"cwmp:ParameterValueStruct[2]\">\
        <ParameterValueStruct><Name>Device.DeviceInfo.HardwareVersion</Name>\
        <Value xsi:type=\"xsd:string\">1.0</Value></ParameterValueStruct>\
        <ParameterValueStruct><Name>Device.X</Name>\
        <Value xsi:type=\"xsd:base64Binary\">AAAA</Value></ParameterValueStruct></ParameterList>\
        </cwmp:Inform></soap:Body></soap:Envelope>\n";
    assert_eq!(text(inform.finish()), expected);
}

/// R68, R77: the namespace of each version, and no header without an entry.
#[test]
fn without_a_header() {
    for &version in version::ALL {
        let mut response = EnvelopeWriter::new(version, &EnvelopeHeader::default(), "GetRPCMethodsResponse");
        response.array("MethodList", "xsd:string", |methods| {
            methods.text("Inform");
            methods.text("Reboot");
        });
        let expected = format!(
            "{OPENING}xmlns:cwmp=\"{}\"><soap:Body><cwmp:GetRPCMethodsResponse>\
            <MethodList soap-enc:arrayType=\"xsd:string[2]\"><string>Inform</string>\
            <string>Reboot</string></MethodList></cwmp:GetRPCMethodsResponse></soap:Body>\
            </soap:Envelope>\n",
            version.namespace()
        );
        assert_eq!(text(response.finish()), expected);
    }
}

/// R73: the count is that of the members, in nested arrays too, and results are returned.
#[test]
fn arrays_are_counted() {
    let mut message = EnvelopeWriter::new(Version::V1_2, &EnvelopeHeader::default(), "Test");
    let result: Result<(), u8> = message.array("Outer", "cwmp:S", |outer| {
        for number in 0..12 {
            outer.element(|member| {
                member.array("Inner", "xsd:string", |inner| {
                    (0..number).for_each(|text| inner.text(text));
                });
            });
        }
        Err(7)
    });
    assert_eq!(result, Err(7));
    message.array("Empty", "cwmp:S", |_| ());
    let text = text(message.finish());
    assert!(text.contains("<Outer soap-enc:arrayType=\"cwmp:S[12]\"><S><Inner "));
    assert!(text.contains("\"xsd:string[0]\"></Inner>"));
    assert!(text.contains("\"xsd:string[11]\"><string>0</string>"));
    assert!(text.contains("<Empty soap-enc:arrayType=\"cwmp:S[0]\"></Empty></cwmp:Test>"));
}

/// R85, R87: the form of a fault.
#[test]
fn a_fault() {
    let refused = Fault::of_parameters(vec![
        ParameterFault {
            name: "Device.A".to_owned(),
            code: FaultCode::InvalidParameterName,
            text: "no <such> parameter".to_owned(),
        },
        ParameterFault { name: "Device.B".to_owned(), code: FaultCode::ParameterNotWritable, text: String::new() },
    ]);
    let expected = format!(
        "{OPENING}xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\"><soap:Header>\
        <cwmp:ID soap:mustUnderstand=\"1\"> 7</cwmp:ID></soap:Header><soap:Body>\
        <soap:Fault><faultcode>Client</faultcode><faultstring>CWMP fault</faultstring>\
        <detail><cwmp:Fault><FaultCode>9003</FaultCode><FaultString>Invalid arguments</FaultString>\
        <SetParameterValuesFault><ParameterName>Device.A</ParameterName><FaultCode>9005</FaultCode>\
        <FaultString>no &lt;such&gt; parameter</FaultString></SetParameterValuesFault>\
        <SetParameterValuesFault><ParameterName>Device.B</ParameterName><FaultCode>9008</FaultCode>\
        <FaultString></FaultString></SetParameterValuesFault></cwmp:Fault></detail>\
        </soap:Fault></soap:Body></soap:Envelope>\n"
    );
    assert_eq!(text(fault(Version::V1_0, Some(" 7"), &refused)), expected);

    let canceled = Fault::new(FaultCode::CancelNotPermitted);
    let in_1_0 = text(fault(Version::V1_0, None, &canceled));
    assert!(in_1_0.contains("<faultcode>Server</faultcode>"));
    assert!(in_1_0.contains("<FaultCode>9001</FaultCode>"));
    let in_1_2 = text(fault(Version::V1_2, None, &canceled));
    assert!(in_1_2.contains("<faultcode>Client</faultcode>"));
    assert!(in_1_2.contains("<FaultCode>9021</FaultCode>"));
}

/// The agent's own messages pass its own parser, which also reads the faults of a test ACS.
#[test]
fn faults_are_read_back() {
    let bytes = fault(Version::V1_1, Some("x"), &Fault::new(FaultCode::InternalError));
    let message = Message::decode(&bytes, None).unwrap();
    let document = message.document().unwrap();
    let envelope = document.envelope().unwrap();
    assert_eq!(envelope.id.as_deref(), Some("x"));
    let EnvelopeBody::Fault(read) = envelope.body else {
        panic!("no fault");
    };
    assert_eq!(read.code.unwrap().number(), 9002);
    assert_eq!(read.text, "Internal error");

    let bytes = must_understand_fault(Version::V1_1, None, "Secu<rity");
    let message = Message::decode(&bytes, None).unwrap();
    let document = message.document().unwrap();
    let EnvelopeBody::Fault(read) = document.envelope().unwrap().body else {
        panic!("no fault");
    };
    assert_eq!(read.code, None);
    assert_eq!(read.text, "header Secu<rity not understood");
}
