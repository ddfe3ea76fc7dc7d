use super::*;

const HIDDEN: &str = "Device.ManagementServer.Password";

fn hidden(name: &str) -> bool {
    name == HIDDEN || !name.starts_with("Device.")
}

fn envelope(content: &str) -> String {
    format!("<s:Envelope xmlns:s=\"{ENVELOPE}\" xmlns:c=\"urn:dslforum-org:cwmp-1-0\">{content}</s:Envelope>")
}

fn body(content: &str) -> String {
    envelope(&format!("<s:Body>{content}</s:Body>"))
}

fn shown(text: &str) -> String {
    let shown = masked(text.as_bytes(), None, &hidden).expect("XML");
    // The result is XML again, which a replay sends to an agent.
    assert_eq!(masked(shown.as_bytes(), Some("utf-8"), &hidden).as_ref(), Ok(&shown), "the form stays as it is");
    shown
}

fn set(name: &str, value: &str) -> String {
    let list = format!("<ParameterValueStruct><Name>{name}</Name><Value>{value}</Value></ParameterValueStruct>");
    body(&format!("<c:SetParameterValues><ParameterList>{list}</ParameterList></c:SetParameterValues>"))
}

#[test]
fn an_element_stands_on_each_line() {
    let text = shown(&set("Device.A", " x<![CDATA[<]]> "));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1], "  <s:Body>", "{text}");
    assert_eq!(lines[5], "          <Name>Device.A</Name>", "{text}");
    assert_eq!(lines[6], "          <Value> x<![CDATA[<]]> </Value>", "{text}");
    assert_eq!(lines[7], "        </ParameterValueStruct>", "{text}");
    assert!(shown(&set("Device.A", " \n ")).contains("<Value> \n </Value>"), "white space is a value");
    assert!(shown(&set("Device.A", "")).contains("<Value></Value>"), "an empty value stays on its line");
    let declared = format!("<?xml version=\"1.0\"?>\n{}", body("<c:Reboot/>"));
    assert!(shown(&declared).starts_with("<?xml version=\"1.0\"?>\n<s:Envelope "), "{}", shown(&declared));
}

/// R334: the values of hidden parameters, and of those whose nature is unknown.
#[test]
fn values_of_hidden_parameters() {
    for name in [HIDDEN, " Device.ManagementServer.Password\n", "Unknown.", "", "Device.AccessPoint.1.PreSharedKey"] {
        let text = shown(&set(name, "hunter2"));
        assert!(!text.contains("hunter2"), "{name}: {text}");
    }
    assert!(shown(&set(HIDDEN, "")).contains("<Value></Value>"), "that there is no password is no secret");
    assert!(shown(&set("Device.A", "plain")).contains("<Value>plain</Value>"));
    // The order of the elements has no meaning (R74), and the value may be nested in the wrong way.
    let other = format!("<c:SetParameterValues><L><P><Value><b>hunter2</b></Value><Name>{HIDDEN}</Name></P></L>");
    assert!(!shown(&body(&format!("{other}</c:SetParameterValues>"))).contains("hunter2"));
}

#[test]
fn values_behind_references() {
    let list = format!("<P><Name>{HIDDEN}</Name><Value href=\"#v\"/></P><P href=\"#p\"/>");
    let targets = format!(
        "<multiRef id=\"v\">hunter2</multiRef><multiRef id=\"p\"><Name>{HIDDEN}</Name><Value>hunter3</Value></multiRef>"
    );
    let text = shown(&body(&format!(
        "<c:SetParameterValues><ParameterList>{list}</ParameterList></c:SetParameterValues>{targets}"
    )));
    assert!(!text.contains("hunter"), "{text}");
    let chain = "<multiRef id=\"v\" href=\"#w\"/><multiRef id=\"w\">hunter2</multiRef>";
    let text = shown(&body(&format!("<c:Upload><Password href=\"#v\"/></c:Upload>{chain}")));
    assert!(!text.contains("hunter2"), "{text}");
    let name = "<multiRef id=\"n\">Device.A</multiRef>";
    let list = "<P><Name href=\"#n\"/><Value>hunter2</Value></P>";
    let text = shown(&body(&format!("<c:SetParameterValues><L>{list}</L></c:SetParameterValues>{name}")));
    assert!(!text.contains("hunter2"), "a name that is not there to read may be any: {text}");
}

#[test]
fn arguments_headers_and_unknown_methods() {
    let download = "<c:Download><URL>http://me:hunter2@files/a?key=hunter3&amp;x=<![CDATA[hunter5]]></URL><Username>me</Username>\
                    <Password>hunter4</Password><Password><!-- hunter7 --></Password></c:Download><!-- hunter6 -->";
    let text = shown(&body(download));
    assert!(!text.contains("hunter"), "{text}");
    assert!(text.contains("<URL>http://********@files/a?********</URL>"), "{text}");
    assert!(text.contains("<Username>me</Username>"), "{text}");
    let divided = body("<c:Upload><URL>http://me:hun<!-- -->ter2@files/a</URL></c:Upload>");
    assert!(!shown(&divided).contains("ter2"));
    let vendor = body("<v:X_Login xmlns:v=\"urn:v\"><Key>hunter2</Key></v:X_Login>");
    assert!(!shown(&vendor).contains("hunter2"));
    let header = "<s:Header><c:ID>7</c:ID><w:Security xmlns:w=\"urn:w\"><w:T>hunter2</w:T></w:Security></s:Header>";
    let text = shown(&envelope(&format!("{header}<s:Body><c:GetRPCMethods/></s:Body>")));
    assert!(text.contains("<c:ID>7</c:ID>") && !text.contains("hunter2"), "{text}");
}

#[test]
fn no_part_of_another_text_is_shown() {
    for text in ["hunter2", "<a>hunter2", "<a>hunter2</a>", "<!DOCTYPE a><a>hunter2</a>", "\u{1}"] {
        assert!(masked(text.as_bytes(), None, &hidden).is_err(), "{text}");
    }
    let text = shown(&envelope("<Body2>hunter2</Body2><s:Body><c:GetRPCMethods/></s:Body>"));
    assert!(!text.contains("hunter2"), "{text}");
    let text = shown(&format!("\n{}hunter2", body("<c:GetRPCMethods/>")));
    assert!(!text.contains("hunter2"), "{text}");
}

/// Other encodings become UTF-8, and undeclared prefixes stay as they were sent.
#[test]
fn encodings_and_undeclared_prefixes() {
    let latin = body("<c:AddObject><ObjectName xsi:type=\"xsd:string\">Ger\u{e4}t</ObjectName></c:AddObject>");
    let latin: Vec<u8> = latin.chars().map(|c| u8::try_from(u32::from(c)).expect("a character of Latin 1")).collect();
    let shown = masked(&latin, Some("iso-8859-1"), &hidden).expect("XML");
    assert!(shown.contains("xsi:type=\"xsd:string\">Ger\u{e4}t<") && !shown.contains("xmlns:xsi"), "{shown}");
}

/// Any well-formed message becomes a well-formed one, whatever stands in it.
#[test]
fn odd_markup() {
    for content in [
        "<a b='>' c=\"/x>\"/>",
        "<a><b/>text<c/></a>",
        "<a><![CDATA[</a>]]></a>",
        "<a><!-- <b> --><?pi <c> ?><b></b></a>",
        "<Password><a>1</a><Password>2</Password><b/></Password>",
        "<a> <b> </b> </a>",
        "<Password/><Password a='1'/>",
        "<a>1</a>",
    ] {
        let text = shown(&body(&format!("<c:Inform>{content}</c:Inform>")));
        assert!(!text.contains('2'), "{text}");
    }
}
