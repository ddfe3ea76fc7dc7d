//! Scenarios of the queue: requests, results and reports, with and without interruptions.

mod restarts;
mod windows;

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

    fn queue(&mut self, origin: Origin, file_type: &str, timing: Timing) -> u32 {
        self.queue.add(request(origin, file_type, "key"), timing).expect("room")
    }

    fn download(&mut self, file_type: &str, delay: u32) -> u32 {
        let timing = Timing::delayed(delay, self.now);
        self.queue(Origin::Download, file_type, timing)
    }

    /// A download whose file is here, and whose action has just begun.
    fn applying(&mut self, file_type: &str) -> u32 {
        let id = self.download(file_type, 0);
        assert_eq!(self.poll(), Some(TransferStep::Move(id)));
        self.moved(id, Ok(4));
        assert_eq!(self.poll(), Some(TransferStep::Apply(id)));
        id
    }

    fn scheduled(&mut self, windows: &[(u32, u32, Option<u32>)]) -> u32 {
        let timing = Timing::windows(windows, self.now).expect("windows");
        self.queue(Origin::ScheduleDownload, CONFIG, timing)
    }

    fn pass(&mut self, seconds: u64) {
        self.now.monotonic += Duration::from_secs(seconds);
        self.now.wall += seconds as i64;
    }

    fn poll(&mut self) -> Option<TransferStep> {
        let device = DeviceContext {
            actions: &self.actions,
            version: &self.version,
            may_restart: self.may_restart,
            is_worker_free: true,
        };
        self.queue.poll(self.now, device)
    }

    fn moved(&mut self, id: u32, result: Result<u64, Failure>) {
        let attempt = self.queue.get(id).expect("a transfer").attempt();
        self.queue.move_ended(id, attempt, result, self.now);
    }

    fn applied(&mut self, id: u32, result: Result<(), Failure>) {
        self.queue.apply_ended(id, result, self.now);
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
        let device =
            DeviceContext { actions: &self.actions, version: &self.version, may_restart: false, is_worker_free: true };
        self.queue.resume_after_restart(rebooted, self.now, device);
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

fn request(origin: Origin, file_type: &str, key: &str) -> TransferRequest {
    TransferRequest {
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

fn transient_failure() -> Failure {
    Failure::transient(FaultCode::FileServerUnreachable, "no connection")
}

#[test]
fn a_download_is_moved_applied_and_told() {
    let mut bench = Bench::new();
    let id = bench.download(CONFIG, 0);
    assert_eq!((bench.state(id), bench.queue.get(id).unwrap().queued_state()), ("waiting", QueuedState::NotStarted));
    assert_eq!(bench.poll(), Some(TransferStep::Move(id)));
    assert_eq!((bench.poll(), bench.state(id)), (None, "moving"));
    bench.pass(3);
    bench.moved(id, Ok(4));
    assert_eq!(bench.poll(), Some(TransferStep::Apply(id)));
    assert!(bench.queue.blocks_reboots() && !bench.queue.blocks_sessions());
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
        assert_eq!(bench.poll(), Some(TransferStep::Move(id)), "{origin:?}");
        bench.moved(id, Err(Failure::transient(FaultCode::from_number(code).unwrap(), "x".repeat(300))));
        assert_eq!((bench.code(id), bench.poll()), (told, None));
        let report = bench.queue.get(id).unwrap().report().unwrap().clone();
        assert_eq!((report.complete, report.failure.unwrap().text.len()), (None, 256));
    }
    let upload = bench.queue(Origin::Upload, "1 Vendor Configuration File", Timing::delayed(0, bench.now));
    assert_eq!(bench.poll(), Some(TransferStep::Move(upload)));
    bench.moved(upload, Err(transient_failure()));
    assert_eq!(bench.code(upload), 9011); // R252: 9015 is none of an upload's
}

#[test]
fn an_upload_is_done_when_it_is_moved() {
    let mut bench = Bench::new();
    let id = bench.queue(Origin::Upload, "1 Vendor Configuration File", Timing::delayed(0, bench.now));
    assert_eq!(bench.poll(), Some(TransferStep::Move(id)));
    bench.moved(id, Ok(100));
    assert_eq!((bench.code(id), bench.queue.get(id).unwrap().size()), (0, 100)); // R241, R242
    assert_eq!(bench.queue.get(id).unwrap().method_event(), Some(Event::of_command(EventCode::MUpload, "key")));
}

/// R233: in the order of their times, at least three and as many as can be listed.
#[test]
fn the_queue_and_its_end() {
    let mut bench = Bench::new();
    let second = bench.download(CONFIG, 20);
    let first = bench.download(CONFIG, 10);
    bench.pass(30);
    assert_eq!(bench.poll(), Some(TransferStep::Move(first)));
    bench.moved(first, Err(transient_failure()));
    assert_eq!(bench.poll(), Some(TransferStep::Move(second)));
    for _ in 2..TransferQueue::CAPACITY {
        bench.download(CONFIG, 100);
    }
    let timing = Timing::delayed(0, bench.now);
    assert_eq!(
        bench.queue.add(request(Origin::Upload, "1 Vendor Configuration File", ""), timing),
        Err(TransferQueueFull)
    );
    bench.killed(true);
    assert_eq!(bench.queue.iter().count(), TransferQueue::CAPACITY);
    bench.queue.confirmed(first);
    assert!(bench.download(CONFIG, 0) > second);
}

/// The report of an autonomous transfer gives way, and its number is not given again.
#[test]
fn autonomous_reports_give_way() {
    let mut bench = Bench::new();
    let local = bench.queue(Origin::LocalDownload, CONFIG, Timing::delayed(0, bench.now));
    assert_eq!(bench.poll(), Some(TransferStep::Move(local)));
    bench.moved(local, Err(transient_failure()));
    for _ in 0..TransferQueue::CAPACITY {
        bench.download(CONFIG, 100);
    }
    assert_eq!((bench.state(local), bench.queue.iter().count()), ("gone", TransferQueue::CAPACITY));
    assert_eq!(bench.queue.outcomes().last().map(|ended| ended.id), Some(local));
    bench.queue.cancel("key");
    bench.killed(false);
    assert!(bench.download(CONFIG, 0) > TransferQueue::CAPACITY as u32);
}

/// R246: transfers before their action are cancelled without a report; the others stay.
#[test]
fn cancelling() {
    let mut bench = Bench::new();
    let moving = bench.download(CONFIG, 0);
    let waiting = bench.download(CONFIG, 100);
    let autonomous = bench.queue(Origin::LocalDownload, CONFIG, Timing::delayed(100, bench.now));
    bench.poll();
    assert!(bench.queue.cancel("other") && bench.queue.cancel(""));
    assert!(bench.queue.cancel("key"));
    assert_eq!([moving, waiting, autonomous].map(|id| bench.state(id)), ["gone", "gone", "waiting"]);
    assert!(!bench.queue.should_continue(moving, 1));

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

/// R228: a transfer fails if new firmware comes with a model that lacks its action.
#[test]
fn a_type_that_is_no_longer_taken() {
    let mut bench = Bench::new();
    let id = bench.download(CONFIG, 10);
    bench.actions.download.retain(|(name, _)| name != CONFIG);
    bench.killed(true);
    bench.pass(10);
    assert_eq!((bench.poll(), bench.code(id)), (None, 9001));
}

/// The journal is written only after a change, and its content is checked when it is read.
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
        assert_eq!((queue.iter().count(), queue.download_requests().len()), (0, 0), "{text}");
    }
    // Windows that are not there are over.
    let text = r#"{ "list": [{ "id": 4, "origin": "ScheduleDownload", "stage": "waiting", "windows": [] }] }"#;
    bench.queue = TransferQueue::restore(serde_json::from_str(text).unwrap(), bench.now);
    assert_eq!((bench.poll(), bench.code(4)), (None, 9020));
}
