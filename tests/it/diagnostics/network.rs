//! Ping and trace route over three routers, with delays and losses, beside the programs of Debian.
//!
//! ```text
//! this namespace ── r1 ── r2 ── r3 ── host       10.9.1.0/24 … 10.9.4.0/24 and fd09:1::/64 … fd09:4::/64
//! ```

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::agent::program;
use crate::support::network::{in_own_network, sh};
use crate::support::skip::{emulator_lacks, skip, skip_for_lack_of};

/// The part of an ICMP error that an emulator lacks: qemu-user writes the sender to a wrong address, which may end the agent.
pub(super) const ICMP_SENDER: &str = "the sender of an ICMP error (IP_RECVERR)";

/// The namespaces are those of processes that sleep: names would be shared by all tests.
const NETWORK: &str = r#"
    for router in r1 r2 r3 host; do
        unshare --net sleep 300 >/dev/null 2>&1 & eval "$router=$!"
        until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
    done
    enter() { at=$1; shift; nsenter --net --target $at "$@"; }
    pair() { ip link add name $2 netns $1 type veth peer name $4 netns $3; }
    place() { enter $1 ip address add 10.9.$3/24 dev $2; enter $1 ip -6 address add fd09:$4/64 dev $2 nodad; enter $1 ip link set dev $2 up; }
    delaying() {
        nsenter --net --target $1 timeout 300 python3 $link $2 $4-far $delay >/dev/null 2>&1 & others="$others $!"
        until enter $1 ip link show dev $4-far >/dev/null 2>&1; do kill -0 $!; sleep 0.01; done
        enter $1 ip link set dev $4-far netns $3 name $4
    }
    pair $$ c0 $r1 a; pair $r2 b $r3 a; pair $r3 b $host a
    if [ "$delay" ]; then delaying $r1 b $r2 a; else pair $r1 b $r2 a; fi
    place $$ c0 1.2 1::2; place $r1 a 1.1 1::1; place $r1 b 2.1 2::1; place $r2 a 2.2 2::2; place $r2 b 3.1 3::1
    place $r3 a 3.2 3::2; place $r3 b 4.1 4::1; place $host a 4.2 4::2
    for router in $r1 $r2 $r3 $host; do
        enter $router ip link set lo up
        enter $router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
            net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
    done
    route() { enter $1 ip route add default via 10.9.$2; enter $1 ip -6 route add default via fd09:$3; }
    back() { enter $1 ip route add 10.9.1.0/24 via 10.9.$2; enter $1 ip -6 route add fd09:1::/64 via fd09:$3; }
    route $$ 1.1 1::1; route $r1 2.2 2::2; route $r2 3.2 3::2; back $r2 2.1 2::1; route $r3 3.1 3::1; route $host 4.1 4::1
    enter $r3 ip route add unreachable 10.9.50.0/24; enter $r3 ip -6 route add unreachable fd09:50::/64
    # The kernel drops packets of a link until it has noted its carrier, which takes up to a second.
    for router in $$ $r1 $r2 $r3 $host; do
        while enter $router ip -o link show up | grep -q NO-CARRIER; do sleep 0.01; done
    done
"#;

/// Runs a test in the network, after more commands of its setup.
pub(super) fn in_network(test: &str, setup: &str, body: impl FnOnce()) {
    in_delaying_network(test, "", setup, body);
}

/// Runs a test in the network whose link between r1 and r2 has a delay in milliseconds, if there is one.
pub(super) fn in_delaying_network(test: &str, delay: &str, setup: &str, body: impl FnOnce()) {
    for tool in ["ping", "traceroute", "nft", "nsenter", "python3"] {
        if !Command::new("sh")
            .args(["-c", &format!("command -v {tool}")])
            .output()
            .is_ok_and(|found| found.status.success())
        {
            return skip_for_lack_of(tool);
        }
    }
    in_own_network(&format!("diagnostics::{test}"), || {
        // `$$` is that of the shell, whose network is that of the test.
        let link = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/diagnostics/delaying_link.py");
        let variables = format!("delay={delay} link={link} others=");
        sh(&format!("{variables}\n{NETWORK} {setup} echo $others $r1 $r2 $r3 $host >/tmp/routers.$PPID"));
        body();
        sh("kill $(cat /tmp/routers.$PPID); rm /tmp/routers.$PPID");
    });
}

/// Ctrl-C ends a ping with its summary, and a trace route with the hops so far.
#[test]
fn a_signal_ends_a_command_with_its_summary() {
    in_network("network::a_signal_ends_a_command_with_its_summary", "", || {
        let mut command = Command::new(program(env!("CARGO_BIN_EXE_cpe-agent")));
        let mut ping = command.args(["ping", "10.9.4.2", "count=1000"]).stdout(Stdio::piped()).spawn().expect("a ping");
        let mut text = String::new();
        let mut lines = BufReader::new(ping.stdout.take().expect("piped"));
        while !text.contains("reply 2 ") {
            assert!(lines.read_line(&mut text).expect("a line") > 0, "{text}");
        }
        sh(&format!("kill -INT {}", ping.id()));
        lines.read_to_string(&mut text).expect("the rest");
        assert_eq!(ping.wait().expect("its end").code(), Some(0), "{text}");
        let summary = text.lines().last().unwrap_or_default();
        assert!(summary.contains(" received, 0 lost; least ") && !text.contains("no reply"), "{text}");
    });
}

/// The name server of the device tells the names of routers, and an address without one stays a number.
#[test]
fn routers_have_names() {
    if emulator_lacks(ICMP_SENDER) {
        return;
    }
    in_network("network::routers_have_names", "", || {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("resolv.conf");
        fs::write(&file, "nameserver 127.0.0.1\n").expect("a file");
        sh(&format!("mount --bind {} /etc/resolv.conf", file.display()));
        let silent = output("agent", "traceroute 10.9.4.2").0;
        assert_eq!(hops(&silent).len(), 4, "{silent}");
        let server = Command::new("dnsmasq")
            .args([
                "--keep-in-foreground",
                "--no-resolv",
                "--no-hosts",
                "--log-facility=-",
                "--user=root",
                "--pid-file=",
            ])
            .args(["--host-record=one.example,10.9.1.1,fd09:1::1", "--host-record=host.example,10.9.4.2,fd09:4::2"])
            .args(["--local=/arpa/"])
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut server) = server else { return skip_for_lack_of("dnsmasq") };
        let end = Instant::now() + Duration::from_secs(5);
        while output("agent", "lookup one.example").1 != Some(0) {
            assert!(Instant::now() < end, "dnsmasq does not answer");
        }
        for host in ["10.9.4.2", "fd09:4::2"] {
            let text = output("agent", &format!("traceroute {host}")).0;
            let last: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split_whitespace().last()).collect();
            assert_eq!(last, ["one.example", "ms", "ms", "host.example"], "{text}");
            assert_eq!(hops(&text).len(), 4);
        }
        let _ = server.kill();
        let _ = server.wait();
    });
}

/// A router with a smaller MTU ends no trace route, and divides the packets of a ping.
#[test]
fn a_small_mtu_on_the_way() {
    if emulator_lacks(ICMP_SENDER) {
        return;
    }
    let small = "enter $r2 ip link set dev b mtu 1300; enter $r3 ip link set dev a mtu 1300;";
    in_network("network::a_small_mtu_on_the_way", small, || {
        for host in ["10.9.4.2", "fd09:4::2"] {
            let (text, status) = output("agent", &format!("traceroute {host} size=1400 timeout=500"));
            assert_eq!((hops(&text).len(), status), (4, Some(0)), "{text}");
            // A router divides the packets of IPv4. The first one of IPv6 may be lost: it tells the kernel the MTU.
            let (text, status) = output("agent", &format!("ping {host} count=4 size=1400 interval=50 timeout=300"));
            let is_whole =
                text.contains("4 received, 0 lost") || host.contains(':') && text.contains("3 received, 1 lost");
            assert!(status == Some(0) && is_whole, "{text}");
            let (text, status) = output("agent", &format!("ping {host} count=1 size=65535"));
            assert_eq!((text.lines().count(), status), (1, Some(2)), "no packet of IP is as long: {text}");
        }
    });
}

fn run(command: &str, arguments: &str) -> Output {
    let name = if command == "agent" { program(env!("CARGO_BIN_EXE_cpe-agent")) } else { command.into() };
    Command::new(name).args(arguments.split_whitespace()).output().expect(command)
}

/// Returns the standard output of a command, and its exit status.
pub(super) fn output(command: &str, arguments: &str) -> (String, Option<i32>) {
    let output = run(command, arguments);
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

/// Returns the addresses of the hops that a trace route has printed.
pub(super) fn hops(text: &str) -> Vec<String> {
    let is_hop =
        |line: &&str| line.starts_with([' ', '1', '2', '3']) && line.trim_start().starts_with(char::is_numeric);
    text.lines().filter(is_hop).filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned)).collect()
}

#[test]
fn the_route_is_that_of_traceroute() {
    if emulator_lacks(ICMP_SENDER) {
        return;
    }
    in_network("network::the_route_is_that_of_traceroute", "", || {
        // First, because Linux limits these answers to a few for each host, and its other errors count.
        for host in ["10.9.50.1", "fd09:50::1"] {
            let (text, status) = output("agent", &format!("traceroute {host}"));
            assert_eq!((hops(&text).len(), status), (3, Some(2)), "r3 says that no way leads on: {text}");
            assert!(text.lines().last().is_some_and(|line| line.contains("  !")), "{text}");
        }
        for host in ["10.9.4.2", "fd09:4::2"] {
            let (own, status) = output("agent", &format!("traceroute {host}"));
            let (other, _) = output("traceroute", &format!("-n {host}"));
            assert_eq!((hops(&own), status), (hops(&other), Some(0)), "{own}\n{other}");
            assert_eq!(hops(&own).len(), 4, "{own}");
        }
        let (text, status) = output("agent", "traceroute 10.9.4.2 hops=2");
        assert_eq!((hops(&text), status), (vec!["10.9.1.1".into(), "10.9.2.2".into()], Some(1)));
        // A hop that says nothing costs its timeout once, and not the route.
        sh("read r1 r2 rest </tmp/routers.$PPID; nsenter --net --target $r2 nft -f - <<END\n\
            table inet t { chain c { type filter hook output priority 0; icmp type time-exceeded drop; }; }\nEND\n");
        let (text, status) = output("agent", "traceroute 10.9.4.2 timeout=300");
        assert_eq!((hops(&text)[1].as_str(), hops(&text).len(), status), ("*", 4, Some(0)), "{text}");
    });
}

/// Returns the least time of a ping in microseconds.
pub(super) fn least(text: &str) -> u64 {
    let own = text.split("least ").nth(1).and_then(|rest| rest.split(' ').next());
    let other = text.split("rtt min/avg/max/mdev = ").nth(1).and_then(|rest| rest.split('/').next());
    let digits = own.or(other).unwrap_or_else(|| panic!("no times: {text}")).replace('.', "");
    digits.parse().expect("milliseconds with three decimals")
}

/// Compares the least times, and the counts of ten requests, of which some are lost.
fn same_as_ping(delay: u64, lost: u32) {
    // The figure is 50 µs; a test program without optimization, beside other tests, is slower.
    const LIMIT: u64 = 500;
    for host in ["10.9.4.2", "fd09:4::2"] {
        let mut differences = Vec::new();
        while differences.iter().all(|difference| *difference >= LIMIT) {
            assert!(differences.len() < 20, "{host}: {differences:?} µs");
            let own = output("agent", &format!("ping {host} count=10 interval=20 timeout=2000")).0;
            let other = output("ping", &format!("-c 10 -i 0.02 -W 2 {host}")).0;
            let received = 10 - lost;
            assert!(own.contains(&format!("\n{received} received, {lost} lost")), "{own}");
            assert!(other.contains(&format!("10 packets transmitted, {received} received")), "{other}");
            let (own, other) = (least(&own), least(&other));
            assert!(own >= delay && other >= delay, "{own} and {other} µs");
            differences.push(own.abs_diff(other));
        }
    }
}

/// r3 drops each tenth echo request, the fifth one first.
const TENTH: &str = "enter $r3 nft 'table inet loss { chain c { type filter hook forward priority 0; \
                     icmp type echo-request numgen inc mod 10 eq 4 drop; icmpv6 type echo-request numgen inc mod 10 eq 4 drop; }; }';";

#[test]
fn times_and_losses_are_those_of_ping() {
    in_network("network::times_and_losses_are_those_of_ping", TENTH, || same_as_ping(0, 1));
}

/// Returns true if a link with a delay can be made; otherwise records the test as skipped.
pub(super) fn may_delay() -> bool {
    let may = Path::new("/dev/net/tun").exists();
    if !may {
        skip("the kernel has no TUN devices");
    }
    may
}

fn with_a_delay(test: &str, delay: u64) {
    if !may_delay() {
        return;
    }
    in_delaying_network(&format!("network::{test}"), &delay.to_string(), TENTH, || same_as_ping(delay * 1000, 1));
}

#[test]
fn times_and_losses_with_1_ms_are_those_of_ping() {
    with_a_delay("times_and_losses_with_1_ms_are_those_of_ping", 1);
}

#[test]
fn times_and_losses_with_20_ms_are_those_of_ping() {
    with_a_delay("times_and_losses_with_20_ms_are_those_of_ping", 20);
}

#[test]
fn times_and_losses_with_200_ms_are_those_of_ping() {
    with_a_delay("times_and_losses_with_200_ms_are_those_of_ping", 200);
}

#[test]
fn losses_are_counted() {
    // r2 drops some of the requests, and no reply.
    let loss = "enter $r2 nft 'table inet loss { chain c { type filter hook forward priority 0; \
                icmp type echo-request numgen random mod 100 < 30 drop; }; }';";
    in_network("network::losses_are_counted", loss, || {
        let before = transmitted();
        let (text, status) = output("agent", "ping 10.9.4.2 count=40 interval=5 timeout=200");
        let number = |word: &str| -> u64 {
            let place = text.find(word).unwrap_or_else(|| panic!("{text}"));
            text[..place].rsplit([' ', '\n']).next().and_then(|number| number.parse().ok()).expect("a number")
        };
        let (received, lost) = (number(" received,"), number(" lost;"));
        assert_eq!((received + lost, status), (40, Some(0)));
        // The host has seen as many as came back.
        assert_eq!(transmitted() - before, received, "{text}");
        assert_eq!(text.matches("no reply ").count() as u64, lost);
    });
}

/// DSCP and DataBlockSize are those of the packets, of each kind and version of IP.
#[test]
fn marks_and_sizes_of_packets() {
    if emulator_lacks(ICMP_SENDER) {
        return;
    }
    let counters = "enter $r1 nft 'table inet marks { chain c { type filter hook forward priority 0; \
        ip dscp 46 ip length 1028 icmp type echo-request counter; ip6 dscp 46 ip6 length 1008 icmpv6 type echo-request counter; \
        ip dscp 12 ip length 528 udp dport 33434-33600 counter; ip6 dscp 12 ip6 length 508 udp dport 33434-33600 counter; }; }';";
    in_network("network::marks_and_sizes_of_packets", counters, || {
        for host in ["10.9.4.2", "fd09:4::2"] {
            assert_eq!(output("agent", &format!("ping {host} count=3 interval=5 size=1000 dscp=46")).1, Some(0));
            assert_eq!(output("agent", &format!("traceroute {host} tries=2 size=500 dscp=12")).1, Some(0));
        }
        sh("read r1 rest </tmp/routers.$PPID; nsenter --net --target $r1 nft list table inet marks >/tmp/marks.$PPID");
        let (text, _) = output("sh", "-c cat</tmp/marks.$PPID");
        sh("rm /tmp/marks.$PPID");
        let counts: Vec<&str> =
            text.split("packets ").skip(1).filter_map(|rest| rest.split_whitespace().next()).collect();
        // r1 forwards no datagram of the first hop.
        assert_eq!(counts, ["3", "3", "6", "6"], "{text}");
    });
}

/// The echo replies that the host has sent.
fn transmitted() -> u64 {
    let text = output("sh", "-c cat</tmp/routers.$PPID").0;
    let host = text.split_whitespace().last().expect("the host").to_owned();
    let counters = output("nsenter", &format!("--net --target {host} nstat -az IcmpOutEchoReps")).0;
    counters
        .lines()
        .find_map(|line| line.strip_prefix("IcmpOutEchoReps"))
        .map_or(0, |line| line.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a count"))
}

#[test]
fn interfaces_and_hosts_that_are_not_there() {
    if emulator_lacks(ICMP_SENDER) {
        return;
    }
    in_network("network::interfaces_and_hosts_that_are_not_there", "", || {
        assert_eq!(output("agent", "ping 10.9.1.1 count=1 interface=c0").1, Some(0));
        let wrong = run("agent", "ping 10.9.1.1 count=1 interface=none0");
        assert_eq!(wrong.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&wrong.stderr).contains("no interface none0"));
        assert_eq!(output("agent", "ping 10.9.1.77 count=1 timeout=200").1, Some(1));
        assert_eq!(output("agent", "ping 10.9.4.2 count=1 ip=6").1, Some(2), "an address of the other version");
        sh("ip route del default; ip -6 route del default");
        for command in ["ping 10.9.4.2", "ping fd09:4::2", "traceroute 10.9.4.2", "traceroute fd09:4::2"] {
            assert_eq!(output("agent", command).1, Some(2), "{command}");
        }
        // IPv6 alone.
        sh("ip -4 address flush dev c0; ip -6 route add default via fd09:1::1");
        assert_eq!(output("agent", "ping fd09:4::2 count=3 interval=100 size=1400 dscp=46").1, Some(0));
        assert_eq!(output("agent", "traceroute fd09:4::2").1, Some(0));
    });
}
