//! A device and a scripted ACS for unit tests of the protocol, without sockets, files or clocks.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::device::{Device, Growth, JournalError, JournalWriter};
use super::event::{Event, EventCode};
use super::session::{Output, Session, SessionConfig};
use super::version;
use crate::clock::Now;
use crate::model::date_time::DateTime;
use crate::model::{ModelFile, load};

/// The time of all tests.
pub(crate) const NOW: Now = Now { monotonic: Duration::from_secs(1000), wall: 1_795_360_000 };

/// The model of a small gateway, with an example of each kind of parameter that the protocol treats specially.
pub(crate) const MODEL: &str = r#"{ "Device": {
    "DeviceInfo": {
      "Manufacturer": { "type": "string", "value": "Example & Sons" },
      "ManufacturerOUI": { "type": "string", "value": "00D09E" },
      "ProductClass": { "type": "string", "value": "Home-Gateway" },
      "SerialNumber": { "type": "string", "value": "0001" },
      "SoftwareVersion": { "type": "string", "value": "1.0.0", "inform": true, "notify": "forceEnabled" },
      "VendorConfigFile": { "{i}": { "Name": { "type": "string" } }, "2": {} },
      "ProvisioningCode": { "type": "string", "access": "readWrite", "inform": true, "notify": "forceEnabled" },
      "UpTime": { "type": "unsignedInt", "notify": "canDeny" } },
    "ManagementServer": {
      "AutonomousTransferCompletePolicy": {
        "Enable": { "type": "boolean", "access": "readWrite", "value": "true" },
        "TransferTypeFilter": { "type": "string", "access": "readWrite", "value": "Both" },
        "ResultTypeFilter": { "type": "string", "access": "readWrite", "value": "Failure" },
        "FileTypeFilter": { "type": "string", "list": true, "access": "readWrite", "value": "3 Vendor Configuration File" } },
      "URL": { "type": "string", "access": "readWrite", "maxLength": 256, "value": "http://acs.example/" },
      "Password": { "type": "string", "access": "readWrite", "hidden": true, "value": "secret" },
      "PeriodicInformEnable": { "type": "boolean", "access": "readWrite", "value": "false" },
      "PeriodicInformInterval": { "type": "unsignedInt", "access": "readWrite", "min": 1, "value": "3600" },
      "PeriodicInformTime": { "type": "dateTime", "access": "readWrite" },
      "ParameterKey": { "type": "string", "maxLength": 32, "inform": true },
      "InformParameter": { "access": "readWrite",
        "{i}": { "Enable": { "type": "boolean", "access": "readWrite", "value": "false" },
                 "ParameterName": { "type": "string", "access": "readWrite", "maxLength": 256 },
                 "EventList": { "type": "string", "access": "readWrite", "list": true } } } },
    "Hosts": {
      "HostNumberOfEntries": { "type": "unsignedInt", "counts": "Host" },
      "Host": { "access": "readWrite", "maxEntries": 4,
        "{i}": { "Active": { "type": "boolean", "access": "readWrite", "value": "false" },
                 "Name": { "type": "string", "access": "readWrite", "maxLength": 8 } },
        "1": { "Name": "<&\">" } } } },
  "actions": { "reboot": ["true"], "factoryReset": ["true"],
    "download": { "1 Firmware Upgrade Image": { "run": ["true"], "reboots": true },
                  "3 Vendor Configuration File": { "run": ["true"] } },
    "upload": { "2 Vendor Log File": { "run": ["true"] },
                "3 Vendor Configuration File": { "run": ["true"] } } } }"#;

/// A journal in memory: the records, and true if writing fails.
#[derive(Clone, Default)]
pub(crate) struct MemoryJournal(Rc<RefCell<(Vec<String>, bool)>>);

impl MemoryJournal {
    pub(crate) fn records(&self) -> Vec<String> {
        self.0.borrow().0.clone()
    }

    pub(crate) fn fail(&self, fails: bool) {
        self.0.borrow_mut().1 = fails;
    }
}

impl JournalWriter for MemoryJournal {
    fn append(&mut self, record: &str, _: Growth) -> Result<(), JournalError> {
        let mut journal = self.0.borrow_mut();
        if journal.1 {
            return Err(JournalError { reason: "disk full".into(), is_full: true });
        }
        journal.0.push(record.to_owned());
        Ok(())
    }
}

/// Restores the device from a journal with these records.
pub(crate) fn device(records: &[String]) -> (Device, MemoryJournal) {
    device_with(MODEL, records)
}

/// Restores a device with another model than [`MODEL`].
pub(crate) fn device_with(model: &str, records: &[String]) -> (Device, MemoryJournal) {
    let loaded =
        load(&[ModelFile { name: "model".into(), text: model.into() }], &[], &|_| true).expect("a valid model");
    let journal = MemoryJournal::default();
    let (device, notices) = Device::restore(loaded, records, Box::new(journal.clone()), NOW);
    assert_eq!(notices, [""; 0]);
    (device, journal)
}

/// A session that a test drives message by message.
pub(crate) struct Scenario {
    pub(crate) device: Device,
    pub(crate) journal: MemoryJournal,
    pub(crate) session: Option<Session>,
    pub(crate) output: Output,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Scenario {
    /// Starts a session with these events; the output is its Inform.
    pub(crate) fn with_events(events: &[&str]) -> Scenario {
        let (mut device, journal) = device(&[]);
        for event in events {
            device.state_mut().events.raise(Event::new(EventCode::parse(event).expect("an event code")));
        }
        Scenario::start(device, journal, version::ALL)
    }

    pub(crate) fn start(mut device: Device, journal: MemoryJournal, offered: &'static [version::Version]) -> Scenario {
        let current_time = DateTime::parse("2026-11-22T15:04:05+01:00").expect("a date");
        let stop = Arc::new(AtomicBool::new(false));
        let config = SessionConfig { current_time, offered, stop: Arc::clone(&stop) };
        let (session, output) = Session::start(&config, &mut device);
        Scenario { device, journal, session: Some(session), output, stop }
    }

    /// Starts a session and completes its Inform, so that the ACS may send requests.
    pub(crate) fn past_inform() -> Scenario {
        let mut scenario = Scenario::with_events(&["2 PERIODIC"]);
        scenario.reply(&inform_response(""));
        assert_eq!(scenario.output, Output::Post(Vec::new()));
        scenario
    }

    /// Passes a reply of the ACS to the session. Returns the next message of the CPE; empty for the empty POST and for
    /// the end of the session.
    pub(crate) fn reply(&mut self, body: &str) -> String {
        self.reply_bytes(body.as_bytes());
        self.posted()
    }

    pub(crate) fn reply_bytes(&mut self, body: &[u8]) {
        let mut session = self.session.take().expect("a session");
        if let Output::Post(sent) = &mut self.output {
            session.recycle(std::mem::take(sent));
        }
        let (session, output) = session.reply(body, None, &mut self.device, NOW);
        self.session = Some(session);
        self.output = output;
    }

    /// Sends a request of the ACS. Returns the content of the body of the response, from `<cwmp:` or `<soap:Fault>` on.
    pub(crate) fn call(&mut self, method: &str, arguments: &str) -> String {
        let message = self.reply(&call(method, arguments));
        let start = message.find("<soap:Body>").map_or(0, |at| at + "<soap:Body>".len());
        let end = message.find("</soap:Body>").unwrap_or(message.len());
        message[start..end].to_owned()
    }

    pub(crate) fn is_initiated(&self) -> bool {
        self.session.as_ref().expect("a session").is_initiated()
    }

    pub(crate) fn posted(&self) -> String {
        match &self.output {
            Output::Post(body) => String::from_utf8(body.clone()).expect("UTF-8"),
            Output::End(_) => String::new(),
        }
    }

    /// Returns the current value of a parameter.
    pub(crate) fn value(&self, name: &str) -> String {
        self.device.tree().get(name).expect(name).to_string()
    }
}

/// Returns an envelope of the ACS, with other namespace prefixes than those of the CPE.
pub(crate) fn envelope(header: &str, body: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:e="http://schemas.xmlsoap.org/soap/encoding/"
 xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:c="urn:dslforum-org:cwmp-1-2">
<S:Header>{header}</S:Header><S:Body>{body}</S:Body></S:Envelope>"#
    )
}

pub(crate) fn inform_response(header: &str) -> String {
    envelope(header, "<c:InformResponse><MaxEnvelopes>1</MaxEnvelopes></c:InformResponse>")
}

pub(crate) fn call(method: &str, arguments: &str) -> String {
    let id = r#"<c:ID S:mustUnderstand="1"> a&lt;b </c:ID>"#;
    envelope(id, &format!("<c:{method}>{arguments}</c:{method}>"))
}

pub(crate) fn fault(code: u16) -> String {
    envelope(
        "",
        &format!(
            "<S:Fault><faultcode>Server</faultcode><faultstring>CWMP fault</faultstring><detail><c:Fault><FaultCode>{code}\
             </FaultCode><FaultString>no</FaultString></c:Fault></detail></S:Fault>"
        ),
    )
}
