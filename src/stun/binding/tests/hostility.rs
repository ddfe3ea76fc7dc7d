//! Datagrams of a hostile network.

use super::*;
use crate::stun::message::{Encoder, TransactionId};

/// An answer to the last request that was sent, as the server would write it.
fn forged(world: &World, mapped: &str) -> Vec<u8> {
    let transaction = world.sent.last().expect("a request").message().transaction;
    Encoder::response(transaction, address(mapped)).finish()
}

#[test]
fn what_is_no_answer_is_ignored_and_counted() {
    let mut world = World::new(Some(Nat::new(120)), fixed(60));
    world.server.down = world.server.addresses.clone();
    world.start();
    world.inject("198.51.100.66:3478", &forged(&world, "192.0.2.1:1"));
    world.inject("198.51.100.1:3479", &forged(&world, "192.0.2.1:1"));
    world.inject(SERVER, &Encoder::response(TransactionId([7; 16]), address("192.0.2.1:1")).finish());
    world.inject(SERVER, b"\x01\x01garbage");
    world.inject(SERVER, b"");
    world.inject(SERVER, &world.sent[0].bytes.clone()); // our own request, sent back
    for nonsense in ["0.0.0.0:1", "203.0.113.9:0", "224.0.0.1:9", "255.255.255.255:9", "[::]:5"] {
        world.inject(SERVER, &forged(&world, nonsense));
    }
    let counters = world.binding.status().counters;
    assert_eq!(counters.foreign_source, 2);
    assert_eq!(counters.wrong_transaction, 1);
    assert_eq!(counters.malformed, 2);
    assert_eq!(counters.unusable, 6);
    assert_eq!((counters.ignored(), counters.answered), (11, 0));
    assert_eq!((world.changes.len(), world.binding.status().server_state), (0, ServerState::Asked));

    // The exchange is unharmed: the right answer is accepted after any transmission.
    world.inject(SERVER, &forged(&world, "203.0.113.9:4711"));
    assert_eq!(world.published(), "203.0.113.9:4711 true");
}

#[test]
fn an_ipv4_source_in_the_dress_of_ipv6_is_the_server() {
    let mut world = World::new(Some(Nat::new(120)), fixed(60));
    world.server.down = world.server.addresses.clone();
    world.start();
    world.inject("[::ffff:198.51.100.1]:3478", &forged(&world, "[::ffff:203.0.113.9]:4711"));
    assert_eq!(world.published(), "203.0.113.9:4711 true");
}

#[test]
fn an_ipv6_address_is_published_in_brackets() {
    let mut world = World::new(None, fixed(60));
    (world.local, world.server.addresses) = (address("[2001:db8::2]:7547"), vec![address("[2001:db8::1]:3478")]);
    world.start();
    world.run(seconds(1));
    assert_eq!(world.published(), "[2001:db8::2]:7547 false"); // R285
}

#[test]
fn copies_of_an_answer_are_late_and_no_more() {
    let mut world = World::started(Some(Nat::new(120)), fixed(60));
    let copy = forged(&world, "192.0.2.1:1");
    world.run(seconds(1));
    world.inject(SERVER, &copy);
    assert_eq!(world.published(), PUBLIC);
    let counters = world.binding.status().counters;
    assert_eq!((counters.late, counters.wrong_transaction), (1, 0));
}

/// R280 demands an announcement at once after each change; a server with a new address in each answer must not cause a
/// storm of them.
#[test]
fn a_lying_server_makes_no_storm() {
    let mut world = World::new(Some(Nat::new(120)), KeepAlivePeriods::new(30, -1));
    world.server.lies = (1..=7).map(|port| address(&format!("192.0.2.{port}:{port}"))).collect();
    world.start();
    world.run(seconds(3600));
    assert!(world.sent.len() < 300, "{}", world.sent.len());
    assert!(world.changes.len() < 200, "{}", world.changes.len());

    world.server.lies = vec![address("192.0.2.1:1")]; // always the same lie: nothing can tell it from the truth
    world.run(seconds(300));
    assert_eq!(world.published(), "192.0.2.1:1 true");
    world.server.lies.clear();
    world.run(seconds(1300));
    assert!(world.published().starts_with("203.0.113.9:"));
}

/// A NAT whose timeout is below STUNMinimumKeepAlivePeriod (R282): each answer has a new address, and each published
/// address is a session at the ACS (R286).
#[test]
fn a_nat_that_always_forgets_makes_no_storm_of_sessions() {
    let mut world = World::new(Some(Nat::new(20)), fixed(30));
    world.start();
    world.run(seconds(86_400));
    let changes = world.binding.status().counters.changes;
    assert!(changes > 1_000, "{changes} new addresses");
    assert!(world.changes.len() < 120, "{} published", world.changes.len());
    // A better NAT: at once it is known where we are.
    world.nat = Some(Nat::new(120));
    world.run(seconds(65));
    let mapped = world.binding.status().mapped.expect("an address");
    assert_eq!(world.published(), format!("{mapped} true"));
}

#[test]
fn while_off_whatever_comes_is_counted_only() {
    let mut world = World::new(None, fixed(60));
    world.settings.enabled = false;
    world.start();
    world.inject(SERVER, &Encoder::response(TransactionId([0; 16]), address("192.0.2.1:1")).finish());
    world.inject(SERVER, &[0; 20]);
    assert_eq!(world.binding.status().counters.ignored(), 2);
    assert_eq!((world.published().as_str(), world.sent.len()), (LOCAL_ONLY, 0));
}

/// Random datagrams cause no panic and change nothing that is published, in any state.
#[test]
fn mutated_answers_from_elsewhere_change_nothing_in_any_state() {
    let mut world = World::started(Some(Nat::new(50)), KeepAlivePeriods::new(10, -1));
    world.run(seconds(1));
    for round in 0..20_000_u32 {
        let mut bytes = forged(&world, "192.0.2.1:1");
        let at = usize::from(world.random_byte()) % bytes.len();
        bytes[at] ^= world.random_byte();
        bytes.truncate(if round % 5 == 0 { at } else { bytes.len() });
        let ports = [Port::Primary, Port::Secondary];
        let port = ports[usize::from(world.random_byte() % 2)];
        world.binding.on_datagram(port, address("198.51.100.66:3478"), &bytes, world.now);
        world.drain();
        world.run(millis(200));
    }
    assert!(world.changes.iter().all(|(_, published)| published.address_text().starts_with("203.0.113.9:")));
    assert!(world.binding.status().counters.ignored() >= 20_000);
}
