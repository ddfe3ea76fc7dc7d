//! The inbox of the agent thread: the one place where it waits, and where all other threads leave reasons to wake it.
//!
//! ```text
//! signals ────────── stop, reload ───────────┐
//! control socket ─── commands, at most 32 ───┤
//! network, values ── a change ───────────────┤
//! listeners ──────── the latest of each kind ┼─▶ Inbox ──Vec<Wake>──▶ Agent::run
//! transfer worker ── finished steps ─────────┤
//! reload thread ──── the end of a reload ────┤
//! test thread ────── the end of a test ──────┤
//! session thread ─── its last exchange ──────┘ and what needs no end of the session, by Inbox::wait_in_session
//! ```
//!
//! A session may take minutes, and most values wait for its end. No sender waits: one lock guards a bounded set of values
//! and is held only while a value is stored or fetched.

use std::net::IpAddr;
use std::time::Duration;

use super::diagnostics::FinishedTest;
use super::service_reloads::FinishedReload;
use super::session_thread::Exchange;
use super::transfers::step::FinishedStep;
use super::xmpp::XmppState;
use crate::awaited::Awaited;
use crate::change_watch::SourceEvent;
use crate::connection_request::ReplayWindow;
use crate::control::PendingRequest;
use crate::model::source::provider::LinkState;
use crate::stun::PublishedBinding;

/// The most commands that wait at a time, and that run before a session that is due.
pub(super) const MAX_COMMANDS: usize = 32;

/// The most states of links that wait at a time: each costs a look at all watched values.
pub(super) const MAX_LINK_STATES: usize = 32;

/// A reason to wake the agent thread.
#[derive(Debug)]
pub(super) enum Wake {
    /// SIGTERM or SIGINT was received.
    Stop,
    /// SIGHUP was received: the configuration is to be read again.
    Reload,
    /// A new address, route or name server may let the ACS be reached.
    NetworkChanged,
    /// Values of the device that are watched may have changed.
    ValuesChanged(SourceEvent, Vec<LinkState>),
    /// A command arrived on the control socket.
    Command(PendingRequest),
    /// The address of this device towards the ACS changed (R266).
    AddressChanged(IpAddr),
    /// The STUN binding changed UDPConnectionRequestAddress or NATDetected (R285).
    UdpAddressChanged(PublishedBinding),
    /// The XMPP connection has another state.
    XmppChanged(XmppState),
    /// The ACS requested a session; over UDP with the replay window that now holds (R260, R292, R295).
    ConnectionRequest(Option<ReplayWindow>),
    /// The transfer worker finished a step.
    StepFinished(FinishedStep),
    /// A diagnostic test has ended.
    TestFinished(FinishedTest),
    /// A reload of a service has ended.
    ReloadFinished(FinishedReload),
}

/// Reasons to wake the agent thread, stored by other threads until it fetches them.
#[derive(Default)]
pub(super) struct Inbox(Awaited<Pending>);

/// The values that the agent thread has not fetched yet.
#[derive(Default)]
struct Pending {
    /// Never reset: the agent ends at the next chance.
    stop: bool,
    reload: bool,
    network_changed: bool,
    values_changed: Option<SourceEvent>,
    /// The states that links have had since the agent thread asked, the oldest first.
    link_states: Vec<LinkState>,
    commands: Vec<PendingRequest>,
    listeners: ListenerUpdates,
    steps: Vec<FinishedStep>,
    /// The end of the diagnostic test that ran; only one runs at a time.
    test_end: Option<FinishedTest>,
    /// The end of the reload that ran; only one runs at a time.
    reload_end: Option<FinishedReload>,
    /// The result of the session thread, which makes one exchange at a time.
    exchange: Option<Exchange>,
}

/// The latest update of each kind from the listeners. Earlier ones are superseded: one session answers any number of
/// connection requests (R262), and only the newest address counts.
#[derive(Default)]
struct ListenerUpdates {
    address: Option<IpAddr>,
    udp_address: Option<PublishedBinding>,
    xmpp: Option<XmppState>,
    /// True if a connection request was accepted.
    is_session_requested: bool,
    /// The replay window after the latest request over UDP.
    replay_window: Option<ReplayWindow>,
}

impl Inbox {
    /// Asks the agent to end.
    pub(super) fn stop(&self) {
        self.0.change(|pending| pending.stop = true);
    }

    /// Asks the agent to read its configuration again.
    pub(super) fn reload(&self) {
        self.0.change(|pending| pending.reload = true);
    }

    /// Reports a new address, route or name server.
    pub(super) fn network_changed(&self) {
        self.0.change(|pending| pending.network_changed = true);
    }

    /// Notes states of links, which the next change of values reports.
    pub(super) fn note_link_states(&self, states: Vec<LinkState>) {
        self.0.take(|pending| {
            for state in states {
                if !pending.link_states.contains(&state) && pending.link_states.len() < MAX_LINK_STATES {
                    pending.link_states.push(state);
                }
            }
        });
    }

    /// Reports a change of values of the device.
    pub(super) fn values_changed(&self, event: SourceEvent) {
        self.0.change(|pending| {
            let before = pending.values_changed.filter(|before| *before == SourceEvent::Returned);
            pending.values_changed = before.or(Some(event));
        });
    }

    /// Queues a command. Returns it where [`MAX_COMMANDS`] wait already.
    pub(super) fn submit(&self, command: PendingRequest) -> Result<(), PendingRequest> {
        self.0.change(|pending| {
            // The control thread keeps the command and tries again, so that the memory for commands stays bounded.
            if pending.commands.len() >= MAX_COMMANDS {
                return Err(command);
            }
            pending.commands.push(command);
            Ok(())
        })
    }

    /// Stores the address of this device towards the ACS.
    pub(super) fn set_address(&self, address: IpAddr) {
        self.0.change(|pending| pending.listeners.address = Some(address));
    }

    /// Stores the public UDP address and whether there is a NAT.
    pub(super) fn set_udp_address(&self, binding: PublishedBinding) {
        self.0.change(|pending| pending.listeners.udp_address = Some(binding));
    }

    /// Stores the state of the XMPP connection.
    #[cfg(feature = "xmpp")]
    pub(super) fn set_xmpp(&self, state: XmppState) {
        self.0.change(|pending| pending.listeners.xmpp = Some(state));
    }

    /// Requests a session; a request over UDP comes with the replay window that keeps copies of it out.
    pub(super) fn request_session(&self, replay_window: Option<ReplayWindow>) {
        self.0.change(|pending| {
            pending.listeners.is_session_requested = true;
            // A request over HTTP has no window, and must not erase that of an earlier one over UDP (R292).
            pending.listeners.replay_window = replay_window.or(pending.listeners.replay_window);
        });
    }

    /// Stores the result of a transfer step. The worker runs one step at a time, so that the list stays short.
    pub(super) fn finish_step(&self, step: FinishedStep) {
        self.0.change(|pending| pending.steps.push(step));
    }

    /// Stores the end of a diagnostic test.
    #[cfg_attr(not(feature = "diagnostics"), expect(dead_code, reason = "no test runs"))]
    pub(super) fn finish_test(&self, test: FinishedTest) {
        self.0.change(|pending| pending.test_end = Some(test));
    }

    /// Stores the end of a reload.
    pub(super) fn finish_reload(&self, reload: FinishedReload) {
        self.0.change(|pending| pending.reload_end = Some(reload));
    }

    /// Stores the result of an exchange with the ACS.
    pub(super) fn finish_exchange(&self, exchange: Exchange) {
        self.0.change(|pending| pending.exchange = Some(exchange));
    }

    /// Waits during a session until the exchange has ended or a command has come that does not wait for the end of the
    /// session. Returns these commands and the exchange, and leaves all other values.
    pub(super) fn wait_in_session(&self) -> (Vec<PendingRequest>, Option<Exchange>) {
        let is_missing = |pending: &Pending| {
            pending.exchange.is_none() && pending.commands.iter().all(PendingRequest::waits_for_session)
        };
        self.0.wait(None, is_missing, |pending| {
            let commands = pending.commands.extract_if(.., |command| !command.waits_for_session()).collect();
            (commands, pending.exchange.take())
        })
    }

    /// Waits until a value is there, at most for `limit` (`None`: without end), and returns all that are.
    pub(super) fn wait(&self, limit: Option<Duration>) -> Vec<Wake> {
        self.0.wait(limit, Pending::is_empty, Pending::take_wakes)
    }

    /// Returns the values that are there, without waiting.
    pub(super) fn take(&self) -> Vec<Wake> {
        self.0.take(Pending::take_wakes)
    }

    /// Returns the updates of the listeners that are there, without waiting, and leaves all other values.
    pub(super) fn take_listener_updates(&self) -> Vec<Wake> {
        self.0.take(|pending| pending.listeners.take_wakes().collect())
    }

    /// Waits for the end of a transfer step, at most for `limit`, and leaves all other values.
    pub(super) fn wait_for_step(&self, limit: Duration) -> Option<FinishedStep> {
        self.0.wait(Some(limit), |pending| pending.steps.is_empty(), |pending| pending.steps.pop())
    }

    /// Drops the values whose senders ended with the agent that ran before: after a factory reset, a connection request
    /// or an address of the time before it must not reach the new agent.
    pub(super) fn discard_updates(&self) {
        self.0.take(|pending| {
            pending.listeners = ListenerUpdates::default();
            pending.network_changed = false;
            pending.values_changed = None;
            pending.steps.clear();
            pending.reload_end = None;
            pending.test_end = None;
        });
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        let updates = &self.listeners;
        let has_update = updates.is_session_requested
            || updates.address.is_some()
            || updates.udp_address.is_some()
            || updates.xmpp.is_some();
        !(self.stop || self.reload || self.network_changed || self.values_changed.is_some() || has_update)
            && self.commands.is_empty()
            && self.steps.is_empty()
            && self.reload_end.is_none()
            && self.test_end.is_none()
    }

    /// Returns all values as wake-ups and forgets them. A stop comes alone: the agent ends at once, and the result of a
    /// transfer step stays here for [`Inbox::wait_for_step`].
    fn take_wakes(&mut self) -> Vec<Wake> {
        // Commands that are left get their reply when the control thread ends: the agent is stopping.
        if self.stop {
            return vec![Wake::Stop];
        }
        // Several SIGHUPs make one reload: it reads the files as they are now.
        let reload = std::mem::take(&mut self.reload).then_some(Wake::Reload);
        let network_changed = std::mem::take(&mut self.network_changed).then_some(Wake::NetworkChanged);
        let values_changed = self.values_changed.take();
        let values_changed =
            values_changed.map(|event| Wake::ValuesChanged(event, std::mem::take(&mut self.link_states)));
        let commands = self.commands.drain(..).map(Wake::Command);
        let steps = self.steps.drain(..).map(Wake::StepFinished);
        let reload_end = self.reload_end.take().map(Wake::ReloadFinished);
        let test_end = self.test_end.take().map(Wake::TestFinished);
        reload
            .into_iter()
            .chain(network_changed)
            .chain(values_changed)
            .chain(commands)
            .chain(self.listeners.take_wakes())
            .chain(steps)
            .chain(reload_end)
            .chain(test_end)
            .collect()
    }
}

impl ListenerUpdates {
    /// The addresses precede the request, so that the session which answers it reports them.
    fn take_wakes(&mut self) -> impl Iterator<Item = Wake> + use<> {
        let ListenerUpdates { address, udp_address, xmpp, is_session_requested, replay_window } = std::mem::take(self);
        let address = address.map(Wake::AddressChanged);
        let udp_address = udp_address.map(Wake::UdpAddressChanged);
        let xmpp = xmpp.map(Wake::XmppChanged);
        let request = is_session_requested.then_some(Wake::ConnectionRequest(replay_window));
        address.into_iter().chain(udp_address).chain(xmpp).chain(request)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn window(timestamp: u64) -> ReplayWindow {
        ReplayWindow { timestamp, id: Some(timestamp) }
    }

    /// R262, R292.
    #[test]
    fn requests_over_http_and_udp_make_one_wake_up_and_keep_the_latest_window() {
        let inbox = Inbox::default();
        inbox.request_session(Some(window(1)));
        inbox.request_session(Some(window(2)));
        inbox.request_session(None);
        let wakes = inbox.wait(Some(LIMIT));
        let [Wake::ConnectionRequest(Some(latest))] = wakes.as_slice() else { panic!("{wakes:?}") };
        assert_eq!(*latest, window(2));
        assert!(inbox.take().is_empty());
    }

    #[test]
    fn addresses_precede_the_request_and_only_the_newest_counts() {
        let inbox = Inbox::default();
        inbox.request_session(None);
        inbox.set_address([192, 0, 2, 1].into());
        inbox.set_address([192, 0, 2, 2].into());
        inbox.reload();
        let updates = inbox.take_listener_updates();
        let [Wake::AddressChanged(address), Wake::ConnectionRequest(None)] = updates.as_slice() else {
            panic!("{updates:?}")
        };
        assert_eq!(*address, IpAddr::from([192, 0, 2, 2]));
        assert!(matches!(inbox.take().as_slice(), [Wake::Reload]));
    }

    #[test]
    fn a_stop_comes_alone_and_stays() {
        let inbox = Inbox::default();
        inbox.reload();
        inbox.stop();
        for _ in 0..2 {
            assert!(matches!(inbox.take().as_slice(), [Wake::Stop]));
        }
    }

    #[test]
    fn updates_of_an_earlier_agent_are_discarded_and_signals_are_not() {
        let inbox = Inbox::default();
        inbox.request_session(Some(window(1)));
        inbox.reload();
        inbox.discard_updates();
        assert!(matches!(inbox.take().as_slice(), [Wake::Reload]));
    }

    #[test]
    fn a_wait_ends_at_its_limit_or_with_the_first_value() {
        let inbox = Arc::new(Inbox::default());
        assert!(inbox.wait(Some(Duration::from_millis(5))).is_empty());
        let sender = Arc::clone(&inbox);
        let thread = crate::thread::spawn("sender", 64 << 10, Box::new(move || sender.request_session(None)));
        assert!(matches!(inbox.wait(None).as_slice(), [Wake::ConnectionRequest(None)]));
        thread.expect("a thread").join().expect("no panic");
    }
}
