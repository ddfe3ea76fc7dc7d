//! Events: the causes of a session, and the table of the rules by which each of them is delivered.

use super::version::Version;

mod queue;

pub use queue::{EventQueue, MAX_EVENTS, SessionContext};

/// The code of an event (R148).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the table below has the text of each
pub enum EventCode {
    Bootstrap,
    Boot,
    Periodic,
    Scheduled,
    ValueChange,
    Kicked,
    ConnectionRequest,
    TransferComplete,
    DiagnosticsComplete,
    RequestDownload,
    AutonomousTransferComplete,
    DuStateChangeComplete,
    AutonomousDuStateChangeComplete,
    Wakeup,
    Heartbeat,
    MReboot,
    MScheduleInform,
    MDownload,
    MScheduleDownload,
    MUpload,
    MChangeDuState,
    /// `X <VENDOR> <event>` or `M X_<VENDOR>_<method>`, checked by [`EventCode::parse`].
    Vendor(VendorEvent),
}

/// The text of a vendor-specific event code; only [`EventCode::parse`] makes one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VendorEvent(Box<str>);

/// The number of times that a code may occur in one Inform (R135).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cumulative {
    /// At most once.
    Single,
    /// Once for each occurrence, each with its CommandKey.
    Multiple,
}

/// The response that confirms an event (R145).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the response of that name
pub enum ConfirmedBy {
    Inform,
    Kicked,
    TransferComplete,
    RequestDownload,
    AutonomousTransferComplete,
    DuStateChangeComplete,
    AutonomousDuStateChangeComplete,
}

/// The condition that discards an undelivered event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// No condition: the event stays until it is delivered (R138).
    Never,
    /// A `0 BOOTSTRAP` (R139).
    OnBootstrap,
    /// A reboot (R142), or a `0 BOOTSTRAP`.
    OnReboot,
    /// The first attempt to deliver the event (R143).
    AfterAttempt,
}

/// The rules of TR-069 for an event: a row of A6 §3.7.1.5 Table 8.
#[derive(Debug)]
pub struct Rule {
    code: EventCode,
    /// The code as Inform carries it.
    pub text: &'static str,
    /// The number of times that the code may occur in one Inform.
    pub cumulative: Cumulative,
    /// The response that confirms the event.
    pub confirmed_by: ConfirmedBy,
    /// The condition that discards the event.
    pub discard: Discard,
    /// True if the event survives a reboot (R141).
    pub persists: bool,
    /// The CWMP version that introduced the event (R83).
    pub since: Version,
}

const YES: bool = true;
const NO: bool = false;

/// The rules of each standard event: code, text, cumulative behaviour, confirming response, discard condition,
/// persistence over a reboot, and version.
///
/// `5 KICKED` and `9 REQUEST DOWNLOAD` MAY be retried (R144); here they are, until the device reboots.
#[rustfmt::skip]
static TABLE: [Rule; 21] = {
    use Cumulative::*;
    use Discard::*;
    use EventCode::*;
    use ConfirmedBy as R;
    use Version::*;
    [
        rule(Bootstrap,                       "0 BOOTSTRAP",                           Single,   R::Inform,                          Never,        YES, V1_0),
        rule(Boot,                            "1 BOOT",                                Single,   R::Inform,                          OnReboot,     NO,  V1_0),
        rule(Periodic,                        "2 PERIODIC",                            Single,   R::Inform,                          OnBootstrap,  YES, V1_0),
        rule(Scheduled,                       "3 SCHEDULED",                           Single,   R::Inform,                          OnBootstrap,  YES, V1_0),
        rule(ValueChange,                     "4 VALUE CHANGE",                        Single,   R::Inform,                          OnReboot,     NO,  V1_0),
        rule(Kicked,                          "5 KICKED",                              Single,   R::Kicked,                          OnReboot,     NO,  V1_0),
        rule(ConnectionRequest,               "6 CONNECTION REQUEST",                  Single,   R::Inform,                          AfterAttempt, NO,  V1_0),
        rule(TransferComplete,                "7 TRANSFER COMPLETE",                   Single,   R::TransferComplete,                OnBootstrap,  YES, V1_0),
        rule(DiagnosticsComplete,             "8 DIAGNOSTICS COMPLETE",                Single,   R::Inform,                          OnReboot,     NO,  V1_0),
        rule(RequestDownload,                 "9 REQUEST DOWNLOAD",                    Single,   R::RequestDownload,                 OnReboot,     NO,  V1_0),
        rule(AutonomousTransferComplete,      "10 AUTONOMOUS TRANSFER COMPLETE",       Single,   R::AutonomousTransferComplete,      OnBootstrap,  YES, V1_1),
        rule(DuStateChangeComplete,           "11 DU STATE CHANGE COMPLETE",           Single,   R::DuStateChangeComplete,           OnBootstrap,  YES, V1_2),
        rule(AutonomousDuStateChangeComplete, "12 AUTONOMOUS DU STATE CHANGE COMPLETE", Single,  R::AutonomousDuStateChangeComplete, OnBootstrap,  YES, V1_2),
        rule(Wakeup,                          "13 WAKEUP",                             Single,   R::Inform,                          OnReboot,     NO,  V1_4),
        rule(Heartbeat,                       "14 HEARTBEAT",                          Single,   R::Inform,                          OnReboot,     NO,  V1_4),
        rule(MReboot,                         "M Reboot",                              Multiple, R::Inform,                          OnBootstrap,  YES, V1_0),
        rule(MScheduleInform,                 "M ScheduleInform",                      Multiple, R::Inform,                          OnBootstrap,  YES, V1_0),
        rule(MDownload,                       "M Download",                            Multiple, R::TransferComplete,                OnBootstrap,  YES, V1_0),
        rule(MScheduleDownload,               "M ScheduleDownload",                    Multiple, R::TransferComplete,                OnBootstrap,  YES, V1_2),
        rule(MUpload,                         "M Upload",                              Multiple, R::TransferComplete,                OnBootstrap,  YES, V1_0),
        rule(MChangeDuState,                  "M ChangeDUState",                       Multiple, R::DuStateChangeComplete,           OnBootstrap,  YES, V1_2),
    ]
};

/// The rules of vendor events, which TR-069 leaves to the vendor: those of the most similar standard event.
static VENDOR_EVENT: Rule = rule(
    EventCode::Periodic, // never compared
    "X",
    Cumulative::Single,
    ConfirmedBy::Inform,
    Discard::OnBootstrap,
    YES,
    Version::V1_0,
);
/// The rules of events of vendor methods.
static VENDOR_METHOD: Rule = rule(
    EventCode::MReboot, // never compared
    "M X_",
    Cumulative::Multiple,
    ConfirmedBy::Inform,
    Discard::OnBootstrap,
    YES,
    Version::V1_0,
);

const fn rule(
    code: EventCode,
    text: &'static str,
    cumulative: Cumulative,
    confirmed_by: ConfirmedBy,
    discard: Discard,
    persists: bool,
    since: Version,
) -> Rule {
    Rule { code, text, cumulative, confirmed_by, discard, persists, since }
}

impl EventCode {
    /// Returns the code with exactly this text, in the same case; or a vendor-specific code of either form. `None` for any
    /// other text (R148).
    pub fn parse(text: &str) -> Option<EventCode> {
        // Without a change of case: an ACS compares the text byte for byte.
        if let Some(rule) = TABLE.iter().find(|rule| rule.text == text) {
            return Some(rule.code.clone());
        }
        let vendor = is_vendor_event(text) && text.chars().count() <= 64; // string(64) in EventStruct
        vendor.then(|| EventCode::Vendor(VendorEvent(text.into())))
    }

    /// Returns the texts of all standard codes.
    pub fn standard() -> Vec<&'static str> {
        TABLE.iter().map(|rule| rule.text).collect()
    }

    /// Returns the text that Inform carries.
    pub fn as_str(&self) -> &str {
        match self {
            EventCode::Vendor(VendorEvent(text)) => text,
            standard => standard.rule().text,
        }
    }

    /// Returns the rules for the event.
    pub fn rule(&self) -> &'static Rule {
        match self {
            EventCode::Vendor(VendorEvent(text)) if text.starts_with("M ") => &VENDOR_METHOD,
            EventCode::Vendor(_) => &VENDOR_EVENT,
            // The default is unreachable: a test finds each standard code in the table.
            standard => TABLE.iter().find(|rule| rule.code == *standard).unwrap_or(&VENDOR_EVENT),
        }
    }
}

/// Returns true for `X <VENDOR> <event>` and `M X_<VENDOR>_<method>`, where the name of the method has no space.
fn is_vendor_event(text: &str) -> bool {
    // A control character would make the Inform malformed XML, and no session could succeed any more.
    let control = text.chars().any(char::is_control);
    let spaceless = |part: &str| !part.is_empty() && !part.contains(' ');
    if let Some((vendor, event)) = text.strip_prefix("X ").and_then(|t| t.split_once(' ')) {
        return spaceless(vendor) && !event.trim().is_empty() && !control;
    }
    text.strip_prefix("M X_").is_some_and(spaceless) && !control
}

/// A cause of a session, which Inform reports to the ACS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The kind of the event.
    pub code: EventCode,
    /// The CommandKey of the request that caused the event; empty for every code without `M` (R95).
    pub command_key: String,
}

impl Event {
    /// Returns an event without CommandKey.
    pub fn new(code: EventCode) -> Event {
        Event::of_command(code, "")
    }

    /// Returns an event of a method that was called with this CommandKey.
    pub fn of_command(code: EventCode, command_key: impl Into<String>) -> Event {
        Event { code, command_key: command_key.into() }
    }
}

impl std::fmt::Display for EventCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<EventCode> for Event {
    fn from(code: EventCode) -> Event {
        Event::new(code)
    }
}

#[cfg(test)]
mod tests;
