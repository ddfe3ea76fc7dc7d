//! Interruptions of a transfer, and its result after the next start.

use super::*;

/// A kill while the file moves: it moves again, from its start; not for ever.
#[test]
fn an_interrupted_download_begins_again() {
    for has_moved in [false, true] {
        let mut bench = Bench::new();
        let id = bench.download(FIRMWARE, 0);
        for interruption in 1..=5 {
            assert_eq!(bench.poll(), Some(TransferStep::Move(id)), "{interruption}");
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
        assert_eq!(bench.poll(), Some(TransferStep::Apply(id)));
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
        assert_eq!(bench.poll(), Some(TransferStep::Apply(id)));
        assert!(bench.queue.blocks_sessions());
        if ends {
            bench.applied(id, Ok(()));
            assert_eq!((bench.poll(), bench.state(id)), (None, "rebooting"));
            bench.pass(10);
            assert_eq!(bench.poll(), Some(TransferStep::Restart(id)));
            assert_eq!(bench.poll(), None);
        }
        bench.version = version.into();
        bench.killed(true);
        assert_eq!((bench.poll(), bench.code(id)), (None, code), "{ends} {version}"); // R231
        assert!(!bench.queue.blocks_sessions());
        bench.killed(true);
        assert_eq!((bench.poll(), bench.code(id)), (None, code));
    }
}

/// After a kill of the agent alone, the action goes on without it: the agent waits for the reboot and does not repeat it.
#[test]
fn a_firmware_whose_agent_is_killed() {
    let mut bench = Bench::new();
    let id = bench.applying(FIRMWARE);
    bench.killed(false);
    assert!(bench.queue.blocks_sessions() && bench.queue.needs_file(id));
    bench.killed(false);
    assert_eq!((bench.poll(), bench.state(id)), (None, "rebooting"));
    let mut interrupted = bench.queue.clone();
    bench.pass(300);
    assert_eq!((bench.poll(), bench.code(id)), (None, 9002));

    bench.queue = interrupted.clone();
    assert!(bench.queue.awaits_interrupted_action());
    bench.now.monotonic -= Duration::from_secs(200);
    bench.queue.interrupted_action_ended(bench.now); // then the device goes down soon, or not at all
    assert!(!bench.queue.awaits_interrupted_action());
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
    let id = bench.applying(FIRMWARE);
    bench.applied(id, Ok(()));
    bench.killed(false); // waits anew, and not for ever
    bench.pass(10);
    assert_eq!(bench.poll(), Some(TransferStep::Restart(id)));
    bench.pass(300);
    assert_eq!((bench.poll(), bench.code(id)), (None, 9002));
}

/// The verify action decides, not the version; and it may run again without danger.
#[test]
fn the_verify_action_decides() {
    for (result, code) in [(Ok(()), 0), (Err(Failure::permanent(FaultCode::FileCorrupted, "old")), 9018)] {
        let mut bench = Bench::new();
        let id = bench.download(CHECKED, 0);
        bench.poll();
        bench.moved(id, Ok(4));
        bench.poll();
        bench.killed(true);
        assert!(bench.queue.blocks_sessions()); // R240: TransferComplete goes with 1 BOOT
        assert_eq!(bench.poll(), Some(TransferStep::Verify(id)));
        assert_eq!(bench.poll(), None);
        bench.killed(false);
        assert_eq!(bench.poll(), Some(TransferStep::Verify(id)));
        bench.queue.verify_ended(id, result, bench.now);
        assert_eq!((bench.poll(), bench.code(id)), (None, code));
    }
    let mut bench = Bench::new();
    let id = bench.download(CHECKED, 0);
    bench.poll();
    bench.moved(id, Ok(4));
    bench.poll();
    bench.killed(true);
    for _ in 0..5 {
        assert_eq!(bench.poll(), Some(TransferStep::Verify(id)));
        bench.killed(true);
    }
    assert_eq!((bench.poll(), bench.code(id)), (None, 9018));
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
                    applied += u32::from(matches!(step, Some(TransferStep::Apply(_))));
                    if steps % 2 == 0 && steps / 2 == cut / 2 || steps % 2 == 1 && steps / 2 + 20 == cut / 2 {
                        bench.killed(rebooted);
                        continue;
                    }
                    match step {
                        Some(TransferStep::Move(id)) => bench.moved(id, Ok(4)),
                        Some(TransferStep::Apply(id)) => bench.applied(id, Ok(())),
                        Some(TransferStep::Verify(id)) => bench.queue.verify_ended(id, Ok(()), bench.now),
                        Some(TransferStep::Restart(_)) => {
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
    let id = bench.applying(FIRMWARE);
    bench.applied(id, Ok(()));
    let mut restarts = 0;
    for _ in 0..20 {
        bench.killed(false);
        bench.pass(11);
        restarts += u32::from(bench.poll() == Some(TransferStep::Restart(id)));
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
    let id = bench.applying(FIRMWARE);
    bench.killed(false);
    bench.pass(890);
    assert_eq!((bench.poll(), bench.state(id)), (None, "rebooting"));
    assert!(bench.queue.needs_file(id));
    bench.version = "2.0".into();
    bench.killed(true);
    assert_eq!(bench.code(id), 0);
}

/// R144: a reboot drops the requests for downloads, also from the journal.
#[test]
fn wishes_end_with_a_reboot() {
    let mut bench = Bench::new();
    let request = DownloadRequest { file_type: FIRMWARE.into(), arguments: Vec::new() };
    assert!(bench.queue.request_download(request));
    bench.killed(false);
    assert_eq!(bench.queue.download_requests().len(), 1);
    bench.killed(true);
    bench.killed(false);
    assert_eq!(bench.queue.download_requests().len(), 0);
}
