//! The policy of reports after a standby (Annex L).

use super::{Device, parameter};
use crate::schedule::StandbyPolicy;

impl Device {
    /// Returns the policy; `None` if no standby is to be reported, or in a model without it (R305).
    pub fn standby_policy(&self) -> Option<StandbyPolicy> {
        let limit = |name: &str| self.number(name).and_then(|limit| u32::try_from(limit).ok());
        let policy = StandbyPolicy {
            longest: limit(parameter::STANDBY_DURATION),
            missed_periodic: limit(parameter::STANDBY_PERIODIC),
            missed_scheduled: self.flag(parameter::STANDBY_SCHEDULED, false),
        };
        (policy != StandbyPolicy::default()).then_some(policy)
    }
}
