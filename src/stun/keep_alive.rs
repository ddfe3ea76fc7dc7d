//! How long to rest between keep-alives, and how that is found out (R282, R283).
//!
//! ```text
//!   Fixed          the ACS has set minimum = maximum
//!
//!   Untested ──control answered──▶ Searching ──low and high are close──▶ Settled
//!      │   ▲                          ▲   ▲                                 │
//!      │   │ within an hour           │   └── the binding was closed after ─┘
//!      └▶ NoResponseAddress ◀─ no answer ─┘       a rest that it used to survive
//! ```
//!
//! The binding rests for a time, and then a probe from the secondary port tells whether it still lets datagrams
//! in. That time is doubled from the minimum until a probe gets no answer, then halved in between: an unlucky
//! guess leaves the device unreachable for the shortest time so. A probe without an answer proves something only
//! if another one, right after a fresh keep-alive, gets its answer: the control. A server that does not honour
//! RESPONSE-ADDRESS leaves even that unanswered.

use std::fmt;
use std::time::Duration;

/// A rest that is never undercut for want of a minimum.
const MIN_INTERVAL: Duration = Duration::from_secs(5);

/// A rest that is never exceeded in search of the longest: few NATs keep UDP for more than ten minutes.
const MAX_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// Where nothing can be measured: well below the half minute after which the hastiest NATs in the field close.
const CAUTIOUS_INTERVAL: Duration = Duration::from_secs(20);

/// A measurement takes as much longer than the rest as a probe waits for its answer, twice if it must be signed.
const PROBE_ALLOWANCE: Duration = Duration::from_secs(25);

/// Once found, the period is tried again each so many rests.
const PERIODS_BETWEEN_CHECKS: u8 = 8;

/// How many rests in a row may be disturbed by other traffic before one is measured all the same.
const MAX_DISTURBED_PERIODS: u8 = 3;

/// How often a server is asked again whether it honours RESPONSE-ADDRESS.
const RESPONSE_ADDRESS_RETRY: Duration = Duration::from_secs(60 * 60);

/// After this time a period that had to be shortened is put to the test once more.
const SHORTENED_PERIOD_RETRY: Duration = Duration::from_secs(24 * 60 * 60);

/// STUNMinimumKeepAlivePeriod and STUNMaximumKeepAlivePeriod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlivePeriods {
    /// Not more often than this.
    minimum: Duration,
    /// At least as often as this.
    maximum: Option<Duration>,
}

impl KeepAlivePeriods {
    /// From the two parameters, in seconds; a negative maximum is none (R282). Where the minimum exceeds the
    /// maximum the maximum holds: reachability is what both are for.
    pub fn new(minimum: u32, maximum: i32) -> KeepAlivePeriods {
        let maximum = u64::try_from(maximum).ok().map(|seconds| Duration::from_secs(seconds.max(1)));
        let minimum = Duration::from_secs(minimum.into());
        KeepAlivePeriods { minimum: minimum.min(maximum.unwrap_or(Duration::MAX)), maximum }
    }

    /// Not more often than this.
    pub fn minimum(&self) -> Duration {
        self.minimum
    }

    /// At least as often as this.
    pub fn maximum(&self) -> Option<Duration> {
        self.maximum
    }

    /// The shortest rest of a search.
    fn shortest(&self) -> Duration {
        self.minimum.max(MIN_INTERVAL).min(self.maximum.unwrap_or(Duration::MAX))
    }

    /// The longest rest of a search: the keep-alive after it must still come within the maximum.
    fn longest(&self) -> Duration {
        let shortest = self.shortest();
        let Some(maximum) = self.maximum else { return MAX_INTERVAL.max(shortest) };
        let upper = maximum.saturating_sub(PROBE_ALLOWANCE.min(maximum / 4)).min(MAX_INTERVAL);
        if upper > shortest {
            return upper;
        }
        let middle = shortest + maximum.saturating_sub(shortest) / 2;
        middle.min(MAX_INTERVAL).max(shortest)
    }

    fn cautious(&self) -> Duration {
        self.minimum.max(CAUTIOUS_INTERVAL).min(self.maximum.unwrap_or(Duration::MAX))
    }
}

impl Default for KeepAlivePeriods {
    /// Half a minute and no maximum, as in the data models that come with the agent.
    fn default() -> KeepAlivePeriods {
        KeepAlivePeriods::new(30, -1)
    }
}

/// How the period came about, for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// The ACS has fixed it.
    Fixed,
    /// Nothing has been measured yet.
    NotBegun,
    /// Between what the NAT is known to endure and what it is known not to.
    Running {
        /// The longest rest that the binding has survived.
        endured: Option<Duration>,
        /// The shortest that it has not.
        expired: Option<Duration>,
    },
    /// It is the longest that works, less a margin.
    Found,
    /// The server does not honour RESPONSE-ADDRESS, so nothing can be measured.
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

/// The period, and the search for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepAlive {
    periods: KeepAlivePeriods,
    phase: SearchPhase,
    /// A rest after which a probe got no answer, as long as the control has not shown what that means.
    unconfirmed: Option<Duration>,
    /// Rests in a row that other traffic has disturbed.
    disturbed_periods: u8,
}

#[derive(Clone, Copy, Debug)]
enum SearchPhase {
    Fixed(Duration),
    Untested,
    Searching {
        low: Option<Duration>,
        high: Option<Duration>,
        /// The search began because a period that was found has failed.
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
            Some(maximum) if maximum == periods.minimum => SearchPhase::Fixed(maximum), // R283
            _ => SearchPhase::Untested,
        };
        KeepAlive { periods, phase, unconfirmed: None, disturbed_periods: 0 }
    }

    /// How long to rest before the next request.
    pub(super) fn interval(&self) -> Duration {
        match self.phase {
            SearchPhase::Fixed(period) | SearchPhase::Settled { period, .. } => period,
            SearchPhase::Untested => self.periods.shortest(),
            SearchPhase::Searching { low, high, .. } => self.candidate(low, high),
            SearchPhase::NoResponseAddress { .. } => self.periods.cautious(),
        }
    }

    /// Whether that request is a probe.
    pub(super) fn measures(&self) -> bool {
        match self.phase {
            SearchPhase::Searching { .. } => true,
            SearchPhase::Settled { periods_until_check, .. } => periods_until_check == 0,
            SearchPhase::Fixed(_) | SearchPhase::Untested | SearchPhase::NoResponseAddress { .. } => false,
        }
    }

    /// A rest is over: whether a probe is to follow. `other_traffic`: other traffic has kept the binding open.
    pub(super) fn idle_ended(&mut self, other_traffic: bool, now: Duration) -> bool {
        if !self.measures() {
            self.count_down(now);
            return false;
        }
        if other_traffic && self.disturbed_periods < MAX_DISTURBED_PERIODS {
            self.disturbed_periods += 1;
            return false;
        }
        self.disturbed_periods = 0;
        true
    }

    /// Whether a control is due, right after a keep-alive.
    pub(super) fn wants_baseline_probe(&self, now: Duration) -> bool {
        match self.phase {
            SearchPhase::Fixed(_) => false,
            SearchPhase::Untested => true,
            SearchPhase::NoResponseAddress { test_again_at } => test_again_at <= now,
            SearchPhase::Searching { .. } | SearchPhase::Settled { .. } => self.unconfirmed.is_some(),
        }
    }

    /// A control has got its answer, or not.
    pub(super) fn baseline_probed(&mut self, answered: bool, now: Duration) {
        let unconfirmed = self.unconfirmed.take();
        if let SearchPhase::Fixed(_) = self.phase {
            return; // the periods have changed meanwhile
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
                if let Some(idle) = unconfirmed {
                    self.expired(idle, now);
                }
            }
        }
    }

    /// A probe after a rest of `idle` has got its answer, or not.
    pub(super) fn probed(&mut self, idle: Duration, answered: bool, now: Duration) {
        if answered { self.endured(idle, now) } else { self.unconfirmed = Some(idle) }
    }

    /// The server has told a new address: the period found may be too long by now.
    pub(super) fn binding_moved(&mut self) {
        if let SearchPhase::Settled { periods_until_check, .. } = &mut self.phase {
            *periods_until_check = 0;
        }
    }

    /// The server has failed, and perhaps had done so already when the last probe got no answer.
    pub(super) fn server_failed(&mut self) {
        self.unconfirmed = None;
    }

    /// Another server is asked: what the last one could not do, this one may.
    pub(super) fn server_changed(&mut self) {
        if let SearchPhase::NoResponseAddress { .. } = self.phase {
            self.phase = SearchPhase::Untested;
        }
    }

    pub(super) fn search(&self) -> Search {
        match self.phase {
            SearchPhase::Fixed(_) => Search::Fixed,
            SearchPhase::Untested => Search::NotBegun,
            SearchPhase::Searching { low, high, .. } => Search::Running { endured: low, expired: high },
            SearchPhase::Settled { .. } => Search::Found,
            SearchPhase::NoResponseAddress { .. } => Search::Impossible,
        }
    }

    fn candidate(&self, low: Option<Duration>, high: Option<Duration>) -> Duration {
        let (shortest, longest) = (self.periods.shortest(), self.periods.longest());
        match (low, high) {
            (None, _) => shortest,
            (Some(low), None) => low.saturating_mul(2).clamp(shortest, longest),
            (Some(low), Some(high)) => (low + high.saturating_sub(low) / 2).clamp(shortest, longest),
        }
    }

    fn endured(&mut self, idle: Duration, now: Duration) {
        match &mut self.phase {
            SearchPhase::Searching { low, .. } => {
                *low = Some(low.unwrap_or_default().max(idle.min(self.periods.longest())));
                self.settle(now);
            }
            SearchPhase::Settled { periods_until_check, .. } => *periods_until_check = PERIODS_BETWEEN_CHECKS,
            _ => {}
        }
    }

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

    /// Ends the search where it cannot learn more that is of use.
    fn settle(&mut self, now: Duration) {
        let SearchPhase::Searching { low, high, shrinking } = self.phase else { return };
        let (shortest, longest) = (self.periods.shortest(), self.periods.longest());
        let endured = match (low, high) {
            // Even the shortest rest is too long: that is what the ACS allows.
            (None, Some(high)) if high <= shortest.saturating_add(resolution(shortest)) => shortest,
            (Some(low), Some(high)) if high <= low.saturating_add(resolution(low)) => low,
            (Some(low), None) if low >= longest => low,
            _ => return,
        };
        // A tenth less: a keep-alive that is lost on the way must come in time when it is repeated.
        let period = endured.saturating_sub(endured / 10).max(shortest);
        let search_again_at = shrinking.then(|| now.saturating_add(SHORTENED_PERIOD_RETRY));
        self.phase = SearchPhase::Settled { period, periods_until_check: PERIODS_BETWEEN_CHECKS, search_again_at };
    }

    fn count_down(&mut self, now: Duration) {
        let SearchPhase::Settled { period, periods_until_check, search_again_at } = &mut self.phase else { return };
        *periods_until_check = periods_until_check.saturating_sub(1);
        if search_again_at.is_some_and(|at| at <= now) {
            self.phase = SearchPhase::Searching { low: Some(*period), high: None, shrinking: false };
        }
    }
}

/// How close low and high must be for the search to end.
fn resolution(low: Duration) -> Duration {
    (low / 16).max(Duration::from_secs(1))
}
