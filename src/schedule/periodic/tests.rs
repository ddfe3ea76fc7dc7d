use super::*;

const SET: i64 = 1_800_000_000;

fn at(millis: u64, wall: i64) -> Now {
    Now { monotonic: Duration::from_millis(millis), wall }
}

fn every(interval: u32, reference: Option<i64>) -> Option<PeriodicSettings> {
    Some(PeriodicSettings { interval, reference, local_phase: 7 })
}

/// A device with a monotonic clock, and a wall clock that may be set.
struct Device {
    monotonic: Duration,
    wall: Duration,
    periodic: Periodic,
    fired: Vec<(u64, u64)>,
}

impl Device {
    fn new(wall: i64, settings: Option<PeriodicSettings>) -> Device {
        let mut device = Device {
            monotonic: Duration::from_millis(20_400),
            wall: Duration::from_millis(wall as u64 * 1000 + 700),
            periodic: Periodic::default(),
            fired: Vec::new(),
        };
        assert!(device.periodic.set(settings, device.now()));
        device
    }

    fn now(&self) -> Now {
        Now { monotonic: self.monotonic, wall: self.wall.as_secs() as i64 }
    }

    /// Lets time pass as the agent does: asleep until the deadline, or a minute at most, and awake a little late.
    fn live(&mut self, seconds: u64) {
        let end = self.monotonic + Duration::from_secs(seconds);
        while self.monotonic < end {
            let minute = self.monotonic + Duration::from_secs(60);
            let deadline = self.periodic.deadline().unwrap_or(minute);
            let wake = deadline.min(minute).min(end) + Duration::from_millis(3);
            self.wall += wake.saturating_sub(self.monotonic);
            self.monotonic = wake.max(self.monotonic);
            while self.periodic.poll(self.now()) {
                self.fired.push((self.monotonic.as_secs(), self.wall.as_secs()));
            }
        }
    }

    fn walls(&self) -> Vec<u64> {
        self.fired.iter().map(|&(_, wall)| wall).collect()
    }
}

/// R149, R150: in phase, and once at every instant.
#[test]
fn in_phase_with_a_reference() {
    for reference in [SET + 130, SET + 130 - 300 * 1_000_000, SET + 130 + 300 * 1_000_000] {
        let mut device = Device::new(SET, every(300, Some(reference)));
        device.live(1_100);
        let walls = device.walls();
        let expected = [130, 430, 730, 1030].map(|after| SET as u64 + after);
        assert_eq!(walls, expected, "{reference}");
    }
}

/// The shortest interval is kept, too.
#[test]
fn every_second() {
    for interval in [0, 1] {
        let mut device = Device::new(SET, every(interval, Some(0)));
        device.live(100);
        assert!((99..=101).contains(&device.fired.len()), "{:?}", device.fired.len());
    }
    let mut device = Device::new(SET, every(3, None));
    device.live(300);
    assert!((99..=101).contains(&device.fired.len()));
}

/// R151, R152: the device chooses the phase itself.
#[test]
fn without_a_reference() {
    let mut device = Device::new(0, every(100, None));
    device.live(250);
    let seconds: Vec<u64> = device.fired.iter().map(|&(monotonic, _)| monotonic).collect();
    assert_eq!(seconds, [107, 207]);
    // the wall clock does not matter
    device.wall = Duration::from_secs(SET as u64);
    device.live(200);
    assert_eq!(device.fired.len(), 4);
    assert_eq!(device.fired[3].0, 407);
}

/// The reference counts from the time at which NTP sets the clock.
#[test]
fn the_clock_is_set() {
    let mut device = Device::new(0, every(3600, Some(SET)));
    device.live(100);
    device.wall = Duration::from_secs(SET as u64 + 3000);
    device.live(7200);
    let expected = [3600, 7200].map(|after| SET as u64 + after);
    assert_eq!(device.walls(), expected);
}

/// The clock goes wrong and right again, and each instant of the day is served once.
#[test]
fn a_small_step_back_over_an_instant() {
    let mut device = Device::new(SET, every(300, Some(SET)));
    device.live(301);
    assert_eq!(device.walls(), [SET as u64 + 300]);
    device.wall -= Duration::from_secs(30);
    device.live(330);
    assert_eq!(device.walls()[1..], [SET as u64 + 600]);
}

/// A clock that jumps at every check causes no storm, and postpones nothing for ever.
#[test]
fn a_mad_clock() {
    let interval = 300;
    let mut device = Device::new(SET, every(interval, Some(SET)));
    let mut state = 1u64;
    for _ in 0..2_000 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let jump = (state >> 33) % 2_000_000_000;
        device.wall = Duration::from_secs(if state & 0x10000 == 0 { jump } else { SET as u64 + jump });
        device.live(state >> 58);
    }
    assert!(device.fired.len() > 10);
    for pair in device.fired.windows(2) {
        let gap = pair[1].0 - pair[0].0;
        assert!((149..=751).contains(&gap), "{gap}");
    }
}

/// R153: a change of the settings applies at once.
#[test]
fn settings_take_effect_at_once() {
    let mut periodic = Periodic::default();
    let now = at(5_000, SET);
    assert_eq!(periodic.deadline(), None);
    assert!(!periodic.set(None, now));
    assert!(periodic.set(every(1000, Some(SET + 10)), now));
    assert_eq!(periodic.deadline(), Some(Duration::from_secs(15)));
    // the same settings keep the deadline
    assert!(!periodic.set(every(1000, Some(SET + 10)), at(14_999, SET + 9)));
    assert!(periodic.poll(at(15_000, SET + 10)) && !periodic.poll(at(15_000, SET + 10)));
    assert!(periodic.set(every(60, Some(SET + 10)), at(20_000, SET + 15)));
    assert_eq!(periodic.deadline(), Some(Duration::from_secs(75)));
    assert!(periodic.set(None, at(21_000, SET + 16)));
    assert!(!periodic.poll(at(900_000, SET + 900)));
}

/// No setting and no clock overflows.
#[test]
fn extremes() {
    for wall in [i64::MIN, -1, 0, SET, i64::MAX] {
        for reference in [None, Some(i64::MIN), Some(i64::MAX)] {
            for interval in [0, 1, u32::MAX] {
                let settings = PeriodicSettings { interval, reference, local_phase: u64::MAX };
                for monotonic in [Duration::ZERO, Duration::from_secs(u64::MAX), Duration::MAX] {
                    let now = Now { monotonic, wall };
                    let mut periodic = Periodic::default();
                    periodic.set(Some(settings), now);
                    let deadline = periodic.deadline().unwrap();
                    let longest = Duration::from_secs(u64::from(interval.max(1)));
                    assert!(deadline >= monotonic && deadline - monotonic <= longest);
                    periodic.poll(Now { monotonic, wall: !wall });
                }
            }
        }
    }
}
