//! Attackers, and the correct request that must get through at the same time.

use std::fs;
use std::net::UdpSocket;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use cpe_agent::connection_request::{ReplayWindow, RequestOutcome, UdpListener};

use super::udp::{listener, signed};
use super::*;
use crate::support::stopwatch::Stopwatch;

/// Threads that repeat the same attack until the flood is dropped.
struct Flood {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    fn of(threads: usize, round: impl Fn() + Clone + Send + 'static) -> Flood {
        let stop = Arc::new(AtomicBool::new(false));
        let rounds = Arc::new(AtomicUsize::new(0));
        let run = || {
            let (stop, rounds, round) = (Arc::clone(&stop), Arc::clone(&rounds), round.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    round();
                    rounds.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        let threads = (0..threads).map(|_| run()).collect();
        let flood = Flood { stop, rounds, threads };
        eventually("the flood", || flood.rounds() > 50);
        flood
    }

    fn rounds(&self) -> usize {
        self.rounds.load(Ordering::SeqCst)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.drain(..).for_each(|thread| thread.join().expect("no panic"));
    }
}

/// Requests a session as an ACS does, which retries a lost connection; returns the time it took, without the waits of a busy
/// machine.
fn gets_through(scene: &Scene) -> Duration {
    let begun = Stopwatch::start();
    loop {
        if let Ok(status) = scene.connect().wakes() {
            assert_eq!(status, 200);
            return begun.elapsed().saturating_sub(begun.stalled());
        }
        assert!(begun.elapsed() < SOON, "the right request does not get through");
    }
}

/// Returns the memory of this process, in kilobytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A correct request is answered beside two hundred clients that never complete theirs.
#[test]
fn two_hundred_slow_clients_shut_nobody_out() {
    let limits = Limits { head_time: SOON, connection_time: SOON, ..generous() };
    let scene = Scene::with(limits, (Ipv4Addr::LOCALHOST, 0).into());
    let mut slow: Vec<Client> = (0..200)
        .map(|number| {
            let mut client = scene.connect();
            let kinds = ["", "G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: h\r\nA:"];
            let _ = client.0.write(kinds[number % kinds.len()].as_bytes());
            client
        })
        .collect();
    let waited = gets_through(&scene);
    assert!(waited < SLACK, "{waited:?}");
    scene.waits_for_wakes(1);
    // A bound on memory and descriptors: the listener holds no more connections than its limit.
    let is_open = |client: &mut Client| {
        client.0.set_nonblocking(true).expect("a flag");
        matches!(client.0.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    };
    let open = |slow: &mut [Client]| slow.iter_mut().filter_map(|client| is_open(client).then_some(())).count();
    let most = limits.connections_per_network;
    eventually("room", || open(&mut slow) <= most);
    assert!(open(&mut slow) > 0, "only as many are closed as must be");
    assert!(scene.count(RequestOutcome::CrowdedOut) >= 200 - most as u32);
}

/// The listener is full of slow clients, each from an address of its own. A client that is about to answer a challenge
/// keeps its place.
#[test]
fn slow_clients_from_everywhere_shut_nobody_out() {
    let limits = Limits { head_time: SOON, connection_time: SOON, ..generous() };
    let scene = Scene::with(limits, (Ipv4Addr::LOCALHOST, 0).into());
    let slow = |network: u8| -> Vec<Client> {
        let sources = (1..=40).map(|host| Ipv4Addr::new(127, 9, network, host));
        sources.map(|source| Client::connect_from(source, scene.listener.local_addr())).collect()
    };
    let _before = slow(1);
    let mut acs = scene.connect();
    let challenge = acs.gets(PATH, None).challenge();
    let _meanwhile = slow(2);
    eventually("all of them", || scene.count(RequestOutcome::CrowdedOut) >= 40 + 1 + 40 - limits.connections as u32);
    assert_eq!(acs.gets(PATH, Some(&right(&challenge))).status, 200);
    scene.waits_for_wakes(1);
}

/// Wrong digests from the address of the ACS do not keep out its correct requests.
#[test]
fn a_flood_of_wrong_digests_shuts_nobody_out() {
    let scene = Scene::new();
    let address = scene.listener.local_addr();
    let wrong = scene.connect().gets(PATH, None).challenge().answer("acs", "guess", "GET", PATH, "c", 1);
    let flood = Flood::of(8, move || {
        let mut client = Client::connect(address);
        let _ = client.0.write_all(format!("GET {PATH} HTTP/1.1\r\nAuthorization: {wrong}\r\n\r\n").as_bytes());
        let _ = client.receive();
    });
    let (before, slowest) = (resident(), (0..20).map(|_| gets_through(&scene)).max());
    assert!(slowest < Some(SLACK), "{slowest:?}");
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} kB in {} rounds", flood.rounds());
    drop(flood);
    scene.waits_for_wakes(20);
    assert!(scene.count(RequestOutcome::Unauthorized) > 50);
}

/// Copies of an accepted request do not wake the agent.
#[test]
fn a_flood_of_replays_wakes_nobody() {
    let scene = Scene::new();
    let address = scene.listener.local_addr();
    let used = right(&scene.connect().gets(PATH, None).challenge());
    assert_eq!(scene.connect().gets(PATH, Some(&used)).status, 200);
    let flood = Flood::of(4, move || {
        let mut client = Client::connect(address);
        let _ = client.0.write_all(format!("GET {PATH} HTTP/1.1\r\nAuthorization: {used}\r\n\r\n").as_bytes());
        if let Ok(answer) = client.receive() {
            assert_eq!(answer.status, 401);
        }
    });
    (0..20).for_each(|_| assert!(gets_through(&scene) < SLACK));
    drop(flood);
    scene.waits_for_wakes(21);
    assert!(scene.count(RequestOutcome::Replayed) > 50);
}

/// A correct request is answered beside connections that send nothing or garbage.
#[test]
fn a_flood_of_connections_that_say_nothing_or_nonsense() {
    let scene = Scene::new();
    let address = scene.listener.local_addr();
    let flood = Flood::of(4, move || {
        let mut clients: Vec<Client> = (0..8).map(|_| Client::connect(address)).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            let _ = client.0.write_all(&vec![b"\0G\n\xff"[number % 4]; number * 1000]);
        }
    });
    (0..20).for_each(|_| assert!(gets_through(&scene) < SLACK));
    drop(flood);
    scene.waits_for_wakes(20);
}

/// R292: no such datagram moves the replay window. R293: none is answered.
#[test]
fn floods_of_datagrams_keep_no_right_request_out() {
    let (listener, state, reports) = listener(ReplayWindow::default());
    let to = listener.local_addr();
    let socket = || UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let attacker = Arc::new(socket());
    let captured = signed(1, 1);
    let garbage: Vec<Vec<u8>> = vec![
        captured.clone().into_bytes(),
        signed(u64::MAX, 7).replace("cn=x", "cn=y").into_bytes(),
        signed(u64::MAX, 7).into_bytes()[..60].to_vec(),
        vec![b'G'; 9000],
        vec![0xff; 500],
        vec![0x01; 20],
        Vec::new(),
    ];
    let acs = socket();
    acs.send_to(captured.as_bytes(), to).expect("sends");
    assert_eq!(reports.recv_timeout(SOON).expect("a report"), 1);
    let flood = {
        let attacker = Arc::clone(&attacker);
        Flood::of(2, move || {
            garbage.iter().for_each(|datagram| drop(attacker.send_to(datagram, to)));
            thread::sleep(Duration::from_millis(1));
        })
    };
    let before = resident();
    for ts in 2..40 {
        // A full socket drops datagrams, so that the request is repeated, as GenieACS does.
        let begun = Instant::now();
        let accepted = loop {
            (0..3).for_each(|_| drop(acs.send_to(signed(ts, ts).as_bytes(), to)));
            if let Ok(accepted) = reports.recv_timeout(Duration::from_millis(200)) {
                break accepted;
            }
            assert!(begun.elapsed() < SOON, "the right request does not get through");
        };
        assert_eq!(accepted, ts);
    }
    drop(flood);
    assert!(reports.recv_timeout(Duration::from_millis(100)).is_err(), "one wake-up each");
    assert!(resident().saturating_sub(before) < 16 << 10);
    assert_eq!(state.udp.count(RequestOutcome::Accepted), 39);
    for outcome in [
        RequestOutcome::OldTimestamp,
        RequestOutcome::WrongSignature,
        RequestOutcome::Malformed,
        RequestOutcome::Garbage,
    ] {
        assert!(state.udp.count(outcome) > 10, "{outcome:?}");
    }
    for socket in [&acs, &*attacker] {
        socket.set_nonblocking(true).expect("a flag");
        assert!(socket.recv(&mut [0]).is_err(), "never an answer");
    }
    drop::<UdpListener>(listener);
}
