//! The start of a transfer, and the failure of one that starts too late.

use super::*;

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
    assert_eq!(bench.poll(), Some(TransferStep::Move(id)));

    let late = bench.download(CONFIG, 10);
    bench.pass(3600 + 9);
    assert_eq!((bench.poll(), bench.state(late)), (None, "waiting"));
    assert_eq!(bench.queue.deadline(true), Some(bench.now.monotonic + Duration::from_secs(1)));
    bench.pass(1);
    assert_eq!((bench.poll(), bench.code(late)), (None, 9010)); // R234
    bench.moved(id, Ok(1)); // this one began in time, and is applied when it is here
    assert_eq!(bench.poll(), Some(TransferStep::Apply(id)));

    let immediate = bench.download(CONFIG, 0);
    bench.now.wall += 7200;
    bench.killed(true);
    assert_eq!((bench.poll(), bench.code(id)), (Some(TransferStep::Move(immediate)), 9002));
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
    assert_eq!(bench.poll(), Some(TransferStep::Move(id)));
}

/// R245: an attempt that failed is repeated as the window allows, then in the next one.
#[test]
fn windows_and_their_retries() {
    let mut bench = Bench::new();
    let id = bench.scheduled(&[(10, 100, Some(1)), (200, 300, Some(0))]);
    assert_eq!((bench.poll(), bench.queue.deadline(true)), (None, Some(Duration::from_secs(1010))));
    bench.pass(10);
    assert_eq!(bench.poll(), Some(TransferStep::Move(id)));
    bench.moved(id, Err(transient_failure()));
    assert_eq!((bench.poll(), bench.state(id)), (None, "waiting"));
    bench.pass(1);
    assert_eq!(bench.poll(), Some(TransferStep::Move(id)));
    bench.moved(id, Err(transient_failure()));
    bench.pass(60);
    assert_eq!(bench.poll(), None); // the second window
    bench.killed(true);
    bench.pass(129);
    assert_eq!(bench.poll(), Some(TransferStep::Move(id)));
    bench.moved(id, Ok(4));
    assert_eq!(bench.poll(), Some(TransferStep::Apply(id)));
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
    assert_eq!(bench.poll(), Some(TransferStep::Move(id)));
    let attempt = bench.queue.get(id).unwrap().attempt();
    assert!(bench.queue.should_continue(id, attempt));
    assert_eq!(bench.queue.deadline(false), Some(Duration::from_secs(1010)));
    bench.pass(10);
    assert_eq!(bench.poll(), None);
    assert!(!bench.queue.should_continue(id, attempt));
    bench.queue.move_ended(id, attempt, Ok(4), bench.now); // too late
    bench.pass(10);
    assert_eq!(bench.poll(), Some(TransferStep::Move(id)));
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

/// R245: a permanent failure ends the transfer in its first window.
#[test]
fn an_error_that_lasts() {
    let mut bench = Bench::new();
    let id = bench.scheduled(&[(0, 10, None), (20, 30, None)]);
    bench.poll();
    bench.moved(id, Err(Failure::permanent(FaultCode::FileNotAuthentic, "wrong signature")));
    assert_eq!((bench.poll(), bench.code(id)), (None, 9019));
    // The CPE's own number of retries has an end, too.
    let id = bench.scheduled(&[(0, 3000, None)]);
    for _ in 0..4 {
        bench.pass(64);
        assert_eq!(bench.poll(), Some(TransferStep::Move(id)));
        bench.moved(id, Err(transient_failure()));
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
