//! The longest workable period (R282, R283).

use std::time::Duration;

use super::*;

const UNBOUNDED: i32 = -1;

fn found(world: &World) -> bool {
    world.binding.status().search == Search::Found
}

fn expired(world: &World) -> u32 {
    world.nat.as_ref().map_or(0, |nat| nat.expired)
}

/// R282: the time from request to request, apart from announcements, retransmissions and signed repetitions.
fn assert_within(world: &World, minimum: u64, maximum: u64) {
    let requests = world.requests(Port::Primary);
    let plain: Vec<Duration> =
        requests.iter().filter(|sent| !sent.message().binding_change).map(|sent| sent.at).collect();
    for pair in plain.windows(2) {
        assert!(pair[1] - pair[0] >= seconds(minimum), "{:?} after {:?}", pair[1], pair[0]);
    }
    let sent: Vec<Duration> = world.sent.iter().filter(|sent| sent.port == Port::Primary).map(|sent| sent.at).collect();
    for pair in sent.windows(2) {
        assert!(pair[1] - pair[0] <= seconds(maximum), "{:?} after {:?}", pair[1], pair[0]);
    }
}

#[test]
fn the_first_probe_is_a_control() {
    let mut world = World::started(Some(Nat::new(120)), KeepAlivePeriods::new(30, UNBOUNDED));
    world.run(seconds(1));
    let probe = world.sent.last().expect("three datagrams");
    assert_eq!((world.sent.len(), probe.port), (3, Port::Secondary));
    let message = probe.message();
    assert_eq!(message.response_address, Some(address("203.0.113.9:50001"))); // R283
    assert!(!message.connection_request_binding && !message.binding_change); // R274
    assert_eq!(message.username, None);
    assert_eq!(world.published(), PUBLIC, "the mapping of the secondary port is nobody's business");
}

#[test]
fn discovery_converges_on_nats_of_every_patience() {
    for timeout in [20, 21, 29, 30, 31, 45, 60, 90, 120, 180, 299, 300, 420, 600] {
        for kind in 0..4 {
            let mut nat = Nat::new(timeout);
            (nat.refreshed_by_inbound, nat.keeps_ports) = (kind & 1 == 0, kind & 2 == 0);
            let mut world = World::started(Some(nat), KeepAlivePeriods::new(10, UNBOUNDED));
            world.until(seconds(3 * 3600), found);
            let period = world.binding.status().period;
            assert!(period < seconds(timeout), "{period:?} for {timeout}");
            assert!(period > seconds(timeout) * 3 / 4, "{period:?} for {timeout}"); // R283: the longest, less a margin

            world.run(seconds(2 * timeout)); // until the last address is known to stay, and published
            let (before, lost) = (world.changes.len(), expired(&world));
            world.run(seconds(6 * 3600));
            assert_eq!(expired(&world), lost, "{timeout} s, found {period:?}");
            assert_eq!(world.changes.len(), before);
            assert_eq!(world.binding.status().period, period);
            assert_within(&world, 10, 900);
        }
    }
}

#[test]
fn the_search_leaves_the_device_unreachable_a_few_times_only() {
    let mut world = World::started(Some(Nat::new(120)), KeepAlivePeriods::new(30, UNBOUNDED));
    world.until(seconds(3600), found);
    assert!(expired(&world) <= 6, "{}", expired(&world));
    assert!(world.sent.len() < 150, "{}", world.sent.len());
}

#[test]
fn lost_datagrams_do_not_mislead_it() {
    for timeout in [40, 150, 400] {
        let mut world = World::new(Some(Nat::new(timeout)), KeepAlivePeriods::new(10, UNBOUNDED));
        world.server.loss = 25;
        world.start();
        world.until(seconds(4 * 3600), found);
        let (lost, period) = (expired(&world), world.binding.status().period);
        assert!(period > seconds(timeout) * 3 / 5 && period < seconds(timeout), "{period:?} for {timeout}");
        world.run(seconds(6 * 3600));
        assert_eq!(expired(&world), lost, "{timeout} s, found {period:?}");
    }
}

#[test]
fn the_open_internet_gets_the_longest_period_there_is() {
    let mut world = World::started(None, KeepAlivePeriods::new(30, UNBOUNDED));
    world.until(seconds(2 * 3600), found);
    let period = world.binding.status().period;
    assert!(period >= seconds(600) && period <= seconds(900), "{period:?}");
}

/// R282: the maximum period holds during a measurement.
#[test]
fn minimum_and_maximum_hold_throughout() {
    for (minimum, maximum) in [(30, 60), (30, 35), (1, 4), (0, 20), (60, 3600), (10, 300), (1000, 3000)] {
        for timeout in [3, 20, 50, 200] {
            for honours in [true, false] {
                let bound = i32::try_from(maximum).expect("small");
                let mut world = World::new(Some(Nat::new(timeout)), KeepAlivePeriods::new(minimum, bound));
                world.server.honours_response_address = honours;
                world.start();
                world.run(seconds(2 * 3600));
                assert_within(&world, minimum.into(), maximum);
                let status = world.binding.status();
                let settled = matches!(status.search, Search::Found | Search::Impossible | Search::Running { .. });
                assert!(settled, "{minimum} to {maximum} on {timeout}: {status:?}");
            }
        }
    }
}

/// A minimum longer than the NAT's timeout changes the port each time, and the changes are published ever more rarely.
#[test]
fn a_nat_below_the_minimum_gets_the_minimum() {
    let mut world = World::started(Some(Nat::new(20)), KeepAlivePeriods::new(60, UNBOUNDED));
    world.until(seconds(1000), found);
    assert_eq!(world.binding.status().period, seconds(60));
    let before = world.changes.len();
    world.run(seconds(600));
    assert!((before + 3..before + 9).contains(&world.changes.len()), "{}", world.changes.len() - before);
}

/// A server without RESPONSE-ADDRESS: coturn answers to the source of the request, another does not answer at all.
#[test]
fn a_server_that_does_not_honour_response_address_gets_a_cautious_period() {
    for (minimum, maximum, period) in [(30, UNBOUNDED, 30), (5, UNBOUNDED, 20), (5, 12, 12), (100, 200, 100)] {
        for silent in [false, true] {
            let mut world = World::new(Some(Nat::new(110)), KeepAlivePeriods::new(minimum, maximum));
            world.server.honours_response_address = false;
            world.start();
            if silent {
                world.run(millis(50));
                world.server.error = Some(420);
                world.run(seconds(1));
                world.server.error = None;
            }
            world.run(seconds(3000));
            let status = world.binding.status();
            assert_eq!((status.search, status.period), (Search::Impossible, seconds(period)));
            assert_eq!((expired(&world), world.changes.len()), (0, 1));

            // It learns to: that is noticed within an hour or so.
            world.server.honours_response_address = true;
            world.run(seconds(1000));
            assert_ne!(world.binding.status().search, Search::Impossible);
        }
    }
}

#[test]
fn a_server_that_stops_to_honour_it_during_the_search_teaches_nothing_wrong() {
    let mut world = World::started(Some(Nat::new(300)), KeepAlivePeriods::new(30, UNBOUNDED));
    world.run(seconds(45));
    assert!(matches!(world.binding.status().search, Search::Running { endured: Some(_), expired: None }));
    world.server.honours_response_address = false;
    world.run(seconds(200));
    let status = world.binding.status();
    assert_eq!((status.search, status.period), (Search::Impossible, seconds(30)));
    assert_eq!(expired(&world), 0);
}

#[test]
fn a_server_that_dies_during_the_search_teaches_nothing_wrong() {
    let mut world = World::started(Some(Nat::new(300)), KeepAlivePeriods::new(30, UNBOUNDED));
    world.run(seconds(45));
    world.server.down = world.server.addresses.clone();
    world.run(seconds(600));
    assert_eq!(world.binding.status().server_state, ServerState::Silent);
    world.server.down.clear();
    world.until(seconds(3 * 3600), found);
    let period = world.binding.status().period;
    assert!(period > seconds(225) && period < seconds(300), "{period:?}");
}

#[test]
fn a_nat_that_loses_patience_is_noticed_and_measured_anew() {
    for keeps_ports in [false, true] {
        let mut nat = Nat::new(300);
        nat.keeps_ports = keeps_ports;
        let mut world = World::started(Some(nat), KeepAlivePeriods::new(30, UNBOUNDED));
        world.until(seconds(3 * 3600), found);
        world.nat.as_mut().expect("a NAT").timeout = seconds(100);
        // A port that changes gives it away at once; else it is noticed by the next check.
        let at_most = if keeps_ports { seconds(3600) } else { seconds(1000) };
        world.until(at_most, |world| !found(world));
        world.until(seconds(2 * 3600), found);
        let period = world.binding.status().period;
        assert!(period > seconds(75) && period < seconds(100), "{period:?}");
        let lost = expired(&world);
        world.run(seconds(6 * 3600));
        assert_eq!(expired(&world), lost);

        // It was a bad day: a day later a longer period is tried again.
        world.nat.as_mut().expect("a NAT").timeout = seconds(300);
        world.run(seconds(24 * 3600));
        assert!(world.binding.status().period > seconds(225));
    }
}

#[test]
fn other_traffic_does_not_keep_it_from_measuring() {
    for refreshed in [true, false] {
        let mut nat = Nat::new(120);
        nat.refreshed_by_inbound = refreshed;
        let mut world = World::started(Some(nat), KeepAlivePeriods::new(30, UNBOUNDED));
        for _ in 0..4 * 3600 / 7 {
            world.binding.on_other_traffic(world.now);
            world.run(seconds(7));
        }
        assert!(found(&world));
        assert!(world.binding.status().period < seconds(120), "the noise did not come through the NAT");
    }
}

/// A gateway that sleeps: each wake-up comes late.
#[test]
fn late_polls_neither_burst_nor_mislead() {
    let mut world = World::started(Some(Nat::new(120)), KeepAlivePeriods::new(30, UNBOUNDED));
    world.until(seconds(3600), found);
    let before = world.sent.len();
    world.server.down = world.server.addresses.clone();
    world.now += seconds(5000);
    world.drain();
    world.now += seconds(5);
    world.drain();
    assert_eq!(world.sent.len(), before + 2, "one at a time");
    world.server.down.clear();
    world.until(seconds(2 * 3600), found);
    let period = world.binding.status().period;
    assert!(period > seconds(90) && period < seconds(120), "{period:?}");
}
