//! Notification and access attributes of a parameter (TR-069 A6 §A.3.2.4).

/// What the data model says of active notification on a parameter (`notify`; `activeNotify` of the official models).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ActiveNotify {
    /// Off until the ACS asks for it; active notification must be granted then.
    #[default]
    Normal,
    /// Always active; the ACS cannot turn it off (R202).
    ForceEnabled,
    /// Active until the ACS turns it off.
    ForceDefaultEnabled,
    /// Off; a request for active notification may be refused (R201).
    CanDeny,
}

/// How a change of value is told to the ACS. The lightweight kinds (3 to 6) are not supported (R199).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notification {
    /// 0: not at all.
    #[default]
    Off,
    /// 1: in the next Inform, whatever its cause.
    Passive,
    /// 2: a session is started for it.
    Active,
}

impl Notification {
    /// The kind that CWMP writes as this number, where it is supported.
    pub fn from_number(number: i64) -> Option<Notification> {
        match number {
            0 => Some(Notification::Off),
            1 => Some(Notification::Passive),
            2 => Some(Notification::Active),
            _ => None,
        }
    }
}

/// The attributes of one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// How changes are told.
    pub notification: Notification,
    /// Whether LAN-side entities may write the parameter: `Subscriber` in its access list (R204).
    pub subscriber: bool,
}

impl ActiveNotify {
    /// The attributes of a parameter that nobody has changed (R206).
    pub fn default_attributes(self) -> Attributes {
        let active = matches!(self, ActiveNotify::ForceEnabled | ActiveNotify::ForceDefaultEnabled);
        let notification = if active { Notification::Active } else { Notification::Off };
        Attributes { notification, subscriber: true }
    }
}
