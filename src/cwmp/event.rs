//! Events: what the ACS is to be told, and table H1, which says how each is delivered.

use super::version::Version;

mod queue;

pub use queue::{EventQueue, MAX_EVENTS, SessionContext};

/// The code of an event (R148).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the table below says what each is
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

/// The text of a vendor's own event code, known to be one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VendorEvent(Box<str>);

/// How often a code may stand in one Inform (R135).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cumulative {
    /// At most once.
    Single,
    /// Once for each occurrence, each with its command key.
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

/// When an event that was not delivered is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// Never.
    Never,
    /// When a BOOTSTRAP is raised: the `never*` of table H1.
    OnBootstrap,
    /// When the device reboots, or a BOOTSTRAP is raised.
    OnReboot,
    /// After one attempt.
    AfterAttempt,
}

/// What TR-069 says of an event: a row of table H1 (A6 §3.7.1.5 T8).
#[derive(Debug)]
pub struct Rule {
    code: EventCode,
    /// The code as it stands in Inform.
    pub text: &'static str,
    /// How often it may stand there.
    pub cumulative: Cumulative,
    /// What confirms it.
    pub confirmed_by: ConfirmedBy,
    /// When it is given up.
    pub discard: Discard,
    /// Whether it outlives a reboot (R141).
    pub persists: bool,
    /// The version that brought it (R83).
    pub since: Version,
}

const YES: bool = true;
const NO: bool = false;

/// Table H1. Code, text, cumulative, delivered by, discarded, persists over reboot, since.
/// `5 KICKED` and `9 REQUEST DOWNLOAD` MAY be retried (R144): until the device reboots.
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

/// What table H1 leaves to the vendor, decided as for its nearest kin, and kept in the same form.
static VENDOR_EVENT: Rule = rule(
    EventCode::Periodic, // never compared
    "X",
    Cumulative::Single,
    ConfirmedBy::Inform,
    Discard::OnBootstrap,
    YES,
    Version::V1_0,
);
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
    /// The code with exactly that text, case and all; a vendor's own in either form (R148).
    pub fn parse(text: &str) -> Option<EventCode> {
        if let Some(rule) = TABLE.iter().find(|rule| rule.text == text) {
            return Some(rule.code.clone());
        }
        let vendor = is_vendor_event(text) && text.chars().count() <= 64;
        vendor.then(|| EventCode::Vendor(VendorEvent(text.into())))
    }

    /// The text that stands in Inform.
    pub fn as_str(&self) -> &str {
        match self {
            EventCode::Vendor(VendorEvent(text)) => text,
            standard => standard.rule().text,
        }
    }

    /// What TR-069 says of it.
    pub fn rule(&self) -> &'static Rule {
        match self {
            EventCode::Vendor(VendorEvent(text)) if text.starts_with("M ") => &VENDOR_METHOD,
            EventCode::Vendor(_) => &VENDOR_EVENT,
            // Proof: a test finds each standard code in the table.
            standard => TABLE.iter().find(|rule| rule.code == *standard).unwrap_or(&VENDOR_EVENT),
        }
    }
}

/// `X <VENDOR> <event>` or `M X_<VENDOR>_<method>`; a method's name has no spaces.
fn is_vendor_event(text: &str) -> bool {
    let control = text.chars().any(char::is_control);
    let spaceless = |part: &str| !part.is_empty() && !part.contains(' ');
    if let Some((vendor, event)) = text.strip_prefix("X ").and_then(|t| t.split_once(' ')) {
        return spaceless(vendor) && !event.trim().is_empty() && !control;
    }
    text.strip_prefix("M X_").is_some_and(spaceless) && !control
}

/// Something that the ACS is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What kind of thing.
    pub code: EventCode,
    /// The CommandKey of the request that caused it; empty for every code without `M` (R95).
    pub command_key: String,
}

impl Event {
    /// An event without command key.
    pub fn new(code: EventCode) -> Event {
        Event::of_command(code, "")
    }

    /// An event of a method that was called with that command key.
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
