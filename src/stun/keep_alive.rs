//! The interval of keep-alives, and the search for the longest one that works (R282, R283).
//!
//! ```text
//!   Fixed          the ACS has set minimum = maximum
//!
//!   Untested ──baseline answered──▶ Searching ──low and high are close──▶ Settled
//!      │   ▲                            ▲   ▲                                 │
//!      │   │ within an hour             │   └── the binding was closed after ─┘
//!      └▶ NoResponseAddress ◀─ no answer ─┘       an idle time that it used to survive
//! ```
//!
//! The binding is left idle for a time, and then a probe from the secondary port tests whether it still accepts
//! datagrams. The idle time doubles from the minimum until a probe stays unanswered, and then halves the gap: a wrong
//! guess leaves the device unreachable only for a short time. An unanswered probe proves something only if another one,
//! right after a fresh keep-alive, is answered: the baseline probe. A server that does not honour RESPONSE-ADDRESS
//! leaves even that one unanswered.

use std::fmt;
use std::time::Duration;

/// The shortest interval of a search, also if the minimum period is shorter or zero.
const MIN_INTERVAL: Duration = Duration::from_secs(5);

/// The longest interval of a search: few NATs keep UDP bindings for more than ten minutes.
const MAX_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// The interval without a measurement: well below the 30 s after which the fastest NATs in the field close a binding.
const CAUTIOUS_INTERVAL: Duration = Duration::from_secs(20);

/// The extra time of a measurement: a probe waits for its answer, twice if it must be signed.
const PROBE_ALLOWANCE: Duration = Duration::from_secs(25);

/// The number of intervals between two checks of a settled interval.
const PERIODS_BETWEEN_CHECKS: u8 = 8;

/// The number of idle times in a row that other traffic may disturb before a measurement is made all the same.
const MAX_DISTURBED_PERIODS: u8 = 3;

/// The interval of tests whether the server honours RESPONSE-ADDRESS.
const RESPONSE_ADDRESS_RETRY: Duration = Duration::from_secs(60 * 60);

/// The time after which a shortened interval is tested for a longer one again.
const SHORTENED_PERIOD_RETRY: Duration = Duration::from_secs(24 * 60 * 60);

/// The values of STUNMinimumKeepAlivePeriod and STUNMaximumKeepAlivePeriod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlivePeriods {
    /// The shortest interval that the ACS allows.
    minimum: Duration,
    /// The longest interval that the ACS allows; `None` for no limit.
    maximum: Option<Duration>,
}

impl KeepAlivePeriods {
    /// Returns the periods from the two parameters in seconds; a negative maximum is none (R282). The maximum limits
    /// the minimum if the two contradict each other, since reachability is the purpose of both.
    pub fn new(minimum: u32, maximum: i32) -> KeepAlivePeriods {
        // At least a second: a maximum of 0 would send keep-alives without a pause.
        let maximum = u64::try_from(maximum).ok().map(|seconds| Duration::from_secs(seconds.max(1)));
        let minimum = Duration::from_secs(minimum.into());
        KeepAlivePeriods { minimum: minimum.min(maximum.unwrap_or(Duration::MAX)), maximum }
    }

    /// Returns the shortest interval between keep-alives.
    pub fn minimum(&self) -> Duration {
        self.minimum
    }

    /// Returns the longest interval between keep-alives; `None` for no limit.
    pub fn maximum(&self) -> Option<Duration> {
        self.maximum
    }

    /// Returns the shortest interval of the search.
    fn shortest(&self) -> Duration {
        self.minimum.max(MIN_INTERVAL).min(self.maximum.unwrap_or(Duration::MAX))
    }

    /// Returns the longest interval of the search. The keep-alive after a probe must still meet the maximum period.
    fn longest(&self) -> Duration {
        let shortest = self.shortest();
        let Some(maximum) = self.maximum else { return MAX_INTERVAL.max(shortest) };
        let upper = maximum.saturating_sub(PROBE_ALLOWANCE.min(maximum / 4)).min(MAX_INTERVAL);
        if upper > shortest {
            return upper;
        }
        // The allowance does not fit, so that only a smaller range is searched.
        let middle = shortest + maximum.saturating_sub(shortest) / 2;
        middle.min(MAX_INTERVAL).max(shortest)
    }

    /// Returns the interval for a server that allows no measurement, within the two periods.
    fn cautious(&self) -> Duration {
        self.minimum.max(CAUTIOUS_INTERVAL).min(self.maximum.unwrap_or(Duration::MAX))
    }
}

impl Default for KeepAlivePeriods {
    /// Returns 30 s and no maximum, as in the data models of the project.
    fn default() -> KeepAlivePeriods {
        KeepAlivePeriods::new(30, -1)
    }
}

/// The origin of the interval, for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// The ACS has fixed the interval.
    Fixed,
    /// No measurement was made yet.
    NotBegun,
    /// A search is under way, between an interval that works and one that does not.
    Running {
        /// The longest idle time that the binding has survived.
        endured: Option<Duration>,
        /// The shortest idle time that it has not survived.
        expired: Option<Duration>,
    },
    /// The search has ended with the longest interval that works, less a margin.
    Found,
    /// The server does not honour RESPONSE-ADDRESS, so that nothing can be measured.
    Impossible,
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Search::Fixed => f.write_str("fixed by the ACS"),
            Search::NotBegun => f.write_str("not measured yet"),
            Search::Running { endured, expired } => {
                f.write_str("being measured")?;
                if let Some(endured) = endured {
                    write!(f, ", the binding survives {} s", endured.as_secs())?;
                }
                expired.map_or(Ok(()), |expired| write!(f, ", is gone after {} s", expired.as_secs()))
            }
            Search::Found => f.write_str("found"),
            Search::Impossible => f.write_str("cautious: the STUN server does not honour RESPONSE-ADDRESS"),
        }
    }
}

/// The interval and the search for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepAlive {
    periods: KeepAlivePeriods,
    phase: SearchPhase,
    /// The idle time before an unanswered probe, until the baseline probe has shown its meaning.
    unconfirmed: Option<Duration>,
    /// The number of idle times in a row that other traffic has disturbed.
    disturbed_periods: u8,
}

/// The phases drawn at the head of this file.
#[derive(Clone, Copy, Debug)]
enum SearchPhase {
    Fixed(Duration),
    Untested,
    Searching {
        low: Option<Duration>,
        high: Option<Duration>,
        /// True if the search began because a settled interval had failed.
        shrinking: bool,
    },
    Settled {
        period: Duration,
        periods_until_check: u8,
        search_again_at: Option<Duration>,
    },
    NoResponseAddress {
        test_again_at: Duration,
    },
}

impl KeepAlive {
    pub(super) fn new(periods: KeepAlivePeriods) -> KeepAlive {
        let phase = match periods.maximum {
            Some(maximum) if maximum == periods.minimum => SearchPhase::Fixed(maximum), // R283: the ACS leaves no range to search
            _ => SearchPhase::Untested,
        };
        KeepAlive { periods, phase, unconfirmed: None, disturbed_periods: 0 }
    }

    /// Returns the idle time before the next request.
    pub(super) fn interval(&self) -> Duration {
        match self.phase {
            SearchPhase::Fixed(period) | SearchPhase::Settled { period, .. } => period,
            SearchPhase::Untested => self.periods.shortest(),
            SearchPhase::Searching { low, high, .. } => self.candidate(low, high),
            SearchPhase::NoResponseAddress { .. } => self.periods.cautious(),
        }
    }

    /// Returns true if the next request is a probe.
    pub(super) fn measures(&self) -> bool {
        match self.phase {
            SearchPhase::Searching { .. } => true,
            SearchPhase::Settled { periods_until_check, .. } => periods_until_check == 0,
            SearchPhase::Fixed(_) | SearchPhase::Untested | SearchPhase::NoResponseAddress { .. } => false,
        }
    }

    /// Ends an idle time, and returns true if a probe is to follow. `other_traffic` may have kept the binding open.
    pub(super) fn idle_ended(&mut self, other_traffic: bool, now: Duration) -> bool {
        if !self.measures() {
            self.count_down(now);
            return false;
        }
        // A busy port never has an undisturbed idle time; after some tries, a doubtful result is better than none.
        if other_traffic && self.disturbed_periods < MAX_DISTURBED_PERIODS {
            self.disturbed_periods += 1;
            return false;
        }
        self.disturbed_periods = 0;
        true
    }

    /// Returns true if a baseline probe is due after this keep-alive.
    pub(super) fn wants_baseline_probe(&self, now: Duration) -> bool {
        match self.phase {
            SearchPhase::Fixed(_) => false,
            SearchPhase::Untested => true,
            SearchPhase::NoResponseAddress { test_again_at } => test_again_at <= now,
            SearchPhase::Searching { .. } | SearchPhase::Settled { .. } => self.unconfirmed.is_some(),
        }
    }

    /// Records the result of a baseline probe.
    pub(super) fn baseline_probed(&mut self, answered: bool, now: Duration) {
        let unconfirmed = self.unconfirmed.take();
        if let SearchPhase::Fixed(_) = self.phase {
            return; // the periods have changed since
        }
        if !answered {
            self.phase = SearchPhase::NoResponseAddress { test_again_at: now.saturating_add(RESPONSE_ADDRESS_RETRY) };
            return;
        }
        match self.phase {
            SearchPhase::Untested | SearchPhase::NoResponseAddress { .. } => {
                self.phase = SearchPhase::Searching { low: None, high: None, shrinking: false }
            }
            _ => {
                // The server answers probes, so that the unanswered one before means a closed binding.
                if let Some(idle) = unconfirmed {
                    self.expired(idle, now);
                }
            }
        }
    }

    /// Records the result of a probe after an idle time.
    pub(super) fn probed(&mut self, idle: Duration, answered: bool, now: Duration) {
        if answered { self.endured(idle, now) } else { self.unconfirmed = Some(idle) }
    }

    /// Plans a check after the mapped address has changed, since the NAT may have closed the binding too early.
    pub(super) fn binding_moved(&mut self) {
        if let SearchPhase::Settled { periods_until_check, .. } = &mut self.phase {
            *periods_until_check = 0;
        }
    }

    /// Forgets an unanswered probe, because the server may have failed before it.
    pub(super) fn server_failed(&mut self) {
        self.unconfirmed = None;
    }

    /// Starts the search again with another server, which may honour RESPONSE-ADDRESS.
    pub(super) fn server_changed(&mut self) {
        if let SearchPhase::NoResponseAddress { .. } = self.phase {
            self.phase = SearchPhase::Untested;
        }
    }

    /// Returns the state of the search for the operator.
    pub(super) fn search(&self) -> Search {
        match self.phase {
            SearchPhase::Fixed(_) => Search::Fixed,
            SearchPhase::Untested => Search::NotBegun,
            SearchPhase::Searching { low, high, .. } => Search::Running { endured: low, expired: high },
            SearchPhase::Settled { .. } => Search::Found,
            SearchPhase::NoResponseAddress { .. } => Search::Impossible,
        }
    }

    /// Returns the next idle time to test: doubled while no limit is known, then halfway between the limits.
    fn candidate(&self, low: Option<Duration>, high: Option<Duration>) -> Duration {
        let (shortest, longest) = (self.periods.shortest(), self.periods.longest());
        match (low, high) {
            (None, _) => shortest,
            (Some(low), None) => low.saturating_mul(2).clamp(shortest, longest),
            (Some(low), Some(high)) => (low + high.saturating_sub(low) / 2).clamp(shortest, longest),
        }
    }

    /// Records an idle time that the binding has survived.
    fn endured(&mut self, idle: Duration, now: Duration) {
        match &mut self.phase {
            SearchPhase::Searching { low, .. } => {
                // A late poll may have made the idle time longer than any that the search allows.
                *low = Some(low.unwrap_or_default().max(idle.min(self.periods.longest())));
                self.settle(now);
            }
            SearchPhase::Settled { periods_until_check, .. } => *periods_until_check = PERIODS_BETWEEN_CHECKS,
            _ => {}
        }
    }

    /// Records an idle time that the binding has not survived.
    fn expired(&mut self, idle: Duration, now: Duration) {
        match &mut self.phase {
            SearchPhase::Searching { high, .. } => *high = Some(high.map_or(idle, |high| high.min(idle))),
            SearchPhase::Settled { .. } => {
                self.phase = SearchPhase::Searching { low: None, high: Some(idle), shrinking: true }
            }
            _ => return,
        }
        self.settle(now);
    }

    /// Ends the search once it cannot improve the interval.
    fn settle(&mut self, now: Duration) {
        let SearchPhase::Searching { low, high, shrinking } = self.phase else { return };
        let (shortest, longest) = (self.periods.shortest(), self.periods.longest());
        let endured = match (low, high) {
            // Even the shortest interval is too long for the NAT, and the ACS allows no shorter one.
            (None, Some(high)) if high <= shortest.saturating_add(resolution(shortest)) => shortest,
            (Some(low), Some(high)) if high <= low.saturating_add(resolution(low)) => low,
            (Some(low), None) if low >= longest => low,
            _ => return,
        };
        // A tenth less, so that the repetition of a lost keep-alive still comes in time.
        let period = endured.saturating_sub(endured / 10).max(shortest);
        let search_again_at = shrinking.then(|| now.saturating_add(SHORTENED_PERIOD_RETRY));
        self.phase = SearchPhase::Settled { period, periods_until_check: PERIODS_BETWEEN_CHECKS, search_again_at };
    }

    /// Counts idle times until the next check, and restarts the search of a shortened interval after a day.
    fn count_down(&mut self, now: Duration) {
        let SearchPhase::Settled { period, periods_until_check, search_again_at } = &mut self.phase else { return };
        *periods_until_check = periods_until_check.saturating_sub(1);
        // The NAT may have lost bindings for another reason on that day, such as a restart.
        if search_again_at.is_some_and(|at| at <= now) {
            self.phase = SearchPhase::Searching { low: Some(*period), high: None, shrinking: false };
        }
    }
}

/// Returns the gap between low and high at which the search ends.
fn resolution(low: Duration) -> Duration {
    (low / 16).max(Duration::from_secs(1))
}
