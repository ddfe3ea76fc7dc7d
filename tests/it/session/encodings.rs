//! Envelopes in the encodings and spellings of servers: those of the ACS, and the text of our own.

use crate::gateway::{Model, SOON};
use crate::support::{
    Acs, AcsOptions, Reply, empty_post, fault, get_parameter_values, get_rpc_methods, inform, inform_response,
    no_content, nothing_more, raw_envelope, raw_rpc, response, set_parameter_values,
};

/// The Content-Type of a server, and the bytes that it sends for an envelope.
type Encoding = (&'static str, fn(&str) -> Vec<u8>);

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("a character of ISO-8859-1")).collect()
}

/// Replaces the XML declaration by one that names an encoding.
fn declaring(text: &str, encoding: &str) -> String {
    text.replace("<?xml version=\"1.0\"?>", &format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>"))
}

/// XML 1.0 §4.3.3, RFC 7303 §3.2: every XML processor reads UTF-16; the byte order mark wins over the charset, and the
/// charset over the declaration.
fn sessions_in_the_encodings_of_servers(model: &'static Model) {
    let encodings: [Encoding; 8] = [
        ("text/xml; charset=utf-16", |text| utf16(&format!("\u{feff}{text}"), u16::to_le_bytes)),
        ("text/xml; charset=utf-8", |text| utf16(&format!("\u{feff}{text}"), u16::to_be_bytes)),
        ("text/xml; charset=UTF-16LE", |text| utf16(text, u16::to_le_bytes)),
        ("text/xml", |text| utf16(&declaring(text, "UTF-16"), u16::to_be_bytes)),
        ("text/xml", |text| latin1(&declaring(text, "ISO-8859-1"))),
        ("text/xml; x=y; Charset=\"iso-8859-1\"", |text| latin1(&declaring(text, "UTF-8"))),
        ("text/xml; charset=utf-8", |text| declaring(text, "ISO-8859-1").into_bytes()),
        ("text/xml; charset=us-ascii", |text| text.replace('\u{fc}', "&#252;").into_bytes()),
    ];
    let name = model.at("Time.NTPServer1");
    for encoding @ (content_type, encode) in encodings {
        let coded = |reply: Reply| reply.encoded(encoding.0, encoding.1);
        let mut acs = Acs::start(AcsOptions::new());
        acs.expects(inform()).replies(coded(inform_response()));
        acs.expects(empty_post()).replies(coded(set_parameter_values(&[(name, "string", "Z\u{fc}rich")], "k").into()));
        acs.expects(response("SetParameterValues")).replies(coded(get_parameter_values(&[name]).into()));
        acs.expects(response("GetParameterValues").parameter(name, "Z\u{fc}rich")).replies(nothing_more());
        let _agent = model.gateway(&acs).start();
        let session = acs.session(SOON).expect_complete();
        assert_eq!(session.messages().count(), 3, "{content_type} {:?}", encode("\u{fc}"));
    }
}
both_models!(sessions_in_the_encodings_of_servers);

/// R88: a message in another encoding is not guessed at.
fn encodings_that_are_not_known(model: &'static Model) {
    let cases: [(Encoding, &str); 4] = [
        (("text/xml; charset=KOI8-R", |text| text.into()), "is encoded in \"KOI8-R\", not in UTF-8, UTF-16,"),
        (("text/xml", |text| declaring(text, "utf-7").into()), "is encoded in \"utf-7\", not in UTF-8, UTF-16,"),
        (("text/xml", |text| latin1(&format!("{text}<!-- \u{fc} -->"))), "the message is not UTF-8"),
        (("text/xml", |text| utf16(text, u16::to_le_bytes)[1..].into()), "the message is not"),
    ];
    for ((content_type, encode), error) in cases {
        let mut acs = Acs::start(AcsOptions::new());
        acs.expects(inform()).replies(inform_response().encoded(content_type, encode));
        let agent = model.gateway(&acs).start();
        acs.session(SOON).expect_failed();
        let log = agent.wait_for_log("session failed: the reply of the ACS is not valid SOAP", SOON);
        assert!(log.contains(error), "{error}: {log}");
    }
}
both_models!(encodings_that_are_not_known);

/// R75, R76: what a server means by an undeclared prefix is known or not. If not, nothing that hangs on it counts as
/// understood.
fn undeclared_prefixes_give_no_meaning(model: &'static Model) {
    let envelope = |header: &str, body: &str| {
        format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:c=\"urn:dslforum-org:cwmp-1-0\">\
             <s:Header><c:ID soap:mustUnderstand=\"1\">{{id}}</c:ID>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )
    };
    let name = model.at("Time.NTPServer1");
    let nil = format!(
        "<ParameterList enc:arrayType=\"c:ParameterValueStruct[1]\"><P><Name>{name}</Name><Value x:nil=\"1\"/></P>\
         </ParameterList><ParameterKey/>"
    );
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(raw_envelope("Reboot", &envelope("", "<x:Reboot/>")));
    acs.expects(fault(9000)).replies(raw_rpc("SetParameterValues", &nil));
    acs.expects(fault(9003)).replies(raw_envelope("GetRPCMethods", &envelope("", "<cwmp:GetRPCMethods/>")));
    acs.expects(response("GetRPCMethods")).replies(get_parameter_values(&[name]));
    acs.expects(response("GetParameterValues").parameter(name, "0.pool.ntp.org"))
        .replies(raw_envelope("GetRPCMethods", &envelope("", "<cwmp:GetRPCMethods></cwmp:Reboot>")));
    let agent = model.gateway(&acs).start();
    acs.session(SOON).expect_failed();
    agent.wait_for_log("the message is not XML", SOON);
}
both_models!(undeclared_prefixes_give_no_meaning);

/// R89: small servers search the text of a message for `soap:Envelope`, for a prefix without a hyphen, or for the version.
fn the_envelope_is_found_by_its_text(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(get_rpc_methods());
    acs.expects(response("GetRPCMethods")).replies(no_content());
    let _agent = model.gateway(&acs).start();
    let session = acs.session(SOON).expect_complete();
    let bodies = session.exchanges.iter().map(|exchange| String::from_utf8_lossy(&exchange.request.body).into_owned());
    for body in bodies.filter(|body| !body.is_empty()) {
        for text in ["<soap:Envelope ", "<soap:Body>", "</soap:Envelope>", " xmlns:cwmp=\"urn:dslforum-org:cwmp-1-"] {
            assert!(body.contains(text), "{text}: {body}");
        }
    }
}
both_models!(the_envelope_is_found_by_its_text);
