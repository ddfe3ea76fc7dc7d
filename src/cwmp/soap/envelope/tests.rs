use super::*;

/// A request as GenieACS writes it.
const REQUEST: &str = concat!(
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
    "<soap-env:Envelope xmlns:soap-enc=\"http://schemas.xmlsoap.org/soap/encoding/\" ",
    "xmlns:soap-env=\"http://schemas.xmlsoap.org/soap/envelope/\" ",
    "xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" ",
    "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" ",
    "xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\">",
    "<soap-env:Header><cwmp:ID soap-env:mustUnderstand=\"1\">1894fe 0</cwmp:ID></soap-env:Header>",
    "<soap-env:Body><cwmp:SetParameterValues>",
    "<ParameterList soap-enc:arrayType=\"cwmp:ParameterValueStruct[1]\"><ParameterValueStruct>",
    "<Name>Device.ManagementServer.PeriodicInformInterval</Name>",
    "<Value xsi:type=\"xsd:unsignedInt\">30&amp;</Value></ParameterValueStruct></ParameterList>",
    "<ParameterKey><![CDATA[k]]></ParameterKey></cwmp:SetParameterValues></soap-env:Body>",
    "</soap-env:Envelope>"
);

const S: &str = "xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'";
const C: &str = "xmlns:c='urn:dslforum-org:cwmp-1-2'";

fn with<T>(bytes: impl AsRef<[u8]>, read: impl FnOnce(Envelope<'_>) -> T) -> Result<T, EnvelopeError> {
    let message = Message::decode(bytes.as_ref(), None)?;
    let document = message.document()?;
    let envelope = document.envelope()?;
    match envelope.body {
        EnvelopeBody::Invalid { error, .. } => Err(error),
        _ => Ok(read(envelope)),
    }
}

fn refused(bytes: impl AsRef<[u8]>) -> EnvelopeError {
    let read = with(bytes, |envelope| format!("{envelope:?}"));
    let error = read.expect_err("was accepted");
    assert!(!error.to_string().is_empty());
    error
}

fn with_header(header: &str) -> String {
    format!("<s:Envelope {S} {C}><s:Header>{header}</s:Header><s:Body><c:Reboot/></s:Body></s:Envelope>")
}

fn with_body(body: &str) -> String {
    format!("<s:Envelope {S} {C}><s:Body>{body}</s:Body></s:Envelope>")
}

fn fault_in(body: &str) -> (Option<u16>, String) {
    with(with_body(body), |envelope| match envelope.body {
        EnvelopeBody::Fault(fault) => (fault.code.map(AcsFaultCode::number), fault.text),
        other => panic!("taken for {other:?}"),
    })
    .unwrap()
}

#[test]
fn a_request() {
    with(REQUEST, |envelope| {
        assert_eq!(envelope.id.as_deref(), Some("1894fe 0"));
        assert!(!envelope.hold_requests && envelope.use_cwmp_version.is_none());
        assert_eq!(envelope.not_understood, None);
        let EnvelopeBody::Rpc { name, version, element } = envelope.body else {
            panic!("no RPC");
        };
        assert_eq!((name, version), ("SetParameterValues", Version::V1_0));
        assert_eq!(element.string("ParameterKey", 32).unwrap(), "k");
        let value = element.members("ParameterList").unwrap().next().unwrap();
        assert_eq!(value.string("Value", 64).unwrap(), "30&");
    })
    .unwrap();
}

/// R67: any prefix, none, and declarations anywhere.
#[test]
fn prefixes_do_not_matter() {
    for text in [
        "<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'><Header>\
         <ID xmlns='urn:dslforum-org:cwmp-1-1'>i</ID></Header><Body>\
         <Reboot xmlns='urn:dslforum-org:cwmp-1-1'><CommandKey xmlns=''>k</CommandKey></Reboot>\
         </Body></Envelope>",
        "<soapenv:Envelope xmlns:soapenv='http://schemas.xmlsoap.org/soap/envelope/' \
         xmlns:soap='urn:dslforum-org:cwmp-1-1'><soapenv:Header><soap:ID>i</soap:ID>\
         </soapenv:Header><soapenv:Body><soap:Reboot><soap:CommandKey>k</soap:CommandKey>\
         </soap:Reboot></soapenv:Body></soapenv:Envelope>",
        "\u{FEFF}<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\r\n<!-- c --><?p i?>\r\n\
         <cwmp:Envelope xmlns:cwmp='http://schemas.xmlsoap.org/soap/envelope/'>\r\n\
         <cwmp:Header>\r\n<x:ID xmlns:x='urn:dslforum-org:cwmp-1-1'>i</x:ID>\r\n</cwmp:Header>\
         <cwmp:Body><!-- c -->\r\n<y:Reboot xmlns:y='urn:dslforum-org:cwmp-1-1'><?p i?>\
         <Unknown a='b'><Deep/></Unknown><CommandKey>k</CommandKey></y:Reboot>\r\n\
         <z:Other xmlns:z='urn:other'/></cwmp:Body></cwmp:Envelope>\r\n<!-- end -->\r\n",
    ] {
        with(text, |envelope| {
            assert_eq!(envelope.id.as_deref(), Some("i"));
            let EnvelopeBody::Rpc { name, version, element } = envelope.body else {
                panic!("no RPC");
            };
            assert_eq!((name, version), ("Reboot", Version::V1_1));
            assert_eq!(element.string("CommandKey", 32).unwrap(), "k");
        })
        .unwrap();
    }
}

/// Three of nine small servers use prefixes that they do not declare.
#[test]
fn prefixes_without_a_declaration() {
    let text = format!(
        "<?xml version='1.0'?><s:Envelope {S} {C}><s:Header><c:ID soap:mustUnderstand='1'>i</c:ID></s:Header><s:Body>\
         <c:SetParameterValues><ParameterList soap-enc:arrayType='cwmp:ParameterValueStruct[1]'><P><Name>N</Name>\
         <Value xsi:type='xsd:string'>v</Value></P></ParameterList></c:SetParameterValues></s:Body></s:Envelope>\0"
    );
    with(text, |envelope| {
        assert_eq!((envelope.id.as_deref(), envelope.not_understood), (Some("i"), None));
        let EnvelopeBody::Rpc { element, .. } = envelope.body else { panic!("no RPC") };
        let value = element.members("ParameterList").unwrap().next().unwrap().argument("Value").unwrap();
        assert_eq!(value.xsi_type(), Some(crate::cwmp::soap::XsiType::BuiltIn("string")));
    })
    .unwrap();
    // The envelope and the RPC themselves, as well.
    let text = "<SOAP-ENV:Envelope><SOAP-ENV:Body><cwmp:Reboot/></SOAP-ENV:Body></SOAP-ENV:Envelope>";
    let version = with(text, |envelope| match envelope.body {
        EnvelopeBody::Rpc { name: "Reboot", version, .. } => version,
        other => panic!("{other:?}"),
    });
    assert_eq!(version, Ok(Version::V1_0));
}

/// A message that is not understood stays so, with declarations for its prefixes.
#[test]
fn a_declaration_for_a_prefix_gives_no_meaning() {
    let not_understood = |text: String| with(text, |envelope| envelope.not_understood.map(str::to_owned)).unwrap();
    for prefix in ["soap", "other"] {
        let header = with_header(&format!("<c:New {prefix}:mustUnderstand='1'/>"));
        assert_eq!(not_understood(header).as_deref(), Some("New"), "{prefix}");
    }
    let foreign = |text: &str| with(with_body(text), |e| matches!(e.body, EnvelopeBody::Foreign { .. }));
    assert_eq!(foreign("<other:Reboot/>"), Ok(true));
    assert_eq!(fault_in("<other:Fault><faultcode>8003</faultcode></other:Fault>"), (Some(8003), String::new()));
    let nil = "<c:SetParameterValues><Value other:nil='true'/></c:SetParameterValues>";
    let is_nil = with(with_body(nil), |envelope| match envelope.body {
        EnvelopeBody::Rpc { element, .. } => element.argument("Value").unwrap().is_nil(),
        other => panic!("{other:?}"),
    });
    assert_eq!(is_nil, Ok(true));
    assert_eq!(refused("<other:Envelope><other:Body/></other:Envelope>"), EnvelopeError::NotSoap11);
    // Malformed in another way, too.
    for text in
        ["<p:a>", "<p:a></p:b>", "<p:a/><p:a/>", "<p:a b='1' b='2'/>", "<p:a:b/>", "<p:a x:=''/>", "<p:a>&x;</p:a>"]
    {
        assert!(matches!(refused(text), EnvelopeError::Xml(_) | EnvelopeError::UndeclaredPrefix(_)), "{text}");
    }
    let many: String = (0..100).map(|n| format!("<p{n}:a/>")).collect();
    assert_eq!(refused(with_body(&many)), EnvelopeError::UndeclaredPrefix("p0".to_owned()));
    let too_deep = format!("<p:r>{}", "<a>".repeat(1000));
    assert!(matches!(refused(too_deep), EnvelopeError::TooComplex(_)));
}

/// R77, R78, R79, R82: the entries of the header.
#[test]
fn header_entries() {
    let exact = with_header("<c:ID s:mustUnderstand='1'> &lt;7&gt;\u{E9} </c:ID>");
    let id = with(exact, |envelope| envelope.id.map(Cow::into_owned)).unwrap();
    assert_eq!(id.as_deref(), Some(" <7>é "));

    for (text, held) in [("1", true), (" true ", true), ("0", false), ("false", false), ("", false)] {
        let header = with_header(&format!("<c:HoldRequests s:mustUnderstand='1'>{text}</c:HoldRequests>"));
        assert_eq!(with(header, |envelope| envelope.hold_requests), Ok(held), "{text:?}");
    }
    for unreadable in ["perhaps", "TRUE", "<x/>"] {
        let header = with_header(&format!("<c:HoldRequests>{unreadable}</c:HoldRequests>"));
        assert_eq!(with(header, |envelope| envelope.hold_requests), Ok(false), "{unreadable}");
    }
    assert_eq!(refused(with_header("<c:ID><x/></c:ID>")), EnvelopeError::Header);

    let version = with_header("<c:UseCWMPVersion s:mustUnderstand='1'>1.4</c:UseCWMPVersion>");
    let version = with(version, |envelope| envelope.use_cwmp_version.map(Cow::into_owned));
    assert_eq!(version.unwrap().as_deref(), Some("1.4"));
}

/// SOAP 1.1 §4.2.2, §4.2.3: entries with mustUnderstand.
#[test]
fn entries_that_must_be_understood() {
    let other = "xmlns:o='urn:other'";
    for (entry, expected) in [
        (format!("<o:New {other} s:mustUnderstand='1'/>"), Some("New")),
        (format!("<o:ID {other} s:mustUnderstand='true'/>"), Some("ID")),
        ("<c:New s:mustUnderstand='1'/>".to_owned(), Some("New")),
        (format!("<o:New {other} s:mustUnderstand='1' s:actor='{NEXT_ACTOR}'/>"), Some("New")),
        (format!("<o:New {other} s:mustUnderstand='1' s:actor='urn:someone'/>"), None),
        (format!("<o:New {other} s:mustUnderstand='0'/>"), None),
        (format!("<o:New {other} mustUnderstand='1'/>"), None),
        (format!("<o:New {other}><deep/></o:New>"), None),
        ("<c:NoMoreRequests s:mustUnderstand='1'>1</c:NoMoreRequests>".to_owned(), None),
    ] {
        let found = with(with_header(&entry), |envelope| envelope.not_understood.map(str::to_owned));
        assert_eq!(found.unwrap().as_deref(), expected, "{entry}");
    }
}

/// R70, R88: messages that fail the session.
#[test]
fn envelopes_that_are_none() {
    use EnvelopeError::*;
    assert_eq!(refused(format!("<s:Envelope {S}/>")), NoBody);
    assert_eq!(refused(format!("<s:Envelope {S}><Body/></s:Envelope>")), NoBody);
    let twice = format!("<s:Envelope {S} {C}><s:Body><c:Reboot/></s:Body><s:Body/></s:Envelope>");
    assert_eq!(refused(twice), Repeated("Body"));
    assert_eq!(refused(with_body("<c:Reboot/><c:Reboot/>")), Repeated("RPC"));
    assert_eq!(refused(with_body("<c:Reboot/><s:Fault/>")), Repeated("RPC"));
    assert_eq!(refused(with_body("")), NoRpc);
    assert_eq!(refused(with_body(" <!-- c --> ")), NoRpc);
    assert_eq!(refused(with_body("reboot")), OnlyText);
    let two_headers = with_header("</s:Header><s:Header>");
    assert_eq!(refused(two_headers), Repeated("Header"));
    for foreign in ["<Reboot/>", "<o:Reboot xmlns:o='urn:other'/>"] {
        let read =
            with(with_body(foreign), |envelope| matches!(envelope.body, EnvelopeBody::Foreign { name: "Reboot" }));
        assert_eq!(read, Ok(true), "{foreign}");
    }
    assert_eq!(refused("<html><body/></html>"), NotAnEnvelope);
    let soap12 = "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'/>";
    assert_eq!(refused(soap12), NotSoap11);
}

#[test]
fn texts_that_are_no_xml() {
    use EnvelopeError::*;
    for text in ["", " ", "<", "OK", "{}", "<a>", "<a></b>", "<a/><b/>", "<a>&x;</a>", "<a>\0</a>"] {
        assert!(matches!(refused(text), Xml(_)), "{text:?}");
    }
    assert_eq!(refused(b"<a>\xE9</a>"), NotEncoded("UTF-8"));
    assert_eq!(refused(b"\xFE\xFF\0<\0a\0/\0>"), NotAnEnvelope);
    assert_eq!(refused("<!DOCTYPE a><a/>"), Dtd);
    assert_eq!(refused("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), Dtd);
    for encoding in ["ISO-8859-5", "UCS-4", "utf-7"] {
        let text = format!("<?xml version='1.0' encoding='{encoding}'?><a/>");
        assert_eq!(refused(text), Encoding(encoding.to_owned()));
    }
    for encoding in ["utf-8", "UTF8", "US-ASCII", "ISO-8859-1"] {
        let text = format!("<?xml version='1.0' encoding=\"{encoding}\" ?><a/>");
        assert_eq!(refused(text), NotAnEnvelope);
    }
}

/// A declaration cannot hide from the limits a text that the parser reads.
#[test]
fn declarations_that_hide_something() {
    let deep = "<a>".repeat(1000);
    for text in [
        format!("<?xml version=\"?><!--\" ?>{deep}"),
        format!("<?xml version='1.0' x='?><![CDATA['?>{deep}"),
        format!("<?xml\tversion='?><!--'?>{deep}"),
        format!("<?xml version=\"1.0\" {deep}"),
    ] {
        assert!(matches!(refused(text), EnvelopeError::Xml(_)));
    }
    let plain = format!("<?xml version=\"1.0\"?>{deep}");
    assert!(matches!(refused(plain), EnvelopeError::TooComplex(_)));
    let instruction = format!("<?xml-model a?>{deep}");
    assert!(matches!(refused(instruction), EnvelopeError::TooComplex(_)));
}

/// R88: all forms of faults that servers in the field send.
#[test]
fn faults() {
    let proper = "<s:Fault><faultcode>Server</faultcode><faultstring>CWMP fault</faultstring>\
        <detail><c:Fault><FaultCode>8005</FaultCode><FaultString>Retry request</FaultString>\
        </c:Fault></detail></s:Fault>";
    assert_eq!(fault_in(proper), (Some(8005), "Retry request".to_owned()));
    let qualified = "<s:Fault><s:faultcode>s:Server</s:faultcode><s:detail><c:Fault>\
        <c:FaultCode> 8001\n</c:FaultCode><c:FaultString/></c:Fault></s:detail></s:Fault>";
    assert_eq!(fault_in(qualified), (Some(8001), String::new()));
    let without_detail = "<s:Fault><faultcode>8003</faultcode><faultstring>no</faultstring></s:Fault>";
    assert_eq!(fault_in(without_detail), (Some(8003), "no".to_owned()));
    let misplaced = "<c:Fault><FaultCode>8801</FaultCode></c:Fault>";
    assert_eq!(fault_in(misplaced), (Some(8801), String::new()));
    let unqualified = "<Fault><detail><Fault><FaultCode>8000</FaultCode></Fault></detail></Fault>";
    assert_eq!(fault_in(unqualified), (Some(8000), String::new()));
    assert_eq!(fault_in("<s:Fault/>"), (None, String::new()));
    let no_number = "<s:Fault><detail><c:Fault><FaultCode>x</FaultCode></c:Fault></detail></s:Fault>";
    assert_eq!(fault_in(no_number), (None, String::new()));
    let long = format!("<s:Fault><faultstring>{}</faultstring></s:Fault>", "é".repeat(9999));
    assert_eq!(fault_in(&long).1.chars().count(), AcsFault::MAX_TEXT);
    // An element of another namespace is no fault of the ACS, even with the name of one.
    let foreign = with(with_body("<o:Fault xmlns:o='urn:o'/>"), |e| matches!(e.body, EnvelopeBody::Foreign { .. }));
    assert_eq!(foreign, Ok(true));
}

/// No depth overflows a small stack.
#[test]
#[expect(clippy::disallowed_methods, reason = "a small stack is what is tested")]
fn nested_without_end() {
    let nested = "<a>".repeat(100_000) + &"</a>".repeat(40_000);
    let in_argument = with_body(&format!("<c:Reboot><CommandKey>{nested}</CommandKey></c:Reboot>"));
    let builder = std::thread::Builder::new().stack_size(256 * 1024);
    let reader = builder.spawn(move || [refused(nested), refused(in_argument)]);
    for error in reader.unwrap().join().unwrap() {
        assert!(matches!(error, EnvelopeError::TooComplex(_)), "{error}");
    }
}

/// R71: large requests are accepted.
#[test]
fn a_large_request() {
    let names = "<string>Device.ManagementServer.PeriodicInformInterval</string>".repeat(9_000);
    let request =
        with_body(&format!("<c:GetParameterValues><ParameterNames>{names}</ParameterNames></c:GetParameterValues>"));
    with(request, |envelope| {
        let EnvelopeBody::Rpc { element, .. } = envelope.body else {
            panic!("no RPC");
        };
        assert_eq!(element.members("ParameterNames").unwrap().count(), 9_000);
    })
    .unwrap();
}

/// Reads all parts of an envelope.
fn exercise(bytes: &[u8]) -> bool {
    with(bytes, |envelope| match envelope.body {
        EnvelopeBody::Fault(fault) => drop(fault.to_string()),
        EnvelopeBody::Foreign { .. } | EnvelopeBody::Invalid { .. } => {}
        EnvelopeBody::Rpc { element, .. } => {
            let _ = (element.string("ParameterKey", 32), element.boolean("ParameterKey"));
            let _ = (element.int("ParameterKey"), element.unsigned_int("ParameterKey"));
            for member in element.members("ParameterList").into_iter().flatten() {
                let _ = (member.string("Name", 256), member.text());
                let _ = member.find("Value").map(|value| value.and_then(|v| v.xsi_type().map(|_| ())));
            }
        }
    })
    .is_ok()
}

/// Every truncation, and many bytes flipped, replaced, doubled and left out: no panic.
#[test]
fn damaged_messages() {
    let undeclared = REQUEST
        .replace("xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" ", "")
        .replace("xmlns:soap-enc=\"http://schemas.xmlsoap.org/soap/encoding/\" ", "");
    assert_eq!(undeclared.matches("xmlns").count(), REQUEST.matches("xmlns").count() - 2);
    let utf16: Vec<u8> = undeclared.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for valid in [REQUEST.as_bytes(), undeclared.as_bytes(), &utf16] {
        damage(valid);
    }
}

fn damage(valid: &[u8]) {
    assert!(exercise(valid));
    for end in 0..valid.len() {
        assert!(!exercise(&valid[..end]), "truncated at {end}");
    }
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut still_read = 0;
    for _ in 0..10_000 {
        let mut damaged = valid.to_vec();
        for _ in 0..=random(3) {
            let at = random(damaged.len());
            match random(5) {
                0 => damaged[at] ^= 1 << random(8),
                1 => damaged[at] = random(256) as u8,
                2 => damaged[at] = b"<>&\"'=/:![]?- x\0"[random(16)],
                3 => drop(damaged.remove(at)),
                _ => {
                    let end = (at + random(60)).min(damaged.len());
                    let piece = damaged[at..end].to_vec();
                    let to = random(damaged.len());
                    damaged.splice(to..to, piece);
                }
            }
        }
        still_read += usize::from(exercise(&damaged));
    }
    assert!(still_read > 100, "{still_read}: the damage is so great that it tests little");
}
