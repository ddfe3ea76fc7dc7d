//! Scenarios: requests with their times, and the published address.

mod discovery;
mod hostility;
mod world;

use std::time::Duration;

use world::*;

use crate::secret::Secret;
use crate::stun::{KeepAlivePeriods, Port, Search, ServerState};

/// The times of transmission in milliseconds (RFC 3489 §9.3, R281).
const SCHEDULE: [u64; 9] = [0, 100, 300, 700, 1500, 3100, 4700, 6300, 7900];

const PUBLIC: &str = "203.0.113.9:50001 true";
const LOCAL_ONLY: &str = "192.168.1.2:7547 false";

fn fixed(period: u32) -> KeepAlivePeriods {
    KeepAlivePeriods::new(period, i32::try_from(period).expect("small"))
}

fn times(world: &World, from: usize) -> Vec<Duration> {
    world.sent[from..].iter().map(|sent| sent.at - world.sent[from].at).collect()
}

#[test]
fn without_an_answer_the_request_is_repeated_as_rfc_3489_says() {
    let mut world = World::new(Some(Nat::new(120)), fixed(60));
    world.server.down = world.server.addresses.clone();
    world.start();
    world.run(millis(9499));
    assert_eq!(times(&world, 0), SCHEDULE.map(millis)); // R281
    assert!(world.sent.iter().all(|sent| sent.bytes == world.sent[0].bytes)); // R281: the same transaction id
    assert!(world.sent.iter().all(|sent| sent.port == Port::Primary)); // R272
    assert_eq!(world.binding.status().server_state, ServerState::Asked);
    assert_eq!(world.published(), " false", "nothing is known yet");

    world.run(millis(1));
    assert_eq!(world.binding.status().server_state, ServerState::Silent);
    assert_eq!(world.published(), LOCAL_ONLY); // nothing better is known
    assert_eq!(world.resolutions, 2, "the name may have another address by now");
}

#[test]
fn a_binding_is_learnt_announced_once_and_kept() {
    let mut world = World::started(Some(Nat::new(120)), fixed(60));
    world.run(seconds(1));
    assert_eq!(world.published(), PUBLIC); // R273, R285
    assert_eq!(world.changes.len(), 1);
    assert_eq!(world.sent.len(), 2);
    let (ask, announce) = (world.sent[0].message(), world.sent[1].message());
    assert!(ask.connection_request_binding && !ask.binding_change); // R274, R280
    assert!(announce.connection_request_binding && announce.binding_change); // R275, R280
    assert_eq!(announce.response_address, None); // R280
    assert_ne!(ask.transaction, announce.transaction);
    assert_eq!(world.sent[1].at, world.sent[0].at + millis(40), "at once"); // R280

    world.run(seconds(600));
    let rests: Vec<Duration> = world.sent[1..].windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert_eq!(rests, [seconds(60); 10]); // R283: minimum = maximum
    assert!(world.sent[2..].iter().all(|sent| !sent.message().binding_change)); // R280
    assert!(world.sent.iter().all(|sent| sent.port == Port::Primary), "no discovery"); // R283
    assert_eq!(world.changes.len(), 1);
    assert_eq!(world.binding.status().search, Search::Fixed);
    assert_eq!(world.nat.as_ref().map(|nat| nat.expired), Some(0));
}

#[test]
fn without_a_nat_the_local_address_is_published() {
    let mut world = World::started(None, fixed(60));
    world.run(seconds(100));
    assert_eq!(world.published(), LOCAL_ONLY); // R273, R285
    assert_eq!(world.binding.status().server_state, ServerState::Answers);
}

#[test]
fn while_disabled_nothing_is_sent_and_the_local_address_is_published() {
    let mut world = World::new(Some(Nat::new(60)), fixed(60));
    world.settings.enabled = false;
    world.start();
    world.run(seconds(3600));
    assert_eq!((world.sent.len(), world.resolutions), (0, 0));
    assert_eq!(world.published(), LOCAL_ONLY); // R285
    assert_eq!(world.binding.deadline(), None);

    world.settings.enabled = true;
    world.configure();
    world.run(seconds(1));
    assert_eq!(world.published(), PUBLIC);
    world.settings.enabled = false;
    world.configure();
    assert_eq!(world.published(), LOCAL_ONLY); // R285: NATDetected MUST be false
    let sent = world.sent.len();
    world.run(seconds(3600));
    assert_eq!(world.sent.len(), sent);
}

/// R281: after failure no further 0xC002 until the next change; the server is not given up for that.
#[test]
fn an_announcement_without_an_answer_is_given_up() {
    let mut world = World::new(Some(Nat::new(120)), fixed(60));
    world.server.deaf_to_changes = true;
    world.start();
    world.run(seconds(3600));
    let announcements = |world: &World| -> Vec<usize> {
        (0..world.sent.len()).filter(|&at| world.sent[at].message().binding_change).collect()
    };
    assert_eq!(announcements(&world), (1..10).collect::<Vec<_>>());
    assert_eq!(times(&world, 1)[..9], SCHEDULE.map(millis)); // R281
    assert_eq!(world.binding.status().server_state, ServerState::Answers);
    assert_eq!(world.changes.len(), 1);

    world.server.deaf_to_changes = false;
    world.nat.as_mut().expect("a NAT").flush();
    world.run(seconds(120));
    assert_eq!(announcements(&world).len(), 10); // R280: the next change
}

#[test]
fn a_moved_binding_is_published_and_announced_at_once() {
    let mut world = World::started(Some(Nat::new(120)), fixed(60));
    world.run(seconds(200));
    world.nat.as_mut().expect("a NAT").flush();
    let before = world.sent.len();
    world.run(seconds(60));
    assert_eq!(world.published(), "203.0.113.9:50002 true"); // R273: with the next keep-alive
    let after: Vec<bool> = world.sent[before..].iter().map(|sent| sent.message().binding_change).collect();
    assert_eq!(after, [false, true]); // R280
    assert_eq!(world.sent[before + 1].at, world.sent[before].at + millis(40)); // R280
    assert_eq!(world.binding.status().counters.changes, 2);
}

#[test]
fn another_local_address_is_looked_for_at_once() {
    let mut world = World::started(Some(Nat::new(120)), fixed(60));
    world.run(seconds(10));
    let before = world.sent.len();
    world.nat.as_mut().expect("a NAT").flush();
    world.move_to("192.168.1.77:7547");
    assert_eq!(world.sent.len(), before + 1); // R282, R284
    assert_eq!(world.published(), PUBLIC, "until more is known");
    world.run(seconds(1));
    assert_eq!(world.published(), "203.0.113.9:50002 true"); // R284

    // No server answers there, and the old address is certainly wrong.
    world.server.down = world.server.addresses.clone();
    world.move_to("10.0.0.1:7547");
    world.run(seconds(10));
    assert_eq!(world.published(), "10.0.0.1:7547 false");
    // Without a network, no ACS can be informed.
    world.move_to("0.0.0.0:7547");
    let before = world.sent.len();
    world.run(seconds(1000));
    assert_eq!((world.sent.len(), world.binding.deadline()), (before, None));
    assert_eq!(world.published(), "10.0.0.1:7547 false");
    world.server.down.clear();
    world.move_to("192.168.1.2:7547");
    world.run(seconds(1));
    assert!(world.published().starts_with("203.0.113.9:"));
}

#[test]
fn a_server_that_is_gone_is_asked_ever_more_rarely_and_found_again() {
    let mut world = World::started(Some(Nat::new(120)), fixed(60));
    world.run(seconds(100));
    world.server.down = world.server.addresses.clone();
    world.run(seconds(3600));
    let status = world.binding.status();
    assert_eq!(status.server_state, ServerState::Silent);
    assert!(status.counters.unanswered >= 50, "R282: the maximum holds: {status:?}");
    assert_eq!(world.published(), PUBLIC, "the way in is still open");
    assert_eq!(world.nat.as_ref().map(|nat| nat.expired), Some(0));
    assert_eq!(world.changes.len(), 1);
    world.server.down.clear();
    world.run(seconds(70));
    assert_eq!(world.binding.status().server_state, ServerState::Answers);
    assert_eq!(world.changes.len(), 1);
    assert!(world.sent[2..].iter().all(|sent| !sent.message().binding_change)); // R280: nothing has changed
}

#[test]
fn a_server_that_was_never_there_is_asked_ever_more_rarely() {
    let mut world = World::new(Some(Nat::new(120)), KeepAlivePeriods::new(30, -1));
    world.server.down = world.server.addresses.clone();
    world.start();
    world.run(seconds(6 * 3600));
    let requests = world.requests(Port::Primary);
    let waits: Vec<u64> = requests.windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs()).collect();
    assert!((26..=40).contains(&waits[0]) && waits[0] >= 30, "{waits:?}"); // R282: not below the minimum
    assert!(waits[1..].windows(2).all(|pair| pair[1] >= pair[0] * 3 / 4), "{waits:?}");
    assert!((500..=610).contains(waits.last().expect("many")), "{waits:?}");
    assert!(world.requests(Port::Secondary).is_empty());
}

#[test]
fn several_addresses_behind_one_name_are_tried_in_turn() {
    let mut world = World::new(Some(Nat::new(120)), fixed(60));
    world.server.addresses = ["[2001:db8::1]:3478", SERVER, OTHER_SERVER].map(address).to_vec();
    world.server.down = vec![address(SERVER)];
    world.start();
    world.run(seconds(10));
    assert_eq!(world.published(), PUBLIC);
    let asked: Vec<_> = world.requests(Port::Primary).iter().map(|sent| sent.to).collect();
    assert_eq!(asked, [SERVER, OTHER_SERVER, OTHER_SERVER].map(address), "not the one of another family");

    // Now the other one: back to the first, and no round through the name server for that.
    world.server.down = vec![address(OTHER_SERVER)];
    world.run(seconds(80));
    let status = world.binding.status();
    assert_eq!((status.server, status.server_state), (Some(address(SERVER)), ServerState::Answers));
    assert_eq!(world.resolutions, 1);
}

#[test]
fn a_name_that_does_not_resolve_is_tried_again() {
    let mut world = World::new(Some(Nat::new(120)), fixed(60));
    let addresses = std::mem::take(&mut world.server.addresses);
    world.start();
    world.run(seconds(3600));
    assert_eq!(world.binding.status().server_state, ServerState::Unresolved);
    assert!((50..80).contains(&world.resolutions), "{}", world.resolutions);
    assert_eq!((world.sent.len(), world.published().as_str()), (0, LOCAL_ONLY));
    world.server.addresses = addresses;
    world.run(seconds(61));
    assert_eq!(world.published(), PUBLIC);
}

/// R277: each exchange begins without a signature, and continues with one after the 401.
#[test]
fn a_server_that_demands_credentials_gets_them_after_its_401() {
    let mut world = World::new(Some(Nat::new(120)), fixed(60));
    let secret = Secret::from("s3cret");
    world.server.password = Some(secret.clone());
    (world.settings.username, world.settings.password) = ("CPE01".to_owned(), secret.clone());
    world.start();
    world.run(seconds(70));
    assert_eq!(world.published(), PUBLIC);
    let seen: Vec<(bool, bool)> =
        world.sent.iter().map(|sent| (sent.message().is_signed_with(&secret), sent.message().binding_change)).collect();
    let expected = [(false, false), (true, false), (false, true), (true, true), (false, false), (true, false)];
    assert_eq!(seen, expected); // R277
    assert!(world.sent.iter().all(|sent| sent.message().username == Some(b"CPE01   ".as_slice()))); // R276
    assert_ne!(world.sent[0].message().transaction, world.sent[1].message().transaction);
}

#[test]
fn probes_are_signed_after_a_401_too() {
    let mut world = World::new(Some(Nat::new(100)), KeepAlivePeriods::new(30, -1));
    let secret = Secret::from("s3cret");
    world.server.password = Some(secret.clone());
    (world.settings.username, world.settings.password) = ("CPE01".to_owned(), secret.clone());
    world.start();
    world.until(seconds(7200), |world| world.binding.status().search == Search::Found);
    let probes = world.requests(Port::Secondary);
    for (at, probe) in probes.iter().enumerate() {
        let message = probe.message();
        assert_eq!(message.username.is_some(), message.is_signed_with(&secret), "{at}"); // R276, R277
        assert!(!message.connection_request_binding); // R274
    }
    assert!(probes.iter().any(|probe| probe.message().is_signed_with(&secret)));
}

#[test]
fn nothing_is_signed_without_both_name_and_password() {
    for (username, password) in [("", "s3cret"), ("CPE01", ""), ("", "")] {
        let mut world = World::new(Some(Nat::new(120)), fixed(60));
        world.server.password = Some(Secret::from("s3cret"));
        (world.settings.username, world.settings.password) = (username.to_owned(), Secret::from(password));
        world.start();
        world.run(seconds(1));
        assert_eq!(world.sent.len(), 1, "R277: no second try");
        assert_eq!(world.sent[0].message().username.is_some(), !username.is_empty()); // R276
        let status = world.binding.status();
        assert_eq!(status.server_state, ServerState::Refuses(401));
        assert_eq!(world.published(), LOCAL_ONLY);

        // The ACS provisions them: there is no waiting for the next retry.
        (world.settings.username, world.settings.password) = ("CPE01".to_owned(), Secret::from("s3cret"));
        world.configure();
        world.run(seconds(1));
        assert_eq!(world.published(), PUBLIC);
    }
}

/// R278: a 401 without a signature is discarded too, and the status shows its code all the same.
#[test]
fn a_wrong_password_is_told_as_such() {
    let mut world = World::new(Some(Nat::new(120)), fixed(60));
    world.server.password = Some(Secret::from("s3cret"));
    (world.settings.username, world.settings.password) = ("CPE01".to_owned(), Secret::from("wrong"));
    world.start();
    world.run(seconds(11));
    let status = world.binding.status();
    assert_eq!(status.server_state, ServerState::Refuses(401));
    assert_eq!((status.counters.refused, status.counters.bad_integrity), (1, 9)); // R278
    assert_eq!(world.sent.len(), 10, "R281: retransmitted as if nobody had answered");
    assert_eq!(status.server_state.to_string(), "the STUN server refuses our credentials (error 401)");
}

#[test]
fn an_answer_signed_with_another_password_is_discarded() {
    let mut world = World::new(Some(Nat::new(120)), fixed(60));
    let secret = Secret::from("s3cret");
    (world.server.password, world.server.signs_with) = (Some(secret.clone()), Some(Secret::from("forged")));
    (world.settings.username, world.settings.password) = ("CPE01".to_owned(), secret);
    world.start();
    world.run(seconds(20));
    assert_eq!(world.published(), LOCAL_ONLY); // R278
    assert_eq!(world.binding.status().counters.bad_integrity, 9);
    assert_eq!(world.binding.status().counters.answered, 0);
}

#[test]
fn other_errors_put_the_server_off() {
    for code in [400, 420, 500, 600] {
        let mut world = World::new(Some(Nat::new(120)), fixed(60));
        world.server.error = Some(code);
        world.start();
        world.run(seconds(50));
        assert_eq!(world.binding.status().server_state, ServerState::Refuses(code));
        assert_eq!(world.sent.len(), 1, "no hurry");
        world.server.error = None;
        world.run(seconds(60));
        assert_eq!(world.published(), PUBLIC);
    }
}

#[test]
fn other_periods_hold_at_once_and_another_server_is_told_anew() {
    let mut world = World::started(Some(Nat::new(1000)), fixed(60));
    world.run(seconds(100));
    world.settings.periods = fixed(200);
    world.configure();
    let before = world.sent.len();
    world.run(seconds(159));
    assert_eq!(world.sent.len(), before); // R282: 200 s after the last one
    world.run(seconds(2));
    assert_eq!(world.sent.len(), before + 1);

    world.settings.server.host = "other.example".to_owned();
    world.server.addresses = vec![address(OTHER_SERVER)];
    world.configure();
    world.run(seconds(1));
    let last = world.sent.last().expect("one");
    assert!(last.message().binding_change && last.to == address(OTHER_SERVER)); // R280: it knows nothing of us
    assert_eq!(world.changes.len(), 1);
    assert_eq!(world.binding.status().counters.changes, 2);
}
