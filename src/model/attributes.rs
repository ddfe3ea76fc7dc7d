//! Notification and access attributes of a parameter (TR-069 A6 §A.3.2.4).

/// The rule of the data model for active notification on a parameter: the member `notify` of a data-model file,
/// `activeNotify` in the official models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ActiveNotify {
    /// Notification is off until the ACS turns it on; a request for active notification is granted.
    #[default]
    Normal,
    /// Notification is always active; a request to turn it off succeeds without effect (R202).
    ForceEnabled,
    /// Notification is active until the ACS turns it off.
    ForceDefaultEnabled,
    /// Notification is off; a request for active notification may be refused with fault 9009 (R201).
    CanDeny,
}

/// The way in which a change of value is reported to the ACS (R198).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notification {
    /// 0: the change is not reported.
    #[default]
    Off,
    /// 1: the next Inform, sent for any cause, carries the value.
    Passive,
    /// 2: a session is started to report the change.
    Active,
    /// 3: a later datagram carries the value (R307).
    PassiveLightweight,
    /// 4: as 1 and as 3.
    PassiveBoth,
    /// 5: a datagram is sent to report the change.
    ActiveLightweight,
    /// 6: as 1 and as 5.
    ActiveBoth,
}

impl Notification {
    /// Returns the kind that CWMP writes as this number; `None` for another number.
    pub fn from_number(number: i64) -> Option<Notification> {
        use Notification::*;
        let kinds = [Off, Passive, Active, PassiveLightweight, PassiveBoth, ActiveLightweight, ActiveBoth];
        kinds.get(usize::try_from(number).ok()?).copied()
    }

    /// Returns true if the next Inform carries a changed value.
    pub fn is_in_inform(self) -> bool {
        use Notification::*;
        matches!(self, Passive | Active | PassiveBoth | ActiveBoth)
    }

    /// Returns true if a datagram carries a changed value.
    pub fn is_lightweight(self) -> bool {
        use Notification::*;
        matches!(self, PassiveLightweight | PassiveBoth | ActiveLightweight | ActiveBoth)
    }

    /// Returns true if that datagram is sent at once.
    pub fn is_active_lightweight(self) -> bool {
        matches!(self, Notification::ActiveLightweight | Notification::ActiveBoth)
    }
}

/// The attributes of one parameter, as SetParameterAttributes sets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The kind of notification.
    pub notification: Notification,
    /// True if LAN-side entities may write the parameter: `Subscriber` is in its access list (R204).
    pub subscriber: bool,
}

impl ActiveNotify {
    /// Returns the attributes of a parameter until an ACS sets others (R206).
    pub fn default_attributes(self) -> Attributes {
        // R106, R107: the models list the parameters that notify without a request of the ACS.
        let active = matches!(self, ActiveNotify::ForceEnabled | ActiveNotify::ForceDefaultEnabled);
        let notification = if active { Notification::Active } else { Notification::Off };
        // R204: until an ACS sets an access list, all entities may write.
        Attributes { notification, subscriber: true }
    }
}
