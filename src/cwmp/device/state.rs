//! What the device has to remember beside its values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::clock::Now;
use crate::cwmp::event::{Event, EventCode, EventQueue, SessionContext};
use crate::cwmp::transfer::{Transfer, TransferQueue};
use crate::cwmp::version::Version;
use crate::schedule::ScheduledInforms;

/// What the device has to remember beside its values (table H1, R98, R137).
#[derive(Clone, Debug, Default)]
pub struct DeviceState {
    /// Who the device was when `0 BOOTSTRAP` was last raised.
    pub identity: Option<String>,
    /// The ACS URL for which `0 BOOTSTRAP` was last raised.
    pub acs_url: Option<String>,
    /// The boot id for which `1 BOOT` was last raised.
    pub boot_id: String,
    /// Events that no ACS has confirmed yet.
    pub events: EventQueue,
    /// Attempts to retry the session that failed.
    pub retry_count: u32,
    /// Names of parameters that somebody else than the ACS has changed and that are still to be told.
    pub changed: BTreeSet<String>,
    /// The path of ConnectionRequestURL, chosen at random once for this device (R255).
    pub request_path: String,
    /// The phase of periodic Informs that this device chose for itself (R151), in seconds.
    pub periodic_phase: u32,
    /// What ScheduleInform has asked for (R155).
    pub scheduled_informs: ScheduledInforms,
    /// The files that are to be moved, or whose moving is to be told (R233).
    pub transfers: TransferQueue,
    /// A reboot was promised and is not done yet (R223).
    pub reboot: bool,
    /// The instant of ScheduleReboot that was obeyed (R156), in seconds since the Unix epoch.
    pub scheduled_reboot_done: Option<i64>,
    /// How far a factory reset has come (R226).
    pub reset: Reset,
    /// What the watched parameters of the factory state were when the ACS last heard of them: names and digests of the
    /// values. A new firmware brings other values than these.
    pub reported: BTreeMap<String, u32>,
    /// UDPConnectionRequestAddress and NATDetected as they were last.
    pub udp_address: PublishedAddress,
    /// `ts` and `id` of the last UDP connection request since the device booted: copies of it are not accepted (R292).
    pub last_udp_request: Option<(u64, u64)>,
    /// How the journal has `scheduled_informs`. Its seconds run on, so that they are written only when an entry comes or goes.
    scheduled_informs_json: Json,
}

/// Where UDP connection requests are received (R285).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedAddress {
    /// UDPConnectionRequestAddress; empty where it is not known.
    pub address: String,
    /// NATDetected.
    pub nat_detected: bool,
}

/// How far a factory reset has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// There is none to do.
    #[default]
    None,
    /// It was promised to the ACS.
    Promised,
    /// The journal is forgotten, and the command of the device is about to run, or runs.
    Begun,
    /// The device has rebooted since the command began: that is how some of them end.
    Done,
}

impl Reset {
    const NAMES: [(Reset, &str); 3] = [(Reset::Promised, "promised"), (Reset::Begun, "begun"), (Reset::Done, "done")];

    fn name(self) -> Option<&'static str> {
        Reset::NAMES.iter().find(|(reset, _)| *reset == self).map(|(_, name)| *name)
    }

    fn from_name(name: &str) -> Reset {
        Reset::NAMES.iter().find(|(_, known)| *known == name).map_or(Reset::None, |(reset, _)| *reset)
    }
}

impl DeviceState {
    /// Raises `0 BOOTSTRAP` for this ACS; all other undelivered events are discarded, and with `4 VALUE CHANGE` its
    /// list of parameters (R139).
    pub fn bootstrap(&mut self, acs_url: String) {
        self.acs_url = Some(acs_url);
        self.changed.clear();
        self.transfers.forget_reports();
        self.events.raise(Event::new(EventCode::Bootstrap));
    }

    /// Raises what tells of finished transfers and of wishes, where it is not raised yet: `7 TRANSFER COMPLETE` with an
    /// `M` event for each (R240), `10 AUTONOMOUS TRANSFER COMPLETE` (R247), `9 REQUEST DOWNLOAD` (R248).
    pub fn raise_transfer_events(&mut self) {
        let mut pending: Vec<Event> = self.events.pending().cloned().collect();
        let mut raise = |event: Event, events: &mut EventQueue| match pending.iter().position(|known| *known == event) {
            Some(at) => drop(pending.swap_remove(at)),
            None => events.raise(event),
        };
        let of_methods: Vec<Event> = self.transfers.finished().filter_map(Transfer::method_event).collect();
        let is_autonomous = |transfer: &Transfer| transfer.request().origin.is_autonomous();
        if !self.transfers.finished().any(is_autonomous) {
            // A report that has given way, or that the policy no longer lets through: nothing would ever confirm it.
            self.events.discard(&EventCode::AutonomousTransferComplete);
        }
        for (code, is_due) in [
            (EventCode::TransferComplete, !of_methods.is_empty()),
            (EventCode::AutonomousTransferComplete, self.transfers.finished().any(is_autonomous)),
            (EventCode::RequestDownload, !self.transfers.download_requests().is_empty()),
        ] {
            if is_due {
                raise(Event::new(code), &mut self.events);
            }
        }
        of_methods.into_iter().for_each(|event| raise(event, &mut self.events));
    }

    /// A session that is held now, with an ACS of that version.
    pub fn session_context(&self, version: Version) -> SessionContext {
        SessionContext { version, retrying: self.retry_count > 0, rebooting: self.reboot }
    }

    /// Forgets changes of parameters that are no longer there, and with the last of them `4 VALUE CHANGE`, which is not
    /// told without a parameter (R101, R207).
    pub(super) fn drop_changes(&mut self, is_gone: impl Fn(&str) -> bool) {
        let before = self.changed.len();
        self.changed.retain(|name| !is_gone(name));
        if self.changed.len() < before && self.changed.is_empty() {
            self.events.discard(&EventCode::ValueChange);
        }
    }

    /// InformResponse has come: the ACS knows what Inform told (R92, R134).
    pub(in crate::cwmp) fn inform_delivered(&mut self) {
        if !self.events.announced().any(|event| event.code == EventCode::Heartbeat) {
            self.changed.clear(); // R303: a heartbeat tells no changes
        }
        self.events.inform_confirmed();
    }

    /// What the journal is to hold. Queues are encoded where they have changed only: their seconds run on.
    pub(super) fn encode(&mut self, now: Now) -> String {
        if self.scheduled_informs.is_unsaved() {
            self.scheduled_informs_json = self.scheduled_informs.to_json(now);
            self.scheduled_informs.saved(now);
        }
        if self.transfers.is_unsaved() {
            self.transfers.save(now);
        }
        self.to_json().to_string()
    }

    pub(super) fn to_json(&self) -> Json {
        serde_json::json!({
            "identity": self.identity,
            "acsUrl": self.acs_url,
            "bootId": self.boot_id,
            "events": self.events.to_json(),
            "retryCount": self.retry_count,
            "changed": self.changed,
            "requestPath": self.request_path,
            "phase": self.periodic_phase,
            "informs": self.scheduled_informs_json,
            "transfers": self.transfers.json(),
            "reboot": self.reboot,
            "scheduledRebootDone": self.scheduled_reboot_done,
            "factoryReset": self.reset.name(),
            "told": self.reported,
            "udpAddress": self.udp_address.address,
            "natDetected": self.udp_address.nat_detected,
            "lastUdpRequest": self.last_udp_request,
        })
    }

    /// Reads what it can; a member that is missing or wrong is as from the factory.
    pub(super) fn from_json(json: &Json, now: Now) -> DeviceState {
        let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
        let number =
            |name: &str| json.get(name).and_then(Json::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let flag = |name: &str| json.get(name).and_then(Json::as_bool).unwrap_or(false);
        let changed = json.get("changed").and_then(Json::as_array);
        let reported = json.get("told").and_then(Json::as_object).into_iter().flatten();
        let scheduled_informs_json = json.get("informs").cloned().unwrap_or_default();
        let last_udp_request = json.get("lastUdpRequest").and_then(Json::as_array).map(Vec::as_slice);
        DeviceState {
            identity: text("identity"),
            acs_url: text("acsUrl"),
            boot_id: text("bootId").unwrap_or_default(),
            events: json.get("events").map(EventQueue::from_json).unwrap_or_default(),
            retry_count: number("retryCount"),
            changed: changed.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect(),
            request_path: text("requestPath").unwrap_or_default(),
            periodic_phase: number("phase"),
            scheduled_informs: ScheduledInforms::from_json(&scheduled_informs_json, now),
            transfers: TransferQueue::restore(json.get("transfers").cloned().unwrap_or_default(), now),
            reboot: flag("reboot"),
            scheduled_reboot_done: json.get("scheduledRebootDone").and_then(Json::as_i64),
            reset: text("factoryReset").map_or(Reset::None, |name| Reset::from_name(&name)),
            reported: reported.filter_map(|(name, sum)| Some((name.clone(), sum.as_u64()?.try_into().ok()?))).collect(),
            udp_address: PublishedAddress {
                address: text("udpAddress").unwrap_or_default(),
                nat_detected: flag("natDetected"),
            },
            last_udp_request: match last_udp_request {
                Some([timestamp, id]) => timestamp.as_u64().zip(id.as_u64()),
                _ => None,
            },
            scheduled_informs_json,
        }
    }
}
