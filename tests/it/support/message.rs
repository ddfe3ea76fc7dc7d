//! A message of the CPE: the envelope read into plain fields, with every irregularity noted.

use std::fmt;

use roxmltree::{Document, Node, ParsingOptions};

use super::envelope::{CWMP, SOAP, XSI};
use super::schema_check;

/// A message of the CPE.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// `Inform`, `GetParameterValuesResponse`, `Fault` …
    pub method: String,
    /// The text of the `cwmp:ID` header.
    pub id: Option<String>,
    /// The end of the CWMP namespace, such as `1-2`; empty where none was bound.
    pub version: String,
    /// Every SOAP header: local name and text.
    pub headers: Vec<(String, String)>,
    /// Inform: the DeviceId.
    pub device: Device,
    /// Inform: the Event array.
    pub events: Vec<Event>,
    /// Inform, GetParameterValuesResponse: the ParameterList.
    pub parameters: Vec<Parameter>,
    /// GetParameterNamesResponse: the ParameterList.
    pub names: Vec<Name>,
    /// GetParameterAttributesResponse: the ParameterList.
    pub attributes: Vec<Attributes>,
    /// GetRPCMethodsResponse: the MethodList.
    pub methods: Vec<String>,
    /// Get(All)QueuedTransfersResponse: the fields of each transfer.
    pub transfers: Vec<Vec<(String, String)>>,
    /// A SOAP fault, or the FaultStruct of a TransferComplete.
    pub fault: Option<Fault>,
    /// Every argument that is plain text: `Status`, `CommandKey`, `RetryCount` …
    pub arguments: Vec<(String, String)>,
    /// The envelope itself.
    pub xml: String,
    /// Violations of the rules for messages, in words.
    pub problems: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    pub manufacturer: String,
    pub oui: String,
    pub product_class: String,
    pub serial_number: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub code: String,
    pub command_key: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    /// The `xsi:type` as it is written, such as `xsd:boolean`.
    pub kind: String,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub name: String,
    pub writable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    pub name: String,
    pub notification: String,
    pub access_list: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// The SOAP faultcode: `Client` or `Server`; empty in a FaultStruct.
    pub side: String,
    /// The CWMP FaultCode.
    pub code: u16,
    pub text: String,
    /// The entries of SetParameterValuesFault: parameter, code, text.
    pub parameters: Vec<(String, u16, String)>,
}

impl Message {
    /// Returns the events of an Inform in order, each with its CommandKey behind a slash, if it has one.
    pub fn sorted_events(&self) -> Vec<String> {
        let event = |event: &Event| match event.command_key.as_str() {
            "" => event.code.clone(),
            key => format!("{}/{key}", event.code),
        };
        let mut events: Vec<String> = self.events.iter().map(event).collect();
        events.sort();
        events
    }

    /// Reads an envelope; the error is the reason why the text is no envelope.
    pub fn parse(bytes: &[u8]) -> Result<Message, String> {
        let xml = std::str::from_utf8(bytes).map_err(|_| "the body is not UTF-8")?;
        let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
        let document = Document::parse_with_options(xml, options)
            .map_err(|error| format!("the body is no well-formed XML: {error}"))?;
        let envelope = document.root_element();
        if !is(envelope, SOAP, "Envelope") {
            return Err(format!("the root is {:?}, no SOAP Envelope", envelope.tag_name()));
        }
        let bodies: Vec<Node> = children(envelope).filter(|node| is(*node, SOAP, "Body")).collect();
        let [body] = bodies[..] else {
            return Err(format!("{} Body elements", bodies.len()));
        };
        let contents: Vec<Node> = children(body).collect();
        let [content] = contents[..] else {
            return Err(format!("{} elements in the Body", contents.len()));
        };
        let mut message = Message {
            method: content.tag_name().name().into(),
            version: version(content),
            xml: xml.into(),
            ..Message::default()
        };
        schema_check::check(&document, content, &mut message.problems);
        message.read_headers(envelope);
        message.read_content(content);
        schema_check::check_meaning(&mut message);
        Ok(message)
    }

    /// Returns true for a request to the ACS: Inform, TransferComplete and so on.
    pub fn is_request(&self) -> bool {
        !self.is_fault() && !self.method.ends_with("Response")
    }

    pub fn is_fault(&self) -> bool {
        self.method == "Fault"
    }

    pub fn is_inform(&self) -> bool {
        self.method == "Inform"
    }

    /// Returns the text of an argument.
    pub fn argument(&self, name: &str) -> Option<&str> {
        let found = self.arguments.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the value of a parameter in the ParameterList.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|parameter| parameter.name == name);
        found.map(|parameter| parameter.value.as_str())
    }

    /// Returns true if GetParameterNamesResponse lists the name as writable; `None` if it does not list it.
    pub fn writable(&self, name: &str) -> Option<bool> {
        let found = self.names.iter().find(|entry| entry.name == name);
        found.map(|entry| entry.writable)
    }

    pub fn event_codes(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.code.as_str()).collect()
    }

    pub fn has_event(&self, code: &str) -> bool {
        self.events.iter().any(|event| event.code == code)
    }

    pub fn retry_count(&self) -> Option<u32> {
        self.argument("RetryCount")?.parse().ok()
    }

    fn read_headers(&mut self, envelope: Node) {
        let headers = children(envelope).filter(|node| is(*node, SOAP, "Header"));
        for header in headers.flat_map(|node| children(node)) {
            let name = header.tag_name().name();
            self.headers.push((name.into(), raw_text(header)));
            if name == "ID" {
                self.id = Some(raw_text(header));
                if header.attribute((SOAP, "mustUnderstand")) != Some("1") {
                    self.problems.push("R77: cwmp:ID without mustUnderstand=\"1\"".into());
                }
            }
            match name {
                "HoldRequests" | "NoMoreRequests" => {
                    self.problems.push(format!("R78, R79: the CPE sends {name}"));
                }
                "SupportedCWMPVersions" | "SessionTimeout" if !self.is_inform() => {
                    self.problems.push(format!("R80, R81: {name} outside Inform"));
                }
                _ => {}
            }
        }
    }

    fn read_content(&mut self, content: Node) {
        if self.is_fault() {
            self.fault = Some(soap_fault(content));
            return;
        }
        for argument in children(content) {
            match argument.tag_name().name() {
                "DeviceId" => {
                    self.device = Device {
                        manufacturer: text(argument, "Manufacturer"),
                        oui: text(argument, "OUI"),
                        product_class: text(argument, "ProductClass"),
                        serial_number: text(argument, "SerialNumber"),
                    };
                }
                "Event" => self.events.extend(
                    children(argument)
                        .map(|event| Event { code: text(event, "EventCode"), command_key: text(event, "CommandKey") }),
                ),
                "ParameterList" => children(argument).for_each(|entry| self.read_entry(entry)),
                "MethodList" => self.methods.extend(children(argument).map(raw_text)),
                "TransferList" => {
                    let fields = |node| children(node).map(|f| (local(f), raw_text(f))).collect();
                    self.transfers.extend(children(argument).map(fields));
                }
                "FaultStruct" => self.fault = Some(fault_fields(argument)),
                name => self.arguments.push((name.into(), raw_text(argument))),
            }
        }
    }

    fn read_entry(&mut self, entry: Node) {
        let name = text(entry, "Name");
        match entry.tag_name().name() {
            "ParameterInfoStruct" => {
                self.names.push(Name { name, writable: matches!(text(entry, "Writable").as_str(), "1" | "true") })
            }
            "ParameterAttributeStruct" => self.attributes.push(Attributes {
                name,
                notification: text(entry, "Notification"),
                access_list: child(entry, "AccessList")
                    .map(|list| children(list).map(raw_text).collect())
                    .unwrap_or_default(),
            }),
            _ => {
                let value = child(entry, "Value");
                self.parameters.push(Parameter {
                    name,
                    kind: value.and_then(|value| value.attribute((XSI, "type"))).unwrap_or_default().into(),
                    value: value.map(raw_text).unwrap_or_default(),
                });
            }
        }
    }
}

/// Writes the message in a few lines, for the failure of a test.
impl fmt::Display for Message {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        write!(to, "{} (cwmp-{}", self.method, self.version)?;
        match &self.id {
            Some(id) => write!(to, ", ID {id:?})")?,
            None => write!(to, ", no ID)")?,
        }
        for event in &self.events {
            write!(to, "\n  event {:?}", event.code)?;
            if !event.command_key.is_empty() {
                write!(to, " with CommandKey {:?}", event.command_key)?;
            }
        }
        for (name, value) in &self.arguments {
            write!(to, "\n  {name} = {value:?}")?;
        }
        if let Some(fault) = &self.fault {
            write!(to, "\n  fault {} {} {:?}", fault.code, fault.side, fault.text)?;
            for (name, code, text) in &fault.parameters {
                write!(to, "\n    {name}: {code} {text:?}")?;
            }
        }
        for parameter in self.parameters.iter().take(40) {
            write!(to, "\n  {} = {:?} ({})", parameter.name, parameter.value, parameter.kind)?;
        }
        for entry in self.names.iter().take(40) {
            write!(to, "\n  {} writable: {}", entry.name, entry.writable)?;
        }
        let left = self.parameters.len().max(self.names.len());
        if left > 40 {
            write!(to, "\n  … and {} more", left - 40)?;
        }
        Ok(())
    }
}

pub(super) fn children<'a, 'x>(node: Node<'a, 'x>) -> impl Iterator<Item = Node<'a, 'x>> {
    node.children().filter(Node::is_element)
}

pub(super) fn child<'a, 'x>(node: Node<'a, 'x>, name: &str) -> Option<Node<'a, 'x>> {
    children(node).find(|child| child.tag_name().name() == name)
}

/// Returns all text below a node, without comments and CDATA marks.
pub(super) fn raw_text(node: Node) -> String {
    node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect()
}

pub(super) fn is(node: Node, namespace: &str, name: &str) -> bool {
    node.tag_name().namespace() == Some(namespace) && node.tag_name().name() == name
}

fn local(node: Node) -> String {
    node.tag_name().name().into()
}

fn text(node: Node, name: &str) -> String {
    child(node, name).map(raw_text).unwrap_or_default()
}

/// The end of the CWMP namespace that the method, or the Fault in a fault's detail, stands in.
fn version(content: Node) -> String {
    content
        .descendants()
        .filter_map(|node| node.tag_name().namespace())
        .find_map(|namespace| namespace.strip_prefix(CWMP))
        .unwrap_or_default()
        .into()
}

fn soap_fault(content: Node) -> Fault {
    let side = text(content, "faultcode");
    let details = child(content, "detail").and_then(|detail| child(detail, "Fault"));
    let mut fault = details.map(fault_fields).unwrap_or_default();
    fault.side = side.rsplit(':').next().unwrap_or_default().into();
    fault
}

fn fault_fields(node: Node) -> Fault {
    Fault {
        side: String::new(),
        code: text(node, "FaultCode").trim().parse().unwrap_or_default(),
        text: text(node, "FaultString"),
        parameters: children(node)
            .filter(|entry| entry.tag_name().name() == "SetParameterValuesFault")
            .map(|entry| {
                let code = text(entry, "FaultCode").trim().parse().unwrap_or_default();
                (text(entry, "ParameterName"), code, text(entry, "FaultString"))
            })
            .collect(),
    }
}
