//! The state of the protocol: undelivered events, changed parameters, transfers, and pending reboots and resets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::session_totals::SessionTotals;
use crate::clock::Now;
use crate::cwmp::event::{Event, EventCode, EventQueue, SessionContext};
use crate::cwmp::software::UnitQueue;
use crate::cwmp::transfer::{Transfer, TransferQueue};
use crate::cwmp::version::Version;
use crate::discovery::Discovered;
use crate::json;
use crate::model::attributes::Notification;
use crate::schedule::ScheduledInforms;

/// The most parameters that wait for a datagram: their values would fill hundreds of datagrams.
const MAX_LIGHTWEIGHT: usize = 1024;

/// The state of the protocol, which the journal stores beside the values of the data model (R98, R137, R141).
#[derive(Clone, Debug, Default)]
pub struct DeviceState {
    /// The identity of the device when `0 BOOTSTRAP` was last raised; `None` before the first start.
    pub identity: Option<String>,
    /// The ACS URL for which `0 BOOTSTRAP` was last raised.
    pub acs_url: Option<String>,
    /// The boot id for which `1 BOOT` was last raised.
    pub boot_id: String,
    /// The events that no ACS has confirmed yet.
    pub events: EventQueue,
    /// The number of retries of the session that failed last; 0 after a successful session (R98).
    pub retry_count: u32,
    /// The names of parameters that another entity than the ACS has changed since the last confirmed Inform (R99).
    pub changed: BTreeSet<String>,
    /// The names of changed parameters that the next datagram carries (R307).
    pub lightweight: BTreeSet<String>,
    /// The path of ConnectionRequestURL, chosen at random once for this device (R255).
    pub request_path: String,
    /// The phase of periodic Informs without PeriodicInformTime, in seconds, chosen at random for this device (R152).
    pub periodic_phase: u32,
    /// The Informs that ScheduleInform has requested (R155).
    pub scheduled_informs: ScheduledInforms,
    /// The file transfers that are requested, in progress, or not yet reported to the ACS (R233).
    pub transfers: TransferQueue,
    /// The operations on deployment units that are requested, in progress, or not yet reported to the ACS (R350).
    pub units: UnitQueue,
    /// True from the request for a reboot until the device has rebooted (R223).
    pub reboot: bool,
    /// The last instant of ScheduleReboot at which the device has rebooted (R156), in seconds since the Unix epoch.
    pub scheduled_reboot_done: Option<i64>,
    /// The progress of a factory reset (R226).
    pub reset: Reset,
    /// Digests of the values that the ACS was last able to read, by parameter name: published values, and factory values
    /// of watched parameters. A different value after a firmware upgrade is a value change (R99).
    pub reported: BTreeMap<String, u32>,
    /// The last published values of UDPConnectionRequestAddress and NATDetected.
    pub udp_address: PublishedAddress,
    /// The last value of ConnReqJabberID: the address stays while the connection is opened again, also by a restart (R300).
    pub jabber_id: String,
    /// `ts` and `id` of the last UDP connection request since the device booted. A copy of that request is rejected,
    /// even after a restart of the agent (R292).
    pub last_udp_request: Option<(u64, u64)>,
    /// The result of the discovery of the ACS by DHCP (R18).
    pub discovered: Discovered,
    /// The counts of sessions. No record is written for them alone but at an orderly stop: see
    /// [`Device::save_totals`](super::Device::save_totals).
    pub totals: SessionTotals,
    /// The JSON of `scheduled_informs` as the journal holds it. The remaining seconds in it change with each encoding, so
    /// that it is encoded only after an entry was added or removed. Otherwise every record would hold the state.
    scheduled_informs_json: Json,
}

/// The address that receives UDP connection requests (R285).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedAddress {
    /// The value of UDPConnectionRequestAddress; empty while it is unknown.
    pub address: String,
    /// The value of NATDetected: true if the address is that of a NAT.
    pub nat_detected: bool,
}

/// The name of the digests in the journals of all versions so far.
pub(super) const REPORTED: &str = "told";

/// The state as the journal holds it: two members of a record in JSON. The digests are most of its bytes, and few records change them.
#[derive(Default)]
pub(super) struct EncodedState {
    /// The member `state`.
    pub(super) state: String,
    /// The member [`REPORTED`].
    pub(super) reported: String,
}

impl EncodedState {
    /// Returns both members, each if the journal does not hold it: each write wears out the flash memory.
    pub(super) fn unwritten(&self, written: &EncodedState) -> [Option<&str>; 2] {
        [(&self.state, &written.state), (&self.reported, &written.reported)]
            .map(|(new, old)| (new != old).then_some(new.as_str()))
    }
}

/// Reads [`DeviceState::reported`]. Malformed members are left out.
pub(super) fn reported_from_json(json: &Json) -> BTreeMap<String, u32> {
    let members = json.as_object().into_iter().flatten();
    members.filter_map(|(name, digest)| Some((name.clone(), json::number(Some(digest))?))).collect()
}

/// The progress of a factory reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// No reset is requested.
    #[default]
    None,
    /// The ACS has requested a reset, which begins after the session.
    Requested,
    /// The journal is erased, and the command that resets the device is about to run or runs.
    Begun,
    /// The device has rebooted since the command began, which is the last step of some commands. Running the command
    /// again would reboot the device for ever.
    Done,
}

impl Reset {
    /// The names in the journal.
    const NAMES: [(Reset, &str); 3] = [(Reset::Requested, "promised"), (Reset::Begun, "begun"), (Reset::Done, "done")];

    fn name(self) -> Option<&'static str> {
        Reset::NAMES.iter().find(|(reset, _)| *reset == self).map(|(_, name)| *name)
    }

    fn from_name(name: &str) -> Reset {
        Reset::NAMES.iter().find(|(_, known)| *known == name).map_or(Reset::None, |(reset, _)| *reset)
    }
}

impl DeviceState {
    /// Raises `0 BOOTSTRAP` for this ACS. Discards all other undelivered events (R139), with the lists of changed
    /// parameters and finished transfers that belong to them.
    pub fn bootstrap(&mut self, acs_url: String) {
        self.acs_url = Some(acs_url);
        self.changed.clear();
        self.lightweight.clear();
        self.transfers.forget_reports();
        self.units.forget_reports();
        self.events.raise(Event::new(EventCode::Bootstrap));
    }

    /// Raises the events of finished transfers, finished operations on deployment units and requested downloads that are not
    /// pending yet: `7 TRANSFER COMPLETE` with an `M` event for each transfer (R240), `10 AUTONOMOUS TRANSFER COMPLETE` (R247),
    /// `11 DU STATE CHANGE COMPLETE` with an `M` event for each request (R351), `12 AUTONOMOUS DU STATE CHANGE COMPLETE`
    /// (R356), `9 REQUEST DOWNLOAD` (R248).
    pub fn raise_report_events(&mut self) {
        // Equal events of several transfers count one by one, so that each pending event is used up once (R135).
        let mut pending: Vec<Event> = self.events.pending().cloned().collect();
        let mut raise = |event: Event, events: &mut EventQueue| match pending.iter().position(|known| *known == event) {
            Some(at) => drop(pending.swap_remove(at)),
            None => events.raise(event),
        };
        let of_methods: Vec<Event> = self.transfers.finished().filter_map(Transfer::method_event).collect();
        let of_units: Vec<Event> = self.units.method_events().collect();
        let is_autonomous = |transfer: &Transfer| transfer.request().origin.is_autonomous();
        for (code, is_due) in [
            (EventCode::AutonomousTransferComplete, self.transfers.finished().any(is_autonomous)),
            (EventCode::AutonomousDuStateChangeComplete, self.units.has_autonomous_report()),
        ] {
            if !is_due {
                // A report may have been dropped for lack of room, or because the policy no longer allows it. Its event
                // must go too: no request of the CPE would ever confirm it.
                self.events.discard(&code);
            } else {
                raise(Event::new(code), &mut self.events);
            }
        }
        for (code, is_due) in [
            (EventCode::TransferComplete, !of_methods.is_empty()),
            (EventCode::DuStateChangeComplete, !of_units.is_empty()),
            (EventCode::RequestDownload, !self.transfers.download_requests().is_empty()),
        ] {
            if is_due {
                raise(Event::new(code), &mut self.events);
            }
        }
        of_methods.into_iter().chain(of_units).for_each(|event| raise(event, &mut self.events));
    }

    /// Notes a change that the ACS has not made, of a parameter with this notification; one in every Inform is always
    /// reported (R99, R101, R307).
    pub(super) fn note_change(&mut self, name: &str, is_forced: bool, notification: Notification) {
        if is_forced || notification.is_in_inform() {
            self.changed.insert(name.to_owned());
            self.events.raise(Event::new(EventCode::ValueChange));
        }
        if notification.is_lightweight() && self.lightweight.len() < MAX_LIGHTWEIGHT {
            self.lightweight.insert(name.to_owned());
        }
    }

    /// Returns the context of a session that starts now, with an ACS of this version.
    pub fn session_context(&self, version: Version) -> SessionContext {
        SessionContext { version, retrying: self.retry_count > 0, rebooting: self.reboot }
    }

    /// Drops the pending notifications of parameters that are gone. With the last of them goes `4 VALUE CHANGE`, which
    /// must not be sent without a parameter (R101, R207).
    pub(super) fn drop_changes(&mut self, is_gone: impl Fn(&str) -> bool) {
        let before = self.changed.len();
        self.changed.retain(|name| !is_gone(name));
        self.changes_dropped(self.changed.len() < before);
    }

    /// Drops the pending notification of one parameter, as [`drop_changes`](DeviceState::drop_changes) does.
    pub(super) fn drop_change(&mut self, name: &str) {
        // Not by a search: a request may set the attributes of all parameters while all of them are changed.
        let dropped = self.changed.remove(name);
        self.changes_dropped(dropped);
    }

    fn changes_dropped(&mut self, any: bool) {
        if any && self.changed.is_empty() {
            self.events.discard(&EventCode::ValueChange);
        }
    }

    /// Removes the events and changes that the ACS has confirmed with InformResponse (R92, R134).
    pub(in crate::cwmp) fn inform_delivered(&mut self) {
        if !self.events.announced().any(|event| event.code == EventCode::Heartbeat) {
            self.changed.clear(); // an Inform with HEARTBEAT carries no changed parameters (R303)
        }
        self.events.inform_confirmed();
    }

    /// Encodes the state for the journal. A queue is encoded anew only after a change: the remaining seconds in it would
    /// otherwise make each encoding differ, and each record would hold the whole state.
    pub(super) fn encode(&mut self, now: Now) -> EncodedState {
        if self.scheduled_informs.is_unsaved() {
            self.scheduled_informs_json = self.scheduled_informs.to_json(now);
            self.scheduled_informs.saved(now);
        }
        if self.transfers.is_unsaved() {
            self.transfers.save(now);
        }
        self.encoded()
    }

    /// Returns the state as the journal holds it, with the queues as they were encoded last.
    pub(super) fn encoded(&self) -> EncodedState {
        let reported = self.reported.iter().map(|(name, digest)| (name.clone(), (*digest).into()));
        EncodedState { state: self.to_json().to_string(), reported: Json::Object(reported.collect()).to_string() }
    }

    /// Encodes the member `state` of a record, which is written often: a member that is missing has its initial value. The names of the
    /// members are part of the file format and must stay.
    pub(super) fn to_json(&self) -> Json {
        let last_udp_request = self.last_udp_request.map(|(timestamp, id)| vec![timestamp, id]);
        json::short_object([
            ("identity", self.identity.as_deref().into()),
            ("acsUrl", self.acs_url.as_deref().into()),
            ("bootId", self.boot_id.as_str().into()),
            ("events", self.events.to_json()),
            ("retryCount", self.retry_count.into()),
            ("changed", json::list_of_texts(&mut self.changed.iter())),
            ("requestPath", self.request_path.as_str().into()),
            ("phase", self.periodic_phase.into()),
            ("informs", self.scheduled_informs_json.clone()),
            ("transfers", self.transfers.json().clone()),
            ("reboot", self.reboot.into()),
            ("scheduledRebootDone", self.scheduled_reboot_done.into()),
            ("factoryReset", self.reset.name().into()),
            ("udpAddress", self.udp_address.address.as_str().into()),
            ("natDetected", self.udp_address.nat_detected.into()),
            ("lastUdpRequest", last_udp_request.into()),
            ("jabberId", Some(self.jabber_id.as_str()).filter(|id| !id.is_empty()).into()),
            ("dhcp", (self.discovered != Discovered::default()).then(|| self.discovered.to_json()).into()),
            ("lightweight", json::list_of_texts(&mut self.lightweight.iter())),
            ("units", self.units.to_json().into()),
        ])
    }

    /// Decodes the state. A member that is missing or malformed gets its initial value, so that a journal of an older
    /// version, or a damaged one, does not keep the device from the ACS.
    pub(super) fn from_json(json: &Json, now: Now) -> DeviceState {
        let text = |name: &str| json::text(json.get(name));
        let number = |name: &str| json::number(json.get(name)).unwrap_or(0);
        let flag = |name: &str| json.get(name).and_then(Json::as_bool).unwrap_or(false);
        let scheduled_informs_json = json.get("informs").cloned().unwrap_or_default();
        DeviceState {
            identity: text("identity"),
            acs_url: text("acsUrl"),
            boot_id: text("bootId").unwrap_or_default(),
            events: json.get("events").map(EventQueue::from_json).unwrap_or_default(),
            retry_count: number("retryCount"),
            changed: json::texts(json.get("changed")).into_iter().collect(),
            lightweight: json::texts(json.get("lightweight")).into_iter().collect(),
            request_path: text("requestPath").unwrap_or_default(),
            periodic_phase: number("phase"),
            scheduled_informs: ScheduledInforms::from_json(&scheduled_informs_json, now),
            transfers: TransferQueue::restore(json.get("transfers").cloned().unwrap_or_default(), now),
            units: json.get("units").map(|units| UnitQueue::from_json(units, now)).unwrap_or_default(),
            reboot: flag("reboot"),
            scheduled_reboot_done: json.get("scheduledRebootDone").and_then(Json::as_i64),
            reset: text("factoryReset").map_or(Reset::None, |name| Reset::from_name(&name)),
            // Journals of earlier versions have the member here.
            reported: json.get(REPORTED).map(reported_from_json).unwrap_or_default(),
            udp_address: PublishedAddress {
                address: text("udpAddress").unwrap_or_default(),
                nat_detected: flag("natDetected"),
            },
            jabber_id: text("jabberId").unwrap_or_default(),
            last_udp_request: match json::items(json.get("lastUdpRequest")) {
                [timestamp, id] => timestamp.as_u64().zip(id.as_u64()),
                _ => None,
            },
            discovered: json.get("dhcp").map(Discovered::from_json).unwrap_or_default(),
            // A member of the record beside the state.
            totals: SessionTotals::default(),
            scheduled_informs_json,
        }
    }
}
