//! The queue as scenarios: what is asked for, what happens, what is reported, whatever interrupts it.

use super::*;
use crate::clock::Now;
use crate::model::actions::{Actions, FileAction};

const SET: i64 = 1_800_000_000;
const CONFIG: &str = "3 Vendor Configuration File";
const CHECKED: &str = "X 00D09E checked";

/// A device with its queue, and its journal.
struct Bench {
    queue: TransferQueue,
    actions: Actions,
    version: String,
    now: Now,
    may_restart: bool,
}

fn action(reboots: bool, verify: bool) -> FileAction {
    FileAction {
        run: vec!["true".into()],
        time_limit: Duration::from_secs(1),
        reboots,
        verify: verify.then(|| vec!["true".into()]),
        sha256: false,
        ed25519: None,
    }
}

impl Bench {
    fn new() -> Bench {
        let actions = Actions {
            reboot: Some(vec!["reboot".into()]),
            download: vec![
                (FIRMWARE.into(), action(true, false)),
                (CONFIG.into(), action(false, false)),
                (CHECKED.into(), action(true, true)),
            ],
            upload: vec![("1 Vendor Configuration File".into(), action(false, false))],
            ..Actions::default()
        };
        let now = Now { monotonic: Duration::from_secs(1000), wall: SET };
        Bench { queue: TransferQueue::default(), actions, version: "1.0".into(), now, may_restart: true }
    }

    fn order(&mut self, origin: Origin, file_type: &str, timing: Timing) -> u32 {
        self.queue.add(order(origin, file_type, "key"), timing).expect("room")
    }

    fn download(&mut self, file_type: &str, delay: u32) -> u32 {
        let timing = Timing::delayed(delay, self.now);
        self.order(Origin::Download, file_type, timing)
    }

    fn scheduled(&mut self, windows: &[(u32, u32, Option<u32>)]) -> u32 {
        let timing = Timing::windows(windows, self.now).expect("windows");
        self.order(Origin::ScheduleDownload, CONFIG, timing)
    }

    fn pass(&mut self, seconds: u64) {
        self.now.monotonic += Duration::from_secs(seconds);
        self.now.wall += seconds as i64;
    }

    fn poll(&mut self) -> Option<Step> {
        let situation =
            Situation { actions: &self.actions, version: &self.version, may_restart: self.may_restart, is_free: true };
        self.queue.poll(self.now, situation)
    }

    fn moved(&mut self, id: u32, result: Result<u64, Failure>) {
        let attempt = self.queue.get(id).expect("a transfer").attempt();
        self.queue.moved(id, attempt, result, self.now);
    }

    fn applied(&mut self, id: u32, result: Result<(), Failure>) {
        self.queue.applied(id, result, self.now);
    }

    /// Everything but the journal is lost.
    fn killed(&mut self, rebooted: bool) {
        if self.queue.is_unsaved() {
            self.queue.save(self.now);
        }
        let journal = self.queue.json().clone();
        if rebooted {
            self.now.monotonic = Duration::from_secs(5);
        }
        self.queue = TransferQueue::restore(journal, self.now);
        let situation = Situation { actions: &self.actions, version: &self.version, may_restart: false, is_free: true };
        self.queue.restarted(rebooted, self.now, situation);
    }

    fn state(&self, id: u32) -> &'static str {
        self.queue.get(id).map_or("gone", Transfer::state_name)
    }

    /// The code of its report; 0 for a success.
    fn code(&self, id: u32) -> u16 {
        let report = self.queue.get(id).and_then(Transfer::report).expect("a report");
        report.failure.as_ref().map_or(0, |failure| failure.code.number())
    }
}

fn order(origin: Origin, file_type: &str, key: &str) -> Order {
    Order {
        origin,
        command_key: key.into(),
        file_type: file_type.into(),
        url: "http://h/f".into(),
        username: "u".into(),
        password: "p".into(),
        file_size: 7,
        target_file_name: "t".into(),
    }
}

fn passing() -> Failure {
    Failure::passing(FaultCode::FileServerUnreachable, "no connection")
}

#[test]
fn a_download_is_moved_applied_and_told() {
    let mut bench = Bench::new();
    let id = bench.download(CONFIG, 0);
    assert_eq!((bench.state(id), bench.queue.get(id).unwrap().queued_state()), ("waiting", QueuedState::NotStarted));
    assert_eq!(bench.poll(), Some(Step::Move(id)));
    assert_eq!((bench.poll(), bench.state(id)), (None, "moving"));
    bench.pass(3);
    bench.moved(id, Ok(4));
    assert_eq!(bench.poll(), Some(Step::Apply(id)));
    assert!(bench.queue.holds_restarts() && !bench.queue.holds_sessions());
    assert_eq!(bench.queue.get(id).unwrap().queued_state(), QueuedState::InProgress);
    bench.applied(id, Ok(()));
    let transfer = bench.queue.get(id).unwrap();
    assert_eq!((transfer.queued_state(), transfer.size(), transfer.began()), (QueuedState::Finishing, 4, Some(SET)));
    assert_eq!(transfer.report().unwrap().complete, Some(SET + 3)); // R238
    assert_eq!(transfer.method_event(), Some(Event::of_command(EventCode::MDownload, "key")));
    for rebooted in [false, true] {
        bench.killed(rebooted);
        assert_eq!((bench.code(id), bench.poll()), (0, None)); // R239: until it is confirmed
    }
    bench.queue.confirmed(id);
    bench.killed(false);
    assert_eq!((bench.state(id), bench.queue.deadline(true)), ("gone", None));
}

/// R232: it is reported, and not tried again. R238: by a code that may stand there.
#[test]
fn a_failure_is_told() {
    let mut bench = Bench::new();
    for (origin, code, told) in [
        (Origin::Download, 9017, 9017),
        (Origin::Download, 9013, 9010),
        (Origin::Download, 9003, 9010),
        (Origin::Download, 9012, 9012),
    ] {
        let id = bench.download(CONFIG, 0);
        assert_eq!(bench.poll(), Some(Step::Move(id)), "{origin:?}");
        bench.moved(id, Err(Failure::passing(FaultCode::from_number(code).unwrap(), "x".repeat(300))));
        assert_eq!((bench.code(id), bench.poll()), (told, None));
        let report = bench.queue.get(id).unwrap().report().unwrap().clone();
        assert_eq!((report.complete, report.failure.unwrap().text.len()), (None, 256));
    }
    let upload = bench.order(Origin::Upload, "1 Vendor Configuration File", Timing::delayed(0, bench.now));
    assert_eq!(bench.poll(), Some(Step::Move(upload)));
    bench.moved(upload, Err(passing()));
    assert_eq!(bench.code(upload), 9011); // R252: 9015 is none of an upload's
}

#[test]
fn an_upload_is_done_when_it_is_moved() {
    let mut bench = Bench::new();
    let id = bench.order(Origin::Upload, "1 Vendor Configuration File", Timing::delayed(0, bench.now));
    assert_eq!(bench.poll(), Some(Step::Move(id)));
    bench.moved(id, Ok(100));
    assert_eq!((bench.code(id), bench.queue.get(id).unwrap().size()), (0, 100)); // R241, R242
    assert_eq!(bench.queue.get(id).unwrap().method_event(), Some(Event::of_command(EventCode::MUpload, "key")));
}

/// R234: after the delay, within an hour, over reboots.
#[test]
fn a_delay_and_its_hour() {
    let mut bench = Bench::new();
    let id = bench.download(CONFIG, 600);
    assert_eq!((bench.poll(), bench.queue.deadline(true)), (None, Some(Duration::from_secs(1600))));
    bench.pass(500);
    bench.killed(true);
    assert_eq!((bench.poll(), bench.queue.deadline(true)), (None, Some(Duration::from_secs(105))));
    bench.pass(100);
    assert_eq!(bench.poll(), Some(Step::Move(id)));

    let late = bench.download(CONFIG, 10);
    bench.pass(3600 + 9);
    assert_eq!((bench.poll(), bench.state(late)), (None, "waiting"));
    assert_eq!(bench.queue.deadline(true), Some(bench.now.monotonic + Duration::from_secs(1)));
    bench.pass(1);
    assert_eq!((bench.poll(), bench.code(late)), (None, 9010)); // R234
    bench.moved(id, Ok(1)); // this one began in time, and is applied when it is here
    assert_eq!(bench.poll(), Some(Step::Apply(id)));

    let immediate = bench.download(CONFIG, 0);
    bench.now.wall += 7200;
    bench.killed(true);
    assert_eq!((bench.poll(), bench.code(id)), (Some(Step::Move(immediate)), 9002));
}

/// R234: a device without a clock of its own gets the date only after its start.
#[test]
fn a_delay_without_a_clock() {
    let mut bench = Bench::new();
    let id = bench.download(CONFIG, 600);
    bench.now.wall += 1000;
    bench.queue.save(bench.now);
    let journal = bench.queue.json().clone();
    bench.now = Now { monotonic: Duration::from_secs(5), wall: 0 };
    bench.queue = TransferQueue::restore(journal, bench.now);
    assert_eq!(bench.poll(), None);
    assert_eq!(bench.queue.deadline(true), Some(Duration::from_secs(65))); // the clock is looked at again
    bench.now.wall = SET + 1600;
    assert_eq!(bench.poll(), Some(Step::Move(id)));
}

/// R233: in the order of their times, at least three and as many as can be listed.
#[test]
fn the_queue_and_its_end() {
    let mut bench = Bench::new();
    let second = bench.download(CONFIG, 20);
    let first = bench.download(CONFIG, 10);
    bench.pass(30);
    assert_eq!(bench.poll(), Some(Step::Move(first)));
    bench.moved(first, Err(passing()));
    assert_eq!(bench.poll(), Some(Step::Move(second)));
    for _ in 2..TransferQueue::CAPACITY {
        bench.download(CONFIG, 100);
    }
    let timing = Timing::delayed(0, bench.now);
    assert_eq!(bench.queue.add(order(Origin::Upload, "1 Vendor Configuration File", ""), timing), Err(QueueFull));
    bench.killed(true);
    assert_eq!(bench.queue.iter().count(), TransferQueue::CAPACITY);
    bench.queue.confirmed(first);
    assert!(bench.download(CONFIG, 0) > second);
}

/// The report of an autonomous transfer gives way, and its number is not given again.
#[test]
fn autonomous_reports_give_way() {
    let mut bench = Bench::new();
    let local = bench.order(Origin::LocalDownload, CONFIG, Timing::delayed(0, bench.now));
    assert_eq!(bench.poll(), Some(Step::Move(local)));
    bench.moved(local, Err(passing()));
    for _ in 0..TransferQueue::CAPACITY {
        bench.download(CONFIG, 100);
    }
    assert_eq!((bench.state(local), bench.queue.iter().count()), ("gone", TransferQueue::CAPACITY));
    assert_eq!(bench.queue.ended().last().map(|ended| ended.id), Some(local));
    bench.queue.cancel("key");
    bench.killed(false);
    assert!(bench.download(CONFIG, 0) > TransferQueue::CAPACITY as u32);
}

/// A kill while the file moves: it moves again, from its start; not for ever.
#[test]
fn an_interrupted_download_begins_again() {
    for has_moved in [false, true] {
        let mut bench = Bench::new();
        let id = bench.download(FIRMWARE, 0);
        for interruption in 1..=5 {
            assert_eq!(bench.poll(), Some(Step::Move(id)), "{interruption}");
            if has_moved {
                bench.moved(id, Ok(4));
            }
            bench.killed(interruption % 2 == 0);
        }
        assert_eq!((bench.poll(), bench.code(id)), (None, 9017));
    }
}

/// A kill while an action runs that does not restart the device: it never runs again.
#[test]
fn an_interrupted_action() {
    for rebooted in [false, true] {
        let mut bench = Bench::new();
        let id = bench.download(CONFIG, 0);
        bench.poll();
        bench.moved(id, Ok(4));
        assert_eq!(bench.poll(), Some(Step::Apply(id)));
        bench.killed(rebooted);
        assert_eq!((bench.poll(), bench.code(id)), (None, 9002));
    }
}

/// R231: a firmware is in use when another version runs; the action may restart the device itself, or leave it to us.
#[test]
fn a_firmware_is_judged_after_the_reboot() {
    for (ends, version, code) in [(false, "2.0", 0), (true, "2.0", 0), (false, "1.0", 9018), (true, "1.0", 9018)] {
        let mut bench = Bench::new();
        let id = bench.download(FIRMWARE, 0);
        bench.poll();
        bench.moved(id, Ok(4));
        bench.may_restart = false;
        assert_eq!(bench.poll(), None); // R122
        bench.may_restart = true;
        assert_eq!(bench.poll(), Some(Step::Apply(id)));
        assert!(bench.queue.holds_sessions());
        if ends {
            bench.applied(id, Ok(()));
            assert_eq!((bench.poll(), bench.state(id)), (None, "rebooting"));
            bench.pass(10);
            assert_eq!(bench.poll(), Some(Step::Restart(id)));
            assert_eq!(bench.poll(), None);
        }
        bench.version = version.into();
        bench.killed(true);
        assert_eq!((bench.poll(), bench.code(id)), (None, code), "{ends} {version}"); // R231
        assert!(!bench.queue.holds_sessions());
        bench.killed(true);
        assert_eq!((bench.poll(), bench.code(id)), (None, code));
    }
}

/// Where only the agent is killed, the action goes on without it: the device is waited for, and the action not repeated.
#[test]
fn a_firmware_whose_agent_is_killed() {
    let mut bench = Bench::new();
    let id = bench.download(FIRMWARE, 0);
    bench.poll();
    bench.moved(id, Ok(4));
    assert_eq!(bench.poll(), Some(Step::Apply(id)));
    bench.killed(false);
    assert!(bench.queue.holds_sessions() && bench.queue.holds_file(id));
    bench.killed(false);
    assert_eq!((bench.poll(), bench.state(id)), (None, "rebooting"));
    let mut interrupted = bench.queue.clone();
    bench.pass(300);
    assert_eq!((bench.poll(), bench.code(id)), (None, 9002));

    bench.queue = interrupted.clone();
    assert!(bench.queue.awaits_action());
    bench.now.monotonic -= Duration::from_secs(200);
    bench.queue.action_ended(bench.now); // then the device goes down soon, or not at all
    assert!(!bench.queue.awaits_action());
    bench.pass(9);
    assert_eq!((bench.poll(), bench.state(id)), (None, "rebooting"));
    bench.pass(1);
    assert_eq!((bench.poll(), bench.code(id)), (None, 9002));

    std::mem::swap(&mut bench.queue, &mut interrupted);
    bench.version = "2.0".into();
    bench.killed(true);
    assert_eq!(bench.code(id), 0);
}

/// A device that never goes down.
#[test]
fn a_reboot_that_does_not_come() {
    let mut bench = Bench::new();
    let id = bench.download(FIRMWARE, 0);
    bench.poll();
    bench.moved(id, Ok(4));
    bench.poll();
    bench.applied(id, Ok(()));
    bench.killed(false); // waits anew, and not for ever
    bench.pass(10);
    assert_eq!(bench.poll(), Some(Step::Restart(id)));
    bench.pass(300);
    assert_eq!((bench.poll(), bench.code(id)), (None, 9002));
}

/// The verify action decides, whatever the version says; and it is no danger to run it again.
#[test]
fn the_verify_action_decides() {
    for (result, code) in [(Ok(()), 0), (Err(Failure::lasting(FaultCode::FileCorrupted, "old")), 9018)] {
        let mut bench = Bench::new();
        let id = bench.download(CHECKED, 0);
        bench.poll();
        bench.moved(id, Ok(4));
        bench.poll();
        bench.killed(true);
        assert!(bench.queue.holds_sessions()); // R240: TransferComplete goes with 1 BOOT
        assert_eq!(bench.poll(), Some(Step::Verify(id)));
        assert_eq!(bench.poll(), None);
        bench.killed(false);
        assert_eq!(bench.poll(), Some(Step::Verify(id)));
        bench.queue.verified(id, result, bench.now);
        assert_eq!((bench.poll(), bench.code(id)), (None, code));
    }
    let mut bench = Bench::new();
    let id = bench.download(CHECKED, 0);
    bench.poll();
    bench.moved(id, Ok(4));
    bench.poll();
    bench.killed(true);
    for _ in 0..5 {
        assert_eq!(bench.poll(), Some(Step::Verify(id)));
        bench.killed(true);
    }
    assert_eq!((bench.poll(), bench.code(id)), (None, 9018));
}

/// R245: an attempt that failed is repeated as the window allows, then in the next one.
#[test]
fn windows_and_their_retries() {
    let mut bench = Bench::new();
    let id = bench.scheduled(&[(10, 100, Some(1)), (200, 300, Some(0))]);
    assert_eq!((bench.poll(), bench.queue.deadline(true)), (None, Some(Duration::from_secs(1010))));
    bench.pass(10);
    assert_eq!(bench.poll(), Some(Step::Move(id)));
    bench.moved(id, Err(passing()));
    assert_eq!((bench.poll(), bench.state(id)), (None, "waiting"));
    bench.pass(1);
    assert_eq!(bench.poll(), Some(Step::Move(id)));
    bench.moved(id, Err(passing()));
    bench.pass(60);
    assert_eq!(bench.poll(), None); // the second window
    bench.killed(true);
    bench.pass(129);
    assert_eq!(bench.poll(), Some(Step::Move(id)));
    bench.moved(id, Ok(4));
    assert_eq!(bench.poll(), Some(Step::Apply(id)));
    bench.pass(1000); // begun in time
    assert_eq!(bench.poll(), None);
    bench.applied(id, Ok(()));
    assert_eq!(bench.code(id), 0);
    let event = bench.queue.get(id).unwrap().method_event();
    assert_eq!(event, Some(Event::of_command(EventCode::MScheduleDownload, "key")));
}

/// R245: never applied outside a window; 9020 where all are over.
#[test]
fn windows_that_are_missed() {
    let mut bench = Bench::new();
    let id = bench.scheduled(&[(0, 10, None), (20, 30, None)]);
    assert_eq!(bench.poll(), Some(Step::Move(id)));
    let attempt = bench.queue.get(id).unwrap().attempt();
    assert!(bench.queue.wants(id, attempt));
    assert_eq!(bench.queue.deadline(false), Some(Duration::from_secs(1010)));
    bench.pass(10);
    assert_eq!(bench.poll(), None);
    assert!(!bench.queue.wants(id, attempt));
    bench.queue.moved(id, attempt, Ok(4), bench.now); // too late
    bench.pass(10);
    assert_eq!(bench.poll(), Some(Step::Move(id)));
    bench.may_restart = false;
    bench.moved(id, Ok(4));
    bench.pass(10);
    assert_eq!((bench.poll(), bench.code(id)), (None, 9020));

    let asleep = bench.scheduled(&[(5, 10, Some(0)), (20, 30, Some(0))]);
    bench.queue.save(bench.now);
    bench.now.wall += 31;
    bench.killed(true);
    assert_eq!((bench.poll(), bench.code(asleep)), (None, 9020)); // also while it was switched off
}

/// R245: what no other attempt can mend ends it in the first window.
#[test]
fn an_error_that_lasts() {
    let mut bench = Bench::new();
    let id = bench.scheduled(&[(0, 10, None), (20, 30, None)]);
    bench.poll();
    bench.moved(id, Err(Failure::lasting(FaultCode::FileNotAuthentic, "wrong signature")));
    assert_eq!((bench.poll(), bench.code(id)), (None, 9019));
    // The CPE's own number of retries has an end, too.
    let id = bench.scheduled(&[(0, 3000, None)]);
    for _ in 0..4 {
        bench.pass(64);
        assert_eq!(bench.poll(), Some(Step::Move(id)));
        bench.moved(id, Err(passing()));
    }
    assert_eq!((bench.poll(), bench.code(id)), (None, 9015));
}

/// R245: one or two windows, each with an end behind its start, in order.
#[test]
fn windows_that_are_none() {
    let now = Bench::new().now;
    let error = |windows: &[(u32, u32, Option<u32>)]| Timing::windows(windows, now).err();
    assert_eq!(error(&[]), Some(WindowError::Count));
    assert_eq!(error(&[(0, 1, None), (1, 2, None), (2, 3, None)]), Some(WindowError::Count));
    assert_eq!(error(&[(5, 5, None)]), Some(WindowError::Empty));
    assert_eq!(error(&[(0, 10, None), (9, 20, None)]), Some(WindowError::Overlap));
    assert_eq!(error(&[(0, 10, None), (10, u32::MAX, None)]), None);
}

/// R246: what has not come too far is cancelled and never told; the rest stays.
#[test]
fn cancelling() {
    let mut bench = Bench::new();
    let moving = bench.download(CONFIG, 0);
    let waiting = bench.download(CONFIG, 100);
    let autonomous = bench.order(Origin::LocalDownload, CONFIG, Timing::delayed(100, bench.now));
    bench.poll();
    assert!(bench.queue.cancel("other") && bench.queue.cancel(""));
    assert!(bench.queue.cancel("key"));
    assert_eq!([moving, waiting, autonomous].map(|id| bench.state(id)), ["gone", "gone", "waiting"]);
    assert!(!bench.queue.wants(moving, 1));

    let applying = bench.download(CONFIG, 0);
    let other = bench.download(CONFIG, 10);
    bench.poll();
    bench.moved(applying, Ok(4));
    bench.poll();
    assert!(!bench.queue.cancel("key")); // 9021
    assert_eq!((bench.state(applying), bench.state(other)), ("applying", "gone"));
    bench.applied(applying, Ok(()));
    assert!(!bench.queue.cancel("key"));
    assert_eq!(bench.state(applying), "done");
}

/// Another firmware may come with another model.
#[test]
fn a_type_that_is_no_longer_taken() {
    let mut bench = Bench::new();
    let id = bench.download(CONFIG, 10);
    bench.actions.download.retain(|(name, _)| name != CONFIG);
    bench.killed(true);
    bench.pass(10);
    assert_eq!((bench.poll(), bench.code(id)), (None, 9001));
}

/// The journal is written only where something has changed, and what it holds is never trusted.
#[test]
fn the_journal() {
    let mut bench = Bench::new();
    bench.queue.save(bench.now);
    assert!(bench.queue.json().is_null());
    bench.download(CONFIG, 600);
    assert!(bench.queue.is_unsaved());
    bench.queue.save(bench.now);
    let journal = bench.queue.json().clone();
    bench.pass(100);
    assert_eq!(bench.poll(), None);
    assert!(!bench.queue.is_unsaved() && *bench.queue.json() == journal);
    assert_eq!(journal["list"][0]["password"], "p"); // it is needed again after a reboot

    for text in ["null", "7", "[]", "{\"list\": 1}", "{\"list\": [1, {}, {\"id\": 1}], \"wishes\": [1, [2, 3]]}"] {
        let queue = TransferQueue::restore(serde_json::from_str(text).unwrap(), bench.now);
        assert_eq!((queue.iter().count(), queue.wishes().len()), (0, 0), "{text}");
    }
    // Windows that are not there are over.
    let text = r#"{ "list": [{ "id": 4, "origin": "ScheduleDownload", "stage": "waiting", "windows": [] }] }"#;
    bench.queue = TransferQueue::restore(serde_json::from_str(text).unwrap(), bench.now);
    assert_eq!((bench.poll(), bench.code(4)), (None, 9020));
}

/// Cut at any step, with and without a reboot: it is reported once, and applied once at most.
#[test]
fn whatever_is_killed_when() {
    for file_type in [CONFIG, FIRMWARE, CHECKED] {
        for cut in 0..40_u32 {
            for rebooted in [false, true] {
                let mut bench = Bench::new();
                let id = bench.download(file_type, 0);
                let (mut applied, mut reports, mut steps) = (0, 0, 0);
                while reports == 0 {
                    steps += 1;
                    assert!(steps < 100, "{file_type} {cut} {rebooted}: {}", bench.state(id));
                    let step = bench.poll();
                    applied += u32::from(matches!(step, Some(Step::Apply(_))));
                    if steps % 2 == 0 && steps / 2 == cut / 2 || steps % 2 == 1 && steps / 2 + 20 == cut / 2 {
                        bench.killed(rebooted);
                        continue;
                    }
                    match step {
                        Some(Step::Move(id)) => bench.moved(id, Ok(4)),
                        Some(Step::Apply(id)) => bench.applied(id, Ok(())),
                        Some(Step::Verify(id)) => bench.queue.verified(id, Ok(()), bench.now),
                        Some(Step::Restart(_)) => {
                            bench.version = "2.0".into();
                            bench.killed(true);
                        }
                        None => bench.pass(20),
                    }
                    reports += bench.queue.finished().count();
                    if reports > 0 {
                        bench.queue.confirmed(id);
                    }
                }
                assert_eq!((reports, bench.state(id)), (1, "gone"));
                assert!(applied <= 1, "{file_type} {cut} {rebooted}");
            }
        }
    }
}

/// A boot id that never changes: the device is not restarted for ever.
#[test]
fn reboots_that_cannot_be_told_from_restarts() {
    let mut bench = Bench::new();
    let id = bench.download(FIRMWARE, 0);
    assert_eq!(bench.poll(), Some(Step::Move(id)));
    bench.moved(id, Ok(7));
    assert_eq!(bench.poll(), Some(Step::Apply(id)));
    bench.applied(id, Ok(()));
    let mut restarts = 0;
    for _ in 0..20 {
        bench.killed(false);
        bench.pass(11);
        restarts += u32::from(bench.poll() == Some(Step::Restart(id)));
    }
    assert!((1..=5).contains(&restarts), "{restarts}");
    bench.pass(300);
    assert_eq!(bench.poll(), None);
    assert_eq!(bench.code(id), 9002);
}

/// An action that outlives its agent has the time that the model gives it.
#[test]
fn a_slow_action_whose_agent_is_killed() {
    let mut bench = Bench::new();
    bench.actions.download[0].1.time_limit = Duration::from_secs(900);
    let id = bench.download(FIRMWARE, 0);
    assert_eq!(bench.poll(), Some(Step::Move(id)));
    bench.moved(id, Ok(7));
    assert_eq!(bench.poll(), Some(Step::Apply(id)));
    bench.killed(false);
    bench.pass(890);
    assert_eq!((bench.poll(), bench.state(id)), (None, "rebooting"));
    assert!(bench.queue.holds_file(id));
    bench.version = "2.0".into();
    bench.killed(true);
    assert_eq!(bench.code(id), 0);
}

/// R144: what was wished for before a reboot is forgotten, also by the journal.
#[test]
fn wishes_end_with_a_reboot() {
    let mut bench = Bench::new();
    let wish = Wish { file_type: FIRMWARE.into(), arguments: Vec::new() };
    assert!(bench.queue.wish(wish));
    bench.killed(false);
    assert_eq!(bench.queue.wishes().len(), 1);
    bench.killed(true);
    bench.killed(false);
    assert_eq!(bench.queue.wishes().len(), 0);
}
