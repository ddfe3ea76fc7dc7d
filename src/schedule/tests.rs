use super::*;

const SET: i64 = 1_800_000_000;

fn at(seconds: u64, wall: i64) -> Now {
    Now { monotonic: Duration::from_secs(seconds), wall }
}

fn due(schedule: &mut Schedule, informs: &mut ScheduledInforms, now: Now) -> Vec<Due> {
    std::iter::from_fn(|| schedule.poll(informs, now)).collect()
}

/// R302: the heartbeat has a schedule of its own, and comes before the periodic Inform (R304).
#[test]
fn the_earliest_comes_first() {
    let mut schedule = Schedule::default();
    let start = at(100, SET);
    let mut informs = ScheduledInforms::default();
    assert_eq!((schedule.deadline(&informs), schedule.poll(&mut informs, start)), (None, None));

    let policy = RetryPolicy::default();
    schedule.retry.failed(start, policy, None, 0);
    let interval = Duration::from_secs(3);
    informs.add("key", interval, start).unwrap();
    schedule.reboots.delay(4, start);
    let local = PeriodicSettings { interval: 30, reference: None, local_phase: 0 };
    schedule.periodic.set(Some(local), start);
    schedule.heartbeat.set(Some(local), start);

    assert_eq!(schedule.deadline(&informs), Some(Duration::from_secs(103)));
    let scheduled = Due::ScheduledInform { command_key: "key".to_owned() };
    assert_eq!(due(&mut schedule, &mut informs, at(103, SET)), [scheduled]);
    assert_eq!(schedule.deadline(&informs), Some(Duration::from_secs(104)));
    assert_eq!(due(&mut schedule, &mut informs, at(104, SET)), [Due::Reboot]);
    assert_eq!(schedule.deadline(&informs), Some(Duration::from_secs(105)));
    assert_eq!(due(&mut schedule, &mut informs, at(105, SET)), [Due::Retry]);
    assert_eq!(schedule.deadline(&informs), Some(Duration::from_secs(120)));
    let both = [Due::Heartbeat, Due::Periodic];
    assert_eq!(due(&mut schedule, &mut informs, at(120, SET)), both);
    assert_eq!(schedule.deadline(&informs), Some(Duration::from_secs(150)));
}

/// The wall clock is checked every minute while a deadline follows it.
#[test]
fn the_clock_is_watched() {
    let mut schedule = Schedule::default();
    let mut informs = ScheduledInforms::default();
    let yearly = PeriodicSettings { interval: 365 * 86400, reference: Some(SET + 3600), local_phase: 0 };
    schedule.periodic.set(Some(yearly), at(0, 0));
    assert_eq!(due(&mut schedule, &mut informs, at(1, 1)), []);
    assert_eq!(schedule.deadline(&informs), Some(Duration::from_secs(61)));
    // NTP has set the clock.
    assert_eq!(due(&mut schedule, &mut informs, at(61, SET)), []);
    assert_eq!(schedule.periodic.deadline(), Some(Duration::from_secs(3661)));
    assert_eq!(schedule.deadline(&informs), Some(Duration::from_secs(121)));
    assert_eq!(due(&mut schedule, &mut informs, at(3661, SET + 3600)), [Due::Periodic]);
}
