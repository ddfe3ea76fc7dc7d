use super::EventCode::*;
use super::Version::{V1_0, V1_1, V1_4};
use super::*;
use serde_json::Value;

fn texts(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| format!("{}/{}", event.code.as_str(), event.command_key)).collect()
}

fn pending(queue: &EventQueue) -> Vec<String> {
    let events: Vec<Event> = queue.pending().cloned().collect();
    texts(&events)
}

fn of(code: EventCode, key: &str) -> Event {
    Event::of_command(code, key)
}

fn queue<const N: usize>(events: [Event; N]) -> EventQueue {
    let mut queue = EventQueue::default();
    events.into_iter().for_each(|event| queue.raise(event));
    queue
}

fn context(version: Version) -> SessionContext {
    SessionContext { version, retrying: false, rebooting: false }
}

fn retrying(version: Version) -> SessionContext {
    SessionContext { retrying: true, ..context(version) }
}

/// The table of rules is consistent, and agrees with the lists of R141, R142 and R145.
#[test]
fn the_table() {
    for rule in &TABLE {
        assert_eq!(EventCode::parse(rule.text), Some(rule.code.clone()));
        assert_eq!(rule.code.rule().text, rule.text);
        assert_eq!(rule.code.as_str(), rule.text);
        let multiple = rule.cumulative == Cumulative::Multiple;
        assert_eq!(rule.text.starts_with("M "), multiple);
        let outlives = matches!(rule.discard, Discard::Never | Discard::OnBootstrap);
        assert_eq!(rule.persists, outlives, "{}", rule.text);
    }
    let persistent: Vec<&str> = TABLE.iter().filter(|r| r.persists).map(|r| r.text).collect();
    assert_eq!(
        persistent,
        [
            "0 BOOTSTRAP",
            "2 PERIODIC",
            "3 SCHEDULED",
            "7 TRANSFER COMPLETE",
            "10 AUTONOMOUS TRANSFER COMPLETE",
            "11 DU STATE CHANGE COMPLETE",
            "12 AUTONOMOUS DU STATE CHANGE COMPLETE",
            "M Reboot",
            "M ScheduleInform",
            "M Download",
            "M ScheduleDownload",
            "M Upload",
            "M ChangeDUState",
        ]
    );
    // R144 leaves the choice to the CPE; these events are kept until a reboot.
    for code in [Kicked, RequestDownload] {
        assert_eq!(code.rule().discard, Discard::OnReboot);
    }
    let by_transfer = TABLE.iter().filter(|r| r.confirmed_by == ConfirmedBy::TransferComplete);
    let by_transfer: Vec<&str> = by_transfer.map(|r| r.text).collect();
    assert_eq!(by_transfer, ["7 TRANSFER COMPLETE", "M Download", "M ScheduleDownload", "M Upload"]);
}

/// R148.
#[test]
fn texts_are_exact() {
    for wrong in ["", "2 periodic", "2 PERIODIC ", "M download", "X", "X A", "X A ", "M X_", "M X_A B"] {
        assert_eq!(EventCode::parse(wrong), None, "{wrong:?}");
    }
    assert_eq!(EventCode::parse(&format!("X A {}", "b".repeat(61))), None);
    assert_eq!(EventCode::parse("X A b\nc"), None);
    let event = EventCode::parse("X 00D09E Door opened").unwrap();
    assert_eq!(event.as_str(), "X 00D09E Door opened");
    assert_eq!(event.rule().cumulative, Cumulative::Single);
    let method = EventCode::parse("M X_00D09E_Blink").unwrap();
    assert_eq!(method.rule().cumulative, Cumulative::Multiple);
}

/// R136, R137, R138, R139.
#[test]
fn bootstrap_discards_what_came_before_it() {
    let mut queue = queue([
        Periodic.into(),
        of(MReboot, "a"),
        of(MDownload, "b"),
        TransferComplete.into(),
        ValueChange.into(),
        Bootstrap.into(),
        Boot.into(),
    ]);
    assert_eq!(pending(&queue), ["0 BOOTSTRAP/", "1 BOOT/"]);
    // Neither a failed session nor a reboot discards it.
    queue.announce(context(V1_4));
    queue.session_ended();
    queue.rebooted();
    queue.raise(Boot);
    assert_eq!(texts(&queue.announce(retrying(V1_4))), ["0 BOOTSTRAP/", "1 BOOT/"]);
    queue.inform_confirmed();
    queue.session_ended();
    assert_eq!(pending(&queue), [""; 0]);
}

/// R135.
#[test]
fn single_codes_stand_once_multiple_codes_each_time() {
    let queue = queue([
        Periodic.into(),
        Scheduled.into(),
        of(MScheduleInform, "a"),
        Periodic.into(),
        Scheduled.into(),
        of(MScheduleInform, "a"),
        of(MScheduleInform, "b"),
    ]);
    let expected = ["2 PERIODIC/", "3 SCHEDULED/", "M ScheduleInform/a", "M ScheduleInform/a", "M ScheduleInform/b"];
    assert_eq!(pending(&queue), expected);
}

/// R109, R134: an event during a session is reported in the next one.
#[test]
fn raised_during_a_session() {
    let mut queue = queue([Periodic.into(), of(MReboot, "a")]);
    assert!(queue.is_due(context(V1_0)));
    assert_eq!(queue.announce(context(V1_4)).len(), 2);
    assert!(!queue.is_due(context(V1_4)));
    queue.raise(Periodic);
    queue.raise(of(MReboot, "a"));
    assert!(queue.is_due(context(V1_4)));
    queue.inform_confirmed();
    queue.session_ended();
    assert_eq!(pending(&queue), ["2 PERIODIC/", "M Reboot/a"]);
    assert!(queue.is_due(context(V1_4)));
    // The same holds if the session fails.
    queue.announce(context(V1_4));
    queue.raise(Periodic);
    queue.session_ended();
    assert_eq!(pending(&queue), ["2 PERIODIC/", "M Reboot/a"]);
    assert!(queue.is_due(context(V1_4))); // R125: a new event does not wait for the retry
}

/// An event that was announced in vain waits for the retry; a new one does not.
#[test]
fn a_failed_session_is_not_repeated_at_once() {
    let mut queue = queue([Periodic.into()]);
    queue.announce(context(V1_4));
    queue.session_ended();
    assert!(!queue.is_due(context(V1_4)));
    queue.raise(Periodic);
    assert!(queue.is_due(context(V1_4)));
}

/// R143.
#[test]
fn a_connection_request_is_not_retried() {
    let mut queue = queue([ConnectionRequest.into(), Periodic.into()]);
    queue.announce(context(V1_4));
    queue.session_ended();
    assert_eq!(pending(&queue), ["2 PERIODIC/"]);
    // Requests during a session cause exactly one session after it.
    queue.raise(ConnectionRequest);
    queue.announce(retrying(V1_4));
    queue.raise(ConnectionRequest);
    queue.raise(ConnectionRequest);
    queue.inform_confirmed();
    queue.session_ended();
    assert_eq!(pending(&queue), ["6 CONNECTION REQUEST/"]);
    assert!(queue.is_due(context(V1_4)));
}

/// R141, R142.
#[test]
fn a_reboot() {
    let mut queue = EventQueue::default();
    TABLE[1..].iter().for_each(|rule| queue.raise(rule.code.clone()));
    queue.rebooted();
    let kept: Vec<bool> = queue.pending().map(|event| event.code.rule().persists).collect();
    assert_eq!((kept.len(), kept.contains(&false)), (12, false));
}

/// R145, R240: transfers are confirmed by their own response, one by one.
#[test]
fn transfers() {
    let mut queue =
        queue([TransferComplete.into(), of(MDownload, "a"), of(MUpload, "a"), of(MDownload, "a"), Boot.into()]);
    queue.announce(context(V1_4));
    queue.inform_confirmed();
    queue.method_confirmed(&of(MDownload, "a"));
    let left = ["7 TRANSFER COMPLETE/", "M Upload/a", "M Download/a"];
    assert_eq!(pending(&queue), left);
    queue.method_confirmed(&of(MUpload, "a"));
    queue.session_ended();
    // The ACS refused the last report: another session repeats it.
    assert_eq!(pending(&queue), ["7 TRANSFER COMPLETE/", "M Download/a"]);
    assert!(!queue.is_due(context(V1_4)));
    queue.announce(context(V1_4));
    queue.inform_confirmed();
    queue.raise(TransferComplete);
    queue.raise(of(MUpload, "new"));
    queue.method_confirmed(&of(MDownload, "a"));
    queue.session_ended();
    assert_eq!(pending(&queue), ["7 TRANSFER COMPLETE/", "M Upload/new"]);
    queue.method_confirmed(&of(MUpload, "new"));
    assert_eq!(pending(&queue), [""; 0]);
}

#[test]
fn methods_without_command_key() {
    let mut queue = queue([AutonomousTransferComplete.into(), DuStateChangeComplete.into(), of(MChangeDuState, "k")]);
    queue.method_confirmed(&AutonomousTransferComplete.into());
    queue.method_confirmed(&of(MChangeDuState, "k"));
    assert_eq!(pending(&queue), [""; 0]);
}

/// R83: an event of a newer version waits.
#[test]
fn an_older_acs() {
    let mut queue = queue([
        Boot.into(),
        AutonomousTransferComplete.into(),
        Wakeup.into(),
        Heartbeat.into(),
        of(MScheduleDownload, "k"),
    ]);
    assert_eq!(texts(&queue.announce(context(V1_0))), ["1 BOOT/"]);
    queue.inform_confirmed();
    queue.session_ended();
    assert!(!queue.is_due(context(V1_0)) && queue.is_due(context(V1_1)));
    let announced = texts(&queue.announce(context(V1_1)));
    assert_eq!(announced, ["10 AUTONOMOUS TRANSFER COMPLETE/"]);
    assert_eq!(queue.pending().count(), 4);
}

/// R303, R304.
#[test]
fn a_heartbeat_goes_alone() {
    let mut queue = queue([Periodic.into(), Heartbeat.into(), Heartbeat.into()]);
    assert_eq!(texts(&queue.announce(context(V1_4))), ["14 HEARTBEAT/"]);
    queue.raise(Heartbeat); // dropped: one is in progress
    assert!(queue.is_due(context(V1_4)));
    queue.session_ended();
    queue.raise(Heartbeat); // dropped: one is being retried
    assert_eq!(texts(&queue.announce(retrying(V1_4))), ["14 HEARTBEAT/"]);
    queue.inform_confirmed();
    queue.session_ended();
    assert_eq!(texts(&queue.announce(context(V1_4))), ["2 PERIODIC/"]);
    queue.session_ended();
    // Another session is being retried: the heartbeat waits, and does not start the retry early.
    queue.raise(Heartbeat);
    assert!(!queue.is_due(retrying(V1_4)));
    assert_eq!(texts(&queue.announce(retrying(V1_4))), ["2 PERIODIC/"]);
    queue.session_ended();
    assert!(!queue.is_due(retrying(V1_4)));
    assert_eq!(texts(&queue.announce(retrying(V1_4))), ["2 PERIODIC/"]);
    queue.inform_confirmed();
    queue.session_ended();
    assert_eq!(texts(&queue.announce(context(V1_4))), ["14 HEARTBEAT/"]);
}

/// R125, R304: while a heartbeat is retried, the other events wait and do not start a session early.
#[test]
fn a_heartbeat_that_fails() {
    let mut queue = queue([Heartbeat.into(), Periodic.into()]);
    assert!(queue.is_due(context(V1_4)));
    for _ in 0..2 {
        queue.announce(context(V1_4));
        queue.session_ended();
        assert!(!queue.is_due(retrying(V1_4)));
    }
    assert_eq!(texts(&queue.announce(retrying(V1_4))), ["14 HEARTBEAT/"]);
    queue.inform_confirmed();
    queue.session_ended();
    assert!(queue.is_due(context(V1_4)));
    assert_eq!(texts(&queue.announce(context(V1_4))), ["2 PERIODIC/"]);
}

/// R134: a passive notification waits for the next session, an active one has a cause of its own.
#[test]
fn a_changed_value_is_told_with_the_next_session() {
    let mut queue = queue([ValueChange.into(), Heartbeat.into()]);
    assert_eq!(texts(&queue.announce(context(V1_4))), ["14 HEARTBEAT/"]);
    queue.inform_confirmed();
    queue.session_ended();
    assert!(!queue.is_due(context(V1_4)) && queue.is_new(&ValueChange));
    assert_eq!(texts(&queue.announce(context(V1_4))), ["4 VALUE CHANGE/"]);
    queue.session_ended();
    assert!(!queue.is_new(&ValueChange), "the retry carries it");
}

/// R122: a requested reboot is not reported, and starts no session, before it has taken place.
#[test]
fn a_promised_reboot() {
    let mut queue = queue([of(MReboot, "k"), Periodic.into()]);
    let requested = SessionContext { rebooting: true, ..context(V1_4) };
    assert_eq!(texts(&queue.announce(requested)), ["2 PERIODIC/"]);
    queue.inform_confirmed();
    queue.session_ended();
    assert!(!queue.is_due(requested) && queue.is_due(context(V1_4)));
}

/// R94.
#[test]
fn at_most_64() {
    let mut queue = queue([Boot.into()]);
    for number in 0..200 {
        queue.raise(of(MReboot, &number.to_string()));
    }
    queue.raise(Periodic);
    let announced = queue.announce(context(V1_4));
    assert_eq!(announced.len(), MAX_EVENTS);
    assert_eq!(announced[0].code, Boot);
    assert_eq!(announced[1].command_key, "138");
    assert_eq!(announced[63].code, Periodic);

    let mut vendors = EventQueue::default();
    vendors.raise(Boot);
    for number in 0..200 {
        vendors.raise(EventCode::parse(&format!("X A {number}")).unwrap());
    }
    vendors.raise(Periodic);
    assert_eq!(vendors.pending().count(), MAX_EVENTS);
    assert!(vendors.contains(&Boot) && vendors.contains(&Periodic));
}

#[test]
fn discarded_with_their_cause() {
    let mut queue = queue([ValueChange.into(), Boot.into(), DiagnosticsComplete.into()]);
    queue.discard(&ValueChange);
    queue.discard(&DiagnosticsComplete); // R147
    assert_eq!(pending(&queue), ["1 BOOT/"]);
}

/// Round trip through the journal; events of another version and damaged entries are skipped.
#[test]
fn the_journal() {
    let vendor = EventCode::parse("X A b").unwrap();
    let mut queue = queue([
        Bootstrap.into(),
        Boot.into(),
        ConnectionRequest.into(),
        of(MReboot, "k \"<"),
        of(MReboot, "k \"<"),
        vendor.into(),
    ]);
    let json = queue.to_json();
    assert_eq!(json.to_string(), r#"["0 BOOTSTRAP","1 BOOT",["M Reboot","k \"<"],["M Reboot","k \"<"],"X A b"]"#);
    let restored = EventQueue::from_json(&json);
    assert!(restored.is_due(context(V1_0)));
    queue.announce(context(V1_4));
    queue.session_ended();
    assert_eq!(pending(&restored), pending(&queue));

    let strange = r#"["99 FUTURE", 7, null, {}, [], ["M Reboot"], ["M Reboot", 5], ["2 PERIODIC", ""], ["a","b","c"]]"#;
    let restored = EventQueue::from_json(&serde_json::from_str(strange).unwrap());
    assert_eq!(pending(&restored), ["M Reboot/", "2 PERIODIC/"]);
    assert_eq!(EventQueue::from_json(&Value::Null).pending().count(), 0);
}

/// An event that is raised, delivered or dropped between two writes of the journal leaves no trace in it.
#[test]
fn an_event_that_comes_and_goes_is_not_written() {
    let mut queue = queue([of(MReboot, "k")]);
    let written = queue.to_json();
    queue.raise(ConnectionRequest);
    assert_eq!(queue.to_json(), written);
    queue.raise(Periodic);
    assert_ne!(queue.to_json(), written);
    queue.announce(context(V1_4));
    queue.inform_confirmed();
    queue.session_ended();
    let delivered = queue.to_json();
    queue.raise(Periodic);
    queue.announce(context(V1_4));
    queue.inform_confirmed();
    queue.session_ended();
    assert_eq!(queue.to_json(), delivered);
}
