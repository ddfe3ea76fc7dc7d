//! The form that the schema and TR-069 prescribe for each message of a CPE, and the check of a message against it.

use roxmltree::{Document, Node};

use super::envelope::{CWMP, ENCODING, SOAP, XSD, XSI};
use super::message::{Message, child, children, is, raw_text};

/// The content of an element, in the order of the schema (R74).
enum ContentRule {
    Sequence(&'static [&'static str]),
    /// An array and the type of its members (R73).
    Array(&'static str),
    Text,
}

fn content_of(element: &str, method: &str) -> Option<ContentRule> {
    use ContentRule::{Array, Sequence, Text};
    Some(match element {
        "Inform" => Sequence(&["DeviceId", "Event", "MaxEnvelopes", "CurrentTime", "RetryCount", "ParameterList"]),
        "DeviceId" => Sequence(&["Manufacturer", "OUI", "ProductClass", "SerialNumber"]),
        "Event" => Array("EventStruct"),
        "EventStruct" => Sequence(&["EventCode", "CommandKey"]),
        "TransferComplete" => Sequence(&["CommandKey", "FaultStruct", "StartTime", "CompleteTime"]),
        "AutonomousTransferComplete" => Sequence(&[
            "AnnounceURL",
            "TransferURL",
            "IsDownload",
            "FileType",
            "FileSize",
            "TargetFileName",
            "FaultStruct",
            "StartTime",
            "CompleteTime",
        ]),
        // Results may stand several times: the check counts equal neighbours once.
        "DUStateChangeComplete" => Sequence(&["Results", "CommandKey"]),
        "AutonomousDUStateChangeComplete" => Sequence(&["Results"]),
        "Results" if method == "DUStateChangeComplete" => Sequence(&[
            "UUID",
            "DeploymentUnitRef",
            "Version",
            "CurrentState",
            "Resolved",
            "ExecutionUnitRefList",
            "StartTime",
            "CompleteTime",
            "Fault",
        ]),
        "Results" => Sequence(&[
            "UUID",
            "DeploymentUnitRef",
            "Version",
            "CurrentState",
            "Resolved",
            "ExecutionUnitRefList",
            "StartTime",
            "CompleteTime",
            "Fault",
            "OperationPerformed",
        ]),
        "Fault" if method.ends_with("DUStateChangeComplete") => Sequence(&["FaultCode", "FaultString"]),
        "FaultStruct" => Sequence(&["FaultCode", "FaultString"]),
        "RequestDownload" => Sequence(&["FileType", "FileTypeArg"]),
        "FileTypeArg" => Array("ArgStruct"),
        "ArgStruct" => Sequence(&["Name", "Value"]),
        "Kicked" => Sequence(&["Command", "Referer", "Arg", "Next"]),
        "GetRPCMethods"
        | "SetParameterAttributesResponse"
        | "RebootResponse"
        | "FactoryResetResponse"
        | "ScheduleInformResponse"
        | "ScheduleDownloadResponse"
        | "CancelTransferResponse"
        | "ChangeDUStateResponse" => Sequence(&[]),
        "GetRPCMethodsResponse" => Sequence(&["MethodList"]),
        "MethodList" | "AccessList" => Array("string"),
        "SetParameterValuesResponse" | "DeleteObjectResponse" => Sequence(&["Status"]),
        "GetParameterValuesResponse" | "GetParameterNamesResponse" | "GetParameterAttributesResponse" => {
            Sequence(&["ParameterList"])
        }
        "ParameterList" => Array(match method {
            "GetParameterNamesResponse" => "ParameterInfoStruct",
            "GetParameterAttributesResponse" => "ParameterAttributeStruct",
            _ => "ParameterValueStruct",
        }),
        "ParameterInfoStruct" => Sequence(&["Name", "Writable"]),
        "ParameterAttributeStruct" => Sequence(&["Name", "Notification", "AccessList"]),
        "ParameterValueStruct" => Sequence(&["Name", "Value"]),
        "AddObjectResponse" => Sequence(&["InstanceNumber", "Status"]),
        "DownloadResponse" | "UploadResponse" => Sequence(&["Status", "StartTime", "CompleteTime"]),
        "GetQueuedTransfersResponse" | "GetAllQueuedTransfersResponse" => Sequence(&["TransferList"]),
        "TransferList" if method == "GetQueuedTransfersResponse" => Array("QueuedTransferStruct"),
        "TransferList" => Array("AllQueuedTransferStruct"),
        "QueuedTransferStruct" => Sequence(&["CommandKey", "State"]),
        "AllQueuedTransferStruct" => {
            Sequence(&["CommandKey", "State", "IsDownload", "FileType", "FileSize", "TargetFileName"])
        }
        _ if element == method => return None,
        _ => Text,
    })
}

/// The fault codes that a CPE may answer an RPC with (table A1; R251).
pub fn allowed_faults(method: &str) -> Option<&'static [u16]> {
    Some(match method {
        "GetRPCMethods" => &[9001, 9002],
        "SetParameterValues" => &[9001, 9002, 9003, 9004],
        "GetParameterValues" | "GetParameterNames" | "GetParameterAttributes" | "AddObject" => {
            &[9001, 9002, 9003, 9004, 9005]
        }
        "SetParameterAttributes" => &[9001, 9002, 9003, 9004, 9005, 9009],
        "DeleteObject" => &[9001, 9002, 9003, 9005],
        "Reboot" => &[9001, 9002, 9003],
        "Download" => &[9000, 9001, 9002, 9003, 9004, 9010, 9012, 9013],
        "Upload" => &[9000, 9001, 9002, 9003, 9004, 9011, 9012, 9013],
        "FactoryReset" | "ScheduleInform" => &[9000, 9001, 9002, 9003],
        "GetQueuedTransfers" | "GetAllQueuedTransfers" => &[9000, 9001, 9002],
        "ScheduleDownload" => &[9000, 9001, 9002, 9003, 9004, 9010, 9013],
        "CancelTransfer" => &[9000, 9001, 9004, 9021],
        "ChangeDUState" => &[9000, 9001, 9002, 9004],
        _ => return None,
    })
}

/// Checks an element tree: order, arrays, types, namespaces.
pub fn check(document: &Document, content: Node, problems: &mut Vec<String>) {
    if document.input_text().bytes().any(|byte| !matches!(byte, 9 | 10 | 13 | 32..=126)) {
        problems.push("R39: characters outside 9-10, 13, 32-126 that are not escaped".into());
    }
    let method = content.tag_name().name();
    if is(content, SOAP, "Fault") {
        return check_fault(content, problems);
    }
    let namespace = content.tag_name().namespace().unwrap_or_default();
    match namespace.strip_prefix(CWMP) {
        Some("1-0" | "1-1" | "1-2") => {}
        _ => problems.push(format!("R68: {method} in the namespace {namespace:?}")),
    }
    check_element(content, method, problems);
}

fn check_element(element: Node, method: &str, problems: &mut Vec<String>) {
    let name = element.tag_name().name();
    let mut found: Vec<&str> = children(element).map(|child| child.tag_name().name()).collect();
    if name == method && method.ends_with("DUStateChangeComplete") {
        found.dedup();
    }
    match content_of(name, method) {
        None => problems.push(format!("the CPE sends {name}, which no CPE sends")),
        Some(ContentRule::Text) if !found.is_empty() => {
            problems.push(format!("{name} of {method} holds {found:?}, not text"));
        }
        Some(ContentRule::Text) => {}
        Some(ContentRule::Sequence(expected)) => {
            if found != expected {
                problems.push(format!("R74: {name} of {method} holds {found:?}, the schema says {expected:?}"));
            }
        }
        Some(ContentRule::Array(member)) => check_array(element, member, &found, problems),
    }
    if name == "ParameterValueStruct"
        && let Some(value) = child(element, "Value")
    {
        check_value(element, value, problems);
    }
    for child in children(element) {
        if is_qualified(child) {
            problems.push(format!("R69: {} of {method} is in a namespace", child.tag_name().name()));
        }
        check_element(child, method, problems);
    }
}

fn check_array(element: Node, member: &str, found: &[&str], problems: &mut Vec<String>) {
    let name = element.tag_name().name();
    if let Some(other) = found.iter().find(|found| **found != member) {
        problems.push(format!("R73: {other} inside {name}, not {member}"));
    }
    let Some(kind) = element.attribute((ENCODING, "arrayType")) else {
        problems.push(format!("R73: {name} without soap-enc:arrayType"));
        return;
    };
    let parts = kind
        .strip_suffix(']')
        .and_then(|kind| kind.split_once('['))
        .and_then(|(kind, count)| Some((kind.split_once(':')?, count)));
    let Some(((prefix, local), count)) = parts else {
        problems.push(format!("R73: arrayType {kind:?} of {name}"));
        return;
    };
    if count.parse() != Ok(found.len()) {
        problems.push(format!("R73: arrayType {kind:?} of {name}, but {} members", found.len()));
    }
    let namespace = element.lookup_namespace_uri(Some(prefix)).unwrap_or_default();
    let right =
        if member == "string" { namespace == XSD || namespace == ENCODING } else { namespace.starts_with(CWMP) };
    if local != member || !right {
        problems.push(format!("R73: arrayType {kind:?} of {name}, not an array of {member}"));
    }
}

/// R72: the type is there, is one of the schema's, and the literal is one of the type.
fn check_value(parameter: Node, value: Node, problems: &mut Vec<String>) {
    let name = child(parameter, "Name").map(raw_text).unwrap_or_default();
    let text = raw_text(value);
    let Some(kind) = value.attribute((XSI, "type")) else {
        problems.push(format!("R72: the value of {name} has no xsi:type"));
        return;
    };
    let (prefix, local) = kind.split_once(':').unwrap_or(("", kind));
    let namespace = value.lookup_namespace_uri((!prefix.is_empty()).then_some(prefix));
    let known = match local {
        "base64" => namespace == Some(ENCODING),
        _ => namespace == Some(XSD) && prefix == "xsd",
    };
    if !known {
        problems.push(format!("R72, R89: {name} has the type {kind:?} in {namespace:?}"));
    }
    let right = match local {
        "string" => true,
        "int" => text.parse::<i32>().is_ok(),
        "unsignedInt" => text.parse::<u32>().is_ok(),
        "long" => text.parse::<i64>().is_ok(),
        "unsignedLong" => text.parse::<u64>().is_ok(),
        "boolean" => matches!(text.as_str(), "0" | "1" | "true" | "false"),
        "dateTime" => zone(&text).is_some(),
        "hexBinary" => text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "base64" | "base64Binary" => {
            use base64::Engine as _;
            base64::prelude::BASE64_STANDARD.decode(&text).is_ok()
        }
        "decimal" => text.parse::<f64>().is_ok() && !text.contains(['e', 'E', 'n', 'N']),
        _ => false,
    };
    if !right {
        problems.push(format!("{name} = {text:?} is no literal of {kind}"));
    }
}

/// R85, R87: the form of a SOAP fault.
fn check_fault(content: Node, problems: &mut Vec<String>) {
    let text = |node: Node, name| child(node, name).map(raw_text).unwrap_or_default();
    let faultcode = text(content, "faultcode");
    if let Some((prefix, _)) = faultcode.split_once(':')
        && content.lookup_namespace_uri(Some(prefix)) != Some(SOAP)
    {
        problems.push(format!("R85: faultcode {faultcode:?}"));
    }
    if text(content, "faultstring") != "CWMP fault" {
        problems.push(format!("R85: faultstring {:?}", text(content, "faultstring")));
    }
    for name in ["faultcode", "faultstring", "detail"] {
        if child(content, name).is_none_or(is_qualified) {
            problems.push(format!("R85: {name} is missing or in a namespace"));
        }
    }
    let inner = child(content, "detail").and_then(|detail| child(detail, "Fault"));
    let Some(inner) = inner else {
        problems.push("R85: no cwmp:Fault in the detail".into());
        return;
    };
    if !inner.tag_name().namespace().is_some_and(|namespace| namespace.starts_with(CWMP)) {
        problems.push("R85: the Fault in the detail is not CWMP's".into());
    }
    let mut expected = vec!["FaultCode", "FaultString"];
    let found: Vec<&str> = children(inner).map(|node| node.tag_name().name()).collect();
    expected.resize(found.len().max(2), "SetParameterValuesFault");
    if found != expected {
        problems.push(format!("R85: cwmp:Fault holds {found:?}"));
    }
    for entry in children(inner).skip(2) {
        let fields: Vec<&str> = children(entry).map(|node| node.tag_name().name()).collect();
        if fields != ["ParameterName", "FaultCode", "FaultString"] {
            problems.push(format!("R87: SetParameterValuesFault holds {fields:?}"));
        }
    }
}

/// Returns true if the element is in a namespace; `xmlns=""` takes it out of the default one.
fn is_qualified(node: Node) -> bool {
    node.tag_name().namespace().is_some_and(|namespace| !namespace.is_empty())
}

/// Checks the rules beyond the form: lengths, counts, codes, times.
pub fn check_meaning(message: &mut Message) {
    let mut problems = Vec::new();
    if message.is_inform() {
        check_inform(message, &mut problems);
    }
    if message.is_fault()
        && let Some(fault) = &message.fault
    {
        let client = matches!(fault.code, 9003 | 9005..=9008 | 9020 | 9021);
        if fault.side != if client { "Client" } else { "Server" } {
            problems.push(format!("R251: fault {} with faultcode {:?}", fault.code, fault.side));
        }
        if !fault.parameters.is_empty() && fault.code != 9003 {
            problems.push(format!("R165: SetParameterValuesFault under {}", fault.code));
        }
        if !matches!(fault.code, 9000..=9032 | 9800..=9899) {
            problems.push(format!("R254: fault code {}", fault.code));
        }
    }
    if message.method == "TransferComplete" {
        let code = message.fault.as_ref().map(|fault| fault.code);
        if !matches!(code, Some(0 | 9001 | 9002 | 9010..=9012 | 9014..=9020 | 9800..=9899)) {
            problems.push(format!("R238: FaultCode {code:?} in TransferComplete"));
        }
    }
    for (name, limit) in [("CommandKey", 32), ("FaultString", 256)] {
        if let Some(text) = message.argument(name)
            && text.chars().count() > limit
        {
            problems.push(format!("{name} above {limit} characters"));
        }
    }
    if let Some(status) = message.argument("Status")
        && !matches!(status, "0" | "1")
    {
        problems.push(format!("Status {status:?}"));
    }
    for name in ["StartTime", "CompleteTime"] {
        if let Some(text) = message.argument(name)
            && zone(text).is_none()
        {
            problems.push(format!("{name} {text:?} is no dateTime"));
        }
    }
    let names = message.parameters.iter().map(|parameter| &parameter.name);
    let names = names.chain(message.names.iter().map(|entry| &entry.name));
    for name in names {
        if name.chars().count() > 256 {
            problems.push(format!("R176: a name above 256 characters: {name}"));
        }
    }
    message.problems.extend(problems);
}

fn check_inform(message: &Message, problems: &mut Vec<String>) {
    if message.argument("MaxEnvelopes") != Some("1") {
        problems.push("R96: MaxEnvelopes is not 1".into());
    }
    if message.retry_count().is_none() {
        problems.push("R98: RetryCount is no unsignedInt".into());
    }
    let time = message.argument("CurrentTime").unwrap_or_default();
    match zone(time) {
        Some(true) => {}
        Some(false) if time.starts_with("0001-") => {}
        _ => problems.push(format!("R97: CurrentTime {time:?} is no dateTime with a zone")),
    }
    let device = &message.device;
    let oui = device.oui.as_bytes();
    if oui.len() != 6 || !oui.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')) {
        problems.push(format!("R93: OUI {:?}", device.oui));
    }
    if message.events.len() > 64 {
        problems.push("R94: more than 64 events".into());
    }
    for (at, event) in message.events.iter().enumerate() {
        let multiple = event.code.starts_with("M ");
        let seen = message.events[..at].iter().any(|other| other.code == event.code);
        if seen && !multiple {
            problems.push(format!("R135: event {:?} twice", event.code));
        }
        if !multiple && !event.command_key.is_empty() && !event.code.starts_with("X ") {
            problems.push(format!("R95: event {:?} with a CommandKey", event.code));
        }
        if event.code.len() > 64 || event.command_key.chars().count() > 32 {
            problems.push(format!("R94: event {:?} is too long", event.code));
        }
    }
    for (at, parameter) in message.parameters.iter().enumerate() {
        if message.parameters[..at].iter().any(|other| other.name == parameter.name) {
            problems.push(format!("R100: {} twice in Inform", parameter.name));
        }
    }
}

/// Returns true if a dateTime has a zone; `None` if the text is no dateTime.
pub fn zone(text: &str) -> Option<bool> {
    let digits = |range: std::ops::Range<usize>, low: u32, high: u32| {
        let part = text.get(range)?;
        let right = part.bytes().all(|byte| byte.is_ascii_digit());
        let number: u32 = part.parse().ok()?;
        (right && (low..=high).contains(&number)).then_some(())
    };
    digits(0..4, 1, 9999)?;
    digits(5..7, 1, 12)?;
    digits(8..10, 1, 31)?;
    digits(11..13, 0, 24)?;
    digits(14..16, 0, 59)?;
    digits(17..19, 0, 59)?;
    let bytes = text.as_bytes();
    if [bytes[4], bytes[7], bytes[10], bytes[13], bytes[16]] != *b"--T::" {
        return None;
    }
    let mut rest = &text[19..];
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|character: char| character.is_ascii_digit());
        if rest.len() == fraction.len() {
            return None;
        }
    }
    match rest.as_bytes() {
        [] => Some(false),
        [b'Z'] => Some(true),
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()).then_some(true)
        }
        _ => None,
    }
}
