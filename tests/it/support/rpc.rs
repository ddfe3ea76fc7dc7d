//! The RPCs that an ACS calls, as values that are written into an envelope later.
//!
//! ```ignore
//! get_parameter_values(&["Device.DeviceInfo."])
//! set_parameter_values(&[("Device.Time.Enable", "boolean", "true")], "key 1")
//! download("1 Firmware Upgrade Image", &url).with("CommandKey", "upgrade").with("DelaySeconds", "5")
//! ```

use super::envelope::{Prefixes, escape};

/// A request of the ACS.
#[derive(Clone, Debug)]
pub struct Rpc {
    method: String,
    arguments: Vec<(String, Argument)>,
    whole: Option<String>,
}

#[derive(Clone, Debug)]
enum Argument {
    Text(String),
    Strings(Vec<String>),
    /// Name, type, value; see [`set_parameter_values`] on the type.
    Values(Vec<(String, String, String)>),
    /// Name, notification, access list; `None` leaves that one unchanged.
    Attributes(Vec<(String, Option<u8>, Option<Vec<String>>)>),
    /// Start, end, mode, user message, retries.
    Windows(Vec<(u32, u32, String, String, i32)>),
    /// XML put in as it is.
    Xml(String),
}

impl Rpc {
    /// A call without arguments, of any name.
    pub fn new(method: &str) -> Rpc {
        Rpc { method: method.into(), arguments: Vec::new(), whole: None }
    }

    pub fn method(&self) -> &str {
        &self.method
    }

    /// Sets or adds an argument that is plain text.
    pub fn with(self, name: &str, value: impl ToString) -> Rpc {
        self.argument(name, Argument::Text(value.to_string()))
    }

    /// Sets or adds an argument whose content is XML, put in as it is.
    pub fn with_xml(self, name: &str, xml: &str) -> Rpc {
        self.argument(name, Argument::Xml(xml.into()))
    }

    /// Sets or adds an argument that is a list of strings.
    pub fn with_strings(self, name: &str, list: &[&str]) -> Rpc {
        self.argument(name, strings(list))
    }

    /// Leaves an argument out, as no server should.
    pub fn without(mut self, name: &str) -> Rpc {
        self.arguments.retain(|(known, _)| known != name);
        self
    }

    /// Names and values for people, one a line: `Device.Time.Enable = true`.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, argument) in &self.arguments {
            match argument {
                Argument::Text(text) => lines.push(format!("{name} = {text}")),
                Argument::Strings(names) => lines.extend(names.iter().map(|name| match &**name {
                    "" => "(the whole tree)".into(),
                    name => name.into(),
                })),
                Argument::Values(values) => {
                    lines.extend(values.iter().map(|(name, _, v)| format!("{name} = {v}")));
                }
                Argument::Attributes(entries) => {
                    lines.extend(entries.iter().map(|(name, notification, list)| {
                        format!("{name}: notification {notification:?}, access list {list:?}")
                    }));
                }
                Argument::Windows(windows) => {
                    lines.extend(
                        windows.iter().map(|(start, end, mode, ..)| format!("window {start} s to {end} s, {mode}")),
                    );
                }
                Argument::Xml(xml) => lines.push(format!("{name}: {xml}")),
            }
        }
        lines
    }

    /// The whole HTTP body, where this is [`raw_envelope`].
    pub(super) fn whole_envelope(&self) -> Option<&str> {
        self.whole.as_deref()
    }

    /// The arguments as XML.
    pub(super) fn write(&self, prefixes: &Prefixes) -> String {
        let mut xml = String::new();
        for (name, argument) in &self.arguments {
            match argument {
                Argument::Xml(raw) if name.is_empty() => xml += raw,
                _ => xml += &argument.write(name, prefixes),
            }
        }
        xml
    }

    fn argument(mut self, name: &str, argument: Argument) -> Rpc {
        match self.arguments.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = argument,
            None => self.arguments.push((name.into(), argument)),
        }
        self
    }
}

impl Argument {
    fn write(&self, name: &str, prefixes: &Prefixes) -> String {
        match self {
            Argument::Text(text) => element(prefixes, name, "", &escape(text)),
            Argument::Xml(xml) => element(prefixes, name, "", xml),
            Argument::Strings(list) => {
                let members = list.iter().map(|text| leaf("string", text)).collect();
                array(prefixes, name, &format!("{}:string", prefixes.xsd), members)
            }
            Argument::Values(values) => {
                let members = values
                    .iter()
                    .map(|(name, kind, value)| {
                        let value = format!("<Value{}>{}</Value>", type_attribute(prefixes, kind), escape(value));
                        wrap("ParameterValueStruct", &(leaf("Name", name) + &value))
                    })
                    .collect();
                array(prefixes, name, &format!("{}:ParameterValueStruct", prefixes.cwmp), members)
            }
            Argument::Attributes(entries) => {
                let members = entries.iter().map(|entry| attributes(prefixes, entry)).collect();
                array(prefixes, name, &format!("{}:SetParameterAttributesStruct", prefixes.cwmp), members)
            }
            Argument::Windows(windows) => {
                let members = windows.iter().map(window).collect();
                array(prefixes, name, &format!("{}:TimeWindowStruct", prefixes.cwmp), members)
            }
        }
    }
}

/// Something that no builder here writes: the content of the Body's one child, the prefix `cwmp` bound.
pub fn raw_rpc(method: &str, arguments_xml: &str) -> Rpc {
    Rpc::new(method).with_xml("", arguments_xml)
}

/// A whole envelope, byte for byte; `{id}` in it is replaced by the request's ID.
pub fn raw_envelope(method: &str, xml: &str) -> Rpc {
    Rpc { whole: Some(xml.into()), ..Rpc::new(method) }
}

pub fn get_rpc_methods() -> Rpc {
    Rpc::new("GetRPCMethods")
}

pub fn get_parameter_names(path: &str, next_level: bool) -> Rpc {
    Rpc::new("GetParameterNames").with("ParameterPath", path).with("NextLevel", u8::from(next_level))
}

pub fn get_parameter_values(names: &[&str]) -> Rpc {
    Rpc::new("GetParameterValues").argument("ParameterNames", strings(names))
}

/// Values are (name, type, value). The type is an XML Schema name such as `boolean`, written with the
/// dialect's prefix; with a colon in it (`xsd:foo`) it is written as it is; empty leaves `xsi:type` out.
pub fn set_parameter_values(values: &[(&str, &str, &str)], parameter_key: &str) -> Rpc {
    let values = values
        .iter()
        .map(|(name, kind, value)| ((*name).to_owned(), (*kind).to_owned(), (*value).to_owned()))
        .collect();
    Rpc::new("SetParameterValues")
        .argument("ParameterList", Argument::Values(values))
        .with("ParameterKey", parameter_key)
}

pub fn get_parameter_attributes(names: &[&str]) -> Rpc {
    Rpc::new("GetParameterAttributes").argument("ParameterNames", strings(names))
}

/// Name, notification, access list; `None` leaves that one unchanged, and an unchanged notification is
/// written as the empty element that GenieACS sends (R197).
pub type AttributeChange<'a> = (&'a str, Option<u8>, Option<&'a [&'a str]>);

pub fn set_parameter_attributes(entries: &[AttributeChange]) -> Rpc {
    let entries = entries
        .iter()
        .map(|(name, notification, list)| {
            let list = list.map(|list| list.iter().map(|entry| (*entry).to_owned()).collect());
            ((*name).to_owned(), *notification, list)
        })
        .collect();
    Rpc::new("SetParameterAttributes").argument("ParameterList", Argument::Attributes(entries))
}

pub fn add_object(object_name: &str, parameter_key: &str) -> Rpc {
    Rpc::new("AddObject").with("ObjectName", object_name).with("ParameterKey", parameter_key)
}

pub fn delete_object(object_name: &str, parameter_key: &str) -> Rpc {
    Rpc::new("DeleteObject").with("ObjectName", object_name).with("ParameterKey", parameter_key)
}

pub fn reboot(command_key: &str) -> Rpc {
    Rpc::new("Reboot").with("CommandKey", command_key)
}

pub fn factory_reset() -> Rpc {
    Rpc::new("FactoryReset")
}

pub fn schedule_inform(delay_seconds: u32, command_key: &str) -> Rpc {
    Rpc::new("ScheduleInform").with("DelaySeconds", delay_seconds).with("CommandKey", command_key)
}

/// All ten arguments; change them by [`Rpc::with`]: CommandKey, Username, Password, FileSize,
/// TargetFileName, DelaySeconds, SuccessURL, FailureURL.
pub fn download(file_type: &str, url: &str) -> Rpc {
    Rpc::new("Download")
        .with("CommandKey", "")
        .with("FileType", file_type)
        .with("URL", url)
        .with("Username", "")
        .with("Password", "")
        .with("FileSize", 0)
        .with("TargetFileName", "")
        .with("DelaySeconds", 0)
        .with("SuccessURL", "")
        .with("FailureURL", "")
}

/// Change CommandKey, Username, Password, DelaySeconds by [`Rpc::with`].
pub fn upload(file_type: &str, url: &str) -> Rpc {
    Rpc::new("Upload")
        .with("CommandKey", "")
        .with("FileType", file_type)
        .with("URL", url)
        .with("Username", "")
        .with("Password", "")
        .with("DelaySeconds", 0)
}

/// Windows are (start, end, mode, user message, retries); times in seconds from now.
pub fn schedule_download(file_type: &str, url: &str, windows: &[(u32, u32, &str, &str, i32)]) -> Rpc {
    let windows = windows
        .iter()
        .map(|(start, end, mode, message, retries)| (*start, *end, (*mode).to_owned(), (*message).to_owned(), *retries))
        .collect();
    Rpc::new("ScheduleDownload")
        .with("CommandKey", "")
        .with("FileType", file_type)
        .with("URL", url)
        .with("Username", "")
        .with("Password", "")
        .with("FileSize", 0)
        .with("TargetFileName", "")
        .argument("TimeWindowList", Argument::Windows(windows))
}

pub fn cancel_transfer(command_key: &str) -> Rpc {
    Rpc::new("CancelTransfer").with("CommandKey", command_key)
}

pub fn get_queued_transfers() -> Rpc {
    Rpc::new("GetQueuedTransfers")
}

pub fn get_all_queued_transfers() -> Rpc {
    Rpc::new("GetAllQueuedTransfers")
}

fn strings(list: &[&str]) -> Argument {
    Argument::Strings(list.iter().map(|text| (*text).to_owned()).collect())
}

fn type_attribute(prefixes: &Prefixes, kind: &str) -> String {
    match kind {
        "" => String::new(),
        _ if kind.contains(':') => format!(" {}:type=\"{}\"", prefixes.xsi, escape(kind)),
        "base64" => format!(" {}:type=\"{}:base64\"", prefixes.xsi, prefixes.enc),
        _ => format!(" {}:type=\"{}:{}\"", prefixes.xsi, prefixes.xsd, escape(kind)),
    }
}

fn attributes(prefixes: &Prefixes, (name, notification, list): &(String, Option<u8>, Option<Vec<String>>)) -> String {
    let change = |some: bool| if some { "1" } else { "0" };
    let number = notification.map_or_else(String::new, |number| number.to_string());
    let mut xml = leaf("Name", name);
    xml += &leaf("NotificationChange", change(notification.is_some()));
    xml += &leaf("Notification", &number);
    xml += &leaf("AccessListChange", change(list.is_some()));
    let members = list.iter().flatten().map(|entry| leaf("string", entry)).collect();
    // Inside a struct the default namespace, if any, was undone further up.
    let bare = Prefixes { undo_default: false, ..*prefixes };
    xml += &array(&bare, "AccessList", &format!("{}:string", prefixes.xsd), members);
    wrap("SetParameterAttributesStruct", &xml)
}

fn window((start, end, mode, message, retries): &(u32, u32, String, String, i32)) -> String {
    let xml = leaf("WindowStart", &start.to_string())
        + &leaf("WindowEnd", &end.to_string())
        + &leaf("WindowMode", mode)
        + &leaf("UserMessage", message)
        + &leaf("MaxRetries", &retries.to_string());
    wrap("TimeWindowStruct", &xml)
}

fn array(prefixes: &Prefixes, name: &str, kind: &str, members: Vec<String>) -> String {
    let attribute = format!(" {}:arrayType=\"{kind}[{}]\"", prefixes.enc, members.len());
    element(prefixes, name, &attribute, &members.concat())
}

/// Writes an argument. It is in no namespace, even under a default one (R69).
fn element(prefixes: &Prefixes, name: &str, attributes: &str, xml: &str) -> String {
    let undo = if prefixes.undo_default { " xmlns=\"\"" } else { "" };
    format!("<{name}{undo}{attributes}>{xml}</{name}>")
}

fn leaf(name: &str, text: &str) -> String {
    wrap(name, &escape(text))
}

fn wrap(name: &str, xml: &str) -> String {
    format!("<{name}>{xml}</{name}>")
}
