//! The events that the agent must tell, may tell, and must not tell any more.
//!
//! ```text
//!            answered                     in an Inform              the next request heard
//! (nothing) ──────────▶ Due ──────────────────────────▶ Confirmed ─────────────────────────▶ (gone for good)
//!     │ asked, killed   ▲  told                            │ killed
//!     └──▶ Perhaps ─────┘──── not told ──▶ (gone)          ├── told again ──▶ Due
//!                                                          └── not told ──▶ (gone)
//! ```
//!
//! If the disk fails, the agent cannot store the delivery: the event goes to `Perhaps` then.

use std::time::{Duration, Instant};

use crate::support::Message;

/// The error of a scheduled instant after a restart: the journal has whole seconds.
const GRAIN: Duration = Duration::from_secs(1);

const VALUE_CHANGE: &str = "4 VALUE CHANGE";

#[derive(Default)]
pub(crate) struct History {
    events: Vec<Event>,
    /// The parameter that every Inform contains and that an operator changes, with its value.
    watched: (String, String),
}

struct Event {
    code: &'static str,
    key: String,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Requested, and the agent was killed before its answer was received; or delivered, and the agent could not store
    /// that: the event may come once, or not at all.
    Perhaps,
    /// The instants at which ScheduleInform was requested and answered, if it was answered.
    Later { due: Instant, answered: Option<Instant>, delay: Duration },
    /// The event must be in the next Inform.
    Due,
    /// InformResponse was sent; it is not known yet whether the agent has received it.
    Confirmed,
}

impl History {
    /// Returns the events of a first boot; an operator will change the parameter `watched`.
    pub(crate) fn from_the_factory(watched: String) -> History {
        let mut history = History { watched: (watched, String::new()), ..History::default() };
        history.add("0 BOOTSTRAP", "", State::Due);
        history.booted();
        history
    }

    /// The device has rebooted: a new `1 BOOT` in place of one that was not delivered, and no `4 VALUE CHANGE` (R142).
    pub(crate) fn booted(&mut self) {
        self.events.retain(|event| !["1 BOOT", VALUE_CHANGE].contains(&event.code));
        self.add("1 BOOT", "", State::Due);
    }

    /// Notes that an operator has set the watched parameter to this value.
    pub(crate) fn changed(&mut self, value: String) {
        self.watched.1 = value;
        self.events.retain(|event| event.code != VALUE_CHANGE);
        self.add(VALUE_CHANGE, "", State::Due);
    }

    /// Returns the name of the watched parameter.
    pub(crate) fn watched(&self) -> &str {
        &self.watched.0
    }

    /// Notes that Reboot was requested; `stored` is true if the request is in the journal for certain.
    pub(crate) fn reboot(&mut self, key: &str, stored: bool) {
        self.add("M Reboot", key, if stored { State::Due } else { State::Perhaps });
    }

    /// Notes that ScheduleInform was requested at an instant.
    pub(crate) fn schedule(&mut self, key: &str, asked: Instant, delay: Duration, answered: bool) {
        let answered = answered.then(Instant::now);
        self.add("M ScheduleInform", key, State::Later { due: asked + delay, answered, delay });
    }

    fn add(&mut self, code: &'static str, key: &str, state: State) {
        self.events.push(Event { code, key: key.to_owned(), state });
    }

    /// Checks an Inform of an agent that was started at an instant against the events that it must contain.
    pub(crate) fn told(&mut self, inform: &Message, started: Instant) {
        let (watched, value) = &self.watched;
        assert_eq!(inform.value(watched), Some(value.as_str()), "{watched}"); // R99, R171
        let told = || inform.events.iter().map(|event| (event.code.as_str(), event.command_key.as_str()));
        for (code, key) in told() {
            let times = told().filter(|other| *other == (code, key)).count();
            assert_eq!(times, 1, "{code} {key:?} is told {times} times"); // R135
            if code == "3 SCHEDULED" {
                assert!(told().any(|(code, _)| code == "M ScheduleInform"), "{code} alone"); // R136
                continue;
            }
            let known = self.events.iter_mut().find(|event| (event.code, event.key.as_str()) == (code, key));
            // R134, R172: a delivered event, or a change by the ACS itself, is not told
            let known = known.unwrap_or_else(|| panic!("{code} {key:?} is told, and there is no reason to"));
            if let State::Later { due, .. } = known.state {
                assert!(Instant::now() + GRAIN >= due, "{code} {key:?} is told too early"); // R154
                assert!(told().any(|(code, _)| code == "3 SCHEDULED"), "{key:?} without 3 SCHEDULED"); // R136
            }
            known.state = State::Due;
        }
        self.events.retain_mut(|event| {
            let is_told = told().any(|told| told == (event.code, event.key.as_str()));
            match event.state {
                State::Due => assert!(is_told, "{} {:?} is lost", event.code, event.key), // R134, R138, R141
                State::Later { due, answered: None, .. } => return Instant::now() < due + 3 * GRAIN,
                State::Later { answered: Some(answered), delay, .. } => {
                    let lost = !is_told && started > answered + delay + 2 * GRAIN;
                    assert!(!lost, "the Inform scheduled as {:?} is lost", event.key); // R155
                }
                // After a restart the agent may find the instant a moment in the future still.
                State::Perhaps | State::Confirmed if !is_told && event.code == "M ScheduleInform" => {
                    event.state = State::Later { due: Instant::now(), answered: None, delay: Duration::ZERO };
                }
                State::Perhaps | State::Confirmed => return is_told,
            }
            true
        });
    }

    /// Notes that InformResponse is sent: from here on the events may count as delivered.
    pub(crate) fn confirm(&mut self, inform: &Message) {
        for event in &mut self.events {
            let is_told =
                |told: &&crate::support::message::Event| told.code == event.code && told.command_key == event.key;
            if inform.events.iter().find(is_told).is_some() {
                event.state = State::Confirmed;
            }
        }
    }

    /// Notes that the agent goes on after InformResponse: the events are delivered, and are not told again if the agent
    /// could store that.
    pub(crate) fn delivered(&mut self, stored: bool) {
        if stored {
            self.events.retain(|event| event.state != State::Confirmed);
        }
        for event in self.events.iter_mut().filter(|event| event.state == State::Confirmed) {
            event.state = State::Perhaps;
        }
    }

    /// Returns true if the agent must start a session by itself when only its process is restarted.
    pub(crate) fn calls_for_a_session(&self) -> bool {
        self.events.iter().any(|event| event.state == State::Due)
    }

    /// Returns true if the device was, or may have been, asked to reboot.
    pub(crate) fn expects_a_reboot(&self) -> bool {
        self.events.iter().any(|event| event.code == "M Reboot")
    }

    /// Returns the number of scheduled Informs that may be pending.
    pub(crate) fn scheduled(&self) -> usize {
        self.events.iter().filter(|event| matches!(event.state, State::Later { .. })).count()
    }

    /// Drops scheduled Informs that were never answered and have not come in time, since they were never stored.
    pub(crate) fn forget_what_never_came(&mut self) {
        let open = |event: &Event| matches!(event.state, State::Later { answered: None, due, .. } if due + 3 * GRAIN < Instant::now());
        self.events.retain(|event| !open(event));
    }

    /// Returns true if no event is left.
    pub(crate) fn is_over(&self) -> bool {
        self.events.is_empty()
    }
}
