//! The return of the device after reloads: the end of procd's queue, the time to settle, and what must be true then.
//!
//! ```text
//! reload ended ──▶ queue: the last event is sent ──`cpe-agent applied`, or `limit`──▶ settle ──▶ conditions ──▶ returned
//!                  only after events of procd                                                   of `up`
//! ```
//!
//! procd runs the scripts for its events one after the other, and does not report their end. Its last event is one of the agent's
//! own: the init script has procd run `cpe-agent applied` for it, after all other scripts.

use std::time::Duration;

use crate::log;
use crate::model::reloads::{Condition, Reload};

/// The time that procd takes for its queue: a second of delay, and one or two for each script.
const USUAL_QUEUE: Duration = Duration::from_secs(10);

/// The way back of the device. All instants are on the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct DeviceReturn {
    phase: Phase,
    /// The instant at which the reloads whose end is known have settled.
    settled_at: Duration,
    /// The longest `limit` and `settle` of the reloads in the queue of procd.
    queue: Option<(Duration, Duration)>,
    /// The conditions that must be true, each with the longest time to wait for it.
    conditions: Vec<(Condition, Duration)>,
}

#[derive(Debug, Default)]
enum Phase {
    /// The device is back.
    #[default]
    Closed,
    /// A reload has ended, and the queue of procd was not asked since.
    Ended,
    /// The command is awaited until this instant.
    Queue(Duration),
    /// The device settles, until `settled_at`.
    Settling,
    /// A condition is being checked.
    Checking,
}

/// The next step of the way.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The last event is to be sent to procd.
    AskQueue,
    /// The condition is to be checked until it is true, at most for this time.
    Check(Condition, Duration),
    /// The device is back.
    Returned,
}

impl DeviceReturn {
    /// Notes the end of a reload. One that comes while the queue is awaited stands behind the question: it is asked again.
    pub(super) fn ended(&mut self, reload: &Reload, is_in_queue: bool, now: Duration) {
        self.phase = Phase::Ended;
        self.settled_at = self.settled_at.max(now + reload.settle);
        if is_in_queue {
            let (limit, settle) = self.queue.unwrap_or_default();
            self.queue = Some((limit.max(reload.limit), settle.max(reload.settle)));
        }
        if let Some(condition) = &reload.up {
            self.conditions.retain(|(known, _)| known != condition);
            self.conditions.push((condition.clone(), reload.limit));
        }
    }

    /// Returns the next step, if it is time. No reload is owed or runs.
    pub(super) fn next(&mut self, now: Duration) -> Option<Step> {
        match (&self.phase, self.queue) {
            (Phase::Ended, Some((limit, _))) => {
                self.phase = Phase::Queue(now + limit);
                return Some(Step::AskQueue);
            }
            (Phase::Ended, None) => self.phase = Phase::Settling,
            (Phase::Queue(until), _) if *until <= now => {
                log::info!(
                    "procd has not told of the end of the reloads: the init script lacks the event, or they hang"
                );
                self.applied(now);
            }
            _ => {}
        }
        if !matches!(self.phase, Phase::Settling) || self.settled_at > now {
            return None;
        }
        match self.conditions.pop() {
            Some((condition, limit)) => {
                self.phase = Phase::Checking;
                Some(Step::Check(condition, limit))
            }
            None => {
                *self = DeviceReturn::default();
                Some(Step::Returned)
            }
        }
    }

    /// Notes that all scripts in the queue of procd have ended, or that it is over for another reason.
    pub(super) fn applied(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Queue(_)) {
            let (_, settle) = self.queue.take().unwrap_or_default();
            self.settled_at = self.settled_at.max(now + settle);
            self.phase = Phase::Settling;
        }
    }

    /// Notes that no program will report the end of the queue: the scripts get the time that they usually take.
    pub(super) fn unanswered(&mut self, now: Duration) {
        if let Phase::Queue(until) = &mut self.phase {
            *until = (*until).min(now + USUAL_QUEUE);
        }
    }

    /// Notes that the check of a condition has ended.
    pub(super) fn checked(&mut self) {
        if matches!(self.phase, Phase::Checking) {
            self.phase = Phase::Settling;
        }
    }

    /// Returns true while the device is not back.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Closed)
    }

    /// Returns the instant of the next step that no other event brings.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Closed | Phase::Checking => None,
            Phase::Ended => Some(Duration::ZERO),
            Phase::Queue(until) => Some(until),
            Phase::Settling => Some(self.settled_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reloads::Reloads;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns the reload of a package by an event, and one by another call.
    fn reloads() -> (Reload, Reload) {
        let event = Reload { settle: 3 * SECOND, ..Reloads::default().get("network") };
        (event.clone(), Reload { settle: 10 * SECOND, ..event })
    }

    #[test]
    fn a_reload_of_its_own_settles() {
        let (mut way, (_, own)) = (DeviceReturn::default(), reloads());
        assert!(!way.is_open() && way.deadline().is_none() && way.next(SECOND).is_none());
        way.ended(&own, false, SECOND);
        assert_eq!((way.next(SECOND), way.deadline()), (None, Some(11 * SECOND)));
        assert_eq!((way.next(10 * SECOND), way.is_open()), (None, true));
        assert_eq!((way.next(11 * SECOND), way.is_open()), (Some(Step::Returned), false));
    }

    #[test]
    fn the_end_of_the_queue_comes_before_the_settling() {
        let (mut way, (event, own)) = (DeviceReturn::default(), reloads());
        way.ended(&event, true, SECOND);
        way.ended(&own, false, 2 * SECOND);
        assert_eq!(way.next(2 * SECOND), Some(Step::AskQueue));
        assert_eq!((way.next(20 * SECOND), way.deadline()), (None, Some(32 * SECOND)), "the scripts run");
        way.applied(20 * SECOND);
        way.applied(21 * SECOND);
        assert_eq!((way.next(22 * SECOND), way.deadline()), (None, Some(23 * SECOND)));
        assert_eq!(way.next(23 * SECOND), Some(Step::Returned));
        way.applied(24 * SECOND);
        assert!(!way.is_open(), "a command that nobody awaits");
    }

    #[test]
    fn without_the_command_the_time_counts() {
        let (mut way, (event, _)) = (DeviceReturn::default(), reloads());
        way.ended(&event, true, SECOND);
        assert_eq!(way.next(SECOND), Some(Step::AskQueue));
        assert_eq!(way.next(31 * SECOND), None);
        assert_eq!(way.next(34 * SECOND), Some(Step::Returned));
    }

    #[test]
    fn without_a_script_for_the_event_the_wait_is_short() {
        let (mut way, (event, _)) = (DeviceReturn::default(), reloads());
        way.ended(&event, true, SECOND);
        assert_eq!(way.next(SECOND), Some(Step::AskQueue));
        way.unanswered(2 * SECOND);
        assert_eq!((way.next(11 * SECOND), way.deadline()), (None, Some(12 * SECOND)));
        assert_eq!((way.next(12 * SECOND), way.deadline()), (None, Some(15 * SECOND)), "it settles");
        // A shorter limit stays.
        let mut way = DeviceReturn::default();
        way.ended(&Reload { limit: 3 * SECOND, ..event }, true, SECOND);
        assert_eq!(way.next(SECOND), Some(Step::AskQueue));
        way.unanswered(2 * SECOND);
        assert_eq!(way.deadline(), Some(4 * SECOND));
    }

    /// An event that follows the question stands behind it in the queue.
    #[test]
    fn a_later_event_asks_again() {
        let (mut way, (event, _)) = (DeviceReturn::default(), reloads());
        way.ended(&event, true, SECOND);
        assert_eq!(way.next(SECOND), Some(Step::AskQueue));
        way.ended(&event, true, 5 * SECOND);
        way.applied(5 * SECOND);
        assert_eq!(way.next(5 * SECOND), Some(Step::AskQueue));
        assert_eq!(way.deadline(), Some(35 * SECOND));
    }

    #[test]
    fn conditions_are_checked_after_the_settling() {
        let (mut way, (_, own)) = (DeviceReturn::default(), reloads());
        let condition = |object: &str| Condition { object: object.into(), method: "status".into(), at: "up".into() };
        let with = |object: &str| Reload { up: Some(condition(object)), ..own.clone() };
        for object in ["wan", "lan", "wan"] {
            way.ended(&with(object), false, SECOND);
        }
        assert_eq!(way.next(SECOND), None);
        for object in ["wan", "lan"] {
            assert_eq!(way.next(11 * SECOND), Some(Step::Check(condition(object), own.limit)));
            assert_eq!((way.next(60 * SECOND), way.deadline()), (None, None), "it is being checked");
            way.checked();
        }
        assert_eq!(way.next(60 * SECOND), Some(Step::Returned));
    }
}
